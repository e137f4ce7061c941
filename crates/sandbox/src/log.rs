//! Every message that was accepted, in both directions, in one order. It is the ledger's and the
//! handset's memory, bounded: when it is full the oldest message is forgotten, and the ledger
//! says how many were.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::errors::Failure;
use crate::templates::Definition;

/// Messages that are remembered, in and out together.
pub const LOG_MAX_MESSAGES: usize = 1_000_000;
/// Bytes of message bodies that are remembered.
pub const LOG_MAX_BYTES: usize = 256 * 1024 * 1024;

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The person, to the business.
    In,
    /// The business, to the person.
    Out,
}

/// What a status webhook reports, in the order in which a message moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Sent,
    Delivered,
    Read,
    Played,
    Deleted,
    Failed,
}

impl Status {
    pub(crate) const ALL: [Self; 6] =
        [Self::Sent, Self::Delivered, Self::Read, Self::Played, Self::Deleted, Self::Failed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Deleted => "deleted",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// One status that a message got.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) status: Status,
    pub(crate) at_ms: i64,
    pub(crate) failure: Option<Box<Failure>>,
}

/// The price class of an outbound message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Category {
    Service,
    Utility,
    Marketing,
    Authentication,
}

impl Category {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Utility => "utility",
            Self::Marketing => "marketing",
            Self::Authentication => "authentication",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Utility, Self::Marketing, Self::Authentication]
            .into_iter()
            .find(|category| category.name().eq_ignore_ascii_case(name))
    }
}

/// One message.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) wamid: Arc<str>,
    /// Index of the business number.
    pub(crate) number: u32,
    /// Index of the person.
    pub(crate) person: u32,
    pub(crate) direction: Direction,
    pub(crate) kind: &'static str,
    /// The message object: as posted when outbound, in webhook shape when inbound.
    pub(crate) raw: Box<str>,
    pub(crate) opaque: Option<Box<str>>,
    pub(crate) at_ms: i64,
    pub(crate) category: Category,
    /// Whether the 24-hour window was open at acceptance; it decides the price.
    pub(crate) in_window: bool,
    /// The template as it was at acceptance, shared with the other messages of this version of it.
    pub(crate) template: Option<Arc<Definition>>,
    pub(crate) marks: Vec<Mark>,
}

impl Entry {
    /// The furthest status, if any was reported.
    pub(crate) fn furthest(&self) -> Option<Status> {
        self.marks.iter().map(|mark| mark.status).max()
    }

    /// The business has seen an inbound message.
    pub(crate) fn see(&mut self, at_ms: i64) {
        if self.marks.is_empty() {
            self.marks.push(Mark { status: Status::Read, at_ms, failure: None });
        }
    }

    fn weight(&self) -> usize {
        self.raw.len() + self.opaque.as_ref().map_or(0, |text| text.len()) + self.wamid.len()
    }
}

/// The messages, numbered from the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Log {
    first: u64,
    entries: VecDeque<Entry>,
    by_wamid: HashMap<Arc<str>, u64>,
    bytes: usize,
}

impl Log {
    /// Adds a message and returns its sequence number.
    pub(crate) fn push(&mut self, entry: Entry) -> u64 {
        while self.entries.len() >= LOG_MAX_MESSAGES
            || (self.bytes > LOG_MAX_BYTES && !self.entries.is_empty())
        {
            self.forget_oldest();
        }
        let seq = self.end();
        self.bytes += entry.weight();
        self.by_wamid.insert(Arc::clone(&entry.wamid), seq);
        self.entries.push_back(entry);
        seq
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else { return };
        self.bytes -= oldest.weight();
        if self.by_wamid.get(&oldest.wamid) == Some(&self.first) {
            self.by_wamid.remove(&oldest.wamid);
        }
        self.first += 1;
    }

    pub(crate) fn get(&self, seq: u64) -> Option<&Entry> {
        let index = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.entries.get(index)
    }

    pub(crate) fn get_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        let index = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.entries.get_mut(index)
    }

    pub(crate) fn find(&self, wamid: &str) -> Option<u64> {
        self.by_wamid.get(wamid).copied()
    }

    /// The first sequence number that is still remembered.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The sequence number the next message will get.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Forgets everything but goes on counting, so that old cursors stay valid.
    pub(crate) fn clear(&mut self) {
        *self = Self { first: self.end(), ..Self::default() };
    }
}
