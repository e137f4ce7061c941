//! Deleting what a removed organisation leaves behind, a little in each job.

use rusqlite::Connection;

use super::{behind, wamids};
use crate::callbacks;
use crate::events;
use crate::fault::Done;

/// Messages deleted in one job.
const MESSAGES_PER_JOB: i64 = 100;
/// Other rows deleted in one job.
const ROWS_PER_JOB: i64 = 500;

/// Deletes some of it; `false` when nothing is left.
pub(crate) fn delete_some(conn: &Connection, org: i64) -> Done<bool> {
    let rest = "DELETE FROM request_parts WHERE org = ?1";
    conn.prepare_cached(rest)?.execute([org])?;
    // Events name messages: they go first.
    if callbacks::delete_some(conn, org)? || events::delete_some(conn, org)? {
        return Ok(true);
    }
    let seqs = behind::some_of_org(conn, org, MESSAGES_PER_JOB)?;
    if !seqs.is_empty() {
        delete_messages(conn, &seqs)?;
        return Ok(true);
    }
    for sql in [
        "DELETE FROM customers WHERE seq IN
             (SELECT seq FROM customers WHERE org = ?1 LIMIT ?2)",
        "DELETE FROM former_phones WHERE (org, customer, phone) IN
             (SELECT org, customer, phone FROM former_phones WHERE org = ?1 LIMIT ?2)",
        "DELETE FROM scoped_ids WHERE (org, id) IN
             (SELECT org, id FROM scoped_ids WHERE org = ?1 LIMIT ?2)",
        "DELETE FROM opt_outs WHERE (org, phone) IN
             (SELECT org, phone FROM opt_outs WHERE org = ?1 LIMIT ?2)",
        "DELETE FROM sessions WHERE seq IN (SELECT seq FROM sessions WHERE org = ?1 LIMIT ?2)",
        "DELETE FROM joins WHERE (number, phone) IN
             (SELECT number, phone FROM joins WHERE org = ?1 LIMIT ?2)",
        "DELETE FROM media WHERE seq IN (SELECT seq FROM media WHERE org = ?1 LIMIT ?2)",
        "DELETE FROM idempotency WHERE seq IN
             (SELECT seq FROM idempotency WHERE org = ?1 LIMIT ?2)",
        "DELETE FROM broadcasts WHERE ref IN
             (SELECT ref FROM broadcasts WHERE org = ?1 LIMIT ?2)",
        "DELETE FROM flows WHERE id IN (SELECT id FROM flows WHERE org = ?1 LIMIT ?2)",
    ] {
        if conn.prepare_cached(sql)?.execute([org, ROWS_PER_JOB])? > 0 {
            return Ok(true);
        }
    }
    conn.prepare_cached("DELETE FROM removed_orgs WHERE org = ?1")?.execute([org])?;
    Ok(false)
}

/// Deletes messages with all that hangs on them.
pub(crate) fn delete_messages(conn: &Connection, seqs: &[i64]) -> Done<()> {
    for seq in seqs {
        behind::remove(conn, *seq)?;
        wamids::remove_message(conn, *seq)?;
        for sql in [
            "DELETE FROM queue WHERE (number, due, priority, org, seq) IN
                 (SELECT number, due, priority, org, seq FROM messages WHERE seq = ?1)",
            "DELETE FROM fresh_queue WHERE seq = ?1",
            "DELETE FROM held WHERE message = ?1",
            "DELETE FROM former_wamids WHERE message = ?1",
            "DELETE FROM attempt_calls WHERE attempt IN (
                 SELECT attempt FROM messages WHERE seq = ?1 AND attempt NOT NULL
                 UNION ALL SELECT id FROM former_attempts WHERE message = ?1)",
            "DELETE FROM former_attempts WHERE message = ?1",
            "DELETE FROM message_events WHERE message = ?1",
            "DELETE FROM restored_messages WHERE message = ?1",
            // The newest place of all stays, for SQLite would use it again: events of messages that
            // were deleted before may still name places, and whoever walks the log remembers one.
            // Nobody's message it is then, and it says nothing.
            "UPDATE messages SET org = 0, number = 0, customer = NULL, phone = '', user = NULL,
                 session = NULL, reference = NULL, broadcast = NULL, content = NULL, digest = NULL,
                 synchronous = 0, status = 5, wamid = NULL, wa_id = NULL, failure = NULL,
                 resend_at = NULL, options = NULL, due = 0, media_pending = 0, claim_route = NULL,
                 claim_key = NULL, attempt = NULL, attempt_outcome = NULL, attempt_fault = NULL
             WHERE seq = ?1 AND seq = (SELECT max(seq) FROM messages)",
            "DELETE FROM messages WHERE seq = ?1 AND seq < (SELECT max(seq) FROM messages)",
        ] {
            conn.prepare_cached(sql)?.execute([seq])?;
        }
    }
    Ok(())
}
