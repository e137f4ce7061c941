//! Attempts: the intent before the first byte, and what came of it. What a report or a restart has
//! settled meanwhile stands: a late settlement adds to it and overwrites nothing.

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::command::Receipt;
use waypost_domain::message::{AttemptOutcome, BroadcastState, Direction};
use waypost_domain::retry::Failing;
use waypost_domain::status::Report;
use waypost_domain::{AttemptId, Failure, MessageId, Status, Timestamp};
use waypost_engine::ports::{Settled, Settlement, StoreError};
use waypost_planted::{Bug, is_planted};

use super::attempt_rows::{AttemptRow, close};
use super::reports;
use super::state::{State, record_event};
use super::under_way::{Attempted, UnderWay};
use super::wamids::Wamids;
use crate::codes;
use crate::events::{self, Because};
use crate::fault::Done;
use crate::rows::{from_json, to_json};

pub(super) fn begin(
    conn: &Connection,
    under_way: &UnderWay,
    id: MessageId,
    attempt: AttemptId,
    now: Timestamp,
) -> Done<Option<u32>> {
    let Some(state) = State::by_id(conn, id)? else { return Ok(None) };
    let broadcast = state.broadcast_state(conn)?;
    let stopped = broadcast.is_some_and(|it| it != BroadcastState::Running);
    let waits = state.status == Status::Queued || state.is_held();
    if stopped || !waits {
        return Ok(None);
    }
    let number = state.attempts + 1;
    if state.attempt.is_some() {
        conn.prepare_cached(
            "INSERT INTO former_attempts (message, number, id, started_at, ended_at, outcome, fault)
             SELECT seq, attempts, attempt, attempt_started_at, attempt_ended_at, attempt_outcome,
                 attempt_fault
             FROM messages WHERE seq = ?1",
        )?
        .execute([state.seq])?;
    }
    conn.prepare_cached(
        "UPDATE messages SET status = ?2, due = 0, attempts = ?3, attempt = ?4,
             attempt_started_at = ?5, attempt_ended_at = NULL, attempt_outcome = 0,
             attempt_fault = NULL,
             possible_duplicate = possible_duplicate OR coalesce(attempt_outcome = 4 AND ?6, 0)
         WHERE seq = ?1",
    )?
    .execute(params![
        state.seq,
        Status::Sending.number(),
        number,
        attempt.as_bytes(),
        now.0,
        !is_planted(Bug::DuplicateUnflagged)
    ])?;
    if state.status == Status::Queued {
        state.leave_queue(conn)?;
    }
    under_way.begin(attempt, state.attempted());
    Ok(Some(number))
}

pub(super) fn settle(
    conn: &Connection,
    wamids: &Wamids,
    id: MessageId,
    attempt_id: AttemptId,
    settlement: &Settlement,
    now: Timestamp,
) -> Done<Settled> {
    let state = State::by_id(conn, id)?.ok_or(StoreError::NotFound)?;
    let attempt = find(conn, &state, attempt_id)?.ok_or(StoreError::NotFound)?;
    match settlement {
        Settlement::Sent(receipt) => {
            sent_after_all(conn, wamids, &state, &attempt, receipt, now)?;
            reports::unpark(conn, state.seq, &receipt.wamid, now)?;
        }
        Settlement::Failed { outcome, failure } => {
            failed(conn, &state, &attempt, *outcome, failure, now)?;
        }
        Settlement::Retry { outcome, due_at, fault, failing, requeue } => {
            if attempt.outcome == AttemptOutcome::Open {
                close(conn, &attempt, *outcome, Some(fault), now)?;
                retry(conn, &state, *failing, requeue.then_some(*due_at), now)?;
            }
        }
        Settlement::Unknown { failure, resend_at } => {
            let overwrites = is_planted(Bug::LateAnswerOverwrites);
            if attempt.outcome == AttemptOutcome::Open || overwrites {
                close(conn, &attempt, AttemptOutcome::Unknown, failure.upstream.as_ref(), now)?;
                if state.status == Status::Sending || overwrites {
                    state.become_unknown(conn, failure, *resend_at, now)?;
                }
            }
        }
    }
    settled(conn, state.seq)
}

fn find(conn: &Connection, state: &State, id: AttemptId) -> Done<Option<AttemptRow>> {
    let message = state.seq;
    if let Some((latest, outcome)) = state.attempt
        && latest == id
    {
        let number = state.attempts;
        return Ok(Some(AttemptRow { message, number, outcome, is_latest: true }));
    }
    let found = conn
        .prepare_cached(
            "SELECT number, outcome FROM former_attempts WHERE message = ?1 AND +id = ?2",
        )?
        .query_row(params![message, id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((number, outcome)) = found else { return Ok(None) };
    let outcome = codes::read_outcome(outcome)?;
    Ok(Some(AttemptRow { message, number, outcome, is_latest: false }))
}

/// What nearly every send comes to: one write for message, attempt and history. `None` where the
/// message's row says that something else has happened to it.
pub(super) fn sent(
    conn: &Connection,
    wamids: &Wamids,
    attempted: &Attempted,
    attempt: AttemptId,
    receipt: &Receipt,
    now: Timestamp,
) -> Done<Option<Settled>> {
    let seq = attempted.seq;
    let updated = conn
        .prepare_cached(
            "UPDATE messages SET wamid = ?3, wa_id = ?4, status = ?5, settled_at = ?6, sent_at = ?6,
                 failure = NULL, attempt_outcome = ?7, attempt_ended_at = ?6
             WHERE seq = ?1 AND attempt = ?2 AND attempt_outcome = 0 AND status = ?8
                 AND wamid IS NULL AND sent_at IS NULL",
        )?
        .execute(params![
            seq,
            attempt.as_bytes(),
            receipt.wamid,
            receipt.wa_id,
            Status::Sent.number(),
            now.0,
            codes::outcome(AttemptOutcome::Sent),
            Status::Sending.number()
        ])?;
    if updated == 0 {
        return Ok(None);
    }
    wamids.note(conn, seq, Direction::Outbound, &receipt.wamid)?;
    events::append_sent(conn, attempted, now)?;
    if reports::unpark(conn, seq, &receipt.wamid, now)? {
        return settled(conn, seq).map(Some);
    }
    Ok(Some(Settled {
        status: Status::Sent,
        wamid: Some(receipt.wamid.clone()),
        wa_id: Some(receipt.wa_id.clone()),
        failure: None,
        settled_at: Some(now),
        resend_at: None,
    }))
}

/// A success of whatever message: beside other attempts, or after something was recorded already.
fn sent_after_all(
    conn: &Connection,
    wamids: &Wamids,
    state: &State,
    attempt: &AttemptRow,
    receipt: &Receipt,
    now: Timestamp,
) -> Done<()> {
    if attempt.outcome != AttemptOutcome::Sent {
        close(conn, attempt, AttemptOutcome::Sent, None, now)?;
    }
    let other = state.wamid.as_deref().filter(|wamid| *wamid != receipt.wamid);
    let latest = attempt.is_latest;
    // A later attempt is on its way, or has its own id already: this one's is kept beside it.
    let overtaken = !latest && (other.is_some() || state.status == Status::Sending);
    // A failure that was reported of an earlier sending does not outlast this one's success.
    let after_failure = state.status == Status::Failed && latest && other.is_some();
    let becomes_sent = after_failure || state.status.advanced_by(Report::Sent).is_some();
    let seq = state.seq;
    if overtaken {
        reports::keep_former_wamid(conn, seq, &receipt.wamid)?;
    } else {
        if let Some(other) = other {
            reports::retire_wamid(conn, seq, other)?;
        }
        conn.prepare_cached("UPDATE messages SET wamid = ?2, wa_id = ?3 WHERE seq = ?1")?
            .execute(params![seq, receipt.wamid, receipt.wa_id])?;
        wamids.note(conn, seq, Direction::Outbound, &receipt.wamid)?;
    }
    if becomes_sent {
        conn.prepare_cached(
            "UPDATE messages SET status = ?2, settled_at = ?3, failure = NULL, resend_at = NULL
             WHERE seq = ?1",
        )?
        .execute(params![seq, Status::Sent.number(), now.0])?;
        record_event(conn, seq, Status::Sent, now, None)?;
        let wamid = overtaken.then_some(receipt.wamid.as_str());
        let because = Because { wamid, ..Because::default() };
        events::append_status(conn, seq, Status::Sent, now, because, now)?;
        if state.status == Status::Queued {
            state.leave_queue(conn)?;
        }
    }
    Ok(())
}

/// A certain failure also settles what was unknown of this attempt before.
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
    if undecided && attempt.is_latest {
        state.give_up(conn, failure, now)?;
    }
    Ok(())
}

fn retry(
    conn: &Connection,
    state: &State,
    failing: Failing,
    requeue_at: Option<Timestamp>,
    now: Timestamp,
) -> Done<()> {
    if state.status != Status::Sending {
        return Ok(());
    }
    conn.prepare_cached("UPDATE messages SET failing = ?2 WHERE seq = ?1")?
        .execute(params![state.seq, to_json(&failing)?])?;
    if state.broadcast_state(conn)? == Some(BroadcastState::Cancelled) {
        return state.withdraw(conn, now);
    }
    match requeue_at {
        Some(at) => state.enter_queue(conn, if at > now { at.0 } else { 0 }),
        None => state.hold(conn),
    }
}

/// What a message is now.
fn settled(conn: &Connection, seq: i64) -> Done<Settled> {
    let mut select = conn.prepare_cached(
        "SELECT status, wamid, wa_id, failure, settled_at, resend_at FROM messages WHERE seq = ?1",
    )?;
    let mut rows = select.query([seq])?;
    let row = rows.next()?.ok_or(StoreError::NotFound)?;
    let failure: Option<String> = row.get(3)?;
    Ok(Settled {
        status: codes::read_status(row.get(0)?)?,
        wamid: row.get(1)?,
        wa_id: row.get(2)?,
        failure: failure.as_deref().map(from_json).transpose()?,
        settled_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
        resend_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
    })
}
