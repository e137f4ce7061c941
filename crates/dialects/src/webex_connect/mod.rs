//! Webex Connect (formerly imiconnect), Messaging API v1, channel WhatsApp: one path, all kinds of
//! messages, answered when they are durable and reported later to `notifyurl`.
//!
//! Form is judged at once and refuses the whole body; bounds (too long, too many, not for
//! WhatsApp) are accepted and reported by receipt, because the vendor lists them there. What the
//! receipts give back travels in the message's options as this dialect's own echo.
//!
//! Each file knows one thing: `wire` the words and bodies, `codes` the vendor's status codes,
//! `decode` the requests, `bind` how loose template values find their variables, `encode` and
//! `errors` the replies, `events` the callbacks. Not here: whether a number, template or address
//! may be used (the engine knows), tokens and HTTP (the server does it).

mod bind;
mod codes;
mod decode;
mod encode;
mod errors;
mod events;
mod samples;
#[cfg(test)]
mod tests;
mod wire;

use http::Method;
use waypost_domain::directory::Scope;
use waypost_domain::media::MEGABYTE;
use waypost_domain::{ErrorKind, Failure};

use crate::contract::{
    Asked, Body, BodyKind, Command, Credential, Dialect, ErrorSite, IdempotencyScope, Info,
    JsonTypes, Operation, Outcome, Reply, Request, Route, Submission, WireZone,
};

use crate::samples::Sample;

pub use events::WebexConnectEvents;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct WebexConnect;

/// The vendor's own limit is unknown; 1,000 destinations with a long text take a tenth of it.
const MAX_BODY_BYTES: u64 = MEGABYTE;

static INFO: Info = Info {
    id: wire::DIALECT,
    title: "Webex Connect",
    credential: Credential::BearerElseHeader("key"),
    path_prefix: "/resources/",
    idempotency_wait_s: 30,
    awaits_unknown: false,
    conflicts_first: false,
    heeds_idempotency_key: true,
    idempotency_scope: IdempotencyScope::Dialect,
    broadcast_deadline_s: 300,
    zone: WireZone::OffsetMinutes(0),
    refused_at_once: &[
        ErrorKind::OrgForbidden,
        ErrorKind::NumberNotFound,
        ErrorKind::TemplateNotFound,
        ErrorKind::TemplateLanguageNotFound,
        ErrorKind::Expired,
        ErrorKind::RateLimited,
        ErrorKind::Unavailable,
    ],
};

static ROUTES: [Route; 1] = [Route {
    method: Method::POST,
    path: wire::MESSAGING_PATH,
    operation: Operation::Submit,
    body: BodyKind::Json { max_bytes: MAX_BODY_BYTES, types: JsonTypes::Any },
    scope: Scope::MessagesSend,
}];

impl Dialect for WebexConnect {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn routes(&self) -> &'static [Route] {
        &ROUTES
    }

    fn samples(&self) -> &'static [Sample] {
        &samples::SAMPLES
    }

    fn decode(&self, request: &Request<'_>) -> Result<Command, Failure> {
        let Body::Json(body) = request.body else {
            // The route says that it takes JSON.
            return Err(Failure::new(ErrorKind::InvalidJson, "This call takes JSON."));
        };
        decode::submit(request.own_org()?, body)
    }

    fn before_fault(&self, request: &Request<'_>) -> Vec<Submission> {
        match (request.own_org(), request.body) {
            (Ok(org_id), Body::Json(body)) => decode::before_fault(org_id, body),
            _ => Vec::new(),
        }
    }

    fn encode(&self, asked: &Asked<'_>, outcome: &Outcome) -> Reply {
        encode::reply(asked, outcome)
    }

    fn encode_error(&self, failure: &Failure, at: ErrorSite<'_>) -> Reply {
        errors::reply(failure, &at)
    }
}
