//! The upstream's webhooks as they came, and the messages that people wrote.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::command::MessageType;
use waypost_domain::content::InboundContent;
use waypost_domain::customer::Customer;
use waypost_domain::media::MediaKind;
use waypost_domain::message::Direction;
use waypost_domain::{
    Content, MediaId, MediaRef, MessageId, NumberId, OrgId, Phone, Status, Timestamp,
};
use waypost_engine::ports::{
    InboundFile, InboundMessage, InboxEntry, InboxStore, Signer, StoreError, StoreResult,
};
use waypost_planted::{Bug, is_planted};

use crate::SqliteStore;
use crate::callbacks;
use crate::codes;
use crate::customers;
use crate::events;
use crate::fault::{Done, corrupt};
use crate::joins;
use crate::memory::Memory;
use crate::messages::held;
use crate::rows::{from_json, to_json};
use crate::writer::Work;

/// Entries given at once, whatever is asked for.
const MAX_ENTRIES: u32 = 1_000;
/// The kind of what the upstream tells of a person in the form of a message of theirs.
const NOTICE: &str = "system";

#[async_trait]
impl InboxStore for SqliteStore {
    async fn store_webhook(
        &self,
        body: Bytes,
        signer: Signer,
        received_at: Timestamp,
    ) -> StoreResult<i64> {
        let numbers = numbers_of(&signer)?;
        self.writer
            .run(Work::Known, move |conn| {
                conn.prepare_cached(
                    "INSERT INTO inbox (body, numbers, received_at) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![&body[..], numbers, received_at.0])?;
                Ok(conn.last_insert_rowid())
            })
            .await
    }

    async fn open_webhooks(&self, after: i64, limit: u32) -> StoreResult<Vec<InboxEntry>> {
        self.readers.for_delivery(move |conn| open_entries(conn, after, limit)).await
    }

    async fn close_webhooks(&self, ids: Vec<i64>, keep_raw: bool) -> StoreResult<()> {
        self.writer.run(Work::Known, move |conn| close_entries(conn, &ids, keep_raw)).await
    }

    async fn record_inbound(&self, inbound: InboundMessage, now: Timestamp) -> StoreResult<bool> {
        let content = to_json(&Content::<MediaRef>::Inbound(inbound.content.clone()))?;
        let memory = Arc::clone(&self.memory);
        self.writer
            .run(Work::Known, move |conn| record(conn, &memory, &inbound, &content, now))
            .await
    }

    async fn joined_org(&self, number_id: &NumberId, phone: &Phone) -> StoreResult<Option<OrgId>> {
        self.readers.look_up(|conn| joins::joined(conn, number_id, phone))
    }

    async fn inbound_without_media(
        &self,
        number_id: &NumberId,
        written_after: Timestamp,
        after: i64,
        limit: u32,
    ) -> StoreResult<Vec<InboundFile>> {
        let number = number_id.clone();
        self.readers
            .for_delivery(move |conn| without_media(conn, &number, written_after, after, limit))
            .await
    }

    async fn attach_inbound_media(
        &self,
        id: MessageId,
        media_id: Option<MediaId>,
    ) -> StoreResult<()> {
        self.writer.run(Work::Known, move |conn| attach_media(conn, id, media_id.as_ref())).await
    }
}

fn open_entries(conn: &Connection, after: i64, limit: u32) -> Done<Vec<InboxEntry>> {
    let mut select = conn.prepare_cached(
        "SELECT id, body, numbers, received_at FROM inbox WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = select.query(params![after, limit.min(MAX_ENTRIES)])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get(1)?;
        let numbers: Option<String> = row.get(2)?;
        entries.push(InboxEntry {
            id: row.get(0)?,
            body: Bytes::from(body),
            signer: signer_of(numbers.as_deref())?,
            received_at: Timestamp(row.get(3)?),
        });
    }
    Ok(entries)
}

/// The column of those for whom a signer speaks; none: all.
fn numbers_of(signer: &Signer) -> StoreResult<Option<String>> {
    match signer {
        Signer::Installation => Ok(None),
        Signer::Numbers(ids) => to_json(ids).map(Some),
    }
}

fn signer_of(numbers: Option<&str>) -> Done<Signer> {
    numbers.map_or(Ok(Signer::Installation), |ids| from_json(ids).map(Signer::Numbers))
}

fn close_entries(conn: &Connection, ids: &[i64], keep_raw: bool) -> Done<()> {
    for id in ids {
        if keep_raw {
            conn.prepare_cached(
                "INSERT INTO inbox_kept (id, body, received_at)
                 SELECT id, body, received_at FROM inbox WHERE id = ?1",
            )?
            .execute([id])?;
        }
        conn.prepare_cached("DELETE FROM inbox WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

fn record(
    conn: &Connection,
    memory: &Memory,
    inbound: &InboundMessage,
    content: &str,
    now: Timestamp,
) -> Done<bool> {
    let is_known = memory.wamids.find(conn, Direction::Inbound, &inbound.wamid)?.is_some();
    if is_known && !is_planted(Bug::InboundTwice) {
        return Ok(false);
    }
    let inbound = &*joins::settle(conn, inbound, now)?;
    if inbound.content.kind == NOTICE {
        heed_notice(conn, inbound)?;
    } else {
        note_writer(conn, memory, inbound, now)?;
    }
    // settled_at keeps when it was written, by the upstream's clock.
    conn.prepare_cached(
        "INSERT INTO messages (id, org, number, customer, phone, direction, message_type, dialect,
             synchronous, content, status, wamid, created_at, settled_at, media_pending)
         VALUES (?1, (SELECT ref FROM orgs WHERE id = ?2), (SELECT ref FROM numbers WHERE id = ?3),
             (SELECT c.id FROM customers c JOIN orgs o ON o.ref = c.org
              WHERE o.id = ?2 AND c.phone = ?4),
             ?4, ?5, ?6, 'cloud_api', 0, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        inbound.id.as_bytes(),
        inbound.org_id.as_str(),
        inbound.number_id.as_str(),
        inbound.phone.digits(),
        codes::direction(Direction::Inbound),
        codes::message_type(MessageType::User),
        content,
        Status::Received.number(),
        inbound.wamid,
        now.0,
        inbound.written_at.0,
        has_file(&inbound.content),
    ])?;
    let (seq, name) = (conn.last_insert_rowid(), inbound.profile_name.as_deref());
    memory.wamids.note(conn, seq, Direction::Inbound, &inbound.wamid)?;
    events::append_received(conn, seq, name, inbound.written_at, now)?;
    Ok(true)
}

/// A person wrote.
fn note_writer(
    conn: &Connection,
    memory: &Memory,
    inbound: &InboundMessage,
    now: Timestamp,
) -> Done<()> {
    let (org, number) = (&inbound.org_id, &inbound.number_id);
    // An hour that is still to come must not keep the window open for longer than a day.
    let wrote_at = inbound.written_at.min(now);
    open_window(conn, org, number, &inbound.phone, wrote_at)?;
    let id = inbound.user_id.as_ref().filter(|id| **id != inbound.phone);
    let former_phone = match id {
        Some(id) => memory.scoped_ids.note(conn, org, id, &inbound.phone)?,
        None => None,
    };
    for name in memory.scoped_ids.other_names(conn, org, &inbound.phone)? {
        held::release(conn, org, number, &name)?;
    }
    let known = customers::note_inbound(conn, org, &inbound.phone, wrote_at)?;
    if !known {
        customers::create(conn, &new_customer(inbound, wrote_at, now))?;
    }
    match former_phone {
        Some(former) => move_consent(conn, inbound, &former, &inbound.phone),
        None => Ok(()),
    }
}

/// The upstream tells something of a person, who did not write: no window opens by it.
fn heed_notice(conn: &Connection, inbound: &InboundMessage) -> Done<()> {
    let notice = &inbound.content.message[NOTICE];
    let new_phone = notice["wa_id"].as_str().and_then(|digits| Phone::parse(digits).ok());
    match new_phone.filter(|_| notice["type"] == "user_changed_number") {
        Some(new_phone) => move_consent(conn, inbound, &inbound.phone, &new_phone),
        None => Ok(()),
    }
}

fn move_consent(conn: &Connection, inbound: &InboundMessage, from: &Phone, to: &Phone) -> Done<()> {
    customers::move_consent(conn, &inbound.org_id, from, to, &inbound.new_customer_id)
}

/// Opens a person's window at a number, or keeps it open for longer, never for less; and lets go what
/// waited for that.
pub(crate) fn open_window(
    conn: &Connection,
    org: &OrgId,
    number: &NumberId,
    phone: &Phone,
    at: Timestamp,
) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO sessions (org, number, phone, last_inbound_at)
         VALUES ((SELECT ref FROM orgs WHERE id = ?1), (SELECT ref FROM numbers WHERE id = ?2),
             ?3, ?4)
         ON CONFLICT (org, number, phone) DO UPDATE
             SET last_inbound_at = max(last_inbound_at, excluded.last_inbound_at)",
    )?
    .execute(params![org.as_str(), number.as_str(), phone.digits(), at.0])?;
    held::release(conn, org, number, phone)
}

fn new_customer(inbound: &InboundMessage, wrote_at: Timestamp, now: Timestamp) -> Customer {
    Customer {
        org_id: inbound.org_id.clone(),
        id: inbound.new_customer_id.clone(),
        phone: inbound.phone.clone(),
        name: inbound.profile_name.clone(),
        tags: Vec::new(),
        consent: None,
        active: true,
        created_at: now,
        last_inbound_at: Some(wrote_at),
    }
}

/// Whether the upstream keeps a file for this message.
fn has_file(content: &InboundContent) -> bool {
    MediaKind::parse(&content.kind).is_some()
        && content.media.is_none()
        && content.message[&content.kind]["id"].is_string()
}

fn without_media(
    conn: &Connection,
    number: &NumberId,
    written_after: Timestamp,
    after: i64,
    limit: u32,
) -> Done<Vec<InboundFile>> {
    let mut select = conn.prepare_cached(
        "SELECT m.seq, o.id, n.id, m.id, m.content
         FROM messages m INDEXED BY messages_media_pending
         CROSS JOIN orgs o ON o.ref = m.org CROSS JOIN numbers n ON n.ref = m.number
         WHERE m.media_pending = 1 AND m.seq > ?2 AND m.settled_at > ?1 AND n.id = ?4
         ORDER BY m.seq LIMIT ?3",
    )?;
    let limit = limit.min(MAX_ENTRIES);
    let mut rows = select.query(params![written_after.0, after, limit, number.as_str()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let content: String = row.get(4)?;
        found.push(InboundFile {
            place: row.get(0)?,
            org_id: OrgId::new(row.get::<_, String>(1)?),
            number_id: NumberId::new(row.get::<_, String>(2)?),
            message_id: MessageId::from_bytes(row.get(3)?),
            content: inbound_content(&content)?,
        });
    }
    Ok(found)
}

fn inbound_content(json: &str) -> Done<InboundContent> {
    match from_json::<Content>(json)? {
        Content::Inbound(inbound) => Ok(inbound),
        _ => Err(corrupt("inbound message")),
    }
}

fn attach_media(conn: &Connection, id: MessageId, media_id: Option<&MediaId>) -> Done<()> {
    let content: Option<String> = conn
        .prepare_cached("SELECT content FROM messages WHERE id = ?1 AND direction = 1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    let mut inbound = inbound_content(&content.ok_or(StoreError::NotFound)?)?;
    inbound.media = media_id.cloned();
    let content = to_json(&Content::<MediaRef>::Inbound(inbound))?;
    let seq: i64 = conn
        .prepare_cached(
            "UPDATE messages SET content = ?2, media_pending = 0 WHERE id = ?1 RETURNING seq",
        )?
        .query_row(params![id.as_bytes(), content], |row| row.get(0))?;
    callbacks::stop_waiting_for_file(conn, seq)
}
