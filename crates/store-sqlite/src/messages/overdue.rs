//! Messages whose outcome has been unknown for too long: each is told once as failed, and stays
//! unknown. Attempts that are not known to have been sent lie in the order in which they began; a
//! mark says how far they have been looked at.

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::{AttemptId, ErrorKind, Failure, MessageId, Status, Timestamp};
use waypost_engine::ports::{StoreError, StoreResult};

use super::state::State;
use crate::SqliteStore;
use crate::events::{self, Because};
use crate::fault::{Done, corrupt};
use crate::writer::Work;

/// Attempts looked at in one job.
const ATTEMPTS_PER_JOB: i64 = 1_000;
/// The setting that keeps the mark.
const MARK: &str = "overdue_mark";

impl SqliteStore {
    pub(super) async fn tell_all_overdue(
        &self,
        before: Timestamp,
        now: Timestamp,
    ) -> StoreResult<u64> {
        let mut told = 0;
        loop {
            let some = self.writer.run(Work::Known, move |conn| tell_some(conn, before, now));
            let (some_told, is_all) = some.await?;
            told += some_told;
            if is_all {
                return Ok(told);
            }
        }
    }
}

/// Fails a message that waits. One that may have been sent stays unknown; where it was passed over
/// because it waited, it is told now.
pub(super) fn fail_queued(
    conn: &Connection,
    id: MessageId,
    failure: &Failure,
    now: Timestamp,
) -> Done<()> {
    let state = State::by_id(conn, id)?.ok_or(StoreError::NotFound)?;
    if state.status != Status::Queued && !state.is_held() {
        return Ok(());
    }
    state.give_up(conn, failure, now)?;
    if let Some((latest, _)) = state.attempt
        && latest <= mark(conn)?
    {
        let state = State::by_id(conn, id)?.ok_or(StoreError::NotFound)?;
        tell(conn, &state, now)?;
    }
    Ok(())
}

struct Begun {
    id: AttemptId,
    message: i64,
}

/// Returns how many were told, and whether that was all.
fn tell_some(conn: &Connection, before: Timestamp, now: Timestamp) -> Done<(u64, bool)> {
    let begun = begun_after(conn, mark(conn)?, before)?;
    let is_all = begun.len() < usize::try_from(ATTEMPTS_PER_JOB).unwrap_or(0);
    let Some(last) = begun.last().map(|last| last.id) else { return Ok((0, true)) };
    let mut told = 0;
    for attempt in begun {
        let state = State::by_seq(conn, attempt.message)?.ok_or(StoreError::NotFound)?;
        told += u64::from(tell(conn, &state, now)?);
    }
    conn.prepare_cached(
        "INSERT INTO settings (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?
    .execute(params![MARK, last.to_string()])?;
    Ok((told, is_all))
}

/// Tells of a message as failed, where nobody knows its outcome and nobody waited for it.
fn tell(conn: &Connection, state: &State, now: Timestamp) -> Done<bool> {
    if state.status != Status::Unknown || is_synchronous(conn, state.seq)? {
        return Ok(false);
    }
    let failure = Failure::new(
        ErrorKind::OutcomeUnknown,
        "The message may or may not have been sent, and no status came within 24 hours.",
    );
    let because = Because::of(Some(&failure), state.wamid.as_deref());
    events::append_status(conn, state.seq, Status::Failed, now, because, now)?;
    Ok(true)
}

fn mark(conn: &Connection) -> Done<AttemptId> {
    let mark: Option<String> = conn
        .prepare_cached("SELECT value FROM settings WHERE name = ?1")?
        .query_row([MARK], |row| row.get(0))
        .optional()?;
    let Some(mark) = mark else { return Ok(AttemptId::from_bytes([0; 16])) };
    AttemptId::parse(&mark).ok_or_else(|| corrupt("mark"))
}

/// Latest attempts of their messages, behind the mark, that began before an instant, in the order of
/// their beginning, up to the first one that did not.
fn begun_after(conn: &Connection, mark: AttemptId, before: Timestamp) -> Done<Vec<Begun>> {
    let mut select = conn.prepare_cached(
        "SELECT attempt, seq, attempt_started_at
         FROM messages INDEXED BY messages_not_sent
         WHERE attempt_outcome <> 1 AND attempt > ?1 ORDER BY attempt LIMIT ?2",
    )?;
    let mut rows = select.query(params![mark.as_bytes(), ATTEMPTS_PER_JOB])?;
    let mut begun = Vec::new();
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(2)? > before.0 {
            break;
        }
        begun.push(Begun { id: AttemptId::from_bytes(row.get(0)?), message: row.get(1)? });
    }
    Ok(begun)
}

fn is_synchronous(conn: &Connection, seq: i64) -> Done<bool> {
    let mut select = conn.prepare_cached("SELECT synchronous FROM messages WHERE seq = ?1")?;
    Ok(select.query_row([seq], |row| row.get(0))?)
}
