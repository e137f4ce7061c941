//! A job on its way through the writer: what is to be run, what came of it, and who waits for that.

use rusqlite::Connection;
use tokio::sync::oneshot;
use waypost_engine::ports::{StoreError, StoreResult};

use crate::fault::{Done, Reach};

/// One job, whatever it returns.
pub(super) trait Job: Send {
    /// Runs it and keeps its outcome, the last one where it runs again. An error says how far the
    /// failure reaches.
    fn run(&mut self, conn: &Connection) -> Result<(), (Reach, StoreError)>;
    /// Answers: with its own outcome, or with what befell the whole group.
    fn answer(self: Box<Self>, group: &StoreResult<()>);
}

/// One that returns a `T`.
pub(super) struct Task<T, F> {
    work: F,
    outcome: Option<StoreResult<T>>,
    /// What was worked on goes back to whoever waits: the thread has better to do than to drop it.
    reply: oneshot::Sender<(StoreResult<T>, F)>,
}

impl<T, F> Task<T, F> {
    pub(super) const fn new(work: F, reply: oneshot::Sender<(StoreResult<T>, F)>) -> Self {
        Self { work, outcome: None, reply }
    }
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
