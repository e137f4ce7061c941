//! `kill -9` in the middle of work, and what the next start makes of it: what was acknowledged is
//! there and was sent once; nothing is sent twice; nothing is left half done (T1's counted part, and
//! T12's for what comes in).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use waypost_tests::client::http;
use waypost_tests::fixture::{NUMBER_ID, WABA_ID};
use waypost_tests::signing::signature;
use waypost_tests::waypost::APP_SECRET;
use waypost_tests::{Api, MockUpstream, Reply, Waypost, eventually};

const SENDS: usize = 1_000;
/// The process is killed when so many messages have reached the upstream.
const KILLS_AT: [usize; 5] = [90, 250, 460, 640, 850];
const CALLERS: usize = 24;

/// What callers know: the client's own ledger.
#[derive(Default)]
struct Callers {
    next: AtomicUsize,
    /// Every success reply: text and upstream id.
    sent: Mutex<Vec<(String, String)>>,
    /// Every acknowledgement of a message to be sent later.
    accepted: Mutex<Vec<String>>,
    /// Every request whose answer never came.
    unanswered: Mutex<Vec<String>>,
}

/// What a caller must know about the gateway; it stays the same over restarts.
#[derive(Clone)]
struct Desk {
    client: reqwest::Client,
    url: String,
    key: String,
    ids: Value,
    org: String,
}

impl Desk {
    fn of(waypost: &Waypost) -> Self {
        Self {
            client: http(),
            url: waypost.url().to_owned(),
            key: waypost.variable("WAYPOST_API_KEY"),
            ids: waypost.demo_message(&Value::Null),
            org: waypost.variable("WAYPOST_ORG_ID"),
        }
    }

    /// To one of the people of [`befriend`]: one person gets 45 messages at once and no more.
    fn synchronous(&self, text: &str, serial: usize) -> reqwest::RequestBuilder {
        let mut body = self.ids.clone();
        body["customerId"] = json!(format!("c-{}", serial % PEOPLE));
        body["message"] = json!({"type": "text", "text": {"body": text}});
        let request = self.client.post(format!("{}/whatsapp/messages/send", self.url));
        request.header("X-API-KEY", &self.key).json(&body)
    }

    fn asynchronous(&self, text: &str, serial: usize) -> reqwest::RequestBuilder {
        let body = json!({"number": NUMBER_ID, "to": format!("1556{serial:07}"), "type": "text",
            "text": {"body": text}});
        let path = format!("/orgs/{}/messages", self.org);
        Api::new(&self.url, &self.key).request(Method::POST, &path).json(&body)
    }

    /// One request; whether somebody answered.
    async fn ask(&self, callers: &Callers, serial: usize) -> bool {
        let text = format!("message {serial:04}");
        // Every third is to be sent later.
        let later = serial.is_multiple_of(3);
        let request =
            if later { self.asynchronous(&text, serial) } else { self.synchronous(&text, serial) };
        let Ok(reply) = Reply::attempt(request).await else {
            callers.unanswered.lock().await.push(text);
            return false;
        };
        match (reply.status, later) {
            (200, false) => {
                let wamid = reply.json()["response"]["messages"][0]["id"].clone();
                callers.sent.lock().await.push((text, wamid.as_str().unwrap().to_owned()));
            }
            (200..=202, true) => callers.accepted.lock().await.push(text),
            // Nothing is promised by anything else; the gateway may be on its way down.
            _ => callers.unanswered.lock().await.push(text),
        }
        true
    }
}

/// Callers ask until all was asked once, or until nobody answers any more.
async fn ask_until_it_breaks(desk: &Desk, callers: &Arc<Callers>) {
    let mut asking = JoinSet::new();
    for _ in 0..CALLERS {
        let (desk, callers) = (desk.clone(), Arc::clone(callers));
        asking.spawn(async move {
            loop {
                let serial = callers.next.fetch_add(1, Ordering::Relaxed);
                if serial >= SENDS || !desk.ask(&callers, serial).await {
                    return;
                }
            }
        });
    }
    asking.join_all().await;
}

async fn widen(waypost: &Waypost) {
    let path = format!("/orgs/{}/numbers/{NUMBER_ID}", waypost.variable("WAYPOST_ORG_ID"));
    waypost.admin().patch(&path, &json!({"throughput_per_s": 1000})).await.ok();
}

/// People to whom callers write who wait for the answer.
const PEOPLE: usize = 100;

async fn befriend(waypost: &Waypost) {
    let path = format!("/orgs/{}/customers/import", waypost.variable("WAYPOST_ORG_ID"));
    let lines = (0..PEOPLE).map(|person| format!("c-{person},1557{person:07}\n"));
    let csv = format!("id,phone\n{}", lines.collect::<String>());
    let import = waypost.admin().request(Method::POST, &path);
    Reply::to(import.header("content-type", "text/csv").body(csv)).await.ok();
}

fn body_of(message: &Value) -> String {
    message["text"]["body"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sends_survive_five_kills() {
    let mock = MockUpstream::start().await;
    let mut waypost = Waypost::before(&mock).await;
    widen(&waypost).await;
    befriend(&waypost).await;
    let desk = Desk::of(&waypost);
    let callers = Arc::new(Callers::default());
    for at in KILLS_AT {
        let asking = tokio::spawn({
            let (desk, callers) = (desk.clone(), Arc::clone(&callers));
            async move { ask_until_it_breaks(&desk, &callers).await }
        });
        eventually("enough messages upstream", async || {
            (mock.accepted() >= at || asking.is_finished()).then_some(())
        })
        .await;
        let options = waypost.kill();
        asking.await.unwrap();
        waypost = options.start().await;
    }
    ask_until_it_breaks(&desk, &callers).await;
    assert!(callers.next.load(Ordering::Relaxed) >= SENDS);
    let log = eventually("nothing on its way", async || {
        let log = waypost.log().await;
        let open = ["queued", "sending"];
        log.iter().all(|it| !open.contains(&it["status"].as_str().unwrap())).then_some(log)
    })
    .await;
    judge(&mock, &callers, &log).await;
}

/// The callers' ledger against the upstream's and against the gateway's own log.
async fn judge(mock: &MockUpstream, callers: &Callers, log: &[Value]) {
    let mut upstream: HashMap<String, Vec<String>> = HashMap::new();
    for message in mock.ledger() {
        let wamid = message["wamid"].as_str().unwrap().to_owned();
        upstream.entry(body_of(&message)).or_default().push(wamid);
    }
    let mut logged: HashMap<String, &Value> = HashMap::new();
    for message in log {
        let twice = logged.insert(body_of(&message["message"]), message);
        assert!(twice.is_none(), "logged twice: {message}");
    }
    for (text, wamids) in &upstream {
        assert_eq!(wamids.len(), 1, "sent twice: {text}");
        assert!(logged.contains_key(text), "sent without a record: {text}");
    }
    let sent = callers.sent.lock().await;
    for (text, wamid) in sent.iter() {
        assert_eq!(upstream.get(text), Some(&vec![wamid.clone()]), "acknowledged: {text}");
        let message = logged.get(text).unwrap_or_else(|| panic!("lost: {text}"));
        assert_eq!((&message["status"], &message["wamid"]), (&json!("sent"), &json!(wamid)));
    }
    let accepted = callers.accepted.lock().await;
    for text in accepted.iter() {
        let message = logged.get(text).unwrap_or_else(|| panic!("lost: {text}"));
        match message["status"].as_str().unwrap() {
            "sent" => assert!(upstream.contains_key(text), "not sent: {text}"),
            "unknown" => {}
            other => panic!("accepted, then {other}: {text}"),
        }
    }
    for text in callers.unanswered.lock().await.iter() {
        let status = logged.get(text).map(|message| message["status"].as_str().unwrap());
        // Not one byte of it arrived, or it is closed, or its outcome is open and known to be so.
        assert!(
            matches!(status, None | Some("sent" | "failed" | "unknown")),
            "unanswered, then {status:?}: {text}"
        );
        if status == Some("failed") {
            assert!(!upstream.contains_key(text), "sent and called failed: {text}");
        }
    }
    for (text, message) in &logged {
        if message["status"] == "sent" {
            assert!(upstream.contains_key(text), "called sent and was not: {text}");
        }
    }
    let (sent, accepted) = (sent.len(), accepted.len());
    assert!(sent > SENDS / 3 && accepted > SENDS / 6, "too few: {sent} sent, {accepted} accepted");
}

const EVENTS: usize = 300;

fn event(serial: usize) -> Vec<u8> {
    let from = format!("1556{serial:07}");
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550009999", "phone_number_id": NUMBER_ID},
        "contacts": [{"profile": {"name": "N"}, "wa_id": from}],
        "messages": [{"from": from, "id": format!("wamid.E{serial:04}"), "type": "text",
            "timestamp": "1700000000", "text": {"body": format!("event {serial:04}")}}]});
    json!({"object": "whatsapp_business_account", "entry": [{"id": WABA_ID,
        "changes": [{"field": "messages", "value": value}]}]})
    .to_string()
    .into_bytes()
}

/// Sends one event; whether it was taken.
async fn deliver(client: &reqwest::Client, url: &str, serial: usize) -> bool {
    let body = event(serial);
    let request = client.post(format!("{url}/webhooks/meta"));
    let request = request.header("X-Hub-Signature-256", signature(APP_SECRET, &body));
    Reply::attempt(request.body(body)).await.is_ok_and(|reply| reply.status == 200)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_webhook_survives_and_repeated_ones_count_once() {
    let mock = MockUpstream::start().await;
    let mut waypost = Waypost::before(&mock).await;
    let url = waypost.url().to_owned();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let next = Arc::new(AtomicUsize::new(0));
    for kill_at in [60, 150, 230] {
        let mut senders = JoinSet::new();
        for _ in 0..8 {
            let (url, taken, next) = (url.clone(), Arc::clone(&taken), Arc::clone(&next));
            senders.spawn(async move {
                let client = http();
                loop {
                    let serial = next.fetch_add(1, Ordering::Relaxed);
                    if serial >= EVENTS || !deliver(&client, &url, serial).await {
                        return;
                    }
                    taken.lock().await.push(serial);
                }
            });
        }
        eventually("enough events taken", async || {
            (taken.lock().await.len() >= kill_at).then_some(())
        })
        .await;
        let options = waypost.kill();
        senders.join_all().await;
        waypost = options.start().await;
    }
    let acknowledged = taken.lock().await.clone();
    let texts = async || -> Vec<String> {
        waypost.log().await.iter().map(|it| body_of(&it["message"])).collect()
    };
    eventually("every acknowledged event in the log", async || {
        let texts = texts().await;
        acknowledged
            .iter()
            .all(|serial| texts.contains(&format!("event {serial:04}")))
            .then_some(())
    })
    .await;
    // As Meta does: what was not acknowledged comes again, and much of the rest too.
    let client = http();
    for serial in 0..EVENTS {
        assert!(deliver(&client, &url, serial).await, "event {serial} was not taken");
    }
    let all = eventually("every event in the log", async || {
        let mut texts = texts().await;
        texts.sort_unstable();
        (texts.len() >= EVENTS).then_some(texts)
    })
    .await;
    let wanted: Vec<String> = (0..EVENTS).map(|serial| format!("event {serial:04}")).collect();
    assert_eq!(all, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_goes_on_after_a_kill_and_reaches_nobody_twice() {
    let mock = MockUpstream::start().await;
    let waypost = Waypost::before(&mock).await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let path = format!("/orgs/{org}/numbers/{NUMBER_ID}");
    waypost.admin().patch(&path, &json!({"throughput_per_s": 100})).await.ok();
    let mut csv = "id,phone\n".to_owned();
    for index in 0..400 {
        csv.push_str(&format!("c-{index:04},1556{index:07}\n"));
    }
    let import = waypost.admin().request(Method::POST, &format!("/orgs/{org}/customers/import"));
    Reply::to(import.header("content-type", "text/csv").body(csv)).await.ok();
    let body = json!({"templateName": "hello_world", "sessionId": "s", "components": [],
        "orgId": org, "userId": waypost.variable("WAYPOST_USER_ID")});
    let request = waypost.request(Method::POST, "/whatsapp/template/send");
    let request = request.header("X-API-KEY", waypost.variable("WAYPOST_API_KEY")).json(&body);
    let call = tokio::spawn(Reply::attempt(request));
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
