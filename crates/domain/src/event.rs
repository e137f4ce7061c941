//! Events: what happened to a tenant's messages, templates and accounts, as callbacks and lists tell
//! it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::{ErrorKind, Failure};
use crate::ids::{EventId, MediaId, MessageId, NumberId, OrgId};
use crate::message::Message;
use crate::status::Status;
use crate::time::Timestamp;

/// What kind of thing happened; the words are those of shape `standard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventKind {
    /// The upstream accepted a message.
    #[serde(rename = "message.sent")]
    MessageSent,
    /// It is on the person's phone.
    #[serde(rename = "message.delivered")]
    MessageDelivered,
    /// The person has seen it.
    #[serde(rename = "message.read")]
    MessageRead,
    /// It will not arrive.
    #[serde(rename = "message.failed")]
    MessageFailed,
    /// It was withdrawn before it was sent.
    #[serde(rename = "message.cancelled")]
    MessageCancelled,
    /// A person wrote.
    #[serde(rename = "message.received")]
    MessageReceived,
    /// A template was approved, rejected, paused, …
    #[serde(rename = "template.status")]
    TemplateStatus,
    /// The upstream told something that Waypost only passes on.
    #[serde(rename = "upstream.notice")]
    UpstreamNotice,
}

impl EventKind {
    /// Every kind, in the order of their stored numbers.
    pub const ALL: [Self; 8] = [
        Self::MessageSent,
        Self::MessageDelivered,
        Self::MessageRead,
        Self::MessageFailed,
        Self::MessageCancelled,
        Self::MessageReceived,
        Self::TemplateStatus,
        Self::UpstreamNotice,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageSent => "message.sent",
            Self::MessageDelivered => "message.delivered",
            Self::MessageRead => "message.read",
            Self::MessageFailed => "message.failed",
            Self::MessageCancelled => "message.cancelled",
            Self::MessageReceived => "message.received",
            Self::TemplateStatus => "template.status",
            Self::UpstreamNotice => "upstream.notice",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The number under which stores keep it. Stable.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind with a stored number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The kind that tells of a message's new status, if any does.
    #[must_use]
    pub const fn of_status(status: Status) -> Option<Self> {
        match status {
            Status::Sent => Some(Self::MessageSent),
            Status::Delivered => Some(Self::MessageDelivered),
            Status::Read => Some(Self::MessageRead),
            Status::Failed => Some(Self::MessageFailed),
            Status::Cancelled => Some(Self::MessageCancelled),
            Status::Received => Some(Self::MessageReceived),
            Status::Queued | Status::Sending | Status::Unknown => None,
        }
    }
}

impl EventId {
    /// The id as receivers see it, in headers, lists and streams: `evt_` and 32 hex digits.
    #[must_use]
    pub fn public(self) -> String {
        format!("evt_{}", self.0.simple())
    }

    /// Reads the public form, or the bare UUID.
    #[must_use]
    pub fn parse_public(text: &str) -> Option<Self> {
        Self::parse(text.strip_prefix("evt_").unwrap_or(text))
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its id: the same in every callback and at every repetition.
    pub id: EventId,
    /// The organisation.
    pub org_id: OrgId,
    /// The number; `None` for what concerns a whole business account.
    pub number_id: Option<NumberId>,
    /// What kind of thing.
    pub kind: EventKind,
    /// When it happened, by the reporter's clock.
    pub at: Timestamp,
    /// The particulars.
    pub detail: EventDetail,
}

/// An event's particulars.
#[derive(Clone, Debug, PartialEq)]
pub enum EventDetail {
    /// A message of ours went on.
    Status(Box<StatusDetail>),
    /// A person wrote.
    Received(Box<ReceivedDetail>),
    /// A template changed.
    Template(TemplateDetail),
    /// The upstream told something that Waypost only passes on.
    Notice(NoticeDetail),
}

/// A message of ours went on.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusDetail {
    /// The message. It may have gone further than this event by now.
    pub message: Message,
    /// The status that this event tells of.
    pub status: Status,
    /// Why, for failures.
    pub failure: Option<Failure>,
    /// Meta's `conversation` and `pricing`, `recipient_identity_key_hash` and the like, where its
    /// report had them; `recipient_user_id` also where only an earlier webhook told it.
    pub upstream: Option<Value>,
}

impl StatusDetail {
    /// Whether the message's caller waited and was answered with this failure: then the caller knows
    /// no message by this id, and may have sent another one by now.
    #[must_use]
    pub fn is_in_reply(&self) -> bool {
        // What we could not record or close ourselves is told late, perhaps without a reply.
        let told = |failure: &Failure| failure.kind != ErrorKind::Unavailable;
        self.status == Status::Failed
            && self.message.synchronous
            && self.message.wamid.is_none()
            && self.failure.as_ref().is_some_and(told)
    }
}

/// A person wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedDetail {
    /// The message; its content is [`crate::Content::Inbound`].
    pub message: Message,
    /// The person's profile name.
    pub profile_name: Option<String>,
    /// The message of ours that it answers, where we know it.
    pub quoted: Option<QuotedMessage>,
    /// Its file, where it has one and it was fetched.
    pub file: Option<EventFile>,
}

/// A message of ours that a person answers.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotedMessage {
    /// Its id.
    pub id: MessageId,
    /// The upstream's id.
    pub wamid: String,
    /// The caller's own value.
    pub reference: Option<String>,
    /// What the dialect that sent it keeps with it.
    pub echo: Option<Arc<Value>>,
}

/// A file that came with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFile {
    /// Its id.
    pub id: MediaId,
    /// Where it can be fetched without a key, as long as the organisation keeps files.
    pub url: String,
    /// Its type.
    pub mime_type: String,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Its name.
    pub filename: Option<String>,
}

/// A template changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateDetail {
    /// The upstream's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Meta's word, such as `APPROVED`.
    pub status: String,
    /// The upstream's reason, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The business account.
    pub waba_id: String,
}

/// What the upstream told and Waypost only passes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoticeDetail {
    /// The business account.
    pub waba_id: String,
    /// The upstream's id of the number that it is about, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number_id: Option<String>,
    /// Meta's `field`, such as `account_update`.
    pub field: String,
    /// Meta's `value` as it came; `None` where it is too long to be kept with an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}
