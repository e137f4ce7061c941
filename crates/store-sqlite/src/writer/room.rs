//! Whether the disk is full: from the first transaction that found no room until one is committed
//! and a little room is left besides. Told to readiness and to operators; it refuses nothing itself.

use std::path::Path;

use rusqlite::Connection;
use tokio::sync::watch;
use waypost_engine::ports::StoreError;

use crate::fault::Reach;
use crate::queues::free_bytes;

/// Free room from which on a disk counts as no longer full: small writes succeed now and then on a
/// full one, in pages that it has already.
const ROOM_BYTES: u64 = 1_024 * 1_024;

/// Whether the disk is full.
pub(super) struct Room(watch::Sender<bool>);

impl Room {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(super) fn full(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }

    /// Takes note of a transaction's end. `has_written`: it was committed and was not empty.
    pub(super) fn note(
        &self,
        end: &Result<(), (Reach, StoreError)>,
        has_written: bool,
        conn: &Connection,
    ) {
        let is_full = *self.0.borrow();
        match end {
            Err((Reach::Room, error)) if !is_full => {
                self.0.send_replace(true);
                tracing::error!(%error, "the disk is full: nothing is accepted before there is room");
            }
            Ok(()) if is_full && has_written && has_room(conn) => {
                self.0.send_replace(false);
                tracing::info!("there is room on the disk again");
            }
            _ => {}
        }
    }
}

fn has_room(conn: &Connection) -> bool {
    conn.path().is_none_or(|path| free_bytes(Path::new(path)) >= ROOM_BYTES)
}
