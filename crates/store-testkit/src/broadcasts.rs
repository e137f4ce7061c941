//! Broadcasts: preparation, start, pause, cancellation, progress.

use uuid::Uuid;
use waypost_domain::content::TemplateMessage;
use waypost_domain::message::{BroadcastRecord, BroadcastState, Message};
use waypost_domain::{BroadcastId, Content, CustomerId, MessageId, OrgId, Status};
use waypost_engine::ports::{
    Accepted, BroadcastMember, Haste, IdempotentTarget, MessageFilter, Page, StoreError,
};

use crate::Harness;
use crate::samples::{
    START, Stage, at, claim, customer, message, new_attempt, new_message_id, number_id, org_id,
    phone, refused, retry, sent,
};

fn record() -> BroadcastRecord {
    BroadcastRecord {
        id: BroadcastId(Uuid::now_v7()),
        org_id: org_id(),
        number_id: number_id(),
        template: "offer".to_owned(),
        audience: 3,
        created_at: START,
        state: BroadcastState::Running,
    }
}

fn model(record: &BroadcastRecord) -> Message {
    let content = Content::Template(TemplateMessage {
        name: record.template.clone(),
        language: Some("en".to_owned()),
        components: Vec::new(),
    });
    Message {
        broadcast_id: Some(record.id),
        content,
        session_id: Some("spring".to_owned()),
        ..message(0)
    }
}

fn members(count: u32) -> Vec<BroadcastMember> {
    (0..count)
        .map(|last| BroadcastMember {
            message_id: new_message_id(),
            customer_id: CustomerId::new(format!("c{last}")),
            phone: phone(last),
        })
        .collect()
}

/// A prepared broadcast with members.
async fn prepare(stage: &Stage, count: u32) -> (BroadcastRecord, Vec<MessageId>) {
    let record = record();
    let accepted =
        stage.store.prepare_broadcast(record.clone(), model(&record), None).await.unwrap();
    assert_eq!(accepted, Accepted::New);
    let members = members(count);
    let ids = members.iter().map(|member| member.message_id).collect();
    stage.store.add_broadcast_members(record.id, members).await.unwrap();
    (record, ids)
}

/// A broadcast that has begun, and its members.
pub async fn start(stage: &Stage, count: u32) -> (BroadcastRecord, Vec<MessageId>) {
    let (record, ids) = prepare(stage, count).await;
    stage.store.start_broadcast(record.id, at(1)).await.unwrap();
    (record, ids)
}

async fn set_state(stage: &Stage, id: BroadcastId, state: BroadcastState) -> bool {
    stage.store.set_broadcast_state(&org_id(), id, state, at(50)).await.unwrap()
}

async fn counts(stage: &Stage, id: BroadcastId) -> Vec<(Status, u64)> {
    stage.store.broadcast(&org_id(), id).await.unwrap().unwrap().by_status
}

pub async fn a_prepared_broadcast_is_not_seen_and_not_due(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (record, ids) = prepare(&stage, 3).await;
    assert!(stage.due(at(10_000)).await.is_empty());
    assert_eq!(stage.store.next_due_at(&number_id()).await.unwrap(), None);
    assert!(stage.list(&MessageFilter::default()).await.is_empty());
    assert_eq!(stage.store.message(&org_id(), ids[0]).await.unwrap(), None);
    assert_eq!(stage.store.broadcast(&org_id(), record.id).await.unwrap(), None);
    let page = Page { after: None, limit: 10 };
    assert!(stage.store.broadcasts(&org_id(), page).await.unwrap().data.is_empty());
    let begun =
        stage.store.begin_attempt(Haste::AtOnce, ids[0], new_attempt(), at(1)).await.unwrap();
    assert_eq!(begun, None);
    assert!(!set_state(&stage, record.id, BroadcastState::Paused).await);
}

pub async fn a_started_broadcast_is_due_in_the_order_of_its_members(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (record, ids) = start(&stage, 3).await;
    assert_eq!(stage.due(at(1)).await, ids);
    let first = stage.store.due(&number_id(), at(1), 2).await.unwrap();
    let first: Vec<_> = first.into_iter().map(|due| due.message.id).collect();
    assert_eq!(first, ids[..2]);
    assert_eq!(stage.list(&MessageFilter::default()).await, ids);
    let next = stage.store.next_due_at(&number_id()).await.unwrap().unwrap();
    assert!(next <= at(1));
    let again = stage.store.start_broadcast(record.id, at(2)).await;
    assert_eq!(again, Err(StoreError::NotFound), "it is not in preparation any more");
    let late = stage.store.add_broadcast_members(record.id, members(1)).await;
    assert_eq!(late, Err(StoreError::NotFound));

    for (place, id) in ids.iter().enumerate() {
        let attempt = new_attempt();
        assert_eq!(
            stage.store.begin_attempt(Haste::AtOnce, *id, attempt, at(2)).await.unwrap(),
            Some(1)
        );
        assert_eq!(stage.due(at(2)).await, ids[place + 1..]);
        stage.settle(*id, attempt, sent(&format!("wamid.{place}"))).await;
    }
    assert_eq!(stage.store.next_due_at(&number_id()).await.unwrap(), None);
    let shown = stage.store.broadcast(&org_id(), record.id).await.unwrap().unwrap();
    assert_eq!(shown.record, record);
}

pub async fn members_have_the_models_content(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (record, ids) = start(&stage, 2).await;
    let stage = stage.reopen(harness).await;
    let expected = Message {
        id: ids[1],
        customer_id: Some(CustomerId::new("c1")),
        phone: phone(1),
        ..model(&record)
    };
    assert_eq!(stage.message(ids[1]).await, expected);
    let due = stage.store.due(&number_id(), at(1), 10).await.unwrap();
    assert_eq!(due[1].message, expected);
}

pub async fn single_messages_go_before_broadcasts(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (_, mut expected) = start(&stage, 2).await;
    let (_, later) = start(&stage, 2).await;
    expected.extend(later);
    expected.insert(0, stage.queue(&message(9)).await);
    assert_eq!(stage.due(at(1)).await, expected);
}

pub async fn a_paused_broadcast_has_nothing_due_until_it_is_resumed(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (record, ids) = start(&stage, 3).await;
    let attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, ids[0], attempt, at(2)).await.unwrap();
    assert!(set_state(&stage, record.id, BroadcastState::Paused).await);
    assert!(stage.due(at(100)).await.is_empty());
    assert_eq!(stage.store.next_due_at(&number_id()).await.unwrap(), None);
    let begun =
        stage.store.begin_attempt(Haste::AtOnce, ids[1], new_attempt(), at(2)).await.unwrap();
    assert_eq!(begun, None, "who had looked before the pause does not send after it");
    stage.settle(ids[0], attempt, retry(at(60), true)).await;
    assert!(stage.due(at(100)).await.is_empty());
    assert!(set_state(&stage, record.id, BroadcastState::Running).await);
    assert_eq!(stage.due(at(100)).await, ids);
    let foreign = stage
        .store
        .set_broadcast_state(&OrgId::new("other"), record.id, BroadcastState::Paused, at(1))
        .await
        .unwrap();
    assert!(!foreign);
}

pub async fn a_cancelled_broadcast_withdraws_what_waits(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (record, ids) = start(&stage, 4).await;
    let attempts = [new_attempt(), new_attempt()];
    for (id, attempt) in ids.iter().zip(attempts) {
        stage.store.begin_attempt(Haste::AtOnce, *id, attempt, at(2)).await.unwrap();
    }
    assert!(set_state(&stage, record.id, BroadcastState::Cancelled).await);
    assert!(stage.due(at(100)).await.is_empty());
    assert_eq!(counts(&stage, record.id).await, [(Status::Sending, 2), (Status::Cancelled, 2)]);
    // What was on its way is told as it ends; what is to be tried again is not.
    stage.settle(ids[0], attempts[0], sent("wamid.0")).await;
    stage.settle(ids[1], attempts[1], retry(at(60), true)).await;
    assert_eq!(counts(&stage, record.id).await, [(Status::Sent, 1), (Status::Cancelled, 3)]);
    assert!(stage.due(at(100)).await.is_empty());
    for state in [BroadcastState::Running, BroadcastState::Paused, BroadcastState::Cancelled] {
        assert!(!set_state(&stage, record.id, state).await, "cancelled is the end");
    }
    assert!(!stage.store.requeue(&org_id(), ids[3], at(60)).await.unwrap());
}

pub async fn progress_counts_messages_by_status(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (record, ids) = start(&stage, 5).await;
    assert_eq!(stage.store.broadcast_open_count(record.id).await.unwrap(), 5);
    for (place, end) in [sent("wamid.0"), refused()].into_iter().enumerate() {
        let attempt = new_attempt();
        stage.store.begin_attempt(Haste::AtOnce, ids[place], attempt, at(2)).await.unwrap();
        stage.settle(ids[place], attempt, end).await;
    }
    stage.store.begin_attempt(Haste::AtOnce, ids[2], new_attempt(), at(2)).await.unwrap();
    assert_eq!(
        counts(&stage, record.id).await,
        [(Status::Queued, 2), (Status::Sending, 1), (Status::Sent, 1), (Status::Failed, 1)]
    );
    assert_eq!(stage.store.broadcast_open_count(record.id).await.unwrap(), 3);
    let shown = stage.store.broadcast(&org_id(), record.id).await.unwrap().unwrap().record;
    assert_eq!(shown.audience, 5, "as many as there are");
    let foreign = stage.store.broadcast(&OrgId::new("other"), record.id).await.unwrap();
    assert_eq!(foreign, None);

    let (second, _) = start(&stage, 1).await;
    let mut page = Page { after: None, limit: 1 };
    let first_page = stage.store.broadcasts(&org_id(), page).await.unwrap();
    page.after = first_page.next;
    let second_page = stage.store.broadcasts(&org_id(), page).await.unwrap();
    assert_eq!((first_page.data[0].id, second_page.data[0].id), (record.id, second.id));
    assert_eq!(second_page.next, None);
}

pub async fn a_discarded_broadcast_frees_its_key(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let record = record();
    let claimed = Some(claim("k", 1));
    stage.store.prepare_broadcast(record.clone(), model(&record), claimed).await.unwrap();
    stage.store.add_broadcast_members(record.id, members(3)).await.unwrap();
    stage.store.discard_broadcast(record.id).await.unwrap();
    let gone = stage.store.start_broadcast(record.id, at(1)).await;
    assert_eq!(gone, Err(StoreError::NotFound));
    let again = self::record();
    let claimed = Some(claim("k", 1));
    let accepted = stage.store.prepare_broadcast(again.clone(), model(&again), claimed).await;
    assert_eq!(accepted, Ok(Accepted::New));
    let (started, ids) = start(&stage, 1).await;
    stage.store.discard_broadcast(started.id).await.unwrap();
    assert_eq!(stage.due(at(1)).await, ids, "a started one is not taken back");
}

pub async fn a_members_retry_waits_until_it_is_due(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (_, ids) = start(&stage, 1).await;
    let attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, ids[0], attempt, at(2)).await.unwrap();
    stage.settle(ids[0], attempt, retry(at(500), true)).await;
    assert!(stage.due(at(499)).await.is_empty());
    assert_eq!(stage.store.next_due_at(&number_id()).await.unwrap(), Some(at(500)));
    assert_eq!(stage.due(at(500)).await, ids);
    let attempt = new_attempt();
    assert_eq!(
        stage.store.begin_attempt(Haste::AtOnce, ids[0], attempt, at(501)).await.unwrap(),
        Some(2)
    );
    stage.settle(ids[0], attempt, refused()).await;
    assert!(stage.store.requeue(&org_id(), ids[0], at(600)).await.unwrap());
    assert_eq!(stage.due(at(600)).await, ids);
}

pub async fn a_thousand_members_are_accepted_in_parts(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create_customer(customer("c7", 7)).await.unwrap();
    let (record, ids) = prepare(&stage, 2_500).await;
    stage.queue(&message(1)).await;
    stage.store.add_broadcast_members(record.id, members(10)).await.unwrap();
    stage.store.start_broadcast(record.id, at(1)).await.unwrap();
    assert_eq!(stage.store.broadcast_open_count(record.id).await.unwrap(), 2_510);
    let filter = MessageFilter { broadcast_id: Some(record.id), ..MessageFilter::default() };
    let mut page = Page { after: None, limit: 1_000 };
    let mut seen = Vec::new();
    loop {
        let part = stage.store.messages(&org_id(), &filter, page).await.unwrap();
        seen.extend(part.data.iter().map(|message| message.id));
        page.after = part.next;
        if part.next.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 2_510);
    assert_eq!(seen[..2_500], ids);
    assert!(set_state(&stage, record.id, BroadcastState::Cancelled).await);
    assert_eq!(counts(&stage, record.id).await, [(Status::Cancelled, 2_510)]);
}

pub async fn a_key_stands_for_its_broadcast(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = record();
    stage.store.prepare_broadcast(first.clone(), model(&first), Some(claim("k", 1))).await.unwrap();
    let second = record();
    let again =
        stage.store.prepare_broadcast(second.clone(), model(&second), Some(claim("k", 1))).await;
    let target = IdempotentTarget::Broadcast(first.id);
    assert_eq!(again, Ok(Accepted::Replay { fingerprint: [1; 32], target }));
    let gone = stage.store.add_broadcast_members(second.id, members(1)).await;
    assert_eq!(gone, Err(StoreError::NotFound));
}
