//! Callbacks of the shape `standard` to a fast receiver: how late they are while messages are sent, and how fast a
//! backlog of them drains, in turns with the pass-through proxy.
//!
//! The backlog is made by replaying what the sends before it had told, while the receiver keeps its callers waiting.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;
use hyper::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time;

use crate::effort::Effort;
use crate::gateway::{Gateway, Site, Upstream};
use crate::http::{self, Call, Connection};
use crate::load::Load;
use crate::mock::COUNTS_PATH;
use crate::process::Process;
use crate::receiver::{CALLBACKS_PATH, HOLD_PATH, LAGS_PATH, OPEN_PATH};
use crate::report::{Limit, Row, Unit};
use crate::statistics::{median, percentile};
use crate::statuses::{REPORT_PATH, STATUSES};
use crate::tenants::{FASTEST_PER_S, Tenant};

/// Connections that send, and that load the proxy.
const CONNECTIONS: usize = 64;
/// Organisations, each with one number and one address for callbacks: one number alone would send at its own limit.
const TENANTS: usize = 2;
/// People whom each organisation writes to.
const CUSTOMERS: usize = 256;
const TEXT_CHARS: usize = 180;
/// Messages a second, over all connections.
const SENDS_PER_S: usize = 1_000;
/// Messages are sent for so many windows.
const SENDING_WINDOWS: u32 = 2;
/// What is late beyond that is lost.
const ARRIVED_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);

struct Field {
    // Dropped first: it shall not see its upstream go.
    gateway: Gateway,
    mock: (Process, SocketAddr),
    proxy: (Process, SocketAddr),
    /// The proxy's own upstream, for nobody waits for statuses of what it passes on.
    _proxied_mock: (Process, SocketAddr),
    tenants: Vec<Tenant>,
    /// For each connection, what it sends in turns.
    sends: Vec<Vec<Call>>,
    proxied: Vec<Vec<Call>>,
}

/// What one repetition has shown.
struct Seen {
    proxied_per_s: f64,
    sent_per_s: f64,
    lags_ms: Vec<f64>,
    drained_per_s: f64,
    drained_one_per_s: f64,
    drain_cpu_us: f64,
}

impl Field {
    async fn set_up(site: &Site) -> Result<Self> {
        let mock = Process::start_bare(&["mock"])?;
        let proxied_mock = Process::start_bare(&["mock"])?;
        let proxy = Process::start_bare(&["proxy", "--upstream", &proxied_mock.1.to_string()])?;
        let gateway = Gateway::start(site, Upstream::Mock(mock.1)).await?;
        let (mut tenants, mut sends) = (Vec::new(), Vec::new());
        let message = json!({ "type": "text", "text": { "body": "x".repeat(TEXT_CHARS) } });
        let url = format!("http://{}{CALLBACKS_PATH}", mock.1);
        for index in 0..TENANTS {
            let tenant = Tenant::add(&gateway, index, CUSTOMERS, FASTEST_PER_S).await?;
            tenant.add_webhook(&gateway, &url).await?;
            let calls: Vec<Call> =
                tenant.people().map(|person| tenant.send_now(person, &message)).collect();
            sends.extend(calls.chunks(CUSTOMERS * TENANTS / CONNECTIONS).map(<[Call]>::to_vec));
            tenants.push(tenant);
        }
        let mut proxied = sends.clone();
        for call in proxied.iter_mut().flatten() {
            // The same bytes, on the path of an upstream call.
            "/v23.0/100000000000001/messages".clone_into(&mut call.path);
        }
        let field =
            Self { gateway, mock, proxy, _proxied_mock: proxied_mock, tenants, sends, proxied };
        field.tell_mock(REPORT_PATH, &field.gateway.address.to_string()).await?;
        Ok(field)
    }

    async fn tell_mock(&self, path: &str, body: &str) -> Result<()> {
        let call = Call {
            method: Method::POST,
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.to_owned().into(),
        };
        http::once(self.mock.1, &call).await?.json().with_context(|| path.to_owned())?;
        Ok(())
    }

    async fn repetition(&self, effort: &Effort) -> Result<Seen> {
        let (warming, window) = (effort.warming, effort.window);
        let (process, address) = (&self.proxy.0, self.proxy.1);
        let load = Load {
            address,
            process,
            calls: &self.proxied,
            spread: Duration::ZERO,
            warming,
            window,
        };
        let proxied = load.run().await.context("the proxy")?;
        let since = Timestamp::now().to_string();
        let (sent_per_s, lags_ms) = self.send_and_listen(window * SENDING_WINDOWS).await?;
        let (drained_one_per_s, _) = self.drain(&self.tenants[..1], &since).await?;
        let (drained_per_s, drain_cpu_us) = self.drain(&self.tenants, &since).await?;
        let proxied_per_s = proxied.rate_per_s;
        Ok(Seen {
            proxied_per_s,
            sent_per_s,
            lags_ms,
            drained_per_s,
            drained_one_per_s,
            drain_cpu_us,
        })
    }

    /// Sends for a while; how many a second, and how late each callback was.
    async fn send_and_listen(&self, span: Duration) -> Result<(f64, Vec<f64>)> {
        let before = self.received().await?;
        let began = time::Instant::now();
        let senders = self.sends.iter().enumerate().map(|(place, calls)| {
            let (calls, address) = (calls.clone(), self.gateway.address);
            send_evenly(address, calls, began, place, span)
        });
        let sent: usize = try_join_all(senders).await?.into_iter().sum();
        let took_s = began.elapsed().as_secs_f64();
        self.wait_for_callbacks(before + (sent * STATUSES.len()) as u64).await?;
        let lags = http::get(self.mock.1, LAGS_PATH).await?.json()?;
        let lags: Vec<f64> = serde_json::from_value(lags)?;
        if lags.len() != sent * STATUSES.len() {
            bail!("{} lags are known of {sent} messages", lags.len());
        }
        Ok((sent as f64 / took_s, lags))
    }

    /// Callbacks a second of some organisations while a backlog drains, and the processor time of each.
    async fn drain(&self, tenants: &[Tenant], since: &str) -> Result<(f64, f64)> {
        self.wait_until_pending(&self.tenants, 0).await?;
        self.tell_mock(HOLD_PATH, "").await?;
        let before = self.received().await?;
        let mut backlog = 0;
        for tenant in tenants {
            backlog += tenant.replay(&self.gateway, since).await?;
        }
        self.wait_until_pending(tenants, backlog).await?;
        let (began, cpu_before_s) = (Instant::now(), self.gateway.process.cpu_s()?);
        self.tell_mock(OPEN_PATH, "").await?;
        self.wait_for_callbacks(before + backlog).await?;
        let took_s = began.elapsed().as_secs_f64();
        let cpu_s = self.gateway.process.cpu_s()? - cpu_before_s;
        Ok((backlog as f64 / took_s, cpu_s * 1e6 / backlog as f64))
    }

    async fn wait_until_pending(&self, tenants: &[Tenant], wanted: u64) -> Result<()> {
        let began = Instant::now();
        loop {
            let mut pending = 0;
            for tenant in tenants {
                pending += tenant.pending_callbacks(&self.gateway).await?;
            }
            if pending == wanted {
                return Ok(());
            }
            if began.elapsed() > ARRIVED_WITHIN {
                bail!("{pending} callbacks are pending, not {wanted}");
            }
            time::sleep(POLL).await;
        }
    }

    async fn received(&self) -> Result<u64> {
        let counts: Value = http::get(self.mock.1, COUNTS_PATH).await?.json()?;
        if counts["statuses_refused"] != 0 {
            bail!("statuses were refused: {counts}");
        }
        counts["callbacks"].as_u64().context("the mock counts callbacks")
    }

    async fn wait_for_callbacks(&self, wanted: u64) -> Result<()> {
        let began = Instant::now();
        loop {
            let received = self.received().await?;
            if received >= wanted {
                return Ok(());
            }
            if began.elapsed() > ARRIVED_WITHIN {
                bail!("{} callbacks are missing", wanted - received);
            }
            time::sleep(POLL).await;
        }
    }
}

/// One connection's share of the messages, evenly; what was delayed is caught up with. Returns how many were sent.
async fn send_evenly(
    address: SocketAddr,
    calls: Vec<Call>,
    began: time::Instant,
    place: usize,
    span: Duration,
) -> Result<usize> {
    let mut connection = Connection::open(address).await?;
    let offset = Duration::from_secs_f64(place as f64 / SENDS_PER_S as f64);
    let pause = Duration::from_secs_f64(CONNECTIONS as f64 / SENDS_PER_S as f64);
    let mut ticks = time::interval_at(began + offset, pause);
    let mut sent = 0;
    for call in calls.iter().cycle() {
        let tick = ticks.tick().await;
        if tick >= began + span {
            break;
        }
        connection.call(call).await?.json()?;
        sent += 1;
    }
    Ok(sent)
}

/// Measures and gives the rows.
///
/// # Errors
/// When a call fails or a callback is lost.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let field = Field::set_up(site).await?;
    let mut seen = Vec::new();
    for repetition in 1..=effort.repetitions {
        let result = field.repetition(effort).await?;
        println!(
            "callbacks {repetition}: proxy {:.0}/s, drain {:.0}/s ({:.0}/s of one), {:.1} µs of processor; \
             sending {:.0}/s, lag p50 {:.1} ms, p99 {:.1} ms",
            result.proxied_per_s,
            result.drained_per_s,
            result.drained_one_per_s,
            result.drain_cpu_us,
            result.sent_per_s,
            median(&result.lags_ms),
            percentile(&result.lags_ms, 99.0),
        );
        seen.push(result);
    }
    Ok(rows(&seen))
}

fn rows(seen: &[Seen]) -> Vec<Row> {
    let column = |of: fn(&Seen) -> f64| -> Vec<f64> { seen.iter().map(of).collect() };
    let row = |name, unit, of: fn(&Seen) -> f64| {
        let values = column(of);
        Row::new(name, unit, median(&values)).of(&values)
    };
    vec![
        row("callbacks' delivery ÷ bare proxy", Unit::Ratio, |it| {
            it.drained_per_s / it.proxied_per_s
        })
        .bar(Limit::AtLeast(0.35)),
        row("one address's callbacks ÷ bare proxy", Unit::Ratio, |it| {
            it.drained_one_per_s / it.proxied_per_s
        })
        .bar(Limit::AtLeast(0.35)),
        row("callback's lag, 99th percentile", Unit::Ms, |it| percentile(&it.lags_ms, 99.0))
            .bar(Limit::AtMost(250.0)),
        row("callback's lag, median", Unit::Ms, |it| median(&it.lags_ms)),
        row("messages sent meanwhile", Unit::PerS, |it| it.sent_per_s)
            .bar(Limit::AtLeast(SENDS_PER_S as f64 * 0.9)),
        row("callbacks' delivery", Unit::PerS, |it| it.drained_per_s),
        row("one address's callbacks", Unit::PerS, |it| it.drained_one_per_s),
        row("processor per callback", Unit::Us, |it| it.drain_cpu_us),
    ]
}
