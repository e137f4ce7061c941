//! Every row of the ReplyHero reference's table of test cases (§13), end to end: the real binary, the
//! sandbox as its upstream, the directory of the table made through the management API.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use waypost_tests::files::{JPEG, MP4, PDF, PNG, padded};
use waypost_tests::fixture::{
    EMPTY_KEY, Fixture, KEY, inline, link, template, text, upload_form, with, without,
};
use waypost_tests::{MockUpstream, Options, Reply, eventually};

const SEND: &str = "/whatsapp/messages/send";

/// Rows that were asked for, with what went wrong: all are told at the end.
struct Table<'a> {
    fixture: &'a Fixture,
    faults: Vec<String>,
}

impl<'a> Table<'a> {
    fn of(fixture: &'a Fixture) -> Self {
        Self { fixture, faults: Vec::new() }
    }

    /// The row is answered with this error and nothing else.
    async fn refuses(
        &mut self,
        row: &str,
        request: RequestBuilder,
        status: u16,
        code: &str,
        field: &str,
    ) -> Reply {
        let reply = Reply::to(request).await;
        let mut error = json!({ "code": code });
        if field != "-" {
            error["field"] = field.into();
        }
        let mut body = reply.json();
        let message = body["error"].as_object_mut().and_then(|error| error.shift_remove("message"));
        let told = message.is_some_and(|message| message.as_str().is_some_and(|m| !m.is_empty()));
        if reply.status != status || body != json!({ "error": error }) || !told {
            let text = reply.text();
            self.faults
                .push(format!("row {row}: not {status} {error} but {} {text}", reply.status));
        }
        reply
    }

    /// The row is answered with 200.
    async fn accepts(&mut self, row: &str, request: RequestBuilder) -> Reply {
        let reply = Reply::to(request).await;
        if reply.status != 200 {
            self.faults.push(format!("row {row}: not 200 but {} {}", reply.status, reply.text()));
        }
        reply
    }

    fn check(&mut self, row: &str, holds: bool, what: &str) {
        if !holds {
            self.faults.push(format!("row {row}: {what}"));
        }
    }

    /// What is in the sandbox's ledger for a reply.
    async fn sent(&self, reply: &Reply) -> Value {
        let wamid = reply.json()["response"]["messages"][0]["id"].clone();
        let ledger = self.fixture.waypost.sandbox().ledger().await;
        ledger.into_iter().find(|row| row["wamid"] == wamid).unwrap_or(Value::Null)
    }

    async fn ledger_length(&self) -> usize {
        self.fixture.waypost.sandbox().ledger().await.len()
    }

    fn end(self) {
        assert!(self.faults.is_empty(), "\n{}", self.faults.join("\n"));
    }
}

fn sorted_keys(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            let names: Vec<&String> = members.keys().collect();
            names.is_sorted() && members.values().all(sorted_keys)
        }
        Value::Array(elements) => elements.iter().all(sorted_keys),
        _ => true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_1_to_5_and_15_send_a_text() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let reply = table.accepts("1", fixture.send(&text())).await;
    let body = reply.json();
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    let documented = [
        "customerId",
        "id",
        "messageType",
        "orgId",
        "response",
        "sessionId",
        "timestamp",
        "userId",
    ];
    table.check("1", names == documented, &format!("keys {names:?}"));
    table.check("1", sorted_keys(&body), "keys are not sorted");
    table.check("1", body["messageType"] == "human", "messageType");
    let phone = json!([{"input": "15550001111", "wa_id": "15550001111"}]);
    table.check("1", body["response"]["contacts"] == phone, "contacts");
    table.check("1", reply.header("content-type") == Some("application/json"), "content type");
    table.check("1", reply.header("x-request-id").is_some(), "x-request-id");
    let sent = table.sent(&reply).await;
    table.check("1", sent["message"]["text"]["body"] == "testing msg", &sent.to_string());
    table.check("1", sent["message"]["to"] == "+15550001111", &sent.to_string());

    table.accepts("2", fixture.call("/whatsapp/messages/send/", &text())).await;
    let lower = fixture.keyless(SEND).header("x-api-key", KEY).json(&text());
    table.accepts("3", lower).await;
    let extended = with(text(), "/priority", json!({"a": [1]}));
    let extended = with(extended, "/message/preview", json!(true));
    table.accepts("4", fixture.send(&extended)).await;
    let numeric = with(text(), "/customerId", json!(4711));
    let reply = table.accepts("5", fixture.send(&numeric)).await;
    table.check("5", reply.json()["customerId"] == "4711", &reply.text());
    let bare = fixture.keyless(SEND).header("X-API-KEY", KEY).body(text().to_string());
    table.accepts("15", bare).await;
    table.check("1-15", table.ledger_length().await == 6, "the ledger has not six messages");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_6_to_14_refuse_what_is_no_request_of_this_key() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let keyless = || fixture.keyless(SEND).json(&text());
    table.refuses("6", keyless(), 401, "missing_api_key", "-").await;
    table.refuses("7", keyless().bearer_auth(KEY), 401, "missing_api_key", "-").await;
    let wrong = keyless().header("X-API-KEY", "wp_test_wrong");
    table.refuses("8", wrong, 401, "invalid_api_key", "-").await;
    let get = |key: &str| fixture.waypost.request(Method::GET, SEND).header("X-API-KEY", key);
    let reply = table.refuses("9", get(KEY), 405, "method_not_allowed", "-").await;
    table.check("9", reply.header("allow") == Some("POST"), "no Allow: POST");
    table.refuses("9", get("wp_test_wrong"), 401, "invalid_api_key", "-").await;
    let unknown = fixture.call("/whatsapp/messages/sendx", &text());
    table.refuses("10", unknown, 404, "route_not_found", "-").await;
    let raw = |body: &str| {
        let request = fixture.keyless(SEND).header("X-API-KEY", KEY);
        request.header("content-type", "application/json").body(body.to_owned())
    };
    table.refuses("11", raw("{\"message\":"), 400, "invalid_json", "-").await;
    let bare_words = "{\"message\":{\"type\":\"text\",\"text\":{\"body\":\"testing\"}},\
        \"sessionId\": chat-1,\"customerId\": cust-1001,\"userId\": user-1,\"orgId\": org-1}";
    table.refuses("12", raw(bare_words), 400, "invalid_json", "-").await;
    table.refuses("13", raw(""), 400, "invalid_json", "-").await;
    table.refuses("13", raw("[]"), 400, "invalid_body", "-").await;
    let plain = fixture.keyless(SEND).header("X-API-KEY", KEY).body(text().to_string());
    let plain = plain.header("content-type", "text/plain");
    table.refuses("14", plain, 415, "unsupported_content_type", "-").await;
    table.check("6-14", table.ledger_length().await == 0, "something was sent");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_16_to_25_refuse_texts_that_do_not_hold() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    for path in ["message", "message.type", "message.text", "message.text.body"] {
        let body = without(text(), &format!("/{}", path.replace('.', "/")));
        table.refuses("16", fixture.send(&body), 400, "missing_field", path).await;
        let body = with(text(), &format!("/{}", path.replace('.', "/")), Value::Null);
        table.refuses("16 (null)", fixture.send(&body), 400, "missing_field", path).await;
    }
    for name in ["sessionId", "customerId", "userId", "orgId"] {
        let body = without(text(), &format!("/{name}"));
        table.refuses("17", fixture.send(&body), 400, "missing_field", name).await;
    }
    for (row, pointer, value, status, code, field) in [
        ("18", "/message", json!("hello"), 400, "invalid_type", "message"),
        ("18", "/message/text/body", json!({}), 400, "invalid_type", "message.text.body"),
        ("19", "/message/text/body", json!("  "), 400, "invalid_value", "message.text.body"),
        (
            "20",
            "/message/text/body",
            json!("é".repeat(4_097)),
            400,
            "value_too_long",
            "message.text.body",
        ),
        ("21", "/message/type", json!("audio"), 400, "unsupported_message_type", "message.type"),
        ("22", "/orgId", json!("org-2"), 403, "org_forbidden", "orgId"),
        ("22", "/orgId", json!("org-unknown"), 403, "org_forbidden", "orgId"),
        ("23", "/userId", json!("user-2"), 403, "user_forbidden", "userId"),
        ("23", "/userId", json!("nobody"), 403, "user_forbidden", "userId"),
        ("24", "/customerId", json!("nobody"), 404, "customer_not_found", "customerId"),
        ("24", "/customerId", json!("cust-2001"), 404, "customer_not_found", "customerId"),
        ("24", "/customerId", json!("15550001111"), 404, "customer_not_found", "customerId"),
        ("24", "/customerId", json!("cust-1009"), 404, "customer_not_found", "customerId"),
        ("25", "/customerId", json!("cust-1002"), 409, "window_closed", "-"),
    ] {
        let body = with(text(), pointer, value);
        table.refuses(row, fixture.send(&body), status, code, field).await;
    }
    let foreign = Reply::to(fixture.send(&with(text(), "/orgId", json!("org-2")))).await.text();
    let unknown = Reply::to(fixture.send(&with(text(), "/orgId", json!("org-9")))).await.text();
    table.check("22", foreign.replace("org-2", "org-9") == unknown, "two answers for ids");
    table.check("16-25", table.ledger_length().await == 0, "something was sent");
    let longest = with(text(), "/message/text/body", json!("é".repeat(4_096)));
    table.accepts("20", fixture.send(&longest)).await;
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_26_to_28_repeat_requests() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let first = table.accepts("26", fixture.send(&text())).await.json();
    let second = table.accepts("26", fixture.send(&text())).await.json();
    let wamid = |body: &Value| body["response"]["messages"][0]["id"].clone();
    table.check("26", first["id"] != second["id"], "the same id twice");
    table.check("26", wamid(&first) != wamid(&second), "the same wamid twice");
    let before = table.ledger_length().await;
    let keyed = |body: &Value| fixture.send(body).header("Idempotency-Key", "order-1");
    let first = table.accepts("27", keyed(&text())).await;
    let second = table.accepts("27", keyed(&text())).await;
    table.check("27", first.body == second.body, "two replies differ");
    table.check("27", first.header("idempotency-replayed").is_none(), "the first is replayed");
    table.check("27", second.header("idempotency-replayed") == Some("true"), "not replayed");
    let other = with(text(), "/message/text/body", json!("another"));
    table.refuses("28", keyed(&other), 422, "idempotency_conflict", "-").await;
    table.check("27", table.ledger_length().await == before + 1, "not one send upstream");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_29_reads_the_same_bytes_from_every_spelling() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let list: Vec<String> = PNG.iter().map(u8::to_string).collect();
    for data in [
        json!(STANDARD.encode(PNG)),
        json!(URL_SAFE_NO_PAD.encode(PNG)),
        json!(format!("data:image/png;base64,{}", STANDARD.encode(PNG))),
        json!(list.join(",")),
        json!(PNG),
        json!({"type": "Buffer", "data": PNG}),
        json!(PNG.iter().map(|byte| char::from(*byte)).collect::<String>()),
    ] {
        let body = with(inline(), "/message/image/file/data", data);
        let reply = table.accepts("29", fixture.send(&body)).await;
        let sent = table.sent(&reply).await;
        let id = sent["message"]["image"]["id"].as_str().unwrap_or_default().to_owned();
        let (mime_type, bytes) = fixture.waypost.sandbox().file(&id).await;
        table.check("29", mime_type == "image/png" && bytes == PNG, "other bytes upstream");
    }
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_30_to_36_and_42_refuse_files_that_do_not_hold() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let bare = without(inline(), "/message/image");
    table.refuses("30", fixture.send(&bare), 400, "missing_field", "message.image").await;
    let empty = without(inline(), "/message/image/file");
    let field = "message.image.file";
    table.refuses("30", fixture.send(&empty), 400, "missing_field", field).await;
    for name in ["name", "type", "displayType", "extension", "data"] {
        let body = without(inline(), &format!("/message/image/file/{name}"));
        let field = format!("message.image.file.{name}");
        table.refuses("31", fixture.send(&body), 400, "missing_field", &field).await;
    }
    let too_large = json!(STANDARD.encode(padded(PNG, 5 * 1_048_576 + 1)));
    let data = "message.image.file.data";
    for (row, pointer, value, status, code, field) in [
        ("32", "file/data", json!(""), 400, "invalid_value", data),
        (
            "33",
            "file/type",
            json!("image/gif"),
            415,
            "unsupported_media_type",
            "message.image.file.type",
        ),
        ("34", "file/data", json!(STANDARD.encode(PDF)), 415, "unsupported_media_type", data),
        ("36", "file/data", too_large, 413, "media_too_large", data),
        ("42", "caption", json!("é".repeat(1_025)), 400, "value_too_long", "message.image.caption"),
    ] {
        let body = with(inline(), &format!("/message/image/{pointer}"), value);
        table.refuses(row, fixture.send(&body), status, code, field).await;
    }
    table.check("30-42", table.ledger_length().await == 0, "something was sent");
    let mislabelled = with(inline(), "/message/image/file/type", json!("image/jpeg"));
    let reply = table.accepts("35", fixture.send(&mislabelled)).await;
    let id = table.sent(&reply).await["message"]["image"]["id"].as_str().unwrap().to_owned();
    table.check("35", fixture.waypost.sandbox().file(&id).await.0 == "image/png", "its type");
    let longest = with(inline(), "/message/image/caption", json!("é".repeat(1_024)));
    table.accepts("42", fixture.send(&longest)).await;
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_37_refuses_a_body_over_140_mib_before_it_has_come() {
    let fixture = Fixture::new().await;
    let address = fixture.waypost.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {SEND} HTTP/1.1\r\nhost: {address}\r\nx-api-key: {KEY}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{{\"message\":",
        140 * 1_048_576 + 1
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let size = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..size]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains(r#"{"error":{"code":"body_too_large","message":"#), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_38_to_41_send_links() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let reply = table.accepts("38", fixture.send(&link())).await;
    let sent = table.sent(&reply).await["message"]["document"].clone();
    let passed_on = json!({"link": "https://files.example.com/a.pdf", "caption": "The offer",
        "filename": "a.pdf"});
    table.check("38", sent == passed_on, &sent.to_string());
    let odd = with(link(), "/message/document/link", json!("ftp://x/y"));
    let field = "message.document.link";
    table.refuses("39", fixture.send(&odd), 400, "invalid_value", field).await;
    let unknown = with(link(), "/message/document/provider", json!("archive"));
    let field = "message.document.provider";
    table.refuses("40", fixture.send(&unknown), 400, "unknown_provider", field).await;
    let file = json!({"name": "b.pdf", "type": "application/pdf", "displayType": "DOCUMENT",
        "extension": "pdf", "data": STANDARD.encode(PDF)});
    let both = with(link(), "/message/document/file", file);
    let reply = table.accepts("41", fixture.send(&both)).await;
    let sent = table.sent(&reply).await["message"]["document"].clone();
    table.check("41", sent["link"].is_null() && sent["id"].is_string(), &sent.to_string());
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_43_to_47_broadcast_a_template() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let broadcast = template(&fixture.uploaded().await);
    let reply = table.accepts("43", fixture.broadcast(&broadcast)).await.json();
    let customers: Vec<&Value> =
        reply.as_array().unwrap().iter().map(|element| &element["customerId"]).collect();
    table.check("43", customers == ["cust-1001", "cust-1002", "4711"], &format!("{customers:?}"));
    for element in reply.as_array().unwrap() {
        let fixed = element["file"].is_null()
            && element.as_object().unwrap().contains_key("file")
            && element["message"] == "spring_offer"
            && element["messageType"] == "template"
            && element["response"]["messages"][0]["id"].is_string()
            && sorted_keys(element);
        table.check("43", fixed, &element.to_string());
    }
    let refusing = json!({"to": "15550002222", "type": "template"});
    fixture.waypost.sandbox().fault(&refusing, &json!({"code": 131_026, "async": false})).await;
    let reply = table.accepts("44", fixture.broadcast(&broadcast)).await.json();
    let failed = &reply[1];
    table.check("44", failed["response"].is_null(), &failed.to_string());
    table.check("44", failed["error"]["code"] == "recipient_unreachable", &failed.to_string());
    table.check("44", sorted_keys(failed), &failed.to_string());
    table.check("44", reply[0]["response"].is_object(), &reply[0].to_string());
    fixture.waypost.sandbox().clear_faults().await;

    let plain = json!({"templateName": "plain_note", "sessionId": "s", "orgId": "org-3",
        "userId": "user-3", "components": []});
    let request = fixture.keyless("/whatsapp/template/send").header("X-API-KEY", EMPTY_KEY);
    let reply = table.accepts("45", request.json(&plain)).await;
    table.check("45", reply.text() == "[]", &reply.text());
    let as_text =
        with(broadcast.clone(), "/components", json!(broadcast["components"].to_string()));
    table.accepts("46", fixture.broadcast(&as_text)).await;
    let plain = with(with(plain, "/orgId", json!("org-1")), "/userId", json!("user-1"));
    table.accepts("47", fixture.broadcast(&plain)).await;
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_48_to_55_refuse_broadcasts_that_do_not_hold_and_message_nobody() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let broadcast = template(&fixture.uploaded().await);
    for name in ["templateName", "sessionId", "userId", "orgId", "components"] {
        let body = without(broadcast.clone(), &format!("/{name}"));
        table.refuses("48", fixture.broadcast(&body), 400, "missing_field", name).await;
    }
    let picture = json!({"type": "image", "image": {"id": "1000000000000042"}});
    let words = |length: usize| json!([{"type": "text", "text": "é".repeat(length)}]);
    let text_header = with(broadcast.clone(), "/components/0/parameters", words(61));
    let alone = |length: usize| {
        let components = json!([{"type": "body", "parameters": words(length)}]);
        let body = with(broadcast.clone(), "/components", components);
        with(body, "/templateName", json!("long_note"))
    };
    let unknown_media = "components[0].parameters[0].image.id";
    for (row, body, status, code, field) in [
        (
            "49",
            with(broadcast.clone(), "/components", json!({})),
            400,
            "invalid_type",
            "components",
        ),
        (
            "50",
            with(broadcast.clone(), "/templateName", json!("no_such_template")),
            404,
            "template_not_found",
            "templateName",
        ),
        (
            "50",
            with(broadcast.clone(), "/templateName", json!("draft_note")),
            422,
            "template_not_approved",
            "templateName",
        ),
        (
            "51",
            with(broadcast.clone(), "/components/1/parameters", words(3)),
            422,
            "template_parameter_mismatch",
            "components",
        ),
        (
            "52",
            with(broadcast.clone(), "/components/1/parameters/0", picture.clone()),
            400,
            "invalid_value",
            "components[1].parameters[0].type",
        ),
        ("53", text_header, 400, "value_too_long", "components[0].parameters[0].text"),
        ("54", alone(36_769), 400, "value_too_long", "components[0].parameters[0].text"),
        (
            "54 (beside a header)",
            with(broadcast.clone(), "/components/1/parameters/0", words(1_025)[0].clone()),
            400,
            "value_too_long",
            "components[1].parameters[0].text",
        ),
        (
            "55",
            with(broadcast.clone(), "/components/0/parameters/0", picture),
            404,
            "media_not_found",
            unknown_media,
        ),
    ] {
        table.refuses(row, fixture.broadcast(&body), status, code, field).await;
    }
    table.check("48-55", table.ledger_length().await == 0, "somebody was messaged");
    table.accepts("54", fixture.broadcast(&alone(36_768))).await;
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_56_to_62_upload_files() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let jpeg = |org: &str, mime_type: &str| upload_form(org, mime_type, JPEG, "example.jpeg");
    let reply = table.accepts("56", fixture.upload(jpeg("org-1", "image/jpg"))).await;
    let body = reply.json();
    let id = body["id"].as_str().unwrap_or_default().to_owned();
    let digits = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_digit());
    table.check("56", digits && body.as_object().unwrap().len() == 1, &reply.text());
    table.accepts("57", fixture.upload(jpeg("\"org-1\"", "\"image/jpg\""))).await;
    let part = || reqwest::multipart::Part::bytes(JPEG.to_vec()).file_name("example.jpeg");
    let form = reqwest::multipart::Form::new;
    for (name, form) in [
        ("orgId", form().text("type", "image/jpg").part("file", part())),
        ("type", form().text("orgId", "org-1").part("file", part())),
        ("file", form().text("orgId", "org-1").text("type", "image/jpg")),
    ] {
        table.refuses("58", fixture.upload(form), 400, "missing_field", name).await;
    }
    let audio = jpeg("org-1", "audio/mpeg");
    table.refuses("59", fixture.upload(audio), 415, "unsupported_media_type", "type").await;
    let film = padded(MP4, 16 * 1_048_576 + 1);
    let film = upload_form("org-1", "video/mp4", &film, "film.mp4");
    table.refuses("60", fixture.upload(film), 413, "media_too_large", "file").await;
    let json = fixture.call("/whatsapp/uploads/media_upload", &json!({"orgId": "org-1"}));
    table.refuses("61", json, 415, "unsupported_content_type", "-").await;
    let reply = table.accepts("62", fixture.broadcast(&template(&id))).await;
    table.check("62", reply.json().as_array().is_some_and(|all| all.len() == 3), &reply.text());
    let ledger = fixture.waypost.sandbox().ledger().await;
    let mut ids: Vec<String> = Vec::new();
    for row in &ledger {
        let header = &row["message"]["template"]["components"][0]["parameters"][0]["image"]["id"];
        ids.push(header.as_str().unwrap_or_default().to_owned());
    }
    ids.dedup();
    table.check("62", ids.len() == 1 && ledger.len() == 3, &format!("upstream ids {ids:?}"));
    let (mime_type, bytes) = fixture.waypost.sandbox().file(&ids[0]).await;
    table.check("62", mime_type == "image/jpeg" && bytes == JPEG, "other bytes upstream");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_63_and_64_tell_of_limits_and_of_a_revoked_token() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let sandbox = fixture.waypost.sandbox();
    sandbox.fault(&json!({}), &json!({"code": 190})).await;
    table.refuses("64", fixture.send(&text()), 502, "upstream_auth", "-").await;
    sandbox.clear_faults().await;
    table.accepts("64 (afterwards)", fixture.send(&text())).await;
    sandbox.fault(&json!({}), &json!({"code": 130_429})).await;
    let reply = table.refuses("63", fixture.send(&text()), 429, "rate_limited", "-").await;
    let seconds = reply.header("retry-after").and_then(|text| text.parse::<u32>().ok());
    table.check("63", seconds.is_some_and(|seconds| seconds >= 1), "no Retry-After");
    sandbox.clear_faults().await;
    table.check("63-64", table.ledger_length().await == 1, "something was accepted");
    table.end();
    // The number is held back for a while, and recovers by itself.
    eventually("a number that sends again", async || {
        (Reply::to(fixture.send(&text())).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_65_never_sends_twice_what_may_have_been_sent() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let sandbox = fixture.waypost.sandbox();
    sandbox.fault(&json!({}), &json!({"webhooks": "drop"})).await;
    sandbox.fault(&json!({}), &json!({"reset": "after"})).await;
    let reply = table.refuses("65", fixture.send(&text()), 502, "upstream_result_unknown", "-");
    drop(reply.await);
    sandbox.clear_faults().await;
    table.accepts("65 (afterwards)", fixture.send(&text())).await;
    table.check("65", table.ledger_length().await == 2, "it was sent again");
    let log = fixture.admin().all("/orgs/org-1/messages?direction=outbound").await;
    let states: Vec<&str> = log.iter().map(|it| it["status"].as_str().unwrap()).collect();
    table.check("65", states.contains(&"unknown"), &format!("states {states:?}"));
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_65_is_settled_by_a_status_that_comes_in_time() {
    let fixture = Fixture::new().await;
    let mut table = Table::of(&fixture);
    let once = json!({"next": 1});
    fixture.waypost.sandbox().fault(&once, &json!({"reset": "after"})).await;
    let reply = table.accepts("65 (with statuses)", fixture.send(&text())).await;
    let sent = table.sent(&reply).await;
    table.check("65", sent["message"]["text"]["body"] == "testing msg", "another wamid");
    table.check("65", table.ledger_length().await == 1, "it was sent again");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_66_tells_that_nobody_is_there() {
    let gone = MockUpstream::start().await.url();
    let waypost = Options::new().upstream(&gone).start().await;
    let reply = waypost.send_text("hello").await.expect(503);
    assert_eq!(reply.json()["error"]["code"], "upstream_unavailable");
    assert!(reply.header("retry-after").is_some_and(|text| text.parse::<u32>().is_ok()));
    let status = eventually("the message in the log", async || {
        Some(waypost.log().await.first()?["status"].clone())
    })
    .await;
    assert_eq!(status, "failed");
}
