//! How calls that are not the Cloud API's are read and answered, the control plane's and the page's
//! alike. Every refusal is `{"error":{"message"}}`, as a rule with status 400.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{HOST, ORIGIN};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Map, Value, json};

use crate::errors::json_response;

/// The largest body of a control call; it may hold a file in base64.
pub const CONTROL_BODY_MAX_BYTES: usize = 32 * 1_048_576;

/// A control answer.
pub(crate) type Outcome = Result<Value, Refusal>;

/// Why a control call was refused.
pub(crate) struct Refusal(StatusCode, String);

impl Refusal {
    pub(crate) fn bad(why: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, why.into())
    }

    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, why.into())
    }
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::bad(why)
    }
}

/// The answer of a control call.
pub(crate) fn answer(outcome: Outcome) -> Response {
    match outcome {
        Ok(value) => json_response(200, &value),
        Err(Refusal(status, why)) => {
            json_response(status.as_u16(), &json!({"error": {"message": why}}))
        }
    }
}

/// Reads a body as an object; an empty one is `{}`.
pub(crate) async fn read_object(body: Body) -> Result<Map<String, Value>, Refusal> {
    let collected = Limited::new(body, CONTROL_BODY_MAX_BYTES).collect().await;
    let bytes = collected
        .map_err(|_| {
            Refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broken".into())
        })?
        .to_bytes();
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::bad(format!("the body must be a JSON object: {error}")))
}

/// Refuses members that a call does not have: a misspelt one would do nothing.
pub(crate) fn only(body: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    match body.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            Err(Refusal::bad(format!("unknown member {name}: there are {}", known.join(", "))))
        }
    }
}

/// A member that is a string if it is there.
pub(crate) fn text<'a>(
    body: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, Refusal> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::bad(format!("{name} must be a string"))),
    }
}

/// A member that is true or false if it is there.
pub(crate) fn flag(body: &Map<String, Value>, name: &str) -> Result<Option<bool>, Refusal> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(Refusal::bad(format!("{name} must be true or false"))),
    }
}

/// A web page of another origin must not reach in: browsers name theirs.
pub(crate) async fn same_origin(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let is_foreign = origin.is_some_and(|origin| {
        origin.split_once("://").is_none_or(|(_, authority)| authority != host)
    });
    if is_foreign {
        return (StatusCode::FORBIDDEN, "another origin").into_response();
    }
    next.run(request).await
}
