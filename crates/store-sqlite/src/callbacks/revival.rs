//! Dead callbacks that are made anew, target by target, in the order of their events.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use waypost_domain::{OrgId, Timestamp, WebhookId};
use waypost_engine::ports::{DeadFilter, Revived};

use super::targets;
use crate::fault::Done;
use crate::rows::to_json;

/// A dead callback: its target, its person and its event.
type Dead = (i64, String, i64);

pub(super) fn revive(
    conn: &Connection,
    org: &OrgId,
    filter: &DeadFilter,
    after: Option<(i64, i64)>,
    limit: u32,
    now: Timestamp,
) -> Done<Revived> {
    let found = dead(conn, org, filter, after.unwrap_or_default(), limit)?;
    let mut update = conn.prepare_cached(
        "UPDATE callbacks SET state = 0, attempts = 0, due = ?4, created_at = ?4
         WHERE target = ?1 AND phone = ?2 AND event = ?3",
    )?;
    for (target, person, event) in &found {
        update.execute(params![target, person, event, now.0])?;
    }
    let mut touched: Vec<i64> = found.iter().map(|(target, _, _)| *target).collect();
    touched.dedup();
    for target in touched {
        targets::note_due_again(conn, target)?;
    }
    let is_all = found.len() < limit as usize;
    let last = found.last().map(|(target, _, event)| (*target, *event));
    Ok(Revived { count: found.len() as u64, next: last.filter(|_| !is_all) })
}

fn dead(
    conn: &Connection,
    org: &OrgId,
    filter: &DeadFilter,
    (target, event): (i64, i64),
    limit: u32,
) -> Done<Vec<Dead>> {
    let mut sql = "SELECT c.target, c.phone, c.event
         FROM callback_targets t NOT INDEXED CROSS JOIN callbacks c ON c.target = t.ref
         WHERE t.org = (SELECT ref FROM orgs WHERE id = ?) AND c.state = 1
             AND t.ref >= ? AND (t.ref > ? OR c.event > ?)"
        .to_owned();
    let org = org.as_str().to_owned();
    let mut values: Vec<Value> = vec![org.into(), target.into(), target.into(), event.into()];
    if let Some(webhook) = &filter.webhook_id {
        sql.push_str(" AND t.webhook = ?");
        values.push(webhook.as_str().to_owned().into());
    }
    if !filter.except.is_empty() {
        let ids: Vec<&str> = filter.except.iter().map(WebhookId::as_str).collect();
        sql.push_str(" AND t.webhook NOT IN (SELECT value FROM json_each(?))");
        values.push(to_json(&ids)?.into());
    }
    if let Some(server) = &filter.server {
        sql.push_str(" AND t.origin = ?");
        values.push(server.clone().into());
    }
    if let Some(event) = filter.event {
        sql.push_str(" AND c.event = ?");
        values.push(event.into());
    }
    if let Some(message) = filter.message_id {
        // The person's own are few: the event alone would be looked for among all that are dead.
        sql.push_str(
            " AND c.phone = (SELECT phone FROM messages WHERE id = ?)
             AND (SELECT message FROM events WHERE seq = c.event)
                 = (SELECT seq FROM messages WHERE id = ?)",
        );
        let id = message.as_bytes().to_vec();
        values.extend([id.clone().into(), id.into()]);
    }
    sql.push_str(" ORDER BY t.ref, c.event LIMIT ?");
    values.push(limit.into());
    let mut select = conn.prepare_cached(&sql)?;
    let rows = select
        .query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
