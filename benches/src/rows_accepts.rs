//! Asynchronous accepts in the vendors' dialects, in turns with an echo, and a request to 1,000 people.
//!
//! Every number sends one message a second, so that accepting is measured and not delivering.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;
use serde_json::Value;

use crate::effort::Effort;
use crate::gateway::{Gateway, Site, Upstream};
use crate::http::{self, Call, Connection};
use crate::load::{Load, Seen};
use crate::mock::COUNTS_PATH;
use crate::process::Process;
use crate::report::{Limit, Row, Unit};
use crate::statistics::median;
use crate::tenants::{SLOWEST_PER_S, Tenant};

const CONNECTIONS: usize = 64;
const TEXT_CHARS: usize = 180;
/// People whom each connection writes to in turns.
const PEOPLE: usize = 16;
/// The most destinations of a request.
const DESTINATIONS: usize = 1_000;
/// Requests of so many that are sent in a turn, over [`LARGE_CONNECTIONS`]: enough that a hundredth of a second of
/// processor time, the smallest that the kernel shows, is no matter.
const LARGE_REQUESTS: usize = 40;
const LARGE_CONNECTIONS: usize = 2;
const DELIVERED_WITHIN: Duration = Duration::from_secs(20);
const DELIVERED_POLL: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug)]
enum Turn {
    Echo,
    WebexConnect,
    Pepipost,
}

/// The turns of a repetition. The gateway is a tenth slower after the echo's, in which it rests: that
/// falls to both dialects.
const fn turns(repetition: u32) -> [Turn; 3] {
    if repetition.is_multiple_of(2) {
        [Turn::Echo, Turn::Pepipost, Turn::WebexConnect]
    } else {
        [Turn::Echo, Turn::WebexConnect, Turn::Pepipost]
    }
}

struct Field {
    // Dropped first: it shall not see its upstream go.
    gateway: Gateway,
    mock: (Process, SocketAddr),
    echo: (Process, SocketAddr),
    /// For each turn and connection.
    calls: [Vec<Vec<Call>>; 3],
    large: Vec<Call>,
}

impl Field {
    async fn set_up(site: &Site) -> Result<Self> {
        let mock = Process::start_bare(&["mock"])?;
        let echo = Process::start_bare(&["echo"])?;
        let gateway = Gateway::start(site, Upstream::Mock(mock.1)).await?;
        let mut tenants = Vec::new();
        for index in 0..CONNECTIONS {
            tenants.push(Tenant::add(&gateway, index, 0, SLOWEST_PER_S).await?);
        }
        let text = "x".repeat(TEXT_CHARS);
        let webex = |person, tenant: &Tenant| tenant.submit_webex(person..person + 1, &text);
        let pepipost = |person, tenant: &Tenant| tenant.submit_pepipost(person, &text);
        let in_turns = |call: &dyn Fn(usize, &Tenant) -> Call| -> Vec<Vec<Call>> {
            let of = |tenant| (0..PEOPLE).map(|person| call(person, tenant)).collect();
            tenants.iter().map(of).collect()
        };
        let calls = [in_turns(&webex), in_turns(&webex), in_turns(&pepipost)];
        let large = tenants[..LARGE_CONNECTIONS]
            .iter()
            .map(|tenant| tenant.submit_webex(0..DESTINATIONS, &text))
            .collect();
        let field = Self { gateway, mock, echo, calls, large };
        field.must_deliver().await?;
        Ok(field)
    }

    /// What is measured must be accepted for good: one message of each dialect reaches the upstream.
    async fn must_deliver(&self) -> Result<()> {
        let probes = [Turn::WebexConnect, Turn::Pepipost];
        for turn in probes {
            let answer = http::once(self.gateway.address, &self.calls[turn as usize][0][0]).await?;
            answer.json().with_context(|| format!("{turn:?}"))?;
        }
        let began = Instant::now();
        loop {
            let counts: Value = http::get(self.mock.1, COUNTS_PATH).await?.json()?;
            if counts["messages"] == probes.len() {
                return Ok(());
            }
            if began.elapsed() > DELIVERED_WITHIN {
                bail!("of one message of each dialect the upstream got {counts}");
            }
            tokio::time::sleep(DELIVERED_POLL).await;
        }
    }

    async fn turn(&self, turn: Turn, effort: &Effort) -> Result<Seen> {
        let (process, address) = match turn {
            Turn::Echo => (&self.echo.0, self.echo.1),
            Turn::WebexConnect | Turn::Pepipost => (&self.gateway.process, self.gateway.address),
        };
        let calls = &self.calls[turn as usize];
        Load {
            address,
            process,
            calls,
            spread: Duration::ZERO,
            warming: effort.warming,
            window: effort.window,
        }
        .run()
        .await
    }

    /// Processor time per destination of large requests, in microseconds.
    async fn large_cpu_us(&self) -> Result<f64> {
        let before_s = self.gateway.process.cpu_s()?;
        let send = |call: &Call| {
            let (call, address) = (call.clone(), self.gateway.address);
            async move {
                let mut connection = Connection::open(address).await?;
                for _ in 0..LARGE_REQUESTS / LARGE_CONNECTIONS {
                    let answer = connection.call(&call).await?.json()?;
                    let accepted = answer["response"].as_array().map_or(0, Vec::len);
                    if accepted != DESTINATIONS {
                        bail!("of {DESTINATIONS} destinations {accepted} were accepted");
                    }
                }
                Ok(())
            }
        };
        try_join_all(self.large.iter().map(send)).await?;
        let took_s = self.gateway.process.cpu_s()? - before_s;
        Ok(took_s * 1e6 / (LARGE_REQUESTS * DESTINATIONS) as f64)
    }
}

/// Measures and gives the rows.
///
/// # Errors
/// When a call fails.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let field = Field::set_up(site).await?;
    let mut seen: [Vec<Seen>; 3] = Default::default();
    let mut large_us = Vec::new();
    for repetition in 1..=effort.repetitions {
        for turn in turns(repetition) {
            let result = field.turn(turn, effort).await.with_context(|| format!("{turn:?}"))?;
            println!(
                "{turn:?} {repetition}: {:.0}/s, {:.1} µs of processor, p50 {:.0} µs, p99 {:.0} µs",
                result.rate_per_s, result.cpu_us, result.p50_us, result.p99_us
            );
            seen[turn as usize].push(result);
        }
        large_us.push(field.large_cpu_us().await?);
        println!("one of 1,000 {repetition}: {:.1} µs of processor", large_us[large_us.len() - 1]);
    }
    Ok(rows(&seen, &large_us))
}

fn rows(seen: &[Vec<Seen>; 3], large_us: &[f64]) -> Vec<Row> {
    let column = |turn: Turn, of: fn(&Seen) -> f64| -> Vec<f64> {
        seen[turn as usize].iter().map(of).collect()
    };
    let rate: fn(&Seen) -> f64 = |seen| seen.rate_per_s;
    let cpu: fn(&Seen) -> f64 = |seen| seen.cpu_us;
    let ratio = |name, above: &[f64], below: &[f64]| {
        let pairs = above.iter().zip(below);
        let ratios: Vec<f64> = pairs.map(|(above, below)| above / below).collect();
        Row::new(name, Unit::Ratio, median(&ratios)).of(&ratios)
    };
    let plain = |name, unit, turn: Turn, of: fn(&Seen) -> f64| {
        let values = column(turn, of);
        Row::new(name, unit, median(&values)).of(&values)
    };
    let echo = column(Turn::Echo, rate);
    vec![
        ratio("Webex Connect accepts ÷ bare echo", &column(Turn::WebexConnect, rate), &echo)
            .bar(Limit::AtLeast(0.30))
            .aim(Limit::AtLeast(0.40)),
        ratio("Pepipost accepts ÷ bare echo", &column(Turn::Pepipost, rate), &echo)
            .bar(Limit::AtLeast(0.30))
            .aim(Limit::AtLeast(0.40)),
        ratio(
            "one of 1,000 destinations ÷ single, processor",
            large_us,
            &column(Turn::WebexConnect, cpu),
        )
        .bar(Limit::AtMost(1.5)),
        plain("Webex Connect accepts", Unit::PerS, Turn::WebexConnect, rate),
        plain("Pepipost accepts", Unit::PerS, Turn::Pepipost, rate),
        plain("processor per Webex Connect accept", Unit::Us, Turn::WebexConnect, cpu),
        plain("processor per Pepipost accept", Unit::Us, Turn::Pepipost, cpu),
        Row::new("processor per destination of 1,000", Unit::Us, median(large_us)).of(large_us),
    ]
}
