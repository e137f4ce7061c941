//! A store without threads, for simulations: every job runs where it is asked for, on one
//! connection to a database in memory, and the simulation decides who goes on at each step. The jobs
//! and the layout are the same as on a disk; group commit, syncs and the lock are not looked at.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::backup::Backup;
use waypost_engine::ports::{StoreError, StoreResult};

use crate::fault::{Done, Fault};
use crate::open::{self, OpenError};

/// A database in memory. It outlives the stores on it, as a disk outlives the process that crashed;
/// one store at a time works on it.
#[derive(Clone)]
pub struct MemoryDisk(Arc<Mutex<Connection>>);

impl MemoryDisk {
    /// An empty database with the present layout.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn new() -> Result<Self, OpenError> {
        open::in_memory().map(|conn| Self(Arc::new(Mutex::new(conn))))
    }

    /// Another one with the same content.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn copy(&self) -> Result<Self, OpenError> {
        let copy = || {
            let mut conn = Connection::open_in_memory()?;
            Backup::new(&self.0.lock(), &mut conn)?.step(-1)?;
            open::configure_memory(&conn)?;
            Ok(conn)
        };
        let conn = copy().map_err(open::memory_failure)?;
        Ok(Self(Arc::new(Mutex::new(conn))))
    }

    pub(crate) fn connection(&self) -> parking_lot::MutexGuard<'_, Connection> {
        self.0.lock()
    }
}

/// Where a job stands when others may go on before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it reads.
    Read,
    /// Before it writes: nothing of it is durable.
    Write,
    /// It is durable and nobody knows.
    Written,
}

/// Lets others go on between two steps of a job. Whoever never returns has crashed there.
#[async_trait]
pub trait Turns: Send + Sync {
    /// Called at each moment.
    ///
    /// # Errors
    /// What the job is to fail with instead of being run; after [`Moment::Written`] it counts for
    /// nothing.
    async fn turn(&self, moment: Moment) -> StoreResult<()>;
}

/// Runs jobs where they are asked for.
#[derive(Clone)]
pub(crate) struct Inline {
    disk: MemoryDisk,
    turns: Arc<dyn Turns>,
}

impl Inline {
    pub(crate) fn new(disk: MemoryDisk, turns: Arc<dyn Turns>) -> Self {
        Self { disk, turns }
    }

    /// Reads at once.
    pub(crate) fn look_up<T>(&self, read: impl FnOnce(&Connection) -> Done<T>) -> StoreResult<T> {
        read(&self.disk.connection()).map_err(Fault::into_store_error)
    }

    /// Reads when it is its turn.
    pub(crate) async fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Done<T>,
    ) -> StoreResult<T> {
        self.turns.turn(Moment::Read).await?;
        self.look_up(read)
    }

    /// Runs a job in a transaction of its own, when it is its turn. `written` is called with the
    /// connection after it, whether it was committed or undone.
    pub(crate) async fn write<T>(
        &self,
        mut work: impl FnMut(&Connection) -> Done<T>,
        written: impl FnOnce(&Connection, bool),
    ) -> StoreResult<T> {
        self.turns.turn(Moment::Write).await?;
        let outcome = {
            let conn = self.disk.connection();
            let outcome = transact(&conn, &mut work);
            written(&conn, outcome.is_ok());
            outcome
        };
        let _ = self.turns.turn(Moment::Written).await;
        outcome.map_err(Fault::into_store_error)
    }
}

fn transact<T>(conn: &Connection, work: &mut impl FnMut(&Connection) -> Done<T>) -> Done<T> {
    let execute = |sql| conn.prepare_cached(sql)?.execute([]);
    execute("BEGIN IMMEDIATE")?;
    let outcome = work(conn);
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    if !conn.is_autocommit() {
        execute(end)?;
    } else if outcome.is_ok() {
        return Err(StoreError::Broken("a job ended its transaction".to_owned()).into());
    }
    outcome
}
