//! The error table: which status and code each kind of failure has, and which field it blames
//! where the failure itself names none.

use std::borrow::Cow;

use http::header::RETRY_AFTER;
use http::{Method, StatusCode};
use waypost_domain::{ErrorKind, Failure};

use super::wire::{Error, ErrorBody, member};
use crate::contract::Reply;

/// How long to wait where a failure that asks for patience does not say, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// The code of refusals whose reason only the upstream knows.
const REJECTED_BY_UPSTREAM: &str = "rejected_by_upstream";

/// A row of the table.
struct Row {
    status: StatusCode,
    code: &'static str,
    /// The field to blame by default.
    field: Option<&'static str>,
    /// Whether the reply says when to try again.
    retry: bool,
}

impl Row {
    const fn new(status: StatusCode, code: &'static str) -> Self {
        Self { status, code, field: None, retry: false }
    }

    const fn blames(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    const fn retry(self) -> Self {
        Self { retry: true, ..self }
    }
}

/// The table. Four kinds have no word of the vendor's list: a key without the scope is answered as
/// a key that may not act for the organisation, an organisation without a sender number as one
/// that cannot be used, a cancelled message as refused, and `still_queued` stands in broadcasts
/// only.
const fn row(kind: ErrorKind) -> Row {
    use StatusCode as S;
    match kind {
        ErrorKind::InvalidJson => Row::new(S::BAD_REQUEST, "invalid_json"),
        ErrorKind::InvalidBody => Row::new(S::BAD_REQUEST, "invalid_body"),
        ErrorKind::InvalidMultipart => Row::new(S::BAD_REQUEST, "invalid_multipart"),
        ErrorKind::MissingField => Row::new(S::BAD_REQUEST, "missing_field"),
        ErrorKind::InvalidType => Row::new(S::BAD_REQUEST, "invalid_type"),
        ErrorKind::InvalidValue => Row::new(S::BAD_REQUEST, "invalid_value"),
        ErrorKind::ValueTooLong => Row::new(S::BAD_REQUEST, "value_too_long"),
        ErrorKind::UnsupportedMessageType => Row::new(S::BAD_REQUEST, "unsupported_message_type"),
        ErrorKind::UnknownProvider => Row::new(S::BAD_REQUEST, "unknown_provider"),
        ErrorKind::MissingCredential => Row::new(S::UNAUTHORIZED, "missing_api_key"),
        ErrorKind::InvalidCredential | ErrorKind::KeyDisabled | ErrorKind::AddressNotAllowed => {
            Row::new(S::UNAUTHORIZED, "invalid_api_key")
        }
        ErrorKind::ScopeMissing => Row::new(S::FORBIDDEN, "org_forbidden"),
        ErrorKind::OrgForbidden | ErrorKind::NumberNotFound => {
            Row::new(S::FORBIDDEN, "org_forbidden").blames(member::ORG_ID)
        }
        ErrorKind::UserForbidden => {
            Row::new(S::FORBIDDEN, "user_forbidden").blames(member::USER_ID)
        }
        ErrorKind::RouteNotFound => Row::new(S::NOT_FOUND, "route_not_found"),
        ErrorKind::CustomerNotFound => {
            Row::new(S::NOT_FOUND, "customer_not_found").blames(member::CUSTOMER_ID)
        }
        ErrorKind::TemplateNotFound | ErrorKind::TemplateLanguageNotFound => {
            Row::new(S::NOT_FOUND, "template_not_found").blames(member::TEMPLATE_NAME)
        }
        ErrorKind::MediaNotFound => Row::new(S::NOT_FOUND, "media_not_found"),
        ErrorKind::MethodNotAllowed => Row::new(S::METHOD_NOT_ALLOWED, "method_not_allowed"),
        ErrorKind::WindowClosed => Row::new(S::CONFLICT, "window_closed"),
        ErrorKind::IdempotencyInProgress => {
            Row::new(S::CONFLICT, "idempotency_in_progress").retry()
        }
        ErrorKind::IdempotencyConflict => Row::new(S::UNPROCESSABLE_ENTITY, "idempotency_conflict"),
        ErrorKind::BodyTooLarge => Row::new(S::PAYLOAD_TOO_LARGE, "body_too_large"),
        ErrorKind::MediaTooLarge => Row::new(S::PAYLOAD_TOO_LARGE, "media_too_large"),
        ErrorKind::UnsupportedContentType => {
            Row::new(S::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type")
        }
        ErrorKind::UnsupportedMediaType => {
            Row::new(S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
        }
        ErrorKind::TemplateNotApproved => {
            Row::new(S::UNPROCESSABLE_ENTITY, "template_not_approved").blames(member::TEMPLATE_NAME)
        }
        ErrorKind::TemplateParameterMismatch => {
            Row::new(S::UNPROCESSABLE_ENTITY, "template_parameter_mismatch")
                .blames(member::COMPONENTS)
        }
        ErrorKind::RecipientUnreachable => {
            Row::new(S::UNPROCESSABLE_ENTITY, "recipient_unreachable")
        }
        ErrorKind::RecipientBlocked => Row::new(S::UNPROCESSABLE_ENTITY, "recipient_blocked"),
        ErrorKind::MediaRejected => Row::new(S::UNPROCESSABLE_ENTITY, "media_rejected"),
        ErrorKind::RejectedByUpstream
        | ErrorKind::Cancelled
        | ErrorKind::Expired
        | ErrorKind::IdentityMismatch
        | ErrorKind::FlowNotFound => Row::new(S::UNPROCESSABLE_ENTITY, REJECTED_BY_UPSTREAM),
        ErrorKind::RateLimited => Row::new(S::TOO_MANY_REQUESTS, "rate_limited").retry(),
        ErrorKind::UpstreamAuth => Row::new(S::BAD_GATEWAY, "upstream_auth"),
        ErrorKind::OutcomeUnknown => Row::new(S::BAD_GATEWAY, "upstream_result_unknown"),
        ErrorKind::UpstreamError => Row::new(S::BAD_GATEWAY, "upstream_error"),
        ErrorKind::UpstreamUnavailable => {
            Row::new(S::SERVICE_UNAVAILABLE, "upstream_unavailable").retry()
        }
        ErrorKind::Unavailable => Row::new(S::SERVICE_UNAVAILABLE, "unavailable").retry(),
        ErrorKind::StillQueued => Row::new(S::ACCEPTED, "still_queued"),
    }
}

/// The answer to a request that failed. `allowed` are the path's methods, for 405.
pub(super) fn reply(failure: &Failure, allowed: &[&Method]) -> Reply {
    let row = row(failure.kind);
    let field = failure.field.as_deref().or(row.field);
    let error = Error { code: row.code, field, message: prose(failure) };
    let mut reply = Reply::json(row.status, &ErrorBody { error });
    if row.retry {
        let seconds = failure.retry_after_s.unwrap_or(RETRY_AFTER_S);
        reply = reply.with_header(RETRY_AFTER, seconds.into());
    }
    if failure.kind == ErrorKind::MethodNotAllowed {
        reply = reply.allowing(allowed);
    }
    reply
}

/// The error of one customer in a broadcast. It blames a field only where the failure itself does:
/// the request as a whole was right.
pub(super) fn of_element(failure: &Failure) -> Error<'_> {
    let code = row(failure.kind).code;
    Error { code, field: failure.field.as_deref(), message: prose(failure) }
}

/// What people read. A refusal whose reason only the upstream knows ends with the upstream's code
/// and words, which stand there once.
fn prose(failure: &Failure) -> Cow<'_, str> {
    let is_theirs = row(failure.kind).code == REJECTED_BY_UPSTREAM;
    let Some(fault) = failure.upstream.as_ref().filter(|_| is_theirs) else {
        return Cow::Borrowed(&failure.message);
    };
    let said = fault.details.trim();
    let ending = match fault.code {
        Some(code) if said.is_empty() => code.to_string(),
        Some(code) => {
            // Meta's message begins with the code; its details do not.
            let words = said.strip_prefix(&format!("(#{code})")).unwrap_or(said);
            format!("{code}: {}", words.trim_start())
        }
        None => said.to_owned(),
    };
    if failure.message.ends_with(&ending) {
        return Cow::Borrowed(&failure.message);
    }
    let ours = failure.message.strip_suffix(said).unwrap_or(&failure.message).trim_end();
    let blank = if ours.is_empty() { "" } else { " " };
    Cow::Owned(format!("{ours}{blank}{ending}"))
}
