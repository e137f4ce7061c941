//! Pace arithmetic: how soon the next message of a number, or to one person, may start. The generic
//! cell rate algorithm: one instant of state, no timer.

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
        let mut pace = Self { interval_us: 0, tolerance_us: 0, next_due_us: i64::MIN };
        pace.set_rate(rate_per_s);
        pace
    }

    /// Goes on at another rate; what was taken stays taken.
    pub fn set_rate(&mut self, rate_per_s: u32) {
        let rate = i64::from(rate_per_s.max(1));
        let burst = (rate / 10).max(1);
        self.interval_us = (1_000_000 / rate).max(1);
        self.tolerance_us = self.interval_us * (burst - 1);
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
        self.wait_behind_us(now_us, 0)
    }

    /// [`Pace::wait_us`] of a start that so many others go before.
    #[must_use]
    pub fn wait_behind_us(&self, now_us: i64, others: u64) -> i64 {
        let others_us = self.interval_us.saturating_mul(i64::try_from(others).unwrap_or(i64::MAX));
        let due = self.next_due_us.max(now_us).saturating_add(others_us);
        (due - self.tolerance_us - now_us).max(0)
    }

    /// Lets no start happen for a while: the upstream said that it was too fast.
    pub fn pause(&mut self, now_us: i64, span_us: i64) {
        let resume = now_us.saturating_add(span_us).saturating_add(self.tolerance_us);
        self.next_due_us = self.next_due_us.max(resume);
    }
}

/// A number that is too fast goes on at so much of its pace, in hundredths.
const SLOWED_TO_PERCENT: u32 = 70;
/// Refusals within this time are one: they were all on their way already. In microseconds.
const ONE_REFUSAL_US: i64 = 1_000_000;
/// How often a slowed number becomes faster by a step, in microseconds.
const STEP_EVERY_US: i64 = 5_000_000;
/// Steps from nothing to the configured rate.
const STEPS: u32 = 20;
/// The same, close to and beyond the rate that was refused last.
const CAREFUL_STEPS: u32 = 100;
/// How close that is, in hundredths.
const CLOSE_PERCENT: u32 = 90;

/// The pace of a number: as configured, slower after the upstream said that it is too fast, and
/// back step by step.
#[derive(Clone, Debug)]
pub struct NumberPace {
    configured_per_s: u32,
    present_per_s: u32,
    /// The rate at which the upstream last said that it is too fast.
    refused_per_s: u32,
    changed_at_us: i64,
    pace: Pace,
}

impl NumberPace {
    /// Full pace.
    #[must_use]
    pub fn new(configured_per_s: u32) -> Self {
        let configured_per_s = configured_per_s.max(1);
        Self {
            configured_per_s,
            present_per_s: configured_per_s,
            refused_per_s: u32::MAX,
            changed_at_us: i64::MIN,
            pace: Pace::new(configured_per_s),
        }
    }

    /// Another configured rate: what was learnt of the old one is forgotten.
    pub fn configure(&mut self, configured_per_s: u32) {
        if self.configured_per_s != configured_per_s.max(1) {
            let next_due_us = self.pace.next_due_us;
            *self = Self::new(configured_per_s);
            self.pace.next_due_us = next_due_us;
        }
    }

    /// Starts a second as configured.
    #[must_use]
    pub const fn configured_per_s(&self) -> u32 {
        self.configured_per_s
    }

    /// Starts a second at present.
    pub fn present_per_s(&mut self, now_us: i64) -> u32 {
        self.recover(now_us);
        self.present_per_s
    }

    /// Takes the next start, as [`Pace::take`].
    pub fn take(&mut self, now_us: i64) -> i64 {
        self.recover(now_us);
        self.pace.take(now_us)
    }

    /// Takes the next start as [`NumberPace::take`]; one that is not now falls on a beat of `beat_us` microseconds.
    /// The starts after it come no later for that: they are due by when it was due.
    pub fn take_on_beat(&mut self, now_us: i64, beat_us: i64) -> i64 {
        match self.take(now_us) {
            0 => 0,
            wait_us => wait_us + (-(now_us + wait_us)).rem_euclid(beat_us),
        }
    }

    /// How long a start taken now would have to wait, as [`Pace::wait_us`].
    #[must_use]
    pub fn wait_us(&self, now_us: i64) -> i64 {
        self.pace.wait_us(now_us)
    }

    /// How long a start that so many others go before would have to wait, at the present pace.
    pub fn wait_behind_us(&mut self, now_us: i64, others: u64) -> i64 {
        self.recover(now_us);
        self.pace.wait_behind_us(now_us, others)
    }

    /// The upstream said that it is too fast: nothing for a while, then slower.
    pub fn too_fast(&mut self, now_us: i64, span_us: i64) {
        let is_slowed = self.present_per_s < self.configured_per_s;
        if !is_slowed || now_us >= self.changed_at_us.saturating_add(ONE_REFUSAL_US) {
            self.refused_per_s = self.present_per_s;
            let slowed = self.present_per_s * SLOWED_TO_PERCENT / 100;
            self.slow_to(slowed, now_us.saturating_add(span_us));
        }
        self.pace.pause(now_us, span_us);
    }

    /// The upstream said how much of its limits is used, in hundredths: from 80 on, the nearer to
    /// 100 the slower.
    pub fn used(&mut self, now_us: i64, percent: u8) {
        const FREE_PERCENT: u32 = 80;
        let percent = u32::from(percent.min(100));
        if percent >= FREE_PERCENT {
            let left = (100 - percent) * 100 / (100 - FREE_PERCENT);
            let slowed = self.configured_per_s * left.max(5) / 100;
            if slowed < self.present_per_s {
                self.slow_to(slowed, now_us);
            }
        }
    }

    fn slow_to(&mut self, rate_per_s: u32, now_us: i64) {
        self.present_per_s = rate_per_s.max(1);
        self.changed_at_us = now_us;
        self.pace.set_rate(self.present_per_s);
    }

    fn recover(&mut self, now_us: i64) {
        if self.present_per_s >= self.configured_per_s {
            return;
        }
        let before = self.present_per_s;
        while self.present_per_s < self.configured_per_s
            && now_us >= self.changed_at_us.saturating_add(STEP_EVERY_US)
        {
            let careful_from = self.refused_per_s / 100 * CLOSE_PERCENT
                + self.refused_per_s % 100 * CLOSE_PERCENT / 100;
            let steps = if self.present_per_s < careful_from { STEPS } else { CAREFUL_STEPS };
            let step = (self.configured_per_s / steps).max(1);
            self.present_per_s = (self.present_per_s + step).min(self.configured_per_s);
            self.changed_at_us += STEP_EVERY_US;
        }
        if self.present_per_s != before {
            self.pace.set_rate(self.present_per_s);
        }
    }
}

/// Messages that a person may get from one number at once.
pub const PAIR_BURST: u32 = 45;
/// How soon one more may follow, in milliseconds.
pub const PAIR_INTERVAL_MS: i64 = 6_000;

/// The pace from one number to one person: a bucket of [`PAIR_BURST`] that fills by one every
/// [`PAIR_INTERVAL_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairPace {
    /// When the bucket is full again, in milliseconds.
    full_at_ms: i64,
}

impl PairPace {
    /// How much of the future is borrowed at most before one must wait, in milliseconds.
    const CREDIT_MS: i64 = (PAIR_BURST as i64 - 1) * PAIR_INTERVAL_MS;

    /// A full bucket.
    pub const FULL: Self = Self { full_at_ms: i64::MIN };

    /// How long the next message must wait, in milliseconds; 0: it may go.
    #[must_use]
    pub fn wait_ms(self, now_ms: i64) -> i64 {
        (self.full_at_ms.max(now_ms) - Self::CREDIT_MS - now_ms).max(0)
    }

    /// Takes one out of the bucket.
    pub fn take(&mut self, now_ms: i64) {
        self.full_at_ms = self.full_at_ms.max(now_ms) + PAIR_INTERVAL_MS;
    }

    /// The upstream said that it is too fast: nothing for `span_ms`, and then one at a time.
    pub fn too_fast(&mut self, now_ms: i64, span_ms: i64) {
        let resume_ms = now_ms.saturating_add(span_ms.max(PAIR_INTERVAL_MS / 6));
        self.full_at_ms = self.full_at_ms.max(resume_ms.saturating_add(Self::CREDIT_MS));
    }

    /// Whether there is nothing to be remembered.
    #[must_use]
    pub const fn is_full(self, now_ms: i64) -> bool {
        self.full_at_ms <= now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: i64 = 1_000_000;

    #[test]
    fn starts_spread_evenly_after_a_small_burst() {
        let mut pace = Pace::new(80);
        let waits: Vec<i64> = (0..10).map(|_| pace.take(1_000_000)).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 12_500, 25_000]);
    }

    #[test]
    fn who_stands_behind_others_waits_as_if_they_had_started() {
        let mut pace = NumberPace::new(80);
        let waits: Vec<i64> = (0..10).map(|others| pace.wait_behind_us(0, others)).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 12_500, 25_000]);
        pace.too_fast(0, SECOND_US);
        assert_eq!(pace.wait_behind_us(0, 56), 2 * SECOND_US - 8, "at the slower pace");
        assert_eq!(pace.wait_behind_us(0, u64::MAX), i64::MAX - 71_428);
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

    #[test]
    fn a_number_that_is_too_fast_slows_down_and_comes_back_step_by_step() {
        let mut pace = NumberPace::new(80);
        pace.too_fast(0, SECOND_US);
        pace.too_fast(SECOND_US / 2, SECOND_US);
        assert_eq!(pace.present_per_s(SECOND_US), 56, "what was on its way is one refusal");
        let present: Vec<u32> =
            (1..=5).map(|steps| pace.present_per_s((1 + 5 * steps) * SECOND_US)).collect();
        assert_eq!(present, [60, 64, 68, 72, 73], "careful where it was refused before");
        assert_eq!(pace.present_per_s(600 * SECOND_US), 80);
    }

    #[test]
    fn a_slowed_number_keeps_its_slower_pace() {
        let mut pace = NumberPace::new(100);
        pace.too_fast(0, 0);
        let mut now_us = 0;
        for _ in 0..140 {
            now_us += pace.take(now_us);
        }
        assert!((1_850_000..=2_000_000).contains(&now_us), "70 a second: {now_us}");
    }

    #[test]
    fn a_drain_on_a_beat_keeps_the_rate() {
        const BEAT_US: i64 = 10_000;
        for rate in [1, 19, 20, 80, 100, 1_000] {
            let (mut on_beat, mut evenly) = (NumberPace::new(rate), NumberPace::new(rate));
            let (mut now_us, mut even_us) = (0, 0);
            for start in 0..10 * rate {
                let wait_us = on_beat.take_on_beat(now_us, BEAT_US);
                now_us += wait_us;
                even_us += evenly.take(even_us);
                assert!((0..BEAT_US).contains(&(now_us - even_us)), "{start} at {rate} a second");
                assert!(wait_us == 0 || now_us % BEAT_US == 0, "{now_us} at {rate}");
            }
        }
    }

    #[test]
    fn usage_slows_down_before_the_limit_is_reached() {
        for (percent, expected) in
            [(0, 80), (79, 80), (80, 80), (90, 40), (99, 4), (100, 4), (255, 4)]
        {
            let mut pace = NumberPace::new(80);
            pace.used(0, percent);
            assert_eq!(pace.present_per_s(0), expected, "{percent}");
        }
        let mut pace = NumberPace::new(80);
        pace.used(0, 90);
        pace.used(0, 10);
        assert_eq!(pace.present_per_s(0), 40, "it comes back step by step");
    }

    #[test]
    fn a_person_gets_a_burst_and_then_one_every_six_seconds() {
        let mut pair = PairPace::FULL;
        for sent in 0..PAIR_BURST {
            assert_eq!(pair.wait_ms(1_000), 0, "{sent}");
            pair.take(1_000);
        }
        assert_eq!(pair.wait_ms(1_000), 6_000);
        assert_eq!(pair.wait_ms(6_999), 1);
        assert_eq!(pair.wait_ms(7_000), 0);
        pair.take(7_000);
        assert_eq!(pair.wait_ms(7_000), 6_000);
        assert!(!pair.is_full(1_000 + 46 * PAIR_INTERVAL_MS - 1));
        assert!(pair.is_full(1_000 + 46 * PAIR_INTERVAL_MS));
    }

    #[test]
    fn a_pair_that_is_too_fast_waits_and_has_no_burst_left() {
        let mut pair = PairPace::FULL;
        pair.too_fast(0, 16_000);
        assert_eq!(pair.wait_ms(0), 16_000);
        pair.take(16_000);
        assert_eq!(pair.wait_ms(16_000), 6_000);
    }
}
