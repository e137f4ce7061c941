//! The upstream's webhooks as the engine needs them: checked, then understood.

use serde_json::Value;
use waypost_domain::event::TemplateDetail;
use waypost_domain::status::Report;
use waypost_domain::{Failure, Phone, Timestamp};

/// Checks and reads the upstream's webhooks.
pub trait WebhookCodec: Send + Sync {
    /// Whether one of the secrets signed exactly these bytes.
    fn verify(&self, body: &[u8], signature: &str, secrets: &[String]) -> bool;
    /// What a body says. What is not understood comes as [`UpstreamEvent::Other`]; a body that is
    /// no event at all, or says far more at once than the upstream does, gives nothing.
    fn parse(&self, body: &[u8]) -> Vec<UpstreamEvent>;
}

/// One thing that the upstream tells.
#[derive(Clone, Debug, PartialEq)]
pub enum UpstreamEvent {
    /// A person wrote.
    Inbound(Inbound),
    /// A message of ours went on.
    Status(StatusNotice),
    /// A template changed.
    Template {
        /// What became of it.
        template: TemplateDetail,
        /// When, by the upstream's clock; absent where it does not say.
        at: Option<Timestamp>,
    },
    /// Something that is only passed on.
    Notice(UpstreamNotice),
    /// Something that is not understood; kept raw.
    Other {
        /// The business account, empty where none is named.
        waba_id: String,
        /// Meta's `field`.
        field: String,
    },
}

/// A message that a person wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// Meta's id of the number it was written to.
    pub phone_number_id: String,
    /// Who wrote: a number, or a business-scoped id where the person shows none.
    pub phone: Option<Phone>,
    /// The person's business-scoped id, where it is told.
    pub user_id: Option<Phone>,
    /// The person's profile name.
    pub profile_name: Option<String>,
    /// The message's upstream id.
    pub wamid: String,
    /// Meta's word for its type.
    pub kind: String,
    /// The whole message object; `context.id` is the message that it answers.
    pub message: Value,
    /// When it was written; `None` where the upstream's time cannot be read.
    pub written_at: Option<Timestamp>,
}

/// Something that the upstream tells and that is only passed on.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamNotice {
    /// The business account.
    pub waba_id: String,
    /// Meta's `field`.
    pub field: String,
    /// Meta's `value` as it came; it may tell of people.
    pub value: Value,
    /// What it is about.
    pub about: NoticeAbout,
    /// When it happened; absent where the upstream does not say.
    pub at: Option<Timestamp>,
}

/// What a notice of the upstream's is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeAbout {
    /// The number with this id of Meta's.
    Number(String),
    /// The account's number that is written so.
    Phone(String),
    /// No number in particular.
    Account,
}

/// A status.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusNotice {
    /// Meta's id of the number that sent the message.
    pub phone_number_id: String,
    /// The message's upstream id.
    pub wamid: String,
    /// `biz_opaque_callback_data`, as it came back.
    pub opaque: Option<String>,
    /// What is reported; `None` for words not known.
    pub report: Option<Report>,
    /// When it happened; `None` where the upstream's time cannot be read.
    pub at: Option<Timestamp>,
    /// Why, for failures.
    pub failure: Option<Failure>,
    /// Meta's `conversation`, `pricing` and `recipient_identity_key_hash`, where they came.
    pub extra: Option<Value>,
}
