//! Removing files: when their record goes, when their time is over, and where no record names them.

use waypost_domain::{Failure, MediaId, OrgId, Timestamp};
use waypost_planted::{Bug, is_planted};

use super::MediaLibrary;
use crate::ports::{Sha256Hex, StoreResult};
use crate::retention;

/// Expired files removed in one step.
const EXPIRED_BATCH: u32 = 100;
/// Files looked at in one step.
const CONTENTS_AT_ONCE: usize = 64;

impl MediaLibrary {
    pub(crate) async fn delete(&self, org_id: &OrgId, id: &MediaId) -> Result<bool, Failure> {
        Ok(self.delete_stored(org_id, id).await?)
    }

    /// Removes a record, and its file where it was the last one. `false` where there was none.
    pub(crate) async fn delete_stored(&self, org_id: &OrgId, id: &MediaId) -> StoreResult<bool> {
        let _alone = self.removing.write().await;
        let Some((record, last)) = self.store.delete_media(org_id, id).await? else {
            return Ok(false);
        };
        self.metrics.media_deleted.add();
        if last && !self.is_backed_up() {
            self.remove_blob(&record.sha256).await;
        }
        Ok(true)
    }

    /// Removes the files whose time is over.
    pub(crate) async fn remove_expired(&self) -> StoreResult<()> {
        loop {
            let now = Timestamp(self.clock.now_ms());
            let expired = self.store.expired_media(now, EXPIRED_BATCH).await?;
            if expired.is_empty() {
                return Ok(());
            }
            for (org_id, id) in &expired {
                self.delete_stored(org_id, id).await?;
            }
            retention::rest().await;
        }
    }

    /// Removes the files that no record names: of uploads whose record was never made, and of
    /// records that went without them.
    pub(crate) async fn collect(&self) -> StoreResult<()> {
        for first_byte in 0..=u8::MAX {
            let contents = self.blobs.list(first_byte).await?;
            for some in contents.chunks(CONTENTS_AT_ONCE) {
                let unnamed = self.unnamed(some.to_vec()).await?;
                if !unnamed.is_empty() {
                    self.remove_unnamed(unnamed).await?;
                }
                retention::rest().await;
            }
        }
        Ok(())
    }

    async fn unnamed(&self, contents: Vec<Sha256Hex>) -> StoreResult<Vec<Sha256Hex>> {
        if is_planted(Bug::GcTakesReferenced) {
            return Ok(contents);
        }
        let named = self.store.contents_in_use(contents.clone()).await?;
        Ok(contents.into_iter().filter(|content| !named.contains(content)).collect())
    }

    /// Whoever was about to record one of them has done so by now, and nobody can while this runs.
    async fn remove_unnamed(&self, contents: Vec<Sha256Hex>) -> StoreResult<()> {
        let _alone = self.removing.write().await;
        if self.is_backed_up() {
            return Ok(());
        }
        for content in self.unnamed(contents).await? {
            self.blobs.remove(&content).await?;
            self.metrics.media_collected.add();
        }
        Ok(())
    }

    fn is_backed_up(&self) -> bool {
        self.backup.available_permits() == 0
    }

    async fn remove_blob(&self, sha256: &Sha256Hex) {
        if let Err(error) = self.blobs.remove(sha256).await {
            tracing::warn!(%error, "a media file could not be removed");
        }
    }
}
