//! Hostile connections and bodies: those that dawdle are closed (T22, its counted half), those that
//! are malformed are refused without harm (T24).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use waypost_tests::wait::LIVENESS;
use waypost_tests::{Reply, Waypost, eventually};

const EACH: usize = 100;
const SEND: &str = "/whatsapp/messages/send";

fn address(waypost: &Waypost) -> String {
    waypost.url().trim_start_matches("http://").to_owned()
}

fn open_files(waypost: &Waypost) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", waypost.pid())).unwrap().count()
}

/// How a connection dawdles.
#[derive(Clone, Copy, Debug)]
enum Dawdler {
    Silent,
    HalfHead,
    DrippingHead,
    DrippingBody,
    Unread,
    HttpTwoPreface,
}

impl Dawdler {
    const ALL: [Self; 6] = [
        Self::Silent,
        Self::HalfHead,
        Self::DrippingHead,
        Self::DrippingBody,
        Self::Unread,
        Self::HttpTwoPreface,
    ];

    fn beginning(self, host: &str, key: &str) -> String {
        let head = format!("POST {SEND} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {key}\r\n");
        match self {
            Self::Silent => String::new(),
            Self::HalfHead => head,
            Self::DrippingHead => format!("{head}x-drip: "),
            Self::DrippingBody => {
                format!("{head}content-type: application/json\r\ncontent-length: 100000\r\n\r\n{{")
            }
            // Many large answers, none of which is read.
            Self::Unread => {
                format!("GET /waypost/v1/openapi.json HTTP/1.1\r\nhost: {host}\r\n\r\n").repeat(200)
            }
            Self::HttpTwoPreface => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        }
    }

    fn drips(self) -> bool {
        matches!(self, Self::DrippingHead | Self::DrippingBody)
    }
}

/// Dawdles until the gateway has had enough.
async fn dawdle(how: Dawdler, host: String, key: String) {
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let beginning = how.beginning(&host, &key);
    if stream.write_all(beginning.as_bytes()).await.is_err() {
        return;
    }
    let mut nothing = [0; 1_024];
    if matches!(how, Dawdler::Unread) {
        // Whether it is closed shows without reading: writing fails in the end.
        loop {
            if stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    loop {
        let read = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut nothing));
        match read.await {
            Ok(Ok(0) | Err(_)) => return,
            Ok(Ok(_)) => {}
            Err(_) if how.drips() => {
                if stream.write_all(b"x").await.is_err() {
                    return;
                }
            }
            Err(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_dawdle_are_closed_and_cost_nobody_else() {
    let waypost = Waypost::start().await;
    waypost.send_text("before").await.expect(200);
    let base = open_files(&waypost);
    let key = waypost.variable("WAYPOST_API_KEY");
    let mut dawdlers = JoinSet::new();
    for how in Dawdler::ALL {
        for _ in 0..EACH {
            dawdlers.spawn(dawdle(how, address(&waypost), key.clone()));
        }
    }
    eventually("all of them connected", async || {
        (open_files(&waypost) >= base + EACH * 3).then_some(())
    })
    .await;
    for serial in 0..20 {
        waypost.send_text(&format!("in between {serial}")).await.expect(200);
    }
    let all = tokio::time::timeout(LIVENESS, dawdlers.join_all()).await;
    assert!(all.is_ok(), "some connections are never closed");
    eventually("as few open files as before", async || {
        (open_files(&waypost) <= base + 8).then_some(())
    })
    .await;
    waypost.send_text("after").await.expect(200);
}

/// Raw bytes to the gateway; the first line of the answer, or nothing where it hung up.
async fn raw(waypost: &Waypost, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address(waypost)).await.unwrap();
    // It may be refused before all of it is written.
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    let read = tokio::time::timeout(LIVENESS, async {
        let mut piece = [0; 4_096];
        loop {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(size) => answer.extend_from_slice(&piece[..size]),
            }
            if answer.windows(2).any(|two| two == b"\r\n") {
                return;
            }
        }
    });
    assert!(
        read.await.is_ok(),
        "no answer to {}",
        String::from_utf8_lossy(&bytes[..bytes.len().min(200)])
    );
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

fn status_of(line: &str) -> Option<u16> {
    line.split(' ').nth(1)?.parse().ok()
}

/// Requests that break HTTP itself.
fn smuggled(host: &str, key: &str) -> Vec<Vec<u8>> {
    let head = format!(
        "POST {SEND} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n"
    );
    let texts = [
        format!("{head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x"),
        format!("{head}transfer-encoding: chunked\r\ncontent-length: 400\r\n\r\n0\r\n\r\n"),
        format!("{head}content-length: 4\r\ncontent-length: 5\r\n\r\n{{}}  "),
        format!("{head}content-length: +4\r\n\r\n{{}}  "),
        format!("{head}content-length: -1\r\n\r\n"),
        format!("{head}content-length: 99999999999999999999999\r\n\r\n"),
        format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\nnot hex\r\n"),
        format!("{head}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n"),
        format!("{head}transfer-encoding: xchunked\r\n\r\n{{}}"),
        format!("{head}transfer-encoding : chunked\r\n\r\n0\r\n\r\n"),
        format!("{head}x-folded: a\r\n b\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("{head}x-nul: a\0b\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("{head}bad name: a\r\ncontent-length: 2\r\n\r\n{{}}"),
        format!("{head}x-long: {}\r\n\r\n", "a".repeat(64 * 1_024)),
        "POST\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "\0\0\0\0\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nhost: {host}\r\n\r\n", "a".repeat(64 * 1_024)),
        format!("GET /\u{1}\u{7f} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("{head}{}\r\n", "x: y\r\n".repeat(500)),
    ];
    texts.into_iter().map(String::into_bytes).collect()
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("{{\"message\":{}1{}}}", open.repeat(depth), close.repeat(depth))
}

/// JSON bodies that must be refused, whatever else they are.
fn hostile_json(good: &Value) -> Vec<Vec<u8>> {
    let text = good.to_string();
    let mut bodies: Vec<Vec<u8>> = vec![
        nested("[", "]", 100_000).into_bytes(),
        nested("{\"a\":", "}", 100_000).into_bytes(),
        nested("[", "]", 33).into_bytes(),
        "[".repeat(3_000_000).into_bytes(),
        b"\xff\xfe{\0}\0".to_vec(),
        b"{\"message\": \"\xff\xfe\"}".to_vec(),
        b"{\"message\": \"\xc0\x80\"}".to_vec(),
        b"{\"message\": \"\xed\xa0\x80\"}".to_vec(),
        text.replace('"', "'").into_bytes(),
        format!("{text},").into_bytes(),
        format!("{text}{text}").into_bytes(),
        format!("/* c */{text}").into_bytes(),
        text.replace('}', ",}").into_bytes(),
        vec![0; 1_000],
        vec![b' '; 100_000],
        "\"".repeat(100_001).into_bytes(),
        "1".repeat(1_000_000).into_bytes(),
    ];
    for word in [
        "NaN",
        "-NaN",
        "Infinity",
        "-Infinity",
        "1e999999",
        "-",
        "+1",
        "01",
        ".5",
        "1.",
        "0x10",
        "tru",
        "nul",
        "undefined",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\u12\"",
        "\"\\x41\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"",
        "[1,]",
        "{\"a\":}",
        "{a:1}",
        "{\"a\" 1}",
        "{\"a\":1,,}",
    ] {
        bodies.push(format!("{{\"message\":{word},\"orgId\":\"x\"}}").into_bytes());
    }
    // The good body, cut at every place.
    for end in 0..text.len() {
        bodies.push(text[..end].to_owned().into_bytes());
    }
    // A control character at every second place: no JSON in whatever it falls into.
    for place in (0..text.len()).step_by(2) {
        bodies.push(format!("{}\0{}", &text[..place], &text[place..]).into_bytes());
    }
    let keys: Vec<String> = (0..200_000).map(|key| format!("\"k{key}\":{key}")).collect();
    bodies.push(format!("{{{}}}", keys.join(",")).into_bytes());
    bodies.push(format!("{{{}\"message\":5}}", "\"message\":1,".repeat(200_000)).into_bytes());
    bodies
}

/// Every member of the good body replaced by everything it cannot be.
fn misshapen(good: &Value) -> Vec<Vec<u8>> {
    let odd = [
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!([[]]),
        json!(""),
        json!("\u{0}"),
        json!({"type": {}}),
        json!("x".repeat(100_000)),
    ];
    let mut bodies = Vec::new();
    for pointer in [
        "/message",
        "/message/type",
        "/message/text",
        "/message/text/body",
        "/sessionId",
        "/customerId",
        "/userId",
        "/orgId",
    ] {
        for value in &odd {
            let mut body = good.clone();
            *body.pointer_mut(pointer).unwrap() = value.clone();
            bodies.push(body.to_string().into_bytes());
        }
    }
    bodies
}

async fn assert_unharmed(waypost: &Waypost, sent: usize) {
    let errors = waypost.errors();
    assert!(!errors.contains("panicked") && !errors.contains("a request panicked"), "{errors}");
    waypost.send_text("still here").await.expect(200);
    assert_eq!(waypost.sandbox().ledger().await.len(), sent + 1, "something was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_break_http_are_refused_or_cut_off() {
    let waypost = Waypost::start().await;
    let key = waypost.variable("WAYPOST_API_KEY");
    for bytes in smuggled(&address(&waypost), &key) {
        let line = raw(&waypost, &bytes).await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
        let refused =
            line.is_empty() || status_of(&line).is_some_and(|it| (400..500).contains(&it));
        assert!(refused, "{line} to {shown}");
    }
    assert_unharmed(&waypost, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_json_is_refused_on_every_surface() {
    let waypost = Waypost::start().await;
    let good = waypost.demo_message(&json!({"type": "text", "text": {"body": "hello"}}));
    let mut bodies = hostile_json(&good);
    bodies.extend(misshapen(&good));
    assert!(bodies.len() >= 300, "only {}", bodies.len());
    let org = waypost.variable("WAYPOST_ORG_ID");
    let (key, admin) = (waypost.variable("WAYPOST_API_KEY"), waypost.variable("WAYPOST_ADMIN_KEY"));
    let message_api = format!("/waypost/v1/orgs/{org}/messages");
    for body in &bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        for path in [SEND, "/whatsapp/template/send", &message_api, "/waypost/v1/orgs"] {
            let request = waypost.request(Method::POST, path).header("X-API-KEY", &key);
            let request = request.bearer_auth(&admin).header("content-type", "application/json");
            let reply = Reply::to(request.body(body.clone())).await;
            let refused = (400..500).contains(&reply.status);
            assert!(refused, "{} from {path} to {shown}: {}", reply.status, reply.text());
        }
    }
    assert_unharmed(&waypost, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_with_any_character_arrive_or_are_refused() {
    let waypost = Waypost::start().await;
    let mut sent = 0;
    for text in [
        "nul \u{0} in it",
        "line\r\nend",
        "\u{202e}right to left",
        "\u{feff}mark",
        "\u{1f468}\u{200d}\u{1f469}",
        "</script><script>alert(1)</script>",
        "'; DROP TABLE messages; --",
        "${jndi:ldap://x}",
        "%s%n%x",
        "\u{10ffff}",
    ] {
        let reply = waypost.send_text(text).await;
        if reply.status == 200 {
            let row = waypost.sandbox().ledger().await.pop().unwrap();
            assert_eq!(row["message"]["text"]["body"], text);
            sent += 1;
        } else {
            assert!((400..500).contains(&reply.status), "{}: {}", reply.status, reply.text());
        }
    }
    assert!(sent >= 8, "only {sent} arrived");
    assert_unharmed(&waypost, sent).await;
}

fn multipart(parts: &[u8]) -> Vec<u8> {
    [parts, b"--b--\r\n"].concat()
}

fn part(disposition: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("--b\r\ncontent-disposition: form-data; {disposition}\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_forms_are_refused() {
    let waypost = Waypost::start().await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let fields =
        [part("name=\"orgId\"", org.as_bytes()), part("name=\"type\"", b"image/png")].concat();
    let many: Vec<u8> =
        (0..10_000).flat_map(|serial| part(&format!("name=\"f{serial}\""), b"x")).collect();
    let long_name = part(&format!("name=\"{}\"", "n".repeat(1_048_576)), b"x");
    let long_field = part("name=\"orgId\"", &vec![b'x'; 2_097_152]);
    let b = "multipart/form-data; boundary=b";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("multipart/form-data", multipart(&fields)),
        ("multipart/form-data; boundary=", multipart(&fields)),
        ("multipart/form-data; boundary=other", multipart(&fields)),
        (b, Vec::new()),
        (b, b"--b\r\n".to_vec()),
        (b, b"no boundary at all".to_vec()),
        (b, multipart(&many)),
        (b, multipart(&long_name)),
        (b, multipart(&long_field)),
        (b, fields.clone()),
        (b, multipart(&[fields.clone(), part("name=\"file\"; filename=\"a.png\"", b"")].concat())),
        (
            b,
            multipart(
                &[fields.clone(), part("name=\"file\"; filename=\"a.png\"", b"not a picture")]
                    .concat(),
            )[..120]
                .to_vec(),
        ),
        (b, multipart(b"--b\r\nno colon here\r\n\r\nx\r\n")),
        (b, multipart(b"--b\r\ncontent-disposition: attachment\r\n\r\nx\r\n")),
    ];
    for (content_type, body) in cases {
        let request = waypost.request(Method::POST, "/whatsapp/uploads/media_upload");
        let request = request.header("X-API-KEY", waypost.variable("WAYPOST_API_KEY"));
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let reply = Reply::to(request.header("content-type", content_type).body(body)).await;
        let refused = (400..500).contains(&reply.status);
        assert!(refused, "{} to {content_type} {shown}: {}", reply.status, reply.text());
        assert!(reply.json()["error"]["code"].is_string(), "{}", reply.text());
    }
    assert_unharmed(&waypost, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_and_endless_bodies_are_bounded() {
    let waypost = Waypost::start().await;
    let key = waypost.variable("WAYPOST_API_KEY");
    // A compressed body is not unpacked: it is no JSON.
    let request = waypost.request(Method::POST, SEND).header("X-API-KEY", &key);
    let request =
        request.header("content-type", "application/json").header("content-encoding", "gzip");
    let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 1_000]].concat();
    let reply = Reply::to(request.body(gzip)).await;
    assert!((400..500).contains(&reply.status), "{}: {}", reply.status, reply.text());
    // A webhook of more than 4 MiB without a length.
    let host = address(&waypost);
    let head = format!(
        "POST /webhooks/meta HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    for _ in 0..80 {
        bytes.extend_from_slice(b"10000\r\n");
        bytes.extend_from_slice(&[b'x'; 65_536]);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    let line = raw(&waypost, &bytes).await;
    assert!(status_of(&line).is_none_or(|status| status == 413), "{line}");
    // The management API takes 256 KiB.
    let body = json!({"name": "x".repeat(300_000)});
    let reply = waypost.admin().post("/orgs", &body).await;
    assert_eq!(reply.status, 413, "{}", reply.text());
    assert_unharmed(&waypost, 0).await;
}
