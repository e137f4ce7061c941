//! Durable accepts on disks whose syncs take milliseconds, in turns with the disk as it is: here everything hangs on how
//! many callers one sync serves.

use std::time::Duration;

use anyhow::Result;

use crate::effort::Effort;
use crate::gateway::{Gateway, Site, Upstream};
use crate::http::Call;
use crate::load::{Load, Seen};
use crate::process::Process;
use crate::report::{Limit, Row, Unit};
use crate::slow_disk;
use crate::statistics::median;
use crate::tenants::{SLOWEST_PER_S, Tenant};

const TENANTS: usize = 64;
const TEXT_CHARS: usize = 180;
/// People whom each connection writes to in turns.
const PEOPLE: usize = 16;
/// Connections that see how many messages are accepted, and how soon.
const MANY_CONNECTIONS: usize = 256;
const CONNECTIONS: usize = 64;
/// How much longer a sync takes in each case.
const SLOW: Duration = Duration::from_millis(2);
const SLOWER: Duration = Duration::from_millis(10);

/// A gateway on a disk of its own kind.
struct Field {
    gateway: Gateway,
    /// What each connection sends in turns.
    calls: Vec<Vec<Call>>,
}

impl Field {
    async fn set_up(site: &Site, upstream: Upstream, connections: usize) -> Result<Self> {
        let gateway = Gateway::start(site, upstream).await?;
        let text = "x".repeat(TEXT_CHARS);
        let mut calls = Vec::new();
        for index in 0..TENANTS {
            let tenant = Tenant::add(&gateway, index, 0, SLOWEST_PER_S).await?;
            let call = |person: usize| tenant.submit_webex(person..person + 1, &text);
            calls.push((0..PEOPLE).map(call).collect());
        }
        let calls = calls.into_iter().cycle().take(connections).collect();
        Ok(Self { gateway, calls })
    }

    async fn turn(&self, name: &str, effort: &Effort) -> Result<Seen> {
        let Effort { warming, window, .. } = *effort;
        let (address, process) = (self.gateway.address, &self.gateway.process);
        let seen =
            Load { address, process, calls: &self.calls, spread: Duration::ZERO, warming, window }
                .run()
                .await?;
        println!(
            "{name}: {:.0}/s, p50 {:.1} ms, p99 {:.1} ms",
            seen.rate_per_s,
            seen.p50_us / 1e3,
            seen.p99_us / 1e3
        );
        Ok(seen)
    }
}

/// Measures and gives the rows.
///
/// # Errors
/// When a call fails, or a disk cannot be slowed down.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let mock = Process::start_bare(&["mock"])?;
    let upstream = Upstream::Mock(mock.1);
    let plain = Field::set_up(site, upstream, MANY_CONNECTIONS).await?;
    let slow = slow_disk::site(site, SLOW)?;
    let slow = Field::set_up(&slow, upstream, MANY_CONNECTIONS).await?;
    let slower = slow_disk::site(site, SLOWER)?;
    let slower = Field::set_up(&slower, upstream, CONNECTIONS).await?;
    let (mut shares, mut syncs) = (Vec::new(), Vec::new());
    for repetition in 1..=effort.repetitions {
        let plain = plain.turn(&format!("disk as it is {repetition}"), effort).await?;
        let slow = slow.turn(&format!("syncs of 2 ms more {repetition}"), effort).await?;
        let slower = slower.turn(&format!("syncs of 10 ms more {repetition}"), effort).await?;
        shares.push(slow.rate_per_s / plain.rate_per_s);
        syncs.push(slower.p50_us / 1e6 / SLOWER.as_secs_f64());
    }
    Ok(vec![
        Row::new("accepts with syncs of 2 ms more ÷ without", Unit::Ratio, median(&shares))
            .bar(Limit::AtLeast(0.5))
            .aim(Limit::AtLeast(0.75))
            .of(&shares),
        Row::new("median accept ÷ sync of 10 ms", Unit::Ratio, median(&syncs))
            .bar(Limit::AtMost(3.0))
            .aim(Limit::AtMost(2.2))
            .of(&syncs),
    ])
}
