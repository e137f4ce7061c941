//! A database that comes from a backup: it is checked before anything trusts it, and what waited to
//! be sent when the backup was made is held back, because it may have been sent since. The operator
//! lets it go.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use waypost_domain::message::AttemptOutcome;
use waypost_domain::{BroadcastId, ErrorKind, Failure, MessageId, OrgId, Status, Timestamp};
use waypost_engine::ports::{HeldBack, Pruned, StoreError};

use super::state::State;
use super::{attempt_rows, parts, queue};
use crate::fault::{Done, Fault};
use crate::open::OpenError;
use crate::{Options, open};

/// Messages let go in one job.
const MESSAGES_PER_JOB: i64 = 200;
/// Faults of a damaged database that are told.
const MAX_FAULTS: u32 = 5;

/// Why a restored database is not used.
#[derive(Debug, thiserror::Error)]
pub enum RestoredError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is damaged.
    #[error("{} is damaged ({faults}); use another backup", .path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        faults: String,
    },
    /// It cannot be worked with.
    #[error("{}: {why}", .path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// What went wrong.
        why: StoreError,
    },
}

/// Checks a database that nobody has open, and brings it to this program's layout. With an instant,
/// that of the backup, what waited to be sent is held back. Returns what is held back.
///
/// # Errors
/// It is damaged, made by a newer version, or cannot be written.
pub fn prepare_restored(
    path: &Path,
    held_back_since: Option<Timestamp>,
    now: Timestamp,
) -> Result<HeldBack, RestoredError> {
    check_integrity(path)?;
    let conn = open::writer(path, &Options::default())?;
    let prepare = || -> Done<HeldBack> {
        parts::enter_all(&conn)?;
        if let Some(since) = held_back_since {
            hold_back(&conn, since, now)?;
        }
        let held = held_back(&conn)?;
        // What was written must not stay in a log beside the database.
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(held)
    };
    prepare().map_err(|fault: Fault| RestoredError::Failed {
        path: path.to_owned(),
        why: fault.into_store_error(),
    })
}

/// Reads every page and every index of a database that nobody has open.
///
/// # Errors
/// It is damaged, or cannot be read.
fn check_integrity(path: &Path) -> Result<(), RestoredError> {
    let found = || -> rusqlite::Result<Vec<String>> {
        let conn = Connection::open(path)?;
        let mut check = conn.prepare(&format!("PRAGMA integrity_check({MAX_FAULTS})"))?;
        let lines = check.query_map([], |row| row.get(0))?;
        lines.collect()
    };
    let faults = found().unwrap_or_else(|error| vec![error.to_string()]);
    if faults == ["ok"] {
        return Ok(());
    }
    Err(RestoredError::Damaged { path: path.to_owned(), faults: faults.join("; ") })
}

fn hold_back(conn: &Connection, since: Timestamp, now: Timestamp) -> Done<()> {
    let text = format!(
        "Restored from a backup of {}: the message waited to be sent then, and may have been sent \
         since.",
        since.rfc3339()
    );
    let failure = Failure::new(ErrorKind::OutcomeUnknown, text);
    let transaction = conn.unchecked_transaction()?;
    for attempt in attempt_rows::open(&transaction)? {
        attempt_rows::close(&transaction, &attempt, AttemptOutcome::Unknown, None, now)?;
    }
    let waiting = [
        "SELECT seq FROM whole_queue",
        "SELECT seq FROM messages WHERE synchronous = 1 AND status = 0",
        "SELECT seq FROM messages WHERE status = 1",
    ];
    for sql in waiting {
        for seq in seqs(&transaction, sql)? {
            hold_back_one(&transaction, seq, &failure, now)?;
        }
    }
    for sql in [
        "INSERT OR IGNORE INTO restored_messages (message)
         SELECT seq FROM messages WHERE resend_at IS NOT NULL",
        "UPDATE messages SET resend_at = NULL WHERE resend_at IS NOT NULL",
    ] {
        transaction.execute(sql, [])?;
    }
    hold_back_broadcasts(&transaction)?;
    Ok(transaction.commit()?)
}

fn hold_back_one(conn: &Connection, seq: i64, failure: &Failure, now: Timestamp) -> Done<()> {
    let state = State::by_seq(conn, seq)?.ok_or(StoreError::NotFound)?;
    if !matches!(state.status, Status::Queued | Status::Sending) {
        return Ok(());
    }
    state.end(conn, Status::Unknown, Some(failure), now)?;
    conn.prepare_cached("UPDATE messages SET due = 0 WHERE seq = ?1")?.execute([seq])?;
    conn.prepare_cached("INSERT OR IGNORE INTO restored_messages (message) VALUES (?1)")?
        .execute([seq])?;
    Ok(())
}

/// Broadcasts are held back as a whole: who of them was reached since is not known either.
fn hold_back_broadcasts(conn: &Connection) -> Done<()> {
    for sql in [
        "INSERT OR IGNORE INTO restored_broadcasts (broadcast)
         SELECT ref FROM broadcasts WHERE state = 0 AND waiting = 1",
        "UPDATE messages SET possible_duplicate = 1
         WHERE status = 0 AND broadcast IN (SELECT broadcast FROM restored_broadcasts)",
        "UPDATE broadcasts SET state = 1 WHERE ref IN (SELECT broadcast FROM restored_broadcasts)",
    ] {
        conn.execute(sql, [])?;
    }
    Ok(())
}

/// What is held back.
pub(crate) fn held_back(conn: &Connection) -> Done<HeldBack> {
    let messages: i64 = conn
        .prepare_cached("SELECT count(*) FROM restored_messages")?
        .query_row([], |row| row.get(0))?;
    let mut select = conn.prepare_cached(
        "SELECT o.id, b.id FROM restored_broadcasts r JOIN broadcasts b ON b.ref = r.broadcast
         JOIN orgs o ON o.ref = b.org WHERE b.state = 1 ORDER BY b.ref",
    )?;
    let rows = select.query_map([], |row| {
        Ok((OrgId::new(row.get::<_, String>(0)?), BroadcastId::from_bytes(row.get(1)?)))
    })?;
    Ok(HeldBack {
        messages: u64::try_from(messages).unwrap_or(0),
        broadcasts: rows.collect::<rusqlite::Result<_>>()?,
    })
}

/// A message's place; its organisation and id, where it is still unknown.
type Held = (i64, Option<(String, [u8; 16])>);

/// Lets some of the messages go. One that a status has settled meanwhile, or that was sent again
/// already, stays as it is.
pub(crate) fn resume_some(conn: &Connection, now: Timestamp) -> Done<Pruned> {
    let held: Vec<Held> = {
        let mut select = conn.prepare_cached(
            "SELECT r.message, o.id, m.id FROM restored_messages r
             LEFT JOIN messages m ON m.seq = r.message AND m.status = 6
             LEFT JOIN orgs o ON o.ref = m.org
             ORDER BY r.message LIMIT ?1",
        )?;
        let rows = select.query_map([MESSAGES_PER_JOB], |row| {
            let org: Option<String> = row.get(1)?;
            let id: Option<[u8; 16]> = row.get(2)?;
            Ok((row.get(0)?, org.zip(id)))
        })?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let mut resumed = 0;
    for (seq, message) in &held {
        if let Some((org, id)) = message {
            let (org, id) = (OrgId::new(org.clone()), MessageId::from_bytes(*id));
            let only = Some(Status::Unknown);
            if queue::requeue(conn, &org, id, only, now)? {
                conn.prepare_cached("UPDATE messages SET possible_duplicate = 1 WHERE seq = ?1")?
                    .execute([seq])?;
                resumed += 1;
            }
        }
        conn.prepare_cached("DELETE FROM restored_messages WHERE message = ?1")?.execute([seq])?;
    }
    Ok(Pruned { deleted: resumed, next: held.last().map(|(seq, _)| *seq) })
}

/// Holds nothing back any more.
pub(crate) fn forget(conn: &Connection) -> Done<()> {
    conn.prepare_cached("DELETE FROM restored_messages")?.execute([])?;
    conn.prepare_cached("DELETE FROM restored_broadcasts")?.execute([])?;
    Ok(())
}

fn seqs(conn: &Connection, sql: &str) -> Done<Vec<i64>> {
    let mut select = conn.prepare(sql)?;
    let rows = select.query_map(params![], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
