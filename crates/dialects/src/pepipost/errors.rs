//! The vendor's codes: which one a refusal has, with which status, and which one a failure has that
//! is reported afterwards. What the fixed texts leave open stands in `X-Waypost-Error`.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use waypost_domain::{ErrorKind, Failure};

use super::wire::{ErrorBody, ID, RECORD_CONSENT_PATH, member};
use crate::contract::{ErrorSite, Operation, Reply};
use crate::explanation::{self, X_WAYPOST_ERROR};

/// How long to wait where a failure that asks for patience does not say, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// The vendor's codes, but for those that it does not explain (8013, 8014).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Missing,
    NotOptedIn,
    NoContact,
    NoClient,
    Technical,
    /// Has many texts, so that a failure with it carries its own.
    Value,
    WindowClosed,
    Media,
    Template,
    TemplateParameter,
    TemplateLanguage,
    Docker,
    Platform,
}

impl Code {
    pub(super) const fn number(self) -> &'static str {
        match self {
            Self::Missing => "8001",
            Self::NotOptedIn => "8002",
            Self::NoContact => "8003",
            Self::NoClient => "8004",
            Self::Technical => "8005",
            Self::Value => "8006",
            Self::WindowClosed => "8007",
            Self::Media => "8008",
            Self::Template => "8009",
            Self::TemplateParameter => "8010",
            Self::TemplateLanguage => "8011",
            Self::Docker => "8012",
            Self::Platform => "8015",
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Missing => "Required parameter is missing",
            Self::NotOptedIn => "Phone number is not opted in",
            Self::NoContact => "WhatsApp contact does not exist",
            Self::NoClient => "Client details not found",
            Self::Technical => "Technical error occurred",
            // The only wrong value that is found after decoding.
            Self::Value => " source is invalid",
            Self::WindowClosed => {
                "Failed to send message because you are outside the support window for freeform \
                 messages to this user. Please use a valid template or reconsider"
            }
            Self::Media => "Invalid Media id or bad media",
            Self::Template => "Invalid Template",
            Self::TemplateParameter => "Invalid Template parameter",
            Self::TemplateLanguage => "Invalid Template language",
            Self::Docker => "WhatsApp Docker Error",
            Self::Platform => "Platform Error",
        }
    }
}

/// The status and code of a refusal. Everything that the vendor's documents name no status for is
/// 400.
const fn row(kind: ErrorKind) -> (StatusCode, Code) {
    use ErrorKind as K;
    use StatusCode as S;
    match kind {
        K::InvalidJson
        | K::InvalidBody
        | K::InvalidMultipart
        | K::MissingField
        | K::InvalidType
        | K::InvalidValue
        | K::ValueTooLong
        | K::UnsupportedMessageType
        | K::UnknownProvider
        | K::UnsupportedContentType => (S::BAD_REQUEST, Code::Missing),
        K::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, Code::Missing),
        K::RouteNotFound => (S::NOT_FOUND, Code::Missing),
        K::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, Code::Missing),
        K::MissingCredential
        | K::InvalidCredential
        | K::KeyDisabled
        | K::AddressNotAllowed
        | K::ScopeMissing
        | K::OrgForbidden
        | K::UserForbidden => (S::UNAUTHORIZED, Code::NoClient),
        K::NumberNotFound => (S::BAD_REQUEST, Code::Value),
        K::MediaNotFound => (S::NOT_FOUND, Code::Media),
        K::MediaRejected => (S::BAD_REQUEST, Code::Media),
        K::MediaTooLarge => (S::PAYLOAD_TOO_LARGE, Code::Media),
        K::UnsupportedMediaType => (S::UNSUPPORTED_MEDIA_TYPE, Code::Media),
        K::TemplateNotFound => (S::NOT_FOUND, Code::Template),
        K::TemplateLanguageNotFound => (S::NOT_FOUND, Code::TemplateLanguage),
        K::TemplateNotApproved => (S::BAD_REQUEST, Code::Template),
        K::TemplateParameterMismatch => (S::BAD_REQUEST, Code::TemplateParameter),
        K::WindowClosed => (S::BAD_REQUEST, Code::WindowClosed),
        K::RecipientBlocked => (S::BAD_REQUEST, Code::NotOptedIn),
        K::RecipientUnreachable => (S::BAD_REQUEST, Code::NoContact),
        K::CustomerNotFound
        | K::FlowNotFound
        | K::IdentityMismatch
        | K::RejectedByUpstream
        | K::Cancelled => (S::BAD_REQUEST, Code::Platform),
        K::Expired | K::StillQueued => (S::BAD_REQUEST, Code::Technical),
        K::IdempotencyConflict => (S::CONFLICT, Code::Value),
        K::IdempotencyInProgress => (S::CONFLICT, Code::Platform),
        K::RateLimited => (S::TOO_MANY_REQUESTS, Code::Platform),
        K::UpstreamUnavailable | K::Unavailable => (S::SERVICE_UNAVAILABLE, Code::Technical),
        K::UpstreamAuth | K::OutcomeUnknown | K::UpstreamError => {
            (S::INTERNAL_SERVER_ERROR, Code::Technical)
        }
    }
}

/// The answer to a request that failed. `allowed` are the path's methods, for 405.
pub(super) fn reply(failure: &Failure, at: ErrorSite<'_>, allowed: &[&Method]) -> Reply {
    let kind = failure.kind;
    let (status, code) = row(kind);
    let is_send = at.route.is_some_and(|route| route.operation == Operation::Submit);
    // A file that a message names is a fault of the message, not a path that leads nowhere.
    let status =
        if kind == ErrorKind::MediaNotFound && is_send { StatusCode::BAD_REQUEST } else { status };
    let is_consent = at.route.is_some_and(|route| route.path == RECORD_CONSENT_PATH);
    let (code, text) = match (failure.words_of(ID), kind) {
        (Some(words), _) => (words.code.as_str(), words.text.as_str()),
        (None, ErrorKind::IdempotencyConflict) => {
            (code.number(), " Idempotency-Key was used with another body")
        }
        (None, ErrorKind::Unavailable) if is_consent => {
            (code.number(), "Error occurred while updating optin for mobilenumber")
        }
        (None, _) => (code.number(), code.text()),
    };
    let reply = detailed(Reply::json(status, &ErrorBody::new(Some(code), text)), failure);
    with_headers(reply, failure, allowed)
}

/// Adds the header that says what the vendor's texts leave open.
pub(super) fn detailed(reply: Reply, failure: &Failure) -> Reply {
    reply.with_header(X_WAYPOST_ERROR, explanation::of(failure, ""))
}

fn with_headers(mut reply: Reply, failure: &Failure, allowed: &[&Method]) -> Reply {
    if reply.status == StatusCode::UNAUTHORIZED {
        reply = reply.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if reply.status == StatusCode::METHOD_NOT_ALLOWED {
        reply = reply.allowing(allowed);
    }
    let asks_for_patience = matches!(
        failure.kind,
        ErrorKind::IdempotencyInProgress
            | ErrorKind::RateLimited
            | ErrorKind::UpstreamUnavailable
            | ErrorKind::Unavailable
    );
    if asks_for_patience {
        let seconds = failure.retry_after_s.unwrap_or(RETRY_AFTER_S);
        reply = reply.with_header(RETRY_AFTER, seconds.into());
    }
    reply
}

/// What a receipt says of a failure: the code with its text, and what the upstream said.
pub(super) fn remark(failure: &Failure) -> String {
    let (number, text) = match failure.words_of(ID) {
        Some(words) => (words.code.as_str(), words.text.trim()),
        None => {
            let code = reported(failure);
            (code.number(), code.text().trim())
        }
    };
    let upstream = failure.upstream.as_ref().map(|fault| fault.details.trim());
    let details = match (upstream.filter(|details| !details.is_empty()), failure.kind) {
        (Some(details), _) => details,
        (None, ErrorKind::Expired) => "expired",
        (None, ErrorKind::Cancelled) => "cancelled",
        (None, ErrorKind::OutcomeUnknown) => "outcome unknown",
        (None, _) => return format!("{number}: {text}"),
    };
    format!("{number}: {text} ({details})")
}

/// The code of a failure that is reported after the message was accepted: what the upstream's code
/// means, and without one what the kind means.
pub(super) fn reported(failure: &Failure) -> Code {
    let upstream = failure.upstream.as_ref();
    match upstream.and_then(|fault| fault.code) {
        Some(131_008) => Code::Missing,
        Some(131_021 | 131_026 | 131_030) => Code::NoContact,
        Some(131_047) => Code::WindowClosed,
        Some(131_052 | 131_053) => Code::Media,
        Some(132_001) if failure.kind == ErrorKind::TemplateLanguageNotFound => {
            Code::TemplateLanguage
        }
        Some(132_001 | 132_007 | 132_015 | 132_016) => Code::Template,
        Some(132_000 | 132_005 | 132_008 | 132_012 | 132_018) => Code::TemplateParameter,
        Some(1 | 2 | 131_000 | 131_016 | 131_057 | 133_000 | 133_004) => Code::Docker,
        Some(_) if failure.kind == ErrorKind::OutcomeUnknown => Code::Technical,
        Some(_) if failure.kind == ErrorKind::UpstreamUnavailable => Code::Docker,
        Some(_) => Code::Platform,
        None => reported_kind(failure),
    }
}

fn reported_kind(failure: &Failure) -> Code {
    use ErrorKind as K;
    // A file's address that may not be followed, or its provider.
    let is_link = failure.field.as_deref().is_some_and(|field| {
        let name = field.rsplit('.').next().unwrap_or(field);
        [member::ATTACHMENT_URL, member::URL, "link", "provider"].contains(&name)
    });
    match failure.kind {
        K::InvalidValue | K::UnknownProvider if is_link => Code::Media,
        K::MediaNotFound | K::MediaRejected | K::MediaTooLarge | K::UnsupportedMediaType => {
            Code::Media
        }
        K::RecipientBlocked => Code::NotOptedIn,
        K::RecipientUnreachable => Code::NoContact,
        K::WindowClosed => Code::WindowClosed,
        K::TemplateNotFound | K::TemplateNotApproved => Code::Template,
        K::TemplateLanguageNotFound => Code::TemplateLanguage,
        K::TemplateParameterMismatch => Code::TemplateParameter,
        K::UpstreamUnavailable | K::UpstreamError => Code::Docker,
        K::Expired | K::OutcomeUnknown | K::Unavailable | K::StillQueued => Code::Technical,
        K::InvalidJson
        | K::InvalidBody
        | K::InvalidMultipart
        | K::MissingField
        | K::InvalidType
        | K::InvalidValue
        | K::ValueTooLong
        | K::UnsupportedMessageType
        | K::UnknownProvider
        | K::UnsupportedContentType
        | K::BodyTooLarge
        | K::MissingCredential
        | K::InvalidCredential
        | K::KeyDisabled
        | K::AddressNotAllowed
        | K::ScopeMissing
        | K::OrgForbidden
        | K::UserForbidden
        | K::RouteNotFound
        | K::MethodNotAllowed
        | K::CustomerNotFound
        | K::NumberNotFound
        | K::FlowNotFound
        | K::IdentityMismatch
        | K::IdempotencyConflict
        | K::IdempotencyInProgress
        | K::RateLimited
        | K::RejectedByUpstream
        | K::UpstreamAuth
        | K::Cancelled => Code::Platform,
    }
}
