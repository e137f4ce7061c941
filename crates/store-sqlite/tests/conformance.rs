//! The behaviours that every store has, on this one.

#![allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use waypost_engine::ports::Store;
use waypost_store_sqlite::{Options, SqliteStore};
use waypost_store_testkit::{Harness, conformance};

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

conformance!(Folder::new());
