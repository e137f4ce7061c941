//! The management API `/waypost/v1`: what an operator or a tenant's own software manages. JSON in
//! and out, problems as refusals, cursors for lists. Each handler names its organisation and its
//! scope in its signature; nothing is reached without them.

mod access;
mod ask;
mod assets;
mod backups;
mod broadcasts;
mod callbacks;
mod customers;
mod events;
mod examples;
mod fields;
mod filter_words;
mod idempotency;
mod import;
mod input;
mod keys;
mod media;
mod media_object;
mod message_object;
mod message_options;
mod messages;
mod numbers;
mod openapi;
mod orgs;
mod paging;
mod providers;
pub(crate) mod queues;
mod sessions;
mod strict_json;
mod strict_value;
mod sweeps;
mod template_object;
mod templates;
mod traffic_views;
mod users;
mod views;
mod webhooks;

pub(crate) use openapi::routes;
