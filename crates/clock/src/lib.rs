//! The one source of time. Everything that waits or compares instants asks a [`Clock`], so that a
//! test can move time without sleeping, the sandbox can advance its virtual days while the gateway
//! in the same process sees the same hour, and a wall clock that somebody sets ends nothing early.
//!
//! It knows no calendar and no zone: instants are milliseconds since the Unix epoch.

mod dice;
mod steady;

pub use dice::{dice, mixed, seed_dice};

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::steady::{Reading, Steady};

/// The longest that a timer is trusted, in milliseconds: it stands while the machine sleeps.
const LONGEST_NAP_MS: u64 = 60_000;
/// The same of a runtime's own time: a far deadline must not overflow the timer.
const LONGEST_RUNTIME_NAP_MS: u64 = 86_400_000;

/// A shared clock. Clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    offset_ms: AtomicI64,
    keeper: Option<Keeper>,
    /// Told whenever the offset changes, so that sleepers look again, in the order in which they came.
    moved: Notify,
}

/// Is told how far the clock will be from its source, in milliseconds.
struct Keeper(Mutex<Box<dyn FnMut(i64) + Send>>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

#[derive(Debug)]
enum Source {
    System(Steady),
    /// Stands still until it is advanced.
    Manual(i64),
    /// Goes as the timers of the runtime go, which in a simulation are not those of the machine.
    Runtime {
        start_ms: i64,
        started: Instant,
    },
}

impl Clock {
    /// The hour that the machine's wall clock shows now, and from then on the time that passes. A wall
    /// clock that is set later is approached slowly; a new process shows its hour at once.
    #[must_use]
    pub fn system() -> Self {
        Self::with(Source::System(Steady::begin(Reading::now())))
    }

    /// As [`Clock::system`], but `ahead_ms` milliseconds ahead of it. Before each move, `keep` is told
    /// how far it will be ahead then: what it has written down outlives the process, and the clock of
    /// the next one begins there. One call at a time, on the thread of whoever moves the clock, who
    /// waits for it.
    #[must_use]
    pub fn kept(ahead_ms: i64, keep: impl FnMut(i64) + Send + 'static) -> Self {
        Self(Arc::new(Inner {
            source: Source::System(Steady::begin(Reading::now())),
            offset_ms: AtomicI64::new(ahead_ms),
            keeper: Some(Keeper(Mutex::new(Box::new(keep)))),
            moved: Notify::new(),
        }))
    }

    /// A clock that stands at `start_ms` (Unix milliseconds) and moves only by [`Clock::advance`].
    #[must_use]
    pub fn manual(start_ms: i64) -> Self {
        Self::with(Source::Manual(start_ms))
    }

    /// A clock that shows `start_ms` (Unix milliseconds) now and goes with the timers of the runtime
    /// in which it is made: where those are paused, time passes only while everybody waits.
    #[must_use]
    pub fn of_runtime(start_ms: i64) -> Self {
        Self::with(Source::Runtime { start_ms, started: Instant::now() })
    }

    fn with(source: Source) -> Self {
        let (offset_ms, moved) = (AtomicI64::new(0), Notify::new());
        Self(Arc::new(Inner { source, offset_ms, keeper: None, moved }))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        let base = match &self.0.source {
            Source::System(steady) => steady.now_ms(Reading::now()),
            Source::Manual(start_ms) => *start_ms,
            Source::Runtime { start_ms, started } => {
                let passed_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
                start_ms.saturating_add(passed_ms)
            }
        };
        base.saturating_add(self.0.offset_ms.load(Ordering::Acquire))
    }

    /// The hour as the machine's wall clock has it at this instant, for what others compare with their
    /// own clocks: however far this clock was moved. Not for spans: it may be set on or back at any
    /// time. A clock that has no machine shows its own hour.
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        match self.0.source {
            Source::System(_) => Reading::now().wall_ms(),
            Source::Manual(_) | Source::Runtime { .. } => self.now_ms(),
        }
    }

    /// How far the machine's wall clock is ahead of the time that this one goes by, in milliseconds:
    /// not 0 after it was set. That this clock was moved does not count.
    #[must_use]
    pub fn wall_ahead_ms(&self) -> i64 {
        match &self.0.source {
            Source::System(steady) => {
                let reading = Reading::now();
                reading.wall_ms().saturating_sub(steady.now_ms(reading))
            }
            Source::Manual(_) | Source::Runtime { .. } => 0,
        }
    }

    /// Moves this clock and all its clones forward and wakes who sleeps on it.
    pub fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shift(by_ms);
    }

    /// Sets this clock and all its clones back, as an operator or a time server does. Whoever sleeps
    /// on it sleeps so much longer.
    pub fn set_back(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shift(-by_ms);
    }

    fn shift(&self, by_ms: i64) {
        let mut keep = self.0.keeper.as_ref().map(|keeper| keeper.0.lock());
        if let Some(keep) = &mut keep {
            // First: nobody may note an hour that a crash takes back.
            keep(self.0.offset_ms.load(Ordering::Acquire).saturating_add(by_ms));
        }
        self.0.offset_ms.fetch_add(by_ms, Ordering::AcqRel);
        drop(keep);
        self.0.moved.notify_waiters();
    }

    /// Waits for a span of this clock's time.
    pub async fn sleep(&self, span: Duration) {
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.sleep_until(self.now_ms().saturating_add(span_ms)).await;
    }

    /// Waits until this clock shows `deadline_ms` or later.
    pub async fn sleep_until(&self, deadline_ms: i64) {
        loop {
            // Waits from here on: a move after the look is not missed.
            let mut moved = pin!(self.0.moved.notified());
            moved.as_mut().enable();
            let left_ms = deadline_ms.saturating_sub(self.now_ms());
            let Ok(left_ms @ 1..) = u64::try_from(left_ms) else { return };
            let longest_ms = match self.0.source {
                Source::Manual(_) => {
                    moved.await;
                    continue;
                }
                Source::System(_) => LONGEST_NAP_MS,
                Source::Runtime { .. } => LONGEST_RUNTIME_NAP_MS,
            };
            let nap = Duration::from_millis(left_ms.min(longest_ms));
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(Instant::now() + nap) => {}
                () = moved => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_the_clock_is_advanced() {
        let clock = Clock::manual(1_000);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(Duration::from_secs(3_600)).await;
                clock.now_ms()
            }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(1_800));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished(), "half the time has passed");
        clock.advance(Duration::from_secs(1_800));
        assert_eq!(sleeper.await.unwrap(), 3_601_000);
    }

    #[tokio::test]
    async fn a_deadline_in_the_past_does_not_wait() {
        let clock = Clock::manual(5_000);
        clock.sleep_until(4_000).await;
        assert_eq!(clock.now_ms(), 5_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_runtimes_clock_goes_with_its_timers_and_can_be_moved() {
        let clock = Clock::of_runtime(1_000);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(clock.now_ms(), 6_000);
        clock.sleep_until(9_000).await;
        assert_eq!(clock.now_ms(), 9_000);
        clock.advance(Duration::from_secs(60));
        clock.set_back(Duration::from_secs(20));
        assert_eq!(clock.now_ms(), 49_000);
        clock.sleep(Duration::from_secs(2)).await;
        assert_eq!(clock.now_ms(), 51_000);
    }

    #[tokio::test]
    async fn a_system_clock_can_be_moved_too() {
        let clock = Clock::system();
        let before = clock.now_ms();
        clock.advance(Duration::from_secs(90_000));
        assert!(clock.now_ms() >= before + 90_000_000);
        clock.sleep_until(before + 90_000_000).await;
    }

    #[test]
    fn a_clock_that_was_moved_or_began_ahead_leaves_the_machines_hour_alone() {
        const HOUR_MS: i64 = 3_600_000;
        for clock in [Clock::system(), Clock::kept(90_000_000, |_| {})] {
            let machine_ms = Clock::system().now_ms();
            clock.advance(Duration::from_secs(90_000));
            assert!((clock.wall_ms() - machine_ms).abs() < HOUR_MS);
            assert!(clock.wall_ahead_ms().abs() < HOUR_MS);
        }
        let manual = Clock::manual(1_000);
        manual.advance(Duration::from_secs(90_000));
        assert_eq!((manual.wall_ms(), manual.wall_ahead_ms()), (90_001_000, 0));
    }

    #[test]
    fn a_kept_clock_tells_how_far_it_will_be_before_it_is_there() {
        let shown: Arc<OnceLock<Clock>> = Arc::default();
        let told: Arc<Mutex<Vec<(i64, i64)>>> = Arc::default();
        let clock = Clock::kept(90_000_000, {
            let (shown, told) = (Arc::clone(&shown), Arc::clone(&told));
            move |ahead_ms| {
                let real_ms = Clock::system().now_ms();
                let shown_ahead_s = (shown.get().unwrap().now_ms() - real_ms) / 1_000;
                told.lock().push((ahead_ms, shown_ahead_s.div_euclid(3_600)));
            }
        });
        shown.set(clock.clone()).unwrap();
        clock.advance(Duration::from_secs(36_000));
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(*told.lock(), [(126_000_000, 25), (129_600_000, 35)]);
    }
}
