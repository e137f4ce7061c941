//! Broadcasts: to four and to ten thousand customers, with their progress; callers who go away, a
//! `kill -9` under way, and pausing, resuming and cancelling.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::mock_upstream::Deed;
use waypost_tests::{MockUpstream, Reply, Waypost, eventually};

const BROADCAST: &str = "/whatsapp/template/send";
const MANY: usize = 10_000;

fn hello(waypost: &Waypost) -> Value {
    json!({"templateName": "hello_world", "sessionId": "camp-7", "components": [],
        "orgId": waypost.variable("WAYPOST_ORG_ID"), "userId": waypost.variable("WAYPOST_USER_ID")})
}

fn org_path(waypost: &Waypost, rest: &str) -> String {
    format!("/orgs/{}{rest}", waypost.variable("WAYPOST_ORG_ID"))
}

async fn set_throughput(waypost: &Waypost, per_s: u32) {
    let number = waypost.variable("WAYPOST_PHONE_NUMBER_ID");
    let path = org_path(waypost, &format!("/numbers/{number}"));
    waypost.admin().patch(&path, &json!({ "throughput_per_s": per_s })).await.ok();
}

/// Registers customers `0..count` beside the demo's four.
async fn import(waypost: &Waypost, count: usize) {
    let mut csv = "id,phone\n".to_owned();
    for index in 0..count {
        writeln!(csv, "c-{index:05},1556{index:07}").unwrap();
    }
    // In parts, as the command line does it.
    let (head, rows) = csv.split_once('\n').unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    for part in rows.chunks(5_000) {
        let request =
            waypost.admin().request(Method::POST, &org_path(waypost, "/customers/import"));
        let body = format!("{head}\n{}\n", part.join("\n"));
        let imported = Reply::to(request.header("content-type", "text/csv").body(body)).await;
        assert_eq!(imported.ok().json()["created"], part.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_customers_are_reached_in_order_and_the_progress_can_be_read() {
    let waypost = Waypost::start().await;
    let reply = waypost.replyhero(BROADCAST, &hello(&waypost)).await.expect(200);
    let elements = reply.json();
    let customers: Vec<&str> =
        elements.as_array().unwrap().iter().map(|it| it["customerId"].as_str().unwrap()).collect();
    assert_eq!(customers, ["demo-ann", "demo-ben", "demo-carla", "demo-dev"]);
    let id = reply.header("x-waypost-broadcast-id").unwrap().to_owned();
    let progress = waypost.admin().get(&org_path(&waypost, &format!("/broadcasts/{id}"))).await;
    let progress = progress.expect(200).json();
    assert_eq!((&progress["id"], &progress["template"]), (&json!(id), &json!("hello_world")));
    assert_eq!(progress["audience"], 4, "{progress}");
    let counted: u64 =
        progress["by_status"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(counted, 4, "{progress}");
    let listed = waypost.admin().all(&org_path(&waypost, "/broadcasts")).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(waypost.sandbox().ledger().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_customers_are_each_reached_once_and_the_progress_grows() {
    let waypost = Waypost::start().await;
    waypost.sandbox().limits(&json!({"throughput_per_s": null, "pair": false})).await;
    set_throughput(&waypost, 1_000).await;
    import(&waypost, MANY).await;
    let body = hello(&waypost);
    let (reply, steps) = tokio::join!(waypost.replyhero(BROADCAST, &body), async {
        let mut steps = HashSet::new();
        let path = org_path(&waypost, "/broadcasts");
        eventually("a broadcast that is done", async || {
            let listed = waypost.admin().all(&path).await;
            let one = format!("{path}/{}", listed.first()?["id"].as_str()?);
            let progress = waypost.admin().get(&one).await.expect(200).json();
            let counts = &progress["by_status"];
            let queued = counts["queued"].as_u64().unwrap_or(0);
            steps.insert(queued);
            let settled: u64 = ["sent", "delivered", "read", "failed"]
                .iter()
                .map(|status| counts[status].as_u64().unwrap_or(0))
                .sum();
            (settled == MANY as u64 + 4).then_some(())
        })
        .await;
        steps
    });
    assert!(steps.len() > 2, "progress was never seen: {steps:?}");
    let elements = reply.expect(200).json();
    let elements = elements.as_array().unwrap();
    assert_eq!(elements.len(), MANY + 4);
    for (index, element) in elements.iter().skip(4).enumerate() {
        assert_eq!(element["customerId"], format!("c-{index:05}"));
        assert!(element["response"]["messages"][0]["id"].is_string(), "{element}");
    }
    let ledger = waypost.sandbox().ledger().await;
    let reached: HashSet<&str> = ledger.iter().map(|row| row["to"].as_str().unwrap()).collect();
    assert_eq!((ledger.len(), reached.len()), (MANY + 4, MANY + 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_goes_on_when_its_caller_goes_away() {
    let mock = MockUpstream::start().await;
    mock.messages_meet(Deed::Code(429, 130_429));
    let waypost = Waypost::before(&mock).await;
    let request = waypost.request(Method::POST, BROADCAST);
    let request = request.header("X-API-KEY", waypost.variable("WAYPOST_API_KEY"));
    let call = tokio::spawn(Reply::attempt(request.json(&hello(&waypost))));
    eventually("an attempt", async || (mock.message_calls() > 0).then_some(())).await;
    call.abort();
    drop(call.await);
    mock.messages_meet(Deed::Accept);
    eventually("four accepted messages", async || (mock.accepted() == 4).then_some(())).await;
    let settled = eventually("a log that says so", async || {
        let log = waypost.log().await;
        log.iter().all(|message| message["status"] == "sent").then_some(log)
    })
    .await;
    assert_eq!(settled.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_can_be_paused_resumed_and_cancelled() {
    let mock = MockUpstream::start().await;
    let waypost = Waypost::before(&mock).await;
    set_throughput(&waypost, 20).await;
    import(&waypost, 300).await;
    let request = waypost.request(Method::POST, BROADCAST);
    let request = request.header("X-API-KEY", waypost.variable("WAYPOST_API_KEY"));
    let call = tokio::spawn(Reply::to(request.json(&hello(&waypost))));
    let id = eventually("a broadcast in the list", async || {
        let listed = waypost.admin().all(&org_path(&waypost, "/broadcasts")).await;
        Some(listed.first()?["id"].as_str()?.to_owned())
    })
    .await;
    let path = org_path(&waypost, &format!("/broadcasts/{id}"));
    let tell = async |what: &str| {
        let path = format!("{path}/{what}");
        Reply::to(waypost.admin().request(Method::POST, &path)).await.ok();
    };
    let state = async || waypost.admin().get(&path).await.ok().json();
    tell("pause").await;
    assert_eq!(state().await["state"], "paused");
    tell("resume").await;
    let before = mock.accepted();
    eventually("progress after resuming", async || (mock.accepted() > before + 5).then_some(()))
        .await;
    tell("cancel").await;
    let reply = call.await.unwrap().expect(200).json();
    for error in reply.as_array().unwrap().iter().filter_map(|element| element.get("error")) {
        let told = error["message"].as_str().unwrap_or_default().to_lowercase();
        assert!(told.contains("cancelled") || error["code"] == "still_queued", "{error}");
    }
    assert_eq!(state().await["state"], "cancelled");
    let settled = eventually("nothing on its way", async || {
        let log = waypost.log().await;
        let open = ["queued", "sending"];
        log.iter().all(|it| !open.contains(&it["status"].as_str().unwrap())).then_some(log)
    })
    .await;
    let sent = settled.iter().filter(|message| message["status"] == "sent").count();
    assert_eq!(sent, mock.accepted());
    assert!(sent < 304, "everything was sent before it was cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_goes_on_after_a_kill_and_reaches_nobody_twice() {
    let mock = MockUpstream::start().await;
    let waypost = Waypost::before(&mock).await;
    set_throughput(&waypost, 100).await;
    import(&waypost, 400).await;
    let request = waypost.request(Method::POST, BROADCAST);
    let request = request.header("X-API-KEY", waypost.variable("WAYPOST_API_KEY"));
    let call = tokio::spawn(Reply::attempt(request.json(&hello(&waypost))));
    eventually("part of the broadcast", async || (mock.accepted() > 120).then_some(())).await;
    let waypost = waypost.kill().start().await;
    assert!(call.await.unwrap().is_err(), "nobody can have answered");
    let log = eventually("nothing on its way", async || {
        let log = waypost.log().await;
        let open = ["queued", "sending"];
        let done = log.iter().all(|it| !open.contains(&it["status"].as_str().unwrap()));
        (done && log.len() == 404).then_some(log)
    })
    .await;
    let mut reached: HashMap<String, usize> = HashMap::new();
    for message in mock.ledger() {
        *reached.entry(message["to"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(reached.values().all(|times| *times == 1), "somebody was messaged twice");
    for message in &log {
        let phone = format!("+{}", message["phone"].as_str().unwrap());
        match message["status"].as_str().unwrap() {
            "sent" => assert!(reached.contains_key(&phone), "called sent and was not: {phone}"),
            "unknown" => {}
            other => panic!("{other}: {message}"),
        }
    }
}
