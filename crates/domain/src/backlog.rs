//! Whether a queue keeps up. Judged by the shortest wait of a while: a burst ends with somebody who
//! hardly waited, and only a queue that stands makes everybody wait (Nichols and Jacobson, CoDel).
//! And how long a queue may grow in the meantime, judged by what its members took so far. No clock, no
//! queue.

/// The wait that is no backlog yet, in microseconds.
pub const TARGET_US: i64 = 20_000;
/// The groups that may be worked off before one's own, however long they take: whoever comes after the
/// start of one waits for its end, and a queue may have what [`LONGEST_WAIT_US`] allows.
pub const TARGET_GROUPS: i64 = 4;
/// How long everybody must have waited longer than that, in microseconds.
pub const SPAN_US: i64 = 100_000;
/// How long the last of a queue may have to wait for its turn, in microseconds: a burst that lasts for
/// less than [`SPAN_US`] must not make a queue that takes seconds on a slow disk.
pub const LONGEST_WAIT_US: i64 = 100_000;

/// A queue's waits, as they end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// When the first of those left the queue who waited too long, with nobody after them who did
    /// not.
    late_since_us: Option<i64>,
    is_behind: bool,
}

impl Backlog {
    /// Somebody left the queue at an instant after having waited so long, where a group takes so
    /// long, all in microseconds.
    pub fn left(&mut self, wait_us: i64, group: GroupTime, now_us: i64) {
        if wait_us <= TARGET_US.max(TARGET_GROUPS * group.us.unwrap_or(0)) {
            *self = Self::default();
            return;
        }
        let since_us = *self.late_since_us.get_or_insert(now_us);
        self.is_behind |= now_us.saturating_sub(since_us) >= SPAN_US;
    }

    /// Nobody waits any more.
    pub fn emptied(&mut self) {
        *self = Self::default();
    }

    /// Whether whoever comes now should be told to come later.
    #[must_use]
    pub const fn is_behind(&self) -> bool {
        self.is_behind
    }
}

/// How long a group takes whose members are worked off together: a share of each new time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupTime {
    us: Option<i64>,
}

impl GroupTime {
    /// A group took so long, in microseconds.
    pub fn took(&mut self, us: i64) {
        self.us = Some(self.us.map_or(us, |before| before + (us - before) / 4));
    }

    /// How many may wait before the last of them would wait for [`LONGEST_WAIT_US`]; a group of
    /// `members` at least, for nobody can be spared that.
    #[must_use]
    pub fn longest_queue(&self, members: usize) -> usize {
        let Some(us) = self.us else { return usize::MAX };
        let fitting = i128::from(LONGEST_WAIT_US) * members as i128 / i128::from(us.max(1));
        usize::try_from(fitting).unwrap_or(usize::MAX).max(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds at which somebody leaves, and how long that one has waited.
    fn after(leaves: &[(i64, i64)], group_ms: i64) -> bool {
        let mut backlog = Backlog::default();
        let mut group = GroupTime::default();
        group.took(group_ms * 1_000);
        for (at_ms, wait_ms) in leaves {
            backlog.left(wait_ms * 1_000, group, at_ms * 1_000);
        }
        backlog.is_behind()
    }

    #[test]
    fn only_a_queue_that_stands_is_behind() {
        let standing: Vec<_> = (0..=20).map(|place| (place * 5, 21)).collect();
        let growing: Vec<_> = (0..=20).map(|place| (place * 10, 20 + place)).collect();
        for (what, leaves, is_behind) in [
            ("nobody", &[][..], false),
            ("long waits for less than the span", &[(0, 500), (50, 500), (99, 500)], false),
            ("long waits for the span", &[(0, 500), (50, 500), (100, 500)], true),
            ("waits at the target", &[(0, 20), (100, 20), (200, 20)], false),
            ("waits just beyond it", &standing, true),
            ("waits that grow", &growing, true),
            ("one short wait in between", &[(0, 500), (60, 1), (70, 500), (160, 500)], false),
            ("a short wait at the end", &[(0, 500), (200, 500), (201, 20)], false),
            ("one long wait after a silence", &[(0, 1), (5_000, 500)], false),
            ("a stall", &[(0, 500), (5_000, 5_000)], true),
        ] {
            assert_eq!(after(leaves, 2), is_behind, "{what}");
        }
    }

    #[test]
    fn four_slow_groups_are_no_backlog() {
        for (wait_ms, is_behind) in [(320, false), (321, true)] {
            assert_eq!(after(&[(0, wait_ms), (100, wait_ms)], 80), is_behind, "{wait_ms} ms");
        }
    }

    #[test]
    fn an_empty_queue_is_never_behind() {
        let mut backlog = Backlog::default();
        backlog.left(500_000, GroupTime::default(), 0);
        backlog.left(500_000, GroupTime::default(), SPAN_US);
        assert!(backlog.is_behind());
        backlog.emptied();
        assert!(!backlog.is_behind());
        backlog.left(500_000, GroupTime::default(), SPAN_US + 1);
        assert!(!backlog.is_behind(), "the span begins anew");
    }

    #[test]
    fn a_queue_is_as_long_as_its_groups_are_quick() {
        for (what, times_ms, expected) in [
            ("nothing is known", &[][..], usize::MAX),
            ("quick groups", &[2], 12_800),
            ("a slow disk", &[80], 320),
            ("groups that take longer than anybody may wait", &[1_000], 256),
            ("one slow group after quick ones", &[2, 2, 82], 1_163),
            ("a disk that became slow", &[2, 80, 80, 80, 80, 80, 80, 80, 80, 80, 80], 338),
            ("no time at all", &[0], 25_600_000),
        ] {
            let mut time = GroupTime::default();
            times_ms.iter().for_each(|ms| time.took(ms * 1_000));
            assert_eq!(time.longest_queue(256), expected, "{what}");
        }
    }
}
