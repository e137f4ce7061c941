//! Status reports: unordered, repeated, and sometimes earlier than our own record of the send.
//! Every distinct one is kept; a message's status only climbs.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;
use waypost_domain::message::{AttemptOutcome, Direction};
use waypost_domain::status::Report;
use waypost_domain::{Failure, Status, Timestamp};
use waypost_engine::ports::{ReportEffect, StatusReport, StoreError};
use waypost_planted::{Bug, is_planted};

use super::attempt_rows::{self, AttemptRow};
use super::state::{State, record_event, record_report};
use super::wamids::{self, Wamids};
use crate::codes;
use crate::events::{self, Because};
use crate::fault::Done;
use crate::rows::{failure_columns, from_json, to_json};

/// How long a report waits for its message, in milliseconds: 30 days.
const PARKED_KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;
/// Outdated reports removed for each new one, so that there are never many.
const PARKED_PRUNED: i64 = 2;
/// Instead of the one number for whose messages a report counts.
const ANY_NUMBER: i64 = 0;

pub(super) fn apply(
    conn: &Connection,
    wamids: &Wamids,
    report: &StatusReport,
    now: Timestamp,
) -> Done<ReportEffect> {
    let line = Line {
        wamid: &report.wamid,
        report: report.report,
        at: report.at,
        failure: report.failure.as_ref(),
        upstream: report.extra.as_ref(),
        now,
    };
    let number = number_of(conn, report)?;
    let counts = |state: &State| number == ANY_NUMBER || number == state.number;
    match known(conn, wamids, &report.wamid)? {
        Some((state, standing)) if counts(&state) => return climb(conn, &state, &line, standing),
        // No token makes another number's message this one's.
        Some(_) => return park(conn, report, number, now),
        None => {}
    }
    if let Some(attempt_id) = report.attempt_id.filter(|_| !is_planted(Bug::TokenIgnored))
        && let Some(attempt) = attempt_rows::find_not_sent(conn, attempt_id)?
        && let Some(state) = State::by_seq(conn, attempt.message)?.filter(counts)
    {
        let standing = bind(conn, wamids, &attempt, &state, report, now)?;
        let effect = climb(conn, &state, &line, standing)?;
        unpark(conn, state.seq, &report.wamid, now)?;
        return Ok(effect);
    }
    park(conn, report, number, now)
}

/// The message that has or had this id.
fn known(conn: &Connection, wamids: &Wamids, wamid: &str) -> Done<Option<(State, Standing)>> {
    if let Some(state) = State::by_wamid(conn, wamids, wamid)? {
        return Ok(Some((state, Standing::Current)));
    }
    Ok(by_former_wamid(conn, wamid)?.map(|state| (state, Standing::Former)))
}

/// The number for whose messages a report counts, as rows name it.
fn number_of(conn: &Connection, report: &StatusReport) -> Done<i64> {
    let Some(id) = &report.number_id else { return Ok(ANY_NUMBER) };
    let number = conn
        .prepare_cached("SELECT ref FROM numbers WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(number.ok_or(StoreError::NotFound)?)
}

/// What a report says of a message.
struct Line<'a> {
    wamid: &'a str,
    report: Report,
    at: Timestamp,
    failure: Option<&'a Failure>,
    upstream: Option<&'a Value>,
    now: Timestamp,
}

/// Which sending of a message a report speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The one that counts.
    Current,
    /// An earlier attempt whose outcome was unknown until now; a later one is on its way.
    Overtaken,
    /// One that had ended before the message was sent again.
    Former,
}

impl Standing {
    /// Arrival always counts. That an earlier sending failed says nothing about the later one, and
    /// that an ended one had been sent is not news.
    fn lets_climb_to(self, status: Status) -> bool {
        match self {
            Self::Current => true,
            Self::Overtaken => status != Status::Failed,
            Self::Former => matches!(status, Status::Delivered | Status::Read),
        }
    }
}

/// Enters a report into the history and lets the status climb.
fn climb(
    conn: &Connection,
    state: &State,
    line: &Line<'_>,
    standing: Standing,
) -> Done<ReportEffect> {
    let reported = codes::reported_status(line.report);
    let next = state.status.advanced_by(line.report);
    let next = next.or_else(|| is_planted(Bug::StatusFalls).then_some(reported));
    let Some(next) = next.filter(|next| standing.lets_climb_to(*next)) else {
        // No event tells it: what it says besides is kept here.
        record_report(conn, state.seq, reported, line.at, line.failure, line.upstream)?;
        return Ok(ReportEffect::Nothing(state.id));
    };
    record_event(conn, state.seq, reported, line.at, line.failure)?;
    let (failure, _) = failure_columns(line.failure.filter(|_| next == Status::Failed))?;
    conn.prepare_cached(
        "UPDATE messages SET status = ?2, failure = ?3, resend_at = CASE WHEN ?6 THEN resend_at END,
             settled_at = CASE WHEN ?4 THEN ?5 ELSE coalesce(settled_at, ?5) END
         WHERE seq = ?1",
    )?
    .execute(params![
        state.seq,
        next.number(),
        failure,
        next == Status::Failed || state.status == Status::Cancelled,
        line.at.0,
        is_planted(Bug::StatusLeavesResend),
    ])?;
    let because = Because {
        failure: line.failure.filter(|_| next == Status::Failed),
        upstream: line.upstream,
        wamid: (standing != Standing::Current).then_some(line.wamid),
    };
    let at = after_the_others(conn, state.seq, line.at)?;
    events::append_status(conn, state.seq, next, at, because, line.now)?;
    if state.status == Status::Queued {
        state.leave_queue(conn)?;
    }
    Ok(ReportEffect::Advanced(state.id, state.status, next))
}

/// When a report is told to have happened: the upstream leaves out the milliseconds, so that it would
/// lie before what happened earlier in its second. Another second is never made of it.
fn after_the_others(conn: &Connection, seq: i64, at: Timestamp) -> Done<Timestamp> {
    let last_ms = at.0 - at.0.rem_euclid(1_000) + 999;
    let latest: Option<i64> = conn
        .prepare_cached(
            "SELECT max(at) FROM (
                 SELECT at FROM message_events WHERE message = ?1 AND at BETWEEN ?2 AND ?3
                 UNION ALL SELECT sent_at FROM messages
                     WHERE seq = ?1 AND sent_at BETWEEN ?2 AND ?3)",
        )?
        .query_row(params![seq, at.0, last_ms], |row| row.get(0))?;
    Ok(latest.map_or(at, Timestamp))
}

/// Binds the upstream's id to the message whose attempt's token came back.
fn bind(
    conn: &Connection,
    wamids: &Wamids,
    attempt: &AttemptRow,
    state: &State,
    report: &StatusReport,
    now: Timestamp,
) -> Done<Standing> {
    attempt_rows::close(conn, attempt, AttemptOutcome::Sent, None, now)?;
    let is_last_word = attempt.is_latest || state.is_given_up();
    let standing = if is_last_word { Standing::Current } else { Standing::Overtaken };
    let counts = standing.lets_climb_to(codes::reported_status(report.report));
    if counts && (attempt.is_latest || state.wamid.is_none()) {
        if let Some(earlier) = &state.wamid {
            retire_wamid(conn, state.seq, earlier)?;
        }
        conn.prepare_cached("UPDATE messages SET wamid = ?2 WHERE seq = ?1")?
            .execute(params![state.seq, report.wamid])?;
        wamids.note(conn, state.seq, Direction::Outbound, &report.wamid)?;
    } else {
        keep_former_wamid(conn, state.seq, &report.wamid)?;
    }
    Ok(standing)
}

/// Applies the reports that came before their message's upstream id was known; `false` where there
/// were none.
pub(super) fn unpark(conn: &Connection, seq: i64, wamid: &str, now: Timestamp) -> Done<bool> {
    if is_planted(Bug::ParkedStatusForgotten) {
        return Ok(false);
    }
    let waiting = parked(conn, wamid, seq)?;
    let any = !waiting.is_empty();
    for parked in waiting {
        let state = State::by_seq(conn, seq)?.ok_or(StoreError::NotFound)?;
        let failure = parked.failure.as_deref().map(from_json).transpose()?;
        let extra = parked.extra.as_deref().map(from_json).transpose()?;
        let line = Line {
            wamid,
            report: parked.report,
            at: parked.at,
            failure: failure.as_ref(),
            upstream: extra.as_ref(),
            now,
        };
        let current = state.wamid.as_deref() == Some(wamid);
        let standing = if current { Standing::Current } else { Standing::Overtaken };
        climb(conn, &state, &line, standing)?;
        conn.prepare_cached("DELETE FROM parked_reports WHERE seq = ?1")?.execute([parked.seq])?;
    }
    Ok(any)
}

struct Parked {
    seq: i64,
    report: Report,
    at: Timestamp,
    failure: Option<String>,
    extra: Option<String>,
}

/// Those by this id that count for this message.
fn parked(conn: &Connection, wamid: &str, message: i64) -> Done<Vec<Parked>> {
    let mut select = conn.prepare_cached(
        "SELECT seq, report, at, failure, extra FROM parked_reports
         WHERE wamid = ?1
             AND (number = ?2 OR number = (SELECT number FROM messages WHERE seq = ?3))
         ORDER BY seq",
    )?;
    let mut rows = select.query(params![wamid, ANY_NUMBER, message])?;
    let mut parked = Vec::new();
    while let Some(row) = rows.next()? {
        parked.push(Parked {
            seq: row.get(0)?,
            report: codes::read_report(row.get(1)?)?,
            at: Timestamp(row.get(2)?),
            failure: row.get(3)?,
            extra: row.get(4)?,
        });
    }
    Ok(parked)
}

fn park(
    conn: &Connection,
    report: &StatusReport,
    number: i64,
    now: Timestamp,
) -> Done<ReportEffect> {
    if is_planted(Bug::EarlyStatusDropped) {
        return Ok(ReportEffect::Parked);
    }
    let (failure, code) = failure_columns(report.failure.as_ref())?;
    let extra = report.extra.as_ref().map(to_json).transpose()?;
    conn.prepare_cached(
        "INSERT INTO parked_reports (wamid, number, report, at, code, failure, parked_at, extra)
         VALUES (?1, ?8, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        report.wamid,
        codes::report(report.report),
        report.at.0,
        code,
        failure,
        now.0,
        extra,
        number,
    ])?;
    conn.prepare_cached(
        "DELETE FROM parked_reports
         WHERE seq IN (SELECT seq FROM parked_reports ORDER BY seq LIMIT ?1) AND parked_at < ?2",
    )?
    .execute(params![PARKED_PRUNED, now.0 - PARKED_KEPT_MS])?;
    Ok(ReportEffect::Parked)
}

/// Remembers the id that a message has until now, and that what happened until now tells of it.
pub(super) fn retire_wamid(conn: &Connection, seq: i64, wamid: &str) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO former_wamids (wamid, message, until_event, possible_duplicate)
         SELECT ?1, seq, (SELECT max(seq) FROM events), possible_duplicate
         FROM messages WHERE seq = ?2
         ON CONFLICT DO UPDATE SET until_event = excluded.until_event,
             possible_duplicate = excluded.possible_duplicate",
    )?
    .execute(params![wamid, seq])?;
    wamids::forget(conn, seq, wamid)
}

/// Remembers the upstream's id of a sending that is not the message's own.
pub(super) fn keep_former_wamid(conn: &Connection, seq: i64, wamid: &str) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO former_wamids (wamid, message) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?
    .execute(params![wamid, seq])?;
    Ok(())
}

fn by_former_wamid(conn: &Connection, wamid: &str) -> Done<Option<State>> {
    let message: Option<i64> = conn
        .prepare_cached("SELECT message FROM former_wamids WHERE wamid = ?1")?
        .query_row([wamid], |row| row.get(0))
        .optional()?;
    match message {
        Some(seq) => State::by_seq(conn, seq),
        None => Ok(None),
    }
}
