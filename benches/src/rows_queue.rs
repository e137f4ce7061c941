//! The queue: how it drains for many numbers at once, each at its own pace, and how soon a gateway with a million
//! messages waiting is ready.
//!
//! All messages come in by requests to 1,000 people each. While the queue is filled every number sends one message a
//! second, so that what is filled stays; the gateway is started anew before what counts, so that its peak of memory is
//! that of draining alone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;

use crate::effort::Effort;
use crate::gateway::{Gateway, Site, Upstream};
use crate::http::{self, Connection};
use crate::mock::NUMBERS_PATH;
use crate::process::Process;
use crate::report::{Limit, Row, Unit, thousands};
use crate::statistics::median;
use crate::tenants::{SLOWEST_PER_S, Tenant};

const NUMBERS: usize = 50;
/// What Meta allows a number that was not upgraded.
const PACE_PER_S: u32 = 80;
/// The most people in a request.
const REQUEST_PEOPLE: usize = 1_000;
const TEXT_CHARS: usize = 180;
/// Requests under way at once while the queue is filled.
const FILLERS: usize = 2;
/// After it, every number has found its pace.
const SETTLING: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Whoever is turned away while the queue is filled comes again.
const COME_AGAIN: Duration = Duration::from_secs(1);
/// When a start with many messages waiting must be done.
const READY_MS: f64 = 2_000.0;

/// How much is queued and how long is looked.
struct Size {
    /// Messages that are drained.
    drained: usize,
    /// Messages that wait while the gateway is started.
    pending: usize,
    /// How long each look takes.
    window: Duration,
}

impl Size {
    /// A number's pace is judged over thousands of messages: a window of the other groups would see their grain.
    fn of(effort: &Effort) -> Self {
        if effort.worst_of > 1 {
            Self { drained: 200_000, pending: 1_000_000, window: Duration::from_secs(13) }
        } else {
            Self { drained: 50_000, pending: 100_000, window: Duration::from_secs(3) }
        }
    }
}

struct Field {
    // Dropped first: it shall not see its upstream go.
    gateway: Gateway,
    _mock_process: Process,
    mock: SocketAddr,
    tenants: Vec<Tenant>,
    /// For each tenant, whom the next request begins with.
    next_person: usize,
}

impl Field {
    async fn set_up(site: &Site) -> Result<Self> {
        let (mock_process, mock) = Process::start_bare(&["mock"])?;
        let gateway = Gateway::start(site, Upstream::Mock(mock)).await?;
        let mut tenants = Vec::new();
        for index in 0..NUMBERS {
            tenants.push(Tenant::add(&gateway, index, 0, SLOWEST_PER_S).await?);
        }
        Ok(Self { gateway, _mock_process: mock_process, mock, tenants, next_person: 0 })
    }

    /// Queues so many messages, the same number for each tenant; how fast, a second.
    async fn fill(&mut self, messages: usize) -> Result<f64> {
        let rounds = messages.div_ceil(NUMBERS * REQUEST_PEOPLE);
        let text = "x".repeat(TEXT_CHARS);
        let began = Instant::now();
        for _ in 0..rounds {
            let people = self.next_person..self.next_person + REQUEST_PEOPLE;
            self.next_person = people.end;
            let fill = |tenants: &[Tenant]| {
                let calls: Vec<_> =
                    tenants.iter().map(|it| it.submit_webex(people.clone(), &text)).collect();
                let address = self.gateway.address;
                async move {
                    let mut connection = Connection::open(address).await?;
                    for call in &calls {
                        let mut answer = connection.call(call).await?;
                        while answer.says_when {
                            tokio::time::sleep(COME_AGAIN).await;
                            answer = connection.call(call).await?;
                        }
                        let answer = answer.json()?;
                        if answer["response"].as_array().map_or(0, Vec::len) != REQUEST_PEOPLE {
                            bail!("not all of a request were queued");
                        }
                    }
                    Ok(())
                }
            };
            try_join_all(self.tenants.chunks(NUMBERS.div_ceil(FILLERS)).map(fill)).await?;
        }
        Ok((rounds * NUMBERS * REQUEST_PEOPLE) as f64 / began.elapsed().as_secs_f64())
    }

    async fn set_pace(&self, per_s: u32) -> Result<()> {
        for tenant in &self.tenants {
            tenant.set_pace(&self.gateway, per_s).await?;
        }
        Ok(())
    }

    async fn start_again(self, site: &Site) -> Result<Self> {
        let gateway = self.gateway.start_again(site, Upstream::Mock(self.mock)).await?;
        Ok(Self { gateway, ..self })
    }

    /// What each number has sent so far.
    async fn sent(&self) -> Result<HashMap<String, u64>> {
        let counts = http::get(self.mock, NUMBERS_PATH).await?.json()?;
        Ok(serde_json::from_value(counts)?)
    }

    /// Looks at the drain for a while.
    async fn look(&self, window: Duration) -> Result<Look> {
        let (before, cpu_before_s, began) =
            (self.sent().await?, self.gateway.process.cpu_s()?, Instant::now());
        let mut resident = 0.0_f64;
        while began.elapsed() < window {
            tokio::time::sleep(LOOK_EVERY).await;
            resident = resident.max(self.gateway.process.resident_bytes()?);
        }
        let (after, cpu_after_s, took) =
            (self.sent().await?, self.gateway.process.cpu_s()?, began.elapsed().as_secs_f64());
        let of = |number: &str| {
            let count = |counts: &HashMap<String, u64>| counts.get(number).copied().unwrap_or(0);
            (count(&after) - count(&before)) as f64
        };
        let counts: Vec<f64> = self.tenants.iter().map(|it| of(it.number())).collect();
        let all: f64 = counts.iter().sum();
        if all == 0.0 {
            bail!("nothing is drained");
        }
        let off = |count: &f64| (count / took / f64::from(PACE_PER_S) - 1.0).abs() * 100.0;
        Ok(Look {
            cpu_us: (cpu_after_s - cpu_before_s) * 1e6 / all,
            worst_off_percent: counts.iter().map(off).fold(0.0, f64::max),
            rate_per_s: all / took,
            resident_mb: resident / 1e6,
        })
    }
}

/// What was seen of a drain for a while.
struct Look {
    cpu_us: f64,
    /// How far the number that is farthest from its pace is from it.
    worst_off_percent: f64,
    rate_per_s: f64,
    resident_mb: f64,
}

/// Measures and gives the rows.
///
/// # Errors
/// When something is refused or nothing drains.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let size = Size::of(effort);
    let mut field = Field::set_up(site).await?;
    let filled_per_s = field.fill(size.drained).await.context("filling the queue")?;
    println!("queue: {} messages queued, {filled_per_s:.0}/s", size.drained);
    let mut field = field.start_again(site).await?;
    let looks = drain(&field, &size, effort).await?;
    let peak_mb = field.gateway.process.peak_resident_bytes()? / 1e6;
    field.set_pace(SLOWEST_PER_S).await?;
    let drained: u64 = field.sent().await?.values().sum();
    let left = size.drained.saturating_sub(usize::try_from(drained)?);
    field.fill(size.pending.saturating_sub(left)).await.context("filling the queue again")?;
    let (mut ready_ms, mut idle_mb) = (Vec::new(), Vec::new());
    for repetition in 1..=effort.worst_of {
        field = field.start_again(site).await?;
        ready_ms.push(field.gateway.ready_after.as_secs_f64() * 1e3);
        tokio::time::sleep(SETTLING).await;
        idle_mb.push(field.gateway.process.resident_bytes()? / 1e6);
        println!("queue, start {repetition}: {:.0} ms", ready_ms[ready_ms.len() - 1]);
    }
    let mut rows = drain_rows(&size, &looks, peak_mb);
    let worst = |values: &[f64]| values.iter().copied().fold(f64::NAN, f64::max);
    let name = format!("ready with {} messages waiting", thousands(size.pending));
    rows.push(
        Row::new(name, Unit::Ms, worst(&ready_ms)).bar(Limit::AtMost(READY_MS)).of(&ready_ms),
    );
    rows.push(Row::new("the same, resident after 3 s", Unit::Mb, worst(&idle_mb)).of(&idle_mb));
    rows.push(Row::new("queued by requests to 1,000", Unit::PerS, filled_per_s));
    Ok(rows)
}

async fn drain(field: &Field, size: &Size, effort: &Effort) -> Result<Vec<Look>> {
    field.set_pace(PACE_PER_S).await?;
    tokio::time::sleep(SETTLING).await;
    let mut looks = Vec::new();
    for repetition in 1..=effort.worst_of {
        let look = field.look(size.window).await?;
        println!(
            "queue {repetition}: {:.0}/s, {:.1} µs of processor, worst number {:.2} % off, {:.1} MB",
            look.rate_per_s, look.cpu_us, look.worst_off_percent, look.resident_mb
        );
        looks.push(look);
    }
    Ok(looks)
}

fn drain_rows(size: &Size, looks: &[Look], peak_mb: f64) -> Vec<Row> {
    let column = |of: fn(&Look) -> f64| -> Vec<f64> { looks.iter().map(of).collect() };
    let worst = |values: &[f64]| values.iter().copied().fold(f64::NAN, f64::max);
    let (cpu, off) = (column(|it| it.cpu_us), column(|it| it.worst_off_percent));
    let (rate, resident) = (column(|it| it.rate_per_s), column(|it| it.resident_mb));
    let all = thousands(size.drained);
    vec![
        Row::new(format!("draining {all} for 50 numbers, processor"), Unit::Us, median(&cpu))
            .bar(Limit::AtMost(90.0))
            .of(&cpu),
        Row::new("the same, worst number off its pace", Unit::Percent, worst(&off))
            .bar(Limit::AtMost(2.0))
            .of(&off),
        Row::new("the same, peak of resident memory", Unit::Mb, peak_mb)
            .bar(Limit::AtMost(96.0))
            .of(&resident),
        Row::new("the same, all numbers together", Unit::PerS, median(&rate)).of(&rate),
    ]
}
