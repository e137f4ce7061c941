//! Every row of the Pepipost reference's table of test cases (§12), end to end: the real binary, the
//! sandbox as its upstream, a receiver of the vendor's webhooks. Beside the table: the organisation's
//! strict opt-in (§7.3), template information (§10), and the seed document's own bodies.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

mod consents;
mod desk;
mod files;
mod forms;
mod inbound;
mod outages;
mod outcomes;
mod seed;
mod table;
mod templates;
