//! Peers that mean ill, over real sockets: connections that dawdle (T22), bodies that nobody should
//! have to read (T24), an upstream that answers nonsense (T35), webhooks that are not Meta's.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

mod bodies;
mod peers;
mod upstream;
mod webhooks;

use waypost_tests::Waypost;

/// Host and port of a gateway.
fn address(waypost: &Waypost) -> String {
    waypost.url().trim_start_matches("http://").to_owned()
}

/// A line of `/proc/…/status` in MiB, such as `VmRSS` or `VmHWM`.
fn memory_mib(waypost: &Waypost, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", waypost.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    let kib: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    kib / 1_024
}
