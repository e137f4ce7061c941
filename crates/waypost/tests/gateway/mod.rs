//! The real binary in a folder of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running gateway, killed when it goes.
pub(crate) struct Gateway(pub(crate) Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command whose environment holds nothing of ours.
pub(crate) fn waypost(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WAYPOST_") {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).stderr(Stdio::null());
    command
}
