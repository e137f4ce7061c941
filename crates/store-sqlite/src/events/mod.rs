//! The log of events: appended by whatever job changes something, read by who tells of it.

mod id;
mod read;

pub(crate) use read::kind;

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use waypost_domain::event::{EventKind, NoticeDetail, TemplateDetail};
use waypost_domain::{EventId, Failure, OrgId, Status, Timestamp};
use waypost_engine::ports::{
    EventFilter, EventHeads, EventStore, LoggedEvent, NewNotice, Page, Paged, StoreResult,
};

use crate::SqliteStore;
use crate::callbacks::targets;
use crate::fault::Done;
use crate::messages::under_way::Attempted;
use crate::rows::to_json;
use crate::writer::Work;

/// Events given at once, whatever is asked for.
const MAX_EVENTS: u32 = 1_000;
/// Events deleted in one job.
const EVENTS_PER_JOB: i64 = 1_000;

/// What an event has beside its message.
#[derive(Default, Serialize, Deserialize)]
struct Detail {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upstream: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<TemplateDetail>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notice: Option<NoticeDetail>,
    /// By which a repetition of the notice is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<i64>,
    /// The upstream's id of the sending that it tells of, where that was not the message's own;
    /// empty: there was none then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wamid: Option<String>,
}

/// Appends that a message of ours went on, if the status is one that is told. Called in the job
/// that changes it.
pub(crate) fn append_status(
    conn: &Connection,
    message: i64,
    status: Status,
    at: Timestamp,
    because: Because<'_>,
    now: Timestamp,
) -> Done<()> {
    let Some(kind) = EventKind::of_status(status) else { return Ok(()) };
    let Because { failure, upstream, wamid } = because;
    let detail = if failure.is_none() && upstream.is_none() && wamid.is_none() {
        None
    } else {
        let (failure, upstream) = (failure.cloned(), upstream.cloned());
        let wamid = wamid.map(str::to_owned);
        Some(to_json(&Detail { failure, upstream, wamid, ..Detail::default() })?)
    };
    append(conn, message, kind, at, detail.as_deref(), now)
}

/// What is known of a new status beside the status.
#[derive(Clone, Copy, Default)]
pub(crate) struct Because<'a> {
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) upstream: Option<&'a Value>,
    /// The upstream's id of the sending, where it is not the message's own; empty: there is none.
    /// What is not said here is found by when the message had which id.
    pub(crate) wamid: Option<&'a str>,
}

impl<'a> Because<'a> {
    /// What we know ourselves of a message that has this id by now.
    pub(crate) fn of(failure: Option<&'a Failure>, wamid: Option<&str>) -> Self {
        Self { failure, upstream: None, wamid: wamid.is_none().then_some("") }
    }
}

/// Appends that a person wrote. Called in the job that records it.
pub(crate) fn append_received(
    conn: &Connection,
    message: i64,
    profile_name: Option<&str>,
    at: Timestamp,
    now: Timestamp,
) -> Done<()> {
    let detail = match profile_name {
        Some(name) => {
            let profile_name = Some(name.to_owned());
            Some(to_json(&Detail { profile_name, ..Detail::default() })?)
        }
        None => None,
    };
    append(conn, message, EventKind::MessageReceived, at, detail.as_deref(), now)
}

/// Appends that a message whose row is known has been sent. Called in the job that records it.
pub(crate) fn append_sent(conn: &Connection, sent: &Attempted, now: Timestamp) -> Done<()> {
    let Some(kind) = EventKind::of_status(Status::Sent) else { return Ok(()) };
    conn.prepare_cached(
        "INSERT INTO events (org, number, message, kind, at, detail, asks, recorded_at)
         VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6, ?5)",
    )?
    .execute(params![
        sent.org,
        sent.number,
        sent.seq,
        kind.number(),
        now.0,
        sent.has_options
    ])?;
    Ok(())
}

fn append(
    conn: &Connection,
    message: i64,
    kind: EventKind,
    at: Timestamp,
    detail: Option<&str>,
    now: Timestamp,
) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO events (org, number, message, kind, at, detail, asks, recorded_at)
         SELECT org, number, seq, ?2, ?3, ?4, options NOT NULL, ?5 FROM messages WHERE seq = ?1",
    )?
    .execute(params![message, kind.number(), at.0, detail, now.0])?;
    Ok(())
}

#[async_trait]
impl EventStore for SqliteStore {
    async fn event_heads(&self, after: i64, limit: u32) -> StoreResult<EventHeads> {
        self.readers.for_callbacks(move |conn| read::heads(conn, after, limit)).await
    }

    async fn events_at(&self, places: Vec<i64>) -> StoreResult<Vec<LoggedEvent>> {
        let memory = Arc::clone(&self.memory);
        self.readers.for_callbacks(move |conn| read::at(conn, &memory.scoped_ids, &places)).await
    }

    async fn events(
        &self,
        org_id: &OrgId,
        filter: &EventFilter,
        page: Page,
    ) -> StoreResult<Paged<LoggedEvent>> {
        let (org_id, filter, memory) = (org_id.clone(), filter.clone(), Arc::clone(&self.memory));
        let read =
            move |conn: &Connection| read::list(conn, &memory.scoped_ids, &org_id, &filter, page);
        self.readers.list(read).await
    }

    async fn event(&self, org_id: &OrgId, id: EventId) -> StoreResult<Option<LoggedEvent>> {
        self.readers.look_up(|conn| read::one(conn, &self.memory.scoped_ids, org_id, id))
    }

    async fn last_event(&self) -> StoreResult<i64> {
        self.readers.look_up(last)
    }

    async fn record_template_change(
        &self,
        org_ids: Vec<OrgId>,
        template: TemplateDetail,
        at: Timestamp,
        now: Timestamp,
    ) -> StoreResult<()> {
        self.writer
            .run(Work::Known, move |conn| {
                let detail = Detail { template: Some(template.clone()), ..Detail::default() };
                let detail = to_json(&detail)?;
                org_ids.iter().try_for_each(|org| append_template(conn, org, &detail, at, now))
            })
            .await
    }

    async fn record_notice(&self, notice: NewNotice, now: Timestamp) -> StoreResult<()> {
        let NewNotice { org_ids, number_id, notice, digest, at } = notice;
        let detail = Detail { notice: Some(notice), digest: Some(digest), ..Detail::default() };
        let detail: String = to_json(&detail)?;
        self.writer
            .run(Work::Known, move |conn| {
                let mut insert = conn.prepare_cached(
                    "INSERT INTO events (org, number, kind, at, detail, asks, recorded_at)
                     SELECT o.ref, (SELECT ref FROM numbers WHERE id = ?2), 7, ?3, ?4, 0, ?5
                     FROM orgs o WHERE o.id = ?1 AND NOT EXISTS (
                         SELECT 1 FROM events e WHERE e.org = o.ref AND e.kind = 7
                             AND json_extract(e.detail, '$.digest') = ?6)",
                )?;
                let number = number_id.as_ref().map(|id| id.as_str());
                for org in &org_ids {
                    insert.execute(params![org.as_str(), number, at.0, detail, now.0, digest])?;
                }
                Ok(())
            })
            .await
    }

    async fn prune_events(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
        let mut left = i64::from(limit);
        let mut pruned = 0;
        while left > 0 {
            let some = left.min(EVENTS_PER_JOB);
            let gone = self.writer.run(Work::Known, move |conn| prune(conn, before, some)).await?;
            pruned += u64::try_from(gone).unwrap_or(0);
            left -= some;
            if gone < some {
                let forget = move |conn: &Connection| targets::forget_servers(conn, before);
                self.writer.run(Work::Known, forget).await?;
                break;
            }
        }
        Ok(pruned)
    }
}

/// The place of the newest event.
pub(crate) fn last(conn: &Connection) -> Done<i64> {
    let mut select = conn.prepare_cached("SELECT coalesce(max(seq), 0) FROM events")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

fn append_template(
    conn: &Connection,
    org: &OrgId,
    detail: &str,
    at: Timestamp,
    now: Timestamp,
) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO events (org, kind, at, detail, asks, recorded_at)
         SELECT o.ref, 6, ?2, ?3, 0, ?4 FROM orgs o WHERE o.id = ?1 AND NOT EXISTS (
             SELECT 1 FROM events e
             WHERE e.org = o.ref AND e.kind = 6 AND e.at = ?2 AND e.detail = ?3)",
    )?
    .execute(params![org.as_str(), at.0, detail, now.0])?;
    Ok(())
}

/// The newest event stays, whatever its age: its place must not be used again.
fn prune(conn: &Connection, before: Timestamp, limit: i64) -> Done<i64> {
    let until: Option<i64> = conn
        .prepare_cached(
            "SELECT max(seq) FROM (
                 SELECT seq, recorded_at FROM events
                 WHERE seq <= (SELECT seq FROM events_mark) AND seq < (SELECT max(seq) FROM events)
                 ORDER BY seq LIMIT ?2)
             WHERE recorded_at < ?1",
        )?
        .query_row(params![before.0, limit], |row| row.get(0))?;
    let Some(until) = until else { return Ok(0) };
    conn.prepare_cached(
        "DELETE FROM org_events WHERE (org, event) IN
             (SELECT org, seq FROM events WHERE seq <= ?1)",
    )?
    .execute([until])?;
    let gone = conn.prepare_cached("DELETE FROM events WHERE seq <= ?1")?.execute([until])?;
    conn.prepare_cached(
        "DELETE FROM callbacks WHERE (target, phone, event) IN (
             SELECT c.target, c.phone, c.event FROM callback_targets t
             CROSS JOIN callbacks c ON c.target = t.ref AND c.state = 1 AND c.event <= ?1)",
    )?
    .execute([until])?;
    Ok(i64::try_from(gone).unwrap_or(i64::MAX))
}

/// Deletes some of the events of a removed organisation; `false` when nothing is left but perhaps
/// the newest of the log, which goes with age.
pub(crate) fn delete_some(conn: &Connection, org: i64) -> Done<bool> {
    let places: Vec<i64> = {
        let mut select = conn.prepare_cached(
            "SELECT event FROM org_events
                 WHERE org = ?1 AND event < (SELECT max(seq) FROM events)
             UNION ALL SELECT seq FROM events NOT INDEXED
                 WHERE seq > (SELECT seq FROM org_events_mark) AND org = ?1
                     AND seq < (SELECT max(seq) FROM events)
             LIMIT ?2",
        )?;
        let rows = select.query_map([org, EVENTS_PER_JOB], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for place in &places {
        conn.prepare_cached("DELETE FROM org_events WHERE org = ?1 AND event = ?2")?
            .execute([org, *place])?;
        conn.prepare_cached("DELETE FROM events WHERE seq = ?1")?.execute([place])?;
    }
    Ok(!places.is_empty())
}

/// The key under which this database's event ids are made.
fn id_key(conn: &Connection) -> Done<i64> {
    let mut select = conn.prepare_cached("SELECT id_key FROM events_mark")?;
    Ok(select.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// The public id of an event.
pub(crate) fn public_id(conn: &Connection, place: i64, recorded_at: Timestamp) -> Done<EventId> {
    Ok(id::of(id_key(conn)?, place, recorded_at))
}
