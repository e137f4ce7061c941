//! The writer's thread: takes whatever jobs wait, runs them in one transaction, commits once, answers
//! everyone, and has the log copied once it is long.
//!
//! A job that fails is undone alone. That would take a savepoint around each job, which costs as
//! much as a small job itself; so a group runs without them, and only if a job fails after it has
//! written something, the group is undone and run again with them. A full disk fails the group and
//! nothing else. After an error of the disk itself nothing is written any more: what a failed sync
//! left behind is known only after a restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::mpsc;
use waypost_domain::backlog::{Backlog, GroupTime};
use waypost_engine::ports::{StoreError, StoreResult};
use waypost_planted::{Bug, is_planted};

use super::copier::{self, Copier, Stage, put_off, run_checkpoint};
use super::gather::Regulars;
use super::job::Job;
use super::{GROUP_JOBS, PanicGuard, Shared, Upkeep, Waiting, Written, micros};
use crate::fault::{Fault, Reach};

/// Length of the write-ahead log at which its pages are copied into the database, in pages.
const CHECKPOINT_PAGES: u32 = 6_000;
/// How much longer it grows before the next try where a reader was in the way, in pages. Each try costs
/// the writer two syncs.
const CHECKPOINT_AGAIN_PAGES: u32 = 2_000;
/// Length at which the writer waits for the copy, and for readers to get out of the way, in pages:
/// 48 MiB.
const CHECKPOINT_WAIT_PAGES: u32 = 12_288;
/// Jobs in a group that make a queue. Fewer wait for one another and for nothing else: a few large
/// ones would look like a backlog for ever.
pub(super) const CROWD_JOBS: usize = 16;

/// How a group ended that ran without savepoints.
enum Group {
    /// Committed.
    Done,
    /// A job left half of its writing behind: all of it must be undone.
    Spoilt,
}

/// The thread's own state.
pub(super) struct Groups {
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
    regulars: Regulars,
    /// What the last commit took.
    commit_time: Duration,
}

impl Groups {
    pub(super) fn new(
        conn: Connection,
        copier: Copier,
        shared: Arc<Shared>,
        written: Written,
        upkeep: Upkeep,
    ) -> Self {
        Self {
            copier,
            conn,
            shared,
            written,
            upkeep,
            next_checkpoint: CHECKPOINT_PAGES,
            last_pages: 0,
            backlog: Backlog::default(),
            group_time: GroupTime::default(),
            regulars: Regulars::default(),
            commit_time: Duration::ZERO,
        }
    }

    /// Runs until nobody can ask for anything any more, or the store fails.
    pub(super) fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut taken = Vec::with_capacity(GROUP_JOBS);
        let mut group = Vec::with_capacity(GROUP_JOBS);
        let guard = PanicGuard(Arc::clone(&self.shared));
        let mut before = 0;
        while waiting.blocking_recv_many(&mut taken, GROUP_JOBS) > 0 {
            self.shared.gathering.gather(&mut waiting, &mut taken, before);
            self.regulars.gather(&mut waiting, &mut taken);
            before = taken.len();
            self.note_taken(&taken);
            let short = taken.iter().filter(|waiting| !waiting.is_long).count();
            group.extend(taken.drain(..).map(|waiting| waiting.job));
            if is_planted(Bug::AckBeforeCommit) {
                self.commit_late(&mut group);
                self.shared.short.fetch_sub(short, Ordering::Relaxed);
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
            if has_written {
                self.regulars.note(before, self.commit_time);
            }
            if let Err((Reach::Store, error)) = &end {
                self.shared.give_up(error);
            }
            let verdict = end.clone().map_err(|(_, error)| error);
            self.shared.short.fetch_sub(short, Ordering::Relaxed);
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
        self.end_group()?;
        Ok(Group::Done)
    }

    /// Runs and commits the jobs, each of which can be undone alone.
    fn run_guarded(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), (Reach, StoreError)> {
        self.execute("BEGIN IMMEDIATE")?;
        for job in group {
            self.execute("SAVEPOINT job")?;
            if let Err((reach, error)) = job.run(&self.conn) {
                self.check_reach(reach, error)?;
                self.execute("ROLLBACK TO job")?;
            }
            self.execute("RELEASE job")?;
        }
        self.end_group()
    }

    fn end_group(&mut self) -> Result<(), (Reach, StoreError)> {
        self.keep_up()?;
        let began = Instant::now();
        self.execute("COMMIT")?;
        self.commit_time = began.elapsed();
        Ok(())
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

impl Reach {
    /// An error between jobs, or one that ended the transaction, hits the group at least.
    fn max_group(self) -> Self {
        if self == Self::Job { Self::Group } else { self }
    }
}
