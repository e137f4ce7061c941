//! What a backup looks like: a tar archive with the database, the files by content, and what has to
//! be known of them. First comes the [`Head`], last the [`End`]: an archive without an end is not
//! whole. It holds no master key, and no secret that is not sealed with it.

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};
use tokio::sync::mpsc;
use waypost_engine::Backup;
use waypost_engine::ports::{BlobStream, Sha256Hex, StoreError};

/// The form described here. Readers refuse a higher one.
pub const FORMAT: u32 = 1;
/// The name of the first entry.
pub const HEAD: &str = "waypost-backup.json";
/// The name of the database's entry.
pub const DATABASE: &str = "waypost.db";
/// The folder of files by content: `media/ab/<sha256>`.
pub const MEDIA: &str = "media";
/// The name of the last entry.
pub const END: &str = "waypost-backup-end.json";

/// Entries of a tar archive begin at multiples of this, in bytes.
const BLOCK_BYTES: usize = 512;
/// Pieces on their way to whoever takes the archive, at most 256 KiB each.
const PIECES: usize = 4;
/// Lost or damaged files that are named; of more, the number is told.
const MAX_NAMED: usize = 1_000;

/// What must be known before an archive is unpacked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`FORMAT`].
    pub format: u32,
    /// The version that made it.
    pub waypost: String,
    /// The database's layout.
    pub layout: u32,
    /// Everything acknowledged before then is in it. RFC 3339.
    pub taken_at: String,
    /// The same in Unix milliseconds.
    pub taken_at_ms: i64,
    /// `sandbox` or `real`.
    pub upstream_kind: String,
    /// The fingerprint of the master key that opens its secrets.
    pub master_key: String,
    /// Bytes of the database.
    pub database_bytes: u64,
}

/// What can be known when everything is in an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// SHA-256 of the database, as hexadecimal digits.
    pub database_sha256: String,
    /// Files in it.
    pub media_files: u64,
    /// Their bytes.
    pub media_bytes: u64,
    /// Files that records name and that are lost.
    pub lost: Files,
    /// Files whose bytes are not those that their name says. They are in the archive as they are.
    pub damaged: Files,
}

/// Some files by content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// How many.
    pub count: u64,
    /// The first 1,000 of them.
    pub contents: Vec<String>,
}

impl Files {
    fn add(&mut self, content: &Sha256Hex) {
        self.count += 1;
        if self.contents.len() < MAX_NAMED {
            self.contents.push(content.as_str().to_owned());
        }
    }
}

/// Where a content lies in an archive.
#[must_use]
pub fn media_path(content: &str) -> String {
    format!("{MEDIA}/{}/{content}", content.get(..2).unwrap_or_default())
}

/// Why an archive was not finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfinished {
    /// Nobody takes it any more.
    #[error("whoever asked for it went away")]
    Abandoned,
    /// Something could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The same.
    #[error(transparent)]
    Read(#[from] std::io::Error),
}

/// The archive's pieces as they come.
pub(crate) type Pieces = mpsc::Receiver<std::io::Result<Bytes>>;

/// Where the pieces of an archive go.
pub(crate) struct Writer {
    to: mpsc::Sender<std::io::Result<Bytes>>,
    modified_s: u64,
}

impl Writer {
    /// A writer and what comes out of it. Entries get this time.
    pub(crate) fn new(modified_s: u64) -> (Self, Pieces) {
        let (to, pieces) = mpsc::channel(PIECES);
        (Self { to, modified_s }, pieces)
    }

    /// Writes everything.
    pub(crate) async fn write(&self, head: &Head, backup: &Backup) -> Result<End, Unfinished> {
        self.json(HEAD, head).await?;
        let (size, bytes) = (backup.database_size(), backup.database()?);
        let database_sha256 = self.entry(DATABASE, size, bytes).await?;
        let mut end = End { database_sha256, ..End::default() };
        let mut after = None;
        loop {
            let contents = backup.contents(after).await?;
            let Some((last, _)) = contents.last() else { break };
            after = Some(last.clone());
            for (content, size) in contents {
                self.file(backup, &content, size, &mut end).await?;
            }
        }
        self.json(END, &end).await?;
        self.piece(Bytes::from_static(&[0; 2 * BLOCK_BYTES])).await?;
        Ok(end)
    }

    /// Breaks the archive off, so that nobody takes it for a whole one.
    pub(crate) async fn break_off(&self, why: &Unfinished) {
        // Where nobody takes it any more, nobody has to be told.
        let _ = self.to.send(Err(std::io::Error::other(why.to_string()))).await;
    }

    async fn file(
        &self,
        backup: &Backup,
        content: &Sha256Hex,
        size: u64,
        end: &mut End,
    ) -> Result<(), Unfinished> {
        let Some((found, bytes)) = backup.file(content).await? else {
            end.lost.add(content);
            return Ok(());
        };
        let digest = self.entry(&media_path(content.as_str()), found, bytes).await?;
        if digest != content.as_str() || found != size {
            end.damaged.add(content);
        }
        end.media_files += 1;
        end.media_bytes += found;
        Ok(())
    }

    async fn json(&self, path: &str, value: &impl Serialize) -> Result<(), Unfinished> {
        let text = serde_json::to_vec_pretty(value).map_err(std::io::Error::other)?;
        self.header(path, text.len() as u64).await?;
        let size = text.len() as u64;
        self.piece(Bytes::from(text)).await?;
        self.fill(size).await
    }

    /// Writes an entry; returns its SHA-256.
    async fn entry(
        &self,
        path: &str,
        size: u64,
        mut bytes: BlobStream,
    ) -> Result<String, Unfinished> {
        self.header(path, size).await?;
        let mut hasher = Sha256::new();
        let mut written = 0;
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk?;
            hasher.update(&chunk);
            written += chunk.len() as u64;
            self.piece(chunk).await?;
        }
        if written != size {
            return Err(std::io::Error::other(format!("{path} changed while it was read")).into());
        }
        self.fill(size).await?;
        Ok(Sha256Hex::from_digest(&hasher.finalize()).as_str().to_owned())
    }

    async fn header(&self, path: &str, size: u64) -> Result<(), Unfinished> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_path(path)?;
        header.set_mode(0o600);
        header.set_mtime(self.modified_s);
        header.set_size(size);
        header.set_cksum();
        self.piece(Bytes::copy_from_slice(header.as_bytes())).await
    }

    async fn fill(&self, size: u64) -> Result<(), Unfinished> {
        static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        let over = usize::try_from(size % BLOCK_BYTES as u64).unwrap_or(0);
        if over == 0 {
            return Ok(());
        }
        self.piece(Bytes::from_static(&ZEROS[over..])).await
    }

    async fn piece(&self, bytes: Bytes) -> Result<(), Unfinished> {
        self.to.send(Ok(bytes)).await.map_err(|_| Unfinished::Abandoned)
    }
}
