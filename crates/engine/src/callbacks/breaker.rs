//! Breakers: an address that keeps failing is asked only now and then until it answers again.

use std::collections::HashMap;

use parking_lot::Mutex;
use waypost_domain::{OrgId, Timestamp};

use crate::ports::CallbackTarget;
use crate::probes::{PauseBounds, ProbePause};

/// Failures in a row after which a target is only probed.
const FAILURES_TO_OPEN: u32 = 10;
/// The pauses between two probes.
const PAUSES: PauseBounds = PauseBounds { first_ms: 1_000, longest_ms: 30_000 };
/// Failing targets that are remembered; beyond, those of the organisation that has most are forgotten.
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

struct Failing {
    org_id: OrgId,
    in_a_row: u32,
    pause: ProbePause,
}

impl Failing {
    fn is_open(&self) -> bool {
        self.in_a_row >= FAILURES_TO_OPEN
    }
}

/// The breakers of all targets. Those that do not fail have no entry.
#[derive(Default)]
pub(crate) struct Breakers(Mutex<HashMap<i64, Failing>>);

impl Breakers {
    pub(super) fn leave(&self, target: i64, now: Timestamp) -> Leave {
        match self.0.lock().get(&target) {
            Some(failing) if failing.is_open() => {
                failing.pause.ends_at(now).map_or(Leave::Probe, Leave::NotBefore)
            }
            _ => Leave::Full,
        }
    }

    /// The targets that may not be asked now, and when the first of them may.
    pub(super) fn resting(&self, now: Timestamp) -> (Vec<i64>, Option<Timestamp>) {
        let targets = self.0.lock();
        let open = targets.iter().filter(|(_, failing)| failing.is_open());
        let resting =
            open.filter_map(|(place, failing)| Some((*place, failing.pause.ends_at(now)?)));
        let (places, ends): (Vec<i64>, Vec<Timestamp>) = resting.unzip();
        (places, ends.into_iter().min())
    }

    /// Whether a target is only probed.
    pub(super) fn is_open(&self, target: i64) -> bool {
        self.0.lock().get(&target).is_some_and(|failing| failing.is_open())
    }

    pub(super) fn succeeded(&self, target: i64) {
        self.0.lock().remove(&target);
    }

    pub(super) fn failed(&self, target: &CallbackTarget, now: Timestamp) {
        let mut targets = self.0.lock();
        if targets.len() >= MAX_FAILING && !targets.contains_key(&target.place) {
            forget_most(&mut targets);
        }
        let failing = targets.entry(target.place).or_insert_with(|| Failing {
            org_id: target.name.org_id.clone(),
            in_a_row: 0,
            pause: ProbePause::default(),
        });
        failing.in_a_row = failing.in_a_row.saturating_add(1);
        // What was on its way together fails together: that is one failed probe.
        if failing.is_open() && failing.pause.ends_at(now).is_none() {
            failing.pause.begin(PAUSES, now);
        }
    }
}

/// Forgets the targets of the organisation that has most of them.
fn forget_most(targets: &mut HashMap<i64, Failing>) {
    let mut counts: HashMap<&OrgId, usize> = HashMap::new();
    for failing in targets.values() {
        *counts.entry(&failing.org_id).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(org_id, _)| org_id.clone());
    targets.retain(|_, failing| Some(&failing.org_id) != most.as_ref());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{TargetAddress, TargetName};

    fn target(org: &str, place: i64) -> CallbackTarget {
        let address = TargetAddress::Webhook(waypost_domain::WebhookId::new("wh-1"));
        CallbackTarget { place, name: TargetName { org_id: OrgId::new(org), address } }
    }

    #[test]
    fn one_organisations_many_failing_targets_have_no_others_forgotten() {
        let (breakers, noon) = (Breakers::default(), Timestamp(1_800_000_000_000));
        for _ in 0..10 {
            breakers.failed(&target("other", 0), noon);
        }
        for place in (1..20_000).chain([1]) {
            breakers.failed(&target("org-1", place), noon);
        }
        assert!(breakers.is_open(0));
        assert!(breakers.0.lock().len() <= MAX_FAILING);
    }

    #[test]
    fn opens_after_ten_failures_and_pauses_half_a_minute_at_most() {
        let breakers = Breakers::default();
        let mut now = Timestamp(0);
        for _ in 0..9 {
            breakers.failed(&target("org-1", 1), now);
            assert_eq!(breakers.leave(1, now), Leave::Full);
        }
        for pause_ms in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            breakers.failed(&target("org-1", 1), now);
            assert_eq!(breakers.leave(1, now), Leave::NotBefore(now.plus_ms(pause_ms)));
            now = now.plus_ms(pause_ms);
            assert_eq!(breakers.leave(1, now), Leave::Probe);
        }
        assert_eq!(breakers.leave(2, now), Leave::Full, "another target");
        breakers.succeeded(1);
        assert_eq!(breakers.leave(1, now), Leave::Full);
    }

    #[test]
    fn what_fails_together_is_one_failed_probe() {
        let breakers = Breakers::default();
        let noon = Timestamp(1_800_000_000_000);
        for _ in 0..200 {
            breakers.failed(&target("org-1", 1), noon);
        }
        assert_eq!(breakers.leave(1, noon), Leave::NotBefore(noon.plus_ms(1_000)));
    }

    #[test]
    fn t30_a_clock_that_is_set_back_or_on_keeps_no_target_waiting() {
        let noon = Timestamp(1_800_000_000_000);
        for set_ms in [-3_600_000, -86_400_000, -noon.0, 3_600_000, 86_400_000, i64::MAX] {
            let breakers = Breakers::default();
            for _ in 0..20 {
                breakers.failed(&target("org-1", 1), noon);
            }
            let set = noon.plus_ms(set_ms);
            assert_eq!(breakers.leave(1, set), Leave::Probe, "{set_ms}");
            assert!(breakers.is_open(1));
        }
    }
}
