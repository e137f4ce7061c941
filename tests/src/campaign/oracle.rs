//! The judge: what callers were told, against what the upstream has, against what the gateway says in
//! the end. It knows the promises and nothing of how they are kept.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::carrier::{Carried, said};
use super::ledger::{Entry, Promise};

/// Violations that are told one by one; the others are counted.
const TOLD_MAX: usize = 40;
/// What a message may be in the end.
const TERMINAL: [&str; 6] = ["sent", "delivered", "read", "failed", "cancelled", "unknown"];

/// A message as the gateway has it in the end.
#[derive(Clone, Debug)]
pub struct Final {
    /// To whom and what it says; of inbound ones the upstream's id.
    pub key: String,
    /// Its id.
    pub id: String,
    /// Whether it was sent to a person.
    pub is_outbound: bool,
    /// Its status.
    pub status: String,
    /// The upstream's id.
    pub wamid: Option<String>,
    /// Whether it is said to have been repeated after an unknown outcome.
    pub possible_duplicate: bool,
}

impl Final {
    /// Of a message in the management API's form.
    #[must_use]
    pub fn of(message: &Value) -> Self {
        let word = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let is_outbound = message["direction"] == "outbound";
        let wamid = message["wamid"].as_str().map(str::to_owned);
        let key = if is_outbound {
            format!("{}|{}", word("phone"), said(&message["message"]))
        } else {
            wamid.clone().unwrap_or_default()
        };
        Self {
            key,
            id: word("id"),
            is_outbound,
            status: word("status"),
            wamid,
            possible_duplicate: message["possible_duplicate"] == true,
        }
    }
}

/// Everything that is known at the end.
#[derive(Default)]
pub struct Evidence {
    /// What callers were told.
    pub ledger: Vec<Entry>,
    /// What the upstream accepted.
    pub carried: Vec<Carried>,
    /// What the gateway says.
    pub finals: Vec<Final>,
    /// Callbacks of what came in: the event's id and the upstream's id.
    pub callbacks: Vec<(String, String)>,
    /// Whether callbacks were asked for.
    pub has_callbacks: bool,
    /// Whether the upstream told the status of everything that it accepted.
    pub told_all: bool,
    /// Answers that must not be.
    pub strange: Vec<String>,
}

/// What came of it, in numbers, and what was broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Messages that callers were told are sent.
    pub sent: usize,
    /// Messages that callers were told will be sent.
    pub accepted: usize,
    /// Webhooks that were taken.
    pub taken: usize,
    /// Messages of which callers were told that they are not sent.
    pub refused: usize,
    /// Messages of which callers were told nothing.
    pub unanswered: usize,
    /// What the upstream accepted.
    pub carried: usize,
    /// Promised and not there.
    pub lost: usize,
    /// At the upstream more than once, and not said to be possible.
    pub doubled: usize,
    /// At the upstream more than once, and said to be possible.
    pub repeated: usize,
    /// Without an end.
    pub stuck: usize,
    /// Unknown to the last.
    pub unknown: usize,
    /// Callbacks of one message under two ids.
    pub doubled_callbacks: usize,
    /// What was broken, the first of it.
    pub violations: Vec<String>,
    /// How much more was broken.
    pub more: usize,
}

impl Verdict {
    fn breaks(&mut self, what: String) {
        if self.violations.len() < TOLD_MAX {
            self.violations.push(what);
        } else {
            self.more += 1;
        }
    }

    /// Adds what another rule found. It is told first: however much else is broken, it is seen.
    pub fn also(&mut self, what: impl IntoIterator<Item = String>) {
        self.violations.splice(..0, what);
        self.more += self.violations.len().saturating_sub(TOLD_MAX);
        self.violations.truncate(TOLD_MAX);
    }
}

/// Judges.
#[must_use]
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict { carried: evidence.carried.len(), ..Verdict::default() };
    verdict.also(evidence.strange.iter().map(|what| format!("strange answer: {what}")));
    let mut upstream: HashMap<&str, Vec<&str>> = HashMap::new();
    for carried in &evidence.carried {
        upstream.entry(&carried.key).or_default().push(&carried.wamid);
    }
    let mut finals: HashMap<&str, &Final> = HashMap::new();
    for last in &evidence.finals {
        if finals.insert(&last.key, last).is_some() {
            verdict.breaks(format!("twice in the log: {}", last.key));
        }
    }
    // The worst first: only so many violations are told.
    for entry in &evidence.ledger {
        judge_promise(&mut verdict, entry, &finals, &upstream);
    }
    for (key, wamids) in &upstream {
        judge_carried(&mut verdict, key, wamids, finals.get(key).copied());
    }
    for last in &evidence.finals {
        judge_final(&mut verdict, evidence, last, upstream.get(last.key.as_str()));
    }
    judge_requests(&mut verdict, &evidence.ledger, &finals);
    if evidence.has_callbacks {
        judge_callbacks(&mut verdict, evidence);
    }
    verdict
}

/// Whatever the upstream has is in the log, and it has it once.
fn judge_carried(verdict: &mut Verdict, key: &str, wamids: &[&str], last: Option<&Final>) {
    let Some(last) = last else {
        return verdict.breaks(format!("at the upstream and not in the log: {key}"));
    };
    if wamids.len() > 1 && last.possible_duplicate {
        verdict.repeated += 1;
    } else if wamids.len() > 1 {
        verdict.doubled += 1;
        verdict.breaks(format!("doubled: {key} is at the upstream as {wamids:?}"));
    }
}

/// What the log says of a message is so.
fn judge_final(
    verdict: &mut Verdict,
    evidence: &Evidence,
    last: &Final,
    upstream: Option<&Vec<&str>>,
) {
    if !last.is_outbound {
        return;
    }
    let Final { key, status, .. } = last;
    let is_there = upstream.is_some_and(|wamids| !wamids.is_empty());
    if !TERMINAL.contains(&status.as_str()) {
        verdict.stuck += 1;
        return verdict.breaks(format!("stuck: {key} is {status}"));
    }
    match status.as_str() {
        "sent" | "delivered" | "read" => {
            let wamid = last.wamid.as_deref().unwrap_or_default();
            if !upstream.is_some_and(|wamids| wamids.contains(&wamid)) {
                verdict.breaks(format!("{key} is called {status} as {wamid} and was not sent so"));
            }
            if evidence.told_all && status == "sent" {
                verdict.breaks(format!("{key}: its statuses were taken and not applied"));
            }
        }
        "unknown" => {
            verdict.unknown += 1;
            if evidence.told_all && is_there {
                verdict.breaks(format!("{key} is unknown, though its status was told"));
            }
        }
        _ if is_there => verdict.breaks(format!("{key} is called {status} and was sent")),
        _ => {}
    }
}

/// What a caller was told is so.
fn judge_promise(
    verdict: &mut Verdict,
    entry: &Entry,
    finals: &HashMap<&str, &Final>,
    upstream: &HashMap<&str, Vec<&str>>,
) {
    let Entry { promise, key, id } = entry;
    let last = finals.get(key.as_str());
    let wamids = upstream.get(key.as_str());
    let counted = match promise {
        Promise::Sent => &mut verdict.sent,
        Promise::Accepted => &mut verdict.accepted,
        Promise::Taken => &mut verdict.taken,
        Promise::Refused => &mut verdict.refused,
        Promise::Nothing => &mut verdict.unanswered,
        Promise::Stored => return,
    };
    *counted += 1;
    match (promise, last) {
        (Promise::Sent | Promise::Accepted | Promise::Taken, None) => {
            verdict.lost += 1;
            verdict.breaks(format!("lost: {key} was acknowledged ({promise:?} {id})"));
        }
        (Promise::Sent, Some(last)) => {
            if !wamids.is_some_and(|wamids| wamids.contains(&id.as_str())) {
                verdict.breaks(format!("{key} was said to be sent as {id} and is not"));
            }
            if last.status == "failed" || last.status == "unknown" {
                verdict.breaks(format!("{key} was said to be sent and is now {}", last.status));
            }
        }
        (Promise::Accepted, Some(last)) => {
            if last.id != *id {
                verdict.breaks(format!("{key} was accepted as {id} and is kept as {}", last.id));
            }
            if last.status == "failed" || last.status == "cancelled" {
                verdict.lost += 1;
                verdict.breaks(format!("lost: {key} was accepted and is {}", last.status));
            }
        }
        (Promise::Refused, _) if wamids.is_some() => {
            verdict.breaks(format!("{key} was said not to be sent ({id}) and was"));
        }
        _ => {}
    }
}

/// Of a request that was not answered, all messages are in the log or none. Those of one say the same.
fn judge_requests(verdict: &mut Verdict, ledger: &[Entry], finals: &HashMap<&str, &Final>) {
    let mut requests: HashMap<&str, (usize, usize)> = HashMap::new();
    for Entry { promise, key, .. } in ledger {
        if let (Promise::Nothing, Some((_, text))) = (promise, key.split_once('|')) {
            let (there, all) = requests.entry(text).or_default();
            *there += usize::from(finals.contains_key(key.as_str()));
            *all += 1;
        }
    }
    for (text, (there, all)) in requests {
        if there > 0 && there < all {
            verdict.breaks(format!("half of a request: {there} of {all} messages {text}"));
        }
    }
}

/// Each message that came in is told as one event, at least once.
fn judge_callbacks(verdict: &mut Verdict, evidence: &Evidence) {
    let mut ids: HashMap<&str, HashSet<&str>> = HashMap::new();
    for (event, wamid) in &evidence.callbacks {
        ids.entry(wamid).or_default().insert(event);
    }
    for (wamid, events) in &ids {
        if events.len() > 1 {
            verdict.doubled_callbacks += 1;
            verdict.breaks(format!("{wamid} was told as {} events", events.len()));
        }
    }
    for entry in &evidence.ledger {
        if entry.promise == Promise::Taken && !ids.contains_key(entry.key.as_str()) {
            verdict.lost += 1;
            verdict.breaks(format!("lost: {} was taken and nobody was told of it", entry.key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(promise: Promise, key: &str, id: &str) -> Entry {
        Entry { promise, key: key.to_owned(), id: id.to_owned() }
    }

    fn carried(key: &str, wamid: &str) -> Carried {
        let (key, wamid, opaque) = (key.to_owned(), wamid.to_owned(), String::new());
        Carried { key, wamid, opaque, at: std::time::Instant::now() }
    }

    fn last(key: &str, status: &str, wamid: &str) -> Final {
        Final {
            key: key.to_owned(),
            id: "id".to_owned(),
            is_outbound: true,
            status: status.to_owned(),
            wamid: (!wamid.is_empty()).then(|| wamid.to_owned()),
            possible_duplicate: false,
        }
    }

    fn whole() -> Evidence {
        Evidence {
            ledger: vec![
                entry(Promise::Sent, "a", "w-a"),
                entry(Promise::Accepted, "b", "id"),
                entry(Promise::Nothing, "c", ""),
                entry(Promise::Refused, "d", "503"),
            ],
            carried: vec![carried("a", "w-a"), carried("b", "w-b")],
            finals: vec![
                last("a", "delivered", "w-a"),
                last("b", "delivered", "w-b"),
                last("c", "unknown", ""),
            ],
            told_all: true,
            ..Evidence::default()
        }
    }

    #[test]
    fn finds_nothing_where_every_promise_was_kept() {
        let verdict = judge(&whole());
        assert_eq!(verdict.violations, [""; 0]);
        assert_eq!((verdict.sent, verdict.accepted, verdict.unknown), (1, 1, 1));
        assert_eq!((verdict.unanswered, verdict.refused, verdict.carried), (1, 1, 2));
    }

    #[test]
    fn finds_each_broken_promise() {
        type Breaking = fn(&mut Evidence);
        let cases: [(&str, Breaking); 12] = [
            ("lost: a", |it| drop(it.finals.remove(0))),
            ("lost: b", |it| it.finals[1].status = "failed".to_owned()),
            ("doubled: b", |it| it.carried.push(carried("b", "w-b2"))),
            ("not in the log: c", |it| {
                it.finals.remove(2);
                it.carried.push(carried("c", "w-c"));
            }),
            ("twice in the log", |it| it.finals.push(last("a", "delivered", "w-a"))),
            ("stuck: b", |it| it.finals[1].status = "sending".to_owned()),
            ("c is unknown, though", |it| it.carried.push(carried("c", "w-c"))),
            ("called delivered as w-x", |it| it.finals[1].wamid = Some("w-x".to_owned())),
            ("said not to be sent", |it| {
                it.carried.push(carried("d", "w-d"));
                it.finals.push(last("d", "delivered", "w-d"));
            }),
            ("called failed and was sent", |it| {
                it.carried.push(carried("c", "w-c"));
                it.finals[2].status = "failed".to_owned();
            }),
            ("half of a request: 1 of 2", |it| {
                it.ledger.extend(["1|r", "2|r"].map(|key| entry(Promise::Nothing, key, "")));
                it.finals.push(last("1|r", "unknown", ""));
            }),
            ("not applied", |it| it.finals[0].status = "sent".to_owned()),
        ];
        for (complaint, breaking) in cases {
            let mut evidence = whole();
            breaking(&mut evidence);
            let verdict = judge(&evidence);
            let found = verdict.violations.iter().any(|what| what.contains(complaint));
            assert!(found, "{complaint}: {:?}", verdict.violations);
        }
    }

    #[test]
    fn a_repetition_that_is_said_to_be_possible_is_counted_only() {
        let mut evidence = whole();
        evidence.carried.push(carried("b", "w-b2"));
        evidence.finals[1].possible_duplicate = true;
        let verdict = judge(&evidence);
        assert_eq!((verdict.repeated, verdict.doubled), (1, 0));
        assert_eq!(verdict.violations, [""; 0]);
    }

    #[test]
    fn each_event_is_told_under_one_id() {
        let told = |pairs: &[(&str, &str)]| {
            let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
            let evidence = Evidence {
                ledger: vec![entry(Promise::Taken, "w-in", "")],
                finals: vec![Final { is_outbound: false, ..last("w-in", "received", "w-in") }],
                callbacks: pairs.iter().map(own).collect(),
                has_callbacks: true,
                ..Evidence::default()
            };
            judge(&evidence).violations.join("\n")
        };
        assert_eq!(told(&[("evt-1", "w-in"), ("evt-1", "w-in")]), "");
        assert!(told(&[("evt-1", "w-in"), ("evt-2", "w-in")]).contains("as 2 events"));
        assert!(told(&[]).contains("nobody was told"));
    }
}
