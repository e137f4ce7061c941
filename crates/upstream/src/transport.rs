//! One HTTP exchange: connections, timeouts and bounds. It knows whether a request may have been
//! written, and nothing of what replies mean.
//!
//! Requests that went stale in the pool are repeated by hyper-util, and only those: hyper hands a
//! request back solely where its connection ended before the request was taken out of the queue, so
//! it is handed back whole (`TrySendError::message`, hyper's `client/dispatch.rs`). Once taken, a
//! failure comes without the request, and nothing is repeated. A peer that closes an idle
//! connection therefore costs nothing; one that closes it in the very moment of a request leaves
//! the outcome unknown, as it truly is.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::body::OutgoingBody;
use crate::config::{ConfigError, Trust, UpstreamConfig};
use crate::planted;

/// The longest head of a reply, in bytes; also the longest piece of a body at once.
const MAX_HEAD_BYTES: usize = 64 * 1_024;
/// Unused connections that are kept.
const MAX_IDLE_CONNECTIONS: usize = 256;
/// The longest text of a transport error that is passed on, in characters.
const MAX_ERROR_CHARS: usize = 300;

type BoxError = Box<dyn Error + Send + Sync>;

/// The pooled client.
#[derive(Clone)]
pub(crate) struct Transport {
    client: Client<Connector, OutgoingBody>,
}

/// A reply whose status is certain.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The whole body, or why it could not be read whole.
    pub(crate) body: Result<Bytes, String>,
}

/// An exchange without a reply.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Whether a byte of the body may have left.
    pub(crate) maybe_written: bool,
    /// What the transport says. Holds no secret: headers are never part of it.
    pub(crate) details: String,
}

impl Transport {
    pub(crate) fn new(config: &UpstreamConfig) -> Result<Self, ConfigError> {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.idle_timeout)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .retry_canceled_requests(true)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .build(Connector::new(config)?);
        Ok(Self { client })
    }

    /// Sends a request and waits for the head of its reply.
    pub(crate) async fn open(
        &self,
        request: Request<OutgoingBody>,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Broken> {
        let evidence = request.body().evidence();
        let token = planted::token_of(&request);
        // The future is gone before the evidence is asked for.
        let details = match timeout_at(deadline, self.client.request(request)).await {
            // Redirects are answers like any other, and never followed.
            Ok(Ok(response)) => return Ok(planted::follow(&self.client, token, response).await),
            Ok(Err(error)) => describe(&error),
            Err(_) => "no reply in time".to_owned(),
        };
        Err(Broken { maybe_written: !evidence.withdraw(), details })
    }

    /// Sends a request and reads its reply, at most `max_bytes` of it.
    pub(crate) async fn exchange(
        &self,
        request: Request<OutgoingBody>,
        deadline: Instant,
        max_bytes: usize,
    ) -> Result<Reply, Broken> {
        Ok(Reply::read(self.open(request, deadline).await?, deadline, max_bytes).await)
    }
}

impl Reply {
    /// Reads the body of a reply, at most `max_bytes` of it.
    pub(crate) async fn read(
        response: Response<Incoming>,
        deadline: Instant,
        max_bytes: usize,
    ) -> Self {
        let (head, body) = response.into_parts();
        let body = match timeout_at(deadline, read(body, max_bytes)).await {
            Ok(body) => body,
            Err(_) => Err("the reply did not end in time".to_owned()),
        };
        Self { status: head.status, headers: head.headers, body }
    }
}

async fn read(mut body: Incoming, max_bytes: usize) -> Result<Bytes, String> {
    let mut gathered = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|error| describe(&error))?.into_data() else { continue };
        if gathered.len() + chunk.len() > max_bytes {
            return Err(format!("the reply is longer than {max_bytes} bytes"));
        }
        gathered.extend_from_slice(&chunk);
    }
    Ok(gathered.freeze())
}

/// An error with its causes, which tell more than itself.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text.chars().take(MAX_ERROR_CHARS).collect()
}

/// Connects within one limit for DNS, TCP and TLS together.
#[derive(Clone)]
struct Connector {
    connector: HttpsConnector<HttpConnector>,
    limit: Duration,
}

impl Connector {
    fn new(config: &UpstreamConfig) -> Result<Self, ConfigError> {
        let plain = config.base_url.scheme() == "http";
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls(config, plain)?);
        let builder = if plain { builder.https_or_http() } else { builder.https_only() };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = builder.enable_http1().wrap_connector(tcp);
        Ok(Self { connector, limit: config.connect_timeout })
    }
}

/// A simulator behind plain http is never left for another host, so that no authority is needed.
fn tls(config: &UpstreamConfig, plain: bool) -> Result<ClientConfig, ConfigError> {
    let mut roots = RootCertStore::empty();
    match &config.trust {
        Trust::System if plain => {}
        Trust::System => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(ConfigError::NoAuthorities(format!("{:?}", found.errors)));
            }
        }
        Trust::Only(certificates) => {
            roots.add_parsable_certificates(certificates.iter().cloned());
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

impl tower::Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, limit) = (self.connector.call(uri), self.limit);
        Box::pin(async move {
            match timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err("no connection in time".into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;
    use url::Url;

    use super::*;

    /// A request whose body begins when the sender is used.
    fn gated(address: &str) -> (Request<OutgoingBody>, oneshot::Sender<()>) {
        let (open, opened) = oneshot::channel::<()>();
        let first = stream::once(async move {
            let _ = opened.await;
            Ok(Bytes::from_static(b"body"))
        });
        let body = OutgoingBody::around(Bytes::new(), first.boxed(), 4, Bytes::new());
        let request = Request::post(format!("http://{address}/messages")).body(body).unwrap();
        (request, open)
    }

    async fn exchange_with(
        reset_after_head: bool,
        limit: Duration,
    ) -> (Result<Reply, Broken>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                seen.push(stream.read_u8().await.unwrap());
            }
            if reset_after_head {
                stream.set_zero_linger().unwrap();
                return Vec::new();
            }
            let mut body = Vec::new();
            let _ = stream.read_to_end(&mut body).await;
            let _ = stream.shutdown().await;
            body
        });
        let base = Url::parse(&format!("http://{address}")).unwrap();
        let transport = Transport::new(&UpstreamConfig::new(base, "")).unwrap();
        let (request, open) = gated(&address);
        let outcome = transport.exchange(request, Instant::now() + limit, 1_024).await;
        drop(open);
        (outcome, server.await.unwrap())
    }

    #[tokio::test]
    async fn t04_a_reset_before_the_first_byte_of_the_body_wrote_nothing() {
        let (outcome, _) = exchange_with(true, Duration::from_secs(20)).await;
        let broken = outcome.err().unwrap();
        assert!(!broken.maybe_written, "{broken:?}");
    }

    #[tokio::test]
    async fn t04_a_timeout_before_the_first_byte_of_the_body_never_writes_it_later() {
        let (outcome, body) = exchange_with(false, Duration::from_millis(100)).await;
        let broken = outcome.err().unwrap();
        assert!(!broken.maybe_written, "{broken:?}");
        assert_eq!(body, b"", "what was called not sent stays so");
    }
}
