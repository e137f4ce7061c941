//! Rows 56 and 57: what people write, as the vendor's webhook tells it.

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::Reply;
use waypost_tests::files::{PDF, PNG, base64};
use waypost_tests::fixture::{OTHER_KEY, with};

use crate::desk::{Desk, by_id, text};
use crate::table::{BAD_MEDIA, Table, is_uuid};

const ANN: &str = "15550001111";

#[tokio::test(flavor = "multi_thread")]
async fn row_56_tells_of_files_that_can_be_fetched() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let image = json!({"mime_type": "image/png", "data": base64(PNG), "caption": "look"});
    let offer = json!({"mime_type": "application/pdf", "data": base64(PDF),
        "filename": "offer.pdf"});
    for (kind, content, word, member, bytes) in [
        ("image", image, "IMAGE", "image_type", PNG),
        ("document", offer, "DOCUMENT", "document_type", PDF),
    ] {
        let wrote = json!({"from": ANN, "type": kind, kind: content,
            "profile": {"name": "Ann"}});
        let wamid = desk.sandbox().inbound(&wrote).await;
        let told = desk.incoming(word, |it| it["message_id"] == wamid.as_str()).await;
        let id = told[member]["id"].as_str().unwrap_or_default().to_owned();
        table.check("56", is_uuid(&id), &told.to_string());
        let mut file = json!({"mime_type": content["mime_type"],
            "sha256": told[member]["sha256"], "id": id});
        if kind == "image" {
            file["caption"] = json!("look");
        } else {
            file = json!({"filename": "offer.pdf", "mime_type": file["mime_type"],
                "sha256": file["sha256"], "id": id});
        }
        let wanted = json!({"from": ANN, "to": "15550009999", "from_name": "Ann",
            "message_id": wamid, "received_at": told["received_at"],
            "context": {"ncmessage_id": "", "message_id": ""}, "message_type": word,
            member: file});
        // As text, so that the members' order counts.
        let (told_text, wanted_text) = (told.to_string(), wanted.to_string());
        table.check("56", told_text == wanted_text, &told_text);
        let seconds = told["received_at"].as_str().unwrap_or_default();
        let is_epoch = seconds.len() == 10 && seconds.bytes().all(|byte| byte.is_ascii_digit());
        table.check("56", is_epoch, &told.to_string());
        let path = format!("/api/v2/media/{id}");
        let reply = Reply::to(desk.request(Method::GET, &path)).await;
        let holds = reply.status == 200
            && reply.body == bytes
            && reply.header("content-type") == content["mime_type"].as_str();
        table.check("56", holds, &format!("{} {:?}", reply.status, reply.headers));
        let foreign = desk.fixture.waypost.request(Method::GET, &path).bearer_auth(OTHER_KEY);
        table.refuses("56", foreign, 404, BAD_MEDIA).await;
        // What a person sent can be sent on.
        let id = table.accepts("56", desk.send(&by_id(&id))).await;
        table.check("56", desk.sent(&id).await["type"] == kind, "another kind");
    }
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_57_names_the_message_that_is_answered() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let own = with(text(), "/message/0/x-apiheader", json!("order-77"));
    let mut answered = Vec::new();
    for (body, own) in [(own, Some("order-77")), (text(), None)] {
        let id = table.accepts("57", desk.send(&body)).await;
        answered.push((desk.sent(&id).await["wamid"].clone(), id, own));
    }
    for (wamid, id, own) in &answered {
        let mut context = json!({"ncmessage_id": id, "message_id": wamid});
        if let Some(own) = own {
            context["x-apiheader"] = json!(own);
        }
        let quoting = json!({"id": wamid});
        let reply = json!({"from": ANN, "type": "text", "text": {"body": "yes"},
            "context": quoting});
        let tap = json!({"from": ANN, "type": "button",
            "button": {"payload": "p", "text": "Yes"}, "context": quoting});
        let choice = json!({"from": ANN, "type": "interactive", "context": quoting,
            "interactive": {"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}});
        let heart = json!({"from": ANN, "type": "reaction", "reaction": {"message_id": wamid, "emoji": "❤"}});
        for (wrote, word, member, payload) in [
            (reply, "TEXT", "text_type", json!({"text": "yes"})),
            (tap, "BUTTON", "text_type", json!({"payload": "p", "text": "Yes"})),
            (
                choice,
                "INTERACTIVE",
                "interactive_type",
                json!({"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}),
            ),
            (heart, "REACTION", "reaction_type", json!({"emoji": "❤"})),
        ] {
            let answer = desk.sandbox().inbound(&wrote).await;
            let told = desk.incoming(word, |it| it["message_id"] == answer.as_str()).await;
            table.check("57", told["context"] == context, &told.to_string());
            table.check("57", told["message_type"] == word, &told.to_string());
            table.check("57", told[member] == payload, &told.to_string());
        }
    }
    let plain: Value = json!({"from": ANN, "type": "text", "text": {"body": "by the way"}});
    let wamid = desk.sandbox().inbound(&plain).await;
    let told = desk.incoming("plain words", |it| it["message_id"] == wamid.as_str()).await;
    let empty = json!({"ncmessage_id": "", "message_id": ""});
    table.check("57", told["context"] == empty, &told.to_string());
    table.end();
}
