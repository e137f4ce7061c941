//! An upstream that does what a test tells it, and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::time::Instant;
use waypost_domain::command::Receipt;
use waypost_domain::media::MimeType;
use waypost_domain::retry::RetryClass;
use waypost_domain::template::Template;
use waypost_domain::{Content, ErrorKind, Failure, Timestamp};
use waypost_engine::ports::{
    Account, BlobStream, CallError, DownloadedMedia, NumberInfo, OutgoingMessage, PlacedMedia,
    Sample, SendOutcome, Upstream,
};

use crate::flows::ScriptedForms;

/// What the codecs of these tests panic at.
pub(crate) const PANIC: &str = "panic";
/// Downloads of files whose ids begin so do not end.
pub(crate) const ENDLESS: &str = "endless";

/// A message as the upstream saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) to: String,
    pub(crate) content: Content<PlacedMedia>,
    pub(crate) token: String,
    /// By the runtime's clock.
    pub(crate) at: Instant,
}

/// An upstream that does what its script says, and accepts when the script is empty.
#[derive(Default)]
pub(crate) struct ScriptedUpstream {
    pub(crate) script: Mutex<VecDeque<SendOutcome>>,
    /// What every send comes to, as long as it is set.
    pub(crate) always: Mutex<Option<SendOutcome>>,
    /// What every send to a person comes to.
    pub(crate) always_to: Mutex<HashMap<String, SendOutcome>>,
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) uploads: Mutex<Vec<Vec<u8>>>,
    /// What downloads of these files are refused with.
    pub(crate) refused_files: Mutex<HashMap<String, ErrorKind>>,
    /// What uploads are refused with, before any is taken.
    pub(crate) upload_refusals: Mutex<VecDeque<CallError>>,
    pub(crate) templates: Mutex<Vec<Template>>,
    /// What look-ups of templates are refused with, before any is answered.
    pub(crate) template_refusals: Mutex<VecDeque<CallError>>,
    pub(crate) template_calls: AtomicU64,
    pub(crate) forms: ScriptedForms,
    /// While held, sends, downloads and registrations wait.
    pub(crate) gate: tokio::sync::RwLock<()>,
}

impl ScriptedUpstream {
    pub(crate) fn next(&self, outcome: SendOutcome) {
        self.script.lock().push_back(outcome);
    }

    pub(crate) fn sent_to(&self) -> Vec<String> {
        self.seen.lock().iter().map(|seen| seen.to.clone()).collect()
    }
}

pub(crate) fn refused(kind: ErrorKind, class: RetryClass) -> SendOutcome {
    SendOutcome::Refused(CallError { failure: Failure::new(kind, "the upstream said no"), class })
}

/// Too fast; to be tried again after `wait_s` seconds.
pub(crate) fn too_fast(class: RetryClass, wait_s: u32) -> SendOutcome {
    let failure = Failure::new(ErrorKind::RateLimited, "too fast").retry_after_s(wait_s);
    SendOutcome::Refused(CallError { failure, class })
}

pub(crate) fn lost() -> SendOutcome {
    SendOutcome::Unknown(Failure::new(ErrorKind::OutcomeUnknown, "the connection was lost"))
}

#[async_trait]
impl Upstream for ScriptedUpstream {
    async fn send(&self, _: &Account, message: &OutgoingMessage<'_>) -> SendOutcome {
        let to = message.to;
        if let Content::Text { body, .. } = message.content {
            assert_ne!(body, PANIC, "what the upstream's codec cannot take");
        }
        let place = {
            let mut seen = self.seen.lock();
            seen.push(Seen {
                to: to.digits().to_owned(),
                content: message.content.clone(),
                token: message.attempt_token.to_owned(),
                at: Instant::now(),
            });
            seen.len()
        };
        let _open = self.gate.read().await;
        let scripted = self.script.lock().pop_front();
        let of_person = || self.always_to.lock().get(to.digits()).cloned();
        let of_all = || self.always.lock().clone();
        scripted.or_else(of_all).or_else(of_person).unwrap_or_else(|| {
            SendOutcome::Sent(Receipt {
                wamid: format!("wamid.{place}"),
                wa_id: to.digits().to_owned(),
            })
        })
    }

    async fn upload(
        &self,
        _: &Account,
        _: &MimeType,
        _: &str,
        _: u64,
        mut body: BlobStream,
    ) -> Result<String, CallError> {
        if let Some(refusal) = self.upload_refusals.lock().pop_front() {
            return Err(refusal);
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = body.next().await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        assert!(!bytes.ends_with(PANIC.as_bytes()), "what cannot be uploaded");
        let mut uploads = self.uploads.lock();
        uploads.push(bytes);
        Ok(format!("upstream-media-{}", uploads.len()))
    }

    async fn upload_sample(
        &self,
        _: &Account,
        app_id: &str,
        sample: Sample,
    ) -> Result<String, CallError> {
        let chunks: Vec<Bytes> = sample.body.map(Result::unwrap).collect().await;
        assert_eq!(chunks.concat().len() as u64, sample.size);
        let told = format!("{app_id} {} {}", sample.mime_type.as_str(), sample.filename);
        self.forms.samples.lock().push(told);
        Ok("4:sample".to_owned())
    }

    async fn download(
        &self,
        _: &Account,
        media_id: &str,
        _: u64,
    ) -> Result<DownloadedMedia, CallError> {
        let _open = self.gate.read().await;
        if media_id.starts_with(ENDLESS) {
            std::future::pending::<()>().await;
        }
        assert_ne!(media_id, PANIC, "what cannot be downloaded");
        if let Some(kind) = self.refused_files.lock().get(media_id) {
            let failure = Failure::new(*kind, "the upstream said no");
            return Err(CallError { failure, class: RetryClass::BackOff });
        }
        let bytes = Bytes::from(format!("bytes of {media_id}"));
        let body = futures_util::stream::once(async move { Ok(bytes) });
        let mime_type = if media_id.ends_with("zip") { "application/zip" } else { "text/plain" };
        Ok(DownloadedMedia { mime_type: mime_type.to_owned(), body: Box::pin(body) })
    }

    async fn templates(
        &self,
        _: &Account,
        name: Option<&str>,
        _: Timestamp,
    ) -> Result<Vec<Template>, CallError> {
        self.template_calls.fetch_add(1, Ordering::SeqCst);
        if let Some(refusal) = self.template_refusals.lock().pop_front() {
            return Err(refusal);
        }
        let templates = self.templates.lock().clone();
        let wanted = |template: &Template| name.is_none_or(|name| template.name == name);
        Ok(templates.into_iter().filter(wanted).collect())
    }

    async fn create_template(
        &self,
        _: &Account,
        _: &serde_json::Value,
    ) -> Result<serde_json::Value, CallError> {
        Ok(serde_json::json!({"id": "1", "status": "PENDING"}))
    }

    async fn edit_template(
        &self,
        _: &Account,
        _: &str,
        _: &serde_json::Value,
    ) -> Result<(), CallError> {
        Ok(())
    }

    async fn delete_template(
        &self,
        _: &Account,
        _: &str,
        _: Option<&str>,
    ) -> Result<(), CallError> {
        Ok(())
    }

    async fn register(&self, _: &Account, _: &str) -> Result<(), CallError> {
        let _open = self.gate.read().await;
        Ok(())
    }

    async fn subscribe(&self, _: &Account) -> Result<(), CallError> {
        Ok(())
    }

    async fn number_info(&self, _: &Account) -> Result<NumberInfo, CallError> {
        Ok(NumberInfo::default())
    }
}
