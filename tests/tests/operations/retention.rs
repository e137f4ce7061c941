//! Messages and files go when their organisation's time for them is over; what waits never does,
//! nor a file that something names.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use waypost_tests::files::{PNG, base64};
use waypost_tests::fixture::NUMBER_ID;
use waypost_tests::{Options, Waypost, eventually};

use crate::rig::PLANT;

const DAY_S: u64 = 24 * 3_600;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

async fn counted(waypost: &Waypost, name: &str) -> u64 {
    let metrics = waypost.get("/metrics").await.expect(200).text();
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not in the metrics")).parse().unwrap()
}

/// Sends a picture that the sandbox takes.
async fn send_image(waypost: &Waypost, name: &str, bytes: &[u8]) {
    let file = json!({"name": name, "type": "image/png", "displayType": "IMAGE",
        "extension": "png", "data": base64(bytes)});
    let image = json!({"type": "image", "image": {"file": file}});
    let message = waypost.demo_message(&image);
    waypost.replyhero("/whatsapp/messages/send", &message).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_files_go_when_their_time_is_over() {
    let waypost = Waypost::start().await;
    let org = format!("/orgs/{}", waypost.variable("WAYPOST_ORG_ID"));
    let kept = json!({"message_retention_days": 2, "media_retention_days": 1});
    waypost.admin().patch(&org, &kept).await.expect(200);
    for text in ["one", "two", "three"] {
        waypost.send_text(text).await.expect(200);
    }
    send_image(&waypost, "p.png", PNG).await;
    let media = waypost.data_dir().join("media");
    assert_eq!(files(&media).len(), 1);
    // Nothing that a record names, as an upload leaves it that was never recorded.
    let orphan = "ab".repeat(32);
    std::fs::create_dir_all(media.join("ab")).unwrap();
    std::fs::write(media.join("ab").join(&orphan), "left over").unwrap();
    waypost.sandbox().advance(3 * DAY_S).await;
    eventually("old messages and files gone", async || {
        let deleted = counted(&waypost, "waypost_messages_deleted_total").await;
        (deleted >= 3 && files(&media).is_empty()).then_some(())
    })
    .await;
    assert_eq!(waypost.log().await.len(), 1, "the newest place of all is kept");
    waypost.sandbox().writes(&waypost.variable("WAYPOST_CUSTOMER_PHONE"), "hello").await;
    eventually("what comes now stays", async || (waypost.log().await.len() == 2).then_some(()))
        .await;
}

/// Files that records name and that are gone after the gateway has tidied up.
async fn named_files_lost(bug: Option<&str>) -> Vec<String> {
    let options = bug.map_or_else(Options::new, |bug| Options::new().env(PLANT, bug));
    let waypost = options.start().await;
    send_image(&waypost, "p.png", PNG).await;
    send_image(&waypost, "twin.png", PNG).await;
    let media = waypost.data_dir().join("media");
    let orphan = media.join("ab").join("ab".repeat(32));
    std::fs::create_dir_all(media.join("ab")).unwrap();
    std::fs::write(&orphan, "left over").unwrap();
    waypost.sandbox().advance(2 * 3_600).await;
    eventually("the orphan gone", async || (!orphan.exists()).then_some(())).await;
    // The whole folder has been looked at once the counter stands still.
    let collected = eventually("the end of tidying up", async || {
        let before = counted(&waypost, "waypost_media_collected_total").await;
        waypost.sandbox().advance(2 * 3_600).await;
        let after = counted(&waypost, "waypost_media_collected_total").await;
        (before == after && before > 0).then_some(after)
    })
    .await;
    assert!(collected >= 1);
    let org = waypost.variable("WAYPOST_ORG_ID");
    let mut lost = Vec::new();
    for record in waypost.admin().all(&format!("/orgs/{org}/media")).await {
        let url = record["url"].as_str().unwrap();
        let reply = waypost.get(url.strip_prefix(waypost.url()).unwrap()).await;
        if reply.status != 200 {
            lost.push(format!("{url}: {}", reply.status));
        }
    }
    lost
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_that_nothing_names_are_collected() {
    assert_eq!(named_files_lost(None).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn control_collecting_what_is_named_is_noticed() {
    assert!(!named_files_lost(Some("gc-takes-referenced")).await.is_empty());
}

/// An instant beyond every retention that the tests set.
fn in_25_days() -> String {
    let calendar = rusqlite::Connection::open_in_memory().unwrap();
    let sql = "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '+25 days')";
    calendar.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Messages that waited, and are gone after their organisation's time for messages is over.
async fn waiting_messages_lost(bug: Option<&str>) -> usize {
    let options = bug.map_or_else(Options::new, |bug| Options::new().env(PLANT, bug));
    let waypost = options.start().await;
    let org = format!("/orgs/{}", waypost.variable("WAYPOST_ORG_ID"));
    // Nor does a window that closes meanwhile end what is queued.
    let settings = json!({"message_retention_days": 1, "window_policy": "forward"});
    waypost.admin().patch(&org, &settings).await.expect(200);
    waypost.send_text("has ended").await.expect(200);
    // The upstream is down: what is queued stays so.
    let down = json!({"code": 131_016});
    waypost.sandbox().fault(&json!({}), &down).await;
    let mut ids = Vec::new();
    for last in 1..=3 {
        let body = json!({"number": NUMBER_ID, "to": waypost.variable("WAYPOST_CUSTOMER_PHONE"),
            "type": "text", "text": {"body": format!("waiting {last}")},
            "expires_at": in_25_days()});
        let queued = waypost.admin().post(&format!("{org}/messages"), &body).await.ok().json();
        ids.push(queued["id"].as_str().unwrap().to_owned());
    }
    let message = async |id: &String| -> Value {
        waypost.admin().get(&format!("{org}/messages/{id}")).await.json()
    };
    let phone = waypost.variable("WAYPOST_CUSTOMER_PHONE");
    waypost.sandbox().advance(2 * DAY_S).await;
    // The newest place of all is kept, whatever it is.
    waypost.sandbox().writes(&phone, "the newest").await;
    eventually("tidied up", async || {
        waypost.sandbox().advance(3_600).await;
        (counted(&waypost, "waypost_messages_deleted_total").await > 0).then_some(())
    })
    .await;
    let mut lost = 0;
    for id in &ids {
        lost += usize::from(message(id).await["id"] != json!(id));
    }
    lost
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_not_deleted_whatever_its_age() {
    assert_eq!(waiting_messages_lost(None).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_deleting_what_waits_is_noticed() {
    assert!(waiting_messages_lost(Some("retention-takes-pending")).await > 0);
}
