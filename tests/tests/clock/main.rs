//! The machine's wall clock is set under a running gateway, or wrong when it starts (T30): nothing
//! expires, is sent again or is deleted because of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

mod wall_clock;

use serde_json::{Value, json};
use waypost_tests::fixture::NUMBER_ID;
use waypost_tests::mock_upstream::Deed;
use waypost_tests::{MockUpstream, Options, Waypost, eventually};

use crate::wall_clock::WallClock;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
/// From today beyond the second in which a signed number of 32 bits is full.
const BEYOND_2038_S: i64 = 14 * 366 * DAY_S;
/// Until retention has looked, in seconds.
const LOOK_S: u64 = 3_700;
/// Names the bug that a gateway is to have.
const PLANT: &str = "WAYPOST_PLANTED_BUG";

fn org(waypost: &Waypost) -> String {
    format!("/orgs/{}", waypost.variable("WAYPOST_ORG_ID"))
}

/// A gateway with its wall clock, and two messages of an organisation that keeps them for a day.
async fn furnished(options: Options) -> (Waypost, WallClock) {
    let folder = waypost_tests::waypost::new_folder();
    let wall = WallClock::build(folder.path());
    let waypost = wall.seen_by(options.folder(&folder)).start().await;
    let kept = json!({"message_retention_days": 1, "media_retention_days": 1});
    waypost.admin().patch(&org(&waypost), &kept).await.expect(200);
    for text in ["one", "two", "three"] {
        waypost.send_text(text).await.expect(200);
    }
    eventually("what the upstream says of them", async || {
        let log = waypost.log().await;
        log.iter().all(|message| message["status"] == "delivered").then_some(())
    })
    .await;
    (waypost, wall)
}

async fn counted(waypost: &Waypost, name: &str) -> i64 {
    let metrics = waypost.get("/metrics").await.expect(200).text();
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not in the metrics")).parse().unwrap()
}

/// Whether a message is still to be sent.
fn is_open(message: &Value) -> bool {
    ["queued", "sending"].contains(&message["status"].as_str().unwrap())
}

/// Lets retention look, and waits until it has.
async fn look(waypost: &Waypost) {
    let folder = waypost.data_dir().join("media/ab");
    let orphan = folder.join("ab".repeat(32));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(&orphan, "left over").unwrap();
    waypost.sandbox().advance(LOOK_S).await;
    eventually("the look of retention", async || (!orphan.exists()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t30_a_wall_clock_that_is_set_ends_and_deletes_nothing() {
    let (waypost, wall) = furnished(Options::new()).await;
    waypost.sandbox().fault(&json!({}), &json!({"code": 131_016})).await;
    let body = json!({"number": NUMBER_ID, "to": waypost.variable("WAYPOST_CUSTOMER_PHONE"),
        "type": "text", "text": {"body": "waits"}});
    let queued = waypost.admin().post(&format!("{}/messages", org(&waypost)), &body).await;
    let id = queued.ok().json()["id"].as_str().unwrap().to_owned();
    let message = async || {
        waypost.admin().get(&format!("{}/messages/{id}", org(&waypost))).await.expect(200).json()
    };
    let attempts = async || message().await["attempts"].as_array().unwrap().len();
    for shift_s in [HOUR_S, DAY_S, BEYOND_2038_S, -DAY_S] {
        wall.set(shift_s);
        look(&waypost).await;
        let before = attempts().await;
        eventually("another attempt", async || {
            waypost.sandbox().advance(60).await;
            (attempts().await > before).then_some(())
        })
        .await;
        assert!(is_open(&message().await), "{shift_s}: {}", message().await);
        assert_eq!(waypost.log().await.len(), 4, "{shift_s}: something was deleted");
        let ahead_s = counted(&waypost, "waypost_wall_clock_ahead_seconds").await;
        // A twentieth of what has passed is made up for.
        assert!((ahead_s - shift_s).abs() <= HOUR_S / 2, "{shift_s}: {ahead_s}");
    }
    waypost.sandbox().clear_faults().await;
    eventually("the message goes out", async || {
        waypost.sandbox().advance(60).await;
        (!is_open(&message().await)).then_some(())
    })
    .await;
    assert_ne!(message().await["status"], "failed");
    assert_eq!(waypost.sandbox().ledger().await.len(), 4, "each was sent once");
}

/// The upstream accepts a message and loses the reply; then the wall clock is set on by more than a
/// message of unknown outcome is held.
#[tokio::test(flavor = "multi_thread")]
async fn t30_a_wall_clock_that_is_set_on_sends_nothing_again_early() {
    let mock = MockUpstream::start().await;
    let folder = waypost_tests::waypost::new_folder();
    let wall = WallClock::build(folder.path());
    let options = Options::new().folder(&folder).upstream(&mock.url());
    let waypost = wall.seen_by(options).start().await;
    let path = format!("{}/messages", org(&waypost));
    let body = json!({"number": NUMBER_ID, "to": waypost.variable("WAYPOST_CUSTOMER_PHONE"),
        "type": "text", "text": {"body": "hello"}});
    let queue = async || {
        let queued = waypost.admin().post(&path, &body).await.ok().json();
        queued["id"].as_str().unwrap().to_owned()
    };
    let message = async |id: &str| -> Value {
        waypost.admin().get(&format!("{path}/{id}")).await.expect(200).json()
    };
    let lose = async || {
        mock.messages_meet(Deed::AcceptAndReset);
        let id = queue().await;
        eventually("an unknown outcome", async || {
            (message(&id).await["status"] == "unknown").then_some(())
        })
        .await;
        id
    };
    let first = lose().await;
    let held = message(&first).await;
    assert!(held["resend_at"].is_string(), "{held}");
    wall.set(HOUR_S);
    // The second one has those who send again look at the hour.
    lose().await;
    mock.messages_meet(Deed::Accept);
    for _ in 0..3 {
        queue().await;
    }
    eventually("three more", async || (mock.accepted() >= 5).then_some(())).await;
    let after = message(&first).await;
    assert_eq!((&after["status"], &after["resend_at"]), (&json!("unknown"), &held["resend_at"]));
    assert_eq!(mock.accepted(), 5, "nothing was sent twice");
}

/// A gateway with old messages starts at an hour beyond 2038; returns how many of them are left.
async fn left_after_a_wrong_start(bug: Option<&str>) -> usize {
    let (waypost, wall) = furnished(Options::new()).await;
    let (mut options, _) = waypost.stop().await;
    wall.set(BEYOND_2038_S);
    if let Some(bug) = bug {
        options = options.env(PLANT, bug);
    }
    let waypost = options.start().await;
    look(&waypost).await;
    let left = waypost.log().await.len();
    let refused = counted(&waypost, "waypost_retention_refused_total").await;
    assert_eq!(refused > 0, left == 3, "{left} are left");
    left
}

#[tokio::test(flavor = "multi_thread")]
async fn t30_a_start_at_a_wrong_hour_deletes_nothing() {
    assert_eq!(left_after_a_wrong_start(None).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn t30_control_a_wrong_hour_that_is_believed_is_noticed() {
    assert!(left_after_a_wrong_start(Some("hour-believed")).await < 3);
}
