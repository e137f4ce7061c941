//! What is past its time is deleted while others go on writing (T41): how long their writes wait for
//! it, beyond what the disk itself takes. The gateway's clock is moved through its sandbox.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use super::gateway::{has_none_at, within};
use super::times::{Times, missed};
use crate::client::Api;
use crate::tenant::{REQUEST_PEOPLE, Tenant};
use crate::waypost::{Options, Waypost};

const HOUR_S: u64 = 3_600;
/// A number that is younger is treated kindly: nobody's window counts as closed.
const KINDLY_S: u64 = 25 * HOUR_S;
/// Longer than messages are kept.
const PAST_S: u64 = 2 * 24 * HOUR_S;
/// Requests under way at once while the log is filled.
const FILLERS: u64 = 2;
/// Rest between two writes of who goes on writing.
const WRITE_REST: Duration = Duration::from_millis(2);
/// How often it is looked how far the deletion is.
const LOOK_REST: Duration = Duration::from_millis(500);
/// Rest between two syncs of a file of our own, on the same disk.
const SYNC_REST: Duration = Duration::from_millis(20);
/// A write waits no longer than this beyond its usual time, or beyond the longest sync of a file of
/// our own meanwhile.
const WAIT_BAR: Duration = Duration::from_millis(50);
const DELETED: &str = "waypost_messages_deleted_total ";

/// A campaign.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Messages that are deleted.
    pub messages: u64,
    /// How long is written without a deletion, to compare with.
    pub alone: Duration,
    /// How long the deletion may take before it is given up.
    pub limit: Duration,
    /// Whether times are judged.
    pub is_timed: bool,
    /// The planted bug.
    pub bug: Option<&'static str>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Messages that went.
    pub deleted: u64,
    /// How long it took until messages and events were gone.
    pub deleting: Duration,
    /// Writes before.
    pub alone: Times,
    /// Writes while it was deleted.
    pub beside: Times,
    /// Syncs of a file of our own while it was deleted.
    pub syncs: Times,
    /// What was broken.
    pub violations: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// It in words.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        vec![
            format!("writing while what is old is deleted (T41), {:.0} s", self.took.as_secs_f64()),
            format!("  deleted {} messages in {:.0} s", self.deleted, self.deleting.as_secs_f64()),
            told_of("before", &self.alone),
            told_of("meanwhile", &self.beside),
            format!("  a sync of a file of our own meanwhile: {}", self.syncs),
        ]
    }
}

fn told_of(when: &str, writes: &Times) -> String {
    let beyond = writes.beyond(WAIT_BAR);
    format!("  a write {when}: {writes}; {beyond} beyond {} ms", WAIT_BAR.as_millis())
}

/// Runs a campaign.
///
/// # Panics
/// Where the rig cannot do its part.
pub async fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let mut options = Options::new().env("WAYPOST_LOG", "warn");
    if let Some(bug) = plan.bug {
        options = options.env("WAYPOST_PLANTED_BUG", bug);
    }
    let waypost = options.start().await;
    let old = Tenant::add(&waypost, 1, 1_000, None).await;
    let admin = waypost.admin();
    let kept = json!({"window_policy": "refuse", "message_retention_days": 1});
    admin.patch("/orgs/org-1", &kept).await.expect(200);
    waypost.sandbox().advance(KINDLY_S).await;
    let filled = fill(&old, plan.messages).await;
    let messages = old.at("messages");
    let ended = within(plan.limit, async || {
        has_none_at(&admin, &messages, &["queued", "sending", "sent"]).await
    });
    assert!(ended.await, "messages to people whose window is closed have no end");
    let writing = Writing::begin(admin.clone());
    tokio::time::sleep(plan.alone).await;
    let (alone, _) = writing.so_far();
    let syncing = Syncing::begin(&waypost.folder().path().join("synced"));
    let deleting = Instant::now();
    waypost.sandbox().advance(PAST_S).await;
    let mut report = Report::default();
    let gone = within(plan.limit, async || {
        tokio::time::sleep(LOOK_REST).await;
        report.deleted = deleted(&waypost).await;
        report.deleted + 1 >= filled && is_empty(&admin, &old.at("events?limit=2")).await
    })
    .await;
    report.deleting = deleting.elapsed();
    report.syncs = syncing.end();
    let (beside, refused) = writing.end().await;
    (report.alone, report.beside) = (alone, beside);
    if refused > 0 {
        report.violations.push(format!("{refused} writes were refused meanwhile"));
    }
    if !gone {
        report.violations.push(format!("of {filled} messages {} went", report.deleted));
    }
    report.violations.extend(writing_faults(&report, plan.is_timed));
    report.took = began.elapsed();
    report
}

fn writing_faults(report: &Report, is_timed: bool) -> Vec<String> {
    let without = report.alone.percentile(50).max(report.syncs.longest());
    let waited = report.beside.longest().saturating_sub(without);
    let missed = missed("a write waited for the deletion", waited, WAIT_BAR);
    missed.filter(|_| is_timed).into_iter().collect()
}

/// Messages that fail at once, for nobody has written: the log grows as fast as requests are taken.
async fn fill(tenant: &Tenant, messages: u64) -> u64 {
    let each = messages.div_ceil(FILLERS).next_multiple_of(REQUEST_PEOPLE);
    let mut filling = tokio::task::JoinSet::new();
    for filler in 0..FILLERS {
        let tenant = tenant.clone();
        filling.spawn(async move {
            for request in 0..each / REQUEST_PEOPLE {
                let first = filler * each + request * REQUEST_PEOPLE;
                tenant.dumped(first..first + REQUEST_PEOPLE, "hello", "").await;
            }
        });
    }
    filling.join_all().await;
    FILLERS * each
}

async fn deleted(waypost: &Waypost) -> u64 {
    let metrics = waypost.get("/metrics").await.expect(200).text();
    let count = metrics.lines().find_map(|line| line.strip_prefix(DELETED));
    count.and_then(|count| count.parse().ok()).expect("deletions are counted")
}

/// The newest place of all is kept.
async fn is_empty(admin: &Api, path: &str) -> bool {
    let page = admin.get(path).await.expect(200).json();
    page["data"].as_array().is_some_and(|rows| rows.len() < 2)
}

/// How long a write took, and whether it was taken.
type Written = (Duration, bool);

/// Somebody who writes one thing after the other, each durable before the next.
struct Writing {
    written: Arc<Mutex<Vec<Written>>>,
    ends: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Writing {
    fn begin(admin: Api) -> Self {
        let (written, ends) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (noted, ended) = (Arc::clone(&written), Arc::clone(&ends));
        let task = tokio::spawn(async move {
            let path = "/orgs/org-1/customers";
            for serial in 0.. {
                let phone = format!("1557{serial:07}");
                let customer = json!({"id": format!("c-{serial:07}"), "phone": phone});
                let began = Instant::now();
                let status = admin.post(path, &customer).await.status;
                noted.lock().unwrap().push((began.elapsed(), status == 201));
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                tokio::time::sleep(WRITE_REST).await;
            }
        });
        Self { written, ends, task }
    }

    /// The times of what was written since it was asked last, and how much of it was refused.
    fn so_far(&self) -> (Times, usize) {
        let written = std::mem::take(&mut *self.written.lock().unwrap());
        let refused = written.iter().filter(|(_, is_taken)| !is_taken).count();
        (Times::of(written.into_iter().map(|(took, _)| took).collect()), refused)
    }

    async fn end(mut self) -> (Times, usize) {
        self.ends.store(true, Ordering::Relaxed);
        (&mut self.task).await.expect("the writer goes on to its end");
        self.so_far()
    }
}

/// Somebody who syncs a file of their own now and then: what the disk takes by itself.
struct Syncing {
    ends: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<Duration>>,
}

impl Syncing {
    fn begin(path: &Path) -> Self {
        let mut file = File::create(path).expect("a file can be made");
        let ends = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            let mut times = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let began = Instant::now();
                file.write_all(&[0; 512]).expect("the file can be written");
                file.sync_data().expect("the file can be synced");
                times.push(began.elapsed());
                std::thread::sleep(SYNC_REST);
            }
            times
        });
        Self { ends, thread }
    }

    fn end(self) -> Times {
        self.ends.store(true, Ordering::Relaxed);
        Times::of(self.thread.join().expect("every sync succeeds"))
    }
}
