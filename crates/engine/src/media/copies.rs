//! Copies of files at the upstream, made once for each content and number.

use std::sync::Arc;

use waypost_domain::content::MediaRef;
use waypost_domain::directory::Number;
use waypost_domain::message::Message;
use waypost_domain::retry::RetryClass;
use waypost_domain::{Content, MediaId, OrgId, Timestamp};

use super::{MediaLibrary, media_not_found};
use crate::ports::{Account, CallError, MediaRecord, PlacedMedia, StoreError, UpstreamCopy};

/// How long an uploaded copy is used: Meta keeps it for 30 days, and one day is left as a margin.
const COPY_LIFE_MS: i64 = 29 * 24 * 3_600 * 1_000;

impl MediaLibrary {
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

    /// Forgets the upstream's copies of a message's files: it says that it has them no more. They are
    /// the files of the message's organisation, whosever the number is.
    pub(crate) async fn forget_copies(&self, message: &Message) {
        let now = Timestamp(self.clock.now_ms());
        for media in message.content.media() {
            let MediaRef::Stored(id) = media else { continue };
            let record = self.store.media(&message.org_id, id, now).await;
            if let Ok(Some(record)) = record
                && let Err(error) =
                    self.store.forget_upstream_copy(&record.sha256, &message.number_id).await
            {
                tracing::warn!(%error, "an expired upload could not be forgotten");
            }
        }
    }
}

fn store_call_error(error: StoreError) -> CallError {
    CallError { failure: error.into(), class: RetryClass::BackOff }
}
