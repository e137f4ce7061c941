//! Statuses in from Meta: signed webhooks that are durable before they are answered, with one status each and with a
//! hundred, in turns with durable accepts.
//!
//! The statuses are of messages that the gateway has sent, first `delivered` of each, then `read`, so that every one
//! is news and must be recorded. Webhooks are worked off after they are answered; a turn ends when that is done too, and in
//! the end the log of events must have every status once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::effort::Effort;
use crate::gateway::{Gateway, Site, Upstream};
use crate::http::{self, Call, Connection};
use crate::load::{Load, send_all};
use crate::process::Process;
use crate::report::{Limit, Row, Unit};
use crate::statistics::median;
use crate::statuses::{Accepted, STATUSES, webhook};
use crate::tenants::{FASTEST_PER_S, SLOWEST_PER_S, Tenant};

const CONNECTIONS: usize = 64;
/// People whom each connection writes to in turns: so many that nobody gets more than WhatsApp allows.
const CUSTOMERS: usize = 256;
const TEXT_CHARS: usize = 180;
/// Statuses in a webhook, of each kind of turn.
const BATCHES: [usize; 2] = [1, 100];
/// What is reported of each message; that it is sent, its answer has said.
const REPORTED: [&str; 2] = [STATUSES[1], STATUSES[2]];
/// What is not worked off by then never is.
const RECORDED_WITHIN: Duration = Duration::from_secs(60);
const RECORDED_POLL: Duration = Duration::from_millis(10);

/// Messages that each connection sends for the turn of each of [`BATCHES`]; whole webhooks.
fn messages_of(effort: &Effort) -> [usize; 2] {
    if effort.worst_of > 1 { [160, 1_000] } else { [20, 100] }
}

/// Everything that runs meanwhile. What is accepted waits in a gateway of its own.
struct Field {
    // Dropped first: they shall not see their upstream go.
    sending: Gateway,
    accepting: Gateway,
    _mock: Process,
    tenants: Vec<Tenant>,
    /// For each connection, what it sends in turns.
    sends: Vec<Vec<Call>>,
    accepts: Vec<Vec<Call>>,
}

/// What the statuses of one turn have shown.
struct Reported {
    /// Until all were answered.
    taken_per_s: f64,
    /// Until all were recorded.
    recorded_per_s: f64,
    /// Processor time of the gateway for each, also for recording it.
    cpu_us: f64,
}

impl Field {
    async fn set_up(site: &Site) -> Result<Self> {
        let (mock_process, mock) = Process::start_bare(&["mock"])?;
        let sending = Gateway::start(site, Upstream::Mock(mock)).await?;
        let accepting = Gateway::start(site, Upstream::Mock(mock)).await?;
        let message = json!({ "type": "text", "text": { "body": "x".repeat(TEXT_CHARS) } });
        let (mut tenants, mut sends, mut accepts) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..CONNECTIONS {
            let tenant = Tenant::add(&sending, index, CUSTOMERS, FASTEST_PER_S).await?;
            sends.push(tenant.people().map(|it| tenant.send_now(it, &message)).collect());
            tenants.push(tenant);
            let tenant = Tenant::add(&accepting, index, CUSTOMERS, SLOWEST_PER_S).await?;
            accepts.push(tenant.people().map(|it| tenant.send_later(it, &message)).collect());
        }
        Ok(Self { sending, accepting, _mock: mock_process, tenants, sends, accepts })
    }

    async fn accept(&self, effort: &Effort) -> Result<f64> {
        let (address, process) = (self.accepting.address, &self.accepting.process);
        let Effort { warming, window, .. } = *effort;
        let calls = &self.accepts;
        let load = Load { address, process, calls, spread: Duration::ZERO, warming, window };
        Ok(load.run().await.context("accepts")?.rate_per_s)
    }

    /// Sends so many messages over each connection and reports their statuses, so many in a webhook.
    async fn report(&self, messages: usize, batch: usize) -> Result<Reported> {
        let address = self.sending.address;
        let sent = self
            .tenants
            .iter()
            .zip(&self.sends)
            .map(|(tenant, calls)| send(address, tenant, calls.iter().cycle().take(messages)));
        let sent = try_join_all(sent).await.context("sends")?;
        // Signed beforehand: what that costs is the upstream's affair.
        let webhooks = sent.iter().map(|messages| webhooks(messages, batch));
        let webhooks = webhooks.collect::<Result<Vec<_>>>()?;
        let events = (messages * self.tenants.len() * REPORTED.len()) as u64;
        let before = self.recorded().await?;
        let (began, cpu_before_s) = (Instant::now(), self.sending.process.cpu_s()?);
        let taken = send_all(address, &webhooks).await.context("webhooks")?;
        while self.recorded().await? < before + events {
            if began.elapsed() > RECORDED_WITHIN {
                bail!(
                    "of {events} statuses only {} are worked off",
                    self.recorded().await? - before
                );
            }
            tokio::time::sleep(RECORDED_POLL).await;
        }
        let recorded = began.elapsed();
        let cpu_s = self.sending.process.cpu_s()? - cpu_before_s;
        let events = events as f64;
        Ok(Reported {
            taken_per_s: events / taken.as_secs_f64(),
            recorded_per_s: events / recorded.as_secs_f64(),
            cpu_us: cpu_s * 1e6 / events,
        })
    }

    /// Statuses that are worked off.
    async fn recorded(&self) -> Result<u64> {
        let metrics = http::get(self.sending.address, "/metrics").await?;
        counter(&metrics.body, "waypost_statuses_total").context("/metrics counts statuses")
    }

    /// Fails unless every status of so many messages of each organisation is in the log.
    async fn must_have_recorded(&self, messages: usize) -> Result<()> {
        for tenant in &self.tenants {
            for status in REPORTED {
                let kind = format!("message.{status}");
                let events = tenant.count_events(&self.sending, &kind).await?;
                if events != messages as u64 {
                    bail!("{messages} messages were reported {status}, {events} are recorded so");
                }
            }
        }
        Ok(())
    }
}

/// Sends over a connection of its own; what the upstream has accepted.
async fn send(
    address: SocketAddr,
    tenant: &Tenant,
    calls: impl Iterator<Item = &Call>,
) -> Result<Vec<Accepted>> {
    let mut connection = Connection::open(address).await?;
    let mut sent = Vec::new();
    for call in calls {
        let answer = connection.call(call).await?.json()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let response = &answer["response"];
        sent.push(Accepted {
            number: tenant.number().to_owned(),
            to: text(&response["contacts"][0]["wa_id"]).context("an answer names the person")?,
            wamid: text(&response["messages"][0]["id"]).context("an answer has the wamid")?,
        });
    }
    Ok(sent)
}

/// Tells of all messages that they are delivered, then that they are read.
fn webhooks(messages: &[Accepted], batch: usize) -> Result<Vec<Call>> {
    let of = |status: &'static str| messages.chunks(batch).map(move |part| webhook(part, status));
    REPORTED.into_iter().flat_map(of).collect()
}

/// A counter's value in the form that Prometheus reads.
fn counter(metrics: &[u8], name: &str) -> Option<u64> {
    let text = std::str::from_utf8(metrics).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

/// Measures and gives the rows.
///
/// # Errors
/// When a call fails, or a status is not recorded.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let field = Field::set_up(site).await?;
    let mut accepted_per_s = Vec::new();
    let mut reported: [Vec<Reported>; 2] = Default::default();
    for repetition in 1..=effort.repetitions {
        accepted_per_s.push(field.accept(effort).await?);
        println!(
            "statuses {repetition}: {:.0}/s accepts",
            accepted_per_s[accepted_per_s.len() - 1]
        );
        for ((batch, messages), seen) in
            BATCHES.into_iter().zip(messages_of(effort)).zip(&mut reported)
        {
            let result = field.report(messages, batch).await?;
            println!(
                "statuses {repetition}: {batch} each: {:.0}/s taken, {:.0}/s recorded, {:.1} µs of processor",
                result.taken_per_s, result.recorded_per_s, result.cpu_us
            );
            seen.push(result);
        }
    }
    let messages: usize = messages_of(effort).into_iter().sum();
    field.must_have_recorded(messages * effort.repetitions as usize).await?;
    Ok(rows(&accepted_per_s, &reported))
}

fn rows(accepted_per_s: &[f64], reported: &[Vec<Reported>; 2]) -> Vec<Row> {
    let [single, hundred] = reported;
    let ratio = |name, reported: &[Reported], of: fn(&Reported) -> f64| {
        let pairs = reported.iter().map(of).zip(accepted_per_s);
        let ratios: Vec<f64> = pairs.map(|(above, below)| above / below).collect();
        Row::new(name, Unit::Ratio, median(&ratios)).of(&ratios)
    };
    let plain = |name, unit, reported: &[Reported], of: fn(&Reported) -> f64| {
        let values: Vec<f64> = reported.iter().map(of).collect();
        Row::new(name, unit, median(&values)).of(&values)
    };
    let taken: fn(&Reported) -> f64 = |it| it.taken_per_s;
    let recorded: fn(&Reported) -> f64 = |it| it.recorded_per_s;
    let cpu: fn(&Reported) -> f64 = |it| it.cpu_us;
    vec![
        ratio("single statuses durable ÷ durable accepts", single, taken)
            .bar(Limit::AtLeast(0.8))
            .aim(Limit::AtLeast(1.0)),
        ratio("statuses by the hundred durable ÷ accepts", hundred, taken)
            .bar(Limit::AtLeast(3.0))
            .aim(Limit::AtLeast(6.0)),
        ratio("single statuses recorded ÷ accepts", single, recorded).aim(Limit::AtLeast(0.8)),
        ratio("statuses by the hundred recorded ÷ accepts", hundred, recorded)
            .aim(Limit::AtLeast(3.0)),
        plain("single statuses durable", Unit::PerS, single, taken),
        plain("statuses by the hundred durable", Unit::PerS, hundred, taken),
        plain("single statuses recorded", Unit::PerS, single, recorded),
        plain("statuses by the hundred recorded", Unit::PerS, hundred, recorded),
        plain("processor per single status, recorded", Unit::Us, single, cpu),
        plain("processor per status of a hundred, recorded", Unit::Us, hundred, cpu),
        Row::new("durable accepts beside them", Unit::PerS, median(accepted_per_s))
            .of(accepted_per_s),
    ]
}

#[cfg(test)]
mod tests {
    use super::{Accepted, counter, webhooks};

    #[test]
    fn reports_every_message_delivered_before_it_is_reported_read() {
        let messages: Vec<Accepted> = (0..5)
            .map(|message| Accepted {
                number: "100000000000001".to_owned(),
                to: "15550001111".to_owned(),
                wamid: format!("wamid.{message}"),
            })
            .collect();
        for (batch, expected) in [(1, 10), (2, 6), (100, 2)] {
            let webhooks = webhooks(&messages, batch).unwrap();
            assert_eq!(webhooks.len(), expected, "{batch} each");
            let mut told = Vec::new();
            for call in webhooks {
                let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap();
                let statuses = body["entry"][0]["changes"][0]["value"]["statuses"].clone();
                for status in statuses.as_array().unwrap() {
                    let text = |name: &str| status[name].as_str().unwrap().to_owned();
                    told.push((text("status"), text("id")));
                }
            }
            let reported = ["delivered", "read"].into_iter().flat_map(|status| {
                messages.iter().map(move |it| (status.to_owned(), it.wamid.clone()))
            });
            assert_eq!(told, reported.collect::<Vec<_>>(), "{batch} each");
        }
    }

    #[test]
    fn reads_a_counter_by_its_whole_name() {
        let metrics = b"# TYPE a counter\na_parked_total 7\na_total{x=\"y\"} 8\na_total 9\n# EOF\n";
        assert_eq!(counter(metrics, "a_total"), Some(9));
        assert_eq!(counter(metrics, "b_total"), None);
    }
}
