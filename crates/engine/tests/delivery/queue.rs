//! Messages that wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use waypost_domain::directory::Number;
use waypost_domain::retry::RetryClass;
use waypost_domain::{ErrorKind, OrgId, Status};
use waypost_engine::ports::{Entry, PutMode};

use crate::callbacks::until;
use crate::rig::{LIVELY, Rig, broadcast_of, number, org, refused, send_to, text, too_fast};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_falls_due_while_the_queue_is_looked_through_is_not_forgotten() {
    let rig = Rig::new().await;
    let running = Arc::new(AtomicBool::new(true));
    let ticking = std::thread::spawn({
        let (clock, running) = (rig.clock.clone(), Arc::clone(&running));
        move || {
            while running.load(Ordering::Acquire) {
                clock.advance(Duration::from_millis(5));
                std::thread::sleep(Duration::from_micros(20));
            }
        }
    });
    let all = async {
        for round in 1..=60 {
            rig.open_window("15550001111").await;
            rig.upstream.next(refused(ErrorKind::UpstreamUnavailable, RetryClass::BackOff));
            rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap();
            rig.saw(2 * round).await;
        }
    };
    let done = tokio::time::timeout(2 * LIVELY, all).await;
    running.store(false, Ordering::Release);
    ticking.join().unwrap();
    assert!(done.is_ok(), "a message that was due was not tried again");
}

#[tokio::test]
async fn many_messages_to_one_person_do_not_keep_others_waiting() {
    let rig = Rig::new().await;
    rig.open_window("15550002222").await;
    let closed = rig.upstream.gate.write().await;
    for _ in 0..600 {
        rig.engine.enqueue(send_to("cust-1", text("one of many"))).await.unwrap();
    }
    rig.engine.enqueue(send_to("cust-2", text("the only one"))).await.unwrap();
    tokio::time::timeout(LIVELY, rig.saw(2)).await.expect("the second person's message starts");
    assert_eq!(rig.upstream.sent_to(), ["15550001111", "15550002222"]);
    drop(closed);
}

#[tokio::test]
async fn too_many_messages_to_one_person_hold_up_that_person_only() {
    let rig = Rig::new().await;
    rig.open_window("15550002222").await;
    rig.upstream.next(too_fast(RetryClass::PersonPace, 60));
    let waiting = rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap().outcome;
    until("refused", || rig.engine.metrics().attempts_retried > 0).await;
    assert_eq!(rig.stored(waiting.id).await.status, Status::Queued);
    let other = rig.engine.send(send_to("cust-2", text("hello"))).await.unwrap();
    assert!(other.outcome.result.is_ok());
}

#[tokio::test]
async fn a_broadcast_whose_number_goes_away_is_answered_at_once() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    rig.engine.directory().put(Entry::Org(org("owner")), PutMode::Create).await.unwrap();
    let number = Number { org_id: OrgId::new("owner"), shared: true, ..number(1) };
    rig.engine.put_number(number, PutMode::Replace).await.unwrap();
    let engine = rig.engine.clone();
    let caller =
        tokio::spawn(async move { engine.broadcast(broadcast_of("hello_world"), 300).await });
    rig.saw(1).await;
    // Others wait for it still, so it only goes with the organisation that shares it.
    assert!(rig.engine.remove_org(&OrgId::new("owner")).await.unwrap());
    let answer = tokio::time::timeout(LIVELY, caller).await.expect("the caller is answered");
    let deliveries = answer.unwrap().unwrap().outcome.deliveries;
    let failed = deliveries.iter().filter(|delivery| delivery.result.is_err()).count();
    assert_eq!((deliveries.len(), failed), (3, 2));
}
