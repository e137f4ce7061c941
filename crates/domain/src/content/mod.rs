//! What a message says: one typed model for everything that WhatsApp can carry.
//!
//! `M` is how media are named: [`crate::command::MediaDraft`] as a caller gave them,
//! [`MediaRef`] once they are stored. A draft cannot be sent and a stored message holds no bytes.

mod contact;
mod interactive;
mod limits;
mod read;
mod template;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::ids::MediaId;
use crate::media::{MediaKind, MimeType};

pub use contact::{
    Contact, ContactAddress, ContactEmail, ContactName, ContactOrg, ContactPhone, ContactUrl,
    MAX_CONTACTS,
};
pub use interactive::{
    Action, CALL_TTL_MINUTES, CARDS, Card, FlowCall, FlowName, Header, Interactive, MAX_BODY_CHARS,
    MAX_BUTTON_ID_CHARS, MAX_BUTTON_TITLE_CHARS, MAX_BUTTONS, MAX_CALL_CHARS,
    MAX_CALL_PAYLOAD_CHARS, MAX_CARD_BODY_CHARS, MAX_CARD_LINE_BREAKS, MAX_CTA_CHARS,
    MAX_FLOW_CTA_CHARS, MAX_FOOTER_CHARS, MAX_HEADER_CHARS, MAX_LIST_BODY_CHARS,
    MAX_LIST_BUTTON_CHARS, MAX_PRODUCTS, MAX_ROW_DESCRIPTION_CHARS, MAX_ROW_ID_CHARS,
    MAX_ROW_TITLE_CHARS, MAX_ROWS, MAX_SECTIONS, MAX_URL_CHARS, ReplyButton, Row, Section,
};
pub use limits::check_contacts;
pub use read::{read_components, read_contacts, read_interactive};
pub use template::{Component, Parameter, TemplateCard, TemplateMessage};

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
    /// Contact cards.
    Contacts(Vec<Contact>),
    /// Buttons, lists and the other kinds that are answered by a tap.
    Interactive(Box<Interactive<M>>),
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
    /// Uploaded before, by a caller who does not say what it is: the file's own type makes the
    /// message an image, a video, a sound, a document or a sticker, a document without a name
    /// takes the file's, and a caption where none may stand is left out.
    IdOfItsKind(MediaId),
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
            Self::Interactive(interactive) => interactive.media(),
            Self::Template(template) => template.media(),
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
            Self::Interactive(interactive) => {
                Content::Interactive(Box::new(interactive.with_media(&mut rename)))
            }
            Self::Reaction { message_id, emoji } => Content::Reaction { message_id, emoji },
            Self::Template(template) => Content::Template(template.with_media(&mut rename)),
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
            Self::Contacts(contacts) => serde_json::to_value(contacts).unwrap_or_default(),
            Self::Interactive(interactive) => interactive.to_object(&mut place),
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
    fn to_object(&self, place: &mut dyn FnMut(&M) -> Map<String, Value>) -> Value {
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
                Component::new(
                    "header",
                    vec![Parameter::Media {
                        kind: MediaKind::Image,
                        media: MediaRef::Stored(MediaId::new("1000000000000042")),
                        filename: None,
                    }],
                ),
                Component::new(
                    "body",
                    vec![Parameter::Text { text: "20%".to_owned(), name: None }],
                ),
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
