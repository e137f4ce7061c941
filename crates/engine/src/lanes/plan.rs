//! A bounded window onto a number's queue, held in memory in the order in which its messages start:
//! by place; within a place the organisations that share the number take turns; within an
//! organisation in the order of acceptance.
//!
//! The turns are a deficit round robin in which every message costs one start and every organisation
//! has the same quantum, so that no deficit is ever left over.

use std::collections::{BTreeMap, VecDeque};

use waypost_domain::OrgId;
use waypost_domain::place::Place;
use waypost_planted::{Bug, is_planted};

use crate::ports::WaitingMessage;

/// What may start next.
#[derive(Default)]
pub(super) struct Plan {
    rings: BTreeMap<Place, Ring>,
    /// The foremost place of what was queued and is not in here yet.
    unread: Option<Place>,
}

/// One place: its organisations, the next one first.
#[derive(Default)]
struct Ring(VecDeque<Turn>);

struct Turn {
    org_id: OrgId,
    waiting: VecDeque<WaitingMessage>,
}

impl Plan {
    /// The foremost place in it.
    pub(super) fn head(&self) -> Option<Place> {
        self.rings.keys().next().copied()
    }

    /// Adds what was read, which comes in order. Who had the last turn is not asked: after a new
    /// window the first in the order of acceptance begins.
    pub(super) fn add(&mut self, due: Vec<WaitingMessage>) {
        for due in due {
            let place = if is_planted(Bug::BulkFirst) {
                Place::from_number(u8::MAX - due.place.number())
            } else {
                due.place
            };
            let ring = self.rings.entry(place).or_default();
            match ring.0.iter_mut().find(|turn| turn.org_id == due.org_id) {
                Some(turn) => turn.waiting.push_back(due),
                None => {
                    let org_id = due.org_id.clone();
                    ring.0.push_back(Turn { org_id, waiting: VecDeque::from([due]) });
                }
            }
        }
    }

    /// Notes the foremost place of what was queued meanwhile.
    pub(super) fn note_news(&mut self, place: Option<Place>) {
        self.unread = self.unread.into_iter().chain(place).min();
    }

    /// The foremost place in it, where something stands before that has not been read: it is to be
    /// read now.
    pub(super) fn has_news_before(&mut self) -> Option<Place> {
        let head = self.head()?;
        self.unread.take_if(|unread| *unread < head).map(|_| head)
    }

    /// Forgets what is bulk; it still waits in the store.
    pub(super) fn forget_bulk(&mut self) {
        drop(self.rings.split_off(&Place::BULK));
    }

    /// Forgets the window, to be read anew; what was in it still waits in the store.
    pub(super) fn clear(&mut self) {
        self.rings.clear();
        self.unread = None;
    }

    /// The foremost place of a message that may start.
    pub(super) fn foremost(&self, may_start: impl Fn(&WaitingMessage) -> bool) -> Option<Place> {
        let mut rings = self.rings.iter();
        rings.find(|(_, ring)| ring.has(&may_start)).map(|(place, _)| *place)
    }

    /// Whether some message may start.
    pub(super) fn has(&self, may_start: impl Fn(&WaitingMessage) -> bool) -> bool {
        self.rings.values().any(|ring| ring.has(&may_start))
    }

    /// Takes the message that starts next.
    pub(super) fn take(
        &mut self,
        may_start: impl Fn(&WaitingMessage) -> bool,
    ) -> Option<WaitingMessage> {
        let (place, due) = self
            .rings
            .iter_mut()
            .find_map(|(place, ring)| Some((*place, ring.take(&may_start)?)))?;
        if self.rings.get(&place).is_some_and(|ring| ring.0.is_empty()) {
            self.rings.remove(&place);
        }
        Some(due)
    }

    /// Takes every message out that `leaves` says of, in order.
    pub(super) fn take_all(
        &mut self,
        leaves: impl Fn(&WaitingMessage) -> bool,
    ) -> Vec<WaitingMessage> {
        let mut taken = Vec::new();
        for ring in self.rings.values_mut() {
            for turn in &mut ring.0 {
                let all = std::mem::take(&mut turn.waiting);
                for due in all {
                    if leaves(&due) { taken.push(due) } else { turn.waiting.push_back(due) }
                }
            }
            ring.0.retain(|turn| !turn.waiting.is_empty());
        }
        self.rings.retain(|_, ring| !ring.0.is_empty());
        taken
    }
}

impl Ring {
    fn has(&self, may_start: &impl Fn(&WaitingMessage) -> bool) -> bool {
        self.0.iter().flat_map(|turn| &turn.waiting).any(may_start)
    }

    fn take(&mut self, may_start: &impl Fn(&WaitingMessage) -> bool) -> Option<WaitingMessage> {
        for turn in 0..self.0.len() {
            let Some(at) = self.0[turn].waiting.iter().position(may_start) else { continue };
            let mut had = self.0.remove(turn)?;
            let due = had.waiting.remove(at)?;
            if !had.waiting.is_empty() {
                self.0.push_back(had);
            }
            return Some(due);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waypost_domain::message::Priority;
    use waypost_domain::place::Traffic;
    use waypost_domain::{MessageId, Phone};

    const OTP: Place = Place::of(Traffic::Authentication, Priority::Normal);
    const REPLY: Place = Place::of(Traffic::Service, Priority::Normal);

    fn waiting(org: &str, place: Place, order: i64) -> WaitingMessage {
        let bytes = u128::try_from(order).unwrap().to_be_bytes();
        WaitingMessage {
            id: MessageId::from_bytes(bytes),
            order,
            place,
            org_id: OrgId::new(org),
            phone: Phone::parse(&format!("1555{order:07}")).unwrap(),
            broadcast_id: None,
            attempts: 0,
            expires_at: None,
            was_held: false,
        }
    }

    fn orders(plan: &mut Plan) -> Vec<i64> {
        std::iter::from_fn(|| plan.take(|_| true)).map(|taken| taken.order).collect()
    }

    #[test]
    fn organisations_take_turns_within_a_place_and_places_come_in_order() {
        let mut plan = Plan::default();
        let rows = [("a", REPLY, 1), ("a", REPLY, 2), ("a", REPLY, 3), ("b", REPLY, 9)];
        plan.add(rows.map(|(org, place, order)| waiting(org, place, order)).to_vec());
        plan.add(vec![waiting("b", OTP, 10), waiting("a", Place::BULK, 0)]);
        assert_eq!(plan.head(), Some(OTP));
        assert_eq!(orders(&mut plan), [10, 1, 9, 2, 3, 0]);
        assert_eq!(plan.head(), None);
    }

    #[test]
    fn news_are_kept_until_what_stands_before_them_has_started() {
        let mut plan = Plan::default();
        plan.add(vec![waiting("a", OTP, 1), waiting("a", Place::BULK, 2)]);
        plan.note_news(Some(OTP));
        assert_eq!(plan.has_news_before(), None, "not before what is first");
        assert_eq!(plan.take(|_| true).map(|due| due.order), Some(1));
        assert_eq!(plan.has_news_before(), Some(Place::BULK));
        assert_eq!(plan.has_news_before(), None, "told once");
    }

    #[test]
    fn who_cannot_start_is_passed_over_and_keeps_its_place() {
        let mut plan = Plan::default();
        plan.add((1..=4).map(|order| waiting("a", REPLY, order)).collect());
        assert_eq!(plan.take(|due| due.order > 2).map(|due| due.order), Some(3));
        assert!(!plan.has(|due| due.order > 4));
        let out = plan.take_all(|due| due.order == 2);
        assert_eq!(out.len(), 1);
        assert_eq!(orders(&mut plan), [1, 4]);
    }
}
