//! What a message says: one typed model for everything that WhatsApp can carry.
//!
//! `M` is how media are named: [`crate::command::MediaDraft`] as a caller gave them,
//! [`MediaRef`] once they are stored. A draft cannot be sent and a stored message holds no bytes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::ids::MediaId;
use crate::media::{MediaKind, MimeType};

/// Longest text body, in Unicode code points.
pub const MAX_TEXT_CHARS: usize = 4_096;
/// Longest caption, in Unicode code points.
pub const MAX_CAPTION_CHARS: usize = 1_024;
/// Longest value that a caller may attach to a message and get back in its events, in characters.
pub const MAX_REFERENCE_CHARS: usize = 512;

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content<M = MediaRef> {
    /// Text, with or without a preview of its first link.
    Text {
        /// 1 to 4096 code points.
        body: String,
        /// Whether the phone shows a preview of the first link.
        preview_url: bool,
    },
    /// A file of one of five kinds.
    Media(MediaMessage<M>),
    /// A place on the map.
    Location(Location),
    /// Contact cards, in Meta's form.
    Contacts(Vec<Value>),
    /// Buttons, lists and the like, in Meta's form.
    Interactive(Value),
    /// A reaction to one of the customer's messages.
    Reaction {
        /// The `wamid` of the message reacted to.
        message_id: String,
        /// The emoji; empty takes the reaction back.
        emoji: String,
    },
    /// An approved template with its parameters.
    Template(TemplateMessage<M>),
    /// What a customer wrote: Meta's message object without its envelope.
    Inbound(InboundContent),
}

/// Where the upstream finds a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaRef {
    /// Stored here; uploaded to the upstream once per content and number.
    Stored(MediaId),
    /// Fetched by the upstream itself.
    Link(String),
}

/// Where a caller says that a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaSource {
    /// In the request itself.
    Inline(InlineFile),
    /// Behind an http or https URL; with a provider's name, we fetch it with its credential.
    Link {
        /// The URL.
        url: String,
        /// The provider's name.
        provider: Option<String>,
    },
    /// Uploaded before.
    Id(MediaId),
}

/// A file inside a request, decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct InlineFile {
    /// The content.
    pub bytes: Vec<u8>,
    /// The type that declaration and signature agree on.
    pub mime_type: MimeType,
    /// The caller's name for it, cleaned.
    pub name: Option<String>,
}

/// Shows the size, never the bytes.
impl fmt::Debug for InlineFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InlineFile({}, {} bytes)", self.mime_type.as_str(), self.bytes.len())
    }
}

/// A file with what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaMessage<M> {
    /// What it is for WhatsApp.
    pub kind: MediaKind,
    /// The file.
    pub media: M,
    /// Shown below it; image, video and document only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Shown name; documents only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// A voice message rather than a sound file; audio only.
    #[serde(default)]
    pub voice: bool,
}

/// A place on the map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// The place's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The place's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

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
    /// Members beside these, such as a carousel's `cards`, in Meta's form.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
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

/// What a customer wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboundContent {
    /// Meta's message type, such as `text` or `button`.
    pub kind: String,
    /// The whole message object as it came.
    pub message: Value,
    /// The file, once it has been fetched from the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaId>,
}

impl<M> Content<M> {
    /// Meta's word for the type.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Text { .. } => "text",
            Self::Media(media) => media.kind.as_str(),
            Self::Location(_) => "location",
            Self::Contacts(_) => "contacts",
            Self::Interactive(_) => "interactive",
            Self::Reaction { .. } => "reaction",
            Self::Template(_) => "template",
            Self::Inbound(inbound) => &inbound.kind,
        }
    }

    /// Whether it may go outside the 24-hour window.
    #[must_use]
    pub const fn is_template(&self) -> bool {
        matches!(self, Self::Template(_))
    }

    /// The files that it names, in the order in which [`Content::with_media`] wants them back.
    pub fn media(&self) -> Vec<&M> {
        match self {
            Self::Media(message) => vec![&message.media],
            Self::Template(template) => template
                .components
                .iter()
                .flat_map(|component| &component.parameters)
                .filter_map(|parameter| match parameter {
                    Parameter::Media { media, .. } => Some(media),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The same content with other names for its files: `rename` is called once for each, in the
    /// order of [`Content::media`].
    pub fn with_media<N>(self, mut rename: impl FnMut(M) -> N) -> Content<N> {
        match self {
            Self::Text { body, preview_url } => Content::Text { body, preview_url },
            Self::Media(message) => Content::Media(MediaMessage {
                kind: message.kind,
                media: rename(message.media),
                caption: message.caption,
                filename: message.filename,
                voice: message.voice,
            }),
            Self::Location(location) => Content::Location(location),
            Self::Contacts(contacts) => Content::Contacts(contacts),
            Self::Interactive(interactive) => Content::Interactive(interactive),
            Self::Reaction { message_id, emoji } => Content::Reaction { message_id, emoji },
            Self::Template(template) => Content::Template(template.with_media(rename)),
            Self::Inbound(inbound) => Content::Inbound(inbound),
        }
    }

    /// Adds `type` and the member of that name to a Cloud API message object. `place` tells where
    /// a file is: `{"id":…}` or `{"link":…}`.
    pub fn write_message_object(
        &self,
        object: &mut Map<String, Value>,
        mut place: impl FnMut(&M) -> Map<String, Value>,
    ) {
        let value = match self {
            Self::Text { body, preview_url } => json!({"body": body, "preview_url": preview_url}),
            Self::Media(message) => message.to_object(&mut place),
            Self::Location(location) => serde_json::to_value(location).unwrap_or_default(),
            Self::Contacts(contacts) => Value::Array(contacts.clone()),
            Self::Interactive(interactive) => interactive.clone(),
            Self::Reaction { message_id, emoji } => {
                json!({"message_id": message_id, "emoji": emoji})
            }
            Self::Template(template) => template.to_object(&mut place),
            Self::Inbound(inbound) => {
                inbound.message.get(&inbound.kind).cloned().unwrap_or(Value::Null)
            }
        };
        let name = self.type_name().to_owned();
        object.insert("type".to_owned(), Value::String(name.clone()));
        object.insert(name, value);
    }
}

impl<M> MediaMessage<M> {
    fn to_object(&self, place: &mut impl FnMut(&M) -> Map<String, Value>) -> Value {
        let mut object = place(&self.media);
        if let Some(caption) = &self.caption {
            object.insert("caption".to_owned(), json!(caption));
        }
        if let Some(filename) = &self.filename {
            object.insert("filename".to_owned(), json!(filename));
        }
        if self.voice {
            object.insert("voice".to_owned(), json!(true));
        }
        Value::Object(object)
    }
}

impl<M> TemplateMessage<M> {
    fn with_media<N>(self, mut rename: impl FnMut(M) -> N) -> TemplateMessage<N> {
        let components = self
            .components
            .into_iter()
            .map(|component| Component {
                kind: component.kind,
                sub_type: component.sub_type,
                index: component.index,
                parameters: component
                    .parameters
                    .into_iter()
                    .map(|parameter| match parameter {
                        Parameter::Text { text, name } => Parameter::Text { text, name },
                        Parameter::Media { kind, media, filename } => {
                            Parameter::Media { kind, media: rename(media), filename }
                        }
                        Parameter::Other(value) => Parameter::Other(value),
                    })
                    .collect(),
                extra: component.extra,
            })
            .collect();
        TemplateMessage { name: self.name, language: self.language, components }
    }

    fn to_object(&self, place: &mut impl FnMut(&M) -> Map<String, Value>) -> Value {
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
    fn to_object(&self, place: &mut impl FnMut(&M) -> Map<String, Value>) -> Value {
        let mut object = Map::new();
        object.insert("type".to_owned(), json!(self.kind));
        if let Some(sub_type) = &self.sub_type {
            object.insert("sub_type".to_owned(), json!(sub_type));
        }
        if let Some(index) = self.index {
            object.insert("index".to_owned(), json!(index.to_string()));
        }
        let parameters =
            self.parameters.iter().map(|parameter| parameter.to_object(place)).collect();
        object.insert("parameters".to_owned(), Value::Array(parameters));
        object.extend(self.extra.clone());
        Value::Object(object)
    }
}

impl<M> Parameter<M> {
    fn to_object(&self, place: &mut impl FnMut(&M) -> Map<String, Value>) -> Value {
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

impl MediaRef {
    /// How a message object names the file when the reader is a tenant: by our own id.
    #[must_use]
    pub fn to_object(&self) -> Map<String, Value> {
        let (name, value) = match self {
            Self::Stored(id) => ("id", id.as_str()),
            Self::Link(url) => ("link", url.as_str()),
        };
        Map::from_iter([(name.to_owned(), Value::String(value.to_owned()))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(content: &Content) -> Value {
        let mut object = Map::new();
        content.write_message_object(&mut object, MediaRef::to_object);
        Value::Object(object)
    }

    #[test]
    fn writes_cloud_api_message_objects() {
        let text = Content::Text { body: "hi".to_owned(), preview_url: false };
        assert_eq!(object(&text), json!({"type":"text","text":{"body":"hi","preview_url":false}}));
        let file = Content::Media(MediaMessage {
            kind: MediaKind::Document,
            media: MediaRef::Link("https://files.example.com/a.pdf".to_owned()),
            caption: Some("The offer".to_owned()),
            filename: Some("a.pdf".to_owned()),
            voice: false,
        });
        assert_eq!(
            object(&file),
            json!({"type":"document","document":{"link":"https://files.example.com/a.pdf",
                "caption":"The offer","filename":"a.pdf"}})
        );
    }

    #[test]
    fn templates_name_their_files_by_id_and_survive_storage() {
        let template = Content::Template(TemplateMessage {
            name: "order_update".to_owned(),
            language: Some("en_US".to_owned()),
            components: vec![
                Component {
                    kind: "header".to_owned(),
                    sub_type: None,
                    index: None,
                    parameters: vec![Parameter::Media {
                        kind: MediaKind::Image,
                        media: MediaRef::Stored(MediaId::new("1000000000000042")),
                        filename: None,
                    }],
                    extra: Map::new(),
                },
                Component {
                    kind: "body".to_owned(),
                    sub_type: None,
                    index: None,
                    parameters: vec![Parameter::Text { text: "20%".to_owned(), name: None }],
                    extra: Map::new(),
                },
            ],
        });
        assert_eq!(
            object(&template),
            json!({"type":"template","template":{"name":"order_update","language":{"code":"en_US"},
                "components":[
                    {"type":"header","parameters":[{"type":"image","image":{"id":"1000000000000042"}}]},
                    {"type":"body","parameters":[{"type":"text","text":"20%"}]}]}})
        );
        let stored = serde_json::to_string(&template).unwrap();
        assert_eq!(serde_json::from_str::<Content>(&stored).unwrap(), template);
        assert_eq!(template.media().len(), 1);
    }
}
