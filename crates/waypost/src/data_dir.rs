//! The data folder: made for its owner only, held by one process, remembering the kind of upstream
//! it was made with, and the small files beside the database (`admin.env`, `demo.env`, the master
//! key). It knows nothing of what the database and the media store keep in it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use crate::config::UpstreamTarget;

/// For the operator's clients: address, admin key and webhook verify token.
pub(crate) const ADMIN_ENV: &str = "admin.env";
/// For whoever tries the demo.
pub(crate) const DEMO_ENV: &str = "demo.env";
const LOCK_FILE: &str = "waypost.lock";
const MARKER_FILE: &str = "upstream-kind";
/// The folder of the built-in sandbox, inside it.
pub(crate) const SANDBOX: &str = "sandbox";
/// Where a restore unpacks: as long as it is there, the folder is not whole.
const RESTORING: &str = "restoring";
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Bytes of the master key.
pub(crate) const MASTER_KEY_BYTES: usize = 32;
/// The longest small file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// A data folder, held by this process until it is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    kind: &'static str,
    first_start: bool,
    _lock: File,
}

impl DataDir {
    /// Makes the folder or opens it, and keeps other processes out.
    ///
    /// # Errors
    /// One line: not writable, full, held by another process, or made with the other kind of
    /// upstream while `demo_forced` is not given.
    pub(crate) fn open(
        path: &Path,
        target: &UpstreamTarget,
        demo_forced: bool,
    ) -> anyhow::Result<Self> {
        make_folder(path)?;
        let lock = hold(path)?;
        check_history(path, target, demo_forced)?;
        let first_start = !was_used(path);
        Ok(Self { path: path.to_owned(), kind: kind(target), first_start, _lock: lock })
    }

    /// To be called when everything that a first start makes is on the disk, before the first
    /// request is taken. Until then a start counts as the first one, so that an interrupted first
    /// start is simply done again.
    ///
    /// # Errors
    /// Not writable.
    pub(crate) fn finish_first_start(&self) -> anyhow::Result<()> {
        if self.first_start {
            write_private(&self.path.join(MARKER_FILE), format!("{}\n", self.kind).as_bytes())?;
        }
        Ok(())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether no start has made everything in the folder yet.
    pub(crate) fn is_first_start(&self) -> bool {
        self.first_start
    }

    /// Refuses to have the database made anew where there was one: all that it held would be gone,
    /// and nobody would hear of it.
    ///
    /// # Errors
    /// Missing or empty on a later start.
    pub(crate) fn require_database(&self, file: &Path) -> anyhow::Result<()> {
        let is_gone = match fs::metadata(file) {
            Ok(about) => about.len() == 0,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        ensure!(
            self.first_start || !is_gone,
            "the database {} is missing or empty, and the data folder {} was used before: without it \
             all messages are lost. Put it back, or restore a backup into an empty folder \
             (`waypost restore`); to begin anew, use an empty folder (--data-dir)",
            file.display(),
            self.path.display()
        );
        Ok(())
    }

    /// Reads the master key; makes it on the first start.
    ///
    /// # Errors
    /// Not readable or not a key; missing on a later start, where a new key would open nothing.
    pub(crate) fn master_key(&self, file: &Path) -> anyhow::Result<[u8; MASTER_KEY_BYTES]> {
        if let Some(key) = read_master_key(file)? {
            return Ok(key);
        }
        ensure!(
            self.first_start,
            "the master key {} is missing, and nothing sealed in {} can be read without it. \
             Restore it from your backup",
            file.display(),
            self.path.display()
        );
        let mut key = [0; MASTER_KEY_BYTES];
        getrandom::fill(&mut key).context("the operating system gives no random bytes")?;
        write_private(file, format!("{}\n", encode_key(&key)).as_bytes())?;
        Ok(key)
    }

    /// Reads one of the files of variables; `None` where there is none.
    ///
    /// # Errors
    /// Not readable.
    pub(crate) fn read_variables(&self, name: &str) -> anyhow::Result<Option<Variables>> {
        read_variables(&self.path, name)
    }

    /// Writes one of the files of variables, whole.
    ///
    /// # Errors
    /// Not writable.
    pub(crate) fn write_variables(
        &self,
        name: &str,
        comment: &str,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let mut text = format!("# {comment}\n");
        for (key, value) in variables {
            text.push_str(&format!("{key}={}\n", quoted(value)));
        }
        write_private(&self.path.join(name), text.as_bytes())
    }
}

/// An empty folder that is to become a data folder, held by this process until it is dropped.
pub(crate) struct EmptyDir {
    path: PathBuf,
    _lock: File,
}

impl EmptyDir {
    /// Makes the folder or looks whether it is empty, but for the master key and what an unfinished
    /// restore left.
    ///
    /// # Errors
    /// Not writable, held by another process, or not empty.
    pub(crate) fn take(path: &Path, master_key_file: &Path) -> anyhow::Result<Self> {
        make_folder(path)?;
        let lock = hold(path)?;
        let is_unfinished = path.join(RESTORING).exists();
        let failed = || format!("cannot read the folder {}", path.display());
        for entry in fs::read_dir(path).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let name = entry.file_name();
            let is_ours = [LOCK_FILE, RESTORING].iter().any(|ours| name == *ours)
                || path.join(&name) == master_key_file
                || (is_unfinished
                    && ["media", SANDBOX, MARKER_FILE].iter().any(|left| name == *left));
            ensure!(
                is_ours,
                "the folder {} is not empty: it holds {}. A restore replaces nothing; use an empty \
                 folder (--data-dir)",
                path.display(),
                name.display()
            );
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// A fresh folder inside it to unpack into.
    ///
    /// # Errors
    /// Not writable.
    pub(crate) fn unpack_into(&self) -> anyhow::Result<PathBuf> {
        let unpacked = self.path.join(RESTORING);
        for left in [&unpacked, &self.path.join("media")] {
            match fs::remove_dir_all(left) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot write {}", left.display()));
                }
                _ => {}
            }
        }
        make_folder(&unpacked)?;
        Ok(unpacked)
    }

    /// Writes with which kind of upstream the folder was made.
    ///
    /// # Errors
    /// Not writable.
    pub(crate) fn write_marker(&self, kind: &str) -> anyhow::Result<()> {
        write_private(&self.path.join(MARKER_FILE), format!("{kind}\n").as_bytes())
    }

    /// Everything is in its place.
    ///
    /// # Errors
    /// Not writable.
    pub(crate) fn finish(&self) -> anyhow::Result<()> {
        let finished = || -> io::Result<()> {
            fs::remove_dir_all(self.path.join(RESTORING))?;
            File::open(&self.path)?.sync_all()
        };
        finished().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// Refuses a folder of which a restore was not finished, and one that was made with the other kind of
/// upstream while `demo_forced` is not given.
///
/// # Errors
/// One line: which of them.
pub(crate) fn check_history(
    path: &Path,
    target: &UpstreamTarget,
    demo_forced: bool,
) -> anyhow::Result<()> {
    ensure!(
        !path.join(RESTORING).exists(),
        "a restore into the data folder {} was not finished: run it again, or empty the folder",
        path.display()
    );
    let made_with = read_small(&path.join(MARKER_FILE))?;
    let kind = kind(target);
    match made_with.as_deref().map(str::trim) {
        None => {}
        Some(made_with) if made_with == kind || demo_forced => {}
        Some("sandbox") => bail!(
            "the data folder {} was made with the sandbox; its messages never reached a phone. \
             Use an empty folder for {} (--data-dir), or --demo to go on with this one",
            path.display(),
            target.name()
        ),
        Some(_) => bail!(
            "the data folder {} was made with a real upstream, and the sandbox would swallow \
             its messages. Configure the upstream, use another folder (--data-dir), \
             or --demo to go on with this one",
            path.display()
        ),
    }
    Ok(())
}

/// Whether a gateway has started in this folder.
pub(crate) fn was_used(path: &Path) -> bool {
    path.join(MARKER_FILE).exists()
}

/// Reads a master key; `None` where there is no such file.
///
/// # Errors
/// Not readable, or not a key.
pub(crate) fn read_master_key(file: &Path) -> anyhow::Result<Option<[u8; MASTER_KEY_BYTES]>> {
    let Some(text) = read_small(file)? else { return Ok(None) };
    let key = decode_key(text.trim());
    key.map(Some)
        .with_context(|| format!("{} holds no master key: 64 hexadecimal digits", file.display()))
}

/// The variables of a file.
pub(crate) type Variables = BTreeMap<String, String>;

/// Reads a file of variables in a folder that another process may hold.
///
/// # Errors
/// Not readable.
pub(crate) fn read_variables(folder: &Path, name: &str) -> anyhow::Result<Option<Variables>> {
    let Some(text) = read_small(&folder.join(name))? else { return Ok(None) };
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    Ok(Some(pairs.map(|(key, value)| (key.to_owned(), unquoted(value))).collect()))
}

/// The marker's word. A folder made with Meta may go on with a mock of it, but not with the sandbox.
const fn kind(target: &UpstreamTarget) -> &'static str {
    match target {
        UpstreamTarget::Sandbox => "sandbox",
        UpstreamTarget::Real(_) => "real",
    }
}

/// Makes a folder for its owner only, with those around it.
///
/// # Errors
/// Not writable.
pub(crate) fn make_folder(path: &Path) -> anyhow::Result<()> {
    ensure!(!path.is_file(), "the data folder {} is a file", path.display());
    let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path);
    made.with_context(|| format!("cannot make the data folder {}", path.display()))
}

fn hold(path: &Path) -> anyhow::Result<File> {
    let file = path.join(LOCK_FILE);
    let refused = || format!("cannot write to the data folder {}", path.display());
    let mut lock = private_file().open(&file).with_context(refused)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!(
            "the data folder {} is used by another process{}. Stop it, or use another folder \
             (--data-dir); `waypost admin` speaks to the running one",
            path.display(),
            holder(&file)
        ),
        Err(TryLockError::Error(error)) => return Err(error).with_context(refused),
    }
    // Written at every start, so that a full disk shows before anything is accepted.
    lock.set_len(0).with_context(refused)?;
    writeln!(lock, "{}", std::process::id()).with_context(refused)?;
    Ok(lock)
}

fn holder(file: &Path) -> String {
    let id = read_small(file).ok().flatten().and_then(|text| text.trim().parse::<u32>().ok());
    id.map(|id| format!(" (process {id})")).unwrap_or_default()
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(FILE_MODE);
    options
}

/// Reads a small file; `None` where there is none.
///
/// # Errors
/// Not readable, or not UTF-8.
pub(crate) fn read_small(path: &Path) -> anyhow::Result<Option<String>> {
    let failed = || format!("cannot read {}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(failed),
    };
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).with_context(failed)?;
    Ok(Some(text))
}

/// Writes a file whole or not at all, for its owner only, and safe from a power loss on return.
///
/// # Errors
/// Not writable.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().with_context(|| format!("{} is no file", path.display()))?;
    let fresh = folder.join(format!(".{}.new", name.to_string_lossy()));
    let write = || -> io::Result<()> {
        // A rest of an interrupted write may have other rights: it is made anew.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private_file().create_new(true).open(&fresh)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        File::open(folder)?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn encode_key(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode_key(text: &str) -> Option<[u8; MASTER_KEY_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * MASTER_KEY_BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut key = [0; MASTER_KEY_BYTES];
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

/// The value as a shell reads it back.
fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+@%,=".contains(&byte);
    if value.bytes().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

fn unquoted(value: &str) -> String {
    let inner = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inner.map_or_else(|| value.to_owned(), |inner| inner.replace(r"'\''", "'"))
}
