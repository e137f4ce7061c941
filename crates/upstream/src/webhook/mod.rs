//! Meta's webhooks: whose they are ([`Verifier`], [`handshake`]) and what they say ([`parse`]).
//!
//! The order is fixed: the signature is verified over the raw bytes, they are stored, and only
//! then is anything parsed. De-duplication and order are the store's.

mod codec;
mod event;
mod parse;
mod signature;

pub use codec::Codec;
pub use event::{Event, InboundEvent, StatusEvent, TemplateEvent};
pub use parse::{Unreadable, parse};
pub use signature::{SignatureError, Verifier, handshake};

/// The longest webhook body that is taken, in bytes. Meta's are at most 3 MB.
pub const MAX_BODY_BYTES: usize = 4 * 1_024 * 1_024;
