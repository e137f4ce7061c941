//! What callers ask for beside the content.

use std::time::Duration;

use waypost_domain::event::EventKind;
use waypost_domain::message::{Notify, Priority};
use waypost_domain::retry::RetryClass;
use waypost_domain::{ErrorKind, Failure, OrgId, Status};
use waypost_engine::ports::{EventFilter, Page, PutMode};

use crate::callbacks::until;
use crate::rig::{Rig, keyed, lost, number, refused, send_to, submit_of, template, text, to_phone};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_message_whose_time_is_over_is_not_attempted_again() {
    let rig = Rig::new().await;
    rig.upstream.next(refused(ErrorKind::UpstreamUnavailable, RetryClass::BackOff));
    let mut short = to_phone("15550001111", text("soon"));
    short.send.options.expires_at = Some(rig.engine.now().plus_ms(1));
    let id = rig.engine.submit(submit_of(vec![short]), &[]).await.unwrap().outcome[0];
    until("refused", || rig.engine.metrics().attempts_retried > 0).await;
    // The next attempt would have come later: the failure is told at the end all the same.
    rig.clock.advance(Duration::from_millis(1));
    rig.failed(1).await;
    let history = rig.history(id).await;
    assert_eq!(history.message.failure.unwrap().kind, ErrorKind::Expired);
    assert_eq!((history.message.status, history.attempts.len()), (Status::Failed, 1));
    assert_eq!(rig.upstream.sent_to().len(), 1);
}

#[tokio::test]
async fn what_waited_too_long_for_its_turn_is_never_attempted() {
    let rig = Rig::new().await;
    let closed = rig.upstream.gate.write().await;
    let mut second = to_phone("15550001111", text("second"));
    second.send.options.expires_at = Some(rig.engine.now().plus_ms(1_000));
    let both = vec![to_phone("15550001111", text("first")), second];
    let ids = rig.engine.submit(submit_of(both), &[]).await.unwrap().outcome;
    rig.saw(1).await;
    rig.clock.advance(Duration::from_secs(1));
    drop(closed);
    rig.failed(1).await;
    let history = rig.history(ids[1]).await;
    assert_eq!(history.message.failure.unwrap().kind, ErrorKind::Expired);
    assert!(history.attempts.is_empty());
    assert_eq!(rig.upstream.sent_to().len(), 1);
}

#[tokio::test]
async fn what_comes_too_late_is_told_at_once() {
    let rig = Rig::new().await;
    let end = Some(rig.engine.now());
    let mut waited_for = send_to("cust-1", text("late"));
    waited_for.command.options.expires_at = end;
    let mut enqueued = waited_for.clone();
    enqueued.command.options.expires_at = end;
    assert_eq!(rig.engine.send(waited_for).await.unwrap_err().kind, ErrorKind::Expired);
    assert_eq!(rig.engine.enqueue(enqueued).await.unwrap_err().kind, ErrorKind::Expired);
    let mut later = to_phone("15550001111", text("late"));
    later.send.options.expires_at = end;
    let id = rig.engine.submit(submit_of(vec![later.clone()]), &[]).await.unwrap().outcome[0];
    assert_eq!(rig.stored(id).await.failure.unwrap().kind, ErrorKind::Expired);
    let refused = rig.engine.submit(submit_of(vec![later]), &[ErrorKind::Expired]).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Expired);
    assert!(rig.upstream.sent_to().is_empty());
}

#[tokio::test]
async fn an_end_that_is_past_refuses_a_request_behind_repetitions_and_unknown_names() {
    const AT_ONCE: &[ErrorKind] = &[ErrorKind::Expired, ErrorKind::TemplateNotFound];
    let rig = Rig::new().await;
    let mut short = to_phone("15550001111", text("soon"));
    short.send.options.expires_at = Some(rig.engine.now().plus_ms(1_000));
    let timely = || keyed(submit_of(vec![short.clone()]), "k", 1);
    let first = rig.engine.submit(timely(), AT_ONCE).await.unwrap().outcome;
    rig.clock.advance(Duration::from_secs(1));
    let again = rig.engine.submit(timely(), AT_ONCE).await.unwrap();
    assert_eq!((again.outcome, again.replayed), (first, true));
    let mut doomed = short.clone();
    doomed.doomed = Some(Failure::new(ErrorKind::InvalidValue, "Too long."));
    let unheard_of = to_phone("15550001111", template("unheard_of"));
    let mut foreign = to_phone("15550001111", text("hi"));
    foreign.send.number = Some("15550008888".to_owned());
    for (messages, kind) in [
        (vec![short.clone()], ErrorKind::Expired),
        (vec![doomed], ErrorKind::Expired),
        (vec![short.clone(), unheard_of], ErrorKind::TemplateNotFound),
        (vec![short, foreign], ErrorKind::NumberNotFound),
    ] {
        let refused = rig.engine.submit(submit_of(messages), AT_ONCE).await;
        assert_eq!(refused.unwrap_err().kind, kind);
    }
    assert_eq!(rig.engine.metrics().messages_accepted, 1);
}

#[tokio::test]
async fn a_waiting_caller_is_told_when_its_messages_time_is_over() {
    let rig = Rig::new().await;
    let closed = rig.upstream.gate.write().await;
    rig.upstream.next(refused(ErrorKind::UpstreamUnavailable, RetryClass::BackOffFew));
    let mut short = send_to("cust-1", text("soon"));
    short.command.options.expires_at = Some(rig.engine.now().plus_ms(1_000));
    let engine = rig.engine.clone();
    let caller = tokio::spawn(async move { engine.send(short).await });
    rig.saw(1).await;
    rig.clock.advance(Duration::from_secs(1));
    drop(closed);
    let delivery = caller.await.unwrap().unwrap().outcome;
    assert_eq!(delivery.result.unwrap_err().kind, ErrorKind::Expired);
    assert_eq!(rig.upstream.sent_to().len(), 1);
}

#[tokio::test]
async fn nothing_that_nobody_waits_for_is_sent_after_a_day() {
    let rig = Rig::new().await;
    let message = to_phone("15550001111", text("hi"));
    let id = rig.engine.submit(submit_of(vec![message]), &[]).await.unwrap().outcome[0];
    let end = Some(rig.engine.now().plus_ms(i64::try_from(DAY.as_millis()).unwrap()));
    assert_eq!(rig.stored(id).await.options.expires_at, end);
    let queued = rig.engine.enqueue(send_to("cust-1", text("hi"))).await.unwrap().outcome;
    assert_eq!(rig.stored(queued.id).await.options.expires_at, end);
    let waited_for = rig.engine.send(send_to("cust-1", text("hi"))).await.unwrap().outcome;
    assert_eq!(rig.stored(waited_for.id).await.options.expires_at, None);
}

#[tokio::test]
async fn urgent_messages_go_first() {
    let rig = Rig::new().await;
    rig.approve_template("hello_world");
    rig.engine.put_number(number(5), PutMode::Replace).await.unwrap();
    let people = ["15550004444", "15550005555", "15550006666", "15550007777"];
    let wanted = [Priority::Low, Priority::Normal, Priority::High, Priority::Normal];
    let request = people.iter().zip(wanted).map(|(digits, priority)| {
        let mut message = to_phone(digits, template("hello_world"));
        message.send.options.priority = priority;
        message
    });
    rig.engine.submit(submit_of(request.collect()), &[]).await.unwrap();
    rig.saw(4).await;
    assert_eq!(rig.upstream.sent_to(), [people[2], people[1], people[3], people[0]]);
}

#[tokio::test]
async fn a_refused_callback_address_is_noted_and_the_message_sent() {
    let rig = Rig::new().await;
    for (url, setting) in [
        ("https://hooks.example.com/a", None),
        ("https://10.0.0.1/a", Some("egress.allow_networks")),
        ("http://hooks.example.com/a", Some("egress.allow_http_callbacks")),
    ] {
        let notify = Notify::new(url, None);
        let mut later = to_phone("15550001111", text("hi"));
        later.send.options.notify = Some(notify.clone());
        let later = rig.engine.submit(submit_of(vec![later]), &[]).await.unwrap().outcome[0];
        let mut waited_for = send_to("cust-1", text("hi"));
        waited_for.command.options.notify = Some(notify.clone());
        let waited_for = rig.engine.send(waited_for).await.unwrap().outcome;
        assert!(waited_for.result.is_ok());
        for id in [later, waited_for.id] {
            let stored = rig.stored(id).await.options.notify.unwrap();
            assert_eq!((stored.url.as_str(), stored.auth_id), (url, None));
            match setting {
                None => assert_eq!(stored.refused, None),
                Some(setting) => assert!(stored.refused.unwrap().contains(setting), "{url}"),
            }
        }
    }
}

#[tokio::test]
async fn after_a_day_without_a_status_an_unknown_outcome_is_told_as_a_failure() {
    let rig = Rig::new().await;
    let failures = async || {
        let filter =
            EventFilter { kinds: vec![EventKind::MessageFailed], ..EventFilter::default() };
        let page = Page { after: None, limit: 10 };
        rig.engine.store().events(&OrgId::new("org-1"), &filter, page).await.unwrap().data.len()
    };
    rig.upstream.next(lost());
    let message = to_phone("15550001111", text("hi"));
    let id = rig.engine.submit(submit_of(vec![message]), &[]).await.unwrap().outcome[0];
    until("lost", || rig.engine.metrics().messages_unknown > 0).await;
    assert_eq!(failures().await, 0);
    rig.clock.advance(DAY + Duration::from_secs(1));
    while failures().await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.stored(id).await.status, Status::Unknown);
    assert_eq!(rig.upstream.sent_to().len(), 1);
}
