//! Webhooks over real sockets: signature, retries, subscriptions, every inbound type.

mod rig;

use std::sync::atomic::Ordering;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rig::{NUMBER, OPEN, Rig, SECRET, WABA, refused, text};
use serde_json::{Value, json};
use sha2::Sha256;

fn signed(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    format!("sha256={}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[tokio::test]
async fn signs_the_raw_bytes_with_escapes_that_reserialising_loses() {
    let mut rig = Rig::start().await;
    let body = json!({"from": OPEN, "type": "text", "text": {"body": "caf\u{e9}/\u{1F600}"}});
    rig.control("inbound", &body).await;
    let hook = rig.next_hook().await;
    assert_eq!(hook.signature, signed(&hook.body));
    let raw = std::str::from_utf8(&hook.body).unwrap();
    assert!(raw.contains(r"caf\u00e9\/\ud83d\ude00"), "{raw}");
    let parsed: Value = serde_json::from_slice(&hook.body).unwrap();
    assert_ne!(hook.signature, signed(parsed.to_string().as_bytes()));
    let entry = &parsed["entry"][0];
    assert_eq!(
        (parsed["object"].as_str(), entry["id"].as_str()),
        (Some("whatsapp_business_account"), Some(WABA))
    );
    assert!(entry.get("time").is_none(), "only other fields have it");
    let value = &entry["changes"][0]["value"];
    assert_eq!(
        value["metadata"],
        json!({"display_phone_number": "15550009999", "phone_number_id": NUMBER})
    );
    let user_id = &value["messages"][0]["from_user_id"];
    assert!(user_id.is_string(), "{value}");
    let contact = json!({"profile": {"name": "Ann"}, "wa_id": OPEN, "user_id": user_id});
    assert_eq!(value["contacts"][0], contact);
    assert_eq!(value["messages"][0]["text"]["body"], "caf\u{e9}/\u{1F600}");
}

#[tokio::test]
async fn repeats_what_is_not_answered_with_200() {
    let mut rig = Rig::start().await;
    rig.hook_status.store(503, Ordering::SeqCst);
    rig.control("inbound", &json!({"from": OPEN, "type": "text", "text": {"body": "hi"}})).await;
    let first = rig.next_hook().await;
    let second = rig.next_hook().await;
    assert_eq!(first.body, second.body, "at once");
    rig.hook_status.store(200, Ordering::SeqCst);
    let mut view = rig.get("/_sandbox/webhooks").await.1;
    assert_eq!((&view["pending"], &view["delivered"]), (&json!(1), &json!(0)), "{view}");
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(rig.next_hook().await.body, first.body);
    while view["delivered"] == 0 {
        view = rig.get("/_sandbox/webhooks").await.1;
    }
    assert_eq!(view["pending"], 0);
}

#[tokio::test]
async fn sends_every_inbound_type_in_its_shape() {
    let mut rig = Rig::start().await;
    let cases = [
        ("text", json!({"body": "hi"})),
        ("document", json!({"data": "aGk=", "mime_type": "application/pdf", "filename": "a.pdf"})),
        ("audio", json!({"data": "T2dnUw==", "mime_type": "audio/ogg; codecs=opus"})),
        ("sticker", json!({"data": "UklGRg==", "mime_type": "image/webp"})),
        ("location", json!({"latitude": 1.5, "longitude": 2.5})),
        ("contacts", json!([{"name": {"formatted_name": "Ann"}}])),
        ("reaction", json!({"message_id": "wamid.x", "emoji": "x"})),
        ("button", json!({"payload": "p", "text": "Yes"})),
        (
            "interactive",
            json!({"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}}),
        ),
        ("order", json!({"catalog_id": "1", "product_items": []})),
        ("system", json!({"type": "user_changed_number", "wa_id": "15550007777"})),
        ("edit", json!({"original_message_id": "wamid.x", "message": {"type": "text"}})),
        ("revoke", json!({"original_message_id": "wamid.x"})),
    ];
    for (kind, content) in cases {
        let mut body = json!({"from": OPEN, "type": kind});
        body[kind] = content.clone();
        let answer = rig.control("inbound", &body).await;
        let update = rig.update(|update| update["value"].get("messages").is_some()).await;
        let message = &update["value"]["messages"][0];
        assert_eq!((&message["type"], &message["id"]), (&json!(kind), &answer["wamid"]));
        assert!(message["timestamp"].is_string() && message["from"] == OPEN);
        assert_eq!(update["value"].get("contacts").is_some(), kind != "system", "{kind}");
        if let Some(mime) = content.get("mime_type") {
            assert_eq!(&message[kind]["mime_type"], mime);
            assert!(message[kind]["id"].is_string());
        } else {
            assert_eq!(message[kind], content);
        }
    }
    let unsupported = json!({"from": OPEN, "type": "unsupported",
        "errors": [{"code": 131_051, "title": "Message type unknown"}]});
    rig.control("inbound", &unsupported).await;
    let update = rig.update(|update| update["value"].get("messages").is_some()).await;
    assert_eq!(update["value"]["messages"][0]["errors"][0]["code"], 131_051);
    for (wrong, status) in [
        (json!({"type": "text"}), 400),
        (json!({"from": OPEN, "type": "hologram"}), 400),
        (json!({"from": OPEN, "to": "999", "text": {"body": "x"}}), 404),
        (json!({"from": OPEN, "type": "image", "image": {}}), 400),
        (json!({"from": OPEN, "type": "image", "image": {"id": "999"}}), 404),
        (json!({"from": OPEN, "text": {"body": "x"}, "form": OPEN}), 400),
        (json!({"from": OPEN, "type": "text", "text": {"body": "x"}, "image": {}}), 400),
    ] {
        assert_eq!(rig.post("/_sandbox/inbound", &wrong).await.0, status, "{wrong}");
    }
}

#[tokio::test]
async fn verifies_a_subscription_and_follows_it() {
    let mut rig = Rig::start().await;
    let path = format!("/{WABA}/subscribed_apps");
    let wrong = json!({"override_callback_uri": rig.hook_url, "verify_token": "wrong"});
    refused(&rig.post(&path, &wrong).await, 400, 100);
    rig.control("webhook", &json!({"url": "http://127.0.0.1:9/"})).await;
    let right = json!({"override_callback_uri": rig.hook_url, "verify_token": "right"});
    assert_eq!(rig.post(&path, &right).await, (200, json!({"success": true})));
    let (_, list) = rig.get(&path).await;
    assert_eq!(list["data"][0]["override_callback_uri"], rig.hook_url);
    let wamid = rig.sent(&text(OPEN)).await;
    assert_eq!(rig.status_of(&wamid).await["status"], "sent");

    assert_eq!(rig.delete(&path).await.0, 200);
    assert_eq!(rig.get(&path).await.1["data"], json!([]));
    rig.control("inbound", &json!({"from": OPEN, "type": "text", "text": {"body": "hi"}})).await;
    assert_ne!(rig.get("/_sandbox/webhooks").await.1["unrouted"], 0);
    let app = json!({"object": "whatsapp_business_account", "callback_url": rig.hook_url,
                     "verify_token": "right", "fields": "messages"});
    assert_eq!(rig.post("/100000000000003/subscriptions", &app).await.0, 200);
    assert_eq!(rig.post(&path, &json!({})).await.0, 200);
    let wamid = rig.sent(&text(OPEN)).await;
    assert_eq!(rig.status_of(&wamid).await["status"], "sent");
}

#[tokio::test]
async fn drops_duplicates_and_reorders_on_demand() {
    let mut rig = Rig::start().await;
    let rule = |what: &str, kind: &str| json!({"match": {"type": kind, "next": 1}, "do": {"webhooks": what}});
    rig.control("faults", &rule("drop", "sent")).await;
    let wamid = rig.sent(&text(OPEN)).await;
    assert_eq!(rig.status_of(&wamid).await["status"], "delivered", "sent is dropped");

    rig.control("faults", &rule("duplicate", "sent")).await;
    let wamid = rig.sent(&text(OPEN)).await;
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(rig.status_of(&wamid).await["status"].clone());
    }
    assert_eq!(names, ["sent", "sent", "delivered"]);

    rig.control("faults", &rule("reorder", "sent")).await;
    let wamid = rig.sent(&text(OPEN)).await;
    assert_eq!(rig.status_of(&wamid).await["status"], "delivered");
    assert_eq!(rig.status_of(&wamid).await["status"], "sent");
}

#[tokio::test]
async fn withholds_webhooks_until_they_are_released_in_another_order() {
    let mut rig = Rig::start().await;
    let rule = json!({"match": {"type": "any"}, "do": {"webhooks": "withhold"}});
    rig.control("faults", &rule).await;
    let wamid = rig.sent(&text(OPEN)).await;
    while rig.get("/_sandbox/webhooks").await.1["withheld"] != 2 {
        rig.clock.advance(Duration::from_millis(50));
    }
    let (status, body) = rig.post("/_sandbox/webhooks/release", &json!({"order": "any"})).await;
    assert_eq!(status, 400, "{body}");
    let released = rig.control("webhooks/release", &json!({"order": "reversed"})).await;
    assert_eq!(released["released"], 2);
    assert_eq!(rig.status_of(&wamid).await["status"], "delivered");
    assert_eq!(rig.status_of(&wamid).await["status"], "sent");
}

#[tokio::test]
async fn a_held_back_webhook_goes_out_by_itself() {
    let mut rig = Rig::start().await;
    rig.control("faults", &json!({"match": {"next": 1}, "do": {"webhooks": "reorder"}})).await;
    rig.control("inbound", &json!({"from": OPEN, "type": "text", "text": {"body": "hi"}})).await;
    rig.update(|update| update["value"].get("messages").is_some()).await;
}
