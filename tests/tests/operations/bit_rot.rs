//! Bits that flip and files that are cut off (T40), in short: two hundred damages are
//! `cargo xtask chaos --only rot`.

use waypost_tests::campaign::rot::{self, Plan};

const PLAN: Plan = Plan { damages: 24, seed: 4_040, bug: None };

#[tokio::test(flavor = "multi_thread")]
async fn t40_damage_is_refused_with_a_way_out_or_harmless() {
    let report = rot::run(&PLAN).await;
    assert_eq!(report.violations, [""; 0]);
    assert!(report.refused_logs > 0 && report.harmless > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t40_control_a_log_that_nobody_looks_at_loses_messages() {
    let report = rot::run(&Plan { bug: Some("log-unchecked"), ..PLAN }).await;
    let lost = report.violations.iter().filter(|it| it.contains("waypost.db-wal")).count();
    assert!(lost > 0, "{report:#?}");
}
