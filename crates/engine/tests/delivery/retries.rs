//! Messages that are tried again: by class, within a budget while the upstream is down (T19), beside
//! healthy ones (T34), and by an operator.

use std::time::{Duration, Instant};

use waypost_domain::message::Message;
use waypost_domain::retry::{FEW_ATTEMPTS, RetryClass};
use waypost_domain::{ErrorKind, MessageId, OrgId, Status, Timestamp};
use waypost_engine::ports::{ErrorFilter, MessageFilter, Page, SendOutcome};
use waypost_engine::{Sweep, Swept};
use waypost_planted::{Bug, plant};

use crate::callbacks::{quiet, until};
use crate::rig::{
    LIVELY, Rig, lost, refused, send_to, submit_of, template, text, to_phone, too_fast,
};

fn org_id() -> OrgId {
    OrgId::new("org-1")
}

async fn submit_to(rig: &Rig, people: impl Iterator<Item = String>) -> Vec<MessageId> {
    let all: Vec<_> = people.map(|digits| to_phone(&digits, template("hello_world"))).collect();
    let mut ids = Vec::new();
    for some in all.chunks(1_000) {
        ids.extend(rig.engine.submit(submit_of(some.to_vec()), &[]).await.unwrap().outcome);
    }
    ids
}

async fn listed(rig: &Rig, filter: &MessageFilter) -> Vec<Message> {
    let page = Page { after: None, limit: 10_000 };
    rig.engine.store().messages(&org_id(), filter, page).await.unwrap().data
}

/// Lets time pass until nothing is queued any more, less than a day: a queue lives no longer.
async fn drained(rig: &Rig) {
    let queued = MessageFilter { status: Some(Status::Queued), ..MessageFilter::default() };
    let (began, mut steps) = (Instant::now(), 0..2_000);
    while !listed(rig, &queued).await.is_empty() {
        assert!(began.elapsed() < LIVELY, "something is stuck");
        if steps.next().is_some() {
            rig.clock.advance(Duration::from_secs(40));
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
        rig.behind_the_store().await;
    }
}

// ---- T34: poison. -------------------------------------------------------------------------------

/// One in a hundred messages is poison; of every kind.
fn poison(rig: &Rig) -> Vec<(String, u32)> {
    let few = refused(ErrorKind::UpstreamUnavailable, RetryClass::BackOffFew);
    let bad = refused(ErrorKind::RejectedByUpstream, RetryClass::Never);
    let mut kinds = Vec::new();
    for (place, outcome, sends) in [(50, few, FEW_ATTEMPTS), (150, bad, 1), (250, lost(), 2)] {
        let digits = format!("1555002{place:04}");
        rig.upstream.always_to.lock().insert(digits.clone(), outcome);
        kinds.push((digits, sends));
    }
    kinds
}

/// Sends poison among healthy messages; tells what is wrong with its end.
async fn t34() -> Vec<String> {
    let mut violations = Vec::new();
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let poison = poison(&rig);
    submit_to(&rig, (0..300).map(|place| format!("1555002{place:04}"))).await;
    // Without that the clock moves: what is healthy waits for no poison.
    until("the healthy ones", || rig.engine.metrics().messages_sent == 297).await;
    let given_up = || {
        let metrics = rig.engine.metrics();
        metrics.messages_failed == 2 && metrics.messages_unknown == 2
    };
    let mut steps = 0;
    while !given_up() && steps < 200 {
        rig.clock.advance(Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
        rig.behind_the_store().await;
        steps += 1;
    }
    if !given_up() {
        violations.push(format!("the poison is not given up: {:?}", rig.engine.metrics()));
    }
    let sent_to = rig.upstream.sent_to();
    for (digits, sends) in &poison {
        let seen = sent_to.iter().filter(|to| *to == digits).count();
        if seen != *sends as usize {
            violations.push(format!("{digits}: sent {seen} times"));
        }
    }
    let dead = MessageFilter { retryable: Some(true), ..MessageFilter::default() };
    let dead = listed(&rig, &dead).await.len();
    if dead != 1 {
        // What is refused for its content is no use to be sent again.
        violations.push(format!("{dead} may be sent again"));
    }
    let by_word =
        |kind| MessageFilter { error: Some(ErrorFilter::Kind(kind)), ..MessageFilter::default() };
    for (kind, count) in [
        (ErrorKind::UpstreamUnavailable, 1),
        (ErrorKind::RejectedByUpstream, 1),
        (ErrorKind::OutcomeUnknown, 1),
        (ErrorKind::Expired, 0),
    ] {
        let found = listed(&rig, &by_word(kind)).await.len();
        if found != count {
            violations.push(format!("{found} ended as {kind:?}"));
        }
    }
    violations
}

#[tokio::test]
async fn t34_poison_ends_after_its_limit_and_holds_nothing_up() {
    assert_eq!(t34().await, [""; 0]);
}

#[tokio::test]
async fn t34_control_poison_without_an_end_is_seen() {
    plant(Some(Bug::PoisonNeverEnds));
    let violations = t34().await;
    assert!(violations.iter().any(|it| it.starts_with("the poison is not")), "{violations:?}");
}

/// Sends what is dead again, all of it, several times; tells what is wrong with what was done.
async fn replays() -> Vec<String> {
    let mut violations = Vec::new();
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let locked = refused(ErrorKind::RejectedByUpstream, RetryClass::Operator);
    *rig.upstream.always.lock() = Some(locked);
    let ids = submit_to(&rig, (0..40).map(|place| format!("1555003{place:04}"))).await;
    rig.failed(40).await;
    *rig.upstream.always.lock() = None;
    let filter = MessageFilter { since: Some(Timestamp(0)), ..MessageFilter::default() };
    let mut sweep = async |sweep, matched| {
        let status = Status::Failed;
        let swept = rig.engine.sweep(&org_id(), filter.clone(), status, sweep).await.unwrap();
        if swept != (Swept { matched, done: matched }) {
            violations.push(format!("{sweep:?}: {swept:?} in place of {matched}"));
        }
    };
    sweep(Sweep::CountRetries, 40).await;
    assert_eq!(rig.upstream.sent_to().len(), 40, "counting sends nothing");
    sweep(Sweep::Retry, 40).await;
    // None is left.
    sweep(Sweep::Retry, 0).await;
    until("sent", || rig.engine.metrics().messages_sent == 40).await;
    sweep(Sweep::Retry, 0).await;
    quiet(&rig).await;
    assert_eq!(rig.upstream.sent_to().len(), 80);
    for id in ids {
        let history = rig.history(id).await;
        assert_eq!(history.message.status, Status::Sent);
        assert!(!history.message.possible_duplicate, "it was certainly not sent before");
        assert_eq!(history.attempts.len(), 2);
        assert!(!rig.engine.retry_message(&org_id(), id).await.unwrap(), "it was sent");
    }
    violations
}

#[tokio::test]
async fn t34_a_replay_of_the_dead_works_once() {
    assert_eq!(replays().await, [""; 0]);
}

#[tokio::test]
async fn t34_control_a_sweep_that_takes_any_state_is_seen() {
    plant(Some(Bug::SweepIgnoresState));
    assert!(!replays().await.is_empty());
}

// ---- T19: the upstream is down. -----------------------------------------------------------------

const QUEUED: usize = 2_000;

/// An hour without an upstream, a long queue, then all is well.
async fn t19() -> Vec<String> {
    let mut violations = Vec::new();
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let down = refused(ErrorKind::UpstreamUnavailable, RetryClass::BackOff);
    *rig.upstream.always.lock() = Some(down);
    submit_to(&rig, (0..QUEUED).map(|place| format!("1555{place:07}"))).await;
    quiet(&rig).await;
    for _ in 0..120 {
        rig.clock.advance(Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(4)).await;
        rig.behind_the_store().await;
    }
    quiet(&rig).await;
    let asked = rig.upstream.sent_to();
    let mut people = asked.clone();
    people.sort_unstable();
    people.dedup();
    // Those on their way when it went down, and a probe for each half minute.
    if asked.len() > 256 + 130 {
        violations.push(format!("asked {} times while it was down", asked.len()));
    }
    let retries = asked.len() - people.len();
    if retries * 10 > asked.len() {
        violations.push(format!("{retries} of {} were retries", asked.len()));
    }
    *rig.upstream.always.lock() = None;
    drained(&rig).await;
    until("nothing is on its way", || rig.engine.metrics().messages_sent >= QUEUED as u64).await;
    let all = MessageFilter { status: Some(Status::Sent), ..MessageFilter::default() };
    let sent = listed(&rig, &all).await.len();
    if sent != QUEUED {
        violations.push(format!("{sent} of {QUEUED} were sent in the end"));
    }
    violations
}

#[tokio::test]
async fn t19_an_upstream_that_is_down_is_only_probed_and_nothing_is_lost() {
    assert_eq!(t19().await, Vec::<String>::new());
}

#[tokio::test]
async fn t19_control_a_storm_is_seen() {
    plant(Some(Bug::RetryStorm));
    assert!(!t19().await.is_empty());
}

#[tokio::test]
async fn what_an_operator_must_mend_stays_queued_and_goes_out_then() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    *rig.upstream.always.lock() = Some(refused(ErrorKind::UpstreamAuth, RetryClass::Account));
    submit_to(&rig, (0..50).map(|place| format!("1555004{place:04}"))).await;
    until("refused", || rig.engine.metrics().attempts_retried > 0).await;
    quiet(&rig).await;
    let before = rig.upstream.sent_to().len();
    assert!(before <= 50);
    for _ in 0..10 {
        rig.clock.advance(Duration::from_secs(30));
        quiet(&rig).await;
    }
    assert!(rig.upstream.sent_to().len() <= before + 5, "it is only probed");
    assert_eq!(rig.engine.metrics().messages_failed, 0);
    *rig.upstream.always.lock() = None;
    drained(&rig).await;
    until("all are sent", || rig.engine.metrics().messages_sent == 50).await;
    // Who waits for the answer is told at once.
    rig.upstream.next(refused(ErrorKind::UpstreamAuth, RetryClass::Account));
    rig.open_window("15550001111").await;
    let told = rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap().outcome;
    assert_eq!(told.result.unwrap_err().kind, ErrorKind::UpstreamAuth);
}

// ---- By class. ----------------------------------------------------------------------------------

fn says_little() -> SendOutcome {
    refused(ErrorKind::UpstreamUnavailable, RetryClass::BackOffFew)
}

#[tokio::test(start_paused = true)]
async fn errors_of_one_class_use_up_no_attempts_of_another() {
    let rig = Rig::timed().await;
    let refusals = [
        too_fast(RetryClass::PersonPace, 0),
        too_fast(RetryClass::PersonPace, 0),
        too_fast(RetryClass::Pace, 0),
        too_fast(RetryClass::Pace, 0),
        too_fast(RetryClass::Pace, 0),
        says_little(),
    ];
    refusals.into_iter().for_each(|refusal| rig.upstream.next(refusal));
    let id = rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap().outcome.id;
    let history = rig.ended(id).await;
    assert_eq!((history.message.status, history.attempts.len()), (Status::Sent, 7));
}

#[tokio::test(start_paused = true)]
async fn who_is_written_to_too_fast_ends_no_message_before_its_time() {
    let rig = Rig::timed().await;
    *rig.upstream.always.lock() = Some(too_fast(RetryClass::PersonPace, 0));
    let id = rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap().outcome.id;
    // Twenty attempts take an hour and a half.
    tokio::time::sleep(Duration::from_secs(3 * 3_600)).await;
    let history = rig.history(id).await;
    assert_eq!(history.message.status, Status::Queued);
    assert!(history.attempts.len() > 30, "{}", history.attempts.len());
    *rig.upstream.always.lock() = None;
    assert_eq!(rig.ended(id).await.message.status, Status::Sent);
}

// ---- By an operator. ----------------------------------------------------------------------------

#[tokio::test]
async fn a_message_is_sent_again_as_it_was_accepted_or_not_at_all() {
    let rig = Rig::new().await;
    let bad = || refused(ErrorKind::RejectedByUpstream, RetryClass::Never);
    rig.upstream.next(bad());
    let mut ask = send_to("cust-1", text("the very words"));
    ask.command.reference = Some("order-77".to_owned());
    ask.command.options.reply_to = Some("wamid.quoted".to_owned());
    let id = rig.engine.enqueue(ask).await.unwrap().outcome.id;
    rig.failed(1).await;
    let before = rig.stored(id).await;
    // Two days later its own time to live, which nobody asked for, begins anew.
    rig.clock.advance(Duration::from_secs(2 * 86_400));
    rig.open_window("15550001111").await;
    assert!(rig.engine.retry_message(&org_id(), id).await.unwrap());
    assert!(!rig.engine.retry_message(&org_id(), id).await.unwrap(), "it is queued already");
    until("sent", || rig.engine.metrics().messages_sent == 1).await;
    let after = rig.stored(id).await;
    let options = waypost_domain::message::MessageOptions {
        expires_at: after.options.expires_at,
        ..before.options.clone()
    };
    assert_eq!(
        (after.content, after.reference, &after.options),
        (before.content, before.reference, &options)
    );
    assert!(after.options.expires_at > before.options.expires_at);

    rig.upstream.next(bad());
    let mut short = send_to("cust-1", text("until noon"));
    short.command.options.expires_at = Some(rig.engine.now().plus_ms(60_000));
    let id = rig.engine.enqueue(short).await.unwrap().outcome.id;
    rig.failed(2).await;
    rig.clock.advance(Duration::from_secs(60));
    let refusal = rig.engine.retry_message(&org_id(), id).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::Expired, "the caller's own end holds");
    assert_eq!(rig.upstream.sent_to().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_has_all_its_attempts_anew() {
    let rig = Rig::timed().await;
    *rig.upstream.always.lock() = Some(says_little());
    let id = rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap().outcome.id;
    for lives in 1..=2 {
        let history = rig.ended(id).await;
        assert_eq!(history.message.status, Status::Failed);
        assert_eq!(history.attempts.len(), lives * FEW_ATTEMPTS as usize);
        assert!(rig.engine.retry_message(&org_id(), id).await.unwrap());
    }
}

#[tokio::test]
async fn who_opted_out_since_is_not_written_to_again() {
    let rig = Rig::new().await;
    rig.upstream.next(refused(ErrorKind::RejectedByUpstream, RetryClass::Never));
    let id = rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap().outcome.id;
    rig.failed(1).await;
    let out = waypost_domain::manage::ConsentEntry {
        phone: crate::rig::phone("15550001111"),
        opted_in: false,
        origin: waypost_domain::customer::ConsentOrigin::default(),
    };
    rig.engine.record_consents(&org_id(), vec![out]).await.unwrap();
    let refusal = rig.engine.retry_message(&org_id(), id).await.unwrap_err();
    assert_eq!(refusal.kind, ErrorKind::RecipientBlocked);
    let all = MessageFilter::default();
    let swept = rig.engine.sweep(&org_id(), all, Status::Failed, Sweep::Retry).await.unwrap();
    assert_eq!(swept, Swept { matched: 1, done: 0 });
    assert_eq!(rig.upstream.sent_to().len(), 1);
}

/// Withdraws all that waits, several times; tells what is wrong with what was done.
async fn withdrawals() -> Vec<String> {
    let mut violations = Vec::new();
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    let closed = rig.upstream.gate.write().await;
    rig.upstream.next(SendOutcome::Sent(waypost_domain::command::Receipt {
        wamid: "wamid.first".to_owned(),
        wa_id: "15550001111".to_owned(),
    }));
    let to_one = |_| "15550001111".to_owned();
    let ids = submit_to(&rig, (0..20).map(to_one)).await;
    rig.saw(1).await;
    let all = MessageFilter::default();
    for (sweep, matched) in [(Sweep::CountCancels, 19), (Sweep::Cancel, 19), (Sweep::Cancel, 0)] {
        let status = Status::Queued;
        let swept = rig.engine.sweep(&org_id(), all.clone(), status, sweep).await.unwrap();
        if swept != (Swept { matched, done: matched }) {
            violations.push(format!("{sweep:?}: {swept:?} in place of {matched}"));
        }
    }
    drop(closed);
    until("the one on its way", || rig.engine.metrics().messages_sent == 1).await;
    quiet(&rig).await;
    assert_eq!(rig.upstream.sent_to().len(), 1);
    let mut cancelled = 0;
    for id in ids {
        cancelled += u32::from(rig.stored(id).await.status == Status::Cancelled);
    }
    assert_eq!(cancelled, 19);
    violations
}

#[tokio::test]
async fn what_waits_is_withdrawn_by_filter_and_nothing_else() {
    assert_eq!(withdrawals().await, [""; 0]);
}

#[tokio::test]
async fn control_a_withdrawal_that_looks_at_any_state_is_seen() {
    plant(Some(Bug::SweepIgnoresState));
    assert!(!withdrawals().await.is_empty());
}
