//! Retry arithmetic: how long to wait before the next attempt, and when to give up.

/// What the class of a failure allows (the classes of Meta's error table).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// First wait, in milliseconds.
pub const BASE_MS: u64 = 500;
/// Longest wait, in milliseconds.
pub const CEILING_MS: u64 = 300_000;
/// Attempts of class [`RetryClass::BackOffFew`].
pub const FEW_ATTEMPTS: u32 = 5;
/// Attempts of the other classes that may be repeated at all.
pub const MOST_ATTEMPTS: u32 = 20;
/// Wait of class [`RetryClass::Later`], in milliseconds.
pub const LATER_MS: u64 = 3_600_000;

/// How long to wait after the `attempts`-th attempt failed, in milliseconds, or `None` to give up.
/// `dice` is uniform in 0..=1 (full jitter); `retry_after_s` is the upstream's own wish.
#[must_use]
pub fn delay_ms(
    class: RetryClass,
    attempts: u32,
    dice: f64,
    retry_after_s: Option<u32>,
) -> Option<u64> {
    let limit = match class {
        RetryClass::BackOff | RetryClass::Pace | RetryClass::PersonPace | RetryClass::Later => {
            MOST_ATTEMPTS
        }
        RetryClass::BackOffFew => FEW_ATTEMPTS,
        RetryClass::Never | RetryClass::Operator => return None,
    };
    if attempts >= limit {
        return None;
    }
    let asked_ms = u64::from(retry_after_s.unwrap_or(0)) * 1_000;
    if class == RetryClass::Later {
        return Some(LATER_MS.max(asked_ms));
    }
    if class == RetryClass::PersonPace {
        let waits_ms = 4_u64.saturating_pow(attempts.saturating_sub(1)).saturating_mul(1_000);
        return Some(waits_ms.min(CEILING_MS).max(asked_ms));
    }
    let ceiling = BASE_MS.saturating_mul(1 << attempts.saturating_sub(1).min(20)).min(CEILING_MS);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 300,000, and never negative"
    )]
    let jittered = (ceiling as f64 * dice.clamp(0.0, 1.0)) as u64;
    Some(jittered.max(asked_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_ceiling() {
        for (attempts, expected) in [(1, 500), (2, 1_000), (3, 2_000), (10, 256_000), (12, 300_000)]
        {
            assert_eq!(delay_ms(RetryClass::BackOff, attempts, 1.0, None), Some(expected));
        }
        assert_eq!(delay_ms(RetryClass::BackOff, 3, 0.0, None), Some(0));
        assert_eq!(delay_ms(RetryClass::BackOff, 3, 0.0, Some(7)), Some(7_000));
    }

    #[test]
    fn waits_for_a_person_grow_by_powers_of_four() {
        for (attempts, expected) in
            [(1, 1_000), (2, 4_000), (3, 16_000), (5, 256_000), (19, 300_000)]
        {
            assert_eq!(delay_ms(RetryClass::PersonPace, attempts, 0.5, None), Some(expected));
        }
    }

    #[test]
    fn gives_up_by_class() {
        assert_eq!(delay_ms(RetryClass::BackOff, MOST_ATTEMPTS, 1.0, None), None);
        assert_eq!(delay_ms(RetryClass::BackOffFew, FEW_ATTEMPTS, 1.0, None), None);
        assert_eq!(delay_ms(RetryClass::Never, 1, 1.0, None), None);
        assert_eq!(delay_ms(RetryClass::Operator, 1, 1.0, Some(5)), None);
    }
}
