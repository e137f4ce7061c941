//! Files of what people write: fetched from the upstream, which keeps them for a week. Those of each
//! number are walked through from the oldest to the newest, some at once, over those that fail, which
//! a later walk asks for again: no number's files wait for another's.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waypost_domain::failure::Blame;
use waypost_domain::media::{MediaKind, MimeType, clean_filename};
use waypost_domain::{ErrorKind, Failure, MediaId, MessageId, NumberId};

use crate::Engine;
use crate::lanes::Lane;
use crate::media::NewFile;
use crate::panics::{BUG, caught};
use crate::ports::{InboundFile, StoreError};

/// Files that are fetched at once, a bound of the memory that they take on their way to the disk.
pub(crate) const FILES_AT_ONCE: usize = 64;
/// Those of one number, so that slow ones leave places to others.
const OF_A_NUMBER: usize = 8;
/// Files read at once.
const BATCH: u32 = 16;
/// The upstream keeps files for seven days.
const LIFE_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// Refusals of one file before it is given up.
const TRIES: u32 = 5;
/// How long after the first failure of a walk the next walk begins.
const PAUSE: Duration = Duration::from_secs(30);

/// A walk through the files of a number that wait. Those that come meanwhile lie on its way.
#[derive(Default)]
struct Walk {
    /// Up to where they were read.
    after: i64,
    /// What was read and not begun.
    read: VecDeque<InboundFile>,
    /// Files that are being fetched, by this walk or the one before.
    under_way: HashSet<MessageId>,
    /// When the next one begins; `None` where nothing failed.
    again_at: Option<Instant>,
    /// The upstream gives no file of the number for now: this walk asks for none any more.
    is_refused: bool,
    /// How often files that it came to were refused.
    tries: HashMap<MessageId, u32>,
    /// The same of the walk before, for files that this one has not come to.
    former_tries: HashMap<MessageId, u32>,
}

impl Walk {
    fn begin_anew(&mut self) {
        // Files that neither walk came to are too old, or gone.
        let former_tries = std::mem::take(&mut self.tries);
        let under_way = std::mem::take(&mut self.under_way);
        *self = Self { former_tries, under_way, ..Self::default() };
    }

    fn is_to_be_repeated(&mut self) {
        self.again_at.get_or_insert_with(|| Instant::now() + PAUSE);
    }

    /// Comes to files that were just read.
    fn comes_to(&mut self, files: Vec<InboundFile>) {
        for file in files {
            self.after = file.place;
            if let Some(tried) = self.former_tries.remove(&file.message_id) {
                self.tries.insert(file.message_id, tried);
            }
            if !self.under_way.contains(&file.message_id) {
                self.read.push_back(file);
            }
        }
    }

    /// The next file that the upstream is to be asked for, of those that were read.
    fn begin_next(&mut self) -> Option<InboundFile> {
        if self.is_refused {
            self.read.clear();
        }
        let file = self.read.pop_front()?;
        self.under_way.insert(file.message_id);
        Some(file)
    }

    /// Notes a failure; `true` where it was the file's last try.
    fn note(&mut self, file: &InboundFile, failure: &Failure) -> bool {
        if matches!(failure.kind, ErrorKind::UpstreamAuth | ErrorKind::RateLimited) {
            self.is_refused = true;
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

/// A file, and what came of asking for it.
type Fetched = (InboundFile, Result<Option<MediaId>, Failure>);

impl Engine {
    /// Has the files of a number's inbound messages fetched.
    pub(crate) fn keep_fetching_files(
        &self,
        lane: &Arc<Lane>,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) {
        let lane = Arc::clone(lane);
        self.keep(tasks, cancel, move |engine, cancel| {
            engine.fetch_files(Arc::clone(&lane), cancel)
        });
    }

    async fn fetch_files(self, lane: Arc<Lane>, cancel: CancellationToken) {
        let mut walk = Walk::default();
        let mut fetching = FuturesUnordered::new();
        let walking = async {
            loop {
                while fetching.len() < OF_A_NUMBER
                    && let Some(file) = self.next_file(&lane.number_id, &mut walk).await
                {
                    fetching.push(self.fetch(file));
                }
                let again_at = walk.again_at;
                tokio::select! {
                    biased;
                    Some((file, fetched)) = fetching.next() => {
                        self.settle_file(&mut walk, &file, fetched).await;
                    }
                    () = tokio::time::sleep_until(again_at.unwrap_or_else(Instant::now)),
                        if again_at.is_some() => walk.begin_anew(),
                    () = lane.files.notified() => {}
                }
            }
        };
        cancel.run_until_cancelled(walking).await;
    }

    /// Walks on to the next file that the upstream is to be asked for.
    async fn next_file(&self, number_id: &NumberId, walk: &mut Walk) -> Option<InboundFile> {
        loop {
            if let Some(file) = walk.begin_next() {
                return Some(file);
            }
            let oldest = self.now().plus_ms(-LIFE_MS);
            let read = self.store().inbound_without_media(number_id, oldest, walk.after, BATCH);
            match read.await {
                Ok(files) if files.is_empty() => return None,
                Ok(files) => walk.comes_to(files),
                Err(error) => {
                    self.note_files_error(walk, &error);
                    return None;
                }
            }
        }
    }

    fn note_files_error(&self, walk: &mut Walk, error: &StoreError) {
        tracing::error!(%error, "inbound files");
        self.note_store_error(error);
        walk.is_to_be_repeated();
    }

    async fn fetch(&self, file: InboundFile) -> Fetched {
        // It is never closed.
        let _place = self.inbound_files().acquire().await.ok();
        let fetched = caught(self.fetch_inbound_file(&file)).await;
        let fetched = fetched.unwrap_or_else(|| Err(Failure::new(ErrorKind::MediaRejected, BUG)));
        (file, fetched)
    }

    async fn settle_file(
        &self,
        walk: &mut Walk,
        file: &InboundFile,
        fetched: Result<Option<MediaId>, Failure>,
    ) {
        walk.under_way.remove(&file.message_id);
        let media_id = match fetched {
            Ok(media_id) => media_id,
            Err(failure) => {
                let last = walk.note(file, &failure);
                tracing::warn!(message = %file.message_id, error = %failure, last, "inbound file");
                if !last {
                    walk.is_to_be_repeated();
                    return;
                }
                None
            }
        };
        match self.store().attach_inbound_media(file.message_id, media_id).await {
            Ok(()) => {
                self.callbacks_due();
                walk.tries.remove(&file.message_id);
            }
            Err(error) => self.note_files_error(walk, &error),
        }
    }

    /// `None` where the message names no file, or its number is gone.
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
        let mime_type = MimeType::parse(&download.mime_type).unwrap_or_else(MimeType::unknown);
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
