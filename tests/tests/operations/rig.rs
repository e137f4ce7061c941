//! The command line as an operator types it.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tokio::process::Command;
use waypost_tests::{Waypost, binary};

/// Names the bug that a gateway or a command is to have.
pub(crate) const PLANT: &str = "WAYPOST_PLANTED_BUG";

/// Runs the binary with nothing but these arguments, in a folder.
pub(crate) async fn run(folder: &Path, bug: Option<&str>, args: &[&str]) -> Output {
    let mut command = Command::new(binary::path());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WAYPOST_") {
            command.env_remove(name);
        }
    }
    if let Some(bug) = bug {
        command.env(PLANT, bug);
    }
    command.current_dir(folder).args(args).output().await.unwrap()
}

/// The JSON that a command printed.
pub(crate) fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a command said where it failed.
pub(crate) fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A client command against a running gateway.
pub(crate) async fn client(waypost: &Waypost, args: &[&str]) -> Output {
    let data_dir = waypost.data_dir().display().to_string();
    let mut all = args.to_vec();
    all.extend(["--data-dir", &data_dir]);
    run(waypost.folder().path(), None, &all).await
}
