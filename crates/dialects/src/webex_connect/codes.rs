//! The vendor's status codes: which receipt each failure becomes, by Meta's code where there is
//! one, else by the kind of failure. The vendor's list is "Channel-Specific Status Codes".

use waypost_domain::{ErrorKind, Failure};

use super::wire::DIALECT;

/// A status code with its text on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) code: &'static str,
    pub(super) text: &'static str,
}

const fn code(code: &'static str, text: &'static str) -> Code {
    Code { code, text }
}

pub(super) const QUEUED: Code = code("1001", "Queued");

// Replies.
pub(super) const INVALID_JSON: Code = code("7000", "Invalid JSON");
pub(super) const AUTHENTICATION_FAILED: Code = code("7001", "Authentication failed.");
pub(super) const KEY_MISSING: Code = code("7002", "Service Key Missing");
pub(super) const RECIPIENT_MISSING: Code =
    code("7003", "any one of [customerid,msisdn,email, userid,pushid,psid, etc.] is mandatory");
pub(super) const APPID_MISSING: Code = code("7003", "Mandatory parameter missing: appid");
pub(super) const PARAMETERS_MISSING: Code = code("7003", "Mandatory parameters missing");
pub(super) const REQUEST_EXPIRED: Code = code("7005", "Request expired");
pub(super) const INTERNAL_ERROR: Code = code("7006", "Internal error occurred");
pub(super) const SERVICE_INACTIVE: Code = code("7007", "Service inactive");
pub(super) const TOO_MANY_DESTINATIONS: Code =
    code("7009", "Max number of destination address limited to 1000");
pub(super) const TPS_REACHED: Code =
    code("7020", "You have reached the maximum transaction limit (TPS)");
pub(super) const SIZE_EXCEEDED: Code = code("7022", "JSON size exceeded");
pub(super) const INVALID_APP_ID: Code = code("7104", "Invalid app id");
pub(super) const INVALID_TEMPLATE_ID: Code = code("7108", "Invalid template ID");
pub(super) const ADDRESS_NOT_ALLOWED: Code = code("7127", "Source IP not in the allowed list");
/// Of `param '<member>' missing for channel whatsapp`.
pub(super) const MEMBER_MISSING: &str = "7003";
/// Of `Invalid parameter: <member>`.
pub(super) const MEMBER_INVALID: &str = "7004";

// Receipts.
pub(super) const DELIVERED: Code = code("7500", "Delivered");
pub(super) const SUBMITTED: Code = code("7501", "Submitted");
pub(super) const READ: Code = code("7502", "Read");
const PROVIDER_EXCEPTION: Code = code("7010", "Service provider exception");
const UNKNOWN_EXCEPTION: Code = code("7011", "Unknown Exception");
pub(super) const UNKNOWN_STATUS: Code = code("7200", "Unknown Status");
const MEDIA_DOWNLOAD_ERROR: Code = code("7701", "Media download error");
const PAYMENT_ISSUE: Code = code("7703", "Business eligibility - Payment issue");
const EXPIRED: Code = code("7705", "Message expired (TTL)");
const RATE_LIMIT_HIT: Code = code("7706", "Rate limit hit");
const UNSIGNED_CERTIFICATE: Code = code("7707", "Unsigned certificate");
const RE_ENGAGEMENT: Code = code("7710", "Re-engagement message");
const SPAM_RATE_LIMIT: Code = code("7711", "Spam Rate limit hit");
const EXPERIMENT: Code = code("7712", "User's number is part of an experiment");
const GENERIC_ERROR: Code = code("7713", "Generic error");
pub(super) const MESSAGE_TOO_LONG: Code = code("7714", "Message too long");
const PARAMETER_MISSING: Code = code("7721", "Required parameter is missing");
pub(super) const VALUE_NOT_VALID: Code = code("7722", "Parameter value is not valid");
const USER_NOT_VALID: Code = code("7726", "User is not valid");
const MEDIA_UPLOAD_ERROR: Code = code("7727", "Internal error");
const BAD_USER: Code = code("7733", "Bad User");
/// Spelt so by the vendor.
pub(super) const INVALID_DESTINATION: Code = code("7737", "Inavlid whatsapp destination");
const SENDER_LOCKED: Code = code("7803", "Sender account locked");
pub(super) const PARAM_COUNT_MISMATCH: Code = code("7804", "Template Param Count Mismatch");
pub(super) const PARAM_TOO_LONG: Code = code("7808", "Template Param Length Too Long");
const HYDRATED_TOO_LONG: Code = code("7809", "Template Hydrated Text Too Long");
const FORMAT_CHARACTER_POLICY: Code = code("7811", "Template Format Character Policy Violated");
pub(super) const COMPONENT_MISSING: Code = code("7812", "Template Required Component Missing");
const INVALID_HYDRATED_URL: Code = code("7813", "Template Invalid Hydrated URL");
const TEMPLATE_MEDIA_FORMAT: Code = code("7814", "Template Media Format Unsupported");
const PARAM_FORMAT_MISMATCH: Code = code("7816", "Template Parameter Format Mismatch");
pub(super) const NUMBER_OF_SECTIONS: Code = code("7819", "Invalid number of sections");
pub(super) const NUMBER_OF_ROWS: Code = code("7820", "Invalid number of rows");
pub(super) const HEADER_STRUCTURE: Code = code("7830", "Invalid Header Structure");
const AUTH_EXCEPTION: Code = code("7832", "AuthException");
const API_UNKNOWN: Code = code("7833", "API Unknown");
const API_SERVICE: Code = code("7834", "API Service");
const API_METHOD: Code = code("7835", "API Method");
const API_TOO_MANY_CALLS: Code = code("7836", "API Too Many Calls");
const API_PERMISSION_DENIED: Code = code("7837", "API Permission Denied");
const PARAMETER_INVALID: Code = code("7838", "Parameter is invalid");
const TOKEN_EXPIRED: Code = code("7839", "Access token expired");
const PERMISSION_REMOVED: Code = code("7840", "Permission not granted/removed");
const POLICY_BLOCK: Code = code("7842", "Temporarily blocked for policy violations");
const THROUGHPUT_REACHED: Code = code("7845", "Cloud API throughput reached");
const SERVICE_OVERLOADED: Code = code("7846", "Service Overloaded");
const NO_SUCH_TEMPLATE: Code = code("7849", "Template does not exist");
const SERVER_UNAVAILABLE: Code = code("7854", "Server Temporarily Unavailable");
const ACCOUNT_LOCKED: Code = code("7860", "Account locked");
pub(super) const UNSUPPORTED_MIME_TYPE: Code = code("7861", "Unsupported mime type");
const HASH_MISMATCH: Code = code("7862", "Hash mismatch");
const GENERIC_USER_ERROR: Code = code("7863", "Generic user error");
const NOT_REGISTERED: Code = code("7865", "Phone number Not Registered");
const TEMPLATE_DISABLED: Code = code("7868", "Template Disabled");
const TEMPLATE_PAUSED: Code = code("7869", "Template Paused");
const MAINTENANCE: Code = code("7870", "Account in maintenance mode");
const UNDELIVERABLE: Code = code("7871", "Message Undeliverable");
const PAIR_RATE_LIMIT: Code = code("7874", "pair rate limit hit");

impl Code {
    /// A failure that this dialect found itself, in the vendor's words.
    pub(super) fn failure(self, kind: ErrorKind, message: impl Into<String>) -> Failure {
        Failure::new(kind, message).in_words_of(DIALECT, self.code, self.text)
    }
}

/// The receipt for a failure that has no words of this dialect's own. `is_template`: whether the
/// message is a template, which has its own code for a refused file.
pub(super) fn receipt(failure: &Failure, is_template: bool) -> Code {
    let upstream = failure.upstream.as_ref();
    match upstream.and_then(|fault| fault.code) {
        Some(131_053) if is_template => TEMPLATE_MEDIA_FORMAT,
        Some(132_018) if names_url(upstream.map_or("", |fault| &fault.details)) => {
            INVALID_HYDRATED_URL
        }
        Some(code) => of_upstream(code),
        None => of_kind(failure.kind),
    }
}

fn names_url(details: &str) -> bool {
    details.as_bytes().windows(3).any(|word| word.eq_ignore_ascii_case(b"url"))
}

/// Meta's codes. Those that the vendor has no word for are "Unknown Status".
const fn of_upstream(code: i64) -> Code {
    match code {
        0 => AUTH_EXCEPTION,
        1 => API_UNKNOWN,
        2 => API_SERVICE,
        3 => API_METHOD,
        4 => API_TOO_MANY_CALLS,
        10 => API_PERMISSION_DENIED,
        100 => PARAMETER_INVALID,
        104 | 190 => TOKEN_EXPIRED,
        200..=299 | 131_005 => PERMISSION_REMOVED,
        368 => POLICY_BLOCK,
        80_007 => RATE_LIMIT_HIT,
        130_429 => THROUGHPUT_REACHED,
        130_472 => EXPERIMENT,
        131_000 => GENERIC_ERROR,
        131_008 => PARAMETER_MISSING,
        131_009 | 131_051 => VALUE_NOT_VALID,
        131_016 => SERVICE_OVERLOADED,
        131_021 => BAD_USER,
        131_026 => UNDELIVERABLE,
        131_031 => ACCOUNT_LOCKED,
        131_037 | 133_006 | 133_010 => NOT_REGISTERED,
        131_042 => PAYMENT_ISSUE,
        131_045 => UNSIGNED_CERTIFICATE,
        131_047 => RE_ENGAGEMENT,
        131_048 => SPAM_RATE_LIMIT,
        131_052 => MEDIA_DOWNLOAD_ERROR,
        131_053 => MEDIA_UPLOAD_ERROR,
        131_056 => PAIR_RATE_LIMIT,
        131_057 => MAINTENANCE,
        131_062 => USER_NOT_VALID,
        132_000 => PARAM_COUNT_MISMATCH,
        132_001 => NO_SUCH_TEMPLATE,
        132_005 => HYDRATED_TOO_LONG,
        132_007 => FORMAT_CHARACTER_POLICY,
        132_008 | 132_012 | 132_018 => PARAM_FORMAT_MISMATCH,
        132_015 => TEMPLATE_PAUSED,
        132_016 => TEMPLATE_DISABLED,
        133_004 => SERVER_UNAVAILABLE,
        133_005 | 133_008 | 133_009 => SENDER_LOCKED,
        135_000 => GENERIC_USER_ERROR,
        137_000 => HASH_MISMATCH,
        _ => UNKNOWN_STATUS,
    }
}

/// What Waypost found itself, also in messages of other dialects.
const fn of_kind(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::WindowClosed => RE_ENGAGEMENT,
        ErrorKind::RecipientBlocked
        | ErrorKind::RejectedByUpstream
        | ErrorKind::Cancelled
        | ErrorKind::StillQueued => UNKNOWN_STATUS,
        ErrorKind::RecipientUnreachable => UNDELIVERABLE,
        ErrorKind::IdentityMismatch => HASH_MISMATCH,
        ErrorKind::Expired => EXPIRED,
        ErrorKind::RateLimited => RATE_LIMIT_HIT,
        ErrorKind::OutcomeUnknown | ErrorKind::UpstreamError => PROVIDER_EXCEPTION,
        ErrorKind::UpstreamAuth => AUTH_EXCEPTION,
        ErrorKind::UpstreamUnavailable => SERVER_UNAVAILABLE,
        ErrorKind::TemplateNotFound | ErrorKind::TemplateLanguageNotFound => NO_SUCH_TEMPLATE,
        ErrorKind::TemplateNotApproved => TEMPLATE_DISABLED,
        ErrorKind::TemplateParameterMismatch => PARAM_COUNT_MISMATCH,
        ErrorKind::UnsupportedMediaType => UNSUPPORTED_MIME_TYPE,
        ErrorKind::MediaTooLarge => MEDIA_UPLOAD_ERROR,
        ErrorKind::MediaNotFound | ErrorKind::MediaRejected | ErrorKind::UnknownProvider => {
            MEDIA_DOWNLOAD_ERROR
        }
        ErrorKind::NumberNotFound => NOT_REGISTERED,
        ErrorKind::ValueTooLong => MESSAGE_TOO_LONG,
        ErrorKind::MissingField => PARAMETER_MISSING,
        ErrorKind::InvalidJson
        | ErrorKind::InvalidBody
        | ErrorKind::InvalidMultipart
        | ErrorKind::InvalidType
        | ErrorKind::InvalidValue
        | ErrorKind::UnsupportedMessageType
        | ErrorKind::UnsupportedContentType
        | ErrorKind::FlowNotFound => VALUE_NOT_VALID,
        ErrorKind::CustomerNotFound => USER_NOT_VALID,
        ErrorKind::BodyTooLarge
        | ErrorKind::MissingCredential
        | ErrorKind::InvalidCredential
        | ErrorKind::KeyDisabled
        | ErrorKind::AddressNotAllowed
        | ErrorKind::ScopeMissing
        | ErrorKind::OrgForbidden
        | ErrorKind::UserForbidden
        | ErrorKind::RouteNotFound
        | ErrorKind::MethodNotAllowed
        | ErrorKind::IdempotencyConflict
        | ErrorKind::IdempotencyInProgress
        | ErrorKind::Unavailable => UNKNOWN_EXCEPTION,
    }
}
