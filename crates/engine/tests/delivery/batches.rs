//! Several events in one call, for the shapes that take them.

use std::time::Duration;

use crate::callbacks::{ANN, URL, hooked, quiet, until, until_listed, written};
use crate::receivers::{Got, status};
use crate::rig::{Rig, send_to, text};

const BEN: &str = "15550002222";

#[tokio::test]
async fn several_events_go_in_one_call_where_the_shape_takes_them() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "batched").await;
    let some = (0..25).map(|place| written(ANN, &format!("{place:02}"), &rig)).collect();
    rig.receive(some).await;
    until("two full ones", || rig.receivers.count() == 2).await;
    // The third is recorded as the clock stands, and the others are done.
    until_listed(&rig, 5).await;
    quiet(&rig).await;
    assert_eq!(rig.receivers.count(), 2, "the third waits for others");
    rig.clock.advance(Duration::from_secs(3));
    until("the rest", || rig.receivers.count() == 3).await;
    let told: Vec<String> = rig
        .receivers
        .got()
        .iter()
        .flat_map(|got| got.body.as_array().unwrap().clone())
        .map(|event| event["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, (0..25).map(|place| format!("{place:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_call_that_failed_is_made_again_as_it_was() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "batched").await;
    let mut calls = 0;
    rig.receivers.answer(move |_| {
        calls += 1;
        status(if calls <= 2 { 500 } else { 200 })
    });
    rig.receive(["a", "b"].map(|text| written(ANN, text, &rig)).into()).await;
    until_listed(&rig, 2).await;
    rig.clock.advance(Duration::from_secs(3));
    until("the first call", || rig.receivers.count() == 1).await;
    rig.receive(vec![written(BEN, "c", &rig)]).await;
    until_listed(&rig, 3).await;
    rig.clock.advance(Duration::from_millis(2_500));
    until("the second call", || rig.receivers.count() == 2).await;
    quiet(&rig).await;
    rig.clock.advance(Duration::from_secs(60));
    until("both again", || rig.receivers.count() == 4).await;
    let told = |got: &Got| {
        let events = got.body.as_array().unwrap().iter();
        events.map(|event| event["text"].as_str().unwrap().to_owned()).collect::<String>()
    };
    let calls: Vec<String> = rig.receivers.got().iter().map(told).collect();
    assert_eq!(calls, ["ab", "c", "ab", "c"]);
}

#[tokio::test]
async fn what_people_write_and_statuses_go_in_calls_of_their_own() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "batched").await;
    rig.receive(vec![written(ANN, "one", &rig)]).await;
    rig.engine.send(send_to("cust-1", text("hi"))).await.unwrap();
    rig.receive(vec![written(ANN, "two", &rig)]).await;
    until_listed(&rig, 3).await;
    quiet(&rig).await;
    assert_eq!(rig.receivers.count(), 0, "all wait for others");
    rig.clock.advance(Duration::from_secs(3));
    until("all calls", || rig.receivers.count() == 3).await;
    let calls: Vec<Vec<String>> = rig
        .receivers
        .got()
        .iter()
        .map(|got| got.body.as_array().unwrap().clone())
        .map(|told| told.iter().map(|it| it["text"].as_str().unwrap_or("-").to_owned()).collect())
        .collect();
    assert_eq!(calls, [["one"], ["-"], ["two"]], "nothing of one person overtakes anything");
}
