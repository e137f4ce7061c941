//! Meta's shape: the Cloud API's webhook envelope, which many clients understand already.
//! ReplyHero's users get their events so, since its replies speak Cloud API too.
//! Source: Meta's "Webhooks" pages; the values that Waypost has no source for are left out.

use serde_json::{Map, Value, json};
use waypost_domain::callback::{CallbackShape, CallbackSite, ShapeInfo, Signature, Verdict};
use waypost_domain::event::{Event, EventDetail, ReceivedDetail, StatusDetail, TemplateDetail};
use waypost_domain::media::MediaKind;
use waypost_domain::status::Status;
use waypost_domain::{Content, ErrorKind, Failure};

use super::meta_titles;

/// Meta's callbacks.
#[derive(Clone, Copy, Debug)]
pub struct CloudApiEvents;

/// Meta says: any answer but 200 is tried again, with decreasing frequency, for seven days.
static INFO: ShapeInfo = ShapeInfo {
    id: "cloud_api",
    title: "Meta Cloud API",
    schedule_s: &[
        5, 30, 120, 600, 3_600, 10_800, 21_600, 43_200, 86_400, 86_400, 86_400, 86_400, 86_400,
        86_400,
    ],
    is_jittered: true,
    timeout_s: 10,
    signature: Signature::HubSha256,
    batch: None,
    verdict: only_200,
    zone_offset_minutes: 0,
};

const fn only_200(status: u16) -> Verdict {
    if status == 200 { Verdict::Delivered } else { Verdict::Retry }
}

impl CallbackShape for CloudApiEvents {
    fn info(&self) -> &'static ShapeInfo {
        &INFO
    }

    fn tells(&self, event: &Event) -> bool {
        match &event.detail {
            EventDetail::Status(detail) => word(detail.status).is_some(),
            EventDetail::Received(detail) => matches!(detail.message.content, Content::Inbound(_)),
            EventDetail::Template(_) => true,
            EventDetail::Notice(detail) => detail.value.is_some(),
        }
    }

    fn encode(&self, events: &[&Event], site: &CallbackSite<'_>) -> Vec<u8> {
        let told = events.first().map_or(Value::Null, |event| envelope(event, site));
        serde_json::to_vec(&told).unwrap_or_default()
    }
}

const fn word(status: Status) -> Option<&'static str> {
    match status {
        Status::Sent => Some("sent"),
        Status::Delivered => Some("delivered"),
        Status::Read => Some("read"),
        Status::Failed => Some("failed"),
        Status::Queued
        | Status::Sending
        | Status::Unknown
        | Status::Cancelled
        | Status::Received => None,
    }
}

fn envelope(event: &Event, site: &CallbackSite<'_>) -> Value {
    let entry = match &event.detail {
        EventDetail::Status(detail) => {
            let recipient = Recipient::of(detail);
            let statuses = json!([status(event, detail, &recipient)]);
            match detail.status {
                // Meta's have no contact either.
                Status::Failed => of_number(event, site, [("statuses", statuses)]),
                _ => {
                    let contact = contact("", recipient.wa_id, recipient.user_id);
                    let contacts = ("contacts", json!([contact]));
                    of_number(event, site, [contacts, ("statuses", statuses)])
                }
            }
        }
        EventDetail::Received(detail) => {
            let (contact, message) = received(detail);
            let contacts = ("contacts", json!([contact]));
            of_number(event, site, [contacts, ("messages", json!([message]))])
        }
        EventDetail::Template(detail) => {
            of_account(event, &detail.waba_id, "message_template_status_update", &template(detail))
        }
        EventDetail::Notice(detail) => {
            let value = detail.value.as_ref().unwrap_or(&Value::Null);
            of_account(event, &detail.waba_id, &detail.field, value)
        }
    };
    json!({"object": "whatsapp_business_account", "entry": [entry]})
}

/// The entry about messages of a number. Of one that is gone only our own id is known; readers insist
/// on texts.
fn of_number<const N: usize>(
    event: &Event,
    site: &CallbackSite<'_>,
    told: [(&str, Value); N],
) -> Value {
    let number = site.number;
    let own_id = event.number_id.as_ref().map_or("", |id| id.as_str());
    let mut value = Map::new();
    value.insert("messaging_product".to_owned(), json!("whatsapp"));
    let metadata = json!({
        "display_phone_number": number.map_or("", |number| number.display_phone.digits()),
        "phone_number_id": number.map_or(own_id, |number| &number.phone_number_id),
    });
    value.insert("metadata".to_owned(), metadata);
    value.extend(told.map(|(name, told)| (name.to_owned(), told)));
    let waba_id = number.map_or("", |number| number.waba_id.as_str());
    json!({"id": waba_id, "changes": [{"field": "messages", "value": value}]})
}

/// The entry about a business account, with a field of Meta's.
fn of_account(event: &Event, waba_id: &str, field: &str, value: &Value) -> Value {
    let change = json!({"field": field, "value": value});
    json!({"id": waba_id, "time": event.at.seconds(), "changes": [change]})
}

/// One of `contacts`. Readers insist on a name, also where it is not known.
fn contact(name: &str, wa_id: Option<&str>, user_id: Option<&str>) -> Value {
    let mut contact = json!({"profile": {"name": name}});
    if let Some(wa_id) = wa_id {
        contact["wa_id"] = json!(wa_id);
    }
    if let Some(user_id) = user_id {
        contact["user_id"] = json!(user_id);
    }
    contact
}

/// Who wrote, and what.
fn received(detail: &ReceivedDetail) -> (Value, Value) {
    let mut message = message(detail);
    let phone = &detail.message.phone;
    let (wa_id, user_id) = match phone.is_business_scoped() {
        true => (None, Some(phone.digits())),
        false => (Some(phone.digits()), message["from_user_id"].as_str()),
    };
    let mut contact = contact(detail.profile_name.as_deref().unwrap_or_default(), wa_id, user_id);
    // It is kept beside the message; at Meta it is the contact's.
    let object = message.as_object_mut();
    if let Some(hash) = object.and_then(|object| object.shift_remove("identity_key_hash")) {
        contact["identity_key_hash"] = hash;
    }
    (contact, message)
}

/// Who a message went to, by number and by business-scoped id.
struct Recipient<'a> {
    wa_id: Option<&'a str>,
    user_id: Option<&'a str>,
}

impl<'a> Recipient<'a> {
    fn of(detail: &'a StatusDetail) -> Self {
        let StatusDetail { message, upstream, .. } = detail;
        let told = upstream.as_ref().and_then(|told| told.get("recipient_user_id")?.as_str());
        let addressed = Some(message.phone.digits());
        match message.phone.is_business_scoped() {
            true => Self { wa_id: message.wa_number(), user_id: told.or(addressed) },
            false => Self { wa_id: message.wa_number().or(addressed), user_id: told },
        }
    }
}

/// A message that failed before the upstream gave it an id has ours.
fn status(event: &Event, detail: &StatusDetail, recipient: &Recipient<'_>) -> Value {
    let message = &detail.message;
    let id = message.wamid.clone().unwrap_or_else(|| message.id.to_string());
    let mut object = Map::new();
    object.insert("id".to_owned(), json!(id));
    object.insert("status".to_owned(), json!(word(detail.status)));
    object.insert("timestamp".to_owned(), json!(event.at.seconds().to_string()));
    if let Some(wa_id) = recipient.wa_id {
        object.insert("recipient_id".to_owned(), json!(wa_id));
    }
    if let Some(user_id) = recipient.user_id {
        object.insert("recipient_user_id".to_owned(), json!(user_id));
    }
    if let Some(reference) = &message.reference {
        object.insert("biz_opaque_callback_data".to_owned(), json!(reference));
    }
    if let Some(Value::Object(upstream)) = &detail.upstream {
        object.extend(upstream.clone());
    }
    if let Some(failure) = &detail.failure {
        object.insert("errors".to_owned(), json!([error(failure)]));
    }
    Value::Object(object)
}

/// Meta's code where the upstream gave one; else the one that Meta has for the same thing. With it
/// goes Meta's title, or what the upstream said where the code is unknown; what Waypost has to say
/// are the details.
fn error(failure: &Failure) -> Value {
    let fault = failure.upstream.as_ref();
    let code = fault.and_then(|fault| fault.code).unwrap_or_else(|| code_of(failure.kind));
    let said = fault.map(|fault| fault.details.trim()).unwrap_or_default();
    // Answers begin their message with the code; webhooks do not.
    let said = said.strip_prefix(&format!("(#{code})")).unwrap_or(said).trim_start();
    let said = Some(said).filter(|it| !it.is_empty());
    let title = meta_titles::title(code).or(said).or(meta_titles::title(SOMETHING_WENT_WRONG));
    json!({
        "code": code, "title": title, "message": title,
        "error_data": {"details": said.unwrap_or(&failure.message)},
        "href": "/docs/whatsapp/cloud-api/support/error-codes/",
    })
}

/// Meta's code for what has none of its own.
const SOMETHING_WENT_WRONG: i64 = 131_000;

const fn code_of(kind: ErrorKind) -> i64 {
    match kind {
        ErrorKind::WindowClosed => 131_047,
        ErrorKind::RecipientUnreachable => 131_026,
        ErrorKind::RecipientBlocked => 131_050,
        ErrorKind::TemplateNotFound | ErrorKind::TemplateLanguageNotFound => 132_001,
        ErrorKind::TemplateNotApproved => 132_015,
        ErrorKind::TemplateParameterMismatch => 132_000,
        ErrorKind::MediaRejected
        | ErrorKind::MediaTooLarge
        | ErrorKind::MediaNotFound
        | ErrorKind::UnsupportedMediaType => 131_053,
        ErrorKind::IdentityMismatch => 137_000,
        ErrorKind::RateLimited => 130_429,
        ErrorKind::UpstreamAuth => 190,
        _ => SOMETHING_WENT_WRONG,
    }
}

/// What the person wrote, as it came; a file under our own id and address, since the upstream's id
/// opens nothing for the reader.
fn message(detail: &ReceivedDetail) -> Value {
    let Content::Inbound(inbound) = &detail.message.content else { return Value::Null };
    let mut message = inbound.message.clone();
    if let (Some(file), Some(_)) = (&detail.file, MediaKind::parse(&inbound.kind)) {
        let object = &mut message[&inbound.kind];
        object["id"] = json!(file.id.as_str());
        object["url"] = json!(file.url);
    }
    message
}

fn template(detail: &TemplateDetail) -> Value {
    // A number in webhooks, a text in Meta's other answers.
    let id = detail.id.parse::<u64>().map_or_else(|_| json!(detail.id), |id| json!(id));
    json!({
        "event": detail.status, "message_template_id": id,
        "message_template_name": detail.name, "message_template_language": detail.language,
        "reason": detail.reason.as_deref().unwrap_or("NONE"),
    })
}
