//! Waiting for company: a commit costs a sync and each page that it touched, however many jobs touched
//! it. Two kinds of waiting: while much is written, a job that nobody waits for may wait a little for
//! others; and where a sync takes long, a group waits a part of that for as many as came last time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{GROUP_JOBS, Waiting};

/// How long the first of a group may wait for others: less than what counts as falling behind.
const LONGEST: Duration = Duration::from_millis(15);
/// Jobs in the group before that say that others will come.
const BUSY_JOBS: usize = 4;
/// What a commit must take for it to be worth a wait: on a fast disk nobody's wait pays.
const SLOW_COMMIT: Duration = Duration::from_millis(1);
/// The part of a commit's time that a group waits for others, at most.
const COMMIT_PART: u32 = 4;
/// And at most so long.
const LONGEST_FOR_REGULARS: Duration = Duration::from_millis(4);
/// Jobs that are enough for one sync: for more nobody waits.
const ENOUGH_JOBS: usize = 64;
/// How often it is looked who has come.
const NAP: Duration = Duration::from_micros(100);

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

/// Who comes again: callers that were answered by one commit ask for the next at about the same time.
/// The first of them must not have a sync for itself, with all others waiting for its end.
#[derive(Default)]
pub(super) struct Regulars {
    /// Jobs in the last two groups.
    lately: [usize; 2],
    /// What the last commit took.
    commit: Duration,
}

impl Regulars {
    /// A group was committed.
    pub(super) fn note(&mut self, jobs: usize, commit: Duration) {
        self.lately = [jobs, self.lately[0]];
        self.commit = commit;
    }

    /// Adds to a group those that come soon, until there are as many as lately.
    pub(super) fn gather(&self, waiting: &mut mpsc::Receiver<Waiting>, group: &mut Vec<Waiting>) {
        let until = Instant::now() + self.patience();
        while group.len() < self.expected() {
            if let Ok(one) = waiting.try_recv() {
                group.push(one);
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || waiting.is_closed() {
                break;
            }
            thread::sleep(left.min(NAP));
        }
    }

    fn expected(&self) -> usize {
        self.lately[0].max(self.lately[1]).min(ENOUGH_JOBS)
    }

    fn patience(&self) -> Duration {
        if self.commit < SLOW_COMMIT {
            return Duration::ZERO;
        }
        (self.commit / COMMIT_PART).min(LONGEST_FOR_REGULARS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_waits_for_a_part_of_a_slow_commit() {
        for (commit_us, patience_us) in
            [(0, 0), (100, 0), (999, 0), (1_000, 250), (10_000, 2_500), (80_000, 4_000)]
        {
            let mut regulars = Regulars::default();
            regulars.note(1, Duration::from_micros(commit_us));
            assert_eq!(regulars.patience(), Duration::from_micros(patience_us), "{commit_us}");
        }
    }

    #[test]
    fn as_many_are_expected_as_came_lately() {
        let mut regulars = Regulars::default();
        let mut expected = Vec::new();
        for jobs in [1, 60, 3, 5, 2, 200] {
            regulars.note(jobs, Duration::ZERO);
            expected.push(regulars.expected());
        }
        assert_eq!(expected, [1, 60, 60, 5, 5, ENOUGH_JOBS]);
    }
}
