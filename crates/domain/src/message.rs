//! The message log: what is recorded of a message, its statuses and its upstream attempts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::Call;
use crate::content::Content;
use crate::failure::{Failure, UpstreamFault};
use crate::ids::{AttemptId, BroadcastId, CustomerId, MessageId, NumberId, OrgId, UserId};
use crate::phone::Phone;
use crate::status::Status;
use crate::time::Timestamp;
use crate::unknown::UnknownPolicy;

/// Whose message it is in the log (ReplyHero's `messageType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// Sent by an agent.
    #[default]
    Human,
    /// Sent by a bot.
    Assistant,
    /// A template.
    Template,
    /// Written by the customer.
    User,
}

impl MessageType {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Assistant => "assistant",
            Self::Template => "template",
            Self::User => "user",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Human, Self::Assistant, Self::Template, Self::User]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the business to the person.
    Outbound,
    /// From the person to the business.
    Inbound,
}

/// One message as it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The organisation.
    pub org_id: OrgId,
    /// The business's number.
    pub number_id: NumberId,
    /// The customer, where the directory knows the person.
    pub customer_id: Option<CustomerId>,
    /// The person's number.
    pub phone: Phone,
    /// Which way it went.
    pub direction: Direction,
    /// Whose it is.
    pub message_type: MessageType,
    /// The dialect by which it came, or `cloud_api` for what came from the upstream.
    pub dialect: String,
    /// Whether a caller waits for the outcome: such a message is never resent by itself.
    pub synchronous: bool,
    /// The user in whose name it was sent.
    pub user_id: Option<UserId>,
    /// The caller's word for the conversation.
    pub session_id: Option<String>,
    /// The caller's own value.
    pub reference: Option<String>,
    /// The broadcast it belongs to.
    pub broadcast_id: Option<BroadcastId>,
    /// What it says.
    pub content: Content,
    /// Where it stands.
    pub status: Status,
    /// The upstream's id.
    pub wamid: Option<String>,
    /// The person's WhatsApp id as the upstream gave it.
    pub wa_id: Option<String>,
    /// Why it failed, or why its outcome is unknown.
    pub failure: Option<Failure>,
    /// Whether it was repeated after an unknown outcome.
    pub possible_duplicate: bool,
    /// When it is sent again by itself because its outcome is unknown; `None`: not.
    pub resend_at: Option<Timestamp>,
    /// What its caller asked for beside the content.
    pub options: MessageOptions,
    /// When it was accepted, or received.
    pub created_at: Timestamp,
    /// When the upstream accepted it, or when it failed.
    pub settled_at: Option<Timestamp>,
}

impl Message {
    /// The person's WhatsApp id where it is a number: of who shows none, upstreams repeat the
    /// business-scoped id.
    #[must_use]
    pub fn wa_number(&self) -> Option<&str> {
        self.wa_id.as_deref().filter(|id| !id.contains('.'))
    }

    /// What becomes of it if its outcome is unknown. One whose caller waits is never sent again by
    /// itself.
    #[must_use]
    pub fn unknown_policy(&self) -> UnknownPolicy {
        if self.synchronous {
            return UnknownPolicy::NeverResend;
        }
        self.options.unknown_policy.unwrap_or_default()
    }

    /// When it is sent again by itself if its outcome is unknown since `now`: once at most, and not
    /// after its time to live.
    #[must_use]
    pub fn resend_after_unknown(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.unknown_policy().resend_at(now).filter(|_| !self.possible_duplicate)?;
        self.options.expires_at.is_none_or(|end| at < end).then_some(at)
    }
}

/// How long a message may wait in the queue where its caller names no end, in milliseconds: a day.
pub const DEFAULT_LIFE_MS: i64 = 24 * 3_600 * 1_000;

/// What a caller may ask for beside a message's content. Most messages have none of it, so that
/// stores keep it together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageOptions {
    /// Which messages of a number's queue go first.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
    /// Not sent any more from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether that end is ours, because the caller named none: when it is sent anew, it gets
    /// another.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_default_life: bool,
    /// What becomes of it if its outcome is unknown. `None` in a request: as its organisation says;
    /// in a record: [`UnknownPolicy::HoldThenResend`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_policy: Option<UnknownPolicy>,
    /// The `wamid` of the message that it answers, shown as a quote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Delivered only to a person with this identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_key_hash: Option<String>,
    /// The template that goes in its place, or ahead of it, where its person's window is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_template: Option<String>,
    /// Where the caller wants the statuses of this very message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
    /// What the dialect gives back in its reply and its callbacks: its own business, in its own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo: Option<Arc<Value>>,
}

impl MessageOptions {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Names the end of a message that has none, counted from `now`.
    pub fn limit_life(&mut self, now: Timestamp) {
        if self.expires_at.is_none() {
            self.expires_at = Some(now.plus_ms(DEFAULT_LIFE_MS));
            self.has_default_life = true;
        }
    }

    /// Begins a life that its caller did not limit, be it anew.
    pub fn renew_life(&mut self, now: Timestamp) {
        if self.has_default_life {
            self.expires_at = None;
        }
        self.limit_life(now);
    }

    /// Whether the message may not be sent any more at `now`, whoever asks for it.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        !self.has_default_life && self.expires_at.is_some_and(|end| end <= now)
    }
}

/// Which messages of one number go first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Priority {
    High,
    #[default]
    Normal,
    Low,
}

impl Priority {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
    fn is_normal(&self) -> bool {
        *self == Self::Normal
    }
}

/// An address for the statuses of one message, as its request named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// The address, trimmed.
    pub url: String,
    /// The name of a credential registered with the number (see
    /// [`crate::directory::Number::notify_auth`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_id: Option<String>,
    /// Why nothing is ever posted there, as it was judged when the message was accepted, and the
    /// setting that would have allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Why the last post was not allowed, and the setting that would allow it. The next one is judged
    /// anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_refused: Option<String>,
}

impl Notify {
    /// An address of which nothing is known yet.
    #[must_use]
    pub fn new(url: impl Into<String>, auth_id: Option<String>) -> Self {
        Self { url: url.into(), auth_id, refused: None, post_refused: None }
    }

    /// Why nothing is posted there now.
    #[must_use]
    pub fn refusal(&self) -> Option<&str> {
        self.refused.as_deref().or(self.post_refused.as_deref())
    }
}

/// One entry of a message's status history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusEvent {
    /// The status reported.
    pub status: Status,
    /// When it happened, by the reporter's clock.
    pub at: Timestamp,
    /// Why, for failures.
    pub failure: Option<Failure>,
    /// What the upstream's report said besides, such as the price, where no event tells it.
    pub upstream: Option<Value>,
}

/// One call to the upstream for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its id, which travels in the attempt token.
    pub id: AttemptId,
    /// Counted from 1 for each message.
    pub number: u32,
    /// When its intent was recorded.
    pub started_at: Timestamp,
    /// When its outcome was recorded.
    pub finished_at: Option<Timestamp>,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// The upstream's own words.
    pub fault: Option<UpstreamFault>,
    /// What is told of the call.
    pub call: Option<Call>,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// No outcome is recorded yet.
    Open,
    /// The upstream accepted it.
    Sent,
    /// The upstream said no: certainly not sent.
    Refused,
    /// It never reached the upstream: certainly not sent.
    NotSent,
    /// It may or may not have been sent.
    Unknown,
}

impl AttemptOutcome {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Sent, Self::Refused, Self::NotSent, Self::Unknown]
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

/// A message with its history.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageHistory {
    /// The message.
    pub message: Message,
    /// Its statuses, oldest first.
    pub statuses: Vec<StatusEvent>,
    /// Its attempts, first one first.
    pub attempts: Vec<Attempt>,
}

/// One template sent to many.
#[derive(Clone, Debug, PartialEq)]
pub struct BroadcastRecord {
    /// Its id.
    pub id: BroadcastId,
    /// The organisation.
    pub org_id: OrgId,
    /// The number it goes out by.
    pub number_id: NumberId,
    /// The template's name.
    pub template: String,
    /// How many customers it is for.
    pub audience: u64,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Whether it is paused or cancelled.
    pub state: BroadcastState,
}

/// What an operator has done to a broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum BroadcastState {
    Running,
    Paused,
    Cancelled,
}

impl BroadcastState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Paused, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// An open or once-open conversation with a person: who, by which number, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The organisation.
    pub org_id: OrgId,
    /// The business's number.
    pub number_id: NumberId,
    /// The person's number.
    pub phone: Phone,
    /// The customer, where the directory knows the person.
    pub customer_id: Option<CustomerId>,
    /// When the person last wrote; the window is open for 24 hours from then.
    pub last_inbound_at: Timestamp,
}
