//! Around every request: its id, its one log line, its numbers. The line holds no body, no secret
//! and no phone number.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{EXPECT, HeaderValue};
use http::{HeaderMap, HeaderName, Version};

use crate::App;
use crate::ambiguity::refuse_ambiguous;
use crate::bodies::Lingering;
use crate::log_fields::LogFields;
use crate::panics::catch_panics;

/// The header that names a request.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken over from a request, in characters.
const MAX_REQUEST_ID_CHARS: usize = 128;
/// The status under which a request is logged whose caller went away before the answer.
const CALLER_GONE: u16 = 499;
/// The route under which unknown paths are counted.
const NO_ROUTE: &str = "none";

/// Names a request, runs it within the net for panics if it says one thing only, logs it.
pub(crate) async fn log_request(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = request_id(request.headers());
    let fields = LogFields::default();
    request.extensions_mut().insert(fields.clone());
    request.headers_mut().insert(X_REQUEST_ID, id.clone());
    let mut line = Line::begin(&app, &request, &id, fields);
    let mut response = match refuse_ambiguous(&request) {
        Some(refusal) => refusal,
        None => catch_panics(&app, lingering(request), next).await,
    };
    line.status = response.status().as_u16();
    response.headers_mut().insert(X_REQUEST_ID, id);
    response
}

/// Lets HTTP/1 clients finish writing what nobody reads. Not those who wait to be asked for it.
fn lingering(request: Request) -> Request {
    let waits = request.headers().contains_key(EXPECT);
    if waits || request.version() > Version::HTTP_11 {
        return request;
    }
    request.map(|body| Body::new(Lingering::new(body)))
}

/// The caller's id where it can be put into a header and a log as it is, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let printable = |text: &&str| {
        (1..=MAX_REQUEST_ID_CHARS).contains(&text.len())
            && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    headers
        .get(X_REQUEST_ID)
        .filter(|value| value.to_str().ok().as_ref().is_some_and(printable))
        .cloned()
        .unwrap_or_else(|| {
            HeaderValue::from_str(&uuid::Uuid::now_v7().to_string())
                .expect("hexadecimal digits and hyphens are a header value")
        })
}

/// Writes the line when it is dropped, so that one is written whatever happens.
struct Line {
    app: App,
    id: HeaderValue,
    method: http::Method,
    route: String,
    began: Instant,
    status: u16,
    fields: LogFields,
}

impl Line {
    fn begin(app: &App, request: &Request, id: &HeaderValue, fields: LogFields) -> Self {
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        Self {
            app: app.clone(),
            id: id.clone(),
            method: request.method().clone(),
            route: route.unwrap_or(NO_ROUTE).to_owned(),
            began: Instant::now(),
            status: CALLER_GONE,
            fields,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let span = self.began.elapsed();
        self.app.metrics.count_request(&self.method, &self.route, self.status, span);
        let fields = self.fields.read();
        tracing::info!(
            target: "waypost::request",
            request_id = self.id.to_str().unwrap_or_default(),
            method = self.method.as_str(),
            route = %self.route,
            status = self.status,
            duration_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
            org = fields.org_id.as_ref().map(tracing::field::display),
            key_id = fields.key_id.as_deref(),
            dialect = fields.dialect,
            error = fields.error,
            call_id = fields.call_id.as_deref(),
            "request"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_keeps_its_own_id_if_that_is_printable() {
        let id = |value: HeaderValue| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, value);
            request_id(&headers)
        };
        let longest = "x".repeat(MAX_REQUEST_ID_CHARS);
        for kept in ["abc-1", "a b", longest.as_str()] {
            assert_eq!(id(HeaderValue::from_str(kept).unwrap()), kept);
        }
        for replaced in [&b""[..], &[b'x'; 129], b"\xC3\xBC", b"tab\there"] {
            let fresh = id(HeaderValue::from_bytes(replaced).unwrap());
            assert_eq!(fresh.len(), 36, "{replaced:?}");
        }
        assert_eq!(request_id(&HeaderMap::new()).len(), 36);
    }
}
