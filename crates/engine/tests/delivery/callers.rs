//! Callers who wait for the answer, and what was queued before for the same person.

use std::time::Duration;

use tokio::time::Instant;
use waypost_domain::message::Priority;
use waypost_domain::{ErrorKind, OrgId};
use waypost_engine::ports::PutMode;

use crate::rig::{Rig, number, send_to, template, text};

async fn rig_at(rate_per_s: u32) -> Rig {
    let rig = Rig::timed().await;
    rig.engine.put_number(number(rate_per_s), PutMode::Replace).await.unwrap();
    rig.approve("code", "AUTHENTICATION", "Code");
    rig.engine.sync_templates(&OrgId::new("org-1")).await.unwrap();
    rig
}

async fn enqueue(rig: &Rig, messages: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for place in 0..messages {
        bodies.push(format!("queued {place}"));
        rig.engine.enqueue(send_to("cust-1", text(&bodies[place]))).await.unwrap();
    }
    bodies
}

/// What the upstream has seen after so many seconds.
async fn seen_after(rig: &Rig, seconds: u64) -> Vec<String> {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    rig.texts_seen()
}

#[tokio::test(start_paused = true)]
async fn who_waits_goes_behind_what_was_queued_for_the_person_before() {
    let rig = rig_at(1).await;
    let mut expected = enqueue(&rig, 4).await;
    let before = Instant::now();
    rig.engine.send(send_to("cust-1", text("waited for"))).await.unwrap();
    assert!(before.elapsed() <= Duration::from_secs(5), "{:?}", before.elapsed());
    expected.push("waited for".to_owned());
    assert_eq!(seen_after(&rig, 10).await, expected);
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_for_more_than_five_seconds_is_told_at_once() {
    let rig = rig_at(1).await;
    let expected = enqueue(&rig, 9).await;
    let before = Instant::now();
    let failure = rig.engine.send(send_to("cust-1", text("too late"))).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::RateLimited);
    assert!(failure.retry_after_s.is_some());
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    assert_eq!(seen_after(&rig, 20).await, expected);
}

#[tokio::test(start_paused = true)]
async fn nobody_takes_the_turn_of_those_who_wait_for_the_persons_pace() {
    let rig = rig_at(1_000).await;
    let expected = enqueue(&rig, 47).await;
    for wait_s in [0, 3, 3, 3] {
        tokio::time::sleep(Duration::from_secs(wait_s)).await;
        let failure = rig.engine.send(send_to("cust-1", text("sooner"))).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::RateLimited, "after {wait_s} s");
    }
    assert_eq!(seen_after(&rig, 4).await, expected, "in time, and in order");
}

#[tokio::test(start_paused = true)]
async fn who_is_more_urgent_or_writes_to_somebody_else_does_not_wait_behind() {
    let rig = rig_at(1).await;
    enqueue(&rig, 9).await;
    rig.open_window("15550002222").await;
    let mut urgent = send_to("cust-1", text("urgent"));
    urgent.command.options.priority = Priority::High;
    for ask in [send_to("cust-2", text("other")), urgent, send_to("cust-1", template("code"))] {
        let sent = rig.engine.send(ask).await.unwrap();
        assert!(sent.outcome.result.is_ok());
    }
    let seen = seen_after(&rig, 0).await;
    let place = |body: &str| seen.iter().position(|it| it == body).unwrap();
    assert!(place("other") < place("urgent") && place("urgent") < place("code"));
    assert!(seen.len() < 8, "{seen:?}");
}
