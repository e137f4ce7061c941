//! From names to addresses. Judges nothing: that is the guard's work.

use std::{
    io,
    net::{IpAddr, ToSocketAddrs},
    sync::Arc,
};

use async_trait::async_trait;
use tokio::{sync::Semaphore, task::spawn_blocking};

/// Threads that may wait for the system's resolver at the same time.
const MAX_LOOKUPS: usize = 32;

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
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl SystemResolver {
    /// A resolver with its own bound on concurrent lookups.
    #[must_use]
    pub fn new() -> Self {
        Self { lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
        let host = host.to_owned();
        spawn_blocking(move || {
            // Held by the thread, not by the caller: a caller that gave up does not free the thread.
            let _permit = permit;
            Ok((host.as_str(), 0).to_socket_addrs()?.map(|found| found.ip()).collect())
        })
        .await
        .map_err(io::Error::other)?
    }
}
