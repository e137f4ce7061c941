//! Records a run: the binary under strace, from its first start on an empty folder over a stop and a
//! second start to a kill, with callers of every kind. It judges nothing.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use sha2::{Digest as _, Sha256};

use super::trace::{self, Event};
use crate::campaign::carrier::Carrier;
use crate::campaign::load::Load;
use crate::campaign::{Desk, Entry, Ledger, Promise, options, within};
use crate::client::Reply;
use crate::files::{JPEG, PNG, padded};
use crate::signing::hex;
use crate::waypost::{Options, Waypost, new_folder};

const PATIENCE: Duration = Duration::from_secs(60);
const PEOPLE: u64 = 60;
const CALLERS: u64 = 4;
/// The longest string that strace keeps, in bytes: longer than any single write of ours.
const STRING_MAX: &str = "1100000";
/// Of so many requests one is an upload.
const UPLOAD_EVERY: u64 = 12;
/// Length of every other upload, in bytes: more than a media store keeps in memory.
const LONG_UPLOAD_BYTES: usize = 300_000;

/// A recorded run.
pub struct Recording {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What was promised with the answer to each request.
    pub promises: HashMap<String, Vec<Entry>>,
    /// Requests of the rig whose success was seen on its way out.
    pub seen: usize,
}

/// Records a run of so many requests in each of its two lives.
///
/// # Panics
/// Where the rig cannot do its part: above all without strace.
pub async fn record(requests: u64, bug: Option<&'static str>) -> Recording {
    let carrier = Arc::new(Carrier::start(0..3, 0).await);
    let folder = new_folder();
    // What strace says is the real path.
    let root = folder.path().canonicalize().expect("the folder is there");
    let ledger_path = root.join("ledger");
    let first = traced(options(&carrier.url(), bug).folder(&folder), &root.join("first"));
    let waypost = first.start().await;
    let desk = Desk::of(&waypost);
    desk.furnish(&waypost, PEOPLE).await;
    carrier.tell(waypost.url());
    let ledger = Ledger::at(&ledger_path);
    let load = Load::new(desk.clone(), ledger, Arc::clone(&carrier), PEOPLE);
    let load = Arc::new(load.at_most(requests));
    work(&waypost, &desk, &load, requests / UPLOAD_EVERY, 0).await;
    let pid = waypost.pid();
    let (options, status) = waypost.stop().await;
    assert!(status.success(), "{status}");
    let mut events = read(&root.join("first"), pid, &root).await;
    let waypost = traced(options, &root.join("second")).start().await;
    let mut entries = load.ledger().close();
    let ledger = Ledger::at(&ledger_path);
    let load = Load::new(desk.clone(), ledger, Arc::clone(&carrier), PEOPLE);
    let load = Arc::new(load.counting_from(requests).at_most(2 * requests));
    work(&waypost, &desk, &load, requests / UPLOAD_EVERY, 1_000).await;
    let pid = waypost.pid();
    drop(waypost.kill());
    entries.extend(load.ledger().close());
    events.extend(read(&root.join("second"), pid, &root).await);
    let mut promises: HashMap<String, Vec<Entry>> = HashMap::new();
    for entry in entries {
        promises.entry(request_of(&entry.key).to_owned()).or_default().push(entry);
    }
    let seen = events.iter().filter(|event| match event {
        Event::Answered { request } => promises.contains_key(request),
        _ => false,
    });
    Recording { seen: seen.count(), events, promises }
}

/// The id of the request by which something was asked.
fn request_of(key: &str) -> &str {
    let text = key.rsplit('|').next().unwrap_or(key);
    text.strip_prefix("wamid.").unwrap_or(text)
}

fn traced(options: Options, record: &Path) -> Options {
    let record = record.display().to_string();
    options.through(&[
        "strace",
        "-D",
        "-f",
        "-q",
        "-y",
        "-xx",
        "--seccomp-bpf",
        "-s",
        STRING_MAX,
        "-o",
        &record,
        "-e",
        trace::CALLS,
    ])
}

/// Callers of every kind, and uploads beside them.
async fn work(waypost: &Waypost, desk: &Desk, load: &Arc<Load>, uploads: u64, from: u64) {
    let callers = load.begin(CALLERS, from);
    for serial in from..from + uploads {
        upload(desk, load.ledger(), serial).await;
    }
    callers.join_all().await;
    load.deliver_owed().await;
    within(PATIENCE, async || {
        crate::campaign::has_none(waypost, desk, &["queued", "sending"]).await
    })
    .await;
}

async fn upload(desk: &Desk, ledger: &Ledger, serial: u64) {
    let name = format!("file-{serial:04}");
    let (head, kind) =
        if serial.is_multiple_of(2) { (PNG, "image/png") } else { (JPEG, "image/jpeg") };
    let length = if serial.is_multiple_of(4) { LONG_UPLOAD_BYTES } else { head.len() };
    let mut bytes = padded(head, length.max(head.len()));
    bytes.extend_from_slice(name.as_bytes());
    let sha256 = hex(&Sha256::digest(&bytes));
    let part = Part::bytes(bytes).file_name(name.clone());
    let form = Form::new().text("type", kind).part("file", part);
    let request = desk.api().request(Method::POST, &desk.at("media")).multipart(form);
    let reply = Reply::to(request.header("X-Request-Id", &name)).await;
    if reply.status == 201 {
        ledger.note(Promise::Stored, &name, &sha256);
    }
}

/// The recording of a process, once strace has written all of it.
async fn read(path: &Path, pid: u32, folder: &Path) -> Vec<Event> {
    let pid = pid.to_string();
    let is_end = |line: &str| {
        let mut words = line.split_whitespace();
        words.next() == Some(pid.as_str()) && words.next() == Some("+++")
    };
    let mut text = String::new();
    let whole = within(PATIENCE, async || {
        text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().any(is_end)
    });
    assert!(whole.await, "the recording has no end");
    trace::read(&text, &folder.join("data"))
}
