//! What Meta's webhooks say, typed as far as the gateway acts on it.

use serde_json::Value;
use waypost_domain::status::Report;
use waypost_domain::{Failure, Phone, Timestamp};
use waypost_engine::ports::UpstreamNotice;

/// One thing that a webhook says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A person wrote.
    Inbound(Box<InboundEvent>),
    /// A message that we sent has a new status.
    Status(Box<StatusEvent>),
    /// A template has a new status.
    Template(TemplateEvent),
    /// A field that the gateway does not act on: passed on as it came.
    Notice(UpstreamNotice),
    /// What has not the shape it should have: kept as it came.
    Other {
        /// The business account, empty where there was none.
        waba_id: String,
        /// Meta's `field`, empty where there was none.
        field: String,
        /// What came: the `value`, or the smallest part that was not understood.
        raw: Value,
    },
}

/// A person wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct InboundEvent {
    /// Meta's id of our number.
    pub phone_number_id: String,
    /// The person's number; absent for people known by a user name only.
    pub from: Option<Phone>,
    /// The person's business-scoped id. At least one of `from` and `user_id` is there.
    pub user_id: Option<String>,
    /// The person's profile name.
    pub profile_name: Option<String>,
    /// Meta's id of the message; a second one with the same id is the same message.
    pub wamid: String,
    /// When it was written, by Meta's clock; absent where Meta's time cannot be read.
    pub written_at: Option<Timestamp>,
    /// Meta's message type, such as `text`; `unknown` where there was none.
    pub kind: String,
    /// Meta's message object as it came, with the `identity_key_hash` of its contact where it has one.
    pub message: Value,
    /// The id under which the file can be fetched for 7 days.
    pub media_id: Option<String>,
}

/// A message that we sent has a new status.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusEvent {
    /// Meta's id of our number.
    pub phone_number_id: String,
    /// The message.
    pub wamid: String,
    /// Meta's word.
    pub status: String,
    /// The word, where it is one that moves a message.
    pub report: Option<Report>,
    /// When it happened, by Meta's clock; absent where Meta's time cannot be read.
    pub at: Option<Timestamp>,
    /// Whom it was for: a number, a user id or a group's participant.
    pub recipient: Option<String>,
    /// `biz_opaque_callback_data`: our attempt token.
    pub opaque: Option<String>,
    /// Why; always there for [`Report::Failed`].
    pub failure: Option<Failure>,
    /// Meta's `conversation`, `pricing`, `recipient_identity_key_hash` and `recipient_user_id`, where
    /// they came.
    pub extra: Option<Value>,
}

/// A template has a new status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateEvent {
    /// The business account.
    pub waba_id: String,
    /// Meta's id of the template.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Meta's word for what happened, such as `APPROVED`.
    pub status: String,
    /// Why, where Meta says it.
    pub reason: Option<String>,
    /// When it happened, by Meta's clock; absent where Meta's time cannot be read.
    pub at: Option<Timestamp>,
}
