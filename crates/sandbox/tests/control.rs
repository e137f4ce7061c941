//! The control plane, faults, templates, numbers and the handset's JSON over real sockets.

mod rig;

use reqwest::Method;
use rig::{CLOSED, NUMBER, OPEN, PNG, Rig, WABA, answer, hello_world, message, refused, text};
use serde_json::{Value, json};

#[tokio::test]
async fn the_ledger_goes_on_from_a_cursor() {
    let rig = Rig::start().await;
    let mut body = text(OPEN);
    body["biz_opaque_callback_data"] = "a".into();
    let first = rig.sent(&body).await;
    rig.control("inbound", &json!({"from": OPEN, "type": "text", "text": {"body": "hi"}})).await;
    let second = rig.sent(&hello_world(CLOSED)).await;
    let (_, page) = rig.get("/_sandbox/messages?limit=1").await;
    let row = &page["data"][0];
    assert_eq!(
        (&row["wamid"], &row["to"], &row["from"]),
        (&json!(first), &json!(OPEN), &json!("15550009999"))
    );
    assert_eq!((&row["type"], &row["biz_opaque_callback_data"]), (&json!("text"), &json!("a")));
    assert_eq!(row["message"], body);
    let (_, rest) =
        rig.get(&format!("/_sandbox/messages?since={}", page["next"].as_str().unwrap())).await;
    assert_eq!(rest["data"].as_array().unwrap().len(), 1, "outbound only");
    assert_eq!(rest["data"][0]["wamid"], json!(second));
    let (_, end) =
        rig.get(&format!("/_sandbox/messages?since={}", rest["next"].as_str().unwrap())).await;
    assert_eq!((&end["data"], &end["next"]), (&json!([]), &rest["next"]));

    assert_eq!(rig.delete("/_sandbox/state").await.0, 200);
    assert_eq!(rig.get("/_sandbox/messages").await.1["data"], json!([]));
    let third = rig.sent(&text(OPEN)).await;
    let (_, rest) =
        rig.get(&format!("/_sandbox/messages?since={}", rest["next"].as_str().unwrap())).await;
    assert_eq!(rest["data"][0]["wamid"], json!(third), "old cursors stay valid");
}

#[tokio::test]
async fn a_test_reports_statuses_as_it_likes() {
    let mut rig = Rig::start().await;
    let wamid = rig.sent(&text(OPEN)).await;
    for status in ["read", "delivered", "sent", "played"] {
        rig.control("status", &json!({"wamid": wamid, "status": status})).await;
        assert_eq!(rig.status_of(&wamid).await["status"], status);
    }
    let failed = json!({"wamid": wamid, "status": "failed", "errors": [{"code": 131_049}]});
    rig.control("status", &failed).await;
    let status = rig.status_of(&wamid).await;
    assert_eq!(status["errors"][0]["code"], 131_049);
    assert!(status["errors"][0]["title"].as_str().unwrap().contains("healthy"));
    let unknown = json!({"wamid": "wamid.x", "status": "read"});
    assert_eq!(rig.post("/_sandbox/status", &unknown).await.0, 404);
    let wrong = json!({"wamid": wamid, "status": "eaten"});
    assert_eq!(rig.post("/_sandbox/status", &wrong).await.0, 400);
}

#[tokio::test]
async fn faults_answer_in_place_of_the_operation() {
    let mut rig = Rig::start().await;
    let once = |what: Value| json!({"match": {"to": OPEN, "next": 1}, "do": what});
    rig.control("faults", &once(json!({"code": 131_016}))).await;
    refused(&rig.send(&text(OPEN)).await, 500, 131_016);

    rig.control("faults", &once(json!({"html": 502}))).await;
    let path = format!("/{NUMBER}/messages");
    let response = rig.call(Method::POST, &path).json(&text(OPEN)).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()),
        (502, "text/html; charset=utf-8")
    );

    rig.control("faults", &once(json!({"status": 429, "retry_after_s": 7}))).await;
    let response = rig.call(Method::POST, &path).json(&text(OPEN)).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert!(response.bytes().await.unwrap().is_empty());

    rig.control("faults", &once(json!({"code": 131_049}))).await;
    let wamid = rig.sent(&text(OPEN)).await;
    assert_eq!(
        rig.status_of(&wamid).await["errors"][0]["code"],
        131_049,
        "asynchronous by the table"
    );

    rig.control("faults", &json!({"match": {"to": "1999*"}, "do": {"code": 131_016}})).await;
    rig.sent(&text(OPEN)).await;
    assert_eq!(rig.get("/_sandbox/faults").await.1["data"].as_array().unwrap().len(), 1);
    assert_eq!(rig.delete("/_sandbox/faults").await.1["removed"], 1);
    let header = rig.call(Method::POST, &path).header("x-sandbox-fault", r#"{"code":4}"#);
    refused(&answer(header.json(&text(OPEN)).send().await.unwrap()).await, 429, 4);
    assert_eq!(rig.post("/_sandbox/faults", &json!({"do": {}})).await.0, 400);
}

#[tokio::test]
async fn a_reset_loses_the_answer_before_or_after_acceptance() {
    let rig = Rig::start().await;
    let path = format!("/{NUMBER}/messages");
    for (reset, kept) in [("before", 0), ("after", 1)] {
        let rule = json!({"match": {"next": 1}, "do": {"reset": reset}});
        rig.control("faults", &rule).await;
        let sent = rig.call(Method::POST, &path).json(&text(OPEN)).send().await;
        let error = sent.expect_err("the connection is cut");
        assert!(error.is_request(), "{error:?}");
        let (_, ledger) = rig.get("/_sandbox/messages").await;
        assert_eq!(ledger["data"].as_array().unwrap().len(), kept, "{reset}");
    }
    rig.sent(&text(OPEN)).await;
}

#[tokio::test]
async fn templates_are_reviewed_listed_paused_and_deleted() {
    let mut rig = Rig::start().await;
    let path = format!("/v25.0/{WABA}/message_templates");
    let body = |text: &str| {
        json!({"name": "parcel", "language": "en", "category": "utility",
        "components": [{"type": "BODY", "text": text, "example": {"body_text": [["A-1"]]}}]})
    };
    refused(&rig.post(&path, &body(&"x".repeat(1_025))).await, 400, 2_388_072);
    refused(&rig.post(&path, &body("Your parcel is {{1}}")).await, 400, 2_388_299);
    let (status, created) = rig.post(&path, &body("Your parcel {{1}} is here.")).await;
    assert_eq!((status, &created["status"]), (200, &json!("PENDING")), "{created}");
    refused(&rig.post(&path, &body("Your parcel {{1}} is here.")).await, 400, 100);
    let send = |rig: &Rig| {
        let content = json!({"name": "parcel", "language": {"code": "en"},
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "A-1"}]}]});
        let body = message(CLOSED, "template", content);
        let request = rig.call(Method::POST, &format!("/{NUMBER}/messages")).json(&body);
        async { answer(request.send().await.unwrap()).await }
    };
    refused(&send(&rig).await, 404, 132_001);

    rig.control("clock/advance", &json!({"seconds": 30})).await;
    let update = rig.update(|update| update["field"] == "message_template_status_update").await;
    assert_eq!(
        (&update["value"]["event"], &update["value"]["message_template_name"]),
        (&json!("APPROVED"), &json!("parcel"))
    );
    assert!(update["value"]["message_template_id"].is_u64(), "an integer here");
    assert_eq!(send(&rig).await.0, 200);

    let (_, list) = rig.get(&format!("{path}?limit=2&fields=name,status")).await;
    assert_eq!(list["data"][0]["name"], "hello_world");
    assert!(list["data"][0].get("components").is_none());
    let after = list["paging"]["cursors"]["after"].as_str().unwrap();
    assert!(list["paging"]["next"].as_str().unwrap().contains(after));
    let (_, rest) = rig.get(&format!("{path}?limit=2&after={after}")).await;
    assert_eq!(
        (rest["data"].as_array().unwrap().len(), &rest["data"][0]["name"]),
        (1, &json!("parcel"))
    );
    assert!(rest["paging"].get("next").is_none());
    let (_, named) = rig.get(&format!("{path}?name=parcel&status=APPROVED")).await;
    let id = named["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(rig.get(&format!("/{id}")).await.1["language"], "en");

    rig.control(&format!("templates/{id}"), &json!({"status": "PAUSED"})).await;
    refused(&send(&rig).await, 400, 132_015);
    let edit = json!({"components": [{"type": "BODY", "text": "It is here."}]});
    assert_eq!(rig.post(&format!("/{id}"), &edit).await.1, json!({"success": true}));
    assert_eq!(rig.get(&format!("/{id}")).await.1["status"], "PENDING");
    assert_eq!(rig.delete(&format!("{path}?name=parcel")).await.1, json!({"success": true}));
    refused(&rig.get(&format!("/{id}")).await, 400, 100);
    refused(&rig.delete(&format!("{path}?name=parcel")).await, 400, 100);
}

#[tokio::test]
async fn numbers_are_read_registered_and_described() {
    let rig = Rig::start().await;
    let (_, number) = rig.get(&format!("/{NUMBER}?fields=verified_name,status")).await;
    assert_eq!(
        number,
        json!({"verified_name": "Waypost Demo", "status": "CONNECTED", "id": NUMBER})
    );
    assert_eq!(rig.get(&format!("/{WABA}/phone_numbers")).await.1["data"][0]["id"], NUMBER);
    assert_eq!(rig.post(&format!("/{NUMBER}/deregister"), &json!({})).await.0, 200);
    refused(&rig.send(&text(OPEN)).await, 400, 133_010);
    let register = |pin: &str| json!({"messaging_product": "whatsapp", "pin": pin});
    let path = format!("/{NUMBER}/register");
    refused(&rig.post(&path, &register("12")).await, 400, 100);
    assert_eq!(rig.post(&path, &register("123456")).await.0, 200);
    refused(&rig.post(&path, &register("654321")).await, 400, 133_005);
    rig.sent(&text(OPEN)).await;
    for _ in 0..7 {
        rig.post(&path, &register("123456")).await;
    }
    refused(&rig.post(&path, &register("123456")).await, 400, 133_016);

    let profile = format!("/{NUMBER}/whatsapp_business_profile");
    let change = json!({"messaging_product": "whatsapp", "about": "Parcels"});
    assert_eq!(rig.post(&profile, &change).await.0, 200);
    assert_eq!(rig.get(&profile).await.1["data"][0]["about"], "Parcels");
    let long = json!({"messaging_product": "whatsapp", "about": "x".repeat(140)});
    refused(&rig.post(&profile, &long).await, 400, 100);
    let settings = format!("/{NUMBER}/settings");
    let on = json!({"user_identity_change": {"enabled": true}});
    assert_eq!(rig.post(&settings, &on).await.0, 200);
    for wrong in [
        json!({"user_identity_change": false}),
        json!({"user_identity_change": {"enable_identity_key_check": "no"}}),
        json!({"user_identity_change": {"enabled": 0}}),
        json!({"user_identity_change": {"enabled": null}}),
    ] {
        refused(&rig.post(&settings, &wrong).await, 400, 100);
    }
    assert_eq!(
        rig.get(&settings).await.1["user_identity_change"]["enable_identity_key_check"],
        true
    );
}

#[tokio::test]
async fn management_calls_are_counted_per_hour() {
    let rig = Rig::start().await;
    rig.control("limits", &json!({"management_per_hour": 2})).await;
    let path = format!("/{NUMBER}");
    let first = rig.call(Method::GET, &path).send().await.unwrap();
    let usage = first.headers()["x-business-use-case-usage"].to_str().unwrap().to_owned();
    let usage: Value = serde_json::from_str(&usage).unwrap();
    assert_eq!(usage[WABA][0]["call_count"], 50);
    assert_eq!(rig.get(&path).await.0, 200);
    refused(&rig.get(&path).await, 429, 80_007);
    rig.sent(&text(OPEN)).await;
    rig.control("clock/advance", &json!({"seconds": 3_600})).await;
    assert_eq!(rig.get(&path).await.0, 200);
}

#[tokio::test]
async fn the_page_shows_chats_bubbles_and_ticks() {
    let mut rig = Rig::start().await;
    let page = rig.http.get(&rig.base).send().await.unwrap();
    assert!(
        page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'self'")
    );
    let (_, media) = rig.upload(PNG, "image/png", None).await;
    let components = json!([{"type": "header", "parameters": [{"type": "image", "image": {"id": media["id"]}}]},
        {"type": "body", "parameters": [{"type": "text", "text": "Ann"}, {"type": "text", "text": "A-1"}]}]);
    let content =
        json!({"name": "order_update", "language": {"code": "en_US"}, "components": components});
    let wamid = rig.sent(&message(OPEN, "template", content)).await;
    let bubbles = format!("/_sandbox/handset/messages?phone={OPEN}&phone_number_id={NUMBER}");
    let bubble = rig.get(&bubbles).await.1["data"][0].clone();
    assert_eq!(
        (&bubble["id"], &bubble["status"], &bubble["direction"]),
        (&json!(wamid), &json!("accepted"), &json!("out"))
    );
    assert!(
        bubble["text"]
            .as_str()
            .unwrap()
            .starts_with("Hello Ann, there is news about your order A-1")
    );
    let shown = bubble["template"]["header"]["media"]["url"].as_str().unwrap().to_owned();
    let shown = rig.http.get(format!("{}{shown}", rig.base)).send().await.unwrap();
    assert_eq!(
        (&shown.headers()["content-type"], &shown.headers()["x-content-type-options"]),
        (&"image/png".parse().unwrap(), &"nosniff".parse().unwrap())
    );

    assert_eq!(rig.status_of(&wamid).await["status"], "sent");
    assert_eq!(rig.status_of(&wamid).await["status"], "delivered");
    let chats = rig.get("/_sandbox/handset/chats").await.1;
    let ann = &chats["data"][0];
    assert_eq!(
        (&ann["phone"], &ann["name"], &ann["unread"]),
        (&json!(OPEN), &json!("Ann"), &json!(1))
    );
    assert_eq!(chats["data"].as_array().unwrap().len(), 4, "everybody known");
    let key = json!({"phone": OPEN, "phone_number_id": NUMBER});
    assert_eq!(rig.control("handset/read", &key).await["read"], 1);
    assert_eq!(rig.status_of(&wamid).await["status"], "read");
    assert_eq!(rig.get(&bubbles).await.1["data"][0]["status"], "read");

    let reply = json!({"phone": OPEN, "phone_number_id": NUMBER, "text": "Thanks"});
    let sent = rig.control("handset/send", &reply).await;
    assert_eq!((&sent["direction"], &sent["text"]), (&json!("in"), &json!("Thanks")));
    let update = rig.update(|update| update["value"].get("messages").is_some()).await;
    assert_eq!(update["value"]["messages"][0]["text"]["body"], "Thanks");
}

#[tokio::test]
async fn every_file_of_the_page_is_served_under_the_same_policy() {
    let rig = Rig::start().await;
    let mut waiting = vec!["/".to_owned()];
    let mut seen = Vec::new();
    while let Some(path) = waiting.pop() {
        let response = rig.http.get(format!("{}{path}", rig.base)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"), "{path}");
        let text = response.text().await.unwrap();
        seen.push(path);
        let modules =
            text.split("from \"./").skip(1).map(|rest| format!("/handset/{}", name(rest)));
        let parts =
            text.split("=\"/handset/").skip(1).map(|rest| format!("/handset/{}", name(rest)));
        for found in modules.chain(parts) {
            if !seen.contains(&found) && !waiting.contains(&found) {
                waiting.push(found);
            }
        }
    }
    assert!(seen.len() > 15, "{seen:?}");
}

/// What stands before the next quotation mark.
fn name(rest: &str) -> &str {
    rest.split('"').next().unwrap_or("")
}

#[tokio::test]
async fn the_page_adds_people_and_hears_of_changes() {
    let rig = Rig::start().await;
    let mut events =
        rig.http.get(format!("{}/_sandbox/handset/events", rig.base)).send().await.unwrap();
    let added =
        rig.control("handset/people", &json!({"phone": "+1 555 000 6666", "name": "Fay"})).await;
    assert_eq!((&added["phone"], &added["name"]), (&json!("15550006666"), &json!("Fay")));
    let chunk = events.chunk().await.unwrap().unwrap();
    let chunk = std::str::from_utf8(&chunk).unwrap();
    assert!(chunk.contains("event: change") && chunk.contains("15550006666"), "{chunk}");
    let wrong = json!({"phone": "12", "name": "X"});
    assert_eq!(rig.post("/_sandbox/handset/people", &wrong).await.0, 400);
}

#[tokio::test]
async fn other_web_pages_cannot_reach_in() {
    let rig = Rig::start().await;
    let foreign =
        rig.call(Method::DELETE, "/_sandbox/state").header("origin", "http://evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let own = rig.call(Method::DELETE, "/_sandbox/state").header("origin", rig.base.clone());
    assert_eq!(own.send().await.unwrap().status(), 200);
}

/// Under a name that a stranger may own, a page of the stranger's would be of the same origin.
#[tokio::test]
async fn names_of_strangers_reach_nothing() {
    let rig = Rig::start().await;
    let status = async |path: &str, host: &str| {
        let call = rig.call(Method::GET, path).bearer_auth("any").header("host", host);
        let response = call.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let graph = format!("/v23.0/{NUMBER}");
    for path in ["/", "/handset/app.js", "/_sandbox/messages", "/_sandbox/handset/chats", &graph] {
        for host in ["evil.example:8081", "127.0.0.1.evil.example"] {
            let (status, text) = status(path, host).await;
            assert_eq!(status, 403, "{path} {host}");
            assert!(text.contains(host) && text.contains("set public_url"), "{text}");
        }
        for host in ["waypost:8081", "localhost:8081", "host.docker.internal", "wa.example.com"] {
            assert_eq!(status(path, host).await.0, 200, "{path} {host}");
        }
    }
}

#[tokio::test]
async fn dangerous_files_are_attachments() {
    let rig = Rig::start().await;
    let (_, media) = rig.upload(b"<script>alert(1)</script>", "text/html", None).await;
    let url = format!("{}/_sandbox/handset/media/{}", rig.base, media["id"].as_str().unwrap());
    let response = rig.http.get(url).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert!(header("content-disposition").starts_with("attachment"));
    assert!(header("content-security-policy").contains("sandbox"));
}

#[tokio::test]
async fn people_change_their_identity_block_and_leave() {
    let mut rig = Rig::start().await;
    rig.control("people", &json!({"phone": OPEN, "change_identity": true})).await;
    let update = rig.update(|update| update["value"].get("messages").is_some()).await;
    assert_eq!(update["value"]["messages"][0]["system"]["type"], "customer_identity_changed");
    rig.control("people", &json!({"phone": CLOSED, "change_identity": true})).await;
    let unopened = rig.sent(&text(CLOSED)).await;
    assert_eq!(rig.status_of(&unopened).await["errors"][0]["code"], 131_047, "nobody wrote");
    rig.control("people", &json!({"phone": OPEN, "blocks_business": true})).await;
    let wamid = rig.sent(&text(OPEN)).await;
    assert_eq!(rig.status_of(&wamid).await["status"], "sent");
    rig.control("people", &json!({"phone": OPEN, "on_whatsapp": false})).await;
    let lost = rig.sent(&text(OPEN)).await;
    assert_eq!(rig.status_of(&lost).await["errors"][0]["code"], 131_026);
    assert_eq!(rig.ledger_statuses(&wamid).await, ["sent"], "never delivered");
}

#[tokio::test]
async fn windows_opened_by_the_embedding_process_survive_starting_over() {
    let mut rig = Rig::start().await;
    assert!(rig.sandbox.open_window(CLOSED, NUMBER));
    assert!(!rig.sandbox.open_window(CLOSED, "999"));
    rig.delete("/_sandbox/state").await;
    let wamid = rig.sent(&text(CLOSED)).await;
    assert_eq!(rig.status_of(&wamid).await["status"], "sent");
}

#[tokio::test]
async fn unknown_control_calls_need_no_token_to_be_unknown() {
    let rig = Rig::start().await;
    refused(&rig.get("/_sandbox/nonsense").await, 404, 2500);
}
