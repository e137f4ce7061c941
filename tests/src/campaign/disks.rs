//! Disks that are full (T14), fail (T15) or do not sync (T16): no success is told of what is not on
//! the disk, and what was told is there after a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::carrier::Carrier;
use super::desk::{Desk, Heard, Kind};
use super::gateway::{self, has_none, within};
use super::ledger::{Entry, Ledger, Promise};
use super::load::Load;
use super::oracle::{Evidence, judge};
use super::small_disk::SmallDisk;
use crate::waypost::{Options, Waypost, new_folder};

const PATIENCE: Duration = Duration::from_secs(60);
/// The same where a bug may keep something from coming.
const PATIENCE_FOR_BUGS: Duration = Duration::from_secs(5);
/// How soon a gateway is ready again, by itself, once its disk has room.
const RECOVERY: Duration = Duration::from_secs(10);
const PEOPLE: u64 = 200;
/// Size of the disk that is filled, in megabytes.
const DISK_MB: u32 = 16;
/// Requests to a full disk: it must refuse long before.
const REQUESTS_WHEN_FULL: u64 = 600;
/// Requests to a disk that fails at some point.
const REQUESTS_UNTIL_FAULT: u64 = 160;
/// Requests one after the other, each of which needs a sync of its own.
const SYNCED_REQUESTS: u64 = 40;
/// What is asked of a disk that fails.
const KINDS: [Kind; 3] = [Kind::Single, Kind::Waiting, Kind::Single];
/// Runs a program whose files may not become longer than the first argument says, in blocks of 512
/// bytes: a write across the limit is a short one.
const LIMITED: &str = r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#;

/// Fills the disk under a gateway and frees it again; tells what was broken.
///
/// # Panics
/// Where the rig cannot do its part.
pub async fn full(bug: Option<&'static str>) -> Vec<String> {
    let patience = patience(bug);
    let carrier = Arc::new(Carrier::start(0..3, 0).await);
    let folder = new_folder();
    let disk = SmallDisk::at(&folder.path().join("data"), DISK_MB);
    let through = disk.through();
    let words: Vec<&str> = through.iter().map(String::as_str).collect();
    let options = gateway::options(&carrier.url(), bug).folder(&folder);
    let waypost = options.through(&words).in_own_mounts().start().await;
    let desk = Desk::of(&waypost);
    desk.furnish(&waypost, PEOPLE).await;
    carrier.tell(waypost.url());
    let mut faults = Vec::new();
    let mut ledger = ask_some(&desk, 0..20, &mut faults).await;
    if ledger
        .iter()
        .any(|entry| entry.promise != Promise::Accepted && entry.promise != Promise::Sent)
    {
        faults.push("refused while there was room".to_owned());
    }
    disk.fill();
    let told = ask_some(&desk, 20..20 + REQUESTS_WHEN_FULL, &mut faults).await;
    if !told.iter().any(|entry| entry.promise == Promise::Refused) {
        faults.push("the disk was full and nothing was refused".to_owned());
    }
    ledger.extend(told);
    for (path, name, status) in [("/healthz", "health", 200), ("/readyz", "readiness", 503)] {
        let reply = waypost.get(path).await;
        if reply.status != status {
            faults.push(format!("on a full disk, {name} answers {}", reply.status));
        }
    }
    let listed = waypost.admin().get(&desk.at("messages?limit=10")).await;
    if listed.status != 200 {
        faults.push(format!("on a full disk, reading answers {}", listed.status));
    }
    disk.clear();
    if !within(RECOVERY, async || waypost.get("/readyz").await.status == 200).await {
        faults.push("there is room again and readiness does not come back".to_owned());
    }
    let mut serial = 10_000;
    let recovered = within(patience, async || {
        serial += 1;
        let told = ask_some(&desk, serial..serial + 1, &mut faults).await;
        let taken = told
            .iter()
            .all(|entry| entry.promise == Promise::Accepted || entry.promise == Promise::Sent);
        ledger.extend(told);
        taken
    })
    .await;
    if !recovered {
        faults.push("there is room again and nothing is accepted".to_owned());
    }
    settle(&waypost, &desk, &carrier, patience).await;
    let waypost = waypost.kill().start().await;
    faults.extend(conclude(&waypost, &desk, &carrier, ledger, patience).await);
    faults
}

fn patience(bug: Option<&str>) -> Duration {
    if bug.is_some() { PATIENCE_FOR_BUGS } else { PATIENCE }
}

/// Every third waits for its outcome.
async fn ask_some(
    desk: &Desk,
    serials: std::ops::Range<u64>,
    faults: &mut Vec<String>,
) -> Vec<Entry> {
    let mut told = Vec::new();
    for serial in serials {
        let kind = if serial.is_multiple_of(3) { Kind::Waiting } else { Kind::Single };
        match desk.ask(kind, serial % PEOPLE, &format!("d-{serial:06}")).await {
            Heard::Answer(entries) => told.extend(entries),
            other => faults.push(format!("request {serial}: {other:?}")),
        }
    }
    told
}

async fn settle(waypost: &Waypost, desk: &Desk, carrier: &Carrier, patience: Duration) {
    within(patience, async || {
        carrier.untold() == 0 && has_none(waypost, desk, &["queued", "sending", "sent"]).await
    })
    .await;
}

async fn conclude(
    waypost: &Waypost,
    desk: &Desk,
    carrier: &Carrier,
    ledger: Vec<Entry>,
    patience: Duration,
) -> Vec<String> {
    settle(waypost, desk, carrier, patience).await;
    let evidence = Evidence {
        ledger,
        carried: carrier.carried(),
        finals: gateway::finals(waypost, desk).await,
        told_all: carrier.untold() == 0,
        ..Evidence::default()
    };
    judge(&evidence).violations
}

/// How a disk fails.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The n-th sync of each thread gives an error.
    Sync(u32),
    /// The n-th write of each thread gives an error.
    Write(u32),
    /// From the n-th write of each thread on, so many find no room.
    NoRoom(u32, u32),
    /// No file may become longer than so many KiB: the write that crosses it is a short one.
    ShortWrite(u64),
}

impl Fault {
    /// What starts a gateway on such a disk; `record` is where it is written what was injected.
    fn through(self, record: &Path) -> Vec<String> {
        let (calls, how) = match self {
            Self::Sync(n) => ("fdatasync,fsync", format!("error=EIO:when={n}")),
            Self::Write(n) => ("pwrite64", format!("error=EIO:when={n}")),
            Self::NoRoom(n, count) => {
                ("pwrite64", format!("error=ENOSPC:when={n}..{}", n + count.max(1) - 1))
            }
            Self::ShortWrite(kib) => {
                return vec!["sh".into(), "-c".into(), LIMITED.into(), (2 * kib).to_string()];
            }
        };
        let record = record.display().to_string();
        let trace = format!("trace={calls}");
        let inject = format!("inject={calls}:{how}");
        ["strace", "-D", "-f", "-qq", "-o", &record, "-e", &trace, "-e", &inject]
            .map(str::to_owned)
            .to_vec()
    }

    /// Whether the gateway goes on by itself afterwards.
    const fn passes(self) -> bool {
        matches!(self, Self::NoRoom(..))
    }
}

/// A data folder to begin from, so that faults hit the work and not its making.
pub struct Base(Options);

/// What came of a fault.
#[derive(Debug, Default)]
pub struct FaultReport {
    /// Whether it came to it.
    pub reached: bool,
    /// Successes that were told.
    pub promised: usize,
    /// What was broken.
    pub violations: Vec<String>,
}

impl Base {
    /// Makes one.
    pub async fn make() -> Self {
        let carrier = Carrier::start(0..1, 0).await;
        let waypost = gateway::options(&carrier.url(), None).start().await;
        let desk = Desk::of(&waypost);
        desk.furnish(&waypost, PEOPLE).await;
        let (options, status) = waypost.stop().await;
        assert!(status.success(), "{status}");
        Self(options)
    }

    /// The size of its database, in KiB.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn database_kib(&self) -> u64 {
        let path = self.0.data_path().join("waypost.db");
        std::fs::metadata(path).expect("the database is there").len() / 1_024
    }

    /// A gateway on a copy of it.
    fn copy(&self, upstream: &str, bug: Option<&str>) -> Options {
        let folder = new_folder();
        copy_folder(&self.0.data_path(), &folder.path().join("data"));
        gateway::options(upstream, bug).folder(&folder)
    }

    /// Lets a disk fail under load, and starts again on a sound one.
    ///
    /// # Panics
    /// Where the rig cannot do its part.
    pub async fn fail(&self, fault: Fault, bug: Option<&'static str>) -> FaultReport {
        let carrier = Arc::new(Carrier::start(0..3, 0).await);
        let sound = self.copy(&carrier.url(), bug);
        let folder = sound.folder_path();
        let record = folder.join("injected");
        let through = fault.through(&record);
        let words: Vec<&str> = through.iter().map(String::as_str).collect();
        let mut report = FaultReport::default();
        let mut ledger = Vec::new();
        match sound.clone().through(&words).try_start().await {
            Err(ended) => {
                report.reached = true;
                if ended.status.success() {
                    report.violations.push("it ended at its start as if all were well".to_owned());
                }
            }
            Ok(waypost) => {
                ledger = self.load(waypost, fault, &carrier, bug, &mut report).await;
            }
        }
        let injected = std::fs::read_to_string(&record).unwrap_or_default();
        report.reached |= injected.contains("(INJECTED)");
        let promised = |it: &&Entry| matches!(it.promise, Promise::Sent | Promise::Accepted);
        report.promised = ledger.iter().filter(promised).count();
        let waypost = sound.start().await;
        carrier.tell(waypost.url());
        let desk = Desk::of(&waypost);
        let patience = patience(bug);
        report.violations.extend(conclude(&waypost, &desk, &carrier, ledger, patience).await);
        report
    }

    async fn load(
        &self,
        mut waypost: Waypost,
        fault: Fault,
        carrier: &Arc<Carrier>,
        bug: Option<&str>,
        report: &mut FaultReport,
    ) -> Vec<Entry> {
        let desk = Desk::of(&waypost);
        carrier.tell(waypost.url());
        let ledger = Ledger::at(&waypost.folder().path().join("ledger"));
        let load = Load::new(desk.clone(), ledger, Arc::clone(carrier), PEOPLE).only(&KINDS);
        let load = Arc::new(load.at_most(REQUESTS_UNTIL_FAULT));
        let mut callers = load.begin(4, 0);
        let mut ended = None;
        within(patience(bug), async || {
            ended = waypost.ended();
            while callers.try_join_next().is_some() {}
            ended.is_some() || callers.is_empty()
        })
        .await;
        load.stop();
        callers.join_all().await;
        report.violations.extend(load.strange());
        let record = waypost.folder().path().join("injected");
        let injected = std::fs::read_to_string(record).unwrap_or_default().contains("(INJECTED)");
        match ended {
            Some(status) => {
                report.reached = true;
                if status.success() {
                    report.violations.push("it ended as if all were well".to_owned());
                }
                if fault.passes() {
                    report.violations.push(format!("{fault:?} ended it: {status}"));
                }
            }
            None if injected && !fault.passes() => {
                let ended = within(Duration::from_secs(5), async || waypost.ended().is_some());
                if !ended.await && self.still_accepts(&desk).await {
                    report.violations.push(format!("{fault:?}: it goes on accepting"));
                }
            }
            None => {}
        }
        load.ledger().close().into_iter().map(weigh).collect()
    }

    async fn still_accepts(&self, desk: &Desk) -> bool {
        match desk.ask(Kind::Single, 1, "after-the-fault").await {
            Heard::Answer(entries) => entries.iter().any(|it| it.promise == Promise::Accepted),
            _ => false,
        }
    }

    /// Whether each of a row of acknowledged requests was preceded by a sync of its own.
    ///
    /// # Panics
    /// Where the rig cannot do its part.
    pub async fn syncs(&self, bug: Option<&'static str>) -> Vec<String> {
        let carrier = Arc::new(Carrier::start(0..1, 0).await);
        let options = self.copy(&carrier.url(), bug);
        let record = options.folder_path().join("syncs");
        let path = record.display().to_string();
        let words = ["strace", "-D", "-f", "-qq", "-o", &path, "-e", "trace=fdatasync,fsync"];
        let waypost = options.through(&words).start().await;
        let desk = Desk::of(&waypost);
        let count = || {
            let text = std::fs::read_to_string(&record).unwrap_or_default();
            text.lines().filter(|line| line.contains("sync(")).count() as u64
        };
        let before = count();
        let mut faults = Vec::new();
        for serial in 0..SYNCED_REQUESTS {
            let told = desk.ask(Kind::Single, serial, &format!("s-{serial:03}")).await;
            let Heard::Answer(entries) = &told else {
                faults.push(format!("request {serial}: {told:?}"));
                continue;
            };
            if entries[0].promise != Promise::Accepted {
                faults.push(format!("request {serial}: {told:?}"));
            }
        }
        let synced = count() - before;
        if synced < SYNCED_REQUESTS {
            faults.push(format!("{SYNCED_REQUESTS} acknowledged one by one with {synced} syncs"));
        }
        faults
    }
}

/// What a failed sync left behind may be found at the next start. So whoever wanted to send something
/// later and was refused by a failing disk was promised nothing; who waited was told that it was not
/// sent, and it is not.
fn weigh(entry: Entry) -> Entry {
    let serial = entry.key.rsplit('-').next().and_then(|digits| digits.parse::<usize>().ok());
    let kind = serial.map(|serial| KINDS[serial % KINDS.len()]);
    if entry.promise == Promise::Refused && kind != Some(Kind::Waiting) {
        return Entry { promise: Promise::Nothing, ..entry };
    }
    entry
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}
