//! What goes when its time is over, what stays whatever its age, and how queues are counted.

use std::collections::HashSet;

use bytes::Bytes;
use waypost_domain::call::Call;
use waypost_domain::media::MimeType;
use waypost_domain::status::Report;
use waypost_domain::{MediaId, MessageId, NumberId, OrgId};
use waypost_engine::ports::{
    AttemptCall, CustomerFilter, Entry, EntryKey, EventFilter, Haste, IdempotencyClaim,
    MediaRecord, MessageFilter, Page, Sha256Hex, Signer, Start, UpstreamCopy,
};

use crate::Harness;
use crate::samples::{
    NUMBER, ORG, START, Stage, at, claim, customer, inbound, message, now_due, number, number_id,
    org, org_id, refused, report, retry, unknown, unknown_until,
};

/// Long after everything.
const LATE_MS: i64 = 1_000_000;
const ALL: Page = Page { after: None, limit: 1_000 };

/// Into the queue, not before an instant.
fn queued_at(due_at: waypost_domain::Timestamp) -> Start {
    Start::Queue { due_at, place: now_due().place() }
}

/// Prunes until nothing older is left; returns how many messages were deleted.
async fn prune(stage: &Stage, before_ms: i64) -> u64 {
    let (mut after, mut deleted) = (0, 0);
    loop {
        let pruned = stage.store.prune_messages(&org_id(), at(before_ms), after).await.unwrap();
        deleted += pruned.deleted;
        match pruned.next {
            Some(next) => after = next,
            None => return deleted,
        }
    }
}

async fn exists(stage: &Stage, id: MessageId) -> bool {
    stage.store.message(&org_id(), id).await.unwrap().is_some()
}

pub async fn ended_messages_go_with_everything_of_theirs(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (sent, failed, young) = (message(1), message(2), message(3));
    let young = waypost_domain::message::Message { created_at: at(500), ..young };
    stage.send(&sent, "wamid.1").await;
    stage.apply(report("wamid.1", Report::Read, at(200))).await;
    let attempt = stage.begin(&failed).await;
    stage.settle(failed.id, attempt, refused()).await;
    stage.store.record_inbound(inbound(1, "wamid.in"), START).await.unwrap();
    stage.send(&young, "wamid.3").await;
    let newest = message(4);
    stage.send(&newest, "wamid.4").await;
    let stage = stage.reopen(harness).await;
    assert_eq!(prune(&stage, 500).await, 3, "two that were sent, one that came in");
    assert!(!exists(&stage, sent.id).await && !exists(&stage, failed.id).await);
    assert!(exists(&stage, young.id).await, "it is not old enough");
    assert!(exists(&stage, newest.id).await, "the newest place of all is kept");
    assert_eq!(stage.list(&MessageFilter::default()).await.len(), 2);
    // Its upstream id means nothing any more: a late report waits for a message of that id.
    let late = stage.apply(report("wamid.1", Report::Delivered, at(300))).await;
    assert_eq!(late, waypost_engine::ports::ReportEffect::Parked);
    assert_eq!(prune(&stage, 500).await, 0);
}

/// Messages for which something may still be done, of an age beyond every retention. Returns those
/// that are gone.
pub async fn pending_messages_lost_to_retention(harness: &dyn Harness) -> Vec<&'static str> {
    let stage = Stage::new(harness).await;
    let mut pending = Vec::new();
    let queued = message(1);
    pending.push(("queued", stage.queue(&queued).await));
    let later = queued_at(at(10 * LATE_MS));
    let scheduled = message(2);
    stage.store.accept(scheduled.clone(), later, None).await.unwrap();
    pending.push(("to be sent later", scheduled.id));
    let on_its_way = message(3);
    stage.begin(&on_its_way).await;
    pending.push(("on its way", on_its_way.id));
    for (what, last, settlement) in [
        ("to be tried again", 4, retry(at(10 * LATE_MS), true)),
        ("held by its caller", 5, retry(at(10), false)),
        ("to be resent", 6, unknown_until(Some(at(10 * LATE_MS)))),
    ] {
        let message = message(last);
        let attempt = stage.begin(&message).await;
        stage.settle(message.id, attempt, settlement).await;
        pending.push((what, message.id));
    }
    let ended = message(7);
    let attempt = stage.begin(&ended).await;
    stage.settle(ended.id, attempt, unknown()).await;
    stage.send(&message(8), "wamid.8").await;
    let deleted = prune(&stage, LATE_MS).await;
    assert!(deleted >= 1 && !exists(&stage, ended.id).await, "what has ended goes");
    let mut lost = Vec::new();
    for (what, id) in pending {
        if !exists(&stage, id).await {
            lost.push(what);
        }
    }
    lost
}

pub async fn what_may_still_be_sent_stays_whatever_its_age(harness: &dyn Harness) {
    assert_eq!(pending_messages_lost_to_retention(harness).await, Vec::<&str>::new());
}

pub async fn what_is_told_of_calls_goes_with_its_message(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let retried = message(1);
    let first = stage.begin(&retried).await;
    stage.settle(retried.id, first, retry(at(50), true)).await;
    let second = crate::samples::new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, retried.id, second, at(60)).await.unwrap();
    stage.settle(retried.id, second, crate::samples::sent("wamid.1")).await;
    let told = |status| AttemptCall {
        attempt_id: if status == 429 { first } else { second },
        call: Call { path: "/messages".to_owned(), status: Some(status), ..Call::default() },
    };
    stage.store.note_calls(vec![told(429), told(200)]).await.unwrap();
    stage.store.note_calls(vec![told(200)]).await.unwrap();
    stage.send(&message(2), "wamid.2").await;
    let stage = stage.reopen(harness).await;
    let history = stage.history(retried.id).await;
    let calls = history.attempts.iter().map(|attempt| attempt.call.clone().unwrap().status);
    assert_eq!(calls.collect::<Vec<_>>(), [Some(429), Some(200)]);
    assert_eq!(prune(&stage, LATE_MS).await, 1);
    assert!(!exists(&stage, retried.id).await);
}

pub async fn keys_go_before_what_they_stand_for(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let other = OrgId::new("other");
    stage.put(Entry::Org(org("other"))).await;
    stage.put(Entry::Number(number("100000000000002", "other"))).await;
    let mut claims = Vec::new();
    for (org_id, key, created_ms) in [
        (org_id(), "old", 0),
        (other.clone(), "old", 0),
        (other.clone(), "older than others are kept", 300),
        (org_id(), "young", 800),
    ] {
        let mut message =
            waypost_domain::message::Message { created_at: at(created_ms), ..message(1) };
        if org_id == other {
            message.number_id = NumberId::new("100000000000002");
        }
        message.org_id = org_id.clone();
        let claim = IdempotencyClaim { org_id, ..claim(key, 1) };
        claims.push(claim.clone());
        stage.store.accept(message, now_due(), Some(claim)).await.unwrap();
    }
    let kept = async || {
        let mut kept = Vec::new();
        for claim in &claims {
            let (org_id, route, key) = (&claim.org_id, &claim.route, &claim.key);
            let found = stage.store.idempotent_target(org_id, route, key, START).await.unwrap();
            kept.push(found.is_some());
        }
        kept
    };
    for (before, pruned, goes_on, left) in [
        (vec![], 0, false, [true, true, true, true]),
        (vec![("gone", 500)], 0, false, [true, true, true, true]),
        (vec![(ORG, 500), ("other", 200)], 2, false, [false, false, true, true]),
        (vec![("other", 900)], 1, true, [false, false, false, true]),
        (vec![(ORG, 900)], 1, true, [false, false, false, false]),
    ] {
        let before = before.into_iter().map(|(id, before_ms)| (OrgId::new(id), at(before_ms)));
        let before = std::sync::Arc::new(before.collect());
        let step = stage.store.prune_keys(&before, 0).await.unwrap();
        assert_eq!((step.deleted, step.next.is_some()), (pruned, goes_on), "{before:?}");
        assert_eq!(kept().await, left, "{before:?}");
        if let Some(next) = step.next {
            let step = stage.store.prune_keys(&before, next).await.unwrap();
            assert_eq!((step.deleted, step.next), (0, None), "{before:?}");
        }
    }
}

pub async fn events_go_with_age_and_only_once_told(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for last in 1..=3 {
        stage.send(&message(last), &format!("wamid.{last}")).await;
    }
    let left = async |stage: &Stage| {
        stage.store.events(&org_id(), &EventFilter::default(), ALL).await.unwrap().data.len()
    };
    let before = at(LATE_MS);
    assert_eq!(stage.store.prune_events_of(&org_id(), before).await.unwrap(), 0, "none was told");
    let last = stage.store.last_event().await.unwrap();
    stage.store.add_callbacks(Vec::new(), Some(last), START).await.unwrap();
    assert_eq!(stage.store.prune_events_of(&org_id(), START).await.unwrap(), 0, "none is old");
    assert_eq!(stage.store.prune_events_of(&OrgId::new("other"), before).await.unwrap(), 0);
    assert_eq!(stage.store.prune_events_of(&org_id(), before).await.unwrap(), 2);
    assert_eq!(stage.store.prune_events_of(&org_id(), before).await.unwrap(), 0);
    assert_eq!(left(&stage).await, 1, "the newest stays");
    let stage = stage.reopen(harness).await;
    assert_eq!(stage.store.last_event().await.unwrap(), last);
}

pub async fn what_was_never_matched_goes_with_age(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.apply_report(report("wamid.nobody", Report::Sent, START), START).await.unwrap();
    let (body, signer) = (Bytes::from_static(b"{}"), Signer::Installation);
    let id = stage.store.store_webhook(body, signer, START).await.unwrap();
    stage.store.close_webhooks(vec![id], true).await.unwrap();
    let content = Sha256Hex::from_stored("a".repeat(64));
    let png = MimeType::parse("image/png").unwrap();
    let copy = UpstreamCopy { upstream_id: "m-1".to_owned(), expires_at: at(10) };
    stage.store.put_upstream_copy(&content, &png, &number_id(), copy).await.unwrap();
    let prune = async |now_ms| {
        let now = at(now_ms);
        [
            stage.store.prune_parked_reports(now).await.unwrap(),
            stage.store.prune_kept_webhooks(now).await.unwrap(),
            stage.store.prune_upstream_copies(now).await.unwrap(),
        ]
    };
    assert_eq!(prune(0).await, [0, 0, 0], "they are not old");
    assert_eq!(stage.store.queue_totals(START).await.unwrap().parked_reports, 1);
    assert_eq!(prune(10).await, [1, 1, 1]);
    assert_eq!(prune(10).await, [0, 0, 0]);
    assert_eq!(stage.store.queue_totals(START).await.unwrap().parked_reports, 0);
}

pub async fn what_a_removed_organisation_leaves_is_deleted_in_steps(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create_customer(customer("c1", 1)).await.unwrap();
    stage.store.record_inbound(inbound(2, "wamid.in"), START).await.unwrap();
    stage.queue(&message(1)).await;
    stage.store.add_media(media("1", "a", START), None).await.unwrap();
    assert!(!stage.store.prune_removed_orgs().await.unwrap(), "nothing was removed");
    assert!(stage.store.remove_entry(EntryKey::Org(org_id())).await.unwrap());
    let stage = stage.reopen(harness).await;
    let content = Sha256Hex::from_stored("a".repeat(64));
    let used = async || stage.store.contents_in_use(vec![content.clone()]).await.unwrap().len();
    assert_eq!(used().await, 1, "it is deleted later");
    while stage.store.prune_removed_orgs().await.unwrap() {}
    assert_eq!(used().await, 0);
    stage.put(Entry::Org(org(ORG))).await;
    stage.put(Entry::Number(number(NUMBER, ORG))).await;
    assert!(stage.due(at(LATE_MS)).await.is_empty());
    let filter = CustomerFilter::default();
    assert!(stage.store.customers(&org_id(), &filter, ALL).await.unwrap().data.is_empty());
    assert_eq!(stage.store.queue_totals(at(LATE_MS)).await.unwrap().due, 0);
}

fn media(id: &str, content: &str, created_at: waypost_domain::Timestamp) -> MediaRecord {
    MediaRecord {
        id: MediaId::new(format!("100000000000000{id}")),
        org_id: org_id(),
        sha256: Sha256Hex::from_stored(content.repeat(64)),
        size: 5,
        mime_type: MimeType::parse("image/png").unwrap(),
        filename: None,
        public_name: format!("unguessable-{id}"),
        created_at,
        expires_at: at(LATE_MS),
    }
}

pub async fn old_files_and_contents_in_use_are_told(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for record in [media("1", "a", START), media("2", "a", at(5)), media("3", "b", at(10))] {
        stage.store.add_media(record, None).await.unwrap();
    }
    let old = async |before_ms, limit| {
        stage.store.media_stored_before(&org_id(), at(before_ms), limit).await.unwrap()
    };
    assert_eq!(old(0, 10).await, []);
    assert_eq!(old(10, 10).await, [media("1", "a", START).id, media("2", "a", START).id]);
    assert_eq!(old(10, 1).await, [media("1", "a", START).id]);
    let content = |text: &str| Sha256Hex::from_stored(text.repeat(64));
    let asked = vec![content("a"), content("b"), content("c")];
    let used = stage.store.contents_in_use(asked).await.unwrap();
    assert_eq!(used, HashSet::from([content("a"), content("b")]));
}

pub async fn queues_are_counted_by_what_they_wait_for(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    assert_eq!(stage.store.queue_totals(START).await.unwrap(), Default::default());
    assert!(stage.store.number_queues(START).await.unwrap().is_empty());
    for last in 1..=2 {
        stage.queue(&message(last)).await;
    }
    let later = queued_at(at(1_000));
    stage.store.accept(message(3), later, None).await.unwrap();
    stage.begin(&message(4)).await;
    let lost = message(5);
    let attempt = stage.begin(&lost).await;
    stage.settle(lost.id, attempt, unknown()).await;
    let (body, signer) = (Bytes::from_static(b"{}"), Signer::Installation);
    stage.store.store_webhook(body, signer, START).await.unwrap();
    let stage = stage.reopen(harness).await;
    let totals = stage.store.queue_totals(at(500)).await.unwrap();
    assert_eq!((totals.due, totals.later, totals.broadcast), (2, 1, 0));
    assert_eq!((totals.sending, totals.unknown, totals.webhooks), (1, 1, 1));
    assert_eq!(totals.oldest_due_at, Some(START));
    let [queue] = &stage.store.number_queues(at(500)).await.unwrap()[..] else {
        panic!("one number has something waiting");
    };
    assert_eq!((&queue.number_id, queue.due, queue.later), (&number_id(), 2, 1));
    assert_eq!(queue.next_due_at, Some(at(1_000)));
    let totals = stage.store.queue_totals(at(1_000)).await.unwrap();
    assert_eq!((totals.due, totals.later), (3, 0));
}
