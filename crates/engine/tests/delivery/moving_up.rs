//! What comes behind messages to the same person that are withdrawn, or whose time is over: it moves
//! up, in order. The clock goes with paused timers.

use std::time::Duration;

use tokio::time::Instant;
use waypost_clock::Clock;
use waypost_domain::{ErrorKind, MessageId, OrgId, Status};
use waypost_engine::ports::MessageFilter;
use waypost_engine::{Sweep, Swept};
use waypost_store_sqlite::MemoryDisk;

use crate::rig::{Rig, phone, send_to, text};

const PERSON: &str = "15550001111";
/// As many as a person gets at once, and a few that wait.
const MESSAGES: usize = 60;
const BURST: usize = 45;

/// Queues messages to one person that are named by their place, and waits until the first have gone.
async fn a_burst_and_some_that_wait(rig: &Rig, ttl_ms: Option<i64>) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for place in 0..MESSAGES {
        let mut ask = send_to("cust-1", text(&place.to_string()));
        ask.command.options.expires_at = ttl_ms.map(|ttl_ms| rig.engine.now().plus_ms(ttl_ms));
        ids.push(rig.engine.enqueue(ask).await.unwrap().outcome.id);
    }
    went(rig, BURST).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ids
}

/// Waits, while time passes, until so many have gone; tells those beyond the burst, with how long
/// that took.
async fn went(rig: &Rig, messages: usize) -> (Vec<String>, Duration) {
    let began = Instant::now();
    while rig.upstream.seen.lock().len() < messages {
        assert!(began.elapsed() < Duration::from_secs(600), "{:?}", rig.texts_seen());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (rig.texts_seen().split_off(BURST), began.elapsed())
}

async fn withdraw_all_that_wait(rig: &Rig) -> Swept {
    let org_id = OrgId::new("org-1");
    let filter = MessageFilter { phone: Some(phone(PERSON)), ..MessageFilter::default() };
    let swept = rig.engine.sweep(&org_id, filter, Status::Queued, Sweep::Cancel).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    swept
}

async fn withdraw(rig: &Rig, ids: &[MessageId]) {
    for id in ids {
        assert!(rig.engine.cancel_message(&OrgId::new("org-1"), *id).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn queue(rig: &Rig, body: &str) {
    rig.engine.enqueue(send_to("cust-1", text(body))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_behind_what_was_withdrawn() {
    let rig = Rig::timed().await;
    a_burst_and_some_that_wait(&rig, None).await;
    assert_eq!(withdraw_all_that_wait(&rig).await.done, 15);
    queue(&rig, "after").await;
    let (sent, took) = went(&rig, BURST + 1).await;
    assert_eq!(sent, ["after"]);
    assert!(took <= Duration::from_secs(6), "the pace to the person and no more: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_answer_waits_for_nothing_that_was_withdrawn() {
    let rig = Rig::timed().await;
    a_burst_and_some_that_wait(&rig, None).await;
    let refused = rig.engine.send(send_to("cust-1", text("too early"))).await.unwrap_err();
    assert!(refused.retry_after_s.unwrap() > 80, "behind 15: {refused:?}");
    withdraw_all_that_wait(&rig).await;
    match rig.engine.send(send_to("cust-1", text("waited for"))).await {
        Ok(_) => {}
        Err(refused) => {
            assert_eq!(refused.kind, ErrorKind::RateLimited);
            assert!(refused.retry_after_s.unwrap() <= 7, "{refused:?}");
        }
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    rig.engine.send(send_to("cust-1", text("waited for"))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_left_moves_up_in_order_also_after_a_restart() {
    let disk = MemoryDisk::new().unwrap();
    let rig = Rig::timed_on(&disk).await;
    let ids = a_burst_and_some_that_wait(&rig, None).await;
    queue(&rig, "behind").await;
    withdraw(&rig, &ids[BURST..MESSAGES - 2]).await;
    queue(&rig, "after").await;
    let (sent, took) = went(&rig, BURST + 2).await;
    assert_eq!(sent, ["58", "59"]);
    assert!(took <= Duration::from_secs(12), "{took:?}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    rig.stop.cancel();
    rig.engine.finish().await;
    let now_ms = rig.clock.now_ms();
    drop(rig);
    let rig = Rig::over_memory(&disk, Clock::of_runtime(now_ms)).await;
    queue(&rig, "last").await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(rig.texts_seen(), ["behind", "after", "last"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_longer_than_what_stands_before_it_may_be_sent() {
    let rig = Rig::timed().await;
    a_burst_and_some_that_wait(&rig, Some(20_000)).await;
    tokio::time::sleep(Duration::from_secs(21)).await;
    let sent = rig.upstream.seen.lock().len();
    queue(&rig, "after").await;
    let (bodies, took) = went(&rig, sent + 1).await;
    assert_eq!(bodies, ["45", "46", "47", "after"]);
    assert!(took <= Duration::from_secs(6), "{took:?}");
}
