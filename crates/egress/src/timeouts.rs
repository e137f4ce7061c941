//! Time limits of one request and their enforcement.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::{EgressError, Phase};

/// Longest time for resolving one name.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Ceiling of every total time, whatever the caller asks for.
const MAX_TOTAL: Duration = Duration::from_secs(3600);

/// Time limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For each address tried, and once more for the TLS handshake.
    pub connect: Duration,
    /// From the connection to the end of the answer's head, on each hop.
    pub head: Duration,
    /// Between two pieces of the body, while the caller waits for one.
    pub idle: Duration,
    /// From the call to the end of the body, over all hops; at most an hour.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            head: Duration::from_secs(15),
            idle: Duration::from_secs(15),
            total: Duration::from_secs(120),
        }
    }
}

/// [`Timeouts`] together with the moment at which the total runs out.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    limits: Timeouts,
}

impl Deadline {
    pub(crate) fn starting_now(limits: Timeouts) -> Self {
        Self { at: Instant::now() + limits.total.min(MAX_TOTAL), limits }
    }

    pub(crate) async fn during<T>(
        &self,
        phase: Phase,
        step: impl Future<Output = T>,
    ) -> Result<T, EgressError> {
        let remaining = self.at.saturating_duration_since(Instant::now());
        // A step that is always ready, like a body that never ends, must not outlive the deadline.
        if remaining.is_zero() {
            return Err(EgressError::Timeout(phase));
        }
        timeout(self.limit(phase).min(remaining), step)
            .await
            .map_err(|_| EgressError::Timeout(phase))
    }

    fn limit(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Resolve => RESOLVE_TIMEOUT,
            Phase::Connect | Phase::Tls => self.limits.connect,
            Phase::Head => self.limits.head,
            Phase::Body => self.limits.idle,
        }
    }
}
