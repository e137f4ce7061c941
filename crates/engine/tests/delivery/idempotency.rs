//! One key, one message, whoever asks at the same time (T6). The check gives what is wrong, so that
//! its control can see it fail.

use std::time::Duration;

use tokio::time::Instant;
use waypost_domain::status::Report;
use waypost_domain::{CustomerId, ErrorKind, OrgId, Timestamp};
use waypost_engine::Engine;
use waypost_engine::ports::{MessageFilter, Page, PutMode, StatusNotice, UpstreamEvent};
use waypost_planted::{Bug, plant};

use crate::rig::{
    NOON, Rig, broadcast_of, keyed, lost, number, send_to, submit_of, template, text, to_phone,
};

/// Requests with one key at the same time.
const AT_ONCE: usize = 64;
/// How often: the campaigns over the wire do more.
const ROUNDS: usize = 20;

async fn t06() -> Vec<String> {
    let rig = Rig::new().await;
    let mut violations = Vec::new();
    for round in 0..ROUNDS {
        let key = format!("key-{round}");
        let callers = (0..AT_ONCE).map(|_| {
            let (engine, key) = (rig.engine.clone(), key.clone());
            tokio::spawn(async move {
                engine.enqueue(keyed(send_to("cust-1", text("one")), &key, 1)).await
            })
        });
        let (mut ids, mut fresh) = (Vec::new(), 0);
        for caller in callers.collect::<Vec<_>>() {
            match caller.await.unwrap() {
                Ok(answer) => {
                    ids.push(answer.outcome.id);
                    fresh += u32::from(!answer.replayed);
                }
                Err(failure) if failure.kind == ErrorKind::IdempotencyInProgress => {}
                Err(failure) => violations.push(format!("{round}: {failure}")),
            }
        }
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != 1 || fresh != 1 {
            violations.push(format!("{round}: {} messages, {fresh} of them new", ids.len()));
        }
        let other = rig.engine.enqueue(keyed(send_to("cust-1", text("other")), &key, 2)).await;
        if other.err().map(|failure| failure.kind) != Some(ErrorKind::IdempotencyConflict) {
            violations.push(format!("{round}: another body was taken"));
        }
    }
    let page = Page { after: None, limit: 10_000 };
    let filter = MessageFilter::default();
    let all = rig.engine.store().messages(&OrgId::new("org-1"), &filter, page).await.unwrap();
    if all.data.len() != ROUNDS {
        violations.push(format!("{} messages for {ROUNDS} keys", all.data.len()));
    }
    violations
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t06_of_64_requests_with_one_key_one_makes_a_message() {
    assert_eq!(t06().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t06_control_a_key_that_is_read_and_then_written_is_seen() {
    plant(Some(Bug::ReadThenWriteIdempotency));
    assert!(!t06().await.is_empty());
}

#[tokio::test]
async fn keys_of_other_routes_are_independent_and_every_kind_of_request_has_them() {
    let rig = Rig::new().await;
    let mut elsewhere = keyed(send_to("cust-1", text("one")), "k", 1);
    elsewhere.route = "/elsewhere";
    let here = rig.engine.enqueue(keyed(send_to("cust-1", text("one")), "k", 1)).await.unwrap();
    let there = rig.engine.enqueue(elsewhere).await.unwrap();
    assert_ne!(here.outcome.id, there.outcome.id);
    let several = || {
        let mut ask = keyed(submit_of(vec![to_phone("15550001111", text("one"))]), "k", 1);
        ask.route = "/several";
        ask
    };
    let first = rig.engine.submit(several(), &[]).await.unwrap();
    let again = rig.engine.submit(several(), &[]).await.unwrap();
    assert_eq!((again.outcome, again.replayed), (first.outcome, true));
}

#[tokio::test]
async fn a_key_is_kept_for_seven_days() {
    let rig = Rig::new().await;
    let ask = || keyed(send_to("cust-1", text("one")), "k", 1);
    let first = rig.engine.send(ask()).await.unwrap().outcome.id;
    let week_ms = 7 * 24 * 3_600 * 1_000;
    for (at_ms, replayed) in [(24 * 3_600 * 1_000, true), (week_ms - 1, true), (week_ms + 1, false)]
    {
        let by = NOON + at_ms - rig.clock.now_ms();
        rig.clock.advance(Duration::from_millis(u64::try_from(by).unwrap()));
        rig.open_window("15550001111").await;
        let answer = rig.engine.send(ask()).await.unwrap();
        assert_eq!((answer.outcome.id == first, answer.replayed), (replayed, replayed), "{at_ms}");
    }
}

/// The customer was deleted since, the template paused, and the time to live is over.
#[tokio::test]
async fn a_repetition_has_the_first_answer_whatever_became_of_what_it_names() {
    let rig = Rig::new().await;
    rig.approve_template("note");
    let on = |route: &'static str| {
        let mut ask = keyed(send_to("cust-1", template("note")), "k", 1);
        ask.command.options.expires_at = Some(Timestamp(NOON + 1_000));
        ask.route = route;
        ask
    };
    let to_all = || keyed(broadcast_of("note"), "spring", 1);
    let sent = rig.engine.send(on("/send")).await.unwrap().outcome;
    let queued = rig.engine.enqueue(on("/queue")).await.unwrap().outcome;
    let broadcast = rig.engine.broadcast(to_all(), 0).await.unwrap().outcome;
    let engine = &rig.engine;
    let (org_id, customer_id) = (OrgId::new("org-1"), CustomerId::new("cust-1"));
    assert!(engine.store().delete_customer(&org_id, &customer_id).await.unwrap());
    pause(engine, "note").await;
    rig.clock.advance(Duration::from_secs(1));
    let again = engine.send(on("/send")).await.unwrap();
    assert_eq!((again.outcome.id, again.replayed), (sent.id, true));
    let again = engine.enqueue(on("/queue")).await.unwrap();
    assert_eq!((again.outcome.id, again.replayed), (queued.id, true));
    let again = engine.broadcast(to_all(), 0).await.unwrap();
    assert_eq!((again.outcome.id, again.replayed), (broadcast.id, true));
}

async fn pause(engine: &Engine, name: &str) {
    let mut known = engine.directory().templates_named("100000000000002", name);
    "PAUSED".clone_into(&mut known[0].status);
    engine.directory().put_template(known.remove(0)).await.unwrap();
}

/// The first waits four seconds for its turn, then for the upstream. Who has no right to the
/// organisation does not learn from a wait which keys it uses.
#[tokio::test(start_paused = true)]
async fn a_repetition_waits_as_long_as_it_may_for_turn_and_answer_of_the_first_together() {
    for wait_s in [2, 6] {
        let rig = Rig::timed().await;
        rig.engine.put_number(number(1), PutMode::Replace).await.unwrap();
        for body in ["one", "two", "three", "four"] {
            rig.engine.enqueue(send_to("cust-1", text(body))).await.unwrap();
        }
        let ask = || {
            let mut ask = keyed(send_to("cust-1", text("five")), "k", 1);
            ask.idempotency_wait = Duration::from_secs(wait_s);
            ask
        };
        let began = Instant::now();
        let mut foreign = ask();
        foreign.caller.org_id = Some(OrgId::new("org-2"));
        let [first, second, third, foreign] = [ask(), ask(), ask(), foreign].map(|ask| {
            let engine = rig.engine.clone();
            tokio::spawn(async move { (engine.send(ask).await, began.elapsed()) })
        });
        let gate = async {
            tokio::time::sleep(Duration::from_millis(3_500)).await;
            rig.upstream.gate.write().await
        };
        let (second, third, foreign, closed) = tokio::join!(second, third, foreign, gate);
        let (told, after) = foreign.unwrap();
        assert_eq!(told.unwrap_err().kind, ErrorKind::OrgForbidden);
        assert!(after.is_zero(), "{after:?}");
        for (told, after) in [second.unwrap(), third.unwrap()] {
            assert_eq!(told.unwrap_err().kind, ErrorKind::IdempotencyInProgress);
            assert_eq!(after.as_secs(), wait_s);
        }
        drop(closed);
        let (told, _) = first.await.unwrap();
        assert!(told.unwrap().outcome.result.is_ok());
        assert_eq!(rig.upstream.sent_to().len(), 5, "never a second send");
    }
}

#[tokio::test]
async fn a_key_of_another_request_is_told_ahead_of_sender_and_content_or_behind_them() {
    use ErrorKind::{IdempotencyConflict, NumberNotFound, OrgForbidden, TemplateNotFound};
    let rig = Rig::new().await;
    rig.approve_template("note");
    let ask = |name: &str, fingerprint| keyed(send_to("cust-1", template(name)), "k", fingerprint);
    rig.engine.send(ask("note", 1)).await.unwrap();
    for (conflicts_first, org, number, name, refusal) in [
        (true, "org-1", Some("gone"), "other", IdempotencyConflict),
        (true, "org-2", None, "note", OrgForbidden),
        (false, "org-1", None, "note", IdempotencyConflict),
        (false, "org-1", Some("gone"), "note", NumberNotFound),
        (false, "org-1", None, "other", TemplateNotFound),
        (false, "org-2", None, "note", OrgForbidden),
    ] {
        let mut other = ask(name, 2);
        other.conflicts_first = conflicts_first;
        other.caller.org_id = Some(OrgId::new(org));
        other.command.number = number.map(str::to_owned);
        assert_eq!(rig.engine.send(other).await.unwrap_err().kind, refusal);
    }
    assert_eq!(rig.upstream.sent_to().len(), 1, "never a second send");
}

/// The first caller was told that nobody knows. The second is told the same, or waits to hear more.
#[tokio::test(start_paused = true)]
async fn a_repetition_of_what_is_unknown_is_told_so_or_waits_for_more() {
    const WAIT: Duration = Duration::from_secs(30);
    for (awaits_unknown, status_comes, expected) in [
        (false, false, Some(ErrorKind::OutcomeUnknown)),
        (true, false, Some(ErrorKind::IdempotencyInProgress)),
        (true, true, None),
    ] {
        let rig = Rig::timed().await;
        rig.upstream.next(lost());
        let ask = || {
            let mut ask = keyed(send_to("cust-1", text("one")), "k", 1);
            (ask.awaits_unknown, ask.idempotency_wait) = (awaits_unknown, WAIT);
            ask
        };
        let first = rig.engine.send(ask()).await.unwrap().outcome;
        assert_eq!(first.result.unwrap_err().kind, ErrorKind::OutcomeUnknown);
        let (engine, again, began) = (rig.engine.clone(), ask(), Instant::now());
        let again = tokio::spawn(async move { engine.send(again).await });
        if status_comes {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let token = rig.upstream.seen.lock()[0].token.clone();
            let late = rig.notice("wamid.late", Report::Sent);
            let late = StatusNotice { opaque: Some(token), ..late };
            rig.receive(vec![UpstreamEvent::Status(late)]).await;
        }
        let told = again.await.unwrap().and_then(|answer| answer.outcome.result);
        let waited = if awaits_unknown && !status_comes { WAIT } else { Duration::ZERO };
        assert!(began.elapsed() >= waited, "{:?}", began.elapsed());
        assert_eq!(told.err().map(|failure| failure.kind), expected);
        assert_eq!(rig.upstream.sent_to().len(), 1, "never a second send");
    }
}
