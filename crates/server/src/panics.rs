//! A net for panics: the caller gets an answer, in the words of the dialect that was asked.

use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http::StatusCode;

use crate::App;
use crate::dialects::{self, Circumstances};
use crate::problem::Problem;

/// Answers a request, also one whose handler panics.
pub(crate) async fn catch_panics(app: &App, request: Request, next: Next) -> Response {
    let known = Circumstances::of(&request);
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answered.unwrap_or_else(|_| internal_error(app, &known))
}

fn internal_error(app: &App, known: &Circumstances) -> Response {
    // Not the path: it may hold a phone number. The request's own line names its route.
    tracing::error!("a request ended in a panic; this is a bug, please report it");
    dialects::internal_error(app, known).unwrap_or_else(|| {
        let detail = "Something went wrong inside. The log names this request by its X-Request-Id.";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
    })
}
