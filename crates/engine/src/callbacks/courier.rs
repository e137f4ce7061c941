//! Gives every target with something due a worker, as long as there are not too many of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waypost_domain::{OrgId, Timestamp};

use super::worker::Worker;
use crate::Engine;
use crate::ports::{CallbackTarget, StoreResult};

/// Targets that are worked for at the same time.
const MAX_WORKERS: usize = 1_024;
/// Of these, targets of one organisation.
const MAX_WORKERS_PER_ORG: usize = 128;
/// Calls in flight in all.
const MAX_POSTS: usize = 256;
/// Targets looked at together: more than can be worked for.
const TARGETS: u32 = 4_096;
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The targets that have a worker.
#[derive(Default)]
struct Roster {
    wakes: HashMap<i64, (OrgId, Arc<Notify>)>,
    per_org: HashMap<OrgId, usize>,
}

impl Roster {
    /// Wakes the target's worker; `false` where it has none.
    fn wake(&self, target: i64) -> bool {
        let Some((_, wake)) = self.wakes.get(&target) else { return false };
        wake.notify_one();
        true
    }

    /// Room for a worker of this organisation.
    fn enter(&mut self, target: &CallbackTarget) -> Option<Arc<Notify>> {
        let org = &target.name.org_id;
        let of_org = self.per_org.get(org).copied().unwrap_or(0);
        if self.wakes.len() >= MAX_WORKERS || of_org >= MAX_WORKERS_PER_ORG {
            return None;
        }
        let wake = Arc::new(Notify::new());
        self.wakes.insert(target.place, (org.clone(), Arc::clone(&wake)));
        self.per_org.insert(org.clone(), of_org + 1);
        Some(wake)
    }

    fn leave(&mut self, target: i64) {
        let Some((org, _)) = self.wakes.remove(&target) else { return };
        if let Some(of_org) = self.per_org.get_mut(&org) {
            *of_org -= 1;
            if *of_org == 0 {
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
            let next = tokio::select! {
                () = cancel.cancelled() => break,
                next = self.engage(&mut roster, &mut workers, &posts, &cancel) => next,
            };
            let pause = async {
                match &next {
                    Ok(Some(next)) => self.clock().sleep_until(next.0).await,
                    Ok(None) => std::future::pending().await,
                    Err(_) => tokio::time::sleep(STORE_PAUSE).await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => {}
                () = pause => {}
                () = self.callbacks().due.notified() => {}
                Some(ended) = workers.join_next() => note_end(&mut roster, ended),
            }
            while let Some(ended) = workers.try_join_next() {
                note_end(&mut roster, ended);
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
        let due = self.store().due_targets(self.now(), TARGETS).await;
        let (targets, next) = due.inspect_err(|error| {
            tracing::error!(%error, "callbacks");
            self.note_store_error(error);
        })?;
        for target in targets {
            if roster.wake(target.place) {
                continue;
            }
            if let Some(wake) = roster.enter(&target) {
                let (engine, posts) = (self.clone(), Arc::clone(posts));
                workers.spawn(Worker::new(engine, target, wake, posts).run(cancel.clone()));
            }
        }
        Ok(next)
    }
}

fn note_end(roster: &mut Roster, ended: Result<i64, tokio::task::JoinError>) {
    match ended {
        Ok(target) => roster.leave(target),
        // Its target stays in the roster: what made it fail would make the next one fail too.
        Err(error) => tracing::error!(%error, "a callback worker ended unexpectedly"),
    }
}
