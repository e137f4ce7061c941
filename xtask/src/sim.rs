//! `cargo xtask sim`: builds the simulation as the tests do, with its planted bugs, and starts it.
//!
//! What it plays and what must hold stands in `sim/`.

use anyhow::Result;
use clap::Args;

use crate::shell::{self, Repository};

/// What to play.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// As `--help` of the program says: --seed N, --sequences K, --bug NAME, --permutations
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Builds and plays.
///
/// # Errors
/// When the build fails, or a sequence.
pub(crate) fn run(repository: &Repository, options: &Options) -> Result<()> {
    let mut command = repository.cargo(&["run", "--locked", "--quiet", "--package", "waypost-sim"]);
    // What the sequences run through is built as the libraries are: twice as fast.
    for package in ["waypost-domain", "waypost-engine", "waypost-store-sqlite", "waypost-sim"] {
        command.arg("--config").arg(format!("profile.dev.package.{package}.opt-level=1"));
    }
    command.arg("--").args(&options.args);
    shell::run(&mut command)
}
