//! People who were looked up lately, kept in memory until a row that they were read from changes.
//! A look-up reads half a dozen pages, and after each commit it finds none of them in its cache.
//!
//! The writer tells of every change after it is committed and before anybody is answered: what was
//! acknowledged is never contradicted from here. A look-up that began before a change was told is
//! not believed after it, so it does not matter which of the two it saw.

use std::hash::BuildHasher as _;

use foldhash::HashMap;
use foldhash::quality::RandomState;
use parking_lot::Mutex;
use waypost_engine::ports::Recipient;

/// People and changed rows that are remembered; beyond, all are forgotten.
const MAX_REMEMBERED: usize = 16_384;

/// By what a person is looked up: the kind of look-up, organisation, number, and what is known of
/// the person.
pub(crate) type Sought<'a> = [&'a str; 4];

/// A person with the rows that say so; `None` where there is no such row.
pub(crate) struct Known {
    pub(crate) recipient: Recipient,
    pub(crate) customer: Option<i64>,
    pub(crate) session: Option<i64>,
}

impl Known {
    /// What must not change as long as this is believed. Somebody whom a table does not know
    /// depends on everybody who is in it.
    fn depends_on(&self) -> [Row; 3] {
        let customer = self.customer.map_or(Row::AnyCustomer, Row::Customer);
        let session = self.session.map_or(Row::AnySession, Row::Session);
        [customer, session, Row::Any]
    }
}

/// Remembers people.
#[derive(Default)]
pub(crate) struct Recipients {
    hasher: RandomState,
    memory: Mutex<Memory>,
    /// Rows that the transaction in progress has changed.
    touched: Mutex<Vec<Row>>,
}

#[derive(Default)]
struct Memory {
    /// Counts the told changes.
    now: u64,
    /// When all was forgotten.
    forgotten: u64,
    people: HashMap<u64, Entry>,
    changed: HashMap<Row, u64>,
}

struct Entry {
    sought: [Box<str>; 4],
    known: Known,
    since: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Row {
    Customer(i64),
    AnyCustomer,
    Session(i64),
    AnySession,
    /// Something that every entry depends on.
    Any,
}

impl Row {
    /// What is to be looked up again when a row of this table has changed.
    fn changed(table: &str, row: i64) -> Option<[Self; 2]> {
        match table {
            "customers" => Some([Self::Customer(row), Self::AnyCustomer]),
            "sessions" => Some([Self::Session(row), Self::AnySession]),
            "orgs" | "numbers" => Some([Self::Any; 2]),
            _ => None,
        }
    }
}

impl Recipients {
    /// Finds a person in memory, else by `read`.
    pub(crate) fn find<E>(
        &self,
        sought: Sought<'_>,
        read: impl FnOnce() -> Result<Option<Known>, E>,
    ) -> Result<Option<Recipient>, E> {
        let hash = self.hasher.hash_one(sought);
        let since = {
            let memory = self.memory.lock();
            if let Some(entry) = memory.people.get(&hash)
                && entry.is_about(sought)
                && memory.holds(entry)
            {
                return Ok(Some(entry.known.recipient.clone()));
            }
            memory.now
        };
        let Some(known) = read()? else { return Ok(None) };
        let recipient = known.recipient.clone();
        let mut memory = self.memory.lock();
        memory.make_room();
        memory.people.insert(hash, Entry { sought: sought.map(Box::from), known, since });
        Ok(Some(recipient))
    }

    /// A row was written.
    pub(crate) fn touch(&self, table: &str, row: i64) {
        let Some(rows) = Row::changed(table, row) else { return };
        let mut touched = self.touched.lock();
        if touched.len() < MAX_REMEMBERED {
            touched.extend(rows);
        } else {
            touched.clear();
            touched.push(Row::Any);
        }
    }

    /// What was written is committed, or undone.
    pub(crate) fn tell(&self) {
        let mut touched = self.touched.lock();
        if touched.is_empty() {
            return;
        }
        let mut memory = self.memory.lock();
        memory.now += 1;
        let now = memory.now;
        for row in touched.drain(..) {
            memory.changed.insert(row, now);
        }
        memory.make_room();
    }
}

impl Entry {
    fn is_about(&self, sought: Sought<'_>) -> bool {
        self.sought.iter().zip(sought).all(|(own, other)| **own == *other)
    }
}

impl Memory {
    fn holds(&self, entry: &Entry) -> bool {
        let unchanged = |row| self.changed.get(&row).is_none_or(|changed| *changed <= entry.since);
        entry.since >= self.forgotten && entry.known.depends_on().into_iter().all(unchanged)
    }

    fn make_room(&mut self) {
        if self.people.len() >= MAX_REMEMBERED || self.changed.len() >= MAX_REMEMBERED {
            self.people.clear();
            self.changed.clear();
            // A look-up under way must not bring back what was forgotten to have changed.
            self.now += 1;
            self.forgotten = self.now;
        }
    }
}
