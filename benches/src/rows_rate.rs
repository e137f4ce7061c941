//! Rates, processor time and latency: Waypost in turns with an echo and a pass-through proxy.
//!
//! In each repetition every server has its turn, so that a slow minute of the machine hits all of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::effort::Effort;
use crate::gateway::{Gateway, Site, Upstream};
use crate::http::{self, Call};
use crate::load::{Load, Seen};
use crate::mock::COUNTS_PATH;
use crate::process::Process;
use crate::report::{Limit, Row, Unit};
use crate::statistics::median;
use crate::tenants::{FASTEST_PER_S, SLOWEST_PER_S, Tenant};

const CONNECTIONS: usize = 64;
/// Makes a send's body about 374 bytes.
const TEXT_CHARS: usize = 180;
/// People whom each connection writes to in turns: so many that nobody gets more than WhatsApp allows,
/// 45 messages and then one in six seconds.
const CUSTOMERS: usize = 200;
/// A backlog is watched no longer while it drains.
const DRAIN_WINDOW: Duration = Duration::from_secs(10);
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// What takes turns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    Echo,
    Proxy,
    /// Synchronous sends: answered when the upstream accepted.
    Send,
    /// Durable accepts: answered when stored.
    Accept,
}

const TURNS: [Turn; 4] = [Turn::Echo, Turn::Proxy, Turn::Send, Turn::Accept];

/// Everything that runs while rates are measured. Each gateway has a mock of its own, so that its sends can be counted.
struct Field {
    mock: (Process, SocketAddr),
    accept_mock: (Process, SocketAddr),
    echo: (Process, SocketAddr),
    proxy: (Process, SocketAddr),
    sending: Gateway,
    accepting: Gateway,
    accepting_tenants: Vec<Tenant>,
    /// For each turn and connection.
    calls: [Vec<Vec<Call>>; 4],
}

impl Field {
    async fn set_up(site: &Site) -> Result<Self> {
        let mock = Process::start_bare(&["mock"])?;
        let accept_mock = Process::start_bare(&["mock"])?;
        let echo = Process::start_bare(&["echo"])?;
        let upstream = mock.1.to_string();
        let proxy = Process::start_bare(&["proxy", "--upstream", &upstream])?;
        let sending = Gateway::start(site, Upstream::Mock(mock.1)).await?;
        let accepting = Gateway::start(site, Upstream::Mock(accept_mock.1)).await?;
        let sending_tenants = tenants(&sending, FASTEST_PER_S).await?;
        let accepting_tenants = tenants(&accepting, SLOWEST_PER_S).await?;
        let message = json!({ "type": "text", "text": { "body": "x".repeat(TEXT_CHARS) } });
        let send: Vec<Vec<Call>> = sending_tenants
            .iter()
            .map(|tenant| tenant.people().map(|it| tenant.send_now(it, &message)).collect())
            .collect();
        let accept = accepting_tenants
            .iter()
            .map(|tenant| tenant.people().map(|it| tenant.send_later(it, &message)).collect())
            .collect();
        // The same bytes go to the bare programs, on the path of an upstream call.
        let mut bare = send.clone();
        for call in bare.iter_mut().flatten() {
            "/v23.0/100000000000001/messages".clone_into(&mut call.path);
        }
        let calls = [bare.clone(), bare, send, accept];
        Ok(Self { mock, accept_mock, echo, proxy, sending, accepting, accepting_tenants, calls })
    }

    async fn turn(&self, turn: Turn, effort: &Effort) -> Result<Seen> {
        let (process, address) = match turn {
            Turn::Echo => (&self.echo.0, self.echo.1),
            Turn::Proxy => (&self.proxy.0, self.proxy.1),
            Turn::Send => (&self.sending.process, self.sending.address),
            Turn::Accept => (&self.accepting.process, self.accepting.address),
        };
        let before = delivered(self.mock.1).await?;
        let load = Load {
            address,
            process,
            calls: &self.calls[turn as usize],
            spread: Duration::ZERO,
            warming: effort.warming,
            window: effort.window,
        };
        let seen = load.run().await?;
        let delivered = delivered(self.mock.1).await? - before;
        let passes_on = matches!(turn, Turn::Proxy | Turn::Send);
        if passes_on && delivered != seen.answers {
            bail!("{turn:?} answered {} calls and the upstream saw {delivered}", seen.answers);
        }
        Ok(seen)
    }

    /// Messages a second that leave a backlog of `accepted` messages, while there is one.
    async fn drain(&self, accepted: u64) -> Result<f64> {
        for tenant in &self.accepting_tenants {
            tenant.set_pace(&self.accepting, FASTEST_PER_S).await?;
        }
        let (began, before) = (Instant::now(), delivered(self.accept_mock.1).await?);
        let mut now = before;
        while began.elapsed() < DRAIN_WINDOW && now < accepted {
            tokio::time::sleep(DRAIN_POLL).await;
            now = delivered(self.accept_mock.1).await?;
        }
        Ok((now - before) as f64 / began.elapsed().as_secs_f64())
    }
}

/// An organisation for each connection.
async fn tenants(gateway: &Gateway, pace_per_s: u32) -> Result<Vec<Tenant>> {
    let mut tenants = Vec::new();
    for index in 0..CONNECTIONS {
        tenants.push(Tenant::add(gateway, index, CUSTOMERS, pace_per_s).await?);
    }
    Ok(tenants)
}

/// How many messages a mock has accepted.
async fn delivered(mock: SocketAddr) -> Result<u64> {
    let counts: Value = http::get(mock, COUNTS_PATH).await?.json()?;
    Ok(counts["messages"].as_u64().unwrap_or_default())
}

/// Measures and gives the rows.
///
/// # Errors
/// When a call fails or a message is lost.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let field = Field::set_up(site).await?;
    let mut seen: [Vec<Seen>; 4] = Default::default();
    for repetition in 1..=effort.repetitions {
        for turn in TURNS {
            let result = field.turn(turn, effort).await?;
            println!(
                "{turn:?} {repetition}: {:.0}/s, {:.1} µs of processor, p50 {:.0} µs, p99 {:.0} µs",
                result.rate_per_s, result.cpu_us, result.p50_us, result.p99_us
            );
            seen[turn as usize].push(result);
        }
    }
    let loaded_mb = field.sending.process.peak_resident_bytes()? / 1e6;
    let accepted = seen[Turn::Accept as usize].iter().map(|seen| seen.answers).sum();
    let drained_per_s = field.drain(accepted).await?;
    println!("drain: {drained_per_s:.0}/s");
    Ok(rows(&seen, loaded_mb, drained_per_s))
}

fn rows(seen: &[Vec<Seen>; 4], loaded_mb: f64, drained_per_s: f64) -> Vec<Row> {
    let column = |turn: Turn, of: fn(&Seen) -> f64| -> Vec<f64> {
        seen[turn as usize].iter().map(of).collect()
    };
    let rate: fn(&Seen) -> f64 = |seen| seen.rate_per_s;
    let cpu: fn(&Seen) -> f64 = |seen| seen.cpu_us;
    let p50: fn(&Seen) -> f64 = |seen| seen.p50_us;
    let p99: fn(&Seen) -> f64 = |seen| seen.p99_us;
    let ratio = |name, above: Turn, below: Turn, of: fn(&Seen) -> f64| {
        let pairs = column(above, of).into_iter().zip(column(below, of));
        let ratios: Vec<f64> = pairs.map(|(above, below)| above / below).collect();
        Row::new(name, Unit::Ratio, median(&ratios)).of(&ratios)
    };
    let plain = |name, unit, turn: Turn, of: fn(&Seen) -> f64| {
        let values = column(turn, of);
        Row::new(name, unit, median(&values)).of(&values)
    };
    let proxy_per_s = median(&column(Turn::Proxy, rate));
    vec![
        ratio("synchronous sends ÷ bare proxy", Turn::Send, Turn::Proxy, rate)
            .bar(Limit::AtLeast(0.35))
            .aim(Limit::AtLeast(0.55)),
        ratio("processor per send ÷ the proxy's", Turn::Send, Turn::Proxy, cpu)
            .aim(Limit::AtMost(2.0)),
        ratio("durable accepts ÷ bare echo", Turn::Accept, Turn::Echo, rate)
            .aim(Limit::AtLeast(0.40)),
        ratio("processor per accept ÷ the echo's", Turn::Accept, Turn::Echo, cpu)
            .aim(Limit::AtMost(3.0)),
        Row::new("a backlog's delivery ÷ bare proxy", Unit::Ratio, drained_per_s / proxy_per_s)
            .aim(Limit::AtLeast(0.60)),
        Row::new("under 64 sending connections, peak resident", Unit::Mb, loaded_mb)
            .aim(Limit::AtMost(96.0)),
        plain("bare echo", Unit::PerS, Turn::Echo, rate),
        plain("bare proxy", Unit::PerS, Turn::Proxy, rate),
        plain("synchronous sends", Unit::PerS, Turn::Send, rate),
        plain("durable accepts", Unit::PerS, Turn::Accept, rate),
        Row::new("a backlog's delivery", Unit::PerS, drained_per_s),
        plain("processor per proxied call", Unit::Us, Turn::Proxy, cpu),
        plain("processor per send", Unit::Us, Turn::Send, cpu),
        plain("processor per accept", Unit::Us, Turn::Accept, cpu),
        plain("proxied call, median", Unit::Us, Turn::Proxy, p50),
        plain("proxied call, 99th percentile", Unit::Us, Turn::Proxy, p99),
        plain("send, median", Unit::Us, Turn::Send, p50),
        plain("send, 99th percentile", Unit::Us, Turn::Send, p99),
    ]
}
