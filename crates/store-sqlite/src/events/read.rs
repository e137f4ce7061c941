//! Events as they are read: a row of the log together with the message it tells of.

use rusqlite::types::Value as Column;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde_json::{Map, Value};
use waypost_domain::content::InboundContent;
use waypost_domain::event::{
    Event, EventDetail, EventKind, QuotedMessage, ReceivedDetail, StatusDetail,
};
use waypost_domain::message::{Direction, Message, MessageOptions};
use waypost_domain::{Content, EventId, MessageId, NumberId, OrgId, Status, Timestamp};
use waypost_engine::ports::{
    EventFilter, EventHead, EventHeads, LoggedEvent, MediaRecord, Page, Paged,
};

use super::{Detail, MAX_EVENTS, id, id_key};
use crate::fault::{Done, corrupt};
use crate::media;
use crate::messages::behind::runs;
use crate::messages::wamids::hash;
use crate::rows::{PageRows, StoredMessage, from_json, select_message};
use crate::scoped_ids::ScopedIds;

pub(super) fn heads(conn: &Connection, after: i64, limit: u32) -> Done<EventHeads> {
    let mut select = conn.prepare_cached(
        "SELECT e.seq, o.id, n.id, e.kind, e.recorded_at, e.asks
         FROM events e LEFT JOIN orgs o ON o.ref = e.org LEFT JOIN numbers n ON n.ref = e.number
         WHERE e.seq > ?1 ORDER BY e.seq LIMIT ?2",
    )?;
    let mut rows = select.query(params![after, limit.min(MAX_EVENTS)])?;
    let mut found = EventHeads::default();
    while let Some(row) = rows.next()? {
        found.last = Some(row.get(0)?);
        if let Some(org) = row.get::<_, Option<String>>(1)? {
            found.heads.push(head(row, org)?);
        }
    }
    Ok(found)
}

fn head(row: &Row<'_>, org: String) -> Done<EventHead> {
    Ok(EventHead {
        place: row.get(0)?,
        org_id: OrgId::new(org),
        number_id: row.get::<_, Option<String>>(2)?.map(NumberId::new),
        kind: kind(row.get(3)?)?,
        recorded_at: Timestamp(row.get(4)?),
        asks: row.get(5)?,
    })
}

pub(crate) fn kind(number: u8) -> Done<EventKind> {
    EventKind::from_number(number).ok_or_else(|| corrupt("event kind"))
}

/// A row of the log.
struct Line {
    seq: i64,
    org: String,
    number: Option<String>,
    kind: u8,
    at: i64,
    detail: Option<String>,
    recorded_at: i64,
    message: Option<i64>,
}

/// Reads events `e` from `$from`; `$rest` begins with `WHERE`.
macro_rules! select_line {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT e.seq, o.id, n.id, e.kind, e.at, e.detail, e.recorded_at, e.message
             FROM ",
            $from,
            " CROSS JOIN orgs o ON o.ref = e.org
             LEFT JOIN numbers n ON n.ref = e.number ",
            $rest
        )
    };
}

impl Line {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            org: row.get(1)?,
            number: row.get(2)?,
            kind: row.get(3)?,
            at: row.get(4)?,
            detail: row.get(5)?,
            recorded_at: row.get(6)?,
            message: row.get(7)?,
        })
    }

    /// `None` where the message has gone meanwhile.
    fn into_event(self, conn: &Connection, ids: &ScopedIds, key: i64) -> Done<Option<LoggedEvent>> {
        Ok(self.read(conn, ids, key)?.1)
    }

    /// As [`Self::into_event`], with its size in bytes.
    fn read(
        self,
        conn: &Connection,
        ids: &ScopedIds,
        key: i64,
    ) -> Done<(usize, Option<LoggedEvent>)> {
        let kind = kind(self.kind)?;
        let mut bytes = self.detail.as_ref().map_or(0, String::len);
        let detail: Detail = self.detail.as_deref().map(from_json).transpose()?.unwrap_or_default();
        let stored = self.message.map(|seq| message(conn, seq)).transpose()?.flatten();
        bytes += stored.as_ref().map_or(0, StoredMessage::bytes);
        let message = stored.map(StoredMessage::into_message).transpose()?;
        let message = message.filter(|found| found.org_id.as_str() == self.org);
        let (mut file, mut waits_for_file) = (None, false);
        let detail = match (kind, message, detail.template) {
            (EventKind::TemplateStatus, _, Some(template)) => EventDetail::Template(template),
            (EventKind::UpstreamNotice, ..) => {
                EventDetail::Notice(detail.notice.ok_or_else(|| corrupt("event of a notice"))?)
            }
            (EventKind::MessageReceived, Some(message), _) => {
                (file, waits_for_file) = attached(conn, self.message, &message)?;
                let quoted = quoted(conn, &message)?;
                let profile_name = detail.profile_name;
                EventDetail::Received(Box::new(ReceivedDetail {
                    message,
                    profile_name,
                    quoted,
                    file: None,
                }))
            }
            (_, Some(mut message), _) => {
                as_it_was(conn, &mut message, self.message, self.seq, detail.wamid)?;
                EventDetail::Status(Box::new(StatusDetail {
                    status: told_status(kind)?,
                    failure: detail.failure,
                    upstream: with_user_id(conn, ids, &message, detail.upstream)?,
                    message,
                }))
            }
            (_, None, _) => return Ok((bytes, None)),
        };
        let recorded_at = Timestamp(self.recorded_at);
        let event = Event {
            id: id::of(key, self.seq, recorded_at),
            org_id: OrgId::new(self.org),
            number_id: self.number.map(NumberId::new),
            kind,
            at: Timestamp(self.at),
            detail,
        };
        let logged = LoggedEvent { place: self.seq, event, recorded_at, file, waits_for_file };
        Ok((bytes, Some(logged)))
    }
}

fn told_status(kind: EventKind) -> Done<Status> {
    match kind {
        EventKind::MessageSent => Ok(Status::Sent),
        EventKind::MessageDelivered => Ok(Status::Delivered),
        EventKind::MessageRead => Ok(Status::Read),
        EventKind::MessageFailed => Ok(Status::Failed),
        EventKind::MessageCancelled => Ok(Status::Cancelled),
        EventKind::MessageReceived => Ok(Status::Received),
        EventKind::TemplateStatus => Err(corrupt("event of a template")),
        EventKind::UpstreamNotice => Err(corrupt("event of a notice")),
    }
}

/// Gives a message the upstream id of the sending that an event tells of: the message may have been
/// sent again since.
fn as_it_was(
    conn: &Connection,
    message: &mut Message,
    seq: Option<i64>,
    event: i64,
    told: Option<String>,
) -> Done<()> {
    if let Some(wamid) = told {
        message.wamid = Some(wamid).filter(|wamid| !wamid.is_empty());
        return Ok(());
    }
    let mut select = conn.prepare_cached(
        "SELECT wamid, possible_duplicate FROM former_wamids
         WHERE message = ?1 AND until_event >= ?2 ORDER BY until_event LIMIT 1",
    )?;
    let former = select.query_row(params![seq, event], |row| Ok((row.get(0)?, row.get(1)?)));
    if let Some((wamid, is_duplicate)) = former.optional()? {
        (message.wamid, message.possible_duplicate) = (Some(wamid), is_duplicate);
    }
    Ok(())
}

/// A report names its person's business-scoped id; of our own record of a send, and of Meta's older
/// webhooks, it is known only if the person wrote.
fn with_user_id(
    conn: &Connection,
    ids: &ScopedIds,
    message: &Message,
    upstream: Option<Value>,
) -> Done<Option<Value>> {
    const NAME: &str = "recipient_user_id";
    if upstream.as_ref().is_some_and(|told| told.get(NAME).is_some()) {
        return Ok(upstream);
    }
    let Some(id) = ids.only_id_of(conn, &message.org_id, &message.phone)? else {
        return Ok(upstream);
    };
    let mut told = match upstream {
        Some(Value::Object(told)) => told,
        _ => Map::new(),
    };
    told.insert(NAME.to_owned(), id.into());
    Ok(Some(Value::Object(told)))
}

fn message(conn: &Connection, seq: i64) -> Done<Option<StoredMessage>> {
    let mut select = conn.prepare_cached(select_message!("messages m", "WHERE m.seq = ?1"))?;
    Ok(select.query_row([seq], StoredMessage::from_row).optional()?)
}

fn inbound(message: &Message) -> Option<&InboundContent> {
    match &message.content {
        Content::Inbound(inbound) => Some(inbound),
        _ => None,
    }
}

/// The file of an inbound message, and whether it is still to be fetched.
fn attached(
    conn: &Connection,
    seq: Option<i64>,
    message: &Message,
) -> Done<(Option<MediaRecord>, bool)> {
    if let Some(id) = inbound(message).and_then(|inbound| inbound.media.as_ref()) {
        let found = media::find(conn, &message.org_id, id)?;
        return Ok((found.map(|(_, record)| record), false));
    }
    let mut select = conn.prepare_cached("SELECT media_pending FROM messages WHERE seq = ?1")?;
    let pending: Option<bool> = select.query_row([seq], |row| row.get(0)).optional()?;
    Ok((None, pending.unwrap_or(false)))
}

/// The upstream's id of what a message quotes or reacts to.
fn answered(inbound: &InboundContent) -> Option<&str> {
    let said = &inbound.message;
    [&said["context"]["id"], &said["reaction"]["message_id"]].into_iter().find_map(Value::as_str)
}

/// The message of ours that an inbound one answers or reacts to.
fn quoted(conn: &Connection, message: &Message) -> Done<Option<QuotedMessage>> {
    let Some(wamid) = inbound(message).and_then(answered) else { return Ok(None) };
    let row = |row: &Row<'_>| {
        Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?, row.get::<_, Option<String>>(2)?))
    };
    let org = message.org_id.as_str();
    let mut found = conn
        .prepare_cached(concat!(
            "SELECT m.id, m.reference, m.options FROM (
                 SELECT message FROM fresh_wamids WHERE hash = ?3
                 UNION ALL SELECT t.message FROM ",
            runs!("wamid_messages"),
            " r CROSS JOIN wamid_messages t ON t.run = r.run AND t.hash = ?3) w
             CROSS JOIN messages m ON m.seq = w.message CROSS JOIN orgs o ON o.ref = m.org
             WHERE m.wamid = ?1 AND m.direction = 0 AND o.id = ?2 LIMIT 1"
        ))?
        .query_row(params![wamid, org, hash(Direction::Outbound, wamid)], row)
        .optional()?;
    if found.is_none() {
        found = conn
            .prepare_cached(
                "SELECT m.id, m.reference, m.options FROM former_wamids f
                 CROSS JOIN messages m ON m.seq = f.message CROSS JOIN orgs o ON o.ref = m.org
                 WHERE f.wamid = ?1 AND o.id = ?2",
            )?
            .query_row([wamid, org], row)
            .optional()?;
    }
    let Some((id, reference, options)) = found else { return Ok(None) };
    let options: Option<MessageOptions> = options.as_deref().map(from_json).transpose()?;
    let echo = options.and_then(|options| options.echo);
    let id = MessageId::from_bytes(id);
    Ok(Some(QuotedMessage { id, wamid: wamid.to_owned(), reference, echo }))
}

pub(super) fn at(conn: &Connection, ids: &ScopedIds, places: &[i64]) -> Done<Vec<LoggedEvent>> {
    let snapshot = conn.unchecked_transaction()?;
    let key = id_key(&snapshot)?;
    let mut select = snapshot.prepare_cached(select_line!("events e", "WHERE e.seq = ?1"))?;
    let mut found = Vec::with_capacity(places.len());
    for place in places {
        let line = select.query_row([place], Line::from_row).optional()?;
        if let Some(event) =
            line.map(|line| line.into_event(&snapshot, ids, key)).transpose()?.flatten()
        {
            found.push(event);
        }
    }
    Ok(found)
}

pub(super) fn one(
    conn: &Connection,
    ids: &ScopedIds,
    org: &OrgId,
    event: EventId,
) -> Done<Option<LoggedEvent>> {
    let Some(place) = id::place(id_key(conn)?, event) else { return Ok(None) };
    let found = at(conn, ids, &[place])?.pop();
    Ok(found.filter(|logged| logged.event.id == event && logged.event.org_id == *org))
}

pub(super) fn list(
    conn: &Connection,
    ids: &ScopedIds,
    org: &OrgId,
    filter: &EventFilter,
    page: Page,
) -> Done<Paged<LoggedEvent>> {
    let snapshot = conn.unchecked_transaction()?;
    let mut parts = PARTS;
    if filter.newest_first {
        parts.reverse();
    }
    let key = id_key(&snapshot)?;
    let mut found = PageRows::new(page);
    for (select, place) in parts {
        let (sql, values) = list_query(select, place, org, filter, page.after, found.missing());
        let mut select = snapshot.prepare_cached(&sql)?;
        let mut rows = select.query(params_from_iter(values))?;
        while found.missing() > 0
            && let Some(row) = rows.next()?
        {
            let line = Line::from_row(row)?;
            let place = line.seq;
            let (bytes, event) = line.read(&snapshot, ids, key)?;
            found.add(place, bytes, event);
        }
    }
    let found = found.paged();
    Ok(Paged { data: found.data.into_iter().flatten().collect(), next: found.next })
}

/// An organisation's events, those in the table and those behind it, each with the column that gives
/// their order.
const PARTS: [(&str, &str); 2] = [
    (
        select_line!(
            "org_events x CROSS JOIN events e ON e.seq = x.event",
            "WHERE x.org = (SELECT ref FROM orgs WHERE id = ?)"
        ),
        "x.event",
    ),
    (
        select_line!(
            "events e NOT INDEXED",
            "WHERE e.org = (SELECT ref FROM orgs WHERE id = ?)
                 AND e.seq > (SELECT seq FROM org_events_mark)"
        ),
        "e.seq",
    ),
];

fn list_query(
    select: &str,
    place: &str,
    org: &OrgId,
    filter: &EventFilter,
    after: Option<i64>,
    limit: i64,
) -> (String, Vec<Column>) {
    let mut sql = select.to_owned();
    let mut values = vec![Column::from(org.as_str().to_owned())];
    let mut add = |condition: &str, value: Column| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.push(value);
    };
    if let Some(after) = after {
        let compare = if filter.newest_first { "<" } else { ">" };
        add(&format!("{place} {compare} ?"), after.into());
    }
    if let Some(number) = &filter.number_id {
        add("n.id = ?", number.as_str().to_owned().into());
    }
    if let Some(message) = filter.message_id {
        let condition = "e.message = (SELECT seq FROM messages WHERE id = ?)";
        add(condition, message.as_bytes().to_vec().into());
    }
    if let Some(since) = filter.since {
        add("e.recorded_at >= ?", since.0.into());
    }
    if let Some(until) = filter.until {
        add("e.recorded_at < ?", until.0.into());
    }
    if !filter.kinds.is_empty() {
        let numbers: Vec<String> =
            filter.kinds.iter().map(|kind| kind.number().to_string()).collect();
        sql.push_str(&format!(" AND e.kind IN ({})", numbers.join(", ")));
    }
    let order = if filter.newest_first { "DESC" } else { "ASC" };
    sql.push_str(&format!(" ORDER BY {place} {order} LIMIT ?"));
    values.push(limit.into());
    (sql, values)
}
