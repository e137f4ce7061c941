//! The start after a crash.

use waypost_domain::message::{AttemptOutcome, BroadcastRecord, BroadcastState};
use waypost_domain::status::Report;
use waypost_domain::{BroadcastId, CustomerId, ErrorKind, Status};
use waypost_engine::ports::{
    Accepted, BroadcastMember, Haste, LostAttempt, Recovered, ReportEffect,
};

use crate::Harness;
use crate::samples::{
    START, Stage, at, attempted, claim, message, new_attempt, new_message_id, now_due, number_id,
    org_id, phone, report, retry,
};

async fn recover(stage: &Stage) -> Recovered {
    stage.store.recover(at(1_000)).await.unwrap()
}

/// How many messages are unknown now, and how many are queued.
async fn counts(stage: &Stage) -> (usize, u64) {
    let recovered = recover(stage).await;
    (recovered.unknown.len(), recovered.queued)
}

pub async fn an_open_intent_becomes_unknown(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut waited_for = message(1);
    waited_for.synchronous = true;
    let attempt = stage.begin(&waited_for).await;
    let queued = stage.queue(&message(2)).await;
    let other_attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, queued, other_attempt, at(1)).await.unwrap();
    let done = message(3);
    stage.send(&done, "wamid.3").await;
    let stage = stage.reopen(harness).await;
    let recovered = recover(&stage).await;
    assert_eq!(recovered.queued, 0);
    let lost = |message_id, attempt_id| LostAttempt {
        attempt_id,
        message_id,
        number_id: number_id(),
        possible_duplicate: false,
    };
    assert_eq!(recovered.unknown, [lost(waited_for.id, attempt), lost(queued, other_attempt)]);
    for id in [waited_for.id, queued] {
        let history = stage.history(id).await;
        assert_eq!(history.message.status, Status::Unknown);
        let kind = history.message.failure.map(|failure| failure.kind);
        assert_eq!(kind, Some(ErrorKind::OutcomeUnknown));
        assert_eq!(history.attempts[0].outcome, AttemptOutcome::Unknown);
        assert_eq!(history.attempts[0].finished_at, Some(at(1_000)));
    }
    assert_eq!(stage.status(done.id).await, Status::Sent);
    assert!(stage.due(at(10_000)).await.is_empty(), "nothing is sent twice by itself");
    let mut late = report("wamid.1", Report::Sent, at(2_000));
    late.attempt_id = Some(attempt);
    let effect = stage.apply(late).await;
    assert_eq!(effect, ReportEffect::Advanced(waited_for.id, Status::Unknown, Status::Sent));
}

pub async fn an_unattempted_synchronous_message_is_closed_and_frees_its_key(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut queued = message(1);
    queued.synchronous = true;
    stage.store.accept(queued.clone(), now_due(), Some(claim("k1", 1))).await.unwrap();
    let mut held = message(2);
    held.synchronous = true;
    let attempt = new_attempt();
    stage.store.accept(held.clone(), attempted(attempt), Some(claim("k2", 1))).await.unwrap();
    stage.settle(held.id, attempt, retry(at(500), false)).await;
    let stage = stage.reopen(harness).await;
    assert_eq!(counts(&stage).await, (0, 0));
    for (id, key) in [(queued.id, "k1"), (held.id, "k2")] {
        let closed = stage.message(id).await;
        assert_eq!((closed.status, closed.settled_at), (Status::Failed, Some(at(1_000))));
        assert!(closed.failure.is_some());
        let again = stage.store.accept(message(1), now_due(), Some(claim(key, 2))).await.unwrap();
        assert_eq!(again, Accepted::New, "{key}");
    }
}

pub async fn a_held_asynchronous_message_is_queued_again(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let held = message(1);
    let attempt = stage.begin(&held).await;
    stage.settle(held.id, attempt, retry(at(500), false)).await;
    let stage = stage.reopen(harness).await;
    assert_eq!(counts(&stage).await, (0, 1));
    assert_eq!(stage.due(at(1_000)).await, [held.id]);
    let begun =
        stage.store.begin_attempt(Haste::AtOnce, held.id, new_attempt(), at(1_001)).await.unwrap();
    assert_eq!(begun, Some(2));
}

pub async fn queued_messages_stay_queued_and_are_counted(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let queued = stage.queue(&message(1)).await;
    let retried = stage.queue(&message(2)).await;
    let attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, retried, attempt, at(1)).await.unwrap();
    stage.settle(retried, attempt, retry(at(5_000), true)).await;
    let (_, members) = prepare(&stage, Some(())).await;
    let stage = stage.reopen(harness).await;
    assert_eq!(counts(&stage).await, (0, 4));
    assert_eq!(stage.due(at(5_000)).await, [queued, retried, members[0], members[1]]);
}

/// A broadcast of two, started or not.
async fn prepare(
    stage: &Stage,
    started: Option<()>,
) -> (BroadcastRecord, Vec<waypost_domain::MessageId>) {
    let record = BroadcastRecord {
        id: BroadcastId(uuid::Uuid::now_v7()),
        org_id: org_id(),
        number_id: number_id(),
        template: "offer".to_owned(),
        audience: 2,
        created_at: START,
        state: BroadcastState::Running,
    };
    let mut model = message(0);
    model.broadcast_id = Some(record.id);
    stage.store.prepare_broadcast(record.clone(), model, Some(claim("b", 1))).await.unwrap();
    let members: Vec<BroadcastMember> = (0..2)
        .map(|last| BroadcastMember {
            message_id: new_message_id(),
            customer_id: CustomerId::new(format!("c{last}")),
            phone: phone(last),
        })
        .collect();
    let ids = members.iter().map(|member| member.message_id).collect();
    stage.store.add_broadcast_members(record.id, members).await.unwrap();
    if started.is_some() {
        stage.store.start_broadcast(record.id, at(1)).await.unwrap();
    }
    (record, ids)
}

pub async fn a_broadcast_in_preparation_is_removed(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (record, _) = prepare(&stage, None).await;
    let stage = stage.reopen(harness).await;
    assert_eq!(counts(&stage).await, (0, 0));
    let gone = stage.store.start_broadcast(record.id, at(1)).await;
    assert_eq!(gone, Err(waypost_engine::ports::StoreError::NotFound));
    let (again, members) = prepare(&stage, Some(())).await;
    assert_ne!(again.id, record.id, "its key was free");
    assert_eq!(stage.due(at(1)).await, members);
}

pub async fn recovering_twice_changes_nothing(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    stage.begin(&first).await;
    stage.queue(&message(2)).await;
    assert_eq!(counts(&stage).await, (1, 1));
    let before = stage.history(first.id).await;
    assert_eq!(counts(&stage).await, (0, 1));
    assert_eq!(stage.history(first.id).await, before);
}
