//! Reading webhook bodies. Liberal: what has not the expected shape becomes [`Event::Other`] and
//! costs the rest of the batch nothing.

use serde_json::{Map, Value, json};
use waypost_domain::status::Report;
use waypost_domain::{ErrorKind, Failure, Phone, Timestamp};
use waypost_engine::ports::{NoticeAbout, UpstreamNotice};

use super::event::{Event, InboundEvent, StatusEvent, TemplateEvent};
use crate::fault::kind_of;
use crate::reply::{fault, id_text, integer};

/// The latest time that is believed, in seconds: the year 5138. Beyond it, milliseconds were meant.
const MAX_SECONDS: i64 = 100_000_000_000;

/// The most events of a webhook: Meta puts 1,000 into one.
const MAX_EVENTS: usize = 10_000;
/// The most contacts of a batch, each of which may be looked at for each message.
const MAX_CONTACTS: usize = 1_000;
/// The longest text that is told once and then copied to each event that it is about, in bytes.
const MAX_SHARED_BYTES: usize = 1_024;
/// The longest name of a field that is passed on, in bytes. Meta's have 33 at most.
const MAX_FIELD_BYTES: usize = 64;

/// Why a webhook has no events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The body is no JSON, or nested too deeply.
    #[error("the webhook's body is not JSON")]
    NotJson,
    /// It says more at once than Meta ever does.
    #[error("the webhook says more at once than Meta does")]
    TooMuch,
}

/// Reads a webhook's body into its events, in order.
///
/// # Errors
/// Only where the body as a whole is no JSON, or far too much; texts that are no UTF-8 or hold half
/// of a character are read with a replacement character.
pub fn parse(body: &[u8]) -> Result<Vec<Event>, Unreadable> {
    let mut webhook = read(body)?;
    let Some(entries) = webhook.get_mut("entry").and_then(Value::as_array_mut) else {
        return Ok(vec![other("", "", webhook)]);
    };
    let mut events = Vec::new();
    for entry in std::mem::take(entries) {
        read_entry(entry, &mut events)?;
    }
    Ok(events)
}

fn read(body: &[u8]) -> Result<Value, Unreadable> {
    let text = String::from_utf8_lossy(body);
    serde_json::from_str(&text)
        .or_else(|_| serde_json::from_str(&without_half_characters(&text)))
        .map_err(|_| Unreadable::NotJson)
}

/// Replaces escapes of half a surrogate pair, which JSON allows and texts cannot hold.
fn without_half_characters(text: &str) -> String {
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\\') {
        let (before, escape) = rest.split_at(place);
        mended.push_str(before);
        let length = match (surrogate(escape), surrogate(escape.get(6..).unwrap_or_default())) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(_), _) => {
                mended.push_str("\\ufffd");
                rest = &escape[6..];
                continue;
            }
            (None, _) => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        mended.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    mended.push_str(rest);
    mended
}

fn surrogate(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    let unit = u32::from_str_radix(digits, 16).ok()?;
    (0xD800..=0xDFFF).contains(&unit).then_some(unit)
}

fn other(waba_id: &str, field: &str, raw: Value) -> Event {
    Event::Other { waba_id: waba_id.to_owned(), field: field.to_owned(), raw }
}

fn read_entry(mut entry: Value, events: &mut Vec<Event>) -> Result<(), Unreadable> {
    let waba_id = id_text(shared(&entry["id"])).unwrap_or_default();
    let at = timestamp(&entry["time"]);
    let changes = entry.get_mut("changes").and_then(Value::as_array_mut).map(std::mem::take);
    let Some(changes) = changes else {
        events.push(other(&waba_id, "", entry));
        return check_number(events);
    };
    for mut change in changes {
        check_number(events)?;
        let field = change["field"].as_str().unwrap_or_default().to_owned();
        let Some(value) = change.get_mut("value").map(Value::take) else {
            events.push(other(&waba_id, &field, change));
            continue;
        };
        match field.as_str() {
            "messages" => read_messages(&waba_id, value, events),
            "message_template_status_update" => {
                let event = template(&waba_id, at, &value).map(Event::Template);
                events.push(event.unwrap_or_else(|| other(&waba_id, &field, value)));
            }
            _ if is_notice(&field, &value) => {
                let (waba_id, about) = (waba_id.clone(), about(&value));
                events.push(Event::Notice(UpstreamNotice { waba_id, field, value, about, at }));
            }
            _ => events.push(other(&waba_id, &field, value)),
        }
    }
    check_number(events)
}

/// Whether a change is one that can be passed on: it has the name of a field, and says something.
fn is_notice(field: &str, value: &Value) -> bool {
    (1..=MAX_FIELD_BYTES).contains(&field.len()) && !value.is_null()
}

/// What a field is about that the gateway does not act on: Meta names numbers by id in `metadata`,
/// and in news of an account's numbers by the number alone.
fn about(value: &Value) -> NoticeAbout {
    let metadata = &value["metadata"];
    if let Some(id) = id_text(&metadata["phone_number_id"]) {
        return NoticeAbout::Number(id);
    }
    let phones = [&metadata["display_phone_number"], &value["display_phone_number"]];
    match phones.into_iter().find_map(id_text) {
        Some(phone) => NoticeAbout::Phone(phone),
        None => NoticeAbout::Account,
    }
}

const fn check_number(events: &[Event]) -> Result<(), Unreadable> {
    if events.len() > MAX_EVENTS { Err(Unreadable::TooMuch) } else { Ok(()) }
}

/// A value that many events have in common; null where its text is longer than Meta's are.
fn shared(value: &Value) -> &Value {
    let is_long = value.as_str().is_some_and(|text| text.len() > MAX_SHARED_BYTES);
    if is_long { &Value::Null } else { value }
}

/// The parts of a `messages` value that tell to whom and from whom its lists are.
struct Context<'a> {
    waba_id: &'a str,
    phone_number_id: String,
    contacts: Vec<Value>,
}

fn read_messages(waba_id: &str, mut value: Value, events: &mut Vec<Event>) {
    let Some(object) = value.as_object_mut() else {
        return events.push(other(waba_id, "messages", value));
    };
    let metadata = object.get("metadata");
    let Some(phone_number_id) =
        metadata.and_then(|metadata| id_text(shared(metadata.get("phone_number_id")?)))
    else {
        return events.push(other(waba_id, "messages", value));
    };
    let contacts = list(object, "contacts", MAX_CONTACTS);
    let context = Context { waba_id, phone_number_id, contacts };
    let before = events.len();
    for message in list(object, "messages", MAX_EVENTS + 1) {
        let event = inbound(&context, &message);
        events.push(event.unwrap_or_else(|| context.not_understood("messages", message)));
    }
    for status in list(object, "statuses", MAX_EVENTS + 1) {
        let event = status_event(&context, &status);
        events.push(event.unwrap_or_else(|| context.not_understood("statuses", status)));
    }
    for error in list(object, "errors", MAX_EVENTS + 1) {
        events.push(context.not_understood("errors", error));
    }
    if events.len() == before {
        events.push(other(waba_id, "messages", value));
    }
}

/// Takes a list out of an object, up to a number; anything else than a list stays.
fn list(object: &mut Map<String, Value>, name: &str, most: usize) -> Vec<Value> {
    let list = object.get_mut(name).and_then(Value::as_array_mut);
    let mut list = list.map(std::mem::take).unwrap_or_default();
    list.truncate(most);
    list
}

impl Context<'_> {
    /// One element of a list, with the number that it is about.
    fn not_understood(&self, list: &str, element: Value) -> Event {
        let mut raw = json!({"metadata": {"phone_number_id": self.phone_number_id}});
        raw[list] = Value::Array(vec![element]);
        other(self.waba_id, "messages", raw)
    }

    /// The contact whose message this is: by id or number; else the only one.
    fn contact_of(&self, message: &Value) -> Option<&Value> {
        let same = |contact: &&Value, mine: &str, theirs: &str| {
            let id = message[mine].as_str();
            id.is_some() && id == contact[theirs].as_str()
        };
        let mut contacts = self.contacts.iter();
        contacts
            .find(|contact| {
                same(contact, "from_user_id", "user_id") || same(contact, "from", "wa_id")
            })
            .or(match &self.contacts[..] {
                [only] => Some(only),
                _ => None,
            })
    }
}

fn inbound(context: &Context<'_>, message: &Value) -> Option<Event> {
    let wamid = id_text(&message["id"])?;
    let contact = context.contact_of(message).unwrap_or(&Value::Null);
    let phone = |value: &Value| value.as_str().and_then(|text| Phone::parse(text).ok());
    let from = phone(&message["from"]).or_else(|| phone(shared(&contact["wa_id"])));
    let user_id =
        id_text(&message["from_user_id"]).or_else(|| id_text(shared(&contact["user_id"])));
    if from.is_none() && user_id.is_none() {
        return None;
    }
    let kind = message["type"].as_str().unwrap_or("unknown").to_owned();
    let media_id = match kind.as_str() {
        "image" | "video" | "audio" | "document" | "sticker" => id_text(&message[&kind]["id"]),
        _ => None,
    };
    Some(Event::Inbound(Box::new(InboundEvent {
        phone_number_id: context.phone_number_id.clone(),
        from,
        user_id,
        profile_name: shared(&contact["profile"]["name"]).as_str().map(str::to_owned),
        wamid,
        written_at: timestamp(&message["timestamp"]),
        kind,
        message: with_contact(message.clone(), contact),
        media_id,
    })))
}

/// Keeps what the contact says of the person's ids beside what the person wrote.
fn with_contact(mut message: Value, contact: &Value) -> Value {
    let user_id = shared(&contact["user_id"]).as_str();
    let told = [
        ("identity_key_hash", shared(&contact["identity_key_hash"]).as_str()),
        ("from_user_id", user_id.filter(|_| message["from_user_id"].is_null())),
    ];
    for (name, value) in told {
        if let (Some(object), Some(value)) = (message.as_object_mut(), value) {
            object.insert(name.to_owned(), value.into());
        }
    }
    message
}

fn status_event(context: &Context<'_>, status: &Value) -> Option<Event> {
    let wamid = id_text(&status["id"])?;
    let word = status["status"].as_str()?.to_owned();
    let report = Report::parse(&word);
    let recipients = ["recipient_participant_id", "recipient_id", "recipient_user_id"];
    let failure = match report {
        Some(Report::Failed) => Some(failure(&status["errors"][0])),
        _ => None,
    };
    Some(Event::Status(Box::new(StatusEvent {
        phone_number_id: context.phone_number_id.clone(),
        wamid,
        status: word,
        report,
        at: timestamp(&status["timestamp"]),
        recipient: recipients.iter().find_map(|name| id_text(&status[*name])),
        opaque: status["biz_opaque_callback_data"].as_str().map(str::to_owned),
        failure,
        extra: extra(status),
    })))
}

/// What Meta says beside the status itself, member for member.
fn extra(status: &Value) -> Option<Value> {
    const MEMBERS: [&str; 4] =
        ["conversation", "pricing", "recipient_identity_key_hash", "recipient_user_id"];
    let given = MEMBERS.into_iter().filter_map(|name| {
        let value = status.get(name).filter(|value| !value.is_null())?;
        Some((name.to_owned(), value.clone()))
    });
    let members: Map<String, Value> = given.collect();
    (!members.is_empty()).then_some(Value::Object(members))
}

fn failure(error: &Value) -> Failure {
    match fault(error, None) {
        Some(fault) => {
            let kind = kind_of(fault.code, None);
            fault.into_failure_of(kind)
        }
        None => {
            let message = "WhatsApp reports that the message failed, and not why.";
            Failure::new(ErrorKind::RejectedByUpstream, message)
        }
    }
}

fn template(waba_id: &str, at: Option<Timestamp>, value: &Value) -> Option<TemplateEvent> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    Some(TemplateEvent {
        waba_id: waba_id.to_owned(),
        id: id_text(&value["message_template_id"])?,
        name: text("message_template_name")?,
        language: text("message_template_language")?,
        status: text("event")?,
        reason: text("reason"),
        at,
    })
}

/// Seconds as text or number.
fn timestamp(value: &Value) -> Option<Timestamp> {
    match integer(value)? {
        seconds @ 1..=MAX_SECONDS => Some(Timestamp::from_seconds(seconds)),
        _ => None,
    }
}
