//! Delivers webhooks: a bounded number of POSTs at a time, retried when they are not answered
//! with 200, and the verification handshake. What is sent is decided by the outbox.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Sandbox;
use crate::entropy;
use crate::outbox::{Batch, Route, signature};

/// POSTs that are under way at the same time.
pub const WEBHOOK_POSTS_MAX: usize = 4;
/// A receiver that takes longer has failed.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER_MAX_BYTES: usize = 65_536;

type Plain = Client<HttpConnector, Full<Bytes>>;
type Tls = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The client for the receiver of webhooks, whose address the operator sets.
pub(crate) struct WebhookClient {
    plain: Plain,
    /// Made when it is first needed: loading the system's roots takes time and memory.
    tls: OnceLock<Result<Tls, String>>,
}

impl WebhookClient {
    pub(crate) fn new() -> Self {
        let plain = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(WEBHOOK_POSTS_MAX)
            .build_http();
        Self { plain, tls: OnceLock::new() }
    }

    /// Sends a request; the status and the first bytes of the answer.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
        let response = if request.uri().scheme_str() == Some("https") {
            let client = self.tls.get_or_init(tls_client).as_ref().map_err(Clone::clone)?;
            client.request(request)
        } else {
            self.plain.request(request)
        };
        let exchange = async {
            let response = response.await.map_err(|error| error.to_string())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
            Ok((status, body.map(|body| body.to_bytes()).unwrap_or_default()))
        };
        tokio::time::timeout(DELIVERY_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err("the receiver did not answer in time".into()))
    }
}

fn tls_client() -> Result<Tls, String> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| error.to_string())?
        .https_only()
        .enable_http1()
        .build();
    Ok(Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(WEBHOOK_POSTS_MAX)
        .build(connector))
}

/// Delivers what the outbox holds until `cancel`.
pub(crate) async fn run(sandbox: &Sandbox, cancel: &CancellationToken) {
    let mut posts: JoinSet<(u64, Batch, bool)> = JoinSet::new();
    loop {
        while posts.len() < WEBHOOK_POSTS_MAX {
            let Some((generation, batch)) = next_batch(sandbox) else { break };
            let sandbox = sandbox.clone();
            posts.spawn(async move {
                let ok = deliver(&sandbox, &batch).await;
                (generation, batch, ok)
            });
        }
        let is_full = posts.len() >= WEBHOOK_POSTS_MAX;
        let next_retry_ms = sandbox.state().outbox.next_retry_ms();
        let retry_due = async {
            match next_retry_ms {
                Some(at_ms) if !is_full => sandbox.0.clock.sleep_until(at_ms).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = cancel.cancelled() => return,
            Some(done) = posts.join_next() => settle(sandbox, done),
            () = sandbox.0.wake.webhooks.notified(), if !is_full => {}
            () = retry_due => {}
        }
    }
}

fn next_batch(sandbox: &Sandbox) -> Option<(u64, Batch)> {
    let mut state = sandbox.state();
    let now_ms = state.now_ms();
    state.outbox.next_batch(now_ms)
}

fn settle(sandbox: &Sandbox, done: Result<(u64, Batch, bool), tokio::task::JoinError>) {
    match done {
        Ok((generation, batch, ok)) => {
            let mut state = sandbox.state();
            let now_ms = state.now_ms();
            state.outbox.settle(generation, batch, ok, now_ms);
        }
        Err(error) => tracing::error!(%error, "a webhook delivery ended abnormally"),
    }
}

async fn deliver(sandbox: &Sandbox, batch: &Batch) -> bool {
    let (url, app_secret) = {
        let state = sandbox.state();
        let url = match &batch.route {
            Route::App => state.app.url.clone(),
            Route::Override(url) => Some(url.to_string()),
        };
        (url, state.app.app_secret.clone())
    };
    let Some(url) = url else { return false };
    let request = Request::post(&url)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, "facebookexternalua")
        .header("X-Hub-Signature-256", signature(&app_secret, &batch.body))
        .body(Full::new(batch.body.clone()));
    let Ok(request) = request else { return false };
    match sandbox.0.webhook_client.send(request).await {
        Ok((StatusCode::OK, _)) => true,
        Ok((status, _)) => {
            tracing::debug!(status = status.as_u16(), "the receiver refused a webhook");
            false
        }
        Err(error) => {
            tracing::debug!(%error, "a webhook could not be delivered");
            false
        }
    }
}

/// The handshake of a subscription: the receiver must echo the challenge.
pub(crate) async fn verify(sandbox: &Sandbox, url: &str, token: &str) -> Result<(), String> {
    let mut random = [0_u8; 4];
    entropy::fill(&mut random);
    let challenge = u32::from_le_bytes(random).to_string();
    let mut url = url::Url::parse(url).map_err(|error| format!("the URL is malformed: {error}"))?;
    url.query_pairs_mut()
        .append_pair("hub.mode", "subscribe")
        .append_pair("hub.challenge", &challenge)
        .append_pair("hub.verify_token", token);
    let request = Request::get(url.as_str())
        .header(USER_AGENT, "facebookplatform/1.0")
        .body(Full::default())
        .map_err(|error| error.to_string())?;
    let (status, body) = sandbox.0.webhook_client.send(request).await?;
    if status == StatusCode::OK && body.trim_ascii() == challenge.as_bytes() {
        return Ok(());
    }
    Err(format!("the receiver answered {status} instead of the challenge"))
}
