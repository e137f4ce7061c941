//! Replies to what was done: the envelope of five keys around what was asked for.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use waypost_domain::command::{Delivery, Receipt};
use waypost_domain::manage::{FlowRecord, LoggedMessage, Managed};
use waypost_domain::message::Direction;
use waypost_domain::template::Template;
use waypost_domain::{Content, ErrorKind, Failure, MediaRef, Status};

use super::wire::{
    self, CreatedTemplate, Envelope, Flow, FlowPreview, Logged, LoggedContact, PreviewPlace, Sent,
    Success, TemplateList, path, text,
};
use super::{errors, inbound};
use crate::contract::{Asked, Call, ErrorSite, Outcome, Reply};

/// The answer to a command that was carried out.
pub(super) fn reply(asked: &Asked<'_>, outcome: &Outcome) -> Reply {
    match outcome {
        Outcome::Sent(delivery) => match &delivery.result {
            Ok(receipt) => ok(&asked.call, sent(asked, delivery, receipt)),
            Err(failure) => refusal(asked, failure),
        },
        Outcome::Managed(managed) => of_task(asked, managed),
        // No route of this vendor asks for these.
        Outcome::Broadcast(_) | Outcome::Uploaded(_) | Outcome::Submitted(_) => no_answer(asked),
    }
}

fn of_task(asked: &Asked<'_>, managed: &Managed) -> Reply {
    let call = &asked.call;
    match managed {
        Managed::Messages { messages, total } => message_list(asked, messages, *total),
        Managed::Templates(templates) => {
            let data = templates.iter().map(template).collect();
            of_template(&TemplateList { data, paging: Map::new() })
        }
        Managed::TemplateCreated(answer) => of_template(&CreatedTemplate {
            id: &answer["id"],
            status: &answer["status"],
            category: &answer["category"],
        }),
        Managed::TemplateSample(handle) => of_template(handle),
        Managed::Done if call.path.starts_with(path::TEMPLATE_PREFIX) => of_template(&DONE),
        Managed::Done => ok(call, &DONE),
        Managed::Flow(record) => ok(call, flow(record)),
        Managed::Flows(records) => ok(call, records.iter().map(flow).collect::<Vec<_>>()),
        Managed::FlowPreview { upstream_id, preview_url, expires_at } => {
            let preview = PreviewPlace { preview_url, expires_at };
            ok(call, FlowPreview { preview, id: upstream_id })
        }
        Managed::Media | Managed::ConsentRecorded { .. } | Managed::Consent(_) => no_answer(asked),
    }
}

const DONE: Success = Success { success: true, error: None };

fn ok(call: &Call<'_>, data: impl Serialize) -> Reply {
    let envelope = Envelope {
        timestamp: Some(wire::local_time(call.now, call.zone)),
        data: Some(data),
        total_pages: None,
        status: "success",
        message: String::new(),
        errors: None,
    };
    Reply::json(StatusCode::OK, &envelope)
}

/// The vendor's replies about templates have no time and say `success` twice.
fn of_template(data: &impl Serialize) -> Reply {
    let envelope = Envelope {
        timestamp: None,
        data: Some(data),
        total_pages: None,
        status: "success",
        message: "success".to_owned(),
        errors: None,
    };
    Reply::json(StatusCode::OK, &envelope)
}

fn refusal(asked: &Asked<'_>, failure: &Failure) -> Reply {
    let site = ErrorSite { call: asked.call, ..ErrorSite::default() };
    errors::reply(failure, &site, &[])
}

fn no_answer(asked: &Asked<'_>) -> Reply {
    refusal(asked, &Failure::new(ErrorKind::Unavailable, "There is no such answer."))
}

fn sent<'a>(asked: &Asked<'_>, delivery: &Delivery, receipt: &'a Receipt) -> Sent<'a> {
    let own_id = asked.command.reference.clone();
    let is_media = asked.call.path.trim_end_matches('/') == path::MEDIA;
    Sent {
        message_id: own_id.unwrap_or_else(|| delivery.id.to_string()),
        wa_id: &receipt.wamid,
        status: "SENT",
        status_desc: if is_media { text::MEDIA_SENT } else { text::MESSAGE_SENT },
    }
}

fn message_list(asked: &Asked<'_>, messages: &[LoggedMessage], total: u64) -> Reply {
    let page_size = u64::from(asked.command.page_size.unwrap_or(1).max(1));
    let envelope = Envelope {
        timestamp: Some(wire::local_time(asked.call.now, asked.call.zone)),
        data: Some(messages.iter().map(logged).collect::<Vec<_>>()),
        total_pages: Some(total.div_ceil(page_size)),
        status: "success",
        message: String::new(),
        errors: None,
    };
    Reply::json(StatusCode::OK, &envelope)
}

fn logged(entry: &LoggedMessage) -> Logged<'_> {
    let message = &entry.message;
    let (kind, text, metadata) = content(&message.content);
    Logged {
        id: message.id.to_string(),
        wa_message_id: message.wamid.as_deref(),
        direction: match message.direction {
            Direction::Inbound => "INBOUND",
            Direction::Outbound => "OUTBOUND",
        },
        contact: LoggedContact { phone_number: message.phone.digits() },
        kind,
        text,
        metadata: metadata.map(|metadata| metadata.to_string()),
        status: status(message.status),
        created_at: message.created_at.rfc3339(),
        updated_at: entry.changed_at.rfc3339(),
    }
}

/// A content's type, its text if it is one, and everything else about it.
fn content(content: &Content) -> (String, Option<String>, Option<Value>) {
    match content {
        Content::Text { body, .. } => ("TEXT".to_owned(), Some(body.clone()), None),
        Content::Media(media) => {
            let (name, place) = match &media.media {
                MediaRef::Link(url) => ("url", url.as_str()),
                MediaRef::Stored(id) => ("mediaId", id.as_str()),
            };
            let mut metadata = json!({name: place, "caption": media.caption});
            if let Some(filename) = &media.filename {
                metadata["filename"] = json!(filename);
            }
            (media.kind.as_str().to_uppercase(), None, Some(metadata))
        }
        Content::Inbound(inbound) => {
            let told = |part| inbound::told(inbound, part, None);
            let payload_of = |part| told(part).payload.map(|(_, payload)| payload);
            let mut payload = payload_of(0);
            let text = payload.as_ref().and_then(Value::as_str).map(str::to_owned);
            if let Some(Value::Object(object)) = &mut payload {
                let parts = inbound::parts(content);
                if parts > 1 {
                    let cards: Vec<Value> = (0..parts).filter_map(payload_of).collect();
                    object.insert("contacts".to_owned(), json!(cards));
                }
                // Links are made for callbacks only.
                object.retain(|name, value| name != "url" || !value.is_null());
                if let Some(id) = &inbound.media {
                    object.insert("mediaId".to_owned(), json!(id));
                }
            }
            let metadata = payload.filter(|_| text.is_none());
            (told(0).kind.to_owned(), text, metadata)
        }
        other => {
            let mut object = Map::new();
            other.write_message_object(&mut object, MediaRef::to_object);
            let name = other.type_name();
            let kind = if name == "contacts" { "CONTACT".to_owned() } else { name.to_uppercase() };
            (kind, None, object.remove(name))
        }
    }
}

/// What people wrote has arrived.
const fn status(status: Status) -> &'static str {
    match status {
        Status::Queued | Status::Sending | Status::Unknown => "PENDING",
        Status::Sent => "SENT",
        Status::Delivered | Status::Received => "DELIVERED",
        Status::Read => "READ",
        Status::Failed | Status::Cancelled => "FAILED",
    }
}

fn template(template: &Template) -> wire::Template<'_> {
    wire::Template {
        name: &template.name,
        components: &template.components,
        language: &template.language,
        status: &template.status,
        category: &template.category,
        id: &template.id,
    }
}

fn flow(record: &FlowRecord) -> Flow<'_> {
    Flow {
        id: record.id,
        wa_flow_id: &record.upstream_id,
        name: &record.name,
        status: &record.status,
        categories: &record.categories,
        created_at: wire::offset_time(record.created_at),
        updated_at: wire::offset_time(record.updated_at),
    }
}
