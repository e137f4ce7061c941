//! An upstream that means ill, before a whole gateway (T35): what it answers is bounded, told rightly,
//! and the token goes nowhere else.

use std::collections::HashMap;

use serde_json::json;
use waypost_tests::mock_upstream::Deed;
use waypost_tests::waypost::UPSTREAM_TOKEN;
use waypost_tests::{MockUpstream, Options, Seen, Waypost};

use super::memory_mib;

/// What all the answers together may add to the most memory that was ever used.
const GROWTH_MAX_MIB: u64 = 48;
/// Of answers that flood, so many: more than would fit.
const FLOODS: usize = 8;

/// What the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// It may or may not have been sent: 502 and never repeated.
    Unknown,
    /// It was not sent: some refusal.
    Refused,
}

/// What a message says, what meets it, and what its caller is told.
type Case = (String, Deed, Told);

fn head(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes()
}

fn whole(status: &str, headers: &str, body: &[u8]) -> Deed {
    let length = format!("content-length: {}\r\n{headers}", body.len());
    Deed::Bytes([&head(status, &length)[..], body].concat())
}

fn cases() -> Vec<Case> {
    let deep = "[".repeat(500_000);
    let gigabyte = head("200 OK", "content-length: 1000000000\r\n");
    let chunked = head("200 OK", "transfer-encoding: chunked\r\n");
    let cases = vec![
        ("a gigabyte", Deed::Endless(gigabyte), Told::Unknown),
        (
            "endless chunks",
            Deed::Endless([chunked, b"7fffffff\r\n".to_vec()].concat()),
            Told::Unknown,
        ),
        ("an endless head", Deed::Endless(b"HTTP/1.1 200 OK\r\nx: ".to_vec()), Told::Unknown),
        (
            "a refusal of a gigabyte",
            Deed::Endless(head("400 Bad Request", "content-length: 1000000000\r\n")),
            Told::Refused,
        ),
        ("deep JSON", whole("200 OK", "", deep.as_bytes()), Told::Unknown),
        ("no UTF-8", whole("200 OK", "", b"{\"messages\":[{\"id\":\xff\xfe}]}"), Told::Unknown),
        ("a page", whole("200 OK", "content-type: text/html\r\n", b"<html></html>"), Told::Unknown),
        ("nothing", whole("204 No Content", "", b""), Told::Unknown),
        ("no HTTP", Deed::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), Told::Unknown),
        ("a page of a proxy", Deed::Html(502), Told::Unknown),
        ("a wrong shape", Deed::Json(200, json!({"messages": {"0": {"id": 7}}})), Told::Unknown),
    ];
    cases.into_iter().map(|(what, deed, told)| (what.to_owned(), deed, told)).collect()
}

/// Sends one message for each case, all at once, and tells what should not be.
async fn faults(waypost: &Waypost, mock: &MockUpstream, cases: Vec<Case>) -> Vec<String> {
    let deeds: HashMap<String, Deed> =
        cases.iter().map(|(what, deed, _)| (what.clone(), deed.clone())).collect();
    mock.script(move |seen| {
        let text = seen.json()["text"]["body"].as_str().map(str::to_owned);
        text.and_then(|text| deeds.get(&text).cloned()).unwrap_or(Deed::Accept)
    });
    let replies = cases.iter().map(|(what, ..)| waypost.send_text(what));
    let replies = futures_util::future::join_all(replies).await;
    let mut faults = Vec::new();
    for ((what, _, told), reply) in cases.into_iter().zip(replies) {
        let code = reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
        let is_told = match told {
            Told::Unknown => reply.status == 502 && code == "upstream_result_unknown",
            Told::Refused => {
                (400..600).contains(&reply.status) && code != "upstream_result_unknown"
            }
        };
        if !is_told {
            faults.push(format!("{what}: {} {}", reply.status, reply.text()));
        }
        let is_it = |seen: &&Seen| seen.json()["text"]["body"] == what;
        let calls = mock.seen().iter().filter(is_it).count();
        if told == Told::Unknown && calls != 1 {
            faults.push(format!("{what}: sent {calls} times"));
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn t35_a_gateway_survives_whatever_its_upstream_answers() {
    let mock = MockUpstream::start().await;
    let waypost = Waypost::before(&mock).await;
    waypost.send_text("before").await.expect(200);
    let before = memory_mib(&waypost, "VmHWM");
    let mut cases = cases();
    for place in 0..FLOODS {
        let flood = Deed::Endless(head("200 OK", "content-length: 1000000000\r\n"));
        cases.push((format!("flood {place}"), flood, Told::Unknown));
    }
    let faults = faults(&waypost, &mock, cases).await;
    assert!(faults.is_empty(), "{faults:#?}");
    let growth = memory_mib(&waypost, "VmHWM").saturating_sub(before);
    assert!(growth <= GROWTH_MAX_MIB, "{growth} MiB more than before");
    let errors = waypost.errors();
    assert!(!errors.contains("panicked"), "{errors}");
    mock.script(|_| Deed::Accept);
    waypost.send_text("after").await.expect(200);
}

/// Redirects a message and a look-up elsewhere; tells whether anybody came there, and with what.
async fn led_astray(options: Options) -> Vec<String> {
    let (mock, elsewhere) = (MockUpstream::start().await, MockUpstream::start().await);
    let waypost = options.upstream(&mock.url()).start().await;
    let mut found = Vec::new();
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Again", "308 For Good"] {
        let location = format!("location: {}/steal\r\n", elsewhere.url());
        let answer = whole(status, &location, b"");
        mock.script(move |_| answer.clone());
        let reply = waypost.send_text(status).await;
        if reply.status == 200 {
            found.push(format!("{status} was taken for a success"));
        }
    }
    for seen in elsewhere.seen() {
        let holds_token = seen.headers.iter().any(|(_, value)| value.contains(UPSTREAM_TOKEN));
        found.push(format!("{} came elsewhere, with the token: {holds_token}", seen.path));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn t35_the_token_never_leaves_for_another_host() {
    let found = led_astray(Options::new()).await;
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t35_where_redirects_are_followed_the_check_fails() {
    let planted = Options::new().env("WAYPOST_PLANTED_BUG", "follow-redirects");
    let found = led_astray(planted).await;
    assert!(found.iter().any(|told| told.ends_with("with the token: true")), "{found:#?}");
}
