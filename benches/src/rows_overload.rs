//! Overload: three times the load that can be carried, for minutes, from a generator that does not wait for answers.
//!
//! First the peak is measured, then the flood comes, then the peak again. Whoever is turned away must be told soon and
//! when to come back, and nothing that was accepted may be lost: in the end the gateway is killed under load, and what
//! the next start has in its log is compared, message by message, with what was answered.
//!
//! Why the disk is slow here: a refusal takes processor time too (the request is read, its key is known, an answer and
//! a line of the log are written), about half of an accept's; and the generator needs a processor of its own. On
//! two processors three times a peak that the processor sets is not carried off. With a sync that takes [`SYNC_DELAY`]
//! longer the store is the limit, and there is processor time to refuse with. So the figures tell how the gateway sheds
//! what its store cannot take; how it sheds where the processor is the limit is not told.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::confined;
use crate::effort::Effort;
use crate::flood::Flood;
use crate::gateway::{Gateway, Site, Upstream};
use crate::http;
use crate::kept::{Balance, Log};
use crate::mock::COUNTS_PATH;
use crate::process::{Process, own_cpu_s};
use crate::raw;
use crate::report::{Limit, Row, Unit};
use crate::statistics::percentile;
use crate::tally::{ACCEPTED_P99_MS, Second, Tally, normal_after_s};
use crate::tenants::{SLOWEST_PER_S, Tenant};

const TENANTS: usize = 16;
const PEOPLE: usize = 16;
const TEXT_CHARS: usize = 180;
/// How much longer each sync takes.
const SYNC_DELAY: Duration = Duration::from_millis(80);
/// Connections, of all loads: so many that during the flood one is free for every request.
const CONNECTIONS: usize = 4_000;
/// Requests a second with which the search for the peak begins, how long each rate is tried and how often, and how near
/// the rate that is carried must be to one that is not.
const SEARCH_FROM_PER_S: f64 = 500.0;
const SEARCH_S: usize = 3;
const SEARCH_TRIES: usize = 2;
const SEARCH_NEAR: f64 = 0.04;
/// A little more than three: the peak that is found afterwards may be higher.
const TIMES_THE_PEAK: f64 = 3.2;
/// What must have been offered, at least, for the measurement to be one.
const OFFERED_MIN: f64 = 2.8;
/// Beyond it, the generator itself is what is overloaded.
const GENERATOR_MAX: f64 = 0.9;
/// When everything must be normal again.
const NORMAL_WITHIN_S: usize = 10;
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the load lasts under which the gateway is killed.
const KILLED_AFTER: Duration = Duration::from_secs(1);

/// How long each part takes, in seconds.
struct Spans {
    warming_s: usize,
    peak_s: usize,
    flood_s: usize,
}

impl Spans {
    fn of(effort: &Effort) -> Self {
        if effort.worst_of > 1 {
            Self { warming_s: 30, peak_s: 10, flood_s: 300 }
        } else {
            Self { warming_s: 5, peak_s: 5, flood_s: 20 }
        }
    }
}

/// A load and what the machine did meanwhile.
struct Look {
    tally: Tally,
    span_s: usize,
    /// The most that was resident, in bytes.
    resident: f64,
    /// Processors that were busy with it, on average.
    gateway_busy: f64,
    generator_busy: f64,
}

impl Look {
    fn accepted_per_s(&self) -> f64 {
        self.tally.accepted_per_s(0..self.span_s)
    }

    /// The seconds in which requests came.
    fn seconds(&self) -> Vec<Second> {
        let mut seconds = self.tally.seconds.clone();
        // Where nothing was answered in the end they are missing.
        seconds.resize(self.span_s, Second::default());
        seconds
    }

    fn print(&self, name: &str) {
        println!(
            "overload, {name}: {:.0}/s accepted; {}; processors: gateway {:.2}, generator {:.2}; {:.1} MB",
            self.accepted_per_s(),
            self.tally.line(),
            self.gateway_busy,
            self.generator_busy,
            self.resident / 1e6,
        );
        if let Some(wrong) = &self.tally.first_wrong {
            println!("overload, {name}: the first wrong answer: {wrong}");
        }
    }
}

struct Field {
    // Dropped first: it shall not see its upstream go.
    gateway: Gateway,
    mock: (Process, std::net::SocketAddr),
    tenants: Vec<Tenant>,
    flood: Flood,
}

impl Field {
    async fn set_up(site: &Site) -> Result<Self> {
        let mock = Process::start_bare(&["mock"])?;
        let gateway = Gateway::start(site, Upstream::Mock(mock.1)).await?;
        let text = "x".repeat(TEXT_CHARS);
        let mut tenants = Vec::new();
        for index in 0..TENANTS {
            tenants.push(Tenant::add(&gateway, index, 0, SLOWEST_PER_S).await?);
        }
        let of = |person: usize| tenants.iter().map(move |it| (it, person));
        let request = |(tenant, person): (&Tenant, usize)| {
            raw::encode(&tenant.submit_webex(person..person + 1, &text), gateway.address)
        };
        let requests = (0..PEOPLE).flat_map(of).map(request).collect();
        let flood = Flood::open(gateway.address, CONNECTIONS, requests).await?;
        Ok(Self { gateway, mock, tenants, flood })
    }

    async fn look(&self, name: &str, rate_per_s: f64, span_s: usize) -> Result<Look> {
        let span = Duration::from_secs(span_s as u64);
        let process = &self.gateway.process;
        let (gateway_before_s, own_before_s) = (process.cpu_s()?, own_cpu_s()?);
        let mut resident = 0.0_f64;
        let mut run = pin!(self.flood.run(rate_per_s, span));
        let tally = loop {
            tokio::select! {
                tally = &mut run => break tally,
                () = sleep(LOOK_EVERY) => resident = resident.max(process.resident_bytes()?),
            }
        };
        let busy = |before_s: f64, after_s: f64| (after_s - before_s) / span.as_secs_f64();
        let gateway_busy = busy(gateway_before_s, process.cpu_s()?);
        let generator_busy = busy(own_before_s, own_cpu_s()?);
        let look = Look { tally, span_s, resident, gateway_busy, generator_busy };
        look.print(name);
        Ok(look)
    }

    /// The highest load that is carried, in requests a second.
    async fn peak(&self, when: &str) -> Result<f64> {
        let (mut carried, mut too_much) = (0.0, f64::INFINITY);
        let mut rate_per_s = SEARCH_FROM_PER_S;
        while carried < (1.0 - SEARCH_NEAR) * too_much {
            if self.carries(when, rate_per_s).await? {
                carried = rate_per_s;
            } else {
                too_much = rate_per_s;
            }
            rate_per_s = next_rate(carried, too_much);
            if rate_per_s < 1.0 {
                bail!("no load is carried");
            }
        }
        Ok(carried)
    }

    /// Whether a load is carried, in one of two tries: a neighbour's bad second must not pass for the gateway's.
    async fn carries(&self, when: &str, rate_per_s: f64) -> Result<bool> {
        let name = format!("peak {when}, {rate_per_s:.0}/s");
        for _ in 0..SEARCH_TRIES {
            if self.look(&name, rate_per_s, SEARCH_S).await?.tally.is_carried() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is tried next between a load that is carried and one that is not.
fn next_rate(carried: f64, too_much: f64) -> f64 {
    if too_much.is_infinite() { 2.0 * carried } else { f64::midpoint(carried, too_much) }
}

/// Everything that was seen.
struct Seen {
    peak_before_per_s: f64,
    peak_after_per_s: f64,
    before: Look,
    flood: Look,
    after: Look,
    balance: Balance,
    unanswered: u64,
}

impl Seen {
    fn peak_per_s(&self) -> f64 {
        self.peak_before_per_s.max(self.peak_after_per_s)
    }
}

/// Measures and gives the rows.
///
/// # Errors
/// When less was offered than should be, the generator could not keep up, or the log cannot be read.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let spans = Spans::of(effort);
    let confined = confined::site(site, SYNC_DELAY)?;
    let seen = LocalSet::new().run_until(see(site, &confined, &spans)).await?;
    Ok(rows(&seen))
}

async fn see(site: &Site, confined: &Site, spans: &Spans) -> Result<Seen> {
    let field = Field::set_up(confined).await?;
    // The first search warms everything up: a young gateway carries less.
    let first_per_s = field.peak("at first").await?;
    let peak_before_per_s = field.peak("before").await?.max(first_per_s);
    field.look("warming", peak_before_per_s, spans.warming_s).await?;
    let before = field.look("at the peak", peak_before_per_s, spans.peak_s).await?;
    let offered_per_s = peak_before_per_s * TIMES_THE_PEAK;
    let flood = field.look("three times the peak", offered_per_s, spans.flood_s).await?;
    let after_s = NORMAL_WITHIN_S + spans.peak_s;
    let after = field.look("afterwards", peak_before_per_s, after_s).await?;
    let peak_after_per_s = field.peak("after").await?;
    must_have_been_offered(&flood, peak_before_per_s.max(peak_after_per_s))?;
    let (balance, unanswered) = killed(site, field, peak_before_per_s).await?;
    Ok(Seen { peak_before_per_s, peak_after_per_s, before, flood, after, balance, unanswered })
}

fn must_have_been_offered(flood: &Look, peak_per_s: f64) -> Result<()> {
    let offered = offered(flood) / peak_per_s;
    if offered < OFFERED_MIN {
        bail!("only {offered:.2} times the peak was offered");
    }
    if flood.generator_busy > GENERATOR_MAX {
        bail!("the generator was busy to {:.2}: it could not keep up", flood.generator_busy);
    }
    Ok(())
}

/// Requests that came each second.
fn offered(flood: &Look) -> f64 {
    flood.tally.offered as f64 / flood.span_s as f64
}

/// Kills the gateway under load. How its log then differs from what was answered, and to how many requests there never
/// was an answer.
async fn killed(site: &Site, field: Field, rate_per_s: f64) -> Result<(Balance, u64)> {
    let Field { mut gateway, mock, tenants, flood } = field;
    let kill = async {
        sleep(KILLED_AFTER).await;
        gateway.process.kill()
    };
    let (tally, killed) = tokio::join!(flood.run(rate_per_s, 2 * KILLED_AFTER), kill);
    killed?;
    println!("overload, killed: {}", tally.line());
    let gateway = gateway.start_again(site, Upstream::Mock(mock.1)).await?;
    let log = Log::read(&gateway, &tenants).await?;
    let counts: Value = http::get(mock.1, COUNTS_PATH).await?.json()?;
    let at_upstream = counts["messages"].as_u64().context("the upstream counts messages")?;
    let (accepted, unanswered) = flood.told();
    println!(
        "overload: {} accepted, {unanswered} unanswered; the log has {}, of them {} sent, and {} that failed; \
         the upstream has {at_upstream}",
        accepted.len(),
        log.len(),
        log.sent,
        log.ended,
    );
    let never_came = log.sent.saturating_sub(at_upstream);
    let mut balance = log.balance(accepted);
    balance.lost += never_came;
    Ok((balance, unanswered))
}

fn rows(seen: &Seen) -> Vec<Row> {
    let Seen { before, flood, after, balance, .. } = seen;
    let count =
        |name, value: u64| Row::new(name, Unit::Count, value as f64).bar(Limit::AtMost(0.0));
    let p99 = |name, values: &[f64]| {
        Row::new(name, Unit::Ms, percentile(values, 99.0)).bar(Limit::AtMost(ACCEPTED_P99_MS))
    };
    let of_peak = |name, rate_per_s: f64, least: f64| {
        Row::new(name, Unit::Ratio, rate_per_s / seen.peak_per_s()).bar(Limit::AtLeast(least))
    };
    let sent_per_s = flood.tally.sent as f64 / flood.span_s as f64;
    let normal_ms = normal_after_s(&after.seconds(), &before.seconds()) * 1e3;
    let without_time = flood.tally.without_time + after.tally.without_time;
    vec![
        Row::new("peak with a slow disk", Unit::PerS, seen.peak_per_s()),
        of_peak("offered ÷ peak", offered(flood), OFFERED_MIN),
        of_peak("offered and sent ÷ peak", sent_per_s, OFFERED_MIN),
        of_peak("accepted under overload ÷ peak", flood.accepted_per_s(), 0.9),
        p99("p99 of the accepted", &flood.tally.accepted_ms),
        p99("p99 of the refused", &flood.tally.refused_ms),
        Row::new("resident under overload ÷ at the peak", Unit::Ratio, {
            flood.resident / before.resident
        })
        .bar(Limit::AtMost(1.1)),
        Row::new("back to normal after", Unit::Ms, normal_ms)
            .bar(Limit::AtMost(NORMAL_WITHIN_S as f64 * 1e3)),
        Row::new("peak after ÷ before", Unit::Ratio, {
            seen.peak_after_per_s / seen.peak_before_per_s
        })
        .bar(Limit::AtLeast(0.9)),
        count("refused without Retry-After", without_time),
        count("neither accepted nor refused", flood.tally.wrong + after.tally.wrong),
        count("offered and never answered", flood.tally.never_sent + flood.tally.unanswered),
        count("accepted and lost", balance.lost),
        count("not accepted, yet kept", balance.untold.saturating_sub(seen.unanswered)),
    ]
}

#[cfg(test)]
mod tests {
    use super::next_rate;

    #[test]
    fn the_search_doubles_until_it_is_too_much_and_then_halves_the_gap() {
        for (carried, too_much, expected) in
            [(500.0, f64::INFINITY, 1_000.0), (1_000.0, 2_000.0, 1_500.0), (0.0, 500.0, 250.0)]
        {
            assert_eq!(next_rate(carried, too_much), expected);
        }
    }
}
