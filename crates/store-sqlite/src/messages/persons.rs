//! Messages by person: a table that follows behind the log. Filling it in with many messages at once
//! and in the order of phone numbers costs a fraction of an index that every message would touch.

use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::fault::Done;

/// How far the table may lag behind the log; a reader looks through so many messages besides.
const MESSAGES_BEHIND: i64 = 4_096;
/// Messages entered at once.
const MESSAGES_PER_RUN: i64 = 8_192;

/// Brings the table nearer to the log where it lags. The writer calls it between two groups.
pub(crate) fn catch_up(conn: &Connection) -> Done<()> {
    let (mark, last): (i64, i64) = conn
        .prepare_cached(
            "SELECT seq, coalesce((SELECT max(seq) FROM messages), 0) FROM person_messages_mark",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if last - mark < MESSAGES_BEHIND {
        return Ok(());
    }
    let until = last.min(mark + MESSAGES_PER_RUN);
    let transaction = conn.unchecked_transaction()?;
    transaction
        .prepare_cached(
            "INSERT INTO person_messages (phone, message)
             SELECT phone, seq FROM messages WHERE seq > ?1 AND seq <= ?2 ORDER BY phone, seq",
        )?
        .execute(params![mark, until])?;
    transaction.prepare_cached("UPDATE person_messages_mark SET seq = ?1")?.execute([until])?;
    Ok(transaction.commit()?)
}

/// Takes a message out, before it is deleted.
pub(super) fn remove(conn: &Connection, seq: i64) -> Done<()> {
    conn.prepare_cached(
        "DELETE FROM person_messages WHERE message = ?1
             AND phone = (SELECT phone FROM messages WHERE seq = ?1)",
    )?
    .execute([seq])?;
    Ok(())
}

/// The places of deleted messages at the end of the log are used again: the mark must not be
/// beyond them. Called after deletions.
pub(super) fn draw_back_mark(conn: &Connection) -> Done<()> {
    conn.prepare_cached(
        "UPDATE person_messages_mark
         SET seq = min(seq, coalesce((SELECT max(seq) FROM messages), 0))",
    )?
    .execute([])?;
    Ok(())
}

/// A condition on `m.seq` that picks the messages of these numbers, with its values.
pub(super) fn condition(phones: &[String]) -> (String, Vec<Value>) {
    let places = vec!["?"; phones.len()].join(", ");
    let sql = format!(
        "m.seq IN (SELECT message FROM person_messages WHERE phone IN ({places})
             UNION ALL SELECT seq FROM messages
             WHERE seq > (SELECT seq FROM person_messages_mark) AND phone IN ({places}))"
    );
    let twice = phones.iter().chain(phones).cloned().map(Value::from);
    (sql, twice.collect())
}
