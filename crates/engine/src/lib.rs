//! Use cases and the delivery machinery: accept, schedule, pace, send, record.
//!
//! It owns the ports it needs and knows no wire format, no SQL, no HTTP.

pub mod ports;
