//! Uploads: a file that a caller sends to be used in messages later.

use waypost_domain::command::Uploaded;
use waypost_domain::failure::Blame;
use waypost_domain::media::MimeType;
use waypost_domain::{ErrorKind, Failure, MediaId, OrgId};

use crate::idempotency::in_progress;
use crate::media::{NewFile, Upload};
use crate::ports::{Accepted, BlobStream, IdempotentTarget, MediaRecord};
use crate::{Answer, Ask, Engine};

/// Keep a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFile {
    /// The organisation, as the caller claims.
    pub org_id: OrgId,
    /// Its type, settled from declaration and signature.
    pub mime_type: MimeType,
    /// Its name.
    pub filename: Option<String>,
    /// The number it is to be sent by; `None`: the organisation's first.
    pub number: Option<String>,
}

impl Engine {
    /// Begins an upload. Dropping it leaves nothing behind.
    ///
    /// # Errors
    /// Where nothing can be stored now.
    pub async fn begin_upload(&self) -> Result<Upload, Failure> {
        self.media_library().begin_upload().await
    }

    /// Ends an upload: the file is durable when this returns, and known to the upstream where it
    /// can be reached, so that a refusal is told at once.
    ///
    /// # Errors
    /// Rights, an unknown number, an empty file, or what the upstream has against the file; nothing
    /// is kept then.
    pub async fn finish_upload(
        &self,
        upload: Upload,
        ask: Ask<StoreFile>,
    ) -> Result<Answer<Uploaded>, Failure> {
        let engine = self.clone();
        self.detached(async move { engine.finish_upload_now(upload, ask).await }).await
    }

    async fn finish_upload_now(
        &self,
        upload: Upload,
        ask: Ask<StoreFile>,
    ) -> Result<Answer<Uploaded>, Failure> {
        let org = self.org_of(&ask.caller, &ask.command.org_id)?;
        if upload.size() == 0 {
            return Err(Failure::new(ErrorKind::InvalidValue, "The file is empty.").at("file"));
        }
        if let Some(media_id) = self.find_upload_replay(&ask, &org.id).await? {
            return Ok(Answer::replay(Uploaded { media_id }));
        }
        if let Some(name) = ask.command.number.as_deref() {
            self.directory().sender(&org.id, Some(name)).map_err(|it| it.at("number"))?;
        }
        let file = NewFile {
            org_id: org.id.clone(),
            mime_type: ask.command.mime_type.clone(),
            filename: ask.command.filename.clone(),
        };
        let claim = ask.claim(&org.id);
        let (record, accepted) = self.media_library().finish_upload(upload, file, claim).await?;
        match accepted {
            Accepted::New => {}
            Accepted::Replay { fingerprint, target } => {
                ask.check_fingerprint(fingerprint)?;
                let IdempotentTarget::Media(media_id) = target else { return Err(in_progress()) };
                return Ok(Answer::replay(Uploaded { media_id }));
            }
        }
        self.offer_upstream(&record, ask.command.number.as_deref()).await?;
        Ok(Answer::new(Uploaded { media_id: record.id }))
    }

    /// Uploads a fresh file to the upstream. What the upstream has against the file is an error,
    /// and takes the file back; that it cannot be reached is none.
    async fn offer_upstream(
        &self,
        record: &MediaRecord,
        number: Option<&str>,
    ) -> Result<(), Failure> {
        let Ok(number) = self.directory().sender(&record.org_id, number) else { return Ok(()) };
        let Ok(account) = self.account(&number) else { return Ok(()) };
        let Err(error) = self.media_library().upload_copy(&number, &account, record).await else {
            return Ok(());
        };
        if error.failure.kind.blame() != Blame::Caller
            || error.failure.kind == ErrorKind::RateLimited
        {
            tracing::info!(error = %error.failure, "a fresh upload stays local for now");
            return Ok(());
        }
        self.media_library().delete(&record.org_id, &record.id).await?;
        Err(error.failure.at("file"))
    }

    /// A file by the unguessable part of its public address.
    ///
    /// # Errors
    /// What the store says.
    pub async fn open_public_media(
        &self,
        public_name: &str,
    ) -> Result<Option<(MediaRecord, BlobStream)>, Failure> {
        let found = self.store().media_by_public_name(public_name, self.now()).await?;
        let Some(record) = found else { return Ok(None) };
        let blob = self.media_library().blobs.open(&record.sha256).await?;
        Ok(blob.map(|(_, body)| (record, body)))
    }

    /// A file of an organisation.
    ///
    /// # Errors
    /// What the store says.
    pub async fn open_media(
        &self,
        org_id: &OrgId,
        id: &MediaId,
    ) -> Result<Option<(MediaRecord, BlobStream)>, Failure> {
        let found = self.store().media(org_id, id, self.now()).await?;
        let Some(record) = found else { return Ok(None) };
        let blob = self.media_library().blobs.open(&record.sha256).await?;
        Ok(blob.map(|(_, body)| (record, body)))
    }

    /// Removes a file. `false` where there was none.
    ///
    /// # Errors
    /// What the store says.
    pub async fn delete_media(&self, org_id: &OrgId, id: &MediaId) -> Result<bool, Failure> {
        self.media_library().delete(org_id, id).await
    }
}
