//! Files to and from the upstream, templates and numbers, on the wire.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use rig::{Act, NUMBER, Rig, TOKEN, WABA, account, error_body, header, reply};
use serde_json::{Value, json};
use waypost_domain::media::MimeType;
use waypost_domain::retry::RetryClass;
use waypost_domain::{ErrorKind, Timestamp};
use waypost_engine::ports::{BlobStream, CallError, DownloadedMedia, Upstream};

fn mime(text: &str) -> MimeType {
    MimeType::parse(text).unwrap()
}

fn file(chunks: &[&'static [u8]]) -> BlobStream {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
    Box::pin(stream::iter(chunks))
}

fn first_line(head: &str) -> &str {
    head.lines().next().unwrap()
}

// ---- Upload -------------------------------------------------------------------------------------

#[tokio::test]
async fn an_upload_is_a_form_of_known_length() {
    let rig = Rig::answering(reply("200 OK", "", r#"{"id":"1000000000000042"}"#)).await;
    let body = file(&[b"%PDF-1.7\r\n", b"\x00\xff--", b"tail"]);
    let name = "../in\"voice\r\nx.pdf";
    let pdf = mime("application/pdf");
    let id = rig.client().upload(&account(), &pdf, name, 18, body).await.unwrap();
    assert_eq!(id, "1000000000000042");
    let request = &rig.requests()[0];
    assert_eq!(first_line(&request.head), format!("POST /v25.0/{NUMBER}/media HTTP/1.1"));
    assert_eq!(header(&request.head, "authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    let length = header(&request.head, "content-length").unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), request.body.len());
    let form = header(&request.head, "content-type").unwrap();
    let boundary = form.strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected = [
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n").as_bytes(),
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\napplication/pdf\r\n").as_bytes(),
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in%22voicex.pdf\"\r\nContent-Type: application/pdf\r\n\r\n").as_bytes(),
        b"%PDF-1.7\r\n\x00\xff--tail",
        format!("\r\n--{boundary}--\r\n").as_bytes(),
    ]
    .concat();
    assert_eq!(String::from_utf8_lossy(&request.body), String::from_utf8_lossy(&expected));
}

#[tokio::test]
async fn a_file_of_another_length_than_announced_is_not_taken_for_whole() {
    for size in [3, 5] {
        let rig = Rig::answering(reply("200 OK", "", r#"{"id":"1"}"#)).await;
        let body = file(&[b"ab", b"cd"]);
        let error = rig.client().upload(&account(), &mime("text/plain"), "a", size, body).await;
        assert_eq!(error.unwrap_err().failure.kind, ErrorKind::UpstreamUnavailable);
        assert!(rig.requests().is_empty(), "no whole request arrived");
    }
}

#[tokio::test]
async fn an_upload_that_is_refused_says_why() {
    for (answer, kind, class) in [
        (
            reply("400 Bad Request", "", &error_body(131_053, None)),
            ErrorKind::MediaRejected,
            RetryClass::Never,
        ),
        (
            reply("401 Unauthorized", "", &error_body(190, None)),
            ErrorKind::UpstreamAuth,
            RetryClass::Account,
        ),
        (reply("200 OK", "", "{}"), ErrorKind::UpstreamError, RetryClass::BackOffFew),
        (
            reply("502 Bad Gateway", "", "<html>"),
            ErrorKind::UpstreamUnavailable,
            RetryClass::BackOffFew,
        ),
    ] {
        let rig = Rig::answering(answer).await;
        let error =
            rig.client().upload(&account(), &mime("text/plain"), "a", 2, file(&[b"ab"])).await;
        let error = error.unwrap_err();
        assert_eq!((error.failure.kind, error.class), (kind, class));
    }
}

// ---- Download -----------------------------------------------------------------------------------

fn place(url: &str, size: &Value) -> Act {
    place_of(url, size, &json!("00"))
}

fn place_of(url: &str, size: &Value, sha256: &Value) -> Act {
    let body = json!({"messaging_product": "whatsapp", "url": url, "mime_type": "image/png",
        "sha256": sha256, "file_size": size, "id": "1000000000000101"});
    Act::Answer(reply("200 OK", "", &body.to_string()))
}

/// A rig whose first reply names a file on itself.
async fn rig_with_file(size: Value, rest: Vec<Act>) -> Rig {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let script = [vec![place(&format!("http://{address}/files?mid=1"), &size)], rest].concat();
    Rig::start_on(listener, vec![script])
}

async fn download(rig: &Rig, limit: u64) -> Result<DownloadedMedia, CallError> {
    rig.client().download(&account(), "1000000000000101", limit).await
}

async fn bytes(media: DownloadedMedia) -> std::io::Result<Vec<u8>> {
    Ok(media.body.try_collect::<Vec<Bytes>>().await?.concat())
}

#[tokio::test]
async fn a_download_asks_for_the_address_and_then_for_the_file() {
    for size in [json!("5"), json!(5), json!(null)] {
        let answer = Act::Answer(reply("200 OK", "", "bytes"));
        let rig = rig_with_file(size, vec![answer]).await;
        let media = download(&rig, 5).await.unwrap();
        assert_eq!(media.mime_type, "image/png");
        assert_eq!(bytes(media).await.unwrap(), b"bytes");
        let requests = rig.requests();
        let line = format!("GET /v25.0/1000000000000101?phone_number_id={NUMBER} HTTP/1.1");
        assert_eq!(first_line(&requests[0].head), line);
        assert_eq!(first_line(&requests[1].head), "GET /files?mid=1 HTTP/1.1");
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(header(&requests[1].head, "authorization"), Some(bearer.as_str()));
    }
}

#[tokio::test]
async fn an_address_that_has_expired_is_asked_for_once_more() {
    let gone = || Act::Answer(reply("404 Not Found", "", ""));
    let answer = Act::Answer(reply("200 OK", "", "bytes"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/files", listener.local_addr().unwrap());
    let place = || place(&url, &json!(5));
    let rig = Rig::start_on(
        listener,
        vec![vec![place(), gone(), place(), answer, place(), gone(), place(), gone()]],
    );
    let client = rig.client();
    let media = client.download(&account(), "1", 5).await.unwrap();
    assert_eq!(bytes(media).await.unwrap(), b"bytes");
    let error = client.download(&account(), "1", 5).await.err().unwrap();
    assert_eq!(error.failure.kind, ErrorKind::MediaNotFound);
    assert_eq!(rig.requests().len(), 8);
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_as_early_as_it_is_known() {
    let rig = rig_with_file(json!("6"), vec![]).await;
    let error = download(&rig, 5).await.err().unwrap();
    assert_eq!(error.failure.kind, ErrorKind::MediaTooLarge, "announced");
    let answer = Act::Answer(reply("200 OK", "", "6bytes"));
    let rig = rig_with_file(json!(null), vec![answer]).await;
    let error = download(&rig, 5).await.err().unwrap();
    assert_eq!(error.failure.kind, ErrorKind::MediaTooLarge, "by its length");
    let endless = Act::Endless(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec());
    let rig = rig_with_file(json!("5"), vec![endless]).await;
    let media = download(&rig, 5).await.unwrap();
    assert!(bytes(media).await.is_err(), "by counting");
}

/// Hex and base64 both occur; of anything else nobody knows what it says.
#[tokio::test]
async fn a_file_that_is_not_the_one_whose_hash_was_given_is_an_error() {
    const HEX: &str = "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9";
    const BASE64: &str = "J3CJ2RwL308uaGK6fkoHYFEZQx9dE/cm3TUrBvGyBqk=";
    let swapped = |text: &str| text.chars().rev().collect::<String>();
    for (sha256, is_good) in [
        (json!(HEX), true),
        (json!(HEX.to_uppercase()), true),
        (json!(BASE64), true),
        (json!(null), true),
        (json!(""), true),
        (json!("another form"), true),
        (json!(swapped(HEX)), false),
        (json!(swapped(BASE64)), false),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/files?mid=1", listener.local_addr().unwrap());
        let place = place_of(&url, &json!(5), &sha256);
        let answer = Act::Answer(reply("200 OK", "", "bytes"));
        let rig = Rig::start_on(listener, vec![vec![place, answer]]);
        let read = bytes(download(&rig, 5).await.unwrap()).await;
        assert_eq!(read.is_ok(), is_good, "{sha256}: {read:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_cut_is_an_error() {
    let mut cut = reply("200 OK", "", "bytes");
    cut.truncate(cut.len() - 1);
    let rig = rig_with_file(json!(5), vec![Act::Answer(cut), Act::Close]).await;
    assert!(bytes(download(&rig, 5).await.unwrap()).await.is_err());
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told_from_an_upstream_that_is_not() {
    for (answer, kind) in [
        (reply("400 Bad Request", "", &error_body(100, Some(33))), ErrorKind::MediaNotFound),
        (reply("404 Not Found", "", "<html>"), ErrorKind::MediaNotFound),
        (reply("401 Unauthorized", "", &error_body(190, None)), ErrorKind::UpstreamAuth),
        (reply("503 Service Unavailable", "", ""), ErrorKind::UpstreamUnavailable),
    ] {
        let rig = Rig::answering(answer).await;
        assert_eq!(download(&rig, 5).await.err().unwrap().failure.kind, kind);
    }
}

// ---- Templates ----------------------------------------------------------------------------------

fn page(names: &[&str], after: Option<&str>) -> Act {
    let data: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({"id": "1000000000000500", "name": name, "language": "en", "status": "APPROVED",
                "category": "UTILITY", "components": [{"type": "BODY", "text": "Hi {{1}}"}]})
        })
        .collect();
    let mut body = json!({"data": data, "paging": {"cursors": {"before": "b", "after": "end"}}});
    if let Some(after) = after {
        body["paging"]["cursors"]["after"] = json!(after);
        // Never called: it would carry the token away.
        body["paging"]["next"] = json!("http://127.0.0.1:9/elsewhere?access_token=x");
    }
    Act::Answer(reply("200 OK", "", &body.to_string()))
}

#[tokio::test]
async fn templates_are_read_page_by_page() {
    let pages = vec![page(&["one", "two"], Some("c/1")), page(&["three"], None)];
    let rig = Rig::start(vec![pages]).await;
    let templates = rig.client().templates(&account(), None, Timestamp(7)).await.unwrap();
    let names: Vec<_> = templates.iter().map(|template| template.name.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
    assert_eq!(templates[0].waba_id, WABA);
    assert_eq!(templates[0].synced_at, Timestamp(7));
    assert_eq!(templates[0].components[0]["text"], "Hi {{1}}");
    let requests = rig.requests();
    let path = format!("GET /v25.0/{WABA}/message_templates?");
    assert!(requests.iter().all(|request| first_line(&request.head).starts_with(&path)));
    assert!(first_line(&requests[1].head).contains("after=c%2F1"));
}

#[tokio::test]
async fn a_name_finds_that_template_only() {
    let rig = Rig::start(vec![vec![page(&["offer", "offer_2"], None)]]).await;
    let found = rig.client().templates(&account(), Some("offer"), Timestamp(0)).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(first_line(&rig.requests()[0].head).contains("name=offer"));
}

#[tokio::test]
async fn pages_without_an_end_end() {
    let same = vec![page(&["one"], Some("same")); 3];
    let rig = Rig::start(vec![same]).await;
    let found = rig.client().templates(&account(), None, Timestamp(0)).await.unwrap();
    assert_eq!(found.len(), 2, "a cursor that repeats is the end");
    let many = (0..500).map(|turn| page(&["one"], Some(&turn.to_string()))).collect();
    let rig = Rig::start(vec![many]).await;
    let found = rig.client().templates(&account(), None, Timestamp(0)).await.unwrap();
    assert_eq!((found.len(), rig.requests().len()), (100, 100));
}

#[tokio::test]
async fn a_template_without_its_parts_is_left_out() {
    let body = json!({"data": [7, {"name": "no id"},
        {"id": 1_000, "name": "number", "language": "en", "status": "PENDING"}]});
    let rig = Rig::answering(reply("200 OK", "", &body.to_string())).await;
    let found = rig.client().templates(&account(), None, Timestamp(0)).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, "1000");
}

#[tokio::test]
async fn templates_are_created_edited_and_deleted() {
    let success = || Act::Answer(reply("200 OK", "", r#"{"success":true}"#));
    let created = r#"{"id":"1000000000000500","status":"PENDING","category":"UTILITY"}"#;
    let created = Act::Answer(reply("200 OK", "", created));
    let rig = Rig::start(vec![vec![created, success(), success(), success()]]).await;
    let (client, account) = (rig.client(), account());
    let draft = json!({"name": "offer", "language": "en", "category": "UTILITY"});
    let answer = client.create_template(&account, &draft).await.unwrap();
    assert_eq!(answer["status"], "PENDING");
    client.edit_template(&account, "1000000000000500", &json!({"category": "X"})).await.unwrap();
    client.delete_template(&account, "a b&c", None).await.unwrap();
    client.delete_template(&account, "offer", Some("1000000000000500")).await.unwrap();
    let requests = rig.requests();
    let lines: Vec<_> = requests.iter().map(|request| first_line(&request.head)).collect();
    assert_eq!(
        lines,
        [
            format!("POST /v25.0/{WABA}/message_templates HTTP/1.1"),
            "POST /v25.0/1000000000000500 HTTP/1.1".to_owned(),
            format!("DELETE /v25.0/{WABA}/message_templates?name=a+b%26c HTTP/1.1"),
            format!(
                "DELETE /v25.0/{WABA}/message_templates?name=offer&hsm_id=1000000000000500 HTTP/1.1"
            ),
        ]
    );
    assert_eq!(serde_json::from_slice::<Value>(&requests[0].body).unwrap(), draft);
}

// ---- Numbers ------------------------------------------------------------------------------------

#[tokio::test]
async fn numbers_are_registered_subscribed_and_read() {
    let success = || Act::Answer(reply("200 OK", "", r#"{"success":true}"#));
    let number = r#"{"id":"1","display_phone_number":"+1 555 000 9999","verified_name":"Test Shop",
        "quality_rating":"GREEN","status":"CONNECTED"}"#;
    let read = Act::Answer(reply("200 OK", "", number));
    let rig = Rig::start(vec![vec![success(), success(), read]]).await;
    let (client, account) = (rig.client(), account());
    client.register(&account, "123456").await.unwrap();
    client.subscribe(&account).await.unwrap();
    let number = client.number_info(&account).await.unwrap();
    assert_eq!(number.verified_name.as_deref(), Some("Test Shop"));
    assert_eq!(number.quality_rating.as_deref(), Some("GREEN"));
    let requests = rig.requests();
    assert_eq!(first_line(&requests[0].head), format!("POST /v25.0/{NUMBER}/register HTTP/1.1"));
    let pin = json!({"messaging_product": "whatsapp", "pin": "123456"});
    assert_eq!(serde_json::from_slice::<Value>(&requests[0].body).unwrap(), pin);
    let line = format!("POST /v25.0/{WABA}/subscribed_apps HTTP/1.1");
    assert_eq!(first_line(&requests[1].head), line);
}

#[tokio::test]
async fn a_success_that_is_none_is_an_error() {
    for body in [r#"{"success":false}"#, "<html>", ""] {
        let rig = Rig::answering(reply("200 OK", "", body)).await;
        let error = rig.client().subscribe(&account()).await.unwrap_err();
        assert_eq!(error.failure.kind, ErrorKind::UpstreamError, "{body}");
    }
}

#[tokio::test]
async fn ids_fill_one_segment_of_the_path_whatever_they_hold() {
    let rig = Rig::answering(reply("200 OK", "", "{}")).await;
    let mut account = account();
    account.phone_number_id = "../1?x=#/é".to_owned();
    rig.client().number_info(&account).await.unwrap();
    let line = rig.requests()[0].head.lines().next().unwrap().to_owned();
    assert!(line.starts_with("GET /v25.0/%2E%2E%2F1%3Fx%3D%23%2F%C3%A9?fields="), "{line}");
}
