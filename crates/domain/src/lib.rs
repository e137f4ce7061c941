//! Values and rules of WhatsApp business messaging: what a phone number, a template, a window or a
//! status ladder is. No I/O, no async, no clock: every function gets the time it needs as a value.

pub mod api_key;
pub mod backlog;
pub mod call;
pub mod callback;
pub mod command;
pub mod content;
pub mod customer;
pub mod directory;
pub mod event;
pub mod failure;
pub mod idempotency;
pub mod ids;
pub mod manage;
pub mod media;
pub mod message;
pub mod pacing;
pub mod phone;
pub mod place;
pub mod retry;
pub mod status;
pub mod template;
pub mod time;
pub mod unknown;
pub mod window;

pub use content::{Content, MediaRef, MediaSource};
pub use failure::{ErrorKind, Failure, UpstreamFault};
pub use ids::{
    ApiKeyId, AttemptId, BroadcastId, CustomerId, EventId, MediaId, MessageId, NumberId, OrgId,
    ProviderId, UserId, WebhookId,
};
pub use phone::Phone;
pub use status::Status;
pub use time::{Timestamp, Zone};
