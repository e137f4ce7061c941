//! `cargo xtask chaos` and `cargo xtask powerloss`: build the gateway and the rig, and start the latter.
//!
//! What is done and what is judged stands in `tests/`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::builds;
use crate::shell::{self, Repository};

/// Kills, stops, broken connections and bad disks under load, and much of everything.
#[derive(Args)]
pub(crate) struct Chaos {
    /// Kills at random times; the other parts in proportion
    #[arg(long, default_value_t = 500)]
    kills: u64,
    /// What chance follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these parts, with commas between them: kills, grief, unrecorded, stops, links, disks, rot, keys, outage,
    /// webhooks, retention, neighbour
    #[arg(long)]
    only: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// A recorded run replayed with the power cut after each of its system calls.
#[derive(Args)]
pub(crate) struct PowerLoss {
    /// Requests in each of the recorded run's two lives
    #[arg(long)]
    requests: Option<u64>,
    /// At most so many points; by default each one
    #[arg(long)]
    points: Option<usize>,
    /// What chance follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    common: Common,
}

/// What both take.
#[derive(Args)]
struct Common {
    /// Against a release build of the gateway; then chaos judges times too
    #[arg(long)]
    release: bool,
    /// Against a gateway with this bug, which must be a debug build: the campaign must fail
    #[arg(long)]
    planted_bug: Option<String>,
    /// Where the report goes, beside the terminal
    #[arg(long)]
    report: Option<PathBuf>,
}

/// Runs the chaos.
///
/// # Errors
/// When a build fails or a promise was broken.
pub(crate) fn chaos(repository: &Repository, options: &Chaos) -> Result<()> {
    let mut words = vec!["chaos".to_owned(), "--kills".to_owned(), options.kills.to_string()];
    words.extend(["--seed".to_owned(), options.seed.to_string()]);
    words.extend(options.only.iter().flat_map(|only| ["--only".to_owned(), only.clone()]));
    let judges_times = options.common.release || options.common.planted_bug.is_some();
    words.extend(judges_times.then(|| "--judge-times".to_owned()));
    run(repository, words, &options.common)
}

/// Replays power cuts.
///
/// # Errors
/// When a build fails or a promise was broken.
pub(crate) fn power_loss(repository: &Repository, options: &PowerLoss) -> Result<()> {
    let mut words = vec!["powerloss".to_owned(), "--seed".to_owned(), options.seed.to_string()];
    let requests = options.requests.iter().map(|it| ("--requests", it.to_string()));
    let points = options.points.iter().map(|it| ("--points", it.to_string()));
    words.extend(requests.chain(points).flat_map(|(name, value)| [name.to_owned(), value]));
    run(repository, words, &options.common)
}

fn run(repository: &Repository, mut words: Vec<String>, common: &Common) -> Result<()> {
    if shell::output(&mut repository.command("strace", &["--version"])).is_none() {
        bail!("strace is missing; on Debian: apt-get install strace");
    }
    let profile = if common.release { "release" } else { "dev" };
    for package in ["waypost", "waypost-tests"] {
        shell::run(&mut builds::of(repository, package, profile))?;
    }
    if let Some(bug) = &common.planted_bug {
        words.extend(["--planted-bug".to_owned(), bug.clone()]);
    }
    if let Some(report) = &common.report {
        words.extend(["--report".to_owned(), report.display().to_string()]);
    }
    let built = repository.target.join(if common.release { "release" } else { "debug" });
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = repository.command(&built.join("waypost-rig").to_string_lossy(), &words);
    shell::run(command.env("WAYPOST_BIN", built.join("waypost")))
}
