//! Lanes: one for each number, with its pace, the paces to its people, its bound of calls in flight,
//! and the drain of its due queue. Numbers do not wait for each other.

mod callers;
mod drain;
mod gaps;
mod pairs;
mod plan;
mod rings;
mod slots;
mod turns;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use foldhash::{HashMap, HashSet};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use waypost_domain::pacing::NumberPace;
use waypost_domain::place::Place;
use waypost_domain::{MessageId, NumberId, Phone, Timestamp};
use waypost_planted::{Bug, is_planted};

use crate::guards::Guards;
use crate::ports::{Haste, WaitingMessage};
pub(crate) use callers::Applicant;
pub(crate) use drain::STORE_PAUSE;
use gaps::Gaps;
use pairs::Pairs;
use slots::{Shared, Slot, Slots};
use turns::Turns;
pub use view::PacingView;

/// Longest that a synchronous caller waits for its turn; beyond, it is told the rate error.
pub(crate) const MAX_PACING_WAIT: Duration = Duration::from_secs(5);
/// How long a number is held back when the upstream says that it is too fast and not for how long.
pub(crate) const PACE_PAUSE: Duration = Duration::from_secs(1);
/// No news.
const NO_PLACE: u8 = u8::MAX;

/// All lanes.
pub(crate) struct Lanes {
    started: Instant,
    lanes: Mutex<HashMap<NumberId, Arc<Lane>>>,
    shared: Shared,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { started: Instant::now(), lanes: Mutex::default(), shared: Shared::default() }
    }
}

/// One number's lane.
pub(crate) struct Lane {
    pub(crate) number_id: NumberId,
    /// The same for all lanes.
    started: Instant,
    pacing: Mutex<Pacing>,
    in_flight: Mutex<InFlight>,
    slots: Slots,
    /// What keeps its bulk back.
    pub(crate) guards: Guards,
    /// Told when there is something to look for.
    wake: Notify,
    /// Told when somebody has sent the number a file.
    pub(crate) files: Notify,
    /// The foremost place of what was queued since it was looked.
    news: AtomicU8,
    /// Whether the drain waits for the end of something in flight.
    waits_for_end: AtomicBool,
    /// How often something was queued, and how often it had been when nothing was due.
    queued: AtomicU64,
    drained: AtomicU64,
    /// Whether something had its turn and could not begin: it stands before all that was read.
    has_unbegun: AtomicBool,
    /// Whether others of the same place are known to follow what started last.
    has_more: AtomicBool,
    /// To whom something was withdrawn that others of theirs wait behind.
    gaps: Gaps,
    /// Counted for operators.
    counts: Counts,
}

/// The paces that a start must keep, and who waits for one.
struct Pacing {
    number: NumberPace,
    pairs: Pairs,
    turns: Turns,
}

#[derive(Default)]
struct InFlight {
    messages: HashSet<MessageId>,
    people: HashSet<Phone>,
    /// How many of the messages are bulk.
    bulk: usize,
}

#[derive(Default)]
struct Counts {
    /// Messages that were put off because of the pace to their person, or a guard.
    postponed: AtomicU64,
    /// Callers who were told the rate error.
    refused: AtomicU64,
    /// Times that the upstream said that the number is too fast.
    too_fast: AtomicU64,
    /// Times that it said so of one person.
    pair_too_fast: AtomicU64,
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

impl Lanes {
    /// The lane of a number, at this pace from now on. The flag says that it is new: somebody
    /// must drain it.
    pub(crate) fn lane(&self, number_id: &NumberId, rate_per_s: u32) -> (Arc<Lane>, bool) {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.get(number_id) {
            lane.set_rate(rate_per_s);
            return (Arc::clone(lane), false);
        }
        let lane = Arc::new(Lane::new(number_id.clone(), rate_per_s, self));
        lanes.insert(number_id.clone(), Arc::clone(&lane));
        (lane, true)
    }

    /// The lane of a number that has one.
    pub(crate) fn known(&self, number_id: &NumberId) -> Option<Arc<Lane>> {
        self.lanes.lock().get(number_id).cloned()
    }

    /// Lets every lane look for what may be in any place of its queue.
    pub(crate) fn wake_all(&self) {
        for lane in self.lanes.lock().values() {
            lane.queued(Place::FIRST);
        }
    }

    /// Lets a number's lane look for what may be in any place of its queue.
    pub(crate) fn wake(&self, number_id: &NumberId) {
        if let Some(lane) = self.known(number_id) {
            lane.queued(Place::FIRST);
        }
    }
}

impl Lane {
    fn new(number_id: NumberId, rate_per_s: u32, lanes: &Lanes) -> Self {
        let pacing = Pacing {
            number: NumberPace::new(rate_per_s),
            pairs: Pairs::default(),
            turns: Turns::default(),
        };
        Self {
            number_id,
            started: lanes.started,
            pacing: Mutex::new(pacing),
            in_flight: Mutex::default(),
            slots: Slots::of(&lanes.shared),
            guards: Guards::default(),
            wake: Notify::new(),
            files: Notify::new(),
            news: AtomicU8::new(NO_PLACE),
            waits_for_end: AtomicBool::new(false),
            queued: AtomicU64::new(1),
            drained: AtomicU64::new(0),
            has_unbegun: AtomicBool::new(false),
            has_more: AtomicBool::new(false),
            gaps: Gaps::default(),
            counts: Counts::default(),
        }
    }

    fn set_rate(&self, rate_per_s: u32) {
        self.pacing.lock().number.configure(rate_per_s);
    }

    fn now_us(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// The upstream said that the number is too fast: nothing for a while, then slower.
    pub(crate) fn too_fast(&self, span: Duration) {
        count(&self.counts.too_fast, 1);
        let span_us = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let now_us = self.now_us();
        self.pacing.lock().number.too_fast(now_us, span_us);
    }

    /// The upstream said that the number is too fast to one person: that person waits.
    pub(crate) fn pair_too_fast(&self, phone: &Phone, now: Timestamp, span: Duration) {
        count(&self.counts.pair_too_fast, 1);
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let mut pacing = self.pacing.lock();
        let person = pacing.pairs.person(phone);
        pacing.pairs.too_fast(person, now.0, span_ms);
    }

    /// The upstream said how much of its limits is used, in hundredths.
    pub(crate) fn used(&self, percent: u8) {
        let now_us = self.now_us();
        self.pacing.lock().number.used(now_us, percent);
    }

    /// Something was queued, or released, at a place.
    pub(crate) fn queued(&self, place: Place) {
        if is_planted(Bug::QueueNotWoken) {
            return;
        }
        self.queued.fetch_add(1, Ordering::AcqRel);
        self.news.fetch_min(place.number(), Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// The foremost place of what was queued since the last call.
    fn take_news(&self) -> Option<Place> {
        match self.news.swap(NO_PLACE, Ordering::AcqRel) {
            NO_PLACE => None,
            place => Some(Place::from_number(place)),
        }
    }

    /// Whether nothing was due when it was last looked, and nothing was queued since.
    fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire) == self.queued.load(Ordering::Acquire)
    }

    /// How soon the intent of what started must be recorded: a single message at once, one of many
    /// with the others.
    pub(crate) fn haste(&self) -> Haste {
        if self.has_more.load(Ordering::Relaxed) { Haste::WithOthers } else { Haste::AtOnce }
    }

    fn is_in_flight(&self, id: &MessageId) -> bool {
        self.in_flight.lock().messages.contains(id)
    }

    fn has_bulk_in_flight(&self) -> bool {
        self.in_flight.lock().bulk > 0
    }

    /// Marks a message as in flight until the ticket is dropped, and takes it out of its person's
    /// bucket.
    fn start(self: &Arc<Self>, waiting: &WaitingMessage, slot: Slot, now: Timestamp) -> Ticket {
        let (id, phone, is_bulk) = (waiting.id, waiting.phone.clone(), waiting.place.is_bulk());
        let mut pacing = self.pacing.lock();
        let person = pacing.pairs.person(&phone);
        pacing.pairs.take(person, now.0);
        drop(pacing);
        let mut in_flight = self.in_flight.lock();
        in_flight.messages.insert(id);
        in_flight.people.insert(phone.clone());
        in_flight.bulk += usize::from(is_bulk);
        Ticket { lane: Arc::clone(self), id, phone, is_bulk, is_done: false, _slot: slot }
    }
}

/// A message in flight.
pub(crate) struct Ticket {
    lane: Arc<Lane>,
    id: MessageId,
    phone: Phone,
    is_bulk: bool,
    is_done: bool,
    _slot: Slot,
}

impl Ticket {
    /// The message could not begin and waits as before: nothing of its person may overtake it.
    pub(crate) fn unbegun(self) {
        self.lane.has_unbegun.store(true, Ordering::Release);
    }

    /// The message is off the queue for good: nothing more is to be looked for because of it.
    pub(crate) fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut in_flight = self.lane.in_flight.lock();
        in_flight.messages.remove(&self.id);
        in_flight.people.remove(&self.phone);
        in_flight.bulk -= usize::from(self.is_bulk);
        drop(in_flight);
        if !self.is_done || self.lane.waits_for_end.load(Ordering::Acquire) {
            self.lane.wake.notify_one();
        }
    }
}

fn microseconds(span_us: i64) -> Duration {
    Duration::from_micros(u64::try_from(span_us).unwrap_or(0))
}

fn milliseconds(span_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(span_ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(rate_per_s: u32) -> Arc<Lane> {
        Lanes::default().lane(&NumberId::new("n-1"), rate_per_s).0
    }

    #[test]
    fn news_are_the_foremost_place_and_told_once() {
        let lane = lane(80);
        assert_eq!(lane.take_news(), None);
        lane.queued(Place::BROADCAST);
        lane.queued(Place::FIRST);
        lane.queued(Place::BULK);
        assert_eq!(lane.take_news(), Some(Place::FIRST));
        assert_eq!(lane.take_news(), None);
    }
}
