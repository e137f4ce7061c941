//! Callbacks that are still to be made, or were given up. What was delivered is deleted.
//!
//! A callback that must wait for an earlier one of the same person carries that one's due time, so
//! that what is due may always be made: no look at others is needed when it is read.

mod lists;
mod revival;
pub(crate) mod targets;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::message::{MessageOptions, Notify};
use waypost_domain::{MessageId, OrgId, Timestamp, WebhookId};
use waypost_engine::ports::{
    CallbackEnd, CallbackFilter, CallbackOutcome, CallbackRecord, CallbackStore, CallbackTarget,
    CallbackTotals, DeadFilter, DueCallback, DueCallbacks, NewCallback, Page, Paged, Revived,
    StoreResult, TargetStats,
};

use self::targets::Targets;
use crate::SqliteStore;
use crate::fault::Done;
use crate::rows::{from_json, to_json};
use crate::writer::Work;

/// Callbacks given at once, whatever is asked for.
const MAX_CALLBACKS: u32 = 1_000;
/// Callbacks revived, given up or deleted in one job.
const CALLBACKS_PER_JOB: u32 = 1_000;

#[async_trait]
impl CallbackStore for SqliteStore {
    async fn callback_mark(&self) -> StoreResult<i64> {
        self.readers.look_up(mark)
    }

    async fn add_callbacks(
        &self,
        callbacks: Vec<NewCallback>,
        mark: Option<i64>,
        now: Timestamp,
    ) -> StoreResult<()> {
        self.writer.run(Work::Known, move |conn| add(conn, &callbacks, mark, now)).await
    }

    async fn due_targets(
        &self,
        now: Timestamp,
        resting: Vec<i64>,
        limit_per_org: u32,
        limit: u32,
    ) -> StoreResult<(Vec<CallbackTarget>, Option<Timestamp>)> {
        let due = move |conn: &_| targets::due(conn, now, &resting, limit_per_org, limit);
        self.readers.for_callbacks(due).await
    }

    async fn due_callbacks(
        &self,
        target: i64,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<DueCallbacks> {
        self.readers.for_callbacks(move |conn| due(conn, target, now, limit)).await
    }

    async fn record_callbacks(
        &self,
        target: i64,
        outcomes: Vec<CallbackOutcome>,
        now: Timestamp,
    ) -> StoreResult<bool> {
        self.writer.run(Work::Known, move |conn| record(conn, target, &outcomes, now)).await
    }

    async fn give_up_callbacks(
        &self,
        target: i64,
        created_before: Timestamp,
        why: &str,
        limit: u32,
        now: Timestamp,
    ) -> StoreResult<u64> {
        let why = why.to_owned();
        let limit = limit.min(CALLBACKS_PER_JOB);
        self.writer
            .run(Work::Known, move |conn| give_up(conn, target, created_before, &why, limit, now))
            .await
    }

    async fn revive_callbacks(
        &self,
        org_id: &OrgId,
        filter: &DeadFilter,
        after: Option<(i64, i64)>,
        limit: u32,
        now: Timestamp,
    ) -> StoreResult<Revived> {
        let (org_id, filter) = (org_id.clone(), filter.clone());
        let limit = limit.min(CALLBACKS_PER_JOB);
        self.writer
            .run(Work::Known, move |conn| {
                revival::revive(conn, &org_id, &filter, after, limit, now)
            })
            .await
    }

    async fn callbacks(
        &self,
        org_id: &OrgId,
        filter: &CallbackFilter,
        page: Page,
    ) -> StoreResult<Paged<CallbackRecord>> {
        let (org_id, filter) = (org_id.clone(), filter.clone());
        self.readers.list(move |conn| lists::callbacks(conn, &org_id, &filter, page)).await
    }

    async fn target_stats(&self, org_id: &OrgId) -> StoreResult<Vec<TargetStats>> {
        let org_id = org_id.clone();
        self.readers.list(move |conn| lists::stats(conn, &org_id)).await
    }

    async fn callback_totals(&self) -> StoreResult<CallbackTotals> {
        self.readers.list(lists::totals).await
    }

    async fn note_post_refused(
        &self,
        message_id: MessageId,
        why: Option<String>,
    ) -> StoreResult<()> {
        self.writer
            .run(Work::Known, move |conn| note_post_refused(conn, message_id, why.clone()))
            .await
    }
}

fn mark(conn: &Connection) -> Done<i64> {
    let mut select = conn.prepare_cached("SELECT seq FROM events_mark")?;
    Ok(select.query_row([], |row| row.get(0))?)
}

fn add(
    conn: &Connection,
    callbacks: &[NewCallback],
    mark: Option<i64>,
    now: Timestamp,
) -> Done<()> {
    let mut targets = Targets::default();
    // What was read from the log is there already after a crash only; else somebody wants it again.
    let is_replay = mark.is_none();
    for callback in callbacks {
        if let Some(target) = targets.find_or_add(conn, &callback.target)? {
            let due = add_one(conn, target, callback, is_replay, now)?;
            targets.falls_due(target, due);
        }
    }
    targets.note_due(conn)?;
    if let Some(mark) = mark {
        conn.prepare_cached("UPDATE events_mark SET seq = ?1 WHERE seq < ?1")?.execute([mark])?;
    }
    Ok(())
}

/// Returns when it is due. What is due already stays where it stands.
fn add_one(
    conn: &Connection,
    target: i64,
    new: &NewCallback,
    is_replay: bool,
    now: Timestamp,
) -> Done<i64> {
    let mut due = new.due_at.0;
    if let Some(file_by) = new.file_by
        && is_file_pending(conn, new.event)?
    {
        due = due.max(file_by.0);
    }
    let earlier: Option<i64> = conn
        .prepare_cached(
            "SELECT due FROM callbacks
             WHERE target = ?1 AND phone = ?2 AND event < ?3 AND state = 0 AND attempts < 2
             ORDER BY event DESC LIMIT 1",
        )?
        .query_row(params![target, new.person, new.event], |row| row.get(0))
        .optional()?;
    let due = earlier.map_or(due, |earlier| due.max(earlier));
    conn.prepare_cached(
        "INSERT INTO callbacks (target, phone, event, state, attempts, due, created_at)
         VALUES (?1, ?2, ?3, 0, 0, ?4, ?5)
         ON CONFLICT (target, phone, event) DO UPDATE
             SET state = 0, attempts = 0, created_at = excluded.created_at,
                 due = CASE state WHEN 1 THEN excluded.due ELSE min(due, excluded.due) END
             WHERE state = 1 OR (?6 AND attempts > 0)",
    )?
    .execute(params![target, new.person, new.event, due, now.0, is_replay])?;
    Ok(due)
}

fn is_file_pending(conn: &Connection, event: i64) -> Done<bool> {
    let mut select = conn.prepare_cached(
        "SELECT m.media_pending FROM events e JOIN messages m ON m.seq = e.message
         WHERE e.seq = ?1",
    )?;
    Ok(select.query_row([event], |row| row.get(0)).optional()?.unwrap_or(false))
}

fn due(conn: &Connection, target: i64, now: Timestamp, limit: u32) -> Done<DueCallbacks> {
    let snapshot = conn.unchecked_transaction()?;
    let mut select = snapshot.prepare_cached(
        "SELECT event, phone, attempts, due, created_at FROM callbacks INDEXED BY callbacks_due
         WHERE target = ?1 AND state = 0 AND due <= ?2 ORDER BY due, event LIMIT ?3",
    )?;
    let rows = select.query_map(params![target, now.0, limit.min(MAX_CALLBACKS)], |row| {
        Ok(DueCallback {
            event: row.get(0)?,
            person: row.get(1)?,
            attempts: row.get(2)?,
            due_at: Timestamp(row.get(3)?),
            created_at: Timestamp(row.get(4)?),
        })
    })?;
    let due = rows.collect::<rusqlite::Result<_>>()?;
    let next: Option<i64> = snapshot
        .prepare_cached(
            "SELECT min(due) FROM callbacks INDEXED BY callbacks_due
             WHERE target = ?1 AND state = 0 AND due > ?2",
        )?
        .query_row(params![target, now.0], |row| row.get(0))?;
    Ok(DueCallbacks { due, next_due_at: next.map(Timestamp) })
}

fn record(
    conn: &Connection,
    target: i64,
    outcomes: &[CallbackOutcome],
    now: Timestamp,
) -> Done<bool> {
    let mut has_released = false;
    for outcome in outcomes {
        match outcome.end {
            CallbackEnd::Done => {
                conn.prepare_cached(
                    "DELETE FROM callbacks WHERE target = ?1 AND phone = ?2 AND event = ?3",
                )?
                .execute(params![target, outcome.person, outcome.event])?;
            }
            CallbackEnd::Again(due) => {
                failed(conn, target, outcome, 0, due)?;
                if outcome.attempts == 1 {
                    hold_up_later(conn, target, outcome, due)?;
                }
            }
            CallbackEnd::Dead => failed(conn, target, outcome, 1, now)?,
        }
        if is_next_held_up(conn, target, outcome, now)? {
            has_released |= release(conn, target, &outcome.person)?;
        }
    }
    targets::note_tried(conn, target, outcomes.last(), now)?;
    Ok(has_released)
}

/// Whether the person's next callback that was not tried yet is not due. Where it is, those after it
/// are looked at when it has been tried.
fn is_next_held_up(
    conn: &Connection,
    target: i64,
    outcome: &CallbackOutcome,
    now: Timestamp,
) -> Done<bool> {
    let mut select = conn.prepare_cached(
        "SELECT due > ?4 FROM callbacks
         WHERE target = ?1 AND phone = ?2 AND event > ?3 AND state = 0 AND attempts = 0
         ORDER BY event LIMIT 1",
    )?;
    let values = params![target, outcome.person, outcome.event, now.0];
    Ok(select.query_row(values, |row| row.get(0)).optional()?.unwrap_or(false))
}

/// Lets a person's callbacks fall due that wait for nothing any more: those before the first whose
/// file is still to come, but none before an earlier one that is tried again. Returns whether there
/// were any.
fn release(conn: &Connection, target: i64, person: &str) -> Done<bool> {
    let waited = waited_enough(conn, target, person)?;
    let mut update = conn.prepare_cached(
        "UPDATE callbacks SET due = ?4 WHERE target = ?1 AND phone = ?2 AND event = ?3",
    )?;
    for (event, due) in &waited {
        update.execute(params![target, person, event, due])?;
    }
    Ok(!waited.is_empty())
}

/// A person's callbacks that wait for nothing any more, and since when.
fn waited_enough(conn: &Connection, target: i64, person: &str) -> Done<Vec<(i64, i64)>> {
    let mut select = conn.prepare_cached(
        "SELECT c.event, c.attempts, c.due, c.created_at, coalesce(m.media_pending, 0)
         FROM callbacks c LEFT JOIN events e ON e.seq = c.event
         LEFT JOIN messages m ON m.seq = e.message
         WHERE c.target = ?1 AND c.phone = ?2 AND c.state = 0 AND c.attempts < 2 ORDER BY c.event",
    )?;
    let mut rows = select.query(params![target, person])?;
    let mut waited = Vec::new();
    // What is due later than an earlier one stays behind it.
    let mut not_before = i64::MIN;
    while let Some(row) = rows.next()? {
        let (event, attempts, due): (i64, u32, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let mut due_now = due;
        if attempts == 0 {
            if row.get(4)? {
                break;
            }
            due_now = due.min(not_before.max(row.get(3)?));
        }
        if due_now < due {
            waited.push((event, due_now));
        }
        not_before = not_before.max(due_now);
    }
    Ok(waited)
}

fn failed(
    conn: &Connection,
    target: i64,
    outcome: &CallbackOutcome,
    state: u8,
    due: Timestamp,
) -> Done<()> {
    conn.prepare_cached(
        "UPDATE callbacks SET state = ?4, attempts = ?5, due = ?6, last_status = ?7, last_error = ?8
         WHERE target = ?1 AND phone = ?2 AND event = ?3",
    )?
    .execute(params![
        target,
        outcome.person,
        outcome.event,
        state,
        outcome.attempts,
        due.0,
        outcome.status,
        outcome.error
    ])?;
    Ok(())
}

/// Later callbacks of the same person wait for the first repetition of an earlier one.
fn hold_up_later(
    conn: &Connection,
    target: i64,
    outcome: &CallbackOutcome,
    due: Timestamp,
) -> Done<()> {
    conn.prepare_cached(
        "UPDATE callbacks SET due = ?4
         WHERE target = ?1 AND phone = ?2 AND event > ?3 AND state = 0 AND attempts = 0
             AND due < ?4",
    )?
    .execute(params![target, outcome.person, outcome.event, due.0])?;
    Ok(())
}

fn give_up(
    conn: &Connection,
    target: i64,
    created_before: Timestamp,
    why: &str,
    limit: u32,
    now: Timestamp,
) -> Done<u64> {
    let given_up = conn
        .prepare_cached(
            "UPDATE callbacks SET state = 1, last_error = ?3
             WHERE (target, phone, event) IN (
                 SELECT target, phone, event FROM (
                     SELECT target, phone, event, attempts, created_at
                     FROM callbacks INDEXED BY callbacks_due
                     WHERE target = ?1 AND state = 0 ORDER BY due, event LIMIT ?4)
                 WHERE attempts > 0 AND created_at < ?2)",
        )?
        .execute(params![target, created_before.0, why, limit])?;
    targets::note_tried(conn, target, None, now)?;
    Ok(given_up as u64)
}

/// The file of an inbound message has come, or will not come: its callbacks wait no longer, unless
/// an earlier one of the same person holds them up. Later ones wait on for files of their own.
pub(crate) fn stop_waiting_for_file(conn: &Connection, message: i64) -> Done<()> {
    let waiting: Vec<(i64, String)> = {
        let mut select = conn.prepare_cached(
            "SELECT c.target, c.phone
             FROM messages m
             CROSS JOIN callback_targets t ON t.org = m.org AND t.next_due IS NOT NULL
             CROSS JOIN callbacks c ON c.target = t.ref AND c.phone = m.phone AND c.state = 0
                 AND c.attempts = 0
             CROSS JOIN events e ON e.seq = c.event AND e.message = m.seq
             WHERE m.seq = ?1",
        )?;
        let rows = select.query_map([message], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for (target, person) in waiting {
        release(conn, target, &person)?;
        targets::note_due_again(conn, target)?;
    }
    Ok(())
}

fn note_post_refused(conn: &Connection, message: MessageId, why: Option<String>) -> Done<()> {
    let options: Option<Option<String>> = conn
        .prepare_cached("SELECT options FROM messages WHERE id = ?1")?
        .query_row([message.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(options) = options.flatten() else { return Ok(()) };
    let options: MessageOptions = from_json(&options)?;
    let Some(notify) = options.notify else { return Ok(()) };
    let notify = Some(Notify { post_refused: why, ..notify });
    let options = to_json(&MessageOptions { notify, ..options })?;
    conn.prepare_cached("UPDATE messages SET options = ?2 WHERE id = ?1")?
        .execute(params![message.as_bytes(), options])?;
    Ok(())
}

/// Deletes some of the callbacks of a removed organisation, then its targets; `false` when nothing
/// is left.
pub(crate) fn delete_some(conn: &Connection, org: i64) -> Done<bool> {
    let gone = conn
        .prepare_cached(
            "DELETE FROM callbacks WHERE (target, phone, event) IN (
                 SELECT c.target, c.phone, c.event FROM callback_targets t
                 CROSS JOIN callbacks c ON c.target = t.ref WHERE t.org = ?1 LIMIT ?2)",
        )?
        .execute(params![org, CALLBACKS_PER_JOB])?;
    if gone > 0 {
        return Ok(true);
    }
    conn.prepare_cached("DELETE FROM callback_targets WHERE org = ?1")?.execute([org])?;
    Ok(false)
}

/// Forgets some of the callbacks of a removed webhook, at last its target; `false` when nothing is
/// left.
pub(crate) fn forget_some(conn: &Connection, org: &OrgId, webhook: &WebhookId) -> Done<bool> {
    let Some(target) = targets::of_webhook(conn, org, webhook)? else { return Ok(false) };
    let gone = conn
        .prepare_cached(
            "DELETE FROM callbacks WHERE (target, phone, event) IN (
                 SELECT target, phone, event FROM callbacks WHERE target = ?1 LIMIT ?2)",
        )?
        .execute(params![target, CALLBACKS_PER_JOB])?;
    if gone == 0 {
        conn.prepare_cached("DELETE FROM callback_targets WHERE ref = ?1")?.execute([target])?;
    }
    Ok(gone > 0)
}
