//! The behaviours that every store has, on this one: on a disk, and in memory, where somebody always
//! waits while a long job is done.

#![allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use waypost_engine::ports::{Store, StoreResult};
use waypost_store_sqlite::{MemoryDisk, Moment, Options, SqliteStore, Turns};
use waypost_store_testkit::Harness;

/// A folder with one database.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Harness for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        let path = self.0.path().join("waypost.db");
        Arc::new(SqliteStore::open(&path, &Options::default()).unwrap())
    }
}

/// A database in memory.
struct Memory(MemoryDisk);

impl Memory {
    fn new() -> Self {
        Self(MemoryDisk::new().unwrap())
    }
}

#[async_trait]
impl Harness for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::in_memory(&self.0, Arc::new(NobodyElse)).unwrap())
    }
}

/// Everybody goes on as they like.
struct NobodyElse;

#[async_trait]
impl Turns for NobodyElse {
    async fn turn(&self, _: Moment) -> StoreResult<()> {
        Ok(())
    }
}

mod on_a_disk {
    use super::Folder;
    use waypost_store_testkit::{conformance, conformance_of_backups};

    conformance!(Folder::new());
    conformance_of_backups!(Folder::new());
}

mod in_memory {
    use super::Memory;
    use waypost_store_testkit::conformance;

    conformance!(Memory::new());
}
