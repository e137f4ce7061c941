//! Many sequences on all processors: the first seed that violates a rule ends it.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::Violation;
use crate::plan::Plan;
use crate::play::{Counts, Stage};
use crate::trace::digest_of;

/// What a campaign came to.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// How much was played.
    pub counts: Counts,
    /// The lowest seed that violates a rule, with what it violates.
    pub failed: Option<(u64, Vec<Violation>)>,
    /// The digest of all traces, in the order of their seeds.
    pub digest: String,
    /// Of each.
    pub digests: Vec<(u64, String)>,
}

#[derive(Default)]
struct Results {
    counts: Counts,
    failed: Option<(u64, Vec<Violation>)>,
    digests: Vec<(u64, String)>,
}

/// Plays on a stage the plans of `count` seeds from `first` on, on so many threads.
///
/// # Panics
/// Where a thread does.
#[must_use]
pub fn run(
    stage: &Stage,
    plan: fn(u64) -> Plan,
    first: u64,
    count: u64,
    threads: usize,
) -> Campaign {
    let next = AtomicU64::new(first);
    let end = first.saturating_add(count);
    let results = Mutex::new(Results::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let played = stage.play(&plan(seed));
                    let mut results = results.lock();
                    results.counts = results.counts.and(played.counts);
                    results.digests.push((seed, played.trace.digest()));
                    if !played.violations.is_empty() {
                        // Lower seeds are under way at most: no further ones begin.
                        next.store(end, Ordering::Relaxed);
                        let is_lower =
                            results.failed.as_ref().is_none_or(|(failed, _)| seed < *failed);
                        if is_lower {
                            results.failed = Some((seed, played.violations));
                        }
                    }
                }
            });
        }
    });
    let mut results = results.into_inner();
    results.digests.sort_unstable();
    let digest = digest_of(results.digests.iter().map(|(_, digest)| digest.as_str()));
    Campaign { counts: results.counts, failed: results.failed, digest, digests: results.digests }
}
