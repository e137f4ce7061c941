//! A fast receiver of callbacks: counts them, notes how late each is, and can be told to keep callers waiting.
//!
//! It checks no signature and parses nothing: it shall cost as little as it can.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::scan::text_of;

/// Where callbacks are received.
pub(crate) const CALLBACKS_PATH: &str = "/callbacks";
/// From then on callers wait.
pub(crate) const HOLD_PATH: &str = "/callbacks/hold";
/// From then on they are answered, also those that wait.
pub(crate) const OPEN_PATH: &str = "/callbacks/open";
/// Tells and forgets how late callbacks were, in milliseconds.
pub(crate) const LAGS_PATH: &str = "/callbacks/lags";

/// The receiver.
#[derive(Default)]
pub(crate) struct Receiver {
    held: watch::Sender<bool>,
    received: AtomicU64,
    expected: Mutex<Expected>,
}

#[derive(Default)]
struct Expected {
    /// When the gateway was told of a message's status, until its callback comes.
    told: HashMap<String, Instant>,
    lags_ms: Vec<f64>,
}

impl Receiver {
    /// Takes a callback; waits while callers are held.
    pub(crate) async fn receive(&self, body: &[u8]) {
        let arrived = Instant::now();
        // The sender is ours, so waiting ends with `Ok`.
        drop(self.held.subscribe().wait_for(|held| !held).await);
        self.received.fetch_add(1, Ordering::Relaxed);
        let (wamid, status) = (text_of(body, b"\"wamid\":\""), text_of(body, b"\"status\":\""));
        self.with_expected(|expected| {
            // A replayed callback was told long ago: nobody waits for it.
            if let Some(told) = expected.told.remove(&key(wamid, status)) {
                let lag_ms = arrived.saturating_duration_since(told).as_secs_f64() * 1e3;
                expected.lags_ms.push(lag_ms);
            }
        });
    }

    /// Notes that the gateway is told of a status now.
    pub(crate) fn expect(&self, wamid: &str, status: &str) {
        self.with_expected(|expected| expected.told.insert(key(wamid, status), Instant::now()));
    }

    /// Holds callers or lets them go.
    pub(crate) fn hold(&self, held: bool) -> String {
        self.held.send_replace(held);
        String::from("{}")
    }

    /// How many callbacks came.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// How late callbacks were since the last question, as a JSON array of milliseconds.
    pub(crate) fn take_lags_ms(&self) -> String {
        let lags_ms = self.with_expected(|expected| std::mem::take(&mut expected.lags_ms));
        serde_json::json!(lags_ms).to_string()
    }

    fn with_expected<T>(&self, act: impl FnOnce(&mut Expected) -> T) -> T {
        act(&mut self.expected.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn key(wamid: &str, status: &str) -> String {
    format!("{wamid} {status}")
}

#[cfg(test)]
mod tests {
    use super::Receiver;

    #[tokio::test]
    async fn measures_each_callback_once() {
        let receiver = Receiver::default();
        receiver.expect("wamid.1", "read");
        let callback = br#"{"type":"message.read","data":{"wamid":"wamid.1","status":"read"}}"#;
        receiver.receive(callback).await;
        receiver.receive(callback).await;
        assert_eq!(receiver.received(), 2);
        let lags: Vec<f64> = serde_json::from_str(&receiver.take_lags_ms()).unwrap();
        assert_eq!(lags.len(), 1);
        assert_eq!(receiver.take_lags_ms(), "[]");
    }
}
