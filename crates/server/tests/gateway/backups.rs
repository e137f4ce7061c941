//! When a backup counts: once whoever took it says that it is whole where it lies.

use http::Method;
use serde_json::json;

use crate::rig::{ADMIN, Answer, Rig};

/// The hour of the last backup, as the metrics tell it.
async fn last_backup(rig: &Rig) -> String {
    let text = rig.get("/metrics").await.expect(200).text();
    let name = "waypost_last_backup_timestamp_seconds ";
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned()
}

async fn take(rig: &Rig) -> String {
    let taken = rig.ask(Method::POST, "/waypost/v1/backups", Some(ADMIN), None).await.expect(200);
    taken.header("x-waypost-backup-id").unwrap_or("none").to_owned()
}

async fn confirm(rig: &Rig, id: &str) -> Answer {
    let path = format!("/waypost/v1/backups/{id}/confirm");
    rig.ask(Method::POST, &path, Some(ADMIN), None).await
}

#[tokio::test]
async fn a_backup_counts_once_its_receiver_says_that_it_is_whole() {
    let rig = Rig::new().await;
    let first = take(&rig).await;
    assert_eq!(last_backup(&rig).await, "0");
    rig.clock.advance(std::time::Duration::from_secs(60));
    let second = take(&rig).await;
    for nothing in ["1799999999999", "none", "-1", "99999999999999999999"] {
        confirm(&rig, nothing).await.expect(404);
    }
    assert_eq!(last_backup(&rig).await, "0");
    let confirmed = confirm(&rig, &second).await.expect(200).json();
    assert_eq!(confirmed, json!({"id": second, "taken_at": "2027-01-15T08:01:00.000Z"}));
    assert_eq!(last_backup(&rig).await, "1800000060");
    // A later one stays the last, and a repetition changes nothing.
    confirm(&rig, &first).await.expect(200);
    confirm(&rig, &second).await.expect(200);
    assert_eq!(last_backup(&rig).await, "1800000060");
}

#[tokio::test]
async fn a_backup_that_nobody_took_to_its_end_cannot_be_confirmed() {
    let rig = Rig::new().await;
    let request = http::Request::post("/waypost/v1/backups")
        .header("host", "waypost")
        .header("authorization", format!("Bearer {ADMIN}"))
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = tower::ServiceExt::oneshot(rig.router.clone(), request).await.unwrap();
    let id = answer.headers()["x-waypost-backup-id"].to_str().unwrap().to_owned();
    drop(answer);
    confirm(&rig, &id).await.expect(404);
    assert_eq!(last_backup(&rig).await, "0");
}
