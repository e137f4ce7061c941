//! What Prometheus reads at `/metrics`: requests by route, the engine's counters, the build. No
//! label holds an id that callers choose.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use waypost_dialects::Credential;
use waypost_engine::ports::CallbackTotals;

use crate::App;
use crate::auth::recognise;
use crate::client::{Client, Peer};
use crate::problem::Problem;

/// Upper bounds of the duration histogram, in seconds.
const BUCKETS_S: [f64; 12] =
    [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

/// What the server itself counts.
pub(crate) struct HttpMetrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
}

impl HttpMetrics {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("waypost");
        let requests = Family::default();
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS_S);
        let durations = Family::new_with_constructor(histogram);
        registry.register("http_requests", "Requests answered", requests.clone());
        let help = "Time from a request's head to its answer's head";
        registry.register("http_request_duration_seconds", help, durations.clone());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running program", build);
        Self { registry, requests, durations }
    }

    /// Counts a request. `route` is a pattern, never a path that a caller wrote.
    pub(crate) fn count_request(&self, method: &Method, route: &str, status: u16, span: Duration) {
        let method = known_method(method);
        let labels = RequestLabels { method, route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        let labels = RouteLabels { route: route.to_owned() };
        self.durations.get_or_create(&labels).observe(span.as_secs_f64());
    }
}

/// Callers may invent methods; labels are a closed list.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Answers `/metrics`: to this machine, else to the installation's key.
pub(crate) async fn show_metrics(
    State(app): State<App>,
    headers: HeaderMap,
    extensions: http::Extensions,
) -> Result<Response, Problem> {
    let peer = extensions.get::<Peer>().copied();
    if !Client::of(peer, &headers, &app.trusted_proxies).is_local() {
        let key = recognise(&app, Credential::Bearer, &headers, &extensions)?;
        if key.org_id.is_some() {
            let detail = "Only the installation's own key may read the metrics.";
            return Err(Problem::new(http::StatusCode::FORBIDDEN, "scope_missing", detail));
        }
    }
    let callbacks = app.engine.callback_totals().await?;
    let text = render(&app, callbacks)
        .map_err(|_| Problem::unavailable("The metrics cannot be written."))?;
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, form)], text).into_response())
}

fn render(app: &App, callbacks: CallbackTotals) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    encode_registry(&mut text, &app.metrics.registry)?;
    let mut engine = Registry::with_prefix("waypost");
    for (name, value) in app.engine.metrics().all() {
        if name.starts_with("queue") {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            engine.register(name, "Of the delivery engine", gauge);
        } else {
            engine.register(name, "Of the delivery engine", ConstCounter::new(value));
        }
    }
    for (name, help, count) in [
        ("callbacks_pending", "Callbacks still to be made", callbacks.pending),
        ("callbacks_dead", "Callbacks given up, to be replayed", callbacks.dead),
    ] {
        let gauge = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
        engine.register(name, help, gauge);
    }
    encode_registry(&mut text, &engine)?;
    encode_eof(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_status() {
        let metrics = HttpMetrics::new();
        let span = Duration::from_millis(3);
        metrics.count_request(&Method::POST, "/a/{id}", 200, span);
        metrics.count_request(&Method::POST, "/a/{id}", 200, span);
        metrics.count_request(&Method::from_bytes(b"INVENTED").unwrap(), "none", 404, span);
        let mut text = String::new();
        encode_registry(&mut text, &metrics.registry).unwrap();
        let counted =
            r#"waypost_http_requests_total{method="POST",route="/a/{id}",status="200"} 2"#;
        assert!(text.contains(counted), "{text}");
        assert!(text.contains(r#"{method="other",route="none",status="404"} 1"#), "{text}");
        assert!(!text.contains("INVENTED"));
        assert!(text.contains("waypost_build_info{version="), "{text}");
    }
}
