//! Messages of unknown outcome that are sent again by themselves: each has its instant in its row.

use rusqlite::{Connection, params};
use waypost_domain::message::{BroadcastState, MessageOptions};
use waypost_domain::{NumberId, Status, Timestamp};
use waypost_engine::ports::{StoreError, StoreResult};
use waypost_planted::{Bug, is_planted};

use super::state::State;
use crate::SqliteStore;
use crate::fault::Done;
use crate::rows::from_json;
use crate::writer::Work;

/// Messages put into the due queue in one job.
const MESSAGES_PER_JOB: usize = 500;

impl SqliteStore {
    pub(super) async fn release_all_resends(
        &self,
        until: Timestamp,
        now: Timestamp,
    ) -> StoreResult<(u64, Vec<NumberId>)> {
        let (mut queued, mut numbers) = (0, Vec::new());
        loop {
            let some = self.writer.run(Work::Known, move |conn| release_some(conn, until, now));
            let Released { from, looked_at } = some.await?;
            queued += from.len() as u64;
            numbers.extend(from);
            numbers.sort_unstable();
            numbers.dedup();
            if looked_at < MESSAGES_PER_JOB {
                return Ok((queued, numbers.into_iter().map(NumberId::new).collect()));
            }
        }
    }
}

/// What one job did.
struct Released {
    /// The numbers of the messages that were queued.
    from: Vec<String>,
    looked_at: usize,
}

struct Due {
    seq: i64,
    number: String,
    options: Option<String>,
}

fn release_some(conn: &Connection, until: Timestamp, now: Timestamp) -> Done<Released> {
    let due = due(conn, until)?;
    let looked_at = due.len();
    let mut from = Vec::new();
    for Due { seq, number, options } in due {
        let state = State::by_seq(conn, seq)?.ok_or(StoreError::NotFound)?;
        let options: Option<MessageOptions> = options.as_deref().map(from_json).transpose()?;
        let ends_at = options.and_then(|options| options.expires_at);
        let is_waited_for = state.status == Status::Unknown || is_planted(Bug::StatusLeavesResend);
        let may_go = is_waited_for
            && ends_at.is_none_or(|end| now < end)
            && state.broadcast_state(conn)? != Some(BroadcastState::Cancelled);
        if may_go {
            state.enter_queue(conn, 0)?;
            from.push(number);
        } else {
            forget(conn, seq)?;
        }
    }
    Ok(Released { from, looked_at })
}

fn due(conn: &Connection, until: Timestamp) -> Done<Vec<Due>> {
    let mut select = conn.prepare_cached(
        "SELECT m.seq, n.id, m.options FROM messages m CROSS JOIN numbers n ON n.ref = m.number
         WHERE m.resend_at <= ?1 ORDER BY m.resend_at LIMIT ?2",
    )?;
    let limit = i64::try_from(MESSAGES_PER_JOB).unwrap_or(i64::MAX);
    let rows = select.query_map(params![until.0, limit], |row| {
        Ok(Due { seq: row.get(0)?, number: row.get(1)?, options: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The message is not sent again by itself; `false` where it was not going to be.
pub(super) fn forget(conn: &Connection, seq: i64) -> Done<bool> {
    let changed = conn
        .prepare_cached(
            "UPDATE messages SET resend_at = NULL WHERE seq = ?1 AND resend_at IS NOT NULL",
        )?
        .execute([seq])?;
    Ok(changed > 0)
}

pub(super) fn next(conn: &Connection) -> Done<Option<Timestamp>> {
    let mut select =
        conn.prepare_cached("SELECT min(resend_at) FROM messages WHERE resend_at IS NOT NULL")?;
    let next: Option<i64> = select.query_row([], |row| row.get(0))?;
    Ok(next.map(Timestamp))
}

pub(super) fn postpone(conn: &Connection, until: Timestamp) -> Done<()> {
    conn.prepare_cached("UPDATE messages SET resend_at = ?1 WHERE resend_at < ?1")?
        .execute([until.0])?;
    Ok(())
}
