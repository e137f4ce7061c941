//! Receivers that are down or answer anything but success.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use waypost_tests::eventually;

use crate::rig::{Answer, Callee, Org, id, second_opinion, text, texts};

const ANN: &str = "15550001111";
/// The schedule of shape `standard`, in seconds, and how far a wait may be from it.
const SCHEDULE_S: [i64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
const JITTER_PERCENT: i64 = 20;

fn millis(time: &Value) -> i64 {
    // RFC 3339 in UTC with milliseconds, as every reply has it; only differences within a day or
    // two are looked at, so a calendar of days of one length will do.
    let text = time.as_str().unwrap();
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let days = days_from_civil(part(0, 4), part(5, 7), part(8, 10));
    (((days * 24 + part(11, 13)) * 60 + part(14, 16)) * 60 + part(17, 19)) * 1_000 + part(20, 23)
}

/// Days since 1970-01-01 of a Gregorian date.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// How long after now the callback is due, in milliseconds.
async fn wait_ms(org: &Org, callback: &Value) -> i64 {
    millis(&callback["due_at"]) - org.now_s().await * 1_000
}

/// Moves the clock just past a callback's due time.
async fn pass(org: &Org, callback: &Value) {
    let seconds = wait_ms(org, callback).await / 1_000 + 1;
    org.waypost.sandbox().advance(u64::try_from(seconds.max(1)).unwrap()).await;
}

#[tokio::test]
async fn a_failing_receiver_is_asked_as_scheduled_with_one_id_and_good_signatures() {
    let org = Org::start().await;
    let callee =
        Callee::telling(|_, before| Answer::Status(if before < 3 { 500 } else { 204 })).await;
    let secret = org.hears("crm", &callee.url()).await;
    org.waypost.sandbox().writes(ANN, "one").await;
    for attempts in 1..=3 {
        let callback = org.tried(attempts).await;
        assert_eq!(callback["state"], "pending");
        assert_eq!(callback["last_status"], 500);
        let wait = wait_ms(&org, &callback).await;
        let planned = SCHEDULE_S[usize::try_from(attempts).unwrap() - 1] * 1_000;
        // The wait began a little before the clock was read.
        let spread = planned * JITTER_PERCENT / 100;
        assert!(wait <= planned + spread + 1_000, "{attempts}: {wait}");
        assert!(attempts == 1 || wait >= planned - spread - 30_000, "{attempts}: {wait}");
        assert_eq!(callee.seen().len(), usize::try_from(attempts).unwrap(), "no sooner");
        pass(&org, &callback).await;
    }
    let posts = callee.posts(4).await;
    org.nothing_left().await;
    assert_eq!(texts(&posts), ["one"; 4]);
    for post in &posts {
        assert_eq!(id(post), id(&posts[0]));
        assert_eq!(post.body, posts[0].body);
    }
    // More than half an hour later by the gateway's clock.
    assert_eq!(second_opinion(&posts, &secret).await, [const { None }; 4]);
    assert_eq!(id(&posts[0]), posts[0].json()["id"]);
}

#[tokio::test]
async fn a_callback_dies_after_the_whole_schedule_and_comes_back_by_replay() {
    let org = Org::start().await;
    let callee =
        Callee::telling(|_, before| Answer::Status(if before < 8 { 500 } else { 200 })).await;
    org.hears("crm", &callee.url()).await;
    org.waypost.sandbox().writes(ANN, "one").await;
    for attempts in 1..=7 {
        let callback = org.tried(attempts).await;
        pass(&org, &callback).await;
    }
    let dead = org.tried(8).await;
    assert_eq!((&dead["state"], &dead["due_at"]), (&json!("dead"), &Value::Null));
    assert_eq!(dead["webhook_id"], "crm");
    org.waypost.sandbox().advance(200_000).await;
    let metrics = org.waypost.get("/metrics").await.ok().text();
    assert!(metrics.contains("waypost_callbacks_dead 1\n"), "{metrics}");
    assert!(metrics.contains("waypost_callbacks_pending 0\n"), "{metrics}");
    let state = org.api.get(&org.at("webhooks/crm")).await.ok().json()["state"].clone();
    assert_eq!((&state["dead"], &state["last_status"]), (&json!(1), &json!(500)));
    assert_eq!(callee.seen().len(), 8);
    assert_eq!(org.replay("crm", json!({"dead": true})).await, 1);
    let posts = callee.posts(9).await;
    org.nothing_left().await;
    assert_eq!(id(&posts[8]), id(&posts[0]));
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let org = Org::start().await;
    let callee = Callee::telling(|_, before| match before {
        0 => Answer::With(429, "retry-after", "600".to_owned()),
        _ => Answer::Status(200),
    })
    .await;
    org.hears("crm", &callee.url()).await;
    org.waypost.sandbox().writes(ANN, "one").await;
    let callback = org.tried(1).await;
    assert_eq!(callback["last_status"], 429);
    let wait = wait_ms(&org, &callback).await;
    assert!((500_000..=601_000).contains(&wait), "{wait}");
    org.waypost.sandbox().advance(60).await;
    assert_eq!(org.tried(1).await["due_at"], callback["due_at"], "longer than the schedule");
    pass(&org, &callback).await;
    org.nothing_left().await;
    assert_eq!(callee.seen().len(), 2);
}

#[tokio::test]
async fn a_date_in_retry_after_is_the_machine_s_also_where_the_sandbox_is_ahead() {
    let org = Org::start().await;
    org.waypost.sandbox().advance(10 * 3_600).await;
    let callee = Callee::telling(|_, before| match before {
        0 => Answer::With(429, "retry-after", http_date_in(Duration::from_secs(6 * 3_600))),
        _ => Answer::Status(200),
    })
    .await;
    org.hears("crm", &callee.url()).await;
    org.waypost.sandbox().writes(ANN, "one").await;
    let callback = org.tried(1).await;
    let wait = wait_ms(&org, &callback).await;
    assert!((18_000_000..=21_601_000).contains(&wait), "{wait}");
}

fn http_date_in(wait: Duration) -> String {
    httpdate::fmt_http_date(SystemTime::now() + wait)
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let org = Org::start().await;
    let elsewhere = Callee::fine().await;
    let location = elsewhere.url();
    let callee = Callee::telling(move |_, before| match before {
        0 => Answer::With(302, "location", location.clone()),
        1 => Answer::With(307, "location", location.clone()),
        _ => Answer::Status(200),
    })
    .await;
    org.hears("crm", &callee.url()).await;
    org.waypost.sandbox().writes(ANN, "one").await;
    for (attempts, status) in [(1, 302), (2, 307)] {
        let callback = org.tried(attempts).await;
        assert_eq!(
            (&callback["state"], &callback["last_status"]),
            (&json!("pending"), &json!(status))
        );
        pass(&org, &callback).await;
    }
    org.nothing_left().await;
    assert_eq!(callee.seen().len(), 3);
    assert_eq!(elsewhere.seen().len(), 0, "the redirect was followed");
}

#[tokio::test]
async fn gone_switches_a_webhook_off_and_replay_brings_what_it_missed() {
    let org = Org::start().await;
    let callee =
        Callee::telling(|_, before| Answer::Status(if before == 0 { 410 } else { 200 })).await;
    let other = Callee::fine().await;
    org.hears("crm", &callee.url()).await;
    org.hears("other", &other.url()).await;
    let began = millis(&org.api.get(&org.at("webhooks/crm")).await.ok().json()["created_at"]);
    let sandbox = org.waypost.sandbox();
    sandbox.writes(ANN, "one").await;
    let off = eventually("a webhook that is switched off", async || {
        let webhook = org.api.get(&org.at("webhooks/crm")).await.ok().json();
        webhook["disabled"].as_str().map(str::to_owned)
    })
    .await;
    assert!(off.contains("410"), "{off}");
    sandbox.writes(ANN, "two").await;
    sandbox.advance(100_000).await;
    other.posts(2).await;
    assert_eq!(texts(&callee.seen()), ["one"]);
    let path = org.at("webhooks/crm");
    let refused = org.api.post(&format!("{path}/replay"), &json!({"dead": true})).await;
    assert!(refused.expect(400).text().contains("switched off"));
    org.api.patch(&path, &json!({"disabled": false})).await.ok();
    let since = org.api.get(&path).await.ok().json()["created_at"].clone();
    assert_eq!(millis(&since), began);
    // The one that died comes again, and so does what happened while nobody was told.
    assert_eq!(org.replay("crm", json!({"since": since})).await, 2);
    let mut told: Vec<String> = callee.posts(3).await.iter().map(text).collect();
    told.sort_unstable();
    assert_eq!(told, ["one", "one", "two"]);
    org.nothing_left().await;
}

#[tokio::test]
async fn a_killed_receiver_gets_everything_once_it_is_back() {
    let org = Org::start().await;
    let first = Callee::fine().await;
    let address = first.address();
    let secret = org.hears("crm", &first.url()).await;
    let sandbox = org.waypost.sandbox();
    sandbox.writes(ANN, "before").await;
    first.posts(1).await;
    org.nothing_left().await;
    drop(first);
    for serial in 0..12 {
        sandbox.writes(ANN, &format!("meanwhile {serial:02}")).await;
    }
    eventually("twelve callbacks that wait", async || {
        let all = org.callbacks().await;
        (all.len() == 12 && all.iter().any(|one| one["attempts"] == 1)).then_some(())
    })
    .await;
    let back = Callee::at(address, |_, _| Answer::Status(200)).await;
    eventually("nothing left", async || {
        sandbox.advance(30).await;
        org.callbacks().await.is_empty().then_some(())
    })
    .await;
    let posts = back.seen();
    let wanted = org.written(ANN).await.split_off(1);
    assert_eq!(texts(&posts), wanted, "each of them once, in order");
    let verdicts = second_opinion(&posts, &secret).await;
    assert!(verdicts.iter().all(Option::is_none), "{verdicts:?}");
}

#[tokio::test]
async fn a_receiver_that_hangs_up_is_asked_again() {
    let org = Org::start().await;
    let callee = Callee::telling(|_, before| match before {
        0 => Answer::Nothing,
        _ => Answer::Status(200),
    })
    .await;
    org.hears("crm", &callee.url()).await;
    org.waypost.sandbox().writes(ANN, "one").await;
    let callback = org.tried(1).await;
    assert_eq!(callback["last_status"], Value::Null);
    assert!(callback["last_error"].is_string(), "{callback}");
    pass(&org, &callback).await;
    org.nothing_left().await;
    assert_eq!(id(&callee.seen()[0]), id(&callee.seen()[1]));
}
