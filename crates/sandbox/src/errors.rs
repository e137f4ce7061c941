//! Meta's errors: the code table, the envelope of synchronous answers and the form that failed
//! statuses carry. It decides no error: it spells them.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use crate::entropy;

/// The title of codes that are not in the table.
const UNKNOWN_TITLE: &str = "Request failed";

/// What the table says about a code.
struct Row {
    http: u16,
    title: &'static str,
    /// Arrives as a failed status rather than as an answer.
    asynchronous: bool,
}

/// The code table of the reference, §3.2. Codes that are not listed are generic errors.
fn row(code: i64) -> Row {
    let (http, title) = match code {
        0 => (401, "AuthException"),
        1 => (500, "API Unknown"),
        2 => (500, "API Service"),
        3 => (500, "API Method"),
        4 => (429, "Application request limit reached"),
        10 => (403, "Application does not have permission for this action"),
        17 => (429, "User request limit reached"),
        33 => (400, "Parameter value is not valid"),
        100 => (400, "Invalid parameter"),
        104 => (401, "An access token is required to request this resource."),
        190 => (401, "Invalid OAuth access token"),
        200..=299 => (403, "API Permission"),
        368 => (403, "Temporarily blocked for policies violations"),
        613 => (422, "Calls to this API have exceeded the rate limit"),
        803 => (404, "Some of the aliases you requested do not exist"),
        2500 => (404, "Unknown path components"),
        80007 => (429, "Rate limit issues"),
        other => return platform_row(other),
    };
    Row { http, title, asynchronous: false }
}

/// Codes of the messaging platform (130000 and above).
fn platform_row(code: i64) -> Row {
    let (http, title) = match code {
        130_403 => (400, "Business has blocked the user"),
        130_429 => (400, "Rate limit hit"),
        130_472 => (400, "User's number is part of an experiment"),
        130_497 => (403, "Business account is restricted from messaging users in this country"),
        131_000 => (500, "Something went wrong"),
        131_005 => (403, "Access denied"),
        131_008 => (400, "Required parameter is missing"),
        131_009 => (400, "Parameter value is not valid"),
        131_016 => (500, "Service unavailable"),
        131_020 => (400, "Group has one member only"),
        131_021 => (400, "Recipient cannot be sender"),
        131_026 => (400, "Message undeliverable"),
        131_030 => (400, "Recipient phone number not in allowed list"),
        131_031 => (403, "Account has been locked"),
        131_037 => (400, "Display name approval needed"),
        131_041 => (400, "Group unknown"),
        131_042 => (400, "Business eligibility payment issue"),
        131_045 => (500, "Incorrect certificate"),
        131_047 => (400, "Re-engagement message"),
        131_048 => (400, "Spam rate limit hit"),
        131_049 => (400, "Message not delivered to maintain healthy ecosystem engagement"),
        131_050 => (400, "User has stopped marketing messages from this business"),
        131_051 => (400, "Unsupported message type"),
        131_052 => (400, "Media download error"),
        131_053 => (400, "Media upload error"),
        131_055 => (400, "Method not allowed"),
        131_056 => (400, "(Business Account, Consumer Account) pair rate limit hit"),
        131_057 => (500, "Account in maintenance mode"),
        131_059 => (400, "The paging cursor has expired"),
        131_062 => (400, "Business-scoped user ids are not supported for this message"),
        131_063 => (403, "Marketing messages are disabled"),
        131_064 => (400, "Limit reached because of misclassified templates"),
        other => return template_row(other),
    };
    let asynchronous = matches!(
        code,
        130_472 | 131_026 | 131_042 | 131_047 | 131_048 | 131_049 | 131_050 | 131_052 | 131_053
    );
    Row { http, title, asynchronous }
}

/// Codes of templates, registration and identity.
fn template_row(code: i64) -> Row {
    let (http, title) = match code {
        132_000 => (400, "Number of parameters does not match the expected number of params"),
        132_001 => (404, "Template name does not exist in the translation"),
        132_005 => (400, "Translated text too long"),
        132_007 => (400, "Template format character policy violated"),
        132_008 | 132_012 => {
            (400, "Parameter format does not match format in the created template")
        }
        132_015 => (400, "Template is paused"),
        132_016 => (400, "Template is disabled"),
        132_018 => (400, "Template parameters are not valid"),
        133_000 => (500, "Incomplete deregistration"),
        133_004 => (503, "Server temporarily unavailable"),
        133_005 => (400, "Two-step verification PIN mismatch"),
        133_006 => (400, "Phone number re-verification needed"),
        133_008 => (400, "Too many two-step verification PIN guesses"),
        133_009 => (400, "Two-step verification PIN guessed too fast"),
        133_010 => (400, "Phone number not registered"),
        133_015 => (400, "Phone number was recently deleted"),
        133_016 => (400, "Account register or deregister rate limit exceeded"),
        134_011 => (403, "Payments terms are not accepted"),
        134_100 => (400, "Only marketing messages are supported"),
        134_101 => (400, "Template is still being synchronised"),
        134_102 | 139_103 => (500, "Temporarily unavailable"),
        135_000 => (400, "Generic user error"),
        137_000 => (400, "Recipient identity key hash mismatch"),
        138_000 => (400, "Calling not enabled"),
        132_068 => (400, "Flow is in blocked state"),
        132_069 => (400, "Flow is in throttled state"),
        139_000 => (400, "Blocked by integrity"),
        139_001 => (400, "Updating attempt failed"),
        139_002 => (400, "Publishing attempt failed"),
        139_003 => (400, "Deprecating attempt failed"),
        139_004 => (400, "Deleting attempt failed"),
        139_100 => (400, "Failed to block/unblock some users"),
        139_101 => (400, "Block list limit reached"),
        139_102 => (400, "Block list is being updated by another call"),
        147_001 => (400, "Username cannot be used"),
        1_752_041 => (400, "Onboarding was requested already"),
        2_388_019 => (400, "Template limit exceeded"),
        2_388_039 => (400, "Template cannot be created"),
        2_388_040 => (400, "Character limit exceeded"),
        2_388_047 => (400, "Message header format is incorrect"),
        2_388_072 => (400, "Message body format is incorrect"),
        2_388_073 => (400, "Message footer format is incorrect"),
        2_388_293 => (400, "Too many variables for the length of the message"),
        2_388_299 => (400, "Variables cannot be at the start or end of the template"),
        2_494_100 => (400, "Phone number is in maintenance"),
        _ => (400, UNKNOWN_TITLE),
    };
    Row { http, title, asynchronous: code == 137_000 }
}

/// A refused call, in Graph's envelope.
#[derive(Debug, Clone)]
pub(crate) struct GraphError {
    code: i64,
    http: u16,
    subcode: Option<i64>,
    kind: &'static str,
    message: Cow<'static, str>,
    details: Option<Cow<'static, str>>,
    allow: Option<&'static str>,
    retry_after_s: Option<u32>,
}

/// What most functions of the sandbox's API return.
pub(crate) type Answer<T> = Result<T, GraphError>;

impl GraphError {
    /// The error of a code with the table's status and title.
    pub(crate) fn code(code: i64) -> Self {
        let Row { http, title, .. } = row(code);
        Self {
            code,
            http,
            subcode: None,
            kind: "OAuthException",
            message: Cow::Owned(format!("(#{code}) {title}")),
            details: None,
            allow: None,
            retry_after_s: None,
        }
    }

    /// The same with `error_data.details`.
    pub(crate) fn new(code: i64, details: impl Into<Cow<'static, str>>) -> Self {
        Self { details: Some(details.into()), ..Self::code(code) }
    }

    /// A bad parameter of the envelope or of a management call.
    pub(crate) fn parameter(details: impl Into<Cow<'static, str>>) -> Self {
        Self::new(100, details)
    }

    pub(crate) fn with_subcode(mut self, subcode: i64) -> Self {
        self.subcode = Some(subcode);
        self
    }

    pub(crate) fn with_http(mut self, http: u16) -> Self {
        self.http = http;
        self
    }

    pub(crate) fn with_retry_after(mut self, seconds: Option<u32>) -> Self {
        self.retry_after_s = seconds;
        self
    }

    /// An id in the path, or of media, that names nothing here.
    pub(crate) fn unknown_object(id: &str) -> Self {
        let message = format!(
            "Unsupported request. Object with ID '{id}' does not exist, cannot be loaded due to \
             missing permissions, or does not support this operation"
        );
        Self {
            kind: "GraphMethodException",
            message: Cow::Owned(message),
            ..Self::code(100).with_subcode(33)
        }
    }

    pub(crate) fn no_token(is_get: bool) -> Self {
        if is_get {
            let message = "An access token is required to request this resource.";
            Self { message: Cow::Borrowed(message), ..Self::code(104) }
        } else {
            Self::bad_token()
        }
    }

    pub(crate) fn bad_token() -> Self {
        let message = "Invalid OAuth access token - Cannot parse access token";
        Self { message: Cow::Borrowed(message), ..Self::code(190) }
    }

    pub(crate) fn unknown_path(path: &str) -> Self {
        let message = format!("Unknown path components: {path}");
        Self { message: Cow::Owned(message), ..Self::code(2500) }
    }

    pub(crate) fn wrong_method(allow: &'static str) -> Self {
        let message = "(#100) Unsupported method for this path";
        Self {
            allow: Some(allow),
            message: Cow::Borrowed(message),
            ..Self::code(100).with_http(405)
        }
    }

    pub(crate) fn too_large() -> Self {
        Self::parameter("The request body is too large.").with_http(413)
    }

    /// The answer, with Graph's headers.
    pub(crate) fn into_response(self) -> Response {
        let trace_id = entropy::trace_id();
        let mut error = Map::new();
        error.insert("message".into(), self.message.into());
        error.insert("type".into(), self.kind.into());
        error.insert("code".into(), self.code.into());
        if let Some(details) = self.details {
            let data = json!({"messaging_product": "whatsapp", "details": details});
            error.insert("error_data".into(), data);
        }
        if let Some(subcode) = self.subcode {
            error.insert("error_subcode".into(), subcode.into());
        }
        error.insert("fbtrace_id".into(), trace_id.clone().into());
        let mut response = json_response(self.http, &json!({ "error": error }));
        let headers = response.headers_mut();
        if let Ok(trace_id) = HeaderValue::from_str(&trace_id) {
            headers.insert(HeaderName::from_static("x-fb-trace-id"), trace_id);
        }
        if self.http == 401 {
            let challenge = "OAuth \"Facebook Platform\" \"invalid_token\"";
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A JSON answer with the content type that Graph uses.
pub(crate) fn json_response(http: u16, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(http).unwrap_or(StatusCode::BAD_REQUEST);
    let json = HeaderValue::from_static("application/json; charset=UTF-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// Whether a code normally arrives as a failed status.
pub(crate) fn is_asynchronous(code: i64) -> bool {
    row(code).asynchronous
}

/// An error in a webhook: no `(#code)` prefix and no trace id.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: i64,
    pub(crate) title: Cow<'static, str>,
    pub(crate) details: Cow<'static, str>,
}

impl Failure {
    pub(crate) fn new(code: i64, details: impl Into<Cow<'static, str>>) -> Self {
        Self { code, title: Cow::Borrowed(row(code).title), details: details.into() }
    }

    /// Reads an error in webhook form; what is missing comes from the table.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let code = value.get("code")?.as_i64()?;
        let title = value.get("title").or_else(|| value.get("message")).and_then(Value::as_str);
        let details = value.pointer("/error_data/details").and_then(Value::as_str).unwrap_or("");
        let title = title.map_or(Cow::Borrowed(row(code).title), |t| Cow::Owned(t.to_owned()));
        Some(Self { code, title, details: Cow::Owned(details.to_owned()) })
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "code": self.code,
            "title": self.title,
            "message": self.title,
            "error_data": {"details": self.details},
            "href": "/docs/whatsapp/cloud-api/support/error-codes/"
        })
    }
}

#[cfg(test)]
impl GraphError {
    /// The code, for tests of validation.
    pub(crate) fn number(&self) -> i64 {
        self.code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_reference_have_its_status_and_a_title() {
        let cases = [
            (131_020, 400),
            (131_064, 400),
            (133_009, 400),
            (134_011, 403),
            (134_100, 400),
            (134_101, 400),
            (134_102, 500),
            (138_000, 400),
            (139_101, 400),
            (139_103, 500),
            (147_001, 400),
            (1_752_041, 400),
            (2_388_039, 400),
            (2_494_100, 400),
        ];
        for (code, http) in cases {
            let row = row(code);
            assert_eq!(row.http, http, "{code}");
            assert_ne!(row.title, UNKNOWN_TITLE, "{code}");
        }
    }
}
