//! Who waits for whom: events of one person for each other, and nobody for anybody else's receiver.

use std::collections::HashMap;

use serde_json::json;
use waypost_tests::eventually;
use waypost_tests::fixture::{NUMBER_ID, WABA_ID};

use crate::rig::{Answer, Callee, Org, text, texts};

const ANN: &str = "15550001111";
const BEN: &str = "15550002222";

#[tokio::test]
async fn a_later_event_waits_for_the_first_retry_of_an_earlier_one_of_the_same_person() {
    let org = Org::start().await;
    let callee =
        Callee::telling(|post, _| Answer::Status(if text(post) == "ann 1" { 500 } else { 200 }))
            .await;
    org.hears("crm", &callee.url()).await;
    let sandbox = org.waypost.sandbox();
    sandbox.writes(ANN, "ann 1").await;
    org.tried(1).await;
    sandbox.writes(ANN, "ann 2").await;
    sandbox.writes(BEN, "ben 1").await;
    callee.posts(2).await;
    let waiting = eventually("ann 2 among what waits", async || {
        let all = org.callbacks().await;
        (all.len() == 2).then_some(all)
    })
    .await;
    assert!(waiting.iter().any(|one| one["attempts"] == 0), "{waiting:?}");
    assert_eq!(texts(&callee.seen()), ["ann 1", "ben 1"], "other people do not wait");
    sandbox.advance(7).await;
    callee.posts(4).await;
    let told = texts(&callee.seen());
    assert_eq!(told, ["ann 1", "ben 1", "ann 1", "ann 2"], "after the first retry, whatever it is");
    assert_eq!(org.tried(2).await["state"], "pending");
}

#[tokio::test]
async fn events_of_one_person_arrive_in_order() {
    let org = Org::start().await;
    let callee = Callee::fine().await;
    org.hears("crm", &callee.url()).await;
    let sandbox = org.waypost.sandbox();
    for serial in 0..40 {
        for person in [ANN, BEN] {
            sandbox.writes(person, &format!("{person} {serial:02}")).await;
        }
    }
    let posts = callee.posts(80).await;
    org.nothing_left().await;
    let mut by_person: HashMap<String, Vec<String>> = HashMap::new();
    for post in &posts {
        let from = post.json()["data"]["from"].as_str().unwrap().to_owned();
        by_person.entry(from).or_default().push(text(post));
    }
    for person in [ANN, BEN] {
        let wanted = org.written(person).await;
        assert_eq!(wanted.len(), 40);
        assert_eq!(by_person[person], wanted);
    }
}

#[tokio::test]
async fn a_slow_receiver_delays_nobody_else() {
    let org = Org::start().await;
    let slow = Callee::telling(|_, _| Answer::WhenReleased).await;
    let quick = Callee::fine().await;
    org.hears("slow", &slow.url()).await;
    org.hears("quick", &quick.url()).await;
    let sandbox = org.waypost.sandbox();
    let mut wanted = Vec::new();
    for serial in 0..60 {
        let said = format!("said {serial:02}");
        sandbox.writes(&format!("1556000{serial:04}"), &said).await;
        wanted.push(said);
    }
    quick.posts(60).await;
    let mut told = texts(&quick.seen());
    told.sort_unstable();
    assert_eq!(told, wanted);
    let in_flight = slow.seen().len();
    assert!(in_flight <= 16, "a receiver gets few calls at once: {in_flight}");
    slow.release();
    eventually("the slow one having everything too", async || {
        sandbox.advance(10).await;
        org.callbacks().await.is_empty().then_some(())
    })
    .await;
    let mut told = texts(&slow.seen());
    told.sort_unstable();
    told.dedup();
    assert_eq!(told, wanted);
    assert_eq!(quick.seen().len(), 60, "each of them once");
}

#[tokio::test]
async fn a_webhook_of_one_number_hears_of_this_number_only() {
    let org = Org::start().await;
    let sandbox = org.waypost.sandbox();
    let asked = json!({"cc": "1", "phone_number": "5550008888", "verified_name": "Second"});
    let path = format!("/v23.0/{WABA_ID}/phone_numbers");
    let made = sandbox.call(reqwest::Method::POST, &path, Some(&asked)).await.ok().json();
    let second = made["id"].as_str().unwrap().to_owned();
    let verify = format!("/v23.0/{second}/verify_code");
    sandbox.call(reqwest::Method::POST, &verify, Some(&json!({"code": "123456"}))).await.ok();
    let number = json!({"id": second, "display_phone": "15550008888", "phone_number_id": second,
        "waba_id": WABA_ID});
    org.api.post(&org.at("numbers"), &number).await.ok();
    let path = org.at(&format!("numbers/{second}"));
    org.api.post(&format!("{path}/register"), &json!({"pin": "123456"})).await.ok();
    org.api.post(&format!("{path}/subscribe"), &json!({})).await.ok();
    let (of_first, of_second, of_all) =
        (Callee::fine().await, Callee::fine().await, Callee::fine().await);
    let of = |number: &str| json!({"events": ["message.received"], "number": number});
    org.webhook("first", &of_first.url(), of(NUMBER_ID)).await;
    org.webhook("second", &of_second.url(), of("15550008888")).await;
    org.hears("all", &of_all.url()).await;
    for (to, said) in [("15550009999", "to the first"), ("15550008888", "to the second")] {
        sandbox
            .inbound(&json!({"from": ANN, "to": to, "type": "text", "text": {"body": said}}))
            .await;
    }
    of_all.posts(2).await;
    org.nothing_left().await;
    assert_eq!(texts(&of_first.seen()), ["to the first"]);
    assert_eq!(texts(&of_second.seen()), ["to the second"]);
}
