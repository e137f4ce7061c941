//! How a number's pace stands, for operators.

use std::sync::atomic::Ordering;

use waypost_domain::{NumberId, Timestamp};

use super::{Lane, Lanes};
use crate::Engine;
use crate::outages::Outage;

/// How a number's pace stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacingView {
    /// The number.
    pub number_id: NumberId,
    /// Starts a second as configured.
    pub configured_per_s: u32,
    /// Starts a second at present: fewer after the upstream said that the number is too fast.
    pub present_per_s: u32,
    /// For how long nothing starts, in milliseconds; 0: the next start is due.
    pub paused_ms: u64,
    /// Calls to the upstream under way for queued messages.
    pub in_flight: u64,
    /// People whose pace is remembered.
    pub people: u64,
    /// Until when bulk is kept back, because so many people were written to outside of windows as
    /// the number's messaging limit allows, or because the upstream said so.
    pub bulk_held_until: Option<Timestamp>,
    /// People who were written to outside of windows in the last 24 hours, where there is a limit.
    pub people_of_the_day: Option<u64>,
    /// That limit.
    pub daily_limit: Option<u32>,
    /// People who get no marketing before their cap ends.
    pub capped_people: u64,
    /// Messages that were put off since the start: by the pace to their person, or a guard.
    pub postponed: u64,
    /// Callers who were told the rate error since the start.
    pub refused: u64,
    /// Times that the upstream said that the number is too fast, since the start.
    pub too_fast: u64,
    /// Times that it said so of one person, since the start.
    pub pair_too_fast: u64,
    /// The outage, where the queue is only probed.
    pub outage: Option<Outage>,
}

impl Engine {
    /// How the pace of each number stands that has sent or queued something since the start, by id.
    #[must_use]
    pub fn pacing(&self) -> Vec<PacingView> {
        let now = self.now();
        let mut views = self.lanes().each(|lane| self.pacing_view(lane, now));
        views.sort_by(|one, other| one.number_id.cmp(&other.number_id));
        views
    }

    /// How the pace of one number stands.
    #[must_use]
    pub fn pacing_of(&self, number_id: &NumberId) -> Option<PacingView> {
        let lane = self.lanes().known(number_id)?;
        Some(self.pacing_view(&lane, self.now()))
    }

    fn pacing_view(&self, lane: &Lane, now: Timestamp) -> PacingView {
        PacingView { outage: self.outage(&lane.number_id), ..lane.view(now) }
    }
}

impl Lanes {
    fn each<T>(&self, what: impl Fn(&Lane) -> T) -> Vec<T> {
        self.lanes.lock().values().map(|lane| what(lane)).collect()
    }
}

impl Lane {
    fn view(&self, now: Timestamp) -> PacingView {
        let now_us = self.now_us();
        let mut pacing = self.pacing.lock();
        let configured_per_s = pacing.number.configured_per_s();
        let present_per_s = pacing.number.present_per_s(now_us);
        let paused_us = pacing.number.wait_us(now_us);
        let people = pacing.pairs.len() as u64;
        drop(pacing);
        let guards = self.guards.view(now);
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        PacingView {
            number_id: self.number_id.clone(),
            configured_per_s,
            present_per_s,
            paused_ms: u64::try_from(paused_us / 1_000).unwrap_or(0),
            in_flight: self.slots.taken() as u64,
            people,
            bulk_held_until: guards.bulk_held_until,
            people_of_the_day: guards.people_of_the_day,
            daily_limit: guards.daily_limit,
            capped_people: guards.capped_people,
            postponed: of(&self.counts.postponed),
            refused: of(&self.counts.refused),
            too_fast: of(&self.counts.too_fast),
            pair_too_fast: of(&self.counts.pair_too_fast),
            outage: None,
        }
    }
}
