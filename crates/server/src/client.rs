//! Who calls: the peer's address after trusted proxies, networks that a key may be used from.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// What stands before the IPv4 address in its IPv6 form, `::ffff:0:0/96`.
const MAPPED_PREFIX_BITS: u8 = 96;

/// The connection's other end, put into each request by the listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The caller's address, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// The address; `None` where there is no connection (calls inside a process).
    pub(crate) ip: Option<IpAddr>,
    /// Whether a proxy that is not trusted says that it forwards for somebody else.
    pub(crate) behind_unknown_proxy: bool,
}

impl Client {
    /// Judges a request. Only proxies in `trusted` are believed; of a chain of them, the nearest
    /// address that is not trusted counts.
    pub(crate) fn of(peer: Option<Peer>, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let Some(Peer(address)) = peer else {
            return Self { ip: None, behind_unknown_proxy: false };
        };
        let peer_ip = address.ip().to_canonical();
        let is_trusted = |ip: &IpAddr| trusted.iter().any(|network| network.contains(ip));
        let forwarded =
            headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
        if !is_trusted(&peer_ip) {
            return Self { ip: Some(peer_ip), behind_unknown_proxy: forwarded };
        }
        let mut ip = peer_ip;
        for hop in hops(headers).into_iter().rev() {
            // What cannot be read was not written by a proxy of ours: nothing beyond it counts.
            let Some(hop) = hop else { break };
            ip = hop;
            if !is_trusted(&hop) {
                break;
            }
        }
        Self { ip: Some(ip), behind_unknown_proxy: false }
    }

    /// Whether the call certainly comes from this machine.
    pub(crate) fn is_local(self) -> bool {
        !self.behind_unknown_proxy && self.ip.is_some_and(|ip| ip.is_loopback())
    }

    /// Whether a key restricted to these networks may be used from here; none: from anywhere.
    pub(crate) fn is_within(self, networks: &[String]) -> bool {
        networks.is_empty()
            || self.ip.is_some_and(|ip| {
                networks.iter().filter_map(|text| parse_network(text)).any(|net| net.contains(&ip))
            })
    }
}

fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(|hop| parse_hop(hop.trim()))
        .collect()
}

/// An address as proxies write it: bare, with a port, in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let ip = hop
        .parse()
        .or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()))
        .or_else(|_| hop.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>())
        .ok()?;
    Some(ip.to_canonical())
}

/// A network in CIDR form, or a single address. One of IPv4 addresses written as IPv6 is that of
/// IPv4, as callers' addresses are.
#[must_use]
pub fn parse_network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let mapped_bits = network.prefix_len().checked_sub(MAPPED_PREFIX_BITS);
    match (network.addr().to_canonical(), mapped_bits) {
        (ip @ IpAddr::V4(_), Some(bits)) if network.addr().is_ipv6() => IpNet::new(ip, bits).ok(),
        _ => Some(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> Client {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        Client::of(Some(Peer(peer.parse().unwrap())), &headers, &trusted)
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let own = &["10.0.0.0/8", "127.0.0.1/32"][..];
        for (peer, forwarded, trusted, ip) in [
            ("198.51.100.1:9", &[][..], own, "198.51.100.1"),
            ("198.51.100.1:9", &["127.0.0.1"], own, "198.51.100.1"),
            ("127.0.0.1:9", &["203.0.113.7"], own, "203.0.113.7"),
            ("127.0.0.1:9", &["6.6.6.6, 203.0.113.7, 10.1.1.1"], own, "203.0.113.7"),
            ("127.0.0.1:9", &["6.6.6.6", "203.0.113.7"], own, "203.0.113.7"),
            ("127.0.0.1:9", &["10.1.1.1"], own, "10.1.1.1"),
            ("127.0.0.1:9", &["garbage, 10.1.1.1"], own, "10.1.1.1"),
            ("127.0.0.1:9", &["[2001:db8::1]:55"], own, "2001:db8::1"),
            ("[::ffff:127.0.0.1]:9", &["203.0.113.7"], own, "203.0.113.7"),
            ("127.0.0.1:9", &["203.0.113.7"], &[], "127.0.0.1"),
        ] {
            let found = client(peer, forwarded, trusted).ip.unwrap();
            assert_eq!(found, ip.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_proxy_on_this_machine_does_not_make_its_callers_local() {
        assert!(client("127.0.0.1:9", &[], &[]).is_local());
        assert!(client("[::1]:9", &[], &[]).is_local());
        assert!(!client("127.0.0.1:9", &["203.0.113.7"], &[]).is_local());
        assert!(!client("127.0.0.1:9", &["203.0.113.7"], &["127.0.0.1/32"]).is_local());
        assert!(!client("198.51.100.1:9", &[], &[]).is_local());
    }

    #[test]
    fn a_key_may_be_bound_to_networks() {
        let networks = ["203.0.113.0/24".to_owned(), "2001:db8::7".to_owned()];
        assert!(client("203.0.113.9:1", &[], &[]).is_within(&networks));
        assert!(client("[2001:db8::7]:1", &[], &[]).is_within(&networks));
        assert!(!client("198.51.100.1:1", &[], &[]).is_within(&networks));
        assert!(client("198.51.100.1:1", &[], &[]).is_within(&[]));
        for (mapped, peer, is_within) in [
            ("::ffff:10.0.0.0/104", "10.1.2.3:1", true),
            ("::ffff:10.0.0.0/104", "[::ffff:10.1.2.3]:1", true),
            ("::ffff:10.0.0.0/104", "11.1.2.3:1", false),
            ("::ffff:203.0.113.7", "203.0.113.7:1", true),
            ("::ffff:0:0/96", "203.0.113.7:1", true),
            ("::ffff:0:0/96", "[2001:db8::7]:1", false),
        ] {
            assert_eq!(
                client(peer, &[], &[]).is_within(&[mapped.to_owned()]),
                is_within,
                "{mapped}"
            );
        }
        let unknown = Client { ip: None, behind_unknown_proxy: false };
        assert!(!unknown.is_within(&networks));
    }
}
