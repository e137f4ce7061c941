//! Finding messages while the tables that find them follow behind the log.

#![allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::ops::Range;
use std::path::Path;

use rusqlite::Connection;
use uuid::Uuid;
use waypost_domain::message::{BroadcastRecord, BroadcastState, Message};
use waypost_domain::status::Report;
use waypost_domain::{BroadcastId, CustomerId, MessageId, OrgId, Phone, Status};
use waypost_engine::ports::{
    BroadcastMember, BroadcastStore, DirectoryStore, Entry, MessageFilter, MessageStore, Page,
    PutMode, QueueStore, ReportEffect, Start,
};
use waypost_store_sqlite::{Options, SqliteStore};
use waypost_store_testkit::samples::{
    NUMBER, ORG, START, message, new_attempt, new_message_id, now_due, number, number_id, org,
    org_id, phone, report, sent,
};

async fn open(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(path, &Options::default()).unwrap();
    store.put_entry(Entry::Org(org(ORG)), PutMode::Create).await.unwrap();
    store.put_entry(Entry::Number(number(NUMBER, ORG)), PutMode::Create).await.unwrap();
    store
}

/// Prepares a broadcast to so many; the numbers of two members are the same wherever 10,000 lie
/// between them.
async fn prepare(store: &SqliteStore, count: u32) -> (BroadcastId, Vec<MessageId>) {
    let record = BroadcastRecord {
        id: BroadcastId(Uuid::now_v7()),
        org_id: org_id(),
        number_id: number_id(),
        template: "offer".to_owned(),
        audience: 0,
        created_at: START,
        state: BroadcastState::Running,
    };
    store.prepare_broadcast(record.clone(), message(0), None).await.unwrap();
    let members: Vec<BroadcastMember> = (0..count)
        .map(|place| BroadcastMember {
            message_id: new_message_id(),
            customer_id: CustomerId::new(format!("c{place}")),
            phone: phone(place % 10_000),
        })
        .collect();
    let ids = members.iter().map(|member| member.message_id).collect();
    store.add_broadcast_members(record.id, members).await.unwrap();
    (record.id, ids)
}

async fn of(store: &SqliteStore, phone: Phone, newest_first: bool) -> Vec<MessageId> {
    let filter = MessageFilter { phone: Some(phone), newest_first, ..MessageFilter::default() };
    let mut page = Page { after: None, limit: 1 };
    let mut found = Vec::new();
    loop {
        let part = store.messages(&org_id(), &filter, page).await.unwrap();
        found.extend(part.data.into_iter().map(|message| message.id));
        page.after = part.next;
        if part.next.is_none() {
            return found;
        }
    }
}

/// All messages, in pages.
async fn all(store: &SqliteStore, newest_first: bool) -> Vec<MessageId> {
    let filter = MessageFilter { newest_first, ..MessageFilter::default() };
    let mut page = Page { after: None, limit: 700 };
    let mut found = Vec::new();
    loop {
        let part = store.messages(&org_id(), &filter, page).await.unwrap();
        found.extend(part.data.into_iter().map(|message| message.id));
        page.after = part.next;
        if part.next.is_none() {
            return found;
        }
    }
}

/// Rows of the tables, and the place up to which they hold the log.
fn indexed(path: &Path) -> (i64, i64) {
    let conn = Connection::open(path).unwrap();
    let sql = "SELECT (SELECT count(*) FROM person_messages), (SELECT count(*) FROM org_messages),
                   seq FROM messages_mark";
    let (people, orgs, mark): (i64, i64, i64) =
        conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(people, orgs);
    (people, mark)
}

/// Accepts and sends so many messages; the upstream's ids are their places.
async fn send(store: &SqliteStore, places: Range<u32>) -> Vec<MessageId> {
    let sends = places.map(async |place| {
        let (message, attempt) = (message(place % 10_000), new_attempt());
        store
            .accept(
                message.clone(),
                Start::Attempt { id: attempt, place: waypost_domain::place::Place::FIRST },
                None,
            )
            .await
            .unwrap();
        let settlement = sent(&format!("wamid.{place}"));
        store.settle_attempt(message.id, attempt, settlement, START).await.unwrap();
        message.id
    });
    futures_util::future::join_all(sends).await
}

#[tokio::test]
async fn an_organisations_messages_are_listed_in_order_from_the_table_and_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waypost.db");
    let store = open(&path).await;
    let (id, mut expected) = prepare(&store, 7_000).await;
    store.start_broadcast(id, START).await.unwrap();
    let (rows, _) = indexed(&path);
    assert!((3_000..7_000).contains(&rows), "some are in the table, some are not: {rows}");
    assert_eq!(all(&store, false).await, expected);
    expected.reverse();
    assert_eq!(all(&store, true).await, expected);
}

#[tokio::test]
async fn a_message_is_found_by_its_upstream_id_fresh_entered_and_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waypost.db");
    let store = open(&path).await;
    let mut ids = Vec::new();
    for thousand in 0..6 {
        ids.extend(send(&store, thousand * 1_000..(thousand + 1) * 1_000).await);
    }
    let fresh: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM fresh_wamids", [], |row| row.get(0))
        .unwrap();
    assert!((1..6_000).contains(&fresh), "some are entered, some are not: {fresh}");
    drop(store);
    let store = SqliteStore::open(&path, &Options::default()).unwrap();
    for (place, id) in ids.iter().enumerate().step_by(299).chain([(5_999, &ids[5_999])]) {
        let wamid = format!("wamid.{place}");
        let effect = store.apply_report(report(&wamid, Report::Read, START), START).await.unwrap();
        assert_eq!(effect, ReportEffect::Advanced(*id, Status::Sent, Status::Read), "{wamid}");
        let filter = MessageFilter { wamid: Some(wamid), ..MessageFilter::default() };
        let page = Page { after: None, limit: 10 };
        let found = store.messages(&org_id(), &filter, page).await.unwrap();
        assert_eq!(found.data.iter().map(|message| message.id).collect::<Vec<_>>(), [*id]);
    }
    let unknown = report("wamid.6000", Report::Read, START);
    assert_eq!(store.apply_report(unknown, START).await, Ok(ReportEffect::Parked));
}

#[tokio::test]
async fn a_persons_messages_are_found_in_the_table_and_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waypost.db");
    let store = open(&path).await;
    let (id, ids) = prepare(&store, 12_000).await;
    store.start_broadcast(id, START).await.unwrap();
    let late = message(7);
    store.accept(late.clone(), now_due(), None).await.unwrap();
    let (rows, mark) = indexed(&path);
    assert!((4_000..12_000).contains(&rows), "some are in the table, some are not: {rows}");
    assert_eq!(rows, mark);
    let mut expected = vec![ids[7], ids[10_007], late.id];
    assert_eq!(of(&store, phone(7), false).await, expected);
    expected.reverse();
    assert_eq!(of(&store, phone(7), true).await, expected);
    assert_eq!(of(&store, phone(5_000), false).await, [ids[5_000]]);
    assert!(of(&store, phone(20_000), false).await.is_empty());
}

#[tokio::test]
async fn what_was_discarded_leaves_nothing_in_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waypost.db");
    let store = open(&path).await;
    let first = message(3);
    store.accept(first.clone(), now_due(), None).await.unwrap();
    let (discarded, _) = prepare(&store, 6_000).await;
    assert!(indexed(&path).0 > 1_000);
    store.discard_broadcast(discarded).await.unwrap();
    assert_eq!(indexed(&path).0, 1, "the first one's");
    let (kept, ids) = prepare(&store, 6_000).await;
    store.start_broadcast(kept, START).await.unwrap();
    assert_eq!(of(&store, phone(3), false).await, [first.id, ids[3]]);
    assert_eq!(of(&store, phone(5_999), false).await, [ids[5_999]]);
}

/// Rows of the two parts of the due queue.
fn queued(path: &Path) -> (i64, i64) {
    let conn = Connection::open(path).unwrap();
    let sql = "SELECT (SELECT count(*) FROM queue), (SELECT count(*) FROM fresh_queue)";
    conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

async fn due(store: &SqliteStore, limit: u32) -> Vec<MessageId> {
    let due = store.due(&number_id(), START, limit).await.unwrap();
    due.into_iter().map(|due| due.message.id).collect()
}

#[tokio::test]
async fn what_is_due_starts_in_the_order_of_acceptance_whether_moved_or_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waypost.db");
    let store = open(&path).await;
    let mut expected = Vec::new();
    for place in 0..2_500 {
        let message = message(place);
        store.accept(message.clone(), now_due(), None).await.unwrap();
        expected.push(message.id);
    }
    let (moved, fresh) = queued(&path);
    assert!(moved >= 1_000 && fresh >= 10, "both have some: {moved}, {fresh}");
    assert_eq!(moved + fresh, 2_500);
    assert_eq!(due(&store, 10).await, expected[..10]);
    let across = u32::try_from(moved).unwrap() + 10;
    assert_eq!(due(&store, across).await, expected[..across as usize], "into the fresh ones");
    assert_eq!(due(&store, 10_000).await, expected);
    for place in [2_499, 2_495, 40, 0] {
        let id = expected.remove(place);
        assert!(store.cancel(&org_id(), id, START).await.unwrap());
    }
    let totals = store.queue_totals(START).await.unwrap();
    assert_eq!((totals.due, totals.oldest_due_at), (2_496, Some(START)));
    drop(store);
    let store = SqliteStore::open(&path, &Options::default()).unwrap();
    assert_eq!(due(&store, 10_000).await, expected);
    assert_eq!(queued(&path), (moved - 2, fresh - 2), "each has left the part it was in");
}

#[tokio::test]
async fn organisations_on_one_number_take_turns_whether_moved_or_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waypost.db");
    let store = open(&path).await;
    let other = OrgId::new("8001");
    store.put_entry(Entry::Org(org("8001")), PutMode::Create).await.unwrap();
    let mut first = Vec::new();
    for place in 0..1_500 {
        let message = message(place);
        store.accept(message.clone(), now_due(), None).await.unwrap();
        first.push(message.id);
    }
    assert!(queued(&path).0 >= 1_000);
    let mut second = Vec::new();
    for place in 0..3 {
        let message = Message { org_id: other.clone(), ..message(place) };
        store.accept(message.clone(), now_due(), None).await.unwrap();
        second.push(message.id);
    }
    let turns = [first[0], second[0], first[1], second[1], first[2], second[2], first[3], first[4]];
    assert_eq!(due(&store, 8).await[..6], turns[..6]);
    assert_eq!(due(&store, 1_400).await[..8], turns);
}
