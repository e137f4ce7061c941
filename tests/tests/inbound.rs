//! What comes from the upstream: the handshake, signatures (T11), every type of inbound message,
//! statuses, templates; what is unknown is kept.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::files::{JPEG, MP4, PDF, PNG, base64};
use waypost_tests::fixture::{NUMBER_ID, WABA_ID};
use waypost_tests::signing::{hex, mac, signature};
use waypost_tests::{Reply, Waypost, eventually};

const WEBHOOK: &str = "/webhooks/meta";

fn envelope(value: &Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": WABA_ID, "changes": [
        {"field": "messages", "value": value}]}]})
}

fn text_event(wamid: &str, from: &str, text: &str) -> Value {
    envelope(&json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550009999", "phone_number_id": NUMBER_ID},
        "contacts": [{"profile": {"name": "Ann"}, "wa_id": from}],
        "messages": [{"from": from, "id": wamid, "timestamp": "1700000000", "type": "text",
            "text": {"body": text}}]}))
}

async fn post(waypost: &Waypost, body: &[u8], headers: &[(&str, &str)]) -> Reply {
    let mut request = waypost.request(Method::POST, WEBHOOK).body(body.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Reply::to(request).await
}

async fn post_signed(waypost: &Waypost, event: &Value) -> Reply {
    let body = event.to_string().into_bytes();
    let secret = waypost.variable("WAYPOST_WEBHOOK_APP_SECRET");
    post(waypost, &body, &[("X-Hub-Signature-256", &signature(&secret, &body))]).await
}

async fn logged(waypost: &Waypost, wamid: &str) -> Value {
    eventually(&format!("{wamid} in the log"), async || {
        waypost.log().await.into_iter().find(|message| message["wamid"] == wamid)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_wants_the_right_token() {
    let waypost = Waypost::start().await;
    let token = waypost.variable("WAYPOST_WEBHOOK_VERIFY_TOKEN");
    let ask = async |mode: &str, token: &str| {
        waypost
            .get(&format!(
                "{WEBHOOK}?hub.mode={mode}&hub.challenge=1158201444&hub.verify_token={token}"
            ))
            .await
    };
    let right = ask("subscribe", &token).await.expect(200);
    assert_eq!(right.text(), "1158201444");
    for (mode, token) in
        [("subscribe", "wrong"), ("subscribe", ""), ("unsubscribe", &token), ("", &token)]
    {
        let refused = ask(mode, token).await;
        assert_eq!(refused.status, 403);
        assert!(!refused.text().contains("1158201444"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_exactly_signed_bytes_are_believed() {
    let waypost = Waypost::start().await;
    let secret = waypost.variable("WAYPOST_WEBHOOK_APP_SECRET");
    // Escaped as Meta does it: what is signed is the bytes, not what they mean.
    let plain = text_event("wamid.PLAIN", "15550001111", "plain").to_string();
    let escaped = text_event("wamid.ESCAPED", "15550001111", "MARK")
        .to_string()
        .replace("MARK", r"\u00e4 \ud83d\ude00 https:\/\/example.com\/");
    let emoji = text_event("wamid.EMOJI", "15550001111", "😀 ä").to_string();
    for body in [&plain, &escaped, &emoji] {
        let right = signature(&secret, body.as_bytes());
        post(&waypost, body.as_bytes(), &[("X-Hub-Signature-256", &right)]).await.expect(200);
    }
    let body = text_event("wamid.FORGED", "15550001111", "forged").to_string().into_bytes();
    let right = signature(&secret, &body);
    let digest = hex(&mac(&secret, &body));
    let other = signature("another secret", &body);
    let refused: Vec<Vec<(&str, String)>> = vec![
        vec![],
        vec![("X-Hub-Signature-256", String::new())],
        vec![("X-Hub-Signature-256", "sha256=".to_owned())],
        vec![("X-Hub-Signature-256", right[..right.len() - 2].to_owned())],
        vec![("X-Hub-Signature-256", right[..20].to_owned())],
        vec![("X-Hub-Signature-256", format!("{right}00"))],
        vec![("X-Hub-Signature-256", digest.clone())],
        vec![("X-Hub-Signature-256", format!("sha1={digest}"))],
        vec![("X-Hub-Signature-256", format!("SHA256={}", &digest[..63]))],
        vec![("X-Hub-Signature-256", other.clone())],
        vec![("X-Hub-Signature-256", signature("", &body))],
        vec![("X-Hub-Signature-256", right.clone()), ("X-Hub-Signature-256", right.clone())],
        vec![("X-Hub-Signature-256", right.clone()), ("X-Hub-Signature-256", other)],
        vec![("X-Hub-Signature", format!("sha1={}", &digest[..40]))],
    ];
    for headers in refused {
        let given: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = post(&waypost, &body, &given).await;
        assert_eq!(reply.status, 401, "{given:?}: {}", reply.text());
    }
    // One digit of the signature at every place.
    for place in "sha256=".len()..right.len() {
        let digit = if &right[place..=place] == "0" { "1" } else { "0" };
        let wrong = format!("{}{digit}{}", &right[..place], &right[place + 1..]);
        let reply = post(&waypost, &body, &[("X-Hub-Signature-256", &wrong)]).await;
        assert_eq!(reply.status, 401, "another digit at {place}");
    }
    // One bit at every position.
    for place in 0..body.len() {
        let mut flipped = body.clone();
        flipped[place] ^= 1;
        let reply = post(&waypost, &flipped, &[("X-Hub-Signature-256", &right)]).await;
        assert_eq!(reply.status, 401, "bit flipped at {place}");
    }
    // Verified before anything is read: what is no JSON is refused for its signature.
    post(&waypost, b"{", &[("X-Hub-Signature-256", &right)]).await.expect(401);
    for wamid in ["wamid.PLAIN", "wamid.ESCAPED", "wamid.EMOJI"] {
        logged(&waypost, wamid).await;
    }
    let escaped = logged(&waypost, "wamid.ESCAPED").await;
    assert_eq!(escaped["message"]["text"]["body"], "ä 😀 https://example.com/");
    let log = waypost.log().await;
    assert_eq!(log.len(), 3, "a forged event is in the log");
}

/// What one says and then the other.
fn both(mut one: Value, mut other: Value) -> Value {
    let other = other["entry"][0].take();
    one["entry"].as_array_mut().unwrap().push(other);
    one
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_s_own_secret_is_good_for_that_number_only() {
    let waypost = Waypost::start().await;
    let admin = waypost.admin();
    admin.post("/orgs", &json!({"id": "theirs", "name": "Theirs"})).await.expect(201);
    let number = json!({"display_phone": "15550008888", "phone_number_id": "100000000000003",
        "waba_id": "100000000000004", "app_secret": "their secret"});
    admin.post("/orgs/theirs/numbers", &number).await.expect(201);
    let to_them = |wamid| {
        let mut event = text_event(wamid, "15550001111", "hi");
        let value = &mut event["entry"][0]["changes"][0]["value"];
        value["metadata"]["phone_number_id"] = "100000000000003".into();
        event
    };
    let to_us = |wamid| text_event(wamid, "15550001111", "hi");
    let post_theirs = async |event: Value| {
        let body = event.to_string().into_bytes();
        let signature = signature("their secret", &body);
        post(&waypost, &body, &[("X-Hub-Signature-256", &signature)]).await
    };
    let forged = post_theirs(to_us("wamid.FORGED")).await.expect(401).json();
    let unsigned = post(&waypost, b"{}", &[]).await.expect(401).json();
    assert_eq!(forged["detail"], unsigned["detail"]);
    post_theirs(to_them("wamid.THEIRS")).await.expect(200);
    post_theirs(both(to_us("wamid.BESIDE"), to_them("wamid.THEIRS-2"))).await.expect(200);
    post_signed(&waypost, &both(to_us("wamid.OURS"), to_them("wamid.THEIRS-3"))).await.expect(200);
    logged(&waypost, "wamid.OURS").await;
    let got = eventually("three messages of theirs", async || {
        let got = admin.all("/orgs/theirs/messages").await;
        (got.len() >= 3).then_some(got)
    })
    .await;
    assert_eq!((got.len(), waypost.log().await.len()), (3, 1));
}

/// One message of each type, as the sandbox takes them.
fn every_type() -> Vec<Value> {
    let media =
        |mime_type: &str, bytes: &[u8]| json!({"mime_type": mime_type, "data": base64(bytes)});
    vec![
        json!({"type": "text", "text": {"body": "hi"}}),
        json!({"type": "image", "image": media("image/png", PNG)}),
        json!({"type": "image", "image": media("image/jpeg", JPEG)}),
        json!({"type": "video", "video": media("video/mp4", MP4)}),
        json!({"type": "document", "document": media("application/pdf", PDF)}),
        json!({"type": "audio", "audio": media("audio/ogg; codecs=opus", b"OggS-not-really")}),
        json!({"type": "sticker", "sticker": media("image/webp", b"RIFF0000WEBPVP8 ")}),
        json!({"type": "location", "location": {"latitude": 3.1, "longitude": 101.7}}),
        json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Ben"}}]}),
        json!({"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": "👍"}}),
        json!({"type": "button", "button": {"payload": "yes", "text": "Yes"}}),
        json!({"type": "interactive", "interactive": {"type": "button_reply",
            "button_reply": {"id": "a", "title": "A"}}}),
        json!({"type": "interactive", "interactive": {"type": "list_reply",
            "list_reply": {"id": "a", "title": "A", "description": "B"}}}),
        json!({"type": "interactive", "interactive": {"type": "nfm_reply",
            "nfm_reply": {"name": "flow", "body": "Sent", "response_json": "{\"a\":1}"}}}),
        json!({"type": "order", "order": {"catalog_id": "1", "text": "", "product_items": [
            {"product_retailer_id": "p", "quantity": 1, "item_price": 2.5, "currency": "EUR"}]}}),
        json!({"type": "system", "system": {"type": "user_changed_number", "body": "changed",
            "wa_id": "15550001234"}}),
        json!({"type": "unsupported", "errors": [{"code": 131_051, "title": "unsupported"}]}),
        json!({"type": "unknown", "errors": [{"code": 131_051, "title": "unknown"}]}),
        json!({"type": "request_welcome"}),
        json!({"type": "ephemeral"}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_message_is_logged_as_the_user_s_with_all_it_says() {
    let waypost = Waypost::start().await;
    let sandbox = waypost.sandbox();
    let mut sent = Vec::new();
    for message in every_type() {
        let mut message = message;
        message["from"] = "15550001111".into();
        sent.push((sandbox.inbound(&message).await, message));
    }
    for (wamid, message) in &sent {
        let entry = logged(&waypost, wamid).await;
        assert_eq!(
            (&entry["message_type"], &entry["direction"]),
            (&json!("user"), &json!("inbound"))
        );
        assert_eq!((&entry["type"], &entry["phone"]), (&message["type"], &json!("15550001111")));
        assert_eq!(entry["customer_id"], waypost.variable("WAYPOST_CUSTOMER_ID"));
        let kind = message["type"].as_str().unwrap();
        let Some(content) = message.get(kind).and_then(Value::as_object) else { continue };
        for (name, value) in content.iter().filter(|(name, _)| *name != "data") {
            assert_eq!(&entry["message"][kind][name], value, "{kind}.{name} in {entry}");
        }
    }
    assert_eq!(waypost.log().await.len(), sent.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_types_and_fields_cost_nothing_and_are_kept_raw() {
    let waypost = Waypost::start().await;
    let mut event = text_event("wamid.NEW", "15550001111", "unused");
    let message = &mut event["entry"][0]["changes"][0]["value"]["messages"][0];
    *message = json!({"from": "15550001111", "id": "wamid.NEW", "timestamp": "1700000000",
        "type": "hologram", "hologram": {"depth": 3}, "future_field": {"a": 1}});
    post_signed(&waypost, &event).await.expect(200);
    let entry = logged(&waypost, "wamid.NEW").await;
    assert_eq!(entry["message"]["hologram"]["depth"], 3, "{entry}");
    assert_eq!(entry["message"]["future_field"]["a"], 1, "{entry}");
    for odd in [
        json!({"object": "whatsapp_business_account", "entry": []}),
        json!({"object": "page", "entry": [{"id": "1", "changes": [{"field": "feed", "value": 5}]}]}),
        json!([1, 2, 3]),
        json!("text"),
        envelope(&json!(null)),
    ] {
        post_signed(&waypost, &odd).await.expect(200);
    }
    post_signed(&waypost, &text_event("wamid.AFTER", "15550001111", "still here"))
        .await
        .expect(200);
    logged(&waypost, "wamid.AFTER").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_becomes_a_customer_and_their_window_opens() {
    let waypost = Waypost::start().await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let message = json!({"from": "15550007777", "type": "text", "text": {"body": "Hello?"},
        "profile": {"name": "Gina"}});
    let wamid = waypost.sandbox().inbound(&message).await;
    let entry = logged(&waypost, &wamid).await;
    let customer = entry["customer_id"].as_str().unwrap();
    let path = format!("/orgs/{org}/customers/{customer}");
    let known = waypost.admin().get(&path).await.expect(200).json();
    assert_eq!((&known["phone"], &known["name"]), (&json!("15550007777"), &json!("Gina")));
    assert!(known["last_inbound_at"].is_string(), "{known}");
    let sessions = waypost.admin().all(&format!("/orgs/{org}/sessions")).await;
    assert!(sessions.iter().any(|session| session["customer_id"] == customer), "{sessions:?}");
    let reply = waypost.demo_message(&json!({"type": "text", "text": {"body": "Hello Gina"}}));
    let reply = waypost_tests::fixture::with(reply, "/customerId", json!(customer));
    waypost.replyhero("/whatsapp/messages/send", &reply).await.expect(200);
    assert_eq!(waypost.sandbox().ledger().await[0]["to"], "15550007777");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_opens_a_window_that_had_closed() {
    let waypost = Waypost::start().await;
    waypost.sandbox().advance(25 * 3_600).await;
    let refused = waypost.send_text("too late").await.expect(409);
    assert_eq!(refused.json()["error"]["code"], "window_closed");
    let phone = waypost.variable("WAYPOST_CUSTOMER_PHONE");
    let wamid = waypost.sandbox().writes(&phone, "I am back").await;
    logged(&waypost, &wamid).await;
    waypost.send_text("welcome back").await.expect(200);
    assert_eq!(waypost.sandbox().ledger().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_ten_times_is_one_message() {
    let waypost = Waypost::start().await;
    let event = text_event("wamid.AGAIN", "15550001111", "once");
    for _ in 0..10 {
        post_signed(&waypost, &event).await.expect(200);
    }
    post_signed(&waypost, &text_event("wamid.LAST", "15550001111", "last")).await.expect(200);
    logged(&waypost, "wamid.LAST").await;
    let log = waypost.log().await;
    assert_eq!(log.iter().filter(|message| message["wamid"] == "wamid.AGAIN").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_move_a_message_forward_and_keep_their_history() {
    let waypost = Waypost::start().await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let reply = waypost.send_text("hello").await.expect(200).json();
    let (id, wamid) = (&reply["id"], &reply["response"]["messages"][0]["id"]);
    waypost.sandbox().settled(wamid.as_str().unwrap(), "delivered").await;
    for status in ["read", "delivered", "sent"] {
        waypost.sandbox().status(&json!({"wamid": wamid, "status": status})).await;
    }
    let path = format!("/orgs/{org}/messages/{}", id.as_str().unwrap());
    let message = eventually("a read message with its history", async || {
        let message = waypost.admin().get(&path).await.expect(200).json();
        let seen: Vec<&str> =
            message["statuses"].as_array()?.iter().filter_map(|it| it["status"].as_str()).collect();
        let all = ["sent", "delivered", "read"].iter().all(|status| seen.contains(status));
        (all && message["status"] == "read").then_some(message)
    })
    .await;
    assert_eq!(message["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(message["attempts"][0]["outcome"], "sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_status_tells_why() {
    let waypost = Waypost::start().await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let reply = waypost.send_text("hello").await.expect(200).json();
    let wamid = &reply["response"]["messages"][0]["id"];
    let errors = json!([{"code": 131_026, "title": "Undeliverable"}]);
    let failed = json!({"wamid": wamid, "status": "failed", "errors": errors});
    waypost.sandbox().status(&failed).await;
    let path = format!("/orgs/{org}/messages/{}", reply["id"].as_str().unwrap());
    let message = eventually("a failed message", async || {
        let message = waypost.admin().get(&path).await.expect(200).json();
        (message["status"] == "failed").then_some(message)
    })
    .await;
    assert_eq!(message["error"]["code"], "recipient_unreachable", "{message}");
    assert_eq!(message["error"]["upstream"]["code"], 131_026, "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_s_new_state_is_known_without_asking() {
    let waypost = Waypost::start().await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let hello = async || {
        let templates = waypost.admin().all(&format!("/orgs/{org}/templates")).await;
        templates.into_iter().find(|template| template["name"] == "hello_world")
    };
    let sync = format!("/orgs/{org}/templates/sync");
    Reply::to(waypost.admin().request(Method::POST, &sync)).await.ok();
    let id = hello().await.unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("/_sandbox/templates/{id}");
    let paused = json!({"status": "PAUSED"});
    waypost.sandbox().call(Method::POST, &path, Some(&paused)).await.ok();
    eventually("a paused template", async || (hello().await?["status"] == "PAUSED").then_some(()))
        .await;
    let body = json!({"templateName": "hello_world", "sessionId": "s", "components": [],
        "orgId": org, "userId": waypost.variable("WAYPOST_USER_ID")});
    let refused = waypost.replyhero("/whatsapp/template/send", &body).await.expect(422);
    assert_eq!(refused.json()["error"]["code"], "template_not_approved");
}
