//! A small HTTP client for addresses that the operator chose: the gateway itself, the upstream and
//! the public address. It follows no redirect and repeats nothing. Addresses that tenants choose are
//! the business of the egress crate.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use url::Url;

use crate::config::Secret;

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Calls addresses of the operator's choice.
pub(crate) struct HttpClient {
    inner: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    time_limit: Duration,
}

/// What is asked.
pub(crate) struct Call<'a> {
    /// The method.
    pub(crate) method: Method,
    /// The whole address.
    pub(crate) url: Url,
    /// Sent as a bearer token.
    pub(crate) bearer: Option<&'a Secret>,
    /// The body with its type.
    pub(crate) body: Option<(&'static str, Bytes)>,
}

impl Call<'_> {
    /// A GET without credential.
    pub(crate) const fn get(url: Url) -> Self {
        Self { method: Method::GET, url, bearer: None, body: None }
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The body, whole.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON, if it is any.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl HttpClient {
    /// A client that gives each call this much time, and trusts the platform's root certificates.
    ///
    /// # Errors
    /// Where the TLS library refuses its own defaults.
    pub(crate) fn new(time_limit: Duration) -> anyhow::Result<Self> {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls_config()?)
            .https_or_http()
            .enable_all_versions()
            .build();
        Ok(Self { inner: Client::builder(TokioExecutor::new()).build(connector), time_limit })
    }

    /// Makes one call.
    ///
    /// # Errors
    /// No answer: not reachable, too slow, too long, or no HTTP. Any status is an answer.
    pub(crate) async fn call(&self, call: Call<'_>) -> anyhow::Result<Answer> {
        let origin = call.url.origin().ascii_serialization();
        let request = build(call)?;
        match tokio::time::timeout(self.time_limit, self.exchange(request)).await {
            Ok(answer) => answer.with_context(|| format!("no answer from {origin}")),
            Err(_) => {
                Err(anyhow!("no answer from {origin} within {} s", self.time_limit.as_secs()))
            }
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let (head, body) = self.inner.request(request).await?.into_parts();
        let read = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                anyhow!("the answer is longer than {MAX_ANSWER_BYTES} bytes")
            } else {
                anyhow!(error)
            }
        })?;
        Ok(Answer { status: head.status, body: read.to_bytes() })
    }
}

fn build(call: Call<'_>) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut request = Request::builder()
        .method(call.method)
        .uri(call.url.as_str())
        .header(ACCEPT, "application/json, application/problem+json")
        .header(USER_AGENT, concat!("waypost/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = call.bearer {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| anyhow!("the key holds characters that no HTTP header may hold"))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let body = match call.body {
        Some((content_type, body)) => {
            request = request.header(CONTENT_TYPE, content_type);
            body
        }
        None => Bytes::new(),
    };
    Ok(request.body(Full::new(body))?)
}

fn tls_config() -> anyhow::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    // A machine without root certificates can still call plain http.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
