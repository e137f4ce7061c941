//! How many messages of a broadcast are still without an outcome, for who waits for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use waypost_domain::BroadcastId;

/// Countdowns of the broadcasts that somebody waits for.
#[derive(Clone, Default)]
pub(crate) struct Countdowns(Arc<Mutex<HashMap<BroadcastId, watch::Sender<usize>>>>);

impl Countdowns {
    /// Begins to count. Call before the first message can be settled.
    pub(crate) fn begin(&self, id: BroadcastId, messages: usize) -> Countdown {
        let (sender, left) = watch::channel(messages);
        self.0.lock().insert(id, sender);
        Countdown { all: self.clone(), id, left }
    }

    /// One message of a broadcast has its outcome.
    pub(crate) fn settled(&self, id: BroadcastId) {
        if let Some(sender) = self.0.lock().get(&id) {
            sender.send_modify(|left| *left = left.saturating_sub(1));
        }
    }

    /// No more outcomes will come: the broadcast was cancelled.
    pub(crate) fn end(&self, id: BroadcastId) {
        if let Some(sender) = self.0.lock().get(&id) {
            sender.send_replace(0);
        }
    }
}

/// One broadcast's countdown.
pub(crate) struct Countdown {
    all: Countdowns,
    id: BroadcastId,
    left: watch::Receiver<usize>,
}

impl Countdown {
    /// Waits until every message has its outcome, or the time is up.
    pub(crate) async fn finished(&mut self, limit: std::time::Duration) {
        // A timeout is an answer too: the caller is told what is still queued.
        let _ = tokio::time::timeout(limit, self.left.wait_for(|left| *left == 0)).await;
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.id);
    }
}
