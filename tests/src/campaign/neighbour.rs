//! A tenant who dumps a great many messages, whose receivers hang, beside one who sends a few (T20):
//! what the latter notices. Its delays alone and beside the other are taken in one run.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::carrier::Carrier;
use super::gateway::{self, within};
use super::times::{Times, missed};
use crate::client::Reply;
use crate::receiver::{Hanging, Receiver};
use crate::tenant::{REQUEST_PEOPLE, Tenant};

/// Servers of the tenant who dumps, at all of which calls hang.
const HANGING_SERVERS: u64 = 72;
/// The longest that nearly all may wait in the queue, whatever it is alone.
const DELAY_BAR: Duration = Duration::from_secs(1);
/// How much longer it may be than alone.
const TIMES_ALONE: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(60);
const TEXT: &str = "hello";

/// A campaign.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Messages that the one dumps.
    pub dumped: u64,
    /// How many a second its number may send.
    pub dump_per_s: u32,
    /// Messages of the other, alone and again beside the dump.
    pub messages: u64,
    /// How many of them a second.
    pub per_s: u32,
    /// Whether times are judged.
    pub is_timed: bool,
    /// The planted bug.
    pub bug: Option<&'static str>,
}

/// What the one who sends a few sees.
#[derive(Debug, Default)]
pub struct Seen {
    /// From a request to its answer.
    pub answers: Times,
    /// From the answer to the arrival at the upstream.
    pub delays: Times,
    /// From the request to the first receipt.
    pub receipts: Times,
    /// Messages that did not arrive, or were not told of.
    pub missing: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// What it sees alone.
    pub alone: Seen,
    /// What it sees beside the dump.
    pub beside: Seen,
    /// Messages of the dump that were at the upstream when the other was done.
    pub dump_sent: usize,
    /// Calls that came to receivers that hang.
    pub hanging_calls: usize,
    /// What was broken.
    pub violations: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// It in words.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let mut told = vec![format!(
            "a tenant beside one who dumps messages and whose receivers hang (T20), {:.0} s",
            self.took.as_secs_f64()
        )];
        for (when, seen) in [("alone", &self.alone), ("beside", &self.beside)] {
            told.push(format!("  {when}, until answered: {}", seen.answers));
            told.push(format!("  {when}, from there to the upstream: {}", seen.delays));
            told.push(format!("  {when}, until the first receipt: {}", seen.receipts));
        }
        told.push(format!(
            "  of the dump {} were sent by then, {} calls hung",
            self.dump_sent, self.hanging_calls
        ));
        told
    }
}

/// Runs a campaign.
///
/// # Panics
/// Where the rig cannot do its part.
pub async fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let carrier = Carrier::start(0..5, 0).await;
    let (receiver, hanging) = (Receiver::start().await, Hanging::start().await);
    let options = gateway::options(&carrier.url(), plan.bug);
    let waypost = options.env("WAYPOST_EGRESS__ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    carrier.tell(waypost.url());
    let heavy = Tenant::add(&waypost, 1, plan.dump_per_s, None).await;
    let light = Tenant::add(&waypost, 2, 1_000, None).await;
    let alone = send_evenly(plan, &light, 0, &carrier, &receiver).await;
    let servers = (0..HANGING_SERVERS).map(|place| hanging.url(place)).collect();
    let dumping = tokio::spawn(dump(heavy.clone(), plan.dumped, servers));
    let beside = send_evenly(plan, &light, plan.messages, &carrier, &receiver).await;
    let of_dump = format!("1556{}", heavy.place);
    let carried = carrier.carried();
    let dump_sent = carried.iter().filter(|it| it.key.starts_with(&of_dump)).count();
    let hanging_calls = hanging.calls();
    dumping.await.expect("the dump is taken");
    let mut report = Report { alone, beside, dump_sent, hanging_calls, ..Report::default() };
    report.violations = faults(plan, &report);
    report.took = began.elapsed();
    report
}

fn faults(plan: &Plan, report: &Report) -> Vec<String> {
    let (alone, beside) = (&report.alone, &report.beside);
    let mut faults = Vec::new();
    for (when, seen) in [("alone", alone), ("beside", beside)] {
        if seen.missing > 0 {
            faults.push(format!(
                "{when}: {} messages did not arrive or were not told of",
                seen.missing
            ));
        }
    }
    if report.dump_sent as u64 >= plan.dumped {
        faults.push("the dump was sent before the other's messages: it proves nothing".to_owned());
    }
    if plan.is_timed {
        let p99 = |times: &Times| times.percentile(99);
        let doubled = TIMES_ALONE * p99(&alone.delays);
        faults.extend(missed("p99 of the queue's delay", p99(&beside.delays), doubled));
        faults.extend(missed("p99 of the queue's delay", p99(&beside.delays), DELAY_BAR));
        faults.extend(missed("p99 of receipts", p99(&beside.receipts), DELAY_BAR));
    }
    faults
}

/// Everything at once, each request for another of the servers that hang.
async fn dump(tenant: Tenant, messages: u64, servers: Vec<String>) {
    let mut first = 0;
    for server in servers.iter().cycle() {
        let people = first..messages.min(first + REQUEST_PEOPLE);
        if people.is_empty() {
            return;
        }
        first = people.end;
        tenant.dumped(people, TEXT, server).await;
    }
}

/// A message that was answered: to whom, its id, when it was asked for and answered.
struct Asked {
    phone: String,
    id: String,
    asked: Instant,
    answered: Instant,
}

/// Sends messages at an even pace, whatever becomes of those before, each to another person.
async fn send_evenly(
    plan: &Plan,
    tenant: &Tenant,
    first: u64,
    carrier: &Carrier,
    receiver: &Receiver,
) -> Seen {
    let (mut sending, mut ticks) =
        (JoinSet::new(), tokio::time::interval(Duration::from_secs(1) / plan.per_s));
    for person in first..first + plan.messages {
        ticks.tick().await;
        let request = tenant.submit(person..person + 1, TEXT, &receiver.url("/dlr"));
        let phone = tenant.phone(person);
        sending.spawn(async move {
            let asked = Instant::now();
            let reply = Reply::to(request).await.json();
            // Without one it is missed.
            let id = reply["response"][0]["transid"].as_str().unwrap_or_default().to_owned();
            Asked { phone, id, asked, answered: Instant::now() }
        });
    }
    let all = sending.join_all().await;
    let mut seen = Seen::default();
    within(PATIENCE, async || {
        seen = see(&all, carrier, receiver);
        seen.missing == 0
    })
    .await;
    seen
}

fn see(all: &[Asked], carrier: &Carrier, receiver: &Receiver) -> Seen {
    let carried = carrier.carried();
    let arrived: HashMap<&str, Instant> =
        carried.iter().map(|it| (it.key.as_str(), it.at)).collect();
    let mut told: HashMap<String, Instant> = HashMap::new();
    for (at, post) in receiver.arrivals() {
        let id = post.json()["deliveryInfoNotification"]["transid"].as_str().map(str::to_owned);
        told.entry(id.unwrap_or_default()).or_insert(at);
    }
    let (mut answers, mut delays, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
    for Asked { phone, id, asked, answered } in all {
        answers.push(answered.duration_since(*asked));
        let arrival = arrived.get(format!("{phone}|{TEXT}").as_str());
        delays.extend(arrival.map(|at| at.saturating_duration_since(*answered)));
        receipts.extend(told.get(id).map(|at| at.duration_since(*asked)));
    }
    let missing = 2 * all.len() - delays.len() - receipts.len();
    let [answers, delays, receipts] = [answers, delays, receipts].map(Times::of);
    Seen { answers, delays, receipts, missing }
}
