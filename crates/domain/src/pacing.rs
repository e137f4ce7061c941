//! Pace arithmetic: how soon the next message of a number may start. The generic cell rate
//! algorithm: one instant of state, no timer.

/// A pace of `rate` starts a second that tolerates short bursts of a tenth of a second's worth.
#[derive(Clone, Debug)]
pub struct Pace {
    interval_us: i64,
    tolerance_us: i64,
    /// When the next start is due if all came evenly, in microseconds.
    next_due_us: i64,
}

/// Messages a second that Meta allows a number by default.
pub const DEFAULT_RATE_PER_S: u32 = 80;

impl Pace {
    /// `rate_per_s` of 0 counts as 1.
    #[must_use]
    pub fn new(rate_per_s: u32) -> Self {
        let rate = i64::from(rate_per_s.max(1));
        let interval_us = (1_000_000 / rate).max(1);
        let burst = (rate / 10).max(1);
        Self { interval_us, tolerance_us: interval_us * (burst - 1), next_due_us: i64::MIN }
    }

    /// Takes the next start. Returns how long to wait for it, in microseconds; 0 means now.
    pub fn take(&mut self, now_us: i64) -> i64 {
        let due = self.next_due_us.max(now_us);
        self.next_due_us = due + self.interval_us;
        (due - self.tolerance_us - now_us).max(0)
    }

    /// How long a start taken now would have to wait, in microseconds, without taking it.
    #[must_use]
    pub fn wait_us(&self, now_us: i64) -> i64 {
        (self.next_due_us.max(now_us) - self.tolerance_us - now_us).max(0)
    }

    /// Lets no start happen for a while: the upstream said that it was too fast.
    pub fn pause(&mut self, now_us: i64, span_us: i64) {
        let resume = now_us.saturating_add(span_us).saturating_add(self.tolerance_us);
        self.next_due_us = self.next_due_us.max(resume);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_spread_evenly_after_a_small_burst() {
        let mut pace = Pace::new(80);
        let waits: Vec<i64> = (0..10).map(|_| pace.take(1_000_000)).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 12_500, 25_000]);
    }

    #[test]
    fn a_long_drain_keeps_the_rate() {
        let mut pace = Pace::new(80);
        let mut now_us = 0;
        for _ in 0..800 {
            now_us += pace.take(now_us);
        }
        assert_eq!(now_us, (800 - 8) * 12_500);
    }

    #[test]
    fn a_pause_holds_the_next_start() {
        let mut pace = Pace::new(80);
        pace.pause(0, 3_000_000);
        assert_eq!(pace.wait_us(1_000_000), 2_000_000);
        assert_eq!(pace.take(0), 3_000_000);
    }
}
