//! Templates as they are kept, listed and drawn, over real sockets.

#![allow(clippy::unwrap_used, reason = "an answer of another shape fails the test")]

mod rig;

use rig::{NUMBER, OPEN, Rig, START_MS, WABA, message, refused};
use serde_json::{Value, json};

/// Makes a template and approves it; its id.
async fn approved(rig: &Rig, template: &Value) -> String {
    let (status, made) = rig.post(&format!("/{WABA}/message_templates"), template).await;
    assert_eq!(status, 200, "{made}");
    let id = made["id"].as_str().unwrap().to_owned();
    rig.control(&format!("templates/{id}"), &json!({"status": "APPROVED"})).await;
    id
}

/// The first bubble of the open chat, as the page gets it.
async fn bubble(rig: &Rig) -> Value {
    let path = format!("/_sandbox/handset/messages?phone={OPEN}&phone_number_id={NUMBER}");
    rig.get(&path).await.1["data"][0].clone()
}

#[tokio::test]
async fn messages_on_the_phone_stay_as_they_were_when_their_template_changes() {
    let rig = Rig::start().await;
    let with = |text: &str, button: &str| {
        json!([{"type": "BODY", "text": text},
            {"type": "FOOTER", "text": "The shop"},
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": button}]}])
    };
    let template = json!({"name": "visit", "language": "en", "category": "UTILITY",
        "components": with("Shall we come today?", "Yes")});
    let id = approved(&rig, &template).await;
    let content = json!({"name": "visit", "language": {"code": "en"}});
    let wamid = rig.sent(&message(OPEN, "template", content)).await;
    let before = bubble(&rig).await["template"].clone();
    assert_eq!(
        (&before["body"], &before["footer"]),
        (&json!("Shall we come today?"), &json!("The shop"))
    );

    let edit = json!({"components": with("Shall we come tomorrow?", "No")});
    assert_eq!(rig.post(&format!("/{id}"), &edit).await.0, 200);
    assert_eq!(bubble(&rig).await["template"], before, "after an edit");
    assert_eq!(rig.delete(&format!("/{WABA}/message_templates?name=visit")).await.0, 200);
    assert_eq!(bubble(&rig).await["template"], before, "after its deletion");
    let chats = rig.get("/_sandbox/handset/chats").await.1;
    assert_eq!(chats["data"][0]["last"]["text"], "Shall we come today?");
    let tapped = rig.control("tap", &json!({"wamid": wamid, "id": "Yes"})).await;
    assert_eq!(tapped["message"]["button"]["text"], "Yes");
}

#[tokio::test]
async fn codes_are_drawn_with_the_advice_and_the_time_that_their_template_asks_for() {
    let cases = [
        (json!({}), json!({}), "1234 is your verification code.", Value::Null),
        (
            json!({"add_security_recommendation": true}),
            json!({"code_expiration_minutes": 10}),
            "1234 is your verification code. For your security, do not share this code.",
            json!("This code expires in 10 minutes."),
        ),
        (
            json!({"add_security_recommendation": false}),
            json!({"code_expiration_minutes": 5}),
            "1234 is your verification code.",
            json!("This code expires in 5 minutes."),
        ),
    ];
    for (mut body, mut footer, text, expected) in cases {
        let rig = Rig::start().await;
        body["type"] = "BODY".into();
        footer["type"] = "FOOTER".into();
        let otp = json!({"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]});
        let template = json!({"name": "code", "language": "en", "category": "AUTHENTICATION",
            "components": [body, footer, otp]});
        approved(&rig, &template).await;
        let code = json!([{"type": "text", "text": "1234"}]);
        let content = json!({"name": "code", "language": {"code": "en"}, "components": [
            {"type": "body", "parameters": code},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": code}]});
        rig.sent(&message(OPEN, "template", content)).await;
        let drawn = bubble(&rig).await["template"].clone();
        assert_eq!((&drawn["body"], &drawn["footer"]), (&json!(text), &expected));
    }
}

#[tokio::test]
async fn types_and_formats_are_given_back_in_capitals() {
    let rig = Rig::start().await;
    let template = json!({"name": "mixed", "language": "en", "category": "utility", "components": [
        {"type": "header", "format": "text", "text": "News"},
        {"type": "body", "text": "There is news"},
        {"type": "buttons", "buttons": [
            {"type": "quick_reply", "text": "Yes"},
            {"type": "url", "text": "Go", "url": "https://example.com/"}]},
        {"type": "carousel", "cards": [{"components": [{"type": "body", "text": "one"},
            {"type": "buttons", "buttons": [{"type": "quick_reply", "text": "This"}]}]}]}]});
    let id = approved(&rig, &template).await;
    let capitals = json!([
        {"type": "HEADER", "format": "TEXT", "text": "News"},
        {"type": "BODY", "text": "There is news"},
        {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "Yes"},
            {"type": "URL", "text": "Go", "url": "https://example.com/"}]},
        {"type": "CAROUSEL", "cards": [{"components": [{"type": "BODY", "text": "one"},
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "This"}]}]}]}]);
    assert_eq!(rig.get(&format!("/{id}")).await.1["components"], capitals, "created");

    let edit = json!({"components": [{"type": "body", "text": "Other news"}]});
    assert_eq!(rig.post(&format!("/{id}"), &edit).await.0, 200);
    let edited = rig.get(&format!("/{id}")).await.1["components"].clone();
    assert_eq!(edited, json!([{"type": "BODY", "text": "Other news"}]), "edited");

    let code = json!({"name": "code", "language": "en", "category": "authentication", "components": [
        {"type": "body"}, {"type": "buttons", "buttons": [{"type": "otp", "otp_type": "copy_code"}]}]});
    let id = approved(&rig, &code).await;
    let button = json!({"type": "OTP", "otp_type": "COPY_CODE"});
    assert_eq!(rig.get(&format!("/{id}")).await.1["components"][1]["buttons"][0], button);
}

#[tokio::test]
async fn an_edit_changes_something() {
    let rig = Rig::start().await;
    let template = json!({"name": "note", "language": "en", "category": "utility",
        "components": [{"type": "BODY", "text": "News"}]});
    let path = format!("/{}", approved(&rig, &template).await);
    let nothing = [
        json!({}),
        json!({"zzz": 1}),
        json!({"name": "other"}),
        json!({"language": "de"}),
        json!({"message_send_ttl_seconds": null}),
    ];
    for edit in nothing {
        refused(&rig.post(&path, &edit).await, 400, 100);
        assert_eq!(rig.get(&path).await.1["status"], "APPROVED", "{edit}");
    }
    let edit = json!({"message_send_ttl_seconds": 60});
    assert_eq!(rig.post(&path, &edit).await.1, json!({"success": true}));
    assert_eq!(rig.get(&path).await.1["status"], "PENDING");
}

#[tokio::test]
async fn the_list_is_read_forwards_and_backwards() {
    let rig = Rig::start().await;
    let list = format!("/{WABA}/message_templates");
    for name in ["third", "fourth"] {
        let template = json!({"name": name, "language": "en", "category": "utility",
            "components": [{"type": "BODY", "text": "News"}]});
        assert_eq!(rig.post(&list, &template).await.0, 200);
    }
    let names = |page: &Value| -> Vec<String> {
        let rows = page["data"].as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = rig.get(&list).await.1;
    let all = names(&all);
    let last = rig.get(&format!("{list}?limit=1&name=fourth")).await.1;
    let cursor = last["paging"]["cursors"]["before"].as_str().unwrap();
    let page = rig.get(&format!("{list}?limit=2&before={cursor}")).await.1;
    assert_eq!(names(&page), all[1..3], "the two in front of it");
    let next = page["paging"]["next"].as_str().unwrap().strip_prefix(&rig.base).unwrap();
    assert_eq!(names(&rig.get(next).await.1), all[3..], "and on from there");
    let cursor = page["paging"]["cursors"]["before"].as_str().unwrap();
    let first = rig.get(&format!("{list}?limit=2&before={cursor}")).await.1;
    assert_eq!(names(&first), all[..1]);
    let cursor = first["paging"]["cursors"]["before"].as_str().unwrap();
    assert_eq!(rig.get(&format!("{list}?before={cursor}")).await.1, json!({"data": []}));
    for name in ["after", "before"] {
        refused(&rig.get(&format!("{list}?{name}=%21")).await, 400, 100);
        refused(&rig.get(&format!("{list}?{name}=OTk")).await, 400, 131_059);
    }
}

#[tokio::test]
async fn the_quality_of_a_template_has_a_date() {
    let rig = Rig::start().await;
    rig.control("clock/advance", &json!({"seconds": 60})).await;
    let template = json!({"name": "late", "language": "en", "category": "utility",
        "components": [{"type": "BODY", "text": "Later"}]});
    approved(&rig, &template).await;
    let (_, list) = rig.get(&format!("/{WABA}/message_templates")).await;
    let quality: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|one| &one["quality_score"]).collect();
    let since = |seconds: i64| json!({"score": "UNKNOWN", "date": START_MS / 1_000 + seconds});
    assert_eq!(quality, [&since(0), &since(0), &since(60)]);
}

#[tokio::test]
async fn the_list_is_summed_up_when_that_is_asked_for() {
    let rig = Rig::start().await;
    let list = format!("/{WABA}/message_templates?limit=1");
    let cases = [
        ("", Value::Null),
        ("&summary=true", json!({"total_count": 2})),
        (
            "&summary=total_count,message_template_count,message_template_limit,are_translations_complete",
            json!({"total_count": 2, "message_template_count": 2, "message_template_limit": 250,
                   "are_translations_complete": true}),
        ),
    ];
    for (asked, expected) in cases {
        assert_eq!(rig.get(&format!("{list}{asked}")).await.1["summary"], expected, "{asked}");
    }
}
