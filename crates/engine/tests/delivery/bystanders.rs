//! What must not hold up who has nothing to do with it: addresses that are down, deleted messages.

use std::time::Duration;

use bytes::Bytes;
use waypost_domain::{OrgId, Status};
use waypost_engine::ports::{PostError, Signer};

use crate::callbacks::{
    ANN, BEN, hooked, listed, quiet, send_with_notify, sent_file, until, written,
};
use crate::receivers::status;
use crate::rig::{PNG, Rig, inline, picture, send_to, text};
use crate::scripted::PANIC;

fn org_id() -> OrgId {
    OrgId::new("org-1")
}

#[tokio::test]
async fn addresses_that_are_down_take_nobodys_place() {
    /// More addresses than an organisation's are worked for at the same time, one webhook less than
    /// it may have.
    const HOOKS: usize = 99;
    const ASKED: usize = 40;
    const UP: &str = "https://up.example.com/";
    let rig = Rig::new().await;
    for place in 0..HOOKS {
        hooked(&rig, &format!("https://down-{place}.example.com/"), "plain").await;
    }
    rig.receivers.answer(|got| match got.url.as_str() {
        UP => status(200),
        _ => Err(PostError::Failed("no connection".to_owned())),
    });
    let people = |count| (0..count).map(|place| format!("1555{place:07}"));
    rig.receive(people(12).map(|from| written(&from, &from, &rig)).collect()).await;
    until("all are only probed", || rig.receivers.count() >= 10 * HOOKS).await;
    for place in 0..ASKED {
        let asked = format!("https://asked-{place}.example.com/");
        send_with_notify(&rig, "cust-1", &asked).await;
        until("it is tried", || rig.receivers.count_at(&asked) > 0).await;
    }
    quiet(&rig).await;
    hooked(&rig, UP, "plain").await;
    rig.receive(vec![written(ANN, "hello", &rig)]).await;
    until("told", || rig.receivers.count_at(UP) == 1).await;
}

#[tokio::test]
async fn an_event_that_its_shape_panics_at_holds_nobody_up() {
    let rig = Rig::new().await;
    hooked(&rig, "https://up.example.com/", "plain").await;
    let all = [(ANN, PANIC), (ANN, "after it"), (BEN, "hello")];
    rig.receive(all.map(|(from, body)| written(from, body, &rig)).to_vec()).await;
    until("both others are told", || rig.receivers.count() == 2).await;
    quiet(&rig).await;
    let [dead] = &listed(&rig).await[..] else { panic!("one is kept") };
    assert!(dead.is_dead && dead.last_error.as_deref().is_some_and(|why| why.contains("bug")));
}

#[tokio::test]
async fn an_event_that_its_shape_panics_at_goes_without_those_of_the_same_call() {
    let rig = Rig::new().await;
    hooked(&rig, "https://up.example.com/", "batched").await;
    let mut all = vec![written(BEN, PANIC, &rig)];
    let others = (0..9).map(|place| format!("1555{place:07}"));
    all.extend(others.map(|from| written(&from, &from, &rig)));
    rig.receive(all).await;
    until("the others are told", || rig.receivers.count() == 1).await;
    quiet(&rig).await;
    assert_eq!(rig.receivers.got()[0].body.as_array().unwrap().len(), 9);
    assert_eq!(listed(&rig).await.len(), 1);
}

#[tokio::test]
async fn a_message_that_the_upstream_codec_panics_at_is_unknown_and_holds_nobody_up() {
    let rig = Rig::new().await;
    rig.open_window("15550002222").await;
    let bad = rig.engine.enqueue(send_to("cust-1", text(PANIC))).await.unwrap().outcome;
    rig.engine.enqueue(send_to("cust-1", text("after it"))).await.unwrap();
    rig.engine.enqueue(send_to("cust-2", text("hello"))).await.unwrap();
    rig.saw(2).await;
    until("unknown", || rig.engine.metrics().messages_unknown == 1).await;
    assert_eq!(rig.stored(bad.id).await.status, Status::Unknown);
}

#[tokio::test]
async fn a_message_that_panics_before_its_attempt_fails_and_holds_nobody_up() {
    let rig = Rig::new().await;
    rig.open_window("15550002222").await;
    let file = [PNG, PANIC.as_bytes()].concat();
    let bad = rig.engine.enqueue(send_to("cust-1", picture(inline(&file)))).await.unwrap().outcome;
    rig.engine.enqueue(send_to("cust-1", text("after it"))).await.unwrap();
    rig.engine.enqueue(send_to("cust-2", text("hello"))).await.unwrap();
    rig.saw(2).await;
    rig.failed(1).await;
    let failure = rig.stored(bad.id).await.failure.unwrap();
    assert!(failure.message.contains("bug"), "{failure:?}");
}

#[tokio::test]
async fn a_file_whose_download_panics_holds_up_no_other_one() {
    let rig = Rig::new().await;
    rig.receive(vec![sent_file(PANIC, &rig), sent_file("good", &rig)]).await;
    until("the other one is kept", || rig.engine.metrics().media_stored == 1).await;
}

#[tokio::test]
async fn a_webhook_that_its_codec_panics_at_is_kept_raw_and_holds_nobody_up() {
    let rig = Rig::new().await;
    let unreadable = Bytes::from_static(b"not one of the numbers that stand for events here");
    rig.engine.receive_webhook(unreadable, Signer::Installation).await.unwrap();
    hooked(&rig, "https://up.example.com/", "plain").await;
    rig.receive(vec![written(ANN, "hello", &rig)]).await;
    until("told", || rig.receivers.count() == 1).await;
}

#[tokio::test]
async fn who_follows_passes_what_tells_of_deleted_messages() {
    let rig = Rig::new().await;
    for round in 0..3 {
        let some = (0..50).map(|place| format!("1555{:07}", round * 50 + place));
        rig.receive(some.map(|from| written(&from, &from, &rig)).collect()).await;
    }
    let store = rig.engine.store();
    let mut after = Some(0);
    while let Some(place) = after {
        let before = rig.engine.now().plus_ms(1);
        after = store.prune_messages(&org_id(), before, place).await.unwrap().next;
    }
    rig.receive(vec![written(ANN, "hello", &rig)]).await;
    let found = rig.engine.follow_events(&org_id(), 0, Duration::from_secs(1)).await.unwrap();
    assert_eq!(found.len(), 2, "the last one, which stays, and the new one");
}
