//! Where it is recorded which files there are, whose they are, and where the upstream has them.

use async_trait::async_trait;
use waypost_domain::media::MimeType;
use waypost_domain::{MediaId, NumberId, OrgId, Timestamp};

use super::blobs::Sha256Hex;
use super::{IdempotencyClaim, Page, Paged, StoreResult};
use crate::ports::Accepted;

/// One file of an organisation. Several may share the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRecord {
    /// Its id: 16 decimal digits.
    pub id: MediaId,
    /// The organisation.
    pub org_id: OrgId,
    /// Its content.
    pub sha256: Sha256Hex,
    /// Bytes.
    pub size: u64,
    /// Its type.
    pub mime_type: MimeType,
    /// Its name.
    pub filename: Option<String>,
    /// The unguessable part of its public address.
    pub public_name: String,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Until when it is kept.
    pub expires_at: Timestamp,
}

/// The upstream's copy of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamCopy {
    /// The upstream's media id.
    pub upstream_id: String,
    /// Until when it can be sent.
    pub expires_at: Timestamp,
}

/// Keeps records of media.
#[async_trait]
pub trait MediaStore: Send + Sync {
    /// Records a file whose content is already durable.
    async fn add_media(
        &self,
        record: MediaRecord,
        claim: Option<IdempotencyClaim>,
    ) -> StoreResult<Accepted>;
    /// One file of an organisation, unless it has expired by `now`.
    async fn media(
        &self,
        org_id: &OrgId,
        id: &MediaId,
        now: Timestamp,
    ) -> StoreResult<Option<MediaRecord>>;
    /// A file by the unguessable part of its public address, unless it has expired by `now`.
    async fn media_by_public_name(
        &self,
        public_name: &str,
        now: Timestamp,
    ) -> StoreResult<Option<MediaRecord>>;
    /// Files of an organisation, oldest first.
    async fn media_list(&self, org_id: &OrgId, page: Page) -> StoreResult<Paged<MediaRecord>>;
    /// Files whose time is over at `now`, at most `limit`.
    async fn expired_media(&self, now: Timestamp, limit: u32)
    -> StoreResult<Vec<(OrgId, MediaId)>>;
    /// Removes a record. Returns its content where no other record has the same.
    async fn delete_media(
        &self,
        org_id: &OrgId,
        id: &MediaId,
    ) -> StoreResult<Option<(MediaRecord, bool)>>;
    /// The upstream's copy of a content for a number, if it can still be sent at `now`.
    async fn upstream_copy(
        &self,
        sha256: &Sha256Hex,
        mime_type: &MimeType,
        number_id: &NumberId,
        now: Timestamp,
    ) -> StoreResult<Option<UpstreamCopy>>;
    /// Records an upload to the upstream.
    async fn put_upstream_copy(
        &self,
        sha256: &Sha256Hex,
        mime_type: &MimeType,
        number_id: &NumberId,
        copy: UpstreamCopy,
    ) -> StoreResult<()>;
    /// Forgets an upload: the upstream does not know it any more.
    async fn forget_upstream_copy(
        &self,
        sha256: &Sha256Hex,
        number_id: &NumberId,
    ) -> StoreResult<()>;
}
