//! The answer to a request that was accepted.

use http::StatusCode;
use serde_json::Value;
use waypost_domain::{ErrorKind, Failure, MessageId};

use super::codes::QUEUED;
use super::errors;
use super::wire::{Accepted, Entry, echo};
use crate::contract::{Asked, ErrorSite, Outcome, Reply};

/// One entry per recipient, in the order of the body.
pub(super) fn reply(asked: &Asked<'_>, outcome: &Outcome) -> Reply {
    match outcome {
        Outcome::Submitted(ids) => {
            let echoes = asked.command.submissions.iter().map(Option::as_deref);
            let echoes = echoes.chain(std::iter::repeat(None));
            let response = ids.iter().zip(echoes).map(|(id, echo)| entry(id, echo)).collect();
            Reply::json(StatusCode::OK, &Accepted { response })
        }
        // No route of this vendor asks for these.
        Outcome::Sent(_) | Outcome::Broadcast(_) | Outcome::Uploaded(_) | Outcome::Managed(_) => {
            let failure = Failure::new(ErrorKind::Unavailable, "There is no such answer.");
            let site = ErrorSite { call: asked.call, ..ErrorSite::default() };
            errors::reply(&failure, &site)
        }
    }
}

fn entry<'a>(transid: &'a MessageId, kept: Option<&'a Value>) -> Entry<'a> {
    let correlationid = kept.and_then(|kept| kept.get(echo::CORRELATION_ID)?.as_str());
    Entry { code: QUEUED.code, transid, description: QUEUED.text, correlationid }
}
