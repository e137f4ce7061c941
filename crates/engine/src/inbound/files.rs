//! Files of what people write: fetched from the upstream, which keeps them for a week.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use waypost_domain::content::InboundContent;
use waypost_domain::failure::Blame;
use waypost_domain::media::{MediaKind, MimeType, clean_filename};
use waypost_domain::{ErrorKind, Failure, MediaId, MessageId, NumberId, OrgId};

use crate::Engine;
use crate::media::NewFile;
use crate::ports::StoreResult;

/// Files fetched in one round.
const BATCH: u32 = 16;
/// The upstream keeps files for seven days.
const LIFE_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// Refusals of one file before it is given up.
const TRIES: u32 = 5;
/// Pause between rounds while files are left.
const PAUSE: Duration = Duration::from_secs(30);

impl Engine {
    /// Fetches the files of inbound messages until it is cancelled.
    pub(crate) async fn fetch_inbound_media(self, cancel: CancellationToken) {
        let mut tries: HashMap<MessageId, u32> = HashMap::new();
        while !cancel.is_cancelled() {
            let fetching = self.fetch_media_round(&mut tries);
            let Some(round) = cancel.run_until_cancelled(fetching).await else { return };
            if let Err(error) = &round {
                tracing::error!(%error, "inbound files");
                self.note_store_error(error);
            }
            let pause = async {
                match round {
                    Ok(Left::Nothing) => self.media_arrived().notified().await,
                    Ok(Left::More) => {}
                    Ok(Left::Failed) | Err(_) => tokio::time::sleep(PAUSE).await,
                }
            };
            cancel.run_until_cancelled(pause).await;
        }
    }

    /// Tells which files are left.
    async fn fetch_media_round(&self, tries: &mut HashMap<MessageId, u32>) -> StoreResult<Left> {
        let oldest = self.now().plus_ms(-LIFE_MS);
        let waiting = self.store().inbound_without_media(oldest, BATCH).await?;
        let is_all = waiting.len() < BATCH as usize;
        let mut left = if is_all { Left::Nothing } else { Left::More };
        for (org_id, number_id, id, content) in waiting {
            match self.fetch_inbound_file(&org_id, &number_id, &content).await {
                Ok(media_id) => {
                    self.store().attach_inbound_media(id, media_id).await?;
                    self.callbacks_due();
                    tries.remove(&id);
                }
                Err(failure) => {
                    let tried = tries.entry(id).or_default();
                    // An upstream that is down or refuses our token says nothing of the file.
                    *tried += u32::from(is_lasting(&failure));
                    let last = *tried >= TRIES;
                    tracing::warn!(message = %id, error = %failure, last, "inbound file");
                    if last {
                        self.store().attach_inbound_media(id, None).await?;
                        self.callbacks_due();
                        tries.remove(&id);
                    } else {
                        left = Left::Failed;
                    }
                }
            }
        }
        Ok(left)
    }

    /// `None` where the message names no file, or one of a type that is not kept.
    async fn fetch_inbound_file(
        &self,
        org_id: &OrgId,
        number_id: &NumberId,
        content: &InboundContent,
    ) -> Result<Option<MediaId>, Failure> {
        let Some(upstream_id) = inbound_media_id(&content.kind, &content.message) else {
            return Ok(None);
        };
        let Some(number) = self.directory().number(number_id) else { return Ok(None) };
        let account = self.account(&number)?;
        let limit_bytes = MediaKind::Document.max_bytes();
        let download = self.upstream().download(&account, upstream_id, limit_bytes).await;
        let download = download.map_err(|error| error.failure)?;
        let Some(mime_type) = MimeType::parse(&download.mime_type) else { return Ok(None) };
        let library = self.media_library();
        let (upload, _) = library.copy_body(download.body, limit_bytes).await?;
        let filename = content.message[&content.kind]["filename"].as_str();
        let file = NewFile {
            org_id: org_id.clone(),
            mime_type,
            filename: filename.and_then(clean_filename),
        };
        let (record, _) = library.finish_upload(upload, file, None).await?;
        Ok(Some(record.id))
    }
}

/// What a round of fetching files leaves.
enum Left {
    Nothing,
    /// Files that were not in the round.
    More,
    /// Files to be tried again.
    Failed,
}

fn is_lasting(failure: &Failure) -> bool {
    failure.kind.blame() == Blame::Caller && failure.kind != ErrorKind::RateLimited
}

/// The upstream's id of the file in an inbound message.
pub(super) fn inbound_media_id<'a>(kind: &str, message: &'a serde_json::Value) -> Option<&'a str> {
    MediaKind::parse(kind)?;
    message[kind]["id"].as_str()
}
