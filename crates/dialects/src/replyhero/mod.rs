//! ReplyHero ("RH-Whatsapp-API v1.0.0"): text and media to one customer, a template to all
//! customers of an organisation, and media upload, at the vendor's own paths.
//!
//! The vendor documents the happy path only. Where it is silent, this dialect is liberal in what
//! it accepts and exact in what it returns: identifiers may be numbers, `components` may be JSON in
//! a string, file bytes may be spelled in seven ways (`file_data`); replies always have the same
//! keys in alphabetical order. No request names a phone number: people are named by `customerId`.
//!
//! This folder is the pattern for other vendors. Each file knows one thing: `wire` the words,
//! `decode` the order of checks, `encode` the replies, `errors` the error table. Not here:
//! whether an organisation, customer, template, medium or provider exists (the engine knows), and
//! HTTP (the server does it).

mod decode;
mod encode;
mod errors;
mod file_data;
mod media_type;
mod samples;
#[cfg(test)]
mod tests;
mod wire;

use http::Method;
use waypost_domain::directory::Scope;
use waypost_domain::media::MEGABYTE;
use waypost_domain::{ErrorKind, Failure};

use crate::contract::{
    Asked, Body, BodyKind, Command, Credential, Dialect, ErrorSite, FormParts, IdempotencyScope,
    Info, JsonTypes, Operation, Outcome, Reply, Request, Route, WireZone,
};

use crate::samples::Sample;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct ReplyHero;

/// 100 MB of file as base64, and something around it.
const MAX_SEND_BYTES: u64 = 140 * MEGABYTE;
/// 100 MB of file, and something around it.
const MAX_UPLOAD_BYTES: u64 = 105 * MEGABYTE;

static INFO: Info = Info {
    id: "replyhero",
    title: "ReplyHero",
    credential: Credential::Header("X-API-KEY"),
    path_prefix: "/whatsapp/",
    idempotency_wait_s: 30,
    awaits_unknown: false,
    conflicts_first: false,
    heeds_idempotency_key: true,
    idempotency_scope: IdempotencyScope::Path,
    broadcast_deadline_s: 300,
    zone: WireZone::Org,
    refused_at_once: &[],
};

static ROUTES: [Route; 3] = [
    Route {
        method: Method::POST,
        path: wire::SEND_PATH,
        operation: Operation::SendMessage,
        body: BodyKind::Json { max_bytes: MAX_SEND_BYTES, types: JsonTypes::ApplicationOrText },
        scope: Scope::MessagesSend,
    },
    Route {
        method: Method::POST,
        path: wire::TEMPLATE_PATH,
        operation: Operation::Broadcast,
        body: BodyKind::Json { max_bytes: MAX_SEND_BYTES, types: JsonTypes::ApplicationOrText },
        scope: Scope::MessagesSend,
    },
    Route {
        method: Method::POST,
        path: wire::UPLOAD_PATH,
        operation: Operation::UploadMedia,
        body: BodyKind::Multipart {
            max_bytes: MAX_UPLOAD_BYTES,
            parts: FormParts {
                file: wire::member::FILE,
                texts: &[wire::member::ORG_ID, wire::member::TYPE],
            },
        },
        scope: Scope::Media,
    },
];

impl Dialect for ReplyHero {
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
        match (request.operation, request.body) {
            (Operation::SendMessage, Body::Json(body)) => decode::send_message(body),
            (Operation::Broadcast, Body::Json(body)) => decode::broadcast(body),
            (Operation::UploadMedia, Body::Form(form)) => decode::upload(form),
            // The routes say which body goes with which operation.
            (_, Body::None | Body::Json(_) | Body::Form(_)) => {
                let message = "This call takes a body of another content type.";
                Err(Failure::new(ErrorKind::UnsupportedContentType, message))
            }
        }
    }

    fn encode(&self, asked: &Asked<'_>, outcome: &Outcome) -> Reply {
        encode::reply(asked, outcome)
    }

    fn encode_error(&self, failure: &Failure, at: ErrorSite<'_>) -> Reply {
        let allowed = at.route.map(|route| self.methods_of(route.path)).unwrap_or_default();
        errors::reply(failure, &allowed)
    }
}
