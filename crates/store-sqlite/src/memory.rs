//! What the store keeps in memory of its tables. All of it is told what the writer writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::Action;

use crate::messages::under_way::UnderWay;
use crate::messages::wamids::Wamids;
use crate::recipients::Recipients;
use crate::refs::Refs;
use crate::scoped_ids::ScopedIds;

/// What is kept.
pub(crate) struct Memory {
    pub(crate) wamids: Wamids,
    pub(crate) recipients: Recipients,
    pub(crate) refs: Refs,
    pub(crate) scoped_ids: ScopedIds,
    pub(crate) under_way: UnderWay,
    /// Whether parts of requests may be left that nobody enters.
    pub(crate) has_parts: AtomicBool,
}

impl Memory {
    /// That of a database, on the connection that writes.
    pub(crate) fn load(conn: &mut Connection) -> rusqlite::Result<Arc<Self>> {
        let memory = Arc::new(Self {
            wamids: Wamids::load(conn)?,
            recipients: Recipients::default(),
            refs: Refs::default(),
            scoped_ids: ScopedIds::load(conn)?,
            under_way: UnderWay::default(),
            has_parts: AtomicBool::new(false),
        });
        let listening = Arc::clone(&memory);
        conn.update_hook(Some(move |_: Action, _: &str, table: &str, row| {
            listening.recipients.touch(table, row);
            listening.refs.touch(table);
        }))?;
        Ok(memory)
    }

    /// What was written is committed, or undone.
    pub(crate) fn tell(&self, is_committed: bool) {
        self.recipients.tell();
        self.refs.tell();
        self.wamids.tell(is_committed);
        if !is_committed {
            // The last parts may have been among what was undone.
            self.has_parts.store(true, Ordering::Relaxed);
        }
    }
}
