//! A copy of the database as it was at one instant, made while work goes on. A reader holds the
//! instant, so that nothing that is written meanwhile makes the copy begin anew, and the writer is
//! never waited for nor kept waiting.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use parking_lot::Mutex;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, params};
use tokio::task::spawn_blocking;
use waypost_domain::Timestamp;
use waypost_engine::ports::{
    BackupStore, BlobStream, HeldBack, Pruned, Sha256Hex, Snapshot, StoreError, StoreResult,
};
use waypost_planted::{Bug, is_planted};

use crate::SqliteStore;
use crate::fault::{Done, Fault};
use crate::messages::restored;
use crate::migrations;
use crate::open;
use crate::writer::Work;

/// Pages copied before the copy is synced: 8 MiB. Were more of it waiting to be written, the
/// writer's own syncs would wait for it too.
const PAGES_PER_STEP: i32 = 2_048;
/// Rest between two steps, so that others get at the disk.
const REST: Duration = Duration::from_millis(2);
/// The longest piece in which the copy is read, in bytes.
const CHUNK_BYTES: u64 = 256 * 1_024;

#[async_trait]
impl BackupStore for SqliteStore {
    async fn snapshot(&self) -> StoreResult<Box<dyn Snapshot>> {
        let spared = self.writer.spare_readers();
        let abandoned = Abandoned::default();
        let (path, flag) = (self.path.clone(), Arc::clone(&abandoned.0));
        let copied = spawn_blocking(move || {
            let copied = copy(&path, &flag);
            drop(spared);
            copied
        })
        .await;
        let copied = copied.map_err(|_| StoreError::Unavailable("shutting down".to_owned()))?;
        Ok(Box::new(copied.map_err(Fault::into_store_error)?))
    }

    async fn held_back(&self) -> StoreResult<HeldBack> {
        self.readers.list(restored::held_back).await
    }

    async fn resume_held_back(&self, now: Timestamp) -> StoreResult<Pruned> {
        self.writer.run(Work::Known, move |conn| restored::resume_some(conn, now)).await
    }

    async fn forget_held_back(&self) -> StoreResult<()> {
        self.writer.run(Work::Known, restored::forget).await
    }
}

/// Says that nobody waits for the copy any more, once it is dropped.
#[derive(Default)]
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where the copy is made.
pub(crate) fn scratch_file(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".snapshot");
    PathBuf::from(path)
}

/// The copy's file has no name any more: it is gone when it is closed.
struct Copied {
    file: Arc<File>,
    size: u64,
    layout: u32,
    conn: Arc<Mutex<Connection>>,
}

/// Removes the copy's name, whatever becomes of it.
struct Named<'a>(&'a Path);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        let _ = std::fs::remove_file(self.0);
    }
}

fn copy(database: &Path, abandoned: &AtomicBool) -> Done<Copied> {
    let path = scratch_file(database);
    let _ = std::fs::remove_file(&path);
    let _named = Named(&path);
    if is_planted(Bug::BackupSkipsWal) {
        std::fs::copy(database, &path).map_err(|error| unreadable(&error))?;
    } else {
        copy_pages(database, &path, abandoned)?;
    }
    let file = File::open(&path).map_err(|error| unreadable(&error))?;
    let size = file.metadata().map_err(|error| unreadable(&error))?.len();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let conn = Connection::open_with_flags(immutable_uri(&path), flags)?;
    let layout = u32::try_from(migrations::version(&conn)?).unwrap_or(u32::MAX);
    Ok(Copied { file: Arc::new(file), size, layout, conn: Arc::new(Mutex::new(conn)) })
}

fn copy_pages(database: &Path, path: &Path, abandoned: &AtomicBool) -> Done<()> {
    let source = open::reader(database).map_err(|error| {
        StoreError::Unavailable(format!("the database cannot be read for a copy: {error}"))
    })?;
    let snapshot = source.unchecked_transaction()?;
    // The first look decides which instant is read from here on.
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let mut target = Connection::open(path)?;
    target.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2048;",
    )?;
    let synced = File::open(path).map_err(|error| unreadable(&error))?;
    let backup = Backup::new(&snapshot, &mut target)?;
    while backup.step(PAGES_PER_STEP)? != StepResult::Done {
        if abandoned.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the copy was abandoned".to_owned()).into());
        }
        synced.sync_data().map_err(|error| unreadable(&error))?;
        std::thread::sleep(REST);
    }
    Ok(())
}

/// A failure of the copy's own file is no failure of the database.
fn unreadable(error: &io::Error) -> Fault {
    StoreError::Unavailable(format!("the copy of the database: {error}")).into()
}

/// The copy needs neither locks nor a log.
fn immutable_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for char in path.to_string_lossy().chars() {
        match char {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            char => uri.push(char),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[async_trait]
impl Snapshot for Copied {
    fn size(&self) -> u64 {
        self.size
    }

    fn layout(&self) -> u32 {
        self.layout
    }

    fn read(&self) -> StoreResult<BlobStream> {
        let start = (Arc::clone(&self.file), 0, self.size);
        Ok(Box::pin(stream::try_unfold(start, |(file, at, size)| async move {
            if at >= size {
                return Ok(None);
            }
            let read = spawn_blocking(move || read_piece(&file, at, size).map(|it| (it, file)));
            let (piece, file) = read.await.map_err(io::Error::other)??;
            let next = at + piece.len() as u64;
            Ok(Some((piece, (file, next, size))))
        })))
    }

    async fn contents(
        &self,
        after: Option<Sha256Hex>,
        limit: u32,
    ) -> StoreResult<Vec<(Sha256Hex, u64)>> {
        let conn = Arc::clone(&self.conn);
        let read = spawn_blocking(move || contents(&conn.lock(), after.as_ref(), limit));
        let read = read.await.map_err(|_| StoreError::Unavailable("shutting down".to_owned()))?;
        read.map_err(Fault::into_store_error)
    }
}

fn read_piece(mut file: &File, at: u64, size: u64) -> io::Result<Bytes> {
    let length = usize::try_from((size - at).min(CHUNK_BYTES)).unwrap_or(0);
    let mut piece = vec![0; length];
    file.seek(io::SeekFrom::Start(at))?;
    file.read_exact(&mut piece)?;
    Ok(Bytes::from(piece))
}

fn contents(
    conn: &Connection,
    after: Option<&Sha256Hex>,
    limit: u32,
) -> Done<Vec<(Sha256Hex, u64)>> {
    let mut select = conn.prepare_cached(
        "SELECT sha256, max(size) FROM media WHERE sha256 > ?1
         GROUP BY sha256 ORDER BY sha256 LIMIT ?2",
    )?;
    let after = after.map_or("", Sha256Hex::as_str);
    let rows = select.query_map(params![after, limit], |row| {
        let size: i64 = row.get(1)?;
        Ok((Sha256Hex::from_stored(row.get(0)?), u64::try_from(size).unwrap_or(0)))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
