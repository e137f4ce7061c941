//! The simulation's short run: thousands of seeded sequences and ten thousand orders of reports, and
//! that a seed replays.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::thread::available_parallelism;

use waypost_sim::campaign::{self, Campaign};
use waypost_sim::{Plan, Stage, permutations};

/// Sequences of the short run.
const SEQUENCES: u64 = 5_000;
/// Orders of reports.
const ORDERS: u64 = 10_000;
/// Sequences that are played twice.
const REPLAYED: u64 = 300;

fn played(plan: fn(u64) -> Plan, first: u64, count: u64) -> Campaign {
    campaign::run(&Stage::new(), plan, first, count, available_parallelism().unwrap().get())
}

#[track_caller]
fn assert_nothing_violated(campaign: &Campaign, option: &str) {
    let seed = campaign.failed.as_ref().map(|(seed, _)| *seed).unwrap_or_default();
    let failed = &campaign.failed;
    assert!(failed.is_none(), "{failed:#?}; see it with: cargo xtask sim --seed {seed}{option}");
}

#[test]
fn nothing_is_lost_doubled_or_told_wrongly_whatever_fails() {
    let campaign = played(Plan::new, 1, SEQUENCES);
    assert_nothing_violated(&campaign, "");
    assert_eq!(campaign.counts.sequences, SEQUENCES);
    // It went where it is dangerous.
    assert!(campaign.counts.processes > SEQUENCES * 3 / 2, "{:?}", campaign.counts);
    assert!(campaign.counts.unknown > SEQUENCES / 3, "{:?}", campaign.counts);
}

#[test]
fn reports_in_any_order_end_in_the_right_status_and_none_is_dropped() {
    let campaign = played(permutations::plan, 1, ORDERS / permutations::ORDERS_PER_PLAN);
    assert_nothing_violated(&campaign, " --permutations");
    assert_eq!(campaign.counts.messages, ORDERS);
}

#[test]
fn a_seed_replays_bit_for_bit_on_any_number_of_threads() {
    let first = played(Plan::new, 1, REPLAYED);
    let again = campaign::run(&Stage::new(), Plan::new, 1, REPLAYED, 1);
    assert_eq!(first.digest, again.digest);
    let stage = Stage::new();
    let (one, other) = (stage.play(&Plan::new(7)), stage.play(&Plan::new(7)));
    assert_eq!(one.trace.lines(), other.trace.lines());
    assert_ne!(one.trace.digest(), stage.play(&Plan::new(8)).trace.digest());
}
