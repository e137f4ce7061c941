//! `cargo xtask`: what one does with this repository besides compiling it — test, tidy, dist, bench, ci.
//!
//! It starts other programs and reads files; it holds no product code, and nothing depends on it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its only purpose is the terminal")]

mod bench;
mod browser;
mod builds;
mod campaigns;
mod clients;
mod dist;
mod gateway;
mod layout;
mod new_dialect;
mod shell;
mod sim;
mod stages;
mod suite;
mod tidy;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::shell::Repository;

/// Development tasks of Waypost.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need and run every test
    Test,
    /// Only the browser tests, on a fresh build
    Browser,
    /// Check the rules that no compiler checks: file headers, sizes, layers, leftovers
    Tidy,
    /// Build the binary for production, which takes three times as long and runs faster, into target/dist
    Dist,
    /// Measure Waypost beside bare programs in one interleaved run
    Bench(bench::Options),
    /// Kill, stop, cut off and starve a gateway under load, and judge what it promised
    Chaos(campaigns::Chaos),
    /// Cut the power after each system call of a recorded run, and judge what is left
    Powerloss(campaigns::PowerLoss),
    /// Play seeded sequences of engine, store and upstream under faults
    Sim(sim::Options),
    /// Make the folder of a new dialect, with a skeleton that compiles, and register it
    NewDialect {
        /// Its name: lower-case letters, digits and `_`
        name: String,
    },
    /// Everything that must be green before a change lands: fmt, clippy, tidy, test
    Ci,
}

fn main() -> ExitCode {
    let result = Repository::open().and_then(|repository| match Cli::parse().task {
        Task::Test => suite::test(&repository),
        Task::Browser => suite::browser(&repository),
        Task::Tidy => tidy::run(&repository),
        Task::Dist => dist::run(&repository),
        Task::Bench(options) => bench::run(&repository, &options),
        Task::Chaos(options) => campaigns::chaos(&repository, &options),
        Task::Powerloss(options) => campaigns::power_loss(&repository, &options),
        Task::Sim(options) => sim::run(&repository, &options),
        Task::NewDialect { name } => new_dialect::run(&repository, &name),
        Task::Ci => suite::ci(&repository),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
