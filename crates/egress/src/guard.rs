//! Decides which addresses may be reached: first by the URL's spelling, then by what its
//! name resolves to. Opens no connection.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use url::{Host, Url};

use crate::{
    EgressError, Phase, Resolve,
    address::{denied_range, embedded_v4, reached},
    lookups::Lookups,
    planted::Planted,
    timeouts::Deadline,
};

/// Longest URL that is looked at, in bytes.
pub const MAX_URL_BYTES: usize = 8192;
/// Longest host name DNS can carry, in bytes.
const MAX_HOST_BYTES: usize = 253;
/// How many of a name's addresses are tried; all of them are checked.
const MAX_ADDRESSES_TRIED: usize = 8;

const LOCAL_NAMES: [&str; 5] = ["localhost", "localdomain", "local", "internal", "home.arpa"];

/// The operator's settings (`egress.*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Networks that may be reached although they are not public. While there is none,
    /// local names are refused without asking the resolver.
    pub allow_networks: Vec<IpNet>,
    /// Whether callbacks may go over plain http.
    pub allow_http_callbacks: bool,
    /// Whether links may be fetched over plain http.
    pub allow_http_links: bool,
}

impl Default for EgressPolicy {
    fn default() -> Self {
        Self { allow_networks: Vec::new(), allow_http_callbacks: false, allow_http_links: true }
    }
}

/// What a tenant's address is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Events are posted to it.
    Callback,
    /// A file is fetched from it.
    Link,
}

/// The judge of addresses.
pub(crate) struct Guard {
    policy: EgressPolicy,
    lookups: Lookups,
    #[cfg(test)]
    pub(crate) planted: Option<Planted>,
}

impl Guard {
    pub(crate) fn new(policy: EgressPolicy, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            policy,
            lookups: Lookups::new(resolver),
            #[cfg(test)]
            planted: None,
        }
    }

    pub(crate) fn check_url(&self, url: &str, purpose: Purpose) -> Result<Url, EgressError> {
        if url.len() > MAX_URL_BYTES {
            return Err(EgressError::InvalidUrl("too long"));
        }
        // Parsers differ in what they make of these, so nobody could say what was checked.
        if url.chars().any(char::is_control) {
            return Err(EgressError::InvalidUrl("control character"));
        }
        let url = Url::parse(url).map_err(invalid)?;
        self.check_target(&url, purpose)?;
        Ok(url)
    }

    /// The target of a redirect from `from`, judged like an address given by the tenant.
    pub(crate) fn check_redirect(&self, from: &Url, location: &str) -> Result<Url, EgressError> {
        let target = from.join(location).map_err(invalid)?;
        if self.planted(Planted::RedirectUnchecked) {
            return Ok(target);
        }
        self.check_url(target.as_str(), Purpose::Link)
    }

    fn check_target(&self, url: &Url, purpose: Purpose) -> Result<(), EgressError> {
        self.check_scheme(url, purpose)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::UserinfoNotAllowed);
        }
        let permitted = match url.host() {
            None => return Err(EgressError::InvalidUrl("no host")),
            Some(Host::Domain(name)) => {
                check_length(name)?;
                !self.policy.allow_networks.is_empty() || !is_local_name(name)
            }
            Some(Host::Ipv4(address)) => self.permits(address.into()),
            Some(Host::Ipv6(address)) => self.permits(address.into()),
        };
        if permitted { Ok(()) } else { Err(private(url)) }
    }

    fn check_scheme(&self, url: &Url, purpose: Purpose) -> Result<(), EgressError> {
        let (http_allowed, setting) = match purpose {
            Purpose::Callback => (self.policy.allow_http_callbacks, "egress.allow_http_callbacks"),
            Purpose::Link => (self.policy.allow_http_links, "egress.allow_http_links"),
        };
        match url.scheme() {
            "https" => Ok(()),
            "http" if http_allowed => Ok(()),
            "http" => Err(EgressError::SchemeNotAllowed { http_setting: Some(setting) }),
            _ => Err(EgressError::SchemeNotAllowed { http_setting: None }),
        }
    }

    /// Where to connect for `url`: its name is resolved once and every address checked.
    pub(crate) async fn vetted(
        &self,
        asker: &str,
        url: &Url,
        deadline: &Deadline,
    ) -> Result<Vec<SocketAddr>, EgressError> {
        let mut found = self.resolved(asker, url, deadline).await?;
        let checked = if self.planted(Planted::FirstAddressOnly) { 1 } else { found.len() };
        if !found.iter().take(checked).all(|target| self.permits(target.ip()))
            && !self.planted(Planted::RedirectUnchecked)
        {
            return Err(private(url));
        }
        if self.planted(Planted::ResolvedAgainAtConnect) {
            found = self.resolved(asker, url, deadline).await?;
        }
        found.truncate(MAX_ADDRESSES_TRIED);
        // A mapped address is dialled as the IPv4 address it was judged by.
        found.iter_mut().for_each(|target| target.set_ip(target.ip().to_canonical()));
        Ok(found)
    }

    async fn resolved(
        &self,
        asker: &str,
        url: &Url,
        deadline: &Deadline,
    ) -> Result<Vec<SocketAddr>, EgressError> {
        let addresses = match url.host() {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            Some(Host::Domain(name)) => {
                let answer =
                    deadline.during(Phase::Resolve, self.lookups.resolve(asker, name)).await?;
                answer
                    .and_then(at_least_one)
                    .map_err(|source| EgressError::Resolve { host: host_of(url), source })?
            }
            None => return Err(EgressError::InvalidUrl("no host")),
        };
        let port = url.port_or_known_default().ok_or(EgressError::InvalidUrl("no port"))?;
        Ok(addresses.into_iter().map(|address| (address, port).into()).collect())
    }

    fn permits(&self, address: IpAddr) -> bool {
        let Some(range) = denied_range(address) else {
            return true;
        };
        if self.planted(Planted::EmbeddedAddressTrusted)
            && matches!(address, IpAddr::V6(v6) if embedded_v4(v6).next().is_some())
        {
            return true;
        }
        let allowed = self
            .policy
            .allow_networks
            .iter()
            .any(|net| net.contains(&address) || net.contains(&reached(address)));
        if !allowed {
            tracing::debug!(range, "an address outside the public internet was refused");
        }
        allowed
    }

    #[cfg(test)]
    pub(crate) fn planted(&self, fault: Planted) -> bool {
        self.planted == Some(fault)
    }

    #[cfg(not(test))]
    pub(crate) const fn planted(&self, _fault: Planted) -> bool {
        false
    }
}

pub(crate) fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

fn private(url: &Url) -> EgressError {
    EgressError::PrivateAddress { host: host_of(url) }
}

fn invalid(fault: url::ParseError) -> EgressError {
    use url::ParseError as Fault;
    EgressError::InvalidUrl(match fault {
        Fault::RelativeUrlWithoutBase | Fault::RelativeUrlWithCannotBeABaseBase => {
            "it must begin with https:// or http://"
        }
        Fault::EmptyHost => "no host",
        Fault::InvalidPort => "wrong port",
        Fault::InvalidIpv4Address | Fault::InvalidIpv6Address => "wrong IP address",
        _ => "wrong host",
    })
}

fn check_length(name: &str) -> Result<(), EgressError> {
    if name.len() > MAX_HOST_BYTES {
        return Err(EgressError::InvalidUrl("host name too long"));
    }
    Ok(())
}

fn at_least_one(addresses: Vec<IpAddr>) -> io::Result<Vec<IpAddr>> {
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

/// Names that no public DNS answers: without a dot, or under a domain kept for local use.
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let under = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    !name.contains('.') || LOCAL_NAMES.iter().any(|local| name == *local || under(local))
}
