//! Work that goes on by itself once nobody waits for it any more. As long as somebody does, it runs in
//! their task: one of its own would be woken twice for each request, and cost a place to live.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TrackedFuture;

/// Runs to its end even if who waits for it goes away, at the latest as soon as they have gone. On the
/// heap: as large as such work is, moving it about would cost more than the rest.
pub(crate) struct Detached<F: Future<Output: Send> + Send + 'static> {
    /// `None` once it has ended, be it by a panic.
    work: Option<Pin<Box<TrackedFuture<F>>>>,
}

impl<F: Future<Output: Send> + Send + 'static> Detached<F> {
    /// Work that `tracker` knows of until its end.
    pub(crate) fn new(work: F, tracker: &TaskTracker) -> Self {
        Self { work: Some(Box::pin(tracker.track_future(work))) }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Detached<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // A future that has ended is not asked again.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Detached<F> {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        // Without a runtime the process is at its end.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::{Notify, oneshot};
    use tokio::time::timeout;

    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Work that ends once it is told to, and how it is told and tells.
    fn work() -> (impl Future<Output = ()>, Arc<Notify>, oneshot::Receiver<()>) {
        let go = Arc::new(Notify::new());
        let (told, (tells, hears)) = (Arc::clone(&go), oneshot::channel());
        let work = async move {
            told.notified().await;
            let _ = tells.send(());
        };
        (work, go, hears)
    }

    #[tokio::test]
    async fn it_goes_on_when_nobody_waits_any_more() {
        for polled_before in [false, true] {
            let tracker = TaskTracker::new();
            let (work, go, ended) = work();
            let mut detached = Detached::new(work, &tracker);
            if polled_before {
                let waited = timeout(Duration::ZERO, &mut detached).await;
                assert!(waited.is_err());
            }
            drop(detached);
            tracker.close();
            assert!(timeout(Duration::ZERO, tracker.wait()).await.is_err(), "it still runs");
            go.notify_one();
            assert_eq!(timeout(PATIENCE, ended).await, Ok(Ok(())), "{polled_before}");
            timeout(PATIENCE, tracker.wait()).await.expect("nothing runs any more");
        }
    }

    #[tokio::test]
    async fn who_waits_gets_what_comes_of_it_and_it_runs_once() {
        let tracker = TaskTracker::new();
        let (work, go, ended) = work();
        let detached = Detached::new(work, &tracker);
        go.notify_one();
        timeout(PATIENCE, detached).await.expect("it ends");
        assert_eq!(ended.await, Ok(()));
        tracker.close();
        timeout(PATIENCE, tracker.wait()).await.expect("nothing runs any more");
    }

    #[tokio::test]
    async fn a_panic_is_its_waiters_and_it_is_not_run_again() {
        let tracker = TaskTracker::new();
        let broken = Detached::new(async { panic!("broken") }, &tracker);
        let waiting = tokio::spawn(broken);
        assert!(timeout(PATIENCE, waiting).await.unwrap().unwrap_err().is_panic());
        tracker.close();
        timeout(PATIENCE, tracker.wait()).await.expect("nothing runs any more");
    }
}
