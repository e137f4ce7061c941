//! What a number's lane asks: a window onto its due queue in which every organisation that shares
//! the number has its part, putting messages off, and what is known of people.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Deserialize;
use waypost_domain::place::Place;
use waypost_domain::{BroadcastId, MessageId, NumberId, OrgId, Phone, Status, Timestamp};
use waypost_engine::ports::{
    DueMessage, Look, PacingStore, PostponedMessage, StoreResult, WaitingMessage,
};

use super::fresh;
use super::held;
use super::standing;
use super::state::State;
use crate::SqliteStore;
use crate::broadcast_rows;
use crate::fault::Done;
use crate::refs;
use crate::rows::{StoredMessage, from_json, phone, select_message};
use crate::writer::Work;

/// Organisations that share a number and have something waiting at one place, at most; the others'
/// turns come when one of these has nothing left there.
const MAX_SHARERS: usize = 256;
/// Due messages given at once, whatever is asked for.
const MAX_DUE: u32 = 10_000;
/// Ended caps that are forgotten with each new one, so that there are never many.
const CAPS_PRUNED: i64 = 2;

#[async_trait]
impl PacingStore for SqliteStore {
    async fn waiting(
        &self,
        number_id: &NumberId,
        now: Timestamp,
        look: Look,
    ) -> StoreResult<Vec<WaitingMessage>> {
        let number_id = number_id.clone();
        self.readers.for_delivery(move |conn| waiting(conn, &number_id, now, look)).await
    }

    async fn standing_before(
        &self,
        number_id: &NumberId,
        phone: &Phone,
        place: Place,
        now: Timestamp,
    ) -> StoreResult<u64> {
        let (number_id, phone) = (number_id.clone(), phone.clone());
        let look = move |conn: &Connection| standing::before(conn, &number_id, &phone, place, now);
        self.readers.for_delivery(look).await
    }

    async fn waiting_message(&self, id: MessageId) -> StoreResult<Option<DueMessage>> {
        self.readers.look_up(|conn| waiting_message(conn, id))
    }

    async fn next_due_after(
        &self,
        number_id: &NumberId,
        after: Timestamp,
    ) -> StoreResult<Option<Timestamp>> {
        let number_id = number_id.clone();
        self.readers.for_delivery(move |conn| next_due_after(conn, &number_id, after)).await
    }

    async fn postpone(&self, messages: Vec<(MessageId, Timestamp)>) -> StoreResult<()> {
        self.writer
            .run(Work::Known, move |conn| {
                for (id, due_at) in &messages {
                    match State::by_id(conn, *id)? {
                        Some(state) if state.status == Status::Queued => {
                            state.leave_queue(conn)?;
                            state.enter_queue(conn, due_at.0)?;
                        }
                        _ => {}
                    }
                }
                Ok(())
            })
            .await
    }

    async fn postponed(
        &self,
        number_id: &NumberId,
        after: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<PostponedMessage>> {
        let number_id = number_id.clone();
        self.readers.for_delivery(move |conn| postponed(conn, &number_id, after, limit)).await
    }

    async fn postponed_to(
        &self,
        number_id: &NumberId,
        phone: &Phone,
        after: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<MessageId>> {
        let (number_id, phone) = (number_id.clone(), phone.clone());
        let look =
            move |conn: &Connection| standing::postponed_to(conn, &number_id, &phone, after, limit);
        self.readers.for_delivery(look).await
    }

    async fn hold(
        &self,
        id: MessageId,
        until: Timestamp,
        open_if_wrote_after: Timestamp,
    ) -> StoreResult<()> {
        self.writer
            .run(Work::Known, move |conn| held::hold(conn, id, until, open_if_wrote_after))
            .await
    }

    async fn held(&self) -> StoreResult<(u64, Option<Timestamp>)> {
        self.readers.list(held::count).await
    }

    async fn way_of(&self, id: MessageId) -> StoreResult<Option<(NumberId, Phone)>> {
        self.readers.look_up(|conn| way_of(conn, id))
    }

    async fn cap_marketing(
        &self,
        number_id: &NumberId,
        phone: &Phone,
        until: Timestamp,
        now: Timestamp,
    ) -> StoreResult<()> {
        let (number_id, phone) = (number_id.clone(), phone.clone());
        self.writer
            .run(Work::Known, move |conn| cap_marketing(conn, &number_id, &phone, until, now))
            .await
    }

    async fn marketing_caps(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<(NumberId, Phone, Timestamp)>> {
        self.readers.for_delivery(move |conn| marketing_caps(conn, now, limit)).await
    }

    async fn approached(
        &self,
        number_id: &NumberId,
        since: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<(Phone, Timestamp)>> {
        let number_id = number_id.clone();
        self.readers.list(move |conn| approached(conn, &number_id, since, limit)).await
    }
}

/// Where a waiting message stands: its place, its organisation, and its place in the order of
/// acceptance.
pub(super) type Standing = (i64, i64, i64);

/// The order in which messages that are due start, as far as one look goes: by place, then each
/// organisation's first, each one's second, and so on.
pub(super) fn in_order(
    conn: &Connection,
    number: i64,
    now: Timestamp,
    look: Look,
) -> Done<Vec<i64>> {
    let limit = look.limit.min(MAX_DUE);
    let before = look.before.map_or(i64::MAX, |place| i64::from(place.number()));
    let mut standings = due_at_once(conn, number, before, limit)?;
    select(
        conn,
        "SELECT priority, org, seq FROM queue
         WHERE number = ?1 AND due > 0 AND due <= ?2 AND priority < ?3
         ORDER BY priority, seq LIMIT ?4",
        [number, now.0, before, i64::from(limit)],
        &mut standings,
    )?;
    if before > i64::from(Place::BROADCAST.number()) {
        for broadcast in broadcast_rows::waiting(conn, number)? {
            for due in ["due = 0 AND ?2 >= 0", "due > 0 AND due <= ?2"] {
                let sql = format!(
                    "SELECT priority, org, seq FROM messages
                     WHERE broadcast = ?1 AND status = 0 AND {due} AND ?3 > 0
                     ORDER BY seq LIMIT ?4"
                );
                let values = [broadcast, now.0, before, i64::from(limit)];
                select(conn, &sql, values, &mut standings)?;
            }
        }
    }
    Ok(taking_turns(standings, limit as usize))
}

fn taking_turns(mut standings: Vec<Standing>, limit: usize) -> Vec<i64> {
    standings.sort_unstable();
    let mut ranked: Vec<(i64, usize, i64)> = Vec::with_capacity(standings.len());
    let (mut last, mut rank) = (None, 0);
    for (place, org, seq) in standings {
        rank = if last == Some((place, org)) { rank + 1 } else { 0 };
        last = Some((place, org));
        ranked.push((place, rank, seq));
    }
    ranked.sort_unstable();
    ranked.truncate(limit);
    ranked.into_iter().map(|(.., seq)| seq).collect()
}

/// Of those that were due when they came, an equal part for each organisation, place by place.
fn due_at_once(conn: &Connection, number: i64, before: i64, limit: u32) -> Done<Vec<Standing>> {
    let fresh = fresh::of_number(conn, number, before)?;
    let mut standings = Vec::new();
    let mut after = (-1, i64::MAX);
    while standings.len() < limit as usize {
        let sharers = sharers(conn, number, after, before, &fresh)?;
        let Some((place, _)) = sharers.first().copied() else { break };
        let part = (limit as usize - standings.len()).div_ceil(sharers.len());
        for (place, org) in sharers {
            let until = standings.len() + part;
            select(
                conn,
                "SELECT priority, org, seq FROM queue
                 WHERE number = ?1 AND due = 0 AND priority = ?2 AND org = ?3
                 ORDER BY seq LIMIT ?4",
                [number, place, org, i64::try_from(part).unwrap_or(i64::MAX)],
                &mut standings,
            )?;
            let is_there = |found: &&Standing| (found.0, found.1) == (place, org);
            let youngest = fresh.iter().filter(is_there);
            standings.extend(youngest.take(until.saturating_sub(standings.len())));
        }
        after = (place, i64::MAX);
    }
    Ok(standings)
}

/// The organisations with something due at the next place after another. The fresh ones are in the
/// order of their standing.
fn sharers(
    conn: &Connection,
    number: i64,
    after: (i64, i64),
    before: i64,
    fresh: &[Standing],
) -> Done<Vec<(i64, i64)>> {
    let mut next = conn.prepare_cached(
        "SELECT priority, org FROM queue
         WHERE number = ?1 AND due = 0 AND (priority, org) > (?2, ?3) AND priority < ?4
         ORDER BY priority, org LIMIT 1",
    )?;
    let mut sharers: Vec<(i64, i64)> = Vec::new();
    let mut after = after;
    while sharers.len() < MAX_SHARERS {
        let found = next
            .query_row(params![number, after.0, after.1, before], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let youngest = fresh.iter().map(|(place, org, _)| (*place, *org)).find(|it| *it > after);
        let found = found.into_iter().chain(youngest).min();
        match (found, sharers.first()) {
            (Some(found), None) => sharers.push(found),
            (Some(found), Some(first)) if found.0 == first.0 => sharers.push(found),
            _ => break,
        }
        after = sharers.last().copied().unwrap_or(after);
    }
    Ok(sharers)
}

fn select(
    conn: &Connection,
    sql: &str,
    values: [i64; 4],
    standings: &mut Vec<Standing>,
) -> Done<()> {
    let mut select = conn.prepare_cached(sql)?;
    let rows = select.query_map(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        standings.push(row?);
    }
    Ok(())
}

fn waiting(
    conn: &Connection,
    number: &NumberId,
    now: Timestamp,
    look: Look,
) -> Done<Vec<WaitingMessage>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(number) = refs::number(&snapshot, number)? else { return Ok(Vec::new()) };
    let order = in_order(&snapshot, number, now, look)?;
    let mut select = snapshot.prepare_cached(
        "SELECT m.id, o.id, m.phone, m.priority, m.attempts, coalesce(m.options, b.options),
             EXISTS (SELECT 1 FROM held WHERE message = m.seq), b.id
         FROM messages m CROSS JOIN orgs o ON o.ref = m.org
         LEFT JOIN broadcasts b ON b.ref = m.broadcast
         WHERE m.seq = ?1",
    )?;
    let mut waiting = Vec::with_capacity(order.len());
    for seq in order {
        // A removed organisation's messages are read no more, though they still wait for deletion.
        let mut rows = select.query([seq])?;
        if let Some(row) = rows.next()? {
            waiting.push(waiting_row(row, seq)?);
        }
    }
    Ok(waiting)
}

/// What a lane must know of a message's options.
#[derive(Deserialize)]
struct End {
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

fn waiting_row(row: &Row<'_>, order: i64) -> Done<WaitingMessage> {
    let options: Option<String> = row.get(5)?;
    let end: Option<End> = options.as_deref().map(from_json).transpose()?;
    let broadcast: Option<[u8; 16]> = row.get(7)?;
    Ok(WaitingMessage {
        id: MessageId::from_bytes(row.get(0)?),
        order,
        place: Place::from_number(row.get(3)?),
        org_id: OrgId::new(row.get::<_, String>(1)?),
        phone: phone(&row.get::<_, String>(2)?)?,
        broadcast_id: broadcast.map(BroadcastId::from_bytes),
        attempts: row.get(4)?,
        expires_at: end.and_then(|end| end.expires_at),
        was_held: row.get(6)?,
    })
}

fn waiting_message(conn: &Connection, id: MessageId) -> Done<Option<DueMessage>> {
    let mut select =
        conn.prepare_cached(select_message!("messages m", "WHERE m.id = ?1 AND m.status = 0"))?;
    let stored = select.query_row([id.as_bytes()], StoredMessage::from_row).optional()?;
    stored.map(StoredMessage::into_due).transpose()
}

fn next_due_after(
    conn: &Connection,
    number: &NumberId,
    after: Timestamp,
) -> Done<Option<Timestamp>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(number) = refs::number(&snapshot, number)? else { return Ok(None) };
    let first = |sql: &str, of: i64| -> Done<Option<i64>> {
        let mut select = snapshot.prepare_cached(sql)?;
        Ok(select.query_row([of, after.0.max(0)], |row| row.get(0))?)
    };
    let mut next = first("SELECT min(due) FROM queue WHERE number = ?1 AND due > ?2", number)?;
    for broadcast in broadcast_rows::waiting(&snapshot, number)? {
        let of_members = first(
            "SELECT min(due) FROM messages WHERE broadcast = ?1 AND status = 0 AND due > ?2",
            broadcast,
        )?;
        next = next.into_iter().chain(of_members).min();
    }
    Ok(next.map(Timestamp))
}

fn postponed(
    conn: &Connection,
    number: &NumberId,
    after: Timestamp,
    limit: u32,
) -> Done<Vec<PostponedMessage>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(number) = refs::number(&snapshot, number)? else { return Ok(Vec::new()) };
    let mut select = snapshot.prepare_cached(
        "SELECT m.phone, m.seq, m.priority, q.due
         FROM queue q CROSS JOIN messages m ON m.seq = q.seq
         WHERE q.number = ?1 AND q.due > ?2 AND m.attempts = 0
             AND NOT EXISTS (SELECT 1 FROM held WHERE message = q.seq)
         ORDER BY q.due LIMIT ?3",
    )?;
    let mut rows = select.query(params![number, after.0.max(0), limit.min(MAX_DUE)])?;
    let mut postponed = Vec::new();
    while let Some(row) = rows.next()? {
        postponed.push(PostponedMessage {
            phone: phone(&row.get::<_, String>(0)?)?,
            order: row.get(1)?,
            place: Place::from_number(row.get(2)?),
            due_at: Timestamp(row.get(3)?),
        });
    }
    Ok(postponed)
}

fn way_of(conn: &Connection, id: MessageId) -> Done<Option<(NumberId, Phone)>> {
    let found: Option<(String, String)> = conn
        .prepare_cached(
            "SELECT n.id, m.phone FROM messages m JOIN numbers n ON n.ref = m.number
             WHERE m.id = ?1",
        )?
        .query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(number, digits)| Ok((NumberId::new(number), phone(&digits)?))).transpose()
}

fn cap_marketing(
    conn: &Connection,
    number: &NumberId,
    phone: &Phone,
    until: Timestamp,
    now: Timestamp,
) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO marketing_caps (number, phone, until)
         SELECT ref, ?2, ?3 FROM numbers WHERE id = ?1
         ON CONFLICT (number, phone) DO UPDATE SET until = max(until, excluded.until)",
    )?
    .execute(params![number.as_str(), phone.digits(), until.0])?;
    conn.prepare_cached(
        "DELETE FROM marketing_caps WHERE (number, phone) IN
             (SELECT number, phone FROM marketing_caps WHERE until <= ?1 ORDER BY until LIMIT ?2)",
    )?
    .execute(params![now.0, CAPS_PRUNED])?;
    Ok(())
}

fn marketing_caps(
    conn: &Connection,
    now: Timestamp,
    limit: u32,
) -> Done<Vec<(NumberId, Phone, Timestamp)>> {
    let mut select = conn.prepare_cached(
        "SELECT n.id, c.phone, c.until FROM marketing_caps c CROSS JOIN numbers n ON n.ref = c.number
         WHERE c.until > ?1 ORDER BY c.until DESC LIMIT ?2",
    )?;
    let mut rows = select.query(params![now.0, limit])?;
    let mut caps = Vec::new();
    while let Some(row) = rows.next()? {
        let digits: String = row.get(1)?;
        let number = NumberId::new(row.get::<_, String>(0)?);
        caps.push((number, phone(&digits)?, Timestamp(row.get(2)?)));
    }
    Ok(caps)
}

/// Read backwards along the table: there is no index of it, and this is asked once after a start.
fn approached(
    conn: &Connection,
    number: &NumberId,
    since: Timestamp,
    limit: u32,
) -> Done<Vec<(Phone, Timestamp)>> {
    let snapshot = conn.unchecked_transaction()?;
    let Some(number) = refs::number(&snapshot, number)? else { return Ok(Vec::new()) };
    let mut select = snapshot.prepare_cached(
        "SELECT l.phone, max(l.sent_at) AS last
         FROM (SELECT org, number, phone, message_type, sent_at FROM messages NOT INDEXED
               ORDER BY seq DESC LIMIT ?3) l
         WHERE l.number = ?1 AND l.sent_at > ?2 AND l.message_type = 2
             AND NOT EXISTS (SELECT 1 FROM sessions s
                 WHERE s.org = l.org AND s.number = l.number AND s.phone = l.phone
                     AND s.last_inbound_at <= l.sent_at
                     AND s.last_inbound_at > l.sent_at - ?4)
         GROUP BY l.phone ORDER BY last",
    )?;
    let values = params![number, since.0, limit, waypost_domain::window::WINDOW_MS];
    let mut rows = select.query(values)?;
    let mut approached = Vec::new();
    while let Some(row) = rows.next()? {
        let digits: String = row.get(0)?;
        approached.push((phone(&digits)?, Timestamp(row.get(1)?)));
    }
    Ok(approached)
}
