//! Writing one blob: small ones in one go at the end, large ones chunk by chunk.

use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use waypost_engine::ports::{BlobInfo, BlobWriter, StoreError, StoreResult};

use crate::file::{self, Pending, Unfinished};
use crate::{CHUNK_BYTES, Folder, blocking};

/// Gathers up to [`CHUNK_BYTES`] and writes them at once. A blob that fits into them touches the
/// disk in one piece of blocking work.
pub(crate) struct FileWriter {
    folder: Arc<Folder>,
    gathered: Vec<u8>,
    unfinished: Option<Unfinished>,
    failed: bool,
}

/// A step of a write that failed.
pub(crate) enum Step {
    Write(io::Error),
    Sync(io::Error),
}

impl FileWriter {
    pub(crate) fn new(folder: Arc<Folder>) -> Self {
        Self { folder, gathered: Vec::new(), unfinished: None, failed: false }
    }

    /// Writes what was gathered, and then `handed`.
    async fn flush(&mut self, handed: Bytes) -> StoreResult<()> {
        let pending = (std::mem::take(&mut self.gathered), handed);
        let (unfinished, folder) = (self.unfinished.take(), Arc::clone(&self.folder));
        // Until it has come back whole: a caller that gives up in between must not go on.
        self.failed = true;
        let written = blocking(move || append(unfinished, &folder, &pending)).await?;
        let unfinished = written.map_err(|error| self.folder.write_error(&error))?;
        self.unfinished = Some(unfinished);
        self.failed = false;
        Ok(())
    }

    fn check(&self) -> StoreResult<()> {
        if self.failed {
            let message = "an earlier write of this file failed".to_owned();
            return Err(StoreError::Unavailable(message));
        }
        self.folder.check()
    }
}

#[async_trait]
impl BlobWriter for FileWriter {
    async fn write(&mut self, chunk: Bytes) -> StoreResult<()> {
        self.check()?;
        if self.gathered.len() + chunk.len() > CHUNK_BYTES {
            return self.flush(chunk).await;
        }
        self.gathered.extend_from_slice(&chunk);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> StoreResult<BlobInfo> {
        self.check()?;
        let pending = (std::mem::take(&mut self.gathered), Bytes::new());
        let (unfinished, folder) = (self.unfinished.take(), Arc::clone(&self.folder));
        let finished = blocking(move || {
            let unfinished = append(unfinished, &folder, &pending).map_err(Step::Write)?;
            keep(unfinished, &folder)
        })
        .await?;
        finished.map_err(|step| self.folder.step_error(&step))
    }
}

fn append(
    unfinished: Option<Unfinished>,
    folder: &Folder,
    pending: &Pending,
) -> io::Result<Unfinished> {
    let mut unfinished = match unfinished {
        Some(unfinished) => unfinished,
        None => Unfinished::create(folder.unfinished_path())?,
    };
    unfinished.append(pending)?;
    Ok(unfinished)
}

/// Sync, rename, sync the folder: in this order, so that no name ever stands for less than all.
fn keep(unfinished: Unfinished, folder: &Folder) -> Result<BlobInfo, Step> {
    unfinished.sync().map_err(Step::Sync)?;
    let info = unfinished.info();
    let target = folder.path_of(&info.sha256).ok_or_else(|| {
        Step::Write(io::Error::other("a digest is always 64 lower-case hex digits"))
    })?;
    let parent = target.parent().unwrap_or(&folder.root);
    make_durable_folder(parent, &folder.root)?;
    unfinished.rename(&target).map_err(Step::Write)?;
    file::sync_folder(parent).map_err(Step::Sync)?;
    Ok(info)
}

fn make_durable_folder(path: &Path, root: &Path) -> Result<(), Step> {
    if path.is_dir() {
        return Ok(());
    }
    file::make_folder(path).map_err(Step::Write)?;
    file::sync_folder(root).map_err(Step::Sync)
}

#[cfg(test)]
mod tests {
    use waypost_engine::ports::BlobStore as _;

    use super::*;
    use crate::FileBlobs;

    const ENOSPC: i32 = 28;
    const EDQUOT: i32 = 122;
    const EIO: i32 = 5;
    const EMFILE: i32 = 24;

    #[test]
    fn no_room_passes_and_a_failed_disk_does_not() {
        let folder = tempfile::tempdir().unwrap();
        for (code, passes) in [(ENOSPC, true), (EDQUOT, true), (EMFILE, true), (EIO, false)] {
            let FileBlobs(blobs) = FileBlobs::open(folder.path()).unwrap();
            let error = blobs.write_error(&io::Error::from_raw_os_error(code));
            assert_eq!(matches!(error, StoreError::Unavailable(_)), passes, "{code}: {error}");
            assert_eq!(matches!(error, StoreError::Broken(_)), !passes, "{code}: {error}");
            assert!(blobs.check().is_ok(), "a failed write condemns its own file only");
        }
    }

    #[tokio::test]
    async fn without_room_no_file_is_taken_until_a_small_one_fits_again() {
        let folder = tempfile::tempdir().unwrap();
        for code in [ENOSPC, EDQUOT] {
            let blobs = FileBlobs::open(folder.path()).unwrap();
            let mut begun = blobs.create().await.unwrap();
            blobs.0.step_error(&Step::Sync(io::Error::from_raw_os_error(code)));
            assert!(*blobs.full().borrow(), "{code}");
            assert!(matches!(blobs.create().await, Err(StoreError::Unavailable(_))), "{code}");
            begun.write(Bytes::from_static(b"begun before")).await.unwrap();
            begun.finish().await.unwrap();
            blobs.try_room().await.unwrap();
            assert!(!*blobs.full().borrow(), "{code}");
            assert!(blobs.create().await.is_ok());
            let left = std::fs::read_dir(folder.path().join(crate::UNFINISHED)).unwrap();
            assert_eq!(left.count(), 0, "what was tried is taken away");
        }
    }

    #[test]
    fn after_a_failed_sync_nothing_more_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let FileBlobs(blobs) = FileBlobs::open(folder.path()).unwrap();
        let full = blobs.sync_error(&io::Error::from_raw_os_error(ENOSPC));
        assert!(matches!(full, StoreError::Unavailable(_)), "{full}");
        assert!(blobs.check().is_ok());
        let broken = blobs.sync_error(&io::Error::from_raw_os_error(EIO));
        assert!(matches!(broken, StoreError::Broken(_)), "{broken}");
        assert!(matches!(blobs.check(), Err(StoreError::Broken(_))));
    }
}
