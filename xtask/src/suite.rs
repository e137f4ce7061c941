//! `cargo xtask test` and `cargo xtask ci`: the stages that must be green, in the order in which they cost.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell::{self, Repository};
use crate::stages::Stages;
use crate::{browser, clients, new_dialect, tidy, tools};

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
    stages.run("build", || {
        done(&mut repository.cargo(&["build", "--workspace", "--bins", "--tests", "--locked"]))
    })?;
    stages.run("rust tests", || rust_tests(repository, binary.clone()))?;
    stages.run("new dialect", || new_dialect::check(repository))?;
    stages.run("browser tests", || browser::run(repository, &binary))?;
    stages.run("licences and sources", || licences_and_sources(repository))
}

fn done(command: &mut Command) -> Result<String> {
    shell::run(command).map(|()| String::new())
}

/// Every test that cargo knows. The same feature set as the build stage, so that nothing is built twice.
fn rust_tests(repository: &Repository, binary: PathBuf) -> Result<String> {
    let mut command = repository.cargo(&["test", "--workspace", "--locked"]);
    command.env("WAYPOST_BIN", binary).env("INSTA_UPDATE", "no");
    // What the tests need besides Rust is there now: none may skip.
    command.env("WAYPOST_TEST_TOOLS", "required");
    let mut tally = Tally::default();
    shell::run_watched(&mut command, TESTS_LIMIT, |line| tally.count(line))?;
    if tally.passed == 0 {
        bail!("no test ran");
    }
    Ok(format!("{} passed, {} ignored", tally.passed, tally.ignored))
}

/// Tests that ran, summed over the lines in which each test program reports.
#[derive(Default, Debug, PartialEq)]
struct Tally {
    passed: u32,
    ignored: u32,
}

impl Tally {
    fn count(&mut self, line: &str) {
        let Some(report) = line.strip_prefix("test result: ") else { return };
        for part in report.split([';', '.']) {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u32>().ok());
            match (number, words.next()) {
                (Some(number), Some("passed")) => self.passed += number,
                (Some(number), Some("ignored")) => self.ignored += number,
                _ => {}
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn sums_what_the_test_programs_report() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 1.20s",
            "test ok: 5 passed",
        ] {
            tally.count(line);
        }
        assert_eq!(tally, Tally { passed: 43, ignored: 1 });
    }
}
