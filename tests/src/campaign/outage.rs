//! An upstream that is down for an hour before a long queue (T19): it is only probed, hardly anything
//! is tried twice, and when it is back everything goes out once, no faster than the number may. The
//! gateway's clock is moved through its sandbox; what is sent goes to the stand-in.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::carrier::{Carried, Carrier};
use super::gateway::{self, has_none_at, within};
use super::ledger::{Entry, Promise};
use super::oracle::{Evidence, Verdict, judge};
use crate::tenant::{REQUEST_PEOPLE, Tenant};
use crate::waypost::Waypost;

/// Messages a second that the number may send.
const PER_S: u32 = 1_000;
/// The longest pause between two probes, in seconds: the clock goes by as much at a time.
const STEP_S: u64 = 30;
/// Rest after each step, so that what falls due is done.
const STEP_REST: Duration = Duration::from_millis(120);
/// Calls that may be on their way when it goes down, and probes while the queue is filled.
const ON_THEIR_WAY: usize = 256 + 40;
/// Over so long the pace is judged.
const PACE_SPAN: Duration = Duration::from_secs(10);
const TEXT: &str = "hello";

/// A campaign.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Messages that wait.
    pub messages: u64,
    /// Half minutes for which it is down, at most.
    pub steps: usize,
    /// How long is waited in the end for everything to be sent.
    pub drain_limit: Duration,
    /// Whether times are judged.
    pub is_timed: bool,
    /// The planted bug.
    pub bug: Option<&'static str>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// The judgement.
    pub verdict: Verdict,
    /// How often it was asked while it was down.
    pub asked: usize,
    /// Of these, for messages that had been refused before.
    pub retries: usize,
    /// How long the queue took to drain.
    pub draining: Duration,
    /// The most messages in one second, and in ten.
    pub busiest: (usize, usize),
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// It in words.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let (second, ten) = self.busiest;
        vec![
            format!("an upstream that is down (T19), {:.0} s", self.took.as_secs_f64()),
            format!(
                "  queued {}; asked while it was down {}, of these retries {}",
                self.verdict.accepted, self.asked, self.retries
            ),
            format!(
                "  drained in {:.1} s, at most {second} in a second and {ten} in ten, of {PER_S} a \
                 second; lost {}, doubled {}",
                self.draining.as_secs_f64(),
                self.verdict.lost,
                self.verdict.doubled
            ),
        ]
    }
}

/// Runs a campaign.
///
/// # Panics
/// Where the rig cannot do its part.
pub async fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let carrier = Carrier::start(0..3, 0).await;
    carrier.is_down(true);
    let options = gateway::options(&carrier.url(), plan.bug);
    let waypost = options.env("WAYPOST_SANDBOX__ENABLED", "true").start().await;
    carrier.tell(waypost.url());
    let tenant = Tenant::add(&waypost, 1, PER_S, None).await;
    let ledger = fill(&tenant, plan.messages).await;
    let steps = be_down(plan, &waypost, &carrier).await;
    carrier.is_down(false);
    let draining = Instant::now();
    drain(plan, &waypost, &tenant, &carrier).await;
    let draining = draining.elapsed();
    let asked = carrier.refused();
    let distinct = asked.iter().collect::<BTreeSet<_>>().len();
    let carried = carrier.carried();
    let evidence = Evidence {
        ledger,
        finals: gateway::finals_at(&waypost.admin(), &tenant.at("messages")).await,
        told_all: carrier.untold() == 0,
        carried,
        ..Evidence::default()
    };
    let mut report = Report {
        verdict: judge(&evidence),
        asked: asked.len(),
        retries: asked.len() - distinct,
        draining,
        busiest: (
            busiest(&evidence.carried, Duration::from_secs(1)),
            busiest(&evidence.carried, PACE_SPAN),
        ),
        took: Duration::ZERO,
    };
    let faults = faults(plan, steps, &report);
    report.verdict.also(faults);
    report.took = began.elapsed();
    report
}

/// Lets the upstream be down for as long as the campaign says; no longer once more was asked than may be. Returns
/// how many steps that were.
async fn be_down(plan: &Plan, waypost: &Waypost, carrier: &Carrier) -> usize {
    for step in 0..plan.steps {
        if carrier.refused().len() > may_be_asked(step) {
            return step;
        }
        waypost.sandbox().advance(STEP_S).await;
        tokio::time::sleep(STEP_REST).await;
    }
    plan.steps
}

/// How often it may be asked in so many steps.
const fn may_be_asked(steps: usize) -> usize {
    ON_THEIR_WAY + steps
}

fn faults(plan: &Plan, steps: usize, report: &Report) -> Vec<String> {
    let mut faults = Vec::new();
    if report.asked > may_be_asked(steps) {
        faults.push(format!("asked {} times while it was down", report.asked));
    }
    if report.retries * 10 > report.asked {
        faults.push(format!("{} of {} were retries", report.retries, report.asked));
    }
    let allowed = PER_S as usize * 10;
    // Beyond the pace a burst of a tenth of a second is tolerated, and what was on its way.
    if plan.is_timed && report.busiest.1 > allowed + allowed / 50 {
        faults.push(format!("{} messages in ten seconds, not {allowed}", report.busiest.1));
    }
    faults
}

async fn fill(tenant: &Tenant, messages: u64) -> Vec<Entry> {
    let mut ledger = Vec::new();
    let mut first = 0;
    while first < messages {
        let people = first..messages.min(first + REQUEST_PEOPLE);
        first = people.end;
        let ids = tenant.dumped(people.clone(), TEXT, "").await;
        let keys = people.map(|person| format!("{}|{TEXT}", tenant.phone(person)));
        let promise = Promise::Accepted;
        ledger.extend(keys.zip(ids).map(|(key, id)| Entry { promise, key, id }));
    }
    ledger
}

/// Waits until everything has an end. What was refused last falls due minutes later.
async fn drain(plan: &Plan, waypost: &Waypost, tenant: &Tenant, carrier: &Carrier) {
    let (admin, messages) = (waypost.admin(), tenant.at("messages"));
    within(plan.drain_limit, async || {
        waypost.sandbox().advance(STEP_S).await;
        tokio::time::sleep(STEP_REST).await;
        carrier.untold() == 0
            && has_none_at(&admin, &messages, &["queued", "sending", "sent"]).await
    })
    .await;
}

/// The most messages that came within a span.
fn busiest(carried: &[Carried], span: Duration) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (place, one) in carried.iter().enumerate() {
        while one.at.duration_since(carried[first].at) > span {
            first += 1;
        }
        most = most.max(place + 1 - first);
    }
    most
}
