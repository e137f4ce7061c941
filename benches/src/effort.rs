//! How often and how long is measured; what is measured is the groups' own affair.

use std::time::Duration;

/// How often and how long.
pub(crate) struct Effort {
    /// Repetitions of which the median is taken.
    pub(crate) repetitions: u32,
    /// Repetitions of which the worst is taken.
    pub(crate) worst_of: u32,
    /// Time under load before it counts.
    pub(crate) warming: Duration,
    /// Time under load that counts.
    pub(crate) window: Duration,
}

/// What figures that count take.
pub(crate) const FULL: Effort = Effort {
    repetitions: 7,
    worst_of: 3,
    warming: Duration::from_millis(500),
    window: Duration::from_secs(3),
};

/// What shows only that everything runs.
pub(crate) const QUICK: Effort = Effort {
    repetitions: 2,
    worst_of: 1,
    warming: Duration::from_millis(200),
    window: Duration::from_millis(700),
};
