//! The start after a crash: nothing stays open that nobody works on.

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::message::{AttemptOutcome, Message};
use waypost_domain::unknown::HOLD_MS;
use waypost_domain::{AttemptId, ErrorKind, Failure, MessageId, NumberId, Status, Timestamp};
use waypost_engine::ports::{LostAttempt, Recovered, StoreError, StoreResult};
use waypost_planted::{Bug, is_planted};

use super::attempt_rows::{self, AttemptRow};
use super::resends;
use super::state::State;
use crate::SqliteStore;
use crate::broadcasts;
use crate::fault::Done;
use crate::rows::{StoredMessage, select_message};
use crate::writer::Work;

impl SqliteStore {
    pub(super) async fn finish_what_was_begun(&self, now: Timestamp) -> StoreResult<Recovered> {
        let known = Work::Known;
        self.writer.run(known, move |conn| wait_anew(conn, now)).await?;
        let unknown = self.writer.run(known, move |conn| close_open_attempts(conn, now)).await?;
        self.writer.run(known, move |conn| close_unattended(conn, now)).await?;
        for broadcast in self.writer.run(known, broadcasts::prepared).await? {
            self.discard_members(broadcast).await?;
        }
        for broadcast in self.writer.run(known, broadcasts::cancelled_with_waiting).await? {
            self.cancel_members(broadcast, now).await?;
        }
        let queued = self.readers.for_delivery(count_queued).await?;
        Ok(Recovered { unknown, queued })
    }
}

/// While no webhook could be received, no time passed for messages that wait for a status.
fn wait_anew(conn: &Connection, now: Timestamp) -> Done<()> {
    if is_planted(Bug::RestartEndsWait) {
        return Ok(());
    }
    resends::postpone(conn, now.plus_ms(HOLD_MS))
}

/// Messages whose bytes may have been on the wire. What becomes of them is their policy's affair.
fn close_open_attempts(conn: &Connection, now: Timestamp) -> Done<Vec<LostAttempt>> {
    let failure = Failure::new(
        ErrorKind::OutcomeUnknown,
        "The gateway stopped while the message was on its way: it may or may not have been sent.",
    );
    let mut unknown = Vec::new();
    for attempt in attempt_rows::open(conn)? {
        if is_planted(Bug::RestartRepeatsOpen) {
            attempt_rows::close(conn, &attempt, AttemptOutcome::NotSent, None, now)?;
            let state = State::by_seq(conn, attempt.message)?.ok_or(StoreError::NotFound)?;
            state.enter_queue(conn, 0)?;
            continue;
        }
        attempt_rows::close(conn, &attempt, AttemptOutcome::Unknown, None, now)?;
        let state = State::by_seq(conn, attempt.message)?.ok_or(StoreError::NotFound)?;
        if state.status == Status::Sending {
            let message = message(conn, state.seq)?;
            let resend_at = message.and_then(|message| message.resend_after_unknown(now));
            state.become_unknown(conn, &failure, resend_at, now)?;
        }
        unknown.push(lost(conn, &attempt)?);
    }
    Ok(unknown)
}

fn lost(conn: &Connection, attempt: &AttemptRow) -> Done<LostAttempt> {
    let mut select = conn.prepare_cached(
        "SELECT coalesce(f.id, m.attempt), m.id, n.id, m.possible_duplicate
         FROM messages m JOIN numbers n ON n.ref = m.number
         LEFT JOIN former_attempts f ON f.message = m.seq AND f.number = ?2
         WHERE m.seq = ?1",
    )?;
    Ok(select.query_row(params![attempt.message, attempt.number], |row| {
        Ok(LostAttempt {
            attempt_id: AttemptId::from_bytes(row.get(0)?),
            message_id: MessageId::from_bytes(row.get(1)?),
            number_id: NumberId::new(row.get::<_, String>(2)?),
            possible_duplicate: row.get(3)?,
        })
    })?)
}

/// `None` where its organisation has gone.
fn message(conn: &Connection, seq: i64) -> Done<Option<Message>> {
    let mut select = conn.prepare_cached(select_message!("messages m", "WHERE m.seq = ?1"))?;
    let stored = select.query_row([seq], StoredMessage::from_row).optional()?;
    stored.map(StoredMessage::into_message).transpose()
}

/// Messages of which certainly no byte is on the wire and on which nobody works any more: those
/// whose caller waited and was never answered are closed, the others wait for their turn again.
fn close_unattended(conn: &Connection, now: Timestamp) -> Done<()> {
    let failure = Failure::new(
        ErrorKind::Unavailable,
        "The gateway stopped before the message was sent. It was not sent; send it again.",
    )
    .worth_a_retry(true);
    let mut unattended = conn.prepare_cached(
        "SELECT seq, synchronous FROM messages WHERE synchronous = 1 AND status = 0
         UNION ALL SELECT seq, synchronous FROM messages WHERE status = 1 AND due = -1",
    )?;
    let rows = unattended.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (seq, synchronous) in rows.collect::<rusqlite::Result<Vec<(i64, bool)>>>()? {
        let state = State::by_seq(conn, seq)?.ok_or(StoreError::NotFound)?;
        if synchronous {
            state.end(conn, Status::Failed, Some(&failure), now)?;
            state.free_claim(conn)?;
        } else {
            state.enter_queue(conn, 0)?;
        }
    }
    Ok(())
}

fn count_queued(conn: &Connection) -> Done<u64> {
    let count = |sql: &str| -> Done<i64> {
        Ok(conn.prepare_cached(sql)?.query_row(params![], |row| row.get(0))?)
    };
    let singles = count("SELECT count(*) FROM whole_queue")?;
    let members = count(
        "SELECT count(*) FROM broadcasts b JOIN messages m ON m.broadcast = b.ref AND m.status = 0
         WHERE b.waiting = 1 AND b.state = 0",
    )?;
    Ok(u64::try_from(singles + members).unwrap_or(0))
}
