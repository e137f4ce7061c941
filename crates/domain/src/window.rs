//! The 24-hour customer-service window: free-form messages may be sent while it is open.

use serde::{Deserialize, Serialize};

use crate::ids::NumberId;
use crate::time::Timestamp;

/// How long a window stays open after the customer's last message, in milliseconds.
pub const WINDOW_MS: i64 = 24 * 3_600 * 1_000;

/// What to do with a free-form message while the window is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowPolicy {
    /// Say no at once.
    #[default]
    Refuse,
    /// Let the upstream judge.
    Forward,
    /// Keep it until the customer writes again.
    Hold,
}

/// A window that keeps a message from being sent, and what would do in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedWindow {
    /// The number at which it is closed.
    pub number_id: NumberId,
    /// Since when; `None`: the person never wrote to this number, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Some approved templates of this number, those for notices before those for marketing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub templates: Vec<UsableTemplate>,
}

/// A template that may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsableTemplate {
    /// Its name.
    pub name: String,
    /// Its language code.
    pub language: String,
    /// `UTILITY` or `MARKETING`.
    pub category: String,
}

/// A window's state at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Open until then.
    Open(Timestamp),
    /// Closed since then.
    ClosedSince(Timestamp),
    /// The customer never wrote, as far as is known.
    NoHistory,
}

impl Window {
    /// The state at `now` of a window whose customer last wrote at `last_inbound_at`.
    #[must_use]
    pub fn at(now: Timestamp, last_inbound_at: Option<Timestamp>) -> Self {
        match last_inbound_at.map(|inbound| inbound.plus_ms(WINDOW_MS)) {
            None => Self::NoHistory,
            Some(end) if now < end => Self::Open(end),
            Some(end) => Self::ClosedSince(end),
        }
    }

    /// Since when it is closed, where that is known.
    #[must_use]
    pub const fn closed_since(self) -> Option<Timestamp> {
        match self {
            Self::ClosedSince(at) => Some(at),
            Self::Open(_) | Self::NoHistory => None,
        }
    }

    /// Whether a free-form message may go. For 24 hours after a number was added, a window without
    /// history is left to the upstream: a business that moves over in mid-conversation must not be
    /// cut off.
    #[must_use]
    pub fn admits_free_form(
        self,
        policy: WindowPolicy,
        now: Timestamp,
        number_added_at: Timestamp,
    ) -> bool {
        match self {
            Self::Open(_) => true,
            _ if policy == WindowPolicy::Forward => true,
            Self::NoHistory => now < number_added_at.plus_ms(WINDOW_MS),
            Self::ClosedSince(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = WINDOW_MS;

    #[test]
    fn a_window_closes_to_the_millisecond() {
        let inbound = Timestamp(1_000);
        let open = Window::at(Timestamp(DAY + 999), Some(inbound));
        assert_eq!(open, Window::Open(Timestamp(DAY + 1_000)));
        let closed = Window::at(Timestamp(DAY + 1_000), Some(inbound));
        assert_eq!(closed, Window::ClosedSince(Timestamp(DAY + 1_000)));
    }

    #[test]
    fn a_window_without_history_is_forwarded_for_a_day_after_the_number_came() {
        let added = Timestamp(5 * DAY);
        for (now, admitted) in [(5 * DAY, true), (6 * DAY - 1, true), (6 * DAY, false)] {
            let window = Window::at(Timestamp(now), None);
            assert_eq!(
                window.admits_free_form(WindowPolicy::Refuse, Timestamp(now), added),
                admitted
            );
        }
        let closed = Window::ClosedSince(Timestamp(0));
        assert!(!closed.admits_free_form(WindowPolicy::Refuse, added, added));
        assert!(closed.admits_free_form(WindowPolicy::Forward, added, added));
    }
}
