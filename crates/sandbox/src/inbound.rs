//! A person writes to the business: builds the message in webhook shape, opens the window and
//! queues the webhook. Used by the control plane and the handset page.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::Sandbox;
use crate::control_call::{Refusal, only};
use crate::inbound_shape;
use crate::log::{Category, Direction, Entry};
use crate::media_kind::{MediaKind, essence};
use crate::media_store::{INBOUND_LIFETIME_MS, Media};
use crate::message_kind::{listed, receivable};
use crate::state::State;
use crate::statuses;
use crate::validate::{is_user_id, phone_digits};
use crate::wamid::{self, Sender};

/// Types that may come without a member of their name.
const EMPTY_KINDS: [&str; 5] =
    ["unsupported", "unknown", "request_welcome", "ephemeral", "interactive"];

/// What WhatsApp tells of a person in the form of a message of theirs.
const NOTICE: &str = "system";

/// Members beside the one that has the name of the type.
const MEMBERS: [&str; 13] = [
    "from",
    "from_user_id",
    "to",
    "type",
    "id",
    "name",
    "profile",
    "timestamp",
    "context",
    "referral",
    "group_id",
    "errors",
    "value_errors",
];

/// The latest instant a message may have: the last second of the year 9999.
const TIMESTAMP_MAX_S: i64 = 253_402_300_799;
/// The longest profile name that is kept.
const NAME_MAX_CHARS: usize = 200;

/// What became of an inbound message.
pub(crate) struct Received {
    pub(crate) seq: u64,
    pub(crate) wamid: Arc<str>,
    /// The message as the webhook carries it.
    pub(crate) message: Value,
}

/// Takes a message as `POST /_sandbox/inbound` describes it.
pub(crate) async fn receive(
    sandbox: &Sandbox,
    mut body: Map<String, Value>,
) -> Result<Received, Refusal> {
    let kind = match body.get("type") {
        None => "text",
        Some(value) => {
            let name = value.as_str().unwrap_or("");
            let known = receivable().find(|kind| *kind == name);
            known.ok_or_else(|| format!("type must be one of {}", listed(receivable())))?
        }
    };
    let known: Vec<&str> = MEMBERS.into_iter().chain([kind]).collect();
    only(&body, &known)?;
    check_content(kind, body.get(kind))?;
    inbound_shape::check_around(&body)?;
    if let Some(media_kind) = MediaKind::parse(kind) {
        let content = body.get_mut(kind).and_then(Value::as_object_mut);
        let content = content.ok_or_else(|| format!("{kind} must be an object"))?;
        attach_media(sandbox, media_kind, content).await?;
    }
    sandbox.state().receive(kind, &body)
}

fn check_content(kind: &str, content: Option<&Value>) -> Result<(), String> {
    match content {
        None if EMPTY_KINDS.contains(&kind) => Ok(()),
        None => Err(format!("the member {kind} is missing")),
        Some(content) => inbound_shape::check_content(kind, content),
    }
}

/// Replaces `data` (base64) by the id of a stored file, or completes what is known of an id.
async fn attach_media(
    sandbox: &Sandbox,
    kind: MediaKind,
    content: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let name = kind.name();
    let text = |member: &str| content.get(member).and_then(Value::as_str).map(str::to_owned);
    let media: Media = match (text("data"), text("id")) {
        (Some(data), _) => {
            let bytes = STANDARD.decode(data.trim());
            let bytes = Bytes::from(bytes.map_err(|_| format!("{name}.data must be base64"))?);
            let mime = text("mime_type").ok_or_else(|| format!("{name}.mime_type is missing"))?;
            let mime = essence(&mime).map(|_| mime);
            let mime = mime.ok_or_else(|| format!("{name}.mime_type is no MIME type"))?;
            let stored = sandbox.store_media(&bytes, mime, text("filename"), INBOUND_LIFETIME_MS);
            let media = stored.await.map_err(|error| format!("{name}: {error}"))?;
            sandbox.state().media.insert(media.clone());
            media
        }
        (None, Some(id)) => {
            let state = sandbox.state();
            let now_ms = state.now_ms();
            let known = state.media.get(&id, now_ms).cloned();
            known.ok_or_else(|| Refusal::unknown(format!("{name}.id names no media")))?
        }
        (None, None) => {
            return Err(Refusal::bad(format!("{name} needs data (base64) or the id of media")));
        }
    };
    content.remove("data");
    let mut complete = Map::new();
    complete.insert("mime_type".into(), media.mime.as_ref().into());
    complete.insert("sha256".into(), STANDARD.encode(media.sha256).into());
    complete.insert("id".into(), media.id.as_ref().into());
    for (name, value) in std::mem::take(content) {
        complete.entry(name).or_insert(value);
    }
    match kind {
        MediaKind::Audio => {
            let is_voice = essence(&media.mime).as_deref() == Some("audio/ogg");
            complete.entry("voice").or_insert(Value::Bool(is_voice));
        }
        MediaKind::Sticker => {
            complete.entry("animated").or_insert(Value::Bool(false));
        }
        _ => {}
    }
    *content = complete;
    Ok(())
}

impl State {
    /// Builds, remembers and reports an inbound message whose media are in place.
    fn receive(
        &mut self,
        kind: &'static str,
        body: &Map<String, Value>,
    ) -> Result<Received, Refusal> {
        let number = self.number_written_to(body)?;
        let person = self.person_who_writes(body)?;
        self.learn_name(person, body);
        let now_ms = self.now_ms();
        let at_ms = timestamp_ms(body)?.unwrap_or(now_ms);
        let given = body.get("id").and_then(Value::as_str).map(str::to_owned);
        let wamid: Arc<str> =
            Arc::from(given.unwrap_or_else(|| {
                wamid::new_wamid(self.people.get(person).address(), Sender::User)
            }));
        let message = self.message(number, person, kind, &wamid, at_ms, body);
        let seq = self.log.push(Entry {
            wamid: Arc::clone(&wamid),
            number,
            person,
            direction: Direction::In,
            kind,
            raw: message.to_string().into(),
            opaque: None,
            at_ms,
            category: Category::Service,
            in_window: true,
            template: None,
            marks: Vec::new(),
        });
        if kind != NOTICE {
            self.open_window(number, person, at_ms);
        }
        self.chat(number, person).show(seq);
        self.number_mut(number).pace.note(now_ms);
        let mut value = statuses::envelope(self, number);
        // A change of the phone or the identity comes without contacts.
        if kind != NOTICE {
            let contact = statuses::contact(self, number, person);
            value.insert("contacts".into(), json!([contact]));
        }
        value.insert("messages".into(), json!([message]));
        if let Some(errors) = body.get("value_errors") {
            value.insert("errors".into(), errors.clone());
        }
        self.tell_number(number, person, kind, &Value::Object(value));
        self.note_change(number, person);
        Ok(Received { seq, wamid, message })
    }

    fn number_written_to(&self, body: &Map<String, Value>) -> Result<u32, Refusal> {
        let found = match text(body, "to")? {
            Some(to) => self.find_number_by_any(to),
            None => (!self.numbers.is_empty()).then_some(0),
        };
        found.ok_or_else(|| Refusal::unknown("there is no such business number"))
    }

    fn person_who_writes(&mut self, body: &Map<String, Value>) -> Result<u32, String> {
        let user_id = text(body, "from_user_id")?;
        if user_id.is_some_and(|user_id| !is_user_id(user_id)) {
            return Err("from_user_id must look like US.13491208655302741918".into());
        }
        let phone = match text(body, "from")? {
            Some(from) if is_user_id(from) => {
                return Err("a business-scoped user id stands in from_user_id, not in from".into());
            }
            Some(from) => Some(phone_digits(from).ok_or("from must have 7 to 15 digits")?),
            None => None,
        };
        if let (Some(phone), Some(user_id)) = (&phone, user_id)
            && !self.people.unite(phone, user_id)
        {
            return Err("from_user_id is the id of somebody else".into());
        }
        let address = phone.as_deref().or(user_id).ok_or("from or from_user_id is missing")?;
        let person = self.people.ensure(address).ok_or("the sandbox knows no more people")?;
        if !self.people.get(person).on_whatsapp {
            return Err("this person is not on WhatsApp".into());
        }
        if let (Some(_), Some(user_id)) = (&phone, user_id) {
            self.people.give_user_id(person, user_id);
        }
        self.people.get_mut(person).known = true;
        Ok(person)
    }

    fn learn_name(&mut self, person: u32, body: &Map<String, Value>) {
        let profile = body.get("profile").and_then(|profile| profile.get("name"));
        let name = body.get("name").or(profile).and_then(Value::as_str);
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let name: String = name.chars().take(NAME_MAX_CHARS).collect();
            self.people.get_mut(person).name = Some(name.into());
        }
    }

    fn message(
        &self,
        number: u32,
        person: u32,
        kind: &str,
        wamid: &str,
        at_ms: i64,
        body: &Map<String, Value>,
    ) -> Value {
        let person = self.people.get(person);
        let mut message = Map::new();
        if let Some(context) = body.get("context") {
            let mut context = context.clone();
            if context.get("id").is_some() && context.get("from").is_none() {
                context["from"] = self.number(number).display.as_ref().into();
            }
            message.insert("context".into(), context);
        }
        if let Some(phone) = &person.phone {
            message.insert("from".into(), phone.as_ref().into());
        }
        if let Some(user_id) = person.told_user_id(self.app.with_user_ids) {
            message.insert("from_user_id".into(), user_id.into());
        }
        message.insert("id".into(), wamid.into());
        message.insert("timestamp".into(), (at_ms / 1_000).to_string().into());
        for member in [kind, "referral", "errors", "group_id"] {
            if let Some(value) = body.get(member) {
                message.insert(member.into(), value.clone());
            }
        }
        message.insert("type".into(), kind.into());
        Value::Object(message)
    }
}

/// A member that is a string if it is there.
fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} must be a string")),
    }
}

fn timestamp_ms(body: &Map<String, Value>) -> Result<Option<i64>, String> {
    let Some(value) = body.get("timestamp") else { return Ok(None) };
    let seconds = value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let seconds = seconds.filter(|seconds| (0..=TIMESTAMP_MAX_S).contains(seconds));
    let milliseconds = seconds.map(|seconds| seconds * 1_000);
    milliseconds
        .map(Some)
        .ok_or_else(|| format!("timestamp must be unix seconds, from 0 to {TIMESTAMP_MAX_S}"))
}
