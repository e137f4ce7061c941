//! Status reports, early, late, repeated and out of order.

use serde_json::json;
use waypost_domain::event::{EventDetail, EventKind};
use waypost_domain::message::{AttemptOutcome, Message};
use waypost_domain::status::Report;
use waypost_domain::{ErrorKind, NumberId, Phone, Status};
use waypost_engine::ports::{
    Entry, EventFilter, Haste, InboundMessage, LoggedEvent, Page, ReportEffect, StatusReport,
};

use crate::Harness;
use crate::samples::{
    ORG, Stage, at, inbound, message, new_attempt, number, number_id, org_id, refusal, refused,
    report, retry, sent, unknown,
};

/// Where `RECEIPT` stands, the reply to our own call comes.
const RECEIPT: Option<Report> = None;
const SENT: Option<Report> = Some(Report::Sent);
const DELIVERED: Option<Report> = Some(Report::Delivered);
const READ: Option<Report> = Some(Report::Read);
const FAILED: Option<Report> = Some(Report::Failed);

pub async fn statuses_in_any_order_end_at_the_highest(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let orders: &[(&[Option<Report>], Status)] = &[
        (&[RECEIPT, SENT, DELIVERED, READ], Status::Read),
        (&[RECEIPT, READ, DELIVERED, SENT], Status::Read),
        (&[RECEIPT, DELIVERED, SENT], Status::Delivered),
        (&[SENT, DELIVERED, READ, RECEIPT], Status::Read),
        (&[READ, SENT, RECEIPT, DELIVERED], Status::Read),
        (&[DELIVERED, RECEIPT, DELIVERED, DELIVERED], Status::Delivered),
        (&[SENT, RECEIPT, SENT], Status::Sent),
        (&[RECEIPT, SENT, FAILED], Status::Failed),
        (&[RECEIPT, FAILED, SENT], Status::Failed),
        (&[FAILED, RECEIPT, DELIVERED], Status::Delivered),
        (&[RECEIPT, READ, FAILED], Status::Read),
        (&[FAILED, SENT, RECEIPT], Status::Failed),
    ];
    for (place, (order, expected)) in orders.iter().enumerate() {
        let sent_one = message(1);
        let attempt = stage.begin(&sent_one).await;
        let wamid = format!("wamid.{place}");
        for step in *order {
            match step {
                // The statuses' own times tell the real order.
                Some(it) => {
                    stage.apply(report(&wamid, *it, at(*it as i64 * 1_000))).await;
                }
                None => {
                    stage.settle(sent_one.id, attempt, sent(&wamid)).await;
                }
            }
        }
        let history = stage.history(sent_one.id).await;
        assert_eq!(history.message.status, *expected, "{order:?}");
        let failure = (*expected == Status::Failed).then(refusal);
        assert_eq!(history.message.failure, failure, "{order:?}");
        let reported = history.statuses.iter().filter(|event| event.at != at(100)).count();
        let distinct: std::collections::HashSet<_> = order.iter().flatten().collect();
        assert_eq!(reported, distinct.len(), "every distinct report is kept: {order:?}");
        assert_eq!(history.attempts[0].outcome, AttemptOutcome::Sent);
    }
}

pub async fn a_repeated_report_is_kept_once(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    stage.send(&first, "wamid.1").await;
    let delivered = report("wamid.1", Report::Delivered, at(1_000));
    let effect = stage.apply(delivered.clone()).await;
    assert_eq!(effect, ReportEffect::Advanced(first.id, Status::Sent, Status::Delivered));
    for _ in 0..10 {
        assert_eq!(stage.apply(delivered.clone()).await, ReportEffect::Nothing(first.id));
    }
    let later = report("wamid.1", Report::Delivered, at(2_000));
    assert_eq!(stage.apply(later).await, ReportEffect::Nothing(first.id));
    let history = stage.history(first.id).await;
    let statuses: Vec<_> = history.statuses.iter().map(|event| (event.status, event.at)).collect();
    assert_eq!(
        statuses,
        [(Status::Sent, at(100)), (Status::Delivered, at(1_000)), (Status::Delivered, at(2_000)),]
    );
}

async fn told(stage: &Stage, kinds: &[EventKind]) -> Vec<LoggedEvent> {
    let filter = EventFilter { kinds: kinds.to_vec(), ..EventFilter::default() };
    stage.store.events(&org_id(), &filter, Page { after: None, limit: 10 }).await.unwrap().data
}

pub async fn what_is_told_in_whole_seconds_lies_before_nothing_of_its_second(
    harness: &dyn Harness,
) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    // Accepted at 100 ms.
    stage.send(&first, "wamid.1").await;
    for (it, at_ms) in [(Report::Sent, 0), (Report::Delivered, 0), (Report::Read, 2_000)] {
        stage.apply(report("wamid.1", it, at(at_ms))).await;
    }
    let history = stage.history(first.id).await;
    let statuses: Vec<_> = history.statuses.iter().map(|event| (event.status, event.at)).collect();
    let (sent, delivered) = (Status::Sent, Status::Delivered);
    assert_eq!(
        statuses,
        [(sent, at(0)), (sent, at(100)), (delivered, at(100)), (Status::Read, at(2_000))]
    );
    // The upstream's clock is behind ours: nothing is made of that.
    stage.send(&message(2), "wamid.2").await;
    stage.apply(report("wamid.2", Report::Delivered, at(-5_000))).await;
    let times: Vec<_> = told(&stage, &[]).await.iter().map(|logged| logged.event.at).collect();
    assert_eq!(times, [at(100), at(100), at(2_000), at(100), at(-5_000)]);
}

pub async fn a_status_names_the_id_of_a_person_who_wrote_with_a_number(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let writes = async |id: &str, wamid: &str| {
        let user_id = Phone::business_scoped(id);
        stage.store.record_inbound(InboundMessage { user_id, ..inbound(1, wamid) }, at(50)).await
    };
    let named = async || {
        let sent = told(&stage, &[EventKind::MessageSent]).await.pop().unwrap();
        let EventDetail::Status(detail) = sent.event.detail else { panic!("a status") };
        detail.upstream
    };
    stage.send(&message(1), "wamid.1").await;
    assert_eq!(named().await, None);
    writes("US.1349", "wamid.2").await.unwrap();
    assert_eq!(named().await, Some(json!({"recipient_user_id": "US.1349"})));
    writes("US.2000", "wamid.3").await.unwrap();
    assert_eq!(named().await, None, "one of two portfolios");
}

pub async fn a_report_before_the_receipt_is_parked_and_matched(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    let attempt = stage.begin(&first).await;
    for it in [Report::Delivered, Report::Sent, Report::Delivered] {
        assert_eq!(stage.apply(report("wamid.1", it, at(1_000))).await, ReportEffect::Parked);
    }
    let stage = stage.reopen(harness).await;
    let settled = stage.settle(first.id, attempt, sent("wamid.1")).await;
    assert_eq!(settled.status, Status::Delivered);
    let history = stage.history(first.id).await;
    assert_eq!(history.statuses.len(), 3, "receipt, sent, delivered: {:?}", history.statuses);
    let read = stage.apply(report("wamid.1", Report::Read, at(2_000))).await;
    assert_eq!(read, ReportEffect::Advanced(first.id, Status::Delivered, Status::Read));
}

pub async fn a_token_binds_the_wamid_to_its_message(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    let attempt = stage.begin(&first).await;
    let mut early = report("wamid.1", Report::Sent, at(1_000));
    early.attempt_id = Some(attempt);
    let effect = stage.apply(early).await;
    assert_eq!(effect, ReportEffect::Advanced(first.id, Status::Sending, Status::Sent));
    let history = stage.history(first.id).await;
    assert_eq!(history.message.wamid.as_deref(), Some("wamid.1"));
    assert_eq!(history.message.settled_at, Some(at(1_000)));
    assert_eq!(history.attempts[0].outcome, AttemptOutcome::Sent);
    assert!(history.attempts[0].finished_at.is_some());
    // From now on the wamid alone is enough.
    let delivered = stage.apply(report("wamid.1", Report::Delivered, at(2_000))).await;
    assert_eq!(delivered, ReportEffect::Advanced(first.id, Status::Sent, Status::Delivered));
    let mut stranger = report("wamid.9", Report::Sent, at(1_000));
    stranger.attempt_id = Some(new_attempt());
    assert_eq!(stage.apply(stranger).await, ReportEffect::Parked);
}

pub async fn a_token_settles_an_unknown_outcome_and_cancels_a_resend(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let unsure = message(1);
    let attempt = stage.begin(&unsure).await;
    stage.settle(unsure.id, attempt, unknown()).await;
    let resent = message(2);
    let resent_attempt = stage.begin(&resent).await;
    stage.settle(resent.id, resent_attempt, unknown()).await;
    assert!(stage.store.requeue(&org_id(), resent.id, at(200)).await.unwrap());
    let retried = stage.queue(&message(3)).await;
    let retried_attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, retried, retried_attempt, at(1)).await.unwrap();
    stage.settle(retried, retried_attempt, retry(at(300), true)).await;
    for (place, id, attempt, from) in [
        (1, unsure.id, attempt, Status::Unknown),
        (2, resent.id, resent_attempt, Status::Queued),
        (3, retried, retried_attempt, Status::Queued),
    ] {
        let mut late = report(&format!("wamid.{place}"), Report::Delivered, at(1_000));
        late.attempt_id = Some(attempt);
        let effect = stage.apply(late).await;
        assert_eq!(effect, ReportEffect::Advanced(id, from, Status::Delivered));
        let message = stage.message(id).await;
        assert_eq!((message.failure, message.settled_at), (None, Some(at(1_000))));
        let begun =
            stage.store.begin_attempt(Haste::AtOnce, id, new_attempt(), at(2_000)).await.unwrap();
        assert_eq!(begun, None, "nothing is sent again");
    }
    assert!(stage.due(at(10_000)).await.is_empty());
}

pub async fn a_failure_of_an_earlier_sending_does_not_fail_the_later(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let unsure = message(1);
    let (first, second) = stage.begin_again(&unsure).await;
    let mut failed = report("wamid.1", Report::Failed, at(1_000));
    failed.attempt_id = Some(first);
    assert_eq!(stage.apply(failed).await, ReportEffect::Nothing(unsure.id));
    let settled = stage.settle(unsure.id, second, sent("wamid.2")).await;
    assert_eq!(settled.status, Status::Sent);
    assert!(stage.message(unsure.id).await.possible_duplicate);
    assert_eq!(settled.wamid.as_deref(), Some("wamid.2"));
    // Both sendings' reports reach the message; only the later one's failure counts.
    let again = stage.apply(report("wamid.1", Report::Failed, at(2_000))).await;
    assert_eq!(again, ReportEffect::Nothing(unsure.id));
    let arrived = stage.apply(report("wamid.1", Report::Delivered, at(2_500))).await;
    assert_eq!(arrived, ReportEffect::Advanced(unsure.id, Status::Sent, Status::Delivered));
    let read = stage.apply(report("wamid.2", Report::Read, at(3_000))).await;
    assert_eq!(read, ReportEffect::Advanced(unsure.id, Status::Delivered, Status::Read));
}

pub async fn a_failed_message_that_is_sent_again_starts_anew(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let resent = message(2);
    stage.send(&resent, "wamid.3").await;
    let sent_report = report("wamid.3", Report::Sent, at(900));
    stage.apply(sent_report.clone()).await;
    stage.apply(report("wamid.3", Report::Failed, at(1_000))).await;
    assert_eq!(stage.status(resent.id).await, Status::Failed);
    assert!(stage.store.requeue(&org_id(), resent.id, at(200)).await.unwrap());
    // What the upstream still says of the sending that failed does not stop the next one.
    let late = report("wamid.3", Report::Sent, at(1_200));
    for old in [sent_report, late, report("wamid.3", Report::Failed, at(1_500))] {
        assert_eq!(stage.apply(old).await, ReportEffect::Nothing(resent.id));
        assert_eq!(stage.due(at(2_000)).await, [resent.id]);
    }
    let again = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, resent.id, again, at(300)).await.unwrap();
    let settled = stage.settle(resent.id, again, sent("wamid.4")).await;
    assert_eq!(settled.status, Status::Sent);
    assert!(!stage.message(resent.id).await.possible_duplicate);
    let failed = stage.apply(report("wamid.4", Report::Failed, at(2_000))).await;
    assert_eq!(failed, ReportEffect::Advanced(resent.id, Status::Sent, Status::Failed));
}

pub async fn an_earlier_attempt_that_proves_sent_outweighs_a_later_refusal(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let unsure = message(1);
    let (first, second) = stage.begin_again(&unsure).await;
    let mut proof = report("wamid.1", Report::Sent, at(1_000));
    proof.attempt_id = Some(first);
    let effect = stage.apply(proof).await;
    assert_eq!(effect, ReportEffect::Advanced(unsure.id, Status::Sending, Status::Sent));
    let settled = stage.settle(unsure.id, second, refused()).await;
    assert_eq!((settled.status, settled.failure), (Status::Sent, None));
    assert_eq!(settled.wamid.as_deref(), Some("wamid.1"));
    let read = stage.apply(report("wamid.1", Report::Read, at(2_000))).await;
    assert_eq!(read, ReportEffect::Advanced(unsure.id, Status::Sent, Status::Read));
}

pub async fn an_earlier_sendings_failure_is_the_last_word_after_a_refusal(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let unsure = message(1);
    let (first, second) = stage.begin_again(&unsure).await;
    let settled = stage.settle(unsure.id, second, refused()).await;
    assert_eq!(settled.status, Status::Unknown, "the first one may have been sent");
    let mut failed = report("wamid.1", Report::Failed, at(1_000));
    failed.attempt_id = Some(first);
    let effect = stage.apply(failed).await;
    assert_eq!(effect, ReportEffect::Advanced(unsure.id, Status::Unknown, Status::Failed));
    assert_eq!(stage.message(unsure.id).await.wamid.as_deref(), Some("wamid.1"));
}

pub async fn an_early_failure_of_a_later_sending_outlasts_its_receipt(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let unsure = message(1);
    let (first, second) = stage.begin_again(&unsure).await;
    for (attempt, wamid, told) in
        [(first, "wamid.1", Report::Sent), (second, "wamid.2", Report::Failed)]
    {
        let mut early = report(wamid, told, at(1_000));
        early.attempt_id = Some(attempt);
        stage.apply(early).await;
    }
    let settled = stage.settle(unsure.id, second, sent("wamid.2")).await;
    assert_eq!(settled.status, Status::Failed);
    assert_eq!(settled.wamid.as_deref(), Some("wamid.2"));
    let arrived = stage.apply(report("wamid.1", Report::Delivered, at(2_000))).await;
    assert_eq!(arrived, ReportEffect::Advanced(unsure.id, Status::Failed, Status::Delivered));
}

pub async fn a_receipt_after_a_bound_report_adds_only_what_is_missing(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    let attempt = stage.begin(&first).await;
    let mut read = report("wamid.1", Report::Read, at(1_000));
    read.attempt_id = Some(attempt);
    stage.apply(read).await;
    let settled = stage.settle(first.id, attempt, sent("wamid.1")).await;
    assert_eq!(settled.status, Status::Read);
    assert_eq!(settled.wa_id.as_deref(), Some("15550001111"));
    assert_eq!(settled.settled_at, Some(at(1_000)));
}

pub async fn reports_are_not_matched_to_inbound_messages(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let received = inbound(1, "wamid.in");
    let id = received.id;
    stage.store.record_inbound(received, at(1)).await.unwrap();
    let effect = stage.apply(report("wamid.in", Report::Read, at(1_000))).await;
    assert_eq!(effect, ReportEffect::Parked);
    assert_eq!(stage.status(id).await, Status::Received);
}

/// A stage with a second number, and its id.
async fn with_another_number(harness: &dyn Harness) -> (Stage, NumberId) {
    let stage = Stage::new(harness).await;
    let other = NumberId::new("another-app");
    stage.put(Entry::Number(number(other.as_str(), ORG))).await;
    (stage, other)
}

/// That a message was read, from somebody who speaks for one number only.
fn read_of(number_id: &NumberId, wamid: &str) -> StatusReport {
    StatusReport { number_id: Some(number_id.clone()), ..report(wamid, Report::Read, at(1_000)) }
}

pub async fn a_report_for_one_number_leaves_messages_of_others_alone(harness: &dyn Harness) {
    let (stage, other) = with_another_number(harness).await;
    let ours = message(1);
    stage.send(&ours, "wamid.1").await;
    assert_eq!(stage.apply(read_of(&other, "wamid.1")).await, ReportEffect::Parked);
    assert_eq!(stage.status(ours.id).await, Status::Sent);
    // A token of their own does not make it their message.
    let theirs = Message { number_id: other.clone(), ..message(2) };
    let attempt_id = Some(stage.begin(&theirs).await);
    let taking = StatusReport { attempt_id, ..read_of(&other, "wamid.1") };
    assert_eq!(stage.apply(taking).await, ReportEffect::Parked);
    assert_eq!(stage.status(theirs.id).await, Status::Sending);
    let effect = stage.apply(read_of(&number_id(), "wamid.1")).await;
    assert_eq!(effect, ReportEffect::Advanced(ours.id, Status::Sent, Status::Read));
}

pub async fn a_report_for_one_number_binds_no_token_of_another(harness: &dyn Harness) {
    let (stage, other) = with_another_number(harness).await;
    let ours = message(1);
    let attempt_id = Some(stage.begin(&ours).await);
    let by_token =
        |number_id: &NumberId| StatusReport { attempt_id, ..read_of(number_id, "wamid.1") };
    assert_eq!(stage.apply(by_token(&other)).await, ReportEffect::Parked);
    assert_eq!(stage.history(ours.id).await.attempts[0].outcome, AttemptOutcome::Open);
    let effect = stage.apply(by_token(&number_id())).await;
    assert_eq!(effect, ReportEffect::Advanced(ours.id, Status::Sending, Status::Read));
}

pub async fn a_report_for_one_number_waits_for_a_message_of_that_number(harness: &dyn Harness) {
    let (stage, other) = with_another_number(harness).await;
    assert_eq!(stage.apply(read_of(&other, "wamid.1")).await, ReportEffect::Parked);
    // The same was said by both.
    for by in [&other, &number_id()] {
        assert_eq!(stage.apply(read_of(by, "wamid.2")).await, ReportEffect::Parked);
    }
    for (last, wamid, expected) in [(1, "wamid.1", Status::Sent), (2, "wamid.2", Status::Read)] {
        let ours = message(last);
        stage.send(&ours, wamid).await;
        assert_eq!(stage.status(ours.id).await, expected, "{wamid}");
    }
}

pub async fn an_unknown_outcome_is_told_once_as_a_failure(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let waited_for = Message { synchronous: true, ..message(2) };
    let late = Message { created_at: at(5_000), ..message(4) };
    let (overdue, arrived) = (message(1), message(3));
    for message in [&overdue, &waited_for, &arrived, &late] {
        let attempt = stage.begin(message).await;
        stage.settle(message.id, attempt, unknown()).await;
        if message.id == arrived.id {
            let report = report("wamid.3", Report::Sent, at(200));
            stage.apply(StatusReport { attempt_id: Some(attempt), ..report }).await;
        }
    }
    let told = async || {
        let filter =
            EventFilter { kinds: vec![EventKind::MessageFailed], ..EventFilter::default() };
        let page = Page { after: None, limit: 10 };
        let events = stage.store.events(&org_id(), &filter, page).await.unwrap().data;
        let told = events.into_iter().map(|logged| match logged.event.detail {
            EventDetail::Status(detail) => {
                assert_eq!(detail.failure.unwrap().kind, ErrorKind::OutcomeUnknown);
                (detail.message.id, logged.event.at)
            }
            _ => panic!("a status"),
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(stage.store.tell_overdue(at(-1), at(8_000)).await, Ok(0));
    assert_eq!(stage.store.tell_overdue(at(0), at(9_000)).await, Ok(1));
    assert_eq!(stage.store.tell_overdue(at(0), at(9_001)).await, Ok(0));
    assert_eq!(told().await, [(overdue.id, at(9_000))]);
    assert_eq!(stage.store.tell_overdue(at(5_000), at(9_002)).await, Ok(1));
    assert_eq!(told().await, [(overdue.id, at(9_000)), (late.id, at(9_002))]);
    assert_eq!(stage.status(overdue.id).await, Status::Unknown);
}
