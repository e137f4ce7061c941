//! Where a message stands in its number's queue: what kind of traffic it is, then how urgent its
//! caller calls it. One-time passwords go before what people wait for in a conversation, and both go
//! before marketing and broadcasts, so that nobody's bulk delays them, not even the same tenant's.

use crate::content::Content;
use crate::message::Priority;

/// What kind of traffic a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Traffic {
    /// A template with a one-time password.
    Authentication,
    /// Replies inside a window, and utility templates.
    #[default]
    Service,
    /// Marketing templates.
    Marketing,
}

impl Traffic {
    /// By the upstream's category of a template; templates without a known one count as utility.
    #[must_use]
    pub fn of_category(category: &str) -> Self {
        if category.eq_ignore_ascii_case("AUTHENTICATION") {
            Self::Authentication
        } else if category.eq_ignore_ascii_case("MARKETING") {
            Self::Marketing
        } else {
            Self::Service
        }
    }

    /// By content; `category` tells a template's.
    #[must_use]
    pub fn of<M>(
        content: &Content<M>,
        category: impl FnOnce(&str, Option<&str>) -> Option<Self>,
    ) -> Self {
        match content {
            Content::Template(template) => {
                category(&template.name, template.language.as_deref()).unwrap_or_default()
            }
            _ => Self::Service,
        }
    }
}

/// A place in the due queue of a number: lower goes first. Stores keep its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(u8);

/// Urgencies of one kind of traffic.
const PRIORITIES: u8 = 3;

impl Place {
    /// Before all others.
    pub const FIRST: Self = Self(0);
    /// The first of what is bulk.
    pub const BULK: Self = Self(2 * PRIORITIES);
    /// Members of broadcasts: behind every single message.
    pub const BROADCAST: Self = Self(3 * PRIORITIES);

    /// Of a single message.
    #[must_use]
    pub const fn of(traffic: Traffic, priority: Priority) -> Self {
        Self(traffic as u8 * PRIORITIES + priority as u8)
    }

    /// Kinds of traffic.
    pub const KINDS: usize = 3;

    /// Which kind of traffic, by its urgency; a broadcast's is that of marketing.
    #[must_use]
    pub fn kind(self) -> usize {
        usize::from(self.0 / PRIORITIES).min(Self::KINDS - 1)
    }

    /// The number that is kept. Stable.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The place of a kept number.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        Self(number)
    }

    /// Whether it is marketing or a broadcast's.
    #[must_use]
    pub const fn is_bulk(self) -> bool {
        self.0 >= Self::BULK.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_traffic_come_before_urgency_and_broadcasts_come_last() {
        let mut places = Vec::new();
        for traffic in [Traffic::Authentication, Traffic::Service, Traffic::Marketing] {
            for priority in [Priority::High, Priority::Normal, Priority::Low] {
                places.push(Place::of(traffic, priority));
            }
        }
        places.push(Place::BROADCAST);
        let numbers: Vec<u8> = places.iter().map(|place| place.number()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let kinds: Vec<usize> = places.iter().map(|place| place.kind()).collect();
        assert_eq!(kinds, [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]);
        let bulk = places.iter().filter(|place| place.is_bulk()).count();
        assert_eq!(bulk, 4);
        assert!(places.iter().all(|place| Place::from_number(place.number()) == *place));
    }

    #[test]
    fn a_templates_category_says_what_traffic_it_is() {
        for (category, traffic) in [
            ("AUTHENTICATION", Traffic::Authentication),
            ("utility", Traffic::Service),
            ("Marketing", Traffic::Marketing),
            ("", Traffic::Service),
        ] {
            assert_eq!(Traffic::of_category(category), traffic, "{category}");
        }
    }
}
