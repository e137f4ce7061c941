//! Told to stop under load (T31): who was taken gets an answer, nothing on the wire is left unknown,
//! and it ends in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::carrier::Carrier;
use super::chance::Chance;
use super::desk::Desk;
use super::gateway::{self, has_none, within};
use super::ledger::{Ledger, Promise};
use super::load::Load;
use super::oracle::{Evidence, Verdict, judge};

/// How long the upstream takes to answer, in milliseconds: long enough that much is on its way.
const LATENCY_MS: std::ops::Range<u64> = 5..60;

/// A campaign.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many stops.
    pub stops: u64,
    /// What chance follows from.
    pub seed: u64,
    /// Callers at once.
    pub callers: u64,
    /// How long it runs before each stop, in milliseconds.
    pub up_ms: std::ops::Range<u64>,
    /// The planted bug.
    pub bug: Option<&'static str>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// The judgement.
    pub verdict: Verdict,
    /// Stops.
    pub stops: u64,
    /// Messages whose outcome a start found unknown.
    pub found_unknown: u64,
    /// The longest from the signal to the end, in milliseconds.
    pub slowest_stop_ms: u128,
    /// How long it took.
    pub took: Duration,
}

/// Runs a campaign.
///
/// # Panics
/// Where the rig cannot do its part.
pub async fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let mut chance = Chance::seeded(plan.seed);
    let carrier = Arc::new(Carrier::start(LATENCY_MS, plan.seed).await);
    let mut waypost = gateway::options(&carrier.url(), plan.bug).start().await;
    let desk = Desk::of(&waypost);
    desk.furnish(&waypost, 2_000).await;
    carrier.tell(waypost.url());
    let ledger = Ledger::at(&waypost.folder().path().join("ledger"));
    let load = Arc::new(Load::new(desk.clone(), ledger, Arc::clone(&carrier), 2_000));
    let callers = load.begin(plan.callers, plan.seed);
    let mut report = Report::default();
    let mut ends = Vec::new();
    for _ in 0..plan.stops {
        let up_ms = chance.within(plan.up_ms.clone());
        tokio::time::sleep(Duration::from_millis(up_ms)).await;
        let told = Instant::now();
        let (options, status) = waypost.stop().await;
        report.slowest_stop_ms = report.slowest_stop_ms.max(told.elapsed().as_millis());
        report.stops += 1;
        ends.push(status);
        waypost = options.start().await;
    }
    load.stop();
    callers.join_all().await;
    load.deliver_owed().await;
    within(Duration::from_secs(60), async || {
        carrier.untold() == 0 && has_none(&waypost, &desk, &["queued", "sending", "sent"]).await
    })
    .await;
    let evidence = Evidence {
        ledger: load.ledger().close(),
        carried: carrier.carried(),
        finals: gateway::finals(&waypost, &desk).await,
        told_all: carrier.untold() == 0,
        strange: load.strange(),
        ..Evidence::default()
    };
    report.verdict = judge(&evidence);
    report.found_unknown = gateway::left_unknown(&waypost.errors());
    if report.found_unknown > 0 {
        report.verdict.also([format!("starts found {} messages unknown", report.found_unknown)]);
    }
    let badly = ends.iter().filter(|status| !status.success());
    report.verdict.also(badly.map(|status| format!("it ended with {status}")));
    report.verdict.also(unanswered(&evidence));
    report.took = began.elapsed();
    report
}

/// What was taken is answered: whoever heard nothing was not taken.
fn unanswered(evidence: &Evidence) -> Vec<String> {
    let kept: std::collections::HashSet<&str> =
        evidence.finals.iter().map(|last| last.key.as_str()).collect();
    let silent = evidence.ledger.iter().filter(|entry| entry.promise == Promise::Nothing);
    let taken = silent.filter(|entry| kept.contains(entry.key.as_str()));
    taken.map(|entry| format!("taken and not answered: {}", entry.key)).collect()
}
