//! A backup under load loses nothing that was acknowledged before it; what is restored sends nothing
//! twice by itself; and whatever is not right is told.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use waypost_tests::client::http;
use waypost_tests::files::{PNG, base64};
use waypost_tests::fixture::NUMBER_ID;
use waypost_tests::waypost::new_folder;
use waypost_tests::{Api, MockUpstream, Options, Reply, Waypost, eventually};

use crate::rig::{PLANT, client, json, refusal, run};

const CALLERS: usize = 8;
/// Acknowledged before the backup is begun, at least.
const BEFORE: usize = 200;

/// Texts that were acknowledged.
type Ledger = Arc<Mutex<Vec<String>>>;

/// Asks for messages to be sent later, until told to stop.
fn load(waypost: &Waypost, ledger: &Ledger, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let api = Api::new(waypost.url(), &waypost.variable("WAYPOST_API_KEY"));
    let path = format!("/orgs/{}/messages", waypost.variable("WAYPOST_ORG_ID"));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (api, path) = (api.clone(), path.clone());
        let (ledger, stop) = (Arc::clone(ledger), Arc::clone(stop));
        callers.spawn(async move {
            for serial in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let text = format!("message {caller}-{serial:05}");
                let body = json!({"number": NUMBER_ID, "to": "15550001111", "type": "text",
                    "text": {"body": text}});
                let reply = Reply::attempt(api.request(Method::POST, &path).json(&body)).await;
                if reply.is_ok_and(|reply| (200..300).contains(&reply.status)) {
                    ledger.lock().await.push(text);
                }
            }
        });
    }
    callers
}

/// A folder for a restored gateway, with the master key of another one in it.
fn folder_with_key_of(waypost: &Waypost) -> Arc<TempDir> {
    let folder = new_folder();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::copy(waypost.data_dir().join("master.key"), data.join("master.key")).unwrap();
    folder
}

async fn restore(folder: &Path, file: &Path, args: &[&str]) -> std::process::Output {
    let (data, file) = (folder.join("data").display().to_string(), file.display().to_string());
    let mut all = vec!["restore", &file, "--data-dir", &data];
    all.extend(args);
    run(folder, None, &all).await
}

/// A gateway on a restored folder; its admin key is the other one's.
async fn start_restored(folder: &Arc<TempDir>, mock: &MockUpstream, key: &str) -> Waypost {
    let options = Options::new().upstream(&mock.url()).env("WAYPOST_ADMIN_KEY", key);
    options.env("WAYPOST_DEMO", "false").folder(folder).start().await
}

fn bodies(log: &[Value]) -> HashSet<String> {
    let body = |it: &Value| it["message"]["text"]["body"].as_str().unwrap_or_default().to_owned();
    log.iter().map(body).collect()
}

/// Takes a backup under load and restores it. Returns what was acknowledged before and is not in
/// it, the restored gateway, and the upstream that it speaks to.
async fn lost_by_a_backup(bug: Option<&str>) -> (Vec<String>, Option<(Waypost, MockUpstream)>) {
    let mock = MockUpstream::start().await;
    let mut options = Options::new().upstream(&mock.url());
    if let Some(bug) = bug {
        options = options.env(PLANT, bug);
    }
    let waypost = options.start().await;
    waypost.send_text("the first").await.expect(200);
    let (ledger, stop) = (Ledger::default(), Arc::<AtomicBool>::default());
    let callers = load(&waypost, &ledger, &stop);
    eventually("some messages acknowledged", async || {
        (ledger.lock().await.len() >= BEFORE).then_some(())
    })
    .await;
    let before = ledger.lock().await.clone();
    let file = waypost.folder().path().join("backup.tar");
    let made = client(&waypost, &["backup", &file.display().to_string(), "--json"]).await;
    stop.store(true, Ordering::Relaxed);
    callers.join_all().await;
    let after = ledger.lock().await.len();
    assert!(after > before.len(), "nothing was acknowledged while the backup was made");
    if !made.status.success() {
        return (vec![format!("no backup: {made:?}")], None);
    }
    let folder = folder_with_key_of(&waypost);
    let restored = restore(folder.path(), &file, &["--json"]).await;
    if !restored.status.success() {
        return (vec![format!("not restored: {restored:?}")], None);
    }
    let (key, org) = (waypost.variable("WAYPOST_ADMIN_KEY"), waypost.variable("WAYPOST_ORG_ID"));
    let fresh = MockUpstream::start().await;
    let restored = start_restored(&folder, &fresh, &key).await;
    let log = Api::new(restored.url(), &key).get(&format!("/orgs/{org}")).await;
    if log.status != 200 {
        return (vec![format!("the organisation: {}", log.text())], None);
    }
    let log = Api::new(restored.url(), &key).all(&format!("/orgs/{org}/messages")).await;
    let found = bodies(&log);
    let lost = before.into_iter().filter(|text| !found.contains(text)).collect();
    (lost, Some((restored, fresh)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_loses_nothing_and_sends_nothing_by_itself() {
    let (lost, restored) = lost_by_a_backup(None).await;
    assert_eq!(lost, Vec::<String>::new());
    let (restored, mock) = restored.unwrap();
    let admin = restored.admin();
    let queues = admin.get("/queues").await.expect(200).json();
    let held = queues["restored"].as_u64().unwrap();
    assert!(held > 0, "the queue was not empty: {queues}");
    assert_eq!((&queues["due"], mock.accepted()), (&json!(0), 0), "{queues}");
    let shown = client(&restored, &["admin", "queues"]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(&format!("restored: {held}")), "{shown}");
    let resumed = json(&client(&restored, &["admin", "queues", "resume", "--json"]).await);
    assert_eq!(resumed["resumed"].as_u64(), Some(held));
    eventually("what was held back upstream", async || (mock.accepted() > 0).then_some(())).await;
    assert_eq!(admin.get("/held-back").await.expect(200).json()["messages"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_backup_without_the_log_is_noticed() {
    let (lost, _) = lost_by_a_backup(Some("backup-skips-wal")).await;
    assert!(!lost.is_empty(), "the check cannot fail");
}

/// A gateway with a queued message, backed up and restored. Returns how many messages the restored
/// one sends by itself: each of them may have been sent by the first one since.
async fn sent_again_after_a_restore(bug: Option<&str>) -> usize {
    let mock = MockUpstream::start().await;
    mock.messages_meet(waypost_tests::mock_upstream::Deed::Code(503, 131_016));
    let waypost = Waypost::before(&mock).await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let body = json!({"number": NUMBER_ID, "to": "15550001111", "type": "text",
        "text": {"body": "once"}});
    waypost.admin().post(&format!("/orgs/{org}/messages"), &body).await.ok();
    eventually("a first try", async || (mock.message_calls() > 0).then_some(())).await;
    let file = waypost.folder().path().join("backup.tar");
    json(&client(&waypost, &["backup", &file.display().to_string(), "--json"]).await);
    let folder = folder_with_key_of(&waypost);
    let (data, file) =
        (folder.path().join("data").display().to_string(), file.display().to_string());
    let args = ["restore", file.as_str(), "--data-dir", &data, "--json"];
    json(&run(folder.path(), bug, &args).await);
    let fresh = MockUpstream::start().await;
    let key = waypost.variable("WAYPOST_ADMIN_KEY");
    let restored = start_restored(&folder, &fresh, &key).await;
    // A synchronous message goes out behind whatever was queued before it.
    let request = http().post(format!("{}/whatsapp/messages/send", restored.url()));
    let message = waypost.demo_message(&json!({"type": "text", "text": {"body": "behind"}}));
    let request = request.header("X-API-KEY", waypost.variable("WAYPOST_API_KEY")).json(&message);
    Reply::to(request).await.expect(200);
    let admin = restored.admin();
    eventually("nothing due, and nothing on its way", async || {
        let queues = admin.get("/queues").await.expect(200).json();
        let sending = admin.get(&format!("/orgs/{org}/messages?status=sending")).await.ok().json();
        let is_at_rest = queues["due"] == 0 && queues["later"] == 0;
        (is_at_rest && sending["data"] == json!([])).then_some(())
    })
    .await;
    fresh.accepted() - 1
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_sent_since_a_backup_is_not_sent_again_by_itself() {
    assert_eq!(sent_again_after_a_restore(None).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_restored_queue_that_goes_on_is_noticed() {
    assert_eq!(sent_again_after_a_restore(Some("restore-resumes-queue")).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_along_and_a_restore_refuses_what_is_not_right() {
    let mock = MockUpstream::start().await;
    let waypost = Waypost::before(&mock).await;
    let file = json!({"name": "p.png", "type": "image/png", "displayType": "IMAGE",
        "extension": "png", "data": base64(PNG)});
    let image = waypost.demo_message(&json!({"type": "image", "image": {"file": file}}));
    waypost.replyhero("/whatsapp/messages/send", &image).await.expect(200);
    let made = json(&client(&waypost, &["backup", "--json"]).await);
    assert_eq!((&made["media_files"], &made["lost_media"]), (&json!(1), &json!([])));
    let backup = waypost.folder().path().join(made["file"].as_str().unwrap());
    let again = client(&waypost, &["backup", &backup.display().to_string()]).await;
    assert!(refusal(&again).contains("exists already"));

    // The gateway's own folder, a running one's and a full one.
    let own = waypost.data_dir().display().to_string();
    let own = ["restore", made["file"].as_str().unwrap(), "--data-dir", &own];
    let refused = refusal(&run(waypost.folder().path(), None, &own).await);
    assert!(refused.contains("used by another process"), "{refused}");
    let full = new_folder();
    std::fs::create_dir(full.path().join("data")).unwrap();
    std::fs::write(full.path().join("data/notes.txt"), "mine").unwrap();
    let refused = refusal(&restore(full.path(), &backup, &[]).await);
    assert!(refused.contains("not empty") && refused.contains("notes.txt"), "{refused}");

    // Another master key, none, and the right one.
    let fingerprint = made["master_key_fingerprint"].as_str().unwrap();
    let other = new_folder();
    std::fs::create_dir(other.path().join("data")).unwrap();
    std::fs::write(other.path().join("data/master.key"), "ab".repeat(32)).unwrap();
    let refused = refusal(&restore(other.path(), &backup, &[]).await);
    assert!(refused.contains(fingerprint) && refused.contains("master key"), "{refused}");
    let keyless = new_folder();
    let told = restore(keyless.path(), &backup, &[]).await;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains(fingerprint) && told.contains("master.key"), "{told}");
    let key = waypost.data_dir().join("master.key");
    std::fs::copy(key, keyless.path().join("data/master.key")).unwrap();
    let restored = start_restored(&keyless, &mock, &waypost.variable("WAYPOST_ADMIN_KEY")).await;
    let media = format!("/orgs/{}/media", waypost.variable("WAYPOST_ORG_ID"));
    let url = restored.admin().all(&media).await[0]["url"].as_str().unwrap().to_owned();
    let (_, path) = url.split_once("gateway.example.com").unwrap();
    assert_eq!(restored.get(path).await.expect(200).body, PNG);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_not_restored_and_leaves_no_data_folder_that_starts() {
    let waypost = Waypost::start().await;
    waypost.send_text("hello").await.expect(200);
    let made = json(&client(&waypost, &["backup", "--json"]).await);
    let whole =
        std::fs::read(waypost.folder().path().join(made["file"].as_str().unwrap())).unwrap();
    let mut flipped = whole.clone();
    let place = whole.len() / 2;
    flipped[place] ^= 0x10;
    for (what, bytes) in [
        ("cut off", whole[..whole.len() * 2 / 3].to_vec()),
        ("without its end", whole[..whole.len() - 2_048].to_vec()),
        ("one bit is another", flipped),
        ("empty", Vec::new()),
        ("no archive", b"something else".repeat(100)),
    ] {
        let folder = folder_with_key_of(&waypost);
        let file = folder.path().join("damaged.tar");
        std::fs::write(&file, bytes).unwrap();
        let refused = refusal(&restore(folder.path(), &file, &[]).await);
        assert!(refused.contains("is not restored"), "{what}: {refused}");
        assert!(!folder.path().join("data/waypost.db").exists(), "{what}");
        let Err(ended) = Options::new().folder(&folder).try_start().await else {
            panic!("{what}: a gateway started on half of a backup");
        };
        assert!(ended.errors.contains("was not finished"), "{what}: {}", ended.errors);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_installation_s_key_makes_backups_and_one_at_a_time() {
    let waypost = Waypost::start().await;
    let key = waypost.variable("WAYPOST_API_KEY");
    for path in ["/backups", "/held-back"] {
        let api = Api::new(waypost.url(), &key);
        api.post(path, &json!({"action": "send"})).await.expect(403);
    }
    let request = waypost.admin().request(Method::POST, "/backups");
    // The head has come, and nobody takes the rest yet.
    let first = request.send().await.unwrap();
    assert_eq!(first.status(), 200);
    let first = first.bytes().await.unwrap();
    assert_eq!(first.len() % 512, 0);
    waypost.admin().post("/backups", &json!({})).await.expect(200);
}
