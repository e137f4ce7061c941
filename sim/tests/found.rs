//! What the simulation has found, as the shortest plans that showed it: each was violated once.

use waypost_domain::directory::UnknownPolicy;
use waypost_domain::status::Report;
use waypost_domain::window::WindowPolicy;
use waypost_sim::plan::{End, Fate, Mode, Notice, Refusal, Request, Setup, Step};
use waypost_sim::{Plan, Stage};

fn told(report: Report, after_ms: u32) -> Notice {
    Notice { report, after_ms: Some(after_ms), copies: 1, has_token: true }
}

fn fate(latency_ms: u32, end: End, notices: Vec<Notice>) -> Fate {
    Fate { latency_ms, end, notices }
}

fn ask(mode: Mode, fates: Vec<Fate>) -> Step {
    Step::Ask(Request {
        mode,
        person: 1,
        key: None,
        is_template: false,
        is_urgent: false,
        life_s: None,
        fates,
    })
}

#[track_caller]
fn assert_holds(unknown: UnknownPolicy, steps: Vec<Step>) {
    let setup = Setup { unknown, window: WindowPolicy::Refuse, churn_percent: 0 };
    let steps = steps.into_iter().enumerate().collect();
    let played = Stage::new().play(&Plan { seed: 1, setup, steps });
    assert_eq!(played.violations, [], "{:#?}", played.trace.lines());
}

/// It stayed unknown although nothing about it was: the upstream had reported the failure of the
/// first sending and refused the second.
#[test]
fn the_failure_of_the_only_sending_counts_after_a_refused_resend() {
    let first =
        fate(0, End::AcceptedUntold, vec![told(Report::Failed, 120), told(Report::Sent, 1_000)]);
    let second = fate(3, End::Refused(Refusal::ForGood), Vec::new());
    assert_holds(UnknownPolicy::ResendNow, vec![ask(Mode::Later, vec![first, second])]);
}

/// It was told as sent at the end: the receipt overruled the failure of that very sending, because
/// an earlier one had an id already.
#[test]
fn the_failure_of_a_resend_that_comes_before_its_receipt_counts() {
    let first = fate(15, End::AcceptedUntold, vec![told(Report::Sent, 120)]);
    let second = fate(31_000, End::Accepted, vec![told(Report::Failed, 120)]);
    assert_holds(UnknownPolicy::ResendNow, vec![ask(Mode::Later, vec![first, second])]);
}

/// It stayed `sending` until the next start: its caller was told that nothing can be recorded now,
/// and nobody closed it.
#[test]
fn a_message_whose_next_attempt_cannot_be_recorded_is_closed() {
    let refused = fate(40, End::Refused(Refusal::PersonPace), Vec::new());
    let steps = vec![
        ask(Mode::Wait, vec![refused]),
        Step::Pass { ms: 200 },
        Step::DiskFull { writes: 3 },
        Step::Pass { ms: 6_000 },
    ];
    assert_holds(UnknownPolicy::HoldThenResend, steps);
}
