//! The vendor's webhooks: receipts (`delivery_status`) and what people write (`incoming_message`),
//! many in one call.

use serde_json::{Map, Value, json};
use waypost_domain::callback::{Batch, CallbackShape, CallbackSite, ShapeInfo, Signature, Verdict};
use waypost_domain::content::InboundContent;
use waypost_domain::event::{Event, EventDetail, EventKind, ReceivedDetail, StatusDetail};
use waypost_domain::{Content, ErrorKind, Failure, Timestamp};

use super::errors;
use super::wire::{self, Context, DeliveryStatus, IncomingMessage, Posted, member};

/// The shape of callbacks.
#[derive(Clone, Copy, Debug)]
pub struct PepipostEvents;

static INFO: ShapeInfo = ShapeInfo {
    id: wire::ID,
    title: "Pepipost",
    schedule_s: &[10, 30, 120, 600, 3_600, 21_600, 86_400],
    is_jittered: false,
    timeout_s: 10,
    signature: Signature::HubSha256,
    batch: Some(Batch { max_events: 100, flush_ms: 1_000 }),
    verdict: Verdict::any_2xx,
    zone_offset_minutes: super::ZONE_OFFSET_MINUTES,
};

const RECEIPT_TIME: &str = "%Y-%m-%d %H:%M:%S";

impl CallbackShape for PepipostEvents {
    fn info(&self) -> &'static ShapeInfo {
        &INFO
    }

    fn tells(&self, event: &Event) -> bool {
        match &event.detail {
            EventDetail::Status(_) => status_word(event.kind).is_some(),
            EventDetail::Received(_) => true,
            EventDetail::Template(_) | EventDetail::Notice(_) => false,
        }
    }

    fn encode(&self, events: &[&Event], site: &CallbackSite<'_>) -> Vec<u8> {
        let mut posted = Posted::default();
        for event in events {
            match &event.detail {
                EventDetail::Status(detail) => {
                    posted.delivery_status.extend(receipt(event, detail, site));
                }
                EventDetail::Received(detail) => {
                    posted.incoming_message.push(incoming(event.at, detail, site));
                }
                EventDetail::Template(_) | EventDetail::Notice(_) => {}
            }
        }
        serde_json::to_vec(&posted)
            .expect("wire types have text keys and no fallible serialisers, so writing cannot fail")
    }
}

const fn status_word(kind: EventKind) -> Option<&'static str> {
    match kind {
        EventKind::MessageSent => Some("sent"),
        EventKind::MessageDelivered => Some("delivered"),
        EventKind::MessageRead => Some("read"),
        // The vendor knows no withdrawal; the message will not arrive.
        EventKind::MessageFailed | EventKind::MessageCancelled => Some("failed"),
        EventKind::MessageReceived | EventKind::TemplateStatus | EventKind::UpstreamNotice => None,
    }
}

fn receipt<'a>(
    event: &Event,
    detail: &'a StatusDetail,
    site: &CallbackSite<'a>,
) -> Option<DeliveryStatus<'a>> {
    let message = &detail.message;
    let own = message.dialect == wire::ID;
    let echo = message.options.echo.as_ref().filter(|_| own);
    let echoed = |name: &str| echo.and_then(|echo| echo[name].as_str());
    let source = match site.number {
        Some(number) if !own => number.source_id.as_deref(),
        _ => echoed(member::SOURCE),
    };
    let status = status_word(event.kind)?;
    Some(DeliveryStatus {
        ncmessage_id: message.id.to_string(),
        recipient: echoed(member::RECIPIENT).unwrap_or(message.phone.digits()),
        status,
        status_remark: if status == "failed" { remark(event.kind, detail) } else { String::new() },
        received_at: event.at.strftime(site.zone, RECEIPT_TIME),
        source: source.unwrap_or_default(),
        x_apiheader: message.reference.as_deref(),
    })
}

fn remark(kind: EventKind, detail: &StatusDetail) -> String {
    let untold = |kind| Failure::new(kind, "Nothing more is known.");
    match &detail.failure {
        Some(failure) => errors::remark(failure),
        None if kind == EventKind::MessageCancelled => {
            errors::remark(&untold(ErrorKind::Cancelled))
        }
        None => errors::remark(&untold(ErrorKind::RejectedByUpstream)),
    }
}

fn incoming<'a>(
    at: Timestamp,
    detail: &'a ReceivedDetail,
    site: &CallbackSite<'a>,
) -> IncomingMessage<'a> {
    let message = &detail.message;
    let (message_type, payload) = match &message.content {
        Content::Inbound(content) => payload(content, detail),
        _ => ("UNSUPPORTED", Map::new()),
    };
    IncomingMessage {
        from: message.phone.digits(),
        to: site.number.map(|number| number.display_phone.digits()).unwrap_or_default(),
        from_name: detail.profile_name.as_deref().unwrap_or_default(),
        message_id: message.wamid.as_deref().unwrap_or_default(),
        received_at: at.seconds().to_string(),
        context: context(detail),
        message_type,
        payload,
    }
}

/// The message of ours that is answered; at least its upstream's id, where we do not know it.
fn context(detail: &ReceivedDetail) -> Context<'_> {
    if let Some(quoted) = &detail.quoted {
        return Context {
            ncmessage_id: quoted.id.to_string(),
            message_id: &quoted.wamid,
            x_apiheader: quoted.reference.as_deref(),
        };
    }
    let Content::Inbound(content) = &detail.message.content else { return Context::default() };
    let answered = [&content.message["context"]["id"], &content.message["reaction"]["message_id"]];
    let message_id = answered.into_iter().find_map(Value::as_str).unwrap_or_default();
    Context { message_id, ..Context::default() }
}

/// The vendor's word for what was written, and the member that carries it.
fn payload(
    content: &InboundContent,
    detail: &ReceivedDetail,
) -> (&'static str, Map<String, Value>) {
    let said = &content.message[content.kind.as_str()];
    let text = |name: &str| said[name].as_str().unwrap_or_default();
    let (word, name, value) = match content.kind.as_str() {
        "text" => ("TEXT", "text_type", json!({"text": text("body")})),
        "image" => ("IMAGE", "image_type", file(said, content, detail, &["caption"])),
        "video" => ("VIDEO", "video_type", file(said, content, detail, &["caption"])),
        "audio" => ("AUDIO", "audio_type", file(said, content, detail, &["voice"])),
        "document" => ("DOCUMENT", "document_type", document(said, content, detail)),
        "sticker" => ("STICKER", "sticker_type", file(said, content, detail, &["animated"])),
        "location" => ("LOCATION", "location_type", place(said)),
        "reaction" => ("REACTION", "reaction_type", json!({"emoji": text("emoji")})),
        "button" => {
            let value = json!({"payload": text("payload"), "text": text("text")});
            ("BUTTON", "text_type", value)
        }
        "interactive" if said.is_object() => ("INTERACTIVE", "interactive_type", said.clone()),
        "contacts" if said.is_array() => ("CONTACTS", "contacts_type", said.clone()),
        _ => return ("UNSUPPORTED", Map::new()),
    };
    (word, Map::from_iter([(name.to_owned(), value)]))
}

/// A file as it can be fetched from us, with what the upstream says of it, and further members of
/// the upstream's where it has them.
fn file(
    said: &Value,
    content: &InboundContent,
    detail: &ReceivedDetail,
    further: &[&str],
) -> Value {
    let fetched = detail.file.as_ref();
    let id = fetched.map(|file| &file.id).or(content.media.as_ref());
    let told = |name: &str, known: Option<&String>| {
        said[name].as_str().or(known.map(String::as_str)).unwrap_or_default().to_owned()
    };
    let mut object = Map::new();
    object.insert(
        "mime_type".to_owned(),
        json!(told("mime_type", fetched.map(|file| &file.mime_type))),
    );
    object.insert("sha256".to_owned(), json!(told("sha256", fetched.map(|file| &file.sha256))));
    object.insert("id".to_owned(), json!(id.map(wire::media_uuid).unwrap_or_default()));
    for name in further {
        if let Some(value) = said.get(name).filter(|value| !value.is_null()) {
            object.insert((*name).to_owned(), value.clone());
        }
    }
    Value::Object(object)
}

fn document(said: &Value, content: &InboundContent, detail: &ReceivedDetail) -> Value {
    let name = said["filename"].as_str();
    let fetched = detail.file.as_ref().and_then(|file| file.filename.as_deref());
    let mut object =
        Map::from_iter([("filename".to_owned(), json!(name.or(fetched).unwrap_or_default()))]);
    if let Value::Object(rest) = file(said, content, detail, &["caption"]) {
        object.extend(rest);
    }
    Value::Object(object)
}

/// Coordinates are texts here.
fn place(said: &Value) -> Value {
    let text = |name: &str| match &said[name] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    json!({
        "latitude": text("latitude"), "longitude": text("longitude"), "name": text("name"),
        "url": text("url"), "address": text("address"),
    })
}
