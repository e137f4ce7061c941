//! A broadcast's row as its members need it: whether it runs, and whether any of them wait.

use rusqlite::Connection;
use waypost_domain::message::BroadcastState;

use crate::codes;
use crate::fault::Done;

/// Running broadcasts of a number that may have members waiting.
pub(crate) fn waiting(conn: &Connection, number: i64) -> Done<Vec<i64>> {
    let mut select = conn.prepare_cached(
        "SELECT ref FROM broadcasts WHERE number = ?1 AND waiting = 1 AND state = 0",
    )?;
    let rows = select.query_map([number], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A member is no longer queued; where it was the last one, the broadcast waits no more.
pub(crate) fn note_taken(conn: &Connection, broadcast: i64) -> Done<()> {
    conn.prepare_cached(
        "UPDATE broadcasts SET waiting = 0 WHERE ref = ?1 AND waiting = 1
             AND NOT EXISTS (SELECT 1 FROM messages WHERE broadcast = ?1 AND status = 0)",
    )?
    .execute([broadcast])?;
    Ok(())
}

/// A member is queued again.
pub(crate) fn note_waiting(conn: &Connection, broadcast: i64) -> Done<()> {
    conn.prepare_cached("UPDATE broadcasts SET waiting = 1 WHERE ref = ?1 AND waiting = 0")?
        .execute([broadcast])?;
    Ok(())
}

/// The state of a broadcast.
pub(crate) fn state(conn: &Connection, broadcast: i64) -> Done<BroadcastState> {
    let mut select = conn.prepare_cached("SELECT state FROM broadcasts WHERE ref = ?1")?;
    codes::read_broadcast_state(select.query_row([broadcast], |row| row.get(0))?)
}
