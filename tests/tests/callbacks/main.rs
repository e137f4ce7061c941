//! Callbacks end to end: what arrives, how often, in what order, at receivers that are killed, slow
//! or unwilling, with the gateway's clock moved through the sandbox; signatures judged by the
//! Standard Webhooks project's own library.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helpers may fail the test"
)]

mod kill;
mod notices;
mod notify;
mod order;
mod refused;
mod replay;
mod rig;
mod secrets;
mod stream;
mod unwilling;
