//! Gives every target with something due a worker, as long as there are not too many of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waypost_domain::{OrgId, Timestamp};
use waypost_planted::Bug;

use super::worker::{Posts, Worker};
use crate::Engine;
use crate::panics::{BUG, caught};
use crate::ports::{CallbackTarget, StoreResult};

/// Targets that are worked for at the same time.
const MAX_WORKERS: usize = 1_024;
/// Of these, targets of one organisation. No more of its targets are looked at together.
const MAX_WORKERS_PER_ORG: u32 = 128;
/// Calls in flight in all.
const MAX_POSTS: usize = 512;
/// Of these, calls for one organisation: if all its receivers hang, others still get theirs.
const MAX_POSTS_PER_ORG: usize = 64;
/// Targets looked at together: more than can be worked for, whosever they are.
const TARGETS: u32 = 4_096;
/// Pause before a target's work that met a panic begins anew.
const PANIC_PAUSE: Duration = Duration::from_secs(60);
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The targets that have a worker.
#[derive(Default)]
struct Roster {
    wakes: HashMap<i64, (OrgId, Arc<Notify>)>,
    per_org: HashMap<OrgId, Share>,
}

/// What one organisation has of the workers, and its room for calls.
struct Share {
    workers: u32,
    posts: Arc<Semaphore>,
}

impl Default for Share {
    fn default() -> Self {
        let all = waypost_planted::is_planted(Bug::NoTenantShare);
        let posts = if all { MAX_POSTS } else { MAX_POSTS_PER_ORG };
        Self { workers: 0, posts: Arc::new(Semaphore::new(posts)) }
    }
}

impl Roster {
    /// Wakes the target's worker; `false` where it has none.
    fn wake(&self, target: i64) -> bool {
        let Some((_, wake)) = self.wakes.get(&target) else { return false };
        wake.notify_one();
        true
    }

    /// Room for a worker of this organisation, and the organisation's room for calls.
    fn enter(&mut self, target: &CallbackTarget) -> Option<(Arc<Notify>, Arc<Semaphore>)> {
        let org = &target.name.org_id;
        let of_org = self.per_org.get(org).map_or(0, |share| share.workers);
        if self.wakes.len() >= MAX_WORKERS || of_org >= MAX_WORKERS_PER_ORG {
            return None;
        }
        let wake = Arc::new(Notify::new());
        self.wakes.insert(target.place, (org.clone(), Arc::clone(&wake)));
        let share = self.per_org.entry(org.clone()).or_default();
        share.workers += 1;
        Some((wake, Arc::clone(&share.posts)))
    }

    fn leave(&mut self, target: i64) {
        let Some((org, _)) = self.wakes.remove(&target) else { return };
        if let Some(share) = self.per_org.get_mut(&org) {
            share.workers -= 1;
            if share.workers == 0 {
                self.per_org.remove(&org);
            }
        }
    }
}

impl Engine {
    /// Makes callbacks until it is cancelled; then waits a little for those in flight.
    pub(crate) async fn deliver_callbacks(self, cancel: CancellationToken) {
        let mut workers: JoinSet<i64> = JoinSet::new();
        let mut roster = Roster::default();
        let posts = Arc::new(Semaphore::new(MAX_POSTS));
        while !cancel.is_cancelled() {
            let engaging = self.engage(&mut roster, &mut workers, &posts, &cancel);
            let Some(next) = cancel.run_until_cancelled(engaging).await else { break };
            let pause = async {
                match &next {
                    Ok(Some(next)) => self.clock().sleep_until(next.0).await,
                    Ok(None) => std::future::pending().await,
                    Err(_) => tokio::time::sleep(STORE_PAUSE).await,
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => {}
                Some(Ok(target)) = workers.join_next() => roster.leave(target),
                () = pause => {}
                () = self.callbacks().due.notified() => {}
            }
            while let Some(Ok(target)) = workers.try_join_next() {
                roster.leave(target);
            }
        }
        while workers.join_next().await.is_some() {}
    }

    /// Wakes or engages a worker for each target with something due. Returns when the next target
    /// has.
    async fn engage(
        &self,
        roster: &mut Roster,
        workers: &mut JoinSet<i64>,
        posts: &Arc<Semaphore>,
        cancel: &CancellationToken,
    ) -> StoreResult<Option<Timestamp>> {
        let (targets, next) = self.targets_to_work_for().await?;
        for target in targets {
            if roster.wake(target.place) {
                continue;
            }
            if let Some((wake, of_org)) = roster.enter(&target) {
                let posts = Posts { of_org, all: Arc::clone(posts) };
                let (place, cancel) = (target.place, cancel.clone());
                let work = Worker::new(self.clone(), target, wake, posts).run(cancel.clone());
                workers.spawn(async move {
                    if caught(work).await.is_none() {
                        tracing::error!(callback_target = place, "a callback worker met {BUG}");
                        cancel.run_until_cancelled(tokio::time::sleep(PANIC_PAUSE)).await;
                    }
                    place
                });
            }
        }
        Ok(next)
    }

    /// Targets with something due that may be asked now, and when to look again. Those that may not
    /// are passed over: being the longest due, they would hide all others.
    async fn targets_to_work_for(&self) -> StoreResult<(Vec<CallbackTarget>, Option<Timestamp>)> {
        let now = self.now();
        let (resting, first_ends) = self.callbacks().breakers.resting(now);
        let due = self.store().due_targets(now, resting, MAX_WORKERS_PER_ORG, TARGETS).await;
        let (targets, next) = due.inspect_err(|error| {
            tracing::error!(%error, "callbacks");
            self.note_store_error(error);
        })?;
        Ok((targets, next.into_iter().chain(first_ends).min()))
    }
}
