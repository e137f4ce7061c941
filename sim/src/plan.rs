//! What one sequence consists of: callers' requests, what the upstream does with each, and what goes
//! wrong around them. A plan follows from its seed alone, and every step holds all that it needs, so
//! that a plan can be played without some of its steps.

use waypost_domain::directory::UnknownPolicy;
use waypost_domain::status::Report;
use waypost_domain::window::WindowPolicy;

use crate::chance::Chance;

/// People who are written to.
pub const PEOPLE: u8 = 3;
/// Idempotency keys that callers share, for each way of asking.
const KEYS: u32 = 2;
/// Steps of a sequence.
const STEPS: (u32, u32) = (6, 22);

/// One sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The seed that it was made from.
    pub seed: u64,
    /// How the gateway is set up.
    pub setup: Setup,
    /// What happens, in order, each step with its place in the whole plan.
    pub steps: Vec<(usize, Step)>,
}

/// How the gateway is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// What becomes of unknown outcomes.
    pub unknown: UnknownPolicy,
    /// What becomes of free-form messages outside a window.
    pub window: WindowPolicy,
    /// How often of a hundred times others go on between two steps of the store.
    pub churn_percent: u32,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A caller asks for a message.
    Ask(Request),
    /// A person writes to the business.
    Write {
        /// Who.
        person: u8,
    },
    /// The upstream reports once more on what it accepted.
    Report {
        /// On which of what it accepted so far, counted round.
        nth: u8,
        /// What.
        report: Report,
    },
    /// Nothing happens for a while.
    Pass {
        /// How long.
        ms: u32,
    },
    /// The wall clock jumps; timers do not.
    Jump {
        /// By how much; back where negative.
        seconds: i32,
    },
    /// The process dies.
    Crash(CrashAt),
    /// The process is stopped in order, and started again.
    Stop,
    /// Somebody withdraws a message.
    Cancel {
        /// Which of the acknowledged ones, counted round.
        nth: u8,
    },
    /// Somebody has a message sent again.
    Retry {
        /// Which of the acknowledged ones, counted round.
        nth: u8,
    },
    /// The receiver of callbacks fails.
    ReceiverFails {
        /// So many times.
        times: u8,
    },
    /// The disk is full.
    DiskFull {
        /// For so many writes.
        writes: u8,
    },
}

/// When the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashAt {
    /// At once.
    Now,
    /// Before the n-th write from now on reaches the disk.
    BeforeWrite(u8),
    /// When the n-th write from now on is durable and nobody knows.
    AfterWrite(u8),
    /// When the upstream has got the n-th message from now on and has not answered.
    InSend(u8),
}

/// How a caller asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Waits for the upstream's answer.
    Wait,
    /// Is answered as soon as the message is durable.
    Later,
    /// As [`Mode::Later`], for two messages at once.
    Both,
}

impl Mode {
    /// The path on which such requests come.
    #[must_use]
    pub const fn route(self) -> &'static str {
        match self {
            Self::Wait => "/wait",
            Self::Later => "/later",
            Self::Both => "/both",
        }
    }
}

/// A caller's request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// How it is asked.
    pub mode: Mode,
    /// For whom.
    pub person: u8,
    /// The idempotency key, and which of two bodies comes with it.
    pub key: Option<(u8, u8)>,
    /// Whether it is a template, which needs no window.
    pub is_template: bool,
    /// Whether it goes before others.
    pub is_urgent: bool,
    /// How long it may be sent, in seconds.
    pub life_s: Option<u32>,
    /// What the upstream does with each attempt in turn; it accepts further ones.
    pub fates: Vec<Fate>,
}

impl Request {
    /// What its messages say: the same for the same request.
    #[must_use]
    pub fn label(&self, place: usize) -> String {
        match self.key {
            None => format!("s{place}"),
            Some((key, body)) => format!("k{}{key}b{body}", self.mode.route()),
        }
    }
}

/// What the upstream does with one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Fate {
    /// How long until it answers.
    pub latency_ms: u32,
    /// What it answers.
    pub end: End,
    /// What it reports of it, if it accepts it.
    pub notices: Vec<Notice>,
}

/// What comes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Accepted, and told.
    Accepted,
    /// Accepted, and the answer is lost.
    AcceptedUntold,
    /// Lost on the way there, which looks the same.
    LostBefore,
    /// Never reached.
    NotReached,
    /// Refused.
    Refused(Refusal),
}

/// Why the upstream refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// For good: nobody there.
    ForGood,
    /// Until an operator acts.
    Operator,
    /// It is down.
    Down,
    /// It is in trouble.
    Trouble,
    /// The number is too fast.
    NumberPace,
    /// Too much for this person.
    PersonPace,
}

/// One report of the upstream on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it says.
    pub report: Report,
    /// How long after the message was accepted, in milliseconds; never where `None`.
    pub after_ms: Option<u32>,
    /// How often.
    pub copies: u8,
    /// Whether our token comes with it.
    pub has_token: bool,
}

/// The kinds of trouble that a sequence has. Sequences without some of them go deeper into the
/// others.
struct Mood {
    crashes: bool,
    jumps: bool,
    disk: bool,
    receiver: bool,
    keys: bool,
    hands: bool,
    lost: bool,
    refused: bool,
    withheld: bool,
}

impl Mood {
    fn new(chance: &mut Chance) -> Self {
        Self {
            crashes: chance.percent(60),
            jumps: chance.percent(30),
            disk: chance.percent(20),
            receiver: chance.percent(40),
            keys: chance.percent(50),
            hands: chance.percent(50),
            lost: chance.percent(60),
            refused: chance.percent(60),
            withheld: chance.percent(40),
        }
    }
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 1);
        let setup = Setup {
            unknown: *chance.one_of(&[
                UnknownPolicy::HoldThenResend,
                UnknownPolicy::HoldThenResend,
                UnknownPolicy::NeverResend,
                UnknownPolicy::ResendNow,
            ]),
            window: *chance.one_of(&[
                WindowPolicy::Refuse,
                WindowPolicy::Forward,
                WindowPolicy::Hold,
            ]),
            churn_percent: *chance.one_of(&[0, 20, 60]),
        };
        let mood = Mood::new(&mut chance);
        let count = chance.between(STEPS.0, STEPS.1) as usize;
        let steps = (0..count).map(|place| (place, step(&mut chance, &mood))).collect();
        Self { seed, setup, steps }
    }
}

fn step(chance: &mut Chance, mood: &Mood) -> Step {
    let nth = u8::try_from(chance.below(8)).unwrap_or(0);
    match chance.below(100) {
        0..38 => Step::Ask(request(chance, mood)),
        38..44 => Step::Write { person: person(chance) },
        44..50 => {
            let report = *chance.one_of(&[Report::Read, Report::Delivered, Report::Failed]);
            Step::Report { nth, report }
        }
        50..56 if mood.jumps => {
            Step::Jump { seconds: *chance.one_of(&[2, 90, 3_600, 90_000, -5, -4_000]) }
        }
        56..66 if mood.crashes => Step::Crash(crash(chance)),
        66..68 => Step::Stop,
        68..73 if mood.hands => Step::Cancel { nth },
        73..78 if mood.hands => Step::Retry { nth },
        78..82 if mood.receiver => {
            Step::ReceiverFails { times: u8::try_from(chance.between(1, 3)).unwrap_or(1) }
        }
        82..85 if mood.disk => {
            Step::DiskFull { writes: u8::try_from(chance.between(1, 6)).unwrap_or(1) }
        }
        _ => Step::Pass { ms: *chance.one_of(&[1, 5, 20, 60, 200, 1_500, 6_000]) },
    }
}

fn person(chance: &mut Chance) -> u8 {
    u8::try_from(chance.below(PEOPLE.into())).unwrap_or(0)
}

fn crash(chance: &mut Chance) -> CrashAt {
    let n = u8::try_from(chance.below(12)).unwrap_or(0);
    match chance.below(10) {
        0 => CrashAt::Now,
        1..4 => CrashAt::BeforeWrite(n),
        4..8 => CrashAt::AfterWrite(n),
        _ => CrashAt::InSend(n % 3),
    }
}

fn request(chance: &mut Chance, mood: &Mood) -> Request {
    let mode = *chance.one_of(&[Mode::Wait, Mode::Wait, Mode::Later, Mode::Later, Mode::Both]);
    let key = (mood.keys && chance.percent(60)).then(|| {
        let key = u8::try_from(chance.below(KEYS)).unwrap_or(0);
        (key, u8::from(chance.percent(10)))
    });
    // The same request is for the same person.
    let person = key.map_or_else(|| person(chance), |(key, _)| key);
    let attempts = *chance.one_of(&[1, 1, 1, 2, 3]);
    Request {
        mode,
        person,
        key,
        is_template: key.is_none() && chance.percent(25),
        is_urgent: key.is_none() && chance.percent(10),
        life_s: (key.is_none() && chance.percent(10)).then(|| chance.between(1, 200)),
        fates: (0..attempts).map(|_| fate(chance, mood)).collect(),
    }
}

fn fate(chance: &mut Chance, mood: &Mood) -> Fate {
    let end = match chance.below(100) {
        0..12 if mood.lost => End::AcceptedUntold,
        12..20 if mood.lost => End::LostBefore,
        20..30 if mood.refused => End::NotReached,
        30..50 if mood.refused => End::Refused(*chance.one_of(&[
            Refusal::ForGood,
            Refusal::Operator,
            Refusal::Down,
            Refusal::Trouble,
            Refusal::NumberPace,
            Refusal::PersonPace,
        ])),
        _ => End::Accepted,
    };
    let latency_ms = *chance.one_of(&[0, 1, 3, 15, 40, 900, 31_000]);
    Fate { latency_ms, end, notices: notices(chance, mood) }
}

/// What is reported of a message, in any order, some of it early, late, twice or never.
fn notices(chance: &mut Chance, mood: &Mood) -> Vec<Notice> {
    let reports: &[Report] = match chance.below(10) {
        0 => &[],
        1..3 => &[Report::Sent],
        3..6 => &[Report::Sent, Report::Delivered],
        6..8 => &[Report::Sent, Report::Delivered, Report::Read],
        8 => &[Report::Read],
        _ => &[Report::Sent, Report::Failed],
    };
    let has_token = chance.percent(85);
    let is_withheld = mood.withheld && chance.percent(40);
    let notice = |report: &Report| Notice {
        report: *report,
        after_ms: (!is_withheld)
            .then(|| *chance.one_of(&[0, 1, 5, 20, 120, 120, 1_000, 4_000, 15_000, 130_000])),
        copies: *chance.one_of(&[1, 1, 1, 2, 3]),
        has_token,
    };
    reports.iter().map(notice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_one_plan_and_seeds_make_different_ones() {
        assert_eq!(Plan::new(7), Plan::new(7));
        assert_ne!(Plan::new(7).steps, Plan::new(8).steps);
    }

    #[test]
    fn every_kind_of_step_comes_up() {
        let steps: Vec<Step> =
            (0..200).flat_map(|seed| Plan::new(seed).steps).map(|(_, step)| step).collect();
        let kinds: std::collections::HashSet<_> =
            steps.iter().map(std::mem::discriminant).collect();
        assert_eq!(kinds.len(), 11);
    }
}
