//! Overload: three times the load that can be carried, for minutes, from a generator that does not wait for answers.
//!
//! First the peak is measured as the other groups do it, then the flood comes, then the peak again. Whoever is turned
//! away must be told when to come back, and nothing that was accepted may be lost: the gateway is killed in the end,
//! and what the next start finds is compared with what was answered.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::effort::Effort;
use crate::gateway::{Gateway, Site, Upstream};
use crate::http::{self, Answer, Call, Connection};
use crate::load::Load;
use crate::mock::COUNTS_PATH;
use crate::process::Process;
use crate::report::{Limit, Row, Unit};
use crate::statistics::percentile;
use crate::tenants::{SLOWEST_PER_S, Tenant};

const TENANTS: usize = 16;
const PEOPLE: usize = 16;
const TEXT_CHARS: usize = 180;
/// Connections of the load that finds the peak.
const PEAK_CONNECTIONS: usize = 64;
/// Connections of the flood: requests that are under way at once.
const FLOOD_CONNECTIONS: usize = 1_024;
const TIMES_THE_PEAK: f64 = 3.0;
/// Requests that wait for a free connection; beyond, they are not even offered.
const BACKLOG_MAX: usize = 4_096;
const TICK: Duration = Duration::from_millis(2);
/// How soon what a start found stands in its log.
const LOG_WRITTEN_WITHIN: Duration = Duration::from_secs(5);
/// What the gateway answers requests whose callers should come back later.
const REFUSALS: [u16; 2] = [429, 503];

/// How long the flood lasts.
fn flood_of(effort: &Effort) -> Duration {
    Duration::from_secs(if effort.worst_of > 1 { 300 } else { 10 })
}

#[derive(Default)]
struct Flood {
    waiting: RefCell<VecDeque<Instant>>,
    came: Notify,
    ended: Cell<bool>,
    offered: Cell<u64>,
    accepted: Cell<u64>,
    refused: Cell<u64>,
    refused_without_time: Cell<u64>,
    others: RefCell<Option<String>>,
    accepted_ms: RefCell<Vec<f64>>,
}

impl Flood {
    fn note(&self, answer: &Answer, took: Duration) {
        let count = |cell: &Cell<u64>| cell.set(cell.get() + 1);
        match answer.status {
            200 => {
                count(&self.accepted);
                self.accepted_ms.borrow_mut().push(took.as_secs_f64() * 1e3);
            }
            status if REFUSALS.contains(&status) => {
                count(&self.refused);
                if !answer.says_when {
                    count(&self.refused_without_time);
                }
            }
            status => {
                let said = format!("{status}: {}", answer.excerpt());
                self.others.borrow_mut().get_or_insert(said);
            }
        }
    }

    async fn next(&self) -> Option<Instant> {
        loop {
            if let Some(arrival) = self.waiting.borrow_mut().pop_front() {
                return Some(arrival);
            }
            if self.ended.get() {
                return None;
            }
            self.came.notified().await;
        }
    }

    /// Lets requests arrive evenly, whatever becomes of those before.
    async fn pour(&self, rate_per_s: f64, span: Duration) {
        let began = Instant::now();
        let mut arrived = 0.0;
        while began.elapsed() < span {
            let due = began.elapsed().as_secs_f64() * rate_per_s;
            while arrived < due {
                arrived += 1.0;
                let mut waiting = self.waiting.borrow_mut();
                if waiting.len() < BACKLOG_MAX {
                    waiting.push_back(Instant::now());
                    self.offered.set(self.offered.get() + 1);
                    self.came.notify_one();
                }
            }
            tokio::time::sleep(TICK).await;
        }
        self.ended.set(true);
        self.came.notify_waiters();
    }
}

async fn answer_arrivals(mut connection: Connection, calls: Rc<Vec<Call>>, flood: Rc<Flood>) {
    for call in calls.iter().cycle() {
        let Some(arrival) = flood.next().await else { break };
        match connection.call(call).await {
            Ok(answer) => flood.note(&answer, arrival.elapsed()),
            Err(error) => {
                flood.others.borrow_mut().get_or_insert(format!("{error:#}"));
                break;
            }
        }
        if flood.ended.get() {
            break;
        }
    }
    flood.came.notify_one();
}

struct Field {
    // Dropped first: it shall not see its upstream go.
    gateway: Gateway,
    mock: (Process, std::net::SocketAddr),
    calls: Vec<Vec<Call>>,
}

impl Field {
    async fn set_up(site: &Site) -> Result<Self> {
        let mock = Process::start_bare(&["mock"])?;
        let gateway = Gateway::start(site, Upstream::Mock(mock.1)).await?;
        let text = "x".repeat(TEXT_CHARS);
        let mut calls = Vec::new();
        for index in 0..TENANTS {
            let tenant = Tenant::add(&gateway, index, 0, SLOWEST_PER_S).await?;
            let of = |person| tenant.submit_webex(person..person + 1, &text);
            calls.push((0..PEOPLE).map(of).collect());
        }
        Ok(Self { gateway, mock, calls })
    }

    async fn peak(&self, effort: &Effort) -> Result<(f64, u64)> {
        let each = self.calls.iter().cycle().take(PEAK_CONNECTIONS).cloned();
        let calls: Vec<Vec<Call>> = each.collect();
        let (address, process) = (self.gateway.address, &self.gateway.process);
        let load = Load {
            address,
            process,
            calls: &calls,
            warming: effort.warming,
            window: effort.window,
        };
        let seen = load.run().await?;
        Ok((seen.rate_per_s, seen.answers))
    }

    async fn flood(&self, rate_per_s: f64, span: Duration) -> Result<Rc<Flood>> {
        let flood = Rc::new(Flood::default());
        let tasks = LocalSet::new();
        for place in 0..FLOOD_CONNECTIONS {
            let connection = Connection::open(self.gateway.address).await.context("connecting")?;
            let calls = Rc::new(self.calls[place % TENANTS].clone());
            tasks.spawn_local(answer_arrivals(connection, calls, Rc::clone(&flood)));
        }
        tasks.run_until(flood.pour(rate_per_s, span)).await;
        tasks.await;
        Ok(flood)
    }
}

/// Measures and gives the rows.
///
/// # Errors
/// When a call fails, or is answered with what it should not be.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let field = Field::set_up(site).await?;
    let (peak_per_s, before) = field.peak(effort).await?;
    let resident_before = field.gateway.process.resident_bytes()?;
    let span = flood_of(effort);
    println!("overload: peak {peak_per_s:.0}/s, now three times that for {} s", span.as_secs());
    let flood = field.flood(peak_per_s * TIMES_THE_PEAK, span).await?;
    let resident_after = field.gateway.process.resident_bytes()?;
    if let Some(other) = flood.others.take() {
        bail!("under overload a request was answered {other}");
    }
    let (after_per_s, after) = field.peak(effort).await?;
    let accepted = before + flood.accepted.get() + after;
    let goodput_per_s = flood.accepted.get() as f64 / span.as_secs_f64();
    let latencies_ms = flood.accepted_ms.take();
    println!(
        "overload: {} offered, {} accepted, {} told to come back, accepted p50 {:.1} ms",
        flood.offered.get(),
        flood.accepted.get(),
        flood.refused.get(),
        percentile(&latencies_ms, 50.0)
    );
    let lost = lost(site, field, accepted).await?;
    Ok(vec![
        Row::new("offered ÷ peak", Unit::Ratio, {
            flood.offered.get() as f64 / span.as_secs_f64() / peak_per_s
        }),
        Row::new("accepted under overload ÷ peak", Unit::Ratio, goodput_per_s / peak_per_s)
            .bar(Limit::AtLeast(0.9)),
        Row::new("p99 of the accepted", Unit::Ms, percentile(&latencies_ms, 99.0))
            .bar(Limit::AtMost(500.0)),
        Row::new("resident after ÷ before", Unit::Ratio, resident_after / resident_before)
            .aim(Limit::AtMost(1.1)),
        Row::new("peak after ÷ before", Unit::Ratio, after_per_s / peak_per_s)
            .bar(Limit::AtLeast(0.9)),
        Row::new("refused without Retry-After", Unit::Count, {
            flood.refused_without_time.get() as f64
        })
        .bar(Limit::AtMost(0.0)),
        Row::new("accepted and lost", Unit::Count, lost).bar(Limit::AtMost(0.0)),
    ])
}

/// How many of those that were answered with success are neither sent nor waiting after a kill.
async fn lost(site: &Site, field: Field, accepted: u64) -> Result<f64> {
    let Field { gateway, mock, .. } = field;
    let gateway = gateway.start_again(site, Upstream::Mock(mock.1)).await?;
    let counts: Value = http::get(mock.1, COUNTS_PATH).await?.json()?;
    let sent = counts["messages"].as_u64().context("the upstream counts messages")?;
    let kept = kept(&site.folder.join("waypost.log")).await?;
    drop(gateway);
    println!("overload: {accepted} accepted; {sent} sent and {kept} waiting after a kill");
    Ok(accepted.saturating_sub(sent + kept) as f64)
}

/// What a start says that it found waiting. Its log is written a little later.
async fn kept(log: &Path) -> Result<u64> {
    let began = Instant::now();
    loop {
        if let Some(line) = found_line(log)? {
            let number = |name: &str| line[name].as_u64().or_else(|| line["fields"][name].as_u64());
            return Ok(number("queued").unwrap_or(0) + number("unknown").unwrap_or(0));
        }
        if began.elapsed() > LOG_WRITTEN_WITHIN {
            bail!("the start does not tell what it found");
        }
        tokio::time::sleep(TICK).await;
    }
}

fn found_line(log: &Path) -> Result<Option<Value>> {
    let text = std::fs::read_to_string(log)?;
    let is_it = |line: &Value| {
        let message = line["message"].as_str().or_else(|| line["fields"]["message"].as_str());
        message.is_some_and(|message| message.contains("left over from the last run"))
    };
    let mut lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    Ok(lines.find(is_it))
}
