//! Targets: what callbacks are posted to, and when each has something due next.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use waypost_domain::{OrgId, Timestamp, WebhookId};
use waypost_engine::ports::{CallbackOutcome, CallbackTarget, TargetAddress, TargetName};

use crate::fault::Done;
use crate::rows::to_json;

/// Targets given at once, whatever is asked for.
const MAX_TARGETS: u32 = 10_000;
/// Servers forgotten in one job.
const SERVERS_PER_JOB: u32 = 1_000;

/// The columns of a target's address.
fn columns(name: &TargetName) -> (&str, &str, &str) {
    match &name.address {
        TargetAddress::Webhook(id) => (id.as_str(), "", ""),
        TargetAddress::Notify { origin, shape } => ("", origin, shape),
    }
}

/// From a row that begins with place, organisation, webhook, origin and shape.
pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<CallbackTarget> {
    let webhook: String = row.get(2)?;
    let address = if webhook.is_empty() {
        TargetAddress::Notify { origin: row.get(3)?, shape: row.get(4)? }
    } else {
        TargetAddress::Webhook(WebhookId::new(webhook))
    };
    let org_id = OrgId::new(row.get::<_, String>(1)?);
    Ok(CallbackTarget { place: row.get(0)?, name: TargetName { org_id, address } })
}

/// The targets of one job.
#[derive(Default)]
pub(super) struct Targets {
    /// `None`: the organisation has gone.
    places: HashMap<TargetName, Option<i64>>,
    due: HashMap<i64, i64>,
}

impl Targets {
    pub(super) fn find_or_add(
        &mut self,
        conn: &Connection,
        name: &TargetName,
    ) -> Done<Option<i64>> {
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        let mut place = find(conn, name)?;
        if place.is_none() {
            let (webhook, origin, shape) = columns(name);
            conn.prepare_cached(
                "INSERT INTO callback_targets (org, webhook, origin, shape)
                 SELECT ref, ?2, ?3, ?4 FROM orgs WHERE id = ?1",
            )?
            .execute(params![name.org_id.as_str(), webhook, origin, shape])?;
            place = find(conn, name)?;
        }
        self.places.insert(name.clone(), place);
        Ok(place)
    }

    pub(super) fn falls_due(&mut self, target: i64, due: i64) {
        self.due.entry(target).and_modify(|first| *first = due.min(*first)).or_insert(due);
    }

    pub(super) fn note_due(&self, conn: &Connection) -> Done<()> {
        let mut update = conn.prepare_cached(
            "UPDATE callback_targets SET next_due = ?2
             WHERE ref = ?1 AND (next_due IS NULL OR next_due > ?2)",
        )?;
        for (target, due) in &self.due {
            update.execute([target, due])?;
        }
        Ok(())
    }
}

fn find(conn: &Connection, name: &TargetName) -> Done<Option<i64>> {
    let (webhook, origin, shape) = columns(name);
    let mut select = conn.prepare_cached(
        "SELECT ref FROM callback_targets
         WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND webhook = ?2 AND origin = ?3
             AND shape = ?4",
    )?;
    let values = params![name.org_id.as_str(), webhook, origin, shape];
    Ok(select.query_row(values, |row| row.get(0)).optional()?)
}

pub(super) fn of_webhook(conn: &Connection, org: &OrgId, webhook: &WebhookId) -> Done<Option<i64>> {
    let address = TargetAddress::Webhook(webhook.clone());
    find(conn, &TargetName { org_id: org.clone(), address })
}

/// Goes from organisation to organisation: reading all that is due takes long where one has many.
pub(super) fn due(
    conn: &Connection,
    now: Timestamp,
    resting: &[i64],
    limit_per_org: u32,
    limit: u32,
) -> Done<(Vec<CallbackTarget>, Option<Timestamp>)> {
    let snapshot = conn.unchecked_transaction()?;
    let mut select = snapshot.prepare_cached(
        "WITH RECURSIVE waiting (org) AS (
             SELECT min(org) FROM callback_targets INDEXED BY callback_targets_due_by_org
             WHERE next_due IS NOT NULL
             UNION ALL
             SELECT (SELECT min(org) FROM callback_targets INDEXED BY callback_targets_due_by_org
                     WHERE next_due IS NOT NULL AND org > waiting.org)
             FROM waiting WHERE waiting.org IS NOT NULL)
         SELECT t.ref, o.id, t.webhook, t.origin, t.shape
         FROM waiting CROSS JOIN orgs o ON o.ref = waiting.org
         CROSS JOIN callback_targets t ON t.ref IN (
             SELECT ref FROM callback_targets INDEXED BY callback_targets_due_by_org
             WHERE org = waiting.org AND next_due IS NOT NULL AND next_due <= ?1
                 AND ref NOT IN (SELECT value FROM json_each(?4))
             ORDER BY next_due LIMIT ?2)
         ORDER BY t.next_due LIMIT ?3",
    )?;
    let limits = (limit_per_org.min(MAX_TARGETS), limit.min(MAX_TARGETS));
    let values = params![now.0, limits.0, limits.1, to_json(&resting)?];
    let rows = select.query_map(values, from_row)?;
    let due = rows.collect::<rusqlite::Result<_>>()?;
    let next: Option<i64> = snapshot
        .prepare_cached(
            "SELECT min(next_due) FROM callback_targets INDEXED BY callback_targets_due
             WHERE next_due IS NOT NULL AND next_due > ?1",
        )?
        .query_row([now.0], |row| row.get(0))?;
    Ok((due, next.map(Timestamp)))
}

/// Notes what the last of some tries came to, and when the target has something due next.
pub(super) fn note_tried(
    conn: &Connection,
    target: i64,
    last: Option<&CallbackOutcome>,
    now: Timestamp,
) -> Done<()> {
    if let Some(last) = last {
        conn.prepare_cached(
            "UPDATE callback_targets SET last_status = ?2, last_error = ?3, last_at = ?4
             WHERE ref = ?1",
        )?
        .execute(params![target, last.status, last.error, now.0])?;
    }
    note_due_again(conn, target)
}

/// Notes when the target has something due next.
pub(super) fn note_due_again(conn: &Connection, target: i64) -> Done<()> {
    conn.prepare_cached(
        "UPDATE callback_targets SET next_due = (
             SELECT min(due) FROM callbacks INDEXED BY callbacks_due
             WHERE target = ?1 AND state = 0)
         WHERE ref = ?1",
    )?
    .execute([target])?;
    Ok(())
}

/// Forgets servers that requests named and that nothing was posted to since an instant.
pub(crate) fn forget_servers(conn: &Connection, before: Timestamp) -> Done<()> {
    conn.prepare_cached(
        "DELETE FROM callback_targets WHERE ref IN (
             SELECT t.ref FROM callback_targets t
             WHERE t.webhook = '' AND t.next_due IS NULL AND t.last_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM callbacks c WHERE c.target = t.ref)
             LIMIT ?2)",
    )?
    .execute(params![before.0, SERVERS_PER_JOB])?;
    Ok(())
}
