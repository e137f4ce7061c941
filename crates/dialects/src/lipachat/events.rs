//! The shape of callbacks: flat objects for what people write, `MESSAGE_STATUS` and
//! `TEMPLATE_STATUS`.

use serde_json::{Map, Value, json};
use waypost_domain::callback::{CallbackShape, CallbackSite, ShapeInfo, Signature, Verdict};
use waypost_domain::event::{Event, EventDetail, ReceivedDetail, StatusDetail, TemplateDetail};
use waypost_domain::status::Status;
use waypost_domain::{Content, EventId};

use super::{ID, ZONE_OFFSET_MINUTES, errors, inbound};

/// The vendor's callbacks.
#[derive(Clone, Copy, Debug)]
pub struct LipaChatEvents;

static INFO: ShapeInfo = ShapeInfo {
    id: ID,
    title: "LipaChat",
    schedule_s: &[10, 30, 120, 600, 3_600, 21_600, 86_400],
    is_jittered: false,
    timeout_s: 10,
    signature: Signature::HubSha256,
    batch: None,
    verdict: Verdict::any_2xx,
    zone_offset_minutes: ZONE_OFFSET_MINUTES,
};

impl CallbackShape for LipaChatEvents {
    fn info(&self) -> &'static ShapeInfo {
        &INFO
    }

    fn tells(&self, event: &Event) -> bool {
        match &event.detail {
            EventDetail::Status(detail) => status_words(detail).is_some(),
            EventDetail::Received(detail) => matches!(detail.message.content, Content::Inbound(_)),
            EventDetail::Template(_) => true,
            EventDetail::Notice(_) => false,
        }
    }

    fn encode(&self, events: &[&Event], site: &CallbackSite<'_>) -> Vec<u8> {
        events.first().map_or_else(Vec::new, |event| part(event, 0, site))
    }

    /// One call a contact card.
    fn calls(&self, events: &[&Event], site: &CallbackSite<'_>) -> Vec<Vec<u8>> {
        let Some(event) = events.first() else { return Vec::new() };
        let parts = match &event.detail {
            EventDetail::Received(detail) => inbound::parts(&detail.message.content),
            EventDetail::Status(_) | EventDetail::Template(_) | EventDetail::Notice(_) => 1,
        };
        (0..parts).map(|place| part(event, place, site)).collect()
    }
}

/// The body that tells of an event, or of one part of it.
fn part(event: &Event, place: u8, site: &CallbackSite<'_>) -> Vec<u8> {
    let told = match &event.detail {
        EventDetail::Status(detail) => message_status(detail),
        EventDetail::Received(detail) => received(part_id(event.id, place), place, detail, site),
        EventDetail::Template(detail) => template_status(detail),
        EventDetail::Notice(_) => Value::Null,
    };
    serde_json::to_vec(&told).unwrap_or_default()
}

/// The id of one part, the same at every repetition: the event's own for the first. No other event
/// has it, for events differ in more than the bits beside the version.
fn part_id(id: EventId, place: u8) -> EventId {
    let mut bytes = *id.as_bytes();
    bytes[7] ^= place;
    EventId::from_bytes(bytes)
}

/// The vendor's word for a status, and its text where the upstream gives none.
fn status_words(detail: &StatusDetail) -> Option<(&'static str, &str)> {
    match detail.status {
        Status::Sent => Some(("SENT", "Message sent")),
        Status::Delivered => Some(("DELIVERED", "Message delivered")),
        Status::Read => Some(("READ", "Message read")),
        Status::Failed => {
            let reason = detail.failure.as_ref().or(detail.message.failure.as_ref());
            Some(("FAILED", reason.map_or("Message failed", errors::upstream_words)))
        }
        Status::Queued
        | Status::Sending
        | Status::Unknown
        | Status::Cancelled
        | Status::Received => None,
    }
}

fn message_status(detail: &StatusDetail) -> Value {
    let message = &detail.message;
    let (status, text) = status_words(detail).unwrap_or_default();
    let own_id = message.reference.clone().unwrap_or_else(|| message.id.to_string());
    let conversation =
        detail.upstream.as_ref().map_or(Value::Null, |it| it["conversation"]["id"].clone());
    json!({"event": "MESSAGE_STATUS", "messageStatus": {
        "waId": message.wamid, "messageId": own_id, "conversationId": conversation,
        "status": status, "statusDesc": text,
    }})
}

fn received(id: EventId, place: u8, detail: &ReceivedDetail, site: &CallbackSite<'_>) -> Value {
    let Content::Inbound(content) = &detail.message.content else { return Value::Null };
    let told = inbound::told(content, place, detail.file.as_ref().map(|file| file.url.as_str()));
    let own = site.number.map_or("", |number| number.display_phone.digits());
    let mut object = Map::from_iter([
        ("messageId".to_owned(), json!(id.to_string())),
        ("from".to_owned(), json!(detail.message.phone.digits())),
        ("to".to_owned(), json!(own)),
        ("profileName".to_owned(), json!(detail.profile_name)),
        ("type".to_owned(), json!(told.kind)),
    ]);
    if let Some((key, payload)) = told.payload {
        object.insert(key.to_owned(), payload);
    }
    Value::Object(object)
}

fn template_status(detail: &TemplateDetail) -> Value {
    // Meta's word for an approval's missing reason.
    let reason = detail.reason.as_deref().filter(|reason| *reason != "NONE");
    json!({"event": "TEMPLATE_STATUS", "templateStatus": {
        "status": detail.status, "templateId": detail.id, "templateName": detail.name,
        "statusDescription": reason.unwrap_or_default(),
    }})
}
