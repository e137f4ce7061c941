//! People with their business-scoped ids and numbers, and how wrong control calls are refused, over
//! real sockets.

#![allow(clippy::unwrap_used, reason = "an answer of another shape fails the test")]

mod rig;

use rig::{CLOSED, NUMBER, OPEN, Rig, WABA, text};
use serde_json::{Value, json};

async fn person(rig: &Rig, phone: &str) -> Value {
    rig.get(&format!("/_sandbox/people?phone={phone}")).await.1["data"][0].clone()
}

/// The next webhook of a person who writes.
async fn writes(rig: &mut Rig, from: &str) -> Value {
    rig.control("inbound", &json!({"from": from, "text": {"body": "hi"}})).await;
    let update = rig.update(|update| update["value"]["messages"][0]["type"] == "text").await;
    update["value"].clone()
}

#[tokio::test]
async fn everybody_has_a_business_scoped_id_that_webhooks_tell() {
    let mut rig = Rig::start().await;
    let mut seen = Vec::new();
    for phone in [OPEN, "15550006666"] {
        let told = writes(&mut rig, phone).await;
        let id = told["contacts"][0]["user_id"].as_str().unwrap().to_owned();
        assert!(id.starts_with("US.") && id.len() > 10 && !id.contains(phone), "{id}");
        assert_eq!(told["messages"][0]["from_user_id"], *id);
        assert_eq!(
            (&told["contacts"][0]["wa_id"], &told["messages"][0]["from"]),
            (&json!(phone), &json!(phone))
        );
        let wamid = rig.sent(&text(phone)).await;
        let status = rig.status_of(&wamid).await;
        assert_eq!(
            (&status["recipient_user_id"], &status["recipient_id"]),
            (&json!(id), &json!(phone))
        );
        assert_eq!(person(&rig, phone).await["user_id"], *id);
        let by_id =
            json!({"messaging_product": "whatsapp", "recipient": id, "text": {"body": "hi"}});
        assert_eq!(rig.send(&by_id).await.1["contacts"][0]["user_id"], *id);
        let (_, ledger) = rig.get("/_sandbox/messages").await;
        assert_eq!(
            ledger["data"].as_array().unwrap().last().unwrap()["to"],
            *phone,
            "the same person"
        );
        seen.push(id);
    }
    assert_ne!(seen[0], seen[1]);
    rig.delete("/_sandbox/state").await;
    let again = writes(&mut rig, OPEN).await;
    assert_eq!(again["contacts"][0]["user_id"], *seen[0], "the same after starting over");
}

#[tokio::test]
async fn an_id_that_was_given_takes_the_place_of_the_made_one() {
    let mut rig = Rig::start().await;
    let made = person(&rig, OPEN).await["user_id"].as_str().unwrap().to_owned();
    rig.control("people", &json!({"phone": OPEN, "user_id": "US.13491"})).await;
    assert_eq!(writes(&mut rig, OPEN).await["contacts"][0]["user_id"], "US.13491");
    let found = rig.get(&format!("/_sandbox/people?user_id={made}")).await.1;
    assert_eq!(found["data"], json!([]), "nobody has the made one");
}

#[tokio::test]
async fn webhooks_tell_only_given_ids_when_switched_off() {
    let mut rig = Rig::start().await;
    rig.control("webhook", &json!({"user_ids": false})).await;
    let told = writes(&mut rig, OPEN).await;
    assert!(told["contacts"][0].get("user_id").is_none(), "{told}");
    assert!(told["messages"][0].get("from_user_id").is_none(), "{told}");
    let wamid = rig.sent(&text(OPEN)).await;
    assert!(rig.status_of(&wamid).await.get("recipient_user_id").is_none());
    rig.control("people", &json!({"phone": OPEN, "user_id": "US.13491"})).await;
    assert_eq!(writes(&mut rig, OPEN).await["contacts"][0]["user_id"], "US.13491");
    rig.control("webhook", &json!({"user_ids": true})).await;
    assert!(writes(&mut rig, "15550002222").await["contacts"][0]["user_id"].is_string());
}

#[tokio::test]
async fn who_changes_their_number_is_reached_under_the_new_one_only() {
    let mut rig = Rig::start().await;
    let new = "15550007777";
    let before = person(&rig, OPEN).await;
    // Somebody wrote to the new number before: it is not taken.
    rig.sent(&text(new)).await;
    let moved =
        rig.control("people", &json!({"phone": OPEN, "change_number_to": format!("+{new}")})).await;
    assert_eq!((&moved["phone"], &moved["name"]), (&json!(new), &json!("Ann")));
    for member in ["user_id", "identity_key_hash"] {
        assert_eq!(moved[member], before[member], "{member}");
    }
    let told = rig.update(|update| update["value"].get("messages").is_some()).await;
    let told = &told["value"]["messages"][0];
    assert_eq!(
        (&told["from"], &told["system"]["type"]),
        (&json!(OPEN), &json!("user_changed_number"))
    );
    assert_eq!(told["system"]["wa_id"], new);

    let wamid = rig.sent(&text(new)).await;
    assert_eq!(rig.status_of(&wamid).await["status"], "sent", "the window moved along");
    let lost = rig.sent(&text(OPEN)).await;
    assert_eq!(rig.status_of(&lost).await["errors"][0]["code"], 131_026);
    assert_eq!(person(&rig, OPEN).await["on_whatsapp"], false);
    let from_old = json!({"from": OPEN, "text": {"body": "hi"}});
    assert_eq!(rig.post("/_sandbox/inbound", &from_old).await.0, 400);
    let from_new = writes(&mut rig, new).await;
    assert_eq!(
        (&from_new["messages"][0]["from"], &from_new["contacts"][0]["profile"]["name"]),
        (&json!(new), &json!("Ann"))
    );
    let chats = rig.get("/_sandbox/handset/chats").await.1;
    let anns = chats["data"].as_array().unwrap().iter().filter(|chat| chat["name"] == "Ann");
    assert_eq!(anns.map(|chat| &chat["phone"]).collect::<Vec<_>>(), [new]);

    let back = rig.control("people", &json!({"phone": new, "change_number_to": OPEN})).await;
    assert_eq!((&back["phone"], &back["on_whatsapp"]), (&json!(OPEN), &json!(true)));
    assert_eq!(person(&rig, new).await["on_whatsapp"], false);
    assert_eq!(writes(&mut rig, OPEN).await["contacts"][0]["profile"]["name"], "Ann");
}

#[tokio::test]
async fn wrong_control_calls_are_refused_and_name_the_member() {
    let rig = Rig::start().await;
    let with = |name: &str, value: Value| json!({"phone": OPEN, name: value});
    let bens_id = person(&rig, CLOSED).await["user_id"].clone();
    let wamid = rig.sent(&text(OPEN)).await;
    let cases = [
        ("people", with("on_whatsapp", "no".into()), "on_whatsapp"),
        ("people", with("blocks_business", 1.into()), "blocks_business"),
        ("people", with("change_identity", "yes".into()), "change_identity"),
        ("people", with("name", 7.into()), "name"),
        ("people", with("username", json!({})), "username"),
        ("people", with("user_id", 13491.into()), "user_id"),
        ("people", with("identity_key_hash", 1.into()), "identity_key_hash"),
        ("people", with("change_number_to", "abc".into()), "change_number_to"),
        ("people", with("change_number_to", 15_550_007_777_i64.into()), "change_number_to"),
        ("people", with("change_number_to", OPEN.into()), "change_number_to"),
        ("people", with("change_number_to", "15550002222".into()), "change_number_to"),
        ("people", with("change_number_to", "15550009999".into()), "change_number_to"),
        ("people", with("on_whatsap", true.into()), "on_whatsap"),
        ("people", json!({"phone": 15_550_001_111_i64}), "phone"),
        ("faults", json!({"match": {"type": "zzz"}, "do": {"code": 131_000}}), "match.type"),
        ("faults", json!({"match": {"type": "zzz"}, "do": {"webhooks": "drop"}}), "match.type"),
        ("faults", json!({"match": {"type": "read"}, "do": {"webhook": "drop"}}), "webhook"),
        ("numbers", json!({"display_phone_number": "15550008888", "waba": "1"}), "waba"),
        ("numbers", json!({"display_phone_number": "15550008888", "waba_id": 1}), "waba_id"),
        ("clock/advance", json!({"seconds": 1, "minutes": 1}), "minutes"),
        ("webhook", json!({"verify_token": 7}), "verify_token"),
        ("webhook", json!({"user_ids": "no"}), "user_ids"),
        ("webhook", json!({"token": "x"}), "token"),
        ("status", json!({"wamid": "x", "status": "read", "error": []}), "error"),
        (
            "inbound",
            json!({"from": 15_550_001_111_i64, "text": {"body": "x"}}),
            "from must be a string",
        ),
        ("inbound", json!({"from": "US.13491", "text": {"body": "x"}}), "from_user_id"),
        ("inbound", json!({"from_user_id": 1, "text": {"body": "x"}}), "from_user_id"),
        ("inbound", json!({"from": OPEN, "to": 1, "text": {"body": "x"}}), "to must be a string"),
        ("inbound", json!({"from": OPEN, "type": "contacts", "contacts": {}}), "contacts"),
        ("inbound", json!({"from": OPEN, "type": "text", "text": []}), "text"),
        ("people", with("user_id", bens_id.clone()), "user_id"),
        (
            "inbound",
            json!({"from": OPEN, "from_user_id": bens_id, "text": {"body": "x"}}),
            "from_user_id",
        ),
        ("status", json!({"wamid": wamid, "status": "failed", "errors": {}}), "errors"),
        ("status", json!({"wamid": wamid, "status": "failed", "errors": "x"}), "errors"),
        ("faults", json!({"match": {"to": "1555*0"}, "do": {"code": 131_000}}), "match.to"),
        ("faults", json!({"match": {"to": ""}, "do": {"code": 131_000}}), "match.to"),
        ("faults", json!({"match": {"from": "nope"}, "do": {"code": 131_000}}), "match.from"),
    ];
    for (path, body, member) in cases {
        let (status, answer) = rig.post(&format!("/_sandbox/{path}"), &body).await;
        let why = answer["error"]["message"].as_str().unwrap_or("").to_owned();
        assert!(status == 400 && why.contains(member), "{path} {body}: {status} {answer}");
    }
    let elsewhere = with("to", "15550001234".into());
    assert_eq!(rig.post("/_sandbox/people", &elsewhere).await.0, 404, "no such number");
    let ann = person(&rig, OPEN).await;
    assert_eq!(
        (&ann["on_whatsapp"], &ann["name"]),
        (&json!(true), &json!("Ann")),
        "nothing changed"
    );
    assert_eq!(rig.get("/_sandbox/faults").await.1["data"], json!([]));
}

#[tokio::test]
async fn inbound_messages_that_no_webhook_could_carry_are_refused() {
    let rig = Rig::start().await;
    let at = |timestamp: Value| ("timestamp", timestamp);
    let around = [
        at(1_795_356_564_000_000_i64.into()),
        at((-99_999_999_999_999_i64).into()),
        at((-5).into()),
        at(253_402_300_800_i64.into()),
        at("253402300800".into()),
        at("soon".into()),
        at(1.5.into()),
        ("name", 5.into()),
        ("id", 5.into()),
        ("id", "".into()),
        ("profile", "Ann".into()),
        ("profile", json!({"name": 5})),
        ("context", "wamid.x".into()),
        ("context", json!({"id": 5})),
        ("context", json!({"forwarded": "yes"})),
        ("referral", "ad".into()),
        ("referral", json!({"source_url": 5})),
        ("errors", json!({})),
        ("errors", json!(["x"])),
        ("value_errors", json!({"code": 1})),
        ("value_errors", json!([{"code": "1"}])),
        ("group_id", 5.into()),
    ];
    for (name, value) in around {
        let mut body = json!({"from": OPEN, "type": "unsupported"});
        body[name] = value;
        let (status, answer) = rig.post("/_sandbox/inbound", &body).await;
        let why = answer["error"]["message"].as_str().unwrap_or("");
        assert!(status == 400 && why.contains(name), "{body}: {status} {answer}");
    }
    let contents = [
        ("order", json!({"product_items": {}}), "order.product_items"),
        ("order", json!({"product_items": [null]}), "order.product_items[0]"),
        ("contacts", json!([null]), "contacts[0]"),
        ("contacts", json!([{"name": 5, "phones": "x"}]), "contacts[0].name"),
        ("contacts", json!([{"phones": [null]}]), "contacts[0].phones[0]"),
        ("button", json!({"payload": "p", "text": 5}), "button.text"),
        ("location", json!({"latitude": 1}), "location.longitude"),
        ("interactive", json!({"button_reply": "yes"}), "interactive.button_reply"),
    ];
    for (kind, content, member) in contents {
        let body = json!({"from": OPEN, "type": kind, kind: content});
        let (status, answer) = rig.post("/_sandbox/inbound", &body).await;
        let why = answer["error"]["message"].as_str().unwrap_or("");
        assert!(status == 400 && why.contains(member), "{body}: {status} {answer}");
    }
    let path = format!("/_sandbox/handset/messages?phone={OPEN}&phone_number_id={NUMBER}");
    assert_eq!(rig.get(&path).await.1["data"], json!([]), "nothing came");
    for last in [json!(0), json!(253_402_300_799_i64), json!("253402300799")] {
        let body = json!({"from": OPEN, "timestamp": last, "text": {"body": "x"}});
        rig.control("inbound", &body).await;
    }
}

#[tokio::test]
async fn somebody_known_by_an_id_alone_may_show_their_number() {
    let mut rig = Rig::start().await;
    let (id, phone) = ("US.13491", "15550006666");
    rig.control("inbound", &json!({"from_user_id": id, "text": {"body": "hi"}})).await;
    let hash = rig.get(&format!("/_sandbox/people?user_id={id}")).await.1["data"][0].clone();
    let both = json!({"from": phone, "from_user_id": id, "text": {"body": "me"}});
    rig.control("inbound", &both).await;
    let told = rig.update(|update| update["value"]["messages"][0]["from"] == phone).await;
    assert_eq!(told["value"]["contacts"][0]["user_id"], id);
    let by_id = rig.get(&format!("/_sandbox/people?user_id={id}")).await.1["data"][0].clone();
    assert_eq!(by_id, person(&rig, phone).await, "one person");
    assert_eq!(by_id["identity_key_hash"], hash["identity_key_hash"]);
}

#[tokio::test]
async fn a_new_number_takes_no_id_of_anything_else() {
    let rig = Rig::start().await;
    let template = rig.get(&format!("/{WABA}/message_templates")).await.1["data"][0]["id"].clone();
    let media = rig.upload(rig::PNG, "image/png", None).await.1["id"].clone();
    let flow = json!({"name": "survey", "categories": ["SURVEY"]});
    let flow = rig.post(&format!("/{WABA}/flows"), &flow).await.1["id"].clone();
    let app = json!("100000000000003");
    let (account, number) = (json!(WABA), json!(NUMBER));
    let taken = [&template, &media, &flow, &app];
    let add = async |member: &str, id: &Value| {
        let mut body = json!({"display_phone_number": "15550008888"});
        body[member] = id.clone();
        rig.post("/_sandbox/numbers", &body).await.0
    };
    for id in taken.into_iter().chain([&account, &number]) {
        assert_eq!(add("phone_number_id", id).await, 400, "{id}");
    }
    for id in taken.into_iter().chain([&number]) {
        assert_eq!(add("waba_id", id).await, 400, "{id}");
    }
    let twice = json!({"display_phone_number": "15550008888", "phone_number_id": "77777",
        "waba_id": "77777"});
    assert_eq!(rig.post("/_sandbox/numbers", &twice).await.0, 400);
    assert_eq!(rig.get("/_sandbox/numbers").await.1["data"].as_array().unwrap().len(), 1);
    assert_eq!(add("waba_id", &account).await, 200);
}

#[tokio::test]
async fn rules_for_every_type_that_occurs_are_taken() {
    let rig = Rig::start().await;
    let calls = [
        "text",
        "template",
        "interactive",
        "read",
        "typing",
        "media",
        "message_templates",
        "management",
        "any",
    ];
    let webhooks =
        ["text", "system", "sent", "failed", "flows", "message_template_status_update", "any"];
    for kind in calls {
        rig.control("faults", &json!({"match": {"type": kind}, "do": {"code": 131_000}})).await;
    }
    for kind in webhooks {
        rig.control("faults", &json!({"match": {"type": kind}, "do": {"webhooks": "drop"}})).await;
    }
}

#[tokio::test]
async fn the_ledger_has_nothing_beyond_its_end() {
    let rig = Rig::start().await;
    let wamid = rig.sent(&text(OPEN)).await;
    let (_, page) = rig.get("/_sandbox/messages?since=5000").await;
    assert_eq!((&page["data"], &page["next"]), (&json!([]), &json!("1")));
    rig.sent(&text(OPEN)).await;
    let next = page["next"].as_str().unwrap();
    let (_, rest) = rig.get(&format!("/_sandbox/messages?since={next}")).await;
    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
    assert_ne!(rest["data"][0]["wamid"], *wamid);
    assert_eq!(rest["data"][0]["phone_number_id"], NUMBER);
}
