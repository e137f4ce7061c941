//! One HTTP/1.1 exchange over one connection to a checked address. Judges no address.

use std::{io, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::OnceCell,
    task::{JoinSet, spawn_blocking},
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::{EgressError, Phase, timeouts::Deadline};

/// Longest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most header lines in an answer.
const MAX_HEADERS: usize = 100;
/// Most bytes of an answer that wait in memory, and so the longest piece of a body.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// A connection's byte stream.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Opens connections; the tests put their own in its place.
#[async_trait]
pub(crate) trait Dial: Send + Sync {
    async fn dial(&self, target: SocketAddr) -> io::Result<Box<dyn Wire>>;
}

/// Connections over TCP.
pub(crate) struct TcpDial;

#[async_trait]
impl Dial for TcpDial {
    async fn dial(&self, target: SocketAddr) -> io::Result<Box<dyn Wire>> {
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}

/// The first of `targets` that accepts a connection, in their order.
pub(crate) async fn connect(
    dial: &dyn Dial,
    targets: &[SocketAddr],
    deadline: &Deadline,
) -> Result<Box<dyn Wire>, EgressError> {
    let mut failure = EgressError::Timeout(Phase::Connect);
    for target in targets {
        match deadline.during(Phase::Connect, dial.dial(*target)).await {
            Ok(Ok(wire)) => return Ok(wire),
            Ok(Err(refused)) => failure = EgressError::Connect(refused),
            Err(timeout) => failure = timeout,
        }
    }
    Err(failure)
}

/// The client's side of TLS; the platform's root certificates are read at the first use.
pub(crate) struct Tls {
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    pub(crate) fn with_platform_roots() -> Self {
        Self { config: OnceCell::new() }
    }

    pub(crate) fn with_config(config: Arc<ClientConfig>) -> Self {
        Self { config: OnceCell::new_with(Some(config)) }
    }

    pub(crate) async fn handshake(
        &self,
        wire: Box<dyn Wire>,
        url: &Url,
        deadline: &Deadline,
    ) -> Result<Box<dyn Wire>, EgressError> {
        let name = server_name(url)?;
        let config = self.config.get_or_try_init(platform_config).await?;
        let connector = TlsConnector::from(Arc::clone(config));
        let secured = deadline.during(Phase::Tls, connector.connect(name, wire)).await?;
        Ok(Box::new(secured.map_err(EgressError::Tls)?))
    }
}

async fn platform_config() -> Result<Arc<ClientConfig>, EgressError> {
    let loaded = spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(io::Error::other("this machine has no trusted root certificates"));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    });
    loaded.await.map_err(io::Error::other).and_then(|config| config).map_err(EgressError::Tls)
}

fn server_name(url: &Url) -> Result<ServerName<'static>, EgressError> {
    match url.host() {
        Some(Host::Domain(name)) => {
            ServerName::try_from(name.to_owned()).map_err(|_| EgressError::InvalidUrl("wrong host"))
        }
        Some(Host::Ipv4(address)) => Ok(ServerName::IpAddress(address.into())),
        Some(Host::Ipv6(address)) => Ok(ServerName::IpAddress(address.into())),
        None => Err(EgressError::InvalidUrl("no host")),
    }
}

/// The head of an answer, and its body still to be read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodyReader,
}

/// Sends one request and waits for the head of the answer.
pub(crate) async fn exchange(
    wire: Box<dyn Wire>,
    request: Request<Full<Bytes>>,
    deadline: Deadline,
) -> Result<Answer, EgressError> {
    let (mut sender, connection) = open(wire, &deadline).await?;
    let answer = deadline.during(Phase::Head, sender.send_request(request)).await?;
    let answer = answer.map_err(head_fault)?;
    let (head, incoming) = answer.into_parts();
    let body = BodyReader { incoming, deadline, _connection: connection };
    Ok(Answer { status: head.status, headers: head.headers, body })
}

/// Begins to speak HTTP/1.1. Dropping the second part closes the connection.
pub(crate) async fn open(
    wire: Box<dyn Wire>,
    deadline: &Deadline,
) -> Result<(http1::SendRequest<Full<Bytes>>, JoinSet<()>), EgressError> {
    let mut connection = JoinSet::new();
    let handshake = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER_BYTES)
        .max_header_size(MAX_HEAD_BYTES)
        .handshake(TokioIo::new(wire));
    let spoken = deadline.during(Phase::Head, handshake).await?;
    let (sender, driver) = spoken.map_err(head_fault)?;
    connection.spawn(async {
        if let Err(fault) = driver.await {
            tracing::debug!(%fault, "a connection to a tenant's address ended with an error");
        }
    });
    Ok((sender, connection))
}

pub(crate) fn head_fault(fault: hyper::Error) -> EgressError {
    if fault.is_parse() { EgressError::Protocol(fault) } else { EgressError::ConnectionLost(fault) }
}

/// Reads a body piece by piece; dropping it closes the connection.
pub(crate) struct BodyReader {
    incoming: Incoming,
    deadline: Deadline,
    _connection: JoinSet<()>,
}

impl BodyReader {
    /// A body that comes over a connection kept elsewhere.
    pub(crate) fn of(incoming: Incoming, deadline: Deadline) -> Self {
        Self { incoming, deadline, _connection: JoinSet::new() }
    }

    /// The length in bytes that the head announced.
    pub(crate) fn announced_bytes(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// The next piece, `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, EgressError>> {
        let frame = match self.deadline.during(Phase::Body, self.incoming.frame()).await {
            Ok(frame) => frame?,
            Err(timeout) => return Some(Err(timeout)),
        };
        // Trailers are the last frame there is, and nobody asked for them.
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => Some(Ok(data)),
            Ok(Err(_trailers)) => None,
            Err(fault) => Some(Err(EgressError::Body(fault))),
        }
    }
}
