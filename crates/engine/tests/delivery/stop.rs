//! The orderly end.

use std::time::Duration;

use waypost_domain::{ErrorKind, Status};

use crate::rig::{LIVELY, Rig, broadcast_of, number, send_to, text};
use waypost_engine::ports::PutMode;

#[tokio::test]
async fn the_end_waits_for_messages_whose_callers_went_away() {
    let rig = Rig::new().await;
    let closed = rig.upstream.gate.write().await;
    let engine = rig.engine.clone();
    let caller = tokio::spawn(async move { engine.send(send_to("cust-1", text("hello"))).await });
    rig.saw(1).await;
    caller.abort();
    rig.stop.cancel();
    let engine = rig.engine.clone();
    let ending = tokio::spawn(async move { engine.finish().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!ending.is_finished(), "a message is on its way");
    drop(closed);
    ending.await.unwrap();
    assert_eq!(rig.engine.metrics().messages_sent, 1);
}

#[tokio::test]
async fn who_waits_for_a_broadcast_is_answered_when_nothing_is_sent_any_more() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    rig.engine.put_number(number(1), PutMode::Replace).await.unwrap();
    let engine = rig.engine.clone();
    let caller =
        tokio::spawn(async move { engine.broadcast(broadcast_of("hello_world"), 300).await });
    rig.saw(1).await;
    rig.stop.cancel();
    let answer = tokio::time::timeout(LIVELY, caller).await;
    let deliveries = answer.expect("the caller is answered").unwrap().unwrap().outcome.deliveries;
    for delivery in &deliveries[1..] {
        assert_eq!(delivery.result.as_ref().unwrap_err().kind, ErrorKind::StillQueued);
        assert_eq!(rig.stored(delivery.id).await.status, Status::Queued);
    }
}
