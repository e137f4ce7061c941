//! What stands before somebody who comes now: messages to the same person that are due and were never
//! attempted. Looked for in the queue where that is short, and among the person's messages where it
//! is long.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use waypost_domain::place::Place;
use waypost_domain::{NumberId, Phone, Timestamp};

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
