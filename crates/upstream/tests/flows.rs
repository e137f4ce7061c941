//! Forms and samples of templates, on the wire.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use bytes::Bytes;
use futures_util::stream;
use rig::{Act, Rig, TOKEN, WABA, account, error_body, header, reply};
use serde_json::{Value, json};
use waypost_domain::ErrorKind;
use waypost_domain::media::MimeType;
use waypost_domain::retry::RetryClass;
use waypost_engine::ports::{BlobStream, CallError, FlowUpstream, Sample, Upstream, UpstreamFlow};
use waypost_upstream::CloudApi;

const FLOW: &str = "1000000000000777";
const SUCCESS: &str = r#"{"success":true}"#;

fn first_line(head: &str) -> &str {
    head.lines().next().unwrap()
}

fn answer(body: &str) -> Act {
    Act::Answer(reply("200 OK", "", body))
}

async fn answering(body: &str) -> Rig {
    Rig::answering(reply("200 OK", "", body)).await
}

fn json_body(rig: &Rig) -> Value {
    serde_json::from_slice(&rig.requests()[0].body).unwrap()
}

#[tokio::test]
async fn a_flow_is_created_changed_published_and_deleted() {
    let rig = answering(&json!({"id": FLOW, "success": true}).to_string()).await;
    let categories = ["SURVEY".to_owned(), "OTHER".to_owned()];
    let id = rig.client().create_flow(&account(), "Visit", &categories).await.unwrap();
    assert_eq!(id, FLOW);
    assert_eq!(first_line(&rig.requests()[0].head), format!("POST /v25.0/{WABA}/flows HTTP/1.1"));
    assert_eq!(json_body(&rig), json!({"name":"Visit","categories":["SURVEY","OTHER"]}));

    let rig = answering(SUCCESS).await;
    rig.client().change_flow(&account(), FLOW, Some("New"), Some(&categories[..1])).await.unwrap();
    assert_eq!(first_line(&rig.requests()[0].head), format!("POST /v25.0/{FLOW} HTTP/1.1"));
    assert_eq!(json_body(&rig), json!({"name":"New","categories":["SURVEY"]}));

    let rig = answering(SUCCESS).await;
    rig.client().change_flow(&account(), FLOW, Some("New"), None).await.unwrap();
    assert_eq!(json_body(&rig), json!({"name":"New"}));

    let rig = answering(SUCCESS).await;
    rig.client().publish_flow(&account(), FLOW).await.unwrap();
    assert_eq!(first_line(&rig.requests()[0].head), format!("POST /v25.0/{FLOW}/publish HTTP/1.1"));

    let rig = answering(SUCCESS).await;
    rig.client().delete_flow(&account(), FLOW).await.unwrap();
    assert_eq!(first_line(&rig.requests()[0].head), format!("DELETE /v25.0/{FLOW} HTTP/1.1"));
}

#[tokio::test]
async fn a_flow_gets_its_definition_as_a_file() {
    let rig = answering(r#"{"success":true,"validation_errors":[]}"#).await;
    let definition = Bytes::from_static(br#"{"version":"7.0","screens":[]}"#);
    rig.client().define_flow(&account(), FLOW, definition).await.unwrap();
    let request = &rig.requests()[0];
    assert_eq!(first_line(&request.head), format!("POST /v25.0/{FLOW}/assets HTTP/1.1"));
    let kind = header(&request.head, "content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nflow.json\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"asset_type\"\r\n\r\nFLOW_JSON\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"flow.json\"\r\n\
         Content-Type: application/json\r\n\r\n{{\"version\":\"7.0\",\"screens\":[]}}\r\n\
         --{boundary}--\r\n"
    );
    assert_eq!(String::from_utf8_lossy(&request.body), expected);
}

#[tokio::test]
async fn a_flow_and_its_preview_are_read() {
    let rig = answering(
        r#"{"id":"1000000000000777","preview":{"preview_url":"https://business.example/p",
            "expires_at":"2026-02-14T06:59:53+0000"}}"#,
    )
    .await;
    let preview = rig.client().flow_preview(&account(), FLOW).await.unwrap();
    let line = format!("GET /v25.0/{FLOW}?fields=preview.invalidate(false) HTTP/1.1");
    assert_eq!(first_line(&rig.requests()[0].head), line);
    assert_eq!(preview.url, "https://business.example/p");
    assert_eq!(preview.expires_at, "2026-02-14T06:59:53+0000");
    let rig = answering(r#"{"id":"1000000000000777"}"#).await;
    let error = rig.client().flow_preview(&account(), FLOW).await.unwrap_err();
    assert_eq!(error.failure.kind, ErrorKind::UpstreamError);

    let rig = answering(
        &json!({"id":FLOW,"name":"Visit","status":"PUBLISHED","categories":["OTHER"]}).to_string(),
    )
    .await;
    let shown = rig.client().read_flow(&account(), FLOW).await.unwrap();
    assert_eq!(shown, flow(FLOW, "Visit", "PUBLISHED"));
}

fn flow(id: &str, name: &str, status: &str) -> UpstreamFlow {
    let (id, name, status) = (id.to_owned(), name.to_owned(), status.to_owned());
    UpstreamFlow { id, name, status, categories: vec!["OTHER".to_owned()] }
}

#[tokio::test]
async fn flows_are_listed_page_by_page() {
    let entry = |id: &str| json!({"id":id,"name":"a","status":"DRAFT","categories":["OTHER"]});
    let first = json!({"data":[entry("1"), {"id":"2"}],
        "paging":{"cursors":{"after":"c&1"},"next":"https://elsewhere.example/"}});
    let last = json!({"data":[entry("3")],"paging":{"cursors":{"after":"c2"}}});
    let rig = Rig::start(vec![vec![answer(&first.to_string()), answer(&last.to_string())]]).await;
    let flows = rig.client().flows(&account()).await.unwrap();
    assert_eq!(flows, [flow("1", "a", "DRAFT"), flow("3", "a", "DRAFT")]);
    let query = format!("/v25.0/{WABA}/flows?fields=id,name,status,categories&limit=100");
    let requests = rig.requests();
    assert_eq!(first_line(&requests[0].head), format!("GET {query} HTTP/1.1"));
    assert_eq!(first_line(&requests[1].head), format!("GET {query}&after=c%261 HTTP/1.1"));
}

#[tokio::test]
async fn a_flow_that_does_not_exist_is_told_from_other_refusals() {
    for (status, body, kind, class) in [
        ("400 Bad Request", error_body(100, Some(33)), ErrorKind::FlowNotFound, RetryClass::Never),
        (
            "400 Bad Request",
            error_body(139_001, None),
            ErrorKind::RejectedByUpstream,
            RetryClass::Never,
        ),
        ("401 Unauthorized", error_body(190, None), ErrorKind::UpstreamAuth, RetryClass::Account),
    ] {
        let rig = || Rig::answering(reply(status, "", &body));
        let client = rig().await.client();
        let errors: [CallError; 3] = [
            client.publish_flow(&account(), FLOW).await.unwrap_err(),
            rig().await.client().flow_preview(&account(), FLOW).await.unwrap_err(),
            rig().await.client().define_flow(&account(), FLOW, Bytes::new()).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.failure.kind, error.class), (kind, class), "{error}");
        }
    }
}

// ---- Samples of templates -----------------------------------------------------------------------

fn file(chunks: &[&'static [u8]]) -> BlobStream {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
    Box::pin(stream::iter(chunks))
}

async fn upload(client: &CloudApi) -> Result<String, CallError> {
    let png = MimeType::parse("image/png").unwrap();
    let (filename, body) = ("a b.png".to_owned(), file(&[b"\x89P", b"NG"]));
    let sample = Sample { mime_type: png, filename, size: 4, body };
    client.upload_sample(&account(), "100000000000003", sample).await
}

#[tokio::test]
async fn a_sample_is_uploaded_in_a_session_of_the_app() {
    let rig = Rig::start(vec![vec![
        answer(r#"{"id":"upload:MTphdHRhY2htZW50?sig=ARZq_x-1"}"#),
        answer(r#"{"h":"4::aW1hZ2UvcG5n:ARb"}"#),
    ]])
    .await;
    let handle = upload(&rig.client()).await.unwrap();
    assert_eq!(handle, "4::aW1hZ2UvcG5n:ARb");
    let [begin, part] = &rig.requests()[..] else { panic!("two calls") };
    assert_eq!(
        first_line(&begin.head),
        "POST /v25.0/100000000000003/uploads?file_length=4&file_type=image%2Fpng&\
         file_name=a+b.png HTTP/1.1"
    );
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(header(&begin.head, "authorization"), Some(bearer.as_str()));
    assert_eq!(first_line(&part.head), "POST /v25.0/upload:MTphdHRhY2htZW50?sig=ARZq_x-1 HTTP/1.1");
    let oauth = format!("OAuth {TOKEN}");
    assert_eq!(header(&part.head, "authorization"), Some(oauth.as_str()));
    assert_eq!(header(&part.head, "file_offset"), Some("0"));
    assert_eq!(header(&part.head, "content-length"), Some("4"));
    assert_eq!(part.body, b"\x89PNG");
}

#[tokio::test]
async fn a_sample_needs_readable_answers() {
    let session = r#"{"id":"upload:MTI=?sig=AR"}"#;
    for answers in [
        vec![answer("{}")],
        vec![answer(r#"{"id":"upload:../../me"}"#)],
        vec![answer(r#"{"id":"https://elsewhere.example/"}"#)],
        vec![answer(session), answer("{}")],
    ] {
        let rig = Rig::start(vec![answers]).await;
        let error = upload(&rig.client()).await.unwrap_err();
        assert_eq!(error.failure.kind, ErrorKind::UpstreamError);
    }
    let refused = Act::Answer(reply("400 Bad Request", "", &error_body(100, None)));
    let rig = Rig::start(vec![vec![answer(session), refused]]).await;
    let error = upload(&rig.client()).await.unwrap_err();
    assert_eq!(error.failure.kind, ErrorKind::RejectedByUpstream);
}
