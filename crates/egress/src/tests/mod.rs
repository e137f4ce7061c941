//! Tests over real sockets on loopback; those of time limits over in-memory streams and a
//! paused clock. `spellings` is the table of hostile addresses, `rig` the servers.

mod addresses;
mod bodies;
mod callbacks;
mod credentials;
mod kept;
mod lookups;
mod rebinding;
mod redirects;
mod rig;
mod spellings;
mod ssrf;
mod time_limits;
mod tls;
mod urls;
