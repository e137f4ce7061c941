//! What people write, in the vendor's flat form: a type in capitals and its payload under the same
//! word in small letters. Contact cards that come together are told one by one.

use serde_json::{Value, json};
use waypost_domain::Content;
use waypost_domain::content::InboundContent;

/// The most contact cards of one message that are told.
const MAX_CARDS: u8 = 255;

/// A message in the vendor's words.
pub(super) struct Told {
    /// The vendor's type, in capitals.
    pub(super) kind: &'static str,
    /// The payload with its key; none for what the vendor has no word for.
    pub(super) payload: Option<(&'static str, Value)>,
}

const UNSUPPORTED: Told = Told { kind: "UNSUPPORTED", payload: None };

/// In how many parts a message is told.
pub(super) fn parts(content: &Content) -> u8 {
    let Content::Inbound(content) = content else { return 1 };
    match content.message["contacts"].as_array() {
        Some(cards) if content.kind == "contacts" => {
            u8::try_from(cards.len()).unwrap_or(MAX_CARDS).max(1)
        }
        _ => 1,
    }
}

/// Tells one part of a message; `url` is where its file can be fetched.
pub(super) fn told(content: &InboundContent, part: u8, url: Option<&str>) -> Told {
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
        "contacts" => match payload.get(usize::from(part)) {
            Some(shared) => tell("CONTACT", "contact", card(shared)),
            None => UNSUPPORTED,
        },
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
