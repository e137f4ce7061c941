//! Why a request to a tenant's address was refused or failed.
//!
//! The texts may be shown to tenants: they name hosts and settings, never credentials,
//! paths, query strings or the addresses a name resolved to.

use std::{fmt, io};

/// Outcome of a request that brought no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// Not an absolute URL that can be requested; says why.
    #[error("the address is not a valid URL: {0}")]
    InvalidUrl(&'static str),
    /// Another scheme than http and https, or http where only https is allowed.
    #[error("{}", scheme_text(*.http_setting))]
    SchemeNotAllowed {
        /// The setting that would allow plain http, when that is what was refused.
        http_setting: Option<&'static str>,
    },
    /// `user:password@` in the URL.
    #[error("the address must not contain a user name or password")]
    UserinfoNotAllowed,
    /// A local name, or an address (one of several is enough) outside the public internet.
    #[error(
        "`{host}` is not on the public internet; the operator can permit its network with \
         egress.allow_networks"
    )]
    PrivateAddress {
        /// The host as it stands in the URL.
        host: String,
    },
    /// The name has no address or the resolver failed.
    #[error("the host name `{host}` could not be resolved")]
    Resolve {
        /// The host as it stands in the URL.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address of the host accepted a connection; the last failure.
    #[error("could not connect to the server: {}", .0.kind())]
    Connect(#[source] io::Error),
    /// The TLS handshake failed, or no trusted root certificates were found.
    #[error("no secure connection: {0}")]
    Tls(io::Error),
    /// A step took longer than allowed.
    #[error("timed out while {0}")]
    Timeout(Phase),
    /// The connection broke before the head of the answer was complete.
    #[error("the connection broke before the server answered")]
    ConnectionLost(#[source] hyper::Error),
    /// The answer is not HTTP/1.1, or its head is larger than allowed.
    #[error("the server did not answer in valid HTTP")]
    Protocol(#[source] hyper::Error),
    /// More redirects than a download follows.
    #[error("the server redirected more than {limit} times")]
    TooManyRedirects {
        /// How many are followed.
        limit: usize,
    },
    /// A redirect without a readable `Location`.
    #[error("the server redirected without saying where to")]
    RedirectWithoutLocation,
    /// The server answered with another status than success.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// The file is larger than the caller's limit.
    #[error("the file is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The caller's limit.
        limit_bytes: u64,
    },
    /// The file came with a content coding although none was asked for.
    #[error("the server sent the file compressed although that was not asked for")]
    ContentEncoded,
    /// The credential is not meant for this host.
    #[error("the credential may not be sent to `{host}`")]
    CredentialHostNotAllowed {
        /// The host as it stands in the URL.
        host: String,
    },
    /// The credential holds characters that no HTTP header can carry.
    #[error("the credential cannot be written as an HTTP header")]
    InvalidCredential,
    /// The body ended early or was malformed.
    #[error("the file could not be read to its end")]
    Body(#[source] hyper::Error),
}

/// The step during which a time limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Resolving the host name.
    Resolve,
    /// Opening the connection.
    Connect,
    /// Agreeing on TLS.
    Tls,
    /// Sending the request and waiting for the head of the answer.
    Head,
    /// Reading the body.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the host name",
            Self::Connect => "connecting",
            Self::Tls => "agreeing on a secure connection",
            Self::Head => "waiting for the answer",
            Self::Body => "reading the body",
        })
    }
}

fn scheme_text(http_setting: Option<&'static str>) -> String {
    match http_setting {
        Some(setting) => {
            format!("the address must begin with https:// (http is off: {setting})")
        }
        None => "the address must begin with https:// or http://".to_owned(),
    }
}
