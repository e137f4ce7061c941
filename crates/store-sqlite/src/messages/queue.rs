//! The due queue: single messages have rows of their own in it; a broadcast's wait where they are,
//! in the index of their broadcast.

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::message::{BroadcastState, MessageOptions};
use waypost_domain::{MessageId, NumberId, OrgId, Status, Timestamp};
use waypost_engine::ports::{DueMessage, Look};

use super::state::State;
use super::{pacing, reports, resends};
use crate::broadcast_rows;
use crate::fault::Done;
use crate::refs;
use crate::rows::{StoredMessage, from_json, select_message, to_json};

/// Puts a single message into the queue; `due` is 0 for at once.
pub(super) fn enter(
    conn: &Connection,
    seq: i64,
    number: i64,
    due: i64,
    place: i64,
    org: i64,
) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO queue (number, due, priority, org, seq) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute([number, due, place, org, seq])?;
    Ok(())
}

pub(super) fn due(
    conn: &Connection,
    number: &NumberId,
    now: Timestamp,
    limit: u32,
) -> Done<Vec<DueMessage>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(number) = refs::number(&snapshot, number)? else { return Ok(Vec::new()) };
    let waiting = pacing::in_order(&snapshot, number, now, Look { limit, before: None })?;
    let mut select = snapshot.prepare_cached(select_message!("messages m", "WHERE m.seq = ?1"))?;
    let mut due = Vec::with_capacity(waiting.len());
    for seq in waiting {
        // A removed organisation's messages are read no more, though they still wait for deletion.
        if let Some(stored) = select.query_row([seq], StoredMessage::from_row).optional()? {
            due.push(stored.into_due()?);
        }
    }
    Ok(due)
}

pub(super) fn next_due_at(conn: &Connection, number: &NumberId) -> Done<Option<Timestamp>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(number) = refs::number(&snapshot, number)? else { return Ok(None) };
    let mut next = first(
        &snapshot,
        "SELECT q.due, m.created_at FROM whole_queue q JOIN messages m ON m.seq = q.seq
         WHERE q.number = ?1 ORDER BY q.due LIMIT 1",
        number,
    )?;
    for broadcast in broadcast_rows::waiting(&snapshot, number)? {
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
    only: Option<Status>,
    now: Timestamp,
) -> Done<bool> {
    let Some(state) = State::of_org(conn, org.as_str(), id)? else { return Ok(false) };
    let is_ended = matches!(state.status, Status::Failed | Status::Cancelled | Status::Unknown);
    let allowed = is_ended && only.is_none_or(|status| status == state.status);
    if !allowed || state.broadcast_state(conn)? == Some(BroadcastState::Cancelled) {
        return Ok(false);
    }
    if !state.take_claim_back(conn, now)? {
        return Ok(false);
    }
    if let Some(wamid) = &state.wamid {
        reports::retire_wamid(conn, state.seq, wamid)?;
    }
    renew_life(conn, state.seq, now)?;
    // Nobody waits for its outcome any more.
    conn.prepare_cached(
        "UPDATE messages SET synchronous = 0, wamid = NULL, wa_id = NULL,
             failure = NULL, settled_at = NULL, failing = NULL
         WHERE seq = ?1",
    )?
    .execute([state.seq])?;
    state.enter_queue(conn, 0)?;
    Ok(true)
}

fn renew_life(conn: &Connection, seq: i64, now: Timestamp) -> Done<()> {
    let options: Option<String> = conn
        .prepare_cached("SELECT options FROM messages WHERE seq = ?1")?
        .query_row([seq], |row| row.get(0))?;
    let mut options: MessageOptions =
        options.as_deref().map(from_json).transpose()?.unwrap_or_default();
    options.renew_life(now);
    conn.prepare_cached("UPDATE messages SET options = ?2 WHERE seq = ?1")?
        .execute(params![seq, to_json(&options)?])?;
    Ok(())
}

/// Withdraws what is still to be sent of a message.
pub(super) fn cancel(conn: &Connection, org: &OrgId, id: MessageId, now: Timestamp) -> Done<bool> {
    let Some(state) = State::of_org(conn, org.as_str(), id)? else { return Ok(false) };
    match state.status {
        Status::Queued => {
            state.withdraw(conn, now)?;
            Ok(true)
        }
        Status::Unknown => resends::forget(conn, state.seq),
        _ => Ok(false),
    }
}
