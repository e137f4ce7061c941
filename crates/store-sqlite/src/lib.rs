//! The SQLite engine behind the store's ports: one file, one writer with group commit, a few
//! readers. Only this crate knows its tables.
//!
//! Every call that writes returns after the sync that made it durable. What it keeps in memory
//! (`memory.rs`) can be read again from the database. It decides nothing that a port does not say.

mod broadcast_rows;
mod broadcasts;
mod callbacks;
mod calls;
mod codes;
mod customers;
mod digest;
mod directory;
mod events;
mod examine;
mod fault;
mod flows;
mod idempotency;
mod inbox;
mod inline;
mod joins;
mod log_check;
mod media;
mod memory;
mod messages;
mod migrations;
mod open;
mod opt_outs;
mod queues;
mod readers;
mod recipients;
mod refs;
mod retention;
mod rows;
mod scoped_ids;
mod snapshot;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::watch;

pub use examine::{Examined, examine, setting};
pub use inline::{MemoryDisk, Moment, Turns};
pub use messages::restored::{RestoredError, prepare_restored};
pub use open::OpenError;

use fault::{Done, Fault};
use inline::Inline;
use memory::Memory;
use messages::behind::Behind;
use readers::Readers;
use writer::Writer;

/// The SQLite library in this build, such as `3.54.1`.
#[must_use]
pub fn library_version() -> &'static str {
    rusqlite::version()
}

/// Whether that library can be trusted with a database; opening one asks the same.
///
/// # Errors
/// [`OpenError::Library`].
pub fn check_library_version() -> Result<(), OpenError> {
    open::check_library(rusqlite::version_number(), rusqlite::version())
}

/// The number of the layout that this program knows: it reads no higher one.
#[must_use]
pub fn known_layout() -> u32 {
    u32::try_from(migrations::known_version()).unwrap_or(u32::MAX)
}

/// How to open a database.
#[derive(Clone, Debug)]
pub struct Options {
    /// Page cache of the writing connection, in KiB.
    pub cache_kib: u32,
    /// The largest size that the database may have, in pages of 4 KiB. Beyond it, it behaves as on
    /// a full disk. `None`: the disk's.
    pub max_pages: Option<u32>,
}

/// 4 MiB of cache, no limit.
impl Default for Options {
    fn default() -> Self {
        Self { cache_kib: 4_096, max_pages: None }
    }
}

/// An open database. Dropping it finishes what was begun and frees the lock.
pub struct SqliteStore {
    // Dropped in this order: the writer is the last to close the database and folds the log into
    // it, and the lock outlives both.
    readers: Readers,
    writer: Writer,
    memory: Arc<Memory>,
    path: PathBuf,
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens a database, making it where it does not exist. Blocks for a few milliseconds.
    ///
    /// # Errors
    /// Another process has it, another program or a newer version wrote it, the folder or the disk
    /// refuses, or a setting that durability depends on did not take.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let lock = open::lock(path)?;
        // What an earlier process left of a copy.
        let _ = std::fs::remove_file(snapshot::scratch_file(path));
        let mut conn = open::writer(path, options)?;
        let readers = Readers::open(path)?;
        let failed = |why| OpenError::Sqlite { path: path.to_owned(), why };
        messages::parts::enter_all(&conn).map_err(|fault| unentered(path, fault))?;
        let memory = Memory::load(&mut conn).map_err(failed)?;
        let written = Arc::clone(&memory);
        let upkeep = upkeep(&memory);
        let copying = open::copier(path)?;
        let writer =
            Writer::start(conn, copying, move |is_committed| written.tell(is_committed), upkeep)
                .map_err(|why| OpenError::Folder { path: path.to_owned(), why })?;
        Ok(Self { readers, writer, memory, path: path.to_owned(), _lock: Some(lock) })
    }

    /// Opens a store without threads on a database in memory, for simulations: `turns` decides who
    /// goes on at each step. A store that was opened on it before must not be used any more.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn in_memory(disk: &MemoryDisk, turns: Arc<dyn Turns>) -> Result<Self, OpenError> {
        let inline = Inline::new(disk.clone(), turns);
        let unentered = |fault| unentered(Path::new(":memory:"), fault);
        messages::parts::enter_all(&disk.connection()).map_err(unentered)?;
        let memory = Memory::load(&mut disk.connection()).map_err(open::memory_failure)?;
        let written = Arc::clone(&memory);
        let upkeep = upkeep(&memory);
        let writer =
            Writer::inline(inline.clone(), move |is_committed| written.tell(is_committed), upkeep);
        let readers = Readers::inline(inline);
        Ok(Self { readers, writer, memory, path: PathBuf::new(), _lock: None })
    }

    /// Shows why the store takes no more writes, once that is so: the process should then end with
    /// an error and be started again.
    #[must_use]
    pub fn broken(&self) -> watch::Receiver<Option<String>> {
        self.writer.broken()
    }

    /// How many transactions have been committed since the start.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    /// How many writes wait for the writer.
    #[must_use]
    pub fn waiting_writes(&self) -> usize {
        self.writer.waiting()
    }
}

/// Messages that were accepted could not be entered.
fn unentered(path: &Path, fault: Fault) -> OpenError {
    match fault {
        Fault::Sqlite(why) => open::failure(path, why),
        Fault::Store(why) => OpenError::Damaged { path: path.to_owned(), why: why.to_string() },
    }
}

/// What the writer does for the tables in its transactions. What fails of it is undone.
fn upkeep(memory: &Arc<Memory>) -> impl FnMut(&Connection) -> Done<()> + Send + use<> {
    let (mut behind, memory) = (Behind::default(), Arc::clone(memory));
    move |conn| {
        behind.catch_up(conn)?;
        memory.wamids.catch_up(conn)?;
        messages::parts::enter_left(conn, &memory.has_parts)
    }
}
