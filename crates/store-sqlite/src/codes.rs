//! The numbers under which enumerations are kept. Never changed once released; statuses have
//! theirs in the domain.

use waypost_domain::Status;
use waypost_domain::command::MessageType;
use waypost_domain::message::{AttemptOutcome, BroadcastState, Direction};
use waypost_domain::status::Report;

use crate::fault::{Done, Fault, corrupt};

pub(crate) const fn direction(direction: Direction) -> u8 {
    match direction {
        Direction::Outbound => 0,
        Direction::Inbound => 1,
    }
}

pub(crate) fn read_direction(number: u8) -> Result<Direction, Fault> {
    match number {
        0 => Ok(Direction::Outbound),
        1 => Ok(Direction::Inbound),
        _ => Err(corrupt("direction")),
    }
}

pub(crate) const fn message_type(kind: MessageType) -> u8 {
    match kind {
        MessageType::Human => 0,
        MessageType::Assistant => 1,
        MessageType::Template => 2,
        MessageType::User => 3,
    }
}

pub(crate) fn read_message_type(number: u8) -> Result<MessageType, Fault> {
    match number {
        0 => Ok(MessageType::Human),
        1 => Ok(MessageType::Assistant),
        2 => Ok(MessageType::Template),
        3 => Ok(MessageType::User),
        _ => Err(corrupt("message type")),
    }
}

pub(crate) const fn outcome(outcome: AttemptOutcome) -> u8 {
    match outcome {
        AttemptOutcome::Open => 0,
        AttemptOutcome::Sent => 1,
        AttemptOutcome::Refused => 2,
        AttemptOutcome::NotSent => 3,
        AttemptOutcome::Unknown => 4,
    }
}

pub(crate) fn read_outcome(number: u8) -> Result<AttemptOutcome, Fault> {
    match number {
        0 => Ok(AttemptOutcome::Open),
        1 => Ok(AttemptOutcome::Sent),
        2 => Ok(AttemptOutcome::Refused),
        3 => Ok(AttemptOutcome::NotSent),
        4 => Ok(AttemptOutcome::Unknown),
        _ => Err(corrupt("attempt outcome")),
    }
}

pub(crate) const fn report(report: Report) -> u8 {
    match report {
        Report::Sent => 0,
        Report::Delivered => 1,
        Report::Read => 2,
        Report::Failed => 3,
    }
}

pub(crate) fn read_report(number: u8) -> Result<Report, Fault> {
    match number {
        0 => Ok(Report::Sent),
        1 => Ok(Report::Delivered),
        2 => Ok(Report::Read),
        3 => Ok(Report::Failed),
        _ => Err(corrupt("report")),
    }
}

pub(crate) fn read_status(number: u8) -> Result<Status, Fault> {
    Status::from_number(number).ok_or_else(|| corrupt("status"))
}

/// The status that a report speaks of.
pub(crate) const fn reported_status(report: Report) -> Status {
    match report {
        Report::Sent => Status::Sent,
        Report::Delivered => Status::Delivered,
        Report::Read => Status::Read,
        Report::Failed => Status::Failed,
    }
}

/// The stored state of a broadcast in preparation; the others are those of [`broadcast_state`].
pub(crate) const PREPARED: u8 = 3;

pub(crate) const fn broadcast_state(state: BroadcastState) -> u8 {
    match state {
        BroadcastState::Running => 0,
        BroadcastState::Paused => 1,
        BroadcastState::Cancelled => 2,
    }
}

/// One in preparation counts as paused: nothing of it is due.
pub(crate) fn read_broadcast_state(code: u8) -> Done<BroadcastState> {
    match code {
        0 => Ok(BroadcastState::Running),
        1 | PREPARED => Ok(BroadcastState::Paused),
        2 => Ok(BroadcastState::Cancelled),
        _ => Err(corrupt("broadcast state")),
    }
}
