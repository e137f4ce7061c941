//! Makes the disks that a power cut could have left and looks whether each of them is sound: it opens,
//! it is whole, and everything that was acknowledged by then is there.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use waypost_domain::{OrgId, Timestamp};
use waypost_engine::ports::{
    BlobStore as _, InboxStore as _, MediaStore as _, MessageFilter, MessageStore as _, Page,
    Sha256Hex,
};
use waypost_store_files::FileBlobs;
use waypost_store_sqlite::{Options, SqliteStore};

use super::disk::{Cut, Disk, Image};
use super::record::Recording;
use super::trace::Event;
use crate::campaign::{Entry, Promise, options};
use crate::signing::hex;

/// The demo organisation.
const ORG: &str = "demo-org";
/// Memory as a disk, where there is one: nothing is asked of these folders but to be read back.
const MEMORY: &str = "/dev/shm";
/// Violations that are told.
const TOLD_MAX: usize = 20;

/// How much is replayed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// At most so many points, evenly spread; 0 for every one.
    pub points: usize,
    /// How many torn disks are made at each point.
    pub torn: u64,
    /// What chance follows from.
    pub seed: u64,
    /// The binary itself is started on every so-manieth disk; 0 for none.
    pub start_every: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Calls that changed the disk, with those that synced it.
    pub calls: usize,
    /// Points after which the power was cut.
    pub points: usize,
    /// Disks that were looked at.
    pub disks: usize,
    /// Disks on which the binary itself was started.
    pub starts: usize,
    /// What was acknowledged in the end.
    pub acknowledged: usize,
    /// Points at which something acknowledged was gone.
    pub losing_points: usize,
    /// What was broken, the first of it.
    pub violations: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// Replays a recording.
///
/// # Panics
/// Where the rig cannot do its part.
pub async fn replay(recording: &Recording, plan: &Plan) -> Report {
    let began = Instant::now();
    let mut report = Report::default();
    let places = points(&recording.events, plan.points);
    report.calls = points(&recording.events, 0).len();
    let mut disk = Disk::default();
    let mut acknowledged: Vec<&Entry> = Vec::new();
    let mut last_dropped = None;
    for (place, event) in recording.events.iter().enumerate() {
        disk.apply(event);
        if let Event::Answered { request } = event {
            acknowledged.extend(recording.promises.get(request).into_iter().flatten());
        }
        if !places.contains(&place) {
            continue;
        }
        report.points += 1;
        let mut cuts = vec![Cut::Kept];
        let state = (disk.version(), acknowledged.len());
        // The same disk and the same promises as at the point before need not be looked at again.
        if last_dropped.replace(state) != Some(state) {
            cuts.push(Cut::Dropped);
        }
        let torn = (0..plan.torn).map(|nth| plan.seed ^ (place as u64 * 131 + nth));
        cuts.extend(torn.map(|seed| Cut::Torn { seed }));
        let mut loses = false;
        for cut in cuts {
            let folder = lay_out(&disk.cut(cut));
            let mut faults = inspect(folder.path(), &acknowledged).await;
            report.disks += 1;
            if plan.start_every > 0 && report.disks.is_multiple_of(plan.start_every) {
                report.starts += 1;
                let is_message =
                    |it: &Entry| matches!(it.promise, Promise::Sent | Promise::Accepted);
                let has_messages = acknowledged.iter().any(|it| is_message(it));
                faults.extend(start(folder, has_messages).await);
            }
            loses |= faults.iter().any(|fault| fault.contains("lost"));
            let room = TOLD_MAX.saturating_sub(report.violations.len());
            let told = faults.into_iter().take(room);
            report
                .violations
                .extend(told.map(|fault| format!("after call {place}, {cut:?}: {fault}")));
        }
        report.losing_points += usize::from(loses);
    }
    report.acknowledged = acknowledged.len();
    if recording.seen == 0 {
        report.violations.push("no acknowledgement was seen on its way out".to_owned());
    }
    report.took = began.elapsed();
    report
}

/// The places of events that changed the disk or acknowledged something: all, or some of them.
fn points(events: &[Event], count: usize) -> HashSet<usize> {
    let counts = |event: &Event| !matches!(event, Event::SyncBegun { .. });
    let all: Vec<usize> =
        events.iter().enumerate().filter(|(_, event)| counts(event)).map(|(at, _)| at).collect();
    if count == 0 || count >= all.len() {
        return all.into_iter().collect();
    }
    (0..count).map(|nth| all[nth * (all.len() - 1) / count.max(2).saturating_sub(1)]).collect()
}

fn lay_out(image: &Image) -> TempDir {
    let base =
        if Path::new(MEMORY).is_dir() { PathBuf::from(MEMORY) } else { std::env::temp_dir() };
    let folder = tempfile::Builder::new().prefix("waypost-power-").tempdir_in(base);
    let folder = folder.expect("a temporary folder can be made");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder can be made");
    for (path, content) in image {
        let path = data.join(path);
        match content {
            None => std::fs::create_dir_all(&path).expect("a folder can be made"),
            Some(bytes) => std::fs::write(&path, bytes).expect("a file can be written"),
        }
    }
    folder
}

/// What is wrong with a disk.
async fn inspect(folder: &Path, acknowledged: &[&Entry]) -> Vec<String> {
    let data = folder.join("data");
    let database = data.join("waypost.db");
    if !database.exists() {
        return lost_all("there is no database", acknowledged);
    }
    let store = match SqliteStore::open(&database, &Options::default()) {
        Ok(store) => store,
        Err(error) => return lost_all(&format!("it does not open: {error}"), acknowledged),
    };
    let mut faults = Vec::new();
    if let Err(error) = store.recover(Timestamp(1_700_000_000_000)).await {
        faults.push(format!("the store does not recover: {error}"));
    }
    faults.extend(missing(&store, acknowledged).await);
    drop(store);
    match integrity(&database) {
        Ok(said) if said == "ok" => {}
        Ok(said) => faults.push(format!("integrity check: {said}")),
        Err(error) => faults.push(format!("integrity check: {error}")),
    }
    match FileBlobs::open(data.join("media")) {
        Ok(blobs) => faults.extend(missing_files(&blobs, acknowledged).await),
        Err(error) => faults.push(format!("the media folder does not open: {error}")),
    }
    faults
}

/// A start on an empty disk is a first start, as long as nothing was promised.
fn lost_all(why: &str, acknowledged: &[&Entry]) -> Vec<String> {
    if acknowledged.is_empty() && why.starts_with("there is no") {
        return Vec::new();
    }
    vec![format!("lost: {} promises: {why}", acknowledged.len())]
}

fn integrity(database: &Path) -> rusqlite::Result<String> {
    let conn = rusqlite::Connection::open(database)?;
    conn.query_row("PRAGMA integrity_check", [], |row| row.get(0))
}

/// Messages and webhooks that were acknowledged and are not there.
async fn missing(store: &SqliteStore, acknowledged: &[&Entry]) -> Vec<String> {
    let org = OrgId::new(ORG);
    let mut ids = HashSet::new();
    let mut wamids = HashSet::new();
    let mut page = Page { after: None, limit: 1_000 };
    loop {
        let listed = match store.messages(&org, &MessageFilter::default(), page).await {
            Ok(listed) => listed,
            Err(error) => return vec![format!("lost: the messages cannot be read: {error}")],
        };
        for message in listed.data {
            ids.insert(message.id.to_string());
            wamids.extend(message.wamid);
        }
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    let inbox = match store.open_webhooks(0, 10_000).await {
        Ok(entries) => entries,
        Err(error) => return vec![format!("lost: the inbox cannot be read: {error}")],
    };
    let inbox: String =
        inbox.iter().map(|entry| String::from_utf8_lossy(&entry.body).into_owned()).collect();
    let records = match store.media_list(&org, Page { after: None, limit: 10_000 }).await {
        Ok(listed) => listed.data,
        Err(error) => return vec![format!("lost: the files cannot be listed: {error}")],
    };
    let files: HashSet<&str> = records.iter().map(|record| record.sha256.as_str()).collect();
    let is_there = |entry: &Entry| match entry.promise {
        Promise::Sent => wamids.contains(&entry.id),
        Promise::Accepted => ids.contains(&entry.id),
        Promise::Taken => {
            wamids.contains(&entry.key) || inbox.contains(&format!("{}\"", entry.key))
        }
        Promise::Stored => files.contains(entry.id.as_str()),
        Promise::Refused | Promise::Nothing => true,
    };
    let lost = acknowledged.iter().filter(|entry| !is_there(entry));
    lost.map(|entry| format!("lost: {:?} {}", entry.promise, entry.key)).collect()
}

/// Files that were acknowledged and are not there, or not whole.
async fn missing_files(blobs: &FileBlobs, acknowledged: &[&Entry]) -> Vec<String> {
    let mut faults = Vec::new();
    for entry in acknowledged.iter().filter(|entry| entry.promise == Promise::Stored) {
        let read = async {
            let content = blobs.open(&Sha256Hex::from_stored(entry.id.clone())).await.ok()??;
            let mut hash = Sha256::new();
            let (_, mut chunks) = content;
            while let Some(chunk) = chunks.try_next().await.ok()? {
                hash.update(&chunk);
            }
            Some(hex(&hash.finalize()))
        };
        if read.await.as_deref() != Some(entry.id.as_str()) {
            faults.push(format!("lost: the content of {}", entry.key));
        }
    }
    faults
}

/// The binary itself starts on it.
async fn start(folder: TempDir, has_messages: bool) -> Vec<String> {
    let started = options("http://127.0.0.1:9", None).folder(&Arc::new(folder)).try_start().await;
    match started {
        Ok(waypost) if !has_messages || !waypost.log().await.is_empty() => Vec::new(),
        Ok(_) => vec!["lost: the gateway starts and knows of no message".to_owned()],
        Err(ended) => vec![format!("the gateway does not start: {}", ended.errors.trim())],
    }
}
