//! How values are written into columns and read back.

use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;
use waypost_domain::message::Message;
use waypost_domain::{
    BroadcastId, CustomerId, Failure, MessageId, NumberId, OrgId, Phone, Timestamp, UserId,
};
use waypost_engine::ports::{DueMessage, Page, Paged, StoreError};

use crate::codes;
use crate::digest;
use crate::fault::{Done, corrupt};

/// Entries on one page at most, whatever is asked for.
pub(crate) const MAX_PAGE: u32 = 10_000;
/// A page ends with the row that makes it as large as this, in bytes as they are stored: it lies in
/// memory several times, as rows, values and a reply.
const PAGE_BYTES: usize = 4 * 1_024 * 1_024;

/// A value as a JSON column.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// A value from a JSON column.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Done<T> {
    serde_json::from_str(text).map_err(|_| corrupt("JSON value"))
}

/// A phone number from its column.
pub(crate) fn phone(digits: &str) -> Done<Phone> {
    if digits.is_empty() {
        return Ok(Phone::nobody());
    }
    let scoped = || Phone::business_scoped(digits).ok_or_else(|| corrupt("phone number"));
    Phone::parse(digits).or_else(|_| scoped())
}

/// How many rows to read for a page: one more than is given tells whether there is a next one.
pub(crate) fn rows_for(page: Page) -> i64 {
    i64::from(page.limit.min(MAX_PAGE)) + 1
}

/// A page from rows with their places.
pub(crate) fn paged<T>(page: Page, mut rows: Vec<(i64, T)>) -> Paged<T> {
    let limit = page.limit.min(MAX_PAGE) as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(seq, _)| *seq);
    Paged { data: rows.into_iter().map(|(_, value)| value).collect(), next }
}

/// A page of large rows while they are read.
pub(crate) struct PageRows<T> {
    page: Page,
    rows: Vec<(i64, T)>,
    bytes: usize,
}

impl<T> PageRows<T> {
    pub(crate) const fn new(page: Page) -> Self {
        Self { page, rows: Vec::new(), bytes: 0 }
    }

    /// How many more rows to read, the one behind the page included.
    pub(crate) fn missing(&self) -> i64 {
        (rows_for(self.page) - i64::try_from(self.rows.len()).unwrap_or(i64::MAX)).max(0)
    }

    /// Adds a row of a size. Where the page is large by now, it has no further one.
    pub(crate) fn add(&mut self, place: i64, bytes: usize, value: T) {
        self.rows.push((place, value));
        self.bytes += bytes;
        if self.bytes >= PAGE_BYTES {
            let count = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
            self.page.limit = self.page.limit.min(count);
        }
    }

    pub(crate) fn paged(self) -> Paged<T> {
        paged(self.page, self.rows)
    }
}

/// Reads messages `m` with their names from `$from`; `$rest` begins with `WHERE`.
macro_rules! select_message {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT m.seq, m.failing, m.id, o.id, n.id, m.customer, m.phone, m.direction,
                m.message_type, m.dialect, m.synchronous, m.user, m.session, m.reference, b.id,
                coalesce(m.content, b.content), m.status, m.wamid, m.wa_id, m.failure,
                m.possible_duplicate, m.created_at, m.settled_at,
                coalesce(m.options, b.options), m.resend_at, coalesce(m.attempt_outcome = 4, 0),
                m.digest
             FROM ",
            $from,
            " CROSS JOIN orgs o ON o.ref = m.org
              CROSS JOIN numbers n ON n.ref = m.number
              LEFT JOIN broadcasts b ON b.ref = m.broadcast ",
            $rest
        )
    };
}
pub(crate) use select_message;

/// A message as its row says, its JSON unread: what is costly to read is read by who asked.
#[derive(Debug)]
pub(crate) struct StoredMessage {
    pub(crate) seq: i64,
    failing: Option<String>,
    id: [u8; 16],
    org: String,
    number: String,
    customer: Option<String>,
    phone: String,
    direction: u8,
    message_type: u8,
    dialect: String,
    synchronous: bool,
    user: Option<String>,
    session: Option<String>,
    reference: Option<String>,
    broadcast: Option<[u8; 16]>,
    content: String,
    status: u8,
    wamid: Option<String>,
    wa_id: Option<String>,
    failure: Option<String>,
    possible_duplicate: bool,
    created_at: i64,
    settled_at: Option<i64>,
    options: Option<String>,
    resend_at: Option<i64>,
    /// Whether nobody knows what came of its latest attempt.
    after_unknown: bool,
    digest: Option<u32>,
}

impl StoredMessage {
    /// From a row of [`select_message`].
    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            failing: row.get(1)?,
            id: row.get(2)?,
            org: row.get(3)?,
            number: row.get(4)?,
            customer: row.get(5)?,
            phone: row.get(6)?,
            direction: row.get(7)?,
            message_type: row.get(8)?,
            dialect: row.get(9)?,
            synchronous: row.get(10)?,
            user: row.get(11)?,
            session: row.get(12)?,
            reference: row.get(13)?,
            broadcast: row.get(14)?,
            content: row.get(15)?,
            status: row.get(16)?,
            wamid: row.get(17)?,
            wa_id: row.get(18)?,
            failure: row.get(19)?,
            possible_duplicate: row.get(20)?,
            created_at: row.get(21)?,
            settled_at: row.get(22)?,
            options: row.get(23)?,
            resend_at: row.get(24)?,
            after_unknown: row.get(25)?,
            digest: row.get(26)?,
        })
    }

    /// How much of it is as large as its sender likes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.content.len() + self.options.as_ref().map_or(0, String::len)
    }

    pub(crate) fn into_due(self) -> Done<DueMessage> {
        let failing = self.failing.as_deref().map(from_json).transpose()?;
        let after_unknown = self.after_unknown;
        Ok(DueMessage { message: self.into_message()?, failing, after_unknown })
    }

    pub(crate) fn into_message(self) -> Done<Message> {
        let digest = || digest::of(&self.id, &self.phone, &self.content);
        if self.digest.is_some_and(|kept| kept != digest()) {
            return Err(corrupt("message"));
        }
        Ok(Message {
            id: MessageId::from_bytes(self.id),
            org_id: OrgId::new(self.org),
            number_id: NumberId::new(self.number),
            customer_id: self.customer.map(CustomerId::new),
            phone: phone(&self.phone)?,
            direction: codes::read_direction(self.direction)?,
            message_type: codes::read_message_type(self.message_type)?,
            dialect: self.dialect,
            synchronous: self.synchronous,
            user_id: self.user.map(UserId::new),
            session_id: self.session,
            reference: self.reference,
            broadcast_id: self.broadcast.map(BroadcastId::from_bytes),
            content: from_json(&self.content)?,
            status: codes::read_status(self.status)?,
            wamid: self.wamid,
            wa_id: self.wa_id,
            failure: self.failure.as_deref().map(from_json).transpose()?,
            possible_duplicate: self.possible_duplicate,
            resend_at: self.resend_at.map(Timestamp),
            options: self.options.as_deref().map(from_json).transpose()?.unwrap_or_default(),
            created_at: Timestamp(self.created_at),
            settled_at: self.settled_at.map(Timestamp),
        })
    }
}

/// A failure as a column, and the upstream's code in it (0: none).
pub(crate) fn failure_columns(failure: Option<&Failure>) -> Done<(Option<String>, i64)> {
    let code = failure.and_then(|failure| failure.upstream.as_ref()?.code).unwrap_or(0);
    Ok((failure.map(to_json).transpose()?, code))
}
