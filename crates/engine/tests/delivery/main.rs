//! The engine over the real store and real files, with an upstream that answers by script and a
//! clock that stands still.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod batches;
mod bounds;
mod broadcasts;
mod bystanders;
mod callbacks;
mod callers;
mod changed_webhooks;
mod clock_jumps;
mod consents;
mod crash;
mod departures;
mod flows;
mod idempotency;
mod inbound;
mod joins;
mod media;
mod moving_up;
mod notices;
mod opt_outs;
mod options;
mod pacing;
mod queue;
mod receivers;
mod reconcile;
mod refused_addresses;
mod retries;
mod rig;
mod scripted;
mod senders;
mod sends;
mod signers;
mod statuses;
mod stop;
mod submissions;
mod told_in_order;
mod waited_for;
mod windows;
mod wrong_hour;
