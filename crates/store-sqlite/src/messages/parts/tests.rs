//! Large requests while somebody always waits: whatever cuts them off, they are accepted as a whole
//! and entered once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tempfile::TempDir;
use waypost_domain::Timestamp;
use waypost_domain::message::Message;
use waypost_domain::place::Place;
use waypost_engine::ports::{
    Accepted, DirectoryStore, Entry, Hold, IdempotentTarget, MessageFilter, MessageStore, Page,
    PutMode, Start, StoreError, StoreResult,
};
use waypost_planted::{Bug, plant};
use waypost_store_testkit::samples::{
    NUMBER, ORG, START, at, claim, closed, message, now_due, number, number_id, org, org_id,
    queued_at, refusal,
};

use super::super::accept::{NewMessage, NewMessages, accept_all};
use super::*;
use crate::memory::Memory;
use crate::{MemoryDisk, Moment, Options, SqliteStore, Turns, open, prepare_restored};

/// Messages of a request: three parts and a bit.
const MESSAGES: u32 = 100;
/// Parts of it, each of which is one write.
const PARTS: usize = (MESSAGES as usize).div_ceil(AT_ONCE);

/// Nobody answers from the write of this number on, or it fails.
struct Cut {
    writes: AtomicUsize,
    crash_after: usize,
    fail_at: usize,
}

impl Cut {
    fn at(crash_after: usize, fail_at: usize) -> Arc<Self> {
        Arc::new(Self { writes: AtomicUsize::new(0), crash_after, fail_at })
    }

    fn never() -> Arc<Self> {
        Self::at(usize::MAX, usize::MAX)
    }
}

#[async_trait]
impl Turns for Cut {
    async fn turn(&self, moment: Moment) -> StoreResult<()> {
        match moment {
            Moment::Read => Ok(()),
            Moment::Write if self.writes.load(Ordering::Relaxed) >= self.crash_after => {
                std::future::pending().await
            }
            Moment::Write if self.writes.fetch_add(1, Ordering::Relaxed) + 1 == self.fail_at => {
                Err(StoreError::Unavailable("the disk is full".to_owned()))
            }
            Moment::Write => Ok(()),
            Moment::Written if self.writes.load(Ordering::Relaxed) >= self.crash_after => {
                std::future::pending().await
            }
            Moment::Written => Ok(()),
        }
    }
}

/// One of each kind in turn, due in their order.
fn request() -> Vec<(Message, Start)> {
    (0..MESSAGES)
        .map(|place| {
            let mut message = message(place);
            let start = match place % 4 {
                0 => now_due(),
                1 => queued_at(at(i64::from(place))),
                2 => held_with_nudge(place),
                _ => {
                    message.status = waypost_domain::Status::Failed;
                    message.failure = Some(refusal());
                    closed()
                }
            };
            (message, start)
        })
        .collect()
}

fn held_with_nudge(place: u32) -> Start {
    Start::Hold(Box::new(Hold {
        open_if_wrote_after: START,
        until: Timestamp(START.0 + 1_000_000),
        place: Place::FIRST,
        nudge: Some((message(place), Place::FIRST)),
    }))
}

async fn furnish(store: &SqliteStore) {
    store.put_entry(Entry::Org(org(ORG)), PutMode::Create).await.unwrap();
    store.put_entry(Entry::Number(number(NUMBER, ORG)), PutMode::Create).await.unwrap();
}

async fn furnished() -> MemoryDisk {
    let disk = MemoryDisk::new().unwrap();
    furnish(&SqliteStore::in_memory(&disk, Cut::never()).unwrap()).await;
    disk
}

/// The ids of everything, in the order of acceptance.
async fn listed(store: &SqliteStore) -> Vec<MessageId> {
    let page = Page { after: None, limit: 10_000 };
    let listed = store.messages(&org_id(), &MessageFilter::default(), page).await.unwrap();
    listed.data.iter().map(|message| message.id).collect()
}

/// Those of the request must be there in their order, nudges between them, each once.
async fn is_whole(store: &SqliteStore, request: &[(Message, Start)]) {
    let ids: Vec<MessageId> = request.iter().map(|(message, _)| message.id).collect();
    let found = listed(store).await;
    let theirs: Vec<MessageId> = found.iter().copied().filter(|id| ids.contains(id)).collect();
    assert_eq!(theirs, ids);
    assert_eq!(found.len(), request.len() + request.len() / 4, "with the nudges");
    let due = store.due(&number_id(), at(1_000), 10_000).await.unwrap();
    assert_eq!(due.len(), 3 * request.len() / 4, "due, due later, and the nudges");
}

#[tokio::test]
async fn a_request_is_whole_wherever_a_crash_cuts_it_off() {
    let mut cut_off = 0;
    for writes in 1..=PARTS {
        let disk = furnished().await;
        let crashed = SqliteStore::in_memory(&disk, Cut::at(writes, usize::MAX)).unwrap();
        let request = request();
        let accepting = crashed.accept_all(request.clone(), Some(claim("k", 1)));
        let unanswered =
            tokio::time::timeout(std::time::Duration::from_millis(50), accepting).await;
        assert!(unanswered.is_err(), "{writes}");
        drop(crashed);
        cut_off += count(&disk);
        let store = SqliteStore::in_memory(&disk, Cut::never()).unwrap();
        is_whole(&store, &request).await;
        let ids = request.iter().map(|(message, _)| message.id).collect();
        let replay =
            Accepted::Replay { fingerprint: [1; 32], target: IdempotentTarget::Messages(ids) };
        assert_eq!(store.accept_all(request, Some(claim("k", 1))).await, Ok(replay), "{writes}");
        assert_eq!(count(&disk), 0);
    }
    assert_eq!(cut_off, 3 + 2 + 1, "parts were left by all crashes but the last");
}

#[tokio::test]
async fn what_is_forgotten_at_the_start_is_missed() {
    let disk = furnished().await;
    let crashed = SqliteStore::in_memory(&disk, Cut::at(1, usize::MAX)).unwrap();
    let accepting = crashed.accept_all(request(), None);
    let _ = tokio::time::timeout(std::time::Duration::from_millis(50), accepting).await;
    drop(crashed);
    plant(Some(Bug::PartsForgotten));
    let store = SqliteStore::in_memory(&disk, Cut::never()).unwrap();
    plant(None);
    assert_eq!(listed(&store).await.len(), AT_ONCE + AT_ONCE / 4);
}

#[tokio::test]
async fn a_part_that_fails_is_entered_with_what_is_written_next() {
    let disk = furnished().await;
    let store = SqliteStore::in_memory(&disk, Cut::at(usize::MAX, 2)).unwrap();
    let request = request();
    assert_eq!(store.accept_all(request.clone(), None).await, Ok(Accepted::New));
    assert_eq!(count(&disk), PARTS - 1);
    for left in (0..PARTS - 1).rev() {
        store.cancel(&org_id(), MessageId(uuid::Uuid::now_v7()), at(1)).await.unwrap();
        assert_eq!(count(&disk), left);
    }
    is_whole(&store, &request).await;
}

#[tokio::test]
async fn a_request_for_a_number_that_is_gone_leaves_nothing() {
    let disk = furnished().await;
    let store = SqliteStore::in_memory(&disk, Cut::never()).unwrap();
    let mut request = request();
    let last = request.last_mut().unwrap();
    last.0.number_id = waypost_domain::NumberId::new("gone");
    assert_eq!(store.accept_all(request, Some(claim("k", 1))).await, Err(StoreError::NotFound));
    assert_eq!(listed(&store).await.len() + count(&disk), 0);
}

/// A database on a disk, as a crash leaves it in the middle of a request.
async fn cut_off_on_disk(folder: &TempDir) -> (PathBuf, Vec<(Message, Start)>) {
    let path = folder.path().join("waypost.db");
    furnish(&SqliteStore::open(&path, &Options::default()).unwrap()).await;
    let mut conn = open::writer(&path, &Options::default()).unwrap();
    let memory = Memory::load(&mut conn).unwrap();
    let request = request();
    let messages = request
        .iter()
        .map(|(message, start)| NewMessage::new(message.clone(), start.clone(), None).unwrap());
    let new = NewMessages { messages: messages.collect(), claim: None };
    let (_, rest) = accept_all(&conn, &memory, &new, &Crowd::always()).unwrap();
    assert_eq!(rest, Some(request[0].0.id));
    (path, request)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_enters_what_is_left_on_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (path, request) = cut_off_on_disk(&folder).await;
    let store = SqliteStore::open(&path, &Options::default()).unwrap();
    is_whole(&store, &request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_holds_all_of_a_request_back() {
    let folder = tempfile::tempdir().unwrap();
    let (path, request) = cut_off_on_disk(&folder).await;
    let held = prepare_restored(Path::new(&path), Some(at(5)), at(10)).unwrap();
    assert_eq!(held.messages, request.len() as u64, "all but the failed, and the nudges");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_goes_with_its_organisation() {
    let disk = furnished().await;
    let crashed = SqliteStore::in_memory(&disk, Cut::at(1, usize::MAX)).unwrap();
    let accepting = crashed.accept_all(request(), None);
    let _ = tokio::time::timeout(std::time::Duration::from_millis(50), accepting).await;
    let org: i64 = disk.connection().query_row("SELECT ref FROM orgs", [], |r| r.get(0)).unwrap();
    while super::super::removal::delete_some(&disk.connection(), org).unwrap() {}
    assert_eq!(count(&disk), 0);
}

/// Parts that are kept.
fn count(disk: &MemoryDisk) -> usize {
    let count = "SELECT count(*) FROM request_parts";
    let parts: u32 = disk.connection().query_row(count, [], |row| row.get(0)).unwrap();
    parts as usize
}
