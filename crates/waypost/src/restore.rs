//! `waypost restore`: a backup becomes a data folder. Everything is unpacked and checked beside its
//! place first; the database gets its name last, so that a folder with a database is a whole one.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::json;
use waypost_clock::Clock;
use waypost_domain::Timestamp;
use waypost_engine::ports::HeldBack;
use waypost_engine::vault::Vault;
use waypost_planted::{Bug, is_planted};
use waypost_server::archive::{DATABASE, End, Head, MEDIA};

use crate::admin::print_done;
use crate::backup::archive::{self, Folder};
use crate::cli::backup::RestoreArgs;
use crate::config::Config;
use crate::data_dir::{self, EmptyDir, SANDBOX};
use crate::sandbox_clock;

/// Restores a backup.
///
/// # Errors
/// The folder is not empty or in use, the backup is damaged or made by a newer version, the master
/// key is another one, or the disk refuses. What was begun is done again by the next try.
pub(crate) fn run(args: &RestoreArgs, config: &Config) -> anyhow::Result<()> {
    let key = data_dir::read_master_key(&config.master_key_file)?;
    let key = key.map(|key| Vault::new(key).fingerprint());
    let folder = EmptyDir::take(&config.data_dir, &config.master_key_file)?;
    ensure!(
        !config.database_file.exists(),
        "{} exists already; a restore replaces nothing",
        config.database_file.display()
    );
    let unpacked = folder.unpack_into()?;
    let accept = |head: &Head| check_head(head, key.as_deref(), config);
    let (head, end) = archive::read(&args.file, accept, &mut Folder(unpacked.clone()))
        .with_context(|| format!("{} is not restored", args.file.display()))?;
    let held = prepare(args, &head, &unpacked)?;
    move_into_place(&unpacked, &folder, config, &head)?;
    tell(args, config, &head, &end, &held, key.is_some());
    Ok(())
}

fn check_head(head: &Head, key: Option<&str>, config: &Config) -> anyhow::Result<()> {
    let known = waypost_store_sqlite::known_layout();
    ensure!(
        head.layout <= known,
        "it was made by a newer version of Waypost ({}, layout {}; this one knows {known}): use that version",
        head.waypost,
        head.layout
    );
    ensure!(
        key.is_none_or(|key| key == head.master_key),
        "it needs the master key with the fingerprint {}; the one in {} has {}. Put the right file \
         there, or name it by `master_key_file`",
        head.master_key,
        config.master_key_file.display(),
        key.unwrap_or_default()
    );
    Ok(())
}

fn prepare(args: &RestoreArgs, head: &Head, unpacked: &Path) -> anyhow::Result<HeldBack> {
    let holds_back = !args.resume_queue && !is_planted(Bug::RestoreResumesQueue);
    let since = holds_back.then_some(Timestamp(head.taken_at_ms));
    let mut now = Timestamp(Clock::system().now_ms());
    if is_of_sandbox(head) {
        now = now.max(Timestamp(head.taken_at_ms));
    }
    let database = unpacked.join(DATABASE);
    Ok(waypost_store_sqlite::prepare_restored(&database, since, now)?)
}

/// Its hours are those of the sandbox's clock, which may be ahead of the machine's.
fn is_of_sandbox(head: &Head) -> bool {
    head.upstream_kind == "sandbox"
}

/// The database comes last.
fn move_into_place(
    unpacked: &Path,
    folder: &EmptyDir,
    config: &Config,
    head: &Head,
) -> anyhow::Result<()> {
    let moved = || -> io::Result<()> {
        sync_folders(unpacked)?;
        let media = unpacked.join(MEDIA);
        if media.exists() {
            fs::rename(media, config.data_dir.join(MEDIA))?;
        }
        Ok(())
    };
    moved().with_context(|| format!("cannot write {}", config.data_dir.display()))?;
    folder.write_marker(&head.upstream_kind)?;
    if is_of_sandbox(head) {
        sandbox_clock::begin_at(&config.data_dir.join(SANDBOX), head.taken_at_ms)?;
    }
    let database = &config.database_file;
    fs::rename(unpacked.join(DATABASE), database)
        .with_context(|| format!("cannot write {}", database.display()))?;
    folder.finish()
}

/// Makes the names in a folder durable, and those below it.
fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}

/// What was restored, and what is to be done before and after the start.
fn tell(
    args: &RestoreArgs,
    config: &Config,
    head: &Head,
    end: &End,
    held: &HeldBack,
    has_key: bool,
) {
    let answer = json!({
        "data_dir": config.data_dir.to_string_lossy(), "taken_at": head.taken_at,
        "master_key_fingerprint": head.master_key, "master_key_present": has_key,
        "media_files": end.media_files, "held_back_messages": held.messages,
        "held_back_broadcasts": held.broadcasts.len(),
        "lost_media": end.lost.count, "damaged_media": end.damaged.count,
    });
    let mut lines = vec![format!(
        "{}: everything up to {}, with {} media files.",
        config.data_dir.display(),
        head.taken_at,
        end.media_files
    )];
    if !has_key {
        lines.push(format!(
            "Put the master key with the fingerprint {} at {} before the start.",
            head.master_key,
            config.master_key_file.display()
        ));
    }
    lines.push(
        "The admin key is in no backup: put admin.env back too, or set admin_key.".to_owned(),
    );
    lines.extend(held_back(held));
    lines.extend(missing_media(end));
    print_done(&lines.join("\n"), &answer, args.json);
}

fn held_back(held: &HeldBack) -> Option<String> {
    let broadcasts = held.broadcasts.len();
    (held.messages > 0 || broadcasts > 0).then(|| {
        format!(
            "Held back, because they waited to be sent then and may have been sent since: {} messages \
             and {broadcasts} broadcasts.\nAfter the start: `waypost admin queues resume` sends them, \
             flagged as possible duplicates; `waypost admin queues leave` leaves them as they are.",
            held.messages
        )
    })
}

fn missing_media(end: &End) -> Option<String> {
    let (lost, damaged) = (end.lost.count, end.damaged.count);
    (lost + damaged > 0).then(|| {
        format!(
            "Warning: {lost} media files were lost and {damaged} damaged when the backup was made."
        )
    })
}
