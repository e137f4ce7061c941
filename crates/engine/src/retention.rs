//! What goes when its time is over: messages and media as long as each organisation wants them,
//! events, keys, reports and webhooks as long as they are of use, what removed organisations left,
//! and bytes that no record names. All of it in steps of milliseconds, with rests between them; only
//! keys that are a week old, an hour's of them, go step by step without. At an hour that may be wrong
//! nothing is deleted for its age.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use waypost_domain::directory::Org;
use waypost_domain::{Failure, OrgId, Timestamp};

use crate::ports::{EntryKey, StoreResult};
use crate::{Engine, idempotency};

const DAY_MS: i64 = 24 * 3_600 * 1_000;
/// How long after the start it is looked for the first time, in milliseconds: others come first.
const FIRST_AFTER_MS: i64 = 60_000;
/// How often it is looked, in milliseconds: an hour.
const EVERY_MS: i64 = 3_600 * 1_000;
/// Rest after each step, so that the writer is mostly free for others.
const REST: Duration = Duration::from_millis(20);
/// How long whoever removes an organisation waits until all of it is deleted.
const REMOVAL_WAIT: Duration = Duration::from_secs(5);
/// How long a report is kept for which no message was found, and a webhook without a meaning, in
/// milliseconds. Meta repeats webhooks for 7 days.
const UNMATCHED_KEPT_MS: i64 = 30 * DAY_MS;
/// Files looked for at once.
const MEDIA_AT_ONCE: u32 = 100;

impl Engine {
    /// Looks every hour, counted from the last look's beginning, until it is cancelled.
    pub(crate) async fn retain(self, cancel: CancellationToken) {
        let mut next = self.now().plus_ms(FIRST_AFTER_MS);
        let looking = async {
            loop {
                tokio::select! {
                    biased;
                    () = self.org_removed().notified() => {}
                    () = self.clock().sleep_until(next.0) => {}
                }
                next = self.now().plus_ms(EVERY_MS);
                self.clean_up().await;
            }
        };
        cancel.run_until_cancelled(looking).await;
    }

    /// Removes everything whose time is over now. A part that cannot be done now is done at the
    /// next look.
    async fn clean_up(&self) {
        self.tell_of_wall_clock();
        let mut parts = vec![("removed organisations", self.finish_removals().await)];
        if self.believes_hour().await {
            parts.extend(self.clean_up_old(self.now()).await);
        } else {
            self.count().retention_refused.add();
            tracing::warn!("nothing is deleted for its age: the hour may be wrong");
        }
        parts.push(("unnamed media", self.media_library().collect().await));
        for (what, end) in parts {
            if let Err(error) = end {
                tracing::warn!(%error, what, "what is past its time stays for now");
                self.note_store_error(&error);
            }
        }
    }

    async fn clean_up_old(&self, now: Timestamp) -> Vec<(&'static str, StoreResult<()>)> {
        let oldest = now.plus_ms(-idempotency::KEPT_MS);
        let forgotten = self.store().forget_idempotency(oldest).await.map(drop);
        let orgs = self.directory().orgs();
        let with_messages = self.clean_up_keys(&orgs, now).await;
        // Keys go before the messages that they stand for.
        let may_messages_go = with_messages.is_ok();
        let mut parts = vec![("idempotency keys", forgotten), ("messages' keys", with_messages)];
        for org in orgs {
            if may_messages_go && let Some(before) = messages_before(&org, now) {
                parts.push(("messages", self.clean_up_messages(&org.id, before).await));
            }
            let before = now.plus_ms(-kept_ms(org.media_retention_days));
            parts.push(("media", self.clean_up_media(&org.id, before).await));
        }
        parts.push(("media", self.media_library().remove_expired().await));
        parts.push(("events", self.prune_events().await));
        parts.push(("unmatched", self.clean_up_unmatched(now).await));
        parts
    }

    /// Removes an organisation: nobody acts for it any more when this returns. What it leaves is
    /// deleted in steps, and beyond a few seconds in the background. `false` where there was none. Runs
    /// to its end even if the caller goes away.
    ///
    /// # Errors
    /// What the store says.
    pub async fn remove_org(&self, id: &OrgId) -> Result<bool, Failure> {
        let (engine, id) = (self.clone(), id.clone());
        let remove = async move {
            if !engine.directory().remove(EntryKey::Org(id)).await? {
                return Ok(false);
            }
            match tokio::time::timeout(REMOVAL_WAIT, engine.finish_removals()).await {
                Ok(end) => end?,
                Err(_) => engine.org_removed().notify_one(),
            }
            Ok(true)
        };
        self.detached(remove).await
    }

    /// Deletes what removed organisations left.
    pub(crate) async fn finish_removals(&self) -> StoreResult<()> {
        let mut any = false;
        while self.store().prune_removed_orgs().await? {
            any = true;
            rest().await;
        }
        if any {
            // Its messages may have stood before others' on a number that they shared.
            self.lanes().wake_all();
        }
        Ok(())
    }

    /// The keys of all organisations in one walk: they lie one after the other, whosever they are.
    async fn clean_up_keys(&self, orgs: &[Arc<Org>], now: Timestamp) -> StoreResult<()> {
        let before = |org: &Arc<Org>| Some((org.id.clone(), messages_before(org, now)?));
        let before: HashMap<OrgId, Timestamp> = orgs.iter().filter_map(before).collect();
        if before.is_empty() {
            return Ok(());
        }
        let (before, mut after) = (Arc::new(before), Some(0));
        while let Some(place) = after {
            after = self.store().prune_keys(&before, place).await?.next;
            rest().await;
        }
        Ok(())
    }

    async fn clean_up_messages(&self, org_id: &OrgId, before: Timestamp) -> StoreResult<()> {
        let store = self.store();
        let (mut after, mut deleted) = (Some(0), 0);
        while let Some(place) = after {
            let pruned = store.prune_messages(org_id, before, place).await?;
            self.count().messages_deleted.add_many(usize::try_from(pruned.deleted).unwrap_or(0));
            deleted += pruned.deleted;
            after = pruned.next;
            rest().await;
        }
        while store.prune_events_of(org_id, before).await? > 0 {
            rest().await;
        }
        while store.prune_broadcasts(org_id, before).await? > 0 {
            rest().await;
        }
        if deleted > 0 {
            tracing::info!(org = %org_id, deleted, "messages past their retention");
        }
        Ok(())
    }

    /// Also files that were stored when the organisation kept them for longer.
    async fn clean_up_media(&self, org_id: &OrgId, before: Timestamp) -> StoreResult<()> {
        loop {
            let old = self.store().media_stored_before(org_id, before, MEDIA_AT_ONCE).await?;
            if old.is_empty() {
                return Ok(());
            }
            for id in old {
                self.media_library().delete_stored(org_id, &id).await?;
            }
            rest().await;
        }
    }

    async fn clean_up_unmatched(&self, now: Timestamp) -> StoreResult<()> {
        let (store, oldest) = (self.store(), now.plus_ms(-UNMATCHED_KEPT_MS));
        while store.prune_parked_reports(oldest).await? > 0 {
            rest().await;
        }
        while store.prune_kept_webhooks(oldest).await? > 0 {
            rest().await;
        }
        while store.prune_upstream_copies(now).await? > 0 {
            rest().await;
        }
        Ok(())
    }
}

fn kept_ms(days: u32) -> i64 {
    i64::from(days) * DAY_MS
}

/// Messages of an organisation that were accepted before then go; `None`: all stay.
fn messages_before(org: &Org, now: Timestamp) -> Option<Timestamp> {
    org.message_retention_days.map(|days| now.plus_ms(-kept_ms(days)))
}

/// A rest between two steps.
pub(crate) async fn rest() {
    tokio::time::sleep(REST).await;
}
