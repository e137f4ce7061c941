//! Refusals: which code, text and HTTP status each kind of failure has. A failure that carries the
//! vendor's words says those; the table gives what the server and the engine found.

use std::borrow::Cow;

use http::StatusCode;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use waypost_domain::{ErrorKind, Failure};

use super::codes::{self, Code};
use super::wire::{DIALECT, Refusal, Refused, member};
use crate::contract::{ErrorSite, Reply};

/// How long to wait at the key's limit, in seconds.
const LIMIT_RETRY_AFTER_S: u32 = 1;
/// How long to wait for everything else where the failure does not say, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// The answer to a request that was refused.
pub(super) fn reply(failure: &Failure, at: &ErrorSite<'_>) -> Reply {
    let (code, description) = match failure.words_of(DIALECT) {
        Some(words) => (words.code.as_str(), Cow::Borrowed(words.text.as_str())),
        None => words(failure),
    };
    let refusal = Refusal { code, description, transid: at.call.request_id };
    let status = status(failure, at.errors_as_200);
    let mut reply = Reply::json(status, &Refused { response: refusal });
    if failure.kind == ErrorKind::MethodNotAllowed {
        reply = reply.with_header(ALLOW, HeaderValue::from_static("POST"));
    }
    if let Some(seconds) = retry_after_s(failure, status) {
        reply = reply.with_header(RETRY_AFTER, seconds.into());
    }
    reply
}

/// 400 for every refusal with a code of the vendor's list, or 200 where the organisation wants it
/// so; the other statuses do not depend on that.
fn status(failure: &Failure, errors_as_200: bool) -> StatusCode {
    match failure.kind {
        ErrorKind::RouteNotFound => StatusCode::NOT_FOUND,
        ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::IdempotencyConflict | ErrorKind::IdempotencyInProgress => StatusCode::CONFLICT,
        ErrorKind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        // Overload and shutdown name a time to come again; what cannot be recorded does not.
        ErrorKind::Unavailable if failure.retry_after_s.is_some() => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorKind::UpstreamUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Unavailable
        | ErrorKind::UpstreamAuth
        | ErrorKind::UpstreamError
        | ErrorKind::OutcomeUnknown => StatusCode::INTERNAL_SERVER_ERROR,
        _ if errors_as_200 => StatusCode::OK,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn retry_after_s(failure: &Failure, status: StatusCode) -> Option<u32> {
    let asks_for_patience = status == StatusCode::SERVICE_UNAVAILABLE
        || failure.kind == ErrorKind::IdempotencyInProgress;
    match failure.kind {
        ErrorKind::RateLimited => Some(failure.retry_after_s.unwrap_or(LIMIT_RETRY_AFTER_S)),
        _ if asks_for_patience => Some(failure.retry_after_s.unwrap_or(RETRY_AFTER_S)),
        _ => None,
    }
}

/// The vendor's words for a failure that brings none.
fn words(failure: &Failure) -> (&'static str, Cow<'static, str>) {
    match in_reply(failure.kind) {
        Answer::Words(Code { code, text }) => (code, Cow::Borrowed(text)),
        Answer::Invalid(name) => invalid(name),
        Answer::InvalidField => invalid(failure.field.as_deref().unwrap_or("request")),
        // Such a failure reaches nobody but by receipt; should one be answered after all, it says
        // what its receipt would.
        Answer::AsReceipt => {
            let Code { code, text } = codes::receipt(failure, false);
            (code, Cow::Borrowed(text))
        }
    }
}

fn invalid(name: &str) -> (&'static str, Cow<'static, str>) {
    (codes::MEMBER_INVALID, Cow::Owned(format!("Invalid parameter: {name}")))
}

/// A row of the table.
enum Answer {
    Words(Code),
    /// `Invalid parameter: …` with a fixed name.
    Invalid(&'static str),
    /// The same with the field that the failure blames.
    InvalidField,
    AsReceipt,
}

const fn in_reply(kind: ErrorKind) -> Answer {
    match kind {
        ErrorKind::InvalidJson
        | ErrorKind::InvalidMultipart
        | ErrorKind::UnsupportedContentType => Answer::Words(codes::INVALID_JSON),
        ErrorKind::InvalidBody | ErrorKind::MissingField => {
            Answer::Words(codes::PARAMETERS_MISSING)
        }
        ErrorKind::InvalidType
        | ErrorKind::InvalidValue
        | ErrorKind::ValueTooLong
        | ErrorKind::UnknownProvider
        | ErrorKind::FlowNotFound => Answer::InvalidField,
        ErrorKind::UnsupportedMessageType => Answer::Invalid(member::TYPE),
        ErrorKind::CustomerNotFound => Answer::Invalid(member::DESTINATION),
        ErrorKind::RouteNotFound => Answer::Invalid("path"),
        ErrorKind::MethodNotAllowed => Answer::Invalid("method"),
        ErrorKind::IdempotencyConflict | ErrorKind::IdempotencyInProgress => {
            Answer::Invalid("Idempotency-Key")
        }
        ErrorKind::BodyTooLarge => Answer::Words(codes::SIZE_EXCEEDED),
        ErrorKind::MissingCredential => Answer::Words(codes::KEY_MISSING),
        ErrorKind::InvalidCredential | ErrorKind::ScopeMissing => {
            Answer::Words(codes::AUTHENTICATION_FAILED)
        }
        ErrorKind::KeyDisabled => Answer::Words(codes::SERVICE_INACTIVE),
        ErrorKind::AddressNotAllowed => Answer::Words(codes::ADDRESS_NOT_ALLOWED),
        ErrorKind::OrgForbidden | ErrorKind::UserForbidden | ErrorKind::NumberNotFound => {
            Answer::Words(codes::INVALID_APP_ID)
        }
        ErrorKind::TemplateNotFound | ErrorKind::TemplateLanguageNotFound => {
            Answer::Words(codes::INVALID_TEMPLATE_ID)
        }
        ErrorKind::Expired => Answer::Words(codes::REQUEST_EXPIRED),
        ErrorKind::RateLimited => Answer::Words(codes::TPS_REACHED),
        ErrorKind::Unavailable
        | ErrorKind::UpstreamUnavailable
        | ErrorKind::UpstreamAuth
        | ErrorKind::UpstreamError
        | ErrorKind::OutcomeUnknown => Answer::Words(codes::INTERNAL_ERROR),
        ErrorKind::MediaNotFound
        | ErrorKind::TemplateNotApproved
        | ErrorKind::TemplateParameterMismatch
        | ErrorKind::UnsupportedMediaType
        | ErrorKind::MediaTooLarge
        | ErrorKind::MediaRejected
        | ErrorKind::WindowClosed
        | ErrorKind::RecipientUnreachable
        | ErrorKind::RecipientBlocked
        | ErrorKind::IdentityMismatch
        | ErrorKind::RejectedByUpstream
        | ErrorKind::Cancelled
        | ErrorKind::StillQueued => Answer::AsReceipt,
    }
}
