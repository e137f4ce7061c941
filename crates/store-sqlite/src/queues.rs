//! How queues and store stand, for operators: counted on a reader, never in the writer.

use std::path::Path;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use tokio::sync::watch;
use waypost_domain::{NumberId, Timestamp};
use waypost_engine::ports::{NumberQueue, QueueStore, QueueTotals, StoreHealth, StoreResult};

use crate::SqliteStore;
use crate::broadcast_rows;
use crate::fault::Done;

#[async_trait]
impl QueueStore for SqliteStore {
    async fn queue_totals(&self, now: Timestamp) -> StoreResult<QueueTotals> {
        self.readers.list(move |conn| totals(conn, now)).await
    }

    async fn number_queues(&self, now: Timestamp) -> StoreResult<Vec<NumberQueue>> {
        self.readers.list(move |conn| number_queues(conn, now)).await
    }

    fn health(&self) -> StoreHealth {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        StoreHealth {
            commits: self.writer.commits(),
            waiting_writes: self.writer.waiting() as u64,
            database_bytes: length(&self.path),
            log_bytes: length(Path::new(&log)),
            free_bytes: free_bytes(&self.path),
        }
    }

    fn full(&self) -> watch::Receiver<bool> {
        self.writer.full()
    }
}

/// Only the names are looked at: opening the files would give up SQLite's locks on them.
fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Bytes that are free for this process on the disk of a file.
pub(crate) fn free_bytes(path: &Path) -> u64 {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let disk = rustix::fs::statvfs(folder.unwrap_or(Path::new(".")));
    disk.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn totals(conn: &Connection, now: Timestamp) -> Done<QueueTotals> {
    let snapshot = conn.unchecked_transaction()?;
    let numbers = number_queues_in(&snapshot, now)?;
    let sum = |part: fn(&NumberQueue) -> u64| numbers.iter().map(part).sum();
    let count = |sql: &str| count(&snapshot, sql);
    let since: Option<i64> = snapshot
        .prepare_cached("SELECT min(next_due) FROM callback_targets WHERE next_due IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    Ok(QueueTotals {
        due: sum(|queue| queue.due),
        later: sum(|queue| queue.later),
        broadcast: sum(|queue| queue.broadcast),
        oldest_due_at: numbers.iter().filter_map(|queue| queue.oldest_due_at).min(),
        sending: count(
            "SELECT count(*) FROM messages INDEXED BY messages_not_sent
             WHERE attempt_outcome <> 1 AND attempt_outcome = 0",
        )?,
        unknown: count(
            "SELECT count(*) FROM messages INDEXED BY messages_not_sent
             WHERE attempt_outcome <> 1 AND attempt_outcome = 4 AND status = 6",
        )?,
        to_resend: count(
            "SELECT count(*) FROM messages INDEXED BY messages_to_resend
             WHERE resend_at IS NOT NULL",
        )?,
        held: count("SELECT count(*) FROM held")?,
        restored: count("SELECT count(*) FROM restored_messages")?,
        restored_broadcasts: count(
            "SELECT count(*) FROM restored_broadcasts r JOIN broadcasts b ON b.ref = r.broadcast
             WHERE b.state = 1",
        )?,
        webhooks: count("SELECT count(*) FROM inbox")?,
        parked_reports: count("SELECT count(*) FROM parked_reports")?,
        callbacks_due_since: since.map(Timestamp).filter(|since| *since <= now),
    })
}

fn count(conn: &Connection, sql: &str) -> Done<u64> {
    let count: i64 = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn number_queues(conn: &Connection, now: Timestamp) -> Done<Vec<NumberQueue>> {
    let snapshot = conn.unchecked_transaction()?;
    number_queues_in(&snapshot, now)
}

fn number_queues_in(conn: &Connection, now: Timestamp) -> Done<Vec<NumberQueue>> {
    let mut select =
        conn.prepare_cached("SELECT ref, id FROM numbers WHERE body IS NOT NULL ORDER BY ref")?;
    let numbers = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let mut queues = Vec::new();
    for number in numbers {
        let (number, id): (i64, String) = number?;
        let queue = number_queue(conn, number, NumberId::new(id), now)?;
        if queue.due + queue.later + queue.broadcast > 0 {
            queues.push(queue);
        }
    }
    Ok(queues)
}

fn number_queue(
    conn: &Connection,
    number: i64,
    number_id: NumberId,
    now: Timestamp,
) -> Done<NumberQueue> {
    let (due, later, next): (i64, i64, Option<i64>) = conn
        .prepare_cached(
            "SELECT coalesce(sum(due <= ?2), 0), coalesce(sum(due > ?2), 0),
                 min(CASE WHEN due > ?2 THEN due END)
             FROM whole_queue WHERE number = ?1",
        )?
        .query_row([number, now.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut oldest = oldest_due(
        conn,
        "SELECT min(created_at) FROM messages WHERE seq IN (
             SELECT min(seq) FROM whole_queue WHERE number = ?1 AND due = 0 AND ?2 >= 0
             GROUP BY priority, org)",
        "SELECT due FROM queue WHERE number = ?1 AND due > 0 AND due <= ?2 ORDER BY due LIMIT 1",
        number,
        now,
    )?;
    let mut members = 0;
    for broadcast in broadcast_rows::waiting(conn, number)? {
        members += conn
            .prepare_cached("SELECT count(*) FROM messages WHERE broadcast = ?1 AND status = 0")?
            .query_row([broadcast], |row| row.get::<_, i64>(0))?;
        let first = oldest_due(
            conn,
            "SELECT created_at FROM messages
             WHERE broadcast = ?1 AND status = 0 AND due = 0 AND ?2 >= 0 ORDER BY seq LIMIT 1",
            "SELECT due FROM messages
             WHERE broadcast = ?1 AND status = 0 AND due > 0 AND due <= ?2 ORDER BY due LIMIT 1",
            broadcast,
            now,
        )?;
        oldest = earlier(oldest, first);
    }
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok(NumberQueue {
        number_id,
        due: number(due),
        later: number(later),
        broadcast: number(members),
        oldest_due_at: oldest,
        next_due_at: next.map(Timestamp),
    })
}

/// The first of those that were due when they came, and of those that fell due later.
fn oldest_due(
    conn: &Connection,
    at_once: &str,
    later: &str,
    of: i64,
    now: Timestamp,
) -> Done<Option<Timestamp>> {
    let mut oldest = None;
    for sql in [at_once, later] {
        let mut select = conn.prepare_cached(sql)?;
        let mut rows = select.query(params![of, now.0])?;
        if let Some(row) = rows.next()? {
            oldest = earlier(oldest, row.get::<_, Option<i64>>(0)?.map(Timestamp));
        }
    }
    Ok(oldest)
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
