//! Nets for panics. What panics is a bug of ours; it costs the one thing that was worked on, which
//! is told so, and holds up nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Engine;

/// Rest before what panicked begins anew.
const REST: Duration = Duration::from_secs(1);
/// What is told of whatever panicked.
pub const BUG: &str = "a bug of the gateway's: please report it with the log's panic";

/// Runs work; `None` where it panics.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

/// Runs what waits for nothing; `None` where it panics.
pub fn caught_now<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

impl Engine {
    /// Runs something until it is cancelled: where it panics, it begins anew.
    pub(crate) fn keep<F>(
        &self,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
        work: impl Fn(Self, CancellationToken) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let (engine, cancel) = (self.clone(), cancel.clone());
        tasks.spawn(async move {
            kept(&cancel, || work(engine.clone(), cancel.clone())).await;
        });
    }
}

async fn kept<F: Future<Output = ()>>(cancel: &CancellationToken, work: impl Fn() -> F) {
    while caught(work()).await.is_none() {
        tracing::error!("what runs in the background begins anew after {BUG}");
        if cancel.run_until_cancelled(tokio::time::sleep(REST)).await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_panics_begins_anew_until_it_ends() {
        let began = Cell::new(0);
        let work = || async {
            began.set(began.get() + 1);
            assert!(began.get() > 2, "planted");
        };
        kept(&CancellationToken::new(), work).await;
        assert_eq!(began.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_panics_after_it_was_cancelled_ends() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        kept(&cancel, || async { panic!("planted") }).await;
    }
}
