//! The only HTTP client for addresses that tenants choose: media links and callbacks.
//!
//! A tenant's address must not become a way into the operator's own network, so every
//! address is judged as it is spelled, its name is resolved once, *all* resolved addresses
//! are checked, and the connection goes to a checked one while `Host` and SNI keep the name.
//! Redirects of downloads are followed for a few hops, each judged anew; callbacks follow none.
//!
//! Not here: retries, signing, content types and their sniffing, storage of what was fetched,
//! proxies from the environment, decompression.

mod address;
mod client;
mod connection;
mod credential;
mod error;
mod fetch;
mod guard;
mod kept;
mod lookups;
mod planted;
mod post;
mod resolve;
#[cfg(test)]
mod tests;
mod timeouts;

pub use address::denied_range;
pub use client::Egress;
pub use credential::{Authorization, Credential};
pub use error::{EgressError, Phase};
pub use fetch::{BodyStream, FetchRequest, FetchResponse, MAX_REDIRECTS};
pub use guard::{EgressPolicy, MAX_URL_BYTES, Purpose};
pub use post::{MAX_REPLY_BYTES, PostResponse};
pub use resolve::{Resolve, SystemResolver};
pub use timeouts::Timeouts;
