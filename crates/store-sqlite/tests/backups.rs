//! Copies and what is restored from them: whole, checked, and with nothing sent by itself that may
//! have been sent already. With controls that must fail.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at what it does not expect")]

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use waypost_domain::Status;
use waypost_domain::message::BroadcastState;
use waypost_engine::ports::{MessageFilter, Page, Store};
use waypost_planted::{Bug, plant};
use waypost_store_sqlite::{Options, RestoredError, SqliteStore, prepare_restored};
use waypost_store_testkit::Harness;
use waypost_store_testkit::backups::bytes_of;
use waypost_store_testkit::broadcasts::start;
use waypost_store_testkit::retention::pending_messages_lost_to_retention;
use waypost_store_testkit::samples::{
    Stage, at, message, now_due, org_id, retry, unknown, unknown_until,
};

/// A folder with one database.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Harness for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        open(&self.0.path().join("waypost.db"))
    }
}

fn open(path: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(path, &Options::default()).unwrap())
}

/// Accepts messages, copies the database after each tenth, and looks what a copy lacks of what was
/// accepted before it was begun.
async fn lost_by_copies() -> Vec<String> {
    let folder = Folder::new();
    let stage = Stage::new(&folder).await;
    let mut lost = Vec::new();
    let mut accepted = Vec::new();
    for round in 0..3 {
        for last in 0..10 {
            accepted.push(stage.queue(&message(round * 10 + last)).await);
        }
        let copy = folder.0.path().join(format!("copy-{round}.db"));
        let snapshot = stage.store.snapshot().await.unwrap();
        std::fs::write(&copy, bytes_of(&*snapshot).await).unwrap();
        let copied = match SqliteStore::open(&copy, &Options::default()) {
            Ok(store) => store,
            Err(error) => {
                lost.push(format!("copy {round}: {error}"));
                continue;
            }
        };
        for id in &accepted {
            use waypost_engine::ports::MessageStore as _;
            if !matches!(copied.message(&org_id(), *id).await, Ok(Some(_))) {
                lost.push(format!("copy {round} lacks {id}"));
            }
        }
    }
    lost
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_everything_that_was_acknowledged_before_it() {
    assert_eq!(lost_by_copies().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_copy_without_the_log_is_noticed() {
    plant(Some(Bug::BackupSkipsWal));
    assert!(!lost_by_copies().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn control_retention_that_takes_what_is_pending_is_noticed() {
    plant(Some(Bug::RetentionTakesPending));
    let lost = pending_messages_lost_to_retention(&Folder::new()).await;
    assert!(lost.contains(&"queued") && lost.contains(&"on its way"), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_is_held_back_after_a_restore_until_it_is_let_go() {
    let folder = Folder::new();
    let path = folder.0.path().join("waypost.db");
    let stage = Stage::new(&folder).await;
    stage.queue(&message(1)).await;
    let waited_for = waypost_domain::message::Message { synchronous: true, ..message(2) };
    stage.store.accept(waited_for.clone(), now_due(), None).await.unwrap();
    stage.begin(&message(3)).await;
    for (last, settlement) in [
        (4, retry(at(50), true)),
        (5, retry(at(50), false)),
        (6, unknown_until(Some(at(50)))),
        (7, unknown()),
    ] {
        let message = message(last);
        let attempt = stage.begin(&message).await;
        stage.settle(message.id, attempt, settlement).await;
    }
    stage.send(&message(8), "wamid.8").await;
    drop(stage);
    let held = prepare_restored(&path, Some(at(100)), at(9_000)).unwrap();
    assert_eq!(held.messages, 6, "not the one that ended as unknown, nor the one that was sent");
    let stage = Stage { store: open(&path) };
    let recovered = stage.store.recover(at(9_001)).await.unwrap();
    assert_eq!((recovered.unknown.len(), recovered.queued), (0, 0), "nothing goes on by itself");
    assert!(stage.due(at(1_000_000)).await.is_empty());
    assert_eq!(stage.store.held_back().await.unwrap().messages, 6);
    let unknown = MessageFilter { status: Some(Status::Unknown), ..MessageFilter::default() };
    let listed = stage.store.messages(&org_id(), &unknown, Page { after: None, limit: 99 }).await;
    assert_eq!(listed.unwrap().data.len(), 7);
    let resumed = stage.store.resume_held_back(at(9_002)).await.unwrap();
    assert_eq!(resumed.deleted, 6);
    let due = stage.due(at(9_003)).await;
    assert_eq!(due.len(), 6);
    for id in due {
        let message = stage.message(id).await;
        assert!(message.possible_duplicate && !message.synchronous, "{message:?}");
    }
    assert_eq!(stage.store.held_back().await.unwrap().messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_stays_whatever_its_age_until_that_is_decided() {
    let folder = Folder::new();
    let path = folder.0.path().join("waypost.db");
    let stage = Stage::new(&folder).await;
    for last in 1..=2 {
        stage.queue(&message(last)).await;
    }
    let to_resend = message(3);
    let attempt = stage.begin(&to_resend).await;
    stage.settle(to_resend.id, attempt, unknown_until(Some(at(50)))).await;
    stage.send(&message(4), "wamid.4").await;
    stage.send(&message(5), "wamid.5").await;
    drop(stage);
    assert_eq!(prepare_restored(&path, Some(at(100)), at(9_000)).unwrap().messages, 3);
    let stage = Stage { store: open(&path) };
    let prune = async || stage.store.prune_messages(&org_id(), at(1_000_000), 0).await.unwrap();
    assert_eq!(prune().await.deleted, 1, "only the one that was sent");
    assert_eq!(stage.store.held_back().await.unwrap().messages, 3);
    stage.store.forget_held_back().await.unwrap();
    assert_eq!(prune().await.deleted, 3, "nobody will send them any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_that_is_held_back_is_counted_until_it_goes_on() {
    let folder = Folder::new();
    let path = folder.0.path().join("waypost.db");
    let stage = Stage::new(&folder).await;
    let (record, members) = start(&stage, 2).await;
    drop(stage);
    let held = prepare_restored(&path, Some(at(100)), at(9_000)).unwrap();
    assert_eq!((held.messages, held.broadcasts.len()), (0, 1));
    let stage = Stage { store: open(&path) };
    let totals = async || stage.store.queue_totals(at(9_001)).await.unwrap();
    assert_eq!((totals().await.restored, totals().await.restored_broadcasts), (0, 1));
    let running = BroadcastState::Running;
    stage.store.set_broadcast_state(&org_id(), record.id, running, at(9_002)).await.unwrap();
    assert_eq!(totals().await.restored_broadcasts, 0, "its organisation lets it go on");
    assert_eq!(stage.due(at(9_003)).await, members);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_nobody_sent_meanwhile_may_go_on() {
    let folder = Folder::new();
    let path = folder.0.path().join("waypost.db");
    let stage = Stage::new(&folder).await;
    stage.queue(&message(1)).await;
    drop(stage);
    assert_eq!(prepare_restored(&path, None, at(9_000)).unwrap().messages, 0);
    assert_eq!(Stage { store: open(&path) }.due(at(9_001)).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_not_restored() {
    let folder = Folder::new();
    let path = folder.0.path().join("waypost.db");
    let stage = Stage::new(&folder).await;
    for last in 0..200 {
        stage.queue(&message(last)).await;
    }
    drop(stage);
    let whole = std::fs::read(&path).unwrap();
    for (what, damaged) in [
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("another page", {
            let mut bytes = whole.clone();
            let middle = bytes.len() / 2 / 4_096 * 4_096;
            bytes[middle..middle + 64].fill(0xA5);
            bytes
        }),
        ("no database", b"not a database at all, and longer than its header would be".repeat(40)),
    ] {
        std::fs::write(&path, damaged).unwrap();
        let refusal = prepare_restored(&path, None, at(1)).unwrap_err();
        assert!(matches!(refusal, RestoredError::Damaged { .. }), "{what}: {refusal}");
        assert!(refusal.to_string().contains("use another backup"), "{what}: {refusal}");
    }
}
