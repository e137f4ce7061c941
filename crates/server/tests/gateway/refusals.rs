//! Refusals by dialects whose wording depends on more than the request: on the key's organisation,
//! on the numbers there are, on the order of the checks; and forms with more than is asked for.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::rig::{ADMIN, Answer, Rig};

const WEBEX: &str = "/resources/v1/messaging";
const PEPIPOST: &str = "/api/v2/message";

/// A rig with a number that answers to `app-1` and `src-1`, and a key of its organisation.
async fn rig(errors_as_200: bool) -> (Rig, Value) {
    let rig = Rig::new().await;
    rig.make("/orgs", json!({"id": "org-1", "name": "One"})).await;
    number(&rig, "100000000000001", "app-1", errors_as_200).await;
    let key = rig.make("/orgs/org-1/api-keys", json!({"scopes": ["messages:send", "media"]})).await;
    (rig, key)
}

async fn number(rig: &Rig, id: &str, app_id: &str, errors_as_200: bool) {
    let body = json!({"id": id, "display_phone": format!("1555{}", &id[id.len() - 7..]),
        "phone_number_id": id, "waba_id": "100000000000002", "app_id": app_id,
        "source_id": format!("src-{}", &app_id[4..]), "errors_as_200": errors_as_200});
    rig.make("/orgs/org-1/numbers", body).await;
}

async fn post(rig: &Rig, path: &str, key: Option<&str>, body: &Value) -> Answer {
    rig.ask(Method::POST, path, key, Some(body.clone())).await
}

fn webex(app_id: &str) -> Value {
    json!({"appid": app_id, "destination": [{"waid": ["15550001111"]}],
        "channels": {"OTT-Messaging": {"wa": {"type": "text", "text": {"body": "hi"}}}}})
}

fn pepipost(source: &str) -> Value {
    json!({"message": [{"recipient_whatsapp": "15550001111", "message_type": "text",
        "source": source, "type_text": [{"content": "hi"}]}]})
}

fn without(mut body: Value, at: &str, member: &str) -> Value {
    body.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(member);
    body
}

#[tokio::test]
async fn refusals_of_keys_have_the_status_that_the_numbers_ask_for() {
    for (asks, status) in [(false, 400), (true, 200)] {
        let (rig, key) = rig(asks).await;
        let secret = key["secret"].as_str().unwrap();
        let says = async |key: Option<&str>, status: u16, code: &str| {
            let answer = post(&rig, WEBEX, key, &webex("app-1")).await.expect(status);
            assert_eq!(answer.json()["response"]["code"], code);
        };
        says(None, status, "7002").await;
        says(Some("wp_test_nobody"), status, "7001").await;
        let path = format!("/waypost/v1/orgs/org-1/api-keys/{}", key["id"].as_str().unwrap());
        let change = async |body: Value| {
            rig.ask(Method::PATCH, &path, Some(ADMIN), Some(body)).await.expect(200);
        };
        change(json!({"disabled": true})).await;
        says(Some(secret), status, "7007").await;
        change(json!({"disabled": false, "allowed_ips": ["192.0.2.0/24"]})).await;
        says(Some(secret), status, "7127").await;
        // Whose an unknown key is cannot be told: all must agree.
        number(&rig, "100000000000003", "app-3", !asks).await;
        says(None, 400, "7002").await;
        says(Some("wp_test_nobody"), 400, "7001").await;
    }
}

#[tokio::test]
async fn an_unknown_sender_comes_before_the_faults_behind_it() {
    let (rig, key) = rig(false).await;
    let key = key["secret"].as_str();
    let no_target = |app_id: &str| without(webex(app_id), "", "destination");
    let no_type = |app_id: &str| without(webex(app_id), "/channels/OTT-Messaging/wa", "type");
    let sms = json!({"deliverychannel": "sms", "appid": "none"});
    for (body, code) in [
        (no_target("none"), "7104"),
        (no_target("app-1"), "7003"),
        (no_type("none"), "7104"),
        (sms, "7004"),
        (json!([webex("app-1"), no_target("none")]), "7104"),
        (json!([webex("none"), no_target("app-1")]), "7104"),
        (json!([no_target("app-1"), webex("none")]), "7003"),
        (json!([webex("none"), 5]), "7104"),
        (json!([5, webex("none")]), "7003"),
    ] {
        let answer = post(&rig, WEBEX, key, &body).await.expect(400).json();
        assert_eq!(answer["response"]["code"], code, "{body}");
    }
    let no_block = |source: &str| without(pepipost(source), "/message/0", "type_text");
    let no_person = |source: &str| without(pepipost(source), "/message/0", "recipient_whatsapp");
    let two =
        |one: Value, other: Value| json!({"message": [one["message"][0], other["message"][0]]});
    let (invalid, nobody) = (" source is invalid", " recipient_whatsapp cannot be null or blank");
    let missing = "Required parameter is missing";
    for (path, body, text) in [
        (PEPIPOST, no_block("none"), invalid),
        (PEPIPOST, no_block("src-1"), missing),
        (PEPIPOST, no_person("none"), nobody),
        (PEPIPOST, two(pepipost("none"), no_person("src-1")), invalid),
        (PEPIPOST, two(no_person("src-1"), pepipost("none")), nobody),
        ("/api/v2/message/nc", no_block("none"), missing),
    ] {
        let answer = post(&rig, path, key, &body).await.expect(400).json();
        assert_eq!(answer["error"]["message"], text, "{path} {body}");
    }
}

#[tokio::test]
async fn parts_that_nobody_reads_are_passed_over() {
    let (rig, key) = rig(false).await;
    let key = key["secret"].as_str().unwrap();
    let png: &[u8] =
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";
    let upload = async |parts: &[(&str, &[u8])]| {
        let mut body = Vec::new();
        for (head, content) in parts {
            let head = format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n");
            body.extend([head.as_bytes(), content, b"\r\n"].concat());
        }
        body.extend(b"--b--\r\n");
        let request = Request::builder().method(Method::POST).uri("/whatsapp/uploads/media_upload");
        let request = request
            .header("x-api-key", key)
            .header("content-type", "multipart/form-data; boundary=b");
        rig.call(request.body(Body::from(body)).unwrap()).await
    };
    let asked: [(&str, &[u8]); 2] = [("name=\"orgId\"", b"org-1"), ("name=\"type\"", b"image/png")];
    let thumb = ("name=\"thumb\"; filename=\"t.png\"", png);
    let long = vec![b'x'; 100_000];
    let file = ("name=\"file\"; filename=\"a.png\"", png);
    let note = ("name=\"note\"", &long[..]);
    upload(&[asked[0], thumb, asked[1], note, file]).await.expect(200);
    let media = ("name=\"media\"; filename=\"a.png\"", png);
    let refused = upload(&[asked[0], asked[1], media]).await.expect(400).json();
    assert_eq!(
        (&refused["error"]["code"], &refused["error"]["field"]),
        (&json!("missing_field"), &json!("file"))
    );
}
