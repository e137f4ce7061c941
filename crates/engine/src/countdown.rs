//! How many messages of a broadcast are still without an outcome, for who waits for all of them, and
//! which of those that have one may yet be settled by a status.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use waypost_domain::{BroadcastId, MessageId, NumberId, Timestamp};

/// Messages of unknown outcome that are remembered, of all broadcasts together. Nobody waits for the
/// status of one beyond.
const MAX_UNKNOWN: usize = 65_536;

/// Countdowns of the broadcasts that somebody waits for.
#[derive(Clone, Default)]
pub(crate) struct Countdowns(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    left: HashMap<BroadcastId, Waiting>,
    /// Of these, the messages whose outcome is unknown.
    unknown: HashMap<MessageId, BroadcastId>,
    stopped: bool,
}

/// Who waits for a broadcast.
struct Waiting {
    number_id: NumberId,
    left: watch::Sender<Left>,
    /// By the engine's clock: nobody waits any longer.
    deadline: Timestamp,
}

/// How many messages of a broadcast are left.
#[derive(Clone, Copy, Default)]
struct Left {
    /// Without an outcome.
    open: usize,
    /// With an unknown one.
    unknown: usize,
}

impl Countdowns {
    /// Begins to count, for who waits until `deadline`. Call before the first message can be settled.
    pub(crate) fn begin(
        &self,
        id: BroadcastId,
        number_id: NumberId,
        messages: usize,
        deadline: Timestamp,
    ) -> Countdown {
        let mut running = self.0.lock();
        let open = if running.stopped { 0 } else { messages };
        let (sender, left) = watch::channel(Left { open, unknown: 0 });
        running.left.insert(id, Waiting { number_id, left: sender, deadline });
        drop(running);
        Countdown { all: self.clone(), id, left }
    }

    /// One message of a broadcast has its outcome.
    pub(crate) fn settled(&self, id: BroadcastId) {
        if let Some(waiting) = self.0.lock().left.get(&id) {
            waiting.left.send_modify(|left| left.open = left.open.saturating_sub(1));
        }
    }

    /// One message of a broadcast will not be attempted before `until`: who waits less long is
    /// answered without it.
    pub(crate) fn put_off(&self, id: BroadcastId, until: Timestamp) {
        let waits = |waiting: &Waiting| until > waiting.deadline;
        if self.0.lock().left.get(&id).is_some_and(waits) {
            self.settled(id);
        }
    }

    /// Nothing of a number's broadcasts is on its way, and nothing will be attempted before `until`:
    /// who waits less long for one of them is answered with what there is.
    pub(crate) fn held_back(&self, number_id: &NumberId, until: Timestamp) {
        for waiting in self.0.lock().left.values() {
            if waiting.number_id == *number_id && until > waiting.deadline {
                waiting.left.send_modify(|left| left.open = 0);
            }
        }
    }

    /// A message's outcome is about to be recorded as unknown: a status that settles it may come from
    /// then on.
    pub(crate) fn unknown(&self, id: BroadcastId, message: MessageId) {
        let mut running = self.0.lock();
        let Running { left, unknown, .. } = &mut *running;
        let Some(waiting) = left.get(&id) else { return };
        if unknown.len() < MAX_UNKNOWN && unknown.insert(message, id).is_none() {
            waiting.left.send_modify(|left| left.unknown += 1);
        }
    }

    /// What became of a message is known after all.
    pub(crate) fn known(&self, message: &MessageId) {
        let mut running = self.0.lock();
        let Some(id) = running.unknown.remove(message) else { return };
        if let Some(waiting) = running.left.get(&id) {
            waiting.left.send_modify(|left| left.unknown = left.unknown.saturating_sub(1));
        }
    }

    /// No more outcomes will come: the broadcast was cancelled.
    pub(crate) fn end(&self, id: BroadcastId) {
        if let Some(waiting) = self.0.lock().left.get(&id) {
            waiting.left.send_modify(|left| left.open = 0);
        }
    }

    /// No more outcomes will come at all: nothing is sent and no status received any more.
    pub(crate) fn stop(&self) {
        let mut running = self.0.lock();
        running.stopped = true;
        for waiting in running.left.values() {
            waiting.left.send_replace(Left::default());
        }
    }

    /// Waits until nobody waits for a broadcast's outcomes any more: its first caller has an
    /// answer. `false` when the time is up.
    pub(crate) async fn answered(&self, id: BroadcastId, limit: Duration) -> bool {
        let subscribe = |waiting: &Waiting| waiting.left.subscribe();
        let Some(mut left) = self.0.lock().left.get(&id).map(subscribe) else { return true };
        tokio::time::timeout(limit, async { while left.changed().await.is_ok() {} }).await.is_ok()
    }
}

/// One broadcast's countdown.
pub(crate) struct Countdown {
    all: Countdowns,
    id: BroadcastId,
    left: watch::Receiver<Left>,
}

impl Countdown {
    /// Waits until every message has its outcome, or the time is up; then so much longer for statuses
    /// of those whose outcome is unknown, within the same time.
    pub(crate) async fn finished(&mut self, limit: Duration, for_statuses: Duration) {
        let all = async {
            // Who does not hear of it has gone: then nobody is told either.
            let _ = self.left.wait_for(|left| left.open == 0).await;
            let known = self.left.wait_for(|left| left.unknown == 0);
            let _ = tokio::time::timeout(for_statuses, known).await;
        };
        // A timeout is an answer too: the caller is told what is still queued.
        let _ = tokio::time::timeout(limit, all).await;
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        let mut running = self.all.0.lock();
        running.left.remove(&self.id);
        running.unknown.retain(|_, id| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;

    const LONG: Duration = Duration::from_secs(300);
    const FOR_STATUSES: Duration = Duration::from_secs(5);
    const DEADLINE: Timestamp = Timestamp(300_000);

    fn broadcast(number: u128) -> BroadcastId {
        BroadcastId(Uuid::from_u128(number))
    }

    fn number(place: u32) -> NumberId {
        NumberId::new(format!("number-{place}"))
    }

    fn message(number: u128) -> MessageId {
        MessageId::from_bytes(number.to_be_bytes())
    }

    /// How long a countdown takes on the runtime's paused clock.
    async fn taken(mut countdown: Countdown, limit: Duration) -> Duration {
        let began = Instant::now();
        countdown.finished(limit, FOR_STATUSES).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_outcomes_waits_for_statuses_of_the_unknown_ones_a_little_longer() {
        for (unknown, known, waited) in [(0, 0, 0), (3, 3, 0), (3, 2, 5), (3, 0, 5)] {
            let all = Countdowns::default();
            let countdown = all.begin(broadcast(1), number(1), 3, DEADLINE);
            for number in 0..3 {
                if number < unknown {
                    all.unknown(broadcast(1), message(number));
                }
                all.settled(broadcast(1));
            }
            for number in 0..known {
                all.known(&message(number));
                all.known(&message(number));
            }
            assert_eq!(taken(countdown, LONG).await.as_secs(), waited, "{unknown} {known}");
            assert!(all.0.lock().unknown.is_empty(), "nothing is kept of who was answered");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_never_waited_longer_than_asked_for_nor_after_a_stop() {
        let all = Countdowns::default();
        let countdown = all.begin(broadcast(1), number(1), 1, DEADLINE);
        all.unknown(broadcast(1), message(1));
        all.settled(broadcast(1));
        assert_eq!(taken(countdown, Duration::from_secs(2)).await.as_secs(), 2);
        let countdown = all.begin(broadcast(2), number(1), 2, DEADLINE);
        all.unknown(broadcast(2), message(2));
        all.stop();
        assert_eq!(taken(countdown, LONG).await.as_secs(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_put_off_beyond_the_time_is_not_waited_for() {
        for (until_ms, waited) in [(300_000, 300), (300_001, 0), (86_400_000, 0)] {
            let all = Countdowns::default();
            let countdown = all.begin(broadcast(1), number(1), 2, DEADLINE);
            all.settled(broadcast(1));
            all.put_off(broadcast(1), Timestamp(until_ms));
            assert_eq!(taken(countdown, LONG).await.as_secs(), waited, "{until_ms}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_less_long_than_a_numbers_broadcasts_are_held_back_is_answered() {
        for (place, until_ms, waited) in
            [(1, 300_000, 300), (1, 300_001, 0), (2, 300_001, 300), (2, 86_400_000, 300)]
        {
            let all = Countdowns::default();
            let countdown = all.begin(broadcast(1), number(1), 2, DEADLINE);
            all.held_back(&number(place), Timestamp(until_ms));
            let taken = taken(countdown, LONG).await;
            assert_eq!(taken.as_secs(), waited, "number {place} until {until_ms}");
        }
    }

    #[tokio::test]
    async fn a_bounded_number_of_unknown_outcomes_is_remembered() {
        let all = Countdowns::default();
        let countdown = all.begin(broadcast(1), number(1), MAX_UNKNOWN + 9, DEADLINE);
        for number in 0..MAX_UNKNOWN + 9 {
            all.unknown(broadcast(1), message(number as u128));
        }
        assert_eq!(all.0.lock().unknown.len(), MAX_UNKNOWN);
        assert_eq!(countdown.left.borrow().unknown, MAX_UNKNOWN);
        all.unknown(broadcast(2), message(0));
        assert_eq!(all.0.lock().unknown[&message(0)], broadcast(1), "nobody waits for the other");
    }
}
