//! Deleting what is past its time, a little in each job. What could go is looked for on a reader;
//! the writer looks again at each row before it deletes it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::message::AttemptOutcome;
use waypost_domain::{MediaId, OrgId, Status, Timestamp};
use waypost_engine::ports::{Pruned, RetentionStore, Sha256Hex, StoreResult};
use waypost_planted::{Bug, is_planted};

use crate::SqliteStore;
use crate::codes;
use crate::fault::Done;
use crate::idempotency;
use crate::messages::removal;
use crate::writer::Work;

/// Messages looked at for one job, and deleted by it at most.
const MESSAGES_PER_JOB: i64 = 100;
/// Other rows deleted in one job.
const ROWS_PER_JOB: i64 = 500;

/// A message, event or key with when it was accepted, recorded or claimed.
type Candidate = (i64, i64);

#[async_trait]
impl RetentionStore for SqliteStore {
    async fn prune_messages(
        &self,
        org_id: &OrgId,
        before: Timestamp,
        after: i64,
    ) -> StoreResult<Pruned> {
        let org = org_id.clone();
        let found = self.readers.list(move |conn| candidates(conn, &org, after)).await?;
        let old: Vec<i64> =
            found.iter().take_while(|(_, at)| *at < before.0).map(|(seq, _)| *seq).collect();
        let goes_on = old.len() == found.len() && !found.is_empty();
        let next = old.last().copied().filter(|_| goes_on);
        if old.is_empty() {
            return Ok(Pruned::default());
        }
        let deleted =
            self.writer.run(Work::Known, move |conn| delete_ended(conn, &old, before)).await?;
        Ok(Pruned { deleted, next })
    }

    async fn prune_events_of(&self, org_id: &OrgId, before: Timestamp) -> StoreResult<u64> {
        let org = org_id.clone();
        let old = self.readers.list(move |conn| old_events(conn, &org, before)).await?;
        if old.is_empty() {
            return Ok(0);
        }
        self.writer.run(Work::Known, move |conn| delete_events(conn, &old)).await
    }

    async fn prune_keys(
        &self,
        before: &Arc<HashMap<OrgId, Timestamp>>,
        after: i64,
    ) -> StoreResult<Pruned> {
        let before = Arc::clone(before);
        let (old, next) = self.readers.list(move |conn| old_keys(conn, &before, after)).await?;
        if old.is_empty() {
            return Ok(Pruned { deleted: 0, next });
        }
        let deleted = self.writer.run(Work::Known, move |conn| delete_keys(conn, &old)).await?;
        Ok(Pruned { deleted, next })
    }

    async fn prune_broadcasts(&self, org_id: &OrgId, before: Timestamp) -> StoreResult<u64> {
        let org = org_id.clone();
        self.writer
            .run(Work::Known, move |conn| {
                let sql = "DELETE FROM broadcasts WHERE ref IN (
                     SELECT b.ref FROM broadcasts b
                     WHERE b.org = (SELECT ref FROM orgs WHERE id = ?1) AND b.created_at < ?2
                         AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.broadcast = b.ref)
                     LIMIT ?3)";
                rows(conn, sql, params![org.as_str(), before.0, ROWS_PER_JOB])
            })
            .await
    }

    async fn prune_parked_reports(&self, before: Timestamp) -> StoreResult<u64> {
        // They are numbered in the order in which they came.
        let sql = "DELETE FROM parked_reports WHERE seq IN
             (SELECT seq FROM parked_reports ORDER BY seq LIMIT ?2) AND parked_at < ?1";
        self.delete_rows(sql, before).await
    }

    async fn prune_kept_webhooks(&self, before: Timestamp) -> StoreResult<u64> {
        let sql = "DELETE FROM inbox_kept WHERE id IN
             (SELECT id FROM inbox_kept ORDER BY id LIMIT ?2) AND received_at < ?1";
        self.delete_rows(sql, before).await
    }

    async fn prune_upstream_copies(&self, now: Timestamp) -> StoreResult<u64> {
        let expired = self.readers.list(move |conn| expired_copies(conn, now)).await?;
        if expired.is_empty() {
            return Ok(0);
        }
        self.writer.run(Work::Known, move |conn| delete_copies(conn, &expired, now)).await
    }

    async fn prune_removed_orgs(&self) -> StoreResult<bool> {
        self.writer
            .run(Work::Known, |conn| {
                let mut select = conn.prepare_cached("SELECT org FROM removed_orgs LIMIT 1")?;
                let org: Option<i64> = select.query_row([], |row| row.get(0)).optional()?;
                let Some(org) = org else { return Ok(false) };
                removal::delete_some(conn, org)?;
                Ok(true)
            })
            .await
    }

    async fn media_stored_before(
        &self,
        org_id: &OrgId,
        before: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<MediaId>> {
        let org = org_id.clone();
        self.readers
            .list(move |conn| {
                // Numbered in the order in which they were stored: the first ones are the oldest.
                let mut select = conn.prepare_cached(
                    "SELECT id FROM (
                         SELECT id, created_at FROM media
                         WHERE org = (SELECT ref FROM orgs WHERE id = ?1) ORDER BY seq LIMIT ?3)
                     WHERE created_at < ?2",
                )?;
                let ids = select.query_map(params![org.as_str(), before.0, limit], |row| {
                    Ok(MediaId::new(row.get::<_, String>(0)?))
                })?;
                Ok(ids.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn contents_in_use(&self, contents: Vec<Sha256Hex>) -> StoreResult<HashSet<Sha256Hex>> {
        self.readers
            .list(move |conn| {
                let mut named =
                    conn.prepare_cached("SELECT 1 FROM media WHERE sha256 = ?1 LIMIT 1")?;
                let mut used = HashSet::new();
                for content in contents {
                    if named.exists([content.as_str()])? {
                        used.insert(content);
                    }
                }
                Ok(used)
            })
            .await
    }
}

impl SqliteStore {
    /// Runs a deletion whose parameters are an instant and how many rows to look at.
    async fn delete_rows(&self, sql: &'static str, before: Timestamp) -> StoreResult<u64> {
        self.writer
            .run(Work::Known, move |conn| rows(conn, sql, params![before.0, ROWS_PER_JOB]))
            .await
    }
}

fn rows(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Done<u64> {
    Ok(conn.prepare_cached(sql)?.execute(params)? as u64)
}

/// The next messages of an organisation, in the order of acceptance. Those that are not in the
/// index yet come after those that are.
fn candidates(conn: &Connection, org: &OrgId, after: i64) -> Done<Vec<Candidate>> {
    let limit = if is_planted(Bug::RetentionAtOnce) { i64::MAX } else { MESSAGES_PER_JOB };
    let snapshot = conn.unchecked_transaction()?;
    let mut found = Vec::new();
    for sql in [
        "SELECT m.seq, m.created_at FROM org_messages g CROSS JOIN messages m ON m.seq = g.message
         WHERE g.org = (SELECT ref FROM orgs WHERE id = ?1) AND g.message > ?2
         ORDER BY g.message LIMIT ?3",
        "SELECT seq, created_at FROM messages
         WHERE seq > max(?2, (SELECT seq FROM messages_mark))
             AND org = (SELECT ref FROM orgs WHERE id = ?1) ORDER BY seq LIMIT ?3",
    ] {
        let mut select = snapshot.prepare_cached(sql)?;
        let rows = select
            .query_map(params![org.as_str(), after, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        if !found.is_empty() {
            break;
        }
    }
    Ok(found)
}

fn delete_ended(conn: &Connection, seqs: &[i64], before: Timestamp) -> Done<u64> {
    let mut ended = Vec::with_capacity(seqs.len());
    // The newest place of all stays: it must not be used again while events name it.
    let mut select = conn.prepare_cached(
        "SELECT status, attempt_outcome, resend_at NOT NULL OR status = 6 AND EXISTS (
             SELECT 1 FROM restored_messages WHERE message = messages.seq)
         FROM messages
         WHERE seq = ?1 AND created_at < ?2 AND seq < (SELECT max(seq) FROM messages)",
    )?;
    for seq in seqs {
        let found: Option<(u8, Option<u8>, bool)> = select
            .query_row([*seq, before.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((status, outcome, may_be_resent)) = found else { continue };
        let outcome = outcome.map(codes::read_outcome).transpose()?;
        if is_over(codes::read_status(status)?, outcome, may_be_resent)
            || is_planted(Bug::RetentionTakesPending)
        {
            ended.push(*seq);
        }
    }
    drop(select);
    removal::delete_messages(conn, &ended)?;
    Ok(ended.len() as u64)
}

/// Whether nothing will be done about a message any more. It may be sent again by itself, or when the
/// operator lets go what a restore holds back.
fn is_over(status: Status, outcome: Option<AttemptOutcome>, may_be_resent: bool) -> bool {
    let is_pending = matches!(status, Status::Queued | Status::Sending) || may_be_resent;
    !is_pending && outcome != Some(AttemptOutcome::Open)
}

/// Events are only deleted once all callbacks of them are recorded, and the newest never: its place
/// must not be used again.
fn old_events(conn: &Connection, org: &OrgId, before: Timestamp) -> Done<Vec<i64>> {
    let snapshot = conn.unchecked_transaction()?;
    let mut old = Vec::new();
    for sql in [
        "SELECT e.seq, e.recorded_at FROM org_events g CROSS JOIN events e ON e.seq = g.event
         WHERE g.org = (SELECT ref FROM orgs WHERE id = ?1)
             AND g.event <= (SELECT seq FROM events_mark)
             AND g.event < (SELECT max(seq) FROM events)
         ORDER BY g.event LIMIT ?2",
        "SELECT seq, recorded_at FROM events NOT INDEXED
         WHERE seq > (SELECT seq FROM org_events_mark) AND seq <= (SELECT seq FROM events_mark)
             AND seq < (SELECT max(seq) FROM events)
             AND org = (SELECT ref FROM orgs WHERE id = ?1) ORDER BY seq LIMIT ?2",
    ] {
        let mut select = snapshot.prepare_cached(sql)?;
        let rows = select
            .query_map(params![org.as_str(), ROWS_PER_JOB], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let found: Vec<Candidate> = rows.collect::<rusqlite::Result<_>>()?;
        old = found.into_iter().take_while(|(_, at)| *at < before.0).map(|(seq, _)| seq).collect();
        if !old.is_empty() {
            break;
        }
    }
    Ok(old)
}

fn delete_events(conn: &Connection, places: &[i64]) -> Done<u64> {
    let mut deleted = 0;
    for place in places {
        for sql in [
            "DELETE FROM callbacks WHERE (target, phone, event) IN (
                 SELECT c.target, c.phone, c.event FROM events e
                 CROSS JOIN callback_targets t ON t.org = e.org
                 CROSS JOIN callbacks c ON c.target = t.ref AND c.state = 1 AND c.event = e.seq
                 WHERE e.seq = ?1)",
            "DELETE FROM org_events WHERE event = ?1
                 AND org = (SELECT org FROM events WHERE seq = ?1)",
        ] {
            conn.prepare_cached(sql)?.execute([place])?;
        }
        deleted += rows(conn, "DELETE FROM events WHERE seq = ?1", [place])?;
    }
    Ok(deleted)
}

/// The next keys that are older than their organisation lets them be, and where to go on. Keys are
/// numbered in the order in which they were claimed.
fn old_keys(
    conn: &Connection,
    before: &HashMap<OrgId, Timestamp>,
    after: i64,
) -> Done<(Vec<Candidate>, Option<i64>)> {
    let mut select = conn.prepare_cached(
        "SELECT k.seq, k.claimed_at, k.target_kind, o.id
         FROM idempotency k LEFT JOIN orgs o ON o.ref = k.org
         WHERE k.seq > ?1 ORDER BY k.seq LIMIT ?2",
    )?;
    let mut rows = select.query([after, ROWS_PER_JOB])?;
    let (mut old, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let key: Candidate = (row.get(0)?, row.get(1)?);
        let (kind, org): (u8, Option<String>) = (row.get(2)?, row.get(3)?);
        let before = org.and_then(|id| before.get(&OrgId::new(id)));
        if kind != idempotency::MADE && before.is_some_and(|before| key.1 < before.0) {
            old.push(key);
        }
        last = Some(key);
    }
    let newest = before.values().max();
    let goes_on = |(_, at): &Candidate| newest.is_some_and(|newest| *at < newest.0);
    Ok((old, last.filter(goes_on).map(|(seq, _)| seq)))
}

fn delete_keys(conn: &Connection, keys: &[Candidate]) -> Done<u64> {
    let mut deleted = 0;
    for (seq, claimed_at) in keys {
        // It may have been claimed anew since it was looked at.
        let sql = "DELETE FROM idempotency WHERE seq = ?1 AND claimed_at = ?2";
        deleted += rows(conn, sql, [seq, claimed_at])?;
    }
    Ok(deleted)
}

/// The key of an upload: content, number, type.
type Copy = (String, i64, String);

fn expired_copies(conn: &Connection, now: Timestamp) -> Done<Vec<Copy>> {
    let mut select = conn.prepare_cached(
        "SELECT sha256, number, mime_type FROM upstream_copies WHERE expires_at <= ?1 LIMIT ?2",
    )?;
    let rows = select.query_map(params![now.0, ROWS_PER_JOB], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn delete_copies(conn: &Connection, copies: &[Copy], now: Timestamp) -> Done<u64> {
    let mut deleted = 0;
    for (sha256, number, mime_type) in copies {
        // It may have been uploaded anew since it was looked at.
        deleted += rows(
            conn,
            "DELETE FROM upstream_copies
             WHERE sha256 = ?1 AND number = ?2 AND mime_type = ?3 AND expires_at <= ?4",
            params![sha256, number, mime_type, now.0],
        )?;
    }
    Ok(deleted)
}
