//! How messages and chats look on the handset: bubbles with text, media and ticks; templates are
//! rendered in `template_view`, files in `media_view`. It reads the state and changes nothing.

use serde_json::{Map, Value, json};

use crate::log::{Direction, Entry, Status};
use crate::state::State;
use crate::{media_view, template_view};

/// Chats of people who are not known by name, newest first.
const STRANGERS_MAX: usize = 500;

/// The bubble of a message.
pub(crate) fn bubble(state: &State, seq: u64) -> Option<Value> {
    let entry = state.log.get(seq)?;
    let raw: Value = serde_json::from_str(&entry.raw).unwrap_or_default();
    let content = &raw[entry.kind];
    let template = (entry.kind == "template").then(|| template_view::of(state, entry, content));
    let text = match &template {
        Some(template) => template["body"].as_str().map(str::to_owned),
        None => text_of(entry.kind, content),
    };
    let failure = entry.marks.iter().find_map(|mark| mark.failure.as_ref());
    let context = raw.pointer("/context/message_id").or_else(|| raw.pointer("/context/id"));
    Some(json!({
        "id": entry.wamid,
        "seq": seq,
        "direction": direction(entry),
        "type": entry.kind,
        "at_ms": entry.at_ms,
        "text": text,
        "media": media_view::of_message(state, entry.kind, content),
        "card_media": media_view::of_cards(state, content),
        "template": template,
        "raw": raw,
        "status": status(entry),
        "error": failure.map(|failure| {
            json!({"code": failure.code, "title": failure.title, "details": failure.details})
        }),
        "context": context.map(|id| json!({"id": id})),
    }))
}

fn direction(entry: &Entry) -> &'static str {
    match entry.direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
}

fn status(entry: &Entry) -> &'static str {
    match entry.furthest() {
        Some(Status::Deleted) => "read",
        Some(status) => status.name(),
        None if entry.direction == Direction::In => "sent",
        None => "accepted",
    }
}

/// The text that stands for a message.
fn text_of(kind: &str, content: &Value) -> Option<String> {
    let text = |path: &str| content.pointer(path).and_then(Value::as_str);
    let found = match kind {
        "text" => text("/body"),
        "image" | "video" | "document" => text("/caption"),
        "reaction" => text("/emoji"),
        "button" => text("/text"),
        "location" => text("/name").or_else(|| text("/address")),
        "contacts" => text("/0/name/formatted_name"),
        "order" => text("/text"),
        "system" => text("/body"),
        "interactive" => text("/body/text")
            .or_else(|| text("/button_reply/title"))
            .or_else(|| text("/list_reply/title"))
            .or_else(|| text("/nfm_reply/body")),
        _ => None,
    };
    found.map(str::to_owned)
}

/// One business number as the page names it.
pub(crate) fn number(state: &State, number: u32) -> Value {
    let number = state.number(number);
    json!({
        "phone_number_id": number.id,
        "display_phone_number": number.display,
        "verified_name": number.verified_name,
    })
}

/// All business numbers.
pub(crate) fn numbers(state: &State) -> Vec<Value> {
    (0..state.numbers.len())
        .filter_map(|n| u32::try_from(n).ok())
        .map(|n| number(state, n))
        .collect()
}

/// One chat of the list.
pub(crate) fn chat(state: &State, number_index: u32, person: u32) -> Value {
    let this = state.people.get(person);
    let chat = state.chats.get(&(number_index, person));
    let last = chat.and_then(|chat| chat.shown.back()).and_then(|seq| state.log.get(*seq));
    let window = chat.filter(|chat| chat.is_open(state.now_ms())).map(|c| c.window_until_ms);
    let mut view = Map::new();
    view.insert("phone".into(), this.address().into());
    view.insert("name".into(), this.profile_name().into());
    view.insert("number".into(), number(state, number_index));
    view.insert("last".into(), last.map_or(Value::Null, |entry| last_message(state, entry)));
    view.insert("unread".into(), chat.map_or(0, |chat| chat.unread.len()).into());
    view.insert("window_open_until_ms".into(), window.into());
    Value::Object(view)
}

fn last_message(state: &State, entry: &Entry) -> Value {
    let raw: Value = serde_json::from_str(&entry.raw).unwrap_or_default();
    let content = &raw[entry.kind];
    let text = match entry.kind {
        "template" => template_view::of(state, entry, content)["body"].as_str().map(str::to_owned),
        kind => text_of(kind, content),
    };
    json!({"text": text, "type": entry.kind, "at_ms": entry.at_ms, "direction": direction(entry)})
}

/// Every known person and every chat with messages, the newest first.
pub(crate) fn chats(state: &State) -> Vec<Value> {
    let last_seq =
        |key: &(u32, u32)| state.chats.get(key).and_then(|chat| chat.shown.back()).copied();
    let mut keys: Vec<(u32, u32)> = Vec::new();
    let mut strangers: Vec<(u32, u32)> = Vec::new();
    for key in state.chats.keys().filter(|key| last_seq(key).is_some()) {
        let list = if state.people.get(key.1).known { &mut keys } else { &mut strangers };
        list.push(*key);
    }
    strangers.sort_by_key(|key| std::cmp::Reverse(last_seq(key)));
    strangers.truncate(STRANGERS_MAX);
    keys.extend(strangers);
    if !state.numbers.is_empty() {
        let is_shown: std::collections::HashSet<u32> = keys.iter().map(|key| key.1).collect();
        let silent = state
            .people
            .indices()
            .filter(|person| state.people.get(*person).known && !is_shown.contains(person));
        keys.extend(silent.map(|person| (0, person)));
    }
    keys.sort_by_key(|key| (std::cmp::Reverse(last_seq(key)), key.1));
    keys.into_iter().map(|(number, person)| chat(state, number, person)).collect()
}
