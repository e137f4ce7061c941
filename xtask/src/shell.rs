//! Where the repository is and how other programs are run in it.
//!
//! Knows nothing about what is run; a shell is not involved.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The clone that `cargo xtask` was called in.
pub(crate) struct Repository {
    /// Folder of the root manifest.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
}

impl Repository {
    /// Finds the clone through what `cargo run` tells its programs.
    ///
    /// # Errors
    /// When not started by cargo.
    pub(crate) fn open() -> Result<Self> {
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .context("start it as `cargo xtask`, which tells where the clone is")?;
        let root = Path::new(&manifest_dir).parent().context("xtask has no parent")?.to_owned();
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self { root, target })
    }

    /// A command that runs in the clone's root.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// A command of the cargo that runs us, as if started by hand: what cargo told us about our own package would
    /// make some build scripts run again.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut command = self.command(&cargo, args);
        for (name, _) in std::env::vars_os() {
            let told = name.to_string_lossy();
            if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command
    }
}

/// Runs to the end with our terminal.
///
/// # Errors
/// When the program cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` ended with {status}", spelled(command));
    }
    Ok(())
}

/// Runs to the end and gives what it printed; `None` when it cannot be started or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs to the end within `limit`, passes its standard output on line by line and shows each line to `on_line`.
///
/// # Errors
/// When the program cannot be started, does not succeed or takes longer; it is ended then.
pub(crate) fn run_watched(
    command: &mut Command,
    limit: Duration,
    mut on_line: impl FnMut(&str),
) -> Result<()> {
    announce(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    let stdout = child.stdout.take().context("its output is piped")?;
    let (sender, lines) = mpsc::sync_channel(1024);
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + limit;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                println!("{line}");
                on_line(&line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().context("ending a program that takes too long")?;
                bail!("`{}` took longer than {} min", spelled(command), limit.as_secs() / 60);
            }
        }
    }
    let status = child.wait().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` ended with {status}", spelled(command));
    }
    Ok(())
}

fn announce(command: &Command) {
    println!("$ {}", spelled(command));
}

fn cannot_start(command: &Command) -> String {
    format!("cannot run `{}`", spelled(command))
}

fn spelled(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let mut text = program.to_string_lossy().into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::run_watched;

    const AMPLE: Duration = Duration::from_secs(600);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn shows_every_line_of_a_program_that_succeeds() {
        let mut lines = Vec::new();
        run_watched(&mut shell("echo one; echo two"), AMPLE, |line| lines.push(line.to_owned()))
            .unwrap();
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn tells_how_a_program_failed() {
        let error = run_watched(&mut shell("exit 7"), AMPLE, |_| {}).unwrap_err().to_string();
        assert!(error.contains('7'), "{error}");
    }

    #[test]
    fn ends_a_program_that_takes_too_long() {
        let error = run_watched(&mut shell("exec sleep 600"), Duration::ZERO, |_| {}).unwrap_err();
        assert!(error.to_string().contains("took longer"), "{error}");
    }
}
