//! Builds of single packages. Each alone, as `cargo run` does it: with the features of the bench or of the rig mixed in,
//! Waypost would not be the product.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::shell::{self, Repository};

/// What builds a package's programs in a profile.
pub(crate) fn of(repository: &Repository, package: &str, profile: &str) -> Command {
    repository.cargo(&["build", "--locked", "--bins", "--package", package, "--profile", profile])
}

/// The release build of a package whose program has its name.
///
/// # Errors
/// When it fails.
pub(crate) fn release(repository: &Repository, package: &str) -> Result<PathBuf> {
    shell::run(&mut of(repository, package, "release"))?;
    Ok(repository.target.join("release").join(package))
}
