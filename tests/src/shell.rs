//! Runs what people paste: shell commands and Python programs.

use std::path::Path;
use std::process::Output;

use tokio::process::Command;

/// Runs a command line in bash, in `folder`.
///
/// # Panics
/// Where there is no bash.
pub async fn bash(folder: &Path, script: &str) -> Output {
    run(Command::new("bash").arg("-c").arg(script).current_dir(folder)).await
}

/// Runs a Python program. It may need `requests` (Debian's `python3-requests`).
///
/// # Panics
/// Where there is no Python.
pub async fn python(folder: &Path, program: &str) -> Output {
    run(Command::new("python3").arg("-c").arg(program).current_dir(folder)).await
}

pub(crate) async fn run(command: &mut Command) -> Output {
    // A proxy of the developer's must not see what is meant for this machine.
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        command.env_remove(name);
    }
    command.kill_on_drop(true).output().await.expect("the interpreter is installed")
}

/// What a program printed.
#[must_use]
pub fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a program complained about.
#[must_use]
pub fn complaints(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
