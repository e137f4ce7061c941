//! A person answers by tapping: what each kind of message turns into, over real sockets.

#![allow(clippy::unwrap_used, reason = "an answer of another shape fails the test")]

mod rig;

use rig::{NUMBER, OPEN, Rig, WABA, message, refused};
use serde_json::{Value, json};

fn interactive(kind: &str, action: impl Into<Value>) -> Value {
    let content = json!({"type": kind, "body": {"text": "Well?"}, "action": action.into()});
    message(OPEN, "interactive", content)
}

/// The inbound message of the next webhook that has one.
async fn inbound(rig: &mut Rig) -> Value {
    let update = rig.update(|update| update["value"].get("messages").is_some()).await;
    update["value"]["messages"][0].clone()
}

fn buttons() -> Value {
    interactive(
        "button",
        json!({"buttons": [
        {"type": "reply", "reply": {"id": "yes", "title": "Yes, please"}},
        {"type": "reply", "reply": {"id": "no", "title": "No"}}]}),
    )
}

fn list() -> Value {
    interactive(
        "list",
        json!({"button": "Choose", "sections": [
        {"title": "A", "rows": [{"id": "a1", "title": "Small", "description": "up to 1 kg"}]},
        {"title": "B", "rows": [{"id": "b1", "title": "Large"}]}]}),
    )
}

fn carousel() -> Value {
    let card = |index: usize| {
        json!({"card_index": index, "type": "cta_url",
            "header": {"type": "image", "image": {"link": "https://example.com/good.png"}},
            "body": {"text": "A card"},
            "action": {"buttons": [{"type": "quick_reply",
                "quick_reply": {"id": format!("card-{index}"), "title": "This one"}}]}})
    };
    interactive("carousel", json!({"cards": [card(0), card(1)]}))
}

#[tokio::test]
async fn each_kind_is_answered_as_metas_webhooks_do() {
    let mut rig = Rig::start().await;
    let place = json!({"latitude": 1.5, "longitude": 2.5, "name": "Home"});
    let cases = [
        (
            buttons(),
            json!({"id": "yes"}),
            "interactive",
            json!({"type": "button_reply",
            "button_reply": {"id": "yes", "title": "Yes, please"}}),
        ),
        (
            list(),
            json!({"id": "a1"}),
            "interactive",
            json!({"type": "list_reply",
            "list_reply": {"id": "a1", "title": "Small", "description": "up to 1 kg"}}),
        ),
        (
            list(),
            json!({"id": "b1"}),
            "interactive",
            json!({"type": "list_reply",
            "list_reply": {"id": "b1", "title": "Large"}}),
        ),
        (
            carousel(),
            json!({"id": "card-1"}),
            "interactive",
            json!({"type": "button_reply",
            "button_reply": {"id": "card-1", "title": "This one"}}),
        ),
        (
            interactive("location_request_message", json!({"name": "send_location"})),
            json!({"location": place}),
            "location",
            place.clone(),
        ),
        (
            interactive("contact_request", json!({"name": "request_contact_info"})),
            json!({}),
            "contacts",
            json!([{"name": {"formatted_name": "Ann", "first_name": "Ann"},
                "phones": [{"phone": "+15550001111", "wa_id": "15550001111", "type": "CELL"}],
                "origin": "contact_request"}]),
        ),
        (
            interactive("call_permission_request", json!({"name": "call_permission_request"})),
            json!({"accept": false}),
            "interactive",
            json!({"type": "call_permission_reply",
                "call_permission_reply": {"response": "reject", "response_source": "user_action"}}),
        ),
        (
            interactive(
                "address_message",
                json!({"name": "address_message", "parameters": {"country": "IN"}}),
            ),
            json!({"address": {"city": "Pune"}}),
            "interactive",
            json!({"type": "nfm_reply",
                "nfm_reply": {"name": "address_message", "body": "Address",
                    "response_json": "{\"values\":{\"city\":\"Pune\"}}"}}),
        ),
    ];
    for (sent, tap, kind, expected) in cases {
        let wamid = rig.sent(&sent).await;
        let mut body = tap.clone();
        body["wamid"] = wamid.clone().into();
        let answer = rig.control("tap", &body).await;
        assert_eq!(answer["message"][kind], expected, "{sent}");
        let told = inbound(&mut rig).await;
        assert_eq!((&told["type"], &told[kind]), (&json!(kind), &expected), "{sent}");
        assert_eq!(told["context"], json!({"id": wamid, "from": "15550009999"}), "{sent}");
        assert_eq!(told["from"], OPEN);
    }
}

#[tokio::test]
async fn what_is_not_there_cannot_be_tapped() {
    let mut rig = Rig::start().await;
    let plain = rig.sent(&rig::text(OPEN)).await;
    let with_buttons = rig.sent(&buttons()).await;
    let request =
        rig.sent(&interactive("location_request_message", json!({"name": "send_location"}))).await;
    let permission =
        interactive("call_permission_request", json!({"name": "call_permission_request"}));
    let permission = rig.sent(&permission).await;
    let place = |latitude: Value, longitude: Value| json!({"wamid": request, "location": {"latitude": latitude, "longitude": longitude}});
    let cases = [
        (json!({"wamid": "wamid.x", "id": "yes"}), 404),
        (json!({"wamid": plain, "id": "yes"}), 400),
        (json!({"wamid": with_buttons, "id": "maybe"}), 400),
        (json!({"wamid": with_buttons}), 400),
        (json!({"wamid": with_buttons, "id": "yes", "button": "yes"}), 400),
        (json!({"wamid": request}), 400),
        (json!({"wamid": request, "location": {"latitude": 1}}), 400),
        (place("1".into(), 1.into()), 400),
        (place(91.into(), 1.into()), 400),
        (place(1.into(), (-181).into()), 400),
        (json!({"wamid": permission}), 400),
        (json!({"wamid": permission, "accept": "no"}), 400),
        (json!({"wamid": permission, "accept": null}), 400),
    ];
    for (body, status) in cases {
        assert_eq!(rig.post("/_sandbox/tap", &body).await.0, status, "{body}");
    }
    rig.control("status", &json!({"wamid": with_buttons, "status": "failed"})).await;
    assert_eq!(rig.status_of(&with_buttons).await["status"], "failed");
    let lost = json!({"wamid": with_buttons, "id": "yes"});
    assert_eq!(rig.post("/_sandbox/tap", &lost).await.0, 400, "it never arrived");
}

#[tokio::test]
async fn quick_replies_of_templates_come_back_with_their_payloads() {
    let mut rig = Rig::start().await;
    let components = json!([{"type": "BODY", "text": "Shall we bring it?"},
        {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "Yes"}, {"type": "QUICK_REPLY", "text": "Later"},
            {"type": "URL", "text": "Track", "url": "https://example.com/t/{{1}}", "example": ["x"]},
            {"type": "COPY_CODE", "example": "SAVE10"}]}]);
    let new =
        json!({"name": "bring", "language": "en", "category": "UTILITY", "components": components});
    let (status, created) = rig.post(&format!("/v25.0/{WABA}/message_templates"), &new).await;
    assert_eq!(status, 200, "{created}");
    let id = created["id"].as_str().unwrap().to_owned();
    rig.control(&format!("templates/{id}"), &json!({"status": "APPROVED"})).await;
    let content = json!({"name": "bring", "language": {"code": "en"}, "components": [
        {"type": "button", "sub_type": "quick_reply", "index": "0",
         "parameters": [{"type": "payload", "payload": "BRING-7"}]},
        {"type": "button", "sub_type": "url", "index": 2,
         "parameters": [{"type": "text", "text": "A-1"}]},
        {"type": "button", "sub_type": "copy_code", "index": 3,
         "parameters": [{"type": "coupon_code", "coupon_code": "SAVE20"}]}]});
    let wamid = rig.sent(&message(OPEN, "template", content)).await;

    let path = format!("/_sandbox/handset/messages?phone={OPEN}&phone_number_id={NUMBER}");
    let shown = rig.get(&path).await.1["data"][0]["template"]["buttons"].clone();
    assert_eq!(shown[0], json!({"type": "QUICK_REPLY", "text": "Yes", "payload": "BRING-7"}));
    assert_eq!(shown[2]["url"], "https://example.com/t/A-1");
    assert_eq!(shown[3]["code"], "SAVE20");
    for (tapped, payload, words) in [("BRING-7", "BRING-7", "Yes"), ("Later", "Later", "Later")] {
        rig.control("tap", &json!({"wamid": wamid, "id": tapped})).await;
        let told = inbound(&mut rig).await;
        assert_eq!(told["type"], "button");
        assert_eq!(told["button"], json!({"payload": payload, "text": words}));
        assert_eq!(told["context"]["id"], *wamid);
    }
}

#[tokio::test]
async fn the_page_sends_whatever_a_phone_can() {
    let mut rig = Rig::start().await;
    let received = rig.sent(&rig::text(OPEN)).await;
    let webp = "UklGRhIAAABXRUJQVlA4TAYAAAAvAAAAAAA=";
    let cases = [
        json!({"type": "image", "image": {"mime_type": "image/png", "data": "iVBORw0KGgo=", "caption": "See"}}),
        json!({"type": "sticker", "sticker": {"mime_type": "image/webp", "data": webp}}),
        json!({"type": "audio", "audio": {"mime_type": "audio/ogg; codecs=opus", "data": "T2dnUw=="}}),
        json!({"type": "document", "document": {"mime_type": "application/pdf", "data": "JVBERg==", "filename": "a.pdf"}}),
        json!({"type": "location", "location": {"latitude": 1.0, "longitude": 2.0}}),
        json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Bo"}}]}),
        json!({"type": "reaction", "reaction": {"message_id": received, "emoji": "👍"}}),
        json!({"type": "text", "text": {"body": "This one"}, "context": {"id": received}}),
    ];
    for case in cases {
        let body = json!({"phone": OPEN, "phone_number_id": NUMBER, "message": case});
        let bubble = rig.control("handset/send", &body).await;
        let kind = case["type"].as_str().unwrap();
        assert_eq!(
            (&bubble["direction"], &bubble["type"]),
            (&json!("in"), &case["type"]),
            "{case}"
        );
        let told = inbound(&mut rig).await;
        assert_eq!(told["type"], case["type"]);
        match kind {
            "image" | "sticker" | "audio" | "document" => {
                assert!(told[kind]["id"].is_string() && told[kind]["sha256"].is_string(), "{told}");
                assert!(told[kind].get("data").is_none(), "{told}");
                assert!(bubble["media"]["url"].is_string(), "{bubble}");
            }
            _ => assert_eq!(told[kind], case[kind]),
        }
    }
    for wrong in [json!("text"), json!({"type": "hologram"}), json!({"type": "image", "image": {}})]
    {
        let body = json!({"phone": OPEN, "phone_number_id": NUMBER, "message": wrong});
        assert_eq!(rig.post("/_sandbox/handset/send", &body).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn voice_messages_are_reported_as_played_once() {
    let mut rig = Rig::start().await;
    let (_, media) = rig.upload(b"OggS and so on", "audio/ogg", None).await;
    let (_, other) = rig.upload(b"ID3 and so on", "audio/mpeg", None).await;
    let voice = rig.sent(&message(OPEN, "audio", json!({"id": media["id"], "voice": true}))).await;
    let song = rig.sent(&message(OPEN, "audio", json!({"id": media["id"]}))).await;
    assert_eq!(rig.status_of(&voice).await["status"], "sent");
    assert_eq!(rig.status_of(&voice).await["status"], "delivered");
    for (wamid, played) in [(&voice, true), (&voice, false), (&song, false)] {
        let answer = rig.control("handset/played", &json!({"wamid": wamid})).await;
        assert_eq!(answer["played"], played);
    }
    assert_eq!(rig.status_of(&voice).await["status"], "played");
    let wrong = rig.sent(&message(OPEN, "audio", json!({"id": other["id"], "voice": true}))).await;
    assert_eq!(rig.status_of(&wrong).await["errors"][0]["code"], 131_053, "a voice is OGG");
}

#[tokio::test]
async fn a_person_writes_to_the_number_they_choose() {
    let mut rig = Rig::start().await;
    let added = rig
        .control(
            "numbers",
            &json!({"display_phone_number": "15550008888", "verified_name": "Second"}),
        )
        .await;
    assert_eq!(added["waba_id"], WABA);
    let second = added["phone_number_id"].as_str().unwrap().to_owned();
    let again = json!({"display_phone_number": "15550008888"});
    assert_eq!(rig.post("/_sandbox/numbers", &again).await.0, 400);
    let chats = rig.get("/_sandbox/handset/chats").await.1;
    assert_eq!(chats["numbers"].as_array().unwrap().len(), 2);

    let path = format!("/_sandbox/handset/messages?phone={OPEN}&phone_number_id={second}");
    let (_, empty) = rig.get(&path).await;
    assert_eq!(
        (&empty["data"], &empty["chat"]["window_open_until_ms"]),
        (&json!([]), &Value::Null)
    );
    let join = json!({"phone": OPEN, "phone_number_id": second, "text": "join-acme"});
    rig.control("handset/send", &join).await;
    let update = rig.update(|update| update["value"].get("messages").is_some()).await;
    assert_eq!(update["value"]["metadata"]["phone_number_id"], *second);
    assert!(rig.get(&path).await.1["chat"]["window_open_until_ms"].is_i64());

    let own_account = json!({"display_phone_number": "15550007777", "waba_id": "100000000000077"});
    let other = rig.control("numbers", &own_account).await;
    let (status, page) = rig.get("/100000000000077/message_templates").await;
    assert_eq!((status, page["data"].as_array().unwrap().len()), (200, 2), "seeded too");
    let path = format!("/{}/messages", other["phone_number_id"].as_str().unwrap());
    assert_eq!(rig.post(&path, &rig::hello_world(OPEN)).await.0, 200);
}

#[tokio::test]
async fn an_identity_hash_that_changed_stops_the_message() {
    let mut rig = Rig::start().await;
    let path = format!("/{NUMBER}/settings");
    let on = json!({"user_identity_change": {"enable_identity_key_check": true}});
    assert_eq!(rig.post(&path, &on).await.0, 200);
    rig.control("inbound", &json!({"from": OPEN, "type": "text", "text": {"body": "hi"}})).await;
    let update = rig.update(|update| update["value"].get("messages").is_some()).await;
    let hash = update["value"]["contacts"][0]["identity_key_hash"].as_str().unwrap().to_owned();
    let known = rig.get(&format!("/_sandbox/people?phone={OPEN}")).await.1;
    assert_eq!(known["data"][0]["identity_key_hash"], *hash);
    let with = |hash: &str| {
        let mut body = rig::text(OPEN);
        body["recipient_identity_key_hash"] = hash.into();
        body
    };
    let good = rig.sent(&with(&hash)).await;
    let sent = rig.status_of(&good).await;
    assert_eq!(
        (&sent["status"], &sent["recipient_identity_key_hash"]),
        (&json!("sent"), &json!(hash))
    );

    let changed = rig.control("people", &json!({"phone": OPEN, "change_identity": true})).await;
    assert_ne!(changed["identity_key_hash"], *hash);
    let bad = rig.sent(&with(&hash)).await;
    assert_eq!(rig.status_of(&bad).await["errors"][0]["code"], 137_000);
    let given = json!({"phone": OPEN, "identity_key_hash": "DF2lS5v2W6x="});
    rig.control("people", &given).await;
    let system = rig
        .update(|u| u["value"]["messages"][0]["system"]["identity"]["hash"] == "DF2lS5v2W6x=")
        .await;
    assert!(system["value"].get("contacts").is_none());
    let good = rig.sent(&with("DF2lS5v2W6x=")).await;
    assert_eq!(rig.status_of(&good).await["status"], "sent");
}

#[tokio::test]
async fn people_are_reached_by_their_business_scoped_id() {
    let mut rig = Rig::start().await;
    rig.control("people", &json!({"phone": OPEN, "user_id": "US.13491"})).await;
    let by_id = |kind: &str, content: Value| {
        let mut body = message(OPEN, kind, content);
        body.as_object_mut().unwrap().remove("to");
        body["recipient"] = "US.13491".into();
        body
    };
    let (status, answer) = rig.send(&by_id("text", json!({"body": "hi"}))).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["contacts"][0], json!({"input": "US.13491", "user_id": "US.13491"}));
    let wamid = answer["messages"][0]["id"].as_str().unwrap().to_owned();
    let sent = rig.status_of(&wamid).await;
    assert_eq!((&sent["status"], &sent["recipient_user_id"]), (&json!("sent"), &json!("US.13491")));

    let code = json!({"name": "code", "language": "en", "category": "AUTHENTICATION",
        "components": [{"type": "BODY"}, {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]}]});
    let (_, created) = rig.post(&format!("/{WABA}/message_templates"), &code).await;
    let id = created["id"].as_str().unwrap().to_owned();
    rig.control(&format!("templates/{id}"), &json!({"status": "APPROVED"})).await;
    let content = json!({"name": "code", "language": {"code": "en"}, "components": []});
    refused(&rig.send(&by_id("template", content)).await, 400, 131_062);
}

#[tokio::test]
async fn somebody_known_by_a_user_id_alone_writes_without_a_phone_number() {
    let mut rig = Rig::start().await;
    let body = json!({"messaging_product": "whatsapp", "recipient": "US.777", "type": "text",
        "text": {"body": "hi"}});
    rig.sent(&body).await;
    let chats = rig.get("/_sandbox/handset/chats").await.1;
    let is_there = |chat: &Value| chat["phone"] == "US.777";
    assert!(chats["data"].as_array().unwrap().iter().any(is_there), "{chats}");
    let reply = json!({"phone": "US.777", "phone_number_id": NUMBER, "text": "Hello"});
    rig.control("handset/send", &reply).await;
    let update = rig.update(|update| update["value"].get("messages").is_some()).await;
    let (contact, told) = (&update["value"]["contacts"][0], &update["value"]["messages"][0]);
    assert_eq!((&told["from_user_id"], told.get("from")), (&json!("US.777"), None), "{update}");
    assert_eq!((&contact["user_id"], contact.get("wa_id")), (&json!("US.777"), None));

    let asked = json!({"messaging_product": "whatsapp", "recipient": "US.777", "type": "interactive",
        "interactive": buttons()["interactive"]});
    let wamid = rig.sent(&asked).await;
    rig.control("tap", &json!({"wamid": wamid, "id": "no"})).await;
    let told = inbound(&mut rig).await;
    assert_eq!(
        (&told["from_user_id"], &told["interactive"]["button_reply"]["id"]),
        (&json!("US.777"), &json!("no"))
    );
}
