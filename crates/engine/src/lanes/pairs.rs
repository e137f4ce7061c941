//! The pace to each person, as far as it has to be remembered: who got nothing lately has a full
//! bucket and takes no memory.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};

use waypost_domain::Phone;
use waypost_domain::pacing::{PAIR_BURST, PAIR_INTERVAL_MS, PairPace};
use waypost_domain::place::Place;
use waypost_planted::{Bug, is_planted};

/// People of one number whose pace is remembered. Who comes when it is full is not remembered: the
/// upstream's own limit is then the only one. At 1,000 starts a second six thousand are enough.
const MAX_PEOPLE: usize = 65_536;
/// From how many on it is looked for some to be forgotten.
const FIRST_SWEEP: usize = 1_024;
/// How often at most, in milliseconds.
const SWEEP_EVERY_MS: i64 = 1_000;
/// A clock that goes back by more than this has been set, in milliseconds.
const CLOCK_SET_MS: i64 = 1_000;

/// A person in memory: a keyed hash, so that nobody's number stays here.
pub(super) type Person = u64;

/// Keys are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type ByPerson<T> = HashMap<Person, T, BuildHasherDefault<Hashed>>;

/// Messages of one kind to a person that wait for a later time, because of the pace to that person.
#[derive(Clone, Copy, Debug)]
struct Parked {
    /// The last of them in the order of acceptance.
    last_order: i64,
    /// When the last of them falls due.
    until_ms: i64,
}

impl Parked {
    const NONE: Self = Self { last_order: i64::MIN, until_ms: i64::MIN };
}

/// By [`Place::kind`]: what is more urgent than all that waits overtakes it.
type ParkedKinds = [Parked; Place::KINDS];

/// The people of one number.
pub(super) struct Pairs {
    hasher: RandomState,
    paces: ByPerson<PairPace>,
    parked: ByPerson<ParkedKinds>,
    sweep_at: usize,
    swept_ms: i64,
    last_ms: i64,
}

impl Default for Pairs {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            paces: ByPerson::default(),
            parked: ByPerson::default(),
            sweep_at: FIRST_SWEEP,
            swept_ms: i64::MIN,
            last_ms: i64::MIN,
        }
    }
}

impl Pairs {
    pub(super) fn person(&self, phone: &Phone) -> Person {
        self.hasher.hash_one(phone.digits())
    }

    /// How long the next message to a person must wait, in milliseconds.
    pub(super) fn wait_ms(&mut self, person: Person, now_ms: i64) -> i64 {
        self.notice(now_ms);
        if is_planted(Bug::PairLimitIgnored) {
            return 0;
        }
        self.paces.get(&person).map_or(0, |pace| pace.wait_ms(now_ms))
    }

    /// One message to a person starts.
    pub(super) fn take(&mut self, person: Person, now_ms: i64) {
        if let Some(pace) = self.pace(person, now_ms) {
            pace.take(now_ms);
        }
    }

    /// The upstream said that it is too fast to one person.
    pub(super) fn too_fast(&mut self, person: Person, now_ms: i64, span_ms: i64) {
        if let Some(pace) = self.pace(person, now_ms) {
            pace.too_fast(now_ms, span_ms);
        }
    }

    /// Until when a message must wait because earlier ones to the same person do, in milliseconds.
    pub(super) fn behind(
        &self,
        person: Person,
        place: Place,
        order: i64,
        now_ms: i64,
    ) -> Option<i64> {
        let parked = self.parked.get(&person)?;
        let before = parked[..=place.kind()].iter();
        let before = before.filter(|it| it.until_ms > now_ms && order > it.last_order);
        before.map(|it| it.until_ms).max()
    }

    /// A message to a person waits for a later time.
    pub(super) fn park(
        &mut self,
        person: Person,
        place: Place,
        order: i64,
        until_ms: i64,
        now_ms: i64,
    ) {
        self.sweep(now_ms);
        if self.parked.len() >= MAX_PEOPLE && !self.parked.contains_key(&person) {
            return;
        }
        let kinds = self.parked.entry(person).or_insert([Parked::NONE; Place::KINDS]);
        let parked = &mut kinds[place.kind()];
        if parked.until_ms <= now_ms {
            *parked = Parked::NONE;
        }
        parked.last_order = parked.last_order.max(order);
        parked.until_ms = parked.until_ms.max(until_ms);
    }

    /// When a message that must wait should fall due, in milliseconds: behind those that wait
    /// already, unless it is one of them or more urgent.
    pub(super) fn slot_ms(&mut self, person: Person, place: Place, order: i64, now_ms: i64) -> i64 {
        let own = now_ms + self.wait_ms(person, now_ms);
        let behind = self.behind(person, place, order, now_ms);
        behind.map_or(own, |until_ms| own.max(until_ms + PAIR_INTERVAL_MS))
    }

    /// How long somebody waits at least who comes now, behind so many that are due and behind those
    /// that wait for a later time, in milliseconds.
    pub(super) fn wait_behind_ms(
        &mut self,
        person: Person,
        place: Place,
        standing: u64,
        now_ms: i64,
    ) -> i64 {
        let slot_ms = self.slot_ms(person, place, i64::MAX, now_ms);
        let mut pace = self.paces.get(&person).copied().unwrap_or(PairPace::FULL);
        for _ in 0..standing.min(u64::from(PAIR_BURST)) {
            pace.take(now_ms);
        }
        let behind_ms = if is_planted(Bug::PairLimitIgnored) { 0 } else { pace.wait_ms(now_ms) };
        behind_ms.max(slot_ms - now_ms)
    }

    /// Whether something to a person waited for a later time, and that is not forgotten yet.
    pub(super) fn has_parked(&self, person: Person) -> bool {
        self.parked.contains_key(&person)
    }

    /// What waited for a later time waits no more: it is due, or has gone.
    pub(super) fn unpark(&mut self, person: Person) {
        self.parked.remove(&person);
    }

    /// How many people are remembered.
    pub(super) fn len(&self) -> usize {
        self.paces.len()
    }

    fn pace(&mut self, person: Person, now_ms: i64) -> Option<&mut PairPace> {
        self.notice(now_ms);
        self.sweep(now_ms);
        if self.paces.len() >= MAX_PEOPLE && !self.paces.contains_key(&person) {
            return None;
        }
        Some(self.paces.entry(person).or_insert(PairPace::FULL))
    }

    /// Forgets who has a full bucket, once they may be as many as all others.
    fn sweep(&mut self, now_ms: i64) {
        let many = self.paces.len().max(self.parked.len()) >= self.sweep_at;
        if !many || now_ms < self.swept_ms.saturating_add(SWEEP_EVERY_MS) {
            return;
        }
        self.swept_ms = now_ms;
        self.paces.retain(|_, pace| !pace.is_full(now_ms));
        self.parked.retain(|_, kinds| kinds.iter().any(|parked| parked.until_ms > now_ms));
        let left = self.paces.len().max(self.parked.len());
        self.sweep_at = (2 * left).clamp(FIRST_SWEEP, MAX_PEOPLE);
    }

    /// Where the clock was set back, what was borrowed from the future lies too far ahead: it is
    /// forgotten.
    fn notice(&mut self, now_ms: i64) {
        let is_set_back = now_ms < self.last_ms.saturating_sub(CLOCK_SET_MS);
        if is_set_back && !is_planted(Bug::ClockBackHolds) {
            self.paces.clear();
            self.swept_ms = i64::MIN;
        }
        self.last_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(place: usize) -> Phone {
        Phone::parse(&format!("1555{place:07}")).unwrap()
    }

    #[test]
    fn who_has_a_full_bucket_is_forgotten() {
        let mut pairs = Pairs::default();
        for place in 0..20_000 {
            let now_ms = i64::try_from(place).unwrap() * 10;
            let person = pairs.person(&phone(place));
            pairs.take(person, now_ms);
        }
        assert!(pairs.len() < 2_500, "600 are not full: {}", pairs.len());
    }

    #[test]
    fn a_bounded_number_of_people_is_remembered() {
        let mut pairs = Pairs::default();
        for place in 0..MAX_PEOPLE + 500 {
            let person = pairs.person(&phone(place));
            pairs.take(person, 0);
        }
        assert_eq!(pairs.len(), MAX_PEOPLE);
    }

    #[test]
    fn later_messages_stand_behind_those_that_wait_unless_they_are_more_urgent() {
        let mut pairs = Pairs::default();
        let person = pairs.person(&phone(1));
        pairs.park(person, Place::BULK, 7, 9_000, 0);
        assert_eq!(pairs.behind(person, Place::BULK, 8, 0), Some(9_000));
        assert_eq!(pairs.behind(person, Place::FIRST, 8, 0), None, "more urgent");
        assert_eq!(pairs.behind(person, Place::BULK, 6, 0), None, "accepted before");
        assert_eq!(pairs.behind(person, Place::BULK, 8, 9_000), None, "they have fallen due");
        assert_eq!(pairs.slot_ms(person, Place::BULK, 8, 0), 15_000);
        assert_eq!(pairs.slot_ms(person, Place::BULK, 7, 0), 0, "one of them keeps its place");
        assert_eq!(pairs.slot_ms(person, Place::FIRST, 8, 0), 0, "more urgent");
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_for_a_day() {
        let mut pairs = Pairs::default();
        let person = pairs.person(&phone(1));
        let day_ms = 86_400_000;
        for _ in 0..45 {
            pairs.take(person, day_ms);
        }
        assert_eq!(pairs.wait_ms(person, day_ms), 6_000);
        assert_eq!(pairs.wait_ms(person, 0), 0);
    }
}
