//! Whether the process is up (`/healthz`) and whether it is fit for work (`/readyz`).

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;

use crate::App;

/// The answer of `/readyz`.
#[derive(Serialize)]
pub(crate) struct Readiness {
    /// Whether requests can be served.
    ready: bool,
    /// `ok`, or what keeps the stores and queues from working.
    store: String,
    /// Where messages go.
    upstream: UpstreamName,
    /// The running version.
    version: &'static str,
}

#[derive(Serialize)]
struct UpstreamName {
    name: String,
    /// Whether it only plays a phone network: nobody gets its messages.
    sandbox: bool,
}

/// Answers `/healthz`.
pub(crate) async fn show_health() -> &'static str {
    "ok\n"
}

/// Answers `/readyz`: 200 or 503.
pub(crate) async fn show_readiness(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let settings = app.engine.settings();
    let fit = app.engine.is_ready();
    let status = if fit.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let readiness = Readiness {
        ready: fit.is_ok(),
        store: fit.err().unwrap_or_else(|| "ok".to_owned()),
        upstream: UpstreamName { name: settings.upstream_name.clone(), sandbox: !settings.live },
        version: env!("CARGO_PKG_VERSION"),
    };
    (status, Json(readiness))
}
