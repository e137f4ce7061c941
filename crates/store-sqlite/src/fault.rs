//! What can go wrong inside a job, and whom it hits: the job alone, all jobs that were to be
//! committed with it, or the store for good.

use rusqlite::ErrorCode;
use rusqlite::ffi;
use waypost_engine::ports::StoreError;

/// A failure inside a job or a look-up.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Found by our own rules.
    Store(StoreError),
    /// Found by SQLite.
    Sqlite(rusqlite::Error),
}

pub(crate) type Done<T> = Result<T, Fault>;

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// A stored value that is none of those that are ever written.
pub(crate) fn corrupt(what: &str) -> Fault {
    let text = format!(
        "a stored {what} cannot be understood; the database is damaged: restore a backup (`waypost restore`)"
    );
    Fault::Store(damaged(text))
}

/// Told here: who meets it may only see that something failed, and all else goes on.
fn damaged(text: String) -> StoreError {
    tracing::error!(error = text, "the store cannot use something that is stored");
    StoreError::Damaged(text)
}

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only the job that met it.
    Job,
    /// Everything in the same transaction; the next one may succeed.
    Group,
    /// The same, because the disk is full.
    Room,
    /// Nothing may be written any more.
    Store,
}

impl Fault {
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::Store(_) => Reach::Job,
            Self::Sqlite(error) => reach(error),
        }
    }

    pub(crate) fn into_store_error(self) -> StoreError {
        let error = match self {
            Self::Store(error) => return error,
            Self::Sqlite(error) => error,
        };
        match reach(&error) {
            Reach::Group | Reach::Room => StoreError::Unavailable(error.to_string()),
            Reach::Store => StoreError::Broken(with_remedy(&error)),
            Reach::Job => constraint(&error),
        }
    }
}

/// What to do about a damaged database is told with it.
fn with_remedy(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            format!("{error}; the database is damaged: restore a backup (`waypost restore`)")
        }
        _ => error.to_string(),
    }
}

/// How much an error hits.
pub(crate) fn reach(error: &rusqlite::Error) -> Reach {
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return Reach::Job };
    match failure.code {
        // The index of the log could not grow: on a small file system the same as a full disk.
        ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
            Reach::Room
        }
        ErrorCode::DiskFull => Reach::Room,
        ErrorCode::OutOfMemory | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Reach::Group
        }
        ErrorCode::SystemIoFailure
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::ReadOnly
        | ErrorCode::CannotOpen
        | ErrorCode::FileLockingProtocolFailed => Reach::Store,
        _ => Reach::Job,
    }
}

/// A violated constraint says what is wrong: a key that is taken, or a row that should be named
/// and does not exist (its look-up gave NULL).
fn constraint(error: &rusqlite::Error) -> StoreError {
    match error {
        rusqlite::Error::SqliteFailure(failure, text) => match failure.extended_code {
            ffi::SQLITE_CONSTRAINT_NOTNULL => StoreError::NotFound,
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                StoreError::Conflict(taken_field(text.as_deref().unwrap_or_default()))
            }
            _ => damaged(error.to_string()),
        },
        rusqlite::Error::QueryReturnedNoRows => StoreError::NotFound,
        _ => damaged(error.to_string()),
    }
}

/// The last column in `UNIQUE constraint failed: customers.org, customers.phone`.
fn taken_field(text: &str) -> &'static str {
    let column = text.rsplit('.').next().unwrap_or_default().trim();
    ["phone_number_id", "secret_sha256", "public_name", "phone", "key"]
        .into_iter()
        .find(|field| *field == column)
        .unwrap_or("id")
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Type;

    use super::*;

    fn failure(extended_code: i32) -> Fault {
        Fault::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(extended_code), None))
    }

    #[test]
    fn a_full_disk_hits_the_group_and_a_failing_one_the_store() {
        for (code, expected) in [
            (ffi::SQLITE_FULL, Reach::Room),
            (ffi::SQLITE_IOERR_SHMSIZE, Reach::Room),
            (ffi::SQLITE_NOMEM, Reach::Group),
            (ffi::SQLITE_IOERR_FSYNC, Reach::Store),
            (ffi::SQLITE_IOERR_WRITE, Reach::Store),
            (ffi::SQLITE_CORRUPT, Reach::Store),
            (ffi::SQLITE_READONLY_DBMOVED, Reach::Store),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, Reach::Job),
        ] {
            assert_eq!(failure(code).reach(), expected, "{code}");
        }
    }

    #[test]
    fn the_store_has_failed_only_where_nothing_may_be_written_any_more() {
        let unread = rusqlite::Error::InvalidColumnType(0, "id".to_owned(), Type::Blob);
        for (fault, expected) in [
            (failure(ffi::SQLITE_IOERR_FSYNC), true),
            (failure(ffi::SQLITE_FULL), false),
            (failure(ffi::SQLITE_CONSTRAINT_CHECK), false),
            (Fault::Sqlite(unread), false),
            (corrupt("status"), false),
        ] {
            assert_eq!(fault.reach() == Reach::Store, expected, "{fault:?}");
            let error = fault.into_store_error();
            assert_eq!(matches!(error, StoreError::Broken(_)), expected, "{error}");
        }
    }

    #[test]
    fn a_taken_key_is_named() {
        for (text, field) in [
            ("UNIQUE constraint failed: customers.org, customers.phone", "phone"),
            ("UNIQUE constraint failed: numbers.phone_number_id", "phone_number_id"),
            ("UNIQUE constraint failed: users.org, users.id", "id"),
        ] {
            assert_eq!(taken_field(text), field);
        }
    }
}
