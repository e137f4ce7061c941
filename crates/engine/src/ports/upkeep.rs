//! What keeps a store from growing for ever, and what operators ask of it: retention in small
//! steps, how long its queues are, a copy of everything at one instant, and what a restored copy
//! holds back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use waypost_domain::{BroadcastId, MediaId, NumberId, OrgId, Timestamp};

use super::StoreResult;
use super::blobs::{BlobStream, Sha256Hex};

/// What one step of retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many were deleted.
    pub deleted: u64,
    /// Where the next step goes on; `None` where nothing older is left.
    pub next: Option<i64>,
}

/// Deletes what is past its time. Each call is one short job of the writer: whoever waits for it
/// waits for milliseconds.
#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// Looks at the next messages of an organisation after a place, in the order of acceptance, and
    /// deletes those accepted before an instant that have ended, with their history and attempts.
    /// What waits, is on its way, or may still be sent again stays.
    async fn prune_messages(
        &self,
        org_id: &OrgId,
        before: Timestamp,
        after: i64,
    ) -> StoreResult<Pruned>;
    /// Deletes the oldest events of an organisation that were recorded before an instant and told
    /// on, with their dead callbacks. Call again until nothing is deleted.
    async fn prune_events_of(&self, org_id: &OrgId, before: Timestamp) -> StoreResult<u64>;
    /// Looks at the next idempotency keys after a place, whosever they are, and forgets those that
    /// were claimed before their organisation's instant, but for creations. Without one, an
    /// organisation's stay.
    async fn prune_keys(
        &self,
        before: &Arc<HashMap<OrgId, Timestamp>>,
        after: i64,
    ) -> StoreResult<Pruned>;
    /// Deletes some broadcasts of an organisation that were accepted before an instant and have no
    /// messages any more. Call again until nothing is deleted.
    async fn prune_broadcasts(&self, org_id: &OrgId, before: Timestamp) -> StoreResult<u64>;
    /// Deletes some reports that no message was found for since an instant.
    async fn prune_parked_reports(&self, before: Timestamp) -> StoreResult<u64>;
    /// Deletes some webhooks without a meaning that came before an instant.
    async fn prune_kept_webhooks(&self, before: Timestamp) -> StoreResult<u64>;
    /// Forgets some uploads that the upstream does not keep any more.
    async fn prune_upstream_copies(&self, now: Timestamp) -> StoreResult<u64>;
    /// Deletes some of what removed organisations left. `false` where nothing is left.
    async fn prune_removed_orgs(&self) -> StoreResult<bool>;
    /// Files of an organisation stored before an instant, at most `limit`.
    async fn media_stored_before(
        &self,
        org_id: &OrgId,
        before: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<MediaId>>;
    /// Which of these contents a record names.
    async fn contents_in_use(&self, contents: Vec<Sha256Hex>) -> StoreResult<HashSet<Sha256Hex>>;
}

/// How the installation's queues stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueTotals {
    /// Single messages that are due.
    pub due: u64,
    /// Single messages that wait for a later time: to be tried again, or to be sent then; also
    /// those that wait for their person to write.
    pub later: u64,
    /// Members of running broadcasts that wait.
    pub broadcast: u64,
    /// Since when the oldest due message could have been sent.
    pub oldest_due_at: Option<Timestamp>,
    /// Messages that are on their way, or were when the store was read.
    pub sending: u64,
    /// Messages whose outcome is unknown.
    pub unknown: u64,
    /// Of these, the ones that will be sent again by themselves.
    pub to_resend: u64,
    /// Messages that wait for their person to write: their windows are closed.
    pub held: u64,
    /// Messages held back since a restore.
    pub restored: u64,
    /// Broadcasts held back since a restore: paused, until somebody lets them go on.
    pub restored_broadcasts: u64,
    /// Webhooks of the upstream that are not worked off.
    pub webhooks: u64,
    /// Reports of messages that are not known.
    pub parked_reports: u64,
    /// Since when the callback waits that is due for longest.
    pub callbacks_due_since: Option<Timestamp>,
}

/// The queue of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberQueue {
    /// The number.
    pub number_id: NumberId,
    /// Single messages that are due.
    pub due: u64,
    /// Single messages that wait for a later time.
    pub later: u64,
    /// Members of running broadcasts that wait.
    pub broadcast: u64,
    /// Since when the oldest due message could have been sent.
    pub oldest_due_at: Option<Timestamp>,
    /// When the next message falls due that is not due.
    pub next_due_at: Option<Timestamp>,
}

impl NumberQueue {
    /// Of a number that has nothing waiting.
    #[must_use]
    pub const fn empty(number_id: NumberId) -> Self {
        Self { number_id, due: 0, later: 0, broadcast: 0, oldest_due_at: None, next_due_at: None }
    }
}

/// How the store itself does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreHealth {
    /// Transactions since the start.
    pub commits: u64,
    /// Writes that wait for the writer.
    pub waiting_writes: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes of its write-ahead log.
    pub log_bytes: u64,
    /// Bytes that are free on its disk for this process.
    pub free_bytes: u64,
}

/// Tells how queues and store stand.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// All queues together. Reads as much as there is waiting: not to be asked all the time.
    async fn queue_totals(&self, now: Timestamp) -> StoreResult<QueueTotals>;
    /// The numbers with something waiting.
    async fn number_queues(&self, now: Timestamp) -> StoreResult<Vec<NumberQueue>>;
    /// How the store does; reads nothing of it.
    fn health(&self) -> StoreHealth;
    /// Whether writes fail because the disk is full: from the first that found no room until one
    /// succeeds.
    fn full(&self) -> watch::Receiver<bool>;
}

/// A copy of everything that a store holds, as it was at one instant. Gone when it is dropped.
#[async_trait]
pub trait Snapshot: Send + Sync {
    /// Bytes of the copy.
    fn size(&self) -> u64;
    /// The number of the store's layout: an older program cannot read a newer one.
    fn layout(&self) -> u32;
    /// The copy.
    fn read(&self) -> StoreResult<BlobStream>;
    /// Contents that its records name, with their sizes, in order, after one.
    async fn contents(
        &self,
        after: Option<Sha256Hex>,
        limit: u32,
    ) -> StoreResult<Vec<(Sha256Hex, u64)>>;
}

/// What a restored store holds back: it waited to be sent when the backup was made, and may have
/// been sent since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldBack {
    /// Messages, all of them `unknown`.
    pub messages: u64,
    /// Broadcasts, all of them paused, with their organisations.
    pub broadcasts: Vec<(OrgId, BroadcastId)>,
}

/// What was let go of what a restored store held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Messages that are in the due queue again, without those of broadcasts.
    pub messages: u64,
    /// Broadcasts that run again.
    pub broadcasts: u64,
}

/// Copies a store, and lets go what a restored one holds back.
#[async_trait]
pub trait BackupStore: Send + Sync {
    /// Copies everything while work goes on; what was durable before the call is in it. Needs as
    /// much free disk as the store is large. Dropping the call ends the copying.
    async fn snapshot(&self) -> StoreResult<Box<dyn Snapshot>>;
    /// What is held back.
    async fn held_back(&self) -> StoreResult<HeldBack>;
    /// Puts some of the messages that are held back into the due queue again, flagged as possible
    /// duplicates. Returns how many; those settled meanwhile are let go without.
    async fn resume_held_back(&self, now: Timestamp) -> StoreResult<Pruned>;
    /// Holds nothing back any more. Messages and broadcasts stay as they are.
    async fn forget_held_back(&self) -> StoreResult<()>;
}
