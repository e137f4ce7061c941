//! The promises of docs/reliability.md against the running binary, in short: kills, stops, broken
//! connections, bad disks, power cuts, and much of everything. Beside each check stands its control: the same check on a
//! gateway with a planted bug must find something.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

mod disks;
mod kills;
mod links;
mod much;
mod power;
mod stops;

/// A check found nothing.
#[track_caller]
fn assert_kept(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

/// A control found what was planted: something with one of these words.
#[track_caller]
fn assert_caught(bug: &str, violations: &[String], words: &[&str]) {
    let is_it = |what: &String| words.iter().any(|word| what.contains(word));
    assert!(violations.iter().any(is_it), "{bug} was not caught:\n{}", violations.join("\n"));
}
