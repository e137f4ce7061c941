//! Callbacks as lists and counts show them.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use waypost_domain::{MessageId, OrgId, Timestamp};
use waypost_engine::ports::{
    CallbackFilter, CallbackRecord, CallbackTotals, Page, Paged, TargetStats,
};

use super::targets;
use crate::events;
use crate::fault::Done;
use crate::rows::rows_for;

const COLUMNS: &str = "t.ref, o.id, t.webhook, t.origin, t.shape, c.event, e.recorded_at, e.kind,
     m.id, c.state, c.attempts, c.due, c.created_at, c.last_status, c.last_error";

pub(super) fn callbacks(
    conn: &Connection,
    org: &OrgId,
    filter: &CallbackFilter,
    page: Page,
) -> Done<Paged<CallbackRecord>> {
    let snapshot = conn.unchecked_transaction()?;
    let (sql, values) = query(org, filter, page);
    let mut select = snapshot.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get(5)?, record(&snapshot, row)?));
    }
    Ok(whole_events(page, found))
}

/// With a person's number the primary key finds their callbacks, which are few, also where only a
/// message or an event is asked for.
fn query(org: &OrgId, filter: &CallbackFilter, page: Page) -> (String, Vec<Value>) {
    let mut sql = format!(
        "SELECT {COLUMNS} FROM callback_targets t CROSS JOIN orgs o ON o.ref = t.org
         CROSS JOIN callbacks c ON c.target = t.ref CROSS JOIN events e ON e.seq = c.event
         LEFT JOIN messages m ON m.seq = e.message
         WHERE t.org = (SELECT ref FROM orgs WHERE id = ?) AND c.event > ?"
    );
    let mut values = vec![Value::from(org.as_str().to_owned()), page.after.unwrap_or(0).into()];
    if let Some(webhook) = &filter.webhook_id {
        sql.push_str(" AND t.webhook = ?");
        values.push(webhook.as_str().to_owned().into());
    }
    if let Some(server) = &filter.server {
        sql.push_str(" AND t.origin = ?");
        values.push(server.clone().into());
    }
    if let Some(event) = filter.event {
        sql.push_str(
            " AND c.event = ? AND c.phone = coalesce((SELECT concerned.phone
                 FROM events one JOIN messages concerned ON concerned.seq = one.message
                 WHERE one.seq = ?), '')",
        );
        values.extend([event.into(), event.into()]);
    }
    if let Some(message) = filter.message_id {
        sql.push_str(" AND m.id = ? AND c.phone = (SELECT phone FROM messages WHERE id = ?)");
        let id = message.as_bytes().to_vec();
        values.extend([id.clone().into(), id.into()]);
    }
    match filter.is_dead {
        Some(true) => sql.push_str(" AND c.state = 1"),
        Some(false) => sql.push_str(" AND c.state = 0"),
        None => {}
    }
    sql.push_str(" ORDER BY c.event, t.ref LIMIT ?");
    values.push(rows_for(page).into());
    (sql, values)
}

fn record(conn: &Connection, row: &Row<'_>) -> Done<CallbackRecord> {
    let event_id = events::public_id(conn, row.get(5)?, Timestamp(row.get(6)?))?;
    Ok(CallbackRecord {
        target: targets::from_row(row)?.name,
        event_id,
        kind: events::kind(row.get(7)?)?,
        message_id: row.get::<_, Option<[u8; 16]>>(8)?.map(MessageId::from_bytes),
        is_dead: row.get::<_, u8>(9)? == 1,
        attempts: row.get(10)?,
        due_at: Timestamp(row.get(11)?),
        created_at: Timestamp(row.get(12)?),
        last_status: row.get(13)?,
        last_error: row.get(14)?,
    })
}

/// A page of rows of which one more was read than it has: events are not torn apart, except one
/// that fills a page by itself.
fn whole_events(page: Page, mut rows: Vec<(i64, CallbackRecord)>) -> Paged<CallbackRecord> {
    let is_all = rows.len() < usize::try_from(rows_for(page)).unwrap_or(usize::MAX);
    if !is_all && let Some((last, _)) = rows.pop() {
        let whole = rows.partition_point(|(event, _)| *event < last);
        if whole > 0 {
            rows.truncate(whole);
        }
    }
    let next = rows.last().filter(|_| !is_all).map(|(event, _)| *event);
    Paged { data: rows.into_iter().map(|(_, record)| record).collect(), next }
}

/// Webhooks come first: of the servers that requests named there may be any number.
pub(super) fn stats(conn: &Connection, org: &OrgId) -> Done<Vec<TargetStats>> {
    let mut select = conn.prepare_cached(
        "SELECT t.ref, o.id, t.webhook, t.origin, t.shape, t.last_status, t.last_error, t.last_at,
             (SELECT count(*) FROM callbacks c WHERE c.target = t.ref AND c.state = 0),
             (SELECT count(*) FROM callbacks c WHERE c.target = t.ref AND c.state = 1),
             (SELECT min(c.created_at) FROM callbacks c WHERE c.target = t.ref AND c.state = 0)
         FROM orgs o CROSS JOIN callback_targets t ON t.org = o.ref
         WHERE o.id = ?1 ORDER BY t.webhook DESC LIMIT 1000",
    )?;
    let rows = select.query_map([org.as_str()], |row| {
        Ok(TargetStats {
            target: targets::from_row(row)?,
            last_status: row.get(5)?,
            last_error: row.get(6)?,
            last_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
            pending: count(row, 8)?,
            dead: count(row, 9)?,
            oldest_created_at: row.get::<_, Option<i64>>(10)?.map(Timestamp),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn totals(conn: &Connection) -> Done<CallbackTotals> {
    let mut select = conn.prepare_cached(
        "SELECT (SELECT count(*) FROM callbacks INDEXED BY callbacks_due WHERE state = 0),
             (SELECT count(*) FROM callbacks INDEXED BY callbacks_dead WHERE state = 1),
             (SELECT seq FROM events_mark)",
    )?;
    Ok(select.query_row([], |row| {
        Ok(CallbackTotals { pending: count(row, 0)?, dead: count(row, 1)?, mark: row.get(2)? })
    })?)
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}
