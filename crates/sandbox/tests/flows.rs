//! Flows, resumable uploads and reviews of templates over real sockets.

#![allow(clippy::unwrap_used, reason = "an answer of another shape fails the test")]

mod rig;

use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use rig::{NUMBER, OPEN, Rig, WABA, answer, message, refused};
use serde_json::{Value, json};

fn flow_json() -> Value {
    let children = json!([{"type": "TextInput", "name": "email", "label": "E-mail", "required": true},
        {"type": "Footer", "label": "Done", "on-click-action": {"name": "complete", "payload": {}}}]);
    json!({"version": "6.0", "screens": [{"id": "FIRST", "title": "Hello", "terminal": true,
        "layout": {"type": "SingleColumnLayout", "children": children}}]})
}

async fn upload_json(rig: &Rig, id: &str, text: String) -> (u16, Value) {
    let file = Part::text(text).file_name("flow.json").mime_str("application/json").unwrap();
    let form =
        Form::new().text("name", "flow.json").text("asset_type", "FLOW_JSON").part("file", file);
    let request = rig.call(Method::POST, &format!("/v25.0/{id}/assets")).multipart(form);
    answer(request.send().await.unwrap()).await
}

async fn create(rig: &Rig, name: &str) -> String {
    let form = Form::new().text("name", name.to_owned()).text("categories", r#"["OTHER"]"#);
    let request = rig.call(Method::POST, &format!("/v25.0/{WABA}/flows")).multipart(form);
    let (status, body) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

fn flow_message(parameters: &Value) -> Value {
    let mut all =
        json!({"flow_message_version": "3", "flow_cta": "Open", "flow_token": "order-84"});
    all.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
    let action = json!({"name": "flow", "parameters": all});
    message(OPEN, "interactive", json!({"type": "flow", "body": {"text": "b"}, "action": action}))
}

#[tokio::test]
async fn a_flow_is_made_filled_published_sent_and_answered() {
    let mut rig = Rig::start().await;
    let id = create(&rig, "survey").await;
    let (_, list) = rig.get(&format!("/v25.0/{WABA}/flows")).await;
    assert_eq!(
        list["data"][0],
        json!({"id": id, "name": "survey", "status": "DRAFT",
        "categories": ["OTHER"], "validation_errors": []})
    );
    refused(&rig.post(&format!("/{id}/publish"), &json!({})).await, 400, 139_002);

    let (status, body) = upload_json(&rig, &id, "{}".into()).await;
    assert_eq!((status, &body["success"]), (200, &json!(true)));
    assert_eq!(body["validation_errors"][0]["error"], "MISSING_REQUIRED_PROPERTY");
    refused(&rig.post(&format!("/{id}/publish"), &json!({})).await, 400, 139_002);
    let (_, body) = upload_json(&rig, &id, flow_json().to_string()).await;
    assert_eq!(body, json!({"success": true, "validation_errors": []}));

    let (_, preview) = rig.get(&format!("/{id}?fields=preview.invalidate(false)")).await;
    assert_eq!(preview["preview"]["expires_at"], "2026-02-13T12:00:00+0000");
    assert!(preview["preview"]["preview_url"].as_str().unwrap().contains(&id));
    let (_, same) = rig.get(&format!("/{id}?fields=preview.invalidate(false)")).await;
    assert_eq!(preview, same, "the address stays");
    let (_, fresh) = rig.get(&format!("/{id}?fields=preview.invalidate(true)")).await;
    assert_ne!(preview, fresh);
    let (_, assets) = rig.get(&format!("/{id}/assets")).await;
    let cursor = assets["paging"]["cursors"]["after"].as_str().unwrap();
    let rest = rig.get(&format!("/{id}/assets?after={cursor}")).await.1;
    assert_eq!(rest, json!({"data": []}));
    let url = assets["data"][0]["download_url"].as_str().unwrap();
    let file: Value = rig.http.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(file, flow_json());

    rig.sent(&flow_message(&json!({"flow_id": id, "mode": "draft"}))).await;
    refused(&rig.send(&flow_message(&json!({"flow_id": id}))).await, 400, 131_009);
    assert_eq!(rig.post(&format!("/{id}/publish"), &json!({})).await.1, json!({"success": true}));
    let change = rig.update(|update| update["field"] == "flows").await;
    assert_eq!(
        (&change["value"]["event"], &change["value"]["new_status"]),
        (&json!("FLOW_STATUS_CHANGE"), &json!("PUBLISHED"))
    );
    refused(&upload_json(&rig, &id, flow_json().to_string()).await, 400, 139_001);
    refused(&rig.delete(&format!("/{id}")).await, 400, 139_004);

    let at = |screen: &str| {
        json!({"flow_id": id, "flow_action": "navigate",
        "flow_action_payload": {"screen": screen}})
    };
    refused(&rig.send(&flow_message(&at("NOWHERE"))).await, 400, 131_009);
    let wamid = rig.sent(&flow_message(&at("FIRST"))).await;
    rig.control("tap", &json!({"wamid": wamid, "flow": {"email": "ann@example.com"}})).await;
    let update = rig.update(|update| update["value"].get("messages").is_some()).await;
    let reply = &update["value"]["messages"][0]["interactive"]["nfm_reply"];
    assert_eq!((&reply["name"], &reply["body"]), (&json!("flow"), &json!("Sent")));
    let response: Value = serde_json::from_str(reply["response_json"].as_str().unwrap()).unwrap();
    assert_eq!(response, json!({"email": "ann@example.com", "flow_token": "order-84"}));

    assert_eq!(rig.post(&format!("/{id}/deprecate"), &json!({})).await.0, 200);
    refused(&rig.send(&flow_message(&json!({"flow_id": id}))).await, 400, 131_009);
    refused(&rig.post(&format!("/{id}/deprecate"), &json!({})).await, 400, 139_003);
}

#[tokio::test]
async fn flows_are_created_changed_and_refused_by_the_rules() {
    let rig = Rig::start().await;
    let path = format!("/v25.0/{WABA}/flows");
    let cases = [
        (json!({"name": "a", "categories": ["OTHER"]}), 0),
        (json!({"name": "a", "categories": ["OTHER"]}), 100),
        (json!({"categories": ["OTHER"]}), 100),
        (json!({"name": "b"}), 100),
        (json!({"name": "b", "categories": []}), 100),
        (json!({"name": "b", "categories": ["FUN"]}), 100),
        (json!({"name": "b", "categories": ["SURVEY"], "clone_flow_id": "9"}), 100),
        (json!({"name": "b", "categories": ["SURVEY"], "publish": true}), 139_002),
        (
            json!({"name": "b", "categories": ["SURVEY"], "flow_json": flow_json().to_string(), "publish": true}),
            0,
        ),
    ];
    for (body, expected) in cases {
        let (_, answer) = rig.post(&path, &body).await;
        assert_eq!(answer["error"]["code"].as_i64().unwrap_or(0), expected, "{body}: {answer}");
    }
    let (_, list) = rig.get(&format!("{path}?fields=id,name,status")).await;
    let statuses: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|f| f["status"].clone()).collect();
    assert_eq!(statuses, ["DRAFT", "PUBLISHED"]);
    let (_, first) = rig.get(&format!("{path}?limit=1")).await;
    let after = first["paging"]["cursors"]["after"].as_str().unwrap();
    let (_, second) = rig.get(&format!("{path}?limit=1&after={after}")).await;
    assert_eq!(
        (&second["data"][0]["name"], &second["paging"]["next"]),
        (&json!("b"), &Value::Null)
    );
    let id = list["data"][0]["id"].as_str().unwrap();
    let change = json!({"name": "renamed", "categories": ["SIGN_UP", "OTHER"]});
    rig.clock.advance(Duration::from_secs(3_600));
    assert_eq!(rig.post(&format!("/{id}"), &change).await.1, json!({"success": true}));
    let (_, account) = rig.get(&format!("/v25.0/{WABA}")).await;
    assert_eq!(account["timezone_id"], "1");
    let (_, details) = rig.get(&format!("/{id}?fields=updated_at,whatsapp_business_account")).await;
    assert_eq!(
        details,
        json!({"id": id, "updated_at": "2026-01-14T13:00:00+0000",
            "whatsapp_business_account": account})
    );
    refused(&rig.post(&format!("/{id}"), &json!({"name": "b"})).await, 400, 100);
    let (_, read) = rig.get(&format!("/{id}")).await;
    assert_eq!(
        (&read["name"], &read["categories"]),
        (&json!("renamed"), &json!(["SIGN_UP", "OTHER"]))
    );
    assert_eq!(rig.delete(&format!("/{id}")).await.1, json!({"success": true}));
    refused(&rig.get(&format!("/{id}")).await, 400, 100);
    refused(&rig.send(&flow_message(&json!({"flow_id": id}))).await, 400, 131_009);
    rig.sent(&flow_message(&json!({"flow_name": "b"}))).await;
    let published = list["data"][1]["id"].as_str().unwrap();
    rig.control(&format!("flows/{published}"), &json!({"status": "BLOCKED"})).await;
    refused(&rig.send(&flow_message(&json!({"flow_name": "b"}))).await, 400, 132_068);
    assert_eq!(rig.post("/_sandbox/flows/9", &json!({"status": "BLOCKED"})).await.0, 404);
}

const APP: &str = "100000000000003";

async fn begin(rig: &Rig, length: usize, kind: &str) -> (u16, Value) {
    let path =
        format!("/v25.0/{APP}/uploads?file_name=a.png&file_length={length}&file_type={kind}");
    rig.post(&path, &json!({})).await
}

async fn part(
    rig: &Rig,
    session: &str,
    offset: Option<usize>,
    bytes: &'static [u8],
) -> (u16, Value) {
    let mut request = rig.http.post(format!("{}/v25.0/{session}", rig.base)).body(bytes);
    request = request.header("authorization", "OAuth token");
    if let Some(offset) = offset {
        request = request.header("file_offset", offset.to_string());
    }
    answer(request.send().await.unwrap()).await
}

fn with_sample(name: &str, format: &str, handle: &Value) -> Value {
    json!({"name": name, "language": "en", "category": "MARKETING", "components": [
        {"type": "HEADER", "format": format, "example": {"header_handle": [handle]}},
        {"type": "BODY", "text": "Look at this."}]})
}

#[tokio::test]
async fn a_sample_is_uploaded_in_parts_and_its_handle_makes_a_template() {
    let rig = Rig::start().await;
    refused(&begin(&rig, 0, "image/png").await, 400, 100);
    refused(&begin(&rig, 10, "image/gif").await, 400, 100);
    let (status, session) = begin(&rig, 10, "image/png").await;
    let session = session["id"].as_str().unwrap().to_owned();
    assert!(
        status == 200 && session.starts_with("upload:") && session.contains("?sig="),
        "{session}"
    );

    refused(&part(&rig, &session, None, b"01234").await, 400, 100);
    refused(&part(&rig, &session, Some(3), b"01234").await, 400, 100);
    refused(&part(&rig, &session, Some(0), b"0123456789A").await, 400, 100);
    let (_, progress) = part(&rig, &session, Some(0), b"0123").await;
    assert_eq!(progress, json!({"id": session, "file_offset": 4}));
    let (_, asked) = rig.get(&format!("/v25.0/{session}")).await;
    assert_eq!(asked["file_offset"], 4);
    let (status, done) = part(&rig, &session, Some(4), b"456789").await;
    assert!(status == 200 && done["h"].as_str().unwrap().starts_with("4::"), "{done}");
    refused(&part(&rig, &session, Some(10), b"").await, 400, 100);
    let unsigned = session.split('?').next().unwrap();
    refused(&rig.get(&format!("/v25.0/{unsigned}")).await, 400, 100);

    let path = format!("/v25.0/{WABA}/message_templates");
    refused(&rig.post(&path, &with_sample("shop", "IMAGE", &json!("4::nonsense"))).await, 400, 100);
    refused(&rig.post(&path, &with_sample("shop", "VIDEO", &done["h"])).await, 400, 100);
    let (status, created) = rig.post(&path, &with_sample("shop", "IMAGE", &done["h"])).await;
    assert_eq!((status, &created["status"]), (200, &json!("PENDING")), "{created}");
}

#[tokio::test]
async fn reviews_wait_when_told_and_can_reject() {
    let mut rig = Rig::start().await;
    rig.control("limits", &json!({"auto_review": false})).await;
    let path = format!("/v25.0/{WABA}/message_templates");
    let new = json!({"name": "news", "language": "en", "category": "MARKETING",
        "components": [{"type": "BODY", "text": "We are open."}]});
    let (_, created) = rig.post(&path, &new).await;
    let id = created["id"].as_str().unwrap().to_owned();
    rig.control("clock/advance", &json!({"seconds": 3_600})).await;
    assert_eq!(rig.get(&format!("/{id}")).await.1["status"], "PENDING", "nobody reviewed it");
    let rejected = json!({"status": "REJECTED", "reason": "INVALID_FORMAT"});
    rig.control(&format!("templates/{id}"), &rejected).await;
    let is_review = |update: &Value| update["field"] == "message_template_status_update";
    let value = rig.update(is_review).await["value"].clone();
    assert_eq!((&value["event"], &value["reason"]), (&json!("REJECTED"), &json!("INVALID_FORMAT")));
    assert!(value["rejection_info"]["recommendation"].is_string());
    assert_eq!(rig.get(&format!("/{id}")).await.1["rejected_reason"], "INVALID_FORMAT");

    rig.control("limits", &json!({"auto_review": true})).await;
    let edit = |category: &str| {
        json!({"category": category,
        "components": [{"type": "BODY", "text": "We are open again."}]})
    };
    refused(&rig.post(&format!("/{id}"), &edit("FUN")).await, 400, 100);
    assert_eq!(rig.post(&format!("/{id}"), &edit("UTILITY")).await.0, 200);
    let (_, read) = rig.get(&format!("/{id}")).await;
    assert_eq!(
        (&read["status"], &read["category"], &read["previous_category"]),
        (&json!("PENDING"), &json!("UTILITY"), &json!("MARKETING"))
    );
    refused(&rig.post(&format!("/{id}"), &edit("UTILITY")).await, 400, 100);
    rig.control("clock/advance", &json!({"seconds": 30})).await;
    assert_eq!(rig.update(is_review).await["value"]["event"], "APPROVED");
    refused(&rig.post(&format!("/{id}"), &edit("MARKETING")).await, 400, 100);
    refused(&rig.post(&format!("/{id}"), &edit("UTILITY")).await, 400, 100);
    rig.control("clock/advance", &json!({"seconds": 86_400})).await;
    assert_eq!(rig.post(&format!("/{id}"), &edit("UTILITY")).await.0, 200, "one edit a day");
    let send = message(OPEN, "template", json!({"name": "news", "language": {"code": "en"}}));
    refused(&rig.post(&format!("/{NUMBER}/messages"), &send).await, 404, 132_001);
}
