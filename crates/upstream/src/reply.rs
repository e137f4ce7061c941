//! Reading the upstream's replies: its error body, its wishes for waiting, and what a reply
//! without either means. The upstream is not trusted: every reading is bounded and may fail.

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use serde_json::Value;
use waypost_domain::retry::RetryClass;
use waypost_domain::{ErrorKind, Failure, UpstreamFault};
use waypost_engine::ports::CallError;

use crate::fault::Fault;
use crate::transport::{Broken, Reply};

/// The longest wait that is believed, in seconds: a day.
const MAX_WAIT_S: u64 = 86_400;
/// The longest id of a message or a person that is believed, in characters.
const MAX_ID_CHARS: usize = 512;
/// The longest text of Meta's that is kept, in characters.
const MAX_DETAILS_CHARS: usize = 500;

/// Reads JSON, also where a text in it is not UTF-8. Nesting is bounded by the library (128).
pub(crate) fn json(body: &[u8]) -> Option<Value> {
    serde_json::from_str(&String::from_utf8_lossy(body)).ok()
}

/// A number that may come as a text.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// An id that may come as a number; `None` where it is empty.
pub(crate) fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|id| id.to_string()),
        _ => None,
    }
}

/// Whether a text can be Meta's id of a message or a person: short, and visible ASCII throughout.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Reads an error object of Meta's, of a reply or of a webhook; `None` where it has no code.
pub(crate) fn fault(error: &Value, http_status: Option<u16>) -> Option<Fault> {
    let data = &error["error_data"];
    let texts = [&data["details"], data, &error["message"], &error["title"]];
    let details = texts.into_iter().find_map(Value::as_str).unwrap_or_default();
    Some(Fault {
        code: integer(&error["code"])?,
        subcode: integer(&error["error_subcode"]),
        http_status,
        details: bounded(details),
    })
}

fn bounded(text: &str) -> String {
    let visible = |char: char| if char.is_control() { ' ' } else { char };
    text.chars().take(MAX_DETAILS_CHARS).map(visible).collect()
}

impl Reply {
    pub(crate) fn json(&self) -> Option<Value> {
        json(self.body.as_ref().ok()?)
    }

    /// Meta's error in a reply that was read as JSON. `token` must not come back in it.
    pub(crate) fn fault(&self, body: &Value, token: &str) -> Option<Fault> {
        let mut fault = fault(&body["error"], Some(self.status.as_u16()))?;
        if !token.is_empty() && fault.details.contains(token) {
            fault.details = fault.details.replace(token, "…");
        }
        Some(fault)
    }

    /// Meta's error as a call's, with the wait that the reply asks for.
    pub(crate) fn call_error(&self, fault: Fault) -> CallError {
        self.with_wait(fault.into_call_error())
    }

    /// Adds the wait that the reply asks for, where trying again makes sense at all.
    pub(crate) fn with_wait(&self, mut error: CallError) -> CallError {
        let waits =
            !matches!(error.class, RetryClass::Never | RetryClass::Operator | RetryClass::Account);
        if waits {
            let asked = wait_s(&self.headers, error.failure.kind == ErrorKind::RateLimited);
            error.failure.retry_after_s = error.failure.retry_after_s.max(asked);
        }
        error
    }

    /// What a reply without Meta's words means, where it is certain that the request was refused.
    pub(crate) fn plain_refusal(&self) -> Option<CallError> {
        let status = self.status;
        let (kind, class, text) = match status.as_u16() {
            429 => (ErrorKind::RateLimited, RetryClass::Pace, "a limit is reached"),
            408 | 425 => (ErrorKind::UpstreamError, RetryClass::BackOffFew, "it was not received"),
            401 | 403 | 407 => (ErrorKind::UpstreamError, RetryClass::Account, "it was forbidden"),
            301 | 302 | 307 | 308 => (
                ErrorKind::UpstreamError,
                RetryClass::Account,
                "redirects are never followed; check the upstream's base URL",
            ),
            400..=499 if self.body.is_err() => {
                // What it says may be that it was too fast, or that trying again helps.
                (ErrorKind::UpstreamError, RetryClass::BackOffFew, "the explanation was cut off")
            }
            400..=499 => (ErrorKind::UpstreamError, RetryClass::Never, "it was refused"),
            _ => return None,
        };
        let message = format!("The upstream answered {status} without an explanation: {text}.");
        let failure = Failure::new(kind, message).with_upstream(self.plain_fault());
        Some(self.with_wait(CallError { failure, class }))
    }

    /// The particulars of a reply without Meta's words.
    pub(crate) fn plain_fault(&self) -> UpstreamFault {
        let details = match &self.body {
            Ok(body) => format!("{} bytes that are not Meta's JSON", body.len()),
            Err(why) => why.clone(),
        };
        let http_status = Some(self.status.as_u16());
        UpstreamFault { code: None, subcode: None, http_status, details }
    }

    /// The reply to a call that may be repeated: JSON, or why not.
    pub(crate) fn into_json(self, token: &str) -> Result<Value, CallError> {
        let body = self.json();
        if let Some(fault) = body.as_ref().and_then(|body| self.fault(body, token)) {
            return Err(self.call_error(fault));
        }
        match body {
            Some(body) if self.status.is_success() && body["success"] != false => Ok(body),
            _ => Err(self.plain_refusal().unwrap_or_else(|| self.unreadable())),
        }
    }

    pub(crate) fn unreadable(&self) -> CallError {
        let kind = match self.status {
            status if status.is_server_error() => ErrorKind::UpstreamUnavailable,
            _ => ErrorKind::UpstreamError,
        };
        let message = format!("The upstream answered {} with nothing readable.", self.status);
        let failure = Failure::new(kind, message).with_upstream(self.plain_fault());
        self.with_wait(CallError { failure, class: RetryClass::BackOffFew })
    }
}

impl Broken {
    /// For calls that may be repeated whatever came of them, and for sends that never left.
    pub(crate) fn into_call_error(self) -> CallError {
        let message = "The upstream could not be reached; nothing was sent.";
        let failure =
            Failure::new(ErrorKind::UpstreamUnavailable, message).with_upstream(UpstreamFault {
                code: None,
                subcode: None,
                http_status: None,
                details: self.details,
            });
        CallError { failure, class: RetryClass::BackOff }
    }
}

/// How long the reply asks to wait, in seconds.
fn wait_s(headers: &HeaderMap, rate_limited: bool) -> Option<u32> {
    let usage = if rate_limited { regain_s(headers) } else { None };
    let asked = retry_after_s(headers).max(usage)?;
    u32::try_from(asked.min(MAX_WAIT_S)).ok()
}

/// `Retry-After` in seconds, or as a date, which is compared with the reply's own `Date`.
fn retry_after_s(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(until.duration_since(now).ok()?.as_secs())
}

/// The longest `estimated_time_to_regain_access`, which is in minutes.
fn regain_s(headers: &HeaderMap) -> Option<u64> {
    let usage = json(headers.get("x-business-use-case-usage")?.as_bytes())?;
    let entries = usage.as_object()?.values().filter_map(Value::as_array).flatten();
    let minutes = entries
        .filter_map(|entry| integer(&entry["estimated_time_to_regain_access"]))
        .filter_map(|minutes| u64::try_from(minutes).ok())
        .max()?;
    (minutes > 0).then(|| minutes.saturating_mul(60))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn waits_as_long_as_the_reply_asks() {
        let usage =
            r#"{"100000000000002":[{"type":"messaging","estimated_time_to_regain_access":7}]}"#;
        let date = "Fri, 14 Nov 2025 22:13:20 GMT";
        for (pairs, expected) in [
            (&[][..], None),
            (&[("retry-after", "30")], Some(30)),
            (&[("retry-after", "Fri, 14 Nov 2025 22:15:20 GMT"), ("date", date)], Some(120)),
            (&[("retry-after", "Fri, 14 Nov 2025 22:15:20 GMT")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "99999999999999")], Some(86_400)),
            (&[("x-business-use-case-usage", usage)], Some(420)),
            (&[("x-business-use-case-usage", usage), ("retry-after", "900")], Some(900)),
            (&[("x-business-use-case-usage", "{\"1\":7}")], None),
        ] {
            assert_eq!(wait_s(&headers(pairs), true), expected, "{pairs:?}");
        }
        let pairs = headers(&[("x-business-use-case-usage", usage)]);
        assert_eq!(wait_s(&pairs, false), None, "usage explains limits only");
    }

    #[test]
    fn reads_metas_errors_in_all_their_spellings() {
        for (error, code, details) in [
            (json!({"code":100,"message":"m","error_data":{"details":"d"}}), 100, "d"),
            (json!({"code":100,"message":"m","error_data":"bare"}), 100, "bare"),
            (json!({"code":"100","message":"m\nn"}), 100, "m n"),
            (json!({"code":131_026,"title":"t"}), 131_026, "t"),
            (json!({"code":1,"message":7}), 1, ""),
        ] {
            let fault = fault(&error, None).unwrap();
            assert_eq!((fault.code, fault.details.as_str()), (code, details), "{error}");
        }
        for error in [json!({"message":"no code"}), json!(null), json!("text"), json!([])] {
            assert_eq!(fault(&error, None), None, "{error}");
        }
    }
}
