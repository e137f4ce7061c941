//! What vendors offer beside sending: stored files, consents, the log, templates and forms. The
//! commands and their outcomes; they know no wire format.

use serde_json::Value;

use crate::content::FlowName;
use crate::customer::{Consent, ConsentOrigin};
use crate::ids::{MediaId, NumberId, OrgId};
use crate::media::MimeType;
use crate::message::Message;
use crate::phone::Phone;
use crate::template::Template;
use crate::time::Timestamp;

/// Something that is no sending: what a vendor offers beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Manage {
    /// The organisation.
    pub org_id: OrgId,
    /// What is asked.
    pub task: Task,
}

/// What can be asked beside sending.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Task {
    /// A stored file's bytes.
    FetchMedia {
        media_id: MediaId,
    },
    RemoveMedia {
        media_id: MediaId,
    },
    /// Records what people said, all or nothing.
    RecordConsent {
        entries: Vec<ConsentEntry>,
    },
    FindConsent {
        phone: Phone,
    },
    /// A page of the message log of all numbers, newest first; `page` from 0.
    ListMessages {
        page: u32,
        size: u32,
    },
    /// Templates of a number, or of all; with a name, or all.
    ListTemplates {
        number: Option<String>,
        name: Option<String>,
    },
    /// Creates a template from Meta's form.
    CreateTemplate {
        number: String,
        template: Value,
    },
    /// Edits a template; one that has another name than the caller says is not the one meant.
    EditTemplate {
        number: String,
        template_id: String,
        name: Option<String>,
        change: Value,
    },
    /// Gives the form's file to the upstream as a template's example; the outcome is its handle.
    UploadTemplateSample {
        mime_type: MimeType,
        filename: Option<String>,
    },
    /// `json` is the form's definition, or absent where it is the multipart form's file.
    CreateFlow {
        number: Option<String>,
        name: String,
        categories: Vec<String>,
        json: Option<Vec<u8>>,
    },
    UpdateFlow {
        flow: FlowName,
        name: Option<String>,
        categories: Option<Vec<String>>,
        json: Option<Vec<u8>>,
    },
    PublishFlow {
        flow: FlowName,
    },
    PreviewFlow {
        flow: FlowName,
    },
    ListFlows(FlowsOf),
}

/// Whose forms are listed. Numbers are digits, as the caller names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowsOf {
    /// Those of all numbers of the organisation.
    Org,
    /// Those of a number.
    Number(String),
    /// Those of a number; where the organisation has none such, the one form with this id.
    NumberOrFlow(String),
}

/// What one person said about being written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentEntry {
    /// The person.
    pub phone: Phone,
    /// Yes or no.
    pub opted_in: bool,
    /// How it came.
    pub origin: ConsentOrigin,
}

/// What became of a [`Task`].
#[derive(Clone, Debug, PartialEq)]
pub enum Managed {
    /// The file follows; the server writes its bytes.
    Media,
    /// It is done, and there is nothing more to say.
    Done,
    /// What people said is recorded.
    ConsentRecorded {
        /// Whether any of them had not said the same before.
        any_new: bool,
    },
    /// What is recorded of a person, if anything.
    Consent(Option<Consent>),
    /// A page of the log, and how many messages there are in all.
    Messages {
        /// The page.
        messages: Vec<LoggedMessage>,
        /// How many there are in all.
        total: u64,
    },
    /// Templates.
    Templates(Vec<Template>),
    /// Meta's answer to the creation.
    TemplateCreated(Value),
    /// The handle of a template's sample.
    TemplateSample(String),
    /// One form.
    Flow(FlowRecord),
    /// Forms.
    Flows(Vec<FlowRecord>),
    /// Where a form can be looked at.
    FlowPreview {
        /// The upstream's id of the form.
        upstream_id: String,
        /// The address.
        preview_url: String,
        /// Until when, as the upstream wrote it.
        expires_at: String,
    },
}

/// A message in a list, with the time of its last change.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedMessage {
    /// The message.
    pub message: Message,
    /// When its status last changed.
    pub changed_at: Timestamp,
}

/// A form at the upstream, under our own number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// Our number for it, unique in the installation.
    pub id: i64,
    /// The organisation.
    pub org_id: OrgId,
    /// The number whose business account it belongs to.
    pub number_id: NumberId,
    /// The upstream's id.
    pub upstream_id: String,
    /// Its name.
    pub name: String,
    /// Meta's word, such as `DRAFT` or `PUBLISHED`.
    pub status: String,
    /// Meta's words.
    pub categories: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
