//! Callbacks: receipts (`deliveryInfoNotification`) and messages from people, one event per post.
//!
//! What a caller wrote (destination, `correlationid`, `callbackData`) is given back from the
//! message's own echo; messages of other dialects have none and get what the record says.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use waypost_domain::callback::{CallbackShape, CallbackSite, ShapeInfo, Signature, Verdict};
use waypost_domain::event::{Event, EventDetail, ReceivedDetail, StatusDetail};
use waypost_domain::media::MimeType;
use waypost_domain::{Content, Failure, Status, Timestamp};

use super::codes::{self, Code};
use super::wire::{
    Answer, Attachment, DIALECT, DeliveryInfo, Inbound, Notification, Place, Receipt, echo,
};

/// Webex Connect's receipts and inbound messages.
#[derive(Clone, Copy, Debug)]
pub struct WebexConnectEvents;

static INFO: ShapeInfo = ShapeInfo {
    id: DIALECT,
    title: "Webex Connect",
    schedule_s: &[60, 60, 60],
    is_jittered: false,
    timeout_s: 10,
    signature: Signature::BareHexSha256,
    batch: None,
    verdict,
    zone_offset_minutes: 0,
};

/// The vendor's list ("Outbound Webhooks"): it expects 200, and tries again only where that may
/// help.
const fn verdict(status: u16) -> Verdict {
    match status {
        200 => Verdict::Delivered,
        202..=208 | 226 | 300..=308 | 400 | 402 | 404..=411 | 414..=416 | 418 | 505 => {
            Verdict::Dead
        }
        _ => Verdict::Retry,
    }
}

impl CallbackShape for WebexConnectEvents {
    fn info(&self) -> &'static ShapeInfo {
        &INFO
    }

    fn tells(&self, event: &Event) -> bool {
        match &event.detail {
            EventDetail::Status(detail) => Told::of(detail).is_some(),
            EventDetail::Received(_) => true,
            EventDetail::Template(_) | EventDetail::Notice(_) => false,
        }
    }

    fn uses_number_address(&self) -> bool {
        true
    }

    fn encode(&self, events: &[&Event], site: &CallbackSite<'_>) -> Vec<u8> {
        // There is no batch: one event goes in one call.
        let Some(event) = events.first() else { return Vec::new() };
        match &event.detail {
            EventDetail::Status(detail) => receipt(event, detail).unwrap_or_default(),
            EventDetail::Received(detail) => inbound(event, detail, site),
            EventDetail::Template(_) | EventDetail::Notice(_) => Vec::new(),
        }
    }
}

fn written(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body)
        .expect("wire types have text keys and no fallible serialisers, so writing cannot fail")
}

fn written_text(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .expect("wire types have text keys and no fallible serialisers, so writing cannot fail")
}

/// What a receipt says of a status.
struct Told<'a> {
    code: Cow<'a, str>,
    description: Cow<'a, str>,
    status: &'static str,
    additional_info: Cow<'a, str>,
}

impl<'a> Told<'a> {
    /// `None` for what is no status for a caller.
    fn of(detail: &'a StatusDetail) -> Option<Self> {
        match detail.status {
            Status::Sent => Some(Self::progress(codes::SUBMITTED)),
            Status::Delivered => Some(Self::progress(codes::DELIVERED)),
            Status::Read => Some(Self::progress(codes::READ)),
            Status::Failed => Some(Self::failed(detail)),
            Status::Cancelled => Some(Self {
                additional_info: Cow::Borrowed("Cancelled before it was sent"),
                ..Self::failure(codes::UNKNOWN_STATUS)
            }),
            Status::Queued | Status::Sending | Status::Unknown | Status::Received => None,
        }
    }

    const fn progress(Code { code, text }: Code) -> Self {
        Self {
            code: Cow::Borrowed(code),
            description: Cow::Borrowed(text),
            status: text,
            additional_info: Cow::Borrowed(""),
        }
    }

    fn failure(Code { code, text }: Code) -> Self {
        Self { status: "Failed", ..Self::progress(Code { code, text }) }
    }

    fn failed(detail: &'a StatusDetail) -> Self {
        let Some(failure) = detail.failure.as_ref().or(detail.message.failure.as_ref()) else {
            return Self::failure(codes::UNKNOWN_STATUS);
        };
        if let Some(words) = failure.words_of(DIALECT) {
            let names_nobody = words.code == codes::INVALID_DESTINATION.code;
            return Self {
                code: Cow::Borrowed(&words.code),
                description: Cow::Borrowed(&words.text),
                status: "Failed",
                additional_info: Cow::Borrowed(if names_nobody { "Invalid waid" } else { "" }),
            };
        }
        let code = codes::receipt(failure, detail.message.content.is_template());
        Self { additional_info: upstream_words(failure), ..Self::failure(code) }
    }
}

/// The upstream's code and words; nothing where Waypost itself found the fault.
fn upstream_words(failure: &Failure) -> Cow<'_, str> {
    match &failure.upstream {
        Some(fault) => match fault.code {
            Some(code) => {
                let said = fault.details.trim();
                // Meta's message begins with the code; its details do not.
                let said = said.strip_prefix(&format!("(#{code})")).unwrap_or(said).trim_start();
                Cow::Owned(format!("(#{code})  | {said}"))
            }
            None => Cow::Borrowed(""),
        },
        None => Cow::Borrowed(""),
    }
}

fn receipt(event: &Event, detail: &StatusDetail) -> Option<Vec<u8>> {
    let told = Told::of(detail)?;
    let message = &detail.message;
    let is_ours = message.dialect == DIALECT;
    let kept = message.options.echo.as_ref().filter(|_| is_ours);
    let kept_text = |name: &str| kept.and_then(|kept| kept.get(name)?.as_str());
    let is_bsuid = match is_ours {
        true => kept.is_some_and(|kept| kept.get(echo::BSUID).is_some()),
        false => message.phone.is_business_scoped(),
    };
    let hash =
        detail.upstream.as_ref().map(|report| text_at(report, &["recipient_identity_key_hash"]));
    Some(written(&Receipt {
        notification: Notification {
            subtid: "",
            info: DeliveryInfo {
                delivery_channel: "whatsapp",
                description: told.description,
                destination_type: if is_bsuid { "bsuid" } else { "waid" },
                time_stamp: time_of(event, detail.status).rfc3339(),
                code: told.code,
                additional_info: told.additional_info,
                delivery_status: told.status,
                destination: kept_text(echo::TO).unwrap_or(message.phone.digits()),
                identity_key_hash: hash.unwrap_or_default(),
            },
            correlationid: match is_ours {
                true => kept_text(echo::CORRELATION_ID).unwrap_or_default(),
                false => message.reference.as_deref().unwrap_or_default(),
            },
            callback_data: kept_text(echo::CALLBACK_DATA).unwrap_or_default(),
            transid: &message.id,
        },
    }))
}

/// Meta tells statuses in whole seconds, and so they are passed on; our own record of the submission
/// is told like them.
const fn time_of(event: &Event, status: Status) -> Timestamp {
    match status {
        Status::Sent | Status::Delivered | Status::Read => {
            Timestamp(event.at.0 - event.at.0.rem_euclid(1_000))
        }
        _ => event.at,
    }
}

/// What an inbound message says, in the members that the vendor has for it.
#[derive(Default)]
struct Said<'a> {
    event: Option<&'static str>,
    message: &'a str,
    attachment: Option<Attachment<'a>>,
    location: String,
    contacts: Option<&'a Value>,
    system: &'static str,
    answer: Option<Answer<'a>>,
}

fn inbound(event: &Event, detail: &ReceivedDetail, site: &CallbackSite<'_>) -> Vec<u8> {
    let message = &detail.message;
    let nothing = Value::Null;
    let (kind, object) = match &message.content {
        Content::Inbound(inbound) => (inbound.kind.as_str(), &inbound.message),
        _ => ("", &nothing),
    };
    let said = said(kind, object, detail);
    let is_scoped = message.phone.is_business_scoped();
    let user_id = match is_scoped {
        true => message.phone.digits(),
        false => text_at(object, &["from_user_id"]),
    };
    let waid = match (&message.wa_id, is_scoped) {
        (Some(wa_id), _) if !wa_id.is_empty() => wa_id,
        (_, true) => "",
        (_, false) => message.phone.digits(),
    };
    let at = event.at.rfc3339();
    written(&Inbound {
        user_id,
        username: detail.profile_name.as_deref().unwrap_or_default(),
        channel: "WhatsApp",
        app_id: site
            .number
            .map(|number| number.app_id.as_deref().unwrap_or(&number.phone_number_id))
            .unwrap_or_default(),
        event: said.event.unwrap_or("MO"),
        waid,
        tid: format!("{}_0", message.id),
        message: said.message,
        attachments: written_text(&said.attachment.as_slice()),
        location: said.location,
        contacts: said.contacts.map_or_else(|| "[]".to_owned(), written_text),
        datetime: &at,
        ts: &at,
        system: said.system,
        identity_key_hash: text_at(object, &["identity_key_hash"]),
        answer: said.answer,
    })
}

fn said<'a>(kind: &str, object: &'a Value, detail: &'a ReceivedDetail) -> Said<'a> {
    match kind {
        "text" => Said { message: text_at(object, &["text", "body"]), ..Said::default() },
        "image" | "video" | "audio" | "document" | "sticker" => file(kind, &object[kind], detail),
        "location" => {
            let place = &object["location"];
            let place = Place {
                latitude: &place["latitude"],
                longitude: &place["longitude"],
                name: text_at(place, &["name"]),
                address: text_at(place, &["address"]),
            };
            Said { location: written_text(&place), ..Said::default() }
        }
        "contacts" => {
            let contacts = Some(&object["contacts"]).filter(|list| list.is_array());
            Said { contacts, ..Said::default() }
        }
        "interactive" => choice(&object["interactive"]).unwrap_or_else(unsupported),
        "button" => {
            let text = text_at(object, &["button", "text"]);
            let payload = text_at(object, &["button", "payload"]);
            let answer = Some(Answer::Postback { payload, button_text: text });
            Said { event: Some("OnPostback"), message: text, answer, ..Said::default() }
        }
        "reaction" => {
            let wamid = text_at(object, &["reaction", "message_id"]);
            let ours = detail.quoted.as_ref().filter(|quoted| quoted.wamid == wamid);
            let reaction_to = ours.map_or_else(|| wamid.to_owned(), |quoted| quoted.id.to_string());
            let answer = Some(Answer::Reaction { reaction_to });
            Said { message: text_at(object, &["reaction", "emoji"]), answer, ..Said::default() }
        }
        _ => unsupported(),
    }
}

fn unsupported<'a>() -> Said<'a> {
    Said { system: "unsupported", ..Said::default() }
}

fn file<'a>(kind: &str, media: &'a Value, detail: &'a ReceivedDetail) -> Said<'a> {
    let caption = text_at(media, &["caption"]);
    let stored = detail.file.as_ref();
    let filename = || match stored.and_then(|file| file.filename.as_deref()) {
        Some(name) => name,
        None => text_at(media, &["filename"]),
    };
    let known_type = stored.map(|file| file.mime_type.as_str());
    let known_type = known_type.filter(|mime_type| *mime_type != MimeType::UNKNOWN);
    let attachment = Attachment {
        mime_type: known_type.unwrap_or_else(|| text_at(media, &["mime_type"])),
        caption,
        url: stored.map(|file| file.url.as_str()).unwrap_or_default(),
        filename: (kind == "document").then(filename),
    };
    Said { message: caption, attachment: Some(attachment), ..Said::default() }
}

/// A row of a list or a reply button; other answers the vendor does not know.
fn choice(interactive: &Value) -> Option<Said<'_>> {
    let reply_type = text_at(interactive, &["type"]);
    if !matches!(reply_type, "list_reply" | "button_reply") {
        return None;
    }
    let chosen = &interactive[reply_type];
    let reply_title = text_at(chosen, &["title"]);
    let answer = Some(Answer::Choice {
        reply_type,
        reply_id: text_at(chosen, &["id"]),
        reply_title,
        reply_description: text_at(chosen, &["description"]),
    });
    Some(Said { message: reply_title, answer, ..Said::default() })
}

/// The text at a path; empty where there is none.
fn text_at<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    path.iter().fold(value, |value, name| &value[*name]).as_str().unwrap_or_default()
}
