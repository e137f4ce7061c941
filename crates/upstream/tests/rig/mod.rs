//! A scripted upstream on raw sockets: each connection plays its own list of acts. It shares no
//! code with the client, and writes exactly the bytes that a case names.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use waypost_engine::ports::Account;
use waypost_upstream::{CloudApi, UpstreamConfig};

pub(crate) const TOKEN: &str = "EAAtest-token-0123456789";
pub(crate) const NUMBER: &str = "100000000000001";
pub(crate) const WABA: &str = "100000000000002";

/// What a connection does next.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Reads a whole request, then writes these bytes.
    Answer(Vec<u8>),
    /// Reads a whole request, then resets the connection.
    ReadThenReset,
    /// Reads a whole request, then ends the connection in order.
    ReadThenClose,
    /// Reads the head of a request and so many bytes of its body, then resets the connection.
    ResetInBody(usize),
    /// Reads a whole request, then says nothing.
    Silence,
    /// Reads a whole request, writes these bytes, then a filler for as long as anyone reads.
    Endless(Vec<u8>),
    /// Reads a whole request, writes these bytes, then one more now and then.
    Drip(Vec<u8>),
    /// Ends the connection in order, without a request.
    Close,
    /// Resets the connection, without a request.
    Reset,
    /// Lets the scheduler turn so often and goes on to the next act, without a request.
    Linger(usize),
    /// Writes these bytes and goes on to the next act, without a request.
    Blurt(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) connections: Arc<Mutex<usize>>,
}

impl Rig {
    /// Connection `n` plays `scripts[n]`; there are no more connections than scripts.
    pub(crate) async fn start(scripts: Vec<Vec<Act>>) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), scripts)
    }

    /// The same, for scripts that must know their address.
    pub(crate) fn start_on(listener: TcpListener, scripts: Vec<Vec<Act>>) -> Self {
        let rig = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let stage = rig.clone();
        tokio::spawn(async move {
            for (connection, script) in scripts.into_iter().enumerate() {
                let (stream, _) = listener.accept().await.unwrap();
                *stage.connections.lock() += 1;
                let stage = stage.clone();
                tokio::spawn(async move { stage.play(connection, stream, script).await });
            }
        });
        rig
    }

    /// One connection with one answer.
    pub(crate) async fn answering(reply: impl Into<Vec<u8>>) -> Self {
        Self::start(vec![vec![Act::Answer(reply.into())]]).await
    }

    pub(crate) fn url(&self) -> Url {
        Url::parse(&format!("http://{}", self.address)).unwrap()
    }

    pub(crate) fn client(&self) -> CloudApi {
        client(self.url())
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    async fn play(&self, connection: usize, mut stream: TcpStream, script: Vec<Act>) {
        for act in script {
            if let Act::Linger(turns) = act {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            if let Act::Blurt(bytes) = act {
                let _ = stream.write_all(&bytes).await;
                continue;
            }
            if matches!(act, Act::Close) {
                return;
            }
            if matches!(act, Act::Reset) {
                return reset(&stream);
            }
            let enough = if let Act::ResetInBody(bytes) = act { Some(bytes) } else { None };
            let Some(mut seen) = read_request(&mut stream, enough).await else { return };
            seen.connection = connection;
            self.seen.lock().push(seen);
            match act {
                Act::Answer(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                }
                Act::ReadThenReset | Act::ResetInBody(_) => return reset(&stream),
                Act::Silence => return wait_for_end(stream).await,
                Act::Endless(bytes) => return pour(stream, &bytes).await,
                Act::Drip(bytes) => return drip(stream, &bytes).await,
                _ => return,
            }
        }
        wait_for_end(stream).await;
    }
}

fn reset(stream: &TcpStream) {
    stream.set_zero_linger().unwrap();
}

async fn wait_for_end(mut stream: TcpStream) {
    let mut buffer = [0; 1_024];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

async fn pour(mut stream: TcpStream, head: &[u8]) {
    let filler = vec![b' '; 64 * 1_024];
    let mut going = stream.write_all(head).await.is_ok();
    while going {
        going = stream.write_all(&filler).await.is_ok();
    }
}

async fn drip(mut stream: TcpStream, head: &[u8]) {
    let mut going = stream.write_all(head).await.is_ok();
    while going {
        tokio::time::sleep(Duration::from_millis(10)).await;
        going = stream.write_all(b" ").await.is_ok();
    }
}

/// Reads a request with a known length, or in chunks; `enough` bytes of its body where that is
/// less.
async fn read_request(stream: &mut TcpStream, enough: Option<usize>) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1_024];
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
            let body = &bytes[end + 4..];
            if body.len() >= enough.unwrap_or(length).min(length) {
                return Some(Seen { connection: 0, head, body: body.to_vec() });
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

pub(crate) fn account() -> Account {
    Account {
        phone_number_id: NUMBER.to_owned(),
        waba_id: WABA.to_owned(),
        access_token: TOKEN.to_owned(),
    }
}

pub(crate) fn config(base_url: Url) -> UpstreamConfig {
    UpstreamConfig::new(base_url, "v25.0")
}

pub(crate) fn client(base_url: Url) -> CloudApi {
    CloudApi::new(config(base_url)).unwrap()
}

/// A client that soon loses patience, for cases in which nothing ever comes.
pub(crate) fn impatient(base_url: Url) -> CloudApi {
    let mut config = config(base_url);
    // What does come must come in this time on a slow machine, too.
    config.call_timeout = Duration::from_secs(1);
    config.connect_timeout = Duration::from_secs(1);
    CloudApi::new(config).unwrap()
}

/// A reply with a length.
pub(crate) fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         {headers}\r\n{body}"
    )
    .into_bytes()
}

/// The body of a success.
pub(crate) const ACCEPTED: &str = r#"{"messaging_product":"whatsapp","contacts":[{"input":"+15550001111","wa_id":"15550001111"}],"messages":[{"id":"wamid.HBgLMTU1NTAwMDExMTEVAgARGBJBMUIyQzNENEU1RjYwNzE4MjkA"}]}"#;

/// An error body as Meta writes it.
pub(crate) fn error_body(code: i64, subcode: Option<i64>) -> String {
    let subcode = subcode.map(|code| format!(r#","error_subcode":{code}"#)).unwrap_or_default();
    format!(
        r#"{{"error":{{"message":"(#{code}) title","type":"OAuthException","code":{code},"error_data":{{"messaging_product":"whatsapp","details":"what Meta says"}}{subcode},"fbtrace_id":"AbCdEfGh"}}}}"#
    )
}
