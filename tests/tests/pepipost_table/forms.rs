//! Rows 2 to 24, 26 to 28, 35 to 41 and 43 to 45: what a request must look like.

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::fixture::{with, without};
use waypost_tests::{MediaHost, Reply, eventually};

use crate::desk::{Desk, KEY, NC, SEND, by_id, by_url, place, template, text, to};
use crate::table::{BAD_MEDIA, MISSING, STRANGER, Table, is_uuid, wrong};

const FIELD: &str = "/message/0";

fn changed(body: Value, name: &str, value: Value) -> Value {
    with(body, &format!("{FIELD}/{name}"), value)
}

fn lacking(body: Value, name: &str) -> Value {
    without(body, &format!("{FIELD}/{name}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_2_to_6_13_15_18_and_41_take_every_spelling() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let host = MediaHost::start().await;
    let mid = desk.uploaded().await;
    let media = by_id(&mid);
    let mut ids = Vec::new();
    for base in ["/api/v2/message", NC, "/api/v2/message/nc/priority", "/api/v2/message/nc/message"]
    {
        for path in [base.to_owned(), format!("{base}/")] {
            ids.push(table.accepts(&format!("2 {path}"), desk.post(&path, &media)).await);
        }
    }
    for (name, body) in [
        ("X", text()),
        ("MU", by_url(&host.url("/public/teal.png"))),
        ("LO", place()),
        ("TE", template()),
    ] {
        ids.push(table.accepts(&format!("3 {name}"), desk.send(&body)).await);
    }
    let attachment = media["message"][0]["type_media"][0]["attachments"][0].clone();
    let bare = changed(media.clone(), "type_media", json!({ "attachments": attachment }));
    let bare = json!({"message": bare["message"][0]});
    ids.push(table.accepts("4", desk.send(&bare)).await);
    let capital = changed(template(), "message_type", json!("Template"));
    ids.push(table.accepts("5", desk.send(&capital)).await);
    let token = |value: String| desk.keyless(SEND).header("Authorization", value).json(&text());
    ids.push(table.accepts("6", token(KEY.to_owned())).await);
    ids.push(table.accepts("6", token(format!("bEARER {KEY}"))).await);
    for number in [json!("+15550001111"), json!(15_550_001_111_u64), json!(" 15550001111 ")] {
        let body = changed(text(), "recipient_whatsapp", number);
        ids.push(table.accepts("13", desk.send(&body)).await);
    }
    ids.push(table.accepts("15", desk.send(&lacking(text(), "recipient_type"))).await);
    ids.push(table.accepts("18 X", desk.send(&lacking(text(), "source"))).await);
    let link = lacking(by_url(&host.url("/public/teal.png")), "source");
    ids.push(table.accepts("18 MU", desk.send(&link)).await);
    ids.push(table.accepts("18 MI", desk.post(NC, &lacking(media, "source"))).await);
    let extended = changed(text(), "priority", json!({"a": [1]}));
    let extended = changed(extended, "type_text/0/colour", json!(null));
    let extended = with(extended, "/campaign", json!("spring"));
    ids.push(table.accepts("41", desk.send(&extended)).await);
    for id in &ids {
        table.told("2-41", id, "sent").await;
        table.told("2-41", id, "delivered").await;
    }
    let ledger = desk.sandbox().ledger().await;
    table.check("2-41", ledger.len() == ids.len(), "not one message upstream for each request");
    let is_to = |row: &Value| row["message"]["to"] == "+15550001111";
    table.check("13", ledger.iter().all(is_to), "another receiver");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_7_to_10_and_44_to_45_refuse_what_is_no_request_of_this_key() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let keyless = || desk.keyless(SEND).json(&text());
    let reply = table.refuses("7", keyless(), 401, STRANGER).await;
    table.check("7", reply.header("www-authenticate") == Some("Bearer"), "WWW-Authenticate");
    table.refuses("7", keyless().bearer_auth("wp_test_wrong"), 401, STRANGER).await;
    table.refuses("8", keyless().header("apiKey", KEY), 401, STRANGER).await;
    let raw = |body: &'static str| desk.keyless(SEND).bearer_auth(KEY).body(body);
    for body in [r#"{"message":["#, "", "[]"] {
        table.refuses("9", raw(body), 400, MISSING).await;
    }
    for body in [json!({}), json!({"message": []}), json!({"message": "x"})] {
        table.refuses("10", desk.send(&body), 400, MISSING).await;
    }
    let get = desk.request(Method::GET, SEND);
    let reply = table.refuses("44", get, 405, MISSING).await;
    table.check("44", reply.header("allow") == Some("POST"), "no Allow: POST");
    let unknown = desk.post("/api/v2/unknown", &text());
    table.refuses("45", unknown, 404, MISSING).await;
    let long = changed(text(), "type_text/0/content", json!("x".repeat(1_048_577)));
    table.refuses("43", desk.send(&long), 413, MISSING).await;
    table.check("7-45", desk.sandbox().ledger().await.is_empty(), "something was sent");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_11_to_24_and_26_to_28_refuse_values_in_the_vendors_words() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let mid = desk.uploaded().await;
    let (media, link) = (by_id(&mid), by_url("https://files.example.com/a.jpg"));
    let nobody = wrong(" recipient_whatsapp cannot be null or blank");
    let only_numbers =
        wrong(" Invalid value in recipient_whatsapp parameter. Only numbers are allowed");
    let too_few = wrong(" recipient_whatsapp cannot be less than 10 digits");
    let too_many = wrong(" recipient_whatsapp cannot be greater than 15 digits");
    let individual = wrong(" recipient_type can only be individual");
    let no_source = wrong(" source cannot be null or blank");
    let bad_place = wrong(" Invalid value in location parameter.");
    let attachment = "type_media/0/attachments/0";
    let rows = [
        ("11", lacking(text(), "recipient_whatsapp"), nobody),
        ("11", changed(text(), "recipient_whatsapp", Value::Null), nobody),
        ("11", changed(text(), "recipient_whatsapp", json!("")), nobody),
        ("12", to(text(), "12345"), too_few),
        ("12", to(text(), "1234567890123456"), too_many),
        ("12", to(text(), "15550x01111"), only_numbers),
        ("14", changed(text(), "recipient_type", json!("group")), individual),
        (
            "14",
            changed(text(), "recipient_type", json!("")),
            wrong(" recipient_type cannot be null or blank"),
        ),
        ("16", lacking(text(), "message_type"), wrong(" message_type cannot be null or blank")),
        (
            "16",
            changed(text(), "message_type", json!("contact")),
            wrong(" message_type can only be text/media/template/location."),
        ),
        ("17 MI", lacking(media.clone(), "source"), no_source),
        ("17 LO", lacking(place(), "source"), no_source),
        ("17 TE", lacking(template(), "source"), no_source),
        ("20", lacking(media.clone(), "type_media"), MISSING),
        ("20", changed(media.clone(), "type_media/0/attachments", json!([])), MISSING),
        ("20", changed(media, attachment, json!({})), MISSING),
        ("21", lacking(text(), "type_text"), MISSING),
        ("21", lacking(text(), "type_text/0/content"), MISSING),
        ("22", changed(text(), "type_text/0/content", json!({"a": 1})), MISSING),
        ("23", lacking(place(), "type_location/0/latitude"), MISSING),
        ("23", changed(place(), "type_location/0/latitude", json!("x")), bad_place),
        ("24", lacking(template(), "type_template/0/name"), MISSING),
        ("24", lacking(template(), "type_template/0/language/locale"), MISSING),
        (
            "26",
            changed(link.clone(), &format!("{attachment}/attachment_type"), json!("gif")),
            wrong(" attachment_type can only be image/video/audio/document/sticker"),
        ),
        (
            "27",
            lacking(
                by_url("https://files.example.com/a"),
                &format!("{attachment}/attachment_type"),
            ),
            MISSING,
        ),
        ("28", by_url("ftp://files.example.com/a.jpg"), BAD_MEDIA),
    ];
    for (row, body, words) in rows {
        table.refuses(row, desk.send(&body), 400, words).await;
    }
    let ledger = desk.sandbox().ledger().await;
    table.check("11-28", ledger.is_empty(), "something was sent");
    let numeric = changed(place(), "type_location/0/latitude", json!("37.7"));
    let id = table.accepts("23", desk.send(&numeric)).await;
    let sent = desk.sent(&id).await["message"]["location"].clone();
    table.check("23", sent["latitude"] == 37.7, &sent.to_string());
    let unnamed = lacking(link, &format!("{attachment}/attachment_type"));
    let id = table.accepts("27", desk.send(&unnamed)).await;
    table.check("27", desk.sent(&id).await["type"] == "image", "another type");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_19_knows_the_sources_of_its_own_organisation() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let media = by_id(&desk.uploaded().await);
    let invalid = wrong(" source is invalid");
    for foreign in ["src-2", "src-9"] {
        let body = changed(media.clone(), "source", json!(foreign));
        table.refuses("19", desk.send(&body), 400, invalid).await;
        let id = table.accepts("19", desk.post(NC, &body)).await;
        let receipt = table.told("19", &id, "sent").await;
        table.check("19", receipt["source"] == foreign, &receipt.to_string());
        let sent = desk.sent(&id).await;
        table.check("19", sent["from"] == "15550009999", &sent.to_string());
    }
    // Another sender of the same organisation is found by its source.
    let asked = json!({"cc": "1", "phone_number": "5550007777", "verified_name": "Second"});
    let path = format!("/v23.0/{}/phone_numbers", waypost_tests::fixture::WABA_ID);
    let made = desk.sandbox().call(Method::POST, &path, Some(&asked)).await.ok().json();
    let number = made["id"].as_str().unwrap();
    let code = json!({"code": "123456"});
    let verify = format!("/v23.0/{number}/verify_code");
    desk.sandbox().call(Method::POST, &verify, Some(&code)).await.ok();
    let second = json!({"id": number, "display_phone": "15550007777", "phone_number_id": number,
        "waba_id": waypost_tests::fixture::WABA_ID, "source_id": "src-3"});
    desk.make("/orgs/org-1/numbers", &second).await;
    let register = format!("/orgs/org-1/numbers/{number}/register");
    desk.make(&register, &json!({"pin": "123456"})).await;
    let body = changed(template(), "source", json!("src-3"));
    for path in [SEND, NC] {
        let id = table.accepts("19", desk.post(path, &body)).await;
        let sent = desk.sent(&id).await;
        table.check("19", sent["phone_number_id"] == number, &sent.to_string());
    }
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_35_to_40_bound_and_repeat_requests() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let long = |length: usize| changed(text(), "type_text/0/content", json!("é".repeat(length)));
    table.accepts("35", desk.send(&long(4_096))).await;
    let words = wrong(" content cannot be greater than 4096 characters");
    table.refuses("35", desk.send(&long(4_097)), 400, words).await;
    let media = by_id(&desk.uploaded().await);
    let attachment = media["message"][0]["type_media"][0]["attachments"][0].clone();
    let two = changed(media, "type_media/0/attachments", json!([attachment, attachment]));
    let words = wrong(" attachments can contain only one element");
    table.refuses("36", desk.send(&two), 400, words).await;

    let element = |body: Value| body["message"][0].clone();
    let lone = element(lacking(text(), "recipient_whatsapp"));
    let broken = json!({"message": [element(text()), lone, element(text())]});
    let words = wrong(" recipient_whatsapp cannot be null or blank");
    table.refuses("38", desk.send(&broken), 400, words).await;
    let out = "/orgs/org-1/messages?direction=outbound";
    let log = desk.fixture.admin().all(out).await;
    table.check("38", log.len() == 1, "something was queued");

    let three = json!({"message": [element(text()), element(place()), element(template())]});
    let reply = Reply::to(desk.send(&three)).await.expect(200).json();
    let ids: Vec<&str> =
        reply["data"]["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let first = reply["data"]["id"].as_str().unwrap();
    table.check("37", ids.len() == 3 && ids[0] == first, &reply.to_string());
    table.check("37", ids.iter().all(|id| is_uuid(id)), &reply.to_string());
    for (id, kind) in ids.into_iter().zip(["text", "location", "template"]) {
        table.check("37", desk.sent(id).await["type"] == kind, "another order");
    }

    let once = table.accepts("39", desk.send(&text())).await;
    let twice = table.accepts("39", desk.send(&text())).await;
    table.check("39", once != twice, "one id");
    let keyed = |path: &str, body: &Value| desk.post(path, body).header("Idempotency-Key", "k-1");
    let first = Reply::to(keyed(SEND, &text())).await.expect(200);
    let again = Reply::to(keyed("/api/v2/message", &text())).await.expect(200);
    table.check("40", first.body == again.body, "two replies");
    table.check("40", first.header("idempotency-replayed").is_none(), "the first is replayed");
    table.check("40", again.header("idempotency-replayed") == Some("true"), "not replayed");
    let words = wrong(" Idempotency-Key was used with another body");
    table.refuses("40", keyed(SEND, &place()), 409, words).await;
    eventually("seven messages upstream", async || {
        (desk.sandbox().ledger().await.len() == 7).then_some(())
    })
    .await;
    let log = desk.fixture.admin().all(out).await;
    table.check("35-40", log.len() == 7, &format!("{} messages", log.len()));
    table.end();
}
