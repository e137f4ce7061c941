//! The long campaigns, started by `cargo xtask chaos` and `cargo xtask powerloss`: it runs them, prints
//! what came of them, and fails where anything was broken. The short ones are tests.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    reason = "a rig speaks to the terminal, and ends where it cannot do its part"
)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use waypost_tests::campaign::disks::{self, Base, Fault};
use waypost_tests::campaign::kills::{self, KillPlan, KillReport};
use waypost_tests::campaign::oracle::Verdict;
use waypost_tests::campaign::{
    keys, links, neighbour, outage, retention, rot, stops, unrecorded, webhooks,
};
use waypost_tests::power::{record, replay};

/// What the other parts have where the random kill comes so often; with fewer kills, in proportion.
const KILLS: u64 = 500;
/// Exact kills, stops, and calls of a disk that fail.
const EXACT: u64 = 200;
/// Damaged folders.
const DAMAGES: u64 = 200;
/// Keys, with each of which so many requests come at once.
const KEYS: u64 = 500;
const KEYS_AT_ONCE: usize = 64;
/// Messages that wait while the upstream is down for an hour.
const QUEUED: u64 = 50_000;
const OUTAGE_HALF_MINUTES: usize = 120;
/// Webhooks, and how many a second.
const WEBHOOKS: u64 = 36_000;
const WEBHOOKS_PER_S: u64 = 300;
/// Messages that are deleted, and how long is written before to compare with.
const DELETED: u64 = 1_000_000;
const WRITING_ALONE: Duration = Duration::from_secs(20);
/// Messages that one tenant dumps, and those of the other, alone and beside the dump.
const DUMPED: u64 = 200_000;
const DUMP_PER_S: u32 = 1_000;
const OTHERS: u64 = 1_500;
const OTHERS_PER_S: u32 = 20;
/// Far longer than anything takes to come to rest.
const REST_LIMIT: Duration = Duration::from_secs(1_800);
/// Requests in each of the two lives of a recorded run.
const RECORDED_REQUESTS: u64 = 120;

/// Long campaigns against the running gateway.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    campaign: Campaign,
}

#[derive(Subcommand)]
enum Campaign {
    /// Kills, stops, broken connections and bad disks under load, and much of everything
    Chaos(Chaos),
    /// A recorded run replayed with the power cut after each of its system calls
    Powerloss {
        /// Requests in each of the recorded run's two lives
        #[arg(long, default_value_t = RECORDED_REQUESTS)]
        requests: u64,
        /// At most so many points; 0 for each one
        #[arg(long, default_value_t = 0)]
        points: usize,
        /// Against a gateway with this bug, which must be a debug build: the campaign must fail
        #[arg(long)]
        planted_bug: Option<String>,
        /// Torn disks at each point
        #[arg(long, default_value_t = 2)]
        torn: u64,
        /// What chance follows from
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where the report goes, beside the terminal
        #[arg(long)]
        report: Option<PathBuf>,
    },
}

/// What kind of chaos, and how much.
#[derive(clap::Args)]
struct Chaos {
    /// Kills at random times; the other parts in proportion
    #[arg(long, default_value_t = KILLS)]
    kills: u64,
    /// What chance follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these parts
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Judges times too: against a release build, on a machine that does nothing else
    #[arg(long)]
    judge_times: bool,
    /// Against a gateway with this bug, which must be a debug build: the campaign must fail
    #[arg(long)]
    planted_bug: Option<String>,
    /// Where the report goes, beside the terminal
    #[arg(long)]
    report: Option<PathBuf>,
}

impl Chaos {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// So much of what there is with all kills; at least one.
    fn share(&self, of_all: u64) -> u64 {
        (self.kills * of_all / KILLS).max(1)
    }
}

/// A part of the chaos.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// `kill -9` at random times
    Kills,
    /// The same with connections to the upstream that break
    Grief,
    /// `kill -9` between the upstream's acceptance and our reading of its reply
    Unrecorded,
    /// SIGTERM
    Stops,
    /// Connections that break at a chosen byte
    Links,
    /// Disks that fail or are full
    Disks,
    /// Bits that rot, and files that are cut off
    Rot,
    /// Requests with one idempotency key at the same time
    Keys,
    /// An upstream that is down for an hour before a long queue
    Outage,
    /// Webhooks at an even pace
    Webhooks,
    /// Deleting what is past its time while others write
    Retention,
    /// A tenant beside one who dumps messages and whose receivers hang
    Neighbour,
}

/// What is printed and kept.
#[derive(Default)]
struct Told {
    text: String,
    broken: usize,
}

impl Told {
    fn line(&mut self, line: &str) {
        println!("{line}");
        writeln!(self.text, "{line}").expect("text can be written");
    }

    /// What a part came to.
    fn part(&mut self, lines: &[String], violations: &[String]) {
        for line in lines {
            self.line(line);
        }
        self.violations(violations, 0);
    }

    fn judged(&mut self, lines: &[String], verdict: &Verdict) {
        self.part(lines, &verdict.violations);
        self.violations(&[], verdict.more);
    }

    fn violations(&mut self, violations: &[String], more: usize) {
        self.broken += violations.len() + more;
        for violation in violations {
            self.line(&format!("  BROKEN  {violation}"));
        }
        if more > 0 {
            self.line(&format!("  BROKEN  and {more} more"));
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut told = Told::default();
    told.line(&machine());
    let report = match Cli::parse().campaign {
        Campaign::Chaos(options) => {
            let bug = kept(options.planted_bug.clone());
            if let Some(bug) = bug {
                told.line(&format!("planted: {bug}"));
            }
            chaos(&mut told, &options, bug).await;
            much(&mut told, &options, bug).await;
            options.report
        }
        Campaign::Powerloss { requests, points, torn, seed, planted_bug, report } => {
            let plan = replay::Plan { points, torn, seed, start_every: 50 };
            power_loss(&mut told, requests, &plan, kept(planted_bug)).await;
            report
        }
    };
    if let Some(path) = report {
        std::fs::write(&path, &told.text).expect("the report can be written");
    }
    if told.broken == 0 {
        println!("nothing was broken");
        return ExitCode::SUCCESS;
    }
    eprintln!("{} promises were broken", told.broken);
    ExitCode::FAILURE
}

/// A name that lives as long as the process.
fn kept(name: Option<String>) -> Option<&'static str> {
    name.map(|name| &*name.leak())
}

/// What it runs on.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.unwrap_or_default().trim_start_matches(['\t', ' ', ':']);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("machine: {cores} cores of {model}, Linux {}", kernel.trim())
}

/// What breaks under load.
async fn chaos(told: &mut Told, options: &Chaos, bug: Option<&'static str>) {
    let (seed, exact) = (options.seed, options.share(EXACT));
    if options.wants(Part::Kills) {
        let report = kills::run(&KillPlan { bug, ..KillPlan::long(options.kills, seed) }).await;
        tell_kills(told, "kills at random times (T1, T12)", seed, &report);
    }
    if options.wants(Part::Grief) {
        let kills = (options.kills / 10).max(1);
        let plan = KillPlan { grief: true, bug, ..KillPlan::long(kills, seed + 1) };
        let report = kills::run(&plan).await;
        tell_kills(told, "the same while connections break (T1, T4)", seed + 1, &report);
    }
    if options.wants(Part::Unrecorded) {
        tell_unrecorded(told, exact, bug).await;
    }
    if options.wants(Part::Stops) {
        tell_stops(told, exact, seed, bug).await;
    }
    if options.wants(Part::Links) {
        let violations = links::run(bug).await;
        told.line("connections that break at a chosen byte (T4)");
        told.violations(&violations, 0);
    }
    if options.wants(Part::Disks) {
        tell_disks(told, u32::try_from(exact).unwrap_or(u32::MAX), bug).await;
    }
    if options.wants(Part::Rot) {
        let plan = rot::Plan { damages: options.share(DAMAGES), seed, bug };
        let report = rot::run(&plan).await;
        told.part(&report.told(), &report.violations);
    }
}

/// Much of something at once, or for long.
async fn much(told: &mut Told, options: &Chaos, bug: Option<&'static str>) {
    let is_timed = options.judge_times;
    if options.wants(Part::Keys) {
        let (rounds, seed) = (options.share(KEYS), options.seed);
        let (at_once, drain_limit) = (KEYS_AT_ONCE, REST_LIMIT);
        let report = keys::run(&keys::Plan { rounds, at_once, seed, drain_limit, bug }).await;
        told.judged(&report.told(), &report.verdict);
    }
    if options.wants(Part::Outage) {
        let (messages, steps) = (options.share(QUEUED), OUTAGE_HALF_MINUTES);
        let drain_limit = REST_LIMIT;
        let plan = outage::Plan { messages, steps, drain_limit, is_timed, bug };
        let report = outage::run(&plan).await;
        told.judged(&report.told(), &report.verdict);
    }
    if options.wants(Part::Webhooks) {
        let (webhooks, per_s) = (options.share(WEBHOOKS), WEBHOOKS_PER_S);
        let report = webhooks::run(&webhooks::Plan { per_s, webhooks, is_timed, bug }).await;
        told.judged(&report.told(), &report.verdict);
    }
    if options.wants(Part::Retention) {
        let (messages, alone, limit) = (options.share(DELETED), WRITING_ALONE, REST_LIMIT);
        let plan = retention::Plan { messages, alone, limit, is_timed, bug };
        let report = retention::run(&plan).await;
        told.part(&report.told(), &report.violations);
    }
    if options.wants(Part::Neighbour) {
        let (dumped, messages) = (options.share(DUMPED), options.share(OTHERS));
        let (dump_per_s, per_s) = (DUMP_PER_S, OTHERS_PER_S);
        let plan = neighbour::Plan { dumped, dump_per_s, messages, per_s, is_timed, bug };
        let report = neighbour::run(&plan).await;
        told.part(&report.told(), &report.violations);
    }
}

fn tell_kills(told: &mut Told, what: &str, seed: u64, report: &KillReport) {
    let verdict = &report.verdict;
    told.line(&format!("{what}, seed {seed}, {:.0} s", report.took.as_secs_f64()));
    told.line(&format!(
        "  kills {} (of these {} during a start), slowest start {} ms, requests {}",
        report.kills, report.early_kills, report.slowest_start_ms, report.asked
    ));
    told.line(&format!(
        "  acknowledged {}: sent {}, to be sent {}, webhooks {}; said not to be sent {}, \
         unanswered {}",
        verdict.sent + verdict.accepted + verdict.taken,
        verdict.sent,
        verdict.accepted,
        verdict.taken,
        verdict.refused,
        verdict.unanswered
    ));
    told.line(&format!(
        "  lost {}, doubled {}, doubled callbacks {}, stuck {}; at the upstream {}",
        verdict.lost, verdict.doubled, verdict.doubled_callbacks, verdict.stuck, verdict.carried
    ));
    told.line(&format!(
        "  found unknown at starts {}; in the end unknown {}, resent and said to be possible \
         duplicates {}, of these at the upstream more than once {}",
        report.found_unknown, verdict.unknown, report.flagged, verdict.repeated
    ));
    told.violations(&verdict.violations, verdict.more);
}

async fn tell_unrecorded(told: &mut Told, kills: u64, bug: Option<&'static str>) {
    let (silence, resend_wait) = (Duration::from_millis(300), Duration::from_secs(150));
    let plan = unrecorded::Plan { kills, silence, resend_wait, bug };
    let report = unrecorded::run(&plan).await;
    told.line(&format!(
        "kills between the upstream's acceptance and our reading of it (T2), {:.0} s",
        report.took.as_secs_f64()
    ));
    told.line(&format!(
        "  kills {}, messages in the window {}, bound by a status {}, lost {}, doubled {}, \
         slowest bind {} ms",
        report.kills,
        report.held,
        report.bound,
        report.verdict.lost,
        report.verdict.doubled,
        report.slowest_bind_ms
    ));
    told.violations(&report.verdict.violations, report.verdict.more);
}

async fn tell_stops(told: &mut Told, stops: u64, seed: u64, bug: Option<&'static str>) {
    let plan = stops::Plan { stops, seed, callers: 32, up_ms: 200..900, bug };
    let report = stops::run(&plan).await;
    let verdict = &report.verdict;
    told.line(&format!(
        "SIGTERM under load (T31), seed {seed}, {:.0} s",
        report.took.as_secs_f64()
    ));
    told.line(&format!(
        "  stops {}, acknowledged {}, found unknown at starts {}, slowest stop {} ms",
        report.stops,
        verdict.sent + verdict.accepted + verdict.taken,
        report.found_unknown,
        report.slowest_stop_ms
    ));
    told.violations(&verdict.violations, verdict.more);
}

async fn tell_disks(told: &mut Told, share: u32, bug: Option<&'static str>) {
    told.line("a disk that fills up under load and has room again (T14)");
    told.violations(&disks::full(bug).await, 0);
    let base = Base::make().await;
    told.line("each acknowledgement after a sync of its own (T16)");
    told.violations(&base.syncs(bug).await, 0);
    let limit_kib = base.database_kib() + 120;
    let faults = (1..=share).map(Fault::Sync);
    let faults = faults.chain((1..=share).step_by(10).map(Fault::Write));
    let faults = faults.chain((1..=share).step_by(20).map(|nth| Fault::NoRoom(nth, 25)));
    let faults = faults.chain((0..5).map(|nth| Fault::ShortWrite(limit_kib + 60 * nth)));
    let (mut reached, mut count, mut promised) = (0, 0, 0);
    for fault in faults {
        let report = base.fail(fault, bug).await;
        count += 1;
        reached += u32::from(report.reached);
        promised += report.promised;
        let violations = report.violations.iter().map(|what| format!("{fault:?}: {what}"));
        told.violations(&violations.collect::<Vec<_>>(), 0);
    }
    told.line(&format!(
        "disks that fail at the n-th call, n up to {share} (T15): {count} runs, the fault came in \
         {reached}, {promised} messages acknowledged"
    ));
}

async fn power_loss(
    told: &mut Told,
    requests: u64,
    plan: &replay::Plan,
    bug: Option<&'static str>,
) {
    if let Some(bug) = bug {
        told.line(&format!("planted: {bug}"));
    }
    let recording = record::record(requests, bug).await;
    let report = replay::replay(&recording, plan).await;
    told.line(&format!(
        "power cuts in a recorded run (T5), seed {}, {:.0} s",
        plan.seed,
        report.took.as_secs_f64()
    ));
    told.line(&format!(
        "  calls that change or sync the disk, and answers {}; power cut after {}; disks \
         looked at {}; of these started by the binary {}",
        report.calls, report.points, report.disks, report.starts
    ));
    told.line(&format!(
        "  acknowledged {}, points that lose something acknowledged {}",
        report.acknowledged, report.losing_points
    ));
    told.violations(&report.violations, 0);
}
