//! Blocking work on files: unfinished ones, chunks and folders. It decides nothing about errors.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use waypost_engine::ports::{BlobInfo, Sha256Hex};
use waypost_planted::{Bug, is_planted};

use crate::CHUNK_BYTES;

/// Bytes still to be written: those that were gathered, then those just handed over.
pub(crate) type Pending = (Vec<u8>, Bytes);

/// A file without its final name. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Unfinished {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    size: u64,
    renamed: bool,
}

impl Unfinished {
    /// Makes an empty file that only this user can read.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, file, hasher: Sha256::new(), size: 0, renamed: false })
    }

    /// Appends bytes.
    pub(crate) fn append(&mut self, (gathered, handed): &Pending) -> io::Result<()> {
        for part in [&gathered[..], &handed[..]] {
            self.file.write_all(part)?;
            self.hasher.update(part);
            self.size += part.len() as u64;
        }
        Ok(())
    }

    /// Makes the bytes durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        if is_planted(Bug::MediaNotSynced) {
            return Ok(());
        }
        self.file.sync_all()
    }

    /// What was written so far.
    pub(crate) fn info(&self) -> BlobInfo {
        let digest = self.hasher.clone().finalize();
        BlobInfo { sha256: Sha256Hex::from_digest(&digest), size: self.size }
    }

    /// Gives the file its final name. A file of that name has the same content and is replaced.
    pub(crate) fn rename(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.renamed {
            // What cannot be removed now is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a folder that only this user can enter; nothing happens where it exists.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Reads the next chunk of a file of which `left` bytes are still to come; never an empty one.
pub(crate) fn read_chunk(file: &mut File, left: u64) -> io::Result<Bytes> {
    let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK_BYTES);
    let mut chunk = vec![0; wanted];
    file.read_exact(&mut chunk)?;
    Ok(Bytes::from(chunk))
}
