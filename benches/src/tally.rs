//! What a generator has seen of a while: how much it offered and what became of it. Knows neither sockets nor clocks.

use std::ops::Range;
use std::time::Duration;

use crate::raw::Reply;
use crate::statistics::percentile;
use crate::verdicts::Verdict;

/// Over how many seconds, at least, it is judged whether things are normal: one second alone may hold a checkpoint.
const NORMAL_FOR_S: usize = 5;
/// The part of what was accepted before that is normal.
const NORMAL: f64 = 0.9;
/// The part of all requests that may be refused at a load that is carried, and more than before where everything is
/// normal: a checkpoint may hold up a few.
const REFUSED_MAX: f64 = 0.01;
/// How long nearly everybody waits, at most, for a success.
pub(crate) const ACCEPTED_P99_MS: f64 = 500.0;
/// How much of an answer is shown.
const EXCERPT_BYTES: usize = 300;

/// Answers that came in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Second {
    /// Successes.
    pub(crate) accepted: u64,
    /// Proper refusals.
    pub(crate) refused: u64,
}

impl Second {
    fn sum(seconds: &[Self]) -> Self {
        let sum = |of: fn(&Self) -> u64| seconds.iter().map(of).sum();
        Self { accepted: sum(|it| it.accepted), refused: sum(|it| it.refused) }
    }

    /// The part of the answers that were refusals; none where nothing was answered.
    fn refused_share(self) -> f64 {
        self.refused as f64 / (self.accepted + self.refused).max(1) as f64
    }
}

/// What became of the requests of a while.
#[derive(Default)]
pub(crate) struct Tally {
    /// Requests that came, by the clock.
    pub(crate) offered: u64,
    /// Those for which a connection was free, so that they reached the gateway.
    pub(crate) sent: u64,
    /// Those that waited for a connection when the while ended, or were too many to wait.
    pub(crate) never_sent: u64,
    /// Those that reached the gateway and got no answer.
    pub(crate) unanswered: u64,
    /// Those that came when no connection was free.
    pub(crate) waited: u64,
    /// Refusals without a time to come again.
    pub(crate) without_time: u64,
    /// Answers that no caller should get.
    pub(crate) wrong: u64,
    /// The first of these.
    pub(crate) first_wrong: Option<String>,
    /// From a request's arrival to its success, in milliseconds.
    pub(crate) accepted_ms: Vec<f64>,
    /// The same to its refusal.
    pub(crate) refused_ms: Vec<f64>,
    /// Answers by the second in which they came.
    pub(crate) seconds: Vec<Second>,
}

impl Tally {
    /// Notes an answer that came `at` after the beginning, to a request that had come `took` before.
    pub(crate) fn note(
        &mut self,
        verdict: Verdict,
        reply: &Reply<'_>,
        took: Duration,
        at: Duration,
    ) {
        let took_ms = took.as_secs_f64() * 1e3;
        match verdict {
            Verdict::Accepted(_) => {
                self.accepted_ms.push(took_ms);
                self.second(at).accepted += 1;
            }
            Verdict::Refused | Verdict::RefusedWithoutTime => {
                self.refused_ms.push(took_ms);
                self.second(at).refused += 1;
                self.without_time += u64::from(verdict == Verdict::RefusedWithoutTime);
            }
            Verdict::Wrong => {
                self.wrong += 1;
                let shown = &reply.body[..reply.body.len().min(EXCERPT_BYTES)];
                let shown = format!("{}: {}", reply.status, String::from_utf8_lossy(shown));
                self.first_wrong.get_or_insert(shown);
            }
        }
    }

    fn second(&mut self, at: Duration) -> &mut Second {
        let index = usize::try_from(at.as_secs()).unwrap_or(usize::MAX);
        if self.seconds.len() <= index {
            self.seconds.resize(index + 1, Second::default());
        }
        &mut self.seconds[index]
    }

    /// Successes a second in these seconds.
    pub(crate) fn accepted_per_s(&self, seconds: Range<usize>) -> f64 {
        let length = seconds.len() as f64;
        let counted = self.seconds.iter().take(seconds.end).skip(seconds.start);
        counted.map(|second| second.accepted).sum::<u64>() as f64 / length
    }

    /// Whether it is carried: hardly anybody is refused, and nobody waits long.
    pub(crate) fn is_carried(&self) -> bool {
        self.accepted_ms.len() as f64 >= (1.0 - REFUSED_MAX) * self.offered as f64
            && percentile(&self.accepted_ms, 99.0) <= ACCEPTED_P99_MS
    }

    /// One line of it.
    pub(crate) fn line(&self) -> String {
        let p = |values: &[f64]| (percentile(values, 50.0), percentile(values, 99.0));
        let (accepted, refused) = (p(&self.accepted_ms), p(&self.refused_ms));
        format!(
            "{} offered, {} sent ({} had to wait for a connection, {} never got one); {} accepted \
             (p50 {:.1} ms, p99 {:.1} ms), {} refused (p50 {:.1} ms, p99 {:.1} ms), {} wrong, {} unanswered",
            self.offered,
            self.sent,
            self.waited,
            self.never_sent,
            self.accepted_ms.len(),
            accepted.0,
            accepted.1,
            self.refused_ms.len(),
            refused.0,
            refused.1,
            self.wrong,
            self.unanswered,
        )
    }
}

/// After how many seconds everything is as it was before, under the same load, and stays so. `NaN` where it does not get
/// so.
pub(crate) fn normal_after_s(seconds: &[Second], before: &[Second]) -> f64 {
    let sum_before = Second::sum(before);
    let least_per_s = NORMAL * sum_before.accepted as f64 / before.len() as f64;
    let refused_max = sum_before.refused_share() + REFUSED_MAX;
    let is_normal = |from: &usize| {
        let rest = &seconds[*from..];
        let sum = Second::sum(rest);
        sum.accepted as f64 >= least_per_s * rest.len() as f64 && sum.refused_share() <= refused_max
    };
    let last = (seconds.len() + 1).saturating_sub(NORMAL_FOR_S);
    (0..last).find(is_normal).map_or(f64::NAN, |from| from as f64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Second, Tally, normal_after_s};
    use crate::raw::Reply;
    use crate::verdicts::Verdict;

    fn seconds(of: &[(u64, u64)]) -> Vec<Second> {
        of.iter().map(|&(accepted, refused)| Second { accepted, refused }).collect()
    }

    #[test]
    fn counts_answers_by_second_and_kind() {
        let mut tally = Tally::default();
        let reply = Reply { status: 500, retry_after_s: None, body: b"broken", length: 6 };
        let took = Duration::from_millis(5);
        for (verdict, at_ms) in [
            (Verdict::Accepted(1), 0),
            (Verdict::Accepted(2), 2_999),
            (Verdict::Refused, 2_000),
            (Verdict::RefusedWithoutTime, 2_001),
            (Verdict::Wrong, 2_002),
        ] {
            tally.note(verdict, &reply, took, Duration::from_millis(at_ms));
        }
        assert_eq!(tally.seconds, seconds(&[(1, 0), (0, 0), (1, 2)]));
        assert_eq!((tally.without_time, tally.wrong), (1, 1));
        assert_eq!(tally.first_wrong.as_deref(), Some("500: broken"));
        assert_eq!((tally.accepted_ms.len(), tally.refused_ms.len()), (2, 2));
        assert_eq!(tally.accepted_per_s(0..2), 0.5);
        assert_eq!(tally.accepted_per_s(0..4), 0.5);
    }

    #[test]
    fn a_load_is_carried_when_nearly_all_of_it_is_accepted_soon() {
        for (offered, accepted_ms, expected) in [
            (100, vec![5.0; 100], true),
            (100, vec![5.0; 99], true),
            (100, vec![5.0; 98], false),
            (100, vec![501.0; 100], false),
            (100, vec![], false),
        ] {
            let told = format!("{} of {offered}", accepted_ms.len());
            let tally = Tally { offered, accepted_ms, ..Tally::default() };
            assert_eq!(tally.is_carried(), expected, "{told}");
        }
    }

    #[test]
    fn finds_when_everything_is_normal_again() {
        let good = (100, 0);
        for (what, of, expected) in [
            ("at once", vec![good; 8], Some(0.0)),
            ("after refusals", [vec![(50, 50), (90, 10)], vec![good; 6]].concat(), Some(2.0)),
            ("a slow second is a checkpoint", vec![good, (60, 0), good, good, good], Some(0.0)),
            ("fast again", [vec![(10, 0)], vec![good; 5]].concat(), Some(1.0)),
            ("refused again and again", [vec![good; 5], vec![(90, 10)]].concat(), None),
            ("slow for good", vec![(80, 0); 9], None),
            ("too short to tell", vec![good; 4], None),
            ("nothing", vec![], None),
        ] {
            let after_s = normal_after_s(&seconds(&of), &seconds(&[good; 5]));
            assert_eq!((!after_s.is_nan()).then_some(after_s), expected, "{what}");
        }
        let as_before = normal_after_s(&seconds(&[(95, 5); 5]), &seconds(&[(95, 5); 5]));
        assert_eq!(as_before, 0.0, "some were refused before too");
    }
}
