//! Files of what people write: fetched from the upstream, which keeps them for a week. They are
//! walked through from the oldest to the newest, over those that fail, which a later walk asks for
//! again: nobody's files wait for another's.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use waypost_domain::failure::Blame;
use waypost_domain::media::{MediaKind, MimeType, clean_filename};
use waypost_domain::{ErrorKind, Failure, MediaId, MessageId, NumberId};

use crate::Engine;
use crate::media::NewFile;
use crate::panics::{BUG, caught};
use crate::ports::{InboundFile, StoreResult};

/// Files read at once.
const BATCH: u32 = 16;
/// The upstream keeps files for seven days.
const LIFE_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// Refusals of one file before it is given up.
const TRIES: u32 = 5;
/// How long after the first failure of a walk the next walk begins.
const PAUSE: Duration = Duration::from_secs(30);

/// A walk through the files that wait. Those that come meanwhile lie on its way.
#[derive(Default)]
struct Walk {
    /// Where it has come to.
    after: i64,
    /// When the next one begins; `None` where nothing failed.
    again_at: Option<Instant>,
    /// Numbers that the upstream gives no file of for now: this walk asks for none of theirs.
    refused: HashSet<NumberId>,
    /// How often files that it came to were refused.
    tries: HashMap<MessageId, u32>,
    /// The same of the walk before, for files that this one has not come to.
    former_tries: HashMap<MessageId, u32>,
}

impl Walk {
    fn begin_anew(&mut self) {
        // Files that neither walk came to are too old, or gone.
        let former_tries = std::mem::take(&mut self.tries);
        *self = Self { former_tries, ..Self::default() };
    }

    fn is_to_be_repeated(&mut self) {
        self.again_at.get_or_insert_with(|| Instant::now() + PAUSE);
    }

    /// Whether the upstream is to be asked for a file.
    fn comes_to(&mut self, file: &InboundFile) -> bool {
        if let Some(tried) = self.former_tries.remove(&file.message_id) {
            self.tries.insert(file.message_id, tried);
        }
        !self.refused.contains(&file.number_id)
    }

    /// Notes a failure; `true` where it was the file's last try.
    fn note(&mut self, file: &InboundFile, failure: &Failure) -> bool {
        if matches!(failure.kind, ErrorKind::UpstreamAuth | ErrorKind::RateLimited) {
            self.refused.insert(file.number_id.clone());
        }
        // An upstream that is down or refuses our token says nothing of the file.
        if !is_lasting(failure) {
            return false;
        }
        let tried = self.tries.entry(file.message_id).or_default();
        *tried += 1;
        *tried >= TRIES
    }
}

impl Engine {
    /// Fetches the files of inbound messages until it is cancelled.
    pub(crate) async fn fetch_inbound_media(self, cancel: CancellationToken) {
        let mut walk = Walk::default();
        let fetching = async {
            loop {
                if let Err(error) = self.fetch_on(&mut walk).await {
                    tracing::error!(%error, "inbound files");
                    self.note_store_error(&error);
                    walk.is_to_be_repeated();
                }
                let again_at = walk.again_at;
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(again_at.unwrap_or_else(Instant::now)),
                        if again_at.is_some() => walk.begin_anew(),
                    () = self.media_arrived().notified() => {}
                }
            }
        };
        cancel.run_until_cancelled(fetching).await;
    }

    /// Walks on to the newest file.
    async fn fetch_on(&self, walk: &mut Walk) -> StoreResult<()> {
        loop {
            let oldest = self.now().plus_ms(-LIFE_MS);
            let files = self.store().inbound_without_media(oldest, walk.after, BATCH).await?;
            if files.is_empty() {
                return Ok(());
            }
            for file in files {
                if walk.comes_to(&file) {
                    self.fetch_or_leave(walk, &file).await?;
                }
                walk.after = file.place;
            }
        }
    }

    async fn fetch_or_leave(&self, walk: &mut Walk, file: &InboundFile) -> StoreResult<()> {
        let fetched = caught(self.fetch_inbound_file(file)).await;
        let fetched = fetched.unwrap_or_else(|| Err(Failure::new(ErrorKind::MediaRejected, BUG)));
        let media_id = match fetched {
            Ok(media_id) => media_id,
            Err(failure) => {
                let last = walk.note(file, &failure);
                tracing::warn!(message = %file.message_id, error = %failure, last, "inbound file");
                if !last {
                    walk.is_to_be_repeated();
                    return Ok(());
                }
                None
            }
        };
        self.store().attach_inbound_media(file.message_id, media_id).await?;
        self.callbacks_due();
        walk.tries.remove(&file.message_id);
        Ok(())
    }

    /// `None` where the message names no file, or one of a type that is not kept.
    async fn fetch_inbound_file(&self, file: &InboundFile) -> Result<Option<MediaId>, Failure> {
        let content = &file.content;
        let Some(upstream_id) = inbound_media_id(&content.kind, &content.message) else {
            return Ok(None);
        };
        let Some(number) = self.directory().number(&file.number_id) else { return Ok(None) };
        let account = self.account(&number)?;
        let limit_bytes = MediaKind::Document.max_bytes();
        let download = self.upstream().download(&account, upstream_id, limit_bytes).await;
        let download = download.map_err(|error| error.failure)?;
        let Some(mime_type) = MimeType::parse(&download.mime_type) else { return Ok(None) };
        let library = self.media_library();
        let (upload, _) = library.copy_body(download.body, limit_bytes).await?;
        let filename = content.message[&content.kind]["filename"].as_str();
        let new = NewFile {
            org_id: file.org_id.clone(),
            mime_type,
            filename: filename.and_then(clean_filename),
        };
        let (record, _) = library.finish_upload(upload, new, None).await?;
        Ok(Some(record.id))
    }
}

fn is_lasting(failure: &Failure) -> bool {
    failure.kind.blame() == Blame::Caller && failure.kind != ErrorKind::RateLimited
}

/// The upstream's id of the file in an inbound message.
pub(super) fn inbound_media_id<'a>(kind: &str, message: &'a serde_json::Value) -> Option<&'a str> {
    MediaKind::parse(kind)?;
    message[kind]["id"].as_str()
}
