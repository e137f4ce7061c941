//! Attempts: the intent before the first byte, and what came of it. What a report or a restart has
//! settled meanwhile stands: a late settlement adds to it and overwrites nothing.

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::command::Receipt;
use waypost_domain::message::{AttemptOutcome, BroadcastState};
use waypost_domain::status::Report;
use waypost_domain::{AttemptId, Failure, MessageId, Status, Timestamp, UpstreamFault};
use waypost_engine::ports::{Settlement, StoreError};

use super::reports;
use super::state::{State, record_event};
use crate::codes;
use crate::events::{self, Because};
use crate::fault::Done;
use crate::rows::{StoredMessage, select_message, to_json};

pub(super) fn begin(
    conn: &Connection,
    id: MessageId,
    attempt: AttemptId,
    now: Timestamp,
) -> Done<Option<u32>> {
    let Some(state) = State::by_id(conn, id)? else { return Ok(None) };
    let broadcast = state.broadcast_state(conn)?;
    let stopped = broadcast.is_some_and(|it| it != BroadcastState::Running);
    if stopped || !(state.status == Status::Queued || state.is_held()) {
        return Ok(None);
    }
    let number = state.attempts + 1;
    conn.prepare_cached("UPDATE messages SET status = ?2, attempts = ?3, due = 0 WHERE seq = ?1")?
        .execute(params![state.seq, Status::Sending.number(), number])?;
    if state.status == Status::Queued {
        state.leave_queue(conn)?;
    }
    conn.prepare_cached(
        "INSERT INTO attempts (message, number, id, started_at, outcome)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        state.seq,
        number,
        attempt.as_bytes(),
        now.0,
        codes::outcome(AttemptOutcome::Open)
    ])?;
    Ok(Some(number))
}

pub(super) fn settle(
    conn: &Connection,
    id: MessageId,
    attempt_id: AttemptId,
    settlement: &Settlement,
    now: Timestamp,
) -> Done<StoredMessage> {
    let state = State::by_id(conn, id)?.ok_or(StoreError::NotFound)?;
    let attempt = find(conn, state.seq, attempt_id)?.ok_or(StoreError::NotFound)?;
    match settlement {
        Settlement::Sent(receipt) => sent(conn, &state, &attempt, receipt, now)?,
        Settlement::Failed { outcome, failure } => {
            failed(conn, &state, &attempt, *outcome, failure, now)?;
        }
        Settlement::Retry { outcome, due_at, fault, requeue } => {
            if attempt.outcome == AttemptOutcome::Open {
                close(conn, &attempt, *outcome, Some(fault), now)?;
                retry(conn, &state, requeue.then_some(*due_at), now)?;
            }
        }
        Settlement::Unknown(failure) => {
            if attempt.outcome == AttemptOutcome::Open {
                close(conn, &attempt, AttemptOutcome::Unknown, failure.upstream.as_ref(), now)?;
                if state.status == Status::Sending {
                    state.end(conn, Status::Unknown, Some(failure), now)?;
                }
            }
        }
    }
    stored(conn, state.seq)
}

/// One attempt's row.
pub(super) struct AttemptRow {
    pub(super) message: i64,
    pub(super) number: u32,
    pub(super) outcome: AttemptOutcome,
}

fn find(conn: &Connection, message: i64, id: AttemptId) -> Done<Option<AttemptRow>> {
    let found = conn
        .prepare_cached("SELECT number, outcome FROM attempts WHERE message = ?1 AND +id = ?2")?
        .query_row(params![message, id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((number, outcome)) = found else { return Ok(None) };
    Ok(Some(AttemptRow { message, number, outcome: codes::read_outcome(outcome)? }))
}

/// An attempt that is not known to have been sent, by the id in its token.
pub(super) fn find_not_sent(conn: &Connection, id: AttemptId) -> Done<Option<AttemptRow>> {
    let found = conn
        .prepare_cached(
            "SELECT message, number, outcome FROM attempts WHERE id = ?1 AND outcome <> 1",
        )?
        .query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((message, number, outcome)) = found else { return Ok(None) };
    Ok(Some(AttemptRow { message, number, outcome: codes::read_outcome(outcome)? }))
}

pub(super) fn close(
    conn: &Connection,
    attempt: &AttemptRow,
    outcome: AttemptOutcome,
    fault: Option<&UpstreamFault>,
    now: Timestamp,
) -> Done<()> {
    let fault = fault.map(to_json).transpose()?;
    conn.prepare_cached(
        "UPDATE attempts SET outcome = ?3, fault = ?4, finished_at = ?5
         WHERE message = ?1 AND number = ?2",
    )?
    .execute(params![
        attempt.message,
        attempt.number,
        codes::outcome(outcome),
        fault,
        now.0
    ])?;
    Ok(())
}

fn sent(
    conn: &Connection,
    state: &State,
    attempt: &AttemptRow,
    receipt: &Receipt,
    now: Timestamp,
) -> Done<()> {
    if attempt.outcome != AttemptOutcome::Sent {
        close(conn, attempt, AttemptOutcome::Sent, None, now)?;
    }
    let other = state.wamid.as_deref().filter(|wamid| *wamid != receipt.wamid);
    let latest = attempt.number == state.attempts;
    // A later attempt is on its way, or has its own id already: this one's is kept beside it.
    let overtaken = !latest && (other.is_some() || state.status == Status::Sending);
    // A failure that was reported of an earlier sending does not outlast this one's success.
    let after_failure = state.status == Status::Failed && latest && other.is_some();
    let becomes_sent = after_failure || state.status.advanced_by(Report::Sent).is_some();
    if overtaken {
        reports::keep_former_wamid(conn, state.seq, &receipt.wamid)?;
    } else if let Some(other) = other {
        reports::keep_former_wamid(conn, state.seq, other)?;
    }
    let (seq, status) = (state.seq, Status::Sent.number());
    match (!overtaken, becomes_sent) {
        (true, true) => conn
            .prepare_cached(
                "UPDATE messages SET wamid = ?2, wa_id = ?3, status = ?4, settled_at = ?5,
                     failure = NULL
                 WHERE seq = ?1",
            )?
            .execute(params![seq, receipt.wamid, receipt.wa_id, status, now.0])?,
        (true, false) => conn
            .prepare_cached("UPDATE messages SET wamid = ?2, wa_id = ?3 WHERE seq = ?1")?
            .execute(params![seq, receipt.wamid, receipt.wa_id])?,
        (false, true) => conn
            .prepare_cached(
                "UPDATE messages SET status = ?2, settled_at = ?3, failure = NULL WHERE seq = ?1",
            )?
            .execute(params![seq, status, now.0])?,
        (false, false) => 0,
    };
    if becomes_sent {
        record_event(conn, seq, Status::Sent, now, None)?;
        events::append_status(conn, seq, Status::Sent, now, Because::default(), now)?;
        if state.status == Status::Queued {
            state.leave_queue(conn)?;
        }
    }
    reports::unpark(conn, seq, &receipt.wamid, now)
}

/// A certain failure also settles what was unknown before.
fn failed(
    conn: &Connection,
    state: &State,
    attempt: &AttemptRow,
    outcome: AttemptOutcome,
    failure: &Failure,
    now: Timestamp,
) -> Done<()> {
    if !matches!(attempt.outcome, AttemptOutcome::Open | AttemptOutcome::Unknown) {
        return Ok(());
    }
    close(conn, attempt, outcome, failure.upstream.as_ref(), now)?;
    let undecided = matches!(state.status, Status::Sending | Status::Unknown);
    if undecided && attempt.number == state.attempts {
        state.end(conn, Status::Failed, Some(failure), now)?;
        state.free_claim(conn)?;
    }
    Ok(())
}

fn retry(
    conn: &Connection,
    state: &State,
    requeue_at: Option<Timestamp>,
    now: Timestamp,
) -> Done<()> {
    if state.status != Status::Sending {
        return Ok(());
    }
    if state.broadcast_state(conn)? == Some(BroadcastState::Cancelled) {
        return state.end(conn, Status::Cancelled, None, now);
    }
    match requeue_at {
        Some(at) => state.enter_queue(conn, if at > now { at.0 } else { 0 }),
        None => state.hold(conn),
    }
}

fn stored(conn: &Connection, seq: i64) -> Done<StoredMessage> {
    let mut select = conn.prepare_cached(select_message!("", "WHERE m.seq = ?1"))?;
    Ok(select.query_row([seq], StoredMessage::from_row)?)
}
