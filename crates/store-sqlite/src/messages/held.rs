//! Messages that wait for their person to write. They stand in the due queue, due at their end, and
//! beside it by person; whoever opens a window lets that person's go, in order. So does an opt-out:
//! they end at their turn.

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::{MessageId, NumberId, OrgId, Phone, Status, Timestamp};
use waypost_planted::{Bug, is_planted};

use super::state::{self, State};
use crate::fault::Done;
use crate::refs::SenderRefs;

/// Whether a new message has to wait: its person may have written since that was asked.
pub(super) fn has_to_wait(
    conn: &Connection,
    sender: SenderRefs,
    phone: &str,
    open_if_wrote_after: Timestamp,
) -> Done<bool> {
    let wrote = conn
        .prepare_cached(
            "SELECT 1 FROM sessions
             WHERE org = ?1 AND number = ?2 AND phone = ?3 AND last_inbound_at > ?4",
        )?
        .query_row(params![sender.org, sender.number, phone, open_if_wrote_after.0], |_| Ok(()))
        .optional()?;
    Ok(wrote.is_none())
}

/// Lets a queued message wait for its person. Tells whether it is the only one that does.
pub(super) fn keep(conn: &Connection, seq: i64) -> Done<bool> {
    let is_first: bool = conn
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM messages m JOIN held h
                 ON h.org = m.org AND h.number = m.number AND h.phone = m.phone
             WHERE m.seq = ?1)",
        )?
        .query_row([seq], |row| row.get(0))?;
    conn.prepare_cached(
        "INSERT INTO held (message, org, number, phone)
         SELECT seq, org, number, phone FROM messages WHERE seq = ?1",
    )?
    .execute([seq])?;
    Ok(is_first)
}

/// Lets a message that stands in the queue wait for its person, who may have written since that was
/// asked.
pub(super) fn hold(
    conn: &Connection,
    id: MessageId,
    until: Timestamp,
    open_if_wrote_after: Timestamp,
) -> Done<()> {
    let Some(state) = State::by_id(conn, id)? else { return Ok(()) };
    let wrote: bool = conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM messages m JOIN sessions s
                 ON s.org = m.org AND s.number = m.number AND s.phone = m.phone
             WHERE m.seq = ?1 AND s.last_inbound_at > ?2)",
        )?
        .query_row([state.seq, open_if_wrote_after.0], |row| row.get(0))?;
    if wrote || state.status != Status::Queued {
        return Ok(());
    }
    state.leave_queue(conn)?;
    state.enter_queue(conn, until.0)?;
    keep(conn, state.seq).map(|_| ())
}

/// A person's window at a number is open: what waited for that is due.
pub(crate) fn release(
    conn: &Connection,
    org: &OrgId,
    number: &NumberId,
    phone: &Phone,
) -> Done<()> {
    if is_planted(Bug::HoldForgets) {
        return Ok(());
    }
    let mut select = conn.prepare_cached(
        "SELECT message FROM held
         WHERE org = (SELECT ref FROM orgs WHERE id = ?1)
             AND number = (SELECT ref FROM numbers WHERE id = ?2) AND phone = ?3
         ORDER BY message",
    )?;
    let rows = select
        .query_map(params![org.as_str(), number.as_str(), phone.digits()], |row| row.get(0))?;
    let_go(conn, &rows.collect::<rusqlite::Result<Vec<i64>>>()?)
}

/// A person has opted out: nothing waits for them any more, by whichever number and under whichever
/// of their names.
pub(crate) fn release_all(conn: &Connection, org: &OrgId, phone: &Phone) -> Done<()> {
    let mut select = conn.prepare_cached(
        "WITH own (org) AS (SELECT ref FROM orgs WHERE id = ?1),
             person (phone) AS (SELECT ?2 UNION
                 SELECT s.phone FROM scoped_ids s JOIN own ON own.org = s.org WHERE s.id = ?2)
         SELECT message FROM held
         WHERE org = (SELECT org FROM own) AND number IN (SELECT ref FROM numbers)
             AND phone IN (SELECT phone FROM person UNION
                 SELECT s.id FROM scoped_ids s JOIN own ON own.org = s.org
                     JOIN person ON person.phone = s.phone)
         ORDER BY message",
    )?;
    let rows = select.query_map(params![org.as_str(), phone.digits()], |row| row.get(0))?;
    let_go(conn, &rows.collect::<rusqlite::Result<Vec<i64>>>()?)
}

fn let_go(conn: &Connection, held: &[i64]) -> Done<()> {
    for &seq in held {
        match State::by_seq(conn, seq)? {
            Some(state) if state.status == Status::Queued => {
                state.leave_queue(conn)?;
                state.enter_queue(conn, 0)?;
            }
            _ => state::forget_held(conn, seq)?,
        }
    }
    Ok(())
}

/// How many wait, and since when the oldest does.
pub(super) fn count(conn: &Connection) -> Done<(u64, Option<Timestamp>)> {
    let (count, oldest): (i64, Option<i64>) = conn
        .prepare_cached(
            "SELECT count(*), (SELECT created_at FROM messages
                 WHERE seq = (SELECT min(message) FROM held)) FROM held",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((u64::try_from(count).unwrap_or(0), oldest.map(Timestamp)))
}
