//! Where it is kept which events still have to be posted where, and how they are posted.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use waypost_domain::event::EventKind;
use waypost_domain::{EventId, MessageId, OrgId, Timestamp, WebhookId};

use super::{Page, Paged, StoreResult};

/// Names what events are posted to: what fails together, and must not hold up others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetName {
    /// The organisation.
    pub org_id: OrgId,
    /// Which of its addresses.
    pub address: TargetAddress,
}

/// What kind of address a target is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetAddress {
    /// A configured address.
    Webhook(WebhookId),
    /// Addresses that requests named, all at one server.
    Notify {
        /// Scheme, host and port.
        origin: String,
        /// The id of the shape in which they are told.
        shape: String,
    },
}

/// A target with its place in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackTarget {
    /// Its place.
    pub place: i64,
    /// Its name.
    pub name: TargetName,
}

/// A callback to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCallback {
    /// To what.
    pub target: TargetName,
    /// Of which event.
    pub event: i64,
    /// The person it concerns; callbacks of one person are made in order.
    pub person: String,
    /// Not before.
    pub due_at: Timestamp,
    /// Not before then, unless the event's file has been fetched.
    pub file_by: Option<Timestamp>,
}

/// A callback that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueCallback {
    /// Of which event.
    pub event: i64,
    /// The person it concerns.
    pub person: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Since when it is due: what failed in one call has this in common.
    pub due_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The callbacks of one target that are due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueCallbacks {
    /// Those due, in order.
    pub due: Vec<DueCallback>,
    /// When the first of the others falls due.
    pub next_due_at: Option<Timestamp>,
}

/// What came of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackOutcome {
    /// Of which event.
    pub event: i64,
    /// The person it concerns.
    pub person: String,
    /// How often it has been tried now.
    pub attempts: u32,
    /// How it goes on.
    pub end: CallbackEnd,
    /// The status with which the address answered.
    pub status: Option<u16>,
    /// Why it failed, for people.
    pub error: Option<String>,
}

/// How a callback goes on after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackEnd {
    /// The address has it; or nobody wants it any more. It is forgotten.
    Done,
    /// It is tried again then. After the first try, later callbacks of the same person wait too.
    Again(Timestamp),
    /// It is kept, and not tried again by itself.
    Dead,
}

/// Which callbacks to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallbackFilter {
    /// Only those of this webhook.
    pub webhook_id: Option<WebhookId>,
    /// Only those for addresses that requests named at this server: scheme, host and port.
    pub server: Option<String>,
    /// Only those of events of this message.
    pub message_id: Option<MessageId>,
    /// Only those of the event at this place.
    pub event: Option<i64>,
    /// Only dead ones, or only those that are still to be made.
    pub is_dead: Option<bool>,
}

/// Which dead callbacks to make anew: those that meet all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Only those of this webhook.
    pub webhook_id: Option<WebhookId>,
    /// None of these webhooks.
    pub except: Vec<WebhookId>,
    /// Only those for addresses that requests named at this server: scheme, host and port.
    pub server: Option<String>,
    /// Only those of events of this message.
    pub message_id: Option<MessageId>,
    /// Only those of the event at this place.
    pub event: Option<i64>,
}

/// Dead callbacks were made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revived {
    /// How many.
    pub count: u64,
    /// The last one's target and event, where there may be more behind it.
    pub next: Option<(i64, i64)>,
}

/// A callback that was not delivered, or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackRecord {
    /// To what.
    pub target: TargetName,
    /// The event.
    pub event_id: EventId,
    /// Its kind.
    pub kind: EventKind,
    /// The message it tells of.
    pub message_id: Option<MessageId>,
    /// Whether it is not tried again by itself.
    pub is_dead: bool,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub due_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// The status of the last answer.
    pub last_status: Option<u16>,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

/// How a target does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStats {
    /// The target.
    pub target: CallbackTarget,
    /// Callbacks to be made.
    pub pending: u64,
    /// Callbacks that are not tried again by themselves.
    pub dead: u64,
    /// Since when the oldest one waits.
    pub oldest_created_at: Option<Timestamp>,
    /// The status of the last answer.
    pub last_status: Option<u16>,
    /// Why the last try failed; `None` where it did not.
    pub last_error: Option<String>,
    /// When the last try ended.
    pub last_at: Option<Timestamp>,
}

/// All callbacks of the installation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallbackTotals {
    /// To be made.
    pub pending: u64,
    /// Not tried again by themselves.
    pub dead: u64,
    /// The last place of the log whose callbacks are recorded.
    pub mark: i64,
}

/// Keeps callbacks. Every call that writes is durable when it returns.
#[async_trait]
pub trait CallbackStore: Send + Sync {
    /// The last place of the event log of which all callbacks are recorded.
    async fn callback_mark(&self) -> StoreResult<i64>;
    /// Records callbacks, and with them the new mark where there is one. One that exists stays as
    /// it is; a dead one is made anew, and without a mark, as for a replay, also one that was tried
    /// and waits to be tried again. An earlier callback of the same person that was not tried twice
    /// yet holds up later ones until it is due.
    async fn add_callbacks(
        &self,
        callbacks: Vec<NewCallback>,
        mark: Option<i64>,
        now: Timestamp,
    ) -> StoreResult<()>;
    /// Targets with something due but for those that rest, of each organisation at most so many, the
    /// longest due first; and when the next one has.
    async fn due_targets(
        &self,
        now: Timestamp,
        resting: Vec<i64>,
        limit_per_org: u32,
        limit: u32,
    ) -> StoreResult<(Vec<CallbackTarget>, Option<Timestamp>)>;
    /// What is due for a target, those of one person in the order of their events.
    async fn due_callbacks(
        &self,
        target: i64,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<DueCallbacks>;
    /// Records what came of callbacks of a target, and when it has something due next. Returns
    /// whether callbacks fell due by it that waited behind these.
    async fn record_callbacks(
        &self,
        target: i64,
        outcomes: Vec<CallbackOutcome>,
        now: Timestamp,
    ) -> StoreResult<bool>;
    /// Looks at so many callbacks of a target, those due first, and gives up the ones that were made
    /// before an instant and tried at least once. Returns how many.
    async fn give_up_callbacks(
        &self,
        target: i64,
        created_before: Timestamp,
        why: &str,
        limit: u32,
        now: Timestamp,
    ) -> StoreResult<u64>;
    /// Makes dead callbacks of an organisation anew, each target's oldest first, at most so many,
    /// those behind `after` where something was made anew before.
    async fn revive_callbacks(
        &self,
        org_id: &OrgId,
        filter: &DeadFilter,
        after: Option<(i64, i64)>,
        limit: u32,
        now: Timestamp,
    ) -> StoreResult<Revived>;
    /// Callbacks of an organisation that were not delivered, in the order of their events. A page
    /// never ends between two callbacks of one event.
    async fn callbacks(
        &self,
        org_id: &OrgId,
        filter: &CallbackFilter,
        page: Page,
    ) -> StoreResult<Paged<CallbackRecord>>;
    /// How the targets of an organisation do that were ever called, at most 1,000, webhooks first.
    async fn target_stats(&self, org_id: &OrgId) -> StoreResult<Vec<TargetStats>>;
    /// Counts the installation's callbacks.
    async fn callback_totals(&self) -> StoreResult<CallbackTotals>;
    /// Notes on a message why the last post of a status was not allowed where its caller asked for
    /// it; `None`: it was.
    async fn note_post_refused(
        &self,
        message_id: MessageId,
        why: Option<String>,
    ) -> StoreResult<()>;
}

/// A call to a tenant's address.
#[derive(Clone)]
pub struct CallbackPost {
    /// Whose address it is: what hangs there must hold up nobody else's calls.
    pub org_id: OrgId,
    /// The address.
    pub url: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How long the whole call may take.
    pub timeout: Duration,
}

/// An address's answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackReply {
    /// Its status; redirects are not followed.
    pub status: u16,
    /// Its `Retry-After`, as it came.
    pub retry_after: Option<String>,
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The address may not be called; says which setting would allow it.
    #[error("{0}")]
    Refused(String),
    /// It could not be reached, or did not answer in time.
    #[error("{0}")]
    Failed(String),
}

/// Calls tenants' addresses.
#[async_trait]
pub trait CallbackPoster: Send + Sync {
    /// Posts once.
    async fn post(&self, post: CallbackPost) -> Result<CallbackReply, PostError>;
}
