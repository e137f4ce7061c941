//! The media library: files that came inline, by upload, from a provider's link or from a person;
//! and their copies at the upstream, made once per content and number.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use waypost_clock::Clock;
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{InlineFile, MediaMessage, MediaRef, MediaSource};
use waypost_domain::directory::{MediaProvider, Number, Org, ProviderScheme};
use waypost_domain::media::{
    MediaKind, MimeType, SNIFF_BYTES, Signature, clean_filename, settle_type, sniff,
};
use waypost_domain::retry::RetryClass;
use waypost_domain::{
    Content, ErrorKind, Failure, MediaId, NumberId, OrgId, ProviderId, Timestamp,
};
use waypost_planted::{Bug, is_planted};

use crate::directory::Directory;
use crate::metrics::Metrics;
use crate::ports::{
    Accepted, Account, BlobInfo, BlobStore, BlobStream, BlobWriter, CallError, IdempotencyClaim,
    LinkCredential, LinkError, LinkFetcher, MediaRecord, PlacedMedia, Sha256Hex, Store, StoreError,
    StoreResult, Upstream, UpstreamCopy,
};
use crate::vault::{Vault, random_bytes};

/// How long an uploaded copy is used: Meta keeps it for 30 days, and one day is left as a margin.
const COPY_LIFE_MS: i64 = 29 * 24 * 3_600 * 1_000;
/// Expired files removed in one step.
const EXPIRED_BATCH: u32 = 100;
/// Files looked at in one step.
const CONTENTS_AT_ONCE: usize = 64;
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

    /// Makes a message what its file is, where its caller does not say.
    pub(crate) async fn settle_kind(
        &self,
        org_id: &OrgId,
        message: &mut MediaMessage<MediaDraft>,
    ) -> Result<(), Failure> {
        let MediaSource::IdOfItsKind(id) = &message.media.source else { return Ok(()) };
        let now = Timestamp(self.clock.now_ms());
        let found = self.store.media(org_id, id, now).await?;
        let record = found.ok_or_else(|| media_not_found(id).at(&message.media.field))?;
        let kind = record.mime_type.kind();
        let named = if kind == MediaKind::Document { record.filename } else { None };
        message.filename =
            message.filename.take().filter(|_| kind == MediaKind::Document).or(named);
        message.caption = message.caption.take().filter(|_| kind.takes_caption());
        message.media.source = MediaSource::Id(record.id);
        message.media.kind = kind;
        message.kind = kind;
        Ok(())
    }

    /// Looks at what a draft names, without doing anything: ids exist, providers are known, links
    /// may be followed.
    pub(crate) async fn check(&self, org_id: &OrgId, draft: &MediaDraft) -> Result<(), Failure> {
        match &draft.source {
            MediaSource::Inline(_) => Ok(()),
            MediaSource::Id(id) | MediaSource::IdOfItsKind(id) => {
                let now = Timestamp(self.clock.now_ms());
                match self.store.media(org_id, id, now).await? {
                    Some(_) => Ok(()),
                    None => Err(media_not_found(id).at(&draft.field)),
                }
            }
            MediaSource::Link { url, provider } => {
                if let Some(name) = provider {
                    self.provider(org_id, name, draft)?;
                }
                if self.own_name(url).is_some() {
                    return Ok(());
                }
                self.links.check(url).map_err(|error| {
                    let message = format!("The link cannot be used: {error}.");
                    Failure::new(ErrorKind::InvalidValue, message).at(&draft.field)
                })
            }
        }
    }

    /// Stores what a draft brings along and names it by id; a link without a provider stays one.
    pub(crate) async fn keep(&self, org: &Org, draft: MediaDraft) -> Result<MediaRef, Failure> {
        match draft.source {
            MediaSource::Id(id) | MediaSource::IdOfItsKind(id) => Ok(MediaRef::Stored(id)),
            MediaSource::Inline(file) => self.keep_inline(&org.id, file).await,
            MediaSource::Link { ref url, provider: Some(ref name) } => {
                let provider = self.provider(&org.id, name, &draft)?;
                let fetched = self.fetch(&provider, url, &draft).await;
                let (upload, mime_type) = fetched.map_err(|failure| failure.at(&draft.field))?;
                let filename = url_filename(url);
                let file = NewFile { org_id: org.id.clone(), mime_type, filename };
                let (record, _) = self.finish_upload(upload, file, None).await?;
                Ok(MediaRef::Stored(record.id))
            }
            MediaSource::Link { url, provider: None } => match self.own_name(&url) {
                Some(name) => {
                    let now = Timestamp(self.clock.now_ms());
                    let own = self.store.media_by_public_name(name, now).await?;
                    let own = own.filter(|record| record.org_id == org.id);
                    Ok(own.map_or(MediaRef::Link(url), |record| MediaRef::Stored(record.id)))
                }
                None => Ok(MediaRef::Link(url)),
            },
        }
    }

    async fn keep_inline(&self, org_id: &OrgId, file: InlineFile) -> Result<MediaRef, Failure> {
        let mut upload = self.begin_upload().await?;
        upload.write(Bytes::from(file.bytes)).await?;
        let file =
            NewFile { org_id: org_id.clone(), mime_type: file.mime_type, filename: file.name };
        let (record, _) = self.finish_upload(upload, file, None).await?;
        Ok(MediaRef::Stored(record.id))
    }

    fn provider(
        &self,
        org_id: &OrgId,
        name: &str,
        draft: &MediaDraft,
    ) -> Result<Arc<MediaProvider>, Failure> {
        self.directory.provider(org_id, &ProviderId::new(name)).ok_or_else(|| {
            let message = format!("No media provider named {name} is registered.");
            Failure::new(ErrorKind::UnknownProvider, message).at(draft.provider_field())
        })
    }

    async fn fetch(
        &self,
        provider: &MediaProvider,
        url: &str,
        draft: &MediaDraft,
    ) -> Result<(Upload, MimeType), Failure> {
        let kind = draft.kind;
        let place = format!("providers/{}/{}", provider.org_id, provider.id);
        let secret = self.vault.open(&place, &provider.secret).map_err(|error| {
            tracing::error!(provider = %provider.id, %error, "media provider's credential");
            Failure::new(ErrorKind::Unavailable, "The media provider's credential cannot be read.")
        })?;
        let authorization = match provider.scheme {
            ProviderScheme::Basic => format!("Basic {}", STANDARD.encode(secret)),
            ProviderScheme::Bearer => format!("Bearer {secret}"),
        };
        let credential =
            LinkCredential { allowed_hosts: provider.allowed_hosts.clone(), authorization };
        let limit_bytes = kind.max_bytes();
        let fetched = self.links.fetch(url, Some(credential), limit_bytes).await;
        let fetched = fetched.map_err(|error| link_failure(&error))?;
        let (upload, head) = self.copy_body(fetched.body, limit_bytes).await?;
        let declared = fetched.content_type.as_deref().and_then(MimeType::parse);
        let complete = upload.size == head.len() as u64;
        let settled = declared
            .filter(|mime_type| mime_type.kind() == kind)
            .and_then(|mime_type| settle_type(&mime_type, &head, complete).ok())
            .or_else(|| {
                // Text has no signature of its own: a page to log in at is readable text too.
                let signature = sniff(&head, complete)?;
                let said = fetched.content_type.as_deref().is_some_and(says_a_type);
                let usable = !said || signature != Signature::Text;
                usable.then(|| MimeType::of_signature(kind, signature)).flatten()
            });
        settled.map(|mime_type| (upload, mime_type)).ok_or_else(|| {
            let message =
                format!("The file behind {} is no supported {}.", draft.field, kind.as_str());
            Failure::new(ErrorKind::MediaRejected, message)
        })
    }

    /// Copies a body into an upload that is still to be finished; returns its beginning too.
    pub(crate) async fn copy_body(
        &self,
        mut body: BlobStream,
        limit_bytes: u64,
    ) -> Result<(Upload, Vec<u8>), Failure> {
        let mut upload = self.begin_upload().await?;
        let mut head = Vec::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| {
                if error.kind() == std::io::ErrorKind::FileTooLarge {
                    return link_failure(&LinkError::TooLarge { limit_bytes });
                }
                let message = format!("The file could not be fetched: {error}.");
                Failure::new(ErrorKind::MediaRejected, message)
            })?;
            let wanted = SNIFF_BYTES.saturating_sub(head.len()).min(chunk.len());
            head.extend_from_slice(&chunk[..wanted]);
            upload.write(chunk).await?;
            if upload.size > limit_bytes {
                return Err(link_failure(&LinkError::TooLarge { limit_bytes }));
            }
        }
        if upload.size == 0 {
            return Err(Failure::new(ErrorKind::MediaRejected, "The file is empty."));
        }
        Ok((upload, head))
    }

    /// The content with its files where the upstream finds them: links as they are, stored files
    /// by the upstream's ids, uploaded now where it has no copy yet.
    pub(crate) async fn place(
        &self,
        org_id: &OrgId,
        number: &Number,
        account: &Account,
        content: &Content,
    ) -> Result<Content<PlacedMedia>, CallError> {
        let mut placed = Vec::new();
        for media in content.media() {
            placed.push(match media {
                MediaRef::Link(url) => PlacedMedia::Link(url.clone()),
                MediaRef::Stored(id) => {
                    PlacedMedia::Id(self.copy_for(org_id, number, account, id).await?)
                }
            });
        }
        let mut placed = placed.into_iter();
        Ok(content
            .clone()
            .with_media(|_| placed.next().expect("with_media asks once for each of media()")))
    }

    async fn copy_for(
        &self,
        org_id: &OrgId,
        number: &Number,
        account: &Account,
        id: &MediaId,
    ) -> Result<String, CallError> {
        let now = Timestamp(self.clock.now_ms());
        let record = self.store.media(org_id, id, now).await.map_err(store_call_error)?;
        let record = record
            .ok_or_else(|| CallError { failure: media_not_found(id), class: RetryClass::Never })?;
        self.upload_copy(number, account, &record).await
    }

    /// The upstream's id of a file for a number, uploading it where there is no copy.
    pub(crate) async fn upload_copy(
        &self,
        number: &Number,
        account: &Account,
        record: &MediaRecord,
    ) -> Result<String, CallError> {
        let key = (record.sha256.as_str().to_owned(), number.id.clone());
        let turn = Arc::clone(self.uploading.lock().entry(key.clone()).or_default());
        let uploading = turn.lock().await;
        let outcome = self.find_or_upload(number, account, record).await;
        drop(uploading);
        drop(turn);
        self.uploading.lock().retain(|_, turn| Arc::strong_count(turn) > 1);
        outcome
    }

    async fn find_or_upload(
        &self,
        number: &Number,
        account: &Account,
        record: &MediaRecord,
    ) -> Result<String, CallError> {
        let now = Timestamp(self.clock.now_ms());
        let copy = self.store.upstream_copy(&record.sha256, &record.mime_type, &number.id, now);
        if let Some(copy) = copy.await.map_err(store_call_error)? {
            return Ok(copy.upstream_id);
        }
        let blob = self.blobs.open(&record.sha256).await.map_err(store_call_error)?;
        let Some((size, body)) = blob else {
            return Err(CallError {
                failure: media_not_found(&record.id),
                class: RetryClass::Never,
            });
        };
        let fallback = format!("file.{}", record.mime_type.extension());
        let filename = record.filename.as_deref().unwrap_or(&fallback);
        let upstream_id =
            self.upstream.upload(account, &record.mime_type, filename, size, body).await?;
        self.metrics.media_uploaded.add();
        let copy = UpstreamCopy {
            upstream_id: upstream_id.clone(),
            expires_at: now.plus_ms(COPY_LIFE_MS),
        };
        let kept =
            self.store.put_upstream_copy(&record.sha256, &record.mime_type, &number.id, copy);
        kept.await.map_err(store_call_error)?;
        Ok(upstream_id)
    }

    /// Forgets the upstream's copies of a message's files: it says that it has them no more.
    pub(crate) async fn forget_copies(&self, number: &Number, content: &Content) {
        let now = Timestamp(self.clock.now_ms());
        for media in content.media() {
            let MediaRef::Stored(id) = media else { continue };
            let record = self.store.media(&number.org_id, id, now).await;
            if let Ok(Some(record)) = record
                && let Err(error) =
                    self.store.forget_upstream_copy(&record.sha256, &number.id).await
            {
                tracing::warn!(%error, "an expired upload could not be forgotten");
            }
        }
    }

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

    /// The unguessable name in a link to one of our own files.
    fn own_name<'a>(&self, url: &'a str) -> Option<&'a str> {
        let rest = url.strip_prefix(&self.public_prefix)?.strip_prefix("/media/")?;
        Some(rest.split('.').next().unwrap_or(rest))
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

fn link_failure(error: &LinkError) -> Failure {
    let kind = match error {
        LinkError::TooLarge { .. } => ErrorKind::MediaTooLarge,
        LinkError::Invalid(_) => ErrorKind::InvalidValue,
        LinkError::Forbidden(_) | LinkError::Failed(_) => ErrorKind::MediaRejected,
    };
    Failure::new(kind, format!("The link could not be fetched: {error}."))
}

fn store_call_error(error: StoreError) -> CallError {
    CallError { failure: error.into(), class: RetryClass::BackOff }
}

/// Whether a server's `Content-Type` says more than that there are bytes.
fn says_a_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    !essence.is_empty() && !essence.to_ascii_lowercase().ends_with("/octet-stream")
}

fn url_filename(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let (_, after_scheme) = path.split_once("://")?;
    let (_, name) = after_scheme.rsplit_once('/')?;
    clean_filename(name)
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

    #[test]
    fn a_links_last_segment_names_the_file() {
        for (url, name) in [
            ("https://files.example.com/offers/a.pdf?token=x", Some("a.pdf")),
            ("https://files.example.com/", None),
            ("https://files.example.com", None),
        ] {
            assert_eq!(url_filename(url).as_deref(), name, "{url}");
        }
    }
}
