//! Why something was not done: one closed list of kinds, which every dialect translates with one
//! exhaustive `match`, and the particulars that ride along as data.

use serde::{Deserialize, Serialize};

use crate::window::ClosedWindow;

/// What went wrong, told by remedy: two kinds differ where a caller or an operator would do
/// something different about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The body is not JSON, or empty.
    InvalidJson,
    /// JSON, but not of the outer form that the call takes.
    InvalidBody,
    /// The multipart body cannot be parsed.
    InvalidMultipart,
    /// A required field is absent or null.
    MissingField,
    /// A field has the wrong JSON type.
    InvalidType,
    /// A field's value is blank, malformed or not one of the allowed words.
    InvalidValue,
    /// A text is longer than its limit.
    ValueTooLong,
    /// The dialect knows no such message type, or offers it not on this call.
    UnsupportedMessageType,
    /// A media provider that is not registered.
    UnknownProvider,
    /// The body's content type is not one that the call takes.
    UnsupportedContentType,
    /// The body is longer than the call takes.
    BodyTooLarge,
    /// No credential was given.
    MissingCredential,
    /// The credential is unknown, revoked or expired.
    InvalidCredential,
    /// The credential is right and was switched off by the operator.
    KeyDisabled,
    /// The key may not be used from the caller's network.
    AddressNotAllowed,
    /// The key lacks the scope that the call needs.
    ScopeMissing,
    /// The organisation does not exist, or is not this key's.
    OrgForbidden,
    /// The user does not exist, or is not in the organisation.
    UserForbidden,
    /// No such path.
    RouteNotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// No such customer in the organisation.
    CustomerNotFound,
    /// No such sender number in the organisation.
    NumberNotFound,
    /// No such template in any language.
    TemplateNotFound,
    /// The template exists, but not in the language asked for.
    TemplateLanguageNotFound,
    /// No such flow in the organisation.
    FlowNotFound,
    /// No such media in the organisation, or no longer kept.
    MediaNotFound,
    /// The template exists and may not be sent.
    TemplateNotApproved,
    /// Number or kind of the parameters differs from the template's.
    TemplateParameterMismatch,
    /// The media type is not supported, or is another than declared.
    UnsupportedMediaType,
    /// The file is larger than its kind allows.
    MediaTooLarge,
    /// The file could not be fetched or was refused.
    MediaRejected,
    /// The 24-hour customer-service window is closed.
    WindowClosed,
    /// The recipient is not on WhatsApp or cannot be reached.
    RecipientUnreachable,
    /// The recipient blocked the business or opted out.
    RecipientBlocked,
    /// The recipient's identity is not the one that the caller demanded.
    IdentityMismatch,
    /// The message's time to live ended before it was sent.
    Expired,
    /// The idempotency key was used with another request.
    IdempotencyConflict,
    /// The first request with this idempotency key still runs.
    IdempotencyInProgress,
    /// Own or upstream limit; try again after the time given.
    RateLimited,
    /// The upstream refused the content for a reason of its own.
    RejectedByUpstream,
    /// The upstream refuses our credentials or account: an operator must act.
    UpstreamAuth,
    /// The message may or may not have been sent.
    OutcomeUnknown,
    /// The upstream's answer cannot be read, and it is certain that nothing was sent.
    UpstreamError,
    /// The upstream is down or in maintenance; nothing was sent.
    UpstreamUnavailable,
    /// Waypost cannot record the message now: storage, overload or shutdown.
    Unavailable,
    /// The message was cancelled before it was sent.
    Cancelled,
    /// Accepted and durable; the outcome comes later. Only inside a broadcast's answer.
    StillQueued,
}

/// Who must do something about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The request is wrong, or the person cannot be written to.
    Caller,
    /// Meta, or our account there.
    Upstream,
    /// This installation.
    Us,
}

impl ErrorKind {
    /// The stable word under which the kind is stored, counted and shown.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidBody => "invalid_body",
            Self::InvalidMultipart => "invalid_multipart",
            Self::MissingField => "missing_field",
            Self::InvalidType => "invalid_type",
            Self::InvalidValue => "invalid_value",
            Self::ValueTooLong => "value_too_long",
            Self::UnsupportedMessageType => "unsupported_message_type",
            Self::UnknownProvider => "unknown_provider",
            Self::UnsupportedContentType => "unsupported_content_type",
            Self::BodyTooLarge => "body_too_large",
            Self::MissingCredential => "missing_credential",
            Self::InvalidCredential => "invalid_credential",
            Self::KeyDisabled => "key_disabled",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::ScopeMissing => "scope_missing",
            Self::OrgForbidden => "org_forbidden",
            Self::UserForbidden => "user_forbidden",
            Self::RouteNotFound => "route_not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::CustomerNotFound => "customer_not_found",
            Self::NumberNotFound => "number_not_found",
            Self::TemplateNotFound => "template_not_found",
            Self::TemplateLanguageNotFound => "template_language_not_found",
            Self::FlowNotFound => "flow_not_found",
            Self::MediaNotFound => "media_not_found",
            Self::TemplateNotApproved => "template_not_approved",
            Self::TemplateParameterMismatch => "template_parameter_mismatch",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::MediaTooLarge => "media_too_large",
            Self::MediaRejected => "media_rejected",
            Self::WindowClosed => "window_closed",
            Self::RecipientUnreachable => "recipient_unreachable",
            Self::RecipientBlocked => "recipient_blocked",
            Self::IdentityMismatch => "identity_mismatch",
            Self::Expired => "expired",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::IdempotencyInProgress => "idempotency_in_progress",
            Self::RateLimited => "rate_limited",
            Self::RejectedByUpstream => "rejected_by_upstream",
            Self::UpstreamAuth => "upstream_auth",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::StillQueued => "still_queued",
        }
    }

    /// Who must act.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::UpstreamAuth
            | Self::OutcomeUnknown
            | Self::UpstreamError
            | Self::UpstreamUnavailable => Blame::Upstream,
            Self::Unavailable => Blame::Us,
            _ => Blame::Caller,
        }
    }
}

/// The upstream's own words for a failure, kept as data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamFault {
    /// Meta's error code, where the answer had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// Meta's error subcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcode: Option<i64>,
    /// The HTTP status, where there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// `error_data.details`, or the message, or what the transport said. Holds no secret.
    #[serde(default)]
    pub details: String,
}

/// One failure with its particulars. The answer to a caller is made from it by the caller's
/// dialect; the log line and the stored history are made from the same value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {message}", kind.code())]
pub struct Failure {
    /// What went wrong.
    pub kind: ErrorKind,
    /// English prose for people: names the field and the remedy.
    pub message: String,
    /// Path of the field to blame in the caller's own request, such as `message.text.body`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// When it is worth trying again, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
    /// Whether the very same message may be sent another time, once the cause is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retryable: bool,
    /// What the upstream said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamFault>,
    /// The window that is closed, where that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Box<ClosedWindow>>,
    /// The vendor's own words for this very case, where a dialect found it: one kind may have
    /// several texts there. Means nothing to any other dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Box<VendorWords>>,
}

/// How a vendor calls a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorWords {
    /// The dialect whose words these are.
    pub dialect: std::borrow::Cow<'static, str>,
    /// The vendor's code.
    pub code: String,
    /// The vendor's text, byte for byte.
    pub text: String,
}

impl Failure {
    /// A failure without a field.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            field: None,
            retry_after_s: None,
            retryable: false,
            upstream: None,
            window: None,
            vendor: None,
        }
    }

    /// Names the field to blame.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Says that the same message may be sent another time.
    #[must_use]
    pub fn worth_a_retry(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// Adds what the upstream said.
    #[must_use]
    pub fn with_upstream(mut self, fault: UpstreamFault) -> Self {
        self.upstream = Some(fault);
        self
    }

    /// Names the window that is closed.
    #[must_use]
    pub fn with_window(mut self, window: ClosedWindow) -> Self {
        self.window = Some(Box::new(window));
        self
    }

    /// Adds the vendor's own words.
    #[must_use]
    pub fn in_words_of(
        mut self,
        dialect: &'static str,
        code: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let (code, text) = (code.into(), text.into());
        self.vendor = Some(Box::new(VendorWords { dialect: dialect.into(), code, text }));
        self
    }

    /// The words of one dialect for it, where that dialect found it itself.
    #[must_use]
    pub fn words_of(&self, dialect: &str) -> Option<&VendorWords> {
        self.vendor.as_deref().filter(|words| words.dialect == dialect)
    }
}
