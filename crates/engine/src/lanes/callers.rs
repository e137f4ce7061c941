//! The first turn of a message whose caller waits for the answer. It stands in no queue, and yet
//! behind what was queued before for the same person, unless it is more urgent.

use std::time::Duration;

use tokio::time::Instant;
use waypost_domain::place::Place;
use waypost_domain::{Failure, Phone, Timestamp};

use super::{
    BUSY_ORDER, BUSY_PAIR, Lane, MAX_PACING_WAIT, Pacing, busy, count, microseconds, milliseconds,
};
use crate::Engine;
use crate::outages::Leave;
use crate::ports::StoreResult;

/// How often it is looked whether what stands before a caller has begun.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Engine {
    /// Waits until what stands before the message has begun, and then for the number's and the
    /// person's next turn.
    ///
    /// # Errors
    /// [`waypost_domain::ErrorKind::RateLimited`] where the turn is more than five seconds away, at
    /// once where that can be told. What the store says.
    pub(crate) async fn first_turn(
        &self,
        lane: &Lane,
        phone: &Phone,
        place: Place,
    ) -> Result<(), Failure> {
        let came = Instant::now();
        loop {
            let standing = self.standing_before(lane, phone, place).await?;
            let left = MAX_PACING_WAIT.saturating_sub(came.elapsed());
            let wait = lane.wait_behind(phone, place, standing, self.now());
            if wait > left || (standing > 0 && left.is_zero()) {
                count(&lane.counts.refused, 1);
                return Err(busy(if standing > 0 { BUSY_ORDER } else { BUSY_PAIR }, wait));
            }
            if standing == 0 {
                return lane.turn_within(phone, self.now(), left).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How many messages to a person must begin before. While the upstream is in trouble the queue
    /// is not drained at a pace, and nobody is let wait for it; nor for bulk that is held back.
    async fn standing_before(&self, lane: &Lane, phone: &Phone, place: Place) -> StoreResult<u64> {
        let now = self.now();
        let is_drained = lane.is_drained() && !lane.has_parked(phone);
        let leave = self.outages().leave(&lane.number_id, now);
        let is_held = place.is_bulk() && lane.guards.bulk_held_until(now).is_some();
        if is_drained || is_held || !matches!(leave, Leave::Any | Leave::Fresh(_)) {
            return Ok(0);
        }
        self.store().standing_before(&lane.number_id, phone, place, now).await
    }
}

impl Lane {
    /// Whether something to a person waited for a later time, not long ago.
    fn has_parked(&self, phone: &Phone) -> bool {
        let pacing = self.pacing.lock();
        pacing.pairs.has_parked(pacing.pairs.person(phone))
    }

    /// How long somebody waits at least behind so many to the same person, and behind those who
    /// wait for a later time.
    fn wait_behind(&self, phone: &Phone, place: Place, standing: u64, now: Timestamp) -> Duration {
        let mut pacing = self.pacing.lock();
        let Pacing { number, pairs } = &mut *pacing;
        let now_us = self.now_us();
        let rate = i64::from(number.present_per_s(now_us).max(1));
        let standing = i64::try_from(standing).unwrap_or(i64::MAX);
        // The next start of the number is that of the first of them.
        let others_us = standing.saturating_sub(1).saturating_mul(1_000_000 / rate);
        let of_number = microseconds(number.wait_us(now_us).saturating_add(others_us));
        let person = pairs.person(phone);
        let of_person = pairs.wait_behind_ms(person, place, standing, now.0);
        milliseconds(of_person).max(if standing > 0 { of_number } else { Duration::ZERO })
    }
}
