//! How files of messages are told to the handset page: where they are, their type and size. It
//! reads the state and changes nothing, and it never tells the page an address of elsewhere: what
//! the egress rules refuse must not be fetched by the browser instead.

use serde_json::{Value, json};

use crate::media_kind::MediaKind;
use crate::state::State;

/// A file that is here; one that is only linked to has no `url`.
pub(crate) fn of(state: &State, kind: MediaKind, reference: &Value) -> Option<Value> {
    let text = |name: &str| reference.get(name).and_then(Value::as_str);
    let link = text("link");
    let id = text("id").or_else(|| state.links.media_of(kind, link?).map(AsRef::as_ref));
    let file = id.and_then(|id| state.media.get(id, state.now_ms()));
    match (file, link) {
        (Some(file), _) => Some(json!({
            "url": format!("/_sandbox/handset/media/{}", file.id),
            "mime_type": file.mime,
            "filename": text("filename").or(file.filename.as_deref()),
            "size": file.size,
        })),
        (None, Some(_)) => Some(json!({
            "url": null, "mime_type": null, "filename": text("filename"), "size": null,
        })),
        (None, None) => None,
    }
}

/// The file of a message, or of its header.
pub(crate) fn of_message(state: &State, kind: &str, content: &Value) -> Option<Value> {
    match MediaKind::parse(kind) {
        Some(kind) => of(state, kind, content),
        None if kind == "interactive" => of_header(state, &content["header"]),
        None => None,
    }
}

/// The pictures and films of an interactive carousel's cards, in their order.
pub(crate) fn of_cards(state: &State, content: &Value) -> Vec<Option<Value>> {
    let cards = content["action"]["cards"].as_array().into_iter().flatten();
    cards.map(|card| of_header(state, &card["header"])).collect()
}

fn of_header(state: &State, header: &Value) -> Option<Value> {
    let kind = MediaKind::parse(header["type"].as_str()?)?;
    of(state, kind, &header[kind.name()])
}
