//! `kill -9` at random times under load (T1, and T12 for what comes in; T6's part of repeated requests).
//! It starts, loads, kills and starts again; the oracle judges.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::carrier::Carrier;
use super::chance::Chance;
use super::desk::{Desk, Kind};
use super::gateway::{self, has_none, within};
use super::ledger::Ledger;
use super::load::Load;
use super::oracle::{Evidence, Verdict, judge};
use crate::chaos_proxy::{ChaosProxy, Mischief};
use crate::receiver::Receiver;
use crate::waypost::Waypost;

/// How long the upstream takes to answer, in milliseconds.
const LATENCY_MS: Range<u64> = 0..15;
/// Of a hundred kills, how many are followed by another one while it starts.
const EARLY_KILLS_PERCENT: u64 = 15;
/// When that one comes, in milliseconds after the start.
const EARLY_MS: Range<u64> = 0..250;
/// Of a hundred connections to the upstream, how many come to grief.
const GRIEF_PERCENT: u64 = 30;

/// A campaign.
#[derive(Clone, Debug)]
pub struct KillPlan {
    /// How many kills.
    pub kills: u64,
    /// What chance follows from.
    pub seed: u64,
    /// Callers at once.
    pub callers: u64,
    /// People that are written to.
    pub people: u64,
    /// How long it runs before each kill, in milliseconds.
    pub up_ms: Range<u64>,
    /// Whether connections to the upstream break too.
    pub grief: bool,
    /// How long is waited in the end for messages whose outcome is unknown.
    pub unknown_wait: Duration,
    /// How long is waited for everything to have an end.
    pub drain_limit: Duration,
    /// Only these kinds of requests; none for a mixture.
    pub kinds: &'static [Kind],
    /// The planted bug.
    pub bug: Option<&'static str>,
}

impl KillPlan {
    /// The short form.
    #[must_use]
    pub fn short(kills: u64, seed: u64) -> Self {
        Self {
            kills,
            seed,
            callers: 16,
            people: 1_500,
            up_ms: 150..700,
            grief: false,
            unknown_wait: Duration::ZERO,
            drain_limit: Duration::from_secs(60),
            kinds: &[],
            bug: None,
        }
    }

    /// The long form.
    #[must_use]
    pub fn long(kills: u64, seed: u64) -> Self {
        Self {
            callers: 48,
            people: 25_000,
            up_ms: 300..1_900,
            unknown_wait: Duration::from_secs(150),
            drain_limit: Duration::from_secs(600),
            ..Self::short(kills, seed)
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct KillReport {
    /// The judgement.
    pub verdict: Verdict,
    /// Kills, with those while it started.
    pub kills: u64,
    /// Those.
    pub early_kills: u64,
    /// Requests.
    pub asked: u64,
    /// Messages that starts found unknown, summed.
    pub found_unknown: u64,
    /// Messages that are said to be repeated.
    pub flagged: usize,
    /// The longest start, in milliseconds.
    pub slowest_start_ms: u128,
    /// How long it took.
    pub took: Duration,
}

/// Runs a campaign.
///
/// # Panics
/// Where the rig cannot do its part.
pub async fn run(plan: &KillPlan) -> KillReport {
    let began = Instant::now();
    let mut chance = Chance::seeded(plan.seed);
    let carrier = Arc::new(Carrier::start(LATENCY_MS, plan.seed).await);
    let proxy = match plan.grief {
        true => Some(ChaosProxy::start(carrier.address(), griefs(plan.seed)).await),
        false => None,
    };
    let upstream = proxy.as_ref().map_or_else(|| carrier.url(), ChaosProxy::url);
    let receiver = Receiver::start().await;
    let mut waypost = gateway::options(&upstream, plan.bug).start().await;
    let desk = Desk::of(&waypost);
    desk.furnish(&waypost, plan.people).await;
    desk.is_heard_by(&waypost, &receiver).await;
    carrier.tell(waypost.url());
    let ledger = Ledger::at(&waypost.folder().path().join("ledger"));
    let mut load = Load::new(desk.clone(), ledger, Arc::clone(&carrier), plan.people);
    if !plan.kinds.is_empty() {
        load = load.only(plan.kinds);
    }
    let load = Arc::new(load);
    let callers = load.begin(plan.callers, plan.seed);
    let mut report = KillReport::default();
    for _ in 0..plan.kills {
        sleep_ms(chance.within(plan.up_ms.clone())).await;
        let mut options = waypost.kill();
        report.kills += 1;
        if chance.is(EARLY_KILLS_PERCENT) {
            let early = options.spawn();
            sleep_ms(chance.within(EARLY_MS)).await;
            options = early.kill();
            report.kills += 1;
            report.early_kills += 1;
        }
        let starting = Instant::now();
        waypost = options.start().await;
        report.slowest_start_ms = report.slowest_start_ms.max(starting.elapsed().as_millis());
    }
    load.stop();
    callers.join_all().await;
    if let Some(proxy) = &proxy {
        proxy.set(Mischief::None);
    }
    load.deliver_owed().await;
    drain(plan, &waypost, &desk, &carrier, &receiver).await;
    let evidence = gather(&waypost, &desk, &carrier, &receiver, &load).await;
    report.verdict = judge(&evidence);
    report.asked = load.asked();
    report.found_unknown = gateway::left_unknown(&waypost.errors());
    report.flagged = evidence.finals.iter().filter(|last| last.possible_duplicate).count();
    report.took = began.elapsed();
    report
}

async fn sleep_ms(span_ms: u64) {
    tokio::time::sleep(Duration::from_millis(span_ms)).await;
}

/// What befalls connections to the upstream: cut while a request goes out, or a reply comes back.
fn griefs(seed: u64) -> impl FnMut() -> Mischief + Send + 'static {
    let mut chance = Chance::seeded(!seed);
    move || {
        if !chance.is(GRIEF_PERCENT) {
            return Mischief::None;
        }
        let bytes = usize::try_from(chance.within(0..40_000)).unwrap_or(0);
        match chance.within(0..4) {
            0 => Mischief::ResetAfterRequest(bytes),
            1 => Mischief::ResetAfterReply(bytes),
            2 => Mischief::CutReply(bytes),
            _ => Mischief::Delay(Duration::from_millis(chance.within(1..60))),
        }
    }
}

/// Waits until everything has an end, or the limit is over: the oracle tells what has none.
async fn drain(
    plan: &KillPlan,
    waypost: &Waypost,
    desk: &Desk,
    carrier: &Carrier,
    receiver: &Receiver,
) {
    let quiet = async || {
        carrier.untold() == 0 && has_none(waypost, desk, &["queued", "sending", "sent"]).await
    };
    within(plan.drain_limit, quiet).await;
    if !plan.unknown_wait.is_zero() && !has_none(waypost, desk, &["unknown"]).await {
        tokio::time::sleep(plan.unknown_wait).await;
        within(plan.drain_limit, quiet).await;
    }
    gateway::until_told(waypost, desk, receiver, plan.drain_limit).await;
}

async fn gather(
    waypost: &Waypost,
    desk: &Desk,
    carrier: &Carrier,
    receiver: &Receiver,
    load: &Load,
) -> Evidence {
    Evidence {
        ledger: load.ledger().close(),
        carried: carrier.carried(),
        finals: gateway::finals(waypost, desk).await,
        callbacks: gateway::told_by(receiver),
        has_callbacks: true,
        told_all: carrier.untold() == 0,
        strange: load.strange(),
    }
}
