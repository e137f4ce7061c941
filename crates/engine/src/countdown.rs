//! How many messages of a broadcast are still without an outcome, for who waits for all of them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use waypost_domain::BroadcastId;

/// Countdowns of the broadcasts that somebody waits for.
#[derive(Clone, Default)]
pub(crate) struct Countdowns(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    left: HashMap<BroadcastId, watch::Sender<usize>>,
    stopped: bool,
}

impl Countdowns {
    /// Begins to count. Call before the first message can be settled.
    pub(crate) fn begin(&self, id: BroadcastId, messages: usize) -> Countdown {
        let mut running = self.0.lock();
        let (sender, left) = watch::channel(if running.stopped { 0 } else { messages });
        running.left.insert(id, sender);
        drop(running);
        Countdown { all: self.clone(), id, left }
    }

    /// One message of a broadcast has its outcome.
    pub(crate) fn settled(&self, id: BroadcastId) {
        if let Some(sender) = self.0.lock().left.get(&id) {
            sender.send_modify(|left| *left = left.saturating_sub(1));
        }
    }

    /// No more outcomes will come: the broadcast was cancelled.
    pub(crate) fn end(&self, id: BroadcastId) {
        if let Some(sender) = self.0.lock().left.get(&id) {
            sender.send_replace(0);
        }
    }

    /// No more outcomes will come at all: nothing is sent any more.
    pub(crate) fn stop(&self) {
        let mut running = self.0.lock();
        running.stopped = true;
        for sender in running.left.values() {
            sender.send_replace(0);
        }
    }

    /// Waits until nobody waits for a broadcast's outcomes any more: its first caller has an
    /// answer. `false` when the time is up.
    pub(crate) async fn answered(&self, id: BroadcastId, limit: std::time::Duration) -> bool {
        let Some(mut left) = self.0.lock().left.get(&id).map(watch::Sender::subscribe) else {
            return true;
        };
        tokio::time::timeout(limit, async { while left.changed().await.is_ok() {} }).await.is_ok()
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
        self.all.0.lock().left.remove(&self.id);
    }
}
