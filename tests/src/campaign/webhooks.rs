//! Webhooks at an even pace, whatever becomes of those before (T12): how long until each is taken, and
//! that each is in the log and told of once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::carrier::Carrier;
use super::desk::{Desk, Heard, Kind, keys};
use super::gateway::{self, within};
use super::ledger::{Entry, Promise};
use super::oracle::{Evidence, Verdict, judge};
use super::times::{Times, missed};
use crate::receiver::Receiver;

/// People who write.
const PEOPLE: u64 = 500;
/// Half of them are taken within so long.
const P50_BAR: Duration = Duration::from_millis(25);
/// Nearly all are.
const P99_BAR: Duration = Duration::from_millis(250);
/// Rest before what was not taken comes again.
const AGAIN_REST: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether all of it is in the log.
const LOOK_REST: Duration = Duration::from_millis(500);

/// A campaign.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Webhooks a second.
    pub per_s: u64,
    /// Webhooks in all.
    pub webhooks: u64,
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
    /// From when a webhook was due to be sent to its answer of success.
    pub times: Times,
    /// Answers other than success.
    pub refused: usize,
    /// Webhooks a second, as they were sent.
    pub per_s: f64,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// It in words.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        vec![
            format!(
                "webhooks at {:.0} a second (T12), {:.0} s",
                self.per_s,
                self.took.as_secs_f64()
            ),
            format!("  until taken: {}; not taken at once {}", self.times, self.refused),
            format!(
                "  taken {}, lost {}, told of as two events {}",
                self.verdict.taken, self.verdict.lost, self.verdict.doubled_callbacks
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
    let receiver = Receiver::start().await;
    let waypost = gateway::options(&carrier.url(), plan.bug).start().await;
    let desk = Desk::of(&waypost);
    desk.is_heard_by(&waypost, &receiver).await;
    let (mut report, ledger) = pour(plan, Arc::new(desk.clone())).await;
    let all = usize::try_from(plan.webhooks).unwrap_or(usize::MAX);
    within(PATIENCE, async || {
        tokio::time::sleep(LOOK_REST).await;
        gateway::finals(&waypost, &desk).await.len() >= all
    })
    .await;
    gateway::until_told(&waypost, &desk, &receiver, PATIENCE).await;
    let evidence = Evidence {
        ledger,
        finals: gateway::finals(&waypost, &desk).await,
        callbacks: gateway::told_by(&receiver),
        has_callbacks: true,
        ..Evidence::default()
    };
    report.verdict = judge(&evidence);
    if plan.is_timed {
        let bars = [(50, P50_BAR), (99, P99_BAR)];
        report.verdict.also(bars.into_iter().filter_map(|(percent, bar)| {
            missed(&format!("p{percent} of a webhook"), report.times.percentile(percent), bar)
        }));
    }
    report.took = began.elapsed();
    report
}

/// Sends each when it is due.
async fn pour(plan: &Plan, desk: Arc<Desk>) -> (Report, Vec<Entry>) {
    let (began, mut sending) = (Instant::now(), JoinSet::new());
    for serial in 0..plan.webhooks {
        let due = began + Duration::from_secs(serial) / u32::try_from(plan.per_s).unwrap_or(1);
        tokio::time::sleep_until(due.into()).await;
        sending.spawn(deliver(Arc::clone(&desk), serial, due));
    }
    let per_s = plan.webhooks as f64 / began.elapsed().as_secs_f64();
    let (mut times, mut refused, mut ledger) = (Vec::new(), 0, Vec::new());
    for (took, again, entries) in sending.join_all().await {
        times.push(took);
        refused += again;
        ledger.extend(entries);
    }
    let times = Times::of(times);
    (Report { times, refused, per_s, ..Report::default() }, ledger)
}

/// Sends one until it is taken; how long that took, and how often it was not.
async fn deliver(desk: Arc<Desk>, serial: u64, due: Instant) -> (Duration, usize, Vec<Entry>) {
    let (person, text) = (serial % PEOPLE, format!("in-{serial:07}"));
    let mut refused = 0;
    while due.elapsed() < PATIENCE {
        match desk.ask(Kind::Inbound, person, &text).await {
            Heard::Answer(entries) if entries[0].promise == Promise::Taken => {
                return (due.elapsed(), refused, entries);
            }
            _ => refused += 1,
        }
        tokio::time::sleep(AGAIN_REST).await;
    }
    let promise = Promise::Nothing;
    let keys = keys(Kind::Inbound, person, &text).into_iter();
    let owed = keys.map(|key| Entry { promise, key, id: String::new() });
    (due.elapsed(), refused, owed.collect())
}
