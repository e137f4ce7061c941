//! Broadcasts of one template: how soon one to 100,000 people is accepted, how fast its number drains it, and how fast
//! broadcasts of many organisations to as many people together drain, in turns with the bare proxy.
//!
//! Accepted is a broadcast when the management API answers: then each of its messages is durable. (ReplyHero's call answers
//! when all are sent.) One broadcast is sent by one number, and no number may send more than 1,000 messages a second: so
//! its drain is told as a share of that pace, and what the gateway can do at most is seen with many numbers only.
//!
//! Nothing is done twice and nothing is left out: in the end what each number has sent is what its broadcasts say.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::effort::Effort;
use crate::gateway::{Gateway, Site, Upstream};
use crate::http::{self, Call};
use crate::load::Load;
use crate::mock::NUMBERS_PATH;
use crate::process::Process;
use crate::report::{Limit, Row, Unit, thousands};
use crate::statistics::median;
use crate::tenants::{FASTEST_PER_S, SLOWEST_PER_S, Tenant};

/// Organisations that send at the same time, and connections that load the proxy.
const MANY: usize = 64;
const TEXT_CHARS: usize = 180;
/// What is not sent by then never is; a broadcast at the pace of one number takes 100 s.
const SENT_WITHIN: Duration = Duration::from_secs(300);
const SENT_POLL: Duration = Duration::from_millis(20);
/// Statuses of messages that are still on their way.
const UNDER_WAY: [&str; 2] = ["queued", "sending"];

/// People whom a broadcast, or those of many organisations together, goes to.
fn people_of(effort: &Effort) -> usize {
    if effort.worst_of > 1 { 100_000 } else { 10_000 }
}

struct Field {
    // Dropped first: it shall not see its upstream go.
    gateway: Gateway,
    mock: (Process, SocketAddr),
    proxy: (Process, SocketAddr),
    /// The proxy's own upstream: only broadcasts are counted at the other.
    _proxied_mock: (Process, SocketAddr),
    proxied: Vec<Vec<Call>>,
    one: Tenant,
    many: Vec<Tenant>,
}

/// What all broadcasts of many organisations have shown.
struct Drained {
    rate_per_s: f64,
    cpu_us: f64,
}

impl Field {
    async fn set_up(site: &Site, people: usize) -> Result<Self> {
        let mock = Process::start_bare(&["mock"])?;
        let proxied_mock = Process::start_bare(&["mock"])?;
        let proxy = Process::start_bare(&["proxy", "--upstream", &proxied_mock.1.to_string()])?;
        let gateway = Gateway::start(site, Upstream::Mock(mock.1)).await?;
        let mut many = Vec::new();
        for index in 0..MANY {
            many.push(Tenant::add(&gateway, index, people / MANY, SLOWEST_PER_S).await?);
        }
        let began = Instant::now();
        let one = Tenant::add(&gateway, MANY, people, FASTEST_PER_S).await?;
        println!("broadcast: {people} people imported in {:.1} s", began.elapsed().as_secs_f64());
        let message = json!({ "type": "text", "text": { "body": "x".repeat(TEXT_CHARS) } });
        let proxied = many.iter().map(|tenant| {
            let mut call = tenant.send_now(0, &message);
            // The same bytes as in the other groups, on the path of an upstream call.
            "/v23.0/100000000000001/messages".clone_into(&mut call.path);
            vec![call]
        });
        let proxied = proxied.collect();
        Ok(Self { gateway, mock, proxy, _proxied_mock: proxied_mock, proxied, one, many })
    }

    async fn proxied_per_s(&self, effort: &Effort) -> Result<f64> {
        let Effort { warming, window, .. } = *effort;
        let (process, address, calls) = (&self.proxy.0, self.proxy.1, &self.proxied);
        let load = Load { address, process, calls, spread: Duration::ZERO, warming, window };
        Ok(load.run().await.context("the proxy")?.rate_per_s)
    }

    /// Begins a broadcast; its id, and how long the answer took.
    async fn begin(&self, tenant: &Tenant) -> Result<(String, Duration)> {
        let call = tenant.broadcast();
        let began = Instant::now();
        let answer = http::once(self.gateway.address, &call).await?;
        let took = began.elapsed();
        let view = answer.json().context("a broadcast")?;
        if view["audience"] != tenant.people().len() {
            bail!("a broadcast to {} people is for {}", tenant.people().len(), view["audience"]);
        }
        Ok((view["id"].as_str().context("a broadcast has an id")?.to_owned(), took))
    }

    /// Broadcasts of all of the many organisations, made while their numbers are slow, then sent as fast as they may.
    async fn drain_many(&self) -> Result<Drained> {
        for tenant in &self.many {
            tenant.set_pace(&self.gateway, SLOWEST_PER_S).await?;
        }
        let mut begun = Vec::new();
        for tenant in &self.many {
            let before = self.sent_by(std::slice::from_ref(tenant)).await?;
            begun.push((tenant, self.begin(tenant).await?.0, before));
        }
        for tenant in &self.many {
            tenant.set_pace(&self.gateway, FASTEST_PER_S).await?;
        }
        let before: u64 = begun.iter().map(|(.., before)| before).sum();
        let people: usize = self.many.iter().map(|it| it.people().len()).sum();
        let drained = self.drain(&self.many, before + people as u64).await?;
        for (tenant, id, before) in &begun {
            self.settle(tenant, id, *before).await?;
        }
        Ok(drained)
    }

    /// Makes the one large broadcast, and either withdraws it or sees it drain. Returns how long the answer took.
    async fn large(&self, is_drained: bool) -> Result<(Duration, Option<Drained>)> {
        let one = std::slice::from_ref(&self.one);
        let before = self.sent_by(one).await?;
        let (id, took) = self.begin(&self.one).await?;
        let drained = if is_drained {
            Some(self.drain(one, before + self.one.people().len() as u64).await?)
        } else {
            self.one.cancel_broadcast(&self.gateway, &id).await?;
            None
        };
        self.settle(&self.one, &id, before).await?;
        Ok((took, drained))
    }

    /// Waits until some numbers have sent so many messages in all, and tells how they did from now on.
    async fn drain(&self, tenants: &[Tenant], all: u64) -> Result<Drained> {
        let (began, cpu_before_s) = (Instant::now(), self.gateway.process.cpu_s()?);
        let before = self.sent_by(tenants).await?;
        loop {
            let sent = self.sent_by(tenants).await?;
            if sent >= all {
                break;
            }
            if began.elapsed() > SENT_WITHIN {
                bail!("of {all} messages {sent} are sent");
            }
            tokio::time::sleep(SENT_POLL).await;
        }
        let took_s = began.elapsed().as_secs_f64();
        let cpu_s = self.gateway.process.cpu_s()? - cpu_before_s;
        let drained = (all - before) as f64;
        Ok(Drained { rate_per_s: drained / took_s, cpu_us: cpu_s * 1e6 / drained })
    }

    /// Messages of these organisations that the upstream has got so far.
    async fn sent_by(&self, tenants: &[Tenant]) -> Result<u64> {
        let counts = http::get(self.mock.1, NUMBERS_PATH).await?.json()?;
        let counts: HashMap<String, u64> = serde_json::from_value(counts)?;
        Ok(tenants.iter().filter_map(|it| counts.get(it.number())).sum())
    }

    /// Waits until nothing of a broadcast is on its way, and compares what is told of it with what its number has sent
    /// since it had sent `before`.
    async fn settle(&self, tenant: &Tenant, id: &str, before: u64) -> Result<()> {
        let began = Instant::now();
        let statuses = loop {
            let statuses = tenant.broadcast_statuses(&self.gateway, id).await?;
            if !statuses.keys().any(|status| UNDER_WAY.contains(&status.as_str())) {
                break statuses;
            }
            if began.elapsed() > SENT_WITHIN {
                bail!("a broadcast does not end: {statuses:?}");
            }
            tokio::time::sleep(SENT_POLL).await;
        };
        let count = |status: &str| statuses.get(status).copied().unwrap_or(0);
        let sent = self.sent_by(std::slice::from_ref(tenant)).await? - before;
        let people = tenant.people().len() as u64;
        if count("sent") != sent || sent + count("cancelled") != people {
            bail!("the upstream got {sent} messages of a broadcast to {people}: {statuses:?}");
        }
        Ok(())
    }
}

/// What repetitions have shown.
#[derive(Default)]
struct Seen {
    accepted_s: Vec<f64>,
    proxied_per_s: Vec<f64>,
    drained: Vec<Drained>,
}

/// Measures and gives the rows.
///
/// # Errors
/// When a call fails, or a message is missing or sent twice.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let people = people_of(effort);
    let field = Field::set_up(site, people).await?;
    let mut seen = Seen::default();
    let mut drained_one = None;
    for repetition in 1..=effort.repetitions {
        let proxied_per_s = field.proxied_per_s(effort).await?;
        let many = field.drain_many().await.context("broadcasts of many")?;
        let is_last = repetition == effort.repetitions;
        let (accepted, drained) = field.large(is_last).await.context("a large broadcast")?;
        println!(
            "broadcast {repetition}: proxy {proxied_per_s:.0}/s, drain {:.0}/s, {:.1} µs of processor; accepted in {:.2} s",
            many.rate_per_s,
            many.cpu_us,
            accepted.as_secs_f64()
        );
        seen.accepted_s.push(accepted.as_secs_f64());
        seen.proxied_per_s.push(proxied_per_s);
        seen.drained.push(many);
        drained_one = drained;
    }
    let drained_one = drained_one.context("the last one drains")?;
    println!("broadcast: one number drains {:.0}/s", drained_one.rate_per_s);
    Ok(rows(people, &seen, &drained_one))
}

fn rows(people: usize, seen: &Seen, one: &Drained) -> Vec<Row> {
    let people = thousands(people);
    let accepted_ms: Vec<f64> = seen.accepted_s.iter().map(|accepted_s| accepted_s * 1e3).collect();
    let rates: Vec<f64> = seen.drained.iter().map(|it| it.rate_per_s).collect();
    let cpu_us: Vec<f64> = seen.drained.iter().map(|it| it.cpu_us).collect();
    let pairs = rates.iter().zip(&seen.proxied_per_s);
    let ratios: Vec<f64> = pairs.map(|(above, below)| above / below).collect();
    let share = one.rate_per_s / f64::from(FASTEST_PER_S) * 100.0;
    vec![
        Row::new(format!("broadcast to {people} accepted"), Unit::Ms, median(&accepted_ms))
            .bar(Limit::AtMost(2_000.0))
            .aim(Limit::AtMost(1_000.0))
            .of(&accepted_ms),
        Row::new("broadcasts of 64 numbers, drain ÷ bare proxy", Unit::Ratio, median(&ratios))
            .bar(Limit::AtLeast(0.60))
            .aim(Limit::AtLeast(0.80))
            .of(&ratios),
        Row::new("broadcast of one number, drain of its 1,000/s", Unit::Percent, share),
        Row::new("broadcasts of 64 numbers, drain", Unit::PerS, median(&rates)).of(&rates),
        Row::new("broadcast of one number, drain", Unit::PerS, one.rate_per_s),
        Row::new("broadcasts of 64 numbers, processor", Unit::Us, median(&cpu_us)).of(&cpu_us),
        Row::new("broadcast of one number, processor", Unit::Us, one.cpu_us),
        Row::new("bare proxy beside them", Unit::PerS, median(&seen.proxied_per_s))
            .of(&seen.proxied_per_s),
    ]
}
