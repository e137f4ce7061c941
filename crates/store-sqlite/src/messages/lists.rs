//! Reading messages: recipients, one message with its history, the log, sessions.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use waypost_domain::customer::Customer;
use waypost_domain::manage::LoggedMessage;
use waypost_domain::message::{Attempt, Message, MessageHistory, Session, StatusEvent};
use waypost_domain::{
    AttemptId, BroadcastId, CustomerId, MessageId, NumberId, OrgId, Phone, Status, Timestamp,
};
use waypost_engine::ports::{ErrorFilter, MessageFilter, Page, Paged, Recipient, SessionFilter};

use super::{behind, wamids};
use crate::codes;
use crate::customers;
use crate::fault::Done;
use crate::opt_outs;
use crate::recipients::Known;
use crate::rows::{
    MAX_PAGE, PageRows, StoredMessage, from_json, paged, phone, rows_for, select_message,
};
use crate::scoped_ids::{self, ScopedIds};

pub(super) fn recipient_by_id(
    conn: &Connection,
    ids: &ScopedIds,
    org: &OrgId,
    customer: &CustomerId,
    number: &NumberId,
) -> Done<Option<Known>> {
    let Some(customer) = customers::row_by_id(conn, org, customer)? else { return Ok(None) };
    let phone = customer.1.phone.clone();
    let named = known(conn, org, number, phone, Some(customer))?;
    by_all_names(conn, ids, org, number, named).map(Some)
}

/// People who are looked up without a thread of their own.
pub(super) const RECIPIENTS_AT_ONCE: usize = 16;

pub(super) fn recipients_by_phone(
    conn: &Connection,
    ids: &ScopedIds,
    org: &OrgId,
    phones: &[Phone],
    number: &NumberId,
) -> Done<Vec<Recipient>> {
    let snapshot = conn.unchecked_transaction()?;
    let recipient = |phone| Ok(recipient_by_phone(&snapshot, ids, org, phone, number)?.recipient);
    phones.iter().map(recipient).collect()
}

pub(super) fn recipient_by_phone(
    conn: &Connection,
    ids: &ScopedIds,
    org: &OrgId,
    phone: &Phone,
    number: &NumberId,
) -> Done<Known> {
    let own_number = scoped_ids::number_of(conn, org, phone)?;
    let name = own_number.unwrap_or_else(|| phone.clone());
    let customer = customers::row_by_phone(conn, org, &name)?;
    let named = known(conn, org, number, name, customer)?;
    let mut found = by_all_names(conn, ids, org, number, named)?;
    found.recipient.phone = phone.clone();
    Ok(found)
}

/// Somebody with what is known under their other names too.
fn by_all_names(
    conn: &Connection,
    ids: &ScopedIds,
    org: &OrgId,
    number: &NumberId,
    named: Known,
) -> Done<Known> {
    let names = ids.other_names(conn, org, &named.recipient.phone)?;
    // An id whose number is not known yet may turn out to be anybody's.
    if names.is_empty() && !named.recipient.phone.is_business_scoped() {
        return Ok(named);
    }
    let mut recipient = named.recipient;
    for name in names {
        let customer = customers::row_by_phone(conn, org, &name)?;
        let other = known(conn, org, number, name, customer)?;
        recipient = same_person(recipient, other.recipient);
    }
    // More rows than one of each table say so: any change of one of them counts.
    Ok(Known { recipient, customer: None, session: None })
}

/// One person under two names: an opt-out under either of the two holds, and so does the later window.
fn same_person(named: Recipient, other: Recipient) -> Recipient {
    let customer = match (named.customer, other.customer) {
        (Some(named), Some(other)) => Some(Customer {
            last_inbound_at: named.last_inbound_at.max(other.last_inbound_at),
            consent: if other.opted_out() {
                other.consent
            } else {
                named.consent.or(other.consent)
            },
            ..named
        }),
        (named, other) => named.or(other),
    };
    let last_inbound_at = named.last_inbound_at.max(other.last_inbound_at);
    let opted_out = named.opted_out || other.opted_out;
    Recipient { phone: named.phone, customer, opted_out, last_inbound_at }
}

/// A person with what decides whether they may be written to.
fn known(
    conn: &Connection,
    org: &OrgId,
    number: &NumberId,
    phone: Phone,
    customer: Option<(i64, Customer)>,
) -> Done<Known> {
    let session: Option<(i64, i64)> = conn
        .prepare_cached(
            "SELECT seq, last_inbound_at FROM sessions
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1)
                 AND number = (SELECT ref FROM numbers WHERE id = ?2) AND phone = ?3",
        )?
        .query_row(params![org.as_str(), number.as_str(), phone.digits()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let last_inbound_at = session.map(|(_, at)| Timestamp(at));
    let (row, customer) = customer.unzip();
    let opted_out = match &customer {
        Some(customer) => customer.opted_out(),
        None => opt_outs::of(conn, org, &phone)?.is_some(),
    };
    let recipient = Recipient { phone, customer, opted_out, last_inbound_at };
    Ok(Known { recipient, customer: row, session: session.map(|(row, _)| row) })
}

pub(super) fn history(
    conn: &Connection,
    org: &OrgId,
    id: MessageId,
) -> Done<Option<MessageHistory>> {
    let snapshot = conn.unchecked_transaction()?;
    let found = snapshot
        .prepare_cached(select_message!(
            "messages m",
            "WHERE m.id = ?1 AND o.id = ?2 AND (m.broadcast IS NULL OR b.state <> 3)"
        ))?
        .query_row(params![id.as_bytes(), org.as_str()], StoredMessage::from_row)
        .optional()?;
    let Some(stored) = found else { return Ok(None) };
    let seq = stored.seq;
    Ok(Some(MessageHistory {
        message: stored.into_message()?,
        statuses: statuses(&snapshot, seq)?,
        attempts: attempts(&snapshot, seq)?,
    }))
}

/// The upstream tells seconds and we milliseconds: within a second the ladder gives the order, and
/// what it told is shown no earlier than what went before.
fn statuses(conn: &Connection, seq: i64) -> Done<Vec<StatusEvent>> {
    let mut select = conn.prepare_cached(
        "SELECT status, at, failure, upstream FROM (
             SELECT status, at, code, failure, upstream FROM message_events WHERE message = ?1
             UNION SELECT ?2, sent_at, 0, NULL, NULL
                 FROM messages WHERE seq = ?1 AND sent_at NOT NULL)
         ORDER BY at / 1000, status, at, code",
    )?;
    let mut rows = select.query(params![seq, Status::Sent.number()])?;
    let mut events = Vec::new();
    let mut latest = i64::MIN;
    while let Some(row) = rows.next()? {
        let failure: Option<String> = row.get(2)?;
        let upstream: Option<String> = row.get(3)?;
        latest = latest.max(row.get(1)?);
        events.push(StatusEvent {
            status: codes::read_status(row.get(0)?)?,
            at: Timestamp(latest),
            failure: failure.as_deref().map(from_json).transpose()?,
            upstream: upstream.as_deref().map(from_json).transpose()?,
        });
    }
    Ok(events)
}

fn attempts(conn: &Connection, seq: i64) -> Done<Vec<Attempt>> {
    let mut select = conn.prepare_cached(
        "SELECT a.id, a.number, a.started_at, a.ended_at, a.outcome, a.fault, c.call
         FROM (
             SELECT id, number, started_at, ended_at, outcome, fault FROM former_attempts
             WHERE message = ?1
             UNION ALL SELECT attempt, attempts, attempt_started_at, attempt_ended_at,
                 attempt_outcome, attempt_fault
             FROM messages WHERE seq = ?1 AND attempt NOT NULL) a
         LEFT JOIN attempt_calls c ON c.attempt = a.id
         ORDER BY a.number",
    )?;
    let mut rows = select.query([seq])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        let fault: Option<String> = row.get(5)?;
        let call: Option<String> = row.get(6)?;
        attempts.push(Attempt {
            id: AttemptId::from_bytes(row.get(0)?),
            number: row.get(1)?,
            started_at: Timestamp(row.get(2)?),
            finished_at: row.get::<_, Option<i64>>(3)?.map(Timestamp),
            outcome: codes::read_outcome(row.get(4)?)?,
            fault: fault.as_deref().map(from_json).transpose()?,
            call: call.as_deref().map(from_json).transpose()?,
        });
    }
    Ok(attempts)
}

pub(super) fn messages(
    conn: &Connection,
    org: &OrgId,
    filter: &MessageFilter,
    page: Page,
) -> Done<Paged<Message>> {
    let snapshot = conn.unchecked_transaction()?;
    let mut parts = parts(&snapshot, org, filter)?;
    let (compare, order) = if filter.newest_first { ("<", "DESC") } else { (">", "ASC") };
    if filter.newest_first {
        parts.reverse();
    }
    let mut found = PageRows::new(page);
    for mut part in parts {
        part.add_filter(filter);
        if let Some(after) = page.after {
            part.add(&format!("{} {compare} ?", part.place), after);
        }
        let sql = format!("{} ORDER BY {} {order} LIMIT ?", part.sql, part.place);
        part.values.push(found.missing().into());
        let mut select = snapshot.prepare_cached(&sql)?;
        let mut rows = select.query(params_from_iter(part.values))?;
        while found.missing() > 0
            && let Some(row) = rows.next()?
        {
            let stored = StoredMessage::from_row(row)?;
            found.add(stored.seq, stored.bytes(), stored.into_message()?);
        }
    }
    Ok(found.paged())
}

/// The parts of the log to read, in the order of acceptance, each by the narrowest way there is.
fn parts(conn: &Connection, org: &OrgId, filter: &MessageFilter) -> Done<Vec<Conditions>> {
    if let Some(wamid) = &filter.wamid {
        let mut wanted =
            Conditions::new(select_message!("messages m NOT INDEXED", "WHERE o.id = ?"), org);
        let (condition, values) = wamids::condition(wamid);
        wanted.add_all(condition, values);
        wanted.add("m.wamid = ?", wamid.clone());
        return Ok(vec![wanted]);
    }
    if let Some(broadcast) = filter.broadcast_id {
        // Its members lie close together: read along the table rather than sorted.
        let (first, last) = broadcast_range(conn, broadcast)?;
        let mut wanted =
            Conditions::new(select_message!("messages m NOT INDEXED", "WHERE o.id = ?"), org);
        wanted.add("m.seq >= ?", first);
        wanted.add("m.seq <= ?", last);
        wanted.add("b.id = ?", broadcast.as_bytes().to_vec());
        return Ok(vec![wanted]);
    }
    if let Some(phones) = phones(conn, org, filter)? {
        let mut wanted =
            Conditions::new(select_message!("messages m NOT INDEXED", "WHERE o.id = ?"), org);
        let (condition, values) = behind::condition(&phones);
        wanted.add_all(&condition, values);
        return Ok(vec![wanted]);
    }
    let own = "(SELECT ref FROM orgs WHERE id = ?)";
    let id = org.as_str();
    let mut indexed = Conditions::new(
        select_message!(
            "org_messages x CROSS JOIN messages m ON m.seq = x.message",
            "WHERE o.id = ?"
        ),
        org,
    );
    indexed.place = "x.message";
    indexed.add(&format!("x.org = {own}"), id.to_owned());
    let mut rest =
        Conditions::new(select_message!("messages m NOT INDEXED", "WHERE o.id = ?"), org);
    rest.add(&format!("m.org = {own}"), id.to_owned());
    rest.sql.push_str(" AND m.seq > (SELECT seq FROM messages_mark)");
    Ok(vec![indexed, rest])
}

/// Where the organisation's messages are, those in preparation included.
macro_rules! select_places {
    () => {
        "SELECT message AS seq FROM org_messages WHERE org = (SELECT ref FROM orgs WHERE id = ?1)
         UNION ALL SELECT seq FROM messages NOT INDEXED
         WHERE seq > (SELECT seq FROM messages_mark)
             AND org = (SELECT ref FROM orgs WHERE id = ?1)"
    };
}

/// Members of the organisation's broadcasts that are in preparation: not in the log yet.
macro_rules! select_in_preparation {
    () => {
        "SELECT p.seq FROM broadcasts w JOIN messages p ON p.broadcast = w.ref
         WHERE w.org = (SELECT ref FROM orgs WHERE id = ?1) AND w.state = 3"
    };
}

/// One page of an organisation's messages, and how many there are. Both are counted off in the
/// index; only the page's rows are read.
pub(super) fn message_page(
    conn: &Connection,
    org: &OrgId,
    page: u32,
    size: u32,
) -> Done<(Vec<LoggedMessage>, u64)> {
    let snapshot = conn.unchecked_transaction()?;
    let total: i64 = snapshot
        .prepare_cached(concat!(
            "SELECT (SELECT count(*) FROM (",
            select_places!(),
            ")) - (SELECT count(*) FROM (",
            select_in_preparation!(),
            "))"
        ))?
        .query_row([org.as_str()], |row| row.get(0))?;
    let mut select = snapshot.prepare_cached(concat!(
        select_message!("messages m", "WHERE m.seq IN (SELECT seq FROM ("),
        select_places!(),
        ") WHERE seq NOT IN (",
        select_in_preparation!(),
        ") ORDER BY seq DESC LIMIT ?2 OFFSET ?3) ORDER BY m.seq DESC"
    ))?;
    let size = size.min(MAX_PAGE);
    let offset = i64::from(page) * i64::from(size);
    let mut rows = select.query(params![org.as_str(), size, offset])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        let stored = StoredMessage::from_row(row)?;
        let changed_at = changed_at(&snapshot, stored.seq)?;
        let message = stored.into_message()?;
        let changed_at = changed_at.unwrap_or(message.created_at).max(message.created_at);
        messages.push(LoggedMessage { message, changed_at });
    }
    Ok((messages, u64::try_from(total).unwrap_or(0)))
}

/// When the last status came, by the reporter's clock.
fn changed_at(conn: &Connection, seq: i64) -> Done<Option<Timestamp>> {
    let mut select = conn.prepare_cached(
        "SELECT max(at) FROM (SELECT at FROM message_events WHERE message = ?1
             UNION ALL SELECT sent_at FROM messages WHERE seq = ?1)",
    )?;
    let at: Option<i64> = select.query_row([seq], |row| row.get(0))?;
    Ok(at.map(Timestamp))
}

/// The growing text of a query and its values.
struct Conditions {
    sql: String,
    values: Vec<Value>,
    /// The column that gives the order of acceptance.
    place: &'static str,
}

impl Conditions {
    /// Messages of an organisation; `select` has one value, the organisation's id.
    fn new(select: &str, org: &OrgId) -> Self {
        let sql = format!("{select} AND (m.broadcast IS NULL OR b.state <> 3)");
        Self { sql, values: vec![org.as_str().to_owned().into()], place: "m.seq" }
    }

    fn add_all<T: Into<Value>>(&mut self, condition: &str, values: Vec<T>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.extend(values.into_iter().map(Into::into));
    }

    fn add(&mut self, condition: &str, value: impl Into<Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.push(value.into());
    }

    fn add_filter(&mut self, filter: &MessageFilter) {
        if let Some(id) = &filter.customer_id {
            self.add("m.customer = ?", id.as_str().to_owned());
        }
        if let Some(phone) = &filter.phone {
            self.add("m.phone = ?", phone.digits().to_owned());
        }
        if let Some(id) = &filter.number_id {
            self.add("n.id = ?", id.as_str().to_owned());
        }
        if let Some(id) = &filter.session_id {
            self.add("m.session = ?", id.clone());
        }
        if let Some(status) = filter.status {
            self.add("m.status = ?", status.number());
        }
        if let Some(direction) = filter.direction {
            self.add("m.direction = ?", codes::direction(direction));
        }
        if let Some(kind) = filter.message_type {
            self.add("m.message_type = ?", codes::message_type(kind));
        }
        match &filter.error {
            Some(ErrorFilter::Kind(kind)) => {
                self.add("m.failure ->> '$.kind' = ?", kind.code().to_owned());
            }
            Some(ErrorFilter::Upstream(code)) => {
                self.add("m.failure ->> '$.upstream.code' = ?", *code);
            }
            None => {}
        }
        if let Some(retryable) = filter.retryable {
            self.add("m.status = ?", Status::Failed.number());
            self.add("coalesce(m.failure ->> '$.retryable', 0) = ?", retryable);
        }
        if let Some(since) = filter.since {
            self.add("m.created_at >= ?", since.0);
        }
        if let Some(until) = filter.until {
            self.add("m.created_at < ?", until.0);
        }
    }
}

/// The numbers that bound the search, where the filter names a person: the number itself, or all
/// that a customer has or had.
fn phones(conn: &Connection, org: &OrgId, filter: &MessageFilter) -> Done<Option<Vec<String>>> {
    if let Some(phone) = &filter.phone {
        return Ok(Some(vec![phone.digits().to_owned()]));
    }
    let Some(customer) = &filter.customer_id else { return Ok(None) };
    let mut select = conn.prepare_cached(
        "SELECT c.phone FROM customers c JOIN orgs o ON o.ref = c.org
             WHERE o.id = ?1 AND c.id = ?2
         UNION SELECT f.phone FROM former_phones f JOIN orgs o ON o.ref = f.org
             WHERE o.id = ?1 AND f.customer = ?2",
    )?;
    let rows = select.query_map([org.as_str(), customer.as_str()], |row| row.get(0))?;
    let phones: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(Some(phones).filter(|phones| !phones.is_empty()))
}

/// Between which places a broadcast's members lie; an empty range where there are none.
fn broadcast_range(conn: &Connection, id: BroadcastId) -> Done<(i64, i64)> {
    let found = conn
        .prepare_cached(
            "SELECT first_seq, last_seq FROM broadcasts WHERE id = ?1 AND first_seq IS NOT NULL",
        )?
        .query_row([id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.unwrap_or((1, 0)))
}

pub(super) fn sessions(
    conn: &Connection,
    org: &OrgId,
    filter: &SessionFilter,
    page: Page,
) -> Done<Paged<Session>> {
    let mut wanted = Conditions {
        sql: "SELECT s.seq, o.id, n.id, s.phone, c.id, s.last_inbound_at
              FROM sessions s CROSS JOIN orgs o ON o.ref = s.org
              CROSS JOIN numbers n ON n.ref = s.number
              LEFT JOIN customers c ON c.org = s.org AND c.phone = s.phone
              WHERE s.org = (SELECT ref FROM orgs WHERE id = ?)"
            .to_owned(),
        values: vec![org.as_str().to_owned().into()],
        place: "s.seq",
    };
    wanted.add("s.seq > ?", page.after.unwrap_or(0));
    if let Some(phone) = &filter.phone {
        wanted.add("s.phone = ?", phone.digits().to_owned());
    }
    if let Some(after) = filter.inbound_after {
        wanted.add("s.last_inbound_at > ?", after.0);
    }
    wanted.sql.push_str(" ORDER BY s.seq LIMIT ?");
    wanted.values.push(rows_for(page).into());
    let mut select = conn.prepare_cached(&wanted.sql)?;
    let mut rows = select.query(params_from_iter(wanted.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let digits: String = row.get(3)?;
        let session = Session {
            org_id: OrgId::new(row.get::<_, String>(1)?),
            number_id: NumberId::new(row.get::<_, String>(2)?),
            phone: phone(&digits)?,
            customer_id: row.get::<_, Option<String>>(4)?.map(CustomerId::new),
            last_inbound_at: Timestamp(row.get(5)?),
        };
        found.push((row.get(0)?, session));
    }
    Ok(paged(page, found))
}
