//! Whether the write-ahead log still holds what was committed to it. SQLite takes a damaged frame for
//! the end of the log, as after a torn write: what was committed behind it would be gone without a
//! word. Its index beside the log, where the system still has it, says how many frames were synced;
//! fewer than that is damage.
//!
//! After a power loss the index says nothing, or less than the log has: then nothing is found here,
//! and nothing of what is synced is missing either. Formats: sqlite.org/walformat.html.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

/// Bytes of the log's own header, and of the part of it that its checksum covers.
const LOG_HEADER: usize = 32;
const LOG_HEADER_COVERED: usize = 24;
/// Bytes of a frame's header, and of the part of it that its checksum covers.
const FRAME_HEADER: usize = 24;
const FRAME_HEADER_COVERED: usize = 8;
/// Bytes of the index's header, which stands there twice, and of the part that its checksum covers.
const INDEX_HEADER: usize = 48;
const INDEX_HEADER_COVERED: usize = 40;
/// The first words of logs whose checksums are of little- and of big-endian words.
const MAGIC_LITTLE: u32 = 0x377f_0682;
const MAGIC_BIG: u32 = 0x377f_0683;
/// Sizes that a page may have.
const PAGE_BYTES: std::ops::RangeInclusive<u32> = 512..=65_536;

/// How many frames were committed, and how many of them can still be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) committed: u32,
    pub(crate) readable: u32,
}

/// Looks at the log of a database that nobody has open. `None`: nothing that was committed is known
/// to be missing.
pub(crate) fn damage(database: &Path) -> io::Result<Option<Damage>> {
    let Some(index) = Index::read(&beside(database, "-shm"))? else { return Ok(None) };
    if index.committed <= index.in_database {
        return Ok(None);
    }
    let readable = readable(&beside(database, "-wal"), index.salts)?;
    let damage = Damage { committed: index.committed, readable: readable.unwrap_or(0) };
    Ok((damage.readable < damage.committed).then_some(damage))
}

/// A file of the database's, by what follows the database's name.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// What the index says.
struct Index {
    /// Frames up to the last commit.
    committed: u32,
    /// Frames that are copied into the database.
    in_database: u32,
    salts: [u8; 8],
}

impl Index {
    /// `None` where there is none, or it was not finished.
    fn read(path: &Path) -> io::Result<Option<Self>> {
        let Some(bytes) = head(path, 2 * INDEX_HEADER + 4)? else { return Ok(None) };
        let (header, rest) = bytes.split_at(INDEX_HEADER);
        let (twin, info) = rest.split_at(INDEX_HEADER);
        let native = Words { is_big: cfg!(target_endian = "big") };
        let sum = native.sum(&header[..INDEX_HEADER_COVERED], (0, 0));
        let is_initialised = header[12] == 1;
        let kept = (native.word(&header[40..44]), native.word(&header[44..48]));
        if header != twin || !is_initialised || sum != kept {
            return Ok(None);
        }
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[32..40]);
        Ok(Some(Self {
            committed: native.word(&header[16..20]),
            in_database: native.word(&info[..4]),
            salts,
        }))
    }
}

/// Frames of this generation that SQLite would read: up to the last commit before the first damage.
/// `None`: the log is of another generation, or has no head that can be read.
fn readable(path: &Path, salts: [u8; 8]) -> io::Result<Option<u32>> {
    let Some(header) = head(path, LOG_HEADER)? else { return Ok(None) };
    let is_big = match u32::from_be_bytes([header[0], header[1], header[2], header[3]]) {
        MAGIC_LITTLE => false,
        MAGIC_BIG => true,
        _ => return Ok(None),
    };
    let words = Words { is_big };
    let page_bytes = big(&header[8..12]);
    let mut sum = words.sum(&header[..LOG_HEADER_COVERED], (0, 0));
    let is_whole = sum == (big(&header[24..28]), big(&header[28..32]));
    if !is_whole || header[16..24] != salts || !PAGE_BYTES.contains(&page_bytes) {
        return Ok(None);
    }
    let mut log = BufReader::with_capacity(1 << 20, File::open(path)?);
    log.seek_relative(LOG_HEADER as i64)?;
    let mut frame = vec![0; FRAME_HEADER + page_bytes as usize];
    let (mut frames, mut committed) = (0, 0);
    loop {
        match log.read_exact(&mut frame) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        sum = words.sum(&frame[..FRAME_HEADER_COVERED], sum);
        sum = words.sum(&frame[FRAME_HEADER..], sum);
        if frame[8..16] != salts || sum != (big(&frame[16..20]), big(&frame[20..24])) {
            break;
        }
        frames += 1;
        if big(&frame[4..8]) != 0 {
            committed = frames;
        }
    }
    Ok(Some(committed))
}

/// The first bytes of a file; `None` where it does not exist or has fewer.
fn head(path: &Path, length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; length];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn big(bytes: &[u8]) -> u32 {
    Words { is_big: true }.word(bytes)
}

/// SQLite's checksum over words of one byte order.
#[derive(Clone, Copy)]
struct Words {
    is_big: bool,
}

impl Words {
    fn word(self, bytes: &[u8]) -> u32 {
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    /// Adds to a sum; the length is a multiple of 8.
    fn sum(self, bytes: &[u8], (mut one, mut two): (u32, u32)) -> (u32, u32) {
        for pair in bytes.chunks_exact(8) {
            one = one.wrapping_add(self.word(&pair[..4])).wrapping_add(two);
            two = two.wrapping_add(self.word(&pair[4..])).wrapping_add(one);
        }
        (one, two)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rusqlite::Connection;

    use super::*;

    /// A database as `kill -9` leaves it: copied while it is open.
    fn killed(folder: &Path, checkpoint: bool) -> PathBuf {
        let live = folder.join("live.db");
        let conn = Connection::open(&live).unwrap();
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = FULL;
             CREATE TABLE t (a TEXT);",
        )
        .unwrap();
        for _ in 0..30 {
            conn.execute("INSERT INTO t VALUES (hex(randomblob(600)))", []).unwrap();
        }
        if checkpoint {
            conn.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).unwrap();
        }
        let copy = folder.join("copy.db");
        for suffix in ["", "-wal", "-shm"] {
            fs::copy(beside(&live, suffix), beside(&copy, suffix)).unwrap();
        }
        copy
    }

    #[test]
    fn what_kill_leaves_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let copy = killed(folder.path(), false);
        assert_eq!(damage(&copy).unwrap(), None);
        let index = Index::read(&beside(&copy, "-shm")).unwrap().unwrap();
        let read = readable(&beside(&copy, "-wal"), index.salts).unwrap();
        assert_eq!(read, Some(index.committed), "the check reads what SQLite wrote");
        assert!(index.committed > 30);
        assert_eq!(damage(&folder.path().join("none.db")).unwrap(), None);
    }

    #[test]
    fn a_flipped_bit_or_a_lost_end_is_found_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let copy = killed(folder.path(), false);
        let log = beside(&copy, "-wal");
        let whole = fs::read(&log).unwrap();
        for part in 0..40 {
            let place = whole.len() * part / 40;
            let mut flipped = whole.clone();
            flipped[place] ^= 1;
            fs::write(&log, &flipped).unwrap();
            assert!(damage(&copy).unwrap().is_some(), "flipped at {place}");
            fs::write(&log, &whole[..place]).unwrap();
            assert!(damage(&copy).unwrap().is_some(), "cut off at {place}");
        }
        fs::remove_file(&log).unwrap();
        assert!(damage(&copy).unwrap().is_some(), "the log is gone");
    }

    #[test]
    fn what_is_in_the_database_already_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let copy = killed(folder.path(), true);
        fs::remove_file(beside(&copy, "-wal")).unwrap();
        assert_eq!(damage(&copy).unwrap(), None);
    }

    #[test]
    fn without_an_index_nothing_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let copy = killed(folder.path(), false);
        let index = beside(&copy, "-shm");
        let whole = fs::read(&index).unwrap();
        for bytes in [Vec::new(), vec![0; whole.len()], {
            let mut torn = whole.clone();
            torn[17] ^= 1;
            torn
        }] {
            fs::write(&index, bytes).unwrap();
            fs::write(beside(&copy, "-wal"), b"").unwrap();
            assert_eq!(damage(&copy).unwrap(), None);
        }
    }
}
