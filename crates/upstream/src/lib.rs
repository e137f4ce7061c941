//! The client of Meta's Cloud API and the reader of its webhooks. Only here are Meta's wire forms
//! known, and only here is decided what a failed call means: sent, certainly not sent, or unknown.
//!
//! It retries nothing, paces nothing and stores nothing: those are the engine's.

mod account;
mod body;
mod client;
mod config;
mod fault;
mod flows;
mod form;
mod media;
mod planted;
mod reply;
mod samples;
mod send;
mod transport;
mod usage;
pub mod webhook;

pub use client::CloudApi;
pub use config::{ConfigError, Trust, UpstreamConfig};
