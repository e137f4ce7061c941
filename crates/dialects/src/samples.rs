//! What each dialect can do, shown by one request for each feature. The support matrix in
//! `docs/dialects.md` is made of these samples, tests prove each of them by decoding it, and the
//! benchmarks measure with them.

use http::Method;
use waypost_domain::command::{MediaDraft, SendMessage};
use waypost_domain::content::{Action, Content, MediaSource};
use waypost_domain::manage::Task;
use waypost_domain::media::MediaKind;
use waypost_domain::{OrgId, Timestamp};

use crate::contract::{Body, Command, Dialect, Form, FormFile, Request};

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

    /// What the dialect makes of it.
    ///
    /// # Errors
    /// What the dialect says, or that it has no such route.
    pub fn decode(&self, dialect: &dyn Dialect) -> Result<Command, String> {
        let (path, query) = self.path.split_once('?').unwrap_or((self.path, ""));
        let found = dialect.routes().iter().find_map(|route| {
            let params = matched(route.path, path).filter(|_| route.method == self.method)?;
            Some((route, params))
        });
        let (route, params) = found.ok_or_else(|| format!("{} {path} is no route", self.method))?;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query: Vec<(String, String)> =
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let org = OrgId::new(SAMPLE_ORG);
        let form = self.form();
        let body = match (&self.body, &form) {
            (SampleBody::Json(text), _) => Body::Json(text.as_bytes()),
            (SampleBody::Form { .. }, Some(form)) => Body::Form(form),
            _ => Body::None,
        };
        let request = Request {
            path_params: &params,
            query: &query,
            org: Some(&org),
            now: Timestamp(0),
            ..Request::to(route, body)
        };
        dialect.decode(&request).map_err(|failure| failure.to_string())
    }

    fn form(&self) -> Option<Form> {
        let SampleBody::Form { fields, file: (name, content_type, bytes) } = self.body else {
            return None;
        };
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Some(Form {
            fields: fields.iter().map(owned).collect(),
            file: Some(FormFile {
                filename: Some(name.to_owned()),
                content_type: Some(content_type.to_owned()),
                size: bytes.len() as u64,
                head: bytes.to_vec(),
            }),
        })
    }
}

/// The variables of a path that fits a pattern. Literal segments come before variables in routers;
/// dialects list such routes first.
fn matched(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.trim_end_matches('/').split('/'));
    let mut params = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(params),
            (Some(name), Some(value)) if name.starts_with('{') => {
                let name = name.trim_matches(['{', '}']);
                params.push((name.to_owned(), value.to_owned()));
            }
            (Some(one), Some(other)) if one == other => {}
            _ => return None,
        }
    }
}

/// Every feature that a command makes use of.
#[must_use]
pub fn features_of(command: &Command) -> Vec<Feature> {
    match command {
        Command::SendMessage(send) => of_message(send),
        Command::Submit(submit) => {
            let mut features: Vec<Feature> =
                submit.messages.iter().flat_map(|message| of_message(&message.send)).collect();
            if submit.messages.len() > 1 {
                features.push(Feature::SeveralAtOnce);
            }
            features
        }
        Command::Broadcast(_) => vec![Feature::Broadcast, Feature::Template],
        Command::UploadMedia(_) => vec![Feature::MediaUpload],
        Command::Manage(manage) => vec![of_task(&manage.task)],
    }
}

fn of_message(send: &SendMessage) -> Vec<Feature> {
    let mut features: Vec<Feature> =
        send.content.media().into_iter().filter_map(of_source).collect();
    features.extend(of_content(&send.content));
    features
}

fn of_source(draft: &MediaDraft) -> Option<Feature> {
    match &draft.source {
        MediaSource::Inline(_) => Some(Feature::InlineFile),
        MediaSource::Id(_) | MediaSource::IdOfItsKind(_) => Some(Feature::UploadedFile),
        MediaSource::Link { .. } => None,
    }
}

fn of_content(content: &Content<MediaDraft>) -> Option<Feature> {
    Some(match content {
        Content::Text { .. } => Feature::Text,
        Content::Media(message) => match message.kind {
            MediaKind::Image => Feature::Image,
            MediaKind::Video => Feature::Video,
            MediaKind::Audio => Feature::Audio,
            MediaKind::Document => Feature::Document,
            MediaKind::Sticker => Feature::Sticker,
        },
        Content::Location(_) => Feature::Location,
        Content::Contacts(_) => Feature::Contacts,
        Content::Interactive(interactive) => match &interactive.action {
            Action::Buttons(_) => Feature::ReplyButtons,
            Action::List { .. } => Feature::List,
            Action::LocationRequest => Feature::LocationRequest,
            Action::Flow(_) => Feature::Flow,
            Action::CtaUrl { .. } | Action::Carousel(_) | Action::Other { .. } => return None,
        },
        Content::Template(_) => Feature::Template,
        Content::Reaction { .. } | Content::Inbound(_) => return None,
    })
}

const fn of_task(task: &Task) -> Feature {
    match task {
        Task::FetchMedia { .. } => Feature::MediaDownload,
        Task::RemoveMedia { .. } => Feature::MediaRemoval,
        Task::RecordConsent { .. } | Task::FindConsent { .. } => Feature::Consent,
        Task::ListMessages { .. } => Feature::MessageLog,
        Task::ListTemplates { .. } => Feature::TemplateList,
        Task::CreateTemplate { .. }
        | Task::EditTemplate { .. }
        | Task::UploadTemplateSample { .. } => Feature::TemplateCreation,
        Task::CreateFlow { .. }
        | Task::UpdateFlow { .. }
        | Task::PublishFlow { .. }
        | Task::PreviewFlow { .. }
        | Task::ListFlows { .. } => Feature::FlowManagement,
    }
}
