//! What tests of dialects expect of a refusal and of an answer.

use waypost_domain::{ErrorKind, Failure};

use crate::contract::Reply;

/// Asserts kind and field, and that the message names the field.
#[track_caller]
pub(crate) fn assert_refused<T: std::fmt::Debug>(
    result: Result<T, Failure>,
    kind: ErrorKind,
    field: Option<&str>,
) {
    let failure = result.unwrap_err();
    assert_eq!((failure.kind, failure.field.as_deref()), (kind, field), "{}", failure.message);
    assert!(failure.message.ends_with('.'), "{}", failure.message);
    if let Some(field) = field {
        assert!(failure.message.starts_with(field), "{}", failure.message);
    }
}

/// Asserts a success with these bytes of JSON and no further header.
#[track_caller]
pub(crate) fn assert_body(reply: &Reply, fixture: &str) {
    assert_eq!(std::str::from_utf8(&reply.body).unwrap(), fixture.trim_end());
    assert_eq!(reply.status, http::StatusCode::OK);
    let json = (http::header::CONTENT_TYPE, "application/json".parse().unwrap());
    assert_eq!(reply.headers, [json]);
}
