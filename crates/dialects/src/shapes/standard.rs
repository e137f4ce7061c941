//! Waypost's own shape, after Standard Webhooks 1.0: `type`, `timestamp`, `data`. The list of events
//! and the stream show the same objects, with the event's id beside them.

use serde_json::{Map, Value, json};
use waypost_domain::callback::{CallbackShape, CallbackSite, ShapeInfo, Signature, Verdict};
use waypost_domain::event::{
    Event, EventDetail, NoticeDetail, ReceivedDetail, StatusDetail, TemplateDetail,
};
use waypost_domain::message::Message;
use waypost_domain::{Content, Failure};

/// Waypost's own callbacks.
#[derive(Clone, Copy, Debug)]
pub struct StandardEvents;

static INFO: ShapeInfo = ShapeInfo {
    id: "standard",
    title: "Standard Webhooks",
    // 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h
    schedule_s: &[5, 300, 1_800, 7_200, 18_000, 36_000, 36_000],
    is_jittered: true,
    timeout_s: 15,
    signature: Signature::StandardWebhooks,
    batch: None,
    verdict: Verdict::any_2xx,
    zone_offset_minutes: 0,
};

impl CallbackShape for StandardEvents {
    fn info(&self) -> &'static ShapeInfo {
        &INFO
    }

    fn tells(&self, _event: &Event) -> bool {
        true
    }

    fn encode(&self, events: &[&Event], _site: &CallbackSite<'_>) -> Vec<u8> {
        let told = events.first().map_or(Value::Null, |event| view(event));
        serde_json::to_vec(&told).unwrap_or_default()
    }
}

/// An event as callbacks, lists and streams show it.
#[must_use]
pub fn view(event: &Event) -> Value {
    json!({
        "type": event.kind.as_str(),
        "timestamp": event.at.rfc3339(),
        "id": event.id.public(),
        "data": data(event),
    })
}

fn data(event: &Event) -> Value {
    let mut object = Map::new();
    object.insert("org_id".to_owned(), json!(event.org_id.as_str()));
    if let Some(number_id) = &event.number_id {
        object.insert("number_id".to_owned(), json!(number_id.as_str()));
    }
    match &event.detail {
        EventDetail::Status(detail) => status(&mut object, detail),
        EventDetail::Received(detail) => received(&mut object, detail),
        EventDetail::Template(detail) => template(&mut object, detail),
        EventDetail::Notice(detail) => notice(&mut object, detail),
    }
    Value::Object(object)
}

fn put(object: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), value.into());
    }
}

fn of_message(object: &mut Map<String, Value>, message: &Message, person: &str) {
    put(object, "message_id", Some(message.id.to_string()));
    put(object, "wamid", message.wamid.as_deref());
    put(object, person, Some(message.phone.digits()));
    put(object, "wa_id", message.wa_number());
    put(object, "customer_id", message.customer_id.as_ref().map(|id| id.as_str()));
    put(object, "message_type", Some(message.message_type.as_str()));
}

fn status(object: &mut Map<String, Value>, detail: &StatusDetail) {
    let message = &detail.message;
    of_message(object, message, "to");
    put(object, "status", Some(detail.status.as_str()));
    put(object, "content_type", Some(message.content.type_name()));
    put(object, "dialect", Some(message.dialect.as_str()));
    put(object, "reference", message.reference.as_deref());
    put(object, "session_id", message.session_id.as_deref());
    put(object, "user_id", message.user_id.as_ref().map(|id| id.as_str()));
    put(object, "broadcast_id", message.broadcast_id.map(|id| id.to_string()));
    put(object, "possible_duplicate", message.possible_duplicate.then_some(true));
    put(object, "error", detail.failure.as_ref().map(failure));
    put(object, "upstream", detail.upstream.clone());
}

fn failure(failure: &Failure) -> Value {
    let mut object = Map::new();
    put(&mut object, "code", Some(failure.kind.code()));
    put(&mut object, "message", Some(failure.message.as_str()));
    if let Some(fault) = &failure.upstream {
        put(&mut object, "upstream_code", fault.code);
        put(&mut object, "details", Some(fault.details.as_str()).filter(|it| !it.is_empty()));
    }
    Value::Object(object)
}

fn received(object: &mut Map<String, Value>, detail: &ReceivedDetail) {
    of_message(object, &detail.message, "from");
    put(object, "profile_name", detail.profile_name.as_deref());
    if let Content::Inbound(inbound) = &detail.message.content {
        put(object, "content_type", Some(inbound.kind.as_str()));
        put(object, "message", Some(inbound.message.clone()));
    }
    if let Some(file) = &detail.file {
        let file = json!({
            "media_id": file.id.as_str(), "url": file.url, "mime_type": file.mime_type,
            "sha256": file.sha256, "filename": file.filename,
        });
        put(object, "file", Some(file));
    }
    if let Some(quoted) = &detail.quoted {
        let quoted = json!({
            "message_id": quoted.id.to_string(), "wamid": quoted.wamid,
            "reference": quoted.reference,
        });
        put(object, "in_reply_to", Some(quoted));
    }
}

fn template(object: &mut Map<String, Value>, detail: &TemplateDetail) {
    put(object, "waba_id", Some(detail.waba_id.as_str()));
    put(object, "template_id", Some(detail.id.as_str()));
    put(object, "name", Some(detail.name.as_str()));
    put(object, "language", Some(detail.language.as_str()));
    put(object, "status", Some(detail.status.as_str()));
    put(object, "reason", detail.reason.as_deref());
}

fn notice(object: &mut Map<String, Value>, detail: &NoticeDetail) {
    put(object, "waba_id", Some(detail.waba_id.as_str()));
    put(object, "phone_number_id", detail.phone_number_id.as_deref());
    put(object, "field", Some(detail.field.as_str()));
    put(object, "value", detail.value.clone());
}
