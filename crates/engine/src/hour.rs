//! Whether the hour is believed by those who delete, or give up, what is too old. The clock goes
//! steadily while the process runs, but it begins with the hour that the machine shows at the start:
//! that one is compared with what happened last, as far as Meta told it.

use std::sync::atomic::{AtomicBool, Ordering};

use waypost_domain::Timestamp;
use waypost_domain::event::EventKind;
use waypost_planted::{Bug, is_planted};

use crate::Engine;
use crate::ports::{LoggedEvent, Store, StoreResult};

/// How much later a start may be than what happened last, in milliseconds: a long weekend. Beyond, the
/// hour may be wrong.
const MAX_QUIET_MS: i64 = 3 * 24 * 3_600 * 1_000;
/// So many of the newest events are looked at for one that Meta told.
const WITNESSES: i64 = 256;
/// From how far on it is logged that the machine's wall clock was set, in milliseconds.
const WORTH_TELLING_MS: i64 = 60_000;

/// Whether the hour is believed.
pub(crate) struct Hour {
    is_believed: AtomicBool,
}

impl Hour {
    /// Judges the hour of a start, before anything is recorded with it.
    pub(crate) async fn at_start(store: &dyn Store, now: Timestamp) -> Self {
        let is_believed = match newest_events(store).await {
            // Nothing has happened yet: nothing can be too old.
            Ok(events) => told_by_meta(&events)
                .or_else(|| events.iter().map(|logged| logged.recorded_at).max())
                .is_none_or(|last| is_plausible(last, now)),
            Err(error) => {
                tracing::warn!(%error, "what happened last cannot be read");
                false
            }
        };
        if !is_believed {
            tracing::warn!(
                now = %now.rfc3339(),
                "the machine's clock is far ahead of what happened last: nothing is deleted for its \
                 age before Meta reports something of this hour"
            );
        }
        Self { is_believed: AtomicBool::new(is_believed) }
    }
}

impl Engine {
    /// Whether what is too old by the present hour may be deleted or given up.
    pub(crate) async fn believes_hour(&self) -> bool {
        let is_believed = &self.hour().is_believed;
        if is_believed.load(Ordering::Acquire) {
            return true;
        }
        let events = match newest_events(&**self.store()).await {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%error, "what happened last cannot be read");
                self.note_store_error(&error);
                return false;
            }
        };
        let now = self.now();
        if told_by_meta(&events).is_some_and(|last| is_plausible(last, now)) {
            tracing::info!("Meta reports something of this hour: it is right");
            is_believed.store(true, Ordering::Release);
            return true;
        }
        false
    }

    /// Tells operators where the machine's wall clock shows another hour than ours.
    pub(crate) fn tell_of_wall_clock(&self) {
        let ahead_ms = self.clock().wall_ahead_ms();
        if ahead_ms.abs() >= WORTH_TELLING_MS {
            tracing::warn!(
                ahead_s = ahead_ms / 1_000,
                "the machine's clock was set: its hour is approached slowly, and shown at once after \
                 a restart"
            );
        }
    }
}

fn is_plausible(last: Timestamp, now: Timestamp) -> bool {
    now.0.saturating_sub(last.0) <= MAX_QUIET_MS || is_planted(Bug::HourBelieved)
}

async fn newest_events(store: &dyn Store) -> StoreResult<Vec<LoggedEvent>> {
    let last = store.last_event().await?;
    let first = last.saturating_sub(WITNESSES - 1).max(1);
    store.events_at((first..=last).collect()).await
}

/// The latest instant that Meta named. Of the others we named the instant ourselves, by a clock that
/// may have been wrong then.
fn told_by_meta(events: &[LoggedEvent]) -> Option<Timestamp> {
    let is_told = |logged: &&LoggedEvent| {
        matches!(
            logged.event.kind,
            EventKind::MessageDelivered | EventKind::MessageRead | EventKind::MessageReceived
        )
    };
    events.iter().filter(is_told).map(|logged| logged.event.at).max()
}
