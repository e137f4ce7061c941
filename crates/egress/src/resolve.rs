//! From names to addresses. Judges nothing: that is the guard's work.

use std::{
    io,
    net::{IpAddr, ToSocketAddrs},
    thread,
};

use async_trait::async_trait;
use tokio::sync::oneshot;

/// Finds the addresses of a host name.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, in the order in which they should be tried.
    ///
    /// # Errors
    /// When the name does not exist or the lookup failed.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver (hosts file, DNS).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let (answer, answered) = oneshot::channel();
        let host = host.to_owned();
        // A thread of its own, not the runtime's: that one would wait at a stop until DNS gives up.
        thread::Builder::new().name("resolve".to_owned()).spawn(move || {
            let found = (host.as_str(), 0).to_socket_addrs();
            let _ = answer.send(found.map(|found| found.map(|place| place.ip()).collect()));
        })?;
        answered.await.map_err(io::Error::other)?
    }
}
