//! `waypost-sim`: plays seeded sequences and says which seed fails, with the fewest steps that do.

#![allow(clippy::print_stdout, reason = "its only purpose is the terminal")]

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;
use waypost_planted::Bug;
use waypost_sim::campaign::{self, Campaign};
use waypost_sim::shorten::shorten;
use waypost_sim::{Plan, Stage, permutations};

/// Seeded simulation of engine, store and upstream under faults.
#[derive(Parser)]
#[command(
    name = "cargo xtask sim",
    after_help = "Example: cargo xtask sim --seed 1 --sequences 5000"
)]
struct Cli {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many seeds from it on; with one, its whole trace is printed
    #[arg(long, default_value_t = 1)]
    sequences: u64,
    /// Reports in any order instead of everything that can go wrong
    #[arg(long)]
    permutations: bool,
    /// Plant this bug: the campaign must then fail
    #[arg(long)]
    bug: Option<String>,
    /// Print the digest of each sequence
    #[arg(long)]
    digests: bool,
    /// Threads; by default one a processor
    #[arg(long)]
    threads: Option<usize>,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    // Before a bug could be in it.
    let stage = Stage::new();
    if let Some(name) = &cli.bug {
        let bug = Bug::named(name).with_context(|| {
            let names: Vec<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
            format!("no bug is called {name}; there are {}", names.join(", "))
        })?;
        waypost_planted::plant(Some(bug));
        anyhow::ensure!(waypost_planted::is_planted(bug), "this build has no planted bugs");
    }
    let plan = if cli.permutations { permutations::plan } else { Plan::new };
    if cli.sequences == 1 {
        return Ok(one(&stage, &plan(cli.seed)));
    }
    let threads = cli.threads.map_or_else(std::thread::available_parallelism, |threads| {
        Ok(std::num::NonZero::new(threads).unwrap_or(std::num::NonZero::<usize>::MIN))
    })?;
    let began = Instant::now();
    let campaign = campaign::run(&stage, plan, cli.seed, cli.sequences, threads.get());
    if cli.digests {
        for (seed, digest) in &campaign.digests {
            println!("seed {seed} digest {digest}");
        }
    }
    report(&campaign, began.elapsed().as_secs_f64());
    let Some((seed, _)) = campaign.failed else { return Ok(ExitCode::SUCCESS) };
    Ok(one(&stage, &plan(seed)))
}

fn report(campaign: &Campaign, seconds: f64) {
    let counts = campaign.counts;
    println!(
        "{} sequences in {seconds:.1} s: {} processes, {} requests, {} messages, {} attempts, \
         {} of the messages with an unknown outcome, {} webhooks, {} callbacks",
        counts.sequences,
        counts.processes,
        counts.requests,
        counts.messages,
        counts.attempts,
        counts.unknown,
        counts.webhooks,
        counts.callbacks
    );
    println!("digest {}", campaign.digest);
}

/// Plays one plan; where it fails, the fewest steps that fail.
fn one(stage: &Stage, plan: &Plan) -> ExitCode {
    let mut played = stage.play(plan);
    if let Some(violation) = played.violations.first() {
        println!("seed {} violates {}: {}", plan.seed, violation.rule, violation.detail);
        let shortest = shorten(stage, plan, violation.rule);
        println!("{} of its {} steps are enough:", shortest.steps.len(), plan.steps.len());
        played = stage.play(&shortest);
    }
    println!("{:?}", plan.setup);
    for line in played.trace.lines() {
        println!("{line}");
    }
    println!("seed {} digest {}", plan.seed, played.trace.digest());
    if played.violations.is_empty() {
        println!("nothing is violated");
        return ExitCode::SUCCESS;
    }
    for violation in &played.violations {
        println!("violated {}: {}", violation.rule, violation.detail);
    }
    ExitCode::FAILURE
}
