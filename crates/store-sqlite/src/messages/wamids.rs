//! Messages by their upstream id. These ids have no order that is ours, so an index of them would
//! touch a page of its own for every message: the fresh ones are kept in memory, and beside it in a
//! small table for the next start; the index is filled in with many at once.
//!
//! Memory and index hold hashes and say where to look; whether a message has an id, its row decides.
//! So an entry that a failed job left in memory does no harm.

use std::collections::HashMap;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::message::Direction;

use super::behind::{all_or_nothing, runs};
use crate::codes;
use crate::fault::Done;

/// Fresh ids from which on they are entered into the index.
const FRESH_IDS: usize = 4_096;
/// How many are entered at once: so few that nobody waits for long.
const IDS_AT_ONCE: i64 = 1_024;

/// Finds messages by upstream id. Belongs to the writer: readers use [`condition`].
pub(crate) struct Wamids {
    /// Messages by hash.
    fresh: Mutex<HashMap<i64, i64>>,
    /// Up to which message they were entered into the index by the transaction in progress.
    entered: Mutex<Option<i64>>,
}

impl Wamids {
    /// Those of a database.
    pub(crate) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut select = conn.prepare("SELECT hash, message FROM fresh_wamids")?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let fresh = Mutex::new(rows.collect::<rusqlite::Result<_>>()?);
        Ok(Self { fresh, entered: Mutex::default() })
    }

    /// Notes a message's id; its row has it already. A former one must be forgotten before.
    pub(crate) fn note(
        &self,
        conn: &Connection,
        seq: i64,
        direction: Direction,
        wamid: &str,
    ) -> Done<()> {
        let hash = hash(direction, wamid);
        conn.prepare_cached("INSERT OR REPLACE INTO fresh_wamids (message, hash) VALUES (?1, ?2)")?
            .execute([seq, hash])?;
        self.fresh.lock().insert(hash, seq);
        Ok(())
    }

    /// The message that has an id.
    pub(crate) fn find(
        &self,
        conn: &Connection,
        direction: Direction,
        wamid: &str,
    ) -> Done<Option<i64>> {
        let hash = hash(direction, wamid);
        let direction = codes::direction(direction);
        let fresh = self.fresh.lock().get(&hash).copied();
        if let Some(seq) = fresh {
            let found = conn
                .prepare_cached(
                    "SELECT seq FROM messages WHERE seq = ?1 AND wamid = ?2 AND direction = ?3",
                )?
                .query_row(params![seq, wamid, direction], |row| row.get(0))
                .optional()?;
            if found.is_some() {
                return Ok(found);
            }
        }
        let found = conn
            .prepare_cached(concat!(
                "SELECT m.seq FROM ",
                runs!("wamid_messages"),
                " r CROSS JOIN wamid_messages w ON w.run = r.run AND w.hash = ?1
                 CROSS JOIN messages m ON m.seq = w.message
                 WHERE m.wamid = ?2 AND m.direction = ?3 LIMIT 1"
            ))?
            .query_row(params![hash, wamid, direction], |row| row.get(0))
            .optional()?;
        Ok(found)
    }

    /// Enters some of the fresh ones into the index once they are many. The writer calls it at the end
    /// of each group.
    pub(crate) fn catch_up(&self, conn: &Connection) -> Done<()> {
        if self.fresh.lock().len() < FRESH_IDS {
            return Ok(());
        }
        let last = all_or_nothing(conn, enter_some)?;
        *self.entered.lock() = Some(last);
        Ok(())
    }

    /// What was written is committed, or undone: then what was entered is still fresh.
    pub(crate) fn tell(&self, is_committed: bool) {
        let Some(last) = self.entered.lock().take() else { return };
        if is_committed {
            // Of messages that are gone nothing is left in the table.
            self.fresh.lock().retain(|_, message| *message > last);
        }
    }
}

/// Up to which message they were entered; where the table has none, all that are in memory are gone.
fn enter_some(conn: &Connection) -> Done<i64> {
    let last: Option<i64> = conn
        .prepare_cached(
            "SELECT max(message) FROM
                 (SELECT message FROM fresh_wamids ORDER BY message LIMIT ?1)",
        )?
        .query_row([IDS_AT_ONCE], |row| row.get(0))?;
    let last = last.unwrap_or(i64::MAX);
    for sql in [
        "INSERT INTO wamid_messages (run, hash, message)
         SELECT message >> 12, hash, message FROM fresh_wamids WHERE message <= ?1
         ORDER BY message >> 12, hash, message ON CONFLICT DO NOTHING",
        "DELETE FROM fresh_wamids WHERE message <= ?1",
    ] {
        conn.prepare_cached(sql)?.execute([last])?;
    }
    Ok(last)
}

/// Takes a message's outbound id out, before it loses it or gets another.
pub(super) fn forget(conn: &Connection, seq: i64, wamid: &str) -> Done<()> {
    remove(conn, seq, hash(Direction::Outbound, wamid))
}

/// Takes a message out, before it is deleted.
pub(super) fn remove_message(conn: &Connection, seq: i64) -> Done<()> {
    let found: Option<(u8, String)> = conn
        .prepare_cached("SELECT direction, wamid FROM messages WHERE seq = ?1 AND wamid NOT NULL")?
        .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((direction, wamid)) = found else { return Ok(()) };
    remove(conn, seq, hash(codes::read_direction(direction)?, &wamid))
}

fn remove(conn: &Connection, seq: i64, hash: i64) -> Done<()> {
    conn.prepare_cached(
        "DELETE FROM wamid_messages WHERE run = ?1 >> 12 AND hash = ?2 AND message = ?1",
    )?
    .execute([seq, hash])?;
    conn.prepare_cached("DELETE FROM fresh_wamids WHERE message = ?1")?.execute([seq])?;
    Ok(())
}

/// A condition on `m.seq` that picks those that may have an id, with its values.
pub(super) fn condition(wamid: &str) -> (&'static str, Vec<i64>) {
    let hashes = [Direction::Outbound, Direction::Inbound].map(|way| hash(way, wamid));
    let sql = concat!(
        "m.seq IN (SELECT w.message FROM ",
        runs!("wamid_messages"),
        " r CROSS JOIN wamid_messages w ON w.run = r.run AND w.hash IN (?, ?)
          UNION ALL SELECT message FROM fresh_wamids WHERE hash IN (?, ?))"
    );
    (sql, hashes.repeat(2))
}

/// FNV-1a: it is in the database, so it must never change.
pub(crate) fn hash(direction: Direction, wamid: &str) -> i64 {
    let seed = 0xCBF2_9CE4_8422_2325_u64 ^ u64::from(codes::direction(direction));
    let hash = wamid
        .bytes()
        .fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(place: usize) -> String {
        format!("wamid.{place}")
    }

    #[test]
    fn what_an_undone_transaction_entered_is_still_found() {
        let conn = crate::open::in_memory().unwrap();
        let wamids = Wamids::load(&conn).unwrap();
        for place in 0..FRESH_IDS {
            let seq = i64::try_from(place).unwrap() + 1;
            conn.execute(
                "INSERT INTO messages (seq, id, org, number, phone, direction, message_type,
                     dialect, synchronous, status, created_at, wamid)
                 VALUES (?1, CAST(?1 AS BLOB), 1, 1, '', ?2, 0, '', 0, 0, 0, ?3)",
                params![seq, codes::direction(Direction::Outbound), id(place)],
            )
            .unwrap();
            wamids.note(&conn, seq, Direction::Outbound, &id(place)).unwrap();
        }
        for (end, is_committed) in [("ROLLBACK", false), ("COMMIT", true)] {
            conn.execute_batch("BEGIN").unwrap();
            wamids.catch_up(&conn).unwrap();
            conn.execute_batch(end).unwrap();
            wamids.tell(is_committed);
            for place in [0, FRESH_IDS - 1] {
                let found = wamids.find(&conn, Direction::Outbound, &id(place)).unwrap();
                assert_eq!(found, Some(i64::try_from(place).unwrap() + 1), "{end}");
            }
        }
        let entered = usize::try_from(IDS_AT_ONCE).unwrap();
        assert_eq!(wamids.fresh.lock().len(), FRESH_IDS - entered);
    }
}
