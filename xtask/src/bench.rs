//! `cargo xtask bench`: builds the release binary and the bench program and starts the latter.
//!
//! What is measured and against which bars stands in `benches/`.

use anyhow::{Context, Result};
use clap::Args;

use crate::builds;
use crate::dist;
use crate::shell::{self, Repository};

/// How thorough and how strict to be.
#[derive(Args)]
pub(crate) struct Options {
    /// Fewer and shorter repetitions: shows that everything runs, not how fast
    #[arg(long)]
    quick: bool,
    /// Measure the binary that `cargo xtask dist` has built, not the release build
    #[arg(long)]
    dist: bool,
    /// Exit with 1 when a bar is missed
    #[arg(long)]
    enforce: bool,
    /// Only this group: start, rates, accepts, disks, far, media, statuses, broadcast, callbacks, codecs, memory, queue
    /// or overload
    #[arg(long)]
    only: Option<String>,
}

/// Builds and measures.
///
/// # Errors
/// When a build or a measurement fails, or with `--enforce` when a bar is missed.
pub(crate) fn run(repository: &Repository, options: &Options) -> Result<()> {
    let waypost = if options.dist {
        dist::built(repository)?
    } else {
        builds::release(repository, "waypost")?
    };
    let program = builds::release(repository, "waypost-bench")?;
    let wants_codecs = options.only.as_deref().is_none_or(|only| only == "codecs");
    if wants_codecs {
        measure_codecs(repository, options.quick)?;
    }
    let out = repository.target.join("bench");
    std::fs::create_dir_all(&out).context("making the folder for results")?;
    let mut command = repository.command(&program.to_string_lossy(), &["run"]);
    command.arg("--waypost").arg(waypost).arg("--out").arg(out);
    if wants_codecs {
        command.arg("--criterion").arg(repository.target.join("criterion"));
    }
    if options.quick {
        command.arg("--quick");
    }
    if options.enforce {
        command.arg("--enforce");
    }
    if let Some(only) = &options.only {
        command.arg("--only").arg(only);
    }
    shell::run(&mut command)
}

/// Criterion's part, whose figures the bench program puts into its table.
fn measure_codecs(repository: &Repository, quick: bool) -> Result<()> {
    let mut args = vec!["bench", "--locked", "--package", "waypost-dialects", "--bench", "codecs"];
    if quick {
        args.extend(["--", "--quick"]);
    }
    shell::run(&mut repository.cargo(&args))
}
