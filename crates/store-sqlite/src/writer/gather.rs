//! Waiting for company: while much is written, a job that nobody waits for may wait a little for
//! others. A commit costs a sync and each page that it touched, however many jobs touched it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{GROUP_JOBS, Waiting};

/// How long the first of a group may wait for others: less than what counts as falling behind.
const LONGEST: Duration = Duration::from_millis(15);
/// Jobs in the group before that say that others will come.
const BUSY_JOBS: usize = 4;

/// Whether the writer waits for company, so that who is in a hurry can end that.
#[derive(Default)]
pub(super) struct Gathering(AtomicBool);

impl Gathering {
    /// Somebody in a hurry has come.
    pub(super) fn end(&self, writer: &Thread) {
        if self.0.load(Ordering::SeqCst) {
            writer.unpark();
        }
    }

    /// Adds to a group that nobody waits for what comes within a while. `before` is how many were in
    /// the group before.
    pub(super) fn gather(
        &self,
        waiting: &mut mpsc::Receiver<Waiting>,
        group: &mut Vec<Waiting>,
        before: usize,
    ) {
        let Some(first) = group.first() else { return };
        let until = first.since + LONGEST;
        if before < BUSY_JOBS || group.iter().any(|one| one.is_hurried) {
            return;
        }
        self.0.store(true, Ordering::SeqCst);
        // A stale token may end a nap early; what is waited for is looked at each time.
        let mut is_hurried = false;
        loop {
            while group.len() < GROUP_JOBS
                && let Ok(one) = waiting.try_recv()
            {
                is_hurried |= one.is_hurried;
                group.push(one);
            }
            let left = until.saturating_duration_since(Instant::now());
            if is_hurried || left.is_zero() || group.len() >= GROUP_JOBS || waiting.is_closed() {
                break;
            }
            thread::park_timeout(left);
        }
        self.0.store(false, Ordering::SeqCst);
    }
}
