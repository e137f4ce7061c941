//! Messages by organisation and by person, the due queue by number, and events by organisation:
//! tables that follow behind the logs. Filling them in with many rows at once and in their own order
//! costs a fraction of indexes that every row would touch.

use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::fresh;
use crate::fault::Done;

/// How far the tables may lag behind the logs; a reader looks through so many rows besides.
const ROWS_BEHIND: i64 = 4_096;
/// How far they lag after some were entered: so little less that nobody waits for long, except after
/// one job that wrote many.
const ROWS_LEFT_BEHIND: i64 = 3_840;
/// Rows written after which it is worth asking how far they lag.
const CHANGES_PER_LOOK: u64 = 512;

/// The runs that a table has rows in, the newest first, as a table.
macro_rules! runs {
    ($table:literal) => {
        concat!(
            "(WITH RECURSIVE runs (run) AS (SELECT max(run) FROM ",
            $table,
            " UNION ALL SELECT (SELECT max(t.run) FROM ",
            $table,
            " t WHERE t.run < runs.run) FROM runs WHERE runs.run NOT NULL)
              SELECT run FROM runs)"
        )
    };
}
pub(crate) use runs;

/// Keeps the tables near the log.
#[derive(Default)]
pub(crate) struct Behind {
    looked_at: u64,
}

impl Behind {
    /// Brings the tables nearer to the log where they lag. The writer calls it at the end of each
    /// group.
    pub(crate) fn catch_up(&mut self, conn: &Connection) -> Done<()> {
        let changes = conn.total_changes();
        if changes - self.looked_at < CHANGES_PER_LOOK {
            return Ok(());
        }
        self.looked_at = changes;
        all_or_nothing(conn, |conn| {
            fresh::move_on(conn)?;
            enter_messages(conn)?;
            enter_events(conn)
        })
    }
}

/// Undoes what was done, and no more, where it fails.
pub(super) fn all_or_nothing<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Done<T>,
) -> Done<T> {
    let execute = |sql| conn.prepare_cached(sql)?.execute([]);
    execute("SAVEPOINT upkeep")?;
    let outcome = work(conn);
    // Some errors undo the whole transaction, and with it the savepoint.
    if outcome.is_err() && !conn.is_autocommit() {
        execute("ROLLBACK TO upkeep")?;
    }
    if !conn.is_autocommit() {
        execute("RELEASE upkeep")?;
    }
    outcome
}

fn enter_messages(conn: &Connection) -> Done<()> {
    let Some((mark, until)) =
        lag(conn, "SELECT seq, coalesce((SELECT max(seq) FROM messages), 0) FROM messages_mark")?
    else {
        return Ok(());
    };
    for sql in [
        "INSERT INTO org_messages (org, message)
         SELECT org, seq FROM messages WHERE seq > ?1 AND seq <= ?2 ORDER BY org, seq",
        "INSERT INTO person_messages (run, phone, message)
         SELECT seq >> 12, phone, seq FROM messages WHERE seq > ?1 AND seq <= ?2
         ORDER BY seq >> 12, phone, seq",
    ] {
        conn.prepare_cached(sql)?.execute(params![mark, until])?;
    }
    conn.prepare_cached("UPDATE messages_mark SET seq = ?1")?.execute([until])?;
    Ok(())
}

fn enter_events(conn: &Connection) -> Done<()> {
    let Some((mark, until)) =
        lag(conn, "SELECT seq, coalesce((SELECT max(seq) FROM events), 0) FROM org_events_mark")?
    else {
        return Ok(());
    };
    conn.prepare_cached(
        "INSERT INTO org_events (org, event)
         SELECT org, seq FROM events WHERE seq > ?1 AND seq <= ?2 ORDER BY org, seq",
    )?
    .execute([mark, until])?;
    conn.prepare_cached("UPDATE org_events_mark SET seq = ?1")?.execute([until])?;
    Ok(())
}

/// What to enter now, if it is worth it: what comes after the first place, up to the second.
fn lag(conn: &Connection, mark_and_last: &str) -> Done<Option<(i64, i64)>> {
    let (mark, last): (i64, i64) =
        conn.prepare_cached(mark_and_last)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((last - mark >= ROWS_BEHIND).then_some((mark, last - ROWS_LEFT_BEHIND)))
}

/// Takes a message out, before it is deleted.
pub(super) fn remove(conn: &Connection, seq: i64) -> Done<()> {
    for sql in [
        "DELETE FROM org_messages WHERE message = ?1
             AND org = (SELECT org FROM messages WHERE seq = ?1)",
        "DELETE FROM person_messages WHERE run = ?1 >> 12 AND message = ?1
             AND phone = (SELECT phone FROM messages WHERE seq = ?1)",
    ] {
        conn.prepare_cached(sql)?.execute([seq])?;
    }
    Ok(())
}

/// Some messages of an organisation.
pub(super) fn some_of_org(conn: &Connection, org: i64, count: i64) -> Done<Vec<i64>> {
    let mut select = conn.prepare_cached(
        "SELECT message FROM org_messages WHERE org = ?1
         UNION ALL SELECT seq FROM messages
             WHERE seq > (SELECT seq FROM messages_mark) AND org = ?1
         LIMIT ?2",
    )?;
    let rows = select.query_map(params![org, count], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A condition on `m.seq` that picks the messages of these numbers, with its values.
pub(super) fn condition(phones: &[String]) -> (String, Vec<Value>) {
    let places = vec!["?"; phones.len()].join(", ");
    let runs = runs!("person_messages");
    let sql = format!(
        "m.seq IN (SELECT p.message FROM {runs} r
             CROSS JOIN person_messages p ON p.run = r.run AND p.phone IN ({places})
             UNION ALL SELECT seq FROM messages
             WHERE seq > (SELECT seq FROM messages_mark) AND phone IN ({places}))"
    );
    let twice = phones.iter().chain(phones).cloned().map(Value::from);
    (sql, twice.collect())
}
