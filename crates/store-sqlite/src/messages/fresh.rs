//! The youngest part of the due queue: messages that were due when they came, in the order of
//! acceptance. The queue itself is ordered by number, so that each message would touch a page of its
//! own; these rows lie side by side and are moved into it many at once.

use rusqlite::{Connection, params};

use super::pacing::Standing;
use crate::fault::Done;

/// Rows that are moved at once. A look at a number's queue reads through as many besides.
const ROWS_MOVED: i64 = 1_024;

/// A new message is due.
pub(super) fn enter(conn: &Connection, seq: i64, number: i64, place: u8, org: i64) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO fresh_queue (seq, number, priority, org) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![seq, number, place, org])?;
    Ok(())
}

/// Takes a message out; false where it is not here.
pub(super) fn leave(conn: &Connection, seq: i64) -> Done<bool> {
    let left = conn.prepare_cached("DELETE FROM fresh_queue WHERE seq = ?1")?.execute([seq])?;
    Ok(left > 0)
}

/// A number's, in the order of their standing; only those before a place.
pub(super) fn of_number(conn: &Connection, number: i64, before: i64) -> Done<Vec<Standing>> {
    let mut select = conn.prepare_cached(
        "SELECT priority, org, seq FROM fresh_queue WHERE number = ?1 AND priority < ?2",
    )?;
    let rows =
        select.query_map([number, before], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut fresh: Vec<Standing> = rows.collect::<rusqlite::Result<_>>()?;
    fresh.sort_unstable();
    Ok(fresh)
}

/// Moves them into the queue once they are many.
pub(super) fn move_on(conn: &Connection) -> Done<()> {
    let mut count = conn.prepare_cached("SELECT count(*) FROM fresh_queue")?;
    let rows: i64 = count.query_row([], |row| row.get(0))?;
    if rows < ROWS_MOVED {
        return Ok(());
    }
    for sql in [
        "INSERT INTO queue (number, due, priority, org, seq)
         SELECT number, 0, priority, org, seq FROM fresh_queue
         ORDER BY number, priority, org, seq",
        "DELETE FROM fresh_queue",
    ] {
        conn.prepare_cached(sql)?.execute([])?;
    }
    Ok(())
}
