//! Statuses: giving a message one, and the webhook that tells of it with its conversation and
//! price (reference §5.4, §6).

use serde_json::{Map, Value, json};

use crate::entropy;
use crate::errors::Failure;
use crate::log::{Category, Direction, Entry, Mark, Status};
use crate::state::{State, WINDOW_MS};

/// 1 October 2026, 00:00 UTC: service messages and utility templates in the window are billed.
const SERVICE_BILLED_FROM_MS: i64 = 1_790_812_800_000;
/// 1 July 2025, 00:00 UTC: prices per message instead of per conversation.
const PER_MESSAGE_FROM_MS: i64 = 1_751_328_000_000;

impl State {
    /// Gives a message a status: remembers it, sends the webhook, tells the handset page.
    pub(crate) fn report(&mut self, seq: u64, status: Status, failure: Option<Box<Failure>>) {
        let now_ms = self.now_ms();
        let Some(entry) = self.log.get_mut(seq) else { return };
        entry.marks.push(Mark { status, at_ms: now_ms, failure });
        let (number, person) = (entry.number, entry.person);
        if let Some(value) = webhook_value(self, seq) {
            self.tell_number(number, person, status.name(), &value);
        }
        self.note_change(number, person);
    }
}

impl State {
    /// A voice message is played; true if it is reported, which is so the first time.
    pub(crate) fn play(&mut self, wamid: &str) -> bool {
        let Some(seq) = self.log.find(wamid) else { return false };
        let is_first = self.log.get(seq).is_some_and(|entry| {
            let raw: Value = serde_json::from_str(&entry.raw).unwrap_or_default();
            let is_voice = entry.kind == "audio" && raw["audio"]["voice"] == true;
            let arrived = matches!(entry.furthest(), Some(Status::Delivered | Status::Read));
            entry.direction == Direction::Out && is_voice && arrived
        });
        if is_first {
            self.report(seq, Status::Played, None);
        }
        is_first
    }
}

/// `value` of the webhook for the newest status of a message.
fn webhook_value(state: &State, seq: u64) -> Option<Value> {
    let entry = state.log.get(seq)?;
    let mark = entry.marks.last()?;
    let person = state.people.get(entry.person);
    let mut value = envelope(state, entry.number);
    if mark.status != Status::Failed {
        value.insert("contacts".into(), json!([contact(state, entry.number, entry.person)]));
    }
    let mut status = Map::new();
    status.insert("id".into(), entry.wamid.as_ref().into());
    status.insert("status".into(), mark.status.name().into());
    status.insert("timestamp".into(), (mark.at_ms / 1_000).to_string().into());
    if let Some(phone) = &person.phone {
        status.insert("recipient_id".into(), phone.as_ref().into());
    }
    if let Some(user_id) = person.told_user_id(state.app.with_user_ids) {
        status.insert("recipient_user_id".into(), user_id.into());
    }
    if state.number(entry.number).identity_check && mark.status != Status::Failed {
        status.insert("recipient_identity_key_hash".into(), person.identity_hash().into());
    }
    if let Some(opaque) = &entry.opaque {
        status.insert("biz_opaque_callback_data".into(), opaque.as_ref().into());
    }
    if carries_price(entry) {
        if state.app.with_conversation {
            status.insert("conversation".into(), conversation(entry, mark.status));
        }
        status.insert("pricing".into(), pricing(entry));
    }
    if let Some(failure) = &mark.failure {
        status.insert("errors".into(), json!([failure.to_json()]));
    }
    value.insert("statuses".into(), json!([status]));
    Some(Value::Object(value))
}

/// `messaging_product` and `metadata` of a webhook value.
pub(crate) fn envelope(state: &State, number: u32) -> Map<String, Value> {
    let number = state.number(number);
    let mut value = Map::new();
    value.insert("messaging_product".into(), "whatsapp".into());
    let metadata = json!({"display_phone_number": number.display, "phone_number_id": number.id});
    value.insert("metadata".into(), metadata);
    value
}

/// One of `contacts[]` of a webhook value.
pub(crate) fn contact(state: &State, number: u32, person: u32) -> Value {
    let with_identity = state.number(number).identity_check;
    let person = state.people.get(person);
    let mut profile = Map::new();
    profile.insert("name".into(), person.profile_name().into());
    if let Some(username) = &person.username {
        profile.insert("username".into(), username.as_ref().into());
    }
    let mut contact = Map::new();
    contact.insert("profile".into(), Value::Object(profile));
    if let Some(phone) = &person.phone {
        contact.insert("wa_id".into(), phone.as_ref().into());
    }
    if let Some(user_id) = person.told_user_id(state.app.with_user_ids) {
        contact.insert("user_id".into(), user_id.into());
    }
    if with_identity {
        contact.insert("identity_key_hash".into(), person.identity_hash().into());
    }
    Value::Object(contact)
}

/// With `sent` and with exactly one of `delivered` and `read`.
fn carries_price(entry: &Entry) -> bool {
    let Some((last, earlier)) = entry.marks.split_last() else { return false };
    let arrived = |status| matches!(status, Status::Delivered | Status::Read);
    match last.status {
        Status::Sent => true,
        status if arrived(status) => !earlier.iter().any(|mark| arrived(mark.status)),
        _ => false,
    }
}

/// Up to version 23 every message is a conversation of its own, named after the message.
fn conversation(entry: &Entry, status: Status) -> Value {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(entry.wamid.as_bytes());
    let id = entropy::lower_hex(&digest[..16]);
    let mut conversation = Map::new();
    conversation.insert("id".into(), id.into());
    if status == Status::Sent {
        let expires_s = (entry.at_ms + WINDOW_MS) / 1_000;
        conversation.insert("expiration_timestamp".into(), expires_s.to_string().into());
    }
    conversation.insert("origin".into(), json!({"type": entry.category.name()}));
    Value::Object(conversation)
}

fn pricing(entry: &Entry) -> Value {
    let is_service = entry.category == Category::Service;
    let is_free = entry.at_ms < SERVICE_BILLED_FROM_MS
        && (is_service || (entry.category == Category::Utility && entry.in_window));
    let model = if entry.at_ms < PER_MESSAGE_FROM_MS { "CBP" } else { "PMP" };
    json!({
        "billable": !is_free,
        "pricing_model": model,
        "type": if is_free { "free_customer_service" } else { "regular" },
        "category": entry.category.name(),
    })
}
