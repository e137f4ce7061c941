//! Pure codecs between vendor wire formats and the engine's commands.
//!
//! A dialect knows one vendor's JSON, words, limits and error bodies, and nothing else: no I/O, no
//! clock, no directory, no retry. [`contract`] says what it must offer, [`registry`] lists those
//! there are, [`json`] is the reader they share. Whoever serves a dialect (routes, credentials,
//! body limits, idempotency) lives in another crate and is written once for all of them.
//!
//! A new vendor is one folder beside `replyhero/` and one line in [`registry::DIALECTS`]:
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | the [`contract::Info`], the routes, and the wiring of the files below |
//! | `wire.rs` | the vendor's words and reply bodies; nothing outside it knows them |
//! | `decode.rs` or `decode/` | request → [`contract::Command`], or the first failing check |
//! | `encode.rs` | [`contract::Outcome`] → reply |
//! | `errors.rs` | [`waypost_domain::Failure`] → reply, one exhaustive `match` |
//! | `fixtures/*.json` | replies byte for byte, written from the vendor's documents |
//! | `tests/` | the reference's table of test cases |

#[cfg(test)]
mod changed_json;
pub mod contract;
#[cfg(test)]
mod expected;
mod explanation;
pub mod json;
mod link;
pub mod lipachat;
pub mod pepipost;
pub mod proof;
pub mod registry;
pub mod replyhero;
pub mod samples;
pub mod shapes;
pub mod webex_connect;

pub use contract::{
    Asked, Body, BodyKind, Broadcast, Call, Command, CommandEcho, ConsentEcho, Credential, Dialect,
    ErrorSite, Form, FormFile, FormParts, IdempotencyScope, Info, JsonTypes, Manage, Managed,
    Operation, Outcome, Reply, Request, Route, SendMessage, Submission, Submit, Task, UploadMedia,
    WireZone,
};
pub use registry::{DIALECTS, SHAPES};
