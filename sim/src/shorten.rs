//! Cuts a plan down to the steps without which the same rule is not violated any more.

use crate::plan::Plan;
use crate::play::Stage;

/// Times that a plan is played to shorten it.
const MAX_TRIES: usize = 400;

/// The shortest plan found that violates the rule.
#[must_use]
pub fn shorten(stage: &Stage, plan: &Plan, rule: &str) -> Plan {
    let mut shortest = plan.clone();
    let mut tries = 0;
    let mut span = shortest.steps.len().div_ceil(2).max(1);
    loop {
        let mut is_shorter = false;
        let mut from = 0;
        while from < shortest.steps.len() && tries < MAX_TRIES {
            let mut candidate = shortest.clone();
            let to = (from + span).min(candidate.steps.len());
            candidate.steps.drain(from..to);
            tries += 1;
            if stage.play(&candidate).violations.iter().any(|found| found.rule == rule) {
                shortest = candidate;
                is_shorter = true;
            } else {
                from += span;
            }
        }
        if tries >= MAX_TRIES || (span == 1 && !is_shorter) {
            return shortest;
        }
        span = if span > 1 { span / 2 } else { 1 };
    }
}
