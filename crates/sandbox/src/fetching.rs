//! Fetches the media links of messages through the guarded client and lets the waiting messages
//! go on or fail. It chooses no address and keeps no connection itself.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Sandbox;
use crate::agenda::Task;
use crate::errors::Failure;
use crate::links::Job;
use crate::media_kind::essence;
use crate::media_store::{Described, Media, MediaWriter, UPLOAD_LIFETIME_MS};
use crate::state::SENT_DELAY_MS;

/// Links that are fetched at the same time; further ones wait.
pub const LINK_FETCHES_MAX: usize = 4;

type Fetched = (Job, Result<Media, String>);

/// Fetches what messages ask for until `cancel`.
pub(crate) async fn run(sandbox: &Sandbox, cancel: &CancellationToken) {
    let mut fetches: JoinSet<Fetched> = JoinSet::new();
    loop {
        while fetches.len() < LINK_FETCHES_MAX {
            let Some(job) = sandbox.state().links.next_job() else { break };
            let sandbox = sandbox.clone();
            fetches.spawn(async move {
                let result = fetch(&sandbox, &job).await;
                (job, result)
            });
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            Some(done) = fetches.join_next() => match done {
                Ok((job, result)) => settle(sandbox, &job, result),
                Err(error) => tracing::error!(%error, "a link fetch ended abnormally"),
            },
            () = sandbox.0.wake.links.notified(), if fetches.len() < LINK_FETCHES_MAX => {}
        }
    }
}

async fn fetch(sandbox: &Sandbox, job: &Job) -> Result<Media, String> {
    let link = sandbox.0.egress.fetch(&job.url, job.kind.max_bytes_at_all()).await?;
    let mime = link.mime_type.as_deref().and_then(essence);
    let mime = mime.ok_or("The server did not say what type the file has.")?;
    let head = &link.bytes[..link.bytes.len().min(crate::media_kind::HEAD_BYTES)];
    job.kind.check(&mime, head, link.bytes.len() as u64)?;
    let filename = url::Url::parse(&job.url).ok().and_then(|url| {
        let last = url.path_segments()?.next_back()?;
        (!last.is_empty()).then(|| last.to_owned())
    });
    let lifetime_ms = UPLOAD_LIFETIME_MS;
    sandbox
        .store_media(&link.bytes, mime, filename, lifetime_ms)
        .await
        .map_err(|error| format!("The file could not be kept: {error}"))
}

fn settle(sandbox: &Sandbox, job: &Job, result: Result<Media, String>) {
    let mut state = sandbox.state();
    let now_ms = state.now_ms();
    match result {
        Ok(media) => {
            let id = Arc::clone(&media.id);
            state.media.insert(media);
            for seq in state.links.fetched(job, &id, now_ms) {
                state.plan(now_ms + SENT_DELAY_MS, Task::Sent(seq));
                if let Some(entry) = state.log.get(seq) {
                    state.note_change(entry.number, entry.person);
                }
            }
        }
        Err(why) => {
            let details = format!("Downloading media from weblink failed: {why}");
            for seq in state.links.failed(job) {
                state.plan_failure(seq, Failure::new(131_053, details.clone()));
            }
        }
    }
}

impl Sandbox {
    /// Keeps bytes as a media file that is not yet in the store.
    pub(crate) async fn store_media(
        &self,
        bytes: &Bytes,
        mime: String,
        filename: Option<String>,
        lifetime_ms: i64,
    ) -> std::io::Result<Media> {
        let mut writer = MediaWriter::begin(self.0.media_folder.as_deref()).await?;
        if !writer.write(bytes).await? {
            return Err(std::io::Error::other("the file is too large"));
        }
        let described = {
            let mut state = self.state();
            let expires_at_ms = state.now_ms() + lifetime_ms;
            Described { id: state.media.next_id(), mime, filename, expires_at_ms }
        };
        writer.finish(described).await
    }
}
