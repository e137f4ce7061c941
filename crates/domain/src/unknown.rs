//! What becomes of a message of which nobody knows whether it was sent: whether it is sent again by
//! itself, and when. Statuses, which settle it, are `status`'s business.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How long a status is waited for before such a message is sent again, in milliseconds, while
/// webhooks can be received.
pub const HOLD_MS: i64 = 120_000;

/// What becomes of a message whose outcome is unknown. One that is sent again is sent again once:
/// if its outcome is unknown then too, it stays so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPolicy {
    /// Wait for a status, then repeat it, flagged as a possible duplicate.
    #[default]
    HoldThenResend,
    /// Never repeat it.
    NeverResend,
    /// Repeat it at once.
    ResendNow,
}

impl UnknownPolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::HoldThenResend, Self::NeverResend, Self::ResendNow];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HoldThenResend => "hold_then_resend",
            Self::NeverResend => "never_resend",
            Self::ResendNow => "resend_now",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text)
    }

    /// When a message is sent again whose outcome is unknown since `now`; `None`: never.
    #[must_use]
    pub fn resend_at(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::HoldThenResend => Some(now.plus_ms(HOLD_MS)),
            Self::NeverResend => None,
            Self::ResendNow => Some(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_has_its_word_and_its_wait() {
        let now = Timestamp(1_000);
        for (policy, word, at) in [
            (UnknownPolicy::HoldThenResend, "hold_then_resend", Some(Timestamp(121_000))),
            (UnknownPolicy::NeverResend, "never_resend", None),
            (UnknownPolicy::ResendNow, "resend_now", Some(now)),
        ] {
            assert_eq!(UnknownPolicy::parse(word), Some(policy));
            assert_eq!(policy.as_str(), word);
            assert_eq!(policy.resend_at(now), at);
            assert_eq!(serde_json::to_value(policy).unwrap(), word);
        }
        assert_eq!(UnknownPolicy::parse("resend"), None);
    }
}
