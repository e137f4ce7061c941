//! What people write, in the vendor's flat form: a type in capitals and its payload under the same
//! word in small letters.

use serde_json::{Value, json};
use waypost_domain::content::InboundContent;

/// A message in the vendor's words.
pub(super) struct Told {
    /// The vendor's type, in capitals.
    pub(super) kind: &'static str,
    /// The payload with its key; none for what the vendor has no word for.
    pub(super) payload: Option<(&'static str, Value)>,
}

const UNSUPPORTED: Told = Told { kind: "UNSUPPORTED", payload: None };

/// Tells a message; `url` is where its file can be fetched.
pub(super) fn told(content: &InboundContent, url: Option<&str>) -> Told {
    let payload = &content.message[content.kind.as_str()];
    match content.kind.as_str() {
        "text" => tell("TEXT", "text", or_null(payload, "body")),
        "image" => tell("IMAGE", "image", file(payload, url)),
        "video" => tell("VIDEO", "video", file(payload, url)),
        "audio" => tell("AUDIO", "audio", file(payload, url)),
        "sticker" => tell("STICKER", "sticker", file(payload, url)),
        "document" => {
            let (caption, filename) = (or_null(payload, "caption"), or_null(payload, "filename"));
            let document = json!({"caption": caption, "filename": filename, "url": url});
            tell("DOCUMENT", "document", document)
        }
        "location" => {
            let place = ["latitude", "longitude", "name", "address"];
            tell("LOCATION", "location", members(payload, place))
        }
        "contacts" => contact(payload),
        "interactive" => interactive(payload),
        // A tap on a template's quick reply.
        "button" => {
            let reply = json!({"id": payload["payload"], "title": payload["text"]});
            let answer = json!({"type": "button_reply", "button_reply": reply});
            tell("INTERACTIVE", "interactive", answer)
        }
        "reaction" => {
            let emoji = payload["emoji"].as_str().unwrap_or_default();
            let reaction = json!({"messageId": payload["message_id"], "emoji": emoji});
            tell("REACTION", "reaction", reaction)
        }
        _ => UNSUPPORTED,
    }
}

const fn tell(kind: &'static str, key: &'static str, payload: Value) -> Told {
    Told { kind, payload: Some((key, payload)) }
}

fn or_null(object: &Value, name: &str) -> Value {
    object[name].clone()
}

fn members<const N: usize>(object: &Value, names: [&str; N]) -> Value {
    Value::Object(names.map(|name| (name.to_owned(), or_null(object, name))).into_iter().collect())
}

fn file(payload: &Value, url: Option<&str>) -> Value {
    json!({"caption": or_null(payload, "caption"), "url": url})
}

/// The first card under the vendor's word. An event is one call, so that further cards stand
/// beside it, all of them under `contacts`.
fn contact(payload: &Value) -> Told {
    let cards: Vec<Value> = payload.as_array().into_iter().flatten().map(card).collect();
    match cards.as_slice() {
        [] => UNSUPPORTED,
        [card] => tell("CONTACT", "contact", card.clone()),
        [first, ..] => {
            let mut first = first.clone();
            first["contacts"] = json!(cards);
            tell("CONTACT", "contact", first)
        }
    }
}

fn card(card: &Value) -> Value {
    let phones: Vec<Value> = card["phones"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| json!({"phone": it["phone"], "type": it["type"], "waId": it["wa_id"]}))
        .collect();
    let name = json!({"formattedName": card["name"]["formatted_name"]});
    json!({"name": name, "phones": phones})
}

fn interactive(payload: &Value) -> Told {
    let kind = payload["type"].as_str().unwrap_or_default();
    let reply = &payload[kind];
    let answer = match kind {
        "button_reply" => {
            json!({"type": kind, "button_reply": members(reply, ["id", "title"])})
        }
        "list_reply" => {
            json!({"type": kind, "list_reply": members(reply, ["id", "title", "description"])})
        }
        "nfm_reply" => {
            let written = reply["response_json"].as_str().unwrap_or_default();
            let response = serde_json::from_str(written).unwrap_or_else(|_| json!(written));
            let name = reply["name"].as_str().unwrap_or("flow");
            json!({"type": kind, "nfm_reply": {"name": name, "response": response}})
        }
        _ => return UNSUPPORTED,
    };
    tell("INTERACTIVE", "interactive", answer)
}
