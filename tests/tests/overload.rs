//! More than can be carried: a tenant who dumps thousands of messages and whose receiver hangs costs
//! others nothing (T20), and what cannot be recorded is told to come back, never lost (T21).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use waypost_tests::receiver::Hanging;
use waypost_tests::signing::signature;
use waypost_tests::tenant::{REQUEST_PEOPLE, Tenant, WEBEX};
use waypost_tests::wait::LIVENESS;
use waypost_tests::waypost::APP_SECRET;
use waypost_tests::webex::local;
use waypost_tests::{MockUpstream, Options, Receiver, Reply, Waypost, eventually};

/// Servers of the tenant who floods; at each of them eight calls may hang, and together that would be
/// more than there are calls at once.
const HANGING_SERVERS: u64 = 72;
const PEOPLE_EACH: u64 = 8;
/// What is dumped on a slow number.
const DUMPED: u64 = 2_000;
const SLOW_PER_S: u32 = 20;
/// Messages of the other tenant.
const OTHERS: u64 = 10;
const TEXT: &str = "hello";
/// How long a flood lasts, where more than so many of it were accepted by then.
const FLOOD: Duration = Duration::from_secs(3);
const ACCEPTED: usize = 100;
/// Messages a second that a tenant may submit, where there is a bound.
const BOUND_PER_S: u32 = 5;

/// Lets one tenant flood; tells what another one notices of it.
async fn noticed(options: Options) -> Vec<String> {
    let (mock, receiver, hanging) =
        (MockUpstream::start().await, Receiver::start().await, Hanging::start().await);
    let options = options.upstream(&mock.url());
    let options = options.env("WAYPOST_EGRESS__ALLOW_NETWORKS", "127.0.0.0/8");
    let waypost = options.env("WAYPOST_EGRESS__ALLOW_HTTP_CALLBACKS", "true").start().await;
    let fast = Tenant::add(&waypost, 1, 1_000, None).await;
    let other = Tenant::add(&waypost, 2, 1_000, None).await;
    let slow = Tenant::add(&waypost, 3, SLOW_PER_S, None).await;
    for part in 0..DUMPED / REQUEST_PEOPLE {
        let first = part * REQUEST_PEOPLE;
        slow.submitted(first..first + REQUEST_PEOPLE, TEXT, "").await;
    }
    for server in 0..HANGING_SERVERS {
        let first = server * PEOPLE_EACH;
        fast.submitted(first..first + PEOPLE_EACH, TEXT, &hanging.url(server)).await;
    }
    hanging.is_full().await;
    let mut ids = Vec::new();
    for person in 0..OTHERS {
        ids.extend(other.submitted(person..person + 1, TEXT, &receiver.url("/dlr")).await);
    }
    let reached = |tenant: &Tenant| {
        let prefix = format!("1556{}", tenant.place);
        let to = |message: &Value| {
            let to = message["to"].as_str().unwrap_or_default().trim_start_matches('+');
            to.starts_with(&prefix)
        };
        mock.ledger().iter().filter(|message| to(message)).count() as u64
    };
    eventually("the other's messages", async || (reached(&other) == OTHERS).then_some(())).await;
    let mut noticed = Vec::new();
    if reached(&slow) >= DUMPED {
        noticed.push("the dump was sent before the other's messages".to_owned());
    }
    for id in &ids {
        eventually(&format!("a receipt for {id}"), async || {
            let told = waypost_tests::webex::receipts(&receiver, id);
            (!told.is_empty()).then_some(())
        })
        .await;
    }
    if hanging.given_up() > 0 {
        let (calls, ended) = (hanging.calls(), hanging.given_up());
        noticed.push(format!("receipts waited until {ended} of {calls} hanging calls had ended"));
    }
    noticed
}

#[tokio::test(flavor = "multi_thread")]
async fn t20_a_tenant_who_floods_and_hangs_is_not_noticed_by_others() {
    let noticed = noticed(Options::new()).await;
    assert!(noticed.is_empty(), "{noticed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t20_where_one_tenant_may_take_every_call_the_check_fails() {
    let noticed = noticed(Options::new().env("WAYPOST_PLANTED_BUG", "no-tenant-share")).await;
    assert!(noticed.iter().any(|told| told.starts_with("receipts waited")), "{noticed:#?}");
}

/// A message by each dialect and by our own API, with what their callers must be told.
fn in_every_dialect(waypost: &Waypost, tenant: &Tenant) -> Vec<(&'static str, RequestBuilder)> {
    let own = format!("/waypost/v1{}", tenant.at("messages"));
    let ask = |path: &str| waypost.request(Method::POST, path).json(&json!({}));
    vec![
        ("ReplyHero", ask("/whatsapp/messages/send").header("x-api-key", &tenant.key)),
        ("LipaChat", ask("/api/v1/whatsapp/message/text").header("apikey", &tenant.key)),
        ("Webex Connect", ask(WEBEX).header("key", &tenant.key)),
        ("Pepipost", ask("/api/v2/message").bearer_auth(&tenant.key)),
        ("our own", ask(&own).bearer_auth(&tenant.key)),
    ]
}

/// Holds the database as if its disk had stopped; tells what is wrong with what callers see.
async fn faults_of_a_stalled_store(options: Options) -> Vec<String> {
    let mock = MockUpstream::start().await;
    let waypost = options.upstream(&mock.url()).start().await;
    let tenant = Tenant::add(&waypost, 1, 1_000, None).await;
    let database = rusqlite::Connection::open(waypost.data_dir().join("waypost.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = tokio::spawn(Reply::attempt(tenant.submit(0..1, TEXT, "")));
    let webhook = json!({"object": "whatsapp_business_account", "entry": []}).to_string();
    let event = waypost.request(Method::POST, "/webhooks/meta");
    let event = event.header("X-Hub-Signature-256", signature(APP_SECRET, webhook.as_bytes()));
    let event = tokio::spawn(Reply::attempt(event.body(webhook)));
    let mut faults = Vec::new();
    // Nothing is recorded now: whoever comes next must be told so, while the first still waits.
    let mut refused = Vec::new();
    while refused.is_empty() && !first.is_finished() {
        let later = tenant.submit(1..2, TEXT, "").timeout(Duration::from_secs(1));
        if Reply::attempt(later).await.is_ok_and(|reply| reply.status == 503)
            && !first.is_finished()
        {
            for (dialect, request) in in_every_dialect(&waypost, &tenant) {
                refused.push((dialect, Reply::to(request).await));
            }
        }
    }
    if refused.is_empty() {
        faults.push("nobody was turned away while nothing could be recorded".to_owned());
    }
    for (dialect, reply) in refused {
        let seconds = reply.header("retry-after").and_then(|text| text.parse::<u32>().ok());
        if reply.status != 503 || seconds.is_none_or(|seconds| seconds == 0) {
            faults.push(format!("{dialect}: {} {:?} {}", reply.status, seconds, reply.text()));
        }
    }
    let log = waypost.admin().get("/orgs/org-1/messages").await;
    if log.status != 200 {
        faults.push(format!("reading was answered {}", log.status));
    }
    database.execute_batch("ROLLBACK").unwrap();
    let first = first.await.unwrap().unwrap();
    if first.status == 200 {
        let id = first.json()["response"][0]["transid"].as_str().unwrap().to_owned();
        waypost.admin().get(&format!("/orgs/org-1/messages/{id}")).await.expect(200);
    } else if first.status != 503 {
        faults.push(format!("whoever waited was answered {}", first.status));
    }
    let event = event.await.unwrap().unwrap().status;
    if event != 200 && event != 503 {
        faults.push(format!("the webhook was answered {event}"));
    }
    eventually("business as usual", async || {
        let again = Reply::attempt(tenant.submit(2..3, TEXT, "")).await;
        again.is_ok_and(|reply| reply.status == 200).then_some(())
    })
    .await;
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn t21_while_nothing_can_be_recorded_callers_are_told_to_come_back() {
    let faults = faults_of_a_stalled_store(Options::new()).await;
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t21_where_nobody_is_turned_away_the_check_fails() {
    let planted = Options::new().env("WAYPOST_PLANTED_BUG", "no-shedding");
    let faults = faults_of_a_stalled_store(planted).await;
    assert!(faults.iter().any(|told| told.starts_with("nobody was turned away")), "{faults:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t21_a_flood_is_answered_in_documented_words_and_loses_nothing() {
    let mock = MockUpstream::start().await;
    let waypost = local().upstream(&mock.url()).start().await;
    let free = Arc::new(Tenant::add(&waypost, 1, 1_000, None).await);
    let bound = Arc::new(Tenant::add(&waypost, 2, 1_000, Some(BOUND_PER_S)).await);
    let (began, accepted) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for place in 0..96 {
        let tenant = Arc::clone(if place % 3 == 0 { &bound } else { &free });
        let accepted = Arc::clone(&accepted);
        callers.spawn(async move {
            let (mut ids, mut faults) = (Vec::new(), Vec::new());
            let mut serial = 0;
            // On a slow machine it lasts until they are as many.
            while began.elapsed() < FLOOD
                || (accepted.load(Ordering::Relaxed) <= ACCEPTED && began.elapsed() < LIVENESS)
            {
                serial += 1;
                let person = place * 1_000 + serial;
                let request = tenant.submit(person..person + 1, TEXT, "");
                let reply = Reply::to(request).await;
                match reply.status {
                    200 => {
                        let id =
                            reply.json()["response"][0]["transid"].as_str().unwrap().to_owned();
                        ids.push((tenant.place, id));
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                    // Its vendor's words for a caller who is too fast.
                    400 if reply.json()["response"]["code"] == "7020" => {}
                    429 | 503 => {}
                    status => faults.push(format!("{status} {}", reply.text())),
                }
                if reply.status != 200 {
                    if reply.header("retry-after").is_none() {
                        faults.push(format!("{} without a time to come back", reply.status));
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            }
            (ids, faults)
        });
    }
    let (mut ids, mut faults) = (Vec::new(), Vec::new());
    for (some, wrong) in callers.join_all().await {
        ids.extend(some);
        faults.extend(wrong);
    }
    let took = began.elapsed();
    assert!(faults.is_empty(), "{:#?}", &faults[..faults.len().min(20)]);
    assert!(ids.len() > ACCEPTED, "only {} were accepted", ids.len());
    let slowed = ids.iter().filter(|(place, _)| *place == bound.place).count();
    let most = BOUND_PER_S as usize * (9 + usize::try_from(took.as_secs()).unwrap());
    assert!(slowed <= most, "{slowed} of the tenant with five a second were accepted in {took:?}");
    let mut kept = std::collections::HashSet::new();
    for place in [free.place, bound.place] {
        let log = waypost.admin().all(&format!("/orgs/org-{place}/messages")).await;
        kept.extend(log.into_iter().filter_map(|it| it["id"].as_str().map(str::to_owned)));
    }
    let lost = ids.iter().filter(|(_, id)| !kept.contains(id)).count();
    assert_eq!(lost, 0, "of {} accepted", ids.len());
}
