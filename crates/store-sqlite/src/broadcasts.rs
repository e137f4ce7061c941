//! Broadcasts: one row with what their messages have in common, and the messages beside it. Waiting
//! members are not in the due queue's table; starting or pausing a broadcast changes one row,
//! however many it is for. What touches every member is done a little in each job.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use waypost_domain::message::{BroadcastRecord, BroadcastState, Direction, Message};
use waypost_domain::place::Place;
use waypost_domain::{BroadcastId, NumberId, OrgId, Status, Timestamp};
use waypost_engine::ports::{
    Accepted, BroadcastMember, BroadcastProgress, BroadcastStore, IdempotencyClaim,
    IdempotentTarget, Page, Paged, StoreError, StoreResult,
};

use crate::SqliteStore;
use crate::codes;
use crate::digest;
use crate::fault::Done;
use crate::idempotency;
use crate::messages::removal;
use crate::messages::state::State;
use crate::rows::{paged, rows_for, to_json};
use crate::writer::{Crowd, Work};

/// Members cancelled or deleted in one job at most: hardly more than are read in vain where somebody
/// waits.
const MEMBERS_PER_JOB: i64 = 128;

#[async_trait]
impl BroadcastStore for SqliteStore {
    async fn prepare_broadcast(
        &self,
        record: BroadcastRecord,
        model: Message,
        claim: Option<IdempotencyClaim>,
    ) -> StoreResult<Accepted> {
        let content = to_json(&model.content)?;
        self.writer
            .run(Work::New, move |conn| prepare(conn, &record, &model, &content, claim.as_ref()))
            .await
    }

    async fn add_broadcast_members(
        &self,
        id: BroadcastId,
        members: Vec<BroadcastMember>,
    ) -> StoreResult<()> {
        let (members, mut added): (Arc<[BroadcastMember]>, usize) = (members.into(), 0);
        while added < members.len() {
            let (members, crowd) = (Arc::clone(&members), self.writer.crowd());
            let add = move |conn: &_| add_members(conn, id, &members[added..], &crowd);
            added += self.writer.run_long(Work::Known, add).await?;
        }
        Ok(())
    }

    async fn start_broadcast(&self, id: BroadcastId, _now: Timestamp) -> StoreResult<()> {
        self.writer.run(Work::Known, move |conn| start(conn, id)).await
    }

    async fn discard_broadcast(&self, id: BroadcastId) -> StoreResult<()> {
        let prepared = self.writer.run(Work::Known, move |conn| find_prepared(conn, id)).await?;
        match prepared {
            Some(broadcast) => self.discard_members(broadcast).await,
            None => Ok(()),
        }
    }

    async fn set_broadcast_state(
        &self,
        org_id: &OrgId,
        id: BroadcastId,
        state: BroadcastState,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let org_id = org_id.clone();
        let changed =
            self.writer.run(Work::Known, move |conn| set_state(conn, &org_id, id, state)).await?;
        let Some(broadcast) = changed else { return Ok(false) };
        if state == BroadcastState::Cancelled {
            self.cancel_members(broadcast, now).await?;
        }
        Ok(true)
    }

    async fn broadcast(
        &self,
        org_id: &OrgId,
        id: BroadcastId,
    ) -> StoreResult<Option<BroadcastProgress>> {
        let org_id = org_id.clone();
        self.readers.list(move |conn| progress(conn, &org_id, id)).await
    }

    async fn broadcasts(&self, org_id: &OrgId, page: Page) -> StoreResult<Paged<BroadcastRecord>> {
        let org_id = org_id.clone();
        self.readers.list(move |conn| list(conn, &org_id, page)).await
    }

    async fn broadcast_open_count(&self, id: BroadcastId) -> StoreResult<u64> {
        self.readers
            .for_delivery(move |conn| {
                let count: i64 = conn
                    .prepare_cached(
                        "SELECT count(*) FROM messages
                         WHERE broadcast = (SELECT ref FROM broadcasts WHERE id = ?1)
                             AND status IN (0, 1)",
                    )?
                    .query_row([id.as_bytes()], |row| row.get(0))?;
                Ok(u64::try_from(count).unwrap_or(0))
            })
            .await
    }
}

impl SqliteStore {
    /// Deletes a prepared broadcast, its members first.
    pub(crate) async fn discard_members(&self, broadcast: i64) -> StoreResult<()> {
        let crowd = self.writer.crowd();
        let discard = move |conn: &Connection| discard_some(conn, broadcast, &crowd);
        while self.writer.run_long(Work::Known, discard.clone()).await? {}
        Ok(())
    }

    /// Withdraws the members of a cancelled broadcast that still wait.
    pub(crate) async fn cancel_members(&self, broadcast: i64, now: Timestamp) -> StoreResult<()> {
        let crowd = self.writer.crowd();
        let cancel = move |conn: &Connection| cancel_some(conn, broadcast, now, &crowd);
        while self.writer.run_long(Work::Known, cancel.clone()).await? {}
        Ok(())
    }
}

fn prepare(
    conn: &Connection,
    record: &BroadcastRecord,
    model: &Message,
    content: &str,
    claim: Option<&IdempotencyClaim>,
) -> Done<Accepted> {
    if let Some(claim) = claim {
        let target = IdempotentTarget::Broadcast(record.id);
        let claimed = idempotency::claim(conn, claim, &target, record.created_at)?;
        if claimed != Accepted::New {
            return Ok(claimed);
        }
    }
    let options = (!model.options.is_empty()).then(|| to_json(&model.options)).transpose()?;
    conn.prepare_cached(
        "INSERT INTO broadcasts (id, org, number, template, audience, created_at, state, waiting,
             message_type, dialect, synchronous, user, session, reference, content, claim_route,
             claim_key, options)
         VALUES (?1, (SELECT ref FROM orgs WHERE id = ?2),
             (SELECT ref FROM numbers WHERE id = ?3 AND body IS NOT NULL),
             ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        record.id.as_bytes(),
        record.org_id.as_str(),
        record.number_id.as_str(),
        record.template,
        i64::try_from(record.audience).unwrap_or(i64::MAX),
        record.created_at.0,
        codes::PREPARED,
        codes::message_type(model.message_type),
        model.dialect,
        model.synchronous,
        model.user_id.as_ref().map(waypost_domain::UserId::as_str),
        model.session_id,
        model.reference,
        content,
        claim.map(|claim| &claim.route),
        claim.map(|claim| &claim.key),
        options,
    ])?;
    Ok(Accepted::New)
}

/// What every member's row repeats.
struct Model {
    broadcast: i64,
    org: i64,
    number: i64,
    created_at: i64,
    message_type: u8,
    dialect: String,
    synchronous: bool,
    user: Option<String>,
    session: Option<String>,
    reference: Option<String>,
    content: String,
}

fn find_model(conn: &Connection, id: BroadcastId) -> Done<Model> {
    let found = conn
        .prepare_cached(
            "SELECT ref, org, number, created_at, message_type, dialect, synchronous, user,
                 session, reference, content
             FROM broadcasts WHERE id = ?1 AND state = ?2",
        )?
        .query_row(params![id.as_bytes(), codes::PREPARED], |row| {
            Ok(Model {
                broadcast: row.get(0)?,
                org: row.get(1)?,
                number: row.get(2)?,
                created_at: row.get(3)?,
                message_type: row.get(4)?,
                dialect: row.get(5)?,
                synchronous: row.get(6)?,
                user: row.get(7)?,
                session: row.get(8)?,
                reference: row.get(9)?,
                content: row.get(10)?,
            })
        })
        .optional()?;
    found.ok_or_else(|| StoreError::NotFound.into())
}

/// Adds members, or some of them where somebody waits. Returns how many.
fn add_members(
    conn: &Connection,
    id: BroadcastId,
    members: &[BroadcastMember],
    crowd: &Crowd,
) -> Done<usize> {
    let model = find_model(conn, id)?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO messages (id, org, number, customer, phone, direction, message_type, dialect,
             synchronous, user, session, reference, broadcast, status, created_at, priority,
             digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?;
    let mut first = None;
    let left = crowd.work_off(members, |member| {
        insert.execute(params![
            member.message_id.as_bytes(),
            model.org,
            model.number,
            member.customer_id.as_str(),
            member.phone.digits(),
            codes::direction(Direction::Outbound),
            model.message_type,
            model.dialect,
            model.synchronous,
            model.user,
            model.session,
            model.reference,
            model.broadcast,
            Status::Queued.number(),
            model.created_at,
            Place::BROADCAST.number(),
            digest::of(member.message_id.as_bytes(), member.phone.digits(), &model.content),
        ])?;
        first.get_or_insert_with(|| conn.last_insert_rowid());
        Ok(())
    })?;
    conn.prepare_cached(
        "UPDATE broadcasts SET first_seq = coalesce(first_seq, ?2), last_seq = ?3 WHERE ref = ?1",
    )?
    .execute(params![model.broadcast, first, conn.last_insert_rowid()])?;
    Ok(members.len() - left.len())
}

fn start(conn: &Connection, id: BroadcastId) -> Done<()> {
    let broadcast = find_prepared(conn, id)?.ok_or(StoreError::NotFound)?;
    conn.prepare_cached(
        "UPDATE broadcasts SET state = ?2, audience = members, waiting = members > 0
         FROM (SELECT count(*) AS members FROM messages WHERE broadcast = ?1)
         WHERE ref = ?1",
    )?
    .execute(params![broadcast, codes::broadcast_state(BroadcastState::Running)])?;
    Ok(())
}

fn find_prepared(conn: &Connection, id: BroadcastId) -> Done<Option<i64>> {
    let mut select =
        conn.prepare_cached("SELECT ref FROM broadcasts WHERE id = ?1 AND state = ?2")?;
    Ok(select.query_row(params![id.as_bytes(), codes::PREPARED], |row| row.get(0)).optional()?)
}

fn discard_some(conn: &Connection, broadcast: i64, crowd: &Crowd) -> Done<bool> {
    let seqs = members(conn, "SELECT seq FROM messages WHERE broadcast = ?1 LIMIT ?2", broadcast)?;
    if !seqs.is_empty() {
        crowd.work_off(&seqs, |seq| removal::delete_messages(conn, &[*seq]))?;
        return Ok(true);
    }
    conn.prepare_cached(
        "DELETE FROM idempotency WHERE seq IN (
             SELECT i.seq FROM broadcasts b JOIN idempotency i
                 ON i.org = b.org AND i.route = b.claim_route AND i.key = b.claim_key
             WHERE b.ref = ?1 AND i.target = b.id)",
    )?
    .execute([broadcast])?;
    conn.prepare_cached("DELETE FROM broadcasts WHERE ref = ?1")?.execute([broadcast])?;
    Ok(false)
}

fn members(conn: &Connection, sql: &str, broadcast: i64) -> Done<Vec<i64>> {
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(params![broadcast, MEMBERS_PER_JOB], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn set_state(
    conn: &Connection,
    org: &OrgId,
    id: BroadcastId,
    state: BroadcastState,
) -> Done<Option<i64>> {
    let changed = conn
        .prepare_cached(
            "UPDATE broadcasts SET state = ?3
             WHERE id = ?1 AND org = (SELECT ref FROM orgs WHERE id = ?2) AND state IN (0, 1)
             RETURNING ref",
        )?
        .query_row(params![id.as_bytes(), org.as_str(), codes::broadcast_state(state)], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(changed)
}

fn cancel_some(conn: &Connection, broadcast: i64, now: Timestamp, crowd: &Crowd) -> Done<bool> {
    let sql = "SELECT seq FROM messages WHERE broadcast = ?1 AND status = 0 LIMIT ?2";
    let seqs = members(conn, sql, broadcast)?;
    crowd.work_off(&seqs, |seq| {
        let state = State::by_seq(conn, *seq)?.ok_or(StoreError::NotFound)?;
        state.withdraw(conn, now)
    })?;
    Ok(!seqs.is_empty())
}

/// Broadcasts that a crash caught in preparation.
pub(crate) fn prepared(conn: &Connection) -> Done<Vec<i64>> {
    refs(conn, "SELECT ref FROM broadcasts WHERE state = 3")
}

/// Cancelled broadcasts that a crash caught before all members were withdrawn.
pub(crate) fn cancelled_with_waiting(conn: &Connection) -> Done<Vec<i64>> {
    refs(conn, "SELECT ref FROM broadcasts WHERE waiting = 1 AND state = 2")
}

fn refs(conn: &Connection, sql: &str) -> Done<Vec<i64>> {
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

macro_rules! select_broadcast {
    ($rest:literal) => {
        concat!(
            "SELECT b.ref, b.id, o.id, n.id, b.template, b.audience, b.created_at, b.state
             FROM broadcasts b JOIN orgs o ON o.ref = b.org JOIN numbers n ON n.ref = b.number
             WHERE b.state <> 3 AND o.id = ?1 ",
            $rest
        )
    };
}

fn record(row: &Row<'_>) -> Done<(i64, BroadcastRecord)> {
    let record = BroadcastRecord {
        id: BroadcastId::from_bytes(row.get(1)?),
        org_id: OrgId::new(row.get::<_, String>(2)?),
        number_id: NumberId::new(row.get::<_, String>(3)?),
        template: row.get(4)?,
        audience: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        created_at: Timestamp(row.get(6)?),
        state: codes::read_broadcast_state(row.get(7)?)?,
    };
    Ok((row.get(0)?, record))
}

fn progress(conn: &Connection, org: &OrgId, id: BroadcastId) -> Done<Option<BroadcastProgress>> {
    let snapshot = conn.unchecked_transaction()?;
    let mut select = snapshot.prepare_cached(select_broadcast!("AND b.id = ?2"))?;
    let mut rows = select.query(params![org.as_str(), id.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (broadcast, record) = record(row)?;
    let mut count = snapshot.prepare_cached(
        "SELECT status, count(*) FROM messages WHERE broadcast = ?1 GROUP BY status",
    )?;
    let mut counts = count.query([broadcast])?;
    let mut by_status = Vec::new();
    while let Some(row) = counts.next()? {
        let count = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        by_status.push((codes::read_status(row.get(0)?)?, count));
    }
    Ok(Some(BroadcastProgress { record, by_status }))
}

fn list(conn: &Connection, org: &OrgId, page: Page) -> Done<Paged<BroadcastRecord>> {
    let mut select =
        conn.prepare_cached(select_broadcast!("AND b.ref > ?2 ORDER BY b.ref LIMIT ?3"))?;
    let mut rows = select.query(params![org.as_str(), page.after.unwrap_or(0), rows_for(page)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(record(row)?);
    }
    Ok(paged(page, found))
}
