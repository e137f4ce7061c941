//! What operators see: metrics that alarms name, each call to the upstream, and one line in the log
//! for each request and each attempt, whatever becomes of it (T43).

use std::collections::BTreeSet;

use serde_json::{Value, json};
use waypost_tests::mock_upstream::Deed;
use waypost_tests::{MockUpstream, Options, Waypost, binary, eventually};

use crate::rig::{PLANT, client};

/// The names of metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    let words = text.split(|char| !is_part(char));
    words.filter(|word| word.starts_with("waypost_")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_that_alarms_or_documents_name_exists() {
    let waypost = Waypost::start().await;
    waypost.send_text("hello").await.expect(200);
    let shown = metrics_in(&waypost.get("/metrics").await.expect(200).text());
    for file in
        ["packaging/alerts.yml", "docs/operating.md", "docs/production.md", "docs/callbacks.md"]
    {
        let text = std::fs::read_to_string(binary::workspace().join(file)).unwrap();
        let named = metrics_in(&text);
        assert!(file != "packaging/alerts.yml" || named.len() > 10, "{named:?}");
        // Crates of ours are called like that, too.
        let missing: Vec<_> = named
            .iter()
            .filter(|name| !["waypost_engine", "waypost_server"].contains(&name.as_str()))
            // A family of names: `waypost_pace_…`.
            .filter(|name| !name.ends_with('_'))
            .filter(|name| !name.starts_with("waypost_http_request_duration_seconds"))
            .filter(|name| !shown.contains(*name))
            .collect();
        assert!(missing.is_empty(), "{file} names {missing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alarm_has_its_section_and_every_section_its_alarm() {
    let read = |file: &str| std::fs::read_to_string(binary::workspace().join(file)).unwrap();
    let alerts = read("packaging/alerts.yml");
    let alerts: BTreeSet<&str> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let handbook = read("docs/operating.md");
    let sections: BTreeSet<&str> = handbook
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .filter(|title| title.starts_with("Waypost"))
        .collect();
    assert_eq!(alerts, sections);
}

/// The log's lines about attempts, or requests.
fn lines(waypost: &Waypost, what: &str) -> Vec<Value> {
    let log = waypost.errors();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == what).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_told_without_what_it_says() {
    let mock = MockUpstream::start().await;
    let waypost = Waypost::before(&mock).await;
    mock.messages_meet(Deed::Code(400, 131_026));
    waypost.send_text("canary-body-1f").await;
    mock.messages_meet(Deed::Reset);
    waypost.send_text("canary-body-2f").await;
    mock.messages_meet(Deed::Accept);
    waypost.send_text("canary-body-3f").await.expect(200);
    let org = waypost.variable("WAYPOST_ORG_ID");
    let phone = waypost.variable("WAYPOST_CUSTOMER_PHONE");
    let expected = [
        ("failed", "refused", json!("never"), json!(400)),
        ("unknown", "unknown", Value::Null, Value::Null),
        ("sent", "sent", Value::Null, json!(200)),
    ];
    let log = waypost.log().await;
    assert_eq!(log.len(), expected.len());
    for (message, (status, outcome, class, http_status)) in log.iter().zip(expected) {
        assert_eq!(message["status"], status, "{message}");
        let id = message["id"].as_str().unwrap().to_owned();
        let path = format!("/orgs/{org}/messages/{id}");
        let attempt = eventually("the call is recorded", async || {
            let shown = waypost.admin().get(&path).await.expect(200).json();
            let attempt = shown["attempts"].as_array().unwrap().last().unwrap().clone();
            attempt["request"].is_object().then_some(attempt)
        })
        .await;
        assert_eq!((&attempt["outcome"], &attempt["class"]), (&json!(outcome), &class));
        let (request, reply) = (&attempt["request"], &attempt["reply"]);
        assert_eq!((&request["method"], &request["type"]), (&json!("POST"), &json!("text")));
        assert!(request["path"].as_str().unwrap().ends_with("/messages"), "{attempt}");
        assert!(request["bytes"].as_u64().unwrap() > 50, "{attempt}");
        assert_eq!(reply["http_status"], http_status, "{attempt}");
        assert_eq!(reply["head_ms"].is_u64(), http_status.is_u64(), "{attempt}");
        let told = attempt.to_string();
        assert!(!told.contains("canary-body") && !told.contains(&phone), "{told}");
        let shown = client(&waypost, &["admin", "messages", "get", &id]).await;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains(&format!("outcome={outcome}")), "{shown}");
    }
}

/// Requests and attempts that end in every way; tells what is wrong with the lines about them.
async fn t43(bug: Option<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    let mock = MockUpstream::start().await;
    let mut options = Options::new().upstream(&mock.url());
    if let Some(bug) = bug {
        options = options.env(PLANT, bug);
    }
    let waypost = options.start().await;
    for deed in [Deed::Accept, Deed::Reset, Deed::Accept, Deed::Code(400, 131_026)] {
        mock.messages_meet(deed);
        waypost.send_text("hello").await;
    }
    // A caller who goes away has its line too.
    mock.messages_meet(Deed::Hang);
    let message = waypost.demo_message(&json!({"type": "text", "text": {"body": "gone"}}));
    let request = waypost.request(reqwest::Method::POST, "/whatsapp/messages/send");
    let request = request.header("X-API-KEY", waypost.variable("WAYPOST_API_KEY")).json(&message);
    let before = mock.message_calls();
    let caller = tokio::spawn(request.send());
    eventually("the last call", async || (mock.message_calls() > before).then_some(())).await;
    caller.abort();
    assert!(caller.await.is_err(), "the mock never answers");
    let statuses = eventually("a line for each of five requests", async || {
        let sends = lines(&waypost, "request").into_iter();
        let sends = sends.filter(|line| line["route"] == "/whatsapp/messages/send");
        let statuses: Vec<_> = sends.map(|line| line["status"].clone()).collect();
        (statuses.len() >= 5).then_some(statuses)
    })
    .await;
    assert_eq!(statuses.len(), 5, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&json!(499)));
    let calls = mock.message_calls();
    let attempts = lines(&waypost, "attempt");
    // The last one still waits for its answer.
    if attempts.len() != calls - 1 {
        faults.push(format!("{calls} attempts, of which one lasts, and {attempts:?}"));
    }
    let ids: BTreeSet<_> = attempts.iter().map(|line| line["attempt"].to_string()).collect();
    if ids.len() != attempts.len() {
        faults.push(format!("two lines about one attempt: {attempts:?}"));
    }
    let nameless = attempts.iter().filter(|line| !line["message_id"].is_string());
    faults.extend(nameless.map(|line| format!("of which message: {line}")));
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn t43_there_is_one_line_for_each_attempt_and_each_request() {
    assert_eq!(t43(None).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t43_control_a_missing_line_is_noticed() {
    assert_eq!(t43(Some("attempt-untold")).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t43_an_attempt_that_a_kill_cut_off_has_its_line_and_its_count_at_the_next_start() {
    let mock = MockUpstream::start().await;
    let waypost = Options::new().upstream(&mock.url()).start().await;
    mock.messages_meet(Deed::Hang);
    let org = waypost.variable("WAYPOST_ORG_ID");
    let body = json!({"to": "15550001111", "type": "text", "text": {"body": "cut off"}});
    waypost.admin().post(&format!("/orgs/{org}/messages"), &body).await.expect(202);
    eventually("the call", async || (mock.message_calls() > 0).then_some(())).await;
    let waypost = waypost.kill().start().await;
    // The log is written beside the work.
    let told = eventually("its line", async || {
        Some(lines(&waypost, "attempt")).filter(|told| !told.is_empty())
    });
    let told = told.await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["outcome"], "unknown");
    assert!(told[0]["message_id"].is_string() && told[0]["number"].is_string(), "{told:?}");
    let metrics = waypost.get("/metrics").await.expect(200).text();
    assert!(metrics.contains("waypost_messages_unknown_total 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_shown_to_the_installation_s_key_only() {
    let mock = MockUpstream::start().await;
    let waypost = Options::new().upstream(&mock.url()).start().await;
    let api = waypost_tests::Api::new(waypost.url(), &waypost.variable("WAYPOST_API_KEY"));
    api.get("/queues").await.expect(403);
    mock.messages_meet(Deed::Code(503, 131_016));
    let org = waypost.variable("WAYPOST_ORG_ID");
    let body = json!({"to": "15550001111", "type": "text", "text": {"body": "later"}});
    waypost.admin().post(&format!("/orgs/{org}/messages"), &body).await.ok();
    let queues = eventually("a message to be tried again", async || {
        let queues = waypost.admin().get("/queues").await.expect(200).json();
        let is_shown = queues["numbers"].as_array().unwrap().len() == 1 && queues["later"] == 1;
        is_shown.then_some(queues)
    })
    .await;
    assert!(queues["store"]["free_bytes"].as_u64().unwrap() > 0, "{queues}");
    let printed = client(&waypost, &["admin", "queues"]).await;
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.contains("NUMBER_ID") && printed.contains("due: "), "{printed}");
}
