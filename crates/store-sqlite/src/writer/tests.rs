//! The writer alone, on a table of its own: what is committed together, and what a failure hits.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use tokio::task::JoinHandle;

use super::groups::CROWD_JOBS;
use super::*;
use crate::Options;
use crate::fault::Fault;

/// A writer on a database with the table `kept`.
async fn writer(folder: &Path) -> Arc<Writer> {
    let path = folder.join("a.db");
    let conn = crate::open::writer(&path, &Options::default()).unwrap();
    let copying = crate::open::copier(&path).unwrap();
    let writer = Arc::new(Writer::start(conn, copying, |_| {}, |_| Ok(())).unwrap());
    let create = "CREATE TABLE IF NOT EXISTS kept (value BLOB NOT NULL UNIQUE)";
    writer.run(Work::Known, |conn| Ok(conn.execute_batch(create)?)).await.unwrap();
    writer
}

fn insert(conn: &Connection, value: &str) -> Done<()> {
    conn.prepare_cached("INSERT INTO kept (value) VALUES (?1)")?.execute([value])?;
    Ok(())
}

async fn count(writer: &Writer) -> i64 {
    let count =
        |conn: &Connection| Ok(conn.query_row("SELECT count(*) FROM kept", [], |row| row.get(0))?);
    writer.run(Work::Known, count).await.unwrap()
}

/// Keeps the writer busy until the sender is dropped, so that what comes meanwhile is one group.
async fn hold(writer: &Arc<Writer>) -> (Sender<()>, JoinHandle<StoreResult<()>>) {
    let (release, held) = channel::<()>();
    let (begun, begins) = oneshot::channel();
    let busy = Arc::clone(writer);
    let holding = tokio::spawn(async move {
        let mut begun = Some(begun);
        let wait = move |_: &Connection| {
            let _ = begun.take().map(|begun| begun.send(()));
            let _ = held.recv();
            Ok(())
        };
        busy.run(Work::Known, wait).await
    });
    begins.await.unwrap();
    (release, holding)
}

/// Submits a job and waits until it is in the queue.
async fn submit(
    writer: &Arc<Writer>,
    job: impl FnMut(&Connection) -> Done<()> + Send + 'static,
) -> JoinHandle<StoreResult<()>> {
    let before = writer.waiting();
    let submitted = Arc::clone(writer);
    let answer = tokio::spawn(async move { submitted.run(Work::Known, job).await });
    while writer.waiting() == before {
        tokio::task::yield_now().await;
    }
    answer
}

fn io_error() -> Fault {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
    Fault::Sqlite(rusqlite::Error::SqliteFailure(code, None))
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path()).await;
    let before = writer.commits();
    let (release, _holding) = hold(&writer).await;
    let mut answers = Vec::new();
    for place in 0..100 {
        answers.push(submit(&writer, move |conn| insert(conn, &place.to_string())).await);
    }
    drop(release);
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(writer.commits() - before, 1);
    assert_eq!(count(&writer).await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_job_learns_that_somebody_waits_but_not_of_other_long_ones() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path()).await;
    let (release, holding) = hold(&writer).await;
    let mut long = Vec::new();
    for _ in 0..2 {
        let (asking, crowd) = (Arc::clone(&writer), writer.crowd());
        let job = move |_: &Connection| Ok(crowd.is_waiting());
        long.push(tokio::spawn(async move { asking.run_long(Work::New, job).await }));
    }
    while writer.waiting() < 2 {
        tokio::task::yield_now().await;
    }
    drop(release);
    holding.await.unwrap().unwrap();
    for answer in long {
        assert_eq!(answer.await.unwrap(), Ok(false));
    }
    let (asking, crowd) = (Arc::clone(&writer), writer.crowd());
    let (begun, begins) = oneshot::channel();
    let mut begun = Some(begun);
    let until_somebody_waits = move |_: &Connection| {
        let _ = begun.take().map(|begun| begun.send(()));
        while !crowd.is_waiting() {
            std::thread::yield_now();
        }
        Ok(())
    };
    let answer =
        tokio::spawn(async move { asking.run_long(Work::New, until_somebody_waits).await });
    begins.await.unwrap();
    writer.run(Work::Unhurried, |conn| insert(conn, "short")).await.unwrap();
    answer.await.unwrap().unwrap();
    assert!(!writer.crowd().is_waiting());
}

#[tokio::test]
async fn a_failed_job_is_undone_alone() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path()).await;
    let before = writer.commits();
    let (release, _holding) = hold(&writer).await;
    let first = submit(&writer, |conn| insert(conn, "first")).await;
    let half = submit(&writer, |conn| {
        insert(conn, "half")?;
        insert(conn, "first")
    })
    .await;
    let by_rule = submit(&writer, |conn| {
        insert(conn, "rule")?;
        Err(StoreError::NotFound.into())
    })
    .await;
    let last = submit(&writer, |conn| insert(conn, "last")).await;
    drop(release);
    first.await.unwrap().unwrap();
    assert!(matches!(half.await.unwrap(), Err(StoreError::Conflict(_))));
    assert_eq!(by_rule.await.unwrap(), Err(StoreError::NotFound));
    last.await.unwrap().unwrap();
    assert_eq!(writer.commits() - before, 1);
    assert_eq!(count(&writer).await, 2);
}

#[tokio::test]
async fn a_transaction_ends_with_the_upkeep_also_where_a_job_was_undone() {
    let folder = tempfile::tempdir().unwrap();
    drop(writer(folder.path()).await);
    let path = folder.path().join("a.db");
    let conn = crate::open::writer(&path, &Options::default()).unwrap();
    let copying = crate::open::copier(&path).unwrap();
    let upkeep = |conn: &Connection| {
        conn.execute("INSERT INTO kept (value) VALUES (randomblob(8))", [])?;
        Ok(())
    };
    let writer = Arc::new(Writer::start(conn, copying, |_| {}, upkeep).unwrap());
    let half = |conn: &Connection| {
        insert(conn, "half")?;
        Err::<(), _>(StoreError::NotFound.into())
    };
    assert_eq!(writer.run(Work::Known, half).await, Err(StoreError::NotFound));
    assert_eq!(count(&writer).await, 1, "what the upkeep wrote");
}

#[tokio::test]
async fn a_full_disk_fails_the_group_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path()).await;
    let limit = |pages: &'static str| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        writer.run(Work::Known, move |conn| Ok(conn.query_row(&sql, [], |_| Ok(()))?))
    };
    // A limit below the present size is the present size.
    limit("1").await.unwrap();
    let full = writer.full();
    let (release, _holding) = hold(&writer).await;
    let small = submit(&writer, |conn| insert(conn, "small")).await;
    let big = submit(&writer, |conn| {
        conn.execute("INSERT INTO kept (value) VALUES (zeroblob(1000000))", [])?;
        Ok(())
    })
    .await;
    let after = submit(&writer, |conn| insert(conn, "after")).await;
    drop(release);
    for answer in [small, big, after] {
        let refused = answer.await.unwrap();
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    assert_eq!(count(&writer).await, 0, "nothing of the group is kept");
    assert_eq!(*writer.broken().borrow(), None);
    assert!(*full.borrow(), "a look writes nothing and shows nothing");
    limit("4294967294").await.unwrap();
    writer.run(Work::New, |conn| insert(conn, "again")).await.unwrap();
    assert!(!*full.borrow(), "a write has succeeded");
    assert_eq!(count(&writer).await, 1);
}

#[tokio::test]
async fn after_an_error_of_the_disk_nothing_is_written_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let store = writer(path).await;
    store.run(Work::Known, |conn| insert(conn, "before")).await.unwrap();
    let mut broken = store.broken();
    let (release, _holding) = hold(&store).await;
    let group = [
        submit(&store, |conn| insert(conn, "with it")).await,
        submit(&store, |_| Err(io_error())).await,
    ];
    drop(release);
    for answer in group {
        assert!(matches!(answer.await.unwrap(), Err(StoreError::Broken(_))));
    }
    broken.wait_for(Option::is_some).await.unwrap();
    for kind in [Work::New, Work::Known] {
        let later = store.run(kind, |conn| insert(conn, "later")).await;
        assert!(matches!(later, Err(StoreError::Broken(_))), "{later:?}");
    }
    drop(store);
    assert_eq!(count(&*writer(path).await).await, 1, "only what was acknowledged is there");
}

#[tokio::test]
async fn a_panic_in_a_job_ends_the_store_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path()).await;
    let mut broken = writer.broken();
    let (release, _holding) = hold(&writer).await;
    let bad = submit(&writer, |_| panic!("planted")).await;
    let good = submit(&writer, |conn| insert(conn, "good")).await;
    drop(release);
    broken.wait_for(Option::is_some).await.unwrap();
    for answer in [bad, good] {
        let refused = answer.await.unwrap();
        assert!(matches!(refused, Err(StoreError::Broken(_))), "{refused:?}");
    }
    let later = writer.run(Work::Known, |_| Ok(())).await;
    assert!(matches!(later, Err(StoreError::Broken(_))), "{later:?}");
}

#[tokio::test]
async fn new_work_is_turned_away_before_the_queue_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path()).await;
    let (release, _holding) = hold(&writer).await;
    let mut answers = Vec::new();
    for _ in 0..=(QUEUE_JOBS - RESERVED_JOBS) {
        let submitted = Arc::clone(&writer);
        answers.push(tokio::spawn(async move { submitted.run(Work::Known, |_| Ok(())).await }));
    }
    while writer.waiting() <= QUEUE_JOBS - RESERVED_JOBS {
        tokio::task::yield_now().await;
    }
    let refused = writer.run(Work::New, |_| Ok(())).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    answers.push(submit(&writer, |conn| insert(conn, "an outcome")).await);
    drop(release);
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(count(&writer).await, 1);
    writer.run(Work::New, |_| Ok(())).await.unwrap();
}

#[tokio::test]
async fn dropping_the_writer_finishes_what_was_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let store = writer(path).await;
    let (release, holding) = hold(&store).await;
    let answer = submit(&store, |conn| insert(conn, "taken")).await;
    drop(release);
    answer.await.unwrap().unwrap();
    holding.await.unwrap().unwrap();
    drop(store);
    assert!(!path.join("a.db-wal").exists(), "the log is folded in");
    assert_eq!(count(&*writer(path).await).await, 1);
}

#[tokio::test]
async fn after_a_copy_of_the_log_failed_nothing_is_written_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path()).await;
    writer.shared.give_up(&StoreError::Broken("the copy failed".to_owned()));
    let late = writer.run(Work::Known, |conn| insert(conn, "late")).await;
    assert_eq!(late, Err(StoreError::Broken("the copy failed".to_owned())));
    drop(writer);
    let conn = Connection::open(folder.path().join("a.db")).unwrap();
    let kept = conn.query_row("SELECT count(*) FROM kept", [], |row| row.get::<_, i64>(0));
    assert_eq!(kept, Ok(0));
}

#[tokio::test]
async fn the_log_stays_bounded_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path()).await;
    for _ in 0..300 {
        let fill = |conn: &Connection| {
            conn.execute("INSERT INTO kept (value) VALUES (randomblob(400000))", [])?;
            Ok(())
        };
        writer.run(Work::Known, fill).await.unwrap();
    }
    let log_bytes = std::fs::metadata(folder.path().join("a.db-wal")).unwrap().len();
    let database_bytes = std::fs::metadata(folder.path().join("a.db")).unwrap().len();
    assert!(database_bytes > 80_000_000, "{database_bytes}");
    assert!(log_bytes < 56_000_000, "{log_bytes}");
}

#[tokio::test]
async fn nobody_waits_for_company_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path()).await;
    for round in 0..20 {
        // Many at once, so that the next one expects company.
        let (release, holding) = hold(&writer).await;
        let mut answers = vec![holding];
        for place in 0..8 {
            answers
                .push(submit(&writer, move |conn| insert(conn, &format!("{round} {place}"))).await);
        }
        drop(release);
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
        let alone = format!("{round} alone");
        writer.run(Work::Unhurried, move |conn| insert(conn, &alone)).await.unwrap();
        let (patient, hurried) = (format!("{round} patient"), format!("{round} hurried"));
        let both = tokio::join!(
            writer.run(Work::Unhurried, move |conn| insert(conn, &patient)),
            writer.run(Work::Known, move |conn| insert(conn, &hurried)),
        );
        assert!(both.0.is_ok() && both.1.is_ok());
    }
    assert_eq!(count(&writer).await, 20 * 11);
}

#[tokio::test]
async fn a_queue_is_full_once_its_last_would_wait_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let writer = writer(folder.path()).await;
    let (release, _holding) = hold(&writer).await;
    let mut answers = Vec::new();
    for place in 0..CROWD_JOBS {
        let slow = move |_: &Connection| {
            std::thread::sleep(Duration::from_millis(if place == 0 { 250 } else { 0 }));
            Ok(())
        };
        answers.push(submit(&writer, slow).await);
    }
    drop(release);
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    // What was just answered is counted after the answers.
    let _ = count(&writer).await;
    assert_eq!(writer.shared.longest_queue.load(Ordering::Relaxed), GROUP_JOBS);

    let (release, _holding) = hold(&writer).await;
    let mut answers = Vec::new();
    while writer.waiting() < GROUP_JOBS {
        answers.push(submit(&writer, |_| Ok(())).await);
    }
    assert!(writer.is_behind());
    drop(release);
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
}
