//! Lanes: one for each number, with its pace, its bound of calls in flight, and the drain of its
//! due queue. Numbers do not wait for each other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use waypost_domain::pacing::Pace;
use waypost_domain::{ErrorKind, Failure, MessageId, NumberId, Phone};

use crate::ports::DueMessage;

/// Queued messages of one number that may be on their way to the upstream at once.
pub(crate) const MAX_IN_FLIGHT: usize = 256;
/// How many due messages are read from the store at once: a bounded window onto the queue.
pub(crate) const DUE_WINDOW: u32 = 512;
/// How many are read where everything in that window must wait for its turn.
pub(crate) const MAX_DUE_WINDOW: u32 = 8 * DUE_WINDOW;
/// Longest that a synchronous caller waits for its turn; beyond, it is told the rate error.
pub(crate) const MAX_PACING_WAIT: Duration = Duration::from_secs(5);
/// How long a number is held back when the upstream says that it is too fast and not for how long.
pub(crate) const PACE_PAUSE: Duration = Duration::from_secs(1);

/// All lanes.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<HashMap<NumberId, Arc<Lane>>>);

/// One number's lane.
pub(crate) struct Lane {
    pub(crate) number_id: NumberId,
    started: Instant,
    pace: Mutex<(u32, Pace)>,
    in_flight: Mutex<InFlight>,
    slots: Arc<Semaphore>,
    /// Told when a message is queued and when one in flight is done.
    pub(crate) wake: Notify,
}

#[derive(Default)]
struct InFlight {
    messages: HashSet<MessageId>,
    people: HashSet<Phone>,
}

impl Lanes {
    /// The lane of a number, at this pace from now on. The flag says that it is new: somebody
    /// must drain it.
    pub(crate) fn lane(&self, number_id: &NumberId, rate_per_s: u32) -> (Arc<Lane>, bool) {
        let mut lanes = self.0.lock();
        if let Some(lane) = lanes.get(number_id) {
            lane.set_rate(rate_per_s);
            return (Arc::clone(lane), false);
        }
        let lane = Arc::new(Lane::new(number_id.clone(), rate_per_s));
        lanes.insert(number_id.clone(), Arc::clone(&lane));
        (lane, true)
    }

    /// Wakes a number's lane.
    pub(crate) fn wake(&self, number_id: &NumberId) {
        if let Some(lane) = self.0.lock().get(number_id) {
            lane.wake.notify_one();
        }
    }
}

impl Lane {
    fn new(number_id: NumberId, rate_per_s: u32) -> Self {
        Self {
            number_id,
            started: Instant::now(),
            pace: Mutex::new((rate_per_s, Pace::new(rate_per_s))),
            in_flight: Mutex::default(),
            slots: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            wake: Notify::new(),
        }
    }

    fn set_rate(&self, rate_per_s: u32) {
        let mut pace = self.pace.lock();
        if pace.0 != rate_per_s {
            *pace = (rate_per_s, Pace::new(rate_per_s));
        }
    }

    fn now_us(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// Waits for the number's next turn, for a caller who waits for the answer.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`] at once where the turn is more than five seconds away.
    pub(crate) async fn turn(&self) -> Result<(), Failure> {
        let wait = {
            let mut pace = self.pace.lock();
            let now_us = self.now_us();
            let wait = microseconds(pace.1.wait_us(now_us));
            if wait > MAX_PACING_WAIT {
                return Err(busy(wait));
            }
            microseconds(pace.1.take(now_us))
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// Waits for the number's next turn however long it takes.
    async fn any_turn(&self) {
        let wait = microseconds(self.pace.lock().1.take(self.now_us()));
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Holds the number back: the upstream said that it is too fast.
    pub(crate) fn pause(&self, span: Duration) {
        let span_us = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let now_us = self.now_us();
        self.pace.lock().1.pause(now_us, span_us);
    }

    /// Of messages that are due, those that may start now: not in flight already, and for each
    /// person only one at a time, so that attempts start in the order of acceptance.
    pub(crate) fn startable(&self, due: Vec<DueMessage>) -> Vec<DueMessage> {
        let in_flight = self.in_flight.lock();
        let mut people = in_flight.people.clone();
        due.into_iter()
            .filter(|due| !in_flight.messages.contains(&due.message.id))
            .filter(|due| people.insert(due.message.phone.clone()))
            .collect()
    }

    /// Waits for a free slot and the next turn, then marks the message as in flight until the
    /// ticket is dropped.
    pub(crate) async fn start(self: &Arc<Self>, id: MessageId, phone: &Phone) -> Ticket {
        let permit =
            Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
        self.any_turn().await;
        let mut in_flight = self.in_flight.lock();
        in_flight.messages.insert(id);
        in_flight.people.insert(phone.clone());
        Ticket { lane: Arc::clone(self), id, phone: phone.clone(), _permit: permit }
    }
}

/// A message in flight.
pub(crate) struct Ticket {
    lane: Arc<Lane>,
    id: MessageId,
    phone: Phone,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut in_flight = self.lane.in_flight.lock();
        in_flight.messages.remove(&self.id);
        in_flight.people.remove(&self.phone);
        drop(in_flight);
        self.lane.wake.notify_one();
    }
}

fn microseconds(span_us: i64) -> Duration {
    Duration::from_micros(u64::try_from(span_us).unwrap_or(0))
}

fn busy(wait: Duration) -> Failure {
    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    let message = "The sender number is at its pace limit; try again later.";
    Failure::new(ErrorKind::RateLimited, message).retry_after_s(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(rate_per_s: u32) -> Arc<Lane> {
        Lanes::default().lane(&NumberId::new("n-1"), rate_per_s).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_synchronous_caller_is_told_the_rate_error_beyond_five_seconds() {
        let lane = lane(10);
        for _ in 0..51 {
            let lane = Arc::clone(&lane);
            tokio::spawn(async move { lane.turn().await });
            tokio::task::yield_now().await;
        }
        let failure = lane.turn().await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::RateLimited);
        assert_eq!(failure.retry_after_s, Some(6));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_delays_the_next_turn() {
        let lane = lane(1_000);
        lane.pause(Duration::from_secs(3));
        let before = Instant::now();
        lane.turn().await.unwrap();
        assert_eq!(before.elapsed().as_millis(), 3_000);
    }
}
