//! Bits that flip and files that are cut off, at random places of database, log and media (T40):
//! refused with a way out, or harmless; never a message sent that nobody asked for, never one that is
//! silently gone.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::chance::Chance;
use crate::files::{PNG, base64};
use crate::mock_upstream::MockUpstream;
use crate::waypost::{Options, Waypost, new_folder};

/// Texts that were sent before the damage.
const TEXTS: usize = 40;
/// Bytes that are flipped together.
const FLIPPED_BYTES: usize = 16;

/// A campaign.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many damages: half of them to what a kill left, half to what an orderly stop left.
    pub damages: u64,
    /// What chance follows from.
    pub seed: u64,
    /// The planted bug, in the gateways that start on damaged folders.
    pub bug: Option<&'static str>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Gateways that did not start and said what to do.
    pub refused: u64,
    /// Gateways that started and showed everything as it was, or said that they cannot.
    pub harmless: u64,
    /// Of the refused, those on damage to the write-ahead log.
    pub refused_logs: u64,
    /// What must never be: silent losses, changed texts, messages sent.
    pub violations: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// It in words.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        vec![
            format!("damaged folders (T40), {:.0} s", self.took.as_secs_f64()),
            format!(
                "  refused with a way out {} (of these for the write-ahead log {}), harmless {}, \
                 silently lost, changed or sent {}",
                self.refused,
                self.refused_logs,
                self.harmless,
                self.violations.len()
            ),
        ]
    }
}

/// Runs a campaign.
///
/// # Panics
/// Where the rig cannot do its part.
pub async fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let mock = MockUpstream::start().await;
    let (options, texts) = killed(&mock).await;
    let killed = new_folder();
    copy_tree(&options.data_path(), killed.path());
    let (options, ended) = options.start().await.stop().await;
    assert!(ended.success(), "{ended}");
    let (mut report, mut chance) = (Report::default(), Chance::seeded(plan.seed));
    for round in 0..plan.damages {
        let stopped = options.data_path();
        let whole = if round.is_multiple_of(2) { killed.path() } else { &stopped };
        try_damage(plan, &mut report, &mut chance, (&mock, whole, &texts)).await;
    }
    report.took = began.elapsed();
    report
}

/// A gateway that was killed in the middle of its life, with work in its log.
async fn killed(mock: &MockUpstream) -> (Options, BTreeSet<String>) {
    let waypost = Waypost::before(mock).await;
    let mut texts = BTreeSet::new();
    for serial in 0..TEXTS {
        let text = format!("message {serial:02}");
        waypost.send_text(&text).await.expect(200);
        texts.insert(text);
    }
    let file = json!({"name": "p.png", "type": "image/png", "displayType": "IMAGE",
        "extension": "png", "data": base64(PNG)});
    let image = waypost.demo_message(&json!({"type": "image", "image": {"file": file}}));
    waypost.replyhero("/whatsapp/messages/send", &image).await.expect(200);
    (waypost.kill(), texts)
}

/// Damages a copy of a folder, and starts a gateway on it.
async fn try_damage(
    plan: &Plan,
    report: &mut Report,
    chance: &mut Chance,
    (mock, whole, texts): (&MockUpstream, &Path, &BTreeSet<String>),
) {
    let sent = mock.accepted();
    let folder = new_folder();
    let data = folder.path().join("data");
    copy_tree(whole, &data);
    let what = damage(&data, chance);
    let mut options = Options::new().upstream(&mock.url()).folder(&folder);
    if let Some(bug) = plan.bug {
        options = options.env("WAYPOST_PLANTED_BUG", bug);
    }
    match options.try_start().await {
        Err(ended) => {
            let is_told = ended.errors.contains("backup") && !ended.errors.contains("panicked");
            if ended.status.code() != Some(1) || !is_told {
                report.violations.push(format!("{what}: {}", ended.errors));
            }
            report.refused += 1;
            report.refused_logs += u64::from(ended.errors.contains("pages in its log"));
        }
        Ok(waypost) => {
            let changed = changed(&waypost, texts).await;
            report.violations.extend(changed.iter().map(|it| format!("{what}: {it}")));
            report.harmless += u64::from(changed.is_empty());
        }
    }
    if mock.accepted() != sent {
        report.violations.push(format!("{what}: something was sent"));
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}

/// The only file of media.
fn blob(data: &Path) -> PathBuf {
    let mut folder = data.join("media");
    loop {
        let entries = fs::read_dir(&folder).expect("the folder can be read");
        let mut paths = entries.map(|entry| entry.expect("the folder can be read").path());
        let path = paths.find(|path| !path.ends_with("unfinished")).expect("there is a file");
        if path.is_file() {
            return path;
        }
        folder = path;
    }
}

/// Damages one file; tells which and how.
fn damage(data: &Path, chance: &mut Chance) -> String {
    let log = data.join("waypost.db-wal");
    let file = match chance.within(0..4) {
        0 => blob(data),
        1 | 2 if log.exists() => log,
        _ => data.join("waypost.db"),
    };
    let mut bytes = fs::read(&file).expect("the file can be read");
    let place = usize::try_from(chance.within(0..bytes.len() as u64)).unwrap_or(0);
    let how = if chance.is(25) {
        bytes.truncate(place);
        format!("cut off at {place}")
    } else {
        let end = bytes.len().min(place + FLIPPED_BYTES);
        bytes[place..end].iter_mut().for_each(|byte| *byte ^= 0x5A);
        format!("flipped at {place}")
    };
    fs::write(&file, bytes).expect("the file can be written");
    format!("{} {how}", file.file_name().unwrap_or_default().to_string_lossy())
}

/// What a gateway that started on a damaged folder shows that is not as it was.
async fn changed(waypost: &Waypost, texts: &BTreeSet<String>) -> Vec<String> {
    let org = waypost.variable("WAYPOST_ORG_ID");
    let reply = waypost.admin().get(&format!("/orgs/{org}/messages?limit=1000")).await;
    if reply.status != 200 {
        // Told, not silent.
        return Vec::new();
    }
    let listed = reply.json();
    let body_of = |it: &Value| it["message"]["text"]["body"].as_str().map(str::to_owned);
    let log = listed["data"].as_array().expect("a page has rows");
    let found: HashSet<String> = log.iter().filter_map(body_of).collect();
    let lost = texts.iter().filter(|text| !found.contains(*text)).map(|it| format!("lost {it}"));
    let invented = found.iter().filter(|it| !texts.contains(*it)).map(|it| format!("made up {it}"));
    lost.chain(invented).collect()
}
