//! Accepting messages: their rows, their first steps and the idempotency key in one job.

use rusqlite::{Connection, params};
use waypost_domain::message::{AttemptOutcome, Message};
use waypost_domain::place::Place;
use waypost_domain::{AttemptId, Status};
use waypost_engine::ports::{
    Accepted, Hold, IdempotencyClaim, IdempotentTarget, Start, StoreResult,
};

use super::fresh;
use super::held;
use super::queue;
use super::state::record_event;
use super::under_way::Attempted;
use crate::codes;
use crate::digest;
use crate::events::{self, Because};
use crate::fault::Done;
use crate::idempotency;
use crate::memory::Memory;
use crate::refs::SenderRefs;
use crate::rows::{failure_columns, to_json};

/// What a new message's row is made of.
pub(super) struct NewMessage {
    message: Message,
    /// The message's content as JSON.
    content: String,
    /// Its options as JSON, where it has any.
    options: Option<String>,
    start: Start,
    /// The claim that a failure frees again.
    claim: Option<IdempotencyClaim>,
}

impl NewMessage {
    /// Writes out what can be before the writer's turn.
    pub(super) fn new(
        message: Message,
        start: Start,
        claim: Option<IdempotencyClaim>,
    ) -> StoreResult<Self> {
        let content = to_json(&message.content)?;
        let options =
            (!message.options.is_empty()).then(|| to_json(&message.options)).transpose()?;
        Ok(Self { message, content, options, start, claim })
    }
}

pub(super) fn accept(conn: &Connection, memory: &Memory, new: &NewMessage) -> Done<Accepted> {
    let message = &new.message;
    if let Some(claim) = &new.claim {
        let target = IdempotentTarget::Message(message.id);
        let claimed = idempotency::claim(conn, claim, &target, message.created_at)?;
        if claimed != Accepted::New {
            return Ok(claimed);
        }
    }
    record(conn, memory, new)?;
    Ok(Accepted::New)
}

/// What a request of several messages is made of.
pub(super) struct NewMessages {
    pub(super) messages: Vec<NewMessage>,
    pub(super) claim: Option<IdempotencyClaim>,
}

pub(super) fn accept_all(conn: &Connection, memory: &Memory, new: &NewMessages) -> Done<Accepted> {
    if let (Some(claim), Some(first)) = (&new.claim, new.messages.first()) {
        let ids = new.messages.iter().map(|new| new.message.id).collect();
        let target = IdempotentTarget::Messages(ids);
        let claimed = idempotency::claim(conn, claim, &target, first.message.created_at)?;
        if claimed != Accepted::New {
            return Ok(claimed);
        }
    }
    new.messages.iter().try_for_each(|new| record(conn, memory, new))?;
    Ok(Accepted::New)
}

fn record(conn: &Connection, memory: &Memory, new: &NewMessage) -> Done<()> {
    let message = &new.message;
    let sender = memory.refs.sender(conn, &message.org_id, &message.number_id)?;
    match &new.start {
        Start::Queue { due_at, place } => {
            let due = due_column(message, *due_at);
            insert(conn, sender, new, First::Queued { due, place: *place })?;
            enqueue(conn, sender, due, *place)
        }
        Start::Hold(hold) => record_held(conn, memory, sender, new, hold),
        Start::Attempt { id: attempt, place } => {
            insert(conn, sender, new, First::Attempted { id: *attempt, place: *place })?;
            let attempted = Attempted {
                seq: conn.last_insert_rowid(),
                org: sender.org,
                number: sender.number,
                has_options: new.options.is_some(),
                is_queued: false,
            };
            memory.under_way.begin(*attempt, attempted);
            Ok(())
        }
        Start::Closed { place } => {
            insert(conn, sender, new, First::Failed { place: *place })?;
            close_at_once(conn, conn.last_insert_rowid(), message)
        }
    }
}

/// The message whose row was written last is due, or will be.
fn enqueue(conn: &Connection, sender: SenderRefs, due: i64, place: Place) -> Done<()> {
    let (seq, place) = (conn.last_insert_rowid(), place.number());
    if due == 0 {
        return fresh::enter(conn, seq, sender.number, place, sender.org);
    }
    queue::enter(conn, seq, sender.number, due, i64::from(place), sender.org)
}

/// A message waits for its person, unless the person wrote meanwhile.
fn record_held(
    conn: &Connection,
    memory: &Memory,
    sender: SenderRefs,
    new: &NewMessage,
    hold: &Hold,
) -> Done<()> {
    let waits = held::has_to_wait(conn, &new.message, hold)?;
    let due = if waits { hold.until.0 } else { 0 };
    insert(conn, sender, new, First::Queued { due, place: hold.place })?;
    let seq = conn.last_insert_rowid();
    enqueue(conn, sender, due, hold.place)?;
    let is_first = waits && held::keep(conn, seq)?;
    let Some((nudge, place)) = hold.nudge.as_ref().filter(|_| is_first) else { return Ok(()) };
    let start = Start::Queue { due_at: nudge.created_at, place: *place };
    record(conn, memory, &NewMessage::new(nudge.clone(), start, None)?)
}

/// A message reaches its final failed state with its acceptance.
fn close_at_once(conn: &Connection, seq: i64, message: &Message) -> Done<()> {
    let (failure, now) = (message.failure.as_ref(), message.created_at);
    record_event(conn, seq, Status::Failed, now, failure)?;
    events::append_status(conn, seq, Status::Failed, now, Because::of(failure, None), now)
}

/// 0 for what is due when it comes.
fn due_column(message: &Message, due_at: waypost_domain::Timestamp) -> i64 {
    if due_at > message.created_at { due_at.0 } else { 0 }
}

/// How a new message's row begins.
#[derive(Clone, Copy)]
enum First {
    Queued { due: i64, place: Place },
    Attempted { id: AttemptId, place: Place },
    Failed { place: Place },
}

fn insert(conn: &Connection, sender: SenderRefs, new: &NewMessage, first: First) -> Done<()> {
    let message = &new.message;
    let (status, due, place, attempt) = match first {
        First::Queued { due, place } => (Status::Queued, due, place, None),
        First::Attempted { id, place } => (Status::Sending, 0, place, Some(id)),
        First::Failed { place } => (Status::Failed, 0, place, None),
    };
    let failed = status == Status::Failed;
    let (failure, _) = failure_columns(message.failure.as_ref().filter(|_| failed))?;
    conn.prepare_cached(
        "INSERT INTO messages (id, org, number, customer, phone, direction, message_type, dialect,
             synchronous, user, session, reference, content, status, possible_duplicate,
             created_at, due, priority, claim_route, claim_key, options, failure, settled_at,
             attempts, attempt, attempt_started_at, attempt_outcome, digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
             ?22, ?23, ?24, ?25, ?26, ?27, ?28)",
    )?
    .execute(params![
        message.id.as_bytes(),
        sender.org,
        sender.number,
        message.customer_id.as_ref().map(waypost_domain::CustomerId::as_str),
        message.phone.digits(),
        codes::direction(message.direction),
        codes::message_type(message.message_type),
        message.dialect,
        message.synchronous,
        message.user_id.as_ref().map(waypost_domain::UserId::as_str),
        message.session_id,
        message.reference,
        new.content,
        status.number(),
        message.possible_duplicate,
        message.created_at.0,
        due,
        place.number(),
        new.claim.as_ref().map(|claim| &claim.route),
        new.claim.as_ref().map(|claim| &claim.key),
        new.options,
        failure,
        failed.then_some(message.created_at.0),
        u8::from(attempt.is_some()),
        attempt.as_ref().map(AttemptId::as_bytes),
        attempt.map(|_| message.created_at.0),
        attempt.map(|_| codes::outcome(AttemptOutcome::Open)),
        digest::of(message.id.as_bytes(), message.phone.digits(), &new.content),
    ])?;
    Ok(())
}
