//! Attempts of the due queue that are under way: nobody waits for their end, so it may be written
//! together with others.

use std::collections::HashSet;

use parking_lot::Mutex;
use waypost_domain::AttemptId;

use crate::writer::Work;

/// Attempts that are remembered; beyond, all are forgotten, and their ends are in a hurry.
const MAX_REMEMBERED: usize = 65_536;

/// The attempts under way.
#[derive(Default)]
pub(crate) struct QueuedAttempts(Mutex<HashSet<AttemptId>>);

impl QueuedAttempts {
    /// One begins.
    pub(super) fn begin(&self, id: AttemptId) {
        let mut known = self.0.lock();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(id);
    }

    /// One ends; says how soon that must be written.
    pub(super) fn end(&self, id: AttemptId) -> Work {
        if self.0.lock().remove(&id) { Work::Unhurried } else { Work::Known }
    }
}
