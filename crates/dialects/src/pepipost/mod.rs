//! Pepipost (Netcore Cloud), WhatsApp API v2: messages that are accepted and sent later, media,
//! consents, template information, and the vendor's batches of receipts and inbound messages.
//!
//! The vendor accepts nearly everything that has the right form and reports failures afterwards, so
//! this dialect judges forms only: its texts are fixed, and what they leave open stands in the
//! header `X-Waypost-Error`. Each file knows one thing: `wire` the words, `decode` the order of
//! checks, `template` how a template's values are bound once it is known, `encode` the replies,
//! `errors` the codes, `events` the webhooks. Not here: whether a source, a file, a template or a
//! consent exists (the engine knows), and HTTP (the server does it).

mod decode;
mod encode;
mod errors;
mod events;
mod samples;
mod template;
#[cfg(test)]
mod tests;
mod wire;

use http::Method;
use waypost_domain::directory::Scope;
use waypost_domain::media::MEGABYTE;
use waypost_domain::{ErrorKind, Failure};

use crate::contract::{
    Asked, Body, BodyKind, Command, Credential, Dialect, ErrorSite, FormParts, IdempotencyScope,
    Info, JsonTypes, Operation, Outcome, Reply, Request, Route, Submission, WireZone,
};

use crate::samples::Sample;

pub use events::PepipostEvents;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct Pepipost;

const MAX_JSON_BYTES: u64 = MEGABYTE;
/// 100 MB of file, and something around it.
const MAX_UPLOAD_BYTES: u64 = 105 * MEGABYTE;
/// The vendor's home zone, in which its times are written.
const ZONE_OFFSET_MINUTES: i16 = 330;

static INFO: Info = Info {
    id: wire::ID,
    title: "Pepipost",
    credential: Credential::BearerOrBare,
    path_prefix: "/api/v2/",
    idempotency_wait_s: 30,
    awaits_unknown: false,
    conflicts_first: false,
    heeds_idempotency_key: true,
    idempotency_scope: IdempotencyScope::Path,
    broadcast_deadline_s: 0,
    zone: WireZone::OffsetMinutes(ZONE_OFFSET_MINUTES),
    refused_at_once: &[
        ErrorKind::NumberNotFound,
        ErrorKind::MediaNotFound,
        ErrorKind::OrgForbidden,
        ErrorKind::RateLimited,
        ErrorKind::Unavailable,
    ],
};

const JSON: BodyKind = BodyKind::Json { max_bytes: MAX_JSON_BYTES, types: JsonTypes::Any };
const UPLOAD: BodyKind = BodyKind::Multipart {
    max_bytes: MAX_UPLOAD_BYTES,
    parts: FormParts { file: wire::member::FILE, texts: &[] },
};

const fn submit(path: &'static str) -> Route {
    let (operation, scope) = (Operation::Submit, Scope::MessagesSend);
    Route { method: Method::POST, path, operation, body: JSON, scope }
}

const fn manage(method: Method, path: &'static str, body: BodyKind, scope: Scope) -> Route {
    Route { method, path, operation: Operation::Manage, body, scope }
}

static ROUTES: [Route; 11] = [
    submit(wire::SEND_PATH),
    submit(wire::NC_PATH),
    submit(wire::NC_PRIORITY_PATH),
    submit(wire::NC_MESSAGE_PATH),
    Route {
        method: Method::POST,
        path: wire::UPLOAD_PATH,
        operation: Operation::UploadMedia,
        body: UPLOAD,
        scope: Scope::Media,
    },
    manage(Method::GET, wire::MEDIA_PATH, BodyKind::None, Scope::Media),
    manage(Method::DELETE, wire::MEDIA_PATH, BodyKind::None, Scope::Media),
    manage(Method::POST, wire::RECORD_CONSENT_PATH, JSON, Scope::Customers),
    manage(Method::POST, wire::FIND_CONSENT_PATH, JSON, Scope::Customers),
    manage(Method::GET, wire::TEMPLATE_STATUS_PATH, BodyKind::None, Scope::Templates),
    manage(Method::GET, wire::TEMPLATE_PREVIEW_PATH, BodyKind::None, Scope::Templates),
];

impl Dialect for Pepipost {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn routes(&self) -> &'static [Route] {
        &ROUTES
    }

    fn decode(&self, request: &Request<'_>) -> Result<Command, Failure> {
        match (request.operation, request.body) {
            (Operation::Submit, Body::Json(body)) => decode::message::submit(request, body),
            (Operation::UploadMedia, Body::Form(form)) => decode::file::upload(request, form),
            (Operation::Manage, body) => decode::manage::task(request, body),
            // The routes say which body goes with which operation.
            _ => {
                let message = "This call takes a body of another content type.";
                Err(Failure::new(ErrorKind::UnsupportedContentType, message))
            }
        }
    }

    fn before_fault(&self, request: &Request<'_>) -> Vec<Submission> {
        match (request.operation, request.body) {
            (Operation::Submit, Body::Json(body)) => decode::message::before_fault(request, body),
            _ => Vec::new(),
        }
    }

    fn samples(&self) -> &'static [Sample] {
        &samples::SAMPLES
    }

    fn encode(&self, asked: &Asked<'_>, outcome: &Outcome) -> Reply {
        encode::reply(asked, outcome)
    }

    fn encode_error(&self, failure: &Failure, at: ErrorSite<'_>) -> Reply {
        let allowed = at.route.map(|route| self.methods_of(route.path)).unwrap_or_default();
        errors::reply(failure, at, &allowed)
    }
}
