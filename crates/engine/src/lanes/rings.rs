//! What waits for a start of a number, in the order in which it gets it: by place; within a place the
//! organisations that share the number take turns; within an organisation who came first.
//!
//! The turns are a deficit round robin in which every start costs one and every organisation has the
//! same quantum, so that no deficit is ever left over.

use std::collections::{BTreeMap, VecDeque};

use waypost_domain::OrgId;
use waypost_domain::place::Place;

pub(super) struct Rings<T>(BTreeMap<Place, Ring<T>>);

/// The organisations of one place, the next one first. Each has something that waits.
struct Ring<T>(VecDeque<Turn<T>>);

struct Turn<T> {
    org_id: OrgId,
    waiting: VecDeque<T>,
}

impl<T> Default for Rings<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Rings<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The foremost place.
    pub(super) fn head(&self) -> Option<Place> {
        self.0.keys().next().copied()
    }

    /// Stands behind what waits already.
    pub(super) fn enter(&mut self, place: Place, org_id: &OrgId, what: T) {
        let ring = self.0.entry(place).or_insert_with(|| Ring(VecDeque::new()));
        match ring.0.iter_mut().find(|turn| turn.org_id == *org_id) {
            Some(turn) => turn.waiting.push_back(what),
            None => {
                let org_id = org_id.clone();
                ring.0.push_back(Turn { org_id, waiting: VecDeque::from([what]) });
            }
        }
    }

    /// How many start before what an organisation enters at a place now.
    pub(super) fn ahead_of(&self, place: Place, org_id: &OrgId) -> usize {
        let before: usize = self.0.range(..place).map(|(_, ring)| ring.len()).sum();
        before + self.0.get(&place).map_or(0, |ring| ring.ahead_of(org_id))
    }

    /// The foremost place of what may start.
    pub(super) fn foremost(&self, may_start: impl Fn(&T) -> bool) -> Option<Place> {
        self.0.iter().find(|(_, ring)| ring.has(&may_start)).map(|(place, _)| *place)
    }

    /// Takes what starts next of what may.
    pub(super) fn take(&mut self, may_start: impl Fn(&T) -> bool) -> Option<T> {
        let mut rings = self.0.iter_mut();
        let (place, what) =
            rings.find_map(|(place, ring)| Some((*place, ring.take(&may_start)?)))?;
        if self.0.get(&place).is_some_and(|ring| ring.0.is_empty()) {
            self.0.remove(&place);
        }
        Some(what)
    }

    /// Takes everything out that `leaves` says of, in order.
    pub(super) fn take_all(&mut self, leaves: impl Fn(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        self.sift(|waiting| {
            for what in std::mem::take(waiting) {
                if leaves(&what) { taken.push(what) } else { waiting.push_back(what) }
            }
        });
        taken
    }

    /// Forgets what `is_gone` says of where nothing of its organisation stands before it.
    pub(super) fn forget_first(&mut self, is_gone: impl Fn(&T) -> bool) {
        self.sift(|waiting| while waiting.pop_front_if(|what| is_gone(what)).is_some() {});
    }

    /// Forgets everything from a place on.
    pub(super) fn forget_from(&mut self, place: Place) {
        drop(self.0.split_off(&place));
    }

    /// Removes something of what each organisation has, and who has nothing left.
    fn sift(&mut self, mut remove: impl FnMut(&mut VecDeque<T>)) {
        self.0.retain(|_, ring| {
            ring.0.retain_mut(|turn| {
                remove(&mut turn.waiting);
                !turn.waiting.is_empty()
            });
            !ring.0.is_empty()
        });
    }
}

impl<T> Ring<T> {
    fn len(&self) -> usize {
        self.0.iter().map(|turn| turn.waiting.len()).sum()
    }

    /// Before what an organisation enters next starts what it entered before, and of every other
    /// organisation at most one more than that.
    fn ahead_of(&self, org_id: &OrgId) -> usize {
        let own = self.0.iter().find(|turn| turn.org_id == *org_id);
        let own = own.map_or(0, |turn| turn.waiting.len());
        let others = self.0.iter().filter(|turn| turn.org_id != *org_id);
        own + others.map(|turn| turn.waiting.len().min(own + 1)).sum::<usize>()
    }

    fn has(&self, may_start: &impl Fn(&T) -> bool) -> bool {
        self.0.iter().flat_map(|turn| &turn.waiting).any(may_start)
    }

    fn take(&mut self, may_start: &impl Fn(&T) -> bool) -> Option<T> {
        for turn in 0..self.0.len() {
            let Some(at) = self.0[turn].waiting.iter().position(may_start) else { continue };
            let mut had = self.0.remove(turn)?;
            let what = had.waiting.remove(at)?;
            if !had.waiting.is_empty() {
                self.0.push_back(had);
            }
            return Some(what);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use waypost_domain::message::Priority;
    use waypost_domain::place::Traffic;

    use super::*;

    const REPLY: Place = Place::of(Traffic::Service, Priority::Normal);

    fn rings(rows: &[(Place, &str, i32)]) -> Rings<i32> {
        let mut rings = Rings::default();
        for (place, org, what) in rows {
            rings.enter(*place, &OrgId::new(*org), *what);
        }
        rings
    }

    fn in_order(rings: &mut Rings<i32>) -> Vec<i32> {
        std::iter::from_fn(|| rings.take(|_| true)).collect()
    }

    #[test]
    fn places_come_in_order_and_organisations_take_turns() {
        let mut rings = rings(&[
            (Place::BULK, "a", 6),
            (REPLY, "a", 2),
            (REPLY, "a", 4),
            (REPLY, "a", 5),
            (REPLY, "b", 3),
            (Place::FIRST, "b", 1),
        ]);
        assert_eq!(rings.head(), Some(Place::FIRST));
        assert_eq!(rings.foremost(|what| *what > 5), Some(Place::BULK));
        assert_eq!(rings.ahead_of(REPLY, &OrgId::new("a")), 5);
        assert_eq!(rings.ahead_of(REPLY, &OrgId::new("b")), 4, "two of a's three go before");
        assert_eq!(rings.ahead_of(REPLY, &OrgId::new("c")), 3);
        assert_eq!(rings.ahead_of(Place::FIRST, &OrgId::new("c")), 1);
        assert_eq!(in_order(&mut rings), [1, 2, 3, 4, 5, 6]);
        assert!(rings.is_empty());
    }

    #[test]
    fn who_cannot_start_is_passed_over_and_keeps_its_place() {
        let mut rings =
            rings(&[(REPLY, "a", 1), (REPLY, "a", 2), (REPLY, "a", 3), (REPLY, "a", 4)]);
        assert_eq!(rings.take(|what| *what > 2), Some(3));
        assert_eq!(rings.foremost(|what| *what > 4), None);
        assert_eq!(rings.take_all(|what| *what == 2), [2]);
        assert_eq!(in_order(&mut rings), [1, 4]);
    }

    #[test]
    fn who_is_gone_is_forgotten_once_first_and_so_is_an_organisation_without_any() {
        let mut rings =
            rings(&[(REPLY, "a", 1), (REPLY, "a", 2), (REPLY, "a", 3), (REPLY, "b", 1)]);
        rings.forget_first(|what| *what != 2);
        assert_eq!(rings.ahead_of(REPLY, &OrgId::new("c")), 1, "a's first of two");
        assert_eq!(in_order(&mut rings), [2, 3]);
    }

    #[test]
    fn a_place_and_all_behind_it_are_forgotten_together() {
        let mut rings = rings(&[(REPLY, "a", 1), (Place::BULK, "a", 2)]);
        rings.forget_from(Place::BULK);
        assert_eq!(in_order(&mut rings), [1]);
    }
}
