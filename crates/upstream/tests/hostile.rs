//! An upstream that means ill (T35): everything is bounded, and the token goes nowhere else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use rig::{ACCEPTED, Act, Rig, TOKEN, account, error_body, reply};
use serde_json::json;
use url::Url;
use waypost_domain::retry::RetryClass;
use waypost_domain::{Content, ErrorKind, Phone, Timestamp};
use waypost_engine::ports::{OutgoingMessage, SendOutcome, Upstream};
use waypost_upstream::{CloudApi, Trust};

async fn send(client: &CloudApi) -> SendOutcome {
    let phone = Phone::parse("15550001111").unwrap();
    let text = Content::Text { body: "hi".to_owned(), preview_url: false };
    client.send(&account(), &OutgoingMessage::new(&phone, &text, "wp1.x.y")).await
}

#[tokio::test]
async fn t35_a_reply_without_end_is_not_read_to_its_end() {
    let gigabyte = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7fffffff\r\n";
    let until_close = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let endless_head = "HTTP/1.1 200 OK\r\nx-filler: ";
    for head in [gigabyte, chunked, until_close, endless_head] {
        let rig = Rig::start(vec![vec![Act::Endless(head.into())]]).await;
        let outcome = send(&rig.client()).await;
        assert!(matches!(outcome, SendOutcome::Unknown(_)), "{head}: {outcome:?}");
    }
}

#[tokio::test]
async fn t35_a_refusal_without_end_is_still_a_refusal() {
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-length: 1000000000\r\n\r\n{\"error\":{";
    let rig = Rig::start(vec![vec![Act::Endless(head.into())]]).await;
    let outcome = send(&rig.client()).await;
    assert!(matches!(outcome, SendOutcome::Refused(_)), "{outcome:?}");
}

#[tokio::test]
async fn t35_many_headers_and_interim_replies_are_bounded() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-a: b\r\n".repeat(5_000));
    let rig = Rig::start(vec![vec![Act::Answer(many.into())]]).await;
    assert!(matches!(send(&rig.client()).await, SendOutcome::Unknown(_)));
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(50);
    let rig = Rig::start(vec![vec![Act::Answer(interim.into())]]).await;
    assert!(matches!(send(&rig::impatient(rig.url())).await, SendOutcome::Unknown(_)));
}

#[tokio::test]
async fn t35_a_reply_that_drips_is_not_waited_for() {
    for (head, is_refusal) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nx-drip:", false),
        ("HTTP/1.1 400 Bad Request\r\ncontent-length: 100000\r\n\r\n", true),
    ] {
        let rig = Rig::start(vec![vec![Act::Drip(head.into())]]).await;
        let outcome = send(&rig::impatient(rig.url())).await;
        let is_refused = matches!(outcome, SendOutcome::Refused(_));
        let is_unknown = matches!(outcome, SendOutcome::Unknown(_));
        assert!(if is_refusal { is_refused } else { is_unknown }, "{head}: {outcome:?}");
    }
}

#[tokio::test]
async fn t35_deep_json_is_not_followed() {
    for body in ["[".repeat(500_000), "{\"a\":".repeat(100_000)] {
        let rig = Rig::answering(reply("200 OK", "", &body)).await;
        assert!(matches!(send(&rig.client()).await, SendOutcome::Unknown(_)));
        let rig = Rig::answering(reply("200 OK", "", &body)).await;
        assert!(rig.client().templates(&account(), None, Timestamp(0)).await.is_err());
    }
}

#[tokio::test]
async fn t35_texts_that_are_no_utf8_do_not_hide_a_code() {
    let mut body = error_body(131_047, None).into_bytes();
    let place = body.windows(9).position(|window| window == b"what Meta").unwrap();
    body[place] = 0xFF;
    let head = format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n", body.len());
    let rig = Rig::answering([head.into_bytes(), body].concat()).await;
    let SendOutcome::Refused(error) = send(&rig.client()).await else { panic!("not refused") };
    assert_eq!(error.failure.kind, ErrorKind::WindowClosed);
    assert_eq!(error.failure.upstream.unwrap().details, "\u{fffd}hat Meta says");
}

#[tokio::test]
async fn t35_wrong_types_are_nothing_readable() {
    for body in [
        r#"{"messages":{"0":{"id":"wamid.X"}}}"#,
        r#"{"messages":[{"id":7}]}"#,
        r#"{"messages":"wamid.X"}"#,
        r#"{"error":[190]}"#,
        "[]",
        "7",
    ] {
        let rig = Rig::answering(reply("200 OK", "", body)).await;
        assert!(matches!(send(&rig.client()).await, SendOutcome::Unknown(_)), "{body}");
    }
}

#[tokio::test]
async fn t35_what_cannot_be_an_id_is_no_receipt() {
    let answering = |id: &str, contacts: &str| {
        let body = format!(r#"{{{contacts}"messages":[{{"id":"{id}"}}]}}"#);
        reply("200 OK", "", &body)
    };
    let contacts = r#""contacts":[{"wa_id":"15550001111"}],"#;
    let (longest, too_long) = ("x".repeat(512), "x".repeat(513));
    for (id, is_id) in [
        (longest.as_str(), true),
        (too_long.as_str(), false),
        (r"wamid.\u0000", false),
        (r"wamid.\n", false),
        ("wamid X", false),
        ("wamid.\u{e9}", false),
        ("wamid.\u{fffd}", false),
    ] {
        for contacts in [contacts, ""] {
            let rig = Rig::answering(answering(id, contacts)).await;
            let outcome = send(&rig.client()).await;
            let (sent, unknown) = (
                matches!(outcome, SendOutcome::Sent(_)),
                matches!(outcome, SendOutcome::Unknown(_)),
            );
            assert_eq!((sent, unknown), (is_id, !is_id), "{id:?} {contacts}");
        }
    }
    let rig = Rig::answering(answering("wamid.X", r#""contacts":[{"wa_id":"1\n2"}],"#)).await;
    let SendOutcome::Sent(receipt) = send(&rig.client()).await else { panic!("not sent") };
    assert_eq!(receipt.wa_id, "15550001111", "the number addressed");
}

#[tokio::test]
async fn t35_redirects_are_never_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let elsewhere = Rig::start(vec![vec![Act::Silence]]).await;
        let location = format!("location: http://{}/steal\r\n", elsewhere.address);
        let rig = Rig::answering(reply(status, &location, "")).await;
        let outcome = send(&rig.client()).await;
        assert!(!matches!(outcome, SendOutcome::Sent(_) | SendOutcome::NotSent(_)), "{status}");
        let rig = Rig::answering(reply(status, &location, "")).await;
        assert!(rig.client().number_info(&account()).await.is_err());
        assert_eq!(*elsewhere.connections.lock(), 0, "{status}");
    }
}

#[tokio::test]
async fn t35_the_token_does_not_go_to_another_host_for_a_file() {
    let elsewhere = Rig::start(vec![vec![Act::Answer(reply("200 OK", "", "x"))]; 20]).await;
    let port = elsewhere.address.port();
    let rig = Rig::start(vec![vec![]]).await;
    let own = rig.address;
    for url in [
        format!("http://127.0.0.1:{port}/file"),
        format!("http://127.0.0.2:{port}/file"),
        format!("http://localhost:{port}/file"),
        format!("http://{own}@127.0.0.1:{port}/file"),
        format!("http://user:word@{own}/file"),
        format!("https://{own}/file"),
        "https://lookaside.fbsbx.com/file".to_owned(),
        "https://lookaside.fbsbx.com.example.com/file".to_owned(),
        "http://169.254.169.254/latest".to_owned(),
        "file:///etc/passwd".to_owned(),
        "//example.com/file".to_owned(),
        String::new(),
    ] {
        let body = json!({"url": url, "mime_type": "image/png", "file_size": 1}).to_string();
        let rig = Rig::answering(reply("200 OK", "", &body)).await;
        let error = rig.client().download(&account(), "1", 9).await.err().unwrap();
        assert_eq!(error.failure.kind, ErrorKind::UpstreamError, "{url}");
        assert_eq!(error.class, RetryClass::Never, "{url}");
        assert_eq!(rig.requests().len(), 1, "{url}");
    }
    assert_eq!(*elsewhere.connections.lock(), 0);
}

#[tokio::test]
async fn t35_a_file_that_redirects_is_an_error() {
    let elsewhere = Rig::start(vec![vec![Act::Silence]]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let place = reply("200 OK", "", &json!({"url": url, "file_size": 1}).to_string());
    let location = format!("location: http://{}/file\r\n", elsewhere.address);
    let redirect = reply("302 Found", &location, "");
    let rig = Rig::start_on(listener, vec![vec![Act::Answer(place), Act::Answer(redirect)]]);
    assert!(rig.client().download(&account(), "1", 9).await.is_err());
    assert_eq!(*elsewhere.connections.lock(), 0);
}

#[tokio::test]
async fn t35_an_https_upstream_is_never_left_for_plain_http() {
    let rig = Rig::start(vec![vec![Act::Answer(reply("200 OK", "", ACCEPTED))]]).await;
    let mut config = rig::config(Url::parse("https://graph.invalid").unwrap());
    config.trust = Trust::Only(vec![]);
    config.media_hosts = vec!["127.0.0.1".to_owned()];
    let client = CloudApi::new(config).unwrap();
    assert!(client.number_info(&account()).await.is_err());
    assert_eq!(*rig.connections.lock(), 0);
}

#[tokio::test]
async fn t35_a_token_that_the_upstream_repeats_is_not_kept() {
    let body = error_body(190, None).replace("what Meta says", &format!("bad token {TOKEN}!"));
    let rig = Rig::answering(reply("401 Unauthorized", "", &body)).await;
    let outcome = send(&rig.client()).await;
    assert!(!format!("{outcome:?}").contains(TOKEN), "{outcome:?}");
    let rig = Rig::answering(reply("401 Unauthorized", "", &body)).await;
    let error = rig.client().number_info(&account()).await.unwrap_err();
    assert!(!format!("{error:?}").contains(TOKEN), "{error:?}");
}
