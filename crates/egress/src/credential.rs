//! A media provider's credential and the hosts it is meant for.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;
use url::{Host, Url};

use crate::{EgressError, guard::host_of};

/// What proves to a media host that it may hand out the file. `Debug` shows the hosts only.
#[derive(Clone)]
pub struct Credential {
    /// Hosts that may see it: names or addresses, each with an optional `:port`. A name
    /// stands for itself, not for the names below it; without a port it stands for all ports.
    pub allowed_hosts: Vec<String>,
    /// The secret.
    pub authorization: Authorization,
}

/// The secret of a [`Credential`]. `Debug` shows its kind only.
#[derive(Clone)]
pub enum Authorization {
    /// `Authorization: Bearer …`
    Bearer(String),
    /// `Authorization: Basic …`
    Basic {
        /// User name, without a colon.
        user: String,
        /// Password.
        password: String,
    },
    /// The header's whole value, ready made.
    Value(String),
}

impl Credential {
    pub(crate) fn check_host(&self, url: &Url) -> Result<(), EgressError> {
        if self.allows(url) {
            return Ok(());
        }
        Err(EgressError::CredentialHostNotAllowed { host: host_of(url) })
    }

    /// Whether it may still be sent after a redirect from one URL to another: to the same
    /// host only, and never from https to http or to another service on another port.
    pub(crate) fn survives(&self, from: &Url, to: &Url) -> bool {
        let same_service = from.scheme() == to.scheme()
            && from.port_or_known_default() == to.port_or_known_default();
        let upgraded = from.scheme() == "http"
            && to.scheme() == "https"
            && (from.port(), to.port()) == (None, None);
        from.host() == to.host() && (same_service || upgraded) && self.allows(to)
    }

    fn allows(&self, url: &Url) -> bool {
        self.allowed_hosts.iter().any(|entry| names(entry, url))
    }
}

impl Authorization {
    pub(crate) fn header(&self) -> Result<HeaderValue, EgressError> {
        let text = match self {
            Self::Bearer(token) => format!("Bearer {token}"),
            Self::Value(value) => value.clone(),
            Self::Basic { user, password } => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
            }
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| EgressError::InvalidCredential)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn names(entry: &str, url: &Url) -> bool {
    let (host, port) = split_port(entry.trim());
    if port.is_some_and(|port| url.port_or_known_default() != Some(port)) {
        return false;
    }
    let wanted = Host::parse(host).map(|host| host.to_string());
    let actual = host_of(url);
    wanted.is_ok_and(|wanted| wanted.trim_end_matches('.') == actual.trim_end_matches('.'))
}

fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().map_or((entry, None), |port| (host, Some(port)))
        }
        _ => (entry, None),
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("allowed_hosts", &self.allowed_hosts)
            .field("authorization", &self.authorization)
            .finish()
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(redacted)",
            Self::Basic { .. } => "Basic(redacted)",
            Self::Value(_) => "Value(redacted)",
        })
    }
}
