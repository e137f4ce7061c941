//! The reference's table of test cases, as far as a codec decides it, and what hostile input does.
//! Numbers in comments are rows of that table.

mod errors;
mod file_data;
mod hostile;
mod media;
mod replies;
mod send;
mod template;
mod upload;

use serde_json::{Value, json};
use waypost_domain::command::{Broadcast, SendMessage};
use waypost_domain::content::InlineFile;
use waypost_domain::{Content, ErrorKind, Failure, MediaSource};

use super::ReplyHero;
use crate::changed_json::{with, without};
use crate::contract::{Body, Command, Dialect, Operation, Request};
use crate::expected::assert_refused;

/// The first bytes of a PNG file, and something after them.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xF0\x01\x02\xFF";
const JPEG: &[u8] = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0";
const PDF: &[u8] = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n";

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// **T**: a valid text.
fn text() -> Value {
    json!({
        "message": {"type": "text", "text": {"body": "testing msg"}},
        "sessionId": "chat-1", "customerId": "cust-1001", "userId": "user-1", "orgId": "org-1",
    })
}

/// **I**: a valid inline picture.
fn inline() -> Value {
    let file = json!({
        "name": "logo.png", "type": "image/png", "displayType": "IMAGE", "extension": "png",
        "data": base64(PNG),
    });
    let mut body = text();
    body["message"] = json!({"type": "image", "image": {"file": file, "caption": "testing"}});
    body
}

/// **L**: a valid link to a document.
fn link() -> Value {
    let document = json!({
        "link": "https://files.example.com/a.pdf", "filename": "a.pdf", "caption": "The offer",
    });
    let mut body = text();
    body["message"] = json!({"type": "document", "document": document});
    body
}

/// **P**: a valid template.
fn template() -> Value {
    json!({
        "templateName": "spring_offer", "sessionId": "camp-7", "orgId": "org-1", "userId": "user-1",
        "components": [
            {"type": "header",
             "parameters": [{"type": "image", "image": {"id": "1000000000000042"}}]},
            {"type": "body", "parameters": [
                {"type": "text", "text": "https://www.example.com/"},
                {"type": "text", "text": "20%"}]},
        ],
    })
}

fn decode(operation: Operation, body: &[u8]) -> Result<Command, Failure> {
    ReplyHero.decode(&request(operation, Body::Json(body)))
}

fn request(operation: Operation, body: Body<'_>) -> Request<'_> {
    let route = ReplyHero.routes().iter().find(|route| route.operation == operation);
    Request::to(route.unwrap(), body)
}

fn send(body: &Value) -> Result<SendMessage, Failure> {
    match decode(Operation::SendMessage, body.to_string().as_bytes())? {
        Command::SendMessage(send) => Ok(*send),
        other => panic!("{other:?}"),
    }
}

fn broadcast(body: &Value) -> Result<Broadcast, Failure> {
    match decode(Operation::Broadcast, body.to_string().as_bytes())? {
        Command::Broadcast(broadcast) => Ok(*broadcast),
        other => panic!("{other:?}"),
    }
}

/// The file inside a message.
fn file_of(send: SendMessage) -> InlineFile {
    match send.content {
        Content::Media(message) => match message.media.source {
            MediaSource::Inline(file) => file,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}
