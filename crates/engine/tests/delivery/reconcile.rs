//! Messages of which nobody knows whether they were sent (T2, T3): held, bound by a status, sent again
//! as their policy says, and never otherwise. Every check gives what is wrong, so that its control
//! can see it fail with a bug planted.

use std::sync::Arc;
use std::time::Duration;

use waypost_domain::message::{AttemptOutcome, Message};
use waypost_domain::status::Report;
use waypost_domain::unknown::UnknownPolicy;
use waypost_domain::{Failure, MessageId, OrgId, Status};
use waypost_engine::ports::{EventFilter, Page, StatusNotice, UpstreamEvent};
use waypost_planted::{Bug, plant};

use crate::callbacks::{quiet, until};
use crate::rig::{Rig, lost, org, send_to, submit_of, template, text, to_phone};

/// Messages that are on the wire when the gateway is killed.
const ON_THE_WIRE: usize = 200;
const POLICIES: [UnknownPolicy; 3] = UnknownPolicy::ALL;

async fn advance(rig: &Rig, seconds: u64) {
    rig.clock.advance(Duration::from_secs(seconds));
    quiet(rig).await;
}

/// How often something was sent: so often at least, and no more comes.
async fn sends(rig: &Rig, least: usize) -> usize {
    until("sent", || rig.upstream.sent_to().len() >= least).await;
    quiet(rig).await;
    rig.upstream.sent_to().len()
}

fn notice(token: Option<String>, wamid: &str, report: Report, rig: &Rig) -> UpstreamEvent {
    let failure = (report == Report::Failed)
        .then(|| Failure::new(waypost_domain::ErrorKind::RecipientUnreachable, "not on WhatsApp"));
    UpstreamEvent::Status(StatusNotice { opaque: token, failure, ..rig.notice(wamid, report) })
}

fn token(rig: &Rig, place: usize) -> Option<String> {
    Some(rig.upstream.seen.lock()[place].token.clone())
}

/// A queued message whose first attempt was lost.
async fn lose(rig: &Rig, policy: Option<UnknownPolicy>) -> MessageId {
    rig.upstream.next(lost());
    let mut ask = send_to("cust-1", text("hello"));
    ask.command.options.unknown_policy = policy;
    let before = rig.engine.metrics().messages_unknown;
    let id = rig.engine.enqueue(ask).await.unwrap().outcome.id;
    until("the outcome is unknown", || rig.engine.metrics().messages_unknown > before).await;
    id
}

fn expect(violations: &mut Vec<String>, what: &str, is_so: bool) {
    if !is_so {
        violations.push(what.to_owned());
    }
}

// ---- T2: killed between the upstream's acceptance and our record; statuses come. ----------------

async fn t02() -> Vec<String> {
    let rig = Rig::new().await;
    let upstream = Arc::clone(&rig.upstream);
    let closed = upstream.gate.write().await;
    rig.approve_template("hello_world");
    let people = (0..ON_THE_WIRE).map(|place| format!("1555001{place:04}"));
    let all = people.map(|digits| to_phone(&digits, template("hello_world"))).collect();
    let ids = rig.engine.submit(submit_of(all), &[]).await.unwrap().outcome;
    rig.saw(ON_THE_WIRE).await;
    let seen = rig.upstream.seen.lock().clone();
    // What a kill leaves: the upstream has all of them, and we know of no reply.
    let after = rig.copied().await;
    let statuses = seen.iter().map(|seen| {
        let wamid = format!("wamid.of.{}", seen.to);
        notice(Some(seen.token.clone()), &wamid, Report::Sent, &after)
    });
    after.receive(statuses.collect()).await;
    let mut violations = Vec::new();
    for id in ids {
        let stored = after.stored(id).await;
        let bound = stored.wamid.as_deref() == Some(&format!("wamid.of.{}", stored.phone.digits()));
        if !bound || stored.status != Status::Sent {
            violations.push(format!("{id} is {:?} and not bound", stored.status));
        }
    }
    for _ in 0..4 {
        advance(&after, 60).await;
    }
    let again = after.upstream.sent_to().len();
    if again > 0 {
        violations.push(format!("{again} messages were sent twice"));
    }
    drop(closed);
    violations
}

#[tokio::test]
async fn t02_what_a_kill_left_on_the_wire_is_bound_by_its_statuses_and_never_sent_twice() {
    assert_eq!(t02().await, Vec::<String>::new());
}

#[tokio::test]
async fn t02_control_a_send_without_an_intent_is_seen() {
    plant(Some(Bug::NoIntent));
    assert!(!t02().await.is_empty());
}

#[tokio::test]
async fn t02_control_a_resend_that_no_status_cancels_is_seen() {
    plant(Some(Bug::StatusLeavesResend));
    assert!(!t02().await.is_empty());
}

// ---- T3: no status comes. -----------------------------------------------------------------------

async fn t03(policy: UnknownPolicy) -> Vec<String> {
    let mut violations = Vec::new();
    let rig = Rig::new().await;
    let id = lose(&rig, Some(policy)).await;
    let expected = match policy {
        UnknownPolicy::HoldThenResend => [1, 1, 2, 2],
        UnknownPolicy::NeverResend => [1, 1, 1, 1],
        UnknownPolicy::ResendNow => [2, 2, 2, 2],
    };
    let at_once = sends(&rig, expected[0]).await;
    advance(&rig, 119).await;
    let before = sends(&rig, expected[1]).await;
    advance(&rig, 2).await;
    let after = sends(&rig, expected[2]).await;
    for _ in 0..30 {
        advance(&rig, 120).await;
    }
    let counted = [at_once, before, after, sends(&rig, expected[3]).await];
    if counted != expected {
        violations.push(format!("{policy:?}: sent {counted:?} times, not {expected:?}"));
    }
    let history = rig.history(id).await;
    let Message { status, possible_duplicate, resend_at, .. } = history.message;
    let resent = policy != UnknownPolicy::NeverResend;
    let ends = if resent { Status::Sent } else { Status::Unknown };
    expect(&mut violations, &format!("{policy:?}: ends {status:?}"), status == ends);
    expect(&mut violations, "flagged as a possible duplicate", possible_duplicate == resent);
    expect(&mut violations, "nothing is left to be sent again", resend_at.is_none());
    violations
}

#[tokio::test]
async fn t03_without_a_status_a_message_is_sent_again_as_its_policy_says() {
    for policy in POLICIES {
        assert_eq!(t03(policy).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn t03_control_a_resend_without_waiting_is_seen() {
    plant(Some(Bug::ResendWithoutWaiting));
    assert!(!t03(UnknownPolicy::HoldThenResend).await.is_empty());
}

#[tokio::test]
async fn t03_control_an_unknown_outcome_that_counts_as_not_sent_is_seen() {
    plant(Some(Bug::UnknownCountsAsNotSent));
    let rig = Rig::new().await;
    rig.upstream.next(lost());
    rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap();
    until("to be tried again", || rig.engine.metrics().attempts_retried > 0).await;
    advance(&rig, 1).await;
    until("sent again within seconds", || rig.upstream.sent_to().len() > 1).await;
}

/// The wait is counted in the time in which a webhook could have come.
async fn t03_restart() -> Vec<String> {
    let mut violations = Vec::new();
    let rig = Rig::new().await;
    let id = lose(&rig, None).await;
    advance(&rig, 100).await;
    let rig = rig.copied().await;
    let announced = rig.stored(id).await.resend_at;
    let full = rig.engine.now().plus_ms(120_000);
    expect(&mut violations, "a start lets it wait anew", announced == Some(full));
    advance(&rig, 119).await;
    expect(&mut violations, "not before", rig.upstream.sent_to().is_empty());
    rig.engine.note_refused_webhook();
    advance(&rig, 2).await;
    expect(&mut violations, "nor after a refused webhook", rig.upstream.sent_to().is_empty());
    advance(&rig, 119).await;
    expect(&mut violations, "but then", sends(&rig, 1).await == 1);
    violations
}

#[tokio::test]
async fn t03_the_wait_counts_only_while_webhooks_can_come() {
    assert_eq!(t03_restart().await, Vec::<String>::new());
}

#[tokio::test]
async fn t03_control_a_start_that_ends_the_wait_is_seen() {
    plant(Some(Bug::RestartEndsWait));
    assert!(!t03_restart().await.is_empty());
}

#[tokio::test]
async fn t03_after_a_kill_each_message_goes_on_by_its_policy() {
    let rig = Rig::new().await;
    let upstream = Arc::clone(&rig.upstream);
    let closed = upstream.gate.write().await;
    let mut ids = Vec::new();
    for (policy, digits) in POLICIES.into_iter().zip(["15550001111", "15550002222", "15550003333"])
    {
        rig.open_window(digits).await;
        let mut one = to_phone(digits, text("hello"));
        one.send.options.unknown_policy = Some(policy);
        ids.extend(rig.engine.submit(submit_of(vec![one]), &[]).await.unwrap().outcome);
    }
    rig.saw(3).await;
    let rig = rig.copied().await;
    until("the impatient one", || rig.upstream.sent_to() == ["15550003333"]).await;
    advance(&rig, 121).await;
    until("the patient one", || rig.upstream.sent_to() == ["15550003333", "15550001111"]).await;
    advance(&rig, 3_600).await;
    assert_eq!(rig.upstream.sent_to().len(), 2);
    let statuses = [Status::Sent, Status::Unknown, Status::Sent];
    for (id, status) in ids.into_iter().zip(statuses) {
        let message = rig.stored(id).await;
        let duplicate = status == Status::Sent;
        assert_eq!((message.status, message.possible_duplicate), (status, duplicate));
    }
    drop(closed);
}

// ---- Around the wait. ---------------------------------------------------------------------------

#[tokio::test]
async fn a_status_cancels_the_resend_also_in_the_last_second() {
    let rig = Rig::new().await;
    let id = lose(&rig, None).await;
    advance(&rig, 119).await;
    rig.receive(vec![notice(token(&rig, 0), "wamid.late", Report::Delivered, &rig)]).await;
    advance(&rig, 600).await;
    let message = rig.stored(id).await;
    assert_eq!((message.status, message.resend_at), (Status::Delivered, None));
    assert_eq!(message.wamid.as_deref(), Some("wamid.late"));
    assert!(!message.possible_duplicate);
    assert_eq!(rig.upstream.sent_to().len(), 1);
}

#[tokio::test]
async fn a_failure_that_names_the_attempt_settles_it_and_one_that_does_not_is_kept() {
    for echoed in [true, false] {
        let rig = Rig::new().await;
        let id = lose(&rig, None).await;
        let opaque = echoed.then(|| token(&rig, 0)).flatten();
        rig.receive(vec![notice(opaque, "wamid.failed", Report::Failed, &rig)]).await;
        advance(&rig, 121).await;
        let message = rig.stored(id).await;
        if echoed {
            assert_eq!(message.status, Status::Failed);
            assert_eq!(rig.upstream.sent_to().len(), 1, "what failed is not sent again by itself");
        } else {
            until("sent again", || rig.upstream.sent_to().len() == 2).await;
            until("recorded", || rig.engine.metrics().messages_sent == 1).await;
            let message = rig.stored(id).await;
            assert_eq!((message.status, message.possible_duplicate), (Status::Sent, true));
            assert_eq!(rig.engine.metrics().statuses_parked, 1);
        }
    }
}

#[tokio::test]
async fn a_second_unknown_outcome_is_the_last() {
    let rig = Rig::new().await;
    rig.upstream.next(lost());
    rig.upstream.next(lost());
    let id = rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap().outcome.id;
    until("unknown", || rig.engine.metrics().messages_unknown == 1).await;
    advance(&rig, 121).await;
    until("unknown again", || rig.engine.metrics().messages_unknown == 2).await;
    advance(&rig, 7_200).await;
    let message = rig.stored(id).await;
    assert_eq!((message.status, message.resend_at), (Status::Unknown, None));
    assert!(message.possible_duplicate);
    assert_eq!(rig.upstream.sent_to().len(), 2);
    // A status of either attempt still settles it.
    rig.receive(vec![notice(token(&rig, 0), "wamid.1", Report::Read, &rig)]).await;
    assert_eq!(rig.stored(id).await.status, Status::Read);
}

#[tokio::test]
async fn what_may_have_been_sent_never_ends_as_failed() {
    let rig = Rig::new().await;
    let id = lose(&rig, None).await;
    let refusal = crate::rig::refused(
        waypost_domain::ErrorKind::RecipientUnreachable,
        waypost_domain::retry::RetryClass::Never,
    );
    rig.upstream.next(refusal);
    advance(&rig, 121).await;
    until("sent again", || rig.upstream.sent_to().len() == 2).await;
    until("ended", || rig.engine.metrics().messages_unknown == 2).await;
    let history = rig.history(id).await;
    assert_eq!(history.message.status, Status::Unknown);
    let outcomes: Vec<_> = history.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::Unknown, AttemptOutcome::Refused]);
}

#[tokio::test]
async fn a_message_whose_time_is_over_is_not_sent_again() {
    let rig = Rig::new().await;
    rig.upstream.next(lost());
    let mut short = send_to("cust-1", text("soon"));
    short.command.options.expires_at = Some(rig.engine.now().plus_ms(60_000));
    let id = rig.engine.enqueue(short).await.unwrap().outcome.id;
    until("unknown", || rig.engine.metrics().messages_unknown == 1).await;
    assert_eq!(rig.stored(id).await.resend_at, None, "it would come too late");
    advance(&rig, 600).await;
    assert_eq!(rig.stored(id).await.status, Status::Unknown);
    assert_eq!(rig.upstream.sent_to().len(), 1);
}

#[tokio::test]
async fn a_cancelled_resend_leaves_the_message_unknown() {
    let rig = Rig::new().await;
    let id = lose(&rig, None).await;
    let org_id = OrgId::new("org-1");
    assert!(rig.engine.cancel_message(&org_id, id).await.unwrap());
    assert!(!rig.engine.cancel_message(&org_id, id).await.unwrap());
    advance(&rig, 600).await;
    let message = rig.stored(id).await;
    assert_eq!((message.status, message.resend_at), (Status::Unknown, None));
    assert_eq!(rig.upstream.sent_to().len(), 1);
}

#[tokio::test]
async fn organisations_and_templates_have_policies_of_their_own() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    rig.approve_template("one_time_code");
    for known in rig.upstream.templates.lock().iter_mut() {
        if known.name == "one_time_code" {
            known.category = "AUTHENTICATION".to_owned();
        }
    }
    rig.engine.sync_templates(&OrgId::new("org-1")).await.unwrap();
    let never = UnknownPolicy::NeverResend;
    let now = UnknownPolicy::ResendNow;
    for (of_org, of_message, name, expected) in [
        (UnknownPolicy::HoldThenResend, None, "hello_world", UnknownPolicy::HoldThenResend),
        (UnknownPolicy::HoldThenResend, None, "one_time_code", never),
        (now, None, "one_time_code", never),
        (now, Some(UnknownPolicy::HoldThenResend), "one_time_code", UnknownPolicy::HoldThenResend),
        (now, None, "hello_world", now),
        (never, None, "hello_world", never),
        (never, Some(now), "hello_world", now),
    ] {
        let mut org = org("org-1");
        org.unknown_policy = of_org;
        rig.put_org(org, waypost_engine::ports::PutMode::Replace).await;
        let mut one = to_phone("15550002222", template(name));
        one.send.options.unknown_policy = of_message;
        let id = rig.engine.submit(submit_of(vec![one]), &[]).await.unwrap().outcome[0];
        assert_eq!(rig.stored(id).await.unknown_policy(), expected, "{of_org:?} {name}");
    }
    let waited_for = rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap().outcome.id;
    assert_eq!(rig.stored(waited_for).await.unknown_policy(), never);
}

#[tokio::test]
async fn the_callers_own_value_comes_back_byte_for_byte() {
    let rig = Rig::new().await;
    let reference: String = "\u{1f44b}\"\\/é".chars().cycle().take(512).collect();
    let mut ask = send_to("cust-1", text("hello"));
    ask.command.reference = Some(reference.clone());
    let id = rig.engine.enqueue(ask).await.unwrap().outcome.id;
    until("sent", || rig.engine.metrics().messages_sent == 1).await;
    rig.receive(vec![notice(token(&rig, 0), "wamid.1", Report::Delivered, &rig)]).await;
    assert_eq!(rig.stored(id).await.reference.as_deref(), Some(reference.as_str()));
    let page = Page { after: None, limit: 10 };
    let filter = EventFilter { message_id: Some(id), ..EventFilter::default() };
    let events = rig.engine.store().events(&OrgId::new("org-1"), &filter, page).await.unwrap();
    assert_eq!(events.data.len(), 2);
    for logged in events.data {
        let waypost_domain::event::EventDetail::Status(detail) = logged.event.detail else {
            panic!("a status")
        };
        assert_eq!(detail.message.reference.as_deref(), Some(reference.as_str()));
    }
    let token = token(&rig, 0).unwrap();
    assert!(token.starts_with("wp1.") && token.len() < 64, "the upstream sees our own only");
}

/// A broadcast's caller who waits is told of an unknown outcome, and then nothing is sent again; what
/// nobody waits for is.
#[tokio::test(start_paused = true)]
async fn a_lost_member_of_a_broadcast_is_sent_again_only_where_nobody_waited() {
    for (wait_s, sends) in [(60, 3), (0, 4)] {
        let rig = Rig::timed().await;
        rig.approve_template("hello_world");
        rig.upstream.next(lost());
        let ask = crate::rig::broadcast_of("hello_world");
        let answer = rig.engine.broadcast(ask, wait_s).await.unwrap().outcome;
        let failures: Vec<_> =
            answer.deliveries.into_iter().filter_map(|delivery| delivery.result.err()).collect();
        if wait_s > 0 {
            assert_eq!(failures.len(), 1);
            assert_eq!(failures[0].kind, waypost_domain::ErrorKind::OutcomeUnknown);
        }
        until("all tried", || rig.upstream.sent_to().len() == 3).await;
        advance(&rig, 121).await;
        advance(&rig, 60).await;
        assert_eq!(rig.upstream.sent_to().len(), sends, "{wait_s}");
    }
}
