//! Use cases and the delivery machinery: accept, schedule, pace, send, record.
//!
//! It owns the ports it needs and knows no wire format, no SQL, no HTTP.

pub mod directory;
pub mod keys;
pub mod ports;
mod token;
pub mod vault;
