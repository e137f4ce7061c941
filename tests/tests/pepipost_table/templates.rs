//! Rows 54 and 55: templates with files and buttons, interactive messages; and what is told about
//! templates (§10).

use reqwest::Method;
use serde_json::json;
use waypost_tests::MediaHost;

use crate::desk::{Desk, filled, special};
use crate::table::{MISSING, Table};

#[tokio::test(flavor = "multi_thread")]
async fn row_54_fills_a_header_and_the_only_dynamic_button() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let link = MediaHost::start().await;
    let (url, mid) = (link.url("/public/teal.png"), desk.uploaded().await);
    let tracked = |media: serde_json::Value| {
        let blocks = json!({"type_template": [filled("tracked")], "type_media_template": media});
        special("media_template", &blocks)
    };
    let button = |index: serde_json::Value, payload: &str| json!({"type": "image", "url": url, "button": [{"index": index, "payload": payload}]});
    let whole = "https://shop.example.com/orders/77";
    for media in [
        button(json!("1"), whole),
        button(json!("0"), whole),
        button(json!(0), "77"),
        json!([button(json!("1"), "77")]),
        json!({"type": "image", "media_id": mid, "button": [{"index": "1", "payload": whole}]}),
    ] {
        let by_id = media["media_id"].is_string();
        let id = table.accepts("54", desk.send(&tracked(media))).await;
        let sent = desk.sent(&id).await;
        let parts = sent["message"]["template"]["components"].as_array().unwrap().clone();
        let part = |kind: &str| {
            parts.iter().find(|part| part["type"] == kind).cloned().unwrap_or_default()
        };
        let image = part("header")["parameters"][0]["image"].clone();
        let has_file = if by_id { image["id"].is_string() } else { image["link"] == url.as_str() };
        table.check("54", has_file, &sent.to_string());
        let values = part("body")["parameters"].clone();
        let given = (&values[0]["text"], &values[1]["text"]) == (&json!("Ann"), &json!("77"));
        table.check("54", given, &sent.to_string());
        let button = part("button");
        let place = button["index"].as_str().map_or(button["index"].to_string(), str::to_owned);
        let lands = (button["sub_type"].as_str(), place.as_str()) == (Some("url"), "0")
            && button["parameters"][0]["text"] == "77";
        table.check("54", lands, &sent.to_string());
        table.told("54", &id, "delivered").await;
    }
    let headless = json!({"type": "text", "button": [{"index": "1", "payload": "77"}]});
    let id = table.accepts("4.5", desk.send(&tracked(headless))).await;
    table.fails("4.5", &id, "8010: Invalid Template parameter").await;
    // A header's variable comes first.
    let mut titled = filled("titled");
    titled["attributes"] = json!(["A-1", "Ann", 77]);
    let id = table
        .accepts("4.4", desk.send(&special("template", &json!({"type_template": titled}))))
        .await;
    let parts = desk.sent(&id).await["message"]["template"]["components"].clone();
    let texts = [
        &parts[0]["parameters"][0]["text"],
        &parts[1]["parameters"][0]["text"],
        &parts[1]["parameters"][1]["text"],
    ];
    table.check("4.4", texts == ["A-1", "Ann", "77"], &parts.to_string());
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_55_takes_the_vendors_form_and_metas() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let buttons = json!({"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Yes"}}]});
    let sections = json!([{"title": "A", "rows": [
        {"id": "r1", "title": "Row", "description": ""}]}]);
    let menu = json!({"button": "Menu", "sections": sections});
    for (block, kind) in [
        (json!([{"type": "button", "body": "Is it?", "action": [buttons]}]), "button"),
        (json!({"type": "button", "body": {"text": "Is it?"}, "action": buttons}), "button"),
        (
            json!([{"type": "button", "body": {"text": "Is it?"}, "action": buttons,
                "header": "Look", "footer": {"text": "Thanks"}}]),
            "button",
        ),
        (json!([{"type": "list", "body": "Is it?", "action": [menu]}]), "list"),
    ] {
        let body = special("interactive", &json!({ "type_interactive": block }));
        let id = table.accepts("55", desk.send(&body)).await;
        let sent = desk.sent(&id).await["message"]["interactive"].clone();
        let holds = sent["type"] == kind
            && sent["body"] == json!({"text": "Is it?"})
            && sent["action"].is_object();
        table.check("55", holds, &sent.to_string());
        table.told("55", &id, "delivered").await;
    }
    let four: Vec<_> = (0..4)
        .map(|id| json!({"type": "reply", "reply": {"id": id.to_string(), "title": "Yes"}}))
        .collect();
    let block = json!([{"type": "button", "body": "Is it?", "action": [{"buttons": four}]}]);
    let body = special("interactive", &json!({ "type_interactive": block }));
    let words = ("8006", " Invalid value in type_interactive parameter.");
    table.refuses("55", desk.send(&body), 400, words).await;
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_told_about_by_name() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let get = |path: &str| desk.request(Method::GET, &format!("/api/v2/metainfo/template/{path}"));
    let wanted = r#"{"status":"success","data":[{"templatename":"tpl","language":"en","status":"APPROVED","category":"UTILITY"}]}"#;
    table.answers("§10", get("status?templatename=tpl"), wanted).await;
    let reply = waypost_tests::Reply::to(get("preview?templatename=tpl")).await.expect(200).json();
    let text = &reply["data"][0]["components"][0]["text"];
    table.check("§10", text == "Hello {{1}}, your order {{2}} is ready.", &reply.to_string());
    for path in ["status", "preview"] {
        let absent = format!("{path}?templatename=nobody_made_it");
        table.refuses("§10", get(&absent), 404, ("8009", "Invalid Template")).await;
        table.refuses("§10", get(path), 400, MISSING).await;
    }
    table.end();
}
