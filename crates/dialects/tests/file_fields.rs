//! A file's draft names the field that says where the file is, as the caller wrote it: that is what
//! the engine's errors show.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail at any of its steps")]

use serde_json::{Value, json};
use waypost_dialects::samples::{SAMPLE_ORG, SampleBody};
use waypost_dialects::{Body, Command, DIALECTS, Request, SendMessage};
use waypost_domain::command::MediaDraft;
use waypost_domain::template::Template;
use waypost_domain::{Content, MediaSource, OrgId};

const LINK: &str = "https://files.example.com/a.jpg";

/// Bodies that name a file by each field that a dialect has for it, with that field.
fn bodies() -> Vec<(&'static str, Value, &'static str)> {
    let template = "/api/v1/whatsapp/template";
    let message = "/api/v2/message";
    let webex = "/resources/v1/messaging";
    vec![
        (
            "/api/v1/whatsapp/media",
            json!({"messageId": "1", "from": "15550009999", "to": "15550001111",
                   "mediaType": "IMAGE", "mediaUrl": LINK}),
            "mediaUrl",
        ),
        (
            template,
            lipachat_template(&json!({"header": {"type": "IMAGE", "mediaUrl": LINK}})),
            "template.components.header.mediaUrl",
        ),
        (
            template,
            lipachat_template(&json!({"header": {"type": "IMAGE", "mediaId": "42"}})),
            "template.components.header.mediaId",
        ),
        (
            template,
            lipachat_template(&json!([{"type": "header", "parameters": [
                {"type": "image", "image": {"link": LINK}}]}])),
            "template.components[0].parameters[0].image.link",
        ),
        (
            message,
            pepipost("media", &json!({"type_media": {"attachments": {"attachment_url": LINK}}})),
            "message[0].type_media.attachments.attachment_url",
        ),
        (
            message,
            pepipost("media", &json!({"type_media": [{"attachments": [{"attachment_id": "42"}]}]})),
            "message[0].type_media[0].attachments[0].attachment_id",
        ),
        (
            message,
            pepipost(
                "media_template",
                &json!({"type_template": [{"name": "t", "language": {"locale": "en"}}],
                        "type_media_template": {"type": "image", "url": LINK}}),
            ),
            "message[0].type_media_template.url",
        ),
        (
            message,
            pepipost(
                "media_template",
                &json!({"type_template": [{"name": "t", "language": {"locale": "en"}}],
                        "type_media_template": {"type": "image", "media_id": "42"}}),
            ),
            "message[0].type_media_template.media_id",
        ),
        (
            message,
            pepipost(
                "interactive",
                &json!({"type_interactive": [{"type": "button", "body": "Continue?",
                        "header": {"type": "image", "image": {"link": LINK}},
                        "action": [{"buttons": [{"type": "reply",
                                                 "reply": {"id": "1", "title": "Yes"}}]}]}]}),
            ),
            "message[0].type_interactive[0].header.image.link",
        ),
        (
            webex,
            webex_content(&json!({"type": "image",
                "image": {"url": LINK, "mimeType": "image/jpeg"}})),
            "channels.OTT-Messaging.wa.image.url",
        ),
        (
            webex,
            webex_content(&json!({"type": "reply", "reply": {
                "header": {"type": "image", "image": {"link": LINK}},
                "body": {"text": "Continue?"},
                "action": {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Yes"}}]}}})),
            "channels.OTT-Messaging.wa.reply.header.image.link",
        ),
        (webex, webex_template(&json!({"link": LINK})), "message.parameters.image.link"),
        (webex, webex_template(&json!({"url": LINK})), "message.parameters.image.url"),
        (webex, webex_template(&json!({"id": "42"})), "message.parameters.image.id"),
    ]
}

fn lipachat_template(components: &Value) -> Value {
    json!({"messageId": "1", "from": "15550009999", "to": "15550001111",
           "template": {"name": "t", "languageCode": "en", "components": components}})
}

fn pepipost(kind: &str, blocks: &Value) -> Value {
    let mut element = json!({"recipient_whatsapp": "15550001111", "message_type": kind,
                             "source": "src-1"});
    let blocks = blocks.as_object().unwrap().clone();
    element.as_object_mut().unwrap().extend(blocks);
    json!({ "message": [element] })
}

fn webex_content(wa: &Value) -> Value {
    json!({"appid": "a_1", "destination": [{"waid": ["15550001111"]}],
           "channels": {"OTT-Messaging": {"wa": wa}}})
}

fn webex_template(image: &Value) -> Value {
    json!({"appid": "a_1", "destination": [{"waid": ["15550001111"]}],
           "message": {"template": "t", "parameters": {"image": image}}})
}

fn decode(path: &str, body: &Value) -> Command {
    let routes = DIALECTS.iter().flat_map(|it| it.routes().iter().map(move |route| (it, route)));
    let (dialect, route) = routes.clone().find(|(_, route)| route.path == path).unwrap();
    let (org, text) = (OrgId::new("org-1"), body.to_string());
    let request = Request { org: Some(&org), ..Request::to(route, Body::Json(text.as_bytes())) };
    dialect.decode(&request).unwrap_or_else(|failure| panic!("{path}: {failure}"))
}

/// The files that a command names.
fn drafts(command: &Command) -> Vec<MediaDraft> {
    match command {
        Command::SendMessage(send) => drafts_of(send),
        Command::Submit(submit) => {
            submit.messages.iter().flat_map(|message| drafts_of(&message.send)).collect()
        }
        Command::Broadcast(broadcast) => {
            Content::Template(broadcast.template.clone()).media().into_iter().cloned().collect()
        }
        Command::UploadMedia(_) | Command::Manage(_) => Vec::new(),
    }
}

fn drafts_of(send: &SendMessage) -> Vec<MediaDraft> {
    let mut content = send.content.clone();
    if let (Content::Template(message), Some(binding)) = (&mut content, &send.binding) {
        // Samples give values for variables that this template does not have.
        message.components =
            (binding.bind)(&with_image_header(), &binding.values).unwrap_or_default();
    }
    content.media().into_iter().cloned().collect()
}

fn with_image_header() -> Template {
    let template = json!({"id": "1", "waba_id": "1", "name": "t", "language": "en",
        "status": "APPROVED", "category": "UTILITY", "synced_at": 0, "components": [
            {"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hello"}]});
    serde_json::from_value(template).unwrap()
}

/// What stands in a body at a path such as `a[0].b`.
fn at<'a>(body: &'a Value, path: &str) -> Option<&'a Value> {
    let pointer = path.replace('[', ".").replace(']', "").replace('.', "/");
    body.pointer(&format!("/{}", pointer.trim_start_matches('/')))
}

#[test]
fn a_file_is_blamed_by_the_field_that_the_caller_wrote() {
    for (path, body, field) in bodies() {
        let drafts = drafts(&decode(path, &body));
        let fields: Vec<&str> = drafts.iter().map(|draft| draft.field.as_str()).collect();
        assert_eq!(fields, [field], "{path}");
        assert!(at(&body, field).is_some(), "{field} in {body}");
    }
}

#[test]
fn the_files_of_samples_stand_where_their_drafts_say() {
    let mut seen = 0;
    for dialect in DIALECTS {
        for sample in dialect.samples() {
            let SampleBody::Json(text) = sample.body else { continue };
            let body: Value = serde_json::from_str(text).unwrap();
            for draft in drafts(&sample.decode(*dialect).unwrap()) {
                seen += 1;
                let found = at(&body, &draft.field);
                let says = found.unwrap_or_else(|| panic!("no {} in {text}", draft.field));
                let is_there = match &draft.source {
                    MediaSource::Link { url, .. } => says == url,
                    // Ids and files are spelt in more ways than one.
                    _ => says.is_string(),
                };
                assert!(is_there, "{} in {text}", draft.field);
            }
        }
    }
    assert!(seen > 10, "{seen} files in samples of {SAMPLE_ORG}");
}
