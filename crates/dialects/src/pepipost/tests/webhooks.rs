//! Webhooks: receipts and inbound messages.

use waypost_domain::callback::{CallbackShape, CallbackSite};
use waypost_domain::command::MessageType;
use waypost_domain::content::InboundContent;
use waypost_domain::directory::Number;
use waypost_domain::event::{
    Event, EventDetail, EventFile, EventKind, QuotedMessage, ReceivedDetail, StatusDetail,
    TemplateDetail,
};
use waypost_domain::message::{Direction, Message, MessageOptions};
use waypost_domain::{Content, EventId, MediaId, MessageId, NumberId, Phone, Status, Zone};

use super::super::PepipostEvents;
use super::*;

const WAMID: &str = "wamid.HBgLMTU1NTAwMDExMTEVAgASGBQzQTAwMTEyMjMzNDQ1NTY2Nzc4QQA=";

fn number() -> Number {
    serde_json::from_value(json!({
        "id": "num-1", "org_id": "org-1", "display_phone": "15550009999",
        "phone_number_id": "100000000000001", "waba_id": "100000000000002",
        "source_id": "src-9", "created_at": 0,
    }))
    .unwrap()
}

fn outbound() -> Message {
    Message {
        id: MessageId::parse("0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7be1").unwrap(),
        org_id: OrgId::new("org-1"),
        number_id: NumberId::new("num-1"),
        customer_id: None,
        phone: Phone::parse("15550001111").unwrap(),
        direction: Direction::Outbound,
        message_type: MessageType::Human,
        dialect: "pepipost".to_owned(),
        synchronous: false,
        user_id: None,
        session_id: None,
        reference: Some("order-77".to_owned()),
        broadcast_id: None,
        content: Content::Text { body: "hello".to_owned(), preview_url: false },
        status: Status::Read,
        wamid: Some(WAMID.to_owned()),
        wa_id: None,
        failure: None,
        possible_duplicate: false,
        resend_at: None,
        options: MessageOptions {
            echo: Some(json!({"source": "src-1"}).into()),
            ..MessageOptions::default()
        },
        created_at: Timestamp(0),
        settled_at: None,
    }
}

fn event(kind: EventKind, at: &str, detail: EventDetail) -> Event {
    Event {
        id: EventId::parse("0b8f1d52-7c0e-7a57-9a3c-2f1d5e6a7c00").unwrap(),
        org_id: OrgId::new("org-1"),
        number_id: Some(NumberId::new("num-1")),
        kind,
        at: Timestamp::parse_rfc3339(at).unwrap(),
        detail,
    }
}

fn status(kind: EventKind, message: Message, failure: Option<Failure>) -> Event {
    let detail = StatusDetail { message, status: Status::Read, failure, upstream: None };
    event(kind, "2026-05-16T10:06:58.999Z", EventDetail::Status(Box::new(detail)))
}

fn inbound(kind: &str, said: Value) -> ReceivedDetail {
    let mut object = json!({"from": "15550001111", "id": WAMID, "timestamp": "1767090835"});
    object["type"] = json!(kind);
    object[kind] = said;
    let content = InboundContent { kind: kind.to_owned(), message: object, media: None };
    let message = Message {
        direction: Direction::Inbound,
        dialect: "cloud_api".to_owned(),
        reference: None,
        content: Content::Inbound(content),
        options: MessageOptions::default(),
        ..outbound()
    };
    let profile_name = Some("Test User".to_owned());
    ReceivedDetail { message, profile_name, quoted: None, file: None }
}

fn received(detail: ReceivedDetail) -> Event {
    let detail = EventDetail::Received(Box::new(detail));
    event(EventKind::MessageReceived, "2025-12-30T10:33:55Z", detail)
}

fn posted(events: &[&Event]) -> String {
    let (number, zone) = (number(), Zone::of_offset_minutes(330));
    let site = CallbackSite { number: Some(&number), zone: &zone };
    assert!(events.iter().all(|event| PepipostEvents.tells(event)));
    String::from_utf8(PepipostEvents.encode(events, &site)).unwrap()
}

fn first(events: &[&Event], kind: &str) -> Value {
    let posted: Value = serde_json::from_str(&posted(events)).unwrap();
    posted[kind][0].clone()
}

#[test]
fn a_receipt_is_written_as_the_vendor_shows() {
    let event = status(EventKind::MessageRead, outbound(), None);
    assert_eq!(posted(&[&event]), include_str!("../fixtures/delivery_status.json").trim_end());
}

#[test]
fn an_inbound_text_is_written_as_the_vendor_shows() {
    let event = received(inbound("text", json!({"body": "hello"})));
    assert_eq!(posted(&[&event]), include_str!("../fixtures/incoming_message.json").trim_end());
}

#[test]
fn each_status_has_its_word_and_failures_have_a_remark() {
    let window = Some(Failure::new(ErrorKind::WindowClosed, "Closed."));
    for (kind, failure, word, remark) in [
        (EventKind::MessageSent, None, "sent", ""),
        (EventKind::MessageDelivered, None, "delivered", ""),
        (EventKind::MessageRead, None, "read", ""),
        (EventKind::MessageFailed, window, "failed", "8007: Failed to send message because"),
        (EventKind::MessageFailed, None, "failed", "8015: Platform Error"),
        (EventKind::MessageCancelled, None, "failed", "8015: Platform Error (cancelled)"),
    ] {
        let entry = first(&[&status(kind, outbound(), failure)], "delivery_status");
        assert_eq!(entry["status"], word);
        let told = entry["status_remark"].as_str().unwrap();
        assert!(told.starts_with(remark) && told.is_empty() == remark.is_empty(), "{told}");
    }
}

/// 19, 42
#[test]
fn source_and_own_data_are_those_of_the_request() {
    let entry = |message: Message| {
        first(&[&status(EventKind::MessageSent, message, None)], "delivery_status")
    };
    let bare = entry(Message { reference: None, options: MessageOptions::default(), ..outbound() });
    assert_eq!(bare["source"], "");
    assert_eq!(bare.get("x-apiheader"), None);
    let own = Message { reference: Some("{\"a\":1}".to_owned()), ..outbound() };
    assert_eq!(entry(own)["x-apiheader"], "{\"a\":1}");
    let foreign = entry(Message { dialect: "replyhero".to_owned(), ..outbound() });
    assert_eq!(foreign["source"], "src-9", "the number's, not another dialect's echo");
    let options = MessageOptions {
        echo: Some(json!({"source": "src-1", "recipient": "0550001111"}).into()),
        ..MessageOptions::default()
    };
    let nobody = entry(Message { phone: Phone::nobody(), options, ..outbound() });
    assert_eq!(nobody["recipient"], "0550001111");
}

/// 56
#[test]
fn an_inbound_file_is_named_by_an_id_that_can_be_fetched() {
    let mut detail = inbound(
        "image",
        json!({"mime_type": "image/jpeg", "sha256": "c2hh", "id": "9", "caption": "me"}),
    );
    detail.file = Some(EventFile {
        id: MediaId::new("1000000000000042"),
        url: "https://gateway.example.com/media/x.jpg".to_owned(),
        mime_type: "image/png".to_owned(),
        sha256: "00".to_owned(),
        filename: Some("a.jpg".to_owned()),
    });
    let entry = first(&[&received(detail.clone())], "incoming_message");
    assert_eq!(entry["message_type"], "IMAGE");
    let expected = json!({"mime_type": "image/jpeg", "sha256": "c2hh", "id": MID, "caption": "me"});
    assert_eq!(entry["image_type"], expected);
    assert_eq!(wire::media_id(MID).as_str(), "1000000000000042");
    detail.file = None;
    let entry = first(&[&received(detail)], "incoming_message");
    assert_eq!(entry["image_type"]["id"], "");
}

#[test]
fn every_kind_of_inbound_message_has_its_word() {
    let card = json!([{"name": {"formatted_name": "Ann"}}]);
    let chosen = json!({"type": "list_reply", "list_reply": {"id": "r1", "title": "Row", "description": ""}});
    for (kind, said, word, member, expected) in [
        (
            "video",
            json!({"mime_type": "video/mp4", "sha256": "x"}),
            "VIDEO",
            "video_type",
            json!({"mime_type": "video/mp4", "sha256": "x", "id": ""}),
        ),
        (
            "audio",
            json!({"mime_type": "audio/ogg; codecs=opus", "sha256": "x", "voice": true}),
            "AUDIO",
            "audio_type",
            json!({"mime_type": "audio/ogg; codecs=opus", "sha256": "x", "id": "", "voice": true}),
        ),
        (
            "document",
            json!({"mime_type": "application/pdf", "sha256": "x", "filename": "a.pdf"}),
            "DOCUMENT",
            "document_type",
            json!({"filename": "a.pdf", "mime_type": "application/pdf", "sha256": "x", "id": ""}),
        ),
        (
            "sticker",
            json!({"mime_type": "image/webp", "sha256": "x", "animated": false}),
            "STICKER",
            "sticker_type",
            json!({"mime_type": "image/webp", "sha256": "x", "id": "", "animated": false}),
        ),
        (
            "location",
            json!({"latitude": 37.7, "longitude": -122.4, "name": "Office"}),
            "LOCATION",
            "location_type",
            json!({"latitude": "37.7", "longitude": "-122.4", "name": "Office", "url": "", "address": ""}),
        ),
        (
            "button",
            json!({"payload": "p", "text": "Yes"}),
            "BUTTON",
            "text_type",
            json!({"payload": "p", "text": "Yes"}),
        ),
        ("interactive", chosen.clone(), "INTERACTIVE", "interactive_type", chosen),
        ("contacts", card.clone(), "CONTACTS", "contacts_type", card),
    ] {
        let entry = first(&[&received(inbound(kind, said))], "incoming_message");
        assert_eq!((&entry["message_type"], &entry[member]), (&json!(word), &expected));
    }
    for kind in ["order", "unsupported", "interactive", "hologram"] {
        let entry = first(&[&received(inbound(kind, Value::Null))], "incoming_message");
        assert_eq!(entry["message_type"], "UNSUPPORTED");
        assert_eq!(entry.as_object().unwrap().len(), 7, "no payload");
    }
}

/// 57
#[test]
fn an_answer_names_the_message_that_it_answers() {
    let mut detail = inbound("reaction", json!({"message_id": "wamid.theirs", "emoji": "👍"}));
    let unknown = json!({"ncmessage_id": "", "message_id": "wamid.theirs"});
    let entry = first(&[&received(detail.clone())], "incoming_message");
    assert_eq!((&entry["context"], &entry["reaction_type"]), (&unknown, &json!({"emoji": "👍"})));
    detail.quoted = Some(QuotedMessage {
        id: outbound().id,
        wamid: "wamid.ours".to_owned(),
        reference: Some("order-77".to_owned()),
        echo: Some(json!({"source": "src-1"}).into()),
    });
    let entry = first(&[&received(detail)], "incoming_message");
    let expected = json!({
        "ncmessage_id": "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7be1", "message_id": "wamid.ours",
        "x-apiheader": "order-77",
    });
    assert_eq!(entry["context"], expected);
}

#[test]
fn several_events_go_in_one_call_in_order() {
    let sent = status(EventKind::MessageSent, outbound(), None);
    let read = status(EventKind::MessageRead, outbound(), None);
    let wrote = received(inbound("text", json!({"body": "hello"})));
    let posted: Value = serde_json::from_str(&posted(&[&sent, &wrote, &read])).unwrap();
    assert_eq!(posted["delivery_status"][0]["status"], "sent");
    assert_eq!(posted["delivery_status"][1]["status"], "read");
    assert_eq!(posted["incoming_message"].as_array().unwrap().len(), 1);
}

#[test]
fn templates_are_not_told_of() {
    let detail = TemplateDetail {
        id: "1".to_owned(),
        name: "tpl".to_owned(),
        language: "en".to_owned(),
        status: "APPROVED".to_owned(),
        reason: None,
        waba_id: "100000000000002".to_owned(),
    };
    let event =
        event(EventKind::TemplateStatus, "2026-05-16T10:06:58Z", EventDetail::Template(detail));
    assert!(!PepipostEvents.tells(&event));
}

#[test]
fn posts_are_repeated_as_the_reference_says() {
    let info = PepipostEvents.info();
    assert_eq!(info.schedule_s, [10, 30, 120, 600, 3_600, 21_600, 86_400]);
    assert_eq!((info.is_jittered, info.timeout_s, info.zone_offset_minutes), (false, 10, 330));
    let batch = info.batch.unwrap();
    assert_eq!((batch.max_events, batch.flush_ms), (100, 1_000));
}
