//! Message templates: what is stored, their review life-cycle and their shape (which parameters a
//! send must bring). Validation of creations and sends is in `validate`.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::media_kind::MediaKind;

/// Templates of one WABA.
pub const TEMPLATES_MAX: usize = 250;
/// Virtual time a review takes.
pub const REVIEW_MS: i64 = 30_000;

/// One template in one language.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) id: Arc<str>,
    pub(crate) waba: u32,
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) status: String,
    pub(crate) category: String,
    pub(crate) previous_category: Option<String>,
    pub(crate) parameter_format: String,
    pub(crate) definition: Arc<Definition>,
    pub(crate) ttl_s: Option<i64>,
    pub(crate) rejected_reason: Option<String>,
    pub(crate) made_at_ms: i64,
    /// When it was edited in the last 30 days.
    pub(crate) edits_ms: Vec<i64>,
    /// When its running review began; a review that began earlier no longer counts.
    pub(crate) pending_since_ms: i64,
}

impl Template {
    pub(crate) fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("name".into(), self.name.clone().into());
        object.insert("parameter_format".into(), self.parameter_format.clone().into());
        object.insert("components".into(), self.definition.components.clone());
        object.insert("language".into(), self.language.clone().into());
        object.insert("status".into(), self.status.clone().into());
        object.insert("category".into(), self.category.clone().into());
        if let Some(previous) = &self.previous_category {
            object.insert("previous_category".into(), previous.clone().into());
        }
        if let Some(ttl_s) = self.ttl_s {
            object.insert("message_send_ttl_seconds".into(), ttl_s.into());
        }
        if let Some(reason) = &self.rejected_reason {
            object.insert("rejected_reason".into(), reason.clone().into());
        }
        // Nobody rates templates here: the score is as old as the template.
        let quality = json!({"score": "UNKNOWN", "date": self.made_at_ms / 1_000});
        object.insert("quality_score".into(), quality);
        object.insert("id".into(), self.id.as_ref().into());
        Value::Object(object)
    }
}

/// What a template says: an edit makes another one. Messages keep the one they were sent with.
#[derive(Debug)]
pub(crate) struct Definition {
    /// In the form of `POST /{waba}/message_templates`, types and formats in capitals.
    pub(crate) components: Value,
    pub(crate) shape: Shape,
}

impl Definition {
    pub(crate) fn new(mut components: Value) -> Arc<Self> {
        capitalise(&mut components);
        let shape = Shape::of(&components);
        Arc::new(Self { components, shape })
    }
}

/// Puts the types and formats of components, of their buttons and cards into capitals, as Meta
/// stores them.
fn capitalise(components: &mut Value) {
    for component in components.as_array_mut().into_iter().flatten() {
        for name in ["type", "format", "otp_type"] {
            if let Some(Value::String(text)) = component.get_mut(name) {
                text.make_ascii_uppercase();
            }
        }
        if let Some(buttons) = component.get_mut("buttons") {
            capitalise(buttons);
        }
        for card in component.get_mut("cards").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(parts) = card.get_mut("components") {
                capitalise(parts);
            }
        }
    }
}

/// The variables of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    /// Distinct names in order: `1`, `2` or words.
    pub(crate) names: Vec<String>,
}

impl Variables {
    pub(crate) fn of(text: &str) -> Self {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in placeholders(text) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Self { names }
    }

    pub(crate) fn count(&self) -> usize {
        self.names.len()
    }

    /// Named rather than numbered.
    pub(crate) fn is_named(&self) -> bool {
        self.names.iter().any(|name| !name.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

/// The `{{…}}` of a text with the byte range of each.
pub(crate) fn placeholders(text: &str) -> Vec<(&str, std::ops::Range<usize>)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find("{{").map(|at| from + at) {
        let Some(close) = text[open..].find("}}").map(|at| open + at) else { break };
        found.push((text[open + 2..close].trim(), open..close + 2));
        from = close + 2;
    }
    found
}

/// The header of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Header {
    #[default]
    None,
    Text(Variables),
    Media(MediaKind),
    Location,
}

/// What a button wants from a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Button {
    QuickReply,
    Url { variable: bool },
    CopyCode,
    Otp,
    Other,
}

/// What a send of a template must bring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) header: Header,
    pub(crate) body: Variables,
    pub(crate) body_text: String,
    pub(crate) buttons: Vec<Button>,
    pub(crate) cards: Vec<Shape>,
}

impl Shape {
    /// Reads components in the form of `POST /{waba}/message_templates`.
    pub(crate) fn of(components: &Value) -> Self {
        let mut shape = Self::default();
        let mut advises = false;
        for component in components.as_array().into_iter().flatten() {
            let text = component.get("text").and_then(Value::as_str).unwrap_or("");
            match component_type(component).as_str() {
                "HEADER" => shape.header = header(component, text),
                "BODY" => {
                    shape.body = Variables::of(text);
                    shape.body_text = text.to_owned();
                    advises = component["add_security_recommendation"] == true;
                }
                "BUTTONS" => {
                    let buttons = component.get("buttons").and_then(Value::as_array);
                    shape.buttons = buttons.into_iter().flatten().map(button).collect();
                }
                "CAROUSEL" => {
                    let cards = component.get("cards").and_then(Value::as_array);
                    let components = cards.into_iter().flatten().map(|card| &card["components"]);
                    shape.cards = components.map(Self::of).collect();
                }
                _ => {}
            }
        }
        if shape.body_text.is_empty() && shape.buttons.contains(&Button::Otp) {
            // Authentication templates have a fixed text with the code in it.
            shape.body_text = "{{1}} is your verification code.".into();
            if advises {
                shape.body_text.push_str(" For your security, do not share this code.");
            }
            shape.body = Variables::of(&shape.body_text);
        }
        shape
    }
}

/// The type of a template component in capitals.
pub(crate) fn component_type(component: &Value) -> String {
    component.get("type").and_then(Value::as_str).unwrap_or("").to_ascii_uppercase()
}

fn header(component: &Value, text: &str) -> Header {
    let format = component.get("format").and_then(Value::as_str).unwrap_or("TEXT");
    match format.to_ascii_uppercase().as_str() {
        "LOCATION" => Header::Location,
        "TEXT" => Header::Text(Variables::of(text)),
        "GIF" => Header::Media(MediaKind::Video),
        other => MediaKind::parse(other).map_or(Header::None, Header::Media),
    }
}

fn button(button: &Value) -> Button {
    let url = button.get("url").and_then(Value::as_str).unwrap_or("");
    match component_type(button).as_str() {
        "QUICK_REPLY" => Button::QuickReply,
        "URL" => Button::Url { variable: !placeholders(url).is_empty() },
        "COPY_CODE" => Button::CopyCode,
        "OTP" => Button::Otp,
        _ => Button::Other,
    }
}

/// All templates.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    by_id: HashMap<Arc<str>, Template>,
    by_name: HashMap<(u32, String), Vec<Arc<str>>>,
    /// Ids in the order of creation, for paging.
    order: Vec<Arc<str>>,
    last_id: u64,
}

impl Templates {
    pub(crate) fn new() -> Self {
        Self { last_id: 200_000_000_000_000, ..Self::default() }
    }

    pub(crate) fn next_id(&mut self) -> Arc<str> {
        self.last_id += 1;
        Arc::from(self.last_id.to_string())
    }

    pub(crate) fn insert(&mut self, template: Template) {
        let key = (template.waba, template.name.clone());
        self.by_name.entry(key).or_default().push(Arc::clone(&template.id));
        self.order.push(Arc::clone(&template.id));
        self.by_id.insert(Arc::clone(&template.id), template);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Template> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Template> {
        self.by_id.get_mut(id)
    }

    /// The languages of a name.
    pub(crate) fn named(&self, waba: u32, name: &str) -> impl Iterator<Item = &Template> {
        let ids = self.by_name.get(&(waba, name.to_owned()));
        ids.into_iter().flatten().filter_map(|id| self.by_id.get(id))
    }

    pub(crate) fn find(&self, waba: u32, name: &str, language: &str) -> Option<&Template> {
        self.named(waba, name).find(|template| template.language == language)
    }

    /// Those of a WABA in the order of creation.
    pub(crate) fn of_waba(&self, waba: u32) -> impl Iterator<Item = &Template> {
        let all = self.order.iter().filter_map(|id| self.by_id.get(id));
        all.filter(move |template| template.waba == waba)
    }

    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let Some(template) = self.by_id.remove(id) else { return false };
        self.order.retain(|other| **other != *id);
        let key = (template.waba, template.name);
        if let Some(ids) = self.by_name.get_mut(&key) {
            ids.retain(|other| **other != *id);
            if ids.is_empty() {
                self.by_name.remove(&key);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_shape_of_a_template() {
        let shape = Shape::of(&json!([
            {"type": "header", "format": "image"},
            {"type": "BODY", "text": "Hi {{ 1 }}, {{2}} and again {{1}}"},
            {"type": "BUTTONS", "buttons": [
                {"type": "URL", "text": "Go", "url": "https://example.com/{{1}}"},
                {"type": "QUICK_REPLY", "text": "Yes"}]}
        ]));
        assert_eq!(shape.header, Header::Media(MediaKind::Image));
        assert_eq!(shape.body.names, ["1", "2"]);
        assert_eq!(shape.buttons, [Button::Url { variable: true }, Button::QuickReply]);
    }

    #[test]
    fn unclosed_braces_are_text() {
        assert!(placeholders("a {{1 and {b}").is_empty());
        assert!(Variables::of("{{first_name}}").is_named());
    }
}
