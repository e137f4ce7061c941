//! What one try of a callback means for it: done, again at an instant, or dead.

use std::time::{Duration, UNIX_EPOCH};

use waypost_domain::Timestamp;
use waypost_domain::callback::{ShapeInfo, Verdict};

use crate::ports::{CallbackEnd, CallbackReply, PostError};

/// Longest that an address may ask us to wait, in milliseconds: a day.
const MAX_RETRY_AFTER_MS: i64 = 24 * 3_600 * 1_000;
/// How far a jittered wait may be from the schedule's.
const JITTER: f64 = 0.2;

/// When a try was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    /// By our own clock, by which it is made again.
    pub(super) at: Timestamp,
    /// By the machine's wall clock, which addresses go by when they name a date.
    pub(super) wall_at: Timestamp,
}

/// What a try means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) end: CallbackEnd,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
    /// Whether the address gave an answer that is final: it took the callback, or wants it never.
    pub(super) answered: bool,
    /// Whether the address says that it is gone for good.
    pub(super) gone: bool,
    /// Whether the address may not be called at all.
    pub(super) refused: bool,
}

/// Judges the `attempts`-th try. `dice` is between 0 and 1.
pub(super) fn judge(
    shape: &ShapeInfo,
    answer: Result<CallbackReply, PostError>,
    attempts: u32,
    answered: Answered,
    dice: f64,
) -> Judgement {
    let now = answered.at;
    let reply = match answer {
        Ok(reply) => reply,
        Err(PostError::Refused(error)) => {
            return Judgement { refused: true, ..failed(CallbackEnd::Dead, None, error) };
        }
        Err(PostError::Failed(error)) => {
            return failed(again(shape, attempts, None, now, dice), None, error);
        }
    };
    let status = reply.status;
    let error = format!("the address answered with status {status}");
    let mut judgement = match verdict(shape, status) {
        Verdict::Delivered => {
            let taken = failed(CallbackEnd::Done, Some(status), error);
            Judgement { error: None, answered: true, ..taken }
        }
        Verdict::Dead => {
            Judgement { answered: true, ..failed(CallbackEnd::Dead, Some(status), error) }
        }
        Verdict::Retry => {
            let wait_ms = |text: &str| retry_after_ms(text, answered.wall_at);
            let asked = reply.retry_after.as_deref().and_then(wait_ms);
            failed(again(shape, attempts, asked, now, dice), Some(status), error)
        }
    };
    judgement.gone = status == 410;
    judgement
}

/// A redirect is not followed, so whatever is behind it has nothing.
fn verdict(shape: &ShapeInfo, status: u16) -> Verdict {
    match (shape.verdict)(status) {
        Verdict::Delivered if (300..400).contains(&status) => Verdict::Retry,
        verdict => verdict,
    }
}

fn failed(end: CallbackEnd, status: Option<u16>, error: String) -> Judgement {
    Judgement { end, status, error: Some(error), answered: false, gone: false, refused: false }
}

fn again(
    shape: &ShapeInfo,
    attempts: u32,
    asked_ms: Option<i64>,
    now: Timestamp,
    dice: f64,
) -> CallbackEnd {
    let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(delay_s) = shape.schedule_s.get(place) else { return CallbackEnd::Dead };
    let delay_ms = i64::from(*delay_s) * 1_000;
    let delay_ms = if shape.is_jittered { jittered(delay_ms, dice) } else { delay_ms };
    CallbackEnd::Again(now.plus_ms(delay_ms.max(asked_ms.unwrap_or(0))))
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "at most a few days, in milliseconds"
)]
fn jittered(delay_ms: i64, dice: f64) -> i64 {
    let factor = 1.0 - JITTER + 2.0 * JITTER * dice.clamp(0.0, 1.0);
    (delay_ms as f64 * factor) as i64
}

/// `Retry-After` as seconds or as a date.
fn retry_after_ms(text: &str, wall_now: Timestamp) -> Option<i64> {
    let text = text.trim();
    let asked_ms = if let Ok(seconds) = text.parse::<u64>() {
        i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        let since = date.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_sub(wall_now.0)
    };
    Some(asked_ms.clamp(0, MAX_RETRY_AFTER_MS))
}

/// The longest that the schedule takes from the first try to the last, in milliseconds.
pub(super) fn span_ms(shape: &ShapeInfo) -> i64 {
    let total: i64 = shape.schedule_s.iter().map(|delay_s| i64::from(*delay_s) * 1_000).sum();
    if shape.is_jittered { jittered(total, 1.0) } else { total }
}

#[cfg(test)]
mod tests {
    use waypost_domain::callback::Signature;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const AT: Answered = Answered { at: NOW, wall_at: NOW };
    const SHAPE: ShapeInfo = ShapeInfo {
        id: "test",
        title: "Test",
        schedule_s: &[5, 300, 1_800],
        is_jittered: true,
        timeout_s: 15,
        signature: Signature::StandardWebhooks,
        batch: None,
        verdict: Verdict::any_2xx,
        zone_offset_minutes: 0,
    };

    fn answered(status: u16, retry_after: Option<&str>) -> Result<CallbackReply, PostError> {
        Ok(CallbackReply { status, retry_after: retry_after.map(str::to_owned) })
    }

    fn wait_ms(judgement: &Judgement) -> Option<i64> {
        match judgement.end {
            CallbackEnd::Again(at) => Some(at.0 - NOW.0),
            CallbackEnd::Done | CallbackEnd::Dead => None,
        }
    }

    #[test]
    fn waits_are_those_of_the_schedule_and_then_it_is_dead() {
        for (attempts, middle_ms) in [(1, 5_000), (2, 300_000), (3, 1_800_000)] {
            for (dice, expected_ms) in
                [(0.0, middle_ms * 8 / 10), (0.5, middle_ms), (1.0, middle_ms * 12 / 10)]
            {
                let judgement = judge(&SHAPE, answered(500, None), attempts, AT, dice);
                let waited = wait_ms(&judgement).unwrap();
                assert!((waited - expected_ms).abs() <= 1, "{attempts} {dice}: {waited}");
            }
        }
        assert_eq!(judge(&SHAPE, answered(500, None), 4, AT, 0.5).end, CallbackEnd::Dead);
    }

    #[test]
    fn a_fixed_interval_is_kept_to_the_millisecond() {
        let fixed = ShapeInfo { is_jittered: false, ..SHAPE };
        for dice in [0.0, 0.3, 1.0] {
            let lost = Err(PostError::Failed("no answer".to_owned()));
            assert_eq!(wait_ms(&judge(&fixed, lost, 1, AT, dice)), Some(5_000));
        }
    }

    /// Kolmogorov–Smirnov against the uniform distribution: even dice fail it once in a thousand million runs.
    #[test]
    fn jitter_is_spread_evenly() {
        let count = 2_000_u32;
        let mut waits: Vec<f64> = (0..count)
            .map(|_| {
                let judgement = judge(&SHAPE, answered(503, None), 2, AT, crate::send::dice());
                f64::from(i32::try_from(wait_ms(&judgement).unwrap()).unwrap())
            })
            .collect();
        waits.sort_by(f64::total_cmp);
        let farthest = (0_u32..).zip(&waits).map(|(place, wait)| {
            let uniform = (wait - 240_000.0) / 120_000.0;
            (uniform - f64::from(place) / f64::from(count)).abs()
        });
        let farthest = farthest.fold(0.0, f64::max);
        assert!(farthest < 3.27 / f64::from(count).sqrt() + 0.001, "{farthest}");
    }

    #[test]
    fn retry_after_counts_where_it_is_later_and_is_capped() {
        // 2027-01-15T08:02:00Z is 120 s after NOW.
        for (text, expected_ms) in [
            ("120", 120_000),
            (" 7 ", 7_000),
            ("1", 5_000),
            ("0", 5_000),
            ("Fri, 15 Jan 2027 08:02:00 GMT", 120_000),
            ("Fri, 15 Jan 2021 08:02:00 GMT", 5_000),
            ("99999999", MAX_RETRY_AFTER_MS),
            ("Fri, 15 Jan 2100 08:02:00 GMT", MAX_RETRY_AFTER_MS),
            ("soon", 5_000),
            ("-5", 5_000),
        ] {
            let judgement = judge(&SHAPE, answered(429, Some(text)), 1, AT, 0.5);
            assert_eq!(wait_ms(&judgement), Some(expected_ms), "{text}");
        }
    }

    #[test]
    fn a_date_is_the_wall_clock_s_and_the_wait_is_ours() {
        let ahead = Answered { at: NOW.plus_ms(10 * 3_600_000), wall_at: NOW };
        for text in ["120", "Fri, 15 Jan 2027 08:02:00 GMT"] {
            let judgement = judge(&SHAPE, answered(429, Some(text)), 1, ahead, 0.5);
            assert_eq!(judgement.end, CallbackEnd::Again(ahead.at.plus_ms(120_000)), "{text}");
        }
    }

    #[test]
    fn only_success_is_success() {
        assert_eq!(judge(&SHAPE, answered(204, None), 1, AT, 0.5).end, CallbackEnd::Done);
        let lax = ShapeInfo { verdict: |_| Verdict::Delivered, ..SHAPE };
        for status in [301, 302, 307, 308] {
            let judgement = judge(&lax, answered(status, None), 1, AT, 0.5);
            assert!(wait_ms(&judgement).is_some(), "a redirect is not followed: {status}");
        }
        let strict = ShapeInfo { verdict: |_| Verdict::Dead, ..SHAPE };
        let unwanted = judge(&strict, answered(400, None), 1, AT, 0.5);
        assert_eq!((unwanted.end, unwanted.answered), (CallbackEnd::Dead, true));
        let last_time = judge(&SHAPE, answered(500, None), 4, AT, 0.5);
        assert_eq!((last_time.end, last_time.answered), (CallbackEnd::Dead, false));
        assert!(judge(&SHAPE, answered(410, None), 1, AT, 0.5).gone);
        assert!(!judge(&SHAPE, answered(404, None), 1, AT, 0.5).gone);
        let refused = Err(PostError::Refused("private".to_owned()));
        let judgement = judge(&SHAPE, refused, 1, AT, 0.5);
        assert_eq!((judgement.end, judgement.refused), (CallbackEnd::Dead, true));
    }
}
