//! The turns of messages whose callers wait for the answer. They stand in no queue, and yet behind
//! what was queued before for the same person, unless they are more urgent; and for the number's
//! next start they stand with whoever else waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use waypost_domain::place::Place;
use waypost_domain::{ErrorKind, Failure, OrgId, Phone, Timestamp};

use super::turns::Given;
use super::{Lane, MAX_PACING_WAIT, Pacing, count, microseconds, milliseconds};
use crate::Engine;
use crate::outages::Leave;
use crate::ports::StoreResult;

/// How often it is looked whether what stands before a caller has begun.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const BUSY_BULK: &str = "The sender number may send no more marketing today, or WhatsApp holds it back; try again later.";
const BUSY_NUMBER: &str = "The sender number is at its pace limit; try again later.";
const BUSY_ORDER: &str =
    "Earlier messages from the sender number to this person still wait; try again later.";
const BUSY_PAIR: &str = "This person gets messages from the sender number faster than WhatsApp allows; try again later.";

/// Somebody who waits for a start: for whom, to whom, and how urgent it is.
#[derive(Clone, Copy)]
pub(crate) struct Applicant<'a> {
    pub(crate) org_id: &'a OrgId,
    pub(crate) phone: &'a Phone,
    pub(crate) place: Place,
}

impl Engine {
    /// Waits until what stands before the message has begun, and then for the number's and the
    /// person's next turn.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`] where the turn is more than five seconds away, at once where that
    /// can be told. What the store says.
    pub(crate) async fn first_turn(
        &self,
        lane: &Arc<Lane>,
        applicant: Applicant<'_>,
    ) -> Result<(), Failure> {
        let Applicant { phone, place, .. } = applicant;
        let came = Instant::now();
        loop {
            lane.check_bulk(place, self.now())?;
            let standing = self.standing_before(lane, phone, place).await?;
            let left = MAX_PACING_WAIT.saturating_sub(came.elapsed());
            let wait = lane.wait_behind(phone, place, standing, self.now());
            if wait > left || (standing > 0 && left.is_zero()) {
                count(&lane.counts.refused, 1);
                return Err(busy(if standing > 0 { BUSY_ORDER } else { BUSY_PAIR }, wait));
            }
            if standing == 0 {
                return lane.turn_within(applicant, self.now(), left).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How many messages to a person must begin before. While the upstream is in trouble the queue
    /// is not drained at a pace, and nobody is let wait for it.
    async fn standing_before(&self, lane: &Lane, phone: &Phone, place: Place) -> StoreResult<u64> {
        let now = self.now();
        let is_drained = lane.is_drained() && !lane.has_parked(phone);
        let leave = self.outages().leave(&lane.number_id, now);
        if is_drained || !matches!(leave, Leave::Any | Leave::Fresh(_)) {
            return Ok(0);
        }
        self.store().standing_before(&lane.number_id, phone, place, now).await
    }
}

/// What a caller waits for.
struct Wait {
    of_person: Duration,
    /// Nothing where a start of the number was free.
    of_number: Option<Given>,
}

impl Lane {
    /// Waits for the number's and the person's next turn, for a caller who waits for the answer.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`] at once where the turn is more than five seconds away; after five
    /// seconds where others went before.
    pub(crate) async fn turn(
        self: &Arc<Self>,
        applicant: Applicant<'_>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.check_bulk(applicant.place, now)?;
        self.turn_within(applicant, now, MAX_PACING_WAIT).await
    }

    /// [`Lane::turn`], for one who has less patience left and is not held back.
    async fn turn_within(
        self: &Arc<Self>,
        applicant: Applicant<'_>,
        now: Timestamp,
        patience: Duration,
    ) -> Result<(), Failure> {
        let came = Instant::now();
        let start = self.start_within(applicant, now, patience).await;
        let of_person = start.inspect_err(|_| count(&self.counts.refused, 1))?;
        tokio::time::sleep(of_person.saturating_sub(came.elapsed())).await;
        Ok(())
    }

    /// Waits for a start of the number. Gives what the person must be waited for, counted from now.
    async fn start_within(
        self: &Arc<Self>,
        applicant: Applicant<'_>,
        now: Timestamp,
        patience: Duration,
    ) -> Result<Duration, Failure> {
        let Wait { of_person, of_number } = self.apply(applicant, now, patience)?;
        if let Some(given) = of_number {
            let given = timeout(patience, given).await;
            // Nobody drops it before it is given.
            let _ = given.map_err(|_| busy(BUSY_NUMBER, patience))?;
        }
        Ok(of_person)
    }

    /// Takes the next start where it is free; else stands with those who wait.
    fn apply(
        self: &Arc<Self>,
        applicant: Applicant<'_>,
        now: Timestamp,
        patience: Duration,
    ) -> Result<Wait, Failure> {
        let Applicant { org_id, phone, place } = applicant;
        let mut pacing = self.pacing.lock();
        let Pacing { number, pairs, turns } = &mut *pacing;
        let now_us = self.now_us();
        let person = pairs.person(phone);
        let of_person = milliseconds(pairs.wait_ms(person, now.0));
        if of_person > patience {
            return Err(busy(BUSY_PAIR, of_person));
        }
        let ahead = turns.ahead_of(place, org_id);
        let of_number = microseconds(number.wait_behind_us(now_us, ahead));
        if of_number > patience {
            return Err(busy(BUSY_NUMBER, of_number));
        }
        pairs.take(person, now.0);
        if of_number.is_zero() && turns.is_empty() {
            number.take(now_us);
            return Ok(Wait { of_person, of_number: None });
        }
        self.see_that_turns_are_given(turns);
        Ok(Wait { of_person, of_number: Some(turns.enter(place, org_id)) })
    }

    /// Bulk that is held back is told so: it would not go within five seconds.
    fn check_bulk(&self, place: Place, now: Timestamp) -> Result<(), Failure> {
        if !place.is_bulk() {
            return Ok(());
        }
        let Some(until) = self.guards.bulk_held_until(now) else { return Ok(()) };
        count(&self.counts.refused, 1);
        Err(busy(BUSY_BULK, milliseconds(until.0.saturating_sub(now.0))))
    }

    /// Whether something to a person waited for a later time, not long ago.
    fn has_parked(&self, phone: &Phone) -> bool {
        let pacing = self.pacing.lock();
        pacing.pairs.has_parked(pacing.pairs.person(phone))
    }

    /// How long somebody waits at least behind so many to the same person, and behind those who
    /// wait for a later time.
    fn wait_behind(&self, phone: &Phone, place: Place, standing: u64, now: Timestamp) -> Duration {
        let mut pacing = self.pacing.lock();
        let Pacing { number, pairs, .. } = &mut *pacing;
        let now_us = self.now_us();
        let person = pairs.person(phone);
        let of_person = milliseconds(pairs.wait_behind_ms(person, place, standing, now.0));
        // The next start of the number is that of the first of them.
        let Some(others) = standing.checked_sub(1) else { return of_person };
        of_person.max(microseconds(number.wait_behind_us(now_us, others)))
    }
}

fn busy(message: &str, wait: Duration) -> Failure {
    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    Failure::new(ErrorKind::RateLimited, message).retry_after_s(seconds)
}

#[cfg(test)]
mod tests {
    use waypost_domain::NumberId;

    use super::super::Lanes;
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000_000);

    fn lane(rate_per_s: u32) -> Arc<Lane> {
        Lanes::default().lane(&NumberId::new("n-1"), rate_per_s).0
    }

    /// Waits for a turn to somebody, for an organisation.
    async fn turn(
        lane: &Arc<Lane>,
        org: &str,
        person: u32,
        place: Place,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let phone = Phone::parse(&format!("1555{person:07}")).unwrap();
        let org_id = OrgId::new(org);
        lane.turn(Applicant { org_id: &org_id, phone: &phone, place }, now).await
    }

    /// Callers of one organisation who come one after another and wait.
    async fn crowd(lane: &Arc<Lane>, org: &'static str, callers: u32, place: Place) {
        for person in 0..callers {
            let lane = Arc::clone(lane);
            tokio::spawn(async move { turn(&lane, org, person, place, NOON).await });
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_synchronous_caller_is_told_the_rate_error_beyond_five_seconds() {
        let lane = lane(10);
        crowd(&lane, "a", 51, Place::BULK).await;
        let failure = turn(&lane, "a", 99, Place::BULK, NOON).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::RateLimited);
        assert_eq!(failure.retry_after_s, Some(6));
    }

    #[tokio::test(start_paused = true)]
    async fn who_shares_the_number_gets_a_turn_however_many_callers_another_has() {
        let lane = lane(10);
        crowd(&lane, "a", 60, Place::BULK).await;
        let before = Instant::now();
        turn(&lane, "b", 99, Place::BULK, NOON).await.unwrap();
        assert!(before.elapsed() <= Duration::from_millis(210), "{:?}", before.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_urgent_has_the_next_turn() {
        let lane = lane(10);
        crowd(&lane, "a", 60, Place::BULK).await;
        let before = Instant::now();
        turn(&lane, "a", 99, Place::FIRST, NOON).await.unwrap();
        assert!(before.elapsed() <= Duration::from_millis(110), "{:?}", before.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn callers_do_not_keep_the_queue_from_its_turn() {
        let lane = lane(10);
        crowd(&lane, "a", 60, Place::BULK).await;
        let before = Instant::now();
        lane.any_turn(Place::FIRST).await;
        assert!(before.elapsed() <= Duration::from_millis(110), "{:?}", before.elapsed());
        lane.any_turn(Place::BULK).await;
        lane.any_turn(Place::BULK).await;
        assert!(before.elapsed() <= Duration::from_millis(610), "{:?}", before.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_is_kept_while_callers_wait() {
        let lane = lane(50);
        let before = Instant::now();
        crowd(&lane, "a", 100, Place::BULK).await;
        turn(&lane, "a", 200, Place::BULK, NOON).await.unwrap();
        // Five at once, then one every 20 ms.
        assert_eq!(before.elapsed().as_millis(), (101 - 5) * 20);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_after_a_time_without_callers_gets_a_turn() {
        let lane = lane(10);
        for _ in 0..2 {
            crowd(&lane, "a", 10, Place::BULK).await;
            turn(&lane, "a", 99, Place::BULK, NOON).await.unwrap();
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_synchronous_caller_is_told_the_rate_error_of_one_person_alone() {
        let lane = lane(1_000);
        for _ in 0..45 {
            turn(&lane, "a", 1, Place::FIRST, NOON).await.unwrap();
        }
        let failure = turn(&lane, "a", 1, Place::FIRST, NOON).await.unwrap_err();
        assert_eq!((failure.kind, failure.retry_after_s), (ErrorKind::RateLimited, Some(7)));
        turn(&lane, "a", 2, Place::FIRST, NOON).await.unwrap();
        let before = Instant::now();
        turn(&lane, "a", 1, Place::FIRST, NOON.plus_ms(1_500)).await.unwrap();
        assert_eq!(before.elapsed().as_millis(), 4_500, "less than five seconds are waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_and_the_person_are_waited_for_at_once() {
        let lane = lane(10);
        for _ in 0..45 {
            turn(&lane, "a", 1, Place::FIRST, NOON).await.unwrap();
        }
        crowd(&lane, "a", 20, Place::FIRST).await;
        let before = Instant::now();
        turn(&lane, "a", 1, Place::FIRST, NOON.plus_ms(1_500)).await.unwrap();
        assert_eq!(before.elapsed().as_millis(), 4_500);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_delays_the_next_turn() {
        let lane = lane(1_000);
        lane.too_fast(Duration::from_secs(3));
        let before = Instant::now();
        turn(&lane, "a", 1, Place::FIRST, NOON).await.unwrap();
        assert_eq!(before.elapsed().as_millis(), 3_000);
    }

    #[tokio::test(start_paused = true)]
    async fn bulk_that_is_held_back_is_told_so_and_nothing_else_is() {
        let lane = lane(10);
        lane.guards.limit_reached(NOON);
        let failure = turn(&lane, "a", 1, Place::BULK, NOON).await.unwrap_err();
        assert_eq!((failure.kind, failure.retry_after_s), (ErrorKind::RateLimited, Some(3_601)));
        turn(&lane, "a", 1, Place::FIRST, NOON).await.unwrap();
    }
}
