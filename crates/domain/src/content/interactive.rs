//! Interactive messages: buttons, lists and the other kinds that a person answers by a tap.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::MediaRef;
use crate::media::MediaKind;

/// The most reply buttons of one message.
pub const MAX_BUTTONS: usize = 3;
/// Longest title of a reply button, in Unicode code points.
pub const MAX_BUTTON_TITLE_CHARS: usize = 20;
/// Longest id of a reply button, in Unicode code points.
pub const MAX_BUTTON_ID_CHARS: usize = 256;
/// Longest text header, in Unicode code points.
pub const MAX_HEADER_CHARS: usize = 60;
/// Longest footer, in Unicode code points.
pub const MAX_FOOTER_CHARS: usize = 60;
/// Longest body of all kinds but lists, in Unicode code points.
pub const MAX_BODY_CHARS: usize = 1_024;
/// Longest body of a list, in Unicode code points.
pub const MAX_LIST_BODY_CHARS: usize = 4_096;
/// Longest label that opens a list, in Unicode code points.
pub const MAX_LIST_BUTTON_CHARS: usize = 20;
/// The most sections of a list.
pub const MAX_SECTIONS: usize = 10;
/// The most rows of a list, over all sections.
pub const MAX_ROWS: usize = 10;
/// Longest title of a section or row, in Unicode code points.
pub const MAX_ROW_TITLE_CHARS: usize = 24;
/// Longest id of a row, in Unicode code points.
pub const MAX_ROW_ID_CHARS: usize = 200;
/// Longest description of a row, in Unicode code points.
pub const MAX_ROW_DESCRIPTION_CHARS: usize = 72;
/// Longest label of a button that opens a web page, in Unicode code points.
pub const MAX_CTA_CHARS: usize = 20;
/// Longest label of a button that opens a form, in Unicode code points.
pub const MAX_FLOW_CTA_CHARS: usize = 30;
/// Longest address of a web page or a file, in Unicode code points.
pub const MAX_URL_CHARS: usize = 2_000;
/// The fewest and the most cards of a carousel.
pub const CARDS: std::ops::RangeInclusive<usize> = 2..=10;
/// Longest body of a card, in Unicode code points.
pub const MAX_CARD_BODY_CHARS: usize = 160;
/// The most line breaks in the body of a card.
pub const MAX_CARD_LINE_BREAKS: usize = 2;
/// The most products of a message.
pub const MAX_PRODUCTS: usize = 30;
/// Longest label of a button that calls, in Unicode code points.
pub const MAX_CALL_CHARS: usize = 20;
/// Longest payload of a button that calls, in Unicode code points.
pub const MAX_CALL_PAYLOAD_CHARS: usize = 512;
/// How long a button that calls can be tapped, in minutes.
pub const CALL_TTL_MINUTES: std::ops::RangeInclusive<u64> = 1..=43_200;

/// A message that is answered by a tap. `M` is how its header's file is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interactive<M> {
    /// Above the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Header<M>>,
    /// The text; some kinds of product messages have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Small print below the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer: Option<String>,
    /// What can be tapped.
    pub action: Action<M>,
}

/// What stands above the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Header<M> {
    /// A line of text.
    Text(String),
    /// An image, a video or a document.
    Media {
        /// Which of them.
        kind: MediaKind,
        /// The file.
        media: M,
        /// Shown name; documents only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
    },
}

/// What can be tapped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action<M = MediaRef> {
    /// Up to three buttons that send their title as an answer.
    Buttons(Vec<ReplyButton>),
    /// A list that opens and of which one row is chosen.
    List {
        /// The label that opens it.
        button: String,
        /// Its rows by section.
        sections: Vec<Section>,
    },
    /// A button that opens a web page.
    CtaUrl {
        /// The button's label.
        display_text: String,
        /// The page.
        url: String,
    },
    /// A button that asks for the person's place.
    LocationRequest,
    /// A form.
    Flow(FlowCall),
    /// Cards side by side, each with its own button or buttons.
    Carousel(Vec<Card<M>>),
    /// Any other kind, its action in Meta's form: `product`, `product_list`, `catalog_message`,
    /// `address_message`, `voice_call`, `call_permission_request`, `contact_request`,
    /// `order_details`, `order_status`.
    Other {
        /// Meta's word for the kind.
        kind: String,
        /// Meta's `action`.
        action: Value,
    },
}

/// A button that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "Meta's words")]
pub struct ReplyButton {
    pub id: String,
    pub title: String,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Required where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What can be chosen.
    pub rows: Vec<Row>,
}

/// A line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "Meta's words")]
pub struct Row {
    pub id: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// One card of a carousel; its place in the list is its `card_index`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card<M> {
    /// Meta's word for it, such as `cta_url`; cards with quick replies may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// An image or a video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Header<M>>,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What can be tapped, in Meta's form: `name` and `parameters` for a web page, `buttons` for
    /// quick replies, a product's ids for a product.
    pub action: Value,
}

/// A form to be opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowCall {
    /// Which.
    pub flow: FlowName,
    /// The button's label.
    pub cta: String,
    /// Comes back with the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whether an unpublished version is opened.
    #[serde(default)]
    pub draft: bool,
    /// `navigate` or `data_exchange`; absent: the upstream's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The first screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen: Option<String>,
    /// Values for that screen; empty ones are left out.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
}

/// How a form is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowName {
    /// The upstream's id.
    Id(String),
    /// Its name at the upstream.
    Name(String),
    /// Our own number for it; replaced by the upstream's id before it is sent.
    Local(i64),
}

impl<M> Interactive<M> {
    /// A message without header and footer.
    #[must_use]
    pub fn new(body: impl Into<String>, action: Action<M>) -> Self {
        Self { header: None, body: Some(body.into()), footer: None, action }
    }

    /// The files of its header and of its cards.
    pub(super) fn media(&self) -> Vec<&M> {
        let cards = match &self.action {
            Action::Carousel(cards) => &cards[..],
            _ => &[],
        };
        let headers = cards.iter().filter_map(|card| card.header.as_ref());
        self.header.iter().chain(headers).filter_map(Header::media).collect()
    }

    pub(super) fn with_media<N>(self, rename: &mut dyn FnMut(M) -> N) -> Interactive<N> {
        Interactive {
            header: self.header.map(|header| header.with_media(rename)),
            body: self.body,
            footer: self.footer,
            action: self.action.with_media(rename),
        }
    }

    /// Meta's word for the kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        match &self.action {
            Action::Buttons(_) => "button",
            Action::List { .. } => "list",
            Action::CtaUrl { .. } => "cta_url",
            Action::LocationRequest => "location_request_message",
            Action::Flow(_) => "flow",
            Action::Carousel(_) => "carousel",
            Action::Other { kind, .. } => kind,
        }
    }

    pub(super) fn to_object(&self, place: &mut dyn FnMut(&M) -> Map<String, Value>) -> Value {
        let mut object = Map::new();
        object.insert("type".to_owned(), json!(self.kind()));
        if let Some(header) = &self.header {
            object.insert("header".to_owned(), header.to_object(place));
        }
        if let Some(body) = &self.body {
            object.insert("body".to_owned(), json!({"text": body}));
        }
        if let Some(footer) = &self.footer {
            object.insert("footer".to_owned(), json!({"text": footer}));
        }
        object.insert("action".to_owned(), self.action.to_object(place));
        Value::Object(object)
    }
}

impl<M> Header<M> {
    fn media(&self) -> Option<&M> {
        match self {
            Self::Text(_) => None,
            Self::Media { media, .. } => Some(media),
        }
    }

    fn with_media<N>(self, rename: &mut dyn FnMut(M) -> N) -> Header<N> {
        match self {
            Self::Text(text) => Header::Text(text),
            Self::Media { kind, media, filename } => {
                Header::Media { kind, media: rename(media), filename }
            }
        }
    }

    fn to_object(&self, place: &mut dyn FnMut(&M) -> Map<String, Value>) -> Value {
        match self {
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::Media { kind, media, filename } => {
                let mut file = place(media);
                if let Some(filename) = filename {
                    file.insert("filename".to_owned(), json!(filename));
                }
                json!({"type": kind.as_str(), kind.as_str(): file})
            }
        }
    }
}

impl<M> Action<M> {
    fn with_media<N>(self, rename: &mut dyn FnMut(M) -> N) -> Action<N> {
        match self {
            Self::Buttons(buttons) => Action::Buttons(buttons),
            Self::List { button, sections } => Action::List { button, sections },
            Self::CtaUrl { display_text, url } => Action::CtaUrl { display_text, url },
            Self::LocationRequest => Action::LocationRequest,
            Self::Flow(call) => Action::Flow(call),
            Self::Carousel(cards) => {
                Action::Carousel(cards.into_iter().map(|card| card.with_media(rename)).collect())
            }
            Self::Other { kind, action } => Action::Other { kind, action },
        }
    }

    fn to_object(&self, place: &mut dyn FnMut(&M) -> Map<String, Value>) -> Value {
        match self {
            Self::Buttons(buttons) => {
                let buttons: Vec<Value> = buttons
                    .iter()
                    .map(|button| json!({"type": "reply", "reply": button}))
                    .collect();
                json!({"buttons": buttons})
            }
            Self::List { button, sections } => json!({"button": button, "sections": sections}),
            Self::CtaUrl { display_text, url } => json!({
                "name": "cta_url", "parameters": {"display_text": display_text, "url": url}
            }),
            Self::LocationRequest => json!({"name": "send_location"}),
            Self::Flow(call) => json!({"name": "flow", "parameters": call.to_object()}),
            Self::Carousel(cards) => {
                let cards = cards.iter().enumerate();
                let cards: Vec<Value> =
                    cards.map(|(index, card)| card.to_object(index, place)).collect();
                json!({"cards": cards})
            }
            Self::Other { action, .. } => action.clone(),
        }
    }
}

impl<M> Card<M> {
    fn with_media<N>(self, rename: &mut dyn FnMut(M) -> N) -> Card<N> {
        let header = self.header.map(|header| header.with_media(rename));
        Card { kind: self.kind, header, body: self.body, action: self.action }
    }

    fn to_object(&self, index: usize, place: &mut dyn FnMut(&M) -> Map<String, Value>) -> Value {
        let mut object = Map::new();
        object.insert("card_index".to_owned(), json!(index));
        if let Some(kind) = &self.kind {
            object.insert("type".to_owned(), json!(kind));
        }
        if let Some(header) = &self.header {
            object.insert("header".to_owned(), header.to_object(place));
        }
        if let Some(body) = &self.body {
            object.insert("body".to_owned(), json!({"text": body}));
        }
        object.insert("action".to_owned(), self.action.clone());
        Value::Object(object)
    }
}

impl FlowCall {
    fn to_object(&self) -> Value {
        let mut object = Map::new();
        object.insert("flow_message_version".to_owned(), json!("3"));
        match &self.flow {
            FlowName::Id(id) => object.insert("flow_id".to_owned(), json!(id)),
            FlowName::Name(name) => object.insert("flow_name".to_owned(), json!(name)),
            FlowName::Local(id) => object.insert("flow_id".to_owned(), json!(id.to_string())),
        };
        object.insert("flow_cta".to_owned(), json!(self.cta));
        if let Some(token) = &self.token {
            object.insert("flow_token".to_owned(), json!(token));
        }
        object.insert("mode".to_owned(), json!(if self.draft { "draft" } else { "published" }));
        if let Some(action) = &self.action {
            object.insert("flow_action".to_owned(), json!(action));
        }
        if let Some(payload) = self.payload() {
            object.insert("flow_action_payload".to_owned(), payload);
        }
        Value::Object(object)
    }

    /// `data` must not be empty where it is present.
    fn payload(&self) -> Option<Value> {
        let mut payload = Map::new();
        if let Some(screen) = &self.screen {
            payload.insert("screen".to_owned(), json!(screen));
        }
        if !self.data.is_empty() {
            payload.insert("data".to_owned(), Value::Object(self.data.clone()));
        }
        (!payload.is_empty()).then_some(Value::Object(payload))
    }
}
