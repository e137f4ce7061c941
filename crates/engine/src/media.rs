//! The media library: files that came inline, by upload, from a provider's link or from a person. What
//! messages bring along is kept in `media/keep.rs`, copies at the upstream are made in
//! `media/copies.rs`, and what nobody needs goes in `media/removal.rs`.

mod copies;
mod keep;
mod removal;

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use parking_lot::Mutex;
use waypost_clock::Clock;
use waypost_domain::media::MimeType;
use waypost_domain::{ErrorKind, Failure, MediaId, NumberId, OrgId, Timestamp};

use crate::directory::Directory;
use crate::metrics::Metrics;
use crate::ports::{
    Accepted, BlobInfo, BlobStore, BlobWriter, IdempotencyClaim, LinkFetcher, MediaRecord, Store,
    StoreError, Upstream,
};
use crate::vault::{Vault, random_bytes};

const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// A content, by its SHA-256, and the number it is uploaded for.
type UploadKey = (String, NumberId);

/// The library.
pub(crate) struct MediaLibrary {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) upstream: Arc<dyn Upstream>,
    pub(crate) links: Arc<dyn LinkFetcher>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) vault: Vault,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    /// Where files of ours are served: a link below it is one of ours.
    pub(crate) public_prefix: String,
    /// One upload at a time for each content and number: who comes second finds the copy.
    pub(crate) uploading: Mutex<HashMap<UploadKey, Arc<tokio::sync::Mutex<()>>>>,
    /// Shared while a content becomes durable and gets its record, alone while one is removed: a
    /// file must not vanish between the two.
    pub(crate) removing: tokio::sync::RwLock<()>,
    /// One place, taken while a backup is made: then no file is removed, and goes when nothing names it at a
    /// later look.
    pub(crate) backup: Arc<tokio::sync::Semaphore>,
}

/// A file on its way in.
pub struct Upload {
    writer: Box<dyn BlobWriter>,
    size: u64,
}

impl Upload {
    /// Adds bytes.
    ///
    /// # Errors
    /// Where they cannot be stored.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Failure> {
        self.size += chunk.len() as u64;
        Ok(self.writer.write(chunk).await?)
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// A file to be recorded, once its bytes are durable.
pub(crate) struct NewFile {
    pub(crate) org_id: OrgId,
    pub(crate) mime_type: MimeType,
    pub(crate) filename: Option<String>,
}

impl MediaLibrary {
    pub(crate) async fn begin_upload(&self) -> Result<Upload, Failure> {
        Ok(Upload { writer: self.blobs.create().await?, size: 0 })
    }

    /// Makes an upload durable and records it.
    pub(crate) async fn finish_upload(
        &self,
        upload: Upload,
        file: NewFile,
        claim: Option<IdempotencyClaim>,
    ) -> Result<(MediaRecord, Accepted), Failure> {
        let _present = self.removing.read().await;
        let info = upload.writer.finish().await?;
        self.record(info, file, claim).await
    }

    async fn record(
        &self,
        info: BlobInfo,
        file: NewFile,
        claim: Option<IdempotencyClaim>,
    ) -> Result<(MediaRecord, Accepted), Failure> {
        let now = Timestamp(self.clock.now_ms());
        let kept_days = self
            .directory
            .org(&file.org_id)
            .map_or_else(waypost_domain::directory::default_media_retention_days, |org| {
                org.media_retention_days
            });
        let mut record = MediaRecord {
            id: new_media_id(),
            org_id: file.org_id,
            sha256: info.sha256,
            size: info.size,
            mime_type: file.mime_type,
            filename: file.filename,
            public_name: URL_SAFE_NO_PAD.encode(random_bytes::<18>()),
            created_at: now,
            expires_at: now.plus_ms(i64::from(kept_days) * DAY_MS),
        };
        let mut added = self.store.add_media(record.clone(), claim.clone()).await;
        if matches!(added, Err(StoreError::Conflict(_))) {
            // One in 10^15: somebody else has drawn the same id.
            record.id = new_media_id();
            added = self.store.add_media(record.clone(), claim).await;
        }
        let added = added?;
        self.metrics.media_stored.add();
        Ok((record, added))
    }
}

/// A fresh media id: 16 decimal digits, the first not 0.
fn new_media_id() -> MediaId {
    let random = u64::from_be_bytes(random_bytes());
    MediaId::new((1_000_000_000_000_000 + random % 9_000_000_000_000_000).to_string())
}

fn media_not_found(id: &MediaId) -> Failure {
    let message = format!("There is no media {id}, or it is no longer kept; upload it again.");
    Failure::new(ErrorKind::MediaNotFound, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_ids_have_sixteen_digits() {
        for _ in 0..1_000 {
            let id = new_media_id();
            assert_eq!(id.as_str().len(), 16);
            assert!(id.as_str().bytes().all(|byte| byte.is_ascii_digit()));
        }
    }
}
