//! Attempts under way, kept in memory between their intent and their end: where their message's row
//! is, so that nothing is looked up for the end that nearly all have, and how soon that end must be
//! written. Nothing depends on it: an end that is not found here reads the row.

use std::collections::HashMap;

use parking_lot::Mutex;
use waypost_domain::AttemptId;

use crate::writer::Work;

/// Attempts that are remembered; beyond, all are forgotten, and their ends are in a hurry.
const MAX_REMEMBERED: usize = 65_536;

/// The row of a message that is being attempted, and what does not change in it meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempted {
    pub(crate) seq: i64,
    pub(crate) org: i64,
    pub(crate) number: i64,
    pub(crate) has_options: bool,
    /// Nobody waits for its end, so that may be written together with others.
    pub(super) is_queued: bool,
}

/// The attempts under way.
#[derive(Default)]
pub(crate) struct UnderWay(Mutex<HashMap<AttemptId, Attempted>>);

impl UnderWay {
    /// One begins. A job that is undone leaves it here, and its end then matches no row.
    pub(super) fn begin(&self, id: AttemptId, attempted: Attempted) {
        let mut known = self.0.lock();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(id, attempted);
    }

    /// One ends.
    pub(super) fn end(&self, id: AttemptId) -> Option<Attempted> {
        self.0.lock().remove(&id)
    }
}

impl Attempted {
    /// How soon its end must be written.
    pub(super) const fn urgency(attempted: Option<&Self>) -> Work {
        match attempted {
            Some(Self { is_queued: true, .. }) => Work::Unhurried,
            _ => Work::Known,
        }
    }
}
