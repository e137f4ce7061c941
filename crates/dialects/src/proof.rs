//! Proof of the samples: what a dialect makes of one, and which features a command makes use of.

use waypost_domain::command::{MediaDraft, SendMessage};
use waypost_domain::content::{Action, Content, MediaSource};
use waypost_domain::manage::Task;
use waypost_domain::media::MediaKind;
use waypost_domain::{OrgId, Timestamp};

use crate::contract::{Body, Command, Dialect, Form, FormFile, Request, Route};
use crate::samples::{Feature, SAMPLE_ORG, Sample, SampleBody};

impl Sample {
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
        let form = self.form(route);
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

    fn form(&self, route: &Route) -> Option<Form> {
        let SampleBody::Form { fields, file: (name, content_type, bytes) } = self.body else {
            return None;
        };
        let read = route.body.form_parts(Some("multipart/form-data"))?.texts;
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Some(Form {
            fields: fields.iter().filter(|(name, _)| read.contains(name)).map(owned).collect(),
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
        | Task::ListFlows(_) => Feature::FlowManagement,
    }
}
