//! Copies the write-ahead log into the database beside the writer, on a thread and a connection of
//! its own: thousands of pages and a sync for which nobody has to wait. What is written meanwhile is
//! left over; the writer copies these few pages itself, and then the log begins anew.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use waypost_engine::ports::StoreError;

use super::{PanicGuard, Shared};
use crate::fault::{Fault, Reach};

/// Copies what can be copied without waiting for anybody.
pub(super) const COPY: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The thread that copies.
pub(super) struct Copier {
    /// `None` only while it is being dropped.
    ask: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    copy: Arc<Latest>,
}

/// The latest copy.
#[derive(Default)]
struct Latest {
    stage: Mutex<Stage>,
    ended: Condvar,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// None was asked for.
    #[default]
    Idle,
    /// It goes on.
    Copying,
    /// It has ended, and the rest is the writer's, unless the store failed.
    Ended,
}

impl Copier {
    /// Starts the thread on a connection that does nothing else.
    pub(super) fn start(conn: Connection, shared: Arc<Shared>) -> std::io::Result<Self> {
        let copy = Arc::new(Latest::default());
        let (ask, asked) = sync_channel(1);
        let thread = std::thread::Builder::new().name("store-copier".to_owned()).spawn({
            let copy = Arc::clone(&copy);
            move || copy_when_asked(&conn, &asked, &copy, &shared)
        })?;
        Ok(Self { ask: Some(ask), thread: Some(thread), copy })
    }

    /// How far it is. One that has ended is told of once.
    pub(super) fn stage(&self) -> Stage {
        let mut stage = self.copy.stage.lock();
        let now = *stage;
        if now == Stage::Ended {
            *stage = Stage::Idle;
        }
        now
    }

    /// Waits for the end of a copy.
    pub(super) fn wait(&self) {
        let mut stage = self.copy.stage.lock();
        self.copy.ended.wait_while(&mut stage, |stage| *stage == Stage::Copying);
    }

    /// Asks for a copy of what the log has now.
    pub(super) fn ask(&self) {
        *self.copy.stage.lock() = Stage::Copying;
        if self.ask.as_ref().is_none_or(|ask| ask.try_send(()).is_err()) {
            // The thread has gone: the writer copies all of it.
            *self.copy.stage.lock() = Stage::Ended;
        }
    }
}

/// Waits for a copy under way: the writer is the last to close the database.
impl Drop for Copier {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            // Of a panic the guard has told.
            let _ = thread.join();
        }
    }
}

fn copy_when_asked(conn: &Connection, asked: &Receiver<()>, copy: &Latest, shared: &Arc<Shared>) {
    let guard = PanicGuard(Arc::clone(shared));
    while asked.recv().is_ok() {
        let ending = Ending(copy);
        if let Err((_, error)) = run_checkpoint(conn, COPY) {
            shared.give_up(&error);
        }
        drop(ending);
    }
    drop(guard);
}

/// However a copy ends: the writer may be waiting for it.
struct Ending<'a>(&'a Latest);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        *self.0.stage.lock() = Stage::Ended;
        self.0.ended.notify_all();
    }
}

/// Copies pages of the log as this pragma says.
pub(super) fn run_checkpoint(
    conn: &Connection,
    sql: &'static str,
) -> Result<(), (Reach, StoreError)> {
    let run = || conn.prepare_cached(sql)?.query_row([], |_| Ok(()));
    run().map_err(Fault::Sqlite).or_else(|fault| put_off("checkpoint", fault))
}

/// What nobody waits for is tried again later, unless the disk itself failed.
pub(super) fn put_off(what: &str, fault: Fault) -> Result<(), (Reach, StoreError)> {
    let reach = fault.reach();
    let error = fault.into_store_error();
    if reach == Reach::Store {
        return Err((reach, error));
    }
    tracing::warn!(%error, what, "put off");
    Ok(())
}
