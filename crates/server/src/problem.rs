//! Refusals of everything that is not a dialect: RFC 9457 `application/problem+json` with a stable
//! `code`. Holds no internals: what is our own fault is logged where it is handled.

use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use waypost_domain::window::ClosedWindow;
use waypost_domain::{ErrorKind, Failure};
use waypost_engine::ports::StoreError;
use waypost_planted::{Bug, is_planted};

use crate::bodies::BodyFault;

/// What is told of a key that is used from elsewhere.
const FOREIGN_ADDRESS: &str =
    "The API key may not be used from this address: its allowed_ips does not hold it.";
/// When to try again where nothing better is known, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldFault {
    /// Path of the field, such as `template.components[0].type`.
    pub(crate) field: String,
    /// What is wrong with it, and what would be right.
    pub(crate) message: String,
}

/// The body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The stable word for this problem.
    #[schema(example = "invalid_value")]
    code: &'static str,
    /// What happened and what to do, for people.
    detail: String,
    /// The fields to blame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldFault>,
    /// The window that is closed; only with the code `window_closed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    window: Option<ClosedWindowView>,
}

/// A window that keeps a message from being sent, and what would do in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ClosedWindow)]
pub(crate) struct ClosedWindowView {
    /// The number at which it is closed.
    number_id: String,
    /// Always `closed`.
    state: &'static str,
    /// Since when; `null` where the person never wrote to this number.
    since: Option<String>,
    /// Approved templates of this number, at most ten, notices before marketing.
    templates: Vec<UsableTemplateView>,
}

/// A template that may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UsableTemplate)]
pub(crate) struct UsableTemplateView {
    name: String,
    language: String,
    /// `UTILITY` or `MARKETING`.
    category: String,
}

impl From<&ClosedWindow> for ClosedWindowView {
    fn from(window: &ClosedWindow) -> Self {
        let templates = window.templates.iter().map(|template| UsableTemplateView {
            name: template.name.clone(),
            language: template.language.clone(),
            category: template.category.clone(),
        });
        Self {
            number_id: window.number_id.to_string(),
            state: "closed",
            since: window.since.map(waypost_domain::Timestamp::rfc3339),
            templates: templates.collect(),
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldFault>,
    window: Option<Box<ClosedWindowView>>,
    retry_after_s: Option<u32>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A refusal without fields.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            window: None,
            retry_after_s: None,
            headers: Vec::new(),
        }
    }

    /// The answer for whatever does not exist or is another's: always the same bytes.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here by this name.")
    }

    /// Something with this key exists already.
    pub(crate) fn conflict(field: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", format!("The {field} is taken."))
            .blaming(field, "is taken; choose another, or change the one that exists")
    }

    /// One field is wrong.
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Faults::one(field, message).into_problem()
    }

    /// The call does not fit the state of what it is about.
    pub(crate) fn wrong_state(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "wrong_state", detail)
    }

    /// Waypost cannot do it now.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        problem.retry_after_s = Some(RETRY_AFTER_S);
        problem
    }

    /// Names a field to blame.
    pub(crate) fn blaming(mut self, field: &str, message: impl Into<String>) -> Self {
        self.errors.push(FieldFault { field: field.to_owned(), message: message.into() });
        self
    }

    /// Adds a header.
    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its fields and messages as one line of text.
    pub(crate) fn in_one_line(&self) -> String {
        if self.errors.is_empty() {
            return self.detail.clone();
        }
        let faults = self.errors.iter().map(|fault| format!("{}: {}", fault.field, fault.message));
        faults.collect::<Vec<_>>().join("; ")
    }

    /// Its stable word.
    #[cfg(test)]
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The fields it blames.
    #[cfg(test)]
    pub(crate) fn errors(&self) -> &[FieldFault] {
        &self.errors
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            errors: self.errors,
            window: self.window.map(|window| *window),
        };
        let bytes = serde_json::to_vec(&body).expect("text and numbers can always be written");
        let mut response = (self.status, bytes).into_response();
        let headers = response.headers_mut();
        let problem_json = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, problem_json);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

/// The HTTP status that the management API gives a failure.
pub(crate) const fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidJson
        | ErrorKind::InvalidBody
        | ErrorKind::InvalidMultipart
        | ErrorKind::MissingField
        | ErrorKind::InvalidType
        | ErrorKind::InvalidValue
        | ErrorKind::ValueTooLong
        | ErrorKind::UnsupportedMessageType
        | ErrorKind::UnknownProvider => StatusCode::BAD_REQUEST,
        ErrorKind::MissingCredential
        | ErrorKind::InvalidCredential
        | ErrorKind::KeyDisabled
        | ErrorKind::AddressNotAllowed => StatusCode::UNAUTHORIZED,
        ErrorKind::ScopeMissing | ErrorKind::UserForbidden => StatusCode::FORBIDDEN,
        ErrorKind::OrgForbidden
        | ErrorKind::RouteNotFound
        | ErrorKind::CustomerNotFound
        | ErrorKind::NumberNotFound
        | ErrorKind::TemplateNotFound
        | ErrorKind::TemplateLanguageNotFound
        | ErrorKind::FlowNotFound
        | ErrorKind::MediaNotFound => StatusCode::NOT_FOUND,
        ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::WindowClosed
        | ErrorKind::IdempotencyInProgress
        | ErrorKind::Cancelled
        | ErrorKind::StillQueued => StatusCode::CONFLICT,
        ErrorKind::BodyTooLarge | ErrorKind::MediaTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::UnsupportedContentType | ErrorKind::UnsupportedMediaType => {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        }
        ErrorKind::TemplateNotApproved
        | ErrorKind::TemplateParameterMismatch
        | ErrorKind::MediaRejected
        | ErrorKind::RecipientUnreachable
        | ErrorKind::RecipientBlocked
        | ErrorKind::IdentityMismatch
        | ErrorKind::Expired
        | ErrorKind::IdempotencyConflict
        | ErrorKind::RejectedByUpstream => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::UpstreamAuth | ErrorKind::OutcomeUnknown | ErrorKind::UpstreamError => {
            StatusCode::BAD_GATEWAY
        }
        ErrorKind::UpstreamUnavailable | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl From<BodyFault> for Problem {
    fn from(fault: BodyFault) -> Self {
        let hangs_up = fault.hangs_up();
        let problem = Self::from(fault.into_failure());
        if !hangs_up {
            return problem;
        }
        let close = HeaderValue::from_static("close");
        Self { status: StatusCode::REQUEST_TIMEOUT, ..problem }.with_header(CONNECTION, close)
    }
}

impl From<Failure> for Problem {
    fn from(mut failure: Failure) -> Self {
        let status = status_of(failure.kind);
        // The code tells it, and so may the words, which dialects are not given.
        if failure.kind == ErrorKind::AddressNotAllowed {
            FOREIGN_ADDRESS.clone_into(&mut failure.message);
        }
        let mut problem = Self::new(status, failure.kind.code(), failure.message.clone());
        if let Some(field) = failure.field {
            problem.errors.push(FieldFault { field, message: failure.message });
        }
        let window = failure.window.as_deref().filter(|_| !is_planted(Bug::WindowUntold));
        problem.window = window.map(|window| Box::new(window.into()));
        let retryable =
            matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        problem.retry_after_s = failure.retry_after_s.or(retryable.then_some(RETRY_AFTER_S));
        if status == StatusCode::UNAUTHORIZED {
            problem = problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if failure.kind == ErrorKind::IdempotencyInProgress && problem.retry_after_s.is_none() {
            problem.retry_after_s = Some(1);
        }
        problem
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(field) => Self::conflict(field),
            full @ StoreError::Full { .. } => Failure::from(full).into(),
            StoreError::NotFound => Self::not_found(),
            StoreError::Unavailable(why) | StoreError::Broken(why) | StoreError::Damaged(why) => {
                tracing::error!(error = %why, "the store refused a call of the management API");
                Self::unavailable("The store cannot do this now; try again later.")
            }
        }
    }
}

/// Faults of several fields, told all at once.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FieldFault>);

impl Faults {
    fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        let mut faults = Self::default();
        faults.add(field, message);
        faults
    }

    /// Adds one.
    pub(crate) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldFault { field: field.into(), message: message.into() });
    }

    /// What the domain read, or `None` with the field that it blames noted.
    pub(crate) fn take_read<T>(&mut self, read: Result<T, Failure>) -> Option<T> {
        let failure = match read {
            Ok(value) => return Some(value),
            Err(failure) => failure,
        };
        let field = failure.field.unwrap_or_default();
        // It says "path rule."; the path stands beside it here.
        let message = failure.message.strip_prefix(&format!("{field} ")).map(str::to_owned);
        let message = message.unwrap_or(failure.message);
        self.add(field, message.trim_end_matches('.'));
        None
    }

    /// The value, or `None` with the fault noted.
    pub(crate) fn take<T, E: std::fmt::Display>(
        &mut self,
        field: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.add(field, error.to_string())).ok()
    }

    /// `Err` where there is any fault.
    pub(crate) fn check(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into_problem()) }
    }

    /// The refusal.
    pub(crate) fn into_problem(self) -> Problem {
        let fields: Vec<&str> = self.0.iter().map(|fault| fault.field.as_str()).collect();
        let detail = format!("The request is not valid: see {}.", fields.join(", "));
        let mut problem = Problem::new(StatusCode::BAD_REQUEST, "invalid_value", detail);
        problem.errors = self.0;
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn read(problem: Problem) -> (StatusCode, Option<HeaderValue>, serde_json::Value) {
        let response = problem.into_response();
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, retry_after, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_failure_keeps_its_code_its_field_and_its_delay() {
        let failure = Failure::new(ErrorKind::ValueTooLong, "too long").at("text.body");
        let (status, retry_after, body) = read(failure.into()).await;
        assert_eq!((status, retry_after), (StatusCode::BAD_REQUEST, None));
        assert_eq!(
            body,
            serde_json::json!({"type":"about:blank","title":"Bad Request","status":400,
                "code":"value_too_long","detail":"too long",
                "errors":[{"field":"text.body","message":"too long"}]})
        );
        let limited = Failure::new(ErrorKind::RateLimited, "slower").retry_after_s(7);
        let (status, retry_after, body) = read(limited.into()).await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(retry_after.unwrap(), "7");
        assert_eq!(body.get("errors"), None);
    }

    #[tokio::test]
    async fn a_broken_store_shows_no_internals() {
        let broken = StoreError::Broken("SQLITE_CORRUPT at page 7".to_owned());
        let (status, retry_after, body) = read(broken.into()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(retry_after.is_some());
        assert!(!body.to_string().contains("SQLITE"));
    }

    #[tokio::test]
    async fn several_faults_are_told_at_once() {
        let mut faults = Faults::default();
        faults.add("name", "is required");
        faults.add("time_zone", "names no zone");
        let (_, _, body) = read(faults.into_problem()).await;
        assert_eq!(body["errors"].as_array().unwrap().len(), 2);
        assert!(Faults::default().check().is_ok());
    }

    #[test]
    fn who_does_not_send_its_body_is_told_that_and_hung_up_on() {
        for (fault, status, closes) in [
            (BodyFault::Slow, 408, true),
            (BodyFault::Broken, 408, true),
            (BodyFault::NoMemory, 503, false),
            (BodyFault::TooLarge { limit_bytes: 1 }, 413, false),
        ] {
            let told = format!("{fault:?}");
            let response = Problem::from(fault).into_response();
            let close = response.headers().get(CONNECTION).is_some_and(|value| value == "close");
            assert_eq!((response.status().as_u16(), close), (status, closes), "{told}");
        }
    }
}
