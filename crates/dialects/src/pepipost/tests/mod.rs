//! The reference's table of test cases, as far as a codec decides it, and what hostile input does.
//! Numbers in comments are rows of that table.

mod binding;
mod common_fields;
mod consent;
mod content;
mod errors;
mod hostile;
mod interactive;
mod media;
mod replies;
mod webhooks;

use http::Method;
use serde_json::{Value, json};
use waypost_domain::{ErrorKind, Failure, OrgId, Timestamp};

use super::{Pepipost, wire};
use crate::changed_json::{with, without};
use crate::contract::{
    Body, Command, Dialect, ErrorSite, Form, Reply, Request, Route, SendMessage, Submit,
};

/// An uploaded picture as its caller knows it.
const MID: &str = "77702d6d-6564-8001-8000-000000000042";
const NOW: Timestamp = Timestamp::from_seconds(1_778_925_000);
const MISSING: &str = "Required parameter is missing";
const BAD_MEDIA: &str = "Invalid Media id or bad media";

/// A message with a source and a block.
fn message(kind: &str, block: &str, value: &Value) -> Value {
    json!({"message": [{
        "recipient_whatsapp": "15550001111", "recipient_type": "individual", "message_type": kind,
        "source": "src-1", "x-apiheader": "order-77", block: value,
    }]})
}

/// **X**: a text.
fn text() -> Value {
    message("text", "type_text", &json!([{"preview_url": "false", "content": "hello"}]))
}

/// **MI**: media by id.
fn media_id() -> Value {
    let attachment = json!({"attachment_id": MID, "caption": "your invoice"});
    message("media", "type_media", &json!([{"attachments": [attachment]}]))
}

/// **MU**: media by URL.
fn media_url() -> Value {
    let attachment = json!({
        "attachment_url": "https://files.example.com/a.jpg", "attachment_type": "image",
        "caption": "your invoice",
    });
    message("media", "type_media", &json!([{"attachments": [attachment]}]))
}

/// **LO**: a location.
fn location() -> Value {
    let place = json!({
        "longitude": -122.4, "latitude": 37.7, "name": "Office", "address": "Main Street 1",
    });
    message("location", "type_location", &json!([place]))
}

/// **TE**: a template.
fn template() -> Value {
    let block = json!({
        "name": "tpl", "attributes": ["v1", "v2"],
        "language": {"locale": "en", "policy": "deterministic"},
    });
    message("template", "type_template", &json!([block]))
}

/// Every one of them.
fn all() -> [Value; 5] {
    [text(), media_id(), media_url(), location(), template()]
}

/// `body` with a member of its only message replaced or added.
fn with_field(body: Value, name: &str, value: Value) -> Value {
    with(body, &format!("/message/0/{name}"), value)
}

/// `body` without a member of its only message.
fn without_field(body: Value, name: &str) -> Value {
    without(body, &format!("/message/0/{name}"))
}

fn route(method: &Method, path: &str) -> &'static Route {
    let found = Pepipost.routes().iter().find(|it| it.path == path && it.method == *method);
    found.expect("the dialect has the route")
}

/// A request of organisation `org-1` at [`NOW`].
fn ask(
    route: &Route,
    body: Body<'_>,
    path_params: &[(&str, &str)],
    query: &[(&str, &str)],
) -> Result<Command, Failure> {
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let (path_params, query) = (owned(path_params), owned(query));
    let org = OrgId::new("org-1");
    Pepipost.decode(&Request {
        org: Some(&org),
        now: NOW,
        path_params: &path_params,
        query: &query,
        ..Request::to(route, body)
    })
}

fn post(path: &str, body: &[u8]) -> Result<Command, Failure> {
    ask(route(&Method::POST, path), Body::Json(body), &[], &[])
}

fn submit_to(path: &str, body: &Value) -> Result<Submit, Failure> {
    match post(path, body.to_string().as_bytes())? {
        Command::Submit(submit) => Ok(*submit),
        other => panic!("{other:?}"),
    }
}

fn submit(body: &Value) -> Result<Submit, Failure> {
    submit_to(wire::SEND_PATH, body)
}

/// The only message of a body.
#[track_caller]
fn sent(body: &Value) -> SendMessage {
    sent_to(wire::SEND_PATH, body)
}

#[track_caller]
fn sent_to(path: &str, body: &Value) -> SendMessage {
    let mut submit = submit_to(path, body).unwrap();
    assert_eq!(submit.messages.len(), 1);
    let only = submit.messages.pop().unwrap();
    assert_eq!(only.doomed, None);
    only.send
}

/// The reply to a failure on a route.
fn reply_at(failure: &Failure, method: &Method, path: &str) -> Reply {
    let site = ErrorSite { route: Some(route(method, path)), ..ErrorSite::default() };
    Pepipost.encode_error(failure, site)
}

/// **F**: asserts the whole reply to a request that failed while it was decoded.
#[track_caller]
fn assert_answered(
    result: Result<impl std::fmt::Debug, Failure>,
    path: &str,
    (status, code, text): (u16, &str, &str),
) {
    let failure = result.unwrap_err();
    let reply = reply_at(&failure, &Method::POST, path);
    assert_eq!(reply.status.as_u16(), status, "{failure}");
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let expected = json!({"status": "failure", "error": {"code": code, "message": text}});
    assert_eq!(body, expected, "{failure}");
    let detail = header(&reply, "x-waypost-error").expect("every failure has details");
    if let Some(field) = &failure.field {
        assert!(detail.contains(field.as_str()), "{detail}");
    }
}

/// Asserts that a message is refused with 400, a code and a text.
#[track_caller]
fn assert_refused(body: &Value, code: &str, text: &str) {
    assert_answered(submit(body), wire::SEND_PATH, (400, code, text));
}

fn header(reply: &Reply, name: &str) -> Option<String> {
    let found = reply.headers.iter().find(|(key, _)| key.as_str() == name);
    found.map(|(_, value)| value.to_str().unwrap().to_owned())
}
