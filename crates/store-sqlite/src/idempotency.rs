//! Idempotency keys. The unique index decides who was first.

use std::borrow::Cow;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::idempotency::KEPT_MS;
use waypost_domain::{BroadcastId, MediaId, MessageId, OrgId, Timestamp};
use waypost_engine::ports::{
    Accepted, CreationClaim, Entry, IdempotencyClaim, IdempotencyStore, IdempotentTarget,
    NewRecord, PutMode, StoreError, StoreResult,
};
use waypost_planted::{Bug, is_planted};

use crate::SqliteStore;
use crate::customers;
use crate::directory;
use crate::fault::{Done, corrupt};
use crate::writer::Work;

/// `target_kind` of what the management API made.
pub(crate) const MADE: u8 = 4;
/// Claims looked at in one job when old ones are forgotten.
const FORGET_ROWS: i64 = 1_000;

#[async_trait]
impl IdempotencyStore for SqliteStore {
    async fn create(&self, record: NewRecord, claim: CreationClaim) -> StoreResult<()> {
        self.writer.run(Work::Known, move |conn| create(conn, &record, &claim)).await
    }

    async fn idempotent_target(
        &self,
        org_id: &OrgId,
        route: &str,
        key: &str,
        oldest: Timestamp,
    ) -> StoreResult<Option<([u8; 32], IdempotentTarget)>> {
        self.readers.look_up(|conn| {
            let claim = read(conn, org_id.as_str(), route, key)?;
            Ok(claim
                .filter(|claim| claim.claimed_at >= oldest.0 && !claim.is_void)
                .map(|claim| (claim.fingerprint, claim.target)))
        })
    }

    async fn forget_idempotency(&self, before: Timestamp) -> StoreResult<u64> {
        let (mut forgotten, mut after) = (0, 0);
        loop {
            let (deleted, last) =
                self.writer.run(Work::Known, move |conn| forget(conn, before, after)).await?;
            forgotten += deleted;
            // Claims lie in the order in which they were made: behind a stretch without old ones
            // there are none.
            match last {
                Some(last) if deleted > 0 => after = last,
                _ => return Ok(forgotten),
            }
        }
    }
}

/// Claims a key and records what it stands for from now on.
fn create(conn: &Connection, record: &NewRecord, creation: &CreationClaim) -> Done<()> {
    let wanted = &creation.claim;
    if let Some(gone) = &creation.gone {
        conn.prepare_cached(
            "DELETE FROM idempotency
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1 UNION ALL SELECT 0 WHERE ?1 = '')
                 AND route = ?2 AND key = ?3 AND target = ?4",
        )?
        .execute(params![
            wanted.org_id.as_str(),
            wanted.route,
            wanted.key,
            gone.as_bytes()
        ])?;
    }
    let target = IdempotentTarget::Made(id_of(record).to_owned());
    if claim(conn, wanted, &target, creation.now)? != Accepted::New {
        return Err(StoreError::Conflict("Idempotency-Key").into());
    }
    match record {
        NewRecord::Entry(entry) => directory::put(conn, entry, PutMode::Create),
        NewRecord::Customer(customer) => customers::create(conn, customer),
        NewRecord::Upstream(_) => Ok(()),
    }
}

fn id_of(record: &NewRecord) -> &str {
    match record {
        NewRecord::Entry(entry) => match &**entry {
            Entry::Org(org) => org.id.as_str(),
            Entry::User(user) => user.id.as_str(),
            Entry::Number(number) => number.id.as_str(),
            Entry::ApiKey(key) => key.id.as_str(),
            Entry::Provider(provider) => provider.id.as_str(),
            Entry::Webhook(webhook) => webhook.id.as_str(),
        },
        NewRecord::Customer(customer) => customer.id.as_str(),
        NewRecord::Upstream(name) => name,
    }
}

/// Claims a key for something new.
pub(crate) fn claim(
    conn: &Connection,
    claim: &IdempotencyClaim,
    target: &IdempotentTarget,
    now: Timestamp,
) -> Done<Accepted> {
    if insert(conn, claim, target, now)? || is_planted(Bug::ReadThenWriteIdempotency) {
        return Ok(Accepted::New);
    }
    let Some(first) = read(conn, claim.org_id.as_str(), &claim.route, &claim.key)? else {
        return Err(corrupt("idempotency key"));
    };
    if first.claimed_at >= now.0 - KEPT_MS && !first.is_void {
        return Ok(Accepted::Replay { fingerprint: first.fingerprint, target: first.target });
    }
    conn.prepare_cached("DELETE FROM idempotency WHERE seq = ?1")?.execute([first.seq])?;
    insert(conn, claim, target, now)?;
    Ok(Accepted::New)
}

/// Frees a key that stands for this target. It is remembered, should the target be sent after all.
pub(crate) fn free(
    conn: &Connection,
    org: i64,
    route: Option<&str>,
    key: Option<&str>,
    target: &[u8],
) -> Done<()> {
    let (Some(route), Some(key)) = (route, key) else { return Ok(()) };
    conn.prepare_cached(
        "UPDATE idempotency SET is_free = 1
         WHERE org = ?1 AND route = ?2 AND key = ?3 AND target = ?4",
    )?
    .execute(params![org, route, key, target])?;
    Ok(())
}

/// Claims a key again for a target that is to be sent after all. `false` where it was claimed for
/// another one since, be it that the key is free again: its fingerprint is that one's.
pub(crate) fn reclaim(
    conn: &Connection,
    org: i64,
    route: Option<&str>,
    key: Option<&str>,
    target: &[u8],
    now: Timestamp,
) -> Done<bool> {
    let (Some(route), Some(key)) = (route, key) else { return Ok(true) };
    conn.prepare_cached(
        "UPDATE idempotency SET is_free = 0
         WHERE org = ?1 AND route = ?2 AND key = ?3 AND target = ?4 AND is_free = 1",
    )?
    .execute(params![org, route, key, target])?;
    let is_taken = conn
        .prepare_cached(
            "SELECT 1 FROM idempotency
             WHERE org = ?1 AND route = ?2 AND key = ?3 AND target <> ?4 AND claimed_at >= ?5",
        )?
        .exists(params![org, route, key, target, now.0 - KEPT_MS])?;
    Ok(!is_taken)
}

struct Claim {
    seq: i64,
    fingerprint: [u8; 32],
    target: IdempotentTarget,
    claimed_at: i64,
    /// What it stood for was not sent, or has been removed: the key is free.
    is_void: bool,
}

fn read(conn: &Connection, org: &str, route: &str, key: &str) -> Done<Option<Claim>> {
    let found = conn
        .prepare_cached(
            "SELECT seq, fingerprint, target_kind, target, claimed_at, is_free FROM idempotency
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1 UNION ALL SELECT 0 WHERE ?1 = '')
                 AND route = ?2 AND key = ?3",
        )?
        .query_row(params![org, route, key], |row| {
            let target: Vec<u8> = row.get(3)?;
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, target, row.get(4)?, row.get(5)?))
        })
        .optional()?;
    let Some((seq, fingerprint, kind, target, claimed_at, is_free)) = found else {
        return Ok(None);
    };
    let target = read_target(kind, target)?;
    let is_void = match &target {
        _ if is_free => true,
        IdempotentTarget::Media(id) => !has_media(conn, id)?,
        IdempotentTarget::Message(_)
        | IdempotentTarget::Messages(_)
        | IdempotentTarget::Broadcast(_)
        | IdempotentTarget::Made(_) => false,
    };
    Ok(Some(Claim { seq, fingerprint, target, claimed_at, is_void }))
}

/// `false` where the key is claimed already.
fn insert(
    conn: &Connection,
    claim: &IdempotencyClaim,
    target: &IdempotentTarget,
    now: Timestamp,
) -> Done<bool> {
    let (kind, bytes) = target_columns(target);
    let bytes = &bytes[..];
    let inserted = conn
        .prepare_cached(
            "INSERT INTO idempotency
                 (org, route, key, fingerprint, target_kind, target, claimed_at)
             VALUES (
                 (SELECT ref FROM orgs WHERE id = ?1 UNION ALL SELECT 0 WHERE ?1 = ''),
                 ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (org, route, key) DO NOTHING",
        )?
        .execute(params![
            claim.org_id.as_str(),
            claim.route,
            claim.key,
            claim.fingerprint,
            kind,
            bytes,
            now.0
        ])?;
    Ok(inserted > 0)
}

fn target_columns(target: &IdempotentTarget) -> (u8, Cow<'_, [u8]>) {
    match target {
        IdempotentTarget::Message(id) => (0, Cow::Borrowed(id.as_bytes())),
        IdempotentTarget::Broadcast(id) => (1, Cow::Borrowed(id.as_bytes())),
        IdempotentTarget::Media(id) => (2, Cow::Borrowed(id.as_str().as_bytes())),
        IdempotentTarget::Made(id) => (MADE, Cow::Borrowed(id.as_bytes())),
        IdempotentTarget::Messages(ids) => {
            (3, ids.iter().flat_map(MessageId::as_bytes).copied().collect())
        }
    }
}

fn read_target(kind: u8, bytes: Vec<u8>) -> Done<IdempotentTarget> {
    let uuid = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).map_err(|_| corrupt("key's target"));
    match kind {
        0 => Ok(IdempotentTarget::Message(MessageId::from_bytes(uuid(&bytes)?))),
        1 => Ok(IdempotentTarget::Broadcast(BroadcastId::from_bytes(uuid(&bytes)?))),
        2 => {
            let id = String::from_utf8(bytes).map_err(|_| corrupt("key's target"))?;
            Ok(IdempotentTarget::Media(MediaId::new(id)))
        }
        3 => {
            let ids = bytes.chunks(size_of::<[u8; 16]>());
            let ids = ids.map(|id| Ok(MessageId::from_bytes(uuid(id)?)));
            Ok(IdempotentTarget::Messages(ids.collect::<Done<_>>()?))
        }
        MADE => {
            let id = String::from_utf8(bytes).map_err(|_| corrupt("key's target"))?;
            Ok(IdempotentTarget::Made(id))
        }
        _ => Err(corrupt("key's target")),
    }
}

/// Forgets old claims among the next ones after a place; returns how many, and the last place.
fn forget(conn: &Connection, before: Timestamp, after: i64) -> Done<(u64, Option<i64>)> {
    let last: Option<i64> = conn
        .prepare_cached(
            "SELECT max(seq) FROM
                 (SELECT seq FROM idempotency WHERE seq > ?1 ORDER BY seq LIMIT ?2)",
        )?
        .query_row(params![after, FORGET_ROWS], |row| row.get(0))?;
    let deleted = conn
        .prepare_cached("DELETE FROM idempotency WHERE seq > ?1 AND seq <= ?2 AND claimed_at < ?3")?
        .execute(params![after, last, before.0])?;
    Ok((deleted as u64, last))
}

fn has_media(conn: &Connection, id: &MediaId) -> Done<bool> {
    Ok(conn.prepare_cached("SELECT 1 FROM media WHERE id = ?1")?.exists([id.as_str()])?)
}
