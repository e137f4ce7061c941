//! Finding a person's messages while the table that finds them follows behind the log.

#![allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::path::Path;

use rusqlite::Connection;
use uuid::Uuid;
use waypost_domain::message::{BroadcastRecord, BroadcastState};
use waypost_domain::{BroadcastId, CustomerId, MessageId, Phone};
use waypost_engine::ports::{
    BroadcastMember, BroadcastStore, DirectoryStore, Entry, MessageFilter, MessageStore, Page,
    PutMode,
};
use waypost_store_sqlite::{Options, SqliteStore};
use waypost_store_testkit::samples::{
    NUMBER, ORG, START, message, new_message_id, now_due, number, number_id, org, org_id, phone,
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

/// Rows of the table, and the place up to which it holds the log.
fn indexed(path: &Path) -> (i64, i64) {
    let conn = Connection::open(path).unwrap();
    let sql = "SELECT (SELECT count(*) FROM person_messages), seq FROM person_messages_mark";
    conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[tokio::test]
async fn a_persons_messages_are_found_in_the_table_and_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waypost.db");
    let store = open(&path).await;
    let (id, ids) = prepare(&store, 11_000).await;
    store.start_broadcast(id, START).await.unwrap();
    let late = message(7);
    store.accept(late.clone(), now_due(), None).await.unwrap();
    let (rows, mark) = indexed(&path);
    assert!((4_000..11_000).contains(&rows), "some are in the table, some are not: {rows}");
    assert_eq!(rows, mark);
    let mut expected = vec![ids[7], ids[10_007], late.id];
    assert_eq!(of(&store, phone(7), false).await, expected);
    expected.reverse();
    assert_eq!(of(&store, phone(7), true).await, expected);
    assert_eq!(of(&store, phone(5_000), false).await, [ids[5_000]]);
    assert!(of(&store, phone(20_000), false).await.is_empty());
}

#[tokio::test]
async fn places_that_are_used_again_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waypost.db");
    let store = open(&path).await;
    let first = message(3);
    store.accept(first.clone(), now_due(), None).await.unwrap();
    let (discarded, _) = prepare(&store, 6_000).await;
    assert!(indexed(&path).0 > 4_000);
    store.discard_broadcast(discarded).await.unwrap();
    let (rows, mark) = indexed(&path);
    assert_eq!((rows, mark), (1, 1), "nothing of what was deleted is left");
    let (kept, ids) = prepare(&store, 6_000).await;
    store.start_broadcast(kept, START).await.unwrap();
    assert_eq!(of(&store, phone(3), false).await, [first.id, ids[3]]);
    assert_eq!(of(&store, phone(5_999), false).await, [ids[5_999]]);
}
