//! The due queue: single messages have rows of their own in it; a broadcast's wait where they are,
//! in the index of their broadcast.

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::message::BroadcastState;
use waypost_domain::{MessageId, NumberId, OrgId, Status, Timestamp};
use waypost_engine::ports::DueMessage;

use super::state::State;
use super::{reports, wamids};
use crate::broadcasts;
use crate::fault::Done;
use crate::rows::{StoredMessage, select_message};

/// Due messages given at once, whatever is asked for.
const MAX_DUE: u32 = 10_000;

/// A waiting message: its priority and its place in the order of acceptance.
type Waiting = (i64, i64);

pub(super) fn due(
    conn: &Connection,
    number: &NumberId,
    now: Timestamp,
    limit: u32,
) -> Done<Vec<DueMessage>> {
    let snapshot = conn.unchecked_transaction()?;
    let limit = limit.min(MAX_DUE);
    let Some(number) = number_ref(&snapshot, number)? else { return Ok(Vec::new()) };
    let mut waiting = due_singles(&snapshot, number, now, limit)?;
    for broadcast in broadcasts::waiting(&snapshot, number)? {
        due_members(&snapshot, broadcast, now, limit, &mut waiting)?;
    }
    waiting.sort_unstable();
    waiting.truncate(limit as usize);
    let mut select = snapshot.prepare_cached(select_message!("messages m", "WHERE m.seq = ?1"))?;
    let mut due = Vec::with_capacity(waiting.len());
    for (_, seq) in waiting {
        // A removed organisation's messages are read no more, though they still wait for deletion.
        if let Some(stored) = select.query_row([seq], StoredMessage::from_row).optional()? {
            let attempts = stored.attempts;
            due.push(DueMessage { message: stored.into_message()?, attempts });
        }
    }
    Ok(due)
}

fn number_ref(conn: &Connection, number: &NumberId) -> Done<Option<i64>> {
    let mut select = conn.prepare_cached("SELECT ref FROM numbers WHERE id = ?1")?;
    Ok(select.query_row([number.as_str()], |row| row.get(0)).optional()?)
}

fn due_singles(conn: &Connection, number: i64, now: Timestamp, limit: u32) -> Done<Vec<Waiting>> {
    let mut waiting = Vec::new();
    // Those of due 0 lie in the right order; of the others only the due ones are sorted.
    for sql in [
        "SELECT priority, seq FROM queue WHERE number = ?1 AND due = 0 AND ?2 >= 0
         ORDER BY priority, seq LIMIT ?3",
        "SELECT priority, seq FROM queue WHERE number = ?1 AND due > 0 AND due <= ?2
         ORDER BY priority, seq LIMIT ?3",
    ] {
        let mut select = conn.prepare_cached(sql)?;
        let rows = select
            .query_map(params![number, now.0, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for row in rows {
            waiting.push(row?);
        }
    }
    Ok(waiting)
}

fn due_members(
    conn: &Connection,
    broadcast: i64,
    now: Timestamp,
    limit: u32,
    waiting: &mut Vec<Waiting>,
) -> Done<()> {
    for sql in [
        "SELECT priority, seq FROM messages
         WHERE broadcast = ?1 AND status = 0 AND due = 0 AND ?2 >= 0 ORDER BY seq LIMIT ?3",
        "SELECT priority, seq FROM messages
         WHERE broadcast = ?1 AND status = 0 AND due > 0 AND due <= ?2 ORDER BY seq LIMIT ?3",
    ] {
        let mut select = conn.prepare_cached(sql)?;
        let rows = select
            .query_map(params![broadcast, now.0, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for row in rows {
            waiting.push(row?);
        }
    }
    Ok(())
}

pub(super) fn next_due_at(conn: &Connection, number: &NumberId) -> Done<Option<Timestamp>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(number) = number_ref(&snapshot, number)? else { return Ok(None) };
    let mut next = first(
        &snapshot,
        "SELECT q.due, m.created_at FROM queue q JOIN messages m ON m.seq = q.seq
         WHERE q.number = ?1 ORDER BY q.due LIMIT 1",
        number,
    )?;
    for broadcast in broadcasts::waiting(&snapshot, number)? {
        let first = first(
            &snapshot,
            "SELECT due, created_at FROM messages
             WHERE broadcast = ?1 AND status = 0 AND due >= 0 ORDER BY due LIMIT 1",
            broadcast,
        )?;
        next = match (next, first) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    Ok(next)
}

/// What was due when it came has been due since then.
fn first(conn: &Connection, sql: &str, of: i64) -> Done<Option<Timestamp>> {
    let mut select = conn.prepare_cached(sql)?;
    let found: Option<(i64, i64)> =
        select.query_row([of], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.map(|(due, created_at)| Timestamp(if due == 0 { created_at } else { due })))
}

pub(super) fn requeue(
    conn: &Connection,
    org: &OrgId,
    id: MessageId,
    _now: Timestamp,
) -> Done<bool> {
    let Some(state) = State::of_org(conn, org.as_str(), id)? else { return Ok(false) };
    let allowed = matches!(state.status, Status::Failed | Status::Cancelled | Status::Unknown);
    if !allowed || state.broadcast_state(conn)? == Some(BroadcastState::Cancelled) {
        return Ok(false);
    }
    if let Some(wamid) = &state.wamid {
        reports::keep_former_wamid(conn, state.seq, wamid)?;
        wamids::forget(conn, state.seq, wamid)?;
    }
    // Nobody waits for its outcome any more.
    conn.prepare_cached(
        "UPDATE messages SET synchronous = 0, wamid = NULL, wa_id = NULL,
             failure = NULL, settled_at = NULL, possible_duplicate = possible_duplicate OR ?2
         WHERE seq = ?1",
    )?
    .execute(params![state.seq, state.status == Status::Unknown])?;
    state.enter_queue(conn, 0)?;
    Ok(true)
}
