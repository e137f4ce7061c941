//! Refusals by dialects whose wording depends on more than the request: on the key's organisation,
//! on the numbers there are, on the order of the checks; and forms with more than is asked for.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::rig::{ADMIN, Answer, Rig, TEMPLATE_THAT_PANICS};

const WEBEX: &str = "/resources/v1/messaging";
const PEPIPOST: &str = "/api/v2/message";

/// A rig with a number that answers to `app-1` and `src-1`, and a key of its organisation.
async fn rig(errors_as_200: bool) -> (Rig, Value) {
    let rig = Rig::new().await;
    rig.make("/orgs", json!({"id": "org-1", "name": "One"})).await;
    number(&rig, "100000000000001", "app-1", errors_as_200).await;
    let key = rig
        .make("/orgs/org-1/api-keys", json!({"scopes": ["messages:send", "media", "templates"]}))
        .await;
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

/// A template that nobody knows.
fn webex_template(app_id: &str) -> Value {
    json!({"appid": app_id, "destination": [{"waid": ["15550001111"]}],
        "message": {"template": "no_such"}})
}

fn pepipost_file(source: &str, id: &str) -> Value {
    json!({"message": [{"recipient_whatsapp": "15550001111", "message_type": "media",
        "source": source, "type_media": [{"attachments": [{"attachment_id": id}]}]}]})
}

fn with(mut body: Value, member: &str, value: &str) -> Value {
    body[member] = json!(value);
    body
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
async fn what_is_unknown_comes_before_the_faults_behind_it() {
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
        (json!([webex_template("app-1"), 5]), "7108"),
        (json!([webex_template("app-1"), no_target("none")]), "7108"),
        (json!([webex_template("app-1"), webex("none")]), "7108"),
        (json!([webex("none"), webex_template("app-1")]), "7104"),
        (json!([no_target("app-1"), webex_template("app-1")]), "7003"),
        (with(webex_template("app-1"), "priority", "9"), "7108"),
        (with(webex("app-1"), "priority", "9"), "7004"),
    ] {
        let answer = post(&rig, WEBEX, key, &body).await.expect(400).json();
        assert_eq!(answer["response"]["code"], code, "{body}");
    }
    let no_block = |source: &str| without(pepipost(source), "/message/0", "type_text");
    let file = pepipost_file("src-1", "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7be0");
    let bad_media = "Invalid Media id or bad media";
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
        (PEPIPOST, two(file.clone(), no_person("src-1")), bad_media),
        (PEPIPOST, two(file.clone(), pepipost("none")), bad_media),
        (PEPIPOST, two(pepipost("none"), file.clone()), invalid),
        ("/api/v2/message/nc", two(file, no_person("src-1")), bad_media),
        ("/api/v2/message/nc", no_block("none"), missing),
    ] {
        let answer = post(&rig, path, key, &body).await.expect(400).json();
        assert_eq!(answer["error"]["message"], text, "{path} {body}");
    }
}

#[tokio::test]
async fn a_request_that_breaks_inside_is_refused_under_its_id() {
    let (rig, key) = rig(false).await;
    let mut broken = webex_template("app-1");
    broken["message"]["template"] = json!(TEMPLATE_THAT_PANICS);
    let body = json!([broken, 5]);
    let answer = post(&rig, WEBEX, key["secret"].as_str(), &body).await.expect(500);
    let refusal = &answer.json()["response"];
    assert_eq!(refusal["code"], "7006");
    assert_eq!(refusal["transid"].as_str(), answer.header("x-request-id"));
}

#[tokio::test]
async fn content_types_are_those_of_each_vendor() {
    let (rig, key) = rig(false).await;
    for (path, header, content_type, taken) in [
        ("/api/v1/whatsapp/message/text", "apikey", "text/json", false),
        ("/api/v1/whatsapp/manage/flow", "apikey", "text/json", false),
        ("/api/v1/whatsapp/message/text", "apikey", "application/json", true),
        ("/whatsapp/messages/send", "x-api-key", "text/json", true),
        ("/whatsapp/messages/send", "x-api-key", "text/plain", false),
        (WEBEX, "key", "text/plain", true),
    ] {
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header(header, key["secret"].as_str().unwrap());
        let request = request.header("content-type", content_type).body(Body::from("{}")).unwrap();
        let answer = rig.call(request).await;
        assert_eq!(answer.status != 415, taken, "{path} {content_type}");
        if path.starts_with("/api/v1") && !taken {
            let told = answer.json();
            assert_eq!(told["error"], "Unsupported Media Type");
            assert_eq!((&told["status"], &told["path"]), (&json!(415), &json!(path)));
        }
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

#[tokio::test]
async fn a_path_that_is_no_text_is_refused_in_the_words_of_whose_it_is() {
    let (rig, _) = rig(false).await;
    for (path, word) in [
        ("/media/%ff.png", "/code"),
        ("/docs/%ff", "/code"),
        ("/waypost/v1/orgs/%ff", "/code"),
        ("/waypost/v1/orgs/org-1/messages/%ff", "/code"),
        ("/api/v2/media/%ff", "/error/message"),
        ("/api/v1/template/%ff", "/status"),
        ("/api/v1/whatsapp/manage/flow/%ff", "/status"),
    ] {
        let answer = rig.get(path).await.expect(404);
        assert!(answer.json().pointer(word).is_some(), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_encoded_body_is_refused_by_the_name_of_the_header() {
    let (rig, key) = rig(false).await;
    let secret = key["secret"].as_str().unwrap();
    let bearer = format!("Bearer {secret}");
    let admin = format!("Bearer {ADMIN}");
    let form = "multipart/form-data; boundary=b";
    for (path, header, value, content_type, status) in [
        ("/whatsapp/messages/send", "x-api-key", secret, "application/json", 415),
        ("/api/v1/whatsapp/message/text", "apikey", secret, "application/json", 415),
        (WEBEX, "key", secret, "application/json", 400),
        (PEPIPOST, "authorization", &bearer, "application/json", 400),
        ("/waypost/v1/orgs/org-1/messages", "authorization", &admin, "application/json", 415),
        ("/waypost/v1/orgs/org-1/media", "authorization", &admin, form, 415),
        ("/waypost/v1/orgs/org-1/customers/import", "authorization", &admin, "text/csv", 415),
    ] {
        let post = |encoding: &str| {
            let request = Request::post(path).header(header, value);
            let request = request.header("content-encoding", encoding);
            request.header("content-type", content_type).body(Body::from("{}")).unwrap()
        };
        for encoding in ["gzip", "identity, br"] {
            let refused = rig.call(post(encoding)).await;
            assert_eq!(refused.status, status, "{path}: {}", refused.text());
            if path.starts_with("/waypost") {
                assert!(refused.text().contains("Content-Encoding"), "{path}: {}", refused.text());
            }
        }
        let taken = rig.call(post("Identity")).await;
        assert_ne!(taken.status, 415, "{path}");
    }
}

#[tokio::test]
async fn what_a_body_of_the_management_api_says_twice_or_with_nul_is_refused_by_name() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "100000000000001").await;
    for (body, field) in [
        (r#"{"to":"15550001111","to":"15550002222","type":"text","text":{"body":"a"}}"#, "to"),
        (r#"{"to":"15550001111","type":"text","text":{"body":"a","body":"b"}}"#, "text.body"),
        (r#"{"to":"15550001111","type":"text","text":{"body":"a\u0000"}}"#, "text.body"),
        (
            r#"{"to":"15550001111","type":"text","text":{"body":"a"},"context":{"message_id":"w\r\n"}}"#,
            "context.message_id",
        ),
        (
            r#"{"to":"15550001111","type":"reaction","reaction":{"message_id":"w\n1","emoji":"x"}}"#,
            "reaction.message_id",
        ),
    ] {
        let request = Request::post("/waypost/v1/orgs/org-1/messages")
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-type", "application/json");
        let refused = rig.call(request.body(Body::from(body)).unwrap()).await.expect(400);
        assert_eq!(refused.json()["errors"][0]["field"], field, "{body}");
    }
    let lines = "{\"phone\":\"15550003333\",\"name\":\"a\",\"name\":\"b\"}\n";
    let request = Request::post("/waypost/v1/orgs/org-1/customers/import")
        .header("authorization", format!("Bearer {ADMIN}"))
        .header("content-type", "application/x-ndjson");
    let report = rig.call(request.body(Body::from(lines)).unwrap()).await.expect(200).json();
    assert_eq!(report["errors"][0]["message"], "name: is given twice", "{report}");
}
