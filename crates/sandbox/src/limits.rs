//! Meta's rate limits: messages per second and number, the bucket of each pair, management calls
//! per hour, people outside a window per day. Which of them hold is set by a control call.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value, json};

/// The throughput a control call may ask for; it bounds the memory of one number's pace.
pub const THROUGHPUT_MAX_PER_S: u32 = 10_000;

/// Messages that one person may get in a burst.
const PAIR_BURST: i64 = 45;
/// After the burst one message per this span.
const PAIR_SPACING_MS: i64 = 6_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// What happens to free-form messages outside the 24-hour window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowRule {
    /// Accepted, then a failed status with 131047 (what Meta mostly does).
    Async,
    /// Refused at once with 131047.
    Sync,
    /// Delivered.
    Off,
}

/// The limits that hold. The default is what Meta gives a new number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Messages per second and number, in and out; `None` lifts the limit.
    pub throughput_per_s: Option<u32>,
    /// Whether the bucket of a number and a person (45, then one per 6 s) holds.
    pub pair: bool,
    /// People who get messages outside a window in 24 hours; `None` lifts the limit.
    pub portfolio: Option<u32>,
    /// Management calls per hour and WABA; `None` lifts the limit.
    pub management_per_hour: Option<u32>,
    /// The 24-hour rule.
    pub window: WindowRule,
    /// Whether reviews of templates end by themselves; else a control call ends them.
    pub auto_review: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            throughput_per_s: Some(80),
            pair: true,
            portfolio: None,
            management_per_hour: Some(5_000),
            window: WindowRule::Async,
            auto_review: true,
        }
    }
}

impl Limits {
    /// Takes over the members that `body` has; `null` lifts a limit.
    pub(crate) fn apply(&mut self, body: &Map<String, Value>) -> Result<(), String> {
        for (name, value) in body {
            match name.as_str() {
                "throughput_per_s" => {
                    let limit = count(name, value)?;
                    if limit.is_some_and(|n| n > THROUGHPUT_MAX_PER_S) {
                        return Err(format!("throughput_per_s is at most {THROUGHPUT_MAX_PER_S}"));
                    }
                    self.throughput_per_s = limit;
                }
                "portfolio" => self.portfolio = count(name, value)?,
                "management_per_hour" => self.management_per_hour = count(name, value)?,
                "pair" => {
                    self.pair = value.as_bool().ok_or("pair is true or false")?;
                }
                "auto_review" => {
                    self.auto_review = value.as_bool().ok_or("auto_review is true or false")?;
                }
                "window" => self.window = window_rule(value)?,
                _ => return Err(format!("unknown limit `{name}`")),
            }
        }
        Ok(())
    }

    pub(crate) fn to_json(&self) -> Value {
        let window = match self.window {
            WindowRule::Async => "async",
            WindowRule::Sync => "sync",
            WindowRule::Off => "off",
        };
        json!({
            "throughput_per_s": self.throughput_per_s,
            "pair": self.pair,
            "portfolio": self.portfolio,
            "management_per_hour": self.management_per_hour,
            "window": window,
            "auto_review": self.auto_review,
        })
    }
}

fn count(name: &str, value: &Value) -> Result<Option<u32>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
    number.map(Some).ok_or_else(|| format!("{name} is a whole number or null"))
}

fn window_rule(value: &Value) -> Result<WindowRule, String> {
    match value.as_str() {
        Some("async") => Ok(WindowRule::Async),
        Some("sync") => Ok(WindowRule::Sync),
        Some("off") => Ok(WindowRule::Off),
        _ => Err("window is async, sync or off".into()),
    }
}

/// The messages of one number in the last second.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    recent_ms: VecDeque<i64>,
}

impl Pace {
    /// Whether one more outbound message fits; if so it is counted.
    pub(crate) fn admit(&mut self, now_ms: i64, limit: u32) -> bool {
        self.forget(now_ms);
        let fits = self.recent_ms.len() < limit as usize;
        if fits {
            self.recent_ms.push_back(now_ms);
        }
        fits
    }

    /// Counts an inbound message, which is never refused.
    pub(crate) fn note(&mut self, now_ms: i64) {
        self.forget(now_ms);
        if self.recent_ms.len() < THROUGHPUT_MAX_PER_S as usize {
            self.recent_ms.push_back(now_ms);
        }
    }

    fn forget(&mut self, now_ms: i64) {
        while self.recent_ms.front().is_some_and(|at_ms| now_ms - at_ms >= 1_000) {
            self.recent_ms.pop_front();
        }
    }
}

/// Whether the bucket of a pair has room; if so the message is charged. `tat_ms` is the
/// theoretical arrival time of the generic cell rate algorithm.
pub(crate) fn admit_pair(tat_ms: &mut i64, now_ms: i64) -> bool {
    let tat = (*tat_ms).max(now_ms);
    if tat - now_ms > (PAIR_BURST - 1) * PAIR_SPACING_MS {
        return false;
    }
    *tat_ms = tat + PAIR_SPACING_MS;
    true
}

/// Management calls of one WABA in the running hour.
#[derive(Debug, Default)]
pub(crate) struct ManagementCalls {
    hour_began_ms: i64,
    calls: u32,
}

impl ManagementCalls {
    pub(crate) fn admit(&mut self, now_ms: i64, limit: Option<u32>) -> bool {
        if now_ms - self.hour_began_ms >= HOUR_MS {
            *self = Self { hour_began_ms: now_ms, calls: 0 };
        }
        let fits = limit.is_none_or(|limit| self.calls < limit);
        if fits {
            self.calls = self.calls.saturating_add(1);
        }
        fits
    }

    /// The share of the hour's calls that is used, in per cent.
    pub(crate) fn used_percent(&self, limit: Option<u32>) -> u64 {
        let limit = u64::from(limit.unwrap_or(u32::MAX).max(1));
        (u64::from(self.calls) * 100 / limit).min(100)
    }

    /// Minutes until the hour is over.
    pub(crate) fn minutes_left(&self, now_ms: i64) -> i64 {
        ((self.hour_began_ms + HOUR_MS - now_ms).max(0) + 59_999) / 60_000
    }
}

/// The people who got a message outside a window in the last 24 hours.
#[derive(Debug, Default)]
pub(crate) struct Portfolio {
    last_ms: HashMap<u32, i64>,
    order: VecDeque<(i64, u32)>,
}

impl Portfolio {
    pub(crate) fn admit(&mut self, person: u32, now_ms: i64, limit: u32) -> bool {
        while let Some(&(at_ms, old)) = self.order.front()
            && now_ms - at_ms >= DAY_MS
        {
            self.order.pop_front();
            self.last_ms.remove(&old);
        }
        if self.last_ms.contains_key(&person) {
            return true;
        }
        let fits = self.last_ms.len() < limit as usize;
        if fits {
            self.last_ms.insert(person, now_ms);
            self.order.push_back((now_ms, person));
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_the_46th_message_to_a_pair_within_six_seconds() {
        let mut tat_ms = 0;
        let admitted = (0..46).filter(|n| admit_pair(&mut tat_ms, 1_000_000 + n * 100)).count();
        assert_eq!(admitted, 45);
        assert!(admit_pair(&mut tat_ms, 1_000_000 + 6_000), "one more after six seconds");
        assert!(!admit_pair(&mut tat_ms, 1_000_000 + 6_100));
    }

    #[test]
    fn refuses_the_81st_message_within_a_second() {
        let mut pace = Pace::default();
        let admitted = (0..81).filter(|n| pace.admit(5_000 + n * 12, 80)).count();
        assert_eq!(admitted, 80);
        assert!(pace.admit(6_000, 80));
    }

    #[test]
    fn null_lifts_a_limit_and_absent_members_stay() {
        let mut limits = Limits::default();
        let body = json!({"throughput_per_s": null, "pair": false});
        limits.apply(body.as_object().unwrap()).unwrap();
        assert_eq!((limits.throughput_per_s, limits.pair), (None, false));
        assert_eq!(limits.management_per_hour, Some(5_000));
    }

    #[test]
    fn counts_each_person_outside_a_window_once_a_day() {
        let mut portfolio = Portfolio::default();
        assert!(portfolio.admit(1, 0, 1));
        assert!(portfolio.admit(1, 5, 1));
        assert!(!portfolio.admit(2, 6, 1));
        assert!(portfolio.admit(2, DAY_MS, 1));
    }
}
