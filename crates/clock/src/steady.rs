//! Time that goes steadily whatever happens to the machine's wall clock: the hour that it showed in
//! the beginning, and what has passed since. Where the wall clock shows another hour than that, it is
//! approached by a twentieth of what passes, so that a span is never much shorter or longer than it
//! says.
//!
//! Which of the two hours is right nobody can tell here.

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

/// So much of the time that passes may be corrected: one part in twenty.
const CORRECTED: i64 = 20;
/// Counts also while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PASSED: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const PASSED: ClockId = ClockId::Monotonic;

/// What the machine's clocks show at one instant, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Since an instant of the machine's choice. Never set.
    passed_ns: i64,
    /// Since the Unix epoch. Set by operators and time servers.
    wall_ns: i64,
}

impl Reading {
    pub(crate) fn now() -> Self {
        let passed = clock_gettime(PASSED);
        let passed_ns = passed.tv_sec.saturating_mul(1_000_000_000).saturating_add(passed.tv_nsec);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { passed_ns, wall_ns: i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX) }
    }

    pub(crate) const fn wall_ms(self) -> i64 {
        self.wall_ns / 1_000_000
    }
}

/// Shows the time; it never goes back.
#[derive(Debug)]
pub(crate) struct Steady(Mutex<Shown>);

/// What was shown last, and when.
#[derive(Debug)]
struct Shown {
    passed_ns: i64,
    time_ns: i64,
}

impl Steady {
    pub(crate) fn begin(at: Reading) -> Self {
        Self(Mutex::new(Shown { passed_ns: at.passed_ns, time_ns: at.wall_ns }))
    }

    /// The time, in milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self, reading: Reading) -> i64 {
        let mut shown = self.0.lock();
        // Another thread may have come first with a later reading.
        let passed_ns = reading.passed_ns.saturating_sub(shown.passed_ns).max(0);
        let expected_ns = shown.time_ns.saturating_add(passed_ns);
        let most_ns = passed_ns / CORRECTED;
        let correction_ns = reading.wall_ns.saturating_sub(expected_ns).clamp(-most_ns, most_ns);
        shown.time_ns = expected_ns.saturating_add(correction_ns);
        shown.passed_ns = shown.passed_ns.max(reading.passed_ns);
        shown.time_ns / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;
    const HOUR_S: i64 = 3_600;
    const DAY_S: i64 = 24 * HOUR_S;
    /// An instant of the year 2027, in seconds.
    const NOON_S: i64 = 1_800_000_000;

    /// The machine so long after the beginning, with a wall clock that was set on by so much.
    fn after(passed_s: i64, set_on_s: i64) -> Reading {
        Reading {
            passed_ns: 77 * SECOND_NS + passed_s * SECOND_NS,
            wall_ns: (NOON_S + passed_s + set_on_s) * SECOND_NS,
        }
    }

    /// What is shown, in seconds since the beginning.
    fn shown_s(steady: &Steady, reading: Reading) -> i64 {
        steady.now_ms(reading) / 1_000 - NOON_S
    }

    #[test]
    fn it_shows_the_hour_of_the_wall_as_long_as_nobody_sets_that() {
        let steady = Steady::begin(after(0, 0));
        for passed_s in [0, 1, 2, HOUR_S, 400 * DAY_S] {
            assert_eq!(shown_s(&steady, after(passed_s, 0)), passed_s);
        }
    }

    #[test]
    fn t30_a_wall_that_is_set_makes_no_span_shorter_or_longer_than_a_twentieth() {
        let beyond_2038_s = 20 * 366 * DAY_S;
        for set_on_s in [HOUR_S, -HOUR_S, DAY_S, -DAY_S, beyond_2038_s, -NOON_S, 1, -1] {
            let steady = Steady::begin(after(0, 0));
            let mut last_s = shown_s(&steady, after(100, 0));
            for passed_s in (100..4_000).step_by(7) {
                let now_s = shown_s(&steady, after(passed_s, set_on_s));
                assert!(now_s >= last_s, "{set_on_s}: it went back");
                last_s = now_s;
                let wrong_s = (now_s - passed_s).abs();
                assert!(wrong_s <= (passed_s - 100) / CORRECTED + 1, "{set_on_s}: {wrong_s}");
            }
        }
    }

    #[test]
    fn an_hour_that_stays_is_shown_in_the_end_and_one_that_does_not_leaves_nothing() {
        for set_on_s in [HOUR_S, -HOUR_S] {
            let steady = Steady::begin(after(0, 0));
            for passed_s in (0..=21 * HOUR_S).step_by(60) {
                shown_s(&steady, after(passed_s, set_on_s));
            }
            assert_eq!(shown_s(&steady, after(21 * HOUR_S, set_on_s)), 21 * HOUR_S + set_on_s);
            for passed_s in (21 * HOUR_S..=43 * HOUR_S).step_by(60) {
                shown_s(&steady, after(passed_s, 0));
            }
            assert_eq!(shown_s(&steady, after(43 * HOUR_S, 0)), 43 * HOUR_S);
        }
    }

    #[test]
    fn however_often_it_is_looked_at_it_is_corrected_alike() {
        let steady = Steady::begin(after(0, 0));
        let mut reading = after(0, HOUR_S);
        for _ in 0..1_000_000 {
            reading.passed_ns += 100;
            reading.wall_ns += 100;
            steady.now_ms(reading);
        }
        let corrected_ns = steady.0.lock().time_ns - NOON_S * SECOND_NS - SECOND_NS / 10;
        assert_eq!(corrected_ns, SECOND_NS / 10 / CORRECTED);
    }

    #[test]
    fn an_older_reading_of_another_thread_changes_nothing() {
        let steady = Steady::begin(after(0, 0));
        assert_eq!(shown_s(&steady, after(10, 0)), 10);
        assert_eq!(shown_s(&steady, after(9, 0)), 10);
        assert_eq!(shown_s(&steady, after(11, 0)), 11);
    }
}
