//! Waiting for something to change: who waits names a key, who changes it tells the key. Holds
//! nothing for keys that nobody waits for.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// Waiters by key.
pub(crate) struct Watch<K>(Mutex<HashMap<K, watch::Sender<()>>>);

impl<K: Eq + Hash + Clone> Watch<K> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// Begins to watch a key. Look at the present state only after this, then wait: what is told
    /// in between is not missed.
    pub(crate) fn watch(&self, key: K) -> Watching<'_, K> {
        let mut keys = self.0.lock();
        let told = keys.entry(key.clone()).or_insert_with(|| watch::channel(()).0).subscribe();
        Watching { watch: self, key, told }
    }

    /// Wakes who watches a key.
    pub(crate) fn tell(&self, key: &K) {
        if let Some(sender) = self.0.lock().get(key) {
            sender.send_replace(());
        }
    }
}

/// One waiter.
pub(crate) struct Watching<'a, K: Eq + Hash + Clone> {
    watch: &'a Watch<K>,
    key: K,
    told: watch::Receiver<()>,
}

impl<K: Eq + Hash + Clone> Watching<'_, K> {
    /// Waits until the key is told. `false` when the time is up.
    pub(crate) async fn told_before(&mut self, deadline: Instant) -> bool {
        matches!(tokio::time::timeout_at(deadline, self.told.changed()).await, Ok(Ok(())))
    }
}

impl<K: Eq + Hash + Clone> Drop for Watching<'_, K> {
    fn drop(&mut self) {
        let mut keys = self.watch.0.lock();
        if keys.get(&self.key).is_some_and(|sender| sender.receiver_count() <= 1) {
            keys.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_told_between_looking_and_waiting_is_not_missed() {
        let watch = Watch::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut waiting = watch.watch(7);
        watch.tell(&7);
        assert!(waiting.told_before(deadline).await);
        watch.tell(&8);
        assert!(!waiting.told_before(deadline).await, "another key was told");
        drop(waiting);
        assert!(watch.0.lock().is_empty(), "nobody waits any more");
    }
}
