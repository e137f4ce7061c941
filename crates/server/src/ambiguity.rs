//! Refuses requests whose head a proxy in front may have read otherwise than we would.

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::Version;
use http::header::{AUTHORIZATION, HOST};

use crate::problem::Problem;

/// The answer to a request that can be read in more than one way.
pub(crate) fn refuse_ambiguous(request: &Request) -> Option<Response> {
    let header = ambiguous_header(request)?;
    Some(Problem::invalid(header, "must be there once").into_response())
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
