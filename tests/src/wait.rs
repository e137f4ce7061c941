//! Waiting for a condition. The limit only says when a test gives up: nothing is judged by time.

use std::time::{Duration, Instant};

/// How long a test waits before it says that something does not happen.
pub const LIVENESS: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(15);

/// Asks again until `look` finds something.
///
/// # Panics
/// Where that does not happen within [`LIVENESS`].
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < LIVENESS {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(POLL).await;
    }
    panic!("within {} s there was not: {what}", LIVENESS.as_secs());
}
