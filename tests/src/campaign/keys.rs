//! One idempotency key, many requests at once (T6), over the wire: one message, the same answer for
//! everybody, other bodies refused, other routes and organisations independent, also over a kill
//! between commit and answer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokio::task::JoinSet;

use super::carrier::Carrier;
use super::chance::Chance;
use super::desk::{Desk, Kind, phone};
use super::gateway::{self, has_none_at, within};
use super::ledger::{Entry, Promise};
use super::oracle::{Evidence, Verdict, judge};
use crate::client::Reply;
use crate::tenant::Tenant;
use crate::waypost::Waypost;

/// Of so many rounds, one looks at other bodies, routes and organisations too.
const LOOK_ASIDE_EVERY: u64 = 10;
/// Of so many rounds, one is killed.
const KILL_EVERY: u64 = 25;
/// When the kill comes, in milliseconds after the requests went out.
const KILL_AFTER_MS: std::ops::Range<u64> = 0..12;
/// Rest before asking again whoever was told that the first request still runs.
const AGAIN_REST: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

/// A campaign.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Keys, each of which is used once by everybody at the same time.
    pub rounds: u64,
    /// Requests with one key.
    pub at_once: usize,
    /// What chance follows from.
    pub seed: u64,
    /// How long is waited for everything to have an end.
    pub drain_limit: Duration,
    /// The planted bug.
    pub bug: Option<&'static str>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// The judgement.
    pub verdict: Verdict,
    /// Keys.
    pub rounds: u64,
    /// Requests with them.
    pub requests: usize,
    /// Answers that named a message.
    pub answered: usize,
    /// Answers that said that the first request still runs.
    pub in_progress: usize,
    /// Kills in the middle of a round.
    pub kills: u64,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// It in words.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let verdict = &self.verdict;
        vec![
            format!("one key, many requests at once (T6), {:.0} s", self.took.as_secs_f64()),
            format!(
                "  rounds {} (of these killed {}), requests {}, answered with the message {}, told \
                 that the first still runs {}",
                self.rounds, self.kills, self.requests, self.answered, self.in_progress
            ),
            format!(
                "  messages {}, lost {}, doubled {}",
                verdict.accepted, verdict.lost, verdict.doubled
            ),
        ]
    }
}

/// What a request with a key was answered.
enum Answer {
    Message {
        id: String,
        is_replayed: bool,
    },
    InProgress,
    /// Nobody, or nothing.
    None,
    Strange(String),
}

/// Runs a campaign.
///
/// # Panics
/// Where the rig cannot do its part.
pub async fn run(plan: &Plan) -> Report {
    let began = Instant::now();
    let mut chance = Chance::seeded(plan.seed);
    let carrier = Carrier::start(0..3, plan.seed).await;
    let mut waypost = gateway::options(&carrier.url(), plan.bug).start().await;
    let desk = Desk::of(&waypost);
    desk.furnish(&waypost, plan.rounds).await;
    let other = Tenant::add(&waypost, 1, 1_000, None).await;
    carrier.tell(waypost.url());
    let mut report = Report { rounds: plan.rounds, ..Report::default() };
    let (mut ledger, mut faults) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let key = format!("key-{round:05}");
        let is_killed = round % KILL_EVERY == KILL_EVERY - 1;
        let asking = tokio::spawn(ask_all(desk.clone(), plan.at_once, round, key.clone()));
        let mut answers = Vec::new();
        if is_killed {
            tokio::time::sleep(Duration::from_millis(chance.within(KILL_AFTER_MS))).await;
            let options = waypost.kill();
            report.kills += 1;
            answers.extend(asking.await.expect("callers end"));
            waypost = options.start().await;
            answers.extend(ask_all(desk.clone(), plan.at_once, round, key.clone()).await);
        } else {
            answers.extend(asking.await.expect("callers end"));
        }
        report.requests += answers.len();
        answers.push(ask_until_answered(&desk, round, &key).await);
        ledger.extend(judge_round(&mut report, &mut faults, round, &key, answers, is_killed));
        if round % LOOK_ASIDE_EVERY == 0 {
            ledger.extend(look_aside(&desk, &other, &mut faults, round, &key).await);
        }
    }
    let organisations = [desk.at("messages"), other.at("messages")];
    let evidence = gather(&waypost, &carrier, &organisations, ledger, plan.drain_limit).await;
    report.verdict = judge(&evidence);
    report.verdict.also(faults);
    report.took = began.elapsed();
    report
}

async fn ask_all(desk: Desk, at_once: usize, person: u64, key: String) -> Vec<Answer> {
    let mut callers = JoinSet::new();
    for _ in 0..at_once {
        callers.spawn(ask(desk.keyed(person, &key, &key)));
    }
    callers.join_all().await
}

async fn ask(request: RequestBuilder) -> Answer {
    let Ok(reply) = Reply::attempt(request).await else { return Answer::None };
    match (reply.status, reply.json()["id"].as_str()) {
        (200 | 202, Some(id)) => Answer::Message {
            id: id.to_owned(),
            is_replayed: reply.header("idempotency-replayed") == Some("true"),
        },
        (409, _) if reply.header("retry-after").is_some() => Answer::InProgress,
        _ => Answer::Strange(format!("{} {}", reply.status, reply.text())),
    }
}

/// Whoever was told to come again does, and gets the message.
async fn ask_until_answered(desk: &Desk, person: u64, key: &str) -> Answer {
    let began = Instant::now();
    loop {
        match ask(desk.keyed(person, key, key)).await {
            Answer::InProgress if began.elapsed() < PATIENCE => {
                tokio::time::sleep(AGAIN_REST).await;
            }
            answer => return answer,
        }
    }
}

/// All who were answered were named one message, and only one of them made it.
fn judge_round(
    report: &mut Report,
    faults: &mut Vec<String>,
    person: u64,
    key: &str,
    answers: Vec<Answer>,
    is_killed: bool,
) -> Vec<Entry> {
    let (mut ids, mut fresh) = (BTreeSet::new(), 0);
    for answer in answers {
        match answer {
            Answer::Message { id, is_replayed } => {
                report.answered += 1;
                fresh += u32::from(!is_replayed);
                ids.insert(id);
            }
            Answer::InProgress => report.in_progress += 1,
            Answer::None if is_killed => {}
            Answer::None => faults.push(format!("{key}: no answer")),
            Answer::Strange(what) => faults.push(format!("{key}: {what}")),
        }
    }
    let makers = if is_killed { 0..=1 } else { 1..=1 };
    if ids.len() != 1 || !makers.contains(&fresh) {
        faults.push(format!("{key}: {} messages, {fresh} of them new", ids.len()));
    }
    let key = format!("{}|{key}", phone(person));
    ids.into_iter().map(|id| Entry { promise: Promise::Accepted, key: key.clone(), id }).collect()
}

/// The key with another body, on another route, and of another organisation.
async fn look_aside(
    desk: &Desk,
    other: &Tenant,
    faults: &mut Vec<String>,
    person: u64,
    key: &str,
) -> Vec<Entry> {
    let reply = Reply::to(desk.keyed(person, "another text", key)).await;
    if reply.status != 422 {
        faults.push(format!("{key} with another body: {} {}", reply.status, reply.text()));
    }
    let mut entries = Vec::new();
    let text = format!("waiting {person:05}");
    let request = desk.request(Kind::Waiting, person, &text).header("Idempotency-Key", key);
    let reply = Reply::to(request).await;
    match reply.json()["response"]["messages"][0]["id"].as_str() {
        Some(wamid) if reply.status == 200 => {
            let (key, id) = (format!("{}|{text}", phone(person)), wamid.to_owned());
            entries.push(Entry { promise: Promise::Sent, key, id });
        }
        _ => faults.push(format!("{key} on another route: {} {}", reply.status, reply.text())),
    }
    let to = other.phone(person);
    let body = json!({"number": other.number(), "to": to, "type": "text", "text": {"body": key}});
    let request = other.api().request(Method::POST, &other.at("messages")).json(&body);
    match ask(request.header("Idempotency-Key", key)).await {
        Answer::Message { id, is_replayed: false } => {
            entries.push(Entry { promise: Promise::Accepted, key: format!("{to}|{key}"), id });
        }
        _ => faults.push(format!("{key} of another organisation was not taken as its own")),
    }
    entries
}

async fn gather(
    waypost: &Waypost,
    carrier: &Carrier,
    organisations: &[String],
    ledger: Vec<Entry>,
    limit: Duration,
) -> Evidence {
    let admin = waypost.admin();
    let (mut finals, open) = (Vec::new(), ["queued", "sending", "sent"]);
    for messages in organisations {
        within(limit, async || carrier.untold() == 0 && has_none_at(&admin, messages, &open).await)
            .await;
    }
    for messages in organisations {
        finals.extend(gateway::finals_at(&admin, messages).await);
    }
    Evidence {
        ledger,
        carried: carrier.carried(),
        finals,
        told_all: carrier.untold() == 0,
        ..Evidence::default()
    }
}
