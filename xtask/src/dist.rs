//! `cargo xtask dist`: the binary for production. It is built twice: the first build counts what it runs under load, the
//! second one knows by it what is run often (profile-guided optimisation). Under the same load it is then counted in which
//! order the second one's code runs, and it is rearranged by that.
//!
//! Why: docs/adr/0032-built-twice.md. The load is `benches/`' own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::builds;
use crate::layout::{Bolt, LINKER_FLAG};
use crate::shell::{self, Repository};

/// Where everything of it lies, in cargo's target folder.
const FOLDER: &str = "dist";

/// Builds, loads, builds again, loads again, rearranges.
///
/// # Errors
/// When a tool is missing, a build fails, or the load cannot be carried.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    let (toolchain, bolt) = (Toolchain::find(repository)?, Bolt::find()?);
    let folder = repository.target.join(FOLDER);
    // Counts of another build would be told apart by nobody, and cargo does not see that a profile is another.
    let [counts, build_folder, order] = ["counts", "build", "order"].map(|name| folder.join(name));
    for anew in [&counts, &build_folder, &order] {
        make_anew(anew)?;
    }
    let generate = format!("-Cprofile-generate={}", counts.display());
    let counting = build(repository, &toolchain, &folder.join("counting"), &generate)?;
    load(repository, &counting, &folder)?;
    let profile = folder.join("waypost.profdata");
    merge(repository, &toolchain, &counts, &profile)?;
    let using = format!("-Cprofile-use={} {LINKER_FLAG}", profile.display());
    let built = build(repository, &toolchain, &build_folder, &using)?;
    let counting = folder.join("waypost-counting");
    bolt.count(repository, &built, &counting, &order)?;
    load(repository, &counting, &folder)?;
    let waypost = folder.join("waypost");
    bolt.arrange(repository, &built, &waypost, &order)?;
    println!("built: {}", waypost.display());
    Ok(())
}

/// An empty folder where there may be a full one.
fn make_anew(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))
}

/// The binary that was built last.
///
/// # Errors
/// When there is none.
pub(crate) fn built(repository: &Repository) -> Result<PathBuf> {
    let waypost = repository.target.join(FOLDER).join("waypost");
    if !waypost.is_file() {
        bail!("{} is missing; build it with: cargo xtask dist", waypost.display());
    }
    Ok(waypost)
}

/// What of the toolchain is needed beside cargo.
struct Toolchain {
    /// The machine that is built for, as rustc names it: this one.
    host: String,
    llvm_profdata: PathBuf,
}

impl Toolchain {
    fn find(repository: &Repository) -> Result<Self> {
        let ask = |args: &[&str]| {
            shell::output(&mut repository.command("rustc", args)).context("rustc does not answer")
        };
        let about = ask(&["--version", "--verbose"])?;
        let host = host(&about).context("rustc does not say for which machine it builds")?;
        let libraries = ask(&["--print", "target-libdir"])?;
        let beside = Path::new(libraries.trim()).with_file_name("bin");
        let llvm_profdata = beside.join("llvm-profdata");
        if !llvm_profdata.is_file() {
            bail!("llvm-profdata is missing; install it with: rustup component add llvm-tools");
        }
        Ok(Self { host: host.to_owned(), llvm_profdata })
    }
}

/// The host that `rustc --version --verbose` names.
fn host(about: &str) -> Option<&str> {
    about.lines().find_map(|line| line.strip_prefix("host: ")).map(str::trim)
}

/// The release build with more flags for the compiler, in a folder of its own.
fn build(
    repository: &Repository,
    toolchain: &Toolchain,
    folder: &Path,
    flags: &str,
) -> Result<PathBuf> {
    let mut command = builds::of(repository, "waypost", "release");
    // With the target named, build scripts and macros are built without the flags.
    command.args(["--target", &toolchain.host]).arg("--target-dir").arg(folder);
    let own = std::env::var("RUSTFLAGS").unwrap_or_default();
    shell::run(command.env("RUSTFLAGS", format!("{own} {flags}").trim()))?;
    Ok(folder.join(&toolchain.host).join("release").join("waypost"))
}

/// Runs what gateways do all day on a build that counts.
fn load(repository: &Repository, counting: &Path, folder: &Path) -> Result<()> {
    let program = builds::release(repository, "waypost-bench")?;
    let mut command = repository.command(&program.to_string_lossy(), &["train"]);
    shell::run(command.arg("--waypost").arg(counting).arg("--out").arg(folder))
}

/// Makes one profile of all counts.
fn merge(
    repository: &Repository,
    toolchain: &Toolchain,
    counts: &Path,
    profile: &Path,
) -> Result<()> {
    let program = toolchain.llvm_profdata.to_string_lossy().into_owned();
    let mut command = repository.command(&program, &["merge", "--sparse", "--output"]);
    shell::run(command.arg(profile).arg(counts))
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn finds_the_host_that_rustc_names() {
        let about = "rustc 1.95.0 (abc 2026-04-14)\nbinary: rustc\nhost: aarch64-apple-darwin\nrelease: 1.95.0\n";
        assert_eq!(host(about), Some("aarch64-apple-darwin"));
        assert_eq!(host("rustc 1.95.0"), None);
    }
}
