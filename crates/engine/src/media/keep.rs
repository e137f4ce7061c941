//! What messages bring along: looked at before anything is done, then kept and named by id. Files
//! behind a provider's link are fetched with its credential.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{InlineFile, MediaMessage, MediaRef, MediaSource};
use waypost_domain::directory::{MediaProvider, Org, ProviderScheme};
use waypost_domain::media::{
    MediaKind, MimeType, SNIFF_BYTES, Signature, clean_filename, settle_type, sniff,
};
use waypost_domain::{ErrorKind, Failure, OrgId, ProviderId, Timestamp};

use super::{MediaLibrary, NewFile, Upload, media_not_found};
use crate::ports::{BlobStream, LinkCredential, LinkError};

impl MediaLibrary {
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
        let fetched = self.links.fetch(&provider.org_id, url, Some(credential), limit_bytes).await;
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

    /// The unguessable name in a link to one of our own files.
    fn own_name<'a>(&self, url: &'a str) -> Option<&'a str> {
        let rest = url.strip_prefix(&self.public_prefix)?.strip_prefix("/media/")?;
        Some(rest.split('.').next().unwrap_or(rest))
    }
}

fn link_failure(error: &LinkError) -> Failure {
    let kind = match error {
        LinkError::TooLarge { .. } => ErrorKind::MediaTooLarge,
        LinkError::Invalid(_) => ErrorKind::InvalidValue,
        LinkError::Forbidden(_) | LinkError::Failed(_) => ErrorKind::MediaRejected,
    };
    Failure::new(kind, format!("The link could not be fetched: {error}."))
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
