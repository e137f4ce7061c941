//! One template to everybody.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use waypost_domain::directory::{Number, Org};
use waypost_domain::message::BroadcastState;
use waypost_domain::retry::RetryClass;
use waypost_domain::status::Report;
use waypost_domain::{ErrorKind, Failure, OrgId, Status, UpstreamFault};

use waypost_engine::ports::{CallError, Entry, PutMode, SendOutcome, StatusNotice, UpstreamEvent};

use crate::rig::{Rig, broadcast_of, keyed, number, refused, send_to, template};

#[tokio::test]
async fn everybody_gets_it_in_the_order_of_registration() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    rig.upstream.next(refused(ErrorKind::RecipientUnreachable, RetryClass::Never));
    let answer = rig.engine.broadcast(broadcast_of("hello_world"), 30).await.unwrap();
    let outcome = answer.outcome;
    let customers: Vec<String> = outcome
        .deliveries
        .iter()
        .filter_map(|delivery| delivery.customer_id.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(customers, ["cust-1", "cust-2", "cust-3"]);
    let failed: Vec<ErrorKind> = outcome
        .deliveries
        .iter()
        .filter_map(|delivery| delivery.result.as_ref().err().map(|failure| failure.kind))
        .collect();
    assert_eq!(failed, [ErrorKind::RecipientUnreachable]);
    let progress = rig.engine.store().broadcast(&OrgId::new("org-1"), outcome.id).await.unwrap();
    let progress = progress.unwrap();
    assert_eq!(progress.record.audience, 3);
    let mut by_status = progress.by_status;
    by_status.sort_by_key(|(status, _)| status.number());
    assert_eq!(by_status, [(Status::Sent, 2), (Status::Failed, 1)]);
}

#[tokio::test]
async fn who_does_not_wait_is_told_its_id_alone() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    for replayed in [false, true] {
        let ask = keyed(broadcast_of("hello_world"), "spring", 7);
        let answer = rig.engine.broadcast(ask, 0).await.unwrap();
        assert_eq!((answer.outcome.deliveries.len(), answer.replayed), (0, replayed));
    }
}

#[tokio::test]
async fn an_unknown_template_is_looked_up_once_and_nobody_is_messaged() {
    let rig = Rig::new().await;
    for _ in 0..3 {
        let failure = rig.engine.broadcast(broadcast_of("nothing"), 30).await.unwrap_err();
        assert_eq!(failure.kind, ErrorKind::TemplateNotFound);
    }
    assert_eq!(rig.upstream.template_calls.load(Ordering::SeqCst), 1);
    assert!(rig.upstream.sent_to().is_empty());
}

#[tokio::test]
async fn a_look_up_that_fails_is_told_as_it_is_and_not_remembered() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let failure = Failure::new(ErrorKind::UpstreamUnavailable, "down");
    let error = CallError { failure, class: RetryClass::BackOff };
    rig.upstream.template_refusals.lock().push_back(error);
    let failure = rig.engine.broadcast(broadcast_of("hello_world"), 30).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::UpstreamUnavailable);
    let answer = rig.engine.broadcast(broadcast_of("hello_world"), 30).await.unwrap();
    assert_eq!(answer.outcome.deliveries.len(), 3);
}

#[tokio::test]
async fn an_organisation_without_customers_gets_an_empty_answer() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let org_id = OrgId::new("org-1");
    for customer in ["cust-1", "cust-2", "cust-3"] {
        let id = waypost_domain::CustomerId::new(customer);
        assert!(rig.engine.store().delete_customer(&org_id, &id).await.unwrap());
    }
    let answer = rig.engine.broadcast(broadcast_of("hello_world"), 30).await.unwrap();
    assert!(answer.outcome.deliveries.is_empty());
}

#[tokio::test]
async fn strict_opt_in_leaves_out_who_has_not_said_yes() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let mut org = Org::clone(&rig.engine.directory().org(&OrgId::new("org-1")).unwrap());
    org.strict_opt_in = true;
    rig.engine.directory().put(Entry::Org(org), PutMode::Replace).await.unwrap();
    let answer = rig.engine.broadcast(broadcast_of("hello_world"), 30).await.unwrap();
    assert!(answer.outcome.deliveries.is_empty(), "nobody has opted in");
}

#[tokio::test]
async fn the_same_key_replays_the_broadcast() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let first = rig.engine.broadcast(keyed(broadcast_of("hello_world"), "k", 1), 30).await.unwrap();
    let again = rig.engine.broadcast(keyed(broadcast_of("hello_world"), "k", 1), 30).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.outcome, first.outcome);
    assert_eq!(rig.upstream.sent_to().len(), 3);
}

#[tokio::test]
async fn what_is_not_sent_in_time_is_told_as_still_queued_and_can_be_cancelled() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let closed = rig.upstream.gate.write().await;
    let answer = rig.engine.broadcast(broadcast_of("hello_world"), 1).await.unwrap();
    for delivery in &answer.outcome.deliveries {
        assert_eq!(delivery.result.as_ref().unwrap_err().kind, ErrorKind::StillQueued);
    }
    let org_id = OrgId::new("org-1");
    let (id, cancelled) = (answer.outcome.id, BroadcastState::Cancelled);
    assert!(rig.engine.set_broadcast_state(&org_id, id, cancelled).await.unwrap());
    drop(closed);
}

#[tokio::test]
async fn the_same_key_is_told_that_the_first_broadcast_still_runs() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let closed = rig.upstream.gate.write().await;
    let engine = rig.engine.clone();
    let first = tokio::spawn(async move {
        engine.broadcast(keyed(broadcast_of("hello_world"), "k", 1), 30).await
    });
    rig.saw(3).await;
    let second = rig.engine.broadcast(keyed(broadcast_of("hello_world"), "k", 1), 30).await;
    assert_eq!(second.unwrap_err().kind, ErrorKind::IdempotencyInProgress);
    drop(closed);
    let first = first.await.unwrap().unwrap();
    let again = rig.engine.broadcast(keyed(broadcast_of("hello_world"), "k", 1), 30).await.unwrap();
    assert_eq!(again.outcome, first.outcome);
}

#[tokio::test]
async fn of_two_broadcasts_at_once_with_one_key_the_other_one_is_refused() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    rig.approve_template("good_bye");
    rig.engine.sync_templates(&OrgId::new("org-1")).await.unwrap();
    let ask = |name: &str, fingerprint| {
        let (engine, ask) = (rig.engine.clone(), keyed(broadcast_of(name), "k", fingerprint));
        tokio::spawn(async move { engine.broadcast(ask, 30).await })
    };
    let (one, other) = (ask("hello_world", 1), ask("good_bye", 2));
    let answers = [one.await.unwrap(), other.await.unwrap()];
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err()).map(|it| it.kind);
    assert_eq!(refused.collect::<Vec<_>>(), [ErrorKind::IdempotencyConflict]);
    assert_eq!(rig.upstream.sent_to().len(), 3);
}

const PERSON_HAD_ENOUGH: i64 = 131_049;
const NUMBER_HAD_ENOUGH: i64 = 131_048;

fn limit(code: i64) -> Failure {
    let fault = UpstreamFault { code: Some(code), ..UpstreamFault::default() };
    Failure::new(ErrorKind::RejectedByUpstream, "had enough").with_upstream(fault)
}

fn over_limit(code: i64) -> SendOutcome {
    let failure = limit(code).retry_after_s(86_400);
    SendOutcome::Refused(CallError { failure, class: RetryClass::Later })
}

/// What a broadcast's caller is told of everybody, and after how many seconds of 300.
async fn told_of(rig: &Rig) -> (Vec<Option<ErrorKind>>, u64) {
    let began = Instant::now();
    let answer = rig.engine.broadcast(broadcast_of("hello_world"), 300).await.unwrap();
    let told = answer.outcome.deliveries.iter();
    let told = told.map(|delivery| delivery.result.as_ref().err().map(|failure| failure.kind));
    (told.collect(), began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_person_who_gets_no_marketing_for_a_day_holds_up_no_answer() {
    let rig = Rig::timed().await;
    rig.approve_template("hello_world");
    rig.upstream.always_to.lock().insert("15550002222".to_owned(), over_limit(PERSON_HAD_ENOUGH));
    let expected = [None, Some(ErrorKind::StillQueued), None];
    for round in ["refused now", "known to be refused"] {
        let (told, after_s) = told_of(&rig).await;
        assert!(after_s < 60, "{round}: {after_s}");
        assert_eq!(told, expected, "{round}");
    }
    rig.upstream.always_to.lock().clear();
    tokio::time::sleep(Duration::from_secs(86_500)).await;
    assert_eq!(rig.engine.metrics().messages_sent, 6, "they get it later");
    assert_eq!(rig.engine.metrics().messages_accepted, 6);
}

#[tokio::test(start_paused = true)]
async fn who_comes_under_a_cap_while_a_broadcast_goes_out_holds_up_no_answer() {
    let rig = Rig::timed().await;
    rig.approve_template("hello_world");
    rig.engine.send(send_to("cust-3", template("hello_world"))).await.unwrap();
    rig.engine.put_number(number(1), PutMode::Replace).await.unwrap();
    let telling = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let failure = Some(limit(PERSON_HAD_ENOUGH));
        let notice = StatusNotice { failure, ..rig.notice("wamid.1", Report::Failed) };
        rig.receive(vec![UpstreamEvent::Status(notice)]).await;
    };
    let ((told, after_s), ()) = tokio::join!(told_of(&rig), telling);
    assert!(after_s < 60, "{after_s}");
    assert_eq!(told, [None, None, Some(ErrorKind::StillQueued)]);
    tokio::time::sleep(Duration::from_secs(86_500)).await;
    assert_eq!(rig.upstream.sent_to().len(), 4, "they get it later");
}

#[tokio::test(start_paused = true)]
async fn a_number_whose_bulk_is_held_back_holds_up_no_answer() {
    for (what, daily_limit, refusals, sent) in
        [("its daily limit is reached", Some(1), 0, 2), ("the upstream says so", None, 1, 0)]
    {
        let rig = Rig::timed().await;
        rig.approve_template("hello_world");
        // The window of cust-1 is open: it counts for no limit.
        let slow = Number { daily_limit, ..number(1) };
        rig.engine.put_number(slow, PutMode::Replace).await.unwrap();
        for _ in 0..refusals {
            rig.upstream.next(over_limit(NUMBER_HAD_ENOUGH));
        }
        let (told, after_s) = told_of(&rig).await;
        assert!(after_s < 60, "{what}: {after_s}");
        assert_eq!(told.iter().filter(|failure| failure.is_none()).count(), sent, "{what}");
        let waiting = told.iter().filter(|failure| **failure == Some(ErrorKind::StillQueued));
        assert_eq!(waiting.count(), 3 - sent, "{what}");
        let (told, after_s) = told_of(&rig).await;
        assert!(after_s < 60, "{what}, before it begins: {after_s}");
        assert!(told.contains(&Some(ErrorKind::StillQueued)), "{what}");
    }
}
