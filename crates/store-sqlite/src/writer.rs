//! The one writer: a thread that takes whatever jobs wait, runs them in one transaction, commits
//! once, and only then answers everyone. It knows no table.
//!
//! It also knows whether it keeps up: how long jobs wait, and whether a group takes too long.
//!
//! A job that fails is undone alone. That would take a savepoint around each job, which costs as
//! much as a small job itself; so a group runs without them, and only if a job fails after it has
//! written something, the group is undone and run again with them. A full disk fails the group and
//! nothing else. After an error of the disk itself nothing is written any more: what a failed sync
//! left behind is known only after a restart.

mod copier;
mod gather;
mod job;
mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::{mpsc, oneshot, watch};
use waypost_domain::backlog::{Backlog, GroupTime};
use waypost_engine::ports::{StoreError, StoreResult};
use waypost_planted::{Bug, is_planted};

use self::copier::{Copier, Stage, run_checkpoint};
use self::gather::Gathering;
use self::job::{Job, Task};
use self::room::Room;
use crate::fault::{Done, Fault, Reach};
use crate::inline::Inline;

/// Jobs that may wait.
const QUEUE_JOBS: usize = 8_192;
/// Places in the queue that new messages may not take: what became of a message, and what the
/// upstream reports, must still find room.
const RESERVED_JOBS: usize = 2_048;
/// Jobs in one transaction.
const GROUP_JOBS: usize = 256;
/// Length of the write-ahead log at which its pages are copied into the database, in pages.
const CHECKPOINT_PAGES: u32 = 6_000;
/// How much longer it grows before the next try where a reader was in the way, in pages. Each try costs
/// the writer two syncs.
const CHECKPOINT_AGAIN_PAGES: u32 = 2_000;
/// Length at which the writer waits for the copy, and for readers to get out of the way, in pages:
/// 48 MiB.
const CHECKPOINT_WAIT_PAGES: u32 = 12_288;
/// How long the thread may be busy with one group: beyond, nothing leaves the queue whose wait could
/// be measured, and whoever waits has waited too long.
const STALL: Duration = Duration::from_secs(1);
/// Jobs in a group that make a queue. Fewer wait for one another and for nothing else: a few large
/// ones would look like a backlog for ever.
const CROWD_JOBS: usize = 16;

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
}

struct Shared {
    started: Instant,
    broken: watch::Sender<Option<String>>,
    room: Room,
    gathering: Gathering,
    is_behind: AtomicBool,
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
                Loop {
                    copier,
                    conn,
                    shared,
                    written,
                    upkeep,
                    next_checkpoint: CHECKPOINT_PAGES,
                    last_pages: 0,
                    backlog: Backlog::default(),
                    group_time: GroupTime::default(),
                }
                .run(waiting);
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
        let waiting = Waiting { job: Box::new(task), since: Instant::now(), is_hurried };
        jobs.send(waiting).await.map_err(|_| self.stopped())?;
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

/// How a group ended that ran without savepoints.
enum Group {
    /// Committed.
    Done,
    /// A job left half of its writing behind: all of it must be undone.
    Spoilt,
}

type Written = Box<dyn FnMut(bool) + Send>;
type Upkeep = Box<dyn FnMut(&Connection) -> Done<()> + Send>;

/// The thread's own state.
struct Loop {
    // Dropped before the connection that is to be the last.
    copier: Copier,
    conn: Connection,
    shared: Arc<Shared>,
    written: Written,
    upkeep: Upkeep,
    next_checkpoint: u32,
    last_pages: u32,
    backlog: Backlog,
    group_time: GroupTime,
}

impl Loop {
    fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut taken = Vec::with_capacity(GROUP_JOBS);
        let mut group = Vec::with_capacity(GROUP_JOBS);
        let guard = PanicGuard(Arc::clone(&self.shared));
        let mut before = 0;
        while waiting.blocking_recv_many(&mut taken, GROUP_JOBS) > 0 {
            self.shared.gathering.gather(&mut waiting, &mut taken, before);
            before = taken.len();
            self.note_taken(&taken);
            group.extend(taken.drain(..).map(|waiting| waiting.job));
            if is_planted(Bug::AckBeforeCommit) {
                self.commit_late(&mut group);
                continue;
            }
            let commits = self.shared.commits.load(Ordering::Relaxed);
            let mut end = self.shared.check_whole().and_then(|()| self.commit(&mut group));
            if is_planted(Bug::AckFailedCommit) {
                end = Ok(());
            }
            (self.written)(end.is_ok());
            let has_written = self.shared.commits.load(Ordering::Relaxed) != commits;
            self.shared.room.note(&end, has_written, &self.conn);
            if let Err((Reach::Store, error)) = &end {
                self.shared.give_up(error);
            }
            let verdict = end.clone().map_err(|(_, error)| error);
            for job in group.drain(..) {
                job.answer(&verdict);
            }
            if end.is_ok() {
                end = self.checkpoint();
            }
            if let Err((Reach::Store, error)) = end {
                self.shared.give_up(&error);
                self.refuse_all(waiting, &Err(error));
                break;
            }
            self.note_done(before, waiting.is_empty());
        }
        drop(guard);
    }

    /// A group is taken: whoever came last has waited least.
    fn note_taken(&mut self, taken: &[Waiting]) {
        let now = Instant::now();
        let now_us = micros(now.duration_since(self.shared.started));
        if taken.len() < CROWD_JOBS {
            self.backlog.emptied();
        } else if let Some(last) = taken.last() {
            let wait_us = micros(now.duration_since(last.since));
            self.backlog.left(wait_us.cast_signed(), self.group_time, now_us.cast_signed());
        }
        self.shared.is_behind.store(self.backlog.is_behind(), Ordering::Relaxed);
        self.shared.busy_since_us.store(now_us.max(1), Ordering::Relaxed);
    }

    /// A group is done, of so many jobs.
    fn note_done(&mut self, jobs: usize, is_empty: bool) {
        if jobs >= CROWD_JOBS {
            let since_us = self.shared.busy_since_us.load(Ordering::Relaxed);
            let took_us = micros(self.shared.started.elapsed()).saturating_sub(since_us);
            self.group_time.took(took_us.cast_signed());
            let longest_queue = self.group_time.longest_queue(GROUP_JOBS);
            self.shared.longest_queue.store(longest_queue, Ordering::Relaxed);
        }
        if is_empty {
            self.backlog.emptied();
            self.shared.is_behind.store(false, Ordering::Relaxed);
        }
        self.shared.busy_since_us.store(0, Ordering::Relaxed);
    }

    /// Runs a group in one transaction.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), (Reach, StoreError)> {
        let end = match self.run_group(group) {
            Ok(Group::Done) => Ok(()),
            Ok(Group::Spoilt) => {
                self.roll_back();
                self.run_guarded(group)
            }
            Err(error) => Err(error),
        };
        if end.is_err() {
            self.roll_back();
        }
        end
    }

    /// The planted bug: everybody is answered before anything is committed.
    fn commit_late(&self, group: &mut Vec<Box<dyn Job>>) {
        let _ = self.execute("BEGIN IMMEDIATE");
        for job in group.iter_mut() {
            let _ = job.run(&self.conn);
        }
        group.drain(..).for_each(|job| job.answer(&Ok(())));
        std::thread::sleep(Duration::from_millis(5));
        let _ = self.execute("COMMIT");
    }

    fn roll_back(&self) {
        if !self.conn.is_autocommit() {
            // Nothing was promised, so it does not matter whether this works.
            let _ = self.execute("ROLLBACK");
        }
    }

    /// Runs and commits the jobs as they are, unless one fails after it has written something.
    fn run_group(&mut self, group: &mut [Box<dyn Job>]) -> Result<Group, (Reach, StoreError)> {
        self.execute("BEGIN IMMEDIATE")?;
        for job in group {
            let changes = self.conn.total_changes();
            if let Err((reach, error)) = job.run(&self.conn) {
                self.check_reach(reach, error)?;
                if self.conn.total_changes() != changes {
                    return Ok(Group::Spoilt);
                }
            }
        }
        self.keep_up()?;
        self.execute("COMMIT")?;
        Ok(Group::Done)
    }

    /// Runs and commits the jobs, each of which can be undone alone.
    fn run_guarded(&self, group: &mut [Box<dyn Job>]) -> Result<(), (Reach, StoreError)> {
        self.execute("BEGIN IMMEDIATE")?;
        for job in group {
            self.execute("SAVEPOINT job")?;
            if let Err((reach, error)) = job.run(&self.conn) {
                self.check_reach(reach, error)?;
                self.execute("ROLLBACK TO job")?;
            }
            self.execute("RELEASE job")?;
        }
        self.execute("COMMIT")
    }

    /// Passes on a failure that is not the job's alone.
    fn check_reach(&self, reach: Reach, error: StoreError) -> Result<(), (Reach, StoreError)> {
        // SQLite has rolled back everything by itself after some errors.
        if reach != Reach::Job || self.conn.is_autocommit() {
            return Err((reach.max_group(), error));
        }
        Ok(())
    }

    fn execute(&self, sql: &str) -> Result<(), (Reach, StoreError)> {
        let run = || self.conn.prepare_cached(sql)?.execute([]);
        run().map(|_| ()).map_err(|error| {
            let fault = Fault::Sqlite(error);
            (fault.reach().max_group(), fault.into_store_error())
        })
    }

    /// Work of the tables' own: in the group's transaction, for a sync of its own would make whoever
    /// comes next wait for as long as a group.
    fn keep_up(&mut self) -> Result<(), (Reach, StoreError)> {
        let Err(fault) = (self.upkeep)(&self.conn) else { return Ok(()) };
        if self.conn.is_autocommit() {
            return Err((fault.reach().max_group(), fault.into_store_error()));
        }
        put_off("upkeep", fault)
    }

    /// Has the write-ahead log copied into the database once it is long. Everybody has been answered.
    fn checkpoint(&mut self) -> Result<(), (Reach, StoreError)> {
        let pages = self.shared.log_pages.load(Ordering::Relaxed);
        if pages < self.last_pages {
            self.next_checkpoint = CHECKPOINT_PAGES;
        }
        self.last_pages = pages;
        if pages >= CHECKPOINT_WAIT_PAGES {
            self.copier.wait();
        }
        match self.copier.stage() {
            Stage::Idle if pages >= self.next_checkpoint => self.copier.ask(),
            Stage::Idle | Stage::Copying => {}
            Stage::Ended => {
                self.shared.check_whole()?;
                self.next_checkpoint = pages.saturating_add(CHECKPOINT_AGAIN_PAGES);
                self.copy_rest(pages)?;
            }
        }
        Ok(())
    }

    /// Copies what was written during the copy, after which the log begins anew.
    fn copy_rest(&self, pages: u32) -> Result<(), (Reach, StoreError)> {
        let is_spared = self.shared.long_readers.load(Ordering::Relaxed) > 0;
        let sql = if pages < CHECKPOINT_WAIT_PAGES || is_spared {
            copier::COPY
        } else {
            "PRAGMA wal_checkpoint(RESTART)"
        };
        run_checkpoint(&self.conn, sql)
    }

    /// The end: whoever still waits is told, and closing must not sync once more.
    fn refuse_all(&self, mut waiting: mpsc::Receiver<Waiting>, verdict: &StoreResult<()>) {
        let _ = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        waiting.close();
        while let Some(waiting) = waiting.blocking_recv() {
            waiting.job.answer(verdict);
        }
    }
}

/// What nobody waits for is tried again later, unless the disk itself failed.
fn put_off(what: &str, fault: Fault) -> Result<(), (Reach, StoreError)> {
    let reach = fault.reach();
    let error = fault.into_store_error();
    if reach == Reach::Store {
        return Err((reach, error));
    }
    tracing::warn!(%error, what, "put off");
    Ok(())
}

impl Reach {
    /// An error between jobs, or one that ended the transaction, hits the group at least.
    fn max_group(self) -> Self {
        if self == Self::Job { Self::Group } else { self }
    }
}

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
