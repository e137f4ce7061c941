//! Attempts and what comes of them.

use waypost_domain::message::{AttemptOutcome, Message};
use waypost_domain::retry::{Failing, RetryClass};
use waypost_domain::status::Report;
use waypost_domain::{ErrorKind, Status};
use waypost_engine::ports::{Haste, Look, Settled, StoreError};

use crate::Harness;
use crate::samples::{
    START, Stage, at, message, new_attempt, new_message_id, number_id, org_id, refusal, refused,
    report, retry, retry_of, sent, unknown,
};

pub async fn an_attempt_takes_the_message_off_the_queue_once(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let queued = stage.queue(&message(1)).await;
    assert_eq!(stage.due(at(1)).await, [queued]);
    let begin = async |attempt| {
        stage.store.begin_attempt(Haste::AtOnce, queued, attempt, at(1)).await.unwrap()
    };
    assert_eq!(begin(new_attempt()).await, Some(1));
    assert_eq!(begin(new_attempt()).await, None, "it is being attempted");
    assert!(stage.due(at(1)).await.is_empty());
    assert_eq!(stage.status(queued).await, Status::Sending);
    let nothing =
        stage.store.begin_attempt(Haste::AtOnce, new_message_id(), new_attempt(), at(1)).await;
    assert_eq!(nothing, Ok(None));
}

pub async fn a_sent_attempt_settles_the_message(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    let attempt = stage.begin(&first).await;
    let settled = stage.settle(first.id, attempt, sent("wamid.1")).await;
    assert_eq!(settled.status, Status::Sent);
    assert_eq!(settled.wamid.as_deref(), Some("wamid.1"));
    assert_eq!(settled.wa_id.as_deref(), Some("15550001111"));
    assert_eq!(settled.settled_at, Some(at(100)));
    let stage = stage.reopen(harness).await;
    let history = stage.history(first.id).await;
    let Settled { status, wamid, wa_id, failure, settled_at, resend_at } = settled.clone();
    let expected =
        Message { status, wamid, wa_id, failure, settled_at, resend_at, ..first.clone() };
    assert_eq!(history.message, expected);
    let statuses: Vec<_> = history.statuses.iter().map(|event| (event.status, event.at)).collect();
    assert_eq!(statuses, [(Status::Sent, at(100))]);
    assert_eq!(history.attempts.len(), 1);
    let made = &history.attempts[0];
    assert_eq!((made.id, made.number, made.outcome), (attempt, 1, AttemptOutcome::Sent));
    assert_eq!((made.started_at, made.finished_at), (START, Some(at(100))));
    let again = stage.settle(first.id, attempt, sent("wamid.1")).await;
    assert_eq!(again, settled, "settling twice changes nothing");
}

pub async fn a_retry_waits_in_the_queue_until_it_is_due(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let queued = stage.queue(&message(1)).await;
    let attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, queued, attempt, at(1)).await.unwrap();
    let again = stage.settle(queued, attempt, retry(at(900), true)).await;
    assert_eq!((again.status, again.failure), (Status::Queued, None));
    assert!(stage.due(at(899)).await.is_empty());
    assert_eq!(stage.store.next_due_at(&number_id()).await.unwrap(), Some(at(900)));
    let due = stage.store.due(&number_id(), at(900), 10).await.unwrap();
    assert_eq!((due[0].message.id, due[0].failing.map(|it| it.times)), (queued, Some(1)));
    let second =
        stage.store.begin_attempt(Haste::AtOnce, queued, new_attempt(), at(900)).await.unwrap();
    assert_eq!(second, Some(2));
    assert!(stage.due(at(900)).await.is_empty());
    let first = &stage.history(queued).await.attempts[0];
    assert_eq!(first.outcome, AttemptOutcome::Refused);
    assert_eq!(first.fault.as_ref().and_then(|fault| fault.code), Some(130_429));
}

pub async fn how_a_message_has_been_failing_is_kept_until_somebody_sends_it_again(
    harness: &dyn Harness,
) {
    let stage = Stage::new(harness).await;
    let queued = stage.queue(&message(1)).await;
    let failing = Failing { class: RetryClass::PersonPace, times: 4, in_all: 7 };
    for requeue in [false, true] {
        let attempt = new_attempt();
        stage.store.begin_attempt(Haste::AtOnce, queued, attempt, at(1)).await.unwrap();
        stage.settle(queued, attempt, retry_of(failing, at(900), requeue)).await;
    }
    let stage = stage.reopen(harness).await;
    let failing_now = async || stage.store.waiting_message(queued).await.unwrap().unwrap().failing;
    assert_eq!(failing_now().await, Some(failing));
    let attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, queued, attempt, at(900)).await.unwrap();
    stage.settle(queued, attempt, refused()).await;
    assert!(stage.store.requeue(&org_id(), queued, at(901)).await.unwrap());
    assert_eq!(failing_now().await, None);
    let waiting =
        stage.store.waiting(&number_id(), at(901), Look { limit: 1, before: None }).await.unwrap();
    assert_eq!(waiting[0].attempts, 3, "it has been attempted all the same");
    assert_eq!(stage.history(queued).await.attempts.len(), 3);
}

pub async fn a_held_message_is_attempted_by_its_caller_only(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    let attempt = stage.begin(&first).await;
    let held = stage.settle(first.id, attempt, retry(at(900), false)).await;
    assert_eq!(held.status, Status::Sending, "who waits for it still waits");
    assert!(stage.due(at(10_000)).await.is_empty());
    let second = new_attempt();
    let number = stage.store.begin_attempt(Haste::AtOnce, first.id, second, at(900)).await.unwrap();
    assert_eq!(number, Some(2));
    let twice =
        stage.store.begin_attempt(Haste::AtOnce, first.id, new_attempt(), at(900)).await.unwrap();
    assert_eq!(twice, None, "its second attempt is open");
    let settled = stage.settle(first.id, second, sent("wamid.2")).await;
    assert_eq!(settled.status, Status::Sent);
    let after =
        stage.store.begin_attempt(Haste::AtOnce, first.id, new_attempt(), at(901)).await.unwrap();
    assert_eq!(after, None);
}

pub async fn a_refusal_fails_the_message(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    let attempt = stage.begin(&first).await;
    let settled = stage.settle(first.id, attempt, refused()).await;
    assert_eq!((settled.status, settled.failure.as_ref()), (Status::Failed, Some(&refusal())));
    assert_eq!(settled.settled_at, Some(at(100)));
    let history = stage.history(first.id).await;
    assert_eq!(history.statuses[0].failure, Some(refusal()));
    assert_eq!(history.attempts[0].outcome, AttemptOutcome::Refused);
    assert_eq!(history.attempts[0].fault, refusal().upstream);
}

pub async fn an_unknown_outcome_settles_nothing_and_never_overwrites_sent(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    let attempt = stage.begin(&first).await;
    let settled = stage.settle(first.id, attempt, unknown()).await;
    assert_eq!((settled.status, settled.settled_at), (Status::Unknown, None));
    assert_eq!(settled.failure.map(|failure| failure.kind), Some(ErrorKind::OutcomeUnknown));
    let begun =
        stage.store.begin_attempt(Haste::AtOnce, first.id, new_attempt(), at(200)).await.unwrap();
    assert_eq!(begun, None, "an unknown message is not repeated by itself");

    let second = message(2);
    let attempt = stage.begin(&second).await;
    stage.settle(second.id, attempt, sent("wamid.2")).await;
    for late in [unknown(), refused(), retry(at(900), true), retry(at(900), false)] {
        let kept = stage.settle(second.id, attempt, late.clone()).await;
        assert_eq!(kept.status, Status::Sent, "{late:?}");
    }
    assert!(stage.due(at(10_000)).await.is_empty());
    assert_eq!(stage.history(second.id).await.attempts[0].outcome, AttemptOutcome::Sent);
}

pub async fn a_late_receipt_settles_an_unknown_outcome(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (place, late, expected) in
        [(1, sent("wamid.1"), Status::Sent), (2, refused(), Status::Failed)]
    {
        let unsure = message(place);
        let attempt = stage.begin(&unsure).await;
        stage.settle(unsure.id, attempt, unknown()).await;
        let settled = stage.settle(unsure.id, attempt, late).await;
        assert_eq!(settled.status, expected);
        assert_eq!(settled.settled_at, Some(at(100)));
    }
}

pub async fn a_late_failure_does_not_overwrite_a_report(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (place, late) in
        [unknown(), refused(), retry(at(900), true), retry(at(900), false)].into_iter().enumerate()
    {
        let early = message(1);
        let attempt = stage.begin(&early).await;
        let mut delivered = report(&format!("wamid.{place}"), Report::Delivered, at(50));
        delivered.attempt_id = Some(attempt);
        stage.apply(delivered).await;
        let kept = stage.settle(early.id, attempt, late.clone()).await;
        assert_eq!((kept.status, kept.failure), (Status::Delivered, None), "{late:?}");
        assert_eq!(stage.history(early.id).await.attempts[0].outcome, AttemptOutcome::Sent);
    }
    assert!(stage.due(at(10_000)).await.is_empty());
}

pub async fn every_attempt_is_in_the_history(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let queued = stage.queue(&message(1)).await;
    let mut made = Vec::new();
    for number in 1..=3 {
        let attempt = new_attempt();
        let begun =
            stage.store.begin_attempt(Haste::AtOnce, queued, attempt, at(number)).await.unwrap();
        assert_eq!(begun.map(i64::from), Some(number));
        let end = if number == 3 { unknown() } else { retry(at(number), true) };
        stage.settle(queued, attempt, end).await;
        made.push(attempt);
    }
    let history = stage.history(queued).await;
    let ids: Vec<_> = history.attempts.iter().map(|attempt| attempt.id).collect();
    assert_eq!(ids, made);
    let outcomes: Vec<_> = history.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(
        outcomes,
        [AttemptOutcome::Refused, AttemptOutcome::Refused, AttemptOutcome::Unknown]
    );
}

pub async fn settling_what_does_not_exist_is_not_found(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    stage.begin(&first).await;
    for (id, attempt) in [(new_message_id(), new_attempt()), (first.id, new_attempt())] {
        let settled = stage.store.settle_attempt(id, attempt, sent("wamid.1"), at(1)).await;
        assert_eq!(settled, Err(StoreError::NotFound));
    }
    assert_eq!(stage.status(first.id).await, Status::Sending);
}
