//! Reading a backup: every byte is looked at before anything is trusted, and no entry can leave the
//! folder that it is unpacked into.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tar::{Archive, Entry};
use waypost_server::archive::{DATABASE, END, End, FORMAT, HEAD, Head, MEDIA, media_path};

/// The longest head or end that is read, in bytes.
const MAX_JSON_BYTES: u64 = 1_024 * 1_024;
/// How much is copied at once, in bytes.
const BUFFER_BYTES: usize = 256 * 1_024;

/// Reads an archive to its end and looks whether everything is as it should be.
///
/// # Errors
/// It is cut off, changed, or no backup.
pub(crate) fn check(file: &Path) -> anyhow::Result<(Head, End)> {
    read(file, |_| Ok(()), &mut Nowhere)
}

/// Where entries go.
pub(crate) trait Place {
    /// A place for an entry's bytes.
    fn open(&mut self, path: &str) -> anyhow::Result<Box<dyn Write>>;
    /// All bytes of an entry were written.
    fn close(&mut self, path: &str) -> anyhow::Result<()>;
}

struct Nowhere;

impl Place for Nowhere {
    fn open(&mut self, _: &str) -> anyhow::Result<Box<dyn Write>> {
        Ok(Box::new(io::sink()))
    }

    fn close(&mut self, _: &str) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Entries as files below a folder.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Place for Folder {
    fn open(&mut self, path: &str) -> anyhow::Result<Box<dyn Write>> {
        let file = self.0.join(path);
        let made = || -> io::Result<File> {
            std::fs::create_dir_all(file.parent().unwrap_or(&self.0))?;
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)
        };
        Ok(Box::new(made().with_context(|| format!("cannot write {}", file.display()))?))
    }

    fn close(&mut self, path: &str) -> anyhow::Result<()> {
        let file = self.0.join(path);
        let synced = File::open(&file).and_then(|open| open.sync_all());
        synced.with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Reads an archive to its end. `accept` is asked before anything is put anywhere.
///
/// # Errors
/// It is cut off, changed, no backup, or not accepted; or its place cannot be written.
pub(crate) fn read(
    file: &Path,
    accept: impl FnOnce(&Head) -> anyhow::Result<()>,
    place: &mut dyn Place,
) -> anyhow::Result<(Head, End)> {
    let open = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut archive = Archive::new(BufReader::with_capacity(BUFFER_BYTES, open));
    let mut entries = archive.entries().context("it is no tar archive")?;
    let first = entries.next().context("it is empty")?;
    let mut first = first.map_err(|error| unread(&error, "it is no backup of Waypost"))?;
    ensure!(path_of(&first)? == HEAD, "it is no backup of Waypost");
    let head: Head = json(&mut first)?;
    ensure!(
        head.format <= FORMAT,
        "it was made by a newer version of Waypost ({}): use that version",
        head.waypost
    );
    accept(&head)?;
    let mut found = Found::default();
    for entry in entries {
        let mut entry = entry.map_err(|error| unread(&error, "it is cut off or damaged"))?;
        let path = path_of(&entry)?;
        if path == END {
            let end: End = json(&mut entry)?;
            found.agrees_with(&head, &end)?;
            return Ok((head, end));
        }
        found.take(&path, &mut entry, place)?;
    }
    bail!("it is cut off: its end is missing")
}

/// Why no entry was read. What the library says of bytes that are no entry quotes them.
fn unread(error: &io::Error, what: &'static str) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            anyhow!(what)
        }
        kind => anyhow!("it cannot be read: {kind}"),
    }
}

/// What an archive holds.
#[derive(Default)]
struct Found {
    database: Option<(String, u64)>,
    media_files: u64,
    media_bytes: u64,
    /// Contents whose bytes are others than their name says.
    changed: Vec<String>,
}

impl Found {
    fn take(
        &mut self,
        path: &str,
        entry: &mut impl Read,
        place: &mut dyn Place,
    ) -> anyhow::Result<()> {
        let content = path.rsplit('/').next().unwrap_or_default();
        let is_media = is_digest(content) && path == media_path(content);
        ensure!(is_media || path == DATABASE, "it holds {path}, which belongs to no backup");
        let (digest, bytes) = copy(entry, &mut place.open(path)?)
            .with_context(|| format!("{path} cannot be copied"))?;
        place.close(path)?;
        if is_media {
            self.media_files += 1;
            self.media_bytes += bytes;
            if digest != content {
                self.changed.push(content.to_owned());
            }
        } else {
            ensure!(self.database.is_none(), "it holds two databases");
            self.database = Some((digest, bytes));
        }
        Ok(())
    }

    /// A file that was damaged before it came into the archive is no fault of the archive.
    fn agrees_with(&self, head: &Head, end: &End) -> anyhow::Result<()> {
        let expected = (end.database_sha256.clone(), head.database_bytes);
        let database = self.database.as_ref().context("it holds no database")?;
        ensure!(*database == expected, "its database was changed");
        let files = (self.media_files, self.media_bytes);
        ensure!(files == (end.media_files, end.media_bytes), "media files are missing in it");
        let unexplained = self.changed.len() as u64 > end.damaged.count
            || self.changed.iter().any(|content| {
                !end.damaged.contents.contains(content)
                    && end.damaged.count == end.damaged.contents.len() as u64
            });
        ensure!(!unexplained, "{MEDIA} files in it were changed");
        Ok(())
    }
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn path_of<R: Read>(entry: &Entry<'_, R>) -> anyhow::Result<String> {
    let path = entry.path().context("an entry has no name")?;
    Ok(path.to_str().context("an entry has a strange name")?.to_owned())
}

fn json<T: DeserializeOwned>(entry: &mut impl Read) -> anyhow::Result<T> {
    let mut text = Vec::new();
    entry.take(MAX_JSON_BYTES).read_to_end(&mut text).context("it is cut off")?;
    serde_json::from_slice(&text).context("what it says of itself cannot be read")
}

/// Copies an entry; returns its SHA-256 and its bytes.
fn copy(from: &mut impl Read, to: &mut dyn Write) -> io::Result<(String, u64)> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
        bytes += count as u64;
    }
    to.flush()?;
    let digest = hasher.finalize();
    Ok((digest.iter().map(|byte| format!("{byte:02x}")).collect(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_backup_is_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwd");
        std::fs::write(&file, "root:x:0:0:root:/root:/bin/bash\n".repeat(100)).unwrap();
        let told = format!("{:#}", check(&file).unwrap_err());
        assert_eq!(told, "it is no backup of Waypost");
    }
}
