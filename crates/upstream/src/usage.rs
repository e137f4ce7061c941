//! How much of its limits the upstream says is used: every reply to a send may tell, and what it
//! tells is kept until it is asked for. Replies come by the thousand, so few are read.

use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

use crate::reply::{integer, json};

/// How often the usage is read of replies.
const READ_EVERY: Duration = Duration::from_millis(250);
/// Accounts whose usage is kept; beyond, all are forgotten.
const MAX_ACCOUNTS: usize = 10_000;
/// The longest header that is read, in bytes.
const MAX_HEADER_BYTES: usize = 4_096;

/// What was told and not asked for yet.
#[derive(Default)]
pub(crate) struct Usages(Mutex<Told>);

#[derive(Default)]
struct Told {
    read_at: HashMap<String, Instant>,
    percent: HashMap<String, u8>,
}

impl Usages {
    /// Reads what the reply to a business account's send says.
    pub(crate) fn note(&self, waba_id: &str, headers: &HeaderMap) {
        let app = headers.get("x-app-usage");
        let business = headers.get("x-business-use-case-usage");
        if app.is_none() && business.is_none() {
            return;
        }
        let now = Instant::now();
        let mut told = self.0.lock();
        if told.read_at.get(waba_id).is_some_and(|read_at| now < *read_at + READ_EVERY) {
            return;
        }
        if told.read_at.len() >= MAX_ACCOUNTS {
            *told = Told::default();
        }
        told.read_at.insert(waba_id.to_owned(), now);
        if let Some(percent) = of_app(app).max(of_business(business)) {
            told.percent.insert(waba_id.to_owned(), percent);
        }
    }

    /// How much of an account's limits is used, in hundredths, where it was told since the last call.
    pub(crate) fn take(&self, waba_id: &str) -> Option<u8> {
        self.0.lock().percent.remove(waba_id)
    }
}

fn read(header: Option<&HeaderValue>) -> Option<Value> {
    header.filter(|header| header.len() <= MAX_HEADER_BYTES).and_then(|it| json(it.as_bytes()))
}

fn of_app(header: Option<&HeaderValue>) -> Option<u8> {
    percent(&read(header)?)
}

/// The highest of all use cases.
fn of_business(header: Option<&HeaderValue>) -> Option<u8> {
    let usage = read(header)?;
    let entries = usage.as_object()?.values().filter_map(Value::as_array).flatten();
    entries.filter_map(percent).max()
}

fn percent(usage: &Value) -> Option<u8> {
    let parts = ["call_count", "total_cputime", "total_time"];
    let highest = parts.iter().filter_map(|part| integer(&usage[*part])).max()?;
    Some(u8::try_from(highest.clamp(0, 255)).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), HeaderValue::from_static(value))
        };
        pairs.iter().map(header).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_highest_usage_is_told_once() {
        let app = r#"{"call_count":12,"total_cputime":7,"total_time":85}"#;
        let business = r#"{"1":[{"type":"messaging","call_count":91,"total_time":"3"}],"2":[]}"#;
        for (pairs, expected) in [
            (&[][..], None),
            (&[("x-app-usage", app)], Some(85)),
            (&[("x-business-use-case-usage", business)], Some(91)),
            (&[("x-app-usage", app), ("x-business-use-case-usage", business)], Some(91)),
            (&[("x-app-usage", "{\"call_count\":900}")], Some(255)),
            (&[("x-app-usage", "[]"), ("x-business-use-case-usage", "7")], None),
        ] {
            let usages = Usages::default();
            usages.note("waba", &headers(pairs));
            assert_eq!(usages.take("waba"), expected, "{pairs:?}");
            assert_eq!(usages.take("waba"), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn few_replies_are_read() {
        let usages = Usages::default();
        usages.note("waba", &headers(&[("x-app-usage", r#"{"call_count":10}"#)]));
        let later = headers(&[("x-app-usage", r#"{"call_count":99}"#)]);
        usages.note("waba", &later);
        assert_eq!(usages.take("waba"), Some(10));
        tokio::time::advance(READ_EVERY).await;
        usages.note("waba", &later);
        assert_eq!(usages.take("waba"), Some(99));
    }
}
