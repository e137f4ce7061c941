//! `cargo xtask tidy`: the rules of this repository that neither the compiler nor clippy checks.
//!
//! Reads only what git would commit; changes nothing. The rules are in [`text`], [`layers`] and [`references`].

mod layers;
mod references;
mod text;

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::shell::{self, Repository};

const EXCEPTIONS: &str = "xtask/tidy.toml";
const DEFAULTS: &str = "config/default.toml";

/// One file that git would commit.
pub(crate) struct Source {
    /// Path below the root, with `/`.
    pub(crate) path: String,
    /// Its text; `None` when it is not UTF-8.
    pub(crate) text: Option<String>,
}

/// Checks everything and prints every fault.
///
/// # Errors
/// When there is a fault, or when git cannot list the files.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    let sources = sources(repository)?;
    let allowed = exceptions(&sources, "long_files")?;
    let upward = exceptions(&sources, "upward_in_tests")?;
    let machine = text::MachinePaths::new(&repository.root);
    let mut faults: Vec<String> =
        sources.iter().flat_map(|source| text::faults(source, &allowed, &machine)).collect();
    faults.extend(text::needless_exceptions(&sources, &allowed));
    faults.extend(layers::faults(&sources, &upward)?);
    faults.extend(references::faults(&sources));
    if !sources.iter().any(|source| source.path == DEFAULTS) {
        faults.push(format!("{DEFAULTS}: is missing; it is the settings' only documentation"));
    }
    for fault in &faults {
        println!("{fault}");
    }
    if !faults.is_empty() {
        bail!("{} faults in {} files", faults.len(), sources.len());
    }
    println!("{} files are tidy", sources.len());
    Ok(())
}

/// Tracked files and those that would be added, but not what was deleted from the folder.
fn sources(repository: &Repository) -> Result<Vec<Source>> {
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listing = shell::output(&mut repository.command("git", &args))
        .context("git cannot list the files; tidy needs a clone")?;
    let mut sources = Vec::new();
    for path in listing.split('\0').filter(|path| !path.is_empty()) {
        let Ok(bytes) = fs::read(repository.root.join(path)) else { continue };
        sources.push(Source { path: path.to_owned(), text: String::from_utf8(bytes).ok() });
    }
    Ok(sources)
}

/// One table of exceptions: what is excepted, and why.
fn exceptions(sources: &[Source], table: &str) -> Result<BTreeMap<String, String>> {
    let text =
        sources.iter().find(|source| source.path == EXCEPTIONS).and_then(|s| s.text.as_deref());
    let file: toml::Table = text.unwrap_or_default().parse().context(EXCEPTIONS)?;
    let entries = file.get(table).and_then(toml::Value::as_table);
    let mut exceptions = BTreeMap::new();
    for (what, reason) in entries.into_iter().flatten() {
        let reason = reason.as_str().filter(|reason| !reason.trim().is_empty());
        let reason = reason.with_context(|| format!("{EXCEPTIONS}: {what} has no reason"))?;
        exceptions.insert(what.clone(), reason.to_owned());
    }
    Ok(exceptions)
}
