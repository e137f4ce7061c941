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
use waypost_domain::Timestamp;
use waypost_engine::Readings;

use crate::App;
use crate::auth::recognise;
use crate::client::{Client, Peer};
use crate::management::queues::seconds;
use crate::pace_metrics;
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

/// Why a request was turned away before anything of it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The store could not keep up.
    Store,
    /// The tenant had its share of the places.
    Share,
    /// No place was free.
    Places,
    /// No place for webhooks was free.
    Webhooks,
}

impl Refused {
    const fn word(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Share => "share",
            Self::Places => "places",
            Self::Webhooks => "webhooks",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    reason: &'static str,
}

/// What the server itself counts.
pub(crate) struct HttpMetrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
    refused: Family<RefusedLabels, Counter>,
}

impl HttpMetrics {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("waypost");
        let requests = Family::default();
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS_S);
        let durations = Family::new_with_constructor(histogram);
        registry.register("http_requests", "Requests answered", requests.clone());
        let refused = Family::<RefusedLabels, Counter>::default();
        // Shown as 0 from the start: an alarm on a rise must see where it began.
        for reason in [Refused::Store, Refused::Share, Refused::Places, Refused::Webhooks] {
            drop(refused.get_or_create(&RefusedLabels { reason: reason.word() }));
        }
        let help = "Requests turned away before anything of them was done";
        registry.register("requests_refused", help, refused.clone());
        let help = "Time from a request's head to its answer's head";
        registry.register("http_request_duration_seconds", help, durations.clone());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running program", build);
        Self { registry, requests, durations, refused }
    }

    /// Counts a request that was turned away.
    pub(crate) fn count_refused(&self, reason: Refused) {
        self.refused.get_or_create(&RefusedLabels { reason: reason.word() }).inc();
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
    // Where the store cannot be read, what was counted in memory is shown all the same.
    let readings = app.engine.readings().await.ok();
    let last_backup_at = app.engine.last_backup_at().await.ok().flatten();
    let text = render(&app, readings.as_ref(), last_backup_at)
        .map_err(|_| Problem::unavailable("The metrics cannot be written."))?;
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, form)], text).into_response())
}

fn render(
    app: &App,
    readings: Option<&Readings>,
    last_backup_at: Option<Timestamp>,
) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    encode_registry(&mut text, &app.metrics.registry)?;
    let mut engine = Registry::with_prefix("waypost");
    for (name, value) in app.engine.metrics().all() {
        engine.register(name, "Of the delivery engine", ConstCounter::new(value));
    }
    let ready = i64::from(app.engine.is_ready().is_ok());
    engine.register("ready", "1 while requests can be served", ConstGauge::new(ready));
    if let Some(readings) = readings {
        let commits = ConstCounter::new(readings.store.commits);
        engine.register("store_commits", "Transactions of the store", commits);
        for (name, help, value) in gauges(readings, last_backup_at, app.engine.now()) {
            engine.register(name, help, ConstGauge::new(value));
        }
    }
    let ahead_s = app.engine.clock().wall_ahead_ms() / 1_000;
    let help = "How far the machine's clock is ahead of the gateway's: not 0 after it was set";
    engine.register("wall_clock_ahead_seconds", help, ConstGauge::new(ahead_s));
    pace_metrics::register(&mut engine, &app.engine.pacing());
    encode_registry(&mut text, &engine)?;
    encode_eof(&mut text)?;
    Ok(text)
}

/// What goes up and down: name, meaning, value.
type Gauge = (&'static str, &'static str, i64);

fn gauges(readings: &Readings, last_backup_at: Option<Timestamp>, now: Timestamp) -> Vec<Gauge> {
    let Readings { queues, callbacks, store } = readings;
    let age = |since: Option<Timestamp>| since.map_or(0, |since| seconds(since, now));
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let last_backup = last_backup_at.map_or(0, |at| at.0 / 1_000);
    vec![
        ("queue_due_messages", "Single messages that are due", count(queues.due)),
        ("queue_later_messages", "Single messages that wait for a later time", count(queues.later)),
        ("queue_broadcast_messages", "Waiting members of broadcasts", count(queues.broadcast)),
        ("queue_oldest_due_seconds", "Age of the oldest due message", age(queues.oldest_due_at)),
        ("sending_messages", "Messages on their way to the upstream", count(queues.sending)),
        ("unknown_messages", "Messages whose outcome is unknown", count(queues.unknown)),
        ("resend_messages", "Of these, to be sent again by themselves", count(queues.to_resend)),
        ("held_messages", "Messages that wait for an open window", count(queues.held)),
        ("restored_messages", "Messages held back since a restore", count(queues.restored)),
        (
            "restored_broadcasts",
            "Broadcasts held back since a restore",
            count(queues.restored_broadcasts),
        ),
        ("inbox_webhooks", "Webhooks that are not worked off", count(queues.webhooks)),
        ("parked_reports", "Reports of messages that are not known", count(queues.parked_reports)),
        ("callbacks_pending", "Callbacks still to be made", count(callbacks.pending)),
        ("callbacks_dead", "Callbacks given up, to be replayed", count(callbacks.dead)),
        (
            "callbacks_overdue_seconds",
            "How long the callback waits that is due for longest",
            age(queues.callbacks_due_since),
        ),
        ("store_waiting_writes", "Writes that wait for the writer", count(store.waiting_writes)),
        ("store_database_bytes", "Size of the database", count(store.database_bytes)),
        ("store_log_bytes", "Size of the write-ahead log", count(store.log_bytes)),
        ("store_free_bytes", "Free bytes on the disk of the database", count(store.free_bytes)),
        (
            "last_backup_timestamp_seconds",
            "When the last backup that was confirmed was taken; 0: never",
            last_backup,
        ),
    ]
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
