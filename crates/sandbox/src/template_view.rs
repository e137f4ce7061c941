//! A template message as the person sees it: texts filled in, media of the header, buttons with
//! their payloads and addresses, cards; as the template was when the message was accepted. It reads
//! the state and changes nothing.

use serde_json::{Value, json};

use crate::log::Entry;
use crate::media_kind::MediaKind;
use crate::media_view;
use crate::state::State;
use crate::templates::{component_type, placeholders};

/// The view of an outbound message of type template.
pub(crate) fn of(state: &State, entry: &Entry, content: &Value) -> Value {
    let name = content["name"].as_str().unwrap_or("");
    let language = content["language"]["code"].as_str().unwrap_or("");
    let nothing = Value::Null;
    let mut view = match &entry.template {
        Some(template) => {
            let body_text = template.shape.body_text.as_str();
            part(state, &template.components, body_text, &content["components"])
        }
        None => part(state, &nothing, "", &nothing),
    };
    view["name"] = name.into();
    view["language"] = language.into();
    view
}

/// One card, or the whole but for its name.
fn part(state: &State, components: &Value, body_text: &str, sent: &Value) -> Value {
    let mut view = json!({"header": null, "footer": null, "buttons": [], "cards": [],
                          "body": fill(body_text, parameters(sent, "body"))});
    for component in components.as_array().into_iter().flatten() {
        match component_type(component).as_str() {
            "HEADER" => view["header"] = header(state, component, sent),
            "FOOTER" => view["footer"] = footer(component),
            "BUTTONS" => {
                let buttons = component["buttons"].as_array().into_iter().flatten().enumerate();
                view["buttons"] = buttons.map(|(index, of)| button(of, index, sent)).collect();
            }
            "CAROUSEL" => view["cards"] = cards(state, component, sent),
            _ => {}
        }
    }
    view
}

/// The text, or the one that Meta writes for codes which expire.
fn footer(component: &Value) -> Value {
    match component["code_expiration_minutes"].as_i64() {
        Some(minutes) => format!("This code expires in {minutes} minutes.").into(),
        None => component["text"].clone(),
    }
}

fn cards(state: &State, component: &Value, sent: &Value) -> Value {
    let given = of_type(sent, "carousel").map_or(&Value::Null, |carousel| &carousel["cards"]);
    let definitions = component["cards"].as_array().into_iter().flatten().enumerate();
    definitions
        .map(|(index, card)| {
            let components = &card["components"];
            let body = components
                .as_array()
                .into_iter()
                .flatten()
                .find(|part| component_type(part) == "BODY");
            let text = body.and_then(|body| body["text"].as_str()).unwrap_or("");
            part(state, components, text, &given[index]["components"])
        })
        .collect()
}

fn header(state: &State, component: &Value, sent: &Value) -> Value {
    let given = parameters(sent, "header");
    let first = given.and_then(|list| list.first()).unwrap_or(&Value::Null);
    let format = component["format"].as_str().unwrap_or("TEXT").to_ascii_uppercase();
    match format.as_str() {
        "TEXT" => {
            json!({"type": "text", "text": fill(component["text"].as_str().unwrap_or(""), given)})
        }
        "LOCATION" => json!({"type": "location", "location": first["location"]}),
        other => {
            let kind =
                if other == "GIF" { Some(MediaKind::Video) } else { MediaKind::parse(other) };
            let Some(kind) = kind else { return Value::Null };
            let media = media_view::of(state, kind, &first[kind.name()]);
            json!({"type": kind.name(), "media": media})
        }
    }
}

/// A button with what was sent for it: `payload` of a quick reply, `url`, `phone_number`, `code`.
fn button(definition: &Value, index: usize, sent: &Value) -> Value {
    let kind = component_type(definition);
    let given = button_parameter(sent, index);
    let text_of = |name: &str| given.and_then(|parameter| parameter[name].as_str());
    let mut view = json!({"type": kind, "text": definition["text"]});
    match kind.as_str() {
        "QUICK_REPLY" => {
            let payload = text_of("payload").or_else(|| definition["text"].as_str());
            view["payload"] = payload.into();
        }
        "URL" => {
            let url = definition["url"].as_str().unwrap_or("");
            let start = placeholders(url).first().map_or(url.len(), |(_, range)| range.start);
            view["url"] = format!("{}{}", &url[..start], text_of("text").unwrap_or("")).into();
        }
        "PHONE_NUMBER" => view["phone_number"] = definition["phone_number"].clone(),
        "COPY_CODE" => view["code"] = text_of("coupon_code").into(),
        "OTP" => {
            view["code"] = text_of("text").or_else(|| text_of("coupon_code")).into();
            if !definition["text"].is_string() {
                view["text"] = "Copy code".into();
            }
        }
        "FLOW" => {
            let action = given.map_or(&Value::Null, |parameter| &parameter["action"]);
            view["flow_token"] = action["flow_token"].clone();
            view["flow_id"] = definition["flow_id"].clone();
        }
        _ => {}
    }
    view
}

fn button_parameter(sent: &Value, index: usize) -> Option<&Value> {
    let components = sent.as_array().into_iter().flatten();
    let component = components.filter(|component| is_type(component, "button")).find(|component| {
        let given = &component["index"];
        given.as_u64().or_else(|| given.as_str()?.parse().ok()) == Some(index as u64)
    });
    component?["parameters"].get(0)
}

fn is_type(component: &Value, kind: &str) -> bool {
    component["type"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(kind))
}

fn of_type<'a>(sent: &'a Value, kind: &str) -> Option<&'a Value> {
    sent.as_array()?.iter().find(|component| is_type(component, kind))
}

fn parameters<'a>(sent: &'a Value, kind: &str) -> Option<&'a Vec<Value>> {
    of_type(sent, kind)?["parameters"].as_array()
}

/// Puts the parameters into a text.
fn fill(text: &str, parameters: Option<&Vec<Value>>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut from = 0;
    for (name, range) in placeholders(text) {
        filled.push_str(&text[from..range.start]);
        let parameter = parameters.and_then(|list| {
            let by_name = list.iter().find(|p| p["parameter_name"].as_str() == Some(name));
            by_name.or_else(|| list.get(name.parse::<usize>().ok()?.checked_sub(1)?))
        });
        match parameter.and_then(parameter_text) {
            Some(value) => filled.push_str(value),
            None => filled.push_str(&text[range.clone()]),
        }
        from = range.end;
    }
    filled.push_str(&text[from..]);
    filled
}

fn parameter_text(parameter: &Value) -> Option<&str> {
    let kind = parameter["type"].as_str()?.to_ascii_lowercase();
    let text = parameter.get(&kind)?;
    text.as_str().or_else(|| text["fallback_value"].as_str())
}
