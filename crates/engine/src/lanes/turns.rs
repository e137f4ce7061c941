//! Who waits for a start of the number. Starts are given one by one to who stands foremost: by
//! place; within a place the organisations whose callers wait take turns. The drain stands with the
//! place of what it starts next, and has every second start of a place that it shares with callers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;
use waypost_domain::OrgId;
use waypost_domain::place::Place;

use super::rings::Rings;
use super::{Lane, NO_PLACE, Pacing, microseconds};

/// Queued messages that wait for their number's pace start on a beat that all numbers share, in
/// microseconds: what starts together is recorded together.
const BEAT_US: i64 = 10_000;

/// Told when the start has come.
pub(super) type Given = oneshot::Receiver<()>;

#[derive(Default)]
pub(super) struct Turns {
    callers: Rings<oneshot::Sender<()>>,
    drain: Option<(Place, oneshot::Sender<()>)>,
    /// Whether the last start was the drain's.
    drain_was_last: bool,
    /// Whether there is a task that gives the starts.
    are_given: bool,
}

impl Turns {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.callers.is_empty() && self.drain.is_none()
    }

    /// How many callers go before one who comes now.
    pub(super) fn ahead_of(&mut self, place: Place, org_id: &OrgId) -> u64 {
        // Who came first loses patience first.
        self.callers.forget_first(oneshot::Sender::is_closed);
        u64::try_from(self.callers.ahead_of(place, org_id)).unwrap_or(u64::MAX)
    }

    pub(super) fn enter(&mut self, place: Place, org_id: &OrgId) -> Given {
        let (give, given) = oneshot::channel();
        self.callers.enter(place, org_id, give);
        given
    }

    pub(super) fn enter_drain(&mut self, place: Place) -> Given {
        let (give, given) = oneshot::channel();
        self.drain = Some((place, give));
        given
    }

    /// Gives a start to who stands foremost; `news` is the foremost place of what the drain has not
    /// read yet. False where nobody waits any more.
    pub(super) fn give(&mut self, news: Option<Place>) -> bool {
        while let Some(give) = self.next(news) {
            if give.send(()).is_ok() {
                return true;
            }
        }
        false
    }

    fn next(&mut self, news: Option<Place>) -> Option<oneshot::Sender<()>> {
        let caller = self.callers.head();
        let drain =
            self.drain.as_ref().map(|(place, _)| news.map_or(*place, |news| news.min(*place)));
        self.drain_was_last = match (drain, caller) {
            (Some(drain), Some(caller)) if drain == caller => !self.drain_was_last,
            (Some(drain), Some(caller)) => drain < caller,
            (drain, _) => drain.is_some(),
        };
        if self.drain_was_last {
            return self.drain.take().map(|(_, give)| give);
        }
        self.callers.take(|_| true)
    }
}

impl Lane {
    /// Waits for the number's next start however long it takes, for what the drain starts at a
    /// place. Where no caller waits, that is on the beat.
    pub(super) async fn any_turn(self: &Arc<Self>, place: Place) {
        let (wait_us, given) = {
            let mut pacing = self.pacing.lock();
            let Pacing { number, turns, .. } = &mut *pacing;
            if turns.is_empty() {
                (number.take_on_beat(self.now_us(), BEAT_US), None)
            } else {
                self.see_that_turns_are_given(turns);
                (0, Some(turns.enter_drain(place)))
            }
        };
        if let Some(given) = given {
            // Nobody drops it before it is given.
            let _ = given.await;
        } else if wait_us > 0 {
            tokio::time::sleep(microseconds(wait_us)).await;
        }
    }

    pub(super) fn see_that_turns_are_given(self: &Arc<Self>, turns: &mut Turns) {
        if !turns.are_given {
            turns.are_given = true;
            tokio::spawn(Arc::clone(self).give_turns());
        }
    }

    /// Gives the number's starts at its pace, until nobody waits.
    async fn give_turns(self: Arc<Self>) {
        while let Some(wait_us) = self.give_what_is_due() {
            tokio::time::sleep(microseconds(wait_us)).await;
        }
    }

    /// When the next start is due that somebody waits for.
    fn give_what_is_due(&self) -> Option<i64> {
        let news = match self.news.load(Ordering::Acquire) {
            NO_PLACE => None,
            place => Some(Place::from_number(place)),
        };
        let mut pacing = self.pacing.lock();
        let Pacing { number, turns, .. } = &mut *pacing;
        loop {
            let now_us = self.now_us();
            let wait_us = number.wait_us(now_us);
            if wait_us > 0 && !turns.is_empty() {
                return Some(wait_us);
            }
            if !turns.give(news) {
                turns.are_given = false;
                return None;
            }
            number.take(now_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use waypost_domain::message::Priority;
    use waypost_domain::place::Traffic;

    use super::*;

    const REPLY: Place = Place::of(Traffic::Service, Priority::Normal);

    #[test]
    fn the_drain_stands_with_its_place_and_shares_it() {
        let mut turns = Turns::default();
        let callers: Vec<_> = (0..4).map(|_| turns.enter(REPLY, &OrgId::new("a"))).collect();
        let mut got = Vec::new();
        for _ in 0..4 {
            let mut drain = turns.enter_drain(REPLY);
            assert!(turns.give(None));
            got.push(drain.try_recv().is_ok());
        }
        assert_eq!(got, [true, false, true, false]);
        let mut drain = turns.enter_drain(Place::BULK);
        assert!(turns.give(None));
        assert!(drain.try_recv().is_err(), "callers with a reply go before its bulk");
        assert!(turns.give(Some(Place::FIRST)));
        assert!(drain.try_recv().is_ok(), "something more urgent came for it meanwhile");
        drop(callers);
    }

    #[test]
    fn who_lost_patience_costs_no_start_and_is_not_counted() {
        let mut turns = Turns::default();
        let org_id = OrgId::new("a");
        drop(turns.enter(REPLY, &org_id));
        let mut given = turns.enter(REPLY, &org_id);
        assert_eq!(turns.ahead_of(REPLY, &org_id), 1);
        drop(turns.enter(REPLY, &OrgId::new("b")));
        assert!(turns.give(None));
        assert!(given.try_recv().is_ok());
        assert!(!turns.give(None));
        assert!(turns.is_empty());
    }
}
