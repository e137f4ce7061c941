//! Much of something at once, or for long, in short: one idempotency key for many requests (T6), an
//! upstream that is down (T19), a tenant beside a heavy one (T20), webhooks at an even pace (T12), and
//! the deletion of what is old (T41). Times are judged by `cargo xtask chaos --release`.

use std::time::Duration;

use waypost_tests::campaign::{keys, neighbour, outage, retention, webhooks};

use crate::{assert_caught, assert_kept};

const PATIENCE: Duration = Duration::from_secs(60);

const KEYS: keys::Plan =
    keys::Plan { rounds: 50, at_once: 64, seed: 6, drain_limit: PATIENCE, bug: None };

#[tokio::test(flavor = "multi_thread")]
async fn t06_one_key_makes_one_message_over_the_wire() {
    let report = keys::run(&KEYS).await;
    assert_kept(&report.verdict.violations);
    assert!(report.verdict.accepted >= 50 && report.kills == 2, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t06_control_a_key_that_is_read_and_then_written_is_found() {
    let bug = "read-then-write-idempotency";
    let drain_limit = Duration::from_secs(5);
    let plan = keys::Plan { rounds: 3, drain_limit, bug: Some(bug), ..KEYS };
    assert_caught(bug, &keys::run(&plan).await.verdict.violations, &["twice in the log"]);
}

const OUTAGE: outage::Plan =
    outage::Plan { messages: 2_000, steps: 20, drain_limit: PATIENCE, is_timed: false, bug: None };

#[tokio::test(flavor = "multi_thread")]
async fn t19_an_upstream_that_is_down_is_only_probed() {
    assert_kept(&outage::run(&OUTAGE).await.verdict.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn t19_control_a_storm_is_found() {
    let bug = "retry-storm";
    let drain_limit = Duration::from_secs(1);
    let plan = outage::Plan { steps: 500, drain_limit, bug: Some(bug), ..OUTAGE };
    let violations = outage::run(&plan).await.verdict.violations;
    assert_caught(bug, &violations, &["while it was down"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t20_a_tenant_beside_one_who_dumps_gets_everything_through() {
    let plan = neighbour::Plan {
        dumped: 4_000,
        dump_per_s: 20,
        messages: 40,
        per_s: 20,
        is_timed: false,
        bug: None,
    };
    assert_kept(&neighbour::run(&plan).await.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn t12_webhooks_at_an_even_pace_are_each_taken_and_told_of_once() {
    let plan = webhooks::Plan { per_s: 300, webhooks: 900, is_timed: false, bug: None };
    let report = webhooks::run(&plan).await;
    assert_kept(&report.verdict.violations);
    assert_eq!((report.verdict.taken, report.times.count()), (900, 900));
}

#[tokio::test(flavor = "multi_thread")]
async fn t41_everything_goes_while_others_write() {
    let (messages, alone, limit) = (4_000, Duration::from_secs(1), PATIENCE);
    let plan = retention::Plan { messages, alone, limit, is_timed: false, bug: None };
    let report = retention::run(&plan).await;
    assert_kept(&report.violations);
    assert!(report.deleted >= 3_999 && report.beside.count() > 20, "{report:?}");
}
