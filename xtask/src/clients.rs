//! The JavaScript libraries of other people that tests run: installed exactly as locked. What is done
//! with them stands in the tests.

use anyhow::Result;

use crate::shell::{self, Repository};

/// Folders with a `package-lock.json`: libraries that check callbacks, libraries that samples call.
const FOLDERS: [&str; 2] = ["tests/clients", "tests/clients/javascript"];

/// Installs those of the Rust tests.
///
/// # Errors
/// When npm fails.
pub(crate) fn provide(repository: &Repository) -> Result<String> {
    for folder in FOLDERS {
        install(repository, folder)?;
    }
    Ok(FOLDERS.join(", "))
}

/// Installs what a folder's lock file names.
///
/// # Errors
/// When npm fails.
pub(crate) fn install(repository: &Repository, folder: &str) -> Result<()> {
    let words = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
    let mut npm = repository.command("npm", &words);
    shell::run(npm.current_dir(repository.root.join(folder)))
}
