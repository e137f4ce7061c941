//! Looking at a database from outside, without changing a byte of it or beside it: what would keep a
//! gateway from starting on it.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::log_check::beside;
use crate::migrations;
use crate::open::{self, OpenError};

/// How long pages are looked at; a large database is then taken as far as it was seen.
const LONGEST_LOOK: Duration = Duration::from_secs(5);
/// Steps of SQLite's between two looks at the time.
const STEPS_PER_LOOK: std::ffi::c_int = 10_000;

/// How a database was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Examined {
    /// There is none, or an empty file.
    Absent,
    /// A gateway has it open.
    InUse,
    /// Nothing is known that keeps a gateway from starting on it.
    Sound,
}

/// Looks at a database.
///
/// # Errors
/// As [`SqliteStore::open`](crate::SqliteStore::open) would fail: another program or a newer version
/// wrote it, it is damaged, or this user cannot write it.
pub fn examine(path: &Path) -> Result<Examined, OpenError> {
    let unreadable = |path: &Path, why| OpenError::Folder { path: path.to_owned(), why };
    let lock = beside(path, ".lock");
    if is_held(&lock).map_err(|why| unreadable(&lock, why))? {
        return Ok(Examined::InUse);
    }
    if bytes_of(path).map_err(|why| unreadable(path, why))? == 0 {
        return Ok(Examined::Absent);
    }
    open::check_writable(path)?;
    open::check_log(path)?;
    let failed = |source| open::failure(path, source);
    let mut conn = immutable(path).map_err(failed)?;
    open::check_layout(path, &conn, migrations::version(&conn).map_err(failed)?)?;
    let log = beside(path, "-wal");
    // Pages that a log goes on with need not fit together without it.
    if bytes_of(&log).map_err(|why| unreadable(&log, why))? == 0 {
        check_pages(path, &mut conn)?;
    }
    Ok(Examined::Sound)
}

/// A setting of a database that no gateway has open. `None` where it has none, or where that cannot be
/// read without the log beside it.
#[must_use]
pub fn setting(path: &Path, name: &str) -> Option<String> {
    if is_held(&beside(path, ".lock")).unwrap_or(true) {
        return None;
    }
    let sql = "SELECT value FROM settings WHERE name = ?1";
    immutable(path).ok()?.query_row(sql, [name], |row| row.get(0)).ok()
}

fn is_held(lock: &Path) -> io::Result<bool> {
    let file = match File::open(lock) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn bytes_of(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(about) => Ok(about.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Any other way of opening makes files beside it, owned by whoever looks.
fn immutable(path: &Path) -> rusqlite::Result<Connection> {
    let mut address = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => address.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => address.push(char::from(*byte)),
            byte => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn check_pages(path: &Path, conn: &mut Connection) -> Result<(), OpenError> {
    let began = Instant::now();
    let mut check = || -> rusqlite::Result<String> {
        conn.progress_handler(STEPS_PER_LOOK, Some(move || began.elapsed() > LONGEST_LOOK))?;
        conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
    };
    let why = match check() {
        Ok(found) if found == "ok" => return Ok(()),
        Ok(found) => found,
        Err(error) => match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::OperationInterrupted) => return Ok(()),
            _ => return Err(open::failure(path, error)),
        },
    };
    Err(OpenError::Damaged { path: path.to_owned(), why })
}
