//! Bits that flip and files that are cut off, at random places of database, log and media (T40):
//! refused with a way out, or harmless; never a message sent that nobody asked for, never one that is
//! silently gone.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use waypost_tests::files::{PNG, base64};
use waypost_tests::waypost::new_folder;
use waypost_tests::{MockUpstream, Options, Waypost};

/// Damages tried in this short version.
const DAMAGES: u64 = 12;
/// Where the places come from; another number tries others.
const SEED: u64 = 4_040;

/// A small generator: the same places at every run.
struct Places(u64);

impl Places {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn blob(data: &Path) -> PathBuf {
    let mut folder = data.join("media");
    loop {
        let mut entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let path = entries.find(|path| !path.ends_with("unfinished")).unwrap();
        if path.is_file() {
            return path;
        }
        folder = path;
    }
}

/// Damages one file; tells which and how.
fn damage(data: &Path, places: &mut Places) -> String {
    let log = data.join("waypost.db-wal");
    let file = match places.below(4) {
        0 => blob(data),
        1 | 2 if log.exists() => log,
        _ => data.join("waypost.db"),
    };
    let mut bytes = fs::read(&file).unwrap();
    let place = usize::try_from(places.below(bytes.len() as u64)).unwrap();
    let how = if places.below(4) == 0 {
        bytes.truncate(place);
        format!("cut off at {place}")
    } else {
        let end = bytes.len().min(place + 16);
        bytes[place..end].iter_mut().for_each(|byte| *byte ^= 0x5A);
        format!("flipped at {place}")
    };
    fs::write(&file, bytes).unwrap();
    format!("{} {how}", file.file_name().unwrap().to_string_lossy())
}

/// A gateway that was killed in the middle of its life, with work in its log.
async fn killed(mock: &MockUpstream) -> (Options, BTreeSet<String>) {
    let waypost = Waypost::before(mock).await;
    let mut texts = BTreeSet::new();
    for serial in 0..40 {
        let text = format!("message {serial:02}");
        waypost.send_text(&text).await.expect(200);
        texts.insert(text);
    }
    let file = serde_json::json!({"name": "p.png", "type": "image/png", "displayType": "IMAGE",
        "extension": "png", "data": base64(PNG)});
    let image = serde_json::json!({"type": "image", "image": {"file": file}});
    let image = waypost.demo_message(&image);
    waypost.replyhero("/whatsapp/messages/send", &image).await.expect(200);
    (waypost.kill(), texts)
}

fn body_of(message: &Value) -> String {
    message["message"]["text"]["body"].as_str().unwrap_or_default().to_owned()
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
    let log = listed["data"].as_array().unwrap();
    let found: HashSet<String> = log.iter().map(body_of).filter(|it| !it.is_empty()).collect();
    let lost = texts.iter().filter(|text| !found.contains(*text)).map(|it| format!("lost {it}"));
    let invented = found.iter().filter(|it| !texts.contains(*it)).map(|it| format!("made up {it}"));
    lost.chain(invented).collect()
}

/// What became of damages.
#[derive(Debug, Default)]
struct Verdicts {
    refused: u32,
    harmless: u32,
    /// What must never be: silent losses, changed texts, messages sent.
    violations: Vec<String>,
}

/// Damages copies of a folder, and starts a gateway on each.
async fn try_damages(
    mock: &MockUpstream,
    whole: &Path,
    texts: &BTreeSet<String>,
    seed: u64,
) -> Verdicts {
    let (mut verdicts, mut places) = (Verdicts::default(), Places(seed));
    let sent = mock.accepted();
    for round in 0..DAMAGES {
        let folder = new_folder();
        let data = folder.path().join("data");
        copy_tree(whole, &data);
        let what = format!("{round}: {}", damage(&data, &mut places));
        match Options::new().upstream(&mock.url()).folder(&folder).try_start().await {
            Err(ended) => {
                let is_told = ended.errors.contains("backup") && !ended.errors.contains("panicked");
                if ended.status.code() != Some(1) || !is_told {
                    verdicts.violations.push(format!("{what}: {}", ended.errors));
                }
                verdicts.refused += 1;
            }
            Ok(waypost) => {
                let changed = changed(&waypost, texts).await;
                verdicts.violations.extend(changed.iter().map(|it| format!("{what}: {it}")));
                verdicts.harmless += 1;
            }
        }
        if mock.accepted() != sent {
            verdicts.violations.push(format!("{what}: something was sent"));
        }
    }
    verdicts
}

#[tokio::test(flavor = "multi_thread")]
async fn t40_damage_is_refused_with_a_way_out_or_harmless() {
    let mock = MockUpstream::start().await;
    let (options, texts) = killed(&mock).await;
    let killed = new_folder();
    copy_tree(&options.data_path(), killed.path());
    let (options, ended) = options.start().await.stop().await;
    assert!(ended.success());
    for (folder, seed) in [(killed.path(), SEED), (&options.data_path(), SEED + 1)] {
        let verdicts = try_damages(&mock, folder, &texts, seed).await;
        assert!(verdicts.violations.is_empty(), "{verdicts:#?}");
        assert!(verdicts.refused > 0 && verdicts.harmless > 0, "{verdicts:?}");
    }
}
