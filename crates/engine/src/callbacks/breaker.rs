//! Breakers: an address that keeps failing is asked only now and then until it answers again.

use std::collections::HashMap;

use parking_lot::Mutex;
use waypost_domain::Timestamp;

/// Failures in a row after which a target is only probed.
const FAILURES_TO_OPEN: u32 = 10;
/// The first pause between two probes, in milliseconds; each failed one doubles it.
const FIRST_PAUSE_MS: i64 = 1_000;
/// The longest pause between two probes, in milliseconds.
const LONGEST_PAUSE_MS: i64 = 30_000;
/// Failing targets that are remembered; beyond, all are forgotten.
const MAX_FAILING: usize = 10_000;

/// What a target may be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// As many calls as anybody may have.
    Full,
    /// One call: if it succeeds, all is well again.
    Probe,
    /// None before then.
    NotBefore(Timestamp),
}

#[derive(Clone, Copy)]
struct Failing {
    in_a_row: u32,
    quiet_until: Timestamp,
}

/// The breakers of all targets. Those that do not fail have no entry.
#[derive(Default)]
pub(crate) struct Breakers(Mutex<HashMap<i64, Failing>>);

impl Breakers {
    pub(super) fn leave(&self, target: i64, now: Timestamp) -> Leave {
        match self.0.lock().get(&target) {
            Some(failing) if failing.in_a_row >= FAILURES_TO_OPEN => {
                if now < failing.quiet_until {
                    Leave::NotBefore(failing.quiet_until)
                } else {
                    Leave::Probe
                }
            }
            _ => Leave::Full,
        }
    }

    /// Whether a target is only probed.
    pub(super) fn is_open(&self, target: i64) -> bool {
        self.0.lock().get(&target).is_some_and(|failing| failing.in_a_row >= FAILURES_TO_OPEN)
    }

    pub(super) fn succeeded(&self, target: i64) {
        self.0.lock().remove(&target);
    }

    pub(super) fn failed(&self, target: i64, now: Timestamp) {
        let mut targets = self.0.lock();
        if targets.len() >= MAX_FAILING {
            targets.clear();
        }
        let failing = targets.entry(target).or_insert(Failing { in_a_row: 0, quiet_until: now });
        failing.in_a_row = failing.in_a_row.saturating_add(1);
        if let Some(probes) = failing.in_a_row.checked_sub(FAILURES_TO_OPEN) {
            let pause = FIRST_PAUSE_MS.saturating_mul(1 << probes.min(20));
            failing.quiet_until = now.plus_ms(pause.min(LONGEST_PAUSE_MS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_ten_failures_and_pauses_half_a_minute_at_most() {
        let breakers = Breakers::default();
        let mut now = Timestamp(0);
        for _ in 0..9 {
            breakers.failed(1, now);
            assert_eq!(breakers.leave(1, now), Leave::Full);
        }
        for pause_ms in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            breakers.failed(1, now);
            assert_eq!(breakers.leave(1, now), Leave::NotBefore(now.plus_ms(pause_ms)));
            now = now.plus_ms(pause_ms);
            assert_eq!(breakers.leave(1, now), Leave::Probe);
        }
        assert_eq!(breakers.leave(2, now), Leave::Full, "another target");
        breakers.succeeded(1);
        assert_eq!(breakers.leave(1, now), Leave::Full);
    }
}
