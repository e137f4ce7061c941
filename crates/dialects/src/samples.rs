//! What each dialect can do, shown by one request for each feature. The support matrix in
//! `docs/dialects.md` is made of these samples, tests prove each of them by decoding it
//! ([`crate::proof`]), and the benchmarks measure with them.

use http::Method;

/// The organisation for which samples of dialects are sent whose requests name none.
pub const SAMPLE_ORG: &str = "org-1";

/// Something that a dialect may offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the titles say it")]
pub enum Feature {
    Text,
    Image,
    Video,
    Audio,
    Document,
    Sticker,
    InlineFile,
    UploadedFile,
    Location,
    Contacts,
    ReplyButtons,
    List,
    LocationRequest,
    Flow,
    Template,
    Broadcast,
    SeveralAtOnce,
    MediaUpload,
    MediaDownload,
    MediaRemoval,
    Consent,
    MessageLog,
    TemplateList,
    TemplateCreation,
    FlowManagement,
}

impl Feature {
    /// Every feature, in the order of the matrix.
    pub const ALL: [Self; 25] = [
        Self::Text,
        Self::Image,
        Self::Video,
        Self::Audio,
        Self::Document,
        Self::Sticker,
        Self::InlineFile,
        Self::UploadedFile,
        Self::Location,
        Self::Contacts,
        Self::ReplyButtons,
        Self::List,
        Self::LocationRequest,
        Self::Flow,
        Self::Template,
        Self::Broadcast,
        Self::SeveralAtOnce,
        Self::MediaUpload,
        Self::MediaDownload,
        Self::MediaRemoval,
        Self::Consent,
        Self::MessageLog,
        Self::TemplateList,
        Self::TemplateCreation,
        Self::FlowManagement,
    ];

    /// What it is called in the matrix.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::InlineFile => "file inside the request",
            Self::UploadedFile => "file uploaded before",
            Self::Location => "location",
            Self::Contacts => "contact cards",
            Self::ReplyButtons => "reply buttons",
            Self::List => "list",
            Self::LocationRequest => "request for a location",
            Self::Flow => "flow",
            Self::Template => "template",
            Self::Broadcast => "template to all customers",
            Self::SeveralAtOnce => "several receivers in one request",
            Self::MediaUpload => "media upload",
            Self::MediaDownload => "media download",
            Self::MediaRemoval => "media removal",
            Self::Consent => "recording and reading consent",
            Self::MessageLog => "message log",
            Self::TemplateList => "reading templates",
            Self::TemplateCreation => "creating and editing templates",
            Self::FlowManagement => "managing flows",
        }
    }
}

/// One request that a dialect takes.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What it shows.
    pub feature: Feature,
    /// The request's method.
    pub method: Method,
    /// The request's path with its query.
    pub path: &'static str,
    /// Its body.
    pub body: SampleBody,
}

/// A sample's body.
#[derive(Clone, Copy, Debug)]
pub enum SampleBody {
    /// None.
    Empty,
    /// JSON text.
    Json(&'static str),
    /// A form with a file.
    Form {
        /// Text fields.
        fields: &'static [(&'static str, &'static str)],
        /// The file's name, type and bytes.
        file: (&'static str, &'static str, &'static [u8]),
    },
}

impl Sample {
    /// A `POST` with JSON.
    #[must_use]
    pub const fn post(feature: Feature, path: &'static str, json: &'static str) -> Self {
        Self { feature, method: Method::POST, path, body: SampleBody::Json(json) }
    }

    /// A `GET`.
    #[must_use]
    pub const fn get(feature: Feature, path: &'static str) -> Self {
        Self { feature, method: Method::GET, path, body: SampleBody::Empty }
    }
}
