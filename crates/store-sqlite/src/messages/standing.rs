//! Messages to one person that were never attempted. What is due stands before somebody who comes now:
//! it is looked for in the queue where that is short, and among the person's messages where it is
//! long, as is what was put off.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use waypost_domain::place::Place;
use waypost_domain::{MessageId, NumberId, Phone, Timestamp};

use super::behind;
use crate::fault::Done;
use crate::refs;

/// Messages in the queue up to which it is looked through.
const SHORT_QUEUE: i64 = 512;

/// Due at a place or before it, as a table of their `seq`; broadcasts' members are not in there.
macro_rules! due_up_to_place {
    () => {
        "(SELECT seq FROM queue WHERE number = ?1 AND due = 0 AND priority <= ?2
          UNION ALL SELECT seq FROM queue
              WHERE number = ?1 AND due > 0 AND due <= ?3 AND priority <= ?2
          UNION ALL SELECT seq FROM fresh_queue WHERE number = ?1 AND priority <= ?2
          LIMIT ?4)"
    };
}

/// How many single messages to a person are due at a place or before it and were never attempted.
pub(super) fn before(
    conn: &Connection,
    number: &NumberId,
    phone: &Phone,
    place: Place,
    now: Timestamp,
) -> Done<u64> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(number) = refs::number(&snapshot, number)? else { return Ok(0) };
    let (priority, limit) = (i64::from(place.number()), SHORT_QUEUE + 1);
    let (in_queue, of_person): (i64, i64) = snapshot
        .prepare_cached(concat!(
            "SELECT count(*), count(*) FILTER (WHERE m.phone = ?5 AND m.attempts = 0) FROM ",
            due_up_to_place!(),
            " q CROSS JOIN messages m ON m.seq = q.seq"
        ))?
        .query_row(params![number, priority, now.0, limit, phone.digits()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let found = if in_queue <= SHORT_QUEUE {
        of_person
    } else {
        among_the_persons(&snapshot, number, phone, priority, now)?
    };
    Ok(u64::try_from(found).unwrap_or(0))
}

fn among_the_persons(
    conn: &Connection,
    number: i64,
    phone: &Phone,
    priority: i64,
    now: Timestamp,
) -> Done<i64> {
    let (is_the_persons, mut values) = behind::condition(&[phone.digits().to_owned()]);
    let sql = format!(
        "SELECT count(*) FROM messages m
         WHERE {is_the_persons} AND m.status = 0 AND m.broadcast IS NULL AND m.attempts = 0
             AND m.number = ? AND m.priority <= ? AND m.due BETWEEN 0 AND ?"
    );
    values.extend([number, priority, now.0].map(Value::from));
    Ok(conn.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))?)
}

/// Single messages to a person that fall due after an instant and were never attempted, without
/// those that wait for the person to write, in the order of acceptance.
pub(super) fn postponed_to(
    conn: &Connection,
    number: &NumberId,
    phone: &Phone,
    after: Timestamp,
    limit: u32,
) -> Done<Vec<MessageId>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(number) = refs::number(&snapshot, number)? else { return Ok(Vec::new()) };
    let (is_the_persons, mut values) = behind::condition(&[phone.digits().to_owned()]);
    let sql = format!(
        "SELECT m.id FROM messages m
         WHERE {is_the_persons} AND m.status = 0 AND m.broadcast IS NULL AND m.attempts = 0
             AND m.number = ? AND m.due > ?
             AND NOT EXISTS (SELECT 1 FROM held WHERE message = m.seq)
         ORDER BY m.seq LIMIT ?"
    );
    values.extend([number, after.0.max(0), i64::from(limit)].map(Value::from));
    let mut select = snapshot.prepare_cached(&sql)?;
    let ids = select.query_map(params_from_iter(values), |row| row.get(0))?;
    let ids = ids.map(|id| Ok(MessageId::from_bytes(id?)));
    ids.collect::<rusqlite::Result<_>>().map_err(Into::into)
}
