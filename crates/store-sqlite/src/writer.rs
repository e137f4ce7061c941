//! The one writer: a thread that takes whatever jobs wait, runs them in one transaction, commits
//! once, and only then answers everyone. It knows no table.
//!
//! A job that fails is undone alone. That would take a savepoint around each job, which costs as
//! much as a small job itself; so a group runs without them, and only if a job fails after it has
//! written something, the group is undone and run again with them. A full disk fails the group and
//! nothing else. After an error of the disk itself nothing is written any more: what a failed sync
//! left behind is known only after a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::{mpsc, oneshot, watch};
use waypost_engine::ports::{StoreError, StoreResult};

use crate::fault::{Done, Fault, Reach};

/// Jobs that may wait.
const QUEUE_JOBS: usize = 8_192;
/// Places in the queue that new messages may not take: what became of a message, and what the
/// upstream reports, must still find room.
const RESERVED_JOBS: usize = 2_048;
/// Jobs in one transaction.
const GROUP_JOBS: usize = 256;
/// Length of the write-ahead log at which its pages are copied into the database, in pages.
const CHECKPOINT_PAGES: u32 = 6_000;
/// How much longer it grows before the next try where a reader was in the way, in pages.
const CHECKPOINT_AGAIN_PAGES: u32 = 500;
/// Length at which the writer waits for readers to get out of the way, in pages: 48 MiB.
const CHECKPOINT_WAIT_PAGES: u32 = 12_288;

/// Whether a job may be turned away while many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It begins something new: refused when the queue is nearly full.
    New,
    /// It records what happened: waits for its turn.
    Known,
}

pub(crate) struct Writer {
    /// `None` only while it is being dropped.
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

struct Shared {
    broken: watch::Sender<Option<String>>,
    commits: AtomicU64,
    log_pages: AtomicU32,
}

impl Writer {
    /// `written` is called after each group, before anybody is answered; `upkeep` when everybody
    /// has been.
    pub(crate) fn start(
        mut conn: Connection,
        written: impl FnMut() + Send + 'static,
        upkeep: impl FnMut(&Connection) -> Done<()> + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            broken: watch::Sender::new(None),
            commits: AtomicU64::new(0),
            log_pages: AtomicU32::new(0),
        });
        let counted = Arc::clone(&shared);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            counted.commits.fetch_add(1, Ordering::Relaxed);
            counted.log_pages.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(std::io::Error::other)?;
        let (jobs, waiting) = mpsc::channel(QUEUE_JOBS);
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            let upkeep: Upkeep = Box::new(upkeep);
            let written = Box::new(written);
            move || {
                Loop {
                    conn,
                    shared,
                    written,
                    upkeep,
                    next_checkpoint: CHECKPOINT_PAGES,
                    last_pages: 0,
                }
                .run(waiting);
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), shared })
    }

    /// Runs a job; returns when it is durable or has failed. The job may run twice, the first time
    /// undone.
    pub(crate) async fn run<T, F>(&self, kind: Work, work: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Done<T> + Send + 'static,
    {
        let Some(jobs) = &self.jobs else { return Err(self.stopped()) };
        if kind == Work::New && jobs.capacity() < RESERVED_JOBS && !jobs.is_closed() {
            return Err(StoreError::Unavailable("too many writes are waiting".to_owned()));
        }
        let (reply, answer) = oneshot::channel();
        let task = Task { work, outcome: None, reply };
        jobs.send(Box::new(task)).await.map_err(|_| self.stopped())?;
        match answer.await {
            Ok((outcome, _)) => outcome,
            Err(_) => Err(self.stopped()),
        }
    }

    /// Shows why nothing is written any more, as soon as that is so.
    pub(crate) fn broken(&self) -> watch::Receiver<Option<String>> {
        self.shared.broken.subscribe()
    }

    /// Transactions that wrote something.
    pub(crate) fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
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

/// One job, whatever it returns.
trait Job: Send {
    /// Runs it and keeps its outcome, the last one where it runs again. An error says how far the
    /// failure reaches.
    fn run(&mut self, conn: &Connection) -> Result<(), (Reach, StoreError)>;
    /// Answers: with its own outcome, or with what befell the whole group.
    fn answer(self: Box<Self>, group: &StoreResult<()>);
}

struct Task<T, F> {
    work: F,
    outcome: Option<StoreResult<T>>,
    /// What was worked on goes back to whoever waits: the thread has better to do than to drop it.
    reply: oneshot::Sender<(StoreResult<T>, F)>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Done<T> + Send,
{
    fn run(&mut self, conn: &Connection) -> Result<(), (Reach, StoreError)> {
        match (self.work)(conn) {
            Ok(value) => {
                self.outcome = Some(Ok(value));
                Ok(())
            }
            Err(fault) => {
                let reach = fault.reach();
                let error = fault.into_store_error();
                self.outcome = Some(Err(error.clone()));
                Err((reach, error))
            }
        }
    }

    fn answer(self: Box<Self>, group: &StoreResult<()>) {
        let Self { work, outcome, reply } = *self;
        let outcome = match (group, outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Err(error), _) => Err(error.clone()),
            (Ok(()), None) => Err(StoreError::Unavailable("not run".to_owned())),
        };
        // Nobody waits where the caller's connection is gone.
        let _ = reply.send((outcome, work));
    }
}

/// How a group ended that ran without savepoints.
enum Group {
    /// Committed.
    Done,
    /// A job left half of its writing behind: all of it must be undone.
    Spoilt,
}

type Upkeep = Box<dyn FnMut(&Connection) -> Done<()> + Send>;

/// The thread's own state.
struct Loop {
    conn: Connection,
    shared: Arc<Shared>,
    written: Box<dyn FnMut() + Send>,
    upkeep: Upkeep,
    next_checkpoint: u32,
    last_pages: u32,
}

impl Loop {
    fn run(mut self, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
        let mut group = Vec::with_capacity(GROUP_JOBS);
        let guard = PanicGuard(Arc::clone(&self.shared));
        while waiting.blocking_recv_many(&mut group, GROUP_JOBS) > 0 {
            let mut end = self.commit(&mut group);
            (self.written)();
            if let Err((Reach::Store, error)) = &end {
                self.shared.give_up(error);
            }
            let verdict = end.clone().map_err(|(_, error)| error);
            for job in group.drain(..) {
                job.answer(&verdict);
            }
            if end.is_ok() {
                end = self.keep_up().and_then(|()| self.checkpoint());
            }
            if let Err((Reach::Store, error)) = end {
                self.shared.give_up(&error);
                self.refuse_all(waiting, &Err(error));
                break;
            }
        }
        drop(guard);
    }

    /// Runs a group in one transaction.
    fn commit(&self, group: &mut [Box<dyn Job>]) -> Result<(), (Reach, StoreError)> {
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

    fn roll_back(&self) {
        if !self.conn.is_autocommit() {
            // Nothing was promised, so it does not matter whether this works.
            let _ = self.execute("ROLLBACK");
        }
    }

    /// Runs and commits the jobs as they are, unless one fails after it has written something.
    fn run_group(&self, group: &mut [Box<dyn Job>]) -> Result<Group, (Reach, StoreError)> {
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

    /// Work of the tables' own that nobody waits for.
    fn keep_up(&mut self) -> Result<(), (Reach, StoreError)> {
        (self.upkeep)(&self.conn).or_else(|fault| put_off("upkeep", fault))
    }

    /// Copies the write-ahead log into the database once it is long. Everybody has been answered.
    fn checkpoint(&mut self) -> Result<(), (Reach, StoreError)> {
        let pages = self.shared.log_pages.load(Ordering::Relaxed);
        if pages < self.last_pages {
            self.next_checkpoint = CHECKPOINT_PAGES;
        }
        self.last_pages = pages;
        if pages < self.next_checkpoint {
            return Ok(());
        }
        self.next_checkpoint = pages.saturating_add(CHECKPOINT_AGAIN_PAGES);
        let sql = if pages < CHECKPOINT_WAIT_PAGES {
            "PRAGMA wal_checkpoint(PASSIVE)"
        } else {
            "PRAGMA wal_checkpoint(RESTART)"
        };
        let run = || self.conn.prepare_cached(sql)?.query_row([], |_| Ok(()));
        run().map_err(Fault::Sqlite).or_else(|fault| put_off("checkpoint", fault))
    }

    /// The end: whoever still waits is told, and closing must not sync once more.
    fn refuse_all(&self, mut waiting: mpsc::Receiver<Box<dyn Job>>, verdict: &StoreResult<()>) {
        let _ = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        waiting.close();
        while let Some(job) = waiting.blocking_recv() {
            job.answer(verdict);
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
        if self == Self::Store { Self::Store } else { Self::Group }
    }
}

impl Shared {
    fn give_up(&self, error: &StoreError) {
        let reason = match error {
            StoreError::Broken(reason) => reason.clone(),
            other => other.to_string(),
        };
        tracing::error!(reason, "the store failed and takes no more writes");
        self.broken.send_replace(Some(reason));
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
