//! A copy of everything while work goes on: the store as it was at one instant, and the files that
//! its records name. How the copy is packed is its receiver's business.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use waypost_domain::{Failure, Timestamp};

use crate::Engine;
use crate::ports::{
    BlobStore, BlobStream, HeldBack, Resumed, Sha256Hex, Snapshot, StoreError, StoreResult,
};

/// The setting that says when the last backup was taken that its receiver has whole.
const LAST_BACKUP: &str = "last_backup_at";
/// The setting that says when the last backups were taken that were handed out to their end.
const HANDED_OUT: &str = "backups_handed_out";
/// Of these, how many can still be confirmed.
const CONFIRMABLE: usize = 16;
/// Contents named at once.
const CONTENTS_AT_ONCE: u32 = 500;

/// Why no backup was begun.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Another one is on its way.
    #[error("a backup is being made already")]
    Running,
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A backup on its way. As long as it lives, no file is removed.
pub struct Backup {
    snapshot: Box<dyn Snapshot>,
    blobs: Arc<dyn BlobStore>,
    taken_at: Timestamp,
    _only: OwnedSemaphorePermit,
}

impl Backup {
    /// Everything that was acknowledged before then is in it.
    #[must_use]
    pub fn taken_at(&self) -> Timestamp {
        self.taken_at
    }

    /// Bytes of the database.
    #[must_use]
    pub fn database_size(&self) -> u64 {
        self.snapshot.size()
    }

    /// The number of the database's layout.
    #[must_use]
    pub fn layout(&self) -> u32 {
        self.snapshot.layout()
    }

    /// The database.
    ///
    /// # Errors
    /// What the store says.
    pub fn database(&self) -> StoreResult<BlobStream> {
        self.snapshot.read()
    }

    /// Some of the contents that records name, in order, after one.
    ///
    /// # Errors
    /// What the store says.
    pub async fn contents(&self, after: Option<Sha256Hex>) -> StoreResult<Vec<(Sha256Hex, u64)>> {
        self.snapshot.contents(after, CONTENTS_AT_ONCE).await
    }

    /// A file with its size; `None` where it is lost.
    ///
    /// # Errors
    /// What the store of files says.
    pub async fn file(&self, content: &Sha256Hex) -> StoreResult<Option<(u64, BlobStream)>> {
        self.blobs.open_as_it_is(content).await
    }
}

impl Engine {
    /// Begins a backup. Nothing is held up by it.
    ///
    /// # Errors
    /// Another one is on its way; or what the store says, such as that the disk is full.
    pub async fn begin_backup(&self) -> Result<Backup, BackupError> {
        let media = self.media_library();
        let only = Arc::clone(&media.backup).try_acquire_owned();
        let only = only.map_err(|_| BackupError::Running)?;
        // Removals that have not seen that a backup begins are over after this.
        drop(media.removing.write().await);
        let taken_at = self.now();
        let snapshot = self.store().snapshot().await?;
        Ok(Backup { snapshot, blobs: Arc::clone(&media.blobs), taken_at, _only: only })
    }

    /// Notes that a backup was handed out to its end, so that it can be confirmed.
    ///
    /// # Errors
    /// What the store says.
    pub async fn note_handed_out(&self, backup: &Backup) -> StoreResult<()> {
        let mut handed_out = self.handed_out_backups().await?;
        handed_out.push(backup.taken_at);
        let kept = handed_out.iter().rev().take(CONFIRMABLE).rev();
        let text: Vec<_> = kept.map(|taken_at| taken_at.0.to_string()).collect();
        self.store().put_setting(HANDED_OUT, &text.join(" ")).await
    }

    /// Takes the word of a backup's receiver that it is whole where it lies. `false` where none was
    /// handed out to its end that was taken then.
    ///
    /// # Errors
    /// What the store says.
    pub async fn confirm_backup(&self, taken_at: Timestamp) -> StoreResult<bool> {
        if !self.handed_out_backups().await?.contains(&taken_at) {
            return Ok(false);
        }
        if self.last_backup_at().await?.is_none_or(|last| last < taken_at) {
            self.store().put_setting(LAST_BACKUP, &taken_at.0.to_string()).await?;
        }
        Ok(true)
    }

    async fn handed_out_backups(&self) -> StoreResult<Vec<Timestamp>> {
        let kept = self.store().setting(HANDED_OUT).await?.unwrap_or_default();
        Ok(kept.split(' ').filter_map(|text| text.parse().ok()).map(Timestamp).collect())
    }

    /// When the last backup was taken that its receiver has whole.
    ///
    /// # Errors
    /// What the store says.
    pub async fn last_backup_at(&self) -> StoreResult<Option<Timestamp>> {
        let kept = self.store().setting(LAST_BACKUP).await?;
        Ok(kept.and_then(|text| text.parse().ok()).map(Timestamp))
    }

    /// What is held back since the store was restored from a backup.
    ///
    /// # Errors
    /// What the store says.
    pub async fn held_back(&self) -> Result<HeldBack, Failure> {
        Ok(self.store().held_back().await?)
    }

    /// Sends what is held back, flagged as possible duplicates. Runs to its end even if the caller
    /// goes away.
    ///
    /// # Errors
    /// What the store says.
    pub async fn resume_held_back(&self) -> Result<Resumed, Failure> {
        let engine = self.clone();
        self.detached(async move { engine.resume_held_back_now().await }).await
    }

    async fn resume_held_back_now(&self) -> Result<Resumed, Failure> {
        let held = self.store().held_back().await?;
        let mut resumed = Resumed::default();
        loop {
            let some = self.store().resume_held_back(self.now()).await?;
            resumed.messages += some.deleted;
            if some.next.is_none() {
                break;
            }
        }
        for (org_id, id) in held.broadcasts {
            let running = waypost_domain::message::BroadcastState::Running;
            self.set_broadcast_state_now(&org_id, id, running).await?;
            resumed.broadcasts += 1;
        }
        self.store().forget_held_back().await?;
        for number in self.directory().all_numbers() {
            self.lanes().wake(&number.id);
        }
        Ok(resumed)
    }

    /// Leaves what is held back as it is, and holds nothing back any more.
    ///
    /// # Errors
    /// What the store says.
    pub async fn forget_held_back(&self) -> Result<(), Failure> {
        Ok(self.store().forget_held_back().await?)
    }
}
