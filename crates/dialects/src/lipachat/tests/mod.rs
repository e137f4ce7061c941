//! The reference's table of test cases, as far as a codec decides it, and what hostile input does.
//! Numbers in comments are rows of that table; letters are its bodies.

mod errors;
mod events;
mod flows;
mod hostile;
mod replies;
mod send;
mod template;
mod templates;

use http::Method;
use serde_json::{Map, Value, json};
use waypost_domain::command::{MediaDraft, SendMessage};
use waypost_domain::{Content, ErrorKind, Failure, OrgId};

use super::LipaChat;
use super::wire::path;
use crate::changed_json::{with, without};
use crate::contract::{Body, Command, Dialect, Form, FormFile, Request, Route, Task};
use crate::expected::assert_refused;

/// Makes a valid body.
type Sample = fn() -> Value;

/// The calls that send, with a valid body of each.
const SENDS: [(&str, Sample); 9] = [
    (path::TEXT, text),
    (path::MEDIA, media),
    (path::BUTTONS, buttons),
    (path::LIST, list),
    (path::CONTACT, contact),
    (path::LOCATION, location),
    (path::REQUEST_LOCATION, request_location),
    (path::TEMPLATE, template),
    (path::FLOW_MESSAGE, flow),
];

/// A body with `messageId`, `from` and `to`.
fn addressed(rest: Value) -> Value {
    let mut body = json!({"messageId": "order-77", "from": "15550009999", "to": "15550001111"});
    let Value::Object(rest) = rest else { panic!("{rest}") };
    body.as_object_mut().unwrap().extend(rest);
    body
}

/// **T**
fn text() -> Value {
    addressed(json!({"message": "Hello world"}))
}

/// **M**
fn media() -> Value {
    addressed(json!({
        "mediaType": "IMAGE", "mediaUrl": "https://files.example.com/a.jpg", "caption": "Hi",
    }))
}

/// **B**
fn buttons() -> Value {
    let buttons = json!([{"id": "1", "title": "YES"}, {"id": "2", "title": "NO"}]);
    addressed(json!({"text": "Continue?", "buttons": buttons}))
}

/// **L**
fn list() -> Value {
    let rows = json!([{"id": "AIR_1", "title": "Safari", "description": "optional"}]);
    addressed(json!({
        "headerText": "Services", "body": "Pick one", "buttonText": "Click here",
        "buttons": [{"sectionTitle": "Airtime", "sectionItems": rows}],
    }))
}

/// **C**
fn contact() -> Value {
    let phone = json!({"phone": "15550002222", "type": "Cell", "waId": "15550002222"});
    addressed(json!({"name": {"formattedName": "Test User"}, "phones": [phone]}))
}

/// **P**
fn location() -> Value {
    addressed(json!({
        "latitude": -1.2921, "longtitude": 36.8219, "name": "Office", "address": "Main Street 1",
    }))
}

/// **R**
fn request_location() -> Value {
    addressed(json!({"text": "Where are you?"}))
}

/// **W**
fn template() -> Value {
    let components = json!({
        "header": {"type": "IMAGE", "mediaUrl": "https://files.example.com/a.jpg"},
        "body": {"placeholders": ["John", "2000"]},
    });
    addressed(json!({
        "template": {"name": "offer_830", "languageCode": "en", "components": components},
    }))
}

fn flow() -> Value {
    addressed(json!({
        "text": "Tell us more", "flowId": "4", "flowCta": "Share details",
        "screen": "FIRST_SCREEN", "data": {"service": "A"},
    }))
}

fn route(method: &Method, path: &str) -> &'static Route {
    let mut routes = LipaChat.routes().iter();
    routes.find(|route| route.path == path && route.method == *method).expect("is a route")
}

/// Decodes a request of an organisation's key. `params` are the path's and the query's.
fn call(
    method: &Method,
    path: &str,
    params: &[(&str, &str)],
    body: Body<'_>,
) -> Result<Command, Failure> {
    let org = OrgId::new("org-1");
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let params: Vec<(String, String)> = params.iter().map(owned).collect();
    LipaChat.decode(&Request {
        org: Some(&org),
        path_params: &params,
        query: &params,
        ..Request::to(route(method, path), body)
    })
}

fn manage(
    method: &Method,
    path: &str,
    params: &[(&str, &str)],
    body: Body<'_>,
) -> Result<Task, Failure> {
    match call(method, path, params, body)? {
        Command::Manage(manage) => Ok(manage.task),
        other => panic!("{other:?}"),
    }
}

fn post(path: &str, body: &[u8]) -> Result<Command, Failure> {
    call(&Method::POST, path, &[], Body::Json(body))
}

fn send(path: &str, body: &Value) -> Result<SendMessage, Failure> {
    match post(path, body.to_string().as_bytes())? {
        Command::SendMessage(send) => Ok(*send),
        other => panic!("{other:?}"),
    }
}

/// What goes upstream, files by their links.
fn message_object(content: &Content<MediaDraft>) -> Value {
    let mut object = Map::new();
    content.write_message_object(&mut object, |draft| {
        let (name, place) = match &draft.source {
            waypost_domain::MediaSource::Link { url, .. } => ("link", url.clone()),
            waypost_domain::MediaSource::Id(id) => ("id", id.to_string()),
            other => panic!("{other:?}"),
        };
        Map::from_iter([(name.to_owned(), json!(place))])
    });
    Value::Object(object)
}

fn object(path: &str, body: &Value) -> Value {
    message_object(&send(path, body).unwrap().content)
}

fn form(fields: &[(&str, &str)], file: Option<(&str, &str, &[u8])>) -> Form {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Form {
        fields: fields.iter().map(owned).collect(),
        file: file.map(|(name, content_type, bytes)| FormFile {
            filename: Some(name.to_owned()),
            content_type: Some(content_type.to_owned()),
            size: bytes.len() as u64,
            head: bytes.to_vec(),
        }),
    }
}
