//! What callers were told, in a file of their own that is synced: the one witness that does not
//! depend on the gateway. It judges nothing.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;

/// What a reply promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promise {
    /// The upstream has it, under this id.
    Sent,
    /// It is durable and will be sent.
    Accepted,
    /// A webhook of the upstream's was taken.
    Taken,
    /// A file was stored.
    Stored,
    /// It was certainly not sent.
    Refused,
    /// Nothing: no answer came, or one that said so.
    Nothing,
}

const WORDS: [(Promise, &str); 6] = [
    (Promise::Sent, "sent"),
    (Promise::Accepted, "accepted"),
    (Promise::Taken, "taken"),
    (Promise::Stored, "stored"),
    (Promise::Refused, "refused"),
    (Promise::Nothing, "nothing"),
];

impl Promise {
    fn word(self) -> &'static str {
        WORDS.iter().find(|(promise, _)| *promise == self).expect("every promise has a word").1
    }

    fn of(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, known)| *known == word).map(|(promise, _)| *promise)
    }
}

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it promised.
    pub promise: Promise,
    /// Of what: the caller's own words for it.
    pub key: String,
    /// The id that it named.
    pub id: String,
}

/// A ledger that is being written.
pub struct Ledger {
    path: PathBuf,
    lines: Mutex<Option<mpsc::Sender<String>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Ledger {
    /// Begins a ledger.
    ///
    /// # Panics
    /// Where the file cannot be made.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let file = File::create(path).expect("the ledger can be made");
        let (lines, waiting) = mpsc::channel();
        let writer = std::thread::spawn(move || write(file, &waiting));
        let (lines, writer) = (Mutex::new(Some(lines)), Mutex::new(Some(writer)));
        Self { path: path.to_owned(), lines, writer }
    }

    /// Writes down a reply.
    ///
    /// # Panics
    /// Where the ledger is closed, or a word has a tab in it.
    pub fn note(&self, promise: Promise, key: &str, id: &str) {
        assert!(!key.contains(['\t', '\n']) && !id.contains(['\t', '\n']), "{key} {id}");
        let line = format!("{}\t{key}\t{id}\n", promise.word());
        let lines = self.lines.lock().unwrap();
        lines.as_ref().expect("the ledger is open").send(line).expect("the writer runs");
    }

    /// Ends the ledger and reads back what is on the disk.
    ///
    /// # Panics
    /// Where it cannot be read.
    pub fn close(&self) -> Vec<Entry> {
        drop(self.lines.lock().unwrap().take());
        if let Some(writer) = self.writer.lock().unwrap().take() {
            writer.join().expect("the ledger was written");
        }
        let text = std::fs::read_to_string(&self.path).expect("the ledger can be read");
        text.lines().map(|line| parse(line).expect("the ledger is whole")).collect()
    }
}

/// Everything that waits is written and synced together.
fn write(mut file: File, waiting: &mpsc::Receiver<String>) {
    while let Ok(mut text) = waiting.recv() {
        for line in waiting.try_iter() {
            text.push_str(&line);
        }
        file.write_all(text.as_bytes()).expect("the ledger can be written");
        file.sync_data().expect("the ledger can be synced");
    }
}

fn parse(line: &str) -> Option<Entry> {
    let mut words = line.split('\t');
    let (promise, key, id) = (words.next()?, words.next()?, words.next()?);
    Some(Entry { promise: Promise::of(promise)?, key: key.to_owned(), id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(&folder.path().join("ledger"));
        for (serial, (promise, _)) in WORDS.into_iter().enumerate() {
            ledger.note(promise, &format!("key {serial}"), "");
        }
        let entries = ledger.close();
        let promises: Vec<_> = entries.iter().map(|entry| entry.promise).collect();
        assert_eq!(promises, WORDS.map(|(promise, _)| promise));
        assert_eq!(entries[5].key, "key 5");
    }
}
