//! Requests of many messages are entered in parts while others wait for the writer: with the first
//! part the rest is kept as it came, so that the request is accepted as a whole, and its other parts
//! are entered one by one, between the work of the others. What a crash leaves is entered at the
//! start.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::MessageId;
use waypost_planted::{Bug, is_planted};

use super::accept::{NewMessage, record};
use super::behind::all_or_nothing;
use super::under_way::UnderWay;
use crate::fault::{Done, Reach};
use crate::refs::SenderRefs;
use crate::rows::{from_json, to_json};
use crate::writer::{AT_ONCE, Crowd};

/// Keeps what is left of a request, which is named by its first message.
pub(super) fn keep(
    conn: &Connection,
    request: MessageId,
    rest: &[(SenderRefs, &NewMessage)],
) -> Done<()> {
    let mut insert = conn
        .prepare_cached("INSERT INTO request_parts (request, org, messages) VALUES (?1, ?2, ?3)")?;
    for part in rest.chunks(AT_ONCE) {
        insert.execute(params![request.as_bytes(), part[0].0.org, to_json(&part)?])?;
    }
    Ok(())
}

/// Enters kept parts of a request until somebody waits. Whether that was the last.
pub(super) fn enter_some(conn: &Connection, request: MessageId, crowd: &Crowd) -> Done<bool> {
    let sql = "SELECT seq, messages FROM request_parts WHERE request = ?1 ORDER BY seq LIMIT 1";
    let next = || first(conn, sql, params![request.as_bytes()]);
    let mut part = next()?;
    while let Some(entered) = part {
        enter(conn, &entered)?;
        part = next()?;
        if crowd.is_waiting() {
            break;
        }
    }
    Ok(part.is_none())
}

/// Enters what is left of all requests. Belongs to the start, before anybody reads.
pub(crate) fn enter_all(conn: &Connection) -> Done<()> {
    if is_planted(Bug::PartsForgotten) {
        return Ok(());
    }
    all_or_nothing(conn, |conn| {
        while let Some(part) = oldest(conn)? {
            enter(conn, &part)?;
        }
        Ok(())
    })
}

/// Enters the oldest part of all, if any are left that nobody enters.
pub(crate) fn enter_left(conn: &Connection, are_left: &AtomicBool) -> Done<()> {
    if !are_left.load(Ordering::Relaxed) {
        return Ok(());
    }
    let entered = all_or_nothing(conn, |conn| {
        let part = oldest(conn)?;
        part.as_ref().map_or(Ok(()), |part| enter(conn, part))?;
        Ok(part.is_some())
    });
    // What cannot be read is told once here, and again at the next start.
    let is_damaged = entered.as_ref().is_err_and(|fault| fault.reach() == Reach::Job);
    are_left.store(!is_damaged && *entered.as_ref().unwrap_or(&true), Ordering::Relaxed);
    entered.map(drop)
}

/// A kept part: its place, and its messages as JSON.
type Part = (i64, String);

fn oldest(conn: &Connection) -> Done<Option<Part>> {
    first(conn, "SELECT seq, messages FROM request_parts ORDER BY seq LIMIT 1", params![])
}

fn first(conn: &Connection, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Done<Option<Part>> {
    let mut select = conn.prepare_cached(sql)?;
    Ok(select.query_row(params, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn enter(conn: &Connection, (seq, messages): &Part) -> Done<()> {
    // Nobody waits for an attempt of theirs.
    let under_way = UnderWay::default();
    for (sender, new) in from_json::<Vec<(SenderRefs, NewMessage)>>(messages)? {
        record(conn, &under_way, sender, &new)?;
    }
    conn.prepare_cached("DELETE FROM request_parts WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

#[cfg(test)]
mod tests;
