//! What a number's lane asks of the store: a window onto its due queue, putting messages off, what
//! waits for a person to write, and what must be known of people after a restart.

use async_trait::async_trait;
use waypost_domain::message::Message;
use waypost_domain::place::Place;
use waypost_domain::{BroadcastId, MessageId, NumberId, OrgId, Phone, Timestamp};

use super::{DueMessage, StoreResult};

/// Which part of a due queue to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// At most so many.
    pub limit: u32,
    /// Only what stands before this place.
    pub before: Option<Place>,
}

/// A message that is due, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingMessage {
    /// Its id.
    pub id: MessageId,
    /// Its place in the order of acceptance.
    pub order: i64,
    /// Where it stands in the queue.
    pub place: Place,
    /// The organisation.
    pub org_id: OrgId,
    /// The person.
    pub phone: Phone,
    /// The broadcast that it is part of, if any.
    pub broadcast_id: Option<BroadcastId>,
    /// How many attempts it has had.
    pub attempts: u32,
    /// Not sent any more from then on.
    pub expires_at: Option<Timestamp>,
    /// Whether it waited for its person to write, who did not.
    pub was_held: bool,
}

/// A message that waits for a later time and was never attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostponedMessage {
    /// The person.
    pub phone: Phone,
    /// Its place in the order of acceptance.
    pub order: i64,
    /// Where it stands in the queue.
    pub place: Place,
    /// When it falls due.
    pub due_at: Timestamp,
}

/// How a message waits for its person to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// The person's window is open where they last wrote after this instant: then the message does
    /// not wait. Judged in the transaction that records it.
    pub open_if_wrote_after: Timestamp,
    /// When it is given up.
    pub until: Timestamp,
    /// Where it stands in the queue once it is let go.
    pub place: Place,
    /// Is queued at once, so that the person has something to answer; not if something waits for the
    /// same person already. With its place.
    pub nudge: Option<(Message, Place)>,
}

/// Serves the lanes.
#[async_trait]
pub trait PacingStore: Send + Sync {
    /// Messages of a number that are due, by place; within a place the organisations that share the
    /// number have equal shares, and within an organisation the order is that of acceptance.
    async fn waiting(
        &self,
        number_id: &NumberId,
        now: Timestamp,
        look: Look,
    ) -> StoreResult<Vec<WaitingMessage>>;
    /// How many single messages to a person are due at a place or before it and were never attempted.
    async fn standing_before(
        &self,
        number_id: &NumberId,
        phone: &Phone,
        place: Place,
        now: Timestamp,
    ) -> StoreResult<u64>;
    /// A message that waits, with its content; `None` where it does not wait any more.
    async fn waiting_message(&self, id: MessageId) -> StoreResult<Option<DueMessage>>;
    /// When the next message of a number falls due after an instant, if any does.
    async fn next_due_after(
        &self,
        number_id: &NumberId,
        after: Timestamp,
    ) -> StoreResult<Option<Timestamp>>;
    /// Makes queued messages due at these instants. What is not queued any more stays as it is.
    async fn postpone(&self, messages: Vec<(MessageId, Timestamp)>) -> StoreResult<()>;
    /// Single messages of a number that fall due after an instant and were never attempted, without
    /// those that wait for their person to write, soonest first.
    async fn postponed(
        &self,
        number_id: &NumberId,
        after: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<PostponedMessage>>;
    /// Those of them that are to one person, in the order of acceptance.
    async fn postponed_to(
        &self,
        number_id: &NumberId,
        phone: &Phone,
        after: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<MessageId>>;
    /// Lets a queued message wait for its person to write, until an instant at most, unless they wrote
    /// after another one. What is not queued any more stays as it is.
    async fn hold(
        &self,
        id: MessageId,
        until: Timestamp,
        open_if_wrote_after: Timestamp,
    ) -> StoreResult<()>;
    /// How many messages wait for their person to write, and since when the oldest does.
    async fn held(&self) -> StoreResult<(u64, Option<Timestamp>)>;
    /// By which number a message goes to whom.
    async fn way_of(&self, id: MessageId) -> StoreResult<Option<(NumberId, Phone)>>;
    /// Remembers that a person gets no marketing from a number before an instant.
    async fn cap_marketing(
        &self,
        number_id: &NumberId,
        phone: &Phone,
        until: Timestamp,
        now: Timestamp,
    ) -> StoreResult<()>;
    /// Such caps that have not ended, the latest first.
    async fn marketing_caps(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<(NumberId, Phone, Timestamp)>>;
    /// People to whom templates of a number were given since an instant while their window was
    /// closed, each with the last time, oldest first. Looks at the latest `limit` messages of the
    /// installation at most.
    async fn approached(
        &self,
        number_id: &NumberId,
        since: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<(Phone, Timestamp)>>;
}
