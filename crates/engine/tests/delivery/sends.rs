//! One message whose caller waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use waypost_domain::command::Receipt;
use waypost_domain::customer::Customer;
use waypost_domain::event::EventKind;
use waypost_domain::retry::RetryClass;
use waypost_domain::status::Report;
use waypost_domain::{CustomerId, ErrorKind, Failure, OrgId, Status, UpstreamFault};
use waypost_engine::ports::{
    EventFilter, Page, SendOutcome, Signer, StatusNotice, StoreError, StoreResult, UpstreamEvent,
};
use waypost_store_sqlite::{Moment, Options, Turns};

use crate::rig::{Rig, keyed, lost, phone, refused, send_to, text, too_fast};

#[tokio::test]
async fn a_text_is_sent_and_recorded() {
    let rig = Rig::new().await;
    let answer = rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap();
    let delivery = answer.outcome;
    let receipt = delivery.result.unwrap();
    assert_eq!(receipt, Receipt { wamid: "wamid.1".into(), wa_id: "15550001111".into() });
    assert!(!answer.replayed);
    let stored = rig.stored(delivery.id).await;
    assert_eq!(stored.status, Status::Sent);
    assert_eq!(stored.session_id.as_deref(), Some("chat-1"));
}

#[tokio::test]
async fn what_is_refused_at_the_door_leaves_nothing() {
    let rig = Rig::new().await;
    for (customer, kind) in
        [("cust-2", ErrorKind::WindowClosed), ("cust-9", ErrorKind::CustomerNotFound)]
    {
        let failure = rig.engine.send(send_to(customer, text("hello"))).await.unwrap_err();
        assert_eq!(failure.kind, kind);
    }
    let mut foreign = send_to("cust-1", text("hello"));
    foreign.command.org_id = OrgId::new("org-2");
    assert_eq!(rig.engine.send(foreign).await.unwrap_err().kind, ErrorKind::OrgForbidden);
    assert!(rig.upstream.sent_to().is_empty());
    assert_eq!(rig.engine.metrics().messages_accepted, 0);
}

#[tokio::test]
async fn a_refusal_by_the_upstream_is_told_and_frees_the_idempotency_key() {
    let rig = Rig::new().await;
    rig.upstream.next(refused(ErrorKind::RecipientUnreachable, RetryClass::Never));
    let first = rig.engine.send(keyed(send_to("cust-1", text("hello")), "k", 1)).await.unwrap();
    assert_eq!(first.outcome.result.unwrap_err().kind, ErrorKind::RecipientUnreachable);
    assert_eq!(rig.stored(first.outcome.id).await.status, Status::Failed);
    let second = rig.engine.send(keyed(send_to("cust-1", text("hello")), "k", 1)).await.unwrap();
    assert!(second.outcome.result.is_ok());
    assert!(!second.replayed);
}

#[tokio::test]
async fn the_same_idempotency_key_is_one_message() {
    let rig = Rig::new().await;
    let first = rig.engine.send(keyed(send_to("cust-1", text("hello")), "k", 1)).await.unwrap();
    let again = rig.engine.send(keyed(send_to("cust-1", text("hello")), "k", 1)).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.outcome, first.outcome);
    let other = rig.engine.send(keyed(send_to("cust-1", text("other")), "k", 2)).await;
    assert_eq!(other.unwrap_err().kind, ErrorKind::IdempotencyConflict);
    assert_eq!(rig.upstream.sent_to().len(), 1);
}

#[tokio::test]
async fn sixty_four_callers_with_one_key_are_one_message() {
    let rig = Rig::new().await;
    let callers = (0..64).map(|_| {
        let engine = rig.engine.clone();
        tokio::spawn(
            async move { engine.send(keyed(send_to("cust-1", text("hello")), "k", 1)).await },
        )
    });
    let mut ids = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        ids.push(caller.await.unwrap().unwrap().outcome.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(rig.upstream.sent_to().len(), 1);
}

#[tokio::test]
async fn a_second_caller_is_told_that_the_first_still_runs() {
    let rig = Rig::new().await;
    let closed = rig.upstream.gate.write().await;
    let engine = rig.engine.clone();
    let first =
        tokio::spawn(
            async move { engine.send(keyed(send_to("cust-1", text("hello")), "k", 1)).await },
        );
    while rig.upstream.sent_to().is_empty() {
        tokio::task::yield_now().await;
    }
    let second = rig.engine.send(keyed(send_to("cust-1", text("hello")), "k", 1)).await;
    assert_eq!(second.unwrap_err().kind, ErrorKind::IdempotencyInProgress);
    drop(closed);
    assert!(first.await.unwrap().unwrap().outcome.result.is_ok());
}

#[tokio::test]
async fn too_fast_for_the_upstream_is_tried_again_within_the_callers_patience() {
    let rig = Rig::new().await;
    rig.upstream.next(refused(ErrorKind::RateLimited, RetryClass::Pace));
    let answer = rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap();
    assert!(answer.outcome.result.is_ok());
    assert_eq!(rig.upstream.sent_to().len(), 2);
    let tokens: Vec<String> =
        rig.upstream.seen.lock().iter().map(|seen| seen.token.clone()).collect();
    assert_ne!(tokens[0], tokens[1], "each attempt has its own token");
}

#[tokio::test]
async fn an_upstream_that_is_down_is_told_and_the_message_is_closed() {
    let rig = Rig::new().await;
    for _ in 0..2 {
        rig.upstream.next(refused(ErrorKind::UpstreamUnavailable, RetryClass::BackOff));
    }
    let answer = rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap();
    assert_eq!(answer.outcome.result.unwrap_err().kind, ErrorKind::UpstreamUnavailable);
    assert_eq!(rig.stored(answer.outcome.id).await.status, Status::Failed);
    assert_eq!(rig.upstream.sent_to().len(), 2);
}

fn status(rig: &Rig, place: usize, wamid: &str, report: Report) -> UpstreamEvent {
    let token = rig.upstream.seen.lock()[place].token.clone();
    UpstreamEvent::Status(StatusNotice { opaque: Some(token), ..rig.notice(wamid, report) })
}

#[tokio::test]
async fn a_lost_reply_is_unknown_and_a_status_settles_it_for_the_caller() {
    let rig = Rig::new().await;
    rig.upstream.next(lost());
    let closed = rig.upstream.gate.write().await;
    let engine = rig.engine.clone();
    let caller = tokio::spawn(async move { engine.send(send_to("cust-1", text("hello"))).await });
    while rig.upstream.sent_to().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(closed);
    while rig.engine.metrics().messages_unknown == 0 {
        tokio::task::yield_now().await;
    }
    rig.receive(vec![status(&rig, 0, "wamid.late", Report::Sent)]).await;
    let delivery = caller.await.unwrap().unwrap().outcome;
    assert_eq!(delivery.result.unwrap().wamid, "wamid.late");
    assert_eq!(rig.upstream.sent_to().len(), 1, "nothing is sent twice");
}

#[tokio::test(start_paused = true)]
async fn without_a_status_the_caller_is_told_that_the_outcome_is_unknown() {
    let rig = Rig::new().await;
    rig.upstream.next(lost());
    let delivery = rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap().outcome;
    assert_eq!(delivery.result.unwrap_err().kind, ErrorKind::OutcomeUnknown);
    assert_eq!(rig.stored(delivery.id).await.status, Status::Unknown);
    assert_eq!(rig.upstream.sent_to().len(), 1);
}

/// Takes two seconds for each write once it is slow.
#[derive(Default)]
struct SlowDisk {
    is_slow: AtomicBool,
}

#[async_trait]
impl Turns for SlowDisk {
    async fn turn(&self, moment: Moment) -> StoreResult<()> {
        if moment == Moment::Write && self.is_slow.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        tokio::task::yield_now().await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_status_is_told_before_what_it_teaches_is_recorded() {
    let disk = Arc::new(SlowDisk::default());
    let rig = Rig::timed_with(Arc::clone(&disk) as Arc<dyn Turns>).await;
    rig.upstream.next(lost());
    let had_enough = UpstreamFault { code: Some(131_049), ..UpstreamFault::default() };
    let mut failure = Failure::new(ErrorKind::RejectedByUpstream, "had enough");
    failure.upstream = Some(had_enough);
    let reporting = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        disk.is_slow.store(true, Ordering::SeqCst);
        let notice = StatusNotice {
            opaque: Some(rig.upstream.seen.lock()[0].token.clone()),
            failure: Some(failure.clone()),
            ..rig.notice("wamid.lost", Report::Failed)
        };
        rig.events.0.lock().push(vec![UpstreamEvent::Status(notice)]);
        rig.engine.receive_webhook("0".into(), Signer::Installation).await.unwrap();
    };
    let (told, ()) = tokio::join!(rig.engine.send(send_to("cust-1", text("hello"))), reporting);
    // It is kept and applied before its caller's five seconds are over, and recorded after them.
    assert_eq!(told.unwrap().outcome.result.unwrap().wamid, "wamid.lost");
}

#[tokio::test]
async fn a_status_that_overtakes_the_reply_is_not_lost() {
    let rig = Rig::new().await;
    let closed = rig.upstream.gate.write().await;
    rig.upstream.next(SendOutcome::Sent(Receipt {
        wamid: "wamid.fast".to_owned(),
        wa_id: "15550001111".to_owned(),
    }));
    let engine = rig.engine.clone();
    let caller = tokio::spawn(async move { engine.send(send_to("cust-1", text("hello"))).await });
    while rig.upstream.sent_to().is_empty() {
        tokio::task::yield_now().await;
    }
    let fast = rig.notice("wamid.fast", Report::Read);
    rig.receive(vec![UpstreamEvent::Status(fast)]).await;
    assert_eq!(rig.engine.metrics().statuses_parked, 1);
    drop(closed);
    let delivery = caller.await.unwrap().unwrap().outcome;
    assert_eq!(delivery.result.unwrap().wamid, "wamid.fast");
    assert_eq!(rig.stored(delivery.id).await.status, Status::Read);
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_stop_the_message() {
    let rig = Rig::new().await;
    let closed = rig.upstream.gate.write().await;
    let engine = rig.engine.clone();
    let caller = tokio::spawn(async move { engine.send(send_to("cust-1", text("hello"))).await });
    while rig.upstream.sent_to().is_empty() {
        tokio::task::yield_now().await;
    }
    caller.abort();
    drop(closed);
    while rig.engine.metrics().messages_sent == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_long_wait_that_the_upstream_asks_for_counts_for_the_whole_number() {
    let rig = Rig::new().await;
    rig.upstream.next(too_fast(RetryClass::Pace, 60));
    let told = rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap().outcome;
    assert_eq!(told.result.unwrap_err().kind, ErrorKind::RateLimited);
    let next = rig.engine.send(send_to("cust-1", text("hello"))).await.unwrap_err();
    assert_eq!(next.kind, ErrorKind::RateLimited);
    assert_eq!(rig.upstream.sent_to().len(), 1);
}

#[tokio::test]
async fn a_further_attempt_waits_for_its_turn_or_is_not_made() {
    let rig = Rig::new().await;
    let closed = rig.upstream.gate.write().await;
    rig.upstream.next(too_fast(RetryClass::Pace, 0));
    rig.upstream.next(too_fast(RetryClass::Pace, 60));
    let callers = [(), ()].map(|()| {
        let engine = rig.engine.clone();
        tokio::spawn(async move { engine.send(send_to("cust-1", text("hello"))).await })
    });
    rig.saw(2).await;
    drop(closed);
    for caller in callers {
        let delivery = caller.await.unwrap().unwrap().outcome;
        assert_eq!(delivery.result.unwrap_err().kind, ErrorKind::RateLimited);
        assert_eq!(rig.stored(delivery.id).await.status, Status::Failed);
    }
    assert_eq!(rig.upstream.sent_to().len(), 2);
}

#[tokio::test]
async fn an_outcome_that_cannot_be_recorded_is_told_as_unknown_and_recorded_later() {
    let rig = Rig::with(&Options { max_pages: Some(300), ..Options::default() }).await;
    let closed = rig.upstream.gate.write().await;
    // Too long for any page that has room.
    let wamid = format!("wamid.{}", "x".repeat(60_000));
    let receipt = Receipt { wamid: wamid.clone(), wa_id: "15550001111".to_owned() };
    rig.upstream.next(SendOutcome::Sent(receipt));
    let engine = rig.engine.clone();
    let caller =
        tokio::spawn(
            async move { engine.send(keyed(send_to("cust-1", text("hello")), "k", 1)).await },
        );
    rig.saw(1).await;
    let ballast = fill(&rig).await;
    drop(closed);
    let told = caller.await.unwrap().unwrap_err();
    assert_eq!(told.kind, ErrorKind::OutcomeUnknown);
    let (org_id, store) = (OrgId::new("org-1"), rig.engine.store());
    for id in ballast {
        // What shares a commit with the outcome finds no room either.
        while let Err(error) = store.delete_customer(&org_id, &id).await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
    }
    while rig.engine.metrics().messages_sent == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let again = rig.engine.send(keyed(send_to("cust-1", text("hello")), "k", 1)).await.unwrap();
    assert_eq!(again.outcome.result.unwrap().wamid, wamid);
    assert_eq!(rig.upstream.sent_to().len(), 1, "nothing is sent twice");
}

/// Takes nothing while it is full.
#[derive(Default)]
struct Disk {
    is_full: AtomicBool,
}

#[async_trait]
impl Turns for Disk {
    async fn turn(&self, moment: Moment) -> StoreResult<()> {
        tokio::task::yield_now().await;
        match moment {
            Moment::Write if self.is_full.load(Ordering::SeqCst) => {
                Err(StoreError::Unavailable("the disk is full".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// What callers of the organisation were told in lists, oldest first.
async fn logged(rig: &Rig) -> Vec<EventKind> {
    let page = Page { after: None, limit: 10 };
    let filter = EventFilter::default();
    let events = rig.engine.events(&OrgId::new("org-1"), &filter, page).await.unwrap();
    events.data.iter().map(|logged| logged.event.kind).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_not_attempted_again_because_of_a_full_disk_is_closed_and_told_later() {
    // Full between two attempts, and already when the first one's outcome is recorded.
    for (full_after_ms, called_ms) in [(1_000, 0), (0, 1_000)] {
        let disk = Arc::new(Disk::default());
        let rig = Rig::timed_with(Arc::clone(&disk) as Arc<dyn Turns>).await;
        let called = rig.upstream.gate.write().await;
        rig.upstream.next(too_fast(RetryClass::Pace, 2));
        let filling = async {
            rig.saw(1).await;
            tokio::time::sleep(Duration::from_millis(full_after_ms)).await;
            disk.is_full.store(true, Ordering::SeqCst);
        };
        let calling = async {
            rig.saw(1).await;
            tokio::time::sleep(Duration::from_millis(called_ms)).await;
            drop(called);
        };
        let asked = || keyed(send_to("cust-1", text("hello")), "k", 1);
        let (told, (), ()) = tokio::join!(rig.engine.send(asked()), filling, calling);
        assert_eq!(told.unwrap_err().kind, ErrorKind::Unavailable);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(logged(&rig).await.is_empty(), "nothing is told that is not recorded");
        disk.is_full.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(logged(&rig).await, [EventKind::MessageFailed], "full after {full_after_ms}");
        let again = rig.engine.send(asked()).await.unwrap();
        assert!(!again.replayed && again.outcome.result.is_ok(), "its key is free");
        assert_eq!(rig.upstream.sent_to().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_again_late_because_of_a_full_disk_is_attempted_again() {
    let disk = Arc::new(Disk::default());
    let rig = Rig::timed_with(Arc::clone(&disk) as Arc<dyn Turns>).await;
    let called = rig.upstream.gate.write().await;
    rig.upstream.next(too_fast(RetryClass::Pace, 1));
    let queued = rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap().outcome;
    rig.saw(1).await;
    disk.is_full.store(true, Ordering::SeqCst);
    drop(called);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.stored(queued.id).await.status, Status::Sending);
    disk.is_full.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.stored(queued.id).await.status, Status::Sent);
}

#[tokio::test]
async fn a_full_store_is_not_ready_and_is_tried_by_itself_until_it_writes_again() {
    let rig = Rig::with(&Options { max_pages: Some(300), ..Options::default() }).await;
    assert_eq!(rig.engine.is_ready(), Ok(()));
    fill(&rig).await;
    let why = rig.engine.is_ready().unwrap_err();
    assert!(why.contains("full"), "{why}");
    // What is tried is small enough for the pages that are there.
    while rig.engine.is_ready().is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fills the store with customers until it takes no more.
async fn fill(rig: &Rig) -> Vec<CustomerId> {
    let mut made = Vec::new();
    for size in [40_000, 2_000] {
        for place in 0.. {
            let id = CustomerId::new(format!("ballast-{size}-{place}"));
            let customer = Customer {
                org_id: OrgId::new("org-1"),
                id: id.clone(),
                phone: phone(&format!("1555{size:05}{place:04}")),
                name: Some("x".repeat(size)),
                tags: Vec::new(),
                consent: None,
                active: true,
                created_at: rig.engine.now(),
                last_inbound_at: None,
            };
            match rig.engine.store().create_customer(customer).await {
                Ok(()) => made.push(id),
                Err(error) => {
                    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                    break;
                }
            }
        }
    }
    made
}
