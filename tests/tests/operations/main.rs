//! What operators do: backup and restore, retention, reading off how the installation stands, and
//! what becomes of a damaged disk. Each check counts what went wrong, and has a control with its bug
//! planted that it must find.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

mod backup;
mod bit_rot;
mod observing;
mod retention;
mod rig;
