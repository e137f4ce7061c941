//! A bounded window onto a number's queue, held in memory in the order in which its messages start.

use waypost_domain::place::Place;
use waypost_planted::{Bug, is_planted};

use super::rings::Rings;
use crate::ports::WaitingMessage;

/// What may start next.
#[derive(Default)]
pub(super) struct Plan {
    rings: Rings<WaitingMessage>,
    /// The foremost place of what was queued and is not in here yet.
    unread: Option<Place>,
}

impl Plan {
    /// The foremost place in it.
    pub(super) fn head(&self) -> Option<Place> {
        self.rings.head()
    }

    /// Whether its foremost place is this one.
    pub(super) fn has_more_at(&self, place: Place) -> bool {
        self.head() == Some(place)
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
            let org_id = due.org_id.clone();
            self.rings.enter(place, &org_id, due);
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
        self.rings.forget_from(Place::BULK);
    }

    /// Forgets the window, to be read anew; what was in it still waits in the store.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The foremost place of a message that may start.
    pub(super) fn foremost(&self, may_start: impl Fn(&WaitingMessage) -> bool) -> Option<Place> {
        self.rings.foremost(may_start)
    }

    /// Takes the message that starts next.
    pub(super) fn take(
        &mut self,
        may_start: impl Fn(&WaitingMessage) -> bool,
    ) -> Option<WaitingMessage> {
        self.rings.take(may_start)
    }

    /// Takes every message out that `leaves` says of, in order.
    pub(super) fn take_all(
        &mut self,
        leaves: impl Fn(&WaitingMessage) -> bool,
    ) -> Vec<WaitingMessage> {
        self.rings.take_all(leaves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waypost_domain::message::Priority;
    use waypost_domain::place::Traffic;
    use waypost_domain::{MessageId, OrgId, Phone};

    const OTP: Place = Place::of(Traffic::Authentication, Priority::Normal);

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
    fn a_single_message_before_bulk_has_no_company() {
        let mut plan = Plan::default();
        plan.add(vec![
            waiting("a", OTP, 1),
            waiting("a", Place::BULK, 2),
            waiting("b", Place::BULK, 3),
        ]);
        let mut has_more = Vec::new();
        while let Some(next) = plan.take(|_| true) {
            has_more.push(plan.has_more_at(next.place));
        }
        assert_eq!(has_more, [false, true, false]);
    }
}
