//! Browser tests: `tests/browser` driven by node against a gateway with its sandbox.
//!
//! What is checked stands in the scripts there; this only gives them something to check.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::clients;
use crate::gateway::Gateway;
use crate::shell::{self, Repository};

/// The scripts, each run against a gateway of its own.
const SCRIPTS: &[&str] = &["handset.mjs", "answers.mjs"];
const SCRIPT_LIMIT: Duration = Duration::from_secs(300);
const LOG_TAIL_LINES: usize = 40;

/// Installs the driver exactly as locked and runs every script.
///
/// # Errors
/// When a check of a script fails; the end of the gateway's log is printed then.
pub(crate) fn run(repository: &Repository, binary: &Path) -> Result<String> {
    let folder = repository.root.join("tests/browser");
    let screenshots = repository.target.join("browser");
    fs::create_dir_all(&screenshots).context("making the folder for screenshots")?;
    clients::install(repository, "tests/browser")?;
    for script in SCRIPTS {
        run_script(repository, binary, &folder, &screenshots, script)?;
    }
    Ok(format!("{} scripts; screenshots in target/browser", SCRIPTS.len()))
}

fn run_script(
    repository: &Repository,
    binary: &Path,
    folder: &Path,
    screenshots: &Path,
    script: &str,
) -> Result<()> {
    let data = tempfile::tempdir().context("making a data folder")?;
    let log = screenshots.join(format!("{script}.gateway.log"));
    let gateway = Gateway::start(binary, data.path(), &log).inspect_err(|_| print_tail(&log))?;
    let mut node = repository.command("node", &[script]);
    node.current_dir(folder)
        .envs(gateway.demo.iter().map(|(name, value)| (name, value)))
        .env("GATEWAY_URL", gateway.demo("WAYPOST_URL")?)
        .env("HANDSET_URL", gateway.demo("SANDBOX_URL")?)
        .env("SCREENSHOT_DIR", screenshots);
    shell::run_watched(&mut node, SCRIPT_LIMIT, |_| {}).inspect_err(|_| print_tail(&log))
}

fn print_tail(log: &Path) {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    println!("-- end of {}", log.display());
    for line in &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..] {
        println!("   {line}");
    }
}
