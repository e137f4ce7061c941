//! Writing the directory: through to the store, one change after the other, and each to its end even
//! if who asked for it has gone.

use std::sync::Arc;

use super::state::State;
use super::{Directory, Kept};
use crate::ports::{CreationClaim, Entry, EntryKey, NewRecord, PutMode, StoreError, StoreResult};

impl Directory {
    /// Writes an entry as it is; durable and visible when it returns. What is made of a known one is
    /// written by [`Directory::change`].
    ///
    /// # Errors
    /// [`StoreError::Full`] where it is new and its organisation has as many as it may; what the store
    /// says: taken, not found, or unable.
    pub async fn put(&self, entry: Entry, mode: PutMode) -> StoreResult<()> {
        self.write(|kept| async move { kept.put(entry, mode).await }).await
    }

    /// Writes what `change` makes of what is known: nobody else writes in between. Durable and visible
    /// when it returns.
    ///
    /// # Errors
    /// What `change` says; then nothing is written. What the store says.
    pub async fn change<T, E>(
        &self,
        entry: fn(T) -> Entry,
        change: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Clone + Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write(|kept| async move {
            let changed = change()?;
            kept.put(entry(changed.clone()), PutMode::Replace).await?;
            Ok(changed)
        })
        .await
    }

    /// Writes a new entry, with the claim of its request's key where it has one; durable and
    /// visible when it returns.
    ///
    /// # Errors
    /// [`StoreError::Full`] where its organisation has as many as it may; what the store says: taken,
    /// or unable.
    pub async fn create(&self, entry: Entry, claim: Option<CreationClaim>) -> StoreResult<()> {
        self.write(|kept| async move { kept.add(entry, claim).await }).await
    }

    /// Removes an entry. `false` where there was none.
    ///
    /// # Errors
    /// What the store says.
    pub async fn remove(&self, key: EntryKey) -> StoreResult<bool> {
        self.write(|kept| async move { kept.remove(key).await }).await
    }

    /// Waits until everything that was asked for is written.
    pub(crate) async fn finish(&self) {
        self.writes.close();
        self.writes.wait().await;
    }

    /// Runs a write when it is its turn.
    pub(super) async fn write<T, E, W>(&self, write: impl FnOnce(Arc<Kept>) -> W) -> Result<T, E>
    where
        W: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let kept = Arc::clone(&self.kept);
        let write = write(Arc::clone(&kept));
        let running = self.writes.spawn(async move {
            let _writing = kept.writing.lock().await;
            write.await
        });
        running.await.unwrap_or_else(|error| {
            let why = format!("a write of the directory ended unexpectedly: {error}");
            Err(StoreError::Unavailable(why).into())
        })
    }
}

impl Kept {
    async fn put(&self, entry: Entry, mode: PutMode) -> StoreResult<()> {
        if mode == PutMode::Create {
            self.state.read().check_room(&entry)?;
        }
        self.check_names(&entry)?;
        self.store.put_entry(entry.clone(), mode).await?;
        self.state.write().put(entry);
        Ok(())
    }

    async fn add(&self, entry: Entry, claim: Option<CreationClaim>) -> StoreResult<()> {
        let Some(claim) = claim else { return self.put(entry, PutMode::Create).await };
        self.state.read().check_room(&entry)?;
        self.check_names(&entry)?;
        self.store.create(NewRecord::Entry(Box::new(entry.clone())), claim).await?;
        self.state.write().put(entry);
        Ok(())
    }

    fn check_names(&self, entry: &Entry) -> StoreResult<()> {
        let state = self.state.read();
        let taken = match entry {
            Entry::Org(org) => state.is_join_code_taken(org).then_some("join_code"),
            Entry::Number(number) => state.taken_name(number),
            _ => None,
        };
        taken.map_or(Ok(()), |field| Err(StoreError::Conflict(field)))
    }

    async fn remove(&self, key: EntryKey) -> StoreResult<bool> {
        if let EntryKey::Number(_) = key {
            // The store alone knows whether messages still need it, and accepts none from then on.
            let removed = self.store.remove_entry(key.clone()).await?;
            self.state.write().remove(&key);
            return Ok(removed);
        }
        // First from memory: nobody may act for it any more.
        self.state.write().remove(&key);
        let removed = self.store.remove_entry(key).await;
        if removed.is_err() {
            self.reload().await;
        }
        removed
    }

    /// After a failure, what the store has is what counts.
    async fn reload(&self) {
        match self.store.load_directory().await {
            Ok(snapshot) => *self.state.write() = State::from_snapshot(snapshot),
            Err(error) => tracing::error!(%error, "the directory could not be read again"),
        }
    }
}
