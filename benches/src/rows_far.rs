//! Synchronous sends to an upstream that is as far away as Meta, in turns with the bare proxy: a thousand callers wait at
//! once. What counts here is what Waypost adds to the time, and what a message in flight costs in memory.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::effort::Effort;
use crate::gateway::{Gateway, Site, Upstream};
use crate::http::Call;
use crate::load::{Load, Seen};
use crate::process::Process;
use crate::report::{Limit, Row, Unit};
use crate::statistics::median;
use crate::tenants::{FASTEST_PER_S, Tenant};

/// How long the upstream takes for each call, and over which the callers begin: they come evenly, as in life.
const UPSTREAM: Duration = Duration::from_millis(200);
const TENANTS: usize = 64;
const IN_FLIGHT: usize = 1_000;
/// People whom each connection writes to in turns, and nobody else.
const PEOPLE: usize = 12;
const TEXT_CHARS: usize = 180;

struct Field {
    // Dropped first: it shall not see its upstream go.
    gateway: Gateway,
    proxy: (Process, SocketAddr),
    _mock: (Process, SocketAddr),
    /// For each connection.
    sends: Vec<Vec<Call>>,
    bare: Vec<Vec<Call>>,
}

impl Field {
    async fn set_up(site: &Site) -> Result<Self> {
        let mock = Process::start_bare(&["mock", "--delay-ms", &UPSTREAM.as_millis().to_string()])?;
        let proxy = Process::start_bare(&["proxy", "--upstream", &mock.1.to_string()])?;
        let gateway = Gateway::start(site, Upstream::Mock(mock.1)).await?;
        let people = IN_FLIGHT.div_ceil(TENANTS) * PEOPLE;
        let mut tenants = Vec::new();
        for index in 0..TENANTS {
            tenants.push(Tenant::add(&gateway, index, people, FASTEST_PER_S).await?);
        }
        let message = json!({ "type": "text", "text": { "body": "x".repeat(TEXT_CHARS) } });
        let of_connection = |connection: usize| -> Vec<Call> {
            let first = connection / TENANTS * PEOPLE;
            let tenant = &tenants[connection % TENANTS];
            (first..first + PEOPLE).map(|person| tenant.send_now(person, &message)).collect()
        };
        let sends: Vec<Vec<Call>> = (0..IN_FLIGHT).map(of_connection).collect();
        // The same bytes go through the proxy, on the path of an upstream call.
        let mut bare = sends.clone();
        for call in bare.iter_mut().flatten() {
            "/v23.0/100000000000001/messages".clone_into(&mut call.path);
        }
        Ok(Self { gateway, proxy, _mock: mock, sends, bare })
    }

    async fn turn(&self, effort: &Effort, is_bare: bool) -> Result<Seen> {
        let (process, address, calls) = if is_bare {
            (&self.proxy.0, self.proxy.1, &self.bare)
        } else {
            (&self.gateway.process, self.gateway.address, &self.sends)
        };
        let Effort { warming, window, .. } = *effort;
        Load { address, process, calls, spread: UPSTREAM, warming, window }.run().await
    }
}

/// Measures and gives the rows.
///
/// # Errors
/// When a call fails.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let field = Field::set_up(site).await?;
    let before_kb = field.gateway.process.resident_bytes()? / 1e3;
    let mut added_ms = Vec::new();
    for repetition in 1..=effort.repetitions {
        let proxied = field.turn(effort, true).await?;
        let sent = field.turn(effort, false).await?;
        for (name, seen) in [("proxied", &proxied), ("sent", &sent)] {
            println!(
                "far {name} {repetition}: {:.0}/s, {:.1} µs of processor, p50 {:.1} ms, p99 {:.1} ms",
                seen.rate_per_s,
                seen.cpu_us,
                seen.p50_us / 1e3,
                seen.p99_us / 1e3
            );
        }
        added_ms.push((sent.p50_us - proxied.p50_us) / 1e3);
    }
    let grown_kb = field.gateway.process.peak_resident_bytes()? / 1e3 - before_kb;
    Ok(vec![
        Row::new("upstream of 200 ms, 1,000 in flight: added median", Unit::Ms, median(&added_ms))
            .bar(Limit::AtMost(10.0))
            .aim(Limit::AtMost(3.0))
            .of(&added_ms),
        Row::new("the same, resident kB a message in flight", Unit::Count, {
            grown_kb / IN_FLIGHT as f64
        })
        .bar(Limit::AtMost(128.0))
        .aim(Limit::AtMost(64.0)),
    ])
}
