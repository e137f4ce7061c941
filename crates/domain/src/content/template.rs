//! Template messages: the values that a message puts into an approved template, and Meta's form of
//! them. Whether they fit the template is [`crate::template`]'s to judge.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::media::MediaKind;

/// A template with the values for its variables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateMessage<M> {
    /// The template's name.
    pub name: String,
    /// The language code, such as `en_US`. `None` in a draft: to be chosen by rule.
    pub language: Option<String>,
    /// Values by component.
    pub components: Vec<Component<M>>,
}

/// The values for one component of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component<M> {
    /// `header`, `body`, `button` or another of Meta's words, in lower case.
    pub kind: String,
    /// The kind of button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_type: Option<String>,
    /// Which button, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The values, in order.
    pub parameters: Vec<Parameter<M>>,
    /// The cards of a carousel, which has no parameters of its own.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<TemplateCard<M>>,
    /// Members beside these, in Meta's form.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// The values for one card of a template's carousel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemplateCard<M> {
    /// Which card, from 0.
    pub index: u32,
    /// Values by component.
    pub components: Vec<Component<M>>,
}

/// One value for a template's variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter<M> {
    /// Text.
    Text {
        /// The value.
        text: String,
        /// The variable's name, for templates with named variables.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// A header's file.
    Media {
        /// What it is for WhatsApp.
        kind: MediaKind,
        /// The file.
        media: M,
        /// Shown name; documents only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
    },
    /// Any other kind, in Meta's form.
    Other(Value),
}

impl<M> TemplateMessage<M> {
    pub(super) fn media(&self) -> Vec<&M> {
        let mut found = Vec::new();
        self.components.iter().for_each(|component| component.gather_media(&mut found));
        found
    }

    pub(super) fn with_media<N>(self, rename: &mut dyn FnMut(M) -> N) -> TemplateMessage<N> {
        let components = self.components.into_iter();
        let components = components.map(|component| component.with_media(rename)).collect();
        TemplateMessage { name: self.name, language: self.language, components }
    }

    pub(super) fn to_object(&self, place: &mut dyn FnMut(&M) -> Map<String, Value>) -> Value {
        let components: Vec<Value> =
            self.components.iter().map(|component| component.to_object(place)).collect();
        let mut object = Map::new();
        object.insert("name".to_owned(), json!(self.name));
        if let Some(language) = &self.language {
            object.insert("language".to_owned(), json!({"code": language}));
        }
        if !components.is_empty() {
            object.insert("components".to_owned(), Value::Array(components));
        }
        Value::Object(object)
    }
}

impl<M> Component<M> {
    /// Values for the header or the body, or for another component that is not a button.
    #[must_use]
    pub fn new(kind: &str, parameters: Vec<Parameter<M>>) -> Self {
        let (kind, cards) = (kind.to_owned(), Vec::new());
        Self { kind, sub_type: None, index: None, parameters, cards, extra: Map::new() }
    }

    /// Values for one of the template's buttons, counted from 0.
    #[must_use]
    pub fn button(sub_type: &str, index: u32, parameters: Vec<Parameter<M>>) -> Self {
        let sub_type = Some(sub_type.to_owned());
        Self { sub_type, index: Some(index), ..Self::new("button", parameters) }
    }

    fn gather_media<'a>(&'a self, found: &mut Vec<&'a M>) {
        found.extend(self.parameters.iter().filter_map(|parameter| match parameter {
            Parameter::Media { media, .. } => Some(media),
            _ => None,
        }));
        let inner = self.cards.iter().flat_map(|card| &card.components);
        inner.for_each(|component| component.gather_media(found));
    }

    fn with_media<N>(self, rename: &mut dyn FnMut(M) -> N) -> Component<N> {
        let parameters = self.parameters.into_iter();
        let parameters = parameters.map(|parameter| parameter.with_media(rename)).collect();
        let mut cards = Vec::with_capacity(self.cards.len());
        for card in self.cards {
            let components = card.components.into_iter();
            let components = components.map(|component| component.with_media(rename)).collect();
            cards.push(TemplateCard { index: card.index, components });
        }
        Component {
            kind: self.kind,
            sub_type: self.sub_type,
            index: self.index,
            parameters,
            cards,
            extra: self.extra,
        }
    }

    fn to_object(&self, place: &mut dyn FnMut(&M) -> Map<String, Value>) -> Value {
        let mut object = Map::new();
        object.insert("type".to_owned(), json!(self.kind));
        if let Some(sub_type) = &self.sub_type {
            object.insert("sub_type".to_owned(), json!(sub_type));
        }
        if let Some(index) = self.index {
            object.insert("index".to_owned(), json!(index.to_string()));
        }
        if self.cards.is_empty() {
            let parameters =
                self.parameters.iter().map(|parameter| parameter.to_object(place)).collect();
            object.insert("parameters".to_owned(), Value::Array(parameters));
        } else {
            let cards = self.cards.iter().map(|card| card.to_object(place)).collect();
            object.insert("cards".to_owned(), Value::Array(cards));
        }
        object.extend(self.extra.clone());
        Value::Object(object)
    }
}

impl<M> TemplateCard<M> {
    fn to_object(&self, place: &mut dyn FnMut(&M) -> Map<String, Value>) -> Value {
        let components: Vec<Value> =
            self.components.iter().map(|component| component.to_object(place)).collect();
        json!({"card_index": self.index, "components": components})
    }
}

impl<M> Parameter<M> {
    fn with_media<N>(self, rename: &mut dyn FnMut(M) -> N) -> Parameter<N> {
        match self {
            Self::Text { text, name } => Parameter::Text { text, name },
            Self::Media { kind, media, filename } => {
                Parameter::Media { kind, media: rename(media), filename }
            }
            Self::Other(value) => Parameter::Other(value),
        }
    }

    fn to_object(&self, place: &mut dyn FnMut(&M) -> Map<String, Value>) -> Value {
        match self {
            Self::Text { text, name: None } => json!({"type": "text", "text": text}),
            Self::Text { text, name: Some(name) } => {
                json!({"type": "text", "parameter_name": name, "text": text})
            }
            Self::Media { kind, media, filename } => {
                let mut file = place(media);
                if let Some(filename) = filename {
                    file.insert("filename".to_owned(), json!(filename));
                }
                let mut object = Map::new();
                object.insert("type".to_owned(), json!(kind.as_str()));
                object.insert(kind.as_str().to_owned(), Value::Object(file));
                Value::Object(object)
            }
            Self::Other(value) => value.clone(),
        }
    }
}
