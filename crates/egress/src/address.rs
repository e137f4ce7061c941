//! Tells addresses of the public internet from all others.
//!
//! Pure: knows no settings and no names. The ranges are those of IANA's special-purpose
//! registries for IPv4 and IPv6, plus the metadata services of cloud providers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix_len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_len)
}

const fn v6(a: u16, b: u16, c: u16, prefix_len: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix_len)
}

const DENIED_V4: [(Ipv4Net, &str); 17] = [
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "cloud metadata"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "protocol assignments"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

// The names serve the log; whatever lies outside `GLOBAL_UNICAST` is denied in any case.
const DENIED_V6: [(Ipv6Net, &str); 14] = [
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "unspecified"),
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (v6(0, 0, 0, 96), "IPv4-compatible"),
    (v6(0x64, 0xff9b, 1, 48), "local-use NAT64"),
    (v6(0x100, 0, 0, 64), "discard"),
    (v6(0x2001, 0x2, 0, 48), "benchmarking"),
    (v6(0x2001, 0xdb8, 0, 32), "documentation"),
    (v6(0x3ffe, 0, 0, 16), "6bone"),
    (v6(0x3fff, 0, 0, 20), "documentation"),
    (v6(0x5f00, 0, 0, 16), "segment routing"),
    (v6(0xfc00, 0, 0, 7), "unique local"),
    (v6(0xfe80, 0, 0, 10), "link-local"),
    (v6(0xfec0, 0, 0, 10), "site-local"),
    (v6(0xff00, 0, 0, 8), "multicast"),
];

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);
const PROTOCOL_ASSIGNMENTS: Ipv6Net = v6(0x2001, 0, 0, 23);
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);
const TEREDO: Ipv6Net = v6(0x2001, 0, 0, 32);
const ISATAP_MARK: u16 = 0x5efe;
/// The universal and group bits of an interface identifier, which ISATAP leaves free.
const ISATAP_FREE_BITS: u16 = 0x0300;

/// The special-purpose range that keeps `address` from counting as public, `None` for a
/// public one.
///
/// IPv6 spellings that lead to an IPv4 address (mapped, NAT64, 6to4, Teredo, ISATAP) are
/// judged by that address; of the other IPv6 addresses only global unicast (2000::/3) is public.
#[must_use]
pub fn denied_range(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => denied_v4(address),
        IpAddr::V6(address) => denied_v6(address),
    }
}

fn denied_v4(address: Ipv4Addr) -> Option<&'static str> {
    DENIED_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, name)| *name)
}

fn denied_v6(address: Ipv6Addr) -> Option<&'static str> {
    if NAT64.contains(&address) {
        return denied_v4(last_four_bytes(address));
    }
    if let Some((_, name)) = DENIED_V6.iter().find(|(net, _)| net.contains(&address)) {
        return Some(name);
    }
    if !GLOBAL_UNICAST.contains(&address) {
        return Some("not global unicast");
    }
    if PROTOCOL_ASSIGNMENTS.contains(&address) && !TEREDO.contains(&address) {
        return Some("protocol assignments");
    }
    embedded_v4(address).find_map(denied_v4)
}

/// The IPv4 address that a connection to `address` reaches by mapping or NAT64, else `address`.
pub(crate) fn reached(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if NAT64.contains(&v6) => last_four_bytes(v6).into(),
        canonical => canonical,
    }
}

/// All IPv4 addresses that a transition mechanism would read out of `address`.
pub(crate) fn embedded_v4(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let segments = address.segments();
    let from = |at: usize| Ipv4Addr::from_bits(join(segments[at], segments[at + 1]));
    let teredo = TEREDO.contains(&address);
    let isatap = segments[4] & !ISATAP_FREE_BITS == 0 && segments[5] == ISATAP_MARK;
    [
        address.to_ipv4_mapped(),
        NAT64.contains(&address).then(|| from(6)),
        SIX_TO_FOUR.contains(&address).then(|| from(1)),
        // A Teredo address holds its server, and its client with all bits inverted.
        teredo.then(|| from(2)),
        teredo.then(|| Ipv4Addr::from_bits(!join(segments[6], segments[7]))),
        isatap.then(|| from(6)),
    ]
    .into_iter()
    .flatten()
}

fn last_four_bytes(address: Ipv6Addr) -> Ipv4Addr {
    let segments = address.segments();
    Ipv4Addr::from_bits(join(segments[6], segments[7]))
}

fn join(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}
