//! Rows 25, 46 and 47: files that are uploaded, fetched, removed, sent.

use reqwest::Method;
use reqwest::multipart::Form;
use serde_json::{Value, json};
use waypost_tests::Reply;
use waypost_tests::files::{JPEG, PDF, PNG, padded};
use waypost_tests::fixture::with;

use crate::desk::{Desk, UPLOAD, by_id, form};
use crate::table::{BAD_MEDIA, MISSING, Table, is_uuid};

const NOBODYS: &str = "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7be0";

fn file_at(id: &str) -> String {
    format!("/api/v2/media/{id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_25_46_and_47_keep_files() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let mut ids = Vec::new();
    for (mime_type, bytes, filename) in [
        ("image/png", PNG, "teal.png"),
        ("image/jpg", JPEG, "grey.jpeg"),
        ("application/pdf", PDF, "offer.pdf"),
        // The bytes say better what they are.
        ("image/jpeg", PNG, "teal.jpeg"),
    ] {
        let reply = Reply::to(desk.upload(form(mime_type, bytes, filename))).await;
        let id = reply.json()["data"]["mediaId"].as_str().unwrap_or_default().to_owned();
        let wanted = format!(r#"{{"status":"success","data":{{"mediaId":"{id}"}}}}"#);
        let holds = reply.status == 200 && reply.text() == wanted && is_uuid(&id);
        table.check("46", holds, &reply.text());
        ids.push(id);
    }
    let bare = Form::new().text("note", "no file");
    table.refuses("46", desk.upload(bare), 400, MISSING).await;
    let json = desk.post(UPLOAD, &json!({"file": "no form"}));
    table.refuses("46", json, 400, MISSING).await;
    let large = form("image/png", &padded(PNG, 5 * 1_048_576 + 1), "large.png");
    table.refuses("46", desk.upload(large), 413, BAD_MEDIA).await;
    let moving = form("image/gif", b"GIF89a\x01\0\x01\0\0\0\0;", "moving.gif");
    table.refuses("46", desk.upload(moving), 415, BAD_MEDIA).await;

    for (id, mime_type, bytes) in [
        (&ids[0], "image/png", PNG),
        (&ids[1], "image/jpeg", JPEG),
        (&ids[2], "application/pdf", PDF),
        (&ids[3], "image/png", PNG),
    ] {
        let reply = Reply::to(desk.request(Method::GET, &file_at(id))).await;
        let told = (reply.status, reply.header("content-type"), reply.body.as_slice());
        let holds = told == (200, Some(mime_type), bytes);
        table.check("47", holds, &format!("{} {:?}", reply.status, reply.headers));
    }
    let get = |id: &str| desk.request(Method::GET, &file_at(id));
    for unknown in [NOBODYS, "x", "1000000000000042"] {
        table.refuses("47", get(unknown), 404, BAD_MEDIA).await;
    }
    let keyless = desk.fixture.waypost.request(Method::GET, &file_at(&ids[0]));
    table.refuses("47", keyless, 401, ("8004", "Client details not found")).await;
    let remove = || desk.request(Method::DELETE, &file_at(&ids[0]));
    let removed = r#"{"status":"success","message":"Media deleted successfully."}"#;
    table.answers("47", remove(), removed).await;
    table.refuses("47", get(&ids[0]), 404, BAD_MEDIA).await;
    table.refuses("47", remove(), 404, BAD_MEDIA).await;
    // A message that names no file is at fault itself.
    for absent in [&ids[0], NOBODYS] {
        table.refuses("25", desk.send(&by_id(absent)), 400, BAD_MEDIA).await;
    }
    let document = by_id(&ids[2]);
    let id = table.accepts("46", desk.send(&document)).await;
    let sent = desk.sent(&id).await["message"]["document"].clone();
    // The uploaded file's name goes with it, unless the message says another.
    table.check("46", sent["filename"] == "offer.pdf", &sent.to_string());
    let renamed = "/message/0/type_media/0/attachments/0/filename";
    let id = table.accepts("46", desk.send(&with(document, renamed, json!("b.pdf")))).await;
    let sent: Value = desk.sent(&id).await["message"]["document"].clone();
    table.check("46", sent["filename"] == "b.pdf", &sent.to_string());
    table.end();
}
