//! `POST /{number}/messages` over real sockets: the rows of the reference's table that concern the
//! sandbox, statuses, limits.

mod rig;

use std::time::Duration;

use reqwest::Method;
use rig::{CLOSED, NUMBER, OPEN, Rig, answer, hello_world, message, refused, text};
use serde_json::{Value, json};

#[tokio::test]
async fn answers_like_the_reference_with_and_without_a_version() {
    let rig = Rig::start().await;
    let number = NUMBER;
    for path in [
        format!("/v25.0/{number}/messages"),
        format!("/{number}/messages"),
        format!("/v25.0/{number}/messages/"),
    ] {
        let (status, body) = rig.post(&path, &text("+1 (555) 000-1111")).await;
        assert_eq!(status, 200, "{path}: {body}");
        assert_eq!(body["contacts"][0], json!({"input": "+1 (555) 000-1111", "wa_id": OPEN}));
        let id = body["messages"][0]["id"].as_str().unwrap();
        assert!(id.starts_with("wamid.HBgLMTU1NTAwMDExMTEVAgARGB") && id.len() == 58, "{id}");
        assert!(body["messages"][0].get("message_status").is_none(), "templates only");
    }
    let (first, second) = (rig.sent(&text(OPEN)).await, rig.sent(&text(OPEN)).await);
    assert_ne!(first, second, "nothing is de-duplicated");
}

#[tokio::test]
async fn takes_chunked_and_form_encoded_bodies() {
    let rig = Rig::start().await;
    let path = format!("/v25.0/{NUMBER}/messages");
    let bytes = text(OPEN).to_string().into_bytes();
    let chunks = bytes.chunks(10).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks.collect::<Vec<_>>()));
    let chunked = rig.call(Method::POST, &path).header("content-type", "application/json");
    assert_eq!(answer(chunked.body(body).send().await.unwrap()).await.0, 200);
    let form =
        "messaging_product=whatsapp&to=15550001111&type=text&text=%7B%22body%22%3A%22hi%22%7D";
    let request = rig.call(Method::POST, &path).body(form);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(answer(request.send().await.unwrap()).await.0, 200);
}

#[tokio::test]
async fn checks_the_token_before_anything_else() {
    let rig = Rig::start().await;
    let url = format!("{}/v25.0/{NUMBER}/messages", rig.base);
    let bare = || rig.http.post(&url).body("nonsense");
    refused(&answer(bare().send().await.unwrap()).await, 401, 190);
    let get = rig.http.get(format!("{}/{NUMBER}", rig.base)).send().await.unwrap();
    refused(&answer(get).await, 401, 104);
    refused(&answer(bare().bearer_auth("wrong").send().await.unwrap()).await, 401, 190);
    let other = bare().header("apikey", "token").send().await.unwrap();
    refused(&answer(other).await, 401, 190);
}

#[tokio::test]
async fn refuses_what_is_malformed() {
    let rig = Rig::start().await;
    let path = format!("/v25.0/{NUMBER}/messages");
    for body in ["{", "[]", ""] {
        let request = rig.call(Method::POST, &path).body(body);
        refused(&answer(request.send().await.unwrap()).await, 400, 100);
    }
    let huge = format!("{{\"x\":\"{}\"}}", "x".repeat(1_048_576));
    let response = rig.call(Method::POST, &path).body(huge).send().await.unwrap();
    refused(&answer(response).await, 413, 100);
    let unknown = rig.post("/v25.0/999/messages", &text(OPEN)).await;
    refused(&unknown, 400, 100);
    assert_eq!(unknown.1["error"]["error_subcode"], 33);
    refused(&rig.post(&format!("/{NUMBER}/nonsense"), &json!({})).await, 404, 2500);
    let get = rig.call(Method::GET, &path).send().await.unwrap();
    assert_eq!(get.headers()["allow"], "POST");
    refused(&answer(get).await, 405, 100);
}

#[tokio::test]
async fn refuses_wrong_content_with_metas_codes_and_keeps_nothing() {
    let rig = Rig::start().await;
    let unknown_media = message(OPEN, "image", json!({"id": "42"}));
    let unknown_template =
        message(OPEN, "template", json!({"name": "nope", "language": {"code": "en_US"}}));
    let order = |components: Value| {
        let content = json!({"name": "order_update", "language": {"code": "en_US"}, "components": components});
        message(OPEN, "template", content)
    };
    let image = json!({"type": "header", "parameters": [{"type": "image", "image": {"link": "https://example.com/good.png"}}]});
    let one = json!({"type": "body", "parameters": [{"type": "text", "text": "a"}]});
    let two = json!({"type": "body", "parameters": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]});
    let wrong = json!({"type": "body", "parameters": [{"type": "text", "text": "a"}, {"type": "image", "image": {"id": "1"}}]});
    let mut opaque = text(OPEN);
    opaque["biz_opaque_callback_data"] = "x".repeat(513).into();
    let mut not_text = text(OPEN);
    not_text["text"] = json!({"body": {}});
    let cases = [
        (not_text, 400, 131_009),
        (message(OPEN, "hologram", json!({})), 400, 100),
        (message(OPEN, "system", json!({})), 400, 131_051),
        (message(OPEN, "image", json!({})), 400, 131_008),
        (unknown_media, 400, 100),
        (unknown_template, 404, 132_001),
        (order(json!([image, one])), 400, 132_000),
        (order(json!([image, wrong])), 400, 132_012),
        (order(json!([image, two, two])), 400, 132_000),
        (opaque, 400, 100),
        (text("15550009999"), 400, 131_021),
    ];
    for (body, status, code) in cases {
        refused(&rig.send(&body).await, status, code);
    }
    let (_, ledger) = rig.get("/_sandbox/messages").await;
    assert_eq!(ledger["data"], json!([]));
}

#[tokio::test]
async fn reports_sent_and_delivered_with_price_and_callback_data() {
    let mut rig = Rig::start().await;
    let mut body = text(OPEN);
    body["biz_opaque_callback_data"] = "order-77/é".into();
    let wamid = rig.sent(&body).await;
    let sent = rig.status_of(&wamid).await;
    assert_eq!(sent["status"], "sent");
    assert_eq!(sent["recipient_id"], OPEN);
    assert_eq!(sent["biz_opaque_callback_data"], "order-77/é");
    assert_eq!(sent["conversation"]["id"].as_str().unwrap().len(), 32);
    assert!(sent["conversation"]["expiration_timestamp"].is_string());
    assert_eq!(sent["pricing"]["category"], "service");
    assert!(sent["timestamp"].is_string());
    let delivered = rig.status_of(&wamid).await;
    assert_eq!(delivered["status"], "delivered");
    assert!(delivered["conversation"].get("expiration_timestamp").is_none());
    assert_eq!(rig.ledger_statuses(&wamid).await, ["sent", "delivered"]);
}

#[tokio::test]
async fn statuses_of_version_24_carry_no_conversation() {
    let mut rig = Rig::start().await;
    rig.control("webhook", &json!({"version": "v24.0"})).await;
    let wamid = rig.sent(&text(OPEN)).await;
    let sent = rig.status_of(&wamid).await;
    assert!(sent.get("conversation").is_none() && sent.get("pricing").is_some());
}

#[tokio::test]
async fn fails_free_form_messages_outside_the_window_later_and_takes_templates() {
    let mut rig = Rig::start().await;
    let wamid = rig.sent(&text(CLOSED)).await;
    let failed = rig.status_of(&wamid).await;
    assert_eq!(
        (failed["status"].as_str(), failed["errors"][0]["code"].as_i64()),
        (Some("failed"), Some(131_047))
    );
    assert_eq!(failed["errors"][0]["title"], failed["errors"][0]["message"]);
    assert!(failed.get("pricing").is_none());

    let (_, template) = rig.send(&hello_world(CLOSED)).await;
    assert_eq!(template["messages"][0]["message_status"], "accepted");
    let wamid = template["messages"][0]["id"].as_str().unwrap();
    assert_eq!(rig.status_of(wamid).await["pricing"]["category"], "utility");

    rig.control("limits", &json!({"window": "sync"})).await;
    refused(&rig.send(&text(CLOSED)).await, 400, 131_047);
    rig.control("inbound", &json!({"from": CLOSED, "type": "text", "text": {"body": "hi"}})).await;
    rig.sent(&text(CLOSED)).await;
    rig.control("clock/advance", &json!({"seconds": 86_400})).await;
    refused(&rig.send(&text(CLOSED)).await, 400, 131_047);
}

#[tokio::test]
async fn fails_messages_to_people_without_whatsapp_or_with_another_identity() {
    let mut rig = Rig::start().await;
    let wamid = rig.sent(&hello_world("15550004444")).await;
    assert_eq!(rig.status_of(&wamid).await["errors"][0]["code"], 131_026);
    let mut body = text(OPEN);
    body["recipient_identity_key_hash"] = "AAAAAAAAAAA=".into();
    let wamid = rig.sent(&body).await;
    assert_eq!(rig.status_of(&wamid).await["errors"][0]["code"], 137_000);
}

#[tokio::test]
async fn refuses_the_46th_message_to_a_person_until_six_seconds_have_passed() {
    let rig = Rig::start().await;
    for _ in 0..45 {
        rig.sent(&text(OPEN)).await;
    }
    refused(&rig.send(&text(OPEN)).await, 400, 131_056);
    rig.sent(&hello_world(CLOSED)).await;
    rig.clock.advance(Duration::from_secs(6));
    rig.sent(&text(OPEN)).await;
    refused(&rig.send(&text(OPEN)).await, 400, 131_056);
    rig.control("limits", &json!({"pair": false})).await;
    rig.sent(&text(OPEN)).await;
}

#[tokio::test]
async fn refuses_the_81st_message_of_a_number_within_a_second() {
    let rig = Rig::start().await;
    rig.control("limits", &json!({"pair": false})).await;
    for _ in 0..80 {
        rig.sent(&text(OPEN)).await;
    }
    refused(&rig.send(&text(OPEN)).await, 400, 130_429);
    rig.clock.advance(Duration::from_secs(1));
    rig.sent(&text(OPEN)).await;
    rig.control("limits", &json!({"throughput_per_s": null})).await;
    for _ in 0..100 {
        rig.sent(&text(OPEN)).await;
    }
}

#[tokio::test]
async fn reactions_get_no_delivered_and_only_to_messages_of_the_person() {
    let mut rig = Rig::start().await;
    let inbound = json!({"from": OPEN, "type": "text", "text": {"body": "hi"}});
    let theirs = rig.control("inbound", &inbound).await["wamid"].clone();
    for emoji in ["\u{1F44D}", ""] {
        let reaction = message(OPEN, "reaction", json!({"message_id": theirs, "emoji": emoji}));
        let wamid = rig.sent(&reaction).await;
        assert_eq!(rig.status_of(&wamid).await["status"], "sent");
        let later = rig.sent(&text(OPEN)).await;
        assert_eq!(rig.status_of(&later).await["status"], "sent");
        assert_eq!(rig.status_of(&later).await["status"], "delivered");
        assert_eq!(rig.ledger_statuses(&wamid).await, ["sent"]);
    }
    let stray = message(OPEN, "reaction", json!({"message_id": "wamid.x", "emoji": "x"}));
    let wamid = rig.sent(&stray).await;
    assert_eq!(rig.status_of(&wamid).await["errors"][0]["code"], 131_009);
}

#[tokio::test]
async fn takes_read_receipts_typing_and_quotes_of_unknown_messages() {
    let rig = Rig::start().await;
    let inbound = json!({"from": OPEN, "type": "text", "text": {"body": "hi"}});
    let theirs = rig.control("inbound", &inbound).await["wamid"].clone();
    let mut read = json!({"messaging_product": "whatsapp", "status": "read", "message_id": theirs});
    assert_eq!(rig.send(&read).await, (200, json!({"success": true})));
    read["typing_indicator"] = json!({"type": "text"});
    assert_eq!(rig.send(&read).await, (200, json!({"success": true})));
    read["message_id"] = "wamid.unknown".into();
    refused(&rig.send(&read).await, 400, 131_009);
    let mut quoting = text(OPEN);
    quoting["context"] = json!({"message_id": "wamid.unknown"});
    rig.sent(&quoting).await;
}

#[tokio::test]
async fn reaches_people_by_their_user_id_alone() {
    let mut rig = Rig::start().await;
    let inbound = json!({"from_user_id": "US.13491208655302741918", "type": "text",
                         "text": {"body": "hi"}, "name": "Eve"});
    rig.control("inbound", &inbound).await;
    let update = rig.update(|update| update["value"].get("messages").is_some()).await;
    let (contact, message) = (&update["value"]["contacts"][0], &update["value"]["messages"][0]);
    assert!(contact.get("wa_id").is_none() && message.get("from").is_none());
    assert_eq!(contact["user_id"], "US.13491208655302741918");
    let body = json!({"messaging_product": "whatsapp", "recipient": "US.13491208655302741918",
                      "text": {"body": "hello"}});
    let (status, answer) = rig.send(&body).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["contacts"][0].get("wa_id").is_none());
    let status = rig.status_of(answer["messages"][0]["id"].as_str().unwrap()).await;
    assert_eq!(status["status"], "sent");
    assert!(status.get("recipient_id").is_none());
}

#[tokio::test]
async fn counts_people_outside_a_window_and_blocked_people() {
    let mut rig = Rig::start().await;
    rig.control("limits", &json!({"portfolio": 1})).await;
    let first = rig.sent(&hello_world(CLOSED)).await;
    assert_eq!(rig.status_of(&first).await["status"], "sent");
    let second = rig.sent(&hello_world("15550003333")).await;
    assert_eq!(rig.status_of(&second).await["errors"][0]["code"], 131_048);

    rig.control("inbound", &json!({"from": OPEN, "type": "text", "text": {"body": "hi"}})).await;
    let block =
        |user: &str| json!({"messaging_product": "whatsapp", "block_users": [{"user": user}]});
    let path = format!("/{NUMBER}/block_users");
    let (status, answer) = rig.post(&path, &block(OPEN)).await;
    assert_eq!((status, &answer["block_users"]["added_users"][0]["wa_id"]), (200, &json!(OPEN)));
    refused(&rig.send(&text(OPEN)).await, 400, 130_403);
    refused(&rig.post(&path, &block("15550003333")).await, 400, 139_100);
}
