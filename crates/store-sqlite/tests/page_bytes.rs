//! A part of a list ends where it gets too large for memory, however many entries are asked for.

#![allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use serde_json::json;
use waypost_domain::content::InboundContent;
use waypost_engine::ports::{
    DirectoryStore, Entry, EventFilter, EventStore, InboundMessage, InboxStore, MessageFilter,
    MessageStore, Page, Paged, PutMode,
};
use waypost_store_sqlite::{Options, SqliteStore};
use waypost_store_testkit::samples::{NUMBER, ORG, at, inbound, number, org, org_id};

/// More than a part may have, in bytes.
const HUGE: usize = 5 << 20;

/// An organisation to which people wrote so much, one after the other.
async fn written_to(sizes: &[usize]) -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("a.db"), &Options::default()).unwrap();
    store.put_entry(Entry::Org(org(ORG)), PutMode::Create).await.unwrap();
    store.put_entry(Entry::Number(number(NUMBER, ORG)), PutMode::Create).await.unwrap();
    for (place, size) in sizes.iter().enumerate() {
        let plain = inbound(1, &format!("wamid.{place}"));
        let message = json!({"type": "text", "text": {"body": "x".repeat(*size)}});
        let content = InboundContent { message, ..plain.content };
        store.record_inbound(InboundMessage { content, ..plain }, at(600)).await.unwrap();
    }
    (folder, store)
}

/// How many entries each part has, and all of them.
async fn parts<T>(read: impl AsyncFn(Page) -> Paged<T>) -> (Vec<usize>, Vec<T>) {
    let (mut counts, mut all) = (Vec::new(), Vec::new());
    let mut page = Page { after: None, limit: 1_000 };
    loop {
        let part = read(page).await;
        counts.push(part.data.len());
        all.extend(part.data);
        page.after = part.next;
        if part.next.is_none() {
            return (counts, all);
        }
    }
}

#[tokio::test]
async fn a_part_ends_with_the_entry_that_makes_it_too_large() {
    let (_folder, store) = written_to(&[1, HUGE, HUGE, 1]).await;
    for newest_first in [false, true] {
        let filter = MessageFilter { newest_first, ..MessageFilter::default() };
        let (counts, all) =
            parts(async |page| store.messages(&org_id(), &filter, page).await.unwrap()).await;
        assert_eq!(counts, [2, 1, 1], "messages, newest first: {newest_first}");
        let wamids: Vec<_> = all.iter().map(|it| it.wamid.clone().unwrap()).collect();
        assert!(wamids.is_sorted_by(|one, next| (one < next) != newest_first), "{wamids:?}");
        let filter = EventFilter { newest_first, ..EventFilter::default() };
        let (counts, all) =
            parts(async |page| store.events(&org_id(), &filter, page).await.unwrap()).await;
        assert_eq!(counts, [2, 1, 1], "events, newest first: {newest_first}");
        let places: Vec<_> = all.iter().map(|it| it.place).collect();
        assert!(places.is_sorted_by(|one, next| (one < next) != newest_first), "{places:?}");
    }
}

#[tokio::test]
async fn where_nothing_follows_a_large_entry_the_list_ends() {
    let (_folder, store) = written_to(&[1, HUGE]).await;
    let page = Page { after: None, limit: 1_000 };
    let messages = store.messages(&org_id(), &MessageFilter::default(), page).await.unwrap();
    assert_eq!((messages.data.len(), messages.next), (2, None));
    let events = store.events(&org_id(), &EventFilter::default(), page).await.unwrap();
    assert_eq!((events.data.len(), events.next), (2, None));
}
