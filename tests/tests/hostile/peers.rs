//! Two thousand connections that dawdle, in HTTP/1 and HTTP/2: all of them are closed, others are
//! served meanwhile, and nothing is left of them (T22).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use waypost_tests::wait::LIVENESS;
use waypost_tests::{Options, Waypost};

use super::address;

const SEND: &str = "/whatsapp/messages/send";
const LARGE: &str = "/waypost/v1/openapi.json";
/// The gateway promises 15 s; the rest is for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(28);
const DRIP_EVERY: Duration = Duration::from_millis(500);
/// Between two connections of a kind. All at once would overflow the system's queue; who has nothing to
/// say is then taken half a minute later, when the system tries again.
const ARRIVE_EVERY: Duration = Duration::from_millis(15);
/// Requests of others while the connections dawdle.
const OTHERS: usize = 20;
/// Files that a gateway may have opened for itself meanwhile.
const OWN_FILES: usize = 8;

/// How a connection dawdles.
#[derive(Clone, Copy, Debug)]
enum Dawdler {
    Silent,
    HalfHead,
    DrippingHead,
    DrippingBody,
    Unread,
    Idle,
    TwoSilent,
    TwoPings,
    TwoHalfHead,
    TwoDrippingHead,
    TwoDrippingBody,
    TwoUnread,
}

impl Dawdler {
    const ALL: [Self; 12] = [
        Self::Silent,
        Self::HalfHead,
        Self::DrippingHead,
        Self::DrippingBody,
        Self::Unread,
        Self::Idle,
        Self::TwoSilent,
        Self::TwoPings,
        Self::TwoHalfHead,
        Self::TwoDrippingHead,
        Self::TwoDrippingBody,
        Self::TwoUnread,
    ];

    fn beginning(self, host: &str, key: &str) -> Vec<u8> {
        let head = format!("POST {SEND} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {key}\r\n");
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
        let two = |frames: &[Vec<u8>]| [&two::greeting(65_535)[..], &frames.concat()].concat();
        match self {
            Self::Silent => Vec::new(),
            Self::HalfHead => head.into_bytes(),
            Self::DrippingHead => format!("{head}x-drip: ").into_bytes(),
            Self::DrippingBody => {
                format!("{head}content-type: application/json\r\ncontent-length: 100000\r\n\r\n{{")
                    .into_bytes()
            }
            Self::Unread => get(LARGE).repeat(200).into_bytes(),
            Self::Idle => get("/healthz").into_bytes(),
            Self::TwoSilent => two::PREFACE.to_vec(),
            Self::TwoPings => two(&[]),
            Self::TwoHalfHead | Self::TwoDrippingHead => {
                let block = two::get(LARGE, host);
                two(&[two::frame(two::HEADERS, two::END_STREAM, 1, &block)])
            }
            Self::TwoDrippingBody => {
                let block = two::post(SEND, host, key);
                two(&[two::frame(two::HEADERS, two::END_HEADERS, 1, &block)])
            }
            Self::TwoUnread => {
                let block = two::get(LARGE, host);
                let flags = two::END_HEADERS | two::END_STREAM;
                let asked = two::frame(two::HEADERS, flags, 1, &block);
                [two::greeting(0), asked].concat()
            }
        }
    }

    fn drip(self) -> Option<Vec<u8>> {
        match self {
            Self::DrippingHead | Self::DrippingBody => Some(b"x".to_vec()),
            // Where nothing is read, the end shows in that writing fails.
            Self::Unread => Some(b"GET /healthz HTTP/1.1\r\n".to_vec()),
            Self::TwoPings | Self::TwoUnread => Some(two::frame(two::PING, 0, 0, &[0; 8])),
            Self::TwoDrippingHead => Some(two::frame(two::CONTINUATION, 0, 1, &[0x84])),
            Self::TwoDrippingBody => Some(two::frame(two::DATA, 0, 1, b"x")),
            Self::Silent | Self::HalfHead | Self::Idle | Self::TwoSilent | Self::TwoHalfHead => {
                None
            }
        }
    }

    /// Dawdles until the gateway has had enough; `false` where it has not in time.
    async fn is_closed(self, host: &str, key: &str) -> bool {
        let Ok(mut stream) = TcpStream::connect(host).await else { return true };
        // From its own beginning: of so many some come late on a busy machine.
        let until = Instant::now() + PATIENCE;
        if stream.write_all(&self.beginning(host, key)).await.is_err() {
            return true;
        }
        let mut buffer = [0; 4_096];
        while Instant::now() < until {
            let pause = Instant::now() + DRIP_EVERY;
            if matches!(self, Self::Unread) {
                sleep(DRIP_EVERY).await;
            } else {
                loop {
                    match timeout_at(pause, stream.read(&mut buffer)).await {
                        Ok(Ok(0) | Err(_)) => return true,
                        Ok(Ok(_)) => {}
                        Err(_) => break,
                    }
                }
            }
            if let Some(drip) = self.drip()
                && stream.write_all(&drip).await.is_err()
            {
                return true;
            }
        }
        false
    }
}

/// The few frames of HTTP/2 that a client needs to be a nuisance.
mod two {
    pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const CONTINUATION: u8 = 9;
    pub(super) const END_STREAM: u8 = 1;
    pub(super) const END_HEADERS: u8 = 4;
    const INITIAL_WINDOW: u16 = 4;

    pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        [&head[..], payload].concat()
    }

    /// The preface, with how much of each reply is read before more is asked for.
    pub(super) fn greeting(window_bytes: u32) -> Vec<u8> {
        let setting = [&INITIAL_WINDOW.to_be_bytes()[..], &window_bytes.to_be_bytes()].concat();
        [PREFACE, &frame(SETTINGS, 0, 0, &setting)].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 127, "longer texts need more than one byte for their length");
        [&[length], text.as_bytes()].concat()
    }

    /// The static table's `:method`, `:scheme: http`, and `:path` and `:authority` as literals.
    fn head(method: u8, path: &str, host: &str) -> Vec<u8> {
        [&[method, 0x86, 0x04][..], &text(path), &[0x01], &text(host)].concat()
    }

    pub(super) fn get(path: &str, host: &str) -> Vec<u8> {
        head(0x82, path, host)
    }

    pub(super) fn post(path: &str, host: &str, key: &str) -> Vec<u8> {
        let mut block = head(0x83, path, host);
        for (name, value) in [("x-api-key", key), ("content-type", "application/json")] {
            block.extend([vec![0], text(name), text(value)].concat());
        }
        block
    }
}

fn open_files(waypost: &Waypost) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", waypost.pid())).unwrap().count()
}

/// Lets so many connections of each kind dawdle, and tells what should not be.
async fn violations(waypost: &Waypost, each: usize) -> Vec<String> {
    waypost.send_text("before").await.expect(200);
    let base = open_files(waypost);
    let (host, key) = (address(waypost), waypost.variable("WAYPOST_API_KEY"));
    let mut dawdlers = JoinSet::new();
    for how in Dawdler::ALL {
        for place in 0..each {
            let (host, key) = (host.clone(), key.clone());
            let wait = ARRIVE_EVERY * u32::try_from(place).unwrap();
            dawdlers.spawn(async move {
                sleep(wait).await;
                (how, how.is_closed(&host, &key).await)
            });
        }
    }
    let mut violations = Vec::new();
    for serial in 0..OTHERS {
        let reply = waypost.send_text(&format!("meanwhile {serial}")).await;
        if reply.status != 200 {
            violations.push(format!("somebody else was answered {}", reply.status));
        }
    }
    let mut open = BTreeMap::new();
    while let Some(ended) = dawdlers.join_next().await {
        let (how, is_closed) = ended.unwrap();
        if !is_closed {
            *open.entry(format!("{how:?}")).or_insert(0) += 1;
        }
    }
    violations.extend(open.iter().map(|(how, count)| format!("{count} still open: {how}")));
    let until = Instant::now() + LIVENESS;
    let mut left = open_files(waypost);
    while left > base + OWN_FILES && Instant::now() < until {
        sleep(Duration::from_millis(50)).await;
        left = open_files(waypost);
    }
    if left > base + OWN_FILES {
        violations.push(format!("{left} files are open, {base} were"));
    }
    if waypost.send_text("after").await.status != 200 {
        violations.push("nobody is served any more".to_owned());
    }
    violations
}

#[tokio::test(flavor = "multi_thread")]
async fn t22_two_thousand_connections_that_dawdle_are_closed_and_cost_nobody_else() {
    let waypost = Waypost::start().await;
    let found = violations(&waypost, 2_000_usize.div_ceil(Dawdler::ALL.len())).await;
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t22_without_the_timer_the_check_fails() {
    let planted = Options::new().env("WAYPOST_PLANTED_BUG", "header-timer-off");
    let found = violations(&planted.start().await, 2).await;
    let is_told = |how: &str| found.iter().any(|told| told.ends_with(how));
    for how in ["Silent", "HalfHead", "DrippingHead", "Idle", "TwoSilent", "TwoPings"] {
        assert!(is_told(how), "{how} is not among {found:#?}");
    }
}
