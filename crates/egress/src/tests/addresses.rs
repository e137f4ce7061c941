//! The address classifier by itself, at the borders of its ranges and over random addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::rig::ip;
use crate::denied_range;

/// First and last address of each denied IPv4 range.
const V4_RANGES: &[(&str, &str)] = &[
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("168.63.129.16", "168.63.129.16"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "255.255.255.255"),
];

fn spellings(v4: Ipv4Addr) -> [IpAddr; 6] {
    let bits = v4.to_bits();
    let (high, low) = ((bits >> 16) as u16, (bits & 0xffff) as u16);
    [
        v4.into(),
        v4.to_ipv6_mapped().into(),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low).into(),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1).into(),
        Ipv6Addr::new(0x2001, 0, 0x808, 0x808, 0, 0, !high, !low).into(),
        Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0x200, 0x5efe, high, low).into(),
    ]
}

#[test]
fn the_borders_of_every_ipv4_range_are_exact_in_every_spelling() {
    for (first, last) in V4_RANGES {
        let [first, last] = [first, last].map(|text| text.parse::<Ipv4Addr>().unwrap());
        for inside in [first, last].into_iter().flat_map(spellings) {
            assert!(denied_range(inside).is_some(), "{inside}");
        }
        let before = first.to_bits().checked_sub(1);
        let after = last.to_bits().checked_add(1);
        for outside in [before, after].into_iter().flatten().map(Ipv4Addr::from_bits) {
            for spelled in spellings(outside) {
                assert_eq!(denied_range(spelled), None, "{spelled}");
            }
        }
    }
}

#[test]
fn the_borders_of_the_ipv6_ranges_are_exact() {
    let borders = [
        ("1fff:ffff:ffff:ffff::1", false),
        ("2000::1", true),
        ("2001:1ff:ffff::1", false),
        ("2001:200::", true),
        ("2001:db7:ffff::1", true),
        ("2001:db8::", false),
        ("2001:db8:ffff:ffff::1", false),
        ("2001:db9::1", true),
        ("3ffd:ffff::1", true),
        ("3ffe::1", false),
        ("3fff:fff:ffff::1", false),
        ("3fff:1000::", true),
        ("3fff:ffff:ffff::1", true),
        ("4000::", false),
    ];
    for (address, public) in borders {
        assert_eq!(denied_range(ip(address)).is_none(), public, "{address}");
    }
}

#[test]
fn every_spelling_of_a_random_ipv4_address_has_the_same_verdict() {
    // A multiplicative walk over all of IPv4: the same addresses on every run.
    let mut bits = 1_u32;
    for _ in 0..100_000 {
        bits = bits.wrapping_mul(2_654_435_769).wrapping_add(12_345);
        let verdicts = spellings(Ipv4Addr::from_bits(bits)).map(denied_range);
        assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{bits:#x} {verdicts:?}");
    }
}
