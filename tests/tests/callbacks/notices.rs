//! What Meta tells of fields that the gateway does not act on: recorded webhooks in, events and
//! callbacks out.

use std::fs;

use serde_json::{Value, json};
use waypost_tests::fixture::{NUMBER_ID, WABA_ID};
use waypost_tests::signing::signature;
use waypost_tests::{Reply, Waypost, eventually};

use crate::rig::{Callee, Org};

/// A text that is only in recorded values.
const SAID: &str = "From the phone";

/// Of a number by id, of a number by its phone, of the account.
const RECORDED: [(&str, bool); 3] = [
    ("smb_message_echoes", true),
    ("phone_number_quality_update", true),
    ("account_update", false),
];

fn recorded(field: &str) -> Value {
    let path = format!("crates/upstream/tests/webhooks/{field}.json");
    let text = fs::read_to_string(waypost_tests::binary::workspace().join(path)).unwrap();
    let text = text.replace("100000000000001", NUMBER_ID).replace("100000000000002", WABA_ID);
    serde_json::from_str(&text).unwrap()
}

async fn post(waypost: &Waypost, webhook: &Value) {
    let body = webhook.to_string();
    let signed = signature(&waypost.variable("WAYPOST_WEBHOOK_APP_SECRET"), body.as_bytes());
    let request = waypost.request(reqwest::Method::POST, "/webhooks/meta").body(body);
    Reply::to(request.header("X-Hub-Signature-256", signed)).await.expect(200);
}

#[tokio::test]
async fn a_field_is_told_in_the_shapes_that_have_words_for_it() {
    let org = Org::start().await;
    let (standard, meta) = (Callee::fine().await, Callee::fine().await);
    let (vendor, asks_for_others) = (Callee::fine().await, Callee::fine().await);
    org.webhook("standard", &standard.url(), json!({})).await;
    org.webhook("meta", &meta.url(), json!({"shape": "cloud_api", "events": ["upstream.notice"]}))
        .await;
    org.webhook("vendor", &vendor.url(), json!({"shape": "lipachat"})).await;
    org.hears("others", &asks_for_others.url()).await;
    for (place, (field, is_of_number)) in RECORDED.into_iter().enumerate() {
        let webhook = recorded(field);
        for _ in 0..2 {
            post(&org.waypost, &webhook).await;
        }
        let told = standard.posts(place + 1).await.pop().unwrap().json();
        let mut data = json!({"org_id": told["data"]["org_id"], "waba_id": WABA_ID, "field": field,
            "value": webhook["entry"][0]["changes"][0]["value"]});
        if is_of_number {
            data["number_id"] = json!(NUMBER_ID);
            data["phone_number_id"] = json!(NUMBER_ID);
        }
        assert_eq!((&told["type"], &told["data"]), (&json!("upstream.notice"), &data));
        let mut relayed = meta.posts(place + 1).await.pop().unwrap().json();
        if webhook["entry"][0]["time"].is_null() {
            // Meta names none for these: it is when the webhook came.
            relayed["entry"][0].as_object_mut().unwrap().remove("time").unwrap();
        }
        assert_eq!(relayed, webhook);
    }
    org.nothing_left().await;
    let listed = org.api.all(&org.at("events?kind=upstream.notice")).await;
    assert_eq!(listed.len(), RECORDED.len(), "repetitions are not told");
    let posted: Vec<Value> = standard.seen().iter().map(|post| post.json()).collect();
    assert_eq!(listed, posted);
    assert_eq!((vendor.seen().len(), asks_for_others.seen().len()), (0, 0));
    assert!(!org.waypost.errors().contains(SAID), "what is told stands in no log");
    assert!(!org.waypost.output().contains(SAID), "what is told stands in no log");
}

#[tokio::test]
async fn what_concerns_nobody_here_is_told_to_nobody_and_kept() {
    let org = Org::start().await;
    let mut foreign = recorded("smb_message_echoes");
    foreign["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!("77");
    post(&org.waypost, &foreign).await;
    let line = eventually("a line in the log", async || {
        let log = org.waypost.errors() + &org.waypost.output();
        log.lines().find(|line| line.contains("kept raw")).map(str::to_owned)
    })
    .await;
    assert!(line.contains("smb_message_echoes") && !line.contains(SAID), "{line}");
    assert!(org.api.all(&org.at("events")).await.is_empty());
}
