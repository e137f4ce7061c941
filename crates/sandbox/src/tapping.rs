//! A person taps something in a message: finds the button, the row or the request that is meant
//! and makes of it the inbound message that Meta's webhook would carry, quoting the message. It
//! draws nothing; the page and the control plane call it alike.

use serde_json::{Map, Value, json};

use crate::Sandbox;
use crate::control_call::{Refusal, only, text};
use crate::inbound::{self, Received};
use crate::inbound_shape::check_place;
use crate::log::{Direction, Entry, Status};
use crate::state::State;
use crate::template_view;

type Fault = String;

/// Carries out `{"wamid", "id"}` or what the message asks for (`location`, `flow`, `address`,
/// `accept`).
pub(crate) async fn tap(sandbox: &Sandbox, body: &Map<String, Value>) -> Result<Received, Refusal> {
    only(body, &["wamid", "id", "location", "flow", "address", "accept"])?;
    let message = {
        let state = sandbox.state();
        let wamid = text(body, "wamid")?.unwrap_or("");
        let entry = state.log.find(wamid).and_then(|seq| state.log.get(seq));
        let entry = entry.ok_or_else(|| Refusal::unknown("there is no such message"))?;
        if entry.direction == Direction::In {
            return Err(Refusal::bad("the message is inbound: there is nothing to tap"));
        }
        if entry.furthest() == Some(Status::Failed) {
            return Err(Refusal::bad("the message did not arrive"));
        }
        answer(&state, entry, body)?
    };
    inbound::receive(sandbox, message).await
}

/// The inbound message of a tap, as `POST /_sandbox/inbound` takes it.
fn answer(
    state: &State,
    entry: &Entry,
    tap: &Map<String, Value>,
) -> Result<Map<String, Value>, Fault> {
    let raw: Value = serde_json::from_str(&entry.raw).unwrap_or_default();
    let content = &raw[entry.kind];
    let (kind, value) = match entry.kind {
        "interactive" => interactive(state, entry, content, tap)?,
        "template" => template(state, entry, content, tap)?,
        kind => return Err(format!("a message of type {kind} has nothing to tap")),
    };
    let person = state.people.get(entry.person);
    let mut message = Map::new();
    match &person.phone {
        Some(phone) => message.insert("from".into(), phone.as_ref().into()),
        None => message.insert("from_user_id".into(), person.address().into()),
    };
    message.insert("to".into(), state.number(entry.number).id.as_ref().into());
    message.insert("type".into(), kind.into());
    message.insert(kind.into(), value);
    message.insert("context".into(), json!({"id": entry.wamid}));
    Ok(message)
}

/// The id that was tapped.
fn id_of(tap: &Map<String, Value>) -> Result<&str, Fault> {
    tap.get("id").and_then(Value::as_str).ok_or_else(|| "id says which button or row".into())
}

fn interactive(
    state: &State,
    entry: &Entry,
    content: &Value,
    tap: &Map<String, Value>,
) -> Result<(&'static str, Value), Fault> {
    let action = &content["action"];
    match content["type"].as_str().unwrap_or("") {
        "button" | "carousel" => {
            let found = replies(action).find(|reply| reply["id"].as_str() == id_of(tap).ok());
            let reply = found.ok_or_else(|| unknown_id(tap))?;
            let reply = json!({"id": reply["id"], "title": reply["title"]});
            Ok(("interactive", json!({"type": "button_reply", "button_reply": reply})))
        }
        "list" => {
            let rows = each(&action["sections"]).flat_map(|section| each(&section["rows"]));
            let found = rows.into_iter().find(|row| row["id"].as_str() == id_of(tap).ok());
            let row = found.ok_or_else(|| unknown_id(tap))?;
            let mut reply = json!({"id": row["id"], "title": row["title"]});
            if row["description"].is_string() {
                reply["description"] = row["description"].clone();
            }
            Ok(("interactive", json!({"type": "list_reply", "list_reply": reply})))
        }
        "location_request_message" => {
            let location = tap.get("location").ok_or("location holds latitude and longitude")?;
            check_place(location)?;
            Ok(("location", location.clone()))
        }
        "flow" => flow_reply(&action["parameters"]["flow_token"], tap),
        "address_message" => {
            let values = object(tap, "address")?;
            let response = json!({"values": values}).to_string();
            let reply =
                json!({"name": "address_message", "body": "Address", "response_json": response});
            Ok(("interactive", json!({"type": "nfm_reply", "nfm_reply": reply})))
        }
        "contact_request" => Ok(("contacts", own_card(state, entry))),
        "call_permission_request" => {
            let accepts = tap.get("accept").and_then(Value::as_bool);
            let accepts = accepts.ok_or("accept must be true or false")?;
            let response = if accepts { "accept" } else { "reject" };
            let reply = json!({"response": response, "response_source": "user_action"});
            Ok((
                "interactive",
                json!({"type": "call_permission_reply", "call_permission_reply": reply}),
            ))
        }
        kind => Err(format!("an interactive message of type {kind} is not answered by a tap")),
    }
}

fn unknown_id(tap: &Map<String, Value>) -> Fault {
    id_of(tap).map_or_else(|fault| fault, |_| "the message has no button or row of this id".into())
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The reply buttons of an action and of its cards.
fn replies(action: &Value) -> impl Iterator<Item = &Value> {
    let in_cards = each(&action["cards"]).flat_map(|card| each(&card["action"]["buttons"]));
    let buttons = each(&action["buttons"]).chain(in_cards);
    buttons.map(|button| match &button["quick_reply"] {
        Value::Null => &button["reply"],
        reply => reply,
    })
}

fn object<'a>(tap: &'a Map<String, Value>, name: &str) -> Result<&'a Map<String, Value>, Fault> {
    tap.get(name).and_then(Value::as_object).ok_or_else(|| format!("{name} must be an object"))
}

/// What the person filled in, with the token by which the business knows the form.
fn flow_reply(token: &Value, tap: &Map<String, Value>) -> Result<(&'static str, Value), Fault> {
    let mut response = object(tap, "flow")?.clone();
    // Meta's word for a message that brought no token.
    let token = if token.is_string() { token.clone() } else { "unused".into() };
    response.insert("flow_token".into(), token);
    let response = Value::Object(response).to_string();
    let reply = json!({"name": "flow", "body": "Sent", "response_json": response});
    Ok(("interactive", json!({"type": "nfm_reply", "nfm_reply": reply})))
}

fn own_card(state: &State, entry: &Entry) -> Value {
    let person = state.people.get(entry.person);
    let name = person.profile_name();
    let phones: Vec<Value> = person
        .phone
        .iter()
        .map(|phone| json!({"phone": format!("+{phone}"), "wa_id": phone, "type": "CELL"}))
        .collect();
    json!([{"name": {"formatted_name": name, "first_name": name}, "phones": phones,
            "origin": "contact_request"}])
}

/// A quick reply is named by its payload or its text.
fn template(
    state: &State,
    entry: &Entry,
    content: &Value,
    tap: &Map<String, Value>,
) -> Result<(&'static str, Value), Fault> {
    let view = template_view::of(state, entry, content);
    let in_cards = each(&view["cards"]).flat_map(|card| each(&card["buttons"]));
    let mut buttons = each(&view["buttons"]).chain(in_cards);
    if tap.contains_key("flow") {
        let flow = buttons.find(|button| button["type"] == "FLOW");
        let flow = flow.ok_or("the template has no flow button")?;
        return flow_reply(&flow["flow_token"], tap);
    }
    let id = id_of(tap)?;
    let found = buttons.find(|button| {
        button["type"] == "QUICK_REPLY" && (button["payload"] == *id || button["text"] == *id)
    });
    let button = found.ok_or("the template has no quick reply of this payload or text")?;
    Ok(("button", json!({"payload": button["payload"], "text": button["text"]})))
}
