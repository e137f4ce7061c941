//! The bytes of media: in memory or in files, bounded in total, with an expiry. It knows neither
//! HTTP nor who may read what.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use crate::entropy;
use crate::media_kind::{HEAD_BYTES, MEDIA_FILE_MAX_BYTES};

/// Media held in memory when there is no folder. When a file does not fit, the oldest goes.
pub const MEDIA_MEMORY_MAX_BYTES: u64 = 256 * 1_048_576;
/// Media held in files. When a file does not fit, the oldest goes.
pub const MEDIA_FOLDER_MAX_BYTES: u64 = 4 * 1_024 * 1_048_576;
/// Files that are kept, however small. When there are more, the oldest goes.
pub const MEDIA_FILES_MAX: usize = 100_000;
/// Uploaded media.
pub(crate) const UPLOAD_LIFETIME_MS: i64 = 30 * 86_400_000;
/// Media of inbound messages.
pub(crate) const INBOUND_LIFETIME_MS: i64 = 7 * 86_400_000;

/// A stored file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Media {
    pub(crate) id: Arc<str>,
    pub(crate) mime: Box<str>,
    pub(crate) filename: Option<Box<str>>,
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
    /// The first bytes, at most [`HEAD_BYTES`].
    pub(crate) head: Vec<u8>,
    pub(crate) expires_at_ms: i64,
    #[serde(skip)]
    pub(crate) held: Held,
}

/// Where the bytes are.
#[derive(Debug, Clone, Default)]
pub(crate) enum Held {
    #[default]
    Nowhere,
    Memory(Bytes),
    File(PathBuf),
}

/// All media, oldest first.
#[derive(Debug, Default)]
pub(crate) struct MediaStore {
    items: HashMap<Arc<str>, Media>,
    order: VecDeque<Arc<str>>,
    total_bytes: u64,
    last_id: u64,
}

impl MediaStore {
    /// Ids go on from the time of the start, so that those of an earlier process are not reused.
    pub(crate) fn new(now_ms: i64) -> Self {
        let last_id = u64::try_from(now_ms).unwrap_or(0).saturating_mul(1_000);
        Self { last_id: last_id.max(1_000_000_000_000_000), ..Self::default() }
    }

    pub(crate) fn next_id(&mut self) -> Arc<str> {
        self.last_id += 1;
        Arc::from(self.last_id.to_string())
    }

    pub(crate) fn insert(&mut self, media: Media) {
        let max_bytes = match media.held {
            Held::File(_) => MEDIA_FOLDER_MAX_BYTES,
            Held::Memory(_) | Held::Nowhere => MEDIA_MEMORY_MAX_BYTES,
        };
        while (self.total_bytes + media.size > max_bytes || self.items.len() >= MEDIA_FILES_MAX)
            && let Some(oldest) = self.order.pop_front()
        {
            self.remove(&oldest);
        }
        self.total_bytes += media.size;
        self.order.push_back(Arc::clone(&media.id));
        self.items.insert(Arc::clone(&media.id), media);
    }

    /// A file that has not expired.
    pub(crate) fn get(&self, id: &str, now_ms: i64) -> Option<&Media> {
        self.items.get(id).filter(|media| now_ms < media.expires_at_ms)
    }

    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let Some(media) = self.items.remove(id) else { return false };
        self.total_bytes -= media.size;
        self.order.retain(|other| **other != *media.id);
        if let Held::File(path) = &media.held {
            remove_files(path);
        }
        true
    }

    pub(crate) fn clear(&mut self) {
        for media in self.items.values() {
            if let Held::File(path) = &media.held {
                remove_files(path);
            }
        }
        *self = Self { last_id: self.last_id, ..Self::default() };
    }

    /// Takes over what an earlier process left in `folder`; leftovers of uploads are removed.
    pub(crate) fn load(&mut self, folder: &Path, now_ms: i64) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut found: Vec<Media> = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => found.extend(read_description(&path)),
                Some("part") => drop(fs::remove_file(&path)),
                _ => {}
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        for media in found {
            if media.expires_at_ms <= now_ms {
                if let Held::File(path) = &media.held {
                    remove_files(path);
                }
                continue;
            }
            self.last_id = self.last_id.max(media.id.parse().unwrap_or(0));
            self.insert(media);
        }
    }
}

fn read_description(path: &Path) -> Option<Media> {
    let mut media: Media = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let bytes = path.with_extension("bin");
    if fs::metadata(&bytes).ok()?.len() != media.size {
        return None;
    }
    media.held = Held::File(bytes);
    Some(media)
}

fn remove_files(path: &Path) {
    for path in [path.to_owned(), path.with_extension("json")] {
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a media file could not be removed");
        }
    }
}

/// A file that is being received.
pub(crate) struct MediaWriter {
    to: Target,
    hasher: Sha256,
    head: Vec<u8>,
    size: u64,
}

enum Target {
    Memory(Vec<u8>),
    File { file: tokio::fs::File, part: PartFile },
}

/// Removes an unfinished file when the upload is given up.
struct PartFile(Option<PathBuf>);

impl Drop for PartFile {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            drop(fs::remove_file(path));
        }
    }
}

impl MediaWriter {
    /// Begins a file in `folder`, or in memory.
    pub(crate) async fn begin(folder: Option<&Path>) -> std::io::Result<Self> {
        let to = match folder {
            None => Target::Memory(Vec::new()),
            Some(folder) => {
                let mut random = [0_u8; 12];
                entropy::fill(&mut random);
                let path = folder.join(format!("{}.part", entropy::lower_hex(&random)));
                let file = tokio::fs::File::create(&path).await?;
                Target::File { file, part: PartFile(Some(path)) }
            }
        };
        Ok(Self { to, hasher: Sha256::new(), head: Vec::new(), size: 0 })
    }

    /// Adds bytes; false if the file is now larger than any may be.
    pub(crate) async fn write(&mut self, chunk: &[u8]) -> std::io::Result<bool> {
        self.size += chunk.len() as u64;
        if self.size > MEDIA_FILE_MAX_BYTES {
            return Ok(false);
        }
        self.hasher.update(chunk);
        let missing = HEAD_BYTES.saturating_sub(self.head.len()).min(chunk.len());
        self.head.extend_from_slice(&chunk[..missing]);
        match &mut self.to {
            Target::Memory(bytes) => bytes.extend_from_slice(chunk),
            Target::File { file, .. } => file.write_all(chunk).await?,
        }
        Ok(true)
    }

    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Ends the file under its id, with a description beside it that a later start reads.
    pub(crate) async fn finish(self, described: Described) -> std::io::Result<Media> {
        let mut media = Media {
            id: described.id,
            mime: described.mime.into(),
            filename: described.filename.map(Into::into),
            size: self.size,
            sha256: self.hasher.finalize().into(),
            head: self.head,
            expires_at_ms: described.expires_at_ms,
            held: Held::Nowhere,
        };
        media.held = match self.to {
            Target::Memory(bytes) => Held::Memory(Bytes::from(bytes)),
            Target::File { mut file, mut part } => {
                file.flush().await?;
                let from = part.0.clone().unwrap_or_default();
                let path = from.with_file_name(format!("{}.bin", media.id));
                tokio::fs::rename(&from, &path).await?;
                part.0 = None;
                let description = serde_json::to_vec(&media)?;
                tokio::fs::write(path.with_extension("json"), description).await?;
                Held::File(path)
            }
        };
        Ok(media)
    }
}

/// What is known about a file besides its bytes.
pub(crate) struct Described {
    pub(crate) id: Arc<str>,
    pub(crate) mime: String,
    pub(crate) filename: Option<String>,
    pub(crate) expires_at_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn stored(folder: Option<&Path>, id: &str, bytes: &[u8]) -> Media {
        let mut writer = MediaWriter::begin(folder).await.unwrap();
        assert!(writer.write(bytes).await.unwrap());
        let described = Described {
            id: Arc::from(id),
            mime: "text/plain".into(),
            filename: None,
            expires_at_ms: 100,
        };
        writer.finish(described).await.unwrap()
    }

    #[tokio::test]
    async fn a_later_start_finds_the_files_and_removes_leftovers() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = MediaStore::new(0);
        first.insert(stored(Some(folder.path()), "7", b"hello").await);
        fs::write(folder.path().join("x.part"), b"half").unwrap();

        let mut second = MediaStore::new(0);
        second.load(folder.path(), 99);
        assert_eq!(second.get("7", 99).unwrap().size, 5);
        assert!(second.get("7", 100).is_none(), "expired");
        assert!(!folder.path().join("x.part").exists());
        assert!(second.remove("7"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn an_abandoned_upload_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = MediaWriter::begin(Some(folder.path())).await.unwrap();
        writer.write(b"half").await.unwrap();
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn the_oldest_file_goes_when_memory_is_full() {
        let mut store = MediaStore::new(0);
        let mut big = stored(None, "1", b"x").await;
        big.size = MEDIA_MEMORY_MAX_BYTES;
        store.insert(big);
        store.insert(stored(None, "2", b"y").await);
        assert!(store.get("1", 0).is_none());
        assert!(store.get("2", 0).is_some());
    }
}
