//! A simulation of the gateway under faults: the real engine, the real store's jobs, and an upstream,
//! callers, people and receivers that are made up, all of it on one thread and on a clock of its own.
//! A seed decides everything: what is asked, what fails, who goes on when, and where the process
//! dies. So a seed that shows a fault shows it again, and a plan can be cut down to the steps that
//! matter.
//!
//! It does not look at sockets, syncs and files: other checks start the real binary for those.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a simulation that cannot do its part ends there"
)]

mod ask;
mod audit;
pub mod campaign;
mod chance;
mod furniture;
mod gateway;
mod judge;
mod news;
pub mod permutations;
pub mod plan;
mod play;
pub mod shorten;
mod store;
mod surroundings;
mod trace;
mod upstream;
mod world;

pub use chance::Chance;
pub use plan::Plan;
pub use play::{Counts, Played, Stage};
pub use trace::Trace;

/// When every sequence begins, in Unix milliseconds.
const NOON_MS: i64 = 1_800_000_000_000;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's name.
    pub rule: &'static str,
    /// What is wrong.
    pub detail: String,
}
