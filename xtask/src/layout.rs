//! The order in which the code of a finished binary lies in its file: what runs one after the other lies side by side,
//! and what never ran lies apart (LLVM's BOLT).
//!
//! Why: docs/adr/0032-built-twice.md.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::{self, Repository};

/// What the compiler must be told so that a binary can be rearranged.
pub(crate) const LINKER_FLAG: &str = "-Clink-arg=-Wl,--emit-relocs";

/// How it is rearranged: basic blocks, functions, and what was never run split off.
const ORDER: &[&str] = &[
    "-reorder-blocks=ext-tsp",
    "-reorder-functions=cdsort",
    "-split-functions",
    "-split-all-cold",
    "-split-eh",
    "-icf=1",
];

/// BOLT's programs.
pub(crate) struct Bolt {
    llvm_bolt: PathBuf,
    merge_fdata: PathBuf,
}

impl Bolt {
    /// The newest one in `PATH`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find() -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).filter_map(|folder| fs::read_dir(folder).ok());
        let files = folders.flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let newest = files.filter_map(|file| Some((version(&file)?, file))).max();
        let Some((_, found)) = newest else {
            bail!("llvm-bolt is missing; install it, on Debian with: apt-get install bolt-19");
        };
        // It looks for its own library beside where it really lies.
        let llvm_bolt = fs::canonicalize(&found).context("finding llvm-bolt")?;
        let merge_fdata = llvm_bolt.with_file_name("merge-fdata");
        if !merge_fdata.is_file() {
            bail!("{} is missing", merge_fdata.display());
        }
        Ok(Self { llvm_bolt, merge_fdata })
    }

    /// Writes a copy of a binary that counts what it runs. Each of its processes leaves its counts in a file of its own
    /// in a folder.
    ///
    /// # Errors
    /// When BOLT fails.
    pub(crate) fn count(
        &self,
        repository: &Repository,
        binary: &Path,
        counting: &Path,
        counts: &Path,
    ) -> Result<()> {
        let file = format!("-instrumentation-file={}", counts.join("run").display());
        let how = ["-instrument", "-instrumentation-file-append-pid", &file];
        self.rewrite(repository, binary, counting, &how)
    }

    /// Writes a copy of a binary whose code lies in the order that was counted.
    ///
    /// # Errors
    /// When nothing was counted, or BOLT fails.
    pub(crate) fn arrange(
        &self,
        repository: &Repository,
        binary: &Path,
        arranged: &Path,
        counts: &Path,
    ) -> Result<()> {
        let merged = counts.join("all");
        let files =
            fs::read_dir(counts).with_context(|| format!("reading {}", counts.display()))?;
        let files: Vec<PathBuf> = files
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()
            .context("listing the counts")?;
        let mut merge = repository.command(&self.merge_fdata.to_string_lossy(), &["-o"]);
        shell::run(merge.arg(&merged).args(files))?;
        let data = format!("-data={}", merged.display());
        let mut how = vec![data.as_str()];
        how.extend(ORDER);
        self.rewrite(repository, binary, arranged, &how)
    }

    fn rewrite(&self, repository: &Repository, from: &Path, to: &Path, how: &[&str]) -> Result<()> {
        let mut command = repository.command(&self.llvm_bolt.to_string_lossy(), how);
        shell::run(command.arg(from).arg("-o").arg(to))
    }
}

/// The major version in the name of a program that is BOLT; 0 where the name has none.
fn version(file: &Path) -> Option<u32> {
    match file.file_name()?.to_str()?.strip_prefix("llvm-bolt")? {
        "" => Some(0),
        numbered => numbered.strip_prefix('-')?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::version;

    #[test]
    fn bolt_is_known_by_its_name() {
        for (file, wanted) in [
            ("/usr/bin/llvm-bolt", Some(0)),
            ("/usr/bin/llvm-bolt-19", Some(19)),
            ("/usr/bin/llvm-bolt-heatmap-19", None),
            ("/usr/bin/llvm-boltdiff-19", None),
            ("/usr/bin/perf2bolt-19", None),
        ] {
            assert_eq!(version(Path::new(file)), wanted, "{file}");
        }
    }
}
