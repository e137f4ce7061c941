//! Rows 1 to 53 of the LipaChat reference's table of test cases (§14), end to end: the real binary,
//! the sandbox as its upstream. `lipachat_events` has the other rows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use waypost_tests::files::PNG;
use waypost_tests::fixture::{with, without};
use waypost_tests::lipachat::Expected::{Refused, Sent, Spring, Stranger};
use waypost_tests::lipachat::{
    KEY, LipaChat, Table, buttons, contact, flow, image, is_exactly, list, media, path, place,
    place_request, template, text,
};
use waypost_tests::{Receiver, Reply};

const SENT: &str = "Message sent successfully";
const MEDIA_SENT: &str = "Media sent successfully";
const NUMBER: &str = "/api/v1/template/15550009999";
const FLOWS: &str = "/api/v1/whatsapp/manage/flow";

/// An HTTP request as bytes: header names stay as they are written.
async fn spoken(lipachat: &LipaChat, head: &str, body: &str) -> String {
    let address = lipachat.fixture.waypost.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\nHost: {address}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_1_to_6_send() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let body = image();
    let reply = table.row("1", lipachat.post(path::MEDIA, &body), Sent(MEDIA_SENT)).await;
    table.check("1", reply.json()["data"]["messageId"] == body["messageId"], &reply.text());
    let sent = lipachat.sent(&reply).await;
    let passed_on = json!({"link": "https://files.example.com/a.jpg",
        "caption": "Please find attached"});
    table.check("1", sent["message"]["image"] == passed_on, &sent.to_string());
    table.check("1", sent["message"]["to"] == "+15550001111", &sent.to_string());
    table.check("1", sent["message"]["biz_opaque_callback_data"].is_string(), "no token");

    let body = image().to_string();
    let head = format!(
        "POST {}/ HTTP/1.1\r\nAPIKEY: {KEY}\r\nContent-Type: application/json\r\n\
         Content-Length: {}",
        path::MEDIA,
        body.len()
    );
    let answer = spoken(&lipachat, &head, &body).await;
    let holds = answer.starts_with("HTTP/1.1 200 ") && answer.contains(MEDIA_SENT);
    table.check("2", holds, &answer);

    table.row("3", lipachat.post(path::TEXT, &text()), Sent(SENT)).await;
    let plus = with(with(text(), "/to", json!("+15550001111")), "/from", json!("+15550009999"));
    table.row("4", lipachat.post(path::TEXT, &plus), Sent(SENT)).await;
    let nameless = without(text(), "/messageId");
    let reply = table.row("5", lipachat.post(path::TEXT, &nameless), Sent(SENT)).await;
    let id = reply.json()["data"]["messageId"].as_str().unwrap_or_default().to_owned();
    table.check("5", id.len() == 36 && id.split('-').count() == 5, &id);
    let extended = with(with(text(), "/priority", json!({"a": [1]})), "/preview", json!(true));
    table.row("6", lipachat.post(path::TEXT, &extended), Sent(SENT)).await;
    table.check("1-6", lipachat.sandbox().ledger().await.len() == 6, "not six messages");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_7_to_19_refuse_strangers_and_what_is_incomplete() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let keyless = || lipachat.keyless(Method::POST, path::TEXT).json(&text());
    table.row("7", keyless(), Stranger).await;
    table.row("8", keyless().header("apiKey", "wp_test_wrong"), Stranger).await;
    table.row("9", keyless().bearer_auth(KEY), Stranger).await;
    for (row, body) in [("10", r#"{"to":"#), ("11", ""), ("11", "[]")] {
        for path in [path::TEXT, path::MEDIA] {
            table.row(row, lipachat.post_bytes(path, body), Spring(400, path)).await;
        }
    }
    for (row, path, body, pointers) in [
        ("12", path::MEDIA, image(), &["/mediaType", "/mediaUrl", "/to", "/from"][..]),
        ("13", path::TEXT, text(), &["/message", "/to", "/from"]),
        (
            "14",
            path::BUTTONS,
            buttons(),
            &["/text", "/buttons", "/buttons/0/id", "/buttons/1/title"],
        ),
        (
            "15",
            path::LIST,
            list(),
            &["/body", "/buttonText", "/buttons", "/buttons/0/sectionItems"],
        ),
        ("16", path::CONTACT, contact(), &["/name", "/phones", "/phones/0/phone"]),
        ("17", path::LOCATION, place(), &["/latitude", "/longtitude"]),
        ("18", path::REQUEST_LOCATION, place_request(), &["/text"]),
        ("19", path::TEMPLATE, template(), &["/template", "/template/name"]),
    ] {
        for pointer in pointers {
            let absent = without(body.clone(), pointer);
            let name = format!("{row} without {pointer}");
            let reply = table.row(&name, lipachat.post(path, &absent), Spring(400, path)).await;
            let why = reply.header("x-waypost-error").unwrap_or_default();
            let field = match pointer.rsplit('/').next().unwrap() {
                "longtitude" => "longitude",
                name => name,
            };
            table.check(&name, why.contains(field), why);
        }
    }
    table.check("7-19", lipachat.sandbox().ledger().await.is_empty(), "something was sent");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_20_to_29_judge_values() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let media_with = |name: &str, value: Value| with(image(), &format!("/{name}"), value);
    let long = |length: usize| json!("é".repeat(length));
    for (row, path, body) in [
        ("20", path::TEXT, with(text(), "/message", json!({"a": 1}))),
        ("21", path::TEXT, with(text(), "/to", json!("0700111222"))),
        ("21", path::TEXT, with(text(), "/to", json!("abc"))),
        ("22", path::MEDIA, media_with("mediaType", json!("GIF"))),
        ("23", path::MEDIA, media_with("mediaUrl", json!("ftp://x/y"))),
        ("23", path::MEDIA, media_with("mediaUrl", json!("not a url"))),
        ("26", path::MEDIA, media_with("caption", long(1_025))),
        ("29", path::TEXT, with(text(), "/message", long(4_097))),
    ] {
        table.row(row, lipachat.post(path, &body), Spring(400, path)).await;
    }
    table.check("20-29", lipachat.sandbox().ledger().await.is_empty(), "something was sent");

    let number = with(text(), "/message", json!(123));
    let reply = table.row("20", lipachat.post(path::TEXT, &number), Sent(SENT)).await;
    let sent = lipachat.sent(&reply).await;
    table.check("20", sent["message"]["text"]["body"] == "123", &sent.to_string());
    for (row, body) in [
        ("22", media_with("mediaType", json!("image"))),
        ("23", media_with("mediaUrl", json!("http://files.example.com/a.jpg"))),
        ("26", media_with("caption", long(1_024))),
    ] {
        table.row(row, lipachat.post(path::MEDIA, &body), Sent(MEDIA_SENT)).await;
    }
    let audio = media("AUDIO", "https://files.example.com/a.mp3");
    let reply = table.row("27", lipachat.post(path::MEDIA, &audio), Sent(MEDIA_SENT)).await;
    let sent = lipachat.sent(&reply).await["message"]["audio"].clone();
    let bare = json!({"link": "https://files.example.com/a.mp3"});
    table.check("27", sent == bare, &sent.to_string());
    let longest = with(text(), "/message", long(4_096));
    table.row("29", lipachat.post(path::TEXT, &longest), Sent(SENT)).await;

    // Where a form may have more, JSON may not.
    for path in [path::TEXT, FLOWS] {
        let head = format!(
            "POST {path} HTTP/1.1\r\napiKey: {KEY}\r\nContent-Type: application/json\r\n\
             Content-Length: {}",
            1_048_577
        );
        let answer = spoken(&lipachat, &head, "{\"message\":").await;
        let told = format!(r#""status":413,"error":"Payload Too Large","path":"{path}"}}"#);
        let holds = answer.starts_with("HTTP/1.1 413 ") && answer.contains(&told);
        table.check("28", holds, &answer);
    }
    table.end();
}

/// Rows 24 and 25 wait for the failures' callbacks.
#[tokio::test(flavor = "multi_thread")]
async fn rows_24_and_25_tell_of_unfit_files_later() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let host = waypost_tests::MediaHost::start().await;
    let receiver = Receiver::start().await;
    lipachat.tells("org-1", &receiver).await;
    for (row, kind, file) in [("24", "AUDIO", "/note.wav"), ("25", "IMAGE", "/large.png")] {
        let body = media(kind, &host.url(file));
        table.row(row, lipachat.post(path::MEDIA, &body), Sent(MEDIA_SENT)).await;
        let is_failure = |post: &Value| {
            let status = &post["messageStatus"];
            status["messageId"] == body["messageId"] && status["status"] == "FAILED"
        };
        let post = receiver.first("a failure that is told", is_failure).await.json();
        let words = post["messageStatus"]["statusDesc"].as_str().unwrap_or_default();
        table.check(row, !words.is_empty(), &post.to_string());
    }
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_30_to_35_refuse_by_state() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let closed = |body: Value| with(body, "/to", json!("15550002222"));
    let foreign = Refused("Sender number is not linked to this account");
    for stranger in ["15550004444", "15550008888"] {
        let body = with(text(), "/from", json!(stranger));
        table.row("30", lipachat.post(path::TEXT, &body), foreign).await;
    }
    let shut = Refused(
        "The 24-hour session with this recipient is closed. Send a template message first.",
    );
    table.row("31", lipachat.post(path::TEXT, &closed(text())), shut).await;
    table.row("31", lipachat.post(path::MEDIA, &closed(image())), shut).await;
    let named = |name: &str| with(template(), "/template/name", json!(name));
    let one = json!(["John"]);
    for (body, words) in [
        (named("no_such_offer"), "Template not found"),
        (named("draft_note"), "Template is not approved"),
        (
            with(template(), "/template/components/body/placeholders", one),
            "Template parameters do not match the template",
        ),
    ] {
        table.row("33", lipachat.post(path::TEMPLATE, &body), Refused(words)).await;
    }
    table.check("30-33", lipachat.sandbox().ledger().await.is_empty(), "something was sent");

    let reply =
        table.row("32", lipachat.post(path::TEMPLATE, &closed(template())), Sent(SENT)).await;
    let first = lipachat.sent(&reply).await["message"]["template"].clone();
    let plain = with(named("plain_note"), "/template/components", json!({}));
    table.row("34", lipachat.post(path::TEMPLATE, &plain), Sent(SENT)).await;
    let language =
        with(without(template(), "/template/languageCode"), "/template/language", json!("en"));
    let components = template()["template"]["components"].clone();
    let singular = without(template(), "/template/components");
    let singular = with(singular, "/template/component", components);
    let array = json!([
        {"type": "header", "parameters": [
            {"type": "image", "image": {"link": "https://files.example.com/a.jpg"}}]},
        {"type": "body", "parameters": [
            {"type": "text", "text": "John"}, {"type": "text", "text": "2000"}]}]);
    let array = with(template(), "/template/components", array);
    for (row, body) in [("35 language", language), ("35 component", singular), ("35 array", array)]
    {
        let reply = table.row(row, lipachat.post(path::TEMPLATE, &body), Sent(SENT)).await;
        let sent = lipachat.sent(&reply).await["message"]["template"].clone();
        table.check(row, sent == first, &format!("{sent} is not {first}"));
    }
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_36_to_39_recognise_repetitions() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let send = |body: &Value| lipachat.post(path::TEXT, body);
    let body = text();
    let first = table.row("36", send(&body), Sent(SENT)).await.json();
    let again = table.row("36", send(&body), Sent(SENT)).await.json();
    table.check("36", first["data"] == again["data"], &again.to_string());
    for key in ["k-1", "k-2", ""] {
        let keyed = send(&body).header("Idempotency-Key", key);
        let again = table.row("36 (a key)", keyed, Sent(SENT)).await.json();
        table.check("36 (a key)", first["data"] == again["data"], &again.to_string());
    }
    table.check("36", lipachat.sandbox().ledger().await.len() == 1, "it was sent again");
    let other = with(body.clone(), "/message", json!("something else"));
    table.row("37", send(&other), Spring(409, path::TEXT)).await;
    let elsewhere = with(image(), "/messageId", body["messageId"].clone());
    let request = lipachat.post(path::MEDIA, &elsewhere);
    table.row("37", request, Spring(409, path::MEDIA)).await;

    let refused = with(text(), "/from", json!("15550004444"));
    let words = Refused("Sender number is not linked to this account");
    table.row("38", send(&refused), words).await;
    let mended = with(refused, "/from", json!("15550009999"));
    table.row("38", send(&mended), Sent(SENT)).await;

    lipachat.sandbox().fault(&json!({}), &json!({"latency_ms": 700})).await;
    let body = text();
    let (one, two) = tokio::join!(Reply::to(send(&body)), Reply::to(send(&body)));
    table.judge("39", &one, Sent(SENT));
    table.judge("39", &two, Sent(SENT));
    table.check("39", one.json()["data"] == two.json()["data"], &two.text());
    table.check("36-39", lipachat.sandbox().ledger().await.len() == 3, "not three messages");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_40_to_44_judge_what_can_be_tapped_and_places() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let button = |id: &str, title: &str| json!({"id": id, "title": title});
    let four = json!([button("1", "a"), button("2", "b"), button("3", "c"), button("4", "d")]);
    let item = |id: usize| json!({"id": id.to_string(), "title": format!("Row {id}")});
    let items = |range: std::ops::Range<usize>| range.map(item).collect::<Vec<Value>>();
    let eleven = json!([{"sectionTitle": "One", "sectionItems": items(0..6)},
        {"sectionTitle": "Two", "sectionItems": items(6..11)}]);
    for (row, path, body) in [
        ("40", path::BUTTONS, with(buttons(), "/buttons", four)),
        ("40", path::BUTTONS, with(buttons(), "/buttons/0/title", json!("é".repeat(21)))),
        ("40", path::BUTTONS, with(buttons(), "/buttons/1/title", json!("YES"))),
        ("42", path::LIST, with(list(), "/buttons", eleven)),
        ("43", path::LOCATION, with(place(), "/latitude", json!(91))),
    ] {
        table.row(row, lipachat.post(path, &body), Spring(400, path)).await;
    }
    table.check("40-43", lipachat.sandbox().ledger().await.is_empty(), "something was sent");
    let renamed = |body: Value, old: &str, new: &str| {
        let value = body[old].clone();
        with(without(body, &format!("/{old}")), &format!("/{new}"), value)
    };
    for (row, path, body) in [
        ("41", path::BUTTONS, renamed(buttons(), "text", "message")),
        ("42", path::LIST, renamed(list(), "body", "message")),
        ("43", path::LOCATION, renamed(place(), "longtitude", "longitude")),
        ("43", path::LOCATION, with(place(), "/latitude", json!("-1.29"))),
        ("44", path::CONTACT, without(contact(), "/phones/0/waId")),
    ] {
        table.row(row, lipachat.post(path, &body), Sent(SENT)).await;
    }
    table.end();
}

fn definition() -> String {
    let children = json!([{"type": "Footer", "label": "Done",
        "on-click-action": {"name": "complete", "payload": {}}}]);
    json!({"version": "6.0", "screens": [{"id": "FIRST", "title": "Hello", "terminal": true,
        "layout": {"type": "SingleColumnLayout", "children": children}}]})
    .to_string()
}

fn flow_form(name: &str) -> reqwest::multipart::Form {
    let file = reqwest::multipart::Part::text(definition()).file_name("survey.json");
    reqwest::multipart::Form::new()
        .text("phoneNumber", "15550009999")
        .text("name", name.to_owned())
        .text("categories", "OTHERS")
        .part("file", file)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_45_to_50_and_53_answer_at_other_paths() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let get = |path: &str| lipachat.request(Method::GET, path);
    let reply = table.row("45", get(path::MEDIA), Spring(405, path::MEDIA)).await;
    table.check("45", reply.header("allow") == Some("POST"), "Allow");
    let nothing = "/api/v1/whatsapp/nothing";
    table.row("46", lipachat.post(nothing, &text()), Spring(404, nothing)).await;
    let plain = lipachat.request(Method::POST, path::TEXT).header("Content-Type", "text/plain");
    table.row("47", plain.body(text().to_string()), Spring(415, path::TEXT)).await;

    let body = text();
    table.row("48", lipachat.post(path::TEXT, &body), Sent(SENT)).await;
    let listed = table.ok("48", get("/api/v1/whatsapp/message?page=0&size=10")).await;
    let names: Vec<&String> = listed.as_object().unwrap().keys().collect();
    let wanted = ["timestamp", "data", "totalPages", "status", "message", "errors"];
    table.check("48", names == wanted, &format!("{names:?}"));
    table.check("48", listed["totalPages"] == 1, &listed.to_string());
    let newest = &listed["data"][0];
    let holds = newest["direction"] == "OUTBOUND"
        && newest["text"] == body["message"]
        && newest["contact"]["phoneNumber"] == "15550001111";
    table.check("48", holds, &newest.to_string());

    let listed = table.ok("49", get("/api/v1/template/+15550009999")).await;
    let templates = listed["data"]["data"].as_array().cloned().unwrap_or_default();
    let offer = templates.iter().any(|template| template["name"] == "offer_830");
    table.check("49", offer && listed["timestamp"].is_null(), &listed.to_string());

    let part = reqwest::multipart::Part::bytes(PNG.to_vec()).file_name("a.png");
    let form = reqwest::multipart::Form::new().part("file", part);
    let upload = lipachat.request(Method::POST, "/api/v1/template/upload/file").multipart(form);
    let uploaded = table.ok("50", upload).await;
    table.check("50", uploaded["data"].is_string(), &uploaded.to_string());
    let made = json!({"name": "with_picture", "language": "en", "category": "MARKETING",
        "component": {"header": {"format": "IMAGE", "mediaId": uploaded["data"]},
            "body": {"text": "Look!"}}});
    table.ok("50 (used)", lipachat.post(NUMBER, &made)).await;

    let unknown = get("/api/v1/whatsapp/manage/flow/999/preview/url");
    table.row("53", unknown, Refused("Flow not found")).await;
    let one = |id: &str| get(&format!("{FLOWS}/{id}"));
    table.row("53 (list)", one("99999"), Refused("Flow not found")).await;
    let foreign = Refused("Sender number is not linked to this account");
    table.row("53 (list)", one("+15550004444"), foreign).await;
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_51_and_52_make_and_change_templates() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let new = json!({"name": "temp_lower_68", "language": "en", "category": "MARKETING",
        "component": {"header": {"format": "TEXT", "text": "{{1}} registration",
                "example": "July"},
            "body": {"text": "Hi {{1}}, see {{2}} now",
                "examples": ["John", "https://www.example.com"]},
            "footer": {"text": "Bye"},
            "buttons": [{"type": "URL", "text": "Open", "url": "https://www.example.com/{{1}}",
                    "example": "a"},
                {"type": "PHONE_NUMBER", "text": "Call", "phoneNumber": "15550009999"},
                {"type": "QUICK_REPLY", "text": "Stop"}]}});
    let one = with(new.clone(), "/component/body/examples", json!(["John"]));
    table.row("51", lipachat.post(NUMBER, &one), Spring(400, NUMBER)).await;
    let made = table.ok("51", lipachat.post(NUMBER, &new)).await;
    let id = made["data"]["id"].as_str().unwrap_or_default().to_owned();
    table.check("51", !id.is_empty() && made["message"] == "success", &made.to_string());
    lipachat
        .sandbox()
        .call(
            Method::POST,
            &format!("/_sandbox/templates/{id}"),
            Some(&json!({"status": "APPROVED"})),
        )
        .await
        .ok();
    let one = format!("{NUMBER}/{id}");
    let renamed = json!({"name": "another", "component": {"body": {"text": "Hello!"}}});
    let put = lipachat.request(Method::PUT, &one).json(&renamed);
    table.row("52", put, Spring(400, &one)).await;
    let change = with(renamed, "/name", json!("temp_lower_68"));
    let request = lipachat.request(Method::PUT, &one).json(&change);
    let reply = Reply::to(request).await;
    let wanted = json!({"timestamp": null, "data": {"success": true, "error": null},
        "status": "success", "message": "success", "errors": null});
    table.check("52", is_exactly(&reply.text(), &wanted), &reply.text());
    table.end();
}

/// Each path of §5 once, and what the mapping of §11 makes of it upstream.
#[tokio::test(flavor = "multi_thread")]
async fn every_path_of_messages_reaches_the_cloud_api_in_its_form() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let body_text = |text: &str| json!({ "text": text });
    let reply =
        |id: &str, title: &str| json!({"type": "reply", "reply": {"id": id, "title": title}});
    let row = json!({"id": "AIR_1", "title": "Safari", "description": "optional"});
    let linked = json!({"link": "https://files.example.com/a.jpg"});
    for (path, body, kind, wanted) in [
        (path::TEXT, text(), "text", json!({"body": "Hello world", "preview_url": false})),
        (
            path::BUTTONS,
            buttons(),
            "interactive",
            json!({"type": "button", "body": body_text("Continue?"),
                "action": {"buttons": [reply("1", "YES"), reply("2", "NO")]}}),
        ),
        (
            path::LIST,
            list(),
            "interactive",
            json!({"type": "list", "header": {"type": "text", "text": "Services"},
                "body": body_text("Pick one"), "action": {"button": "Click here",
                "sections": [{"title": "Airtime", "rows": [row]}]}}),
        ),
        (
            path::CONTACT,
            contact(),
            "contacts",
            json!([{"name": {"formatted_name": "Test User", "first_name": "Test User"},
                "phones": [{"phone": "15550002222", "type": "CELL", "wa_id": "15550002222"}]}]),
        ),
        (
            path::LOCATION,
            place(),
            "location",
            json!({"latitude": -1.2921, "longitude": 36.8219, "name": "Office",
                "address": "Main Street 1"}),
        ),
        (
            path::REQUEST_LOCATION,
            place_request(),
            "interactive",
            json!({"type": "location_request_message", "body": body_text("Where are you?"),
                "action": {"name": "send_location"}}),
        ),
        (
            path::TEMPLATE,
            template(),
            "template",
            json!({"name": "offer_830", "language": {"code": "en"}, "components": [
                {"type": "header", "parameters": [{"type": "image", "image": linked}]},
                {"type": "body", "parameters": [{"type": "text", "text": "John"},
                    {"type": "text", "text": "2000"}]}]}),
        ),
    ] {
        let reply = table.row(path, lipachat.post(path, &body), Sent(SENT)).await;
        let sent = lipachat.sent(&reply).await["message"].clone();
        table.check(path, sent["type"] == kind && sent[kind] == wanted, &sent.to_string());
    }
    for kind in ["image", "video", "audio", "document", "sticker"] {
        let name = with(media(kind, "https://files.example.com/a"), "/filename", json!("x/a.pdf"));
        let reply = table.row(kind, lipachat.post(path::MEDIA, &name), Sent(MEDIA_SENT)).await;
        let sent = lipachat.sent(&reply).await["message"].clone();
        let mut wanted = json!({"link": "https://files.example.com/a"});
        if !matches!(kind, "audio" | "sticker") {
            wanted["caption"] = json!("Please find attached");
        }
        if kind == "document" {
            wanted["filename"] = json!("a.pdf");
        }
        table.check(kind, sent["type"] == kind && sent[kind] == wanted, &sent.to_string());
    }
    table.end();
}

/// A form that was made here, and its token with and without a `messageId`.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_reaches_the_cloud_api_with_its_token() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let flow_id = published_flow(&lipachat, &mut table).await;
    let body = flow(&flow_id);
    let reply = table.row("flow", lipachat.post(path::FLOW, &body), Sent(SENT)).await;
    let sent = lipachat.sent(&reply).await["message"]["interactive"].clone();
    let action = &sent["action"]["parameters"];
    let holds = sent["type"] == "flow"
        && action["flow_message_version"] == "3"
        && action["flow_token"] == body["messageId"]
        && action["flow_cta"] == "Share details"
        && action["flow_action"] == "navigate"
        && action["flow_action_payload"] == json!({"screen": "FIRST", "data": {"service": "A"}});
    table.check("flow", holds, &sent.to_string());
    let nameless = without(body, "/messageId");
    let reply = table.row("flow", lipachat.post(path::FLOW, &nameless), Sent(SENT)).await;
    let sent = lipachat.sent(&reply).await["message"]["interactive"].clone();
    let token = &sent["action"]["parameters"]["flow_token"];
    let holds = token.is_string() && *token == reply.json()["data"]["messageId"];
    table.check("flow without messageId", holds, &sent.to_string());
    table.end();
}

/// Makes, changes, looks at, publishes and lists a form; returns its own id.
async fn published_flow(lipachat: &LipaChat, table: &mut Table) -> Value {
    let make = lipachat.request(Method::POST, FLOWS).multipart(flow_form("survey"));
    let made = table.ok("flow made", make).await["data"].clone();
    let holds = made["id"].is_u64()
        && made["waFlowId"].is_string()
        && made["status"] == "DRAFT"
        && made["categories"] == json!(["OTHER"]);
    table.check("flow made", holds, &made.to_string());
    let one = format!("{FLOWS}/{}", made["id"]);
    let change = lipachat.request(Method::PUT, &one).multipart(flow_form("survey two"));
    let changed = table.ok("flow changed", change).await["data"].clone();
    table.check("flow changed", changed["name"] == "survey two", &changed.to_string());
    let look = lipachat.request(Method::GET, &format!("{one}/preview/url"));
    let preview = table.ok("flow preview", look).await["data"].clone();
    let holds = preview["preview"]["preview_url"].is_string() && preview["id"] == made["waFlowId"];
    table.check("flow preview", holds, &preview.to_string());
    let publish = lipachat.request(Method::POST, &format!("{one}/publish"));
    let published = table.ok("flow published", publish).await["data"].clone();
    let wanted = json!({"success": true, "error": null});
    table.check("flow published", published == wanted, &published.to_string());
    let change = lipachat.request(Method::PUT, &one).multipart(flow_form("survey three"));
    table.row("published flow changed", change, Refused("Request failed.")).await;
    let listed = table.ok("flows", lipachat.request(Method::GET, FLOWS)).await["data"].clone();
    table.check("flows", listed[0]["status"] == "PUBLISHED", &listed.to_string());
    let known = table.ok("one flow", lipachat.request(Method::GET, &one)).await["data"].clone();
    table.check("one flow", known == listed[0], &known.to_string());
    made["id"].clone()
}
