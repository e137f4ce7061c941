//! Media files on a local disk, named by their content: `ab/<sha256>` below one folder.
//!
//! A file is written under a temporary name, synced, renamed and its folder synced, so that a name
//! that exists always names whole and durable bytes. It knows nothing of records, owners or expiry:
//! those are the media store's.

mod file;
mod writer;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use waypost_engine::ports::{
    BlobStore, BlobStream, BlobWriter, Sha256Hex, StoreError, StoreResult,
};

use crate::file::Unfinished;
use crate::writer::{FileWriter, Step};

/// The longest chunk that a stream gives and that a writer holds in memory, in bytes.
pub const CHUNK_BYTES: usize = 256 * 1_024;

/// What is written to see whether there is room again, in bytes.
const ROOM_BYTES: usize = 1_024 * 1_024;

/// The folder of unfinished files, inside the store's folder.
const UNFINISHED: &str = "unfinished";

/// Blobs as files below one folder. Clones share the folder.
#[derive(Clone, Debug)]
pub struct FileBlobs(Arc<Folder>);

/// The folder, and whether its disk has failed or is full.
#[derive(Debug)]
struct Folder {
    root: PathBuf,
    next_unfinished: AtomicU64,
    /// Set once a sync has failed: what the disk holds is no longer known, and a second sync
    /// would report success for bytes that are lost.
    broken: watch::Sender<Option<String>>,
    full: watch::Sender<bool>,
}

impl FileBlobs {
    /// Opens a folder, making it where there is none, and removes what an earlier process left
    /// unfinished. Only one process may use a folder at a time; the data folder's lock sees to it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the folder cannot be made or written, with its path.
    pub fn open(root: impl Into<PathBuf>) -> StoreResult<Self> {
        let root = root.into();
        let folder = Folder {
            root,
            next_unfinished: AtomicU64::new(0),
            broken: watch::Sender::new(None),
            full: watch::Sender::new(false),
        };
        folder.prepare().map_err(|error| {
            StoreError::Unavailable(format!("media folder {}: {error}", folder.root.display()))
        })?;
        Ok(Self(Arc::new(folder)))
    }

    /// Shows why nothing more is kept, once that is so: the process should then end with an error
    /// and be started again.
    #[must_use]
    pub fn broken(&self) -> watch::Receiver<Option<String>> {
        self.0.broken.subscribe()
    }
}

impl Folder {
    fn prepare(&self) -> io::Result<()> {
        let unfinished = self.root.join(UNFINISHED);
        file::make_folder(&self.root)?;
        file::make_folder(&unfinished)?;
        let mut removed = 0_u64;
        for entry in fs::read_dir(&unfinished)? {
            fs::remove_file(entry?.path())?;
            removed += 1;
        }
        if removed > 0 {
            tracing::info!(files = removed, "removed media that were never finished");
        }
        file::sync_folder(&self.root)
    }

    fn unfinished_path(&self) -> PathBuf {
        let number = self.next_unfinished.fetch_add(1, Ordering::Relaxed);
        self.root.join(UNFINISHED).join(number.to_string())
    }

    /// Where a content is kept; `None` for a name that is no SHA-256, which must not become a path.
    fn path_of(&self, sha256: &Sha256Hex) -> Option<PathBuf> {
        let name = sha256.as_str();
        is_digest(name).then(|| self.root.join(&name[..2]).join(name))
    }

    fn check(&self) -> StoreResult<()> {
        if self.broken.borrow().is_some() {
            return Err(StoreError::Broken("a sync of the media folder failed earlier".to_owned()));
        }
        Ok(())
    }

    fn check_room(&self) -> StoreResult<()> {
        if *self.full.borrow() {
            let message = "media folder: there was no room for an earlier file";
            return Err(StoreError::Unavailable(message.to_owned()));
        }
        Ok(())
    }

    /// Writes a file and removes it: quotas and the number of files have limits of their own, which
    /// the disk's free bytes do not show.
    fn write_a_little(&self) -> Result<(), Step> {
        let mut unfinished = Unfinished::create(self.unfinished_path()).map_err(Step::Write)?;
        unfinished.append(&(vec![0; ROOM_BYTES], Bytes::new())).map_err(Step::Write)?;
        unfinished.sync().map_err(Step::Sync)
    }

    async fn open_file(&self, sha256: &Sha256Hex) -> StoreResult<Option<(File, u64)>> {
        let Some(path) = self.path_of(sha256) else { return Ok(None) };
        match blocking(move || open_for_reading(&path)).await? {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.write_error(&error)),
        }
    }

    /// What a step of a write that failed means to the caller.
    fn step_error(&self, step: &Step) -> StoreError {
        match step {
            Step::Write(error) => self.write_error(error),
            Step::Sync(error) => self.sync_error(error),
        }
    }

    /// What a failed read or write means to the caller.
    fn write_error(&self, error: &io::Error) -> StoreError {
        if is_full(error) && !self.full.send_replace(true) {
            tracing::error!(%error, "the disk of the media folder is full: no file is taken before there is room");
        }
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotFound => StoreError::Unavailable(format!("media folder: {error}")),
            // Out of file handles or memory passes; everything else is the disk's.
            _ if matches!(error.raw_os_error(), Some(12 | 23 | 24)) => {
                StoreError::Unavailable(format!("media folder: {error}"))
            }
            _ => StoreError::Broken(format!("media folder: {error}")),
        }
    }

    /// What a failed sync means: nothing more is accepted, unless there was merely no room.
    fn sync_error(&self, error: &io::Error) -> StoreError {
        if is_full(error) {
            return self.write_error(error);
        }
        let why = format!("sync of the media folder: {error}");
        self.broken.send_replace(Some(why.clone()));
        StoreError::Broken(why)
    }
}

#[async_trait]
impl BlobStore for FileBlobs {
    async fn create(&self) -> StoreResult<Box<dyn BlobWriter>> {
        self.0.check()?;
        self.0.check_room()?;
        Ok(Box::new(FileWriter::new(Arc::clone(&self.0))))
    }

    async fn open(&self, sha256: &Sha256Hex) -> StoreResult<Option<(u64, BlobStream)>> {
        let opened = self.0.open_file(sha256).await?;
        Ok(opened.map(|(file, size)| (size, read_stream(file, size, Some(sha256)))))
    }

    async fn open_as_it_is(&self, sha256: &Sha256Hex) -> StoreResult<Option<(u64, BlobStream)>> {
        let opened = self.0.open_file(sha256).await?;
        Ok(opened.map(|(file, size)| (size, read_stream(file, size, None))))
    }

    async fn list(&self, first_byte: u8) -> StoreResult<Vec<Sha256Hex>> {
        let folder = self.0.root.join(format!("{first_byte:02x}"));
        let listed = blocking(move || contents_in(&folder)).await?;
        listed.map_err(|error| self.0.write_error(&error))
    }

    async fn remove(&self, sha256: &Sha256Hex) -> StoreResult<()> {
        let Some(path) = self.0.path_of(sha256) else { return Ok(()) };
        match blocking(move || fs::remove_file(path)).await? {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.0.write_error(&error)),
        }
    }

    fn full(&self) -> watch::Receiver<bool> {
        self.0.full.subscribe()
    }

    async fn try_room(&self) -> StoreResult<()> {
        let folder = Arc::clone(&self.0);
        let tried = blocking(move || folder.write_a_little()).await?;
        tried.map_err(|step| self.0.step_error(&step))?;
        if self.0.full.send_replace(false) {
            tracing::info!("there is room for files again");
        }
        Ok(())
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The contents in one folder; files with other names are none of ours.
fn contents_in(folder: &Path) -> io::Result<Vec<Sha256Hex>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut contents = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let content = name.to_str().filter(|name| is_digest(name));
        contents.extend(content.map(|name| Sha256Hex::from_stored(name.to_owned())));
    }
    Ok(contents)
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn open_for_reading(path: &Path) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// A file on its way out.
struct Reading {
    file: File,
    left: u64,
    /// What the bytes must be, and what they were so far.
    check: Option<(Sha256Hex, Sha256)>,
    ended: bool,
}

/// A file's bytes, read ahead by one chunk at most. A file that ends early is an error, never a
/// short success; and where its bytes are not those of its name, the last chunk is an error instead,
/// so that nobody takes a damaged file for a whole one.
fn read_stream(file: File, size: u64, expected: Option<&Sha256Hex>) -> BlobStream {
    let check = expected.map(|expected| (expected.clone(), Sha256::new()));
    let reading = Reading { file, left: size, check, ended: false };
    Box::pin(stream::try_unfold(reading, |mut reading| async move {
        if reading.ended {
            return Ok(None);
        }
        let read = spawn_blocking(move || {
            let chunk = reading.next_chunk()?;
            Ok::<_, io::Error>((chunk, reading))
        })
        .await;
        let (chunk, reading) = read.map_err(io::Error::other)??;
        Ok(chunk.map(|chunk| (chunk, reading)))
    }))
}

impl Reading {
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let chunk = match self.left {
            0 => None,
            left => Some(file::read_chunk(&mut self.file, left)?),
        };
        self.left -= chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        self.ended = self.left == 0;
        if let (Some((_, hasher)), Some(chunk)) = (&mut self.check, &chunk) {
            hasher.update(chunk);
        }
        let Some((expected, hasher)) = self.check.take_if(|_| self.ended) else {
            return Ok(chunk);
        };
        if Sha256Hex::from_digest(&hasher.finalize()) != expected {
            tracing::error!(content = expected.as_str(), "a media file is damaged");
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is damaged"));
        }
        Ok(chunk)
    }
}

/// Runs file work where it may block. It only fails to run while the process shuts down.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> StoreResult<T> {
    spawn_blocking(work)
        .await
        .map_err(|_| StoreError::Unavailable("the process is shutting down".to_owned()))
}
