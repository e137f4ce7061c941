//! Killed exactly between the upstream's acceptance and our reading of its reply (T2): the message
//! exists, and nobody here knows. Its status must bind it; it must not be sent again, nor lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::carrier::Carrier;
use super::desk::{Desk, Heard, Kind, keys};
use super::gateway::{self, within};
use super::ledger::{Entry, Promise};
use super::oracle::{Evidence, Final, Verdict, judge};

/// Messages that are in that window at each kill: one whose caller waits, one to be sent later.
const KINDS: [Kind; 2] = [Kind::Waiting, Kind::Single];
/// How long it is waited for messages to arrive in the window, and for statuses to bind them.
const PATIENCE: Duration = Duration::from_secs(30);

/// A campaign.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many kills.
    pub kills: u64,
    /// How long the upstream keeps silent after a start, before it tells statuses.
    pub silence: Duration,
    /// How long is waited in the end for what might be sent again.
    pub resend_wait: Duration,
    /// The planted bug.
    pub bug: Option<&'static str>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// The judgement.
    pub verdict: Verdict,
    /// Kills.
    pub kills: u64,
    /// Messages that were in the window.
    pub held: usize,
    /// Of those, how many a status bound.
    pub bound: usize,
    /// The longest that it took from the webhook's going out, in milliseconds.
    pub slowest_bind_ms: u128,
    /// How long it took.
    pub took: Duration,
}

/// Runs a campaign.
///
/// # Panics
/// Where the rig cannot do its part.
pub async fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let carrier = Arc::new(Carrier::start(0..1, 0).await);
    let mut waypost = gateway::options(&carrier.url(), plan.bug).start().await;
    let desk = Desk::of(&waypost);
    desk.furnish(&waypost, 2 * plan.kills + 10).await;
    carrier.tell(waypost.url());
    let mut report = Report::default();
    let mut ledger: Vec<Entry> = Vec::new();
    for kill in 0..plan.kills {
        carrier.tells(false);
        carrier.hold(KINDS.len());
        let mut callers = tokio::task::JoinSet::new();
        let mut wanted = Vec::new();
        for (person, kind) in (2 * kill..).zip(KINDS) {
            let (desk, text) = (desk.clone(), format!("held-{kill:04}"));
            wanted.extend(keys(kind, person, &text));
            callers.spawn(async move { (person, kind, desk.ask(kind, person, &text).await) });
        }
        let arrived = within(PATIENCE, async || carrier.held() == KINDS.len()).await;
        assert!(arrived, "kill {kill}: {} of the messages arrived", carrier.held());
        let options = waypost.kill();
        report.kills += 1;
        for (person, kind, heard) in callers.join_all().await {
            ledger.extend(noted(kind, person, kill, heard));
        }
        waypost = options.start().await;
        tokio::time::sleep(plan.silence).await;
        let told = Instant::now();
        carrier.tells(true);
        let bound = bind(&waypost, &desk, &carrier, &wanted).await;
        report.slowest_bind_ms = report.slowest_bind_ms.max(told.elapsed().as_millis());
        report.held += wanted.len();
        report.bound += bound;
    }
    tokio::time::sleep(plan.resend_wait).await;
    let evidence = Evidence {
        ledger,
        carried: carrier.carried(),
        finals: gateway::finals(&waypost, &desk).await,
        told_all: carrier.untold() == 0,
        ..Evidence::default()
    };
    report.verdict = judge(&evidence);
    if report.verdict.repeated > 0 {
        let repeated = report.verdict.repeated;
        report.verdict.also([format!("{repeated} messages were sent again before their status")]);
    }
    if report.bound < report.held {
        let unbound = report.held - report.bound;
        report.verdict.also([format!("{unbound} messages were not bound by their status")]);
    }
    report.took = began.elapsed();
    report
}

fn noted(kind: Kind, person: u64, kill: u64, heard: Heard) -> Vec<Entry> {
    match heard {
        Heard::Answer(entries) => entries,
        _ => keys(kind, person, &format!("held-{kill:04}"))
            .into_iter()
            .map(|key| Entry { promise: Promise::Nothing, key, id: String::new() })
            .collect(),
    }
}

/// Waits until each of these has the id under which the upstream has it; how many have.
async fn bind(
    waypost: &crate::waypost::Waypost,
    desk: &Desk,
    carrier: &Carrier,
    wanted: &[String],
) -> usize {
    let carried: HashMap<String, String> =
        carrier.carried().into_iter().map(|it| (it.key, it.wamid)).collect();
    let mut bound = 0;
    within(PATIENCE, async || {
        let newest = desk.at("messages?order=newest&limit=20");
        let page = waypost.admin().get(&newest).await.json();
        let finals = page["data"].as_array().map(|rows| rows.iter().map(Final::of));
        let is_bound = |last: &Final| {
            let wamid = carried.get(&last.key);
            wanted.contains(&last.key) && last.status == "delivered" && wamid == last.wamid.as_ref()
        };
        bound = finals.map_or(0, |finals| finals.filter(is_bound).count());
        bound == wanted.len()
    })
    .await;
    bound
}
