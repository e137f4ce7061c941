//! Which form, status and text each kind of failure has.

use http::header::RETRY_AFTER;
use http::{Method, StatusCode};
use waypost_domain::{ErrorKind, Failure};

use super::ID;
use super::wire::{self, Envelope, SpringError, path, text};
use crate::contract::{Call, ErrorSite, Reply};
use crate::explanation::{self, X_WAYPOST_ERROR};

/// How long to wait where a failure that asks for patience does not say, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// The vendor's three forms of a refusal.
enum Form {
    /// Spring's: the request is wrong, or nobody can answer it.
    Spring(StatusCode),
    /// The envelope with this text: the request is right and something forbids it.
    Envelope(&'static str),
    /// The envelope with the upstream's own words.
    Upstream,
    /// 401, the envelope that says `success`.
    Credential,
}

const fn form(kind: ErrorKind) -> Form {
    use Form::{Credential, Envelope, Spring, Upstream};
    use StatusCode as S;
    match kind {
        ErrorKind::InvalidJson
        | ErrorKind::InvalidBody
        | ErrorKind::InvalidMultipart
        | ErrorKind::MissingField
        | ErrorKind::InvalidType
        | ErrorKind::InvalidValue
        | ErrorKind::ValueTooLong
        | ErrorKind::UnsupportedMessageType
        | ErrorKind::UnsupportedMediaType
        | ErrorKind::UnknownProvider => Spring(S::BAD_REQUEST),
        ErrorKind::MissingCredential
        | ErrorKind::InvalidCredential
        | ErrorKind::KeyDisabled
        | ErrorKind::AddressNotAllowed
        | ErrorKind::ScopeMissing => Credential,
        ErrorKind::RouteNotFound => Spring(S::NOT_FOUND),
        ErrorKind::MethodNotAllowed => Spring(S::METHOD_NOT_ALLOWED),
        ErrorKind::IdempotencyConflict => Spring(S::CONFLICT),
        ErrorKind::BodyTooLarge | ErrorKind::MediaTooLarge => Spring(S::PAYLOAD_TOO_LARGE),
        ErrorKind::UnsupportedContentType => Spring(S::UNSUPPORTED_MEDIA_TYPE),
        ErrorKind::RateLimited => Spring(S::TOO_MANY_REQUESTS),
        ErrorKind::UpstreamAuth | ErrorKind::OutcomeUnknown | ErrorKind::UpstreamError => {
            Spring(S::BAD_GATEWAY)
        }
        ErrorKind::IdempotencyInProgress
        | ErrorKind::UpstreamUnavailable
        | ErrorKind::Unavailable
        | ErrorKind::StillQueued => Spring(S::SERVICE_UNAVAILABLE),
        ErrorKind::OrgForbidden | ErrorKind::UserForbidden | ErrorKind::NumberNotFound => {
            Envelope(text::FOREIGN_SENDER)
        }
        ErrorKind::WindowClosed => Envelope(text::WINDOW_CLOSED),
        ErrorKind::TemplateNotFound | ErrorKind::TemplateLanguageNotFound => {
            Envelope(text::NO_TEMPLATE)
        }
        ErrorKind::TemplateNotApproved => Envelope(text::NOT_APPROVED),
        ErrorKind::TemplateParameterMismatch => Envelope(text::MISMATCH),
        ErrorKind::FlowNotFound => Envelope(text::NO_FLOW),
        ErrorKind::CustomerNotFound
        | ErrorKind::RecipientUnreachable
        | ErrorKind::Expired
        | ErrorKind::Cancelled => Envelope(text::UNDELIVERABLE),
        ErrorKind::RecipientBlocked => Envelope(text::BLOCKED),
        ErrorKind::MediaNotFound | ErrorKind::MediaRejected => Envelope(text::BAD_MEDIA),
        ErrorKind::RejectedByUpstream | ErrorKind::IdentityMismatch => Upstream,
    }
}

/// The answer to a request that failed. `allowed` are the path's methods, for 405.
pub(super) fn reply(failure: &Failure, at: &ErrorSite<'_>, allowed: &[&Method]) -> Reply {
    let reply = match form(failure.kind) {
        _ if failure.words_of(ID).is_some() => {
            let words = failure.words_of(ID).map_or("", |words| &words.text);
            refusal(StatusCode::BAD_REQUEST, "error", words, &at.call)
        }
        Form::Spring(status) => spring(status, &at.call),
        Form::Envelope(text) => refusal(StatusCode::BAD_REQUEST, "error", text, &at.call),
        Form::Upstream if writes_a_flow(at) => {
            refusal(StatusCode::BAD_REQUEST, "error", text::REQUEST_FAILED, &at.call)
        }
        Form::Upstream => {
            refusal(StatusCode::BAD_REQUEST, "error", upstream_words(failure), &at.call)
        }
        Form::Credential => {
            let status = StatusCode::UNAUTHORIZED;
            refusal(status, "success", text::INVALID_CREDENTIALS, &at.call)
        }
    };
    let ending = match form(failure.kind) {
        Form::Upstream => upstream_words(failure),
        _ => "",
    };
    let reply = reply.with_header(X_WAYPOST_ERROR, explanation::of(failure, ending));
    let reply = match retry_after_s(failure, reply.status) {
        Some(seconds) => reply.with_header(RETRY_AFTER, seconds.into()),
        None => reply,
    };
    if failure.kind == ErrorKind::MethodNotAllowed {
        return reply.allowing(allowed);
    }
    reply
}

fn spring(status: StatusCode, call: &Call<'_>) -> Reply {
    let error = status.canonical_reason().unwrap_or_default();
    let timestamp = wire::offset_time(call.now);
    let body = SpringError { timestamp, status: status.as_u16(), error, path: call.path };
    Reply::json(status, &body)
}

fn refusal(status: StatusCode, word: &'static str, message: &str, call: &Call<'_>) -> Reply {
    let body: Envelope<()> = Envelope {
        timestamp: Some(wire::local_time(call.now, call.zone)),
        data: None,
        total_pages: None,
        status: word,
        message: message.to_owned(),
        errors: None,
    };
    Reply::json(status, &body)
}

/// Whether a form is made or changed: there the vendor has one text for all refusals.
fn writes_a_flow(at: &ErrorSite<'_>) -> bool {
    at.route.is_some_and(|route| {
        matches!(route.path, path::FLOWS | path::ONE_FLOW) && route.method != Method::GET
    })
}

/// What the upstream said, where it said something.
pub(super) fn upstream_words(failure: &Failure) -> &str {
    let said = failure.upstream.as_ref().map_or("", |fault| fault.details.trim());
    if said.is_empty() { &failure.message } else { said }
}

fn retry_after_s(failure: &Failure, status: StatusCode) -> Option<u32> {
    let asks_for_patience =
        matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    asks_for_patience.then(|| failure.retry_after_s.unwrap_or(RETRY_AFTER_S))
}
