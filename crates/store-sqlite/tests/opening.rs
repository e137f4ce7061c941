//! Opening a database, and what is left of it after the process is gone.

#![allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use waypost_domain::OrgId;
use waypost_engine::ports::{
    Accepted, DirectoryStore as _, MessageFilter, MessageStore, Page, Store, StoreError,
};
use waypost_store_sqlite::{Examined, OpenError, Options, SqliteStore, examine, setting};
use waypost_store_testkit::Harness;
use waypost_store_testkit::samples::{Stage, message, now_due, org_id, sent};

fn open(folder: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(&folder.join("waypost.db"), &Options::default())
}

fn refusal(folder: &Path) -> String {
    let line = open(folder).err().expect("it must be refused").to_string();
    assert!(!line.contains('\n'), "one line for the operator: {line}");
    line
}

struct Opened(std::sync::Mutex<Option<Arc<dyn Store>>>);

#[async_trait::async_trait]
impl Harness for Opened {
    async fn open(&self) -> Arc<dyn Store> {
        self.0.lock().unwrap().take().unwrap()
    }
}

/// A stage on a store that is open already.
async fn stage(store: Arc<SqliteStore>) -> Stage {
    Stage::new(&Opened(std::sync::Mutex::new(Some(store)))).await
}

async fn count(store: &SqliteStore) -> usize {
    let page = Page { after: None, limit: 10_000 };
    store.messages(&org_id(), &MessageFilter::default(), page).await.unwrap().data.len()
}

#[test]
fn refuses_a_database_that_is_open_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let line = refusal(folder.path());
    assert!(line.contains("in use by another process"), "{line}");
    drop(first);
    open(folder.path()).unwrap();
}

#[test]
fn refuses_a_database_of_a_newer_version() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let conn = Connection::open(folder.path().join("waypost.db")).unwrap();
    conn.execute_batch("PRAGMA user_version = 9999").unwrap();
    drop(conn);
    let line = refusal(folder.path());
    assert!(line.contains("newer version of Waypost (layout 9999"), "{line}");
}

#[test]
fn refuses_another_programs_database_and_adds_nothing_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let conn = Connection::open(database(folder.path())).unwrap();
    conn.execute_batch("CREATE TABLE clients (name TEXT)").unwrap();
    drop(conn);
    let bytes = std::fs::read(database(folder.path())).unwrap();
    for line in [refusal(folder.path()), examine(&database(folder.path())).unwrap_err().to_string()]
    {
        assert!(line.contains("holds tables that are not Waypost's"), "{line}");
    }
    assert_eq!(std::fs::read(database(folder.path())).unwrap(), bytes);
}

#[test]
fn refuses_what_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("waypost.db"), vec![7; 8_192]).unwrap();
    let line = refusal(folder.path());
    assert!(line.contains("waypost.db is damaged (file is not a database)"), "{line}");
    assert!(line.contains("restore a backup"), "{line}");
}

#[test]
fn says_which_folder_cannot_be_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let line = refusal(&folder.path().join("missing"));
    assert!(line.contains("missing/waypost.db.lock"), "{line}");
}

#[test]
fn says_which_file_cannot_be_written_to_and_why() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    // Whoever runs the tests may write every file.
    std::fs::create_dir(folder.path().join("waypost.db-wal")).unwrap();
    for line in [refusal(folder.path()), examine(&database(folder.path())).unwrap_err().to_string()]
    {
        assert!(line.ends_with("waypost.db-wal: Is a directory (os error 21)"), "{line}");
    }
    let told = length_of_chain(&open(folder.path()).err().unwrap());
    assert_eq!(told, 1, "nothing is said twice");
}

/// How many errors are told one after the other.
fn length_of_chain(error: &dyn std::error::Error) -> usize {
    std::iter::successors(Some(error), |error| error.source()).count()
}

fn database(folder: &Path) -> std::path::PathBuf {
    folder.join("waypost.db")
}

fn names_in(folder: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn an_examination_changes_nothing_and_sees_a_gateway_that_has_it_open() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a folder? 100%#1");
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(examine(&database(&folder)).unwrap(), Examined::Absent);
    let store = open(&folder).unwrap();
    assert_eq!(examine(&database(&folder)).unwrap(), Examined::InUse);
    drop(store);
    let (names, bytes) = (names_in(&folder), std::fs::read(database(&folder)).unwrap());
    assert_eq!(examine(&database(&folder)).unwrap(), Examined::Sound);
    assert_eq!(names_in(&folder), names);
    assert_eq!(std::fs::read(database(&folder)).unwrap(), bytes);
}

#[tokio::test]
async fn a_setting_is_read_beside_a_store_that_is_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let read = || setting(&database(folder.path()), "colour");
    assert_eq!(read(), None, "there is no database");
    let store = open(folder.path()).unwrap();
    store.put_setting("colour", "green").await.unwrap();
    assert_eq!(read(), None, "a gateway has it open");
    drop(store);
    let names = names_in(folder.path());
    assert_eq!(read().as_deref(), Some("green"));
    assert_eq!(names_in(folder.path()), names);
    assert_eq!(setting(&database(folder.path()), "size"), None);
}

#[test]
fn an_examination_finds_what_keeps_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let whole = std::fs::read(database(folder.path())).unwrap();
    let mut no_schema = whole.clone();
    no_schema[100..4_096].fill(0xA5);
    let mut newer = whole.clone();
    newer[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    let mut damaged_inside = whole.clone();
    damaged_inside[8 * 4_096..9 * 4_096].fill(0xA5);
    for (what, bytes, part) in [
        ("no database", b"something else".repeat(1_000), "is damaged"),
        ("cut off", whole[..whole.len() / 2].to_vec(), "is damaged"),
        ("no schema", no_schema, "is damaged"),
        ("one page is another", damaged_inside, "is damaged"),
        ("of a newer version", newer, "newer version of Waypost (layout 9999"),
    ] {
        std::fs::write(database(folder.path()), bytes).unwrap();
        let found = examine(&database(folder.path())).unwrap_err().to_string();
        assert!(found.contains(part), "{what}: {found}");
    }
}

#[test]
fn says_that_the_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { max_pages: Some(3), ..Options::default() };
    let refused = SqliteStore::open(&folder.path().join("waypost.db"), &options).err().unwrap();
    assert!(refused.to_string().ends_with("the disk is full"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_accepts_share_syncs_and_survive_a_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()).unwrap());
    drop(stage(Arc::clone(&store)).await);
    let before = store.commits();
    let accepts: Vec<_> = (0..1_000)
        .map(|last| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.accept(message(last), now_due(), None).await })
        })
        .collect();
    for accept in accepts {
        assert_eq!(accept.await.unwrap(), Ok(Accepted::New));
    }
    let commits = store.commits() - before;
    assert!((1..500).contains(&commits), "1,000 accepts in {commits} commits");
    drop(Arc::into_inner(store).unwrap());
    assert_eq!(count(&open(folder.path()).unwrap()).await, 1_000);
}

/// As after `kill -9`: the files as they are, with nothing closed.
#[tokio::test]
async fn a_copy_of_the_files_at_any_time_holds_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path()).unwrap());
    let stage = stage(Arc::clone(&store)).await;
    for round in 1..=5 {
        for last in 0..20 {
            let message = message(last);
            let attempt = stage.begin(&message).await;
            stage.settle(message.id, attempt, sent("wamid")).await;
        }
        let copy = tempfile::tempdir().unwrap();
        for name in ["waypost.db", "waypost.db-wal"] {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        let found = open(copy.path()).unwrap();
        assert_eq!(count(&found).await, round * 20);
        let recovered = found.recover(waypost_store_testkit::samples::START).await.unwrap();
        assert_eq!(recovered.unknown, [], "what was settled is settled");
    }
}

#[tokio::test]
async fn a_database_at_its_limit_refuses_and_serves_again_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { max_pages: Some(110), ..Options::default() };
    let path = folder.path().join("waypost.db");
    let store = Arc::new(SqliteStore::open(&path, &options).unwrap());
    let stage = stage(Arc::clone(&store)).await;
    let mut accepted = 0;
    let refused = loop {
        match store.accept(message(1), now_due(), None).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 10_000, "it must be full at some time");
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert_eq!(count(&store).await, accepted, "reads work, and what was acknowledged is there");
    let nobody = OrgId::new("nobody");
    assert!(
        stage
            .store
            .recipient_by_id(
                &nobody,
                &waypost_domain::CustomerId::new("c"),
                &waypost_store_testkit::samples::number_id()
            )
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(*store.broken().borrow(), None);
    drop(stage);
    drop(Arc::into_inner(store).unwrap());
    let roomier = open(folder.path()).unwrap();
    assert_eq!(roomier.accept(message(1), now_due(), None).await, Ok(Accepted::New));
    assert_eq!(count(&roomier).await, accepted + 1);
}
