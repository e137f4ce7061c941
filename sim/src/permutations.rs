//! Reports on a message in every order: before the upstream's own answer and after it, twice and ten
//! times, `read` without `delivered`, `sent` after `failed`, with our token and without. The judge is
//! the same as everywhere: the highest report counts, all of them are kept, each step up is told once.

use waypost_domain::directory::UnknownPolicy;
use waypost_domain::status::Report;
use waypost_domain::window::WindowPolicy;

use crate::chance::Chance;
use crate::plan::{End, Fate, Mode, Notice, PEOPLE, Plan, Request, Setup, Step};

/// Messages of one plan, each with an order of its own.
pub const ORDERS_PER_PLAN: u64 = 20;
/// How long the upstream's own answer takes: what comes sooner comes before it.
const ANSWER_MS: u32 = 400;
/// Until when the last report comes.
const LAST_MS: u32 = 1_200;

/// A plan of messages whose reports come in any order.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    let mut chance = Chance::new(seed, 3);
    let churn_percent = *chance.one_of(&[0, 0, 30]);
    let setup =
        Setup { unknown: UnknownPolicy::NeverResend, window: WindowPolicy::Forward, churn_percent };
    let messages = usize::try_from(ORDERS_PER_PLAN).unwrap_or(0);
    let steps = (0..messages).map(|place| (place, Step::Ask(request(&mut chance, place))));
    Plan { seed, setup, steps: steps.collect() }
}

fn request(chance: &mut Chance, place: usize) -> Request {
    let person = u8::try_from(place % usize::from(PEOPLE)).unwrap_or(0);
    Request {
        mode: Mode::Later,
        person,
        key: None,
        is_template: false,
        is_urgent: false,
        life_s: None,
        fates: vec![fate(chance)],
    }
}

fn fate(chance: &mut Chance) -> Fate {
    let is_lost = chance.percent(20);
    // Without the answer only the token says whose report it is.
    let has_token = is_lost || chance.percent(60);
    let mut reports = Vec::new();
    for report in [Report::Sent, Report::Delivered, Report::Read, Report::Failed] {
        let times = match chance.below(20) {
            0 => 10,
            1..8 => 0,
            8..15 => 1,
            15..18 => 2,
            _ => 3,
        };
        reports.extend(std::iter::repeat_n(report, times));
    }
    chance.shuffle(&mut reports);
    let mut instants: Vec<u32> = reports.iter().map(|_| chance.below(LAST_MS)).collect();
    instants.sort_unstable();
    let notice =
        |(report, after_ms)| Notice { report, after_ms: Some(after_ms), copies: 1, has_token };
    let notices = reports.into_iter().zip(instants).map(notice).collect();
    let end = if is_lost { End::AcceptedUntold } else { End::Accepted };
    Fate { latency_ms: ANSWER_MS, end, notices }
}
