//! The due queue, and what ends or renews a queued message.

use waypost_domain::message::Priority;
use waypost_domain::place::{Place, Traffic};
use waypost_domain::status::Report;
use waypost_domain::{OrgId, Status};
use waypost_engine::ports::{Accepted, Entry, Haste, IdempotentTarget, Start, StoreError};

use crate::Harness;
use crate::samples::{
    ORG, Stage, at, claim, message, new_attempt, new_message_id, now_due, number, number_id,
    org_id, queued_at, refusal, refused, report, retry, sent, unknown,
};

pub async fn due_messages_come_by_priority_then_acceptance(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut expected = Vec::new();
    for (place, priority) in
        [Priority::Normal, Priority::Low, Priority::High, Priority::Normal].into_iter().enumerate()
    {
        let message = message(1);
        let start = Start::Queue { due_at: at(0), place: Place::of(Traffic::Service, priority) };
        stage.store.accept(message.clone(), start, None).await.unwrap();
        expected.push((priority, place, message.id));
    }
    expected.sort_by_key(|(priority, place, _)| (*priority, *place));
    let expected: Vec<_> = expected.into_iter().map(|(_, _, id)| id).collect();
    assert_eq!(stage.due(at(1)).await, expected);
    let first = stage.store.due(&number_id(), at(1), 3).await.unwrap();
    let first: Vec<_> = first.into_iter().map(|due| due.message.id).collect();
    assert_eq!(first, expected[..3]);
}

pub async fn a_retried_message_keeps_its_place(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = stage.queue(&message(1)).await;
    let attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, first, attempt, at(1)).await.unwrap();
    let second = stage.queue(&message(2)).await;
    stage.settle(first, attempt, retry(at(500), true)).await;
    assert_eq!(stage.due(at(499)).await, [second]);
    assert_eq!(stage.due(at(500)).await, [first, second]);
}

pub async fn what_is_not_due_yet_waits(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    assert_eq!(stage.store.next_due_at(&number_id()).await.unwrap(), None);
    for due_ms in [300, 200] {
        let start = queued_at(at(due_ms));
        stage.store.accept(message(1), start, None).await.unwrap();
    }
    assert!(stage.due(at(199)).await.is_empty());
    assert_eq!(stage.store.next_due_at(&number_id()).await.unwrap(), Some(at(200)));
    assert_eq!(stage.due(at(250)).await.len(), 1);
    stage.queue(&message(2)).await;
    let next = stage.store.next_due_at(&number_id()).await.unwrap().unwrap();
    assert!(next <= at(0), "something is due now: {next:?}");
    let stage = stage.reopen(harness).await;
    assert_eq!(stage.due(at(300)).await.len(), 3);
}

pub async fn numbers_have_queues_of_their_own(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Number(number("100000000000002", ORG))).await;
    let mut other = message(1);
    other.number_id = waypost_domain::NumberId::new("100000000000002");
    stage.queue(&other).await;
    let own = stage.queue(&message(2)).await;
    assert_eq!(stage.due(at(1)).await, [own]);
    let due = stage.store.due(&other.number_id, at(1), 10).await.unwrap();
    assert_eq!(due[0].message, other);
    let unknown = waypost_domain::NumberId::new("nothing");
    assert!(stage.store.due(&unknown, at(1), 10).await.unwrap().is_empty());
}

pub async fn a_cancelled_message_is_not_attempted(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let queued = stage.queue(&message(1)).await;
    let foreign = stage.store.cancel(&OrgId::new("other"), queued, at(1)).await.unwrap();
    assert!(!foreign);
    assert!(stage.store.cancel(&org_id(), queued, at(1)).await.unwrap());
    assert!(!stage.store.cancel(&org_id(), queued, at(1)).await.unwrap());
    assert!(stage.due(at(1)).await.is_empty());
    let begun =
        stage.store.begin_attempt(Haste::AtOnce, queued, new_attempt(), at(2)).await.unwrap();
    assert_eq!(begun, None);
    assert_eq!(stage.status(queued).await, Status::Cancelled);
    let sending = message(2);
    stage.begin(&sending).await;
    assert!(!stage.store.cancel(&org_id(), sending.id, at(1)).await.unwrap());
}

pub async fn a_failed_queued_message_frees_its_key(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    stage.store.accept(first.clone(), now_due(), Some(claim("k", 1))).await.unwrap();
    stage.store.fail_queued(first.id, refusal(), at(9)).await.unwrap();
    let failed = stage.message(first.id).await;
    assert_eq!((failed.status, failed.failure), (Status::Failed, Some(refusal())));
    assert_eq!(failed.settled_at, Some(at(9)));
    assert!(stage.due(at(10)).await.is_empty());
    let again = stage.store.accept(message(1), now_due(), Some(claim("k", 1))).await.unwrap();
    assert_eq!(again, Accepted::New);

    let sending = message(2);
    stage.begin(&sending).await;
    stage.store.fail_queued(sending.id, refusal(), at(9)).await.unwrap();
    assert_eq!(stage.status(sending.id).await, Status::Sending, "only queued ones fail so");
    let nothing = stage.store.fail_queued(new_message_id(), refusal(), at(9)).await;
    assert_eq!(nothing, Err(StoreError::NotFound));
}

pub async fn a_message_between_two_attempts_of_its_caller_can_fail(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let waited_for = message(1);
    let attempt = stage.begin(&waited_for).await;
    stage.settle(waited_for.id, attempt, retry(at(5), false)).await;
    assert_eq!(stage.status(waited_for.id).await, Status::Sending);
    stage.store.fail_queued(waited_for.id, refusal(), at(9)).await.unwrap();
    let failed = stage.message(waited_for.id).await;
    assert_eq!((failed.status, failed.settled_at), (Status::Failed, Some(at(9))));
    let begun = stage
        .store
        .begin_attempt(Haste::AtOnce, waited_for.id, new_attempt(), at(10))
        .await
        .unwrap();
    assert_eq!(begun, None);
}

pub async fn only_ended_messages_are_queued_again(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (failed, unsure, cancelled) = (message(1), message(2), message(3));
    let attempt = stage.begin(&failed).await;
    stage.settle(failed.id, attempt, refused()).await;
    let attempt = stage.begin(&unsure).await;
    stage.settle(unsure.id, attempt, unknown()).await;
    stage.queue(&cancelled).await;
    stage.store.cancel(&org_id(), cancelled.id, at(1)).await.unwrap();
    for id in [failed.id, unsure.id, cancelled.id] {
        let foreign = stage.store.requeue(&OrgId::new("other"), id, at(200)).await.unwrap();
        assert!(!foreign);
        assert!(stage.store.requeue(&org_id(), id, at(200)).await.unwrap());
        assert!(!stage.store.requeue(&org_id(), id, at(200)).await.unwrap(), "it is queued");
        let message = stage.message(id).await;
        assert_eq!(message.status, Status::Queued);
        assert_eq!((message.failure, message.settled_at), (None, None));
        assert!(!message.synchronous, "nobody waits for it any more");
    }
    assert_eq!(stage.due(at(200)).await, [failed.id, unsure.id, cancelled.id]);
    let second =
        stage.store.begin_attempt(Haste::AtOnce, failed.id, new_attempt(), at(300)).await.unwrap();
    assert_eq!(second, Some(2));
}

pub async fn what_was_sent_is_not_queued_again(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let arrived = message(4);
    let attempt = stage.begin(&arrived).await;
    stage.settle(arrived.id, attempt, sent("wamid.4")).await;
    assert!(!stage.store.requeue(&org_id(), arrived.id, at(200)).await.unwrap());
    stage.apply(report("wamid.4", Report::Delivered, at(1_000))).await;
    assert!(!stage.store.requeue(&org_id(), arrived.id, at(200)).await.unwrap());
}

pub async fn what_is_queued_again_takes_its_key_back_unless_another_has_it(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let keyed = async |last| {
        let message = message(last);
        let accepted = stage.store.accept(message.clone(), now_due(), Some(claim("k", 1))).await;
        (message.id, accepted.unwrap())
    };
    let fail = async |id| stage.store.fail_queued(id, refusal(), at(9)).await.unwrap();
    let requeue = async |id| stage.store.requeue(&org_id(), id, at(10)).await.unwrap();
    let (first, _) = keyed(1).await;
    fail(first).await;
    assert!(requeue(first).await);
    let target = IdempotentTarget::Message(first);
    let replay = Accepted::Replay { fingerprint: [1; 32], target };
    assert_eq!(keyed(1).await.1, replay, "its caller finds the one that is sent again");
    fail(first).await;
    let (second, accepted) = keyed(1).await;
    assert_eq!(accepted, Accepted::New);
    assert!(!requeue(first).await, "the second one stands for the key");
    assert_eq!(stage.status(first).await, Status::Failed);
    fail(second).await;
    let both = vec![first, second];
    let changed = stage.store.requeue_all(&org_id(), both, Status::Failed, at(11)).await.unwrap();
    assert_eq!(changed, 1, "one message for one key");
    assert_eq!(stage.due(at(12)).await, [second], "the one that its caller made last");
}

pub async fn a_key_never_stands_for_what_was_made_with_another_body(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let keyed = async |last, body| {
        let message = message(last);
        let accepted = stage.store.accept(message.clone(), now_due(), Some(claim("k", body))).await;
        assert_eq!(accepted, Ok(Accepted::New));
        stage.store.fail_queued(message.id, refusal(), at(9)).await.unwrap();
        message.id
    };
    let first = keyed(1, 1).await;
    let second = keyed(2, 2).await;
    assert!(!stage.store.requeue(&org_id(), first, at(10)).await.unwrap());
    assert_eq!(stage.status(first).await, Status::Failed);
    let third = keyed(3, 2).await;
    assert!(!stage.store.requeue(&org_id(), second, at(11)).await.unwrap());
    assert!(stage.store.requeue(&org_id(), third, at(12)).await.unwrap());
    let again = stage.store.accept(message(4), now_due(), Some(claim("k", 2))).await.unwrap();
    let target = IdempotentTarget::Message(third);
    assert_eq!(again, Accepted::Replay { fingerprint: [2; 32], target });
}
