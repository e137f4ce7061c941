//! Power cuts in a recorded run (T5).

use waypost_tests::power::record::record;
use waypost_tests::power::replay::{Plan, Report, replay};

use crate::{assert_caught, assert_kept};

/// Requests in each life of the recorded run.
const REQUESTS: u64 = 60;
const PLAN: Plan = Plan { points: 150, torn: 1, seed: 5, start_every: 120 };

async fn cut_with(bug: &'static str) -> Report {
    let plan = Plan { points: 60, torn: 0, start_every: 0, ..PLAN };
    replay(&record(REQUESTS / 2, Some(bug)).await, &plan).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_cut_loses_what_was_acknowledged() {
    let recording = record(REQUESTS, None).await;
    let report = replay(&recording, &PLAN).await;
    assert_kept(&report.violations);
    assert!(report.acknowledged > 100 && report.disks > 250, "{report:?}");
    assert!(recording.seen * 10 >= recording.promises.len() * 9, "too few answers were seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_database_without_full_syncs_loses_messages() {
    let bug = "sync-normal";
    let report = cut_with(bug).await;
    assert_caught(bug, &report.violations, &["lost:"]);
    assert!(report.losing_points > 5, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_file_that_is_not_synced_is_lost() {
    let bug = "media-not-synced";
    assert_caught(bug, &cut_with(bug).await.violations, &["lost: the content of"]);
}
