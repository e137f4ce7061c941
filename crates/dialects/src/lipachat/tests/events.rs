//! The callbacks.

use std::collections::HashSet;

use waypost_domain::callback::{CallbackShape, CallbackSite, Signature, Verdict};
use waypost_domain::content::InboundContent;
use waypost_domain::directory::Number;
use waypost_domain::event::{
    Event, EventDetail, EventFile, EventKind, ReceivedDetail, StatusDetail, TemplateDetail,
};
use waypost_domain::{EventId, MediaId, NumberId, Status, Timestamp, UpstreamFault, Zone};

use super::replies::message;
use super::*;
use crate::lipachat::LipaChatEvents;

fn number() -> Number {
    serde_json::from_value(json!({
        "id": "100000000000001", "org_id": "org-1", "display_phone": "15550009999",
        "phone_number_id": "100000000000001", "waba_id": "100000000000002", "created_at": 0,
    }))
    .unwrap()
}

fn event(kind: EventKind, detail: EventDetail) -> Event {
    Event {
        id: EventId::parse("0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7ba0").unwrap(),
        org_id: OrgId::new("org-1"),
        number_id: Some(NumberId::new("100000000000001")),
        kind,
        at: Timestamp(0),
        detail,
    }
}

fn encode(event: &Event) -> String {
    assert!(LipaChatEvents.tells(event));
    let (number, zone) = (number(), Zone::default());
    let site = CallbackSite { number: Some(&number), zone: &zone };
    String::from_utf8(LipaChatEvents.encode(&[event], &site)).unwrap()
}

fn value(event: &Event) -> Value {
    serde_json::from_str(&encode(event)).unwrap()
}

fn received(kind: &str, payload: Value) -> Event {
    let mut content = json!({"type": kind});
    content[kind] = payload;
    let content = InboundContent { kind: kind.to_owned(), message: content, media: None };
    let file =
        ["image", "video", "audio", "sticker", "document"].contains(&kind).then(|| EventFile {
            id: MediaId::new("1000000000000042"),
            url: "https://waypost.example.com/media/x.jpg".to_owned(),
            mime_type: "image/jpeg".to_owned(),
            sha256: "0".repeat(64),
            filename: None,
        });
    event(
        EventKind::MessageReceived,
        EventDetail::Received(Box::new(ReceivedDetail {
            message: message(Content::Inbound(content)),
            profile_name: Some("Test User".to_owned()),
            quoted: None,
            file,
        })),
    )
}

fn status(status: Status, failure: Option<Failure>) -> Event {
    let kind = EventKind::of_status(status).unwrap();
    let said = Content::Text { body: "Hello".to_owned(), preview_url: false };
    event(
        kind,
        EventDetail::Status(Box::new(StatusDetail {
            message: message(said),
            status,
            failure,
            upstream: None,
        })),
    )
}

/// 54, 55
#[test]
fn what_people_write_is_told_byte_for_byte() {
    let text = received("text", json!({"body": "hello"}));
    assert_eq!(encode(&text), include_str!("../fixtures/inbound_text.json").trim_end());
    let image = received("image", json!({"id": "1", "mime_type": "image/jpeg"}));
    assert_eq!(encode(&image), include_str!("../fixtures/inbound_image.json").trim_end());
}

/// The table of 9.1.
#[test]
fn every_type_has_its_word_and_payload() {
    let url = "https://waypost.example.com/media/x.jpg";
    let file = json!({"caption": null, "url": url});
    let card = |name: &str| {
        json!({"name": {"formatted_name": name, "first_name": name},
        "phones": [{"phone": "+1 555", "type": "CELL", "wa_id": "15550002222"}]})
    };
    let told = json!({"name": {"formattedName": "Ann"},
        "phones": [{"phone": "+1 555", "type": "CELL", "waId": "15550002222"}]});
    for (kind, payload, word, key, expected) in [
        ("video", json!({"caption": "a"}), "VIDEO", "video", json!({"caption": "a", "url": url})),
        ("audio", json!({"voice": true}), "AUDIO", "audio", file.clone()),
        ("sticker", json!({"animated": false}), "STICKER", "sticker", file),
        (
            "document",
            json!({"filename": "a.pdf"}),
            "DOCUMENT",
            "document",
            json!({"caption": null, "filename": "a.pdf", "url": url}),
        ),
        (
            "location",
            json!({"latitude": -1.29, "longitude": 36.82}),
            "LOCATION",
            "location",
            json!({"latitude": -1.29, "longitude": 36.82, "name": null, "address": null}),
        ),
        ("contacts", json!([card("Ann")]), "CONTACT", "contact", told),
        (
            "interactive",
            json!({"type": "button_reply", "button_reply": {"id": "1", "title": "YES"}}),
            "INTERACTIVE",
            "interactive",
            json!({"type": "button_reply", "button_reply": {"id": "1", "title": "YES"}}),
        ),
        (
            "interactive",
            json!({"type": "list_reply", "list_reply": {"id": "1", "title": "A"}}),
            "INTERACTIVE",
            "interactive",
            json!({"type": "list_reply", "list_reply": {"id": "1", "title": "A", "description": null}}),
        ),
        (
            "button",
            json!({"payload": "STOP", "text": "Stop"}),
            "INTERACTIVE",
            "interactive",
            json!({"type": "button_reply", "button_reply": {"id": "STOP", "title": "Stop"}}),
        ),
        (
            "interactive",
            json!({"type": "nfm_reply", "nfm_reply": {
            "name": "flow", "body": "Sent", "response_json": "{\"a\":1}"}}),
            "INTERACTIVE",
            "interactive",
            json!({"type": "nfm_reply", "nfm_reply": {"name": "flow", "response": {"a": 1}}}),
        ),
        (
            "reaction",
            json!({"message_id": "wamid.x", "emoji": "👍"}),
            "REACTION",
            "reaction",
            json!({"messageId": "wamid.x", "emoji": "👍"}),
        ),
        (
            "reaction",
            json!({"message_id": "wamid.x"}),
            "REACTION",
            "reaction",
            json!({"messageId": "wamid.x", "emoji": ""}),
        ),
    ] {
        let body = value(&received(kind, payload));
        assert_eq!((&body["type"], &body[key]), (&json!(word), &expected));
        assert_eq!(body.as_object().unwrap().len(), 6, "nothing beside the payload");
    }
}

/// The table of 9.1: one event a card.
#[test]
fn cards_that_come_together_are_told_one_by_one() {
    let card = |name: &str| json!({"name": {"formatted_name": name}, "phones": []});
    let three = received("contacts", json!([card("Ann"), card("Bob"), card("Cid")]));
    let (number, zone) = (number(), Zone::default());
    let site = CallbackSite { number: Some(&number), zone: &zone };
    let calls = || LipaChatEvents.calls(&[&three], &site);
    assert_eq!(calls()[0], encode(&three).into_bytes());
    assert_eq!(calls(), calls(), "the same at every repetition");
    let told: Vec<Value> = calls().iter().map(|it| serde_json::from_slice(it).unwrap()).collect();
    let names: Vec<&Value> =
        told.iter().map(|it| &it["contact"]["name"]["formattedName"]).collect();
    assert_eq!(names, ["Ann", "Bob", "Cid"]);
    let ids: HashSet<&str> = told.iter().map(|it| it["messageId"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), told[0]["messageId"].as_str()), (3, Some(&*three.id.to_string())));
    assert!(told.iter().all(|it| it["type"] == "CONTACT" && it.as_object().unwrap().len() == 6));

    let many = received("contacts", json!(vec![card("Ann"); 300]));
    assert_eq!(LipaChatEvents.calls(&[&many], &site).len(), 255);
    for single in [received("contacts", json!([])), received("text", json!({"body": "hello"}))] {
        assert_eq!(LipaChatEvents.calls(&[&single], &site), [encode(&single).into_bytes()]);
    }
}

#[test]
fn other_types_are_unsupported() {
    for (kind, payload) in [
        ("order", json!({})),
        ("system", json!({"body": "changed"})),
        ("unsupported", json!(null)),
        ("contacts", json!([])),
        ("interactive", json!({"type": "call_permission_reply"})),
    ] {
        let body = value(&received(kind, payload));
        assert_eq!(body["type"], "UNSUPPORTED");
        assert_eq!(body.as_object().unwrap().len(), 5);
    }
}

/// 24, 25, 56
#[test]
fn statuses_are_told_with_the_callers_id() {
    let delivered = encode(&status(Status::Delivered, None));
    assert_eq!(delivered, include_str!("../fixtures/message_status.json").trim_end());
    let fault =
        UpstreamFault { details: "Unsupported audio".to_owned(), ..UpstreamFault::default() };
    let refused = Failure::new(ErrorKind::MediaRejected, "WhatsApp refused it.");
    for (status_of, failure, word, text) in [
        (Status::Sent, None, "SENT", "Message sent"),
        (Status::Read, None, "READ", "Message read"),
        (Status::Failed, Some(refused.clone().with_upstream(fault)), "FAILED", "Unsupported audio"),
        (Status::Failed, Some(refused), "FAILED", "WhatsApp refused it."),
        (Status::Failed, None, "FAILED", "Message failed"),
    ] {
        let body = value(&status(status_of, failure));
        let told = &body["messageStatus"];
        assert_eq!((&told["status"], &told["statusDesc"]), (&json!(word), &json!(text)));
    }
}

#[test]
fn a_message_without_the_callers_id_is_told_with_ours() {
    let mut event = status(Status::Sent, None);
    if let EventDetail::Status(detail) = &mut event.detail {
        detail.message.reference = None;
        detail.message.wamid = None;
        detail.upstream = Some(json!({"conversation": {"id": "c-1"}}));
    }
    let told = &value(&event)["messageStatus"];
    assert_eq!(told["messageId"], "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7b90");
    assert_eq!((&told["waId"], &told["conversationId"]), (&json!(null), &json!("c-1")));
}

#[test]
fn a_cancelled_message_has_no_word() {
    assert!(!LipaChatEvents.tells(&status(Status::Cancelled, None)));
}

#[test]
fn a_templates_status_is_told() {
    let mut detail = TemplateDetail {
        id: "1000000000000500".to_owned(),
        name: "offer_830".to_owned(),
        language: "en".to_owned(),
        status: "APPROVED".to_owned(),
        reason: Some("NONE".to_owned()),
        waba_id: "100000000000002".to_owned(),
    };
    let told = encode(&event(EventKind::TemplateStatus, EventDetail::Template(detail.clone())));
    assert_eq!(told, include_str!("../fixtures/template_status.json").trim_end());
    detail.reason = Some("INVALID_FORMAT".to_owned());
    let told = value(&event(EventKind::TemplateStatus, EventDetail::Template(detail)));
    assert_eq!(told["templateStatus"]["statusDescription"], "INVALID_FORMAT");
}

/// 57: what the poster is told.
#[test]
fn the_schedule_is_the_references() {
    let info = LipaChatEvents.info();
    assert_eq!(info.schedule_s, [10, 30, 120, 600, 3_600, 21_600, 86_400]);
    assert_eq!(
        (info.timeout_s, info.signature, info.is_jittered),
        (10, Signature::HubSha256, false)
    );
    assert!(info.batch.is_none());
    for (status, verdict) in [
        (200, Verdict::Delivered),
        (204, Verdict::Delivered),
        (500, Verdict::Retry),
        (302, Verdict::Retry),
        (404, Verdict::Retry),
    ] {
        assert_eq!((info.verdict)(status), verdict);
    }
}
