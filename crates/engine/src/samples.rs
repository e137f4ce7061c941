//! Examples of what a template's header shows: they pass through to the upstream, whose handle is
//! all that stays.

use waypost_domain::media::MimeType;
use waypost_domain::{ErrorKind, Failure, OrgId};

use crate::Engine;
use crate::media::{NewFile, Upload};
use crate::ports::{BlobStream, MediaRecord, Sample};
use crate::templates::call_failure;

impl Engine {
    /// Gives a file to the upstream as an example for a template; returns the handle that the
    /// template names. `number`: by whose account; `None`: the organisation's first.
    ///
    /// # Errors
    /// An empty file, no such number, no app (`upstream.app_id`), or what the upstream or the store
    /// says.
    pub async fn upload_template_sample(
        &self,
        org_id: &OrgId,
        number: Option<&str>,
        upload: Upload,
        mime_type: MimeType,
        filename: Option<String>,
    ) -> Result<String, Failure> {
        let number = self.directory().sender(org_id, number)?;
        let account = self.account(&number)?;
        if upload.size() == 0 {
            return Err(Failure::new(ErrorKind::InvalidValue, "The file is empty.").at("file"));
        }
        let app_id = self.settings().app_id.clone().ok_or_else(no_app)?;
        let fallback = format!("sample.{}", mime_type.extension());
        let shown_name = filename.clone().unwrap_or(fallback);
        let (record, size, body) =
            self.borrow_upload(org_id, upload, mime_type.clone(), filename).await?;
        let sample = Sample { mime_type, filename: shown_name, size, body };
        let given = self.upstream().upload_sample(&account, &app_id, sample).await;
        self.delete_media(org_id, &record.id).await?;
        given.map_err(call_failure)
    }

    /// An upload as a file of the library that can be read: whoever borrows it deletes it. If that
    /// cannot be done, it goes when its time is over, as every file.
    pub(crate) async fn borrow_upload(
        &self,
        org_id: &OrgId,
        upload: Upload,
        mime_type: MimeType,
        filename: Option<String>,
    ) -> Result<(MediaRecord, u64, BlobStream), Failure> {
        let file = NewFile { org_id: org_id.clone(), mime_type, filename };
        let (record, _) = self.media_library().finish_upload(upload, file, None).await?;
        match self.media_library().blobs.open(&record.sha256).await? {
            Some((size, body)) => Ok((record, size, body)),
            None => Err(Failure::new(ErrorKind::Unavailable, "The file has gone.")),
        }
    }
}

fn no_app() -> Failure {
    let message = "Samples of templates are uploaded in the name of Meta's app; an operator must \
        set upstream.app_id.";
    Failure::new(ErrorKind::UpstreamAuth, message)
}
