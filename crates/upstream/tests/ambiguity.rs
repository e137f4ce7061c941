//! T4 in one table: every way in which a send can end, and what may be said of it. Details of each
//! are in `outcome`; a reset before the first byte of the body, which needs a body that waits, is
//! beside the transport.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rig;

use rig::{ACCEPTED, Act, Rig, account, error_body, reply};
use tokio::net::TcpListener;
use url::Url;
use waypost_domain::{Content, Phone};
use waypost_engine::ports::{OutgoingMessage, PlacedMedia, SendOutcome, Upstream};
use waypost_planted::{Bug, plant};
use waypost_upstream::CloudApi;

/// Where a case sends to.
enum Upstream4 {
    /// A host that no resolver knows.
    Nowhere,
    /// A port at which nobody listens.
    Deaf,
    /// A script behind plain HTTP.
    Plain(Vec<Act>),
    /// The same, where the client soon loses patience.
    Slow(Vec<Act>),
    /// A script where the client expects TLS.
    Tls(Vec<Act>),
}

fn cases() -> Vec<(&'static str, Upstream4, &'static str)> {
    use Upstream4::{Deaf, Nowhere, Plain, Slow, Tls};
    let answer = |bytes: Vec<u8>| Plain(vec![Act::Answer(bytes)]);
    let said = |status: &str, body: &str| answer(reply(status, "", body));
    let cut = |bytes: &[u8]| Plain(vec![Act::Answer(bytes.to_vec()), Act::Reset]);
    let whole = reply("200 OK", "", ACCEPTED);
    let open_end = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{".to_vec();
    let no_tls = reply("400 Bad Request", "", "plain text on a TLS port");
    vec![
        ("no such host", Nowhere, "not sent"),
        ("connection refused", Deaf, "not sent"),
        ("no TLS", Tls(vec![Act::Blurt(no_tls), Act::Close]), "not sent"),
        ("reset in the handshake", Tls(vec![Act::Reset]), "not sent"),
        ("silence in the handshake", Tls(vec![Act::Silence]), "not sent"),
        ("reset after the first byte of the body", Plain(vec![Act::ResetInBody(1)]), "unknown"),
        ("reset after the request", Plain(vec![Act::ReadThenReset]), "unknown"),
        ("closed after the request", Plain(vec![Act::ReadThenClose]), "unknown"),
        ("no reply in time", Slow(vec![Act::Silence]), "unknown"),
        ("a reply without an end", Slow(vec![Act::Answer(open_end)]), "unknown"),
        ("cut in the status line", cut(b"HTTP/1.1 200"), "unknown"),
        ("cut in the head", cut(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"), "unknown"),
        ("a truncated reply", cut(&whole[..whole.len() - 40]), "unknown"),
        ("no HTTP at all", cut(b"\x16\x03\x01\x00\x05hello"), "unknown"),
        ("200 with bad JSON", said("200 OK", "{not json"), "unknown"),
        ("200 without an id", said("200 OK", r#"{"messages":[{"id":""}]}"#), "unknown"),
        ("500 without Meta's body", said("500 Internal Server Error", "<html>"), "unknown"),
        ("502 without Meta's body", said("502 Bad Gateway", ""), "unknown"),
        ("503 without Meta's body", said("503 Service Unavailable", "{}"), "unknown"),
        ("504 without Meta's body", said("504 Gateway Timeout", ""), "unknown"),
        ("500 with Meta's body", said("500 Oops", &error_body(131_000, None)), "refused"),
        ("503 with Meta's body", said("503 Oops", &error_body(133_004, None)), "refused"),
        ("429 with Meta's body", said("429 Slow", &error_body(80_007, None)), "refused"),
        ("429 without Meta's body", said("429 Slow", "<html>"), "refused"),
        ("401 with Meta's body", said("401 No", &error_body(190, None)), "refused"),
        ("401 without Meta's body", said("401 No", ""), "refused"),
        ("400 without Meta's body", said("400 No", ""), "refused"),
        ("a redirect", said("302 Found", ""), "refused"),
        ("200 with an id", answer(whole), "sent"),
    ]
}

/// Codes of the reference: each is a refusal, whatever the status.
const CODES: &[i64] = &[
    0, 1, 2, 3, 4, 10, 17, 33, 100, 104, 190, 200, 299, 368, 613, 803, 80_007, 130_403, 130_429,
    130_472, 130_497, 131_000, 131_005, 131_008, 131_009, 131_016, 131_020, 131_021, 131_026,
    131_030, 131_031, 131_037, 131_041, 131_042, 131_045, 131_047, 131_048, 131_049, 131_050,
    131_051, 131_052, 131_053, 131_055, 131_056, 131_057, 131_059, 131_062, 131_063, 131_064,
    131_201, 131_208, 131_215, 132_000, 132_001, 132_005, 132_007, 132_008, 132_012, 132_015,
    132_016, 132_018, 132_068, 132_069, 133_000, 133_004, 133_005, 133_006, 133_008, 133_009,
    133_010, 133_015, 133_016, 134_011, 134_100, 134_101, 134_102, 135_000, 137_000, 138_000,
    139_000, 139_004, 139_100, 139_103, 147_001, 200_005, 1_752_041, 2_388_072, 2_494_100,
    2_593_107, 999_999,
];

async fn outcome(upstream: Upstream4) -> (&'static str, usize) {
    let free = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let (client, rig) = match upstream {
        Upstream4::Nowhere => (rig::client(Url::parse("http://graph.invalid").unwrap()), None),
        Upstream4::Deaf => (rig::client(Url::parse(&format!("http://{free}")).unwrap()), None),
        Upstream4::Plain(script) => {
            let rig = Rig::start(vec![script, vec![Act::Silence]]).await;
            (rig.client(), Some(rig))
        }
        Upstream4::Slow(script) => {
            let rig = Rig::start(vec![script, vec![Act::Silence]]).await;
            (rig::impatient(rig.url()), Some(rig))
        }
        Upstream4::Tls(script) => {
            let rig = Rig::start(vec![script, vec![Act::Silence]]).await;
            let url = Url::parse(&format!("https://{}", rig.address)).unwrap();
            (rig::impatient(url), Some(rig))
        }
    };
    let word = match send(&client).await {
        SendOutcome::Sent(_) => "sent",
        SendOutcome::Refused(_) => "refused",
        SendOutcome::NotSent(_) => "not sent",
        SendOutcome::Unknown(_) => "unknown",
    };
    (word, rig.map_or(0, |rig| rig.requests().len()))
}

async fn send(client: &CloudApi) -> SendOutcome {
    let text: Content<PlacedMedia> = Content::Text { body: "hello".to_owned(), preview_url: false };
    let phone = Phone::parse("15550001111").unwrap();
    client.send(&account(), &OutgoingMessage::new(&phone, &text, "wp1.AAAA.AAAA")).await
}

async fn violations() -> Vec<String> {
    let mut violations = Vec::new();
    for (name, upstream, expected) in cases() {
        let (word, requests) = outcome(upstream).await;
        if word != expected {
            violations.push(format!("{name}: {word}, not {expected}"));
        }
        if requests > 1 || (word == "not sent" && requests > 0) {
            violations.push(format!("{name}: {word} after {requests} requests"));
        }
    }
    violations
}

#[tokio::test]
async fn t04_every_end_of_a_send_is_told_for_what_it_is() {
    assert!(cases().len() >= 20);
    assert_eq!(violations().await, Vec::<String>::new());
}

#[tokio::test]
async fn t04_control_a_lost_connection_that_counts_as_not_sent_is_seen() {
    plant(Some(Bug::ResetCountsAsNotSent));
    assert!(violations().await.len() >= 3);
}

#[tokio::test]
async fn t04_every_code_of_the_reference_is_a_refusal() {
    for status in ["400 Bad Request", "500 Internal Server Error", "200 OK"] {
        for code in CODES {
            let answer = reply(status, "", &error_body(*code, None));
            let (word, _) = outcome(Upstream4::Plain(vec![Act::Answer(answer)])).await;
            assert_eq!(word, "refused", "{status} {code}");
        }
    }
}
