//! The simulation's own control: with a bug planted, each where a protection stands, it must find a
//! sequence that violates a rule, and soon. One after the other, for a bug is planted in the whole
//! process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::thread::available_parallelism;

use waypost_planted::{Bug, plant};
use waypost_sim::{Plan, Stage, campaign};

/// Sequences within which each bug must show.
const ENOUGH: u64 = 3_000;

/// Bugs that a simulation must see.
const BUGS: &[Bug] = &[
    Bug::NoIntent,
    Bug::AcceptAnsweredEarly,
    Bug::ReadThenWriteIdempotency,
    Bug::ForgetIdempotency,
    Bug::UnknownCountsAsNotSent,
    Bug::ResendWithoutWaiting,
    Bug::StatusLeavesResend,
    Bug::DuplicateUnflagged,
    Bug::RestartRepeatsOpen,
    Bug::EarlyStatusDropped,
    Bug::ParkedStatusForgotten,
    Bug::TokenIgnored,
    Bug::StatusFalls,
    Bug::LateAnswerOverwrites,
    Bug::WebhookBeforeStore,
    Bug::InboundTwice,
    Bug::MarkBeforeCallbacks,
    Bug::PersonInParallel,
    Bug::QueueNotWoken,
];

#[test]
fn every_planted_bug_is_seen() {
    let threads = available_parallelism().unwrap().get();
    let stage = Stage::new();
    let mut unseen = Vec::new();
    for bug in BUGS {
        plant(Some(*bug));
        let campaign = campaign::run(&stage, Plan::new, 1, ENOUGH, threads);
        plant(None);
        match campaign.failed {
            Some((seed, violations)) => {
                let (played, rule) = (campaign.counts.sequences, violations[0].rule);
                println!("{}: seed {seed} violates {rule}, {played} played", bug.name());
            }
            None => unseen.push(bug.name()),
        }
    }
    assert!(unseen.is_empty(), "not seen: {unseen:?}");
}
