//! A small HTTP client for addresses that the operator chose: the gateway itself, the upstream and
//! the public address. It follows no redirect and repeats nothing. Addresses that tenants choose are
//! the business of the egress crate.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use url::Url;

use crate::config::Secret;

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// How long a stream may bring nothing: longer than the pause between two signs of life.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

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

/// An answer that is read while it comes, or whole where it is none of success.
pub(crate) enum Opened {
    /// Success: what comes.
    Stream(Lines),
    /// Anything else.
    Answer(Answer),
}

/// The lines of an answer that goes on.
pub(crate) struct Lines {
    body: Incoming,
    /// What has come of lines that were not handed on yet.
    rest: BytesMut,
}

impl Lines {
    /// What comes next, whatever it is; `None` at the end of the answer.
    ///
    /// # Errors
    /// A broken connection, or silence.
    pub(crate) async fn piece(&mut self) -> anyhow::Result<Option<Bytes>> {
        if !self.rest.is_empty() {
            return Ok(Some(self.rest.split().freeze()));
        }
        let frame = tokio::time::timeout(SILENCE_LIMIT, self.body.frame()).await;
        let frame = frame.map_err(|_| anyhow!("the gateway has fallen silent"))?;
        let frame = frame.transpose().context("the connection broke")?;
        Ok(frame.map(|frame| frame.into_data().unwrap_or_default()))
    }

    /// The next line without its end; `None` at the end of the answer.
    ///
    /// # Errors
    /// A broken connection, silence, or a line without end.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end + 1);
                let text = String::from_utf8_lossy(&line);
                return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
            }
            if self.rest.len() > MAX_ANSWER_BYTES {
                bail!("a line is longer than {MAX_ANSWER_BYTES} bytes");
            }
            let frame = tokio::time::timeout(SILENCE_LIMIT, self.body.frame()).await;
            let frame = frame.map_err(|_| anyhow!("the gateway has fallen silent"))?;
            match frame.transpose().context("the connection broke")? {
                Some(frame) => self.rest.extend_from_slice(&frame.into_data().unwrap_or_default()),
                None => return Ok(None),
            }
        }
    }
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

    /// Makes one call whose answer goes on for as long as it likes. The time limit is for its head.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn open(
        &self,
        call: Call<'_>,
        accept: &'static str,
    ) -> anyhow::Result<Opened> {
        let origin = call.url.origin().ascii_serialization();
        let mut request = build(call)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        let began = async {
            let (head, body) = self.inner.request(request).await?.into_parts();
            if head.status.is_success() {
                return Ok(Opened::Stream(Lines { body, rest: BytesMut::new() }));
            }
            Ok(Opened::Answer(Answer { status: head.status, body: read_whole(body).await? }))
        };
        let within = tokio::time::timeout(self.time_limit, began).await;
        within
            .unwrap_or_else(|_| Err(anyhow!("it took too long")))
            .with_context(|| format!("no answer from {origin}"))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let (head, body) = self.inner.request(request).await?.into_parts();
        Ok(Answer { status: head.status, body: read_whole(body).await? })
    }
}

/// Whether a call failed because what answered showed a certificate that is not trusted for the name.
pub(crate) fn is_untrusted(error: &anyhow::Error) -> bool {
    error.chain().any(|mut cause| {
        // What an I/O error was made of is not among its sources.
        while let Some(inner) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            cause = inner;
        }
        matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
    })
}

async fn read_whole(body: Incoming) -> anyhow::Result<Bytes> {
    let read = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            anyhow!("the answer is longer than {MAX_ANSWER_BYTES} bytes")
        } else {
            anyhow!(error)
        }
    })?;
    Ok(read.to_bytes())
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
