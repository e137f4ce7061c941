//! Callers that ask on while a gateway comes and goes. Each request is asked once; only those that
//! may be repeated are: with an idempotency key, and webhooks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use super::carrier::Carrier;
use super::chance::Chance;
use super::desk::{Desk, Heard, Kind};
use super::ledger::{Ledger, Promise};

/// Rest where nobody listens.
const NOBODY_REST: Duration = Duration::from_millis(4);
/// Rest before something is asked again that was not answered.
const AGAIN_REST: Duration = Duration::from_millis(10);
/// Accepted messages that wait to be sent, beyond which callers only send such as are waited for.
const BACKLOG_MAX: u64 = 1_500;
/// Requests of one round, by kind: what a busy day looks like.
const ROUND: [Kind; 17] = [
    Kind::Waiting,
    Kind::Single,
    Kind::Waiting,
    Kind::Webex,
    Kind::Inbound,
    Kind::Waiting,
    Kind::Single,
    Kind::Webex,
    Kind::Waiting,
    Kind::Pepipost,
    Kind::Single,
    Kind::Waiting,
    Kind::Inbound,
    Kind::Pepipost,
    Kind::Waiting,
    Kind::Webex,
    Kind::Large,
];

/// The callers and what they know.
pub struct Load {
    desk: Desk,
    ledger: Ledger,
    carrier: Arc<Carrier>,
    people: u64,
    kinds: Vec<Kind>,
    /// No more requests than this.
    limit: u64,
    serial: AtomicU64,
    accepted: AtomicU64,
    waited_for: AtomicU64,
    stopped: AtomicBool,
    strange: Mutex<Vec<String>>,
    /// Webhooks that were not taken before the end.
    owed: Mutex<Vec<(u64, String)>>,
}

impl Load {
    /// Callers of a gateway that sends through `carrier`.
    #[must_use]
    pub fn new(desk: Desk, ledger: Ledger, carrier: Arc<Carrier>, people: u64) -> Self {
        Self {
            desk,
            ledger,
            carrier,
            people,
            kinds: ROUND.to_vec(),
            limit: u64::MAX,
            serial: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            waited_for: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            strange: Mutex::default(),
            owed: Mutex::default(),
        }
    }

    /// Only these kinds of requests.
    #[must_use]
    pub fn only(mut self, kinds: &[Kind]) -> Self {
        self.kinds = kinds.to_vec();
        self
    }

    /// Ends at this number of a request.
    #[must_use]
    pub fn at_most(mut self, requests: u64) -> Self {
        self.limit = requests;
        self
    }

    /// Its requests are numbered from here on.
    #[must_use]
    pub fn counting_from(self, serial: u64) -> Self {
        self.serial.store(serial, Ordering::Relaxed);
        self
    }

    /// Lets so many callers begin.
    pub fn begin(self: &Arc<Self>, callers: u64, seed: u64) -> JoinSet<()> {
        let mut all = JoinSet::new();
        for caller in 0..callers {
            let (load, chance) = (Arc::clone(self), Chance::seeded(seed ^ (caller << 32)));
            all.spawn(load.call(chance));
        }
        all
    }

    /// Tells the callers to end; those who were answered nothing give up.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// How many requests were made.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.serial.load(Ordering::Relaxed).min(self.limit)
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Answers that must not be.
    #[must_use]
    pub fn strange(&self) -> Vec<String> {
        self.strange.lock().unwrap().clone()
    }

    async fn call(self: Arc<Self>, mut chance: Chance) {
        while !self.stopped.load(Ordering::SeqCst) {
            let serial = self.serial.fetch_add(1, Ordering::Relaxed);
            if serial >= self.limit {
                return;
            }
            let mut kind = self.kinds[usize::try_from(serial).unwrap_or(0) % self.kinds.len()];
            let is_later =
                matches!(kind, Kind::Single | Kind::Webex | Kind::Large | Kind::Pepipost);
            if is_later && self.backlog() > BACKLOG_MAX && self.kinds.contains(&Kind::Waiting) {
                kind = Kind::Waiting;
            }
            let person = chance.within(0..self.people);
            self.see_through(kind, person, &format!("m-{serial:07}")).await;
        }
    }

    fn backlog(&self) -> u64 {
        let carried = self.carrier.count() as u64;
        let later = carried.saturating_sub(self.waited_for.load(Ordering::Relaxed));
        self.accepted.load(Ordering::Relaxed).saturating_sub(later)
    }

    /// Asks until there is an answer, or nothing more may be done.
    async fn see_through(&self, kind: Kind, person: u64, text: &str) {
        let may_repeat = matches!(kind, Kind::Single | Kind::Inbound);
        let mut was_asked = false;
        loop {
            let rest = match self.desk.ask(kind, person, text).await {
                Heard::Answer(entries) => {
                    let taken = entries.iter().any(|entry| entry.promise == Promise::Taken);
                    if kind == Kind::Inbound && !taken {
                        AGAIN_REST
                    } else {
                        return self.note(kind, entries);
                    }
                }
                Heard::Strange(what) => {
                    self.strange.lock().unwrap().push(what);
                    return self.note_nothing(kind, person, text);
                }
                Heard::Silence if may_repeat => {
                    was_asked = true;
                    AGAIN_REST
                }
                Heard::Silence => return self.note_nothing(kind, person, text),
                Heard::Nobody => NOBODY_REST,
            };
            if self.stopped.load(Ordering::SeqCst) {
                if was_asked || kind == Kind::Inbound {
                    self.note_nothing(kind, person, text);
                }
                return;
            }
            tokio::time::sleep(rest).await;
        }
    }

    fn note(&self, kind: Kind, entries: Vec<super::ledger::Entry>) {
        let promised =
            |it: &super::ledger::Entry| matches!(it.promise, Promise::Sent | Promise::Accepted);
        let count = entries.iter().filter(|entry| promised(entry)).count() as u64;
        let counter = if kind == Kind::Waiting { &self.waited_for } else { &self.accepted };
        counter.fetch_add(count, Ordering::Relaxed);
        for entry in entries {
            self.ledger.note(entry.promise, &entry.key, &entry.id);
        }
    }

    fn note_nothing(&self, kind: Kind, person: u64, text: &str) {
        if kind == Kind::Inbound {
            self.owed.lock().unwrap().push((person, text.to_owned()));
            return;
        }
        for key in super::desk::keys(kind, person, text) {
            self.ledger.note(Promise::Nothing, &key, "");
        }
    }

    /// Delivers the webhooks that nobody has taken yet, as the upstream would.
    pub async fn deliver_owed(&self) {
        let owed = std::mem::take(&mut *self.owed.lock().unwrap());
        for (person, text) in owed {
            loop {
                match self.desk.ask(Kind::Inbound, person, &text).await {
                    Heard::Answer(entries) if entries[0].promise == Promise::Taken => {
                        self.note(Kind::Inbound, entries);
                        break;
                    }
                    _ => tokio::time::sleep(AGAIN_REST).await,
                }
            }
        }
    }
}
