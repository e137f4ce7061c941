//! A machine on which three times what the gateway can carry can be offered at all: its disk is slow, and generator and
//! gateway do not take processor time from each other. Uses a C compiler, and taskset of util-linux.
//!
//! The slow disk is a library that is loaded before the others (`slow_syncs.c`). A tracer would do without one, and make
//! every system call of the gateway's threads several times as expensive (strace with `--seccomp-bpf` too, for threads
//! that began after it): the processor would be measured and not the disk.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::gateway::Site;

const SLOW_SYNCS: &str = include_str!("slow_syncs.c");

/// A site whose gateway may use every processor but the last, and whose disk needs so much longer for each sync.
/// Moves this program, and what it starts from now on, to the last processor.
///
/// # Errors
/// When there is only one processor, or a program is missing.
pub(crate) fn site(site: &Site, sync_delay: Duration) -> Result<Site> {
    let processors = std::thread::available_parallelism()?.get();
    let Some(last) = processors.checked_sub(1).filter(|last| *last > 0) else {
        bail!("generator and gateway need a processor each");
    };
    let library = slow_syncs(&site.folder)?;
    let own = std::process::id().to_string();
    must_work(Command::new("taskset").args(["-a", "-c", "-p", &last.to_string(), &own]))?;
    let through = through(last, &library, sync_delay);
    Ok(Site { binary: site.binary.clone(), folder: site.folder.clone(), through })
}

/// Compiles the library into a folder.
fn slow_syncs(folder: &Path) -> Result<String> {
    let (source, library) = (folder.join("slow_syncs.c"), folder.join("slow_syncs.so"));
    std::fs::write(&source, SLOW_SYNCS)?;
    must_work(
        Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source),
    )?;
    let library = library.canonicalize()?.into_os_string();
    library
        .into_string()
        .map_err(|path| anyhow::anyhow!("not a path for a variable: {}", path.display()))
}

fn must_work(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} is missing"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// What the gateway is started by.
fn through(processors: usize, slow_syncs: &str, sync_delay: Duration) -> Vec<String> {
    let pinned = ["taskset", "-c", &format!("0-{}", processors - 1)].map(str::to_owned);
    let slowed = [
        "env".to_owned(),
        format!("LD_PRELOAD={slow_syncs}"),
        format!("SLOW_SYNCS_US={}", sync_delay.as_micros()),
    ];
    pinned.into_iter().chain(slowed).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::{slow_syncs, through};

    #[test]
    fn leaves_the_last_processor_to_the_generator() {
        let slow = through(3, "/a/slow.so", Duration::from_millis(30));
        let wanted =
            ["taskset", "-c", "0-2", "env", "LD_PRELOAD=/a/slow.so", "SLOW_SYNCS_US=30000"];
        assert_eq!(slow, wanted);
    }

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
