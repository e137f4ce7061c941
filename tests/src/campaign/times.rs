//! How long things took, and the bars that they may have: of the nearest rank, nothing interpolated.

use std::fmt;
use std::time::Duration;

/// Times of one kind of thing.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// In whatever order.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The shortest time that so many of a hundred do not exceed; zero of none.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// How many took longer than this.
    #[must_use]
    pub fn beyond(&self, span: Duration) -> usize {
        self.0.iter().filter(|took| **took > span).count()
    }

    /// The longest; zero of none.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.percentile(100)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, longest] = [50, 99, 100].map(|percent| ms(self.percentile(percent)));
        write!(out, "p50 {p50}, p99 {p99}, longest {longest}, of {}", self.count())
    }
}

fn ms(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1e3)
}

/// Says so where something took longer than it may.
#[must_use]
pub fn missed(what: &str, took: Duration, bar: Duration) -> Option<String> {
    (took > bar).then(|| format!("{what}: {}, and it may be {}", ms(took), ms(bar)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_the_sorted_times() {
        let times = Times::of((1..=200).rev().map(Duration::from_millis).collect());
        let ranks = [1, 50, 99, 100].map(|percent| times.percentile(percent).as_millis());
        assert_eq!(ranks, [2, 100, 198, 200]);
        assert_eq!(times.to_string(), "p50 100.0 ms, p99 198.0 ms, longest 200.0 ms, of 200");
        assert_eq!(times.beyond(Duration::from_millis(150)), 50);
        assert_eq!(Times::default().longest(), Duration::ZERO);
    }

    #[test]
    fn a_bar_is_missed_only_beyond_it() {
        let ms = Duration::from_millis;
        assert_eq!(missed("p99", ms(50), ms(50)), None);
        assert_eq!(missed("p99", ms(51), ms(50)).unwrap(), "p99: 51.0 ms, and it may be 50.0 ms");
    }
}
