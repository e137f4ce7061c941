//! Where it is recorded what happened. Events are appended by the calls that change something, in
//! their own transaction; this port reads them.

use async_trait::async_trait;
use waypost_domain::event::{Event, EventKind, NoticeDetail, TemplateDetail};
use waypost_domain::{EventId, MessageId, NumberId, OrgId, Timestamp};

use super::media::MediaRecord;
use super::{Page, Paged, StoreResult};

/// An event as it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEvent {
    /// Its place in the log; places grow and are never used again.
    pub place: i64,
    /// The event. The store does not know public addresses: `file` of what people wrote is `None`.
    pub event: Event,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The record of the file that came with it.
    pub file: Option<MediaRecord>,
    /// Whether a file belongs to it that has not been fetched yet.
    pub waits_for_file: bool,
}

/// As much of an event as decides for whom it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHead {
    /// Its place in the log.
    pub place: i64,
    /// The organisation.
    pub org_id: OrgId,
    /// The number, where it concerns one.
    pub number_id: Option<NumberId>,
    /// What kind of thing happened.
    pub kind: EventKind,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Whether its message asks for something beside its content, such as an address to be told at.
    pub asks: bool,
}

/// A stretch of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventHeads {
    /// The events whose organisation still exists, in order.
    pub heads: Vec<EventHead>,
    /// The last place that was looked at; `None` where there was nothing to look at.
    pub last: Option<i64>,
}

/// Which events to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only these kinds; empty: all.
    pub kinds: Vec<EventKind>,
    /// Only of this number.
    pub number_id: Option<NumberId>,
    /// Only of this message.
    pub message_id: Option<MessageId>,
    /// Only those recorded then or later.
    pub since: Option<Timestamp>,
    /// Only those recorded before.
    pub until: Option<Timestamp>,
    /// Newest first instead of oldest first; `after` then means before.
    pub newest_first: bool,
}

/// Something that the upstream told, to be passed on.
#[derive(Clone, Debug, PartialEq)]
pub struct NewNotice {
    /// The organisations that it concerns.
    pub org_ids: Vec<OrgId>,
    /// The number, where it concerns one.
    pub number_id: Option<NumberId>,
    /// What it is.
    pub notice: NoticeDetail,
    /// A repetition has the same, and nothing else has.
    pub digest: i64,
    /// When it happened.
    pub at: Timestamp,
}

/// Reads the log of events.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// What comes after a place, in order.
    async fn event_heads(&self, after: i64, limit: u32) -> StoreResult<EventHeads>;
    /// The events at these places that still exist, in the order of their places.
    async fn events_at(&self, places: Vec<i64>) -> StoreResult<Vec<LoggedEvent>>;
    /// Events of an organisation, by their places.
    async fn events(
        &self,
        org_id: &OrgId,
        filter: &EventFilter,
        page: Page,
    ) -> StoreResult<Paged<LoggedEvent>>;
    /// One event of an organisation.
    async fn event(&self, org_id: &OrgId, id: EventId) -> StoreResult<Option<LoggedEvent>>;
    /// The place of the newest event; 0 where there is none.
    async fn last_event(&self) -> StoreResult<i64>;
    /// Records for each of these organisations that a template changed, unless just this was
    /// recorded before.
    async fn record_template_change(
        &self,
        org_ids: Vec<OrgId>,
        template: TemplateDetail,
        at: Timestamp,
        now: Timestamp,
    ) -> StoreResult<()>;
    /// Records for each of the organisations what the upstream told, unless it was recorded for it
    /// before.
    async fn record_notice(&self, notice: NewNotice, now: Timestamp) -> StoreResult<()>;
    /// Deletes the oldest events that were recorded before an instant and told on, with their
    /// dead callbacks; at most so many. Returns how many. Where there are no more of them, servers
    /// that requests named and that nothing was posted to since then are forgotten too.
    async fn prune_events(&self, before: Timestamp, limit: u32) -> StoreResult<u64>;
}
