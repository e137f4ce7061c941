//! Benchmarks of Waypost: started by `cargo xtask bench`, which builds it and the release binary.
//!
//! Absolute figures of a shared machine drift from minute to minute, so nothing is compared with a number of
//! yesterday: the bare programs that Waypost is divided by run in the same call, in turns with it. It measures;
//! whether a bar is met it only says, unless told to enforce it. Tests of behaviour are elsewhere.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its only purpose is the terminal")]

mod bare;
mod confined;
mod effort;
mod files;
mod flood;
mod gateway;
mod http;
mod kept;
mod load;
mod mock;
mod process;
mod raw;
mod receiver;
mod report;
mod rows;
mod rows_accepts;
mod rows_broadcast;
mod rows_callbacks;
mod rows_codecs;
mod rows_disks;
mod rows_far;
mod rows_media;
mod rows_memory;
mod rows_overload;
mod rows_queue;
mod rows_rate;
mod rows_statuses;
mod scan;
mod slow_disk;
mod statistics;
mod statuses;
mod tally;
mod tenants;
mod verdicts;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Benchmarks of Waypost and the bare programs that it is measured against.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    program: Program,
}

#[derive(Subcommand)]
enum Program {
    /// Measure everything and print a table
    Run(rows::Options),
    /// Load a binary that counts what it runs, so that the next build knows what is run often
    Train(rows::Training),
    /// A bare axum server that answers with the body it got
    Echo,
    /// A bare pass-through proxy
    Proxy {
        /// Where everything is passed on to
        #[arg(long)]
        upstream: SocketAddr,
    },
    /// An upstream that accepts everything, reports statuses on demand, and receives callbacks
    Mock {
        /// How long each answer takes, in milliseconds
        #[arg(long, default_value_t = 0)]
        delay_ms: u64,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(program: Program) -> Result<()> {
    match program {
        Program::Run(options) => loading()?.block_on(rows::run(options)),
        Program::Train(training) => loading()?.block_on(rows::train(training)),
        Program::Echo => serving()?.block_on(bare::echo()),
        Program::Proxy { upstream } => serving()?.block_on(bare::proxy(upstream)),
        Program::Mock { delay_ms } => {
            serving()?.block_on(mock::serve(Duration::from_millis(delay_ms)))
        }
    }
}

/// One thread, so that the load leaves as much as it can of the machine to what is measured.
fn loading() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn serving() -> Result<tokio::runtime::Runtime> {
    process::end_with_parent();
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
