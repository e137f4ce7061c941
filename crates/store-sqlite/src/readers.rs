//! Connections that read what is committed. Look-ups of single rows run where they are asked for,
//! under a short lock; lists and the delivery's own work run on blocking threads, each on
//! connections of their own, so that a long list delays neither.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;
use tokio::sync::Semaphore;
use waypost_engine::panics::BUG;
use waypost_engine::ports::{StoreError, StoreResult};

use crate::fault::{Done, Fault};
use crate::inline::Inline;
use crate::open::{OpenError, reader};

/// Connections for look-ups of single rows.
const POINT_READERS: usize = 2;
/// Connections for lists that callers ask for.
const LIST_READERS: usize = 2;
/// Connections for what the delivery reads.
const DELIVERY_READERS: usize = 1;
/// Connections for what the callbacks read.
const CALLBACK_READERS: usize = 1;

pub(crate) struct Readers {
    /// Instead of all others, in a simulation.
    inline: Option<Inline>,
    points: Vec<Mutex<Connection>>,
    turn: AtomicUsize,
    lists: Lane,
    delivery: Lane,
    callbacks: Lane,
}

impl Readers {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            inline: None,
            points: connections(path, POINT_READERS)?,
            turn: AtomicUsize::new(0),
            lists: Lane::open(path, LIST_READERS)?,
            delivery: Lane::open(path, DELIVERY_READERS)?,
            callbacks: Lane::open(path, CALLBACK_READERS)?,
        })
    }

    /// Readers that run where they are asked.
    pub(crate) fn inline(inline: Inline) -> Self {
        Self {
            inline: Some(inline),
            points: Vec::new(),
            turn: AtomicUsize::new(0),
            lists: Lane::none(),
            delivery: Lane::none(),
            callbacks: Lane::none(),
        }
    }

    /// Reads a few rows by their keys, at once.
    pub(crate) fn look_up<T>(&self, read: impl FnOnce(&Connection) -> Done<T>) -> StoreResult<T> {
        if let Some(inline) = &self.inline {
            return inline.look_up(read);
        }
        read(&self.point()).map_err(Fault::into_store_error)
    }

    /// Reads a list for a caller.
    pub(crate) async fn list<T, F>(&self, read: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Done<T> + Send + 'static,
    {
        self.run(&self.lists, read).await
    }

    /// Reads what is to be delivered or worked off next.
    pub(crate) async fn for_delivery<T, F>(&self, read: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Done<T> + Send + 'static,
    {
        self.run(&self.delivery, read).await
    }

    /// Reads events and the callbacks that tell of them.
    pub(crate) async fn for_callbacks<T, F>(&self, read: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Done<T> + Send + 'static,
    {
        self.run(&self.callbacks, read).await
    }

    async fn run<T, F>(&self, lane: &Lane, read: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Done<T> + Send + 'static,
    {
        match &self.inline {
            Some(inline) => inline.read(read).await,
            None => lane.run(read).await,
        }
    }

    fn point(&self) -> MutexGuard<'_, Connection> {
        if let Some(free) = self.points.iter().find_map(Mutex::try_lock) {
            return free;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.points.len();
        self.points[turn].lock()
    }
}

/// A few connections, and as many blocking threads at most.
struct Lane {
    connections: Arc<Vec<Mutex<Connection>>>,
    permits: Semaphore,
}

impl Lane {
    fn none() -> Self {
        Self { connections: Arc::new(Vec::new()), permits: Semaphore::new(0) }
    }

    fn open(path: &Path, count: usize) -> Result<Self, OpenError> {
        Ok(Self {
            connections: Arc::new(connections(path, count)?),
            permits: Semaphore::new(count),
        })
    }

    async fn run<T, F>(&self, read: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Done<T> + Send + 'static,
    {
        let stopped = || StoreError::Unavailable("shutting down".to_owned());
        let _permit = self.permits.acquire().await.map_err(|_| stopped())?;
        let connections = Arc::clone(&self.connections);
        let reading = tokio::task::spawn_blocking(move || {
            let free = connections.iter().find_map(Mutex::try_lock);
            // A caller that went away leaves its reading behind: then the first is waited for.
            let conn = free.unwrap_or_else(|| connections[0].lock());
            read(&conn).map_err(Fault::into_store_error)
        });
        reading.await.unwrap_or_else(|error| match error.is_panic() {
            true => Err(StoreError::Damaged(BUG.to_owned())),
            false => Err(stopped()),
        })
    }
}

fn connections(path: &Path, count: usize) -> Result<Vec<Mutex<Connection>>, OpenError> {
    (0..count).map(|_| reader(path).map(Mutex::new)).collect()
}
