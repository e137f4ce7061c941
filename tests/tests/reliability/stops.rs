//! Told to stop under load (T31).

use waypost_tests::campaign::stops::{self, Plan};

use crate::{assert_caught, assert_kept};

const PLAN: Plan = Plan { stops: 8, seed: 7, callers: 12, up_ms: 150..500, bug: None };

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_nothing_unknown_and_nobody_without_an_answer() {
    assert_kept(&stops::run(&PLAN).await.verdict.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_stop_that_does_not_wait_leaves_messages_unknown() {
    let bug = "stop-at-once";
    let plan = Plan { stops: 2, bug: Some(bug), ..PLAN };
    let words = ["unknown", "taken and not answered"];
    assert_caught(bug, &stops::run(&plan).await.verdict.violations, &words);
}
