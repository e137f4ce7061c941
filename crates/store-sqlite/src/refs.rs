//! The numbers by which rows name organisations and business numbers, kept in memory for the writer:
//! every message that is accepted needs them, and they hardly ever change.
//!
//! While a transaction has changed one of those tables, and may still be undone, they are read from
//! there.

use std::collections::HashMap;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use waypost_domain::{NumberId, OrgId};
use waypost_engine::ports::StoreError;

use crate::fault::Done;

/// Pairs that are remembered; beyond, all are forgotten.
const MAX_REMEMBERED: usize = 16_384;

/// How rows name the sender of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SenderRefs {
    pub(crate) org: i64,
    pub(crate) number: i64,
}

/// Remembers them.
#[derive(Default)]
pub(crate) struct Refs(Mutex<Known>);

#[derive(Default)]
struct Known {
    senders: HashMap<OrgId, HashMap<NumberId, SenderRefs>>,
    count: usize,
    /// The transaction in progress has changed organisations or numbers.
    is_uncertain: bool,
}

impl Refs {
    /// Those of an organisation and a number that is there. Belongs to the writer's jobs.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where one of the two is gone.
    pub(crate) fn sender(
        &self,
        conn: &Connection,
        org: &OrgId,
        number: &NumberId,
    ) -> Done<SenderRefs> {
        let mut known = self.0.lock();
        if let Some(refs) = known.senders.get(org).and_then(|numbers| numbers.get(number)) {
            return Ok(*refs);
        }
        let refs = read(conn, org, number)?.ok_or(StoreError::NotFound)?;
        known.keep(org, number, refs);
        Ok(refs)
    }

    /// A row of this table was written.
    pub(crate) fn touch(&self, table: &str) {
        if matches!(table, "orgs" | "numbers") {
            *self.0.lock() = Known { is_uncertain: true, ..Known::default() };
        }
    }

    /// What was written is committed, or undone.
    pub(crate) fn tell(&self) {
        self.0.lock().is_uncertain = false;
    }
}

impl Known {
    fn keep(&mut self, org: &OrgId, number: &NumberId, refs: SenderRefs) {
        if self.is_uncertain {
            return;
        }
        if self.count >= MAX_REMEMBERED {
            *self = Self::default();
        }
        self.senders.entry(org.clone()).or_default().insert(number.clone(), refs);
        self.count += 1;
    }
}

fn read(conn: &Connection, org: &OrgId, number: &NumberId) -> Done<Option<SenderRefs>> {
    let found = conn
        .prepare_cached(
            "SELECT o.ref, n.ref FROM orgs o, numbers n
             WHERE o.id = ?1 AND n.id = ?2 AND n.body IS NOT NULL",
        )?
        .query_row(params![org.as_str(), number.as_str()], |row| {
            Ok(SenderRefs { org: row.get(0)?, number: row.get(1)? })
        })
        .optional()?;
    Ok(found)
}

/// That of a number, whether it is there or gone.
pub(crate) fn number(conn: &Connection, number: &NumberId) -> Done<Option<i64>> {
    let mut select = conn.prepare_cached("SELECT ref FROM numbers WHERE id = ?1")?;
    Ok(select.query_row([number.as_str()], |row| row.get(0)).optional()?)
}
