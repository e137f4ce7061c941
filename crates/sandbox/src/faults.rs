//! Failures on demand: rules that match calls or webhooks and say what goes wrong. It decides
//! which rule applies; the routes and the outbox carry it out.

use serde::{Deserialize, Serialize};

use crate::entropy;
use crate::log::Status;
use crate::message_kind::{listed, receivable, sendable};
use crate::validate::is_user_id;

/// Rules that can be set at once.
pub const FAULT_RULES_MAX: usize = 1_000;
/// The longest delay a rule may ask for.
pub const FAULT_LATENCY_MAX_MS: u64 = 600_000;

/// What calls are called beside the types of messages.
const CALL_KINDS: [&str; 6] = ["read", "typing", "media", "message_templates", "management", "any"];
/// What webhooks are called beside the types of messages and the statuses.
const WEBHOOK_KINDS: [&str; 3] = ["message_template_status_update", "flows", "any"];

/// When a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reset {
    /// Nothing was done.
    Before,
    /// The call was carried out, only the answer is lost.
    After,
}

/// What happens to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WebhookFault {
    Drop,
    Duplicate,
    /// Goes out after the next webhook, or after two seconds.
    Reorder,
    /// Is kept until a control call releases it.
    Withhold,
}

/// Which calls a rule concerns. Everything that is given must agree.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Matcher {
    /// The person: digits or a business-scoped id, or a prefix of one followed by `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// The business: its id or its display number.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// A message type, `read`, `typing`, `media`, `message_templates`, `management` or `any`; for
    /// webhooks a message type, a status or the name of another field. Absent: messages only,
    /// or every webhook.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// Probability, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    chance: Option<f64>,
    /// Applies to the next N matches, then the rule is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// What a rule does.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Effect {
    /// One of Meta's codes, with the status of the table unless `status` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<i64>,
    /// An HTTP status without a body, unless `code` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// An HTTP status with an HTML body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) html: Option<u16>,
    /// Waits so long (of real time) first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reset: Option<Reset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webhooks: Option<WebhookFault>,
    /// Whether `code` comes as a failed status; absent: as the code table says.
    #[serde(rename = "async", skip_serializing_if = "Option::is_none")]
    pub(crate) asynchronous: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<String>,
    /// Sent as `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_s: Option<u32>,
}

impl Effect {
    /// Says what is wrong with an effect, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        let statuses = [self.status, self.html];
        if statuses.into_iter().flatten().any(|status| !(200..600).contains(&status)) {
            return Err("a status is a number from 200 to 599".into());
        }
        if self.latency_ms.is_some_and(|ms| ms > FAULT_LATENCY_MAX_MS) {
            return Err(format!("latency_ms is at most {FAULT_LATENCY_MAX_MS}"));
        }
        let does_something = self.code.is_some()
            || self.status.is_some()
            || self.html.is_some()
            || self.latency_ms.is_some()
            || self.reset.is_some()
            || self.webhooks.is_some();
        if does_something {
            Ok(())
        } else {
            Err("`do` needs one of code, status, html, latency_ms, reset, webhooks".into())
        }
    }
}

/// A rule as posted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSpec {
    #[serde(rename = "match", default)]
    matcher: Matcher,
    #[serde(rename = "do")]
    effect: Effect,
}

impl RuleSpec {
    /// An address that nobody can have would make a rule that never applies.
    fn check_addresses(&self) -> Result<(), String> {
        if self.matcher.to.as_deref().is_some_and(|to| !is_address_pattern(to)) {
            return Err("match.to is a person's digits, or a prefix and one * at its end".into());
        }
        let is_business = |from: &str| {
            let digits = from.strip_prefix('+').unwrap_or(from);
            !digits.is_empty() && is_digits(digits)
        };
        if self.matcher.from.as_deref().is_some_and(|from| !is_business(from)) {
            return Err("match.from is the digits of a business's id or number".into());
        }
        Ok(())
    }

    /// A type that never occurs would make a rule that never applies.
    fn check_kind(&self) -> Result<(), String> {
        let Some(kind) = self.matcher.kind.as_deref() else { return Ok(()) };
        let known: Vec<&str> = if self.effect.webhooks.is_some() {
            let statuses = Status::ALL.into_iter().map(Status::name);
            receivable().chain(statuses).chain(WEBHOOK_KINDS).collect()
        } else {
            sendable().chain(CALL_KINDS).collect()
        };
        if known.contains(&kind) {
            return Ok(());
        }
        Err(format!("match.type is one of {}", listed(known.into_iter())))
    }
}

/// A rule with its number.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rule {
    id: u64,
    #[serde(flatten)]
    spec: RuleSpec,
    /// How often it has applied.
    applied: u64,
}

/// What is known about a call or a webhook.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion<'a> {
    pub(crate) to: &'a str,
    /// Phone number id and display number.
    pub(crate) from: (&'a str, &'a str),
    pub(crate) kind: &'a str,
    /// Whether a rule without a type concerns it.
    pub(crate) is_message: bool,
}

/// The rules that hold.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    last_id: u64,
}

impl Faults {
    /// Adds a rule and returns its number.
    pub(crate) fn add(&mut self, spec: RuleSpec) -> Result<u64, String> {
        spec.effect.check()?;
        spec.check_addresses()?;
        spec.check_kind()?;
        if spec.matcher.chance.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err("chance is a number from 0 to 1".into());
        }
        if spec.matcher.next == Some(0) {
            return Err("next is 1 or more".into());
        }
        if self.rules.len() >= FAULT_RULES_MAX {
            return Err(format!("there are at most {FAULT_RULES_MAX} rules"));
        }
        self.last_id += 1;
        self.rules.push(Rule { id: self.last_id, spec, applied: 0 });
        Ok(self.last_id)
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Removes one rule, or all; returns how many.
    pub(crate) fn remove(&mut self, id: Option<u64>) -> usize {
        let before = self.rules.len();
        self.rules.retain(|rule| id.is_some_and(|id| rule.id != id));
        before - self.rules.len()
    }

    /// The effect on a call: of the first rule that matches and is not about webhooks.
    pub(crate) fn for_call(&mut self, occasion: Occasion<'_>) -> Option<Effect> {
        self.take(occasion, false)
    }

    /// What happens to a webhook.
    pub(crate) fn for_webhook(&mut self, occasion: Occasion<'_>) -> Option<WebhookFault> {
        self.take(occasion, true)?.webhooks
    }

    fn take(&mut self, occasion: Occasion<'_>, webhooks: bool) -> Option<Effect> {
        let position = self.rules.iter().position(|rule| {
            rule.spec.effect.webhooks.is_some() == webhooks && rule.spec.matcher.matches(occasion)
        })?;
        let rule = &mut self.rules[position];
        rule.applied += 1;
        let effect = rule.spec.effect.clone();
        if let Some(left) = &mut rule.spec.matcher.next {
            *left -= 1;
            if *left == 0 {
                self.rules.remove(position);
            }
        }
        Some(effect)
    }
}

impl Matcher {
    fn matches(&self, occasion: Occasion<'_>) -> bool {
        let kind_agrees = match self.kind.as_deref() {
            None => occasion.is_message,
            Some("any") => true,
            Some(kind) => kind == occasion.kind,
        };
        let from = self.from.as_deref().map(|from| from.trim_start_matches('+'));
        kind_agrees
            && self.to.as_deref().is_none_or(|pattern| matches_address(pattern, occasion.to))
            && from.is_none_or(|from| from == occasion.from.0 || from == occasion.from.1)
            && self.chance.is_none_or(|chance| entropy::fraction() < chance)
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether somebody's address can match: digits or a business-scoped id, or the begin of one and `*`.
fn is_address_pattern(pattern: &str) -> bool {
    let digits = pattern.strip_prefix('+').unwrap_or(pattern);
    match (pattern.strip_suffix('*'), digits.strip_suffix('*')) {
        (Some(id), Some(digits)) => is_digits(digits) || is_user_id(&format!("{id}0")),
        _ => is_user_id(pattern) || (!digits.is_empty() && is_digits(digits)),
    }
}

fn matches_address(pattern: &str, address: &str) -> bool {
    let pattern = pattern.trim_start_matches('+');
    match pattern.strip_suffix('*') {
        Some(prefix) => address.starts_with(prefix),
        None => address == pattern,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn occasion<'a>(to: &'a str, kind: &'a str) -> Occasion<'a> {
        Occasion { to, from: ("1", "15550009999"), kind, is_message: true }
    }

    fn rule(value: Value) -> RuleSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_rule_for_the_next_two_is_gone_after_two() {
        let mut faults = Faults::default();
        faults.add(rule(json!({"match": {"next": 2}, "do": {"code": 131_000}}))).unwrap();
        let codes: Vec<_> = (0..3)
            .map(|_| faults.for_call(occasion("15550001111", "text")).and_then(|e| e.code))
            .collect();
        assert_eq!(codes, [Some(131_000), Some(131_000), None]);
        assert!(faults.rules().is_empty());
    }

    #[test]
    fn matches_by_person_prefix_business_and_type() {
        let spec = json!({"match": {"to": "1555000*", "from": "+15550009999", "type": "image"},
                          "do": {"html": 502}});
        let mut faults = Faults::default();
        faults.add(rule(spec)).unwrap();
        assert!(faults.for_call(occasion("15550001111", "text")).is_none());
        assert!(faults.for_call(occasion("25550001111", "image")).is_none());
        assert_eq!(faults.for_call(occasion("15550001111", "image")).unwrap().html, Some(502));
    }

    #[test]
    fn refuses_rules_that_do_nothing_or_something_impossible() {
        let mut faults = Faults::default();
        for wrong in [json!({}), json!({"status": 99}), json!({"latency_ms": 600_001})] {
            assert!(faults.add(rule(json!({"do": wrong}))).is_err());
        }
        let never = rule(json!({"match": {"next": 0}, "do": {"code": 131_000}}));
        assert_eq!(faults.add(never).unwrap_err(), "next is 1 or more");
        let unknown = json!({"do": {"explode": true}});
        assert!(serde_json::from_value::<RuleSpec>(unknown).is_err());
    }

    #[test]
    fn addresses_that_nobody_has_are_refused() {
        let cases = [
            ("to", "15550001111", true),
            ("to", "+15550001111", true),
            ("to", "+1555*", true),
            ("to", "*", true),
            ("to", "US.13491", true),
            ("to", "US.*", true),
            ("to", "", false),
            ("to", "+", false),
            ("to", "1555*0", false),
            ("to", "1555**", false),
            ("to", "++1555", false),
            ("to", "+1 555 000 1111", false),
            ("to", "Ann", false),
            ("to", "Ann*", false),
            ("from", "100000000000001", true),
            ("from", "+15550009999", true),
            ("from", "nope", false),
            ("from", "1555*", false),
            ("from", "", false),
            ("from", "+", false),
        ];
        for (name, address, is_taken) in cases {
            let spec = rule(json!({"match": {name: address}, "do": {"code": 131_000}}));
            let added = Faults::default().add(spec);
            assert_eq!(added.is_ok(), is_taken, "{name} {address}");
        }
    }

    #[test]
    fn rules_about_webhooks_leave_calls_alone() {
        let mut faults = Faults::default();
        faults.add(rule(json!({"do": {"webhooks": "drop"}}))).unwrap();
        assert!(faults.for_call(occasion("1", "text")).is_none());
        assert_eq!(faults.for_webhook(occasion("1", "sent")), Some(WebhookFault::Drop));
    }
}
