//! LipaChat: text, media, buttons, lists, contacts, places, templates and forms to one person, and
//! the management of templates and forms, at the vendor's own paths.
//!
//! Exact where clients look: the five keys of a success, the two forms of a refusal (Spring's for
//! what is wrong with the request, the envelope for what state forbids), 401 that says `success`.
//! Liberal in what it accepts: numbers as text, two names for several fields, templates in the
//! vendor's form and in Meta's.
//!
//! `wire` knows the words, `decode` the order of checks, `binding` how loose template values meet
//! their template, `encode` and `errors` the replies, `events` the callbacks, `inbound` what people
//! write. Not here: whether a number, template, form or window exists (the engine knows), HTTP
//! and the schedule of callbacks.

mod binding;
mod decode;
mod encode;
mod errors;
mod events;
mod inbound;
mod routes;
mod samples;
#[cfg(test)]
mod tests;
mod wire;

use waypost_domain::{ErrorKind, Failure};

use crate::contract::{
    Asked, Command, Credential, Dialect, ErrorSite, IdempotencyScope, Info, Outcome, Reply,
    Request, Route, WireZone,
};
use crate::samples::Sample;
pub use events::LipaChatEvents;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct LipaChat;

/// The dialect's and the shape's id.
const ID: &str = "lipachat";

/// The vendor's local time, in minutes ahead of UTC.
const ZONE_OFFSET_MINUTES: i16 = 180;

/// Of no consequence: nothing is submitted here.
const REFUSED_AT_ONCE: &[ErrorKind] = &[];

static INFO: Info = Info {
    id: ID,
    title: "LipaChat",
    credential: Credential::Header("apiKey"),
    path_prefix: "/api/v1/",
    idempotency_wait_s: 30,
    awaits_unknown: true,
    conflicts_first: true,
    heeds_idempotency_key: false,
    idempotency_scope: IdempotencyScope::Dialect,
    broadcast_deadline_s: 0,
    zone: WireZone::OffsetMinutes(ZONE_OFFSET_MINUTES),
    refused_at_once: REFUSED_AT_ONCE,
};

impl Dialect for LipaChat {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn routes(&self) -> &'static [Route] {
        &routes::ROUTES
    }

    fn samples(&self) -> &'static [Sample] {
        &samples::SAMPLES
    }

    fn decode(&self, request: &Request<'_>) -> Result<Command, Failure> {
        decode::command(request)
    }

    /// The vendor's `messageId`.
    fn idempotency_key(&self, command: &Command) -> Option<String> {
        match command {
            Command::SendMessage(send) => send.reference.clone(),
            _ => None,
        }
    }

    fn encode(&self, asked: &Asked<'_>, outcome: &Outcome) -> Reply {
        encode::reply(asked, outcome)
    }

    fn encode_error(&self, failure: &Failure, at: ErrorSite<'_>) -> Reply {
        let allowed = at.route.map(|route| self.methods_of(route.path)).unwrap_or_default();
        errors::reply(failure, &at, &allowed)
    }
}
