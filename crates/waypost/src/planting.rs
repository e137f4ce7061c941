//! Plants the bug that `WAYPOST_PLANTED_BUG` names, so that a check of reliability can be seen to
//! fail. A release build has no bugs to plant and refuses to start with the variable set.

use anyhow::{Context as _, bail};
use waypost_planted::Bug;

const VARIABLE: &str = "WAYPOST_PLANTED_BUG";

/// Plants what the environment asks for, if it asks.
///
/// # Errors
/// For a bug that nobody knows, and in a release build.
pub(crate) fn plant() -> anyhow::Result<()> {
    let Some(name) = std::env::var_os(VARIABLE) else { return Ok(()) };
    if !cfg!(debug_assertions) {
        bail!("{VARIABLE} is for debug builds: this one has no bugs to plant");
    }
    let name = name.to_string_lossy();
    let names: Vec<_> = Bug::ALL.iter().map(|bug| bug.name()).collect();
    let bug = Bug::named(&name);
    let bug = bug.with_context(|| format!("{VARIABLE}: none of {}", names.join(", ")))?;
    eprintln!("warning: the bug {name} is planted; use this for tests only");
    waypost_planted::plant(Some(bug));
    Ok(())
}
