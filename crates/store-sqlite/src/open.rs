//! Opening: the lock against a second process, the settings without which nothing is durable, and
//! the refusal of what cannot be worked with. Every error is one line for the operator.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use waypost_planted::{Bug, is_planted};

use crate::Options;
use crate::fault::{Reach, reach};
use crate::log_check::{self, beside};
use crate::migrations;

/// Versions 3.7.0 to 3.51.2 can corrupt a write-ahead log when two connections write and
/// checkpoint at once.
const OLDEST_SQLITE: i32 = 3_051_003;
/// How long a connection waits for another one's lock, in milliseconds.
const BUSY_TIMEOUT_MS: u32 = 5_000;
/// What is left of the write-ahead log's file when it begins anew, in bytes: as much as it grows to.
/// A file that is cut off and grows again costs each sync a second write, of its new length.
const LOG_FILE_BYTES: u32 = 48 * 1_048_576;
/// Statements kept prepared on each connection; more than there are.
const PREPARED_STATEMENTS: usize = 160;
/// Page cache of each reading connection, in KiB.
const READER_CACHE_KIB: u32 = 2_048;

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process (its lock is held)", .0.display())]
    InUse(PathBuf),
    /// The folder does not exist, or it or a file in it cannot be written to.
    #[error("cannot write to {}: {why}", .path.display())]
    Folder {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// It was written by a newer version of this program.
    #[error(
        "{} was written by a newer version of Waypost (layout {found}, this one knows {known}): \
         use that version, or restore a backup",
        .path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its layout.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// It is another program's.
    #[error(
        "{} holds tables that are not Waypost's: name another file (setting database_url)",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The SQLite library is too old to be trusted with a write-ahead log.
    #[error("SQLite {0} is too old: 3.51.3 or later is needed")]
    Library(String),
    /// A setting that durability depends on did not take.
    #[error("SQLite's {name} is {found} and must be {wanted}")]
    Setting {
        /// The pragma.
        name: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The disk is full.
    #[error("cannot write to {}: the disk is full", .0.display())]
    Full(PathBuf),
    /// What was committed is not there any more, or no database.
    #[error("{} is damaged ({why}): restore a backup (`waypost restore`)", .path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// SQLite refuses.
    #[error("cannot open {}: {why}", .path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        why: rusqlite::Error,
    },
}

/// Takes the lock beside the database. It is held as long as the file lives, and the system frees
/// it when the process ends in whatever way.
pub(crate) fn lock(database: &Path) -> Result<File, OpenError> {
    let path = beside(database, ".lock");
    let folder = |why| OpenError::Folder { path: path.clone(), why };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(database.to_owned())),
        Err(TryLockError::Error(why)) => Err(folder(why)),
    }
}

/// Opens the one connection that writes, and brings the layout up to date.
pub(crate) fn writer(path: &Path, options: &Options) -> Result<Connection, OpenError> {
    check_library(rusqlite::version_number(), rusqlite::version())?;
    check_writable(path)?;
    check_log(path)?;
    let failed = |source| failure(path, source);
    let mut conn = Connection::open(path).map_err(failed)?;
    let found = migrations::version(&conn).map_err(failed)?;
    check_layout(path, &conn, found)?;
    configure_writer(&conn, options).map_err(failed)?;
    check_settings(&conn).map_err(failed)??;
    migrations::apply(&mut conn, found).map_err(failed)?;
    Ok(conn)
}

/// Opens the connection that copies the log into the database.
pub(crate) fn copier(path: &Path) -> Result<Connection, OpenError> {
    let open = || {
        let conn = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        conn.execute_batch(&format!(
            "PRAGMA busy_timeout = 0;
             PRAGMA synchronous = {synchronous};
             PRAGMA mmap_size = 0;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = {LOG_FILE_BYTES};",
            synchronous = synchronous().0,
        ))?;
        Ok(conn)
    };
    open().map_err(|source| failure(path, source))
}

/// Opens an empty database in memory, with the present layout.
pub(crate) fn in_memory() -> Result<Connection, OpenError> {
    let open = || {
        let mut conn = Connection::open_in_memory()?;
        configure_memory(&conn)?;
        migrations::apply(&mut conn, 0)?;
        Ok(conn)
    };
    open().map_err(memory_failure)
}

/// The settings of a database in memory: those that jobs depend on, none that a disk needs.
pub(crate) fn configure_memory(conn: &Connection) -> rusqlite::Result<()> {
    keep_plans(conn)?;
    conn.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    conn.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY;")
}

pub(crate) fn memory_failure(source: rusqlite::Error) -> OpenError {
    OpenError::Sqlite { path: PathBuf::from(":memory:"), why: source }
}

/// What is there must be writable. SQLite would only say that it cannot open it.
pub(crate) fn check_writable(database: &Path) -> Result<(), OpenError> {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let path = beside(database, suffix);
        match OpenOptions::new().read(true).write(true).open(&path) {
            Err(why) if why.kind() != ErrorKind::NotFound => {
                return Err(OpenError::Folder { path, why });
            }
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn check_layout(path: &Path, conn: &Connection, found: usize) -> Result<(), OpenError> {
    let known = migrations::known_version();
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    // The first tables come in one transaction with the layout's number.
    let has_tables = migrations::has_tables(conn).map_err(|source| failure(path, source))?;
    if found == 0 && has_tables {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    Ok(())
}

/// Nothing that was committed may have gone from the log.
pub(crate) fn check_log(path: &Path) -> Result<(), OpenError> {
    let damage =
        log_check::damage(path).map_err(|why| OpenError::Folder { path: path.to_owned(), why })?;
    let Some(damage) = damage.filter(|_| !is_planted(Bug::LogUnchecked)) else { return Ok(()) };
    let (readable, committed) = (damage.readable, damage.committed);
    let why = format!("of {committed} committed pages in its log, {readable} can be read");
    Err(OpenError::Damaged { path: path.to_owned(), why })
}

/// Opens a connection that reads.
pub(crate) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let conn = Connection::open_with_flags(path, flags)?;
        keep_plans(&conn)?;
        conn.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        conn.execute_batch(&format!(
            "PRAGMA busy_timeout = {BUSY_TIMEOUT_MS};
             PRAGMA mmap_size = 0;
             PRAGMA query_only = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -{READER_CACHE_KIB};"
        ))?;
        Ok(conn)
    };
    open().map_err(|source| failure(path, source))
}

/// Without it SQLite plans a statement anew whenever another value is bound where the value might
/// matter for an index: a third of what a send would cost. Conditions of partial indexes must
/// therefore stand in the statement as numbers, not as parameters.
fn keep_plans(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn configure_writer(conn: &Connection, options: &Options) -> rusqlite::Result<()> {
    keep_plans(conn)?;
    conn.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    // Rows name each other by rules that the jobs keep; SQLite's own checks would cost a look-up
    // for every row. The writer says when the log is copied.
    conn.execute_batch(&format!(
        "PRAGMA busy_timeout = {BUSY_TIMEOUT_MS};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = {synchronous};
         PRAGMA mmap_size = 0;
         PRAGMA foreign_keys = OFF;
         PRAGMA temp_store = MEMORY;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = {LOG_FILE_BYTES};
         PRAGMA cache_size = -{cache_kib};",
        synchronous = synchronous().0,
        cache_kib = options.cache_kib
    ))?;
    if let Some(pages) = options.max_pages {
        conn.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
    }
    Ok(())
}

/// How commits are synced, as a word and as SQLite's number for it.
fn synchronous() -> (&'static str, &'static str) {
    if is_planted(Bug::SyncNormal) { ("NORMAL", "1") } else { ("FULL", "2") }
}

pub(crate) fn check_library(number: i32, name: &str) -> Result<(), OpenError> {
    if number < OLDEST_SQLITE {
        return Err(OpenError::Library(name.to_owned()));
    }
    Ok(())
}

/// What durability depends on is read back: a pragma that does not take says nothing.
fn check_settings(conn: &Connection) -> rusqlite::Result<Result<(), OpenError>> {
    let wanted = [("journal_mode", "wal"), ("synchronous", synchronous().1), ("mmap_size", "0")];
    for (name, wanted) in wanted {
        let found = conn.query_row(&format!("PRAGMA {name}"), [], |row| {
            let value: rusqlite::types::Value = row.get(0)?;
            Ok(match value {
                rusqlite::types::Value::Text(text) => text,
                rusqlite::types::Value::Integer(number) => number.to_string(),
                other => format!("{other:?}"),
            })
        })?;
        if found != wanted {
            return Ok(Err(OpenError::Setting { name, wanted, found }));
        }
    }
    Ok(Ok(()))
}

pub(crate) fn failure(path: &Path, source: rusqlite::Error) -> OpenError {
    if reach(&source) == Reach::Room {
        return OpenError::Full(path.to_owned());
    }
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            OpenError::Damaged { path, why: source.to_string() }
        }
        _ => OpenError::Sqlite { path, why: source },
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn refuses_a_library_that_can_corrupt_the_log() {
        assert!(check_library(3_051_003, "3.51.3").is_ok());
        let refusal = check_library(3_051_002, "3.51.2").unwrap_err();
        assert_eq!(refusal.to_string(), "SQLite 3.51.2 is too old: 3.51.3 or later is needed");
    }

    #[test]
    fn a_disk_without_room_is_called_full_wherever_it_is_noticed() {
        use rusqlite::ffi::{self, SQLITE_FULL, SQLITE_IOERR_READ, SQLITE_IOERR_SHMSIZE};
        let full = |code| {
            let source = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            matches!(failure(Path::new("waypost.db"), source), OpenError::Full(_))
        };
        let codes = [SQLITE_FULL, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_READ];
        assert_eq!(codes.map(full), [true, true, false]);
    }

    #[test]
    fn a_statement_is_planned_once_however_often_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = writer(&path, &Options::default()).unwrap();
        let reader = reader(&path).unwrap();
        for (conn, sql) in [
            (
                &reader,
                "SELECT c.seq FROM customers c JOIN orgs o ON o.ref = c.org WHERE o.id = ?1 AND c.id = ?2",
            ),
            (&writer, "UPDATE messages SET status = ?1 WHERE seq = ?2"),
        ] {
            let mut statement = conn.prepare(sql).unwrap();
            for value in 0..20 {
                let mut rows = statement.query([value, value + 1]).unwrap();
                assert!(rows.next().unwrap().is_none());
            }
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
        }
    }

    #[test]
    fn refuses_settings_that_would_lose_messages() {
        let folder = tempfile::tempdir().unwrap();
        let conn = Connection::open(folder.path().join("a.db")).unwrap();
        configure_writer(&conn, &Options::default()).unwrap();
        check_settings(&conn).unwrap().unwrap();
        for (pragma, name) in [
            ("PRAGMA synchronous = NORMAL", "synchronous"),
            ("PRAGMA synchronous = FULL; PRAGMA mmap_size = 65536", "mmap_size"),
            ("PRAGMA mmap_size = 0; PRAGMA journal_mode = DELETE", "journal_mode"),
        ] {
            conn.execute_batch(pragma).unwrap();
            let refusal = check_settings(&conn).unwrap().unwrap_err().to_string();
            assert!(refusal.contains(name), "{refusal}");
        }
    }
}
