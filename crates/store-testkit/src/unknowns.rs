//! Messages of unknown outcome: sending them again, and what they end as.

use waypost_domain::event::EventKind;
use waypost_domain::message::{AttemptOutcome, MessageOptions};
use waypost_domain::status::Report;
use waypost_domain::unknown::{HOLD_MS, UnknownPolicy};
use waypost_domain::{ErrorKind, MessageId, OrgId, Status, Timestamp};
use waypost_engine::ports::{ErrorFilter, EventFilter, Haste, MessageFilter, Page, StatusReport};

use crate::Harness;
use crate::samples::{
    Stage, at, message, new_attempt, number_id, org_id, refusal, refused, report, retry, sent,
    unknown, unknown_until,
};

/// A message that is to be sent again at an instant.
async fn held(stage: &Stage, last: u32, resend_at: Timestamp) -> MessageId {
    let message = message(last);
    let attempt = stage.begin(&message).await;
    let settled = stage.settle(message.id, attempt, unknown_until(Some(resend_at))).await;
    assert_eq!((settled.status, settled.resend_at), (Status::Unknown, Some(resend_at)));
    message.id
}

async fn release(stage: &Stage, until: Timestamp) -> u64 {
    let (released, numbers) = stage.store.release_resends(until, until).await.unwrap();
    assert_eq!(numbers.len(), usize::from(released > 0));
    assert!(numbers.iter().all(|number| *number == number_id()));
    released
}

pub async fn an_unknown_message_is_queued_at_its_instant_and_no_sooner(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let later = held(&stage, 1, at(900)).await;
    let sooner = held(&stage, 2, at(700)).await;
    assert_eq!(release(&stage, at(699)).await, 0);
    assert!(stage.due(at(100_000)).await.is_empty());
    assert_eq!(release(&stage, at(700)).await, 1);
    assert_eq!(release(&stage, at(700)).await, 0, "once");
    assert_eq!(stage.due(at(700)).await, [sooner]);
    assert_eq!(release(&stage, at(5_000)).await, 1);
    assert_eq!(stage.due(at(5_000)).await, [later, sooner], "in the order of acceptance");
    let released = stage.message(sooner).await;
    assert_eq!((released.status, released.resend_at), (Status::Queued, None));
}

pub async fn the_next_resend_is_known_and_kept(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    assert_eq!(stage.store.next_resend_at().await, Ok(None));
    let later = held(&stage, 1, at(900)).await;
    held(&stage, 2, at(700)).await;
    let never = message(3);
    let attempt = stage.begin(&never).await;
    stage.settle(never.id, attempt, unknown()).await;
    let stage = stage.reopen(harness).await;
    assert_eq!(stage.store.next_resend_at().await, Ok(Some(at(700))));
    assert_eq!(stage.message(later).await.resend_at, Some(at(900)));
    assert_eq!(release(&stage, at(5_000)).await, 2);
    assert_eq!(stage.store.next_resend_at().await, Ok(None));
    assert_eq!(stage.status(never.id).await, Status::Unknown);
}

pub async fn a_repetition_is_flagged_when_it_begins(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let unsure = held(&stage, 1, at(200)).await;
    let certain = stage.queue(&message(2)).await;
    let first = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, certain, first, at(1)).await.unwrap();
    stage.settle(certain, first, retry(at(200), true)).await;
    release(&stage, at(200)).await;
    for (id, duplicate) in [(unsure, true), (certain, false)] {
        let due = stage.store.due(&number_id(), at(300), 10).await.unwrap();
        let due = due.into_iter().find(|due| due.message.id == id).unwrap();
        assert_eq!(due.after_unknown, duplicate);
        assert!(!due.message.possible_duplicate, "nothing was repeated yet");
        let attempt = new_attempt();
        stage.store.begin_attempt(Haste::AtOnce, id, attempt, at(300)).await.unwrap();
        stage.settle(id, attempt, sent(&format!("wamid.{id}"))).await;
        assert_eq!(stage.message(id).await.possible_duplicate, duplicate);
    }
}

pub async fn a_status_takes_the_resend_away(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (place, reported, ends) in [
        (1, Report::Sent, Status::Sent),
        (2, Report::Failed, Status::Failed),
        (3, Report::Read, Status::Read),
    ] {
        let unsure = message(place);
        let attempt = stage.begin(&unsure).await;
        stage.settle(unsure.id, attempt, unknown_until(Some(at(200)))).await;
        let report = report(&format!("wamid.{place}"), reported, at(150));
        stage.apply(StatusReport { attempt_id: Some(attempt), ..report }).await;
        let settled = stage.message(unsure.id).await;
        assert_eq!((settled.status, settled.resend_at), (ends, None));
    }
    // A reply that was recorded late does so too.
    let late = message(4);
    let attempt = stage.begin(&late).await;
    stage.settle(late.id, attempt, unknown_until(Some(at(200)))).await;
    let settled = stage.settle(late.id, attempt, sent("wamid.4")).await;
    assert_eq!((settled.status, settled.resend_at), (Status::Sent, None));
    assert_eq!(stage.store.next_resend_at().await, Ok(None));
    assert_eq!(release(&stage, at(1_000)).await, 0);
    assert!(stage.due(at(1_000)).await.is_empty());
}

pub async fn a_resend_ends_with_its_messages_life(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut short = message(1);
    short.options = MessageOptions { expires_at: Some(at(800)), ..MessageOptions::default() };
    let attempt = stage.begin(&short).await;
    stage.settle(short.id, attempt, unknown_until(Some(at(700)))).await;
    assert_eq!(release(&stage, at(800)).await, 0);
    let ended = stage.message(short.id).await;
    assert_eq!((ended.status, ended.resend_at), (Status::Unknown, None));
    assert_eq!(stage.store.next_resend_at().await, Ok(None));
}

pub async fn resends_are_put_off_and_wait_anew_after_a_start(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (one, other) = (held(&stage, 1, at(700)).await, held(&stage, 2, at(900)).await);
    stage.store.postpone_resends(at(800)).await.unwrap();
    assert_eq!(stage.message(one).await.resend_at, Some(at(800)));
    assert_eq!(stage.message(other).await.resend_at, Some(at(900)));
    let stage = stage.reopen(harness).await;
    stage.store.recover(at(850)).await.unwrap();
    for id in [one, other] {
        assert_eq!(stage.message(id).await.resend_at, Some(at(850 + HOLD_MS)));
    }
}

pub async fn after_a_crash_each_message_has_its_policys_instant(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let with = |policy, expires_at| MessageOptions {
        unknown_policy: policy,
        expires_at,
        ..MessageOptions::default()
    };
    let held_until = Some(at(1_000 + HOLD_MS));
    let mut expected = Vec::new();
    for (options, synchronous, resend_at) in [
        (with(None, None), false, held_until),
        (with(Some(UnknownPolicy::ResendNow), None), false, Some(at(1_000))),
        (with(Some(UnknownPolicy::NeverResend), None), false, None),
        (with(None, Some(at(HOLD_MS))), false, None),
        (with(None, None), true, None),
    ] {
        let mut message = message(1);
        (message.options, message.synchronous) = (options, synchronous);
        stage.begin(&message).await;
        expected.push((message.id, resend_at));
    }
    // One that was sent again already is not sent a third time.
    let repeated = held(&stage, 2, at(10)).await;
    release(&stage, at(10)).await;
    stage.store.begin_attempt(Haste::AtOnce, repeated, new_attempt(), at(20)).await.unwrap();
    expected.push((repeated, None));
    let stage = stage.reopen(harness).await;
    stage.store.recover(at(1_000)).await.unwrap();
    for (id, resend_at) in expected {
        let message = stage.message(id).await;
        assert_eq!((message.status, message.resend_at), (Status::Unknown, resend_at));
    }
}

pub async fn what_may_have_been_sent_never_ends_as_failed(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut ended = Vec::new();
    // Refused when it was sent again; given up in the queue; cancelled there.
    for way in 0..3 {
        let id = held(&stage, way, at(200)).await;
        release(&stage, at(200)).await;
        match way {
            0 => {
                let attempt = new_attempt();
                stage.store.begin_attempt(Haste::AtOnce, id, attempt, at(300)).await.unwrap();
                let settled = stage.settle(id, attempt, refused()).await;
                assert_eq!(settled.status, Status::Unknown);
            }
            1 => stage.store.fail_queued(id, refusal(), at(300)).await.unwrap(),
            _ => assert!(stage.store.cancel(&org_id(), id, at(300)).await.unwrap()),
        }
        ended.push(id);
    }
    for id in ended {
        let history = stage.history(id).await;
        assert_eq!(history.message.status, Status::Unknown);
        assert_eq!(history.message.failure.unwrap().kind, ErrorKind::OutcomeUnknown);
        assert_eq!(history.attempts[0].outcome, AttemptOutcome::Unknown);
        assert_eq!(history.message.settled_at, None);
    }
    assert!(stage.due(at(10_000)).await.is_empty());
}

pub async fn a_cancelled_resend_leaves_its_message_unknown(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let only_held = held(&stage, 4, at(900)).await;
    assert!(stage.store.cancel(&org_id(), only_held, at(300)).await.unwrap());
    assert!(!stage.store.cancel(&org_id(), only_held, at(300)).await.unwrap());
    let message = stage.message(only_held).await;
    assert_eq!((message.status, message.resend_at), (Status::Unknown, None));
}

/// It was passed over as long as it waited to be sent again; nobody will look at it another time.
pub async fn one_that_waits_when_it_is_overdue_is_told_when_it_ends(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let id = held(&stage, 1, at(200)).await;
    release(&stage, at(200)).await;
    assert_eq!(stage.store.tell_overdue(at(10_000), at(10_000)).await, Ok(0));
    stage.store.fail_queued(id, refusal(), at(11_000)).await.unwrap();
    let filter = EventFilter { kinds: vec![EventKind::MessageFailed], ..EventFilter::default() };
    let page = Page { after: None, limit: 10 };
    let told = stage.store.events(&org_id(), &filter, page).await.unwrap().data;
    assert_eq!(told.len(), 1);
    assert_eq!(stage.store.tell_overdue(at(20_000), at(20_000)).await, Ok(0));
}

pub async fn several_are_queued_again_or_withdrawn_together(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (failed, arrived, unsure) = (message(1), message(2), message(3));
    let attempt = stage.begin(&failed).await;
    stage.settle(failed.id, attempt, refused()).await;
    stage.send(&arrived, "wamid.2").await;
    let attempt = stage.begin(&unsure).await;
    stage.settle(unsure.id, attempt, unknown()).await;
    let ids = || vec![failed.id, arrived.id, unsure.id];
    let requeued = async |org: OrgId, status| {
        stage.store.requeue_all(&org, ids(), status, at(300)).await.unwrap()
    };
    assert_eq!(requeued(OrgId::new("other"), Status::Failed).await, 0);
    assert_eq!(requeued(org_id(), Status::Failed).await, 1);
    assert_eq!(requeued(org_id(), Status::Failed).await, 0, "once");
    assert_eq!(stage.due(at(300)).await, [failed.id]);
    assert_eq!(requeued(org_id(), Status::Unknown).await, 1);
    let cancelled = async |org: OrgId| stage.store.cancel_all(&org, ids(), at(400)).await.unwrap();
    assert_eq!(cancelled(OrgId::new("other")).await, []);
    assert_eq!(cancelled(org_id()).await, [failed.id, unsure.id]);
    for (id, status) in
        [(failed.id, Status::Cancelled), (unsure.id, Status::Unknown), (arrived.id, Status::Sent)]
    {
        assert_eq!(stage.status(id).await, status);
    }
}

pub async fn a_message_that_is_queued_again_gets_a_new_life_only_where_nobody_named_its_end(
    harness: &dyn Harness,
) {
    let stage = Stage::new(harness).await;
    for by_default in [true, false] {
        let mut ended = message(1);
        ended.options.expires_at = Some(at(500));
        ended.options.has_default_life = by_default;
        let attempt = stage.begin(&ended).await;
        stage.settle(ended.id, attempt, refused()).await;
        assert!(stage.store.requeue(&org_id(), ended.id, at(10_000)).await.unwrap());
        let options = stage.message(ended.id).await.options;
        let mut expected = ended.options.clone();
        expected.renew_life(at(10_000));
        assert_eq!(options, expected);
        assert_eq!(options.expires_at == Some(at(500)), !by_default);
    }
}

pub async fn messages_are_found_by_their_error(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (lasting, passing, unsure) = (message(1), message(2), message(3));
    for (message, retryable) in [(&lasting, false), (&passing, true)] {
        stage.queue(message).await;
        let failure = refusal().worth_a_retry(retryable);
        stage.store.fail_queued(message.id, failure, at(9)).await.unwrap();
    }
    let attempt = stage.begin(&unsure).await;
    stage.settle(unsure.id, attempt, unknown()).await;
    stage.queue(&message(4)).await;
    let by = |error, retryable| MessageFilter { error, retryable, ..MessageFilter::default() };
    let upstream = || Some(ErrorFilter::Upstream(131_026));
    let word = |kind| Some(ErrorFilter::Kind(kind));
    for (filter, expected) in [
        (by(upstream(), None), vec![lasting.id, passing.id]),
        (by(upstream(), Some(true)), vec![passing.id]),
        (by(None, Some(true)), vec![passing.id]),
        (by(None, Some(false)), vec![lasting.id]),
        (by(Some(ErrorFilter::Upstream(1)), None), vec![]),
        (by(word(ErrorKind::UpstreamError), None), vec![lasting.id, passing.id]),
        (by(word(ErrorKind::OutcomeUnknown), None), vec![unsure.id]),
    ] {
        assert_eq!(stage.list(&filter).await, expected, "{filter:?}");
    }
}
