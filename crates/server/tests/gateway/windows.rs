//! What the management API tells of windows and paces.

use http::Method;
use serde_json::{Value, json};
use waypost_domain::{NumberId, OrgId, Phone};
use waypost_planted::{Bug, plant};

use crate::rig::{ADMIN, Rig};

const PERSON: &str = "15550001111";

/// A rig whose one customer's window has been closed for an hour.
async fn rig(policy: &str) -> Rig {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let path = "/waypost/v1/orgs/org-1";
    let policy = json!({ "window_policy": policy });
    rig.ask(Method::PATCH, path, Some(ADMIN), Some(policy)).await.expect(200);
    let wrote_at = rig.engine.now().plus_ms(-25 * 3_600_000);
    let (org, number) = (OrgId::new("org-1"), NumberId::new("n-1"));
    let person = Phone::parse(PERSON).unwrap();
    rig.engine.store().renew_window(&org, &number, &person, wrote_at).await.unwrap();
    rig
}

async fn send(rig: &Rig) -> crate::rig::Answer {
    let text = json!({"to": PERSON, "type": "text", "text": {"body": "hi"}});
    rig.ask(Method::POST, "/waypost/v1/orgs/org-1/messages", Some(ADMIN), Some(text)).await
}

/// What a refusal for a closed window does not tell, or tells otherwise than the session does.
async fn untold() -> Vec<String> {
    let rig = rig("refuse").await;
    let refused = send(&rig).await.expect(409).json();
    assert_eq!(refused["code"], "window_closed");
    let window = &refused["window"];
    let session = rig.get("/waypost/v1/orgs/org-1/sessions/n-1.15550001111").await.expect(200);
    let shown = session.json()["window"].clone();
    assert_eq!((&shown["state"], &shown["until"]), (&json!("closed"), &Value::Null));
    assert_eq!(shown["number_id"], "n-1");
    assert!(shown["since"].is_string(), "{shown}");
    let wanted = json!({"number_id": "n-1", "state": "closed", "since": shown["since"],
        "templates": []});
    let members = wanted.as_object().unwrap().iter();
    let untold = members.filter(|(name, value)| window[name.as_str()] != **value);
    untold.map(|(name, _)| format!("{name}: {}", window[name.as_str()])).collect()
}

#[tokio::test]
async fn a_refusal_names_the_window() {
    assert_eq!(untold().await, [""; 0]);
}

#[tokio::test]
async fn control_a_refusal_without_its_window_is_seen() {
    plant(Some(Bug::WindowUntold));
    assert_eq!(untold().await.len(), 4);
}

#[tokio::test]
async fn a_held_message_is_accepted() {
    let rig = rig("hold").await;
    let held = send(&rig).await.expect(202).json();
    assert_eq!(held["status"], "queued");
    assert_eq!(rig.engine.store().held().await.unwrap().0, 1);
}

#[tokio::test]
async fn a_number_shows_its_pace_and_takes_a_daily_limit() {
    let rig = rig("forward").await;
    let path = "/waypost/v1/orgs/org-1/numbers/n-1";
    let change = json!({"daily_limit": 250, "throughput_per_s": 20});
    let changed = rig.ask(Method::PATCH, path, Some(ADMIN), Some(change)).await.expect(200).json();
    assert_eq!(changed["daily_limit"], 250);
    send(&rig).await.expect(202);
    let pacing = rig.get(path).await.json()["pacing"].clone();
    assert_eq!((&pacing["present_per_s"], &pacing["daily_limit"]), (&json!(20), &json!(250)));
    assert_eq!(pacing["bulk_held_until"], Value::Null);
    let metrics = rig.get("/metrics").await.text();
    assert!(metrics.contains(r#"waypost_pace_present_per_second{number="n-1"} 20"#), "{metrics}");
    let refused = rig.ask(Method::PATCH, path, Some(ADMIN), Some(json!({"daily_limit": 1}))).await;
    assert_eq!(refused.expect(400).json()["errors"][0]["field"], "daily_limit");
}
