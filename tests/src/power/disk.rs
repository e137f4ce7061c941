//! A disk that remembers what was synced: from the events of a run it makes the folders that a power cut
//! may leave. Strict where systems are lenient: a name is durable only once its folder was synced.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::trace::Event;
use crate::campaign::Chance;

/// What a disk writes at once, and what a file system does.
const SECTOR_BYTES: usize = 512;
const BLOCK_BYTES: usize = 4_096;

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of it is gone.
    Dropped,
    /// All of it is there: what a kill leaves.
    Kept,
    /// Some blocks of it are there, the last write up to some sector.
    Torn {
        /// What chance follows from.
        seed: u64,
    },
}

/// The files and folders that are left, relative to the folder.
pub type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// How many changes became durable and are no longer pending.
    settled: usize,
    position: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

/// The disk, as of some event.
#[derive(Default)]
pub struct Disk {
    files: Vec<Inode>,
    /// `None` is a folder.
    live: BTreeMap<PathBuf, Option<usize>>,
    durable: BTreeMap<PathBuf, Option<usize>>,
    /// Syncs that have begun: how many of the file's changes they cover.
    syncs: HashMap<(u32, PathBuf), usize>,
    /// Grows when anything becomes durable.
    version: u64,
}

impl Disk {
    /// Grows when anything becomes durable.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Goes on by one event; whether it changed anything on the disk.
    pub fn apply(&mut self, event: &Event) -> bool {
        match event {
            Event::Open { path, makes, empties } => self.open(path, *makes, *empties),
            Event::Write { path, at, data } => self.write(path, *at, data),
            Event::Truncate { path, length } => self.change(path, Change::Length(*length)),
            Event::SyncBegun { path, thread } => {
                let covered = self.file(path).map_or(0, |file| {
                    let inode = &self.files[file];
                    inode.settled + inode.pending.len()
                });
                self.syncs.insert((*thread, path.clone()), covered);
                false
            }
            Event::SyncDone { path, thread } => self.sync(path, *thread),
            Event::Rename { from, to } => {
                let moved = self.live.remove(from);
                moved.is_some_and(|node| self.live.insert(to.clone(), node) != Some(node))
            }
            Event::Remove { path } => self.live.remove(path).is_some(),
            Event::MakeFolder { path } => self.live.insert(path.clone(), None).is_none(),
            Event::Answered { .. } => false,
        }
    }

    fn file(&self, path: &Path) -> Option<usize> {
        self.live.get(path).copied().flatten()
    }

    fn open(&mut self, path: &Path, makes: bool, empties: bool) -> bool {
        let known = self.file(path);
        let file = match known {
            Some(file) => file,
            None if makes => {
                self.files.push(Inode::default());
                self.live.insert(path.to_owned(), Some(self.files.len() - 1));
                self.files.len() - 1
            }
            None => return false,
        };
        self.files[file].position = 0;
        if empties {
            self.change(path, Change::Length(0));
        }
        known.is_none() || empties
    }

    fn write(&mut self, path: &Path, at: Option<u64>, data: &[u8]) -> bool {
        let Some(file) = self.file(path) else { return false };
        let at = at.unwrap_or_else(|| {
            let position = self.files[file].position;
            self.files[file].position = position + data.len() as u64;
            position
        });
        self.change(path, Change::Write(at, data.to_vec()))
    }

    fn change(&mut self, path: &Path, change: Change) -> bool {
        let Some(file) = self.file(path) else { return false };
        let inode = &mut self.files[file];
        make(&mut inode.live, &change);
        inode.pending.push(change);
        true
    }

    /// A file's content becomes durable, or a folder's names.
    fn sync(&mut self, path: &Path, thread: u32) -> bool {
        let covered = self.syncs.remove(&(thread, path.to_owned())).unwrap_or(0);
        self.version += 1;
        if let Some(file) = self.file(path) {
            let inode = &mut self.files[file];
            // Another thread's sync may have covered some of it meanwhile.
            let count = covered.saturating_sub(inode.settled).min(inode.pending.len());
            for change in inode.pending.drain(..count) {
                make(&mut inode.durable, &change);
            }
            inode.settled += count;
            return true;
        }
        let is_folder = path.as_os_str().is_empty() || self.live.contains_key(path);
        if !is_folder {
            return false;
        }
        let is_child = |name: &Path| name.parent() == Some(path);
        self.durable.retain(|name, _| !is_child(name));
        let children = self.live.iter().filter(|(name, _)| is_child(name));
        self.durable.extend(children.map(|(name, node)| (name.clone(), *node)));
        true
    }

    /// What a power cut now may leave.
    #[must_use]
    pub fn cut(&self, cut: Cut) -> Image {
        let mut chance = match cut {
            Cut::Torn { seed } => Chance::seeded(seed),
            _ => Chance::seeded(0),
        };
        let names = match cut {
            Cut::Dropped => self.durable.clone(),
            Cut::Kept => self.live.clone(),
            // A folder's names are written together, in the order in which they came.
            Cut::Torn { .. } if chance.is(50) => self.live.clone(),
            Cut::Torn { .. } => self.durable.clone(),
        };
        let mut image = Image::new();
        for (path, node) in &names {
            if !has_parents(path, &names) {
                continue;
            }
            let content = node.map(|file| {
                let inode = &self.files[file];
                match cut {
                    Cut::Dropped => inode.durable.clone(),
                    Cut::Kept => inode.live.clone(),
                    Cut::Torn { .. } => torn(inode, &mut chance),
                }
            });
            image.insert(path.clone(), content);
        }
        image
    }
}

fn has_parents(path: &Path, names: &BTreeMap<PathBuf, Option<usize>>) -> bool {
    let mut parents = path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
    parents.all(|parent| names.contains_key(parent))
}

fn make(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, data) => put(content, *at, data),
        Change::Length(length) => content.resize(usize::try_from(*length).unwrap_or(0), 0),
    }
}

fn put(content: &mut Vec<u8>, at: u64, data: &[u8]) {
    let at = usize::try_from(at).expect("files of a rig fit into memory");
    if content.len() < at + data.len() {
        content.resize(at + data.len(), 0);
    }
    content[at..at + data.len()].copy_from_slice(data);
}

/// Each block of what was not synced may be there or not; the last write ends at some sector.
fn torn(inode: &Inode, chance: &mut Chance) -> Vec<u8> {
    let mut content = inode.durable.clone();
    let last = inode.pending.len().saturating_sub(1);
    for (place, change) in inode.pending.iter().enumerate() {
        match change {
            Change::Length(_) if chance.is(50) => make(&mut content, change),
            Change::Length(_) => {}
            Change::Write(at, data) if place == last => {
                let sectors = (data.len() / SECTOR_BYTES + 1) as u64;
                let kept = usize::try_from(chance.within(0..sectors)).unwrap_or(0) * SECTOR_BYTES;
                put(&mut content, *at, &data[..kept.min(data.len())]);
            }
            Change::Write(at, data) => {
                let mut from = 0;
                while from < data.len() {
                    let at = at + from as u64;
                    let in_block = usize::try_from(at % BLOCK_BYTES as u64).unwrap_or(0);
                    let to = data.len().min(from + BLOCK_BYTES - in_block);
                    if chance.is(50) {
                        put(&mut content, at, &data[from..to]);
                    }
                    from = to;
                }
            }
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &str, at: u64, data: &[u8]) -> Event {
        Event::Write { path: path.into(), at: Some(at), data: data.to_vec() }
    }

    fn synced(path: &str) -> [Event; 2] {
        let path = PathBuf::from(path);
        [Event::SyncBegun { path: path.clone(), thread: 1 }, Event::SyncDone { path, thread: 1 }]
    }

    fn disk(events: impl IntoIterator<Item = Event>) -> Disk {
        let mut disk = Disk::default();
        for event in events {
            disk.apply(&event);
        }
        disk
    }

    fn made(path: &str) -> Event {
        Event::Open { path: path.into(), makes: true, empties: false }
    }

    #[test]
    fn a_name_lasts_only_once_its_folder_was_synced() {
        let mut events = vec![made("a"), write("a", 0, b"one")];
        events.extend(synced("a"));
        assert_eq!(disk(events.clone()).cut(Cut::Dropped), Image::new());
        events.extend(synced(""));
        let image = disk(events.clone()).cut(Cut::Dropped);
        assert_eq!(image["a".as_ref() as &Path], Some(b"one".to_vec()));
        events.push(Event::Rename { from: "a".into(), to: "b".into() });
        assert!(disk(events.clone()).cut(Cut::Dropped).contains_key("a".as_ref() as &Path));
        assert!(disk(events).cut(Cut::Kept).contains_key("b".as_ref() as &Path));
    }

    #[test]
    fn what_is_written_after_a_sync_began_is_not_covered() {
        let [begun, done] = synced("a");
        let mut events = vec![made("a"), write("a", 0, b"one"), begun, write("a", 3, b"two"), done];
        events.extend(synced(""));
        let disk = disk(events);
        assert_eq!(disk.cut(Cut::Dropped)["a".as_ref() as &Path], Some(b"one".to_vec()));
        assert_eq!(disk.cut(Cut::Kept)["a".as_ref() as &Path], Some(b"onetwo".to_vec()));
    }

    #[test]
    fn tears_at_blocks_and_sectors_only() {
        let mut events = vec![made("a")];
        events.extend(synced(""));
        events.push(write("a", 0, &[1; 3 * BLOCK_BYTES]));
        events.push(write("a", 3 * BLOCK_BYTES as u64, &[2; BLOCK_BYTES]));
        let disk = disk(events);
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let image = disk.cut(Cut::Torn { seed });
            let content = image["a".as_ref() as &Path].clone().unwrap();
            assert_eq!(content.len() % SECTOR_BYTES, 0);
            for block in content.chunks(SECTOR_BYTES) {
                assert!(block.iter().all(|byte| *byte == block[0]));
            }
            lengths.insert(content.len());
        }
        assert!(lengths.len() > 4, "{lengths:?}");
    }
}
