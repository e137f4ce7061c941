//! `cargo xtask test` and `cargo xtask ci`: the stages that must be green, in the order in which they cost.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::shell::{self, Repository};
use crate::stages::Stages;
use crate::{browser, clients, new_dialect, tidy, tools};

/// The runner of the tests, where it is not there: each test gets a process of its own, for a planted bug is its
/// process's.
const RUNNER: [&str; 5] = ["install", "cargo-nextest", "--version", "0.9.143", "--locked"];
/// Far above what the tests take on two cores: ends a test that hangs while its name can still be read.
const TESTS_LIMIT: Duration = Duration::from_secs(40 * 60);

/// Installs what is needed, builds once, runs every test.
///
/// # Errors
/// The first stage that fails, by name.
pub(crate) fn test(repository: &Repository) -> Result<()> {
    let mut stages = Stages::default();
    test_stages(repository, &mut stages)?;
    stages.print_summary();
    println!("all tests passed");
    Ok(())
}

/// Builds the binary and runs the browser tests.
///
/// # Errors
/// What failed.
pub(crate) fn browser(repository: &Repository) -> Result<()> {
    shell::run(&mut repository.cargo(&["build", "--package", "waypost", "--locked"]))?;
    let outcome = browser::run(repository, &repository.target.join("debug/waypost"))?;
    println!("{outcome}");
    Ok(())
}

/// Format, lints, tidy, then [`test`].
///
/// # Errors
/// The first stage that fails, by name.
pub(crate) fn ci(repository: &Repository) -> Result<()> {
    let mut stages = Stages::default();
    stages.run("fmt", || done(&mut repository.cargo(&["fmt", "--all", "--check"])))?;
    stages.run("clippy", || done(&mut repository.cargo(&CLIPPY)))?;
    stages.run("tidy", || tidy::run(repository).map(|()| String::new()))?;
    test_stages(repository, &mut stages)?;
    stages.print_summary();
    println!("green");
    Ok(())
}

const CLIPPY: [&str; 7] =
    ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];

fn test_stages(repository: &Repository, stages: &mut Stages) -> Result<()> {
    let binary = repository.target.join("debug/waypost");
    stages.run("tools", || tools::provide(repository))?;
    stages.run("client libraries", || clients::provide(repository))?;
    stages.run("runner", || runner(repository))?;
    stages.run("build", || {
        done(&mut repository.cargo(&["build", "--workspace", "--bins", "--tests", "--locked"]))
    })?;
    stages.run("rust tests", || rust_tests(repository, binary.clone()).map(|()| String::new()))?;
    stages.run("documentation tests", || {
        done(&mut repository.cargo(&["test", "--workspace", "--doc", "--locked", "--quiet"]))
    })?;
    stages.run("new dialect", || new_dialect::check(repository))?;
    stages.run("browser tests", || browser::run(repository, &binary))?;
    stages.run("licences and sources", || licences_and_sources(repository))
}

fn done(command: &mut Command) -> Result<String> {
    shell::run(command).map(|()| String::new())
}

fn runner(repository: &Repository) -> Result<String> {
    if shell::output(&mut repository.cargo(&["nextest", "--version"])).is_some() {
        return Ok(String::new());
    }
    done(&mut repository.cargo(&RUNNER))
}

/// Every test but those of the documentation; that none runs is a failure. The same feature set as the build stage, so
/// that nothing is built twice.
fn rust_tests(repository: &Repository, binary: PathBuf) -> Result<()> {
    let args =
        ["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--no-tests", "fail"];
    let mut command = repository.cargo(&args);
    command.env("WAYPOST_BIN", binary).env("INSTA_UPDATE", "no");
    // What the tests need besides Rust is there now: none may skip.
    command.env("WAYPOST_TEST_TOOLS", "required");
    shell::run_watched(&mut command, TESTS_LIMIT, |_| {})
}

fn licences_and_sources(repository: &Repository) -> Result<String> {
    if shell::output(&mut repository.cargo(&["deny", "--version"])).is_none() {
        return Ok("skipped: cargo-deny is not installed (cargo install cargo-deny)".to_owned());
    }
    shell::run(
        &mut repository.cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]),
    )
    .context("deny.toml says what is allowed and why")?;
    Ok(String::new())
}
