//! Outages: while the upstream fails for a number, its queue is only probed, with messages that were
//! not attempted yet where there are any, so that a long queue neither storms an upstream that is
//! down nor uses up the attempts of its first messages. Who waits for an answer is not held back.

use std::collections::HashMap;

use parking_lot::Mutex;
use waypost_domain::retry::RetryClass;
use waypost_domain::{ErrorKind, NumberId, Timestamp};
use waypost_planted::{Bug, is_planted};

use crate::Engine;
use crate::ports::{CallError, SendOutcome};
use crate::probes::{PauseBounds, ProbePause};

/// Failures in a row after which a number's queue is only probed.
const FAILURES_TO_PROBE: u32 = 5;
/// The pauses between two probes.
const PAUSES: PauseBounds = PauseBounds { first_ms: 1_000, longest_ms: 30_000 };
/// The same where an operator must act before anything can be sent: five minutes at most.
const LOCKED_PAUSES: PauseBounds = PauseBounds { first_ms: 30_000, longest_ms: 300_000 };
/// What a first attempt adds to the budget of retries, of which a retry costs 10: one in ten.
const EARNED: u32 = 1;
const RETRY_COSTS: u32 = 10;
/// The most that the budget can hold: ten retries.
const MOST_EARNED: u32 = 100;
/// Pause between two retries without a budget, in milliseconds.
const LONE_RETRY_PAUSE_MS: i64 = 10_000;

/// What an attempt's end says of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It works, whatever it thinks of the message.
    Up,
    /// It failed.
    Down,
    /// It refuses everything of the number until an operator acts.
    Locked,
}

impl Sign {
    /// `None` where the upstream was not asked.
    pub(crate) fn of(outcome: &SendOutcome) -> Option<Self> {
        match outcome {
            SendOutcome::Sent(_) => Some(Self::Up),
            SendOutcome::Unknown(_) => Some(Self::Down),
            SendOutcome::Refused(error) => Self::of_error(error).or(Some(Self::Up)),
            SendOutcome::NotSent(error) => Self::of_error(error),
        }
    }

    /// What a failed call says, where it says that the upstream does not work.
    pub(crate) fn of_error(error: &CallError) -> Option<Self> {
        match (error.class, error.failure.kind) {
            (RetryClass::Account, _) => Some(Self::Locked),
            (_, ErrorKind::UpstreamUnavailable) => Some(Self::Down),
            _ => None,
        }
    }
}

/// How it stands with the upstream, by number. Numbers without trouble have no entry.
#[derive(Default)]
pub(crate) struct Outages(Mutex<HashMap<NumberId, Trouble>>);

struct Trouble {
    in_a_row: u32,
    pause: ProbePause,
    /// Since when the queue is only probed, where it is.
    since: Option<Timestamp>,
    is_probed: bool,
    is_locked: bool,
    earned: u32,
    last_retry_at: Timestamp,
}

/// A number whose queue is only probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Since when.
    pub since: Timestamp,
    /// When the upstream is asked again; `None`: as soon as a message is due, or it is being asked.
    pub next_probe_at: Option<Timestamp>,
    /// Whether it refuses everything of the number until an operator acts.
    pub is_locked: bool,
}

impl Engine {
    /// How it stands with the upstream for a number; `None` where its queue is sent as usual, or the
    /// number was removed.
    #[must_use]
    pub fn outage(&self, number_id: &NumberId) -> Option<Outage> {
        self.directory().number(number_id)?;
        self.outages().outage(number_id, self.now())
    }
}

/// What may start of a number's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Everything.
    Any,
    /// What was not attempted yet; retries from this instant on.
    Fresh(Timestamp),
    /// One message, best one that was not attempted yet.
    Probe,
    /// Nothing before this instant; `None`: before the probe on its way has ended.
    NotBefore(Option<Timestamp>),
}

impl Outages {
    /// What may start of a number's queue now.
    pub(crate) fn leave(&self, id: &NumberId, now: Timestamp) -> Leave {
        match self.0.lock().get(id) {
            Some(trouble) if !is_planted(Bug::RetryStorm) => trouble.leave(now),
            _ => Leave::Any,
        }
    }

    /// An attempt of a queued message is about to be made: its first, or a retry.
    pub(crate) fn started(&self, id: &NumberId, is_retry: bool, now: Timestamp) {
        if let Some(trouble) = self.0.lock().get_mut(id) {
            trouble.started(is_retry, now);
        }
    }

    /// An attempt of a queued message of a number has ended. Returns whether an outage began or
    /// ended with it, or one that was there needs an operator from now on.
    pub(crate) fn ended(&self, id: &NumberId, sign: Option<Sign>, now: Timestamp) -> Option<Sign> {
        let mut troubles = self.0.lock();
        let Some(sign) = sign else {
            if let Some(trouble) = troubles.get_mut(id) {
                trouble.is_probed = false;
            }
            return None;
        };
        if sign == Sign::Up {
            let was_probed = troubles.remove(id).is_some_and(|trouble| trouble.is_open());
            return was_probed.then_some(Sign::Up);
        }
        let trouble = troubles.entry(id.clone()).or_default();
        trouble.failed(sign, now).then_some(sign)
    }

    fn outage(&self, id: &NumberId, now: Timestamp) -> Option<Outage> {
        let troubles = self.0.lock();
        let trouble = troubles.get(id)?;
        let next_probe_at = trouble.pause.ends_at(now).filter(|_| !trouble.is_probed);
        Some(Outage { since: trouble.since?, next_probe_at, is_locked: trouble.is_locked })
    }

    /// Forgets what is known of a number: an operator changed it.
    pub(crate) fn forget(&self, id: &NumberId) {
        self.0.lock().remove(id);
    }
}

impl Default for Trouble {
    fn default() -> Self {
        Self {
            in_a_row: 0,
            pause: ProbePause::default(),
            since: None,
            is_probed: false,
            is_locked: false,
            earned: MOST_EARNED,
            last_retry_at: Timestamp(0),
        }
    }
}

impl Trouble {
    fn is_open(&self) -> bool {
        self.is_locked || self.in_a_row >= FAILURES_TO_PROBE
    }

    /// Returns whether the outage begins with this failure, or becomes one that an operator must end.
    fn failed(&mut self, sign: Sign, now: Timestamp) -> bool {
        let (was_open, was_locked) = (self.is_open(), self.is_locked);
        let was_probe = std::mem::take(&mut self.is_probed);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.is_locked = sign == Sign::Locked;
        if !self.is_open() {
            self.since = None;
            return false;
        }
        self.since.get_or_insert(now);
        // What was on its way together fails together: that is one failed probe.
        if was_probe || !was_open {
            self.pause.begin(if self.is_locked { LOCKED_PAUSES } else { PAUSES }, now);
        }
        !was_open || (self.is_locked && !was_locked)
    }

    fn leave(&self, now: Timestamp) -> Leave {
        if !self.is_open() {
            let next_retry = self.last_retry_at.plus_ms(LONE_RETRY_PAUSE_MS);
            let waited_ms = now.0.saturating_sub(self.last_retry_at.0).abs();
            let may_retry = self.earned >= RETRY_COSTS || waited_ms >= LONE_RETRY_PAUSE_MS;
            return if may_retry { Leave::Any } else { Leave::Fresh(next_retry) };
        }
        if self.is_probed {
            return Leave::NotBefore(None);
        }
        self.pause.ends_at(now).map_or(Leave::Probe, |end| Leave::NotBefore(Some(end)))
    }

    fn started(&mut self, is_retry: bool, now: Timestamp) {
        self.is_probed = self.is_open();
        if is_retry {
            self.earned = self.earned.saturating_sub(RETRY_COSTS);
            self.last_retry_at = now;
        } else {
            self.earned = self.earned.saturating_add(EARNED).min(MOST_EARNED);
        }
    }
}

#[cfg(test)]
mod tests {
    use waypost_domain::Failure;

    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000_000);

    fn number() -> NumberId {
        NumberId::new("n-1")
    }

    fn fail(outages: &Outages, times: u32, now: Timestamp) {
        for _ in 0..times {
            outages.ended(&number(), Some(Sign::Down), now);
        }
    }

    #[test]
    fn a_number_is_probed_at_growing_intervals_until_the_upstream_answers() {
        let outages = Outages::default();
        fail(&outages, FAILURES_TO_PROBE - 1, NOON);
        assert_eq!(outages.outage(&number(), NOON), None);
        let began = outages.ended(&number(), Some(Sign::Down), NOON);
        assert_eq!(began, Some(Sign::Down));
        let mut now = NOON;
        for pause_s in [1, 2, 4, 8, 16, 30, 30] {
            let until = now.plus_ms(pause_s * 1_000);
            let told = Outage { since: NOON, next_probe_at: Some(until), is_locked: false };
            assert_eq!(outages.outage(&number(), now), Some(told));
            let early = outages.leave(&number(), until.plus_ms(-1));
            assert_eq!(early, Leave::NotBefore(Some(until)));
            now = until;
            assert_eq!(outages.leave(&number(), now), Leave::Probe);
            outages.started(&number(), true, now);
            assert_eq!(outages.leave(&number(), now), Leave::NotBefore(None));
            assert_eq!(outages.outage(&number(), now).unwrap().next_probe_at, None);
            assert_eq!(outages.ended(&number(), Some(Sign::Down), now), None);
        }
        assert_eq!(outages.ended(&number(), Some(Sign::Up), now), Some(Sign::Up));
        assert_eq!(outages.outage(&number(), now), None);
    }

    #[test]
    fn a_number_that_is_locked_during_an_outage_is_told_too() {
        let outages = Outages::default();
        fail(&outages, FAILURES_TO_PROBE, NOON);
        let told: Vec<Option<Sign>> = [Sign::Locked, Sign::Locked, Sign::Down, Sign::Locked]
            .into_iter()
            .map(|sign| outages.ended(&number(), Some(sign), NOON))
            .collect();
        assert_eq!(told, [Some(Sign::Locked), None, None, Some(Sign::Locked)]);
    }

    #[test]
    fn what_fails_together_is_one_failed_probe_and_a_clock_that_is_set_back_holds_nothing_up() {
        let outages = Outages::default();
        fail(&outages, 200, NOON);
        let outage = outages.outage(&number(), NOON).unwrap();
        assert_eq!(outage.next_probe_at, Some(NOON.plus_ms(PAUSES.first_ms)));
        let yesterday = NOON.plus_ms(-86_400_000);
        assert_eq!(outages.leave(&number(), yesterday), Leave::Probe);
        assert_eq!(outages.outage(&number(), yesterday).unwrap().next_probe_at, None);
    }

    #[test]
    fn while_the_upstream_fails_now_and_then_retries_are_a_tenth_of_what_it_is_asked() {
        let outages = Outages::default();
        fail(&outages, 1, NOON);
        let (mut first, mut retries) = (0_u32, 0_u32);
        for second in 0..1_000 {
            let now = NOON.plus_ms(second * 10);
            if outages.leave(&number(), now) == Leave::Any {
                outages.started(&number(), true, now);
                retries += 1;
            }
            outages.started(&number(), false, now);
            first += 1;
        }
        assert!(retries <= MOST_EARNED / RETRY_COSTS + first / 10 + 2, "{retries} of {first}");
        assert!(retries >= first / 10, "{retries} of {first}");
        outages.started(&number(), true, NOON.plus_ms(10_000));
        let refused = outages.leave(&number(), NOON.plus_ms(10_000));
        assert!(matches!(refused, Leave::Fresh(until) if until > NOON.plus_ms(10_000)));
        assert_eq!(outages.leave(&number(), NOON.plus_ms(30_000)), Leave::Any, "one is always due");
    }

    #[test]
    fn an_account_that_is_locked_pauses_the_number_at_once() {
        let outages = Outages::default();
        assert_eq!(outages.ended(&number(), Some(Sign::Locked), NOON), Some(Sign::Locked));
        let next_probe_at = Some(NOON.plus_ms(LOCKED_PAUSES.first_ms));
        let told = Outage { since: NOON, next_probe_at, is_locked: true };
        assert_eq!(outages.outage(&number(), NOON), Some(told));
        outages.forget(&number());
        assert_eq!(outages.outage(&number(), NOON), None);
    }

    #[test]
    fn outcomes_say_how_it_stands_with_the_upstream() {
        let error = |kind, class| CallError { failure: Failure::new(kind, "no"), class };
        let down = error(ErrorKind::UpstreamUnavailable, RetryClass::BackOffFew);
        let locked = error(ErrorKind::UpstreamAuth, RetryClass::Account);
        let bad = error(ErrorKind::RecipientUnreachable, RetryClass::Never);
        let lost = Failure::new(ErrorKind::OutcomeUnknown, "lost");
        for (outcome, sign) in [
            (SendOutcome::Refused(down.clone()), Some(Sign::Down)),
            (SendOutcome::NotSent(down), Some(Sign::Down)),
            (SendOutcome::Refused(locked), Some(Sign::Locked)),
            (SendOutcome::Refused(bad.clone()), Some(Sign::Up)),
            (SendOutcome::NotSent(bad), None),
            (SendOutcome::Unknown(lost), Some(Sign::Down)),
        ] {
            assert_eq!(Sign::of(&outcome), sign, "{outcome:?}");
        }
    }
}
