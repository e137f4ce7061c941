//! The whole router over a real engine and a real store, with an upstream that accepts everything.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cognitive_complexity,
    reason = "a test may fail at any of its steps"
)]

mod backups;
mod callbacks;
mod changes;
mod connections;
mod examples;
mod isolation;
mod places;
mod refusals;
mod rig;
mod room;
mod surface;
mod webhooks;
mod windows;
