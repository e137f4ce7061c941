//! Replies byte for byte.

use waypost_domain::command::{Delivery, MessageType, Receipt};
use waypost_domain::content::{InboundContent, MediaMessage};
use waypost_domain::manage::{FlowRecord, LoggedMessage, Managed};
use waypost_domain::media::MediaKind;
use waypost_domain::message::{Direction, Message};
use waypost_domain::template::Template;
use waypost_domain::{MediaId, MediaRef, MessageId, NumberId, Phone, Status, Timestamp, Zone};

use super::*;
use crate::contract::{Asked, Call, CommandEcho, Outcome, Reply};
use crate::expected::assert_body;

const WAMID: &str = "wamid.HBgLMTU1NTAwMDExMTEVAgARGBJBMUIyQzNENEU1RjYwNzE4MjkA";
const NOW: &str = "2026-01-15T07:27:56.825Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

/// A message of ours; events and lists have it.
pub(super) fn message(content: Content) -> Message {
    Message {
        id: MessageId::parse("0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7b90").unwrap(),
        org_id: OrgId::new("org-1"),
        number_id: NumberId::new("100000000000001"),
        customer_id: None,
        phone: Phone::parse("15550001111").unwrap(),
        direction: Direction::Outbound,
        message_type: MessageType::Human,
        dialect: "lipachat".to_owned(),
        synchronous: true,
        user_id: None,
        session_id: None,
        reference: Some("order-77".to_owned()),
        broadcast_id: None,
        content,
        status: Status::Delivered,
        wamid: Some(WAMID.to_owned()),
        wa_id: None,
        failure: None,
        possible_duplicate: false,
        resend_at: None,
        options: waypost_domain::message::MessageOptions::default(),
        created_at: at(NOW),
        settled_at: None,
    }
}

fn delivery() -> Delivery {
    let phone = Phone::parse("15550001111").unwrap();
    let receipt = Receipt { wamid: WAMID.to_owned(), wa_id: phone.digits().to_owned() };
    Delivery {
        id: message(Content::Contacts(vec![])).id,
        customer_id: None,
        phone,
        at: at(NOW),
        message_type: MessageType::Human,
        result: Ok(receipt),
    }
}

fn echo(path: &str, body: &Value) -> CommandEcho {
    post(path, body.to_string().as_bytes()).unwrap().echo()
}

fn encode_at(now: &str, path: &str, command: &CommandEcho, outcome: &Outcome) -> Reply {
    let zone = Zone::parse("+03:00").unwrap();
    let call = Call { path, now: at(now), zone: &zone, ..Call::default() };
    LipaChat.encode(&Asked { command, call }, outcome)
}

fn encode(path: &str, command: &CommandEcho, outcome: &Outcome) -> Reply {
    encode_at(NOW, path, command, outcome)
}

fn managed(path: &str, managed: Managed) -> Reply {
    let mut command = echo(path::TEXT, &text());
    command.page_size = Some(10);
    encode(path, &command, &Outcome::Managed(Box::new(managed)))
}

/// 1, 3
#[test]
fn a_message_is_answered_as_the_reference_shows() {
    let outcome = Outcome::Sent(delivery());
    for (path, body) in SENDS {
        let mut fixture = include_str!("../fixtures/sent.json").to_owned();
        if path == path::MEDIA {
            fixture = fixture.replace("Message sent", "Media sent");
        }
        assert_body(&encode(path, &echo(path, &body()), &outcome), &fixture);
    }
}

/// 2, 5
#[test]
fn a_slash_at_the_end_and_a_missing_id_change_little() {
    let command = echo(path::MEDIA, &without(media(), "/messageId"));
    let reply = encode("/api/v1/whatsapp/media/", &command, &Outcome::Sent(delivery()));
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["data"]["statusDesc"], "Media sent successfully");
    assert_eq!(body["data"]["messageId"], "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7b90");
}

#[test]
fn times_are_javas_local_times() {
    let command = echo(path::TEXT, &text());
    for (now, local) in [
        ("2026-01-15T07:27:56Z", "2026-01-15T10:27:56"),
        ("2026-01-15T07:27:00.800Z", "2026-01-15T10:27:00.8"),
        ("2026-01-15T21:27:56.040Z", "2026-01-16T00:27:56.04"),
    ] {
        let reply = encode_at(now, path::TEXT, &command, &Outcome::Sent(delivery()));
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["timestamp"], local);
    }
}

/// 31, 38: the refusal of a message is the refusal of its request.
#[test]
fn a_message_that_failed_is_answered_as_an_error() {
    let failure = Failure::new(ErrorKind::WindowClosed, "The window is closed.");
    let outcome = Outcome::Sent(Delivery { result: Err(failure), ..delivery() });
    let reply = encode(path::TEXT, &echo(path::TEXT, &text()), &outcome);
    assert_eq!(reply.status.as_u16(), 400);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["status"], "error");
}

/// 48
#[test]
fn the_message_list_is_answered_as_the_reference_shows() {
    let image = Content::Media(MediaMessage {
        kind: MediaKind::Image,
        media: MediaRef::Link("https://files.example.com/a.jpg".to_owned()),
        caption: Some("Hi".to_owned()),
        filename: None,
        voice: false,
    });
    let entry = LoggedMessage { message: message(image), changed_at: at("2026-01-15T07:27:59.1Z") };
    let reply = managed(path::MESSAGES, Managed::Messages { messages: vec![entry], total: 1 });
    assert_body(&reply, include_str!("../fixtures/messages.json"));
    for (total, pages) in [(0, 0), (10, 1), (11, 2), (95, 10)] {
        let reply = managed(path::MESSAGES, Managed::Messages { messages: vec![], total });
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((body["totalPages"].as_u64(), &body["data"]), (Some(pages), &json!([])));
    }
}

#[test]
fn entries_of_the_message_list_tell_what_they_are() {
    let inbound = |kind: &str, payload: Value, media: Option<&str>| {
        Content::Inbound(InboundContent {
            kind: kind.to_owned(),
            message: json!({"type": kind, kind: payload}),
            media: media.map(MediaId::new),
        })
    };
    let said = Content::Text { body: "hello".to_owned(), preview_url: false };
    for (content, status, expected) in [
        (said, Status::Sending, ("TEXT", json!("hello"), json!(null), "PENDING")),
        (
            inbound("text", json!({"body": "hi"}), None),
            Status::Received,
            ("TEXT", json!("hi"), json!(null), "DELIVERED"),
        ),
        (
            inbound("image", json!({"id": "1", "caption": "a"}), Some("1000000000000042")),
            Status::Received,
            (
                "IMAGE",
                json!(null),
                json!(r#"{"caption":"a","mediaId":"1000000000000042"}"#),
                "DELIVERED",
            ),
        ),
        (
            inbound("contacts", json!([{"name": {"formatted_name": "Ann"}}, {}]), None),
            Status::Received,
            (
                "CONTACT",
                json!(null),
                json!(concat!(
                    r#"{"name":{"formattedName":"Ann"},"phones":[],"contacts":["#,
                    r#"{"name":{"formattedName":"Ann"},"phones":[]},"#,
                    r#"{"name":{"formattedName":null},"phones":[]}]}"#
                )),
                "DELIVERED",
            ),
        ),
        (
            Content::Contacts(vec![]),
            Status::Failed,
            ("CONTACT", json!(null), json!("[]"), "FAILED"),
        ),
        (
            Content::Reaction { message_id: "wamid.x".to_owned(), emoji: String::new() },
            Status::Unknown,
            ("REACTION", json!(null), json!(r#"{"message_id":"wamid.x","emoji":""}"#), "PENDING"),
        ),
        (
            inbound("order", json!({}), None),
            Status::Received,
            ("UNSUPPORTED", json!(null), json!(null), "DELIVERED"),
        ),
    ] {
        let message = Message { status, ..message(content) };
        let messages = vec![LoggedMessage { message, changed_at: at(NOW) }];
        let reply = managed(path::MESSAGES, Managed::Messages { messages, total: 1 });
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        let entry = &body["data"][0];
        let (kind, text, metadata, status) = expected;
        assert_eq!(entry["type"], kind);
        assert_eq!((&entry["text"], &entry["metadata"]), (&text, &metadata));
        assert_eq!(entry["status"], status);
    }
}

/// 49, 50, 52
#[test]
fn templates_are_answered_without_a_time() {
    let template = Template {
        id: "1000000000000500".to_owned(),
        waba_id: "100000000000002".to_owned(),
        name: "plain_note".to_owned(),
        language: "en".to_owned(),
        status: "APPROVED".to_owned(),
        category: "UTILITY".to_owned(),
        parameter_format: None,
        components: vec![json!({"type": "BODY", "text": "Hello"})],
        synced_at: Timestamp(0),
    };
    let created =
        json!({"category": "MARKETING", "id": "1000000000000500", "status": "PENDING", "x": 1});
    for (path, outcome, fixture) in [
        (
            "/api/v1/template/15550009999",
            Managed::Templates(vec![template]),
            include_str!("../fixtures/templates.json"),
        ),
        (
            "/api/v1/template/15550009999",
            Managed::TemplateCreated(created),
            include_str!("../fixtures/template_created.json"),
        ),
        (
            "/api/v1/template/15550009999/1000000000000500/",
            Managed::Done,
            include_str!("../fixtures/template_changed.json"),
        ),
        (
            "/api/v1/template/upload/file",
            Managed::TemplateSample("4::aW1hZ2U=".to_owned()),
            include_str!("../fixtures/template_sample.json"),
        ),
    ] {
        assert_body(&managed(path, outcome), fixture);
    }
}

#[test]
fn flows_are_answered_as_the_reference_shows() {
    let record = FlowRecord {
        id: 4,
        org_id: OrgId::new("org-1"),
        number_id: NumberId::new("100000000000001"),
        upstream_id: "1000000000000777".to_owned(),
        name: "f".to_owned(),
        status: "DRAFT".to_owned(),
        categories: vec!["OTHER".to_owned()],
        created_at: at("2026-01-15T07:00:55.887Z"),
        updated_at: at("2026-01-15T07:00:55.887Z"),
    };
    let fixture = include_str!("../fixtures/flow.json");
    assert_body(&managed(path::FLOWS, Managed::Flow(record.clone())), fixture);
    let list = managed(path::FLOWS, Managed::Flows(vec![record]));
    let [one, list]: [Value; 2] =
        [serde_json::from_str(fixture).unwrap(), serde_json::from_slice(&list.body).unwrap()];
    assert_eq!(list["data"], json!([one["data"]]));
    let preview = Managed::FlowPreview {
        upstream_id: "1000000000000777".to_owned(),
        preview_url: "https://www.example.com/preview".to_owned(),
        expires_at: "2026-02-14T06:59:53+0000".to_owned(),
    };
    assert_body(&managed(path::FLOWS, preview), include_str!("../fixtures/flow_preview.json"));
    let published = managed("/api/v1/whatsapp/manage/flow/4/publish", Managed::Done);
    let published: Value = serde_json::from_slice(&published.body).unwrap();
    assert_eq!(published["data"], json!({"success": true, "error": null}));
    assert!(published["timestamp"].is_string());
}
