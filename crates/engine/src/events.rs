//! Events as lists and followers read them. They are appended by the store, in the transaction of
//! what changed.

use std::time::Duration;

use tokio::time::Instant;
use waypost_domain::event::{EventDetail, EventFile};
use waypost_domain::{EventId, Failure, OrgId};

use crate::ports::{EventFilter, LoggedEvent, Page, Paged, StoreResult};
use crate::{Engine, retention};

/// How long events are kept, in milliseconds: 30 days.
const KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;
/// Events deleted in one step.
const PRUNED: u32 = 1_000;
/// Events that a follower is given at once.
const FOLLOWED: u32 = 100;

impl Engine {
    /// Events of an organisation, with the addresses of their files.
    ///
    /// # Errors
    /// What the store says.
    pub async fn events(
        &self,
        org_id: &OrgId,
        filter: &EventFilter,
        page: Page,
    ) -> Result<Paged<LoggedEvent>, Failure> {
        let Paged { data, next } = self.store().events(org_id, filter, page).await?;
        let data = data.into_iter().map(|logged| self.with_file(logged)).collect();
        Ok(Paged { data, next })
    }

    /// One event of an organisation.
    ///
    /// # Errors
    /// What the store says.
    pub async fn event(&self, org_id: &OrgId, id: EventId) -> Result<Option<LoggedEvent>, Failure> {
        let found = self.store().event(org_id, id).await?;
        Ok(found.map(|logged| self.with_file(logged)))
    }

    /// The place behind which new events come.
    ///
    /// # Errors
    /// What the store says.
    pub async fn last_event(&self) -> Result<i64, Failure> {
        Ok(self.store().last_event().await?)
    }

    /// The next events of an organisation after a place: at once where there are some, else as soon
    /// as there are, else none when the time is up or the engine stops.
    ///
    /// # Errors
    /// What the store says.
    pub async fn follow_events(
        &self,
        org_id: &OrgId,
        after: i64,
        longest: Duration,
    ) -> Result<Vec<LoggedEvent>, Failure> {
        let until = Instant::now() + longest;
        let mut watching = self.callbacks().followed().watch(org_id.clone());
        let mut page = Page { after: Some(after), limit: FOLLOWED };
        loop {
            let found = self.events(org_id, &EventFilter::default(), page).await?;
            if !found.data.is_empty() {
                return Ok(found.data);
            }
            if found.next.is_some() {
                // All of this page tells of messages that have been deleted.
                page.after = found.next;
                continue;
            }
            let is_told = tokio::select! {
                biased;
                () = self.stopping().cancelled() => false,
                is_told = watching.told_before(until) => is_told,
            };
            if !is_told {
                return Ok(found.data);
            }
        }
    }

    /// Fills in what only we know: where the event's file can be fetched.
    pub(crate) fn with_file(&self, mut logged: LoggedEvent) -> LoggedEvent {
        if let (EventDetail::Received(received), Some(record)) =
            (&mut logged.event.detail, &logged.file)
        {
            let prefix = self.settings().public_url.trim_end_matches('/');
            let (name, extension) = (&record.public_name, record.mime_type.extension());
            received.file = Some(EventFile {
                id: record.id.clone(),
                url: format!("{prefix}/media/{name}.{extension}"),
                mime_type: record.mime_type.as_str().to_owned(),
                sha256: record.sha256.as_str().to_owned(),
                filename: record.filename.clone(),
            });
        }
        logged
    }

    /// Deletes events whose time is over.
    pub(crate) async fn prune_events(&self) -> StoreResult<()> {
        let before = self.now().plus_ms(-KEPT_MS);
        while self.store().prune_events(before, PRUNED).await? == u64::from(PRUNED) {
            retention::rest().await;
        }
        Ok(())
    }
}
