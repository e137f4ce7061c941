//! The rig of the end-to-end tests: the real binary on free ports and a fresh folder, clients for its
//! faces, and stand-ins for what surrounds it (a scripted Cloud API, a host of media files). It judges
//! nothing: a rig that cannot do its part panics, and the test ends there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    reason = "a rig that cannot do its part ends the test"
)]

pub mod binary;
pub mod campaign;
pub mod chaos_proxy;
pub mod client;
pub mod files;
pub mod fixture;
pub mod lipachat;
pub mod media_host;
pub mod mock_upstream;
pub mod power;
pub mod programs;
pub mod receiver;
pub mod sandbox;
pub mod shell;
pub mod signing;
pub mod tenant;
pub mod wait;
pub mod waypost;
pub mod webex;
pub mod wire;

pub use client::{Api, Reply};
pub use media_host::MediaHost;
pub use mock_upstream::{MockUpstream, Seen};
pub use receiver::Receiver;
pub use sandbox::Sandbox;
pub use wait::eventually;
pub use waypost::{Options, Waypost};
