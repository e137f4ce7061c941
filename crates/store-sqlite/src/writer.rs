//! The one writer: a thread that takes whatever jobs wait, runs them in one transaction, commits
//! once, and only then answers everyone. It knows no table.
//!
//! It also knows whether it keeps up: how long jobs wait, and whether a group takes too long.

mod copier;
mod gather;
mod groups;
mod job;
mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};
use waypost_engine::ports::{StoreError, StoreResult};

use self::copier::Copier;
use self::gather::Gathering;
use self::groups::Groups;
use self::job::{Job, Task};
use self::room::Room;
use crate::fault::{Done, Reach};
use crate::inline::Inline;

/// Jobs that may wait.
const QUEUE_JOBS: usize = 8_192;
/// Places in the queue that new messages may not take: what became of a message, and what the
/// upstream reports, must still find room.
const RESERVED_JOBS: usize = 2_048;
/// Jobs in one transaction.
const GROUP_JOBS: usize = 256;
/// What a long job does at once, before it looks whether somebody waits: a third of a millisecond where
/// it writes messages.
pub(crate) const AT_ONCE: usize = 32;
/// How long the thread may be busy with one group: beyond, nothing leaves the queue whose wait could
/// be measured, and whoever waits has waited too long.
const STALL: Duration = Duration::from_secs(1);

/// Whether a job may be turned away while many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It begins something new: refused when the queue is nearly full.
    New,
    /// It records what happened: waits for its turn.
    Known,
    /// The same, and nobody waits for it: it may wait for company.
    Unhurried,
}

pub(crate) struct Writer {
    /// `None` only while it is being dropped.
    jobs: Option<mpsc::Sender<Waiting>>,
    thread: Option<JoinHandle<()>>,
    /// Instead of the thread, in a simulation.
    inline: Option<InlineLoop>,
    shared: Arc<Shared>,
}

/// Jobs run where they are asked for, each a group of its own.
struct InlineLoop {
    inline: Inline,
    after: Mutex<(Written, Upkeep)>,
}

/// A job and when it came.
struct Waiting {
    job: Box<dyn Job>,
    since: Instant,
    is_hurried: bool,
    /// It ends before its time where others wait.
    is_long: bool,
}

struct Shared {
    started: Instant,
    broken: watch::Sender<Option<String>>,
    room: Room,
    gathering: Gathering,
    is_behind: AtomicBool,
    /// Jobs that wait or are being run, without those that end before their time.
    short: AtomicUsize,
    /// Jobs that may wait before the last of them would wait for too long.
    longest_queue: AtomicUsize,
    /// Since when the thread is busy with one group, in microseconds after the start; 0: it is not.
    busy_since_us: AtomicU64,
    commits: AtomicU64,
    log_pages: AtomicU32,
    /// Readers that take long and must not be waited for.
    long_readers: AtomicU32,
}

impl Writer {
    /// `upkeep` is called at the end of each transaction, and leaves it as it was where it fails;
    /// `written` after it, before anybody is answered, with whether it was committed. `copying` is a
    /// second connection to the same database.
    pub(crate) fn start(
        mut conn: Connection,
        copying: Connection,
        written: impl FnMut(bool) + Send + 'static,
        upkeep: impl FnMut(&Connection) -> Done<()> + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new());
        let counted = Arc::clone(&shared);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            counted.commits.fetch_add(1, Ordering::Relaxed);
            counted.log_pages.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(std::io::Error::other)?;
        let copier = Copier::start(copying, Arc::clone(&shared))?;
        let (jobs, waiting) = mpsc::channel(QUEUE_JOBS);
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            let upkeep: Upkeep = Box::new(upkeep);
            let written = Box::new(written);
            move || {
                Groups::new(conn, copier, shared, written, upkeep).run(waiting);
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), inline: None, shared })
    }

    /// A writer without a thread.
    pub(crate) fn inline(
        inline: Inline,
        written: impl FnMut(bool) + Send + 'static,
        upkeep: impl FnMut(&Connection) -> Done<()> + Send + 'static,
    ) -> Self {
        let after = Mutex::new((Box::new(written) as Written, Box::new(upkeep) as Upkeep));
        let inline = Some(InlineLoop { inline, after });
        Self { jobs: None, thread: None, inline, shared: Arc::new(Shared::new()) }
    }

    /// Runs a job; returns when it is durable or has failed. The job may run twice, the first time
    /// undone.
    pub(crate) async fn run<T, F>(&self, kind: Work, work: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Done<T> + Send + 'static,
    {
        self.ask(kind, false, work).await
    }

    /// The same with a job that asks the [`Crowd`] and ends before its time where others wait.
    pub(crate) async fn run_long<T, F>(&self, kind: Work, work: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Done<T> + Send + 'static,
    {
        self.ask(kind, true, work).await
    }

    /// Who waits, for jobs that take long. In a simulation somebody always does.
    pub(crate) fn crowd(&self) -> Crowd {
        if self.thread.is_none() {
            return Crowd::always();
        }
        Crowd(Some(Arc::clone(&self.shared)))
    }

    async fn ask<T, F>(&self, kind: Work, is_long: bool, work: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Done<T> + Send + 'static,
    {
        if let Some(inline) = &self.inline {
            // Only in simulations: nobody else's future has room for it.
            return Box::pin(inline.run(work)).await;
        }
        let Some(jobs) = &self.jobs else { return Err(self.stopped()) };
        if kind == Work::New && jobs.capacity() < RESERVED_JOBS && !jobs.is_closed() {
            return Err(StoreError::Unavailable("too many writes are waiting".to_owned()));
        }
        let (reply, answer) = oneshot::channel();
        let task = Task::new(work, reply);
        let is_hurried = kind != Work::Unhurried;
        let waiting = Waiting { job: Box::new(task), since: Instant::now(), is_hurried, is_long };
        let place = jobs.reserve().await.map_err(|_| self.stopped())?;
        if !is_long {
            self.shared.short.fetch_add(1, Ordering::Relaxed);
        }
        place.send(waiting);
        if let (true, Some(thread)) = (is_hurried, &self.thread) {
            self.shared.gathering.end(thread.thread());
        }
        match answer.await {
            Ok((outcome, _)) => outcome,
            Err(_) => Err(self.stopped()),
        }
    }

    /// Shows why nothing is written any more, as soon as that is so.
    pub(crate) fn broken(&self) -> watch::Receiver<Option<String>> {
        self.shared.broken.subscribe()
    }

    /// Shows whether writes fail because the disk is full.
    pub(crate) fn full(&self) -> watch::Receiver<bool> {
        self.shared.room.full()
    }

    /// While this lives, the log grows rather than that anybody waits for readers.
    pub(crate) fn spare_readers(&self) -> SparedReaders {
        self.shared.long_readers.fetch_add(1, Ordering::Relaxed);
        SparedReaders(Arc::clone(&self.shared))
    }

    /// Transactions that wrote something.
    pub(crate) fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Whether jobs wait for longer than new ones should be made to, or one more would.
    pub(crate) fn is_behind(&self) -> bool {
        self.shared.is_behind.load(Ordering::Relaxed)
            || self.waiting() >= self.shared.longest_queue.load(Ordering::Relaxed)
            || self.shared.is_stalled()
    }

    /// Jobs that wait now.
    pub(crate) fn waiting(&self) -> usize {
        self.jobs.as_ref().map_or(0, |jobs| QUEUE_JOBS - jobs.capacity())
    }

    fn stopped(&self) -> StoreError {
        match &*self.shared.broken.borrow() {
            Some(reason) => StoreError::Broken(reason.clone()),
            None => StoreError::Unavailable("shutting down".to_owned()),
        }
    }
}

/// Those who wait for the writer.
#[derive(Clone)]
pub(crate) struct Crowd(Option<Arc<Shared>>);

impl Crowd {
    /// In which somebody always waits.
    pub(crate) const fn always() -> Self {
        Self(None)
    }

    /// Whether anybody waits but for jobs that take long themselves.
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.as_ref().is_none_or(|shared| shared.short.load(Ordering::Relaxed) > 0)
    }

    /// Does something with all of these, or with some where somebody waits then. Returns those that
    /// are left.
    pub(crate) fn work_off<'a, T>(
        &self,
        all: &'a [T],
        mut with_one: impl FnMut(&T) -> Done<()>,
    ) -> Done<&'a [T]> {
        let mut left = all;
        while !left.is_empty() {
            let (some, others) = left.split_at(left.len().min(AT_ONCE));
            some.iter().try_for_each(&mut with_one)?;
            left = others;
            if self.is_waiting() {
                break;
            }
        }
        Ok(left)
    }
}

impl InlineLoop {
    async fn run<T>(&self, work: impl FnMut(&Connection) -> Done<T>) -> StoreResult<T> {
        let after = |conn: &Connection, is_committed: bool| {
            let (written, upkeep) = &mut *self.after.lock();
            written(is_committed);
            if is_committed && let Err(fault) = upkeep(conn) {
                tracing::warn!(error = %fault.into_store_error(), "upkeep");
            }
        };
        self.inline.write(work, after).await
    }
}

/// Keeps the writer from waiting for readers.
pub(crate) struct SparedReaders(Arc<Shared>);

impl Drop for SparedReaders {
    fn drop(&mut self) {
        self.0.long_readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits for the jobs that were taken before: who was promised an answer gets it.
impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported by the thread's own guard.
            let _ = thread.join();
        }
    }
}

/// Called with whether a transaction was committed.
type Written = Box<dyn FnMut(bool) + Send>;
/// Work of the tables' own at the end of a transaction.
type Upkeep = Box<dyn FnMut(&Connection) -> Done<()> + Send>;

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl Shared {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            broken: watch::Sender::new(None),
            room: Room::new(),
            gathering: Gathering::default(),
            is_behind: AtomicBool::new(false),
            short: AtomicUsize::new(0),
            longest_queue: AtomicUsize::new(usize::MAX),
            busy_since_us: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            log_pages: AtomicU32::new(0),
            long_readers: AtomicU32::new(0),
        }
    }

    fn is_stalled(&self) -> bool {
        let since_us = self.busy_since_us.load(Ordering::Relaxed);
        since_us > 0 && micros(self.started.elapsed()).saturating_sub(since_us) > micros(STALL)
    }

    /// Nothing is written after a failure, be it another thread's.
    fn check_whole(&self) -> Result<(), (Reach, StoreError)> {
        match &*self.broken.borrow() {
            Some(reason) => Err((Reach::Store, StoreError::Broken(reason.clone()))),
            None => Ok(()),
        }
    }

    fn give_up(&self, error: &StoreError) {
        let reason = match error {
            StoreError::Broken(reason) => reason.clone(),
            other => other.to_string(),
        };
        let is_first = self.broken.send_if_modified(|told| {
            let is_first = told.is_none();
            told.get_or_insert_with(|| reason.clone());
            is_first
        });
        if is_first {
            tracing::error!(reason, "the store failed and takes no more writes");
        }
    }
}

/// A panic in a job ends the thread; it must not look like an orderly end.
struct PanicGuard(Arc<Shared>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.give_up(&StoreError::Broken("the writer panicked".to_owned()));
        }
    }
}

#[cfg(test)]
mod tests;
