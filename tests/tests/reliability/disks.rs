//! Disks that are full (T14), fail (T15) and do not sync (T16).

use waypost_tests::campaign::disks::{self, Base, Fault};

use crate::{assert_caught, assert_kept};

/// Of the calls in a run, those that fail in the suite. All two hundred: `cargo xtask chaos`.
const SAMPLED: [Fault; 9] = [
    Fault::Sync(1),
    Fault::Sync(4),
    Fault::Sync(17),
    Fault::Sync(50),
    Fault::Write(30),
    Fault::Write(111),
    Fault::NoRoom(25, 20),
    Fault::NoRoom(90, 40),
    Fault::ShortWrite(0),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers_by_itself() {
    assert_kept(&disks::full(None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_failed_commit_that_is_called_a_success_is_caught_on_a_full_disk() {
    let bug = "ack-failed-commit";
    assert_caught(bug, &disks::full(Some(bug)).await, &["lost:", "nothing was refused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_disk_ends_the_process_and_loses_nothing() {
    let base = Base::make().await;
    let mut violations = Vec::new();
    let mut reached = 0;
    for fault in SAMPLED {
        let fault = match fault {
            Fault::ShortWrite(_) => Fault::ShortWrite(base.database_kib() + 150),
            other => other,
        };
        let report = base.fail(fault, None).await;
        reached += usize::from(report.reached);
        violations.extend(report.violations.iter().map(|what| format!("{fault:?}: {what}")));
    }
    assert_kept(&violations);
    assert!(reached >= 7, "only {reached} faults came to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_failed_sync_that_is_called_a_success_is_caught() {
    let bug = "ack-failed-commit";
    let report = Base::make().await.fail(Fault::Sync(17), Some(bug)).await;
    assert!(report.reached);
    assert_caught(bug, &report.violations, &["lost:", "goes on accepting"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledgement_is_preceded_by_a_sync() {
    let base = Base::make().await;
    assert_kept(&base.syncs(None).await);
    let bug = "sync-normal";
    assert_caught(bug, &base.syncs(Some(bug)).await, &["acknowledged one by one with"]);
}
