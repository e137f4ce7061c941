//! The rows of attempts: finding those whose outcome is open or may have been, and closing them.

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::message::AttemptOutcome;
use waypost_domain::{AttemptId, Timestamp, UpstreamFault};

use crate::codes;
use crate::fault::Done;
use crate::rows::to_json;

/// One attempt.
pub(super) struct AttemptRow {
    pub(super) message: i64,
    pub(super) number: u32,
    pub(super) outcome: AttemptOutcome,
    /// The message's own row holds it.
    pub(super) is_latest: bool,
}

/// An attempt that is not known to have been sent, by the id in its token.
pub(super) fn find_not_sent(conn: &Connection, id: AttemptId) -> Done<Option<AttemptRow>> {
    let found = conn
        .prepare_cached(
            "SELECT seq, attempts, attempt_outcome, 1 FROM messages
                 WHERE attempt = ?1 AND attempt_outcome <> 1
             UNION ALL SELECT message, number, outcome, 0 FROM former_attempts
                 WHERE id = ?1 AND outcome <> 1",
        )?
        .query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((message, number, outcome, is_latest)) = found else { return Ok(None) };
    let outcome = codes::read_outcome(outcome)?;
    Ok(Some(AttemptRow { message, number, outcome, is_latest }))
}

/// Attempts without an outcome.
pub(super) fn open(conn: &Connection) -> Done<Vec<AttemptRow>> {
    let mut select = conn.prepare_cached(
        "SELECT seq, attempts, 1 FROM messages INDEXED BY messages_not_sent
             WHERE attempt_outcome = 0 AND attempt_outcome <> 1
         UNION ALL SELECT message, number, 0 FROM former_attempts INDEXED BY former_attempts_not_sent
             WHERE outcome = 0 AND outcome <> 1",
    )?;
    let rows = select.query_map([], |row| {
        Ok(AttemptRow {
            message: row.get(0)?,
            number: row.get(1)?,
            outcome: AttemptOutcome::Open,
            is_latest: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn close(
    conn: &Connection,
    attempt: &AttemptRow,
    outcome: AttemptOutcome,
    fault: Option<&UpstreamFault>,
    now: Timestamp,
) -> Done<()> {
    let fault = fault.map(to_json).transpose()?;
    let sql = if attempt.is_latest {
        "UPDATE messages SET attempt_outcome = ?3, attempt_fault = ?4, attempt_ended_at = ?5
         WHERE seq = ?1 AND attempts = ?2"
    } else {
        "UPDATE former_attempts SET outcome = ?3, fault = ?4, ended_at = ?5
         WHERE message = ?1 AND number = ?2"
    };
    conn.prepare_cached(sql)?.execute(params![
        attempt.message,
        attempt.number,
        codes::outcome(outcome),
        fault,
        now.0
    ])?;
    Ok(())
}
