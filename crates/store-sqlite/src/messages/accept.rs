//! Accepting messages: their rows, their first steps and the idempotency key in one job.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use waypost_domain::message::{AttemptOutcome, Direction, Message, MessageType};
use waypost_domain::{
    AttemptId, CustomerId, Failure, MessageId, NumberId, OrgId, Status, Timestamp, UserId,
};
use waypost_engine::ports::{
    Accepted, Hold, IdempotencyClaim, IdempotentTarget, Start, StoreResult,
};

use super::fresh;
use super::held;
use super::parts;
use super::queue;
use super::state::record_event;
use super::under_way::{Attempted, UnderWay};
use crate::codes;
use crate::digest;
use crate::events::{self, Because};
use crate::fault::Done;
use crate::idempotency;
use crate::memory::Memory;
use crate::refs::SenderRefs;
use crate::rows::{failure_columns, to_json};
use crate::writer::Crowd;

/// What a new message's row is made of, written out before the writer's turn.
#[derive(Serialize, Deserialize)]
pub(super) struct NewMessage {
    id: MessageId,
    org: OrgId,
    number: NumberId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer: Option<CustomerId>,
    /// Its digits.
    phone: String,
    direction: Direction,
    message_type: MessageType,
    dialect: String,
    synchronous: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// The message's content as JSON.
    content: String,
    /// Its options as JSON, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    possible_duplicate: bool,
    created_at: Timestamp,
    first: First,
    /// The claim that a failure frees again: that of a request for this message alone.
    #[serde(skip)]
    claim: Option<IdempotencyClaim>,
}

/// How a new message goes on. A place is written as its number.
#[derive(Serialize, Deserialize)]
enum First {
    /// 0 for what is due when it comes.
    Queued {
        due: i64,
        place: u8,
    },
    Held {
        wrote_after: Timestamp,
        until: Timestamp,
        place: u8,
        nudge: Option<Box<NewMessage>>,
    },
    Attempted {
        id: AttemptId,
        place: u8,
    },
    Failed {
        place: u8,
    },
}

impl NewMessage {
    pub(super) fn new(
        message: Message,
        start: Start,
        claim: Option<IdempotencyClaim>,
    ) -> StoreResult<Self> {
        let has_options = !message.options.is_empty();
        Ok(Self {
            first: First::new(start, message.created_at)?,
            id: message.id,
            org: message.org_id,
            number: message.number_id,
            customer: message.customer_id,
            phone: message.phone.digits().to_owned(),
            direction: message.direction,
            message_type: message.message_type,
            dialect: message.dialect,
            synchronous: message.synchronous,
            user: message.user_id,
            session: message.session_id,
            reference: message.reference,
            content: to_json(&message.content)?,
            options: has_options.then(|| to_json(&message.options)).transpose()?,
            failure: message.failure,
            possible_duplicate: message.possible_duplicate,
            created_at: message.created_at,
            claim,
        })
    }
}

impl First {
    fn new(start: Start, created_at: Timestamp) -> StoreResult<Self> {
        Ok(match start {
            Start::Queue { due_at, place } => {
                let due = if due_at > created_at { due_at.0 } else { 0 };
                Self::Queued { due, place: place.number() }
            }
            Start::Hold(hold) => {
                let Hold { open_if_wrote_after: wrote_after, until, place, nudge } = *hold;
                let nudge = nudge.map(|(nudge, place)| {
                    let start = Start::Queue { due_at: nudge.created_at, place };
                    NewMessage::new(nudge, start, None).map(Box::new)
                });
                let nudge = nudge.transpose()?;
                Self::Held { wrote_after, until, place: place.number(), nudge }
            }
            Start::Attempt { id, place } => Self::Attempted { id, place: place.number() },
            Start::Closed { place } => Self::Failed { place: place.number() },
        })
    }
}

pub(super) fn accept(conn: &Connection, memory: &Memory, new: &NewMessage) -> Done<Accepted> {
    if let Some(claim) = &new.claim {
        let target = IdempotentTarget::Message(new.id);
        let claimed = idempotency::claim(conn, claim, &target, new.created_at)?;
        if claimed != Accepted::New {
            return Ok(claimed);
        }
    }
    let sender = memory.refs.sender(conn, &new.org, &new.number)?;
    record(conn, &memory.under_way, sender, new)?;
    Ok(Accepted::New)
}

/// What a request of several messages is made of.
pub(super) struct NewMessages {
    pub(super) messages: Vec<NewMessage>,
    pub(super) claim: Option<IdempotencyClaim>,
}

/// Accepts all of them. Where others wait, only some are entered at once; the rest is kept, under the
/// name that is returned.
pub(super) fn accept_all(
    conn: &Connection,
    memory: &Memory,
    new: &NewMessages,
    crowd: &Crowd,
) -> Done<(Accepted, Option<MessageId>)> {
    let Some(first) = new.messages.first() else { return Ok((Accepted::New, None)) };
    if let Some(claim) = &new.claim {
        let ids = new.messages.iter().map(|new| new.id).collect();
        let target = IdempotentTarget::Messages(ids);
        let claimed = idempotency::claim(conn, claim, &target, first.created_at)?;
        if claimed != Accepted::New {
            return Ok((claimed, None));
        }
    }
    let mut all: Vec<(SenderRefs, &NewMessage)> = Vec::with_capacity(new.messages.len());
    for new in &new.messages {
        all.push((memory.refs.sender(conn, &new.org, &new.number)?, new));
    }
    let enter =
        |(sender, new): &(SenderRefs, &NewMessage)| record(conn, &memory.under_way, *sender, new);
    let rest = crowd.work_off(&all, enter)?;
    if rest.is_empty() {
        return Ok((Accepted::New, None));
    }
    parts::keep(conn, first.id, rest)?;
    Ok((Accepted::New, Some(first.id)))
}

/// Writes a message's rows.
pub(super) fn record(
    conn: &Connection,
    under_way: &UnderWay,
    sender: SenderRefs,
    new: &NewMessage,
) -> Done<()> {
    match &new.first {
        First::Queued { due, place } => {
            let seq = insert(conn, sender, new, Row::queued(*due, *place))?;
            enqueue(conn, sender, seq, *due, *place)
        }
        First::Held { wrote_after, until, place, nudge } => {
            let waits = held::has_to_wait(conn, sender, &new.phone, *wrote_after)?;
            let due = if waits { until.0 } else { 0 };
            let seq = insert(conn, sender, new, Row::queued(due, *place))?;
            enqueue(conn, sender, seq, due, *place)?;
            let is_first = waits && held::keep(conn, seq)?;
            match nudge.as_deref().filter(|_| is_first) {
                Some(nudge) => record(conn, under_way, sender, nudge),
                None => Ok(()),
            }
        }
        First::Attempted { id, place } => {
            let row = Row { status: Status::Sending, due: 0, place: *place, attempt: Some(*id) };
            let seq = insert(conn, sender, new, row)?;
            let SenderRefs { org, number } = sender;
            let has_options = new.options.is_some();
            let attempted = Attempted { seq, org, number, has_options, is_queued: false };
            under_way.begin(*id, attempted);
            Ok(())
        }
        First::Failed { place } => {
            let row = Row { status: Status::Failed, due: 0, place: *place, attempt: None };
            let seq = insert(conn, sender, new, row)?;
            let (failure, now) = (new.failure.as_ref(), new.created_at);
            record_event(conn, seq, Status::Failed, now, failure)?;
            events::append_status(conn, seq, Status::Failed, now, Because::of(failure, None), now)
        }
    }
}

/// A message is due, or will be.
fn enqueue(conn: &Connection, sender: SenderRefs, seq: i64, due: i64, place: u8) -> Done<()> {
    if due == 0 {
        return fresh::enter(conn, seq, sender.number, place, sender.org);
    }
    queue::enter(conn, seq, sender.number, due, i64::from(place), sender.org)
}

/// How a new message's row begins.
#[derive(Clone, Copy)]
struct Row {
    status: Status,
    due: i64,
    place: u8,
    attempt: Option<AttemptId>,
}

impl Row {
    const fn queued(due: i64, place: u8) -> Self {
        Self { status: Status::Queued, due, place, attempt: None }
    }
}

fn insert(conn: &Connection, sender: SenderRefs, new: &NewMessage, row: Row) -> Done<i64> {
    let Row { status, due, place, attempt } = row;
    let failed = status == Status::Failed;
    let (failure, _) = failure_columns(new.failure.as_ref().filter(|_| failed))?;
    conn.prepare_cached(
        "INSERT INTO messages (id, org, number, customer, phone, direction, message_type, dialect,
             synchronous, user, session, reference, content, status, possible_duplicate,
             created_at, due, priority, claim_route, claim_key, options, failure, settled_at,
             attempts, attempt, attempt_started_at, attempt_outcome, digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
             ?22, ?23, ?24, ?25, ?26, ?27, ?28)",
    )?
    .execute(params![
        new.id.as_bytes(),
        sender.org,
        sender.number,
        new.customer.as_ref().map(CustomerId::as_str),
        new.phone,
        codes::direction(new.direction),
        codes::message_type(new.message_type),
        new.dialect,
        new.synchronous,
        new.user.as_ref().map(UserId::as_str),
        new.session,
        new.reference,
        new.content,
        status.number(),
        new.possible_duplicate,
        new.created_at.0,
        due,
        place,
        new.claim.as_ref().map(|claim| &claim.route),
        new.claim.as_ref().map(|claim| &claim.key),
        new.options,
        failure,
        failed.then_some(new.created_at.0),
        u8::from(attempt.is_some()),
        attempt.as_ref().map(AttemptId::as_bytes),
        attempt.map(|_| new.created_at.0),
        attempt.map(|_| codes::outcome(AttemptOutcome::Open)),
        digest::of(new.id.as_bytes(), &new.phone, &new.content),
    ])?;
    Ok(conn.last_insert_rowid())
}
