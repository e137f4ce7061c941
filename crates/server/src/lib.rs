//! HTTP transport: connections, authentication, limits, routes. It mounts the dialects and the
//! management API on the engine and holds no business rule and no vendor's JSON.

mod ambiguity;
pub mod archive;
mod auth;
mod bodies;
mod client;
mod dialects;
mod doors;
mod headers;
mod health;
mod jwt;
mod listener;
mod log_fields;
mod management;
mod metrics;
mod pace_metrics;
mod panics;
mod places;
mod problem;
mod public_media;
mod request_log;
mod unread;
mod uploads;
mod webhooks;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use waypost_domain::directory::ApiKey;
use waypost_domain::{ErrorKind, Failure};
use waypost_engine::Engine;

use crate::auth::KeyRates;
use crate::bodies::BodyMemory;
pub use crate::bodies::BodyPace;
pub use crate::client::parse_network;
use crate::doors::Doors;
pub use crate::listener::{ListenerLimits, TlsSource, serve, serve_within};
use crate::metrics::{HttpMetrics, Refused};
use crate::places::{Place, Places};
use crate::problem::Problem;

/// How the server is set up.
#[derive(Clone, Debug, Default)]
pub struct ServerConfig {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What requests may take.
    pub limits: Limits,
}

/// What requests may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tenants' requests at once; more are told to come back.
    pub tenant_requests: usize,
    /// Webhooks of the upstream being stored at once, and those that come from a part of all
    /// clients: a capacity of their own.
    pub webhook_requests: usize,
    /// How long a webhook waits for its place, and for its share of the memory, before the upstream
    /// is told to send it again.
    pub webhook_wait: Duration,
    /// How long a webhook's whole body may take to come.
    pub webhook_body: Duration,
    /// Memory that webhooks beyond 16 KiB from a part of all clients may take together, in bytes.
    /// The largest costs twice its size.
    pub webhook_memory_bytes: u64,
    /// Imports at once; each holds a thread.
    pub imports: usize,
    /// Streams of events at once.
    pub streams: usize,
    /// Memory that JSON bodies beyond 16 KiB may take together, with what is decoded from them,
    /// in bytes. The largest body a dialect takes (140 MiB) costs twice its size.
    pub body_memory_bytes: u64,
    /// How long a large body waits for its share of that memory.
    pub body_memory_wait: Duration,
    /// How slowly bodies may come.
    pub body_pace: BodyPace,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tenant_requests: 4_096,
            webhook_requests: 512,
            webhook_wait: Duration::from_secs(5),
            webhook_body: Duration::from_secs(15),
            webhook_memory_bytes: 16 * 1_024 * 1_024,
            imports: 4,
            streams: 256,
            body_memory_bytes: 288 * 1_024 * 1_024,
            body_memory_wait: Duration::from_secs(30),
            body_pace: BodyPace::default(),
        }
    }
}

/// What every handler has at hand.
#[derive(Clone)]
pub(crate) struct App(Arc<AppParts>);

pub(crate) struct AppParts {
    pub(crate) engine: Engine,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) limits: Limits,
    pub(crate) rates: KeyRates,
    pub(crate) memory: BodyMemory,
    pub(crate) places: Places,
    pub(crate) webhook_doors: Doors,
    pub(crate) webhook_places: Semaphore,
    pub(crate) import_places: Places,
    pub(crate) stream_places: Places,
    pub(crate) metrics: HttpMetrics,
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
}

impl App {
    fn new(engine: Engine, config: ServerConfig) -> Self {
        let limits = config.limits;
        Self(Arc::new(AppParts {
            engine,
            trusted_proxies: config.trusted_proxies,
            limits,
            rates: KeyRates::default(),
            memory: BodyMemory::new(limits.body_memory_bytes, limits.body_memory_wait),
            places: Places::new("requests", limits.tenant_requests),
            webhook_doors: Doors::new(&limits),
            webhook_places: Semaphore::new(limits.webhook_requests),
            import_places: Places::new("imports", limits.imports),
            stream_places: Places::new("streams of events", limits.streams),
            metrics: HttpMetrics::new(),
        }))
    }
}

impl App {
    /// A place for a request of a key's holder.
    ///
    /// # Errors
    /// As [`Places::take`].
    pub(crate) fn take_place(&self, key: &ApiKey) -> Result<Place, Failure> {
        self.places.take(key.org_id.as_ref()).inspect_err(|failure| {
            let of_all = failure.kind == ErrorKind::Unavailable;
            self.metrics.count_refused(if of_all { Refused::Places } else { Refused::Share });
        })
    }

    /// Refuses to begin something new while the store cannot keep up.
    ///
    /// # Errors
    /// As [`Engine::check_backlog`].
    pub(crate) fn check_backlog(&self) -> Result<(), Failure> {
        let checked = self.engine.check_backlog();
        checked.inspect_err(|_| self.metrics.count_refused(Refused::Store))
    }
}

/// Everything the gateway answers.
pub fn router(engine: Engine, config: ServerConfig) -> Router {
    let app = App::new(engine, config);
    let own = Router::new()
        .route("/healthz", get(health::show_health))
        .route("/readyz", get(health::show_readiness))
        .route("/metrics", get(metrics::show_metrics))
        .route("/media/{name}", get(public_media::show_media))
        .route("/webhooks/meta", get(webhooks::answer_handshake).post(webhooks::receive_events));
    own.merge(management::routes())
        .merge(dialects::routes())
        .method_not_allowed_fallback(refuse_method)
        .fallback(refuse_path)
        .layer(from_fn_with_state(app.clone(), request_log::log_request))
        .with_state(app)
}

/// Known path, other method; axum adds `Allow`.
async fn refuse_method() -> Problem {
    let detail = "This address takes other methods: see the header Allow.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

/// Unknown path: in a dialect's words below its prefix.
async fn refuse_path(State(app): State<App>, request: Request) -> Response {
    dialects::refuse_path(&app, &request).unwrap_or_else(|| {
        let detail = "There is no such address; /docs lists those of the management API.";
        Problem::new(StatusCode::NOT_FOUND, "route_not_found", detail).into_response()
    })
}
