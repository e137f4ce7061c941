//! The pause between two probes of something that fails: it doubles with each probe that fails too, up
//! to a bound. A clock that is set on or back ends it, and never makes it longer.

use waypost_domain::Timestamp;

/// A clock that goes back by more than this has been set, in milliseconds: who asks may have looked at
/// it a moment before the pause began.
const CLOCK_SET_MS: i64 = 1_000;

/// How long pauses are, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PauseBounds {
    pub(crate) first_ms: i64,
    pub(crate) longest_ms: i64,
}

/// The pause after the last probe that failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProbePause {
    /// Probes that failed, one after the other.
    failed: u32,
    until: Timestamp,
    span_ms: i64,
}

impl ProbePause {
    /// A probe has failed: the next pause begins.
    pub(crate) fn begin(&mut self, bounds: PauseBounds, now: Timestamp) {
        let doubled_ms = bounds.first_ms.saturating_mul(1 << self.failed.min(20));
        self.span_ms = doubled_ms.min(bounds.longest_ms);
        self.until = now.plus_ms(self.span_ms);
        self.failed = self.failed.saturating_add(1);
    }

    /// When the next probe may be made, where that is not now.
    pub(crate) fn ends_at(&self, now: Timestamp) -> Option<Timestamp> {
        let left_ms = self.until.0.saturating_sub(now.0);
        (1..=self.span_ms.saturating_add(CLOCK_SET_MS)).contains(&left_ms).then_some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000_000);
    const BOUNDS: PauseBounds = PauseBounds { first_ms: 1_000, longest_ms: 30_000 };
    const DAY_MS: i64 = 24 * 3_600 * 1_000;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let mut pause = ProbePause::default();
        let mut now = NOON;
        assert_eq!(pause.ends_at(now), None, "nothing has failed");
        for span_ms in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            pause.begin(BOUNDS, now);
            let end = now.plus_ms(span_ms);
            assert_eq!(pause.ends_at(now), Some(end));
            assert_eq!(pause.ends_at(end.plus_ms(-1)), Some(end));
            assert_eq!(pause.ends_at(end), None);
            now = end;
        }
    }

    #[test]
    fn t30_a_clock_that_is_set_ends_the_pause_and_makes_none_longer() {
        let mut pause = ProbePause::default();
        for _ in 0..9 {
            pause.begin(BOUNDS, NOON);
        }
        for set_ms in [-1, -500, 0, 500] {
            assert_eq!(pause.ends_at(NOON.plus_ms(set_ms)), Some(NOON.plus_ms(30_000)), "{set_ms}");
        }
        for set_ms in [-3_600_000, -DAY_MS, i64::MIN, 3_600_000, DAY_MS, i64::MAX] {
            let set = NOON.plus_ms(set_ms);
            assert_eq!(pause.ends_at(set), None, "{set_ms}: a probe may be made at once");
            let mut next = pause;
            next.begin(BOUNDS, set);
            let left_ms = next.ends_at(set).map_or(0, |end| end.0 - set.0);
            assert!(left_ms <= BOUNDS.longest_ms, "{set_ms}: {left_ms}");
        }
    }
}
