//! Refuses requests whose head a proxy in front may have read otherwise than we would.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::Version;
use http::header::{AUTHORIZATION, HOST};

use crate::problem::Problem;

/// Lets through what can be read in one way only.
pub(crate) async fn refuse_ambiguous(request: Request, next: Next) -> Response {
    match ambiguous_header(&request) {
        Some(header) => Problem::invalid(header, "must be there once").into_response(),
        None => next.run(request).await,
    }
}

/// Two hosts or none (RFC 9112, 3.2; HTTP/1.0 needs none, HTTP/2 has `:authority`), or two callers.
fn ambiguous_header(request: &Request) -> Option<&'static str> {
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Some("Host");
    }
    let mut callers = request.headers().get_all(AUTHORIZATION).iter();
    let first = callers.next();
    callers.any(|caller| Some(caller) != first).then_some("Authorization")
}
