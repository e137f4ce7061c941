//! What keeps a number's bulk back beside its pace: the upstream's daily limit of people who are
//! written to outside of a window, and the caps of people who got enough marketing. Neither ever
//! fails a message, and neither touches one-time passwords or replies.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use parking_lot::Mutex;
use waypost_domain::{Phone, Timestamp};

/// The span in which people are counted, in milliseconds: a day.
pub(crate) const DAY_MS: i64 = 24 * 3_600 * 1_000;
/// The largest limit that is guarded; the upstream's next step is none.
pub(crate) const MAX_DAILY_LIMIT: u32 = 100_000;
/// Bulk leaves so much of the limit to what is urgent, in hundredths.
const RESERVED_PERCENT: usize = 10;
/// How long bulk is kept back when the upstream says that its limit is reached, in milliseconds.
pub(crate) const SPAM_PAUSE_MS: i64 = 3_600 * 1_000;
/// Caps that are remembered for a number; those that end first are forgotten first.
const MAX_CAPS: usize = 65_536;

/// What keeps a number's bulk back.
#[derive(Default)]
pub(crate) struct Guards(Mutex<State>);

#[derive(Default)]
struct State {
    hasher: RandomState,
    daily_limit: Option<u32>,
    is_loaded: bool,
    /// When each person was last written to outside of a window.
    people: HashMap<u64, i64>,
    /// The same in order of time; what does not agree with `people` is outdated.
    days: VecDeque<(i64, u64)>,
    /// The upstream said that its limit is reached.
    refused_until: Option<Timestamp>,
    caps: HashMap<u64, i64>,
}

/// How the guards stand.
pub(crate) struct GuardsView {
    pub(crate) bulk_held_until: Option<Timestamp>,
    pub(crate) people_of_the_day: Option<u64>,
    pub(crate) daily_limit: Option<u32>,
    pub(crate) capped_people: u64,
}

impl Guards {
    /// People who may be written to outside of a window within a day; `None` or more than
    /// [`MAX_DAILY_LIMIT`]: without end.
    pub(crate) fn set_daily_limit(&self, limit: Option<u32>) {
        let mut state = self.0.lock();
        state.daily_limit = limit.filter(|limit| *limit <= MAX_DAILY_LIMIT);
        if state.daily_limit.is_none() {
            state.people = HashMap::new();
            state.days = VecDeque::new();
            state.is_loaded = false;
        }
    }

    /// Whether people are counted.
    pub(crate) fn counts_people(&self) -> bool {
        self.0.lock().daily_limit.is_some()
    }

    /// Whether people are counted, and nobody has said yet who was written to before the start. Says
    /// so once.
    pub(crate) fn must_load(&self) -> bool {
        let mut state = self.0.lock();
        let must = state.daily_limit.is_some() && !state.is_loaded;
        state.is_loaded |= must;
        must
    }

    /// Somebody was written to outside of a window.
    pub(crate) fn approached(&self, phone: &Phone, at: Timestamp) {
        let mut state = self.0.lock();
        if state.daily_limit.is_none() {
            return;
        }
        let person = state.hasher.hash_one(phone.digits());
        if state.people.insert(person, at.0) != Some(at.0) {
            state.days.push_back((at.0, person));
        }
        state.forget_before(at.0 - DAY_MS);
    }

    /// Until when bulk is kept back; `None`: it may go.
    pub(crate) fn bulk_held_until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut state = self.0.lock();
        state.bulk_held_until(now)
    }

    /// The upstream said that the number's limit is reached.
    pub(crate) fn limit_reached(&self, now: Timestamp) {
        self.0.lock().refused_until = Some(now.plus_ms(SPAM_PAUSE_MS));
    }

    /// A person gets no marketing before an instant.
    pub(crate) fn cap(&self, phone: &Phone, until: Timestamp, now: Timestamp) {
        let mut state = self.0.lock();
        if state.caps.len() >= MAX_CAPS {
            state.caps.retain(|_, until| *until > now.0);
            if state.caps.len() >= MAX_CAPS
                && let Some(first) = state.caps.iter().min_by_key(|(_, until)| **until)
            {
                let first = *first.0;
                state.caps.remove(&first);
            }
        }
        let person = state.hasher.hash_one(phone.digits());
        let known = state.caps.entry(person).or_insert(until.0);
        *known = (*known).max(until.0);
    }

    /// Until when a person gets no marketing, if at all.
    pub(crate) fn capped_until(&self, phone: &Phone, now: Timestamp) -> Option<Timestamp> {
        let state = self.0.lock();
        if state.caps.is_empty() {
            return None;
        }
        let person = state.hasher.hash_one(phone.digits());
        state.caps.get(&person).map(|until| Timestamp(*until)).filter(|until| *until > now)
    }

    pub(crate) fn view(&self, now: Timestamp) -> GuardsView {
        let mut state = self.0.lock();
        let bulk_held_until = state.bulk_held_until(now);
        state.caps.retain(|_, until| *until > now.0);
        GuardsView {
            bulk_held_until,
            people_of_the_day: state.daily_limit.map(|_| state.people.len() as u64),
            daily_limit: state.daily_limit,
            capped_people: state.caps.len() as u64,
        }
    }
}

impl State {
    fn bulk_held_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.refused_until = self.refused_until.filter(|until| *until > now);
        self.limit_held_until(now).max(self.refused_until)
    }

    fn limit_held_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        let limit = usize::try_from(self.daily_limit?).unwrap_or(usize::MAX);
        self.forget_before(now.0 - DAY_MS);
        let for_bulk = (limit - (limit * RESERVED_PERCENT).div_ceil(100)).max(1);
        if self.people.len() < for_bulk {
            return None;
        }
        let oldest = self.days.front().map_or(now.0, |(at, _)| *at);
        Some(Timestamp(oldest).plus_ms(DAY_MS + 1))
    }

    fn forget_before(&mut self, oldest_ms: i64) {
        while let Some((at, person)) = self.days.front().copied() {
            let is_current = self.people.get(&person) == Some(&at);
            if is_current && at > oldest_ms {
                return;
            }
            self.days.pop_front();
            if is_current {
                self.people.remove(&person);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000_000);

    fn phone(place: u32) -> Phone {
        Phone::parse(&format!("1555{place:07}")).unwrap()
    }

    #[test]
    fn bulk_waits_until_the_first_of_a_days_people_is_a_day_old() {
        let guards = Guards::default();
        guards.set_daily_limit(Some(100));
        for place in 0..89 {
            guards.approached(&phone(place), NOON.plus_ms(i64::from(place)));
        }
        assert_eq!(guards.bulk_held_until(NOON), None);
        guards.approached(&phone(0), NOON.plus_ms(100));
        assert_eq!(guards.bulk_held_until(NOON), None, "the same person counts once");
        guards.approached(&phone(90), NOON.plus_ms(200));
        let until = guards.bulk_held_until(NOON.plus_ms(300)).unwrap();
        assert_eq!(until, NOON.plus_ms(1 + DAY_MS + 1), "a tenth is left to what is urgent");
        assert_eq!(guards.bulk_held_until(until), None);
    }

    #[test]
    fn without_a_limit_nobody_is_counted() {
        let guards = Guards::default();
        for limit in [None, Some(MAX_DAILY_LIMIT + 1)] {
            guards.set_daily_limit(limit);
            guards.approached(&phone(1), NOON);
            assert!(!guards.counts_people());
            assert_eq!(guards.view(NOON).people_of_the_day, None);
        }
    }

    #[test]
    fn what_the_upstream_says_holds_bulk_for_an_hour() {
        let guards = Guards::default();
        guards.limit_reached(NOON);
        assert_eq!(guards.bulk_held_until(NOON), Some(NOON.plus_ms(SPAM_PAUSE_MS)));
        assert_eq!(guards.bulk_held_until(NOON.plus_ms(SPAM_PAUSE_MS)), None);
    }

    #[test]
    fn a_cap_is_one_persons_and_ends() {
        let guards = Guards::default();
        let until = NOON.plus_ms(DAY_MS);
        guards.cap(&phone(1), until, NOON);
        guards.cap(&phone(1), NOON.plus_ms(5), NOON);
        assert_eq!(guards.capped_until(&phone(1), NOON), Some(until), "never shortened");
        assert_eq!(guards.capped_until(&phone(2), NOON), None);
        assert_eq!(guards.capped_until(&phone(1), until), None);
    }
}
