//! Retry arithmetic: how long to wait before the next attempt, and when to give up.

use serde::{Deserialize, Serialize};

/// What the class of a failure allows (the classes of Meta's error table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryClass {
    /// Back off and try again.
    BackOff,
    /// Back off, a few times only.
    BackOffFew,
    /// The number's pace was too fast: slow down, then try again.
    Pace,
    /// The pace to this one person was too fast: others may go on. Waits of 4^n seconds.
    PersonPace,
    /// Try again much later, or after the state has changed.
    Later,
    /// Never without a change of the message.
    Never,
    /// An operator must act first.
    Operator,
    /// An operator must act first, and until then nothing of the whole number can be sent. Who
    /// waits for the answer is told at once; what is queued stays so.
    Account,
}

impl RetryClass {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BackOff => "back_off",
            Self::BackOffFew => "back_off_few",
            Self::Pace => "pace",
            Self::PersonPace => "person_pace",
            Self::Later => "later",
            Self::Never => "never",
            Self::Operator => "operator",
            Self::Account => "account",
        }
    }

    /// Whether the same message may be sent another time, by itself or after an operator acted.
    #[must_use]
    pub const fn may_work_later(self) -> bool {
        !matches!(self, Self::Never)
    }
}

/// How a message has been failing since it was accepted, or since somebody sent it again. What is
/// allowed to one class is not used up by others; waits grow with every failure, or an upstream that
/// says one thing after the other would be asked without a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// The class of the latest failure.
    pub class: RetryClass,
    /// Failures of this class in a row, from 1.
    pub times: u32,
    /// Failures of all classes.
    pub in_all: u32,
}

impl Failing {
    /// With one failure more.
    #[must_use]
    pub fn once_more(before: Option<Self>, class: RetryClass) -> Self {
        let Some(before) = before else { return Self { class, times: 1, in_all: 1 } };
        let in_a_row = if before.class == class { before.times } else { 0 };
        Self { class, times: in_a_row + 1, in_all: before.in_all + 1 }
    }
}

/// First wait, in milliseconds.
pub const BASE_MS: u64 = 500;
/// Longest wait, in milliseconds.
pub const CEILING_MS: u64 = 300_000;
/// First wait of class [`RetryClass::Account`], in milliseconds.
pub const ACCOUNT_BASE_MS: u64 = 30_000;
/// Attempts of class [`RetryClass::BackOffFew`].
pub const FEW_ATTEMPTS: u32 = 5;
/// Attempts of class [`RetryClass::Later`]: nearly a day.
pub const LATER_ATTEMPTS: u32 = 20;
/// Attempts where nothing is wrong with the message itself: about a day of the longest waits, which
/// are half of [`CEILING_MS`] on average. Mostly the message's time to live ends before.
pub const PATIENT_ATTEMPTS: u32 = 600;
/// Attempts in all, which are also those where only the pace was wrong: a pace ends no message before
/// its time to live, and the longest, 30 days, has room for 17,280 of the longest waits on average.
pub const MOST_ATTEMPTS: u32 = 20_000;
/// Wait of class [`RetryClass::Later`], in milliseconds.
pub const LATER_MS: u64 = 3_600_000;

/// How long to wait after a failure, in milliseconds, or `None` to give up. `dice` is uniform in
/// 0..=1 (full jitter); `retry_after_s` is the upstream's own wish.
#[must_use]
pub fn delay_ms(failing: Failing, dice: f64, retry_after_s: Option<u32>) -> Option<u64> {
    let Failing { class, times, in_all } = failing;
    let limit = match class {
        RetryClass::Pace | RetryClass::PersonPace => MOST_ATTEMPTS,
        RetryClass::BackOff | RetryClass::Account => PATIENT_ATTEMPTS,
        RetryClass::Later => LATER_ATTEMPTS,
        RetryClass::BackOffFew => FEW_ATTEMPTS,
        RetryClass::Never | RetryClass::Operator => return None,
    };
    if times >= limit || in_all >= MOST_ATTEMPTS {
        return None;
    }
    let asked_ms = u64::from(retry_after_s.unwrap_or(0)) * 1_000;
    let wait_ms = match class {
        RetryClass::Later => LATER_MS,
        RetryClass::PersonPace => {
            let waits_ms = 4_u64.saturating_pow(times.saturating_sub(1)).saturating_mul(1_000);
            waits_ms.min(CEILING_MS)
        }
        RetryClass::Account => jittered(doubled(ACCOUNT_BASE_MS, in_all), dice),
        _ => jittered(doubled(BASE_MS, in_all), dice),
    };
    Some(wait_ms.max(asked_ms))
}

/// The longest wait after so many failures.
fn doubled(base_ms: u64, failures: u32) -> u64 {
    base_ms.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(CEILING_MS)
}

fn jittered(ceiling_ms: u64, dice: f64) -> u64 {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 300,000, and never negative"
    )]
    let jittered_ms = (ceiling_ms as f64 * dice.clamp(0.0, 1.0)) as u64;
    jittered_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(class: RetryClass, times: u32, dice: f64, retry_after_s: Option<u32>) -> Option<u64> {
        delay_ms(Failing { class, times, in_all: times }, dice, retry_after_s)
    }

    #[test]
    fn failures_are_counted_in_a_row_by_class_and_in_all() {
        let mut failing = None;
        for (class, times, in_all) in [
            (RetryClass::Pace, 1, 1),
            (RetryClass::Pace, 2, 2),
            (RetryClass::BackOffFew, 1, 3),
            (RetryClass::Pace, 1, 4),
        ] {
            let now = Failing::once_more(failing, class);
            assert_eq!(now, Failing { class, times, in_all });
            failing = Some(now);
        }
    }

    #[test]
    fn waits_grow_and_end_also_where_the_class_changes_each_time() {
        let failing = |in_all| Failing { class: RetryClass::BackOffFew, times: 1, in_all };
        assert_eq!(delay_ms(failing(12), 1.0, None), Some(300_000));
        assert_eq!(delay_ms(failing(MOST_ATTEMPTS), 1.0, None), None);
    }

    #[test]
    fn waits_double_up_to_a_ceiling() {
        for (times, expected) in [(1, 500), (2, 1_000), (3, 2_000), (10, 256_000), (12, 300_000)] {
            assert_eq!(after(RetryClass::BackOff, times, 1.0, None), Some(expected));
        }
        assert_eq!(after(RetryClass::BackOff, 3, 0.0, None), Some(0));
        assert_eq!(after(RetryClass::BackOff, 3, 0.0, Some(7)), Some(7_000));
        assert_eq!(after(RetryClass::Account, 1, 1.0, None), Some(30_000));
        assert_eq!(after(RetryClass::Account, 99, 1.0, None), Some(300_000));
    }

    #[test]
    fn waits_for_a_person_grow_by_powers_of_four() {
        for (times, expected) in [(1, 1_000), (2, 4_000), (3, 16_000), (5, 256_000), (19, 300_000)]
        {
            assert_eq!(after(RetryClass::PersonPace, times, 0.5, None), Some(expected));
        }
    }

    /// Full jitter: of many waits, each tenth of the range gets its tenth (Kolmogorov-Smirnov at
    /// 1 % for 1,000 waits is 0.0515).
    #[test]
    fn waits_are_spread_evenly_over_their_range() {
        let throws = 1_000_u32;
        let waits = (0..throws).map(|throw| {
            let dice = f64::from(throw.wrapping_mul(2_654_435_769)) / f64::from(u32::MAX);
            after(RetryClass::BackOff, 8, dice, None).unwrap()
        });
        let mut waits: Vec<u64> = waits.collect();
        waits.sort_unstable();
        for (place, wait) in (1_u32..).zip(waits) {
            let (expected, found) = (
                f64::from(place) / f64::from(throws),
                f64::from(u32::try_from(wait).unwrap()) / 64_000.0,
            );
            assert!((expected - found).abs() < 0.0515, "{place}: {wait}");
        }
    }

    #[test]
    fn gives_up_by_class() {
        for (class, limit) in [
            (RetryClass::BackOff, PATIENT_ATTEMPTS),
            (RetryClass::Pace, MOST_ATTEMPTS),
            (RetryClass::Account, PATIENT_ATTEMPTS),
            (RetryClass::BackOffFew, FEW_ATTEMPTS),
            (RetryClass::PersonPace, MOST_ATTEMPTS),
            (RetryClass::Later, LATER_ATTEMPTS),
            (RetryClass::Never, 1),
            (RetryClass::Operator, 1),
        ] {
            assert_eq!(after(class, limit, 1.0, Some(5)), None, "{class:?}");
            assert_eq!(after(class, limit - 1, 1.0, None).is_some(), limit > 1, "{class:?}");
        }
    }
}
