//! `waypost backup`: takes a running gateway's copy of everything, looks at it, and gives it its
//! name only then.

pub(crate) mod archive;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use waypost_server::archive::{End, Head};

use crate::admin::{Api, note, print_done};
use crate::cli::backup::BackupArgs;
use crate::http_client::Lines;

/// How long the gateway may take until it has copied its database.
const TIME_LIMIT: Duration = Duration::from_secs(3_600);

/// Makes a backup.
///
/// # Errors
/// The gateway refuses or breaks off, the file exists or cannot be written, or what came is not
/// whole. Nothing is left behind then.
pub(crate) async fn run(args: &BackupArgs, data_dir: &Path) -> anyhow::Result<()> {
    let api = Api::patient(&args.gateway, data_dir, TIME_LIMIT)?;
    if let Some(file) = &args.file {
        refuse_existing(file)?;
    }
    let folder = args.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    let mut unnamed = Unnamed::create(&folder)?;
    let mut pieces = api.download(&["backups"], "application/x-tar").await?;
    unnamed.fill(&mut pieces).await?;
    let (head, end) = archive::check(&unnamed.path)
        .context("what the gateway sent is no whole backup; see its log")?;
    let file = args.file.clone().unwrap_or_else(|| default_name(&head));
    let bytes = unnamed.rename(&file)?;
    let unconfirmed = confirm(&api, &head).await.err();
    tell(&file, bytes, &head, &end, args.gateway.json);
    if let Some(error) = unconfirmed {
        note(&format!("Warning: the gateway does not count this backup: {error:#}"));
    }
    Ok(())
}

/// The gateway cannot know otherwise that the backup is checked and on a disk.
async fn confirm(api: &Api, head: &Head) -> anyhow::Result<()> {
    let id = head.taken_at_ms.to_string();
    api.post(&["backups", &id, "confirm"], None).await.map(drop)
}

fn refuse_existing(file: &Path) -> anyhow::Result<()> {
    if file.exists() {
        bail!("{} exists already; a backup replaces nothing", file.display());
    }
    Ok(())
}

/// `waypost-20260131T020000Z.tar`, by when it was taken.
fn default_name(head: &Head) -> PathBuf {
    let seconds = head.taken_at.split('.').next().unwrap_or_default().trim_end_matches('Z');
    let digits: String = seconds.chars().filter(|char| !matches!(char, '-' | ':')).collect();
    PathBuf::from(format!("waypost-{digits}Z.tar"))
}

/// A file that has not its name yet. Dropping it removes it.
struct Unnamed {
    path: PathBuf,
    file: File,
    named: bool,
}

impl Unnamed {
    fn create(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(format!(".waypost-backup-{}.unfinished", std::process::id()));
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, file, named: false })
    }

    async fn fill(&mut self, pieces: &mut Lines) -> anyhow::Result<()> {
        let write = |error: io::Error| {
            anyhow::Error::new(error).context(format!("cannot write {}", self.path.display()))
        };
        while let Some(piece) = pieces.piece().await.context("the backup broke off")? {
            self.file.write_all(&piece).map_err(write)?;
        }
        self.file.sync_all().map_err(write)
    }

    /// Gives it its name, durably; returns its size in bytes.
    fn rename(mut self, file: &Path) -> anyhow::Result<u64> {
        refuse_existing(file)?;
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let named = || -> io::Result<u64> {
            fs::rename(&self.path, file)?;
            File::open(parent)?.sync_all()?;
            Ok(fs::metadata(file)?.len())
        };
        let bytes = named().with_context(|| format!("cannot write {}", file.display()))?;
        self.named = true;
        Ok(bytes)
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if !self.named {
            // Whoever looks finds a name that says what it is.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn tell(file: &Path, bytes: u64, head: &Head, end: &End, as_json: bool) {
    let mut text = format!(
        "{}: everything up to {}, {bytes} bytes, {} media files.\nThe master key is not in it. Keep the \
         one with the fingerprint {} in another place: without it, tokens and other secrets in this \
         backup cannot be read.",
        file.display(),
        head.taken_at,
        end.media_files,
        head.master_key,
    );
    let (lost, damaged) = (end.lost.count, end.damaged.count);
    if lost + damaged > 0 {
        text.push_str(&format!(
            "\nWarning: {lost} media files are lost and {damaged} damaged on the gateway's disk."
        ));
    }
    let answer = json!({
        "file": file.to_string_lossy(), "bytes": bytes, "taken_at": head.taken_at,
        "waypost": head.waypost, "master_key_fingerprint": head.master_key,
        "database_bytes": head.database_bytes, "media_files": end.media_files,
        "media_bytes": end.media_bytes, "lost_media": end.lost.contents,
        "damaged_media": end.damaged.contents,
    });
    print_done(&text, &answer, as_json);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_named_by_its_instant() {
        for (taken_at, name) in [
            ("2026-01-31T02:00:00Z", "waypost-20260131T020000Z.tar"),
            ("2026-01-31T02:00:00.125Z", "waypost-20260131T020000Z.tar"),
        ] {
            let head = Head {
                format: 1,
                waypost: String::new(),
                layout: 1,
                taken_at: taken_at.to_owned(),
                taken_at_ms: 0,
                upstream_kind: String::new(),
                master_key: String::new(),
                database_bytes: 0,
            };
            assert_eq!(default_name(&head), Path::new(name));
        }
    }
}
