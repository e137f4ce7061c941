//! Bodies and requests that nobody should have to read (T24): malformed HTTP, JSON and forms, on every
//! route that takes a body. All are refused with a client's error, and none costs more than a little.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use waypost_tests::wait::LIVENESS;
use waypost_tests::{Options, Reply, Waypost};

use super::{address, memory_mib};

const SEND: &str = "/whatsapp/messages/send";
/// What the whole corpus may add to the most memory that was ever used.
const GROWTH_MAX_MIB: u64 = 96;
/// The dialects' routes that take JSON.
const ROUTES: [(Method, &str); 21] = [
    (Method::POST, SEND),
    (Method::POST, "/whatsapp/template/send"),
    (Method::POST, "/api/v1/whatsapp/message/text"),
    (Method::POST, "/api/v1/whatsapp/media"),
    (Method::POST, "/api/v1/whatsapp/interactive/buttons"),
    (Method::POST, "/api/v1/whatsapp/interactive/list"),
    (Method::POST, "/api/v1/whatsapp/contact"),
    (Method::POST, "/api/v1/whatsapp/location"),
    (Method::POST, "/api/v1/whatsapp/request_location"),
    (Method::POST, "/api/v1/whatsapp/template"),
    (Method::POST, "/api/v1/whatsapp/interactive/flows"),
    (Method::POST, "/api/v1/template/15550009999"),
    (Method::PUT, "/api/v1/template/15550009999/1"),
    (Method::POST, "/api/v1/whatsapp/manage/flow"),
    (Method::PUT, "/api/v1/whatsapp/manage/flow/1"),
    (Method::POST, "/resources/v1/messaging"),
    (Method::POST, "/api/v2/message"),
    (Method::POST, "/api/v2/message/nc"),
    (Method::POST, "/api/v2/message/nc/priority"),
    (Method::POST, "/api/v2/consent/manage"),
    (Method::POST, "/api/v2/consent"),
];

/// A gateway with a key that may do everything.
struct Desk {
    waypost: Waypost,
    key: String,
}

impl Desk {
    async fn new() -> Self {
        Self::with(Options::new()).await
    }

    async fn with(options: Options) -> Self {
        let waypost = options.start().await;
        let path = format!("/orgs/{}/api-keys", waypost.variable("WAYPOST_ORG_ID"));
        let scopes = json!({"scopes": ["admin", "messages:send", "messages:read", "media",
            "customers", "templates", "webhooks"]});
        let made = waypost.admin().post(&path, &scopes).await.expect(201).json();
        let key = made["secret"].as_str().unwrap().to_owned();
        Self { waypost, key }
    }

    /// The key in every header in which some dialect looks for it.
    async fn ask(&self, method: &Method, path: &str, body: &[u8]) -> Reply {
        let mut request = self.waypost.request(method.clone(), path).bearer_auth(&self.key);
        for name in ["x-api-key", "apikey", "key"] {
            request = request.header(name, &self.key);
        }
        let request = request.header("content-type", "application/json");
        Reply::to(request.body(body.to_vec())).await
    }

    /// What is wrong, where it is not refused.
    async fn taken(&self, method: &Method, path: &str, body: &[u8]) -> Option<String> {
        let reply = self.ask(method, path, body).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        let told = format!("{} from {method} {path} to {shown}: {}", reply.status, reply.text());
        (!(400..500).contains(&reply.status)).then_some(told)
    }

    async fn assert_refused(&self, method: &Method, path: &str, body: &[u8]) {
        assert_eq!(self.taken(method, path, body).await, None);
    }

    /// Every operation of the management API that takes JSON, in the key's organisation.
    async fn management(&self) -> Vec<(Method, String)> {
        let document = self.waypost.get("/waypost/v1/openapi.json").await.expect(200).json();
        let org = self.waypost.variable("WAYPOST_ORG_ID");
        let mut found = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in ["post", "put", "patch"] {
                let content = &item[method]["requestBody"]["content"];
                if content.get("application/json").is_none() {
                    continue;
                }
                let path = path.replace("{org_id}", &org);
                let parts = path.split('/').map(|it| if it.starts_with('{') { "1" } else { it });
                let path = parts.collect::<Vec<_>>().join("/");
                found.push((method.to_uppercase().parse().unwrap(), path));
            }
        }
        assert!(found.len() > 15, "only {} operations take JSON", found.len());
        found
    }
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
async fn t24_requests_that_break_http_are_refused_or_cut_off() {
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

/// Offers hostile JSON to every dialect and to our own API; tells what was not refused.
async fn hostile_json_taken(desk: &Desk) -> Vec<String> {
    let mut taken = Vec::new();
    let good = desk.waypost.demo_message(&json!({"type": "text", "text": {"body": "hello"}}));
    let mut bodies = hostile_json(&good);
    bodies.extend(misshapen(&good));
    assert!(bodies.len() >= 300, "only {}", bodies.len());
    let own = format!("/waypost/v1/orgs/{}/messages", desk.waypost.variable("WAYPOST_ORG_ID"));
    let paths = [
        SEND,
        "/whatsapp/template/send",
        "/api/v1/whatsapp/message/text",
        "/resources/v1/messaging",
        "/api/v2/message",
        &own,
        "/waypost/v1/orgs",
    ];
    for body in &bodies {
        for path in paths {
            taken.extend(desk.taken(&Method::POST, path, body).await);
        }
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_where_the_tail_of_a_body_is_ignored_the_check_fails() {
    let desk = Desk::with(Options::new().env("WAYPOST_PLANTED_BUG", "tail-ignored")).await;
    let taken = hostile_json_taken(&desk).await;
    assert!(taken.iter().any(|told| told.starts_with("200 from POST /whatsapp")), "{taken:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_hostile_json_is_refused_in_every_dialect() {
    let desk = Desk::new().await;
    desk.waypost.send_text("before").await.expect(200);
    let before = memory_mib(&desk.waypost, "VmHWM");
    assert_eq!(hostile_json_taken(&desk).await, [""; 0]);
    let growth = memory_mib(&desk.waypost, "VmHWM").saturating_sub(before);
    assert!(growth <= GROWTH_MAX_MIB, "{growth} MiB more than before");
    assert_unharmed(&desk.waypost, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_every_route_refuses_what_no_call_takes() {
    let desk = Desk::new().await;
    let mut bodies = vec![
        Vec::new(),
        nested("[", "]", 100_000).into_bytes(),
        nested("{\"a\":", "}", 100_000).into_bytes(),
        "{\"a\":".repeat(100_000).into_bytes(),
        b"{\"message\": \"\xff\xfe\"}".to_vec(),
        b"{\"message\": \"\xed\xa0\x80\"}".to_vec(),
        vec![0; 1_000],
        vec![b' '; 10_000],
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(),
        b"PK\x03\x04".to_vec(),
        b"a=1&b=2".to_vec(),
        b"<xml/>".to_vec(),
    ];
    for text in ["7", "\"x\"", "[]", "[[]]", "[7]", "null", "true", "{", "{}}", "{\"a\":NaN}"] {
        bodies.push(text.as_bytes().to_vec());
    }
    let mut routes = desk.management().await;
    routes.extend(ROUTES.map(|(method, path)| (method, path.to_owned())));
    for (method, path) in &routes {
        for body in &bodies {
            desk.assert_refused(method, path, body).await;
        }
    }
    assert_unharmed(&desk.waypost, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_a_million_members_are_refused_or_not_looked_at() {
    let desk = Desk::new().await;
    let mut many = String::from("{\"0\":0");
    for key in 1..1_000_000 {
        write!(many, ",\"{key}\":0").unwrap();
    }
    many.push('}');
    for path in [SEND, "/resources/v1/messaging", "/api/v2/message", "/waypost/v1/orgs"] {
        desk.assert_refused(&Method::POST, path, many.as_bytes()).await;
    }
    assert_unharmed(&desk.waypost, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_texts_with_any_character_arrive_or_are_refused() {
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
async fn t24_hostile_forms_are_refused() {
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

/// Bodies that are longer than they may be; tells which were not refused for that.
async fn unbounded(options: Options) -> Vec<String> {
    let waypost = options.start().await;
    let mut unbounded = Vec::new();
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
        "POST /webhooks/meta HTTP/1.1\r\nhost: {host}\r\nx-hub-signature-256: any\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    for _ in 0..80 {
        bytes.extend_from_slice(b"10000\r\n");
        bytes.extend_from_slice(&[b'x'; 65_536]);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    let line = raw(&waypost, &bytes).await;
    if status_of(&line).is_some_and(|status| status != 413) {
        unbounded.push(format!("five megabytes without a length: {line}"));
    }
    // The management API takes 256 KiB.
    let body = json!({"name": "x".repeat(300_000)});
    let reply = waypost.admin().post("/orgs", &body).await;
    if reply.status != 413 {
        unbounded.push(format!("a name of 300,000 bytes: {} {}", reply.status, reply.text()));
    }
    assert_unharmed(&waypost, 0).await;
    unbounded
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_compressed_and_endless_bodies_are_bounded() {
    assert_eq!(unbounded(Options::new()).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t24_where_bodies_have_no_bound_the_check_fails() {
    let planted = Options::new().env("WAYPOST_PLANTED_BUG", "bodies-unbounded");
    assert_eq!(unbounded(planted).await.len(), 2);
}
