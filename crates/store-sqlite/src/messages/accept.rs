//! Accepting a message: its row, its first step and its idempotency key in one job.

use rusqlite::{Connection, params};
use waypost_domain::message::{AttemptOutcome, Message};
use waypost_domain::{AttemptId, Status};
use waypost_engine::ports::{Accepted, IdempotencyClaim, IdempotentTarget, Start};

use crate::codes;
use crate::fault::Done;
use crate::idempotency;

/// What a new message's row is made of.
pub(super) struct NewMessage {
    pub(super) message: Message,
    /// The message's content as JSON.
    pub(super) content: String,
    pub(super) start: Start,
    pub(super) claim: Option<IdempotencyClaim>,
}

pub(super) fn accept(conn: &Connection, new: &NewMessage) -> Done<Accepted> {
    let message = &new.message;
    if let Some(claim) = &new.claim {
        let target = IdempotentTarget::Message(message.id);
        let claimed = idempotency::claim(conn, claim, &target, message.created_at)?;
        if claimed != Accepted::New {
            return Ok(claimed);
        }
    }
    insert(conn, new)?;
    if let Start::Queue { due_at, priority } = new.start {
        conn.prepare_cached(
            "INSERT INTO queue (number, due, priority, seq)
             SELECT number, ?2, ?3, seq FROM messages WHERE seq = ?1",
        )?
        .execute(params![
            conn.last_insert_rowid(),
            due_column(message, due_at),
            priority
        ])?;
    }
    Ok(Accepted::New)
}

/// 0 for what is due when it comes.
fn due_column(message: &Message, due_at: waypost_domain::Timestamp) -> i64 {
    if due_at > message.created_at { due_at.0 } else { 0 }
}

fn insert(conn: &Connection, new: &NewMessage) -> Done<()> {
    let message = &new.message;
    let (status, due, priority, attempt) = match new.start {
        Start::Queue { due_at, priority } => {
            (Status::Queued, due_column(message, due_at), priority, None)
        }
        Start::Attempt(attempt) => (Status::Sending, 0, 0, Some(attempt)),
    };
    conn.prepare_cached(
        "INSERT INTO messages (id, org, number, customer, phone, direction, message_type, dialect,
             synchronous, user, session, reference, content, status, possible_duplicate,
             created_at, due, priority, claim_route, claim_key, attempts, attempt,
             attempt_started_at, attempt_outcome)
         VALUES (?1, (SELECT ref FROM orgs WHERE id = ?2),
             (SELECT ref FROM numbers WHERE id = ?3 AND body IS NOT NULL),
             ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
             ?24)",
    )?
    .execute(params![
        message.id.as_bytes(),
        message.org_id.as_str(),
        message.number_id.as_str(),
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
        priority,
        new.claim.as_ref().map(|claim| &claim.route),
        new.claim.as_ref().map(|claim| &claim.key),
        u8::from(attempt.is_some()),
        attempt.as_ref().map(AttemptId::as_bytes),
        attempt.map(|_| message.created_at.0),
        attempt.map(|_| codes::outcome(AttemptOutcome::Open)),
    ])?;
    Ok(())
}
