//! A message's state inside a job, and the steps that every transition is made of: leaving and
//! entering the due queue, a line in the history.

use rusqlite::{Connection, Row, params};
use serde_json::Value;
use waypost_domain::message::{AttemptOutcome, BroadcastState, Direction};
use waypost_domain::{AttemptId, ErrorKind, Failure, MessageId, Status, Timestamp};

use super::fresh;
use super::queue;
use super::under_way::Attempted;
use super::wamids::Wamids;
use crate::broadcast_rows;
use crate::codes;
use crate::events::{self, Because};
use crate::fault::Done;
use crate::idempotency;
use crate::rows::{failure_columns, to_json};

/// The stored `due` of a message between two attempts of a caller who waits.
const HELD: i64 = -1;

/// What decides a transition.
pub(crate) struct State {
    pub(crate) seq: i64,
    pub(crate) id: MessageId,
    org: i64,
    pub(super) number: i64,
    pub(crate) broadcast: Option<i64>,
    pub(crate) status: Status,
    pub(crate) wamid: Option<String>,
    pub(crate) attempts: u32,
    priority: i64,
    due: i64,
    claim_route: Option<String>,
    claim_key: Option<String>,
    /// The latest attempt, where there was one.
    pub(super) attempt: Option<(AttemptId, AttemptOutcome)>,
    has_options: bool,
}

macro_rules! select_state {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, org, number, broadcast, status, wamid, attempts, priority, due,
                claim_route, claim_key, attempt, attempt_outcome,
                options NOT NULL
             FROM messages ",
            $rest
        )
    };
}

impl State {
    /// Of a message by its id.
    pub(crate) fn by_id(conn: &Connection, id: MessageId) -> Done<Option<Self>> {
        let mut select = conn.prepare_cached(select_state!("WHERE id = ?1"))?;
        Self::first(&mut select, [id.as_bytes()])
    }

    /// Of a message of an organisation.
    pub(crate) fn of_org(conn: &Connection, org: &str, id: MessageId) -> Done<Option<Self>> {
        let mut select = conn.prepare_cached(select_state!(
            "WHERE id = ?1 AND org = (SELECT ref FROM orgs WHERE id = ?2)"
        ))?;
        Self::first(&mut select, params![id.as_bytes(), org])
    }

    /// Of a message by its place.
    pub(crate) fn by_seq(conn: &Connection, seq: i64) -> Done<Option<Self>> {
        let mut select = conn.prepare_cached(select_state!("WHERE seq = ?1"))?;
        Self::first(&mut select, [seq])
    }

    /// Of an outbound message by the upstream's id.
    pub(super) fn by_wamid(conn: &Connection, wamids: &Wamids, wamid: &str) -> Done<Option<Self>> {
        match wamids.find(conn, Direction::Outbound, wamid)? {
            Some(seq) => Self::by_seq(conn, seq),
            None => Ok(None),
        }
    }

    fn first(
        select: &mut rusqlite::CachedStatement<'_>,
        params: impl rusqlite::Params,
    ) -> Done<Option<Self>> {
        let mut rows = select.query(params)?;
        rows.next()?.map(Self::from_row).transpose()
    }

    fn from_row(row: &Row<'_>) -> Done<Self> {
        let attempt = match row.get(12)? {
            Some(id) => Some((AttemptId::from_bytes(id), codes::read_outcome(row.get(13)?)?)),
            None => None,
        };
        Ok(Self {
            seq: row.get(0)?,
            id: MessageId::from_bytes(row.get(1)?),
            org: row.get(2)?,
            number: row.get(3)?,
            broadcast: row.get(4)?,
            status: codes::read_status(row.get(5)?)?,
            wamid: row.get(6)?,
            attempts: row.get(7)?,
            priority: row.get(8)?,
            due: row.get(9)?,
            claim_route: row.get(10)?,
            claim_key: row.get(11)?,
            attempt,
            has_options: row.get(14)?,
        })
    }

    /// As an attempt that begins remembers it.
    pub(super) const fn attempted(&self) -> Attempted {
        let Self { seq, org, number, has_options, status, .. } = *self;
        // What is held instead has a caller who waits.
        let is_queued = matches!(status, Status::Queued);
        Attempted { seq, org, number, has_options, is_queued }
    }

    /// Takes the message off the due queue. Called after its status is no longer `queued`.
    pub(crate) fn leave_queue(&self, conn: &Connection) -> Done<()> {
        if let Some(broadcast) = self.broadcast {
            return broadcast_rows::note_taken(conn, broadcast);
        }
        if self.due == 0 && fresh::leave(conn, self.seq)? {
            return Ok(());
        }
        conn.prepare_cached(
            "DELETE FROM queue
             WHERE number = ?1 AND due = ?2 AND priority = ?3 AND org = ?4 AND seq = ?5",
        )?
        .execute(params![self.number, self.due, self.priority, self.org, self.seq])?;
        // What was due at once never waited for its person.
        if self.due > 0 { forget_held(conn, self.seq) } else { Ok(()) }
    }

    /// Puts the message into the due queue; `due` is 0 for at once.
    pub(crate) fn enter_queue(&self, conn: &Connection, due: i64) -> Done<()> {
        conn.prepare_cached(
            "UPDATE messages SET status = ?2, due = ?3, resend_at = NULL WHERE seq = ?1",
        )?
        .execute(params![self.seq, Status::Queued.number(), due])?;
        if let Some(broadcast) = self.broadcast {
            return broadcast_rows::note_waiting(conn, broadcast);
        }
        queue::enter(conn, self.seq, self.number, due, self.priority, self.org)
    }

    /// Leaves a message that is being sent to the caller who is about to attempt it again.
    pub(crate) fn hold(&self, conn: &Connection) -> Done<()> {
        conn.prepare_cached("UPDATE messages SET due = ?2 WHERE seq = ?1")?
            .execute([self.seq, HELD])?;
        Ok(())
    }

    /// Whether nobody attempts it any more and the last attempt was certainly not sent: then only an
    /// earlier one was, if any.
    pub(crate) fn is_given_up(&self) -> bool {
        let is_not_sent = self.attempt.is_some_and(|(_, outcome)| {
            matches!(outcome, AttemptOutcome::Refused | AttemptOutcome::NotSent)
        });
        is_not_sent && self.status == Status::Unknown
    }

    /// Whether its caller is about to attempt it again.
    pub(crate) fn is_held(&self) -> bool {
        self.status == Status::Sending && self.due == HELD
    }

    /// Nobody knows whether the message was sent; at `resend_at` it is sent again.
    pub(crate) fn become_unknown(
        &self,
        conn: &Connection,
        failure: &Failure,
        resend_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Done<()> {
        self.end(conn, Status::Unknown, Some(failure), now)?;
        conn.prepare_cached("UPDATE messages SET resend_at = ?2 WHERE seq = ?1")?
            .execute(params![self.seq, resend_at.map(|at| at.0)])?;
        Ok(())
    }

    /// Whether an attempt of it may have been sent: nobody knows what came of that one.
    pub(crate) fn may_have_been_sent(&self, conn: &Connection) -> Done<bool> {
        let mut select = conn.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM messages WHERE seq = ?1 AND attempt_outcome = 4)
                 OR EXISTS (SELECT 1 FROM former_attempts WHERE message = ?1 AND outcome = 4)",
        )?;
        Ok(select.query_row([self.seq], |row| row.get(0))?)
    }

    /// The message will not be attempted any more. It has failed, unless an earlier attempt may have
    /// been sent.
    pub(crate) fn give_up(&self, conn: &Connection, failure: &Failure, now: Timestamp) -> Done<()> {
        if !self.may_have_been_sent(conn)? {
            self.end(conn, Status::Failed, Some(failure), now)?;
            return self.free_claim(conn);
        }
        let message =
            format!("It may have been sent, and sending it again failed. {}", failure.message);
        let mut unsure = Failure::new(ErrorKind::OutcomeUnknown, message);
        unsure.upstream.clone_from(&failure.upstream);
        self.end(conn, Status::Unknown, Some(&unsure), now)
    }

    /// An operator wants the message not to be attempted any more.
    pub(crate) fn withdraw(&self, conn: &Connection, now: Timestamp) -> Done<()> {
        if !self.may_have_been_sent(conn)? {
            return self.end(conn, Status::Cancelled, None, now);
        }
        let message = "It may have been sent; it was cancelled before it was sent again.";
        let unsure = Failure::new(ErrorKind::OutcomeUnknown, message);
        self.end(conn, Status::Unknown, Some(&unsure), now)
    }

    /// Ends the message locally: `failed`, `unknown` or `cancelled`, with a line in its history.
    /// One that was queued leaves the queue.
    pub(crate) fn end(
        &self,
        conn: &Connection,
        status: Status,
        failure: Option<&Failure>,
        now: Timestamp,
    ) -> Done<()> {
        let (text, _) = failure_columns(failure)?;
        // An unknown outcome is no settlement.
        let settled_at = (status != Status::Unknown).then_some(now.0);
        conn.prepare_cached(
            "UPDATE messages SET status = ?2, failure = ?3, settled_at = ?4, resend_at = NULL
             WHERE seq = ?1",
        )?
        .execute(params![self.seq, status.number(), text, settled_at])?;
        record_event(conn, self.seq, status, now, failure)?;
        let because = Because::of(failure, self.wamid.as_deref());
        events::append_status(conn, self.seq, status, now, because, now)?;
        if self.status == Status::Queued {
            self.leave_queue(conn)?;
        }
        Ok(())
    }

    /// Frees the idempotency key: nothing was sent, the caller may try again with it.
    pub(crate) fn free_claim(&self, conn: &Connection) -> Done<()> {
        let (route, key) = (self.claim_route.as_deref(), self.claim_key.as_deref());
        idempotency::free(conn, self.org, route, key, self.id.as_bytes())
    }

    /// Takes its idempotency key back: it is to be sent after all. `false` where the key stands for
    /// another message by now.
    pub(crate) fn take_claim_back(&self, conn: &Connection, now: Timestamp) -> Done<bool> {
        let (route, key) = (self.claim_route.as_deref(), self.claim_key.as_deref());
        idempotency::reclaim(conn, self.org, route, key, self.id.as_bytes(), now)
    }

    /// The state of the broadcast it belongs to, if any.
    pub(crate) fn broadcast_state(&self, conn: &Connection) -> Done<Option<BroadcastState>> {
        self.broadcast.map(|broadcast| broadcast_rows::state(conn, broadcast)).transpose()
    }
}

/// Adds a line to a message's history, unless the same line is there.
pub(crate) fn record_event(
    conn: &Connection,
    seq: i64,
    status: Status,
    at: Timestamp,
    failure: Option<&Failure>,
) -> Done<()> {
    record_report(conn, seq, status, at, failure, None)
}

/// The same with what the upstream said besides.
pub(super) fn record_report(
    conn: &Connection,
    seq: i64,
    status: Status,
    at: Timestamp,
    failure: Option<&Failure>,
    upstream: Option<&Value>,
) -> Done<()> {
    let (text, code) = failure_columns(failure)?;
    conn.prepare_cached(
        "INSERT INTO message_events (message, at, status, code, failure, upstream)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        seq,
        at.0,
        status.number(),
        code,
        text,
        upstream.map(to_json).transpose()?
    ])?;
    Ok(())
}

/// A message does not wait for its person any more.
pub(super) fn forget_held(conn: &Connection, seq: i64) -> Done<()> {
    conn.prepare_cached("DELETE FROM held WHERE message = ?1")?.execute([seq])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::Work;

    #[test]
    fn the_end_of_an_attempt_is_in_a_hurry_where_its_caller_waits() {
        for (status, due, expected) in
            [(Status::Queued, 0, Work::Unhurried), (Status::Sending, HELD, Work::Known)]
        {
            let state = State {
                seq: 1,
                id: MessageId::from_bytes([1; 16]),
                org: 1,
                number: 1,
                broadcast: None,
                status,
                wamid: None,
                attempts: 1,
                priority: 0,
                due,
                claim_route: None,
                claim_key: None,
                attempt: None,
                has_options: false,
            };
            assert_eq!(Attempted::urgency(Some(&state.attempted())), expected, "{status:?}");
        }
    }
}
