//! `kill -9` (T1, T2, T12, and T6's part).

use std::time::Duration;

use waypost_tests::campaign::Kind;
use waypost_tests::campaign::kills::{self, KillPlan};
use waypost_tests::campaign::unrecorded;

use crate::{assert_caught, assert_kept};

/// Kills in the suite. Five hundred are a campaign: `cargo xtask chaos`.
const KILLS: u64 = 24;
const SEED: u64 = 20_260_729;

async fn with_bug(bug: &'static str, kills: u64, kinds: &'static [Kind]) -> Vec<String> {
    let drain_limit = Duration::from_secs(6);
    let plan = KillPlan { kinds, bug: Some(bug), drain_limit, ..KillPlan::short(kills, SEED) };
    kills::run(&plan).await.verdict.violations
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_over_kills() {
    let report = kills::run(&KillPlan::short(KILLS, SEED)).await;
    assert_kept(&report.verdict.violations);
    let verdict = &report.verdict;
    for (what, count) in
        [("sent", verdict.sent), ("accepted", verdict.accepted), ("webhooks", verdict.taken)]
    {
        assert!(count > 100, "{count} {what}: too few to say anything");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_while_connections_break_too() {
    let plan = KillPlan { grief: true, ..KillPlan::short(KILLS / 3, SEED + 1) };
    assert_kept(&kills::run(&plan).await.verdict.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_an_answer_before_the_commit_loses_messages() {
    let bug = "ack-before-commit";
    assert_caught(bug, &with_bug(bug, 16, &[]).await, &["lost:", "doubled:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_webhook_answered_before_it_is_stored_is_lost() {
    let bug = "webhook-before-store";
    assert_caught(bug, &with_bug(bug, 4, &[Kind::Inbound]).await, &["lost: wamid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_send_without_an_intent_is_doubled() {
    let bug = "no-intent";
    let words = ["doubled:", "not in the log", "and was sent"];
    assert_caught(bug, &with_bug(bug, 4, &[]).await, &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_a_send_without_an_intent_is_found_where_its_caller_waits() {
    let bug = "no-intent";
    let words = ["doubled:", "not in the log", "and was sent"];
    assert_caught(bug, &with_bug(bug, 6, &[Kind::Waiting]).await, &words);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_an_idempotency_key_that_is_not_kept_doubles() {
    let bug = "forget-idempotency";
    assert_caught(bug, &with_bug(bug, 6, &[Kind::Single]).await, &["twice in the log", "doubled:"]);
}

const EXACT: unrecorded::Plan = unrecorded::Plan {
    kills: 5,
    silence: Duration::from_millis(500),
    resend_wait: Duration::ZERO,
    bug: None,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_and_not_recorded_is_bound_by_its_status() {
    let report = unrecorded::run(&EXACT).await;
    assert_kept(&report.verdict.violations);
    assert_eq!((report.held, report.bound), (10, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn control_an_unknown_message_that_is_sent_again_at_once_is_found() {
    let bug = "resend-without-waiting";
    let plan = unrecorded::Plan { kills: 1, bug: Some(bug), ..EXACT };
    assert_caught(bug, &unrecorded::run(&plan).await.verdict.violations, &["were sent again"]);
}
