//! The client as other crates hold it: the guard, the way to a checked address, and the head of
//! each request. What is asked and what of the answer is kept is told by downloads and callbacks.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Full;
use rustls::ClientConfig;
use url::{Position, Url};

use crate::{
    EgressError, EgressPolicy, Purpose, Resolve,
    connection::{Dial, TcpDial, Tls, Wire, connect},
    guard::Guard,
    kept::Kept,
    timeouts::Deadline,
};

const USER_AGENT: &str = concat!("waypost/", env!("CARGO_PKG_VERSION"));

/// HTTP client for addresses that tenants choose.
pub struct Egress {
    pub(crate) guard: Guard,
    pub(crate) dial: Arc<dyn Dial>,
    tls: Tls,
    pub(crate) kept: Kept,
}

impl Egress {
    /// A client under the operator's `policy`, which trusts the platform's root certificates.
    #[must_use]
    pub fn new(policy: EgressPolicy, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            guard: Guard::new(policy, resolver),
            dial: Arc::new(TcpDial),
            tls: Tls::with_platform_roots(),
            kept: Kept::default(),
        }
    }

    /// The same client with a TLS configuration of its own: a private authority, or a test's.
    #[must_use]
    pub fn with_tls_config(mut self, config: Arc<ClientConfig>) -> Self {
        self.tls = Tls::with_config(config);
        self
    }

    /// Judges `url` as it is spelled, without any network: scheme, host, user name, literal
    /// address, local name. What its name resolves to is checked when it is requested.
    ///
    /// # Errors
    /// [`EgressError::InvalidUrl`], [`EgressError::SchemeNotAllowed`],
    /// [`EgressError::UserinfoNotAllowed`], [`EgressError::PrivateAddress`].
    pub fn check_url(&self, url: &str, purpose: Purpose) -> Result<Url, EgressError> {
        self.guard.check_url(url, purpose)
    }

    /// A connection to a checked address of a URL that passed [`Self::check_url`].
    pub(crate) async fn wire_to(
        &self,
        asker: &str,
        url: &Url,
        deadline: &Deadline,
    ) -> Result<Box<dyn Wire>, EgressError> {
        let targets = self.guard.vetted(asker, url, deadline).await?;
        let wire = connect(self.dial.as_ref(), &targets, deadline).await?;
        if url.scheme() == "https" {
            return self.tls.handshake(wire, url, deadline).await;
        }
        Ok(wire)
    }
}

/// A request for `url` as it leaves. Whether the connection stays open is the caller's to say.
pub(crate) fn build(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, EgressError> {
    let host = HeaderValue::try_from(&url[Position::BeforeHost..Position::AfterPort])
        .map_err(|_| EgressError::InvalidUrl("wrong host"))?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = url[Position::BeforePath..Position::AfterQuery]
        .parse()
        .map_err(|_| EgressError::InvalidUrl("wrong path"))?;
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    // Framing is this client's business, whatever the caller was told to send along.
    for framing in [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TE,
        header::UPGRADE,
    ] {
        headers.remove(framing);
    }
    headers.insert(header::HOST, host);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    Ok(request)
}
