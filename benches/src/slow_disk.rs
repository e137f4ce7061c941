//! A disk on which each sync takes longer. A guest cannot tell how soon its own really syncs, and a volume takes
//! milliseconds for it.
//!
//! It is a library that is loaded before the others (`slow_syncs.c`), so it takes a C compiler. A tracer would do
//! without one, and make every system call of the gateway's threads several times as expensive (strace with
//! `--seccomp-bpf` too, for threads that began after it): the processor would be measured and not the disk.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::gateway::Site;

const SLOW_SYNCS: &str = include_str!("slow_syncs.c");

/// The same site on a disk that needs so much longer for each sync.
///
/// # Errors
/// When the library cannot be made.
pub(crate) fn site(site: &Site, sync_delay: Duration) -> Result<Site> {
    let library = slow_syncs(&site.folder)?;
    let delay = format!("SLOW_SYNCS_US={}", sync_delay.as_micros());
    let through = vec!["env".to_owned(), format!("LD_PRELOAD={library}"), delay];
    Ok(Site { through, ..site.clone() })
}

/// Compiles the library into a folder.
fn slow_syncs(folder: &Path) -> Result<String> {
    let (source, library) = (folder.join("slow_syncs.c"), folder.join("slow_syncs.so"));
    std::fs::write(&source, SLOW_SYNCS)?;
    let mut compiler = Command::new("cc");
    must_work(compiler.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source))?;
    let library = library.canonicalize()?.into_os_string();
    library.into_string().map_err(|path| anyhow!("{} is no text", path.display()))
}

/// Runs a program that is needed.
///
/// # Errors
/// When it is missing or fails.
pub(crate) fn must_work(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} is missing"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::slow_syncs;

    #[test]
    fn a_sync_takes_longer_and_still_works() {
        let folder = tempfile::tempdir().unwrap();
        let library = slow_syncs(folder.path()).unwrap();
        let file = folder.path().join("file");
        File::create(&file).unwrap();
        let began = Instant::now();
        let synced = Command::new("sync")
            .arg("--data")
            .args([&file, &folder.path().join("none")])
            .env("LD_PRELOAD", library)
            .env("SLOW_SYNCS_US", "200000")
            .output()
            .unwrap();
        assert!(began.elapsed() >= Duration::from_millis(200), "{synced:?}");
        let told = String::from_utf8_lossy(&synced.stderr);
        assert!(told.contains("none") && !told.contains("'file'"), "{told}");
    }
}
