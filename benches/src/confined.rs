//! A machine on which three times what the gateway can carry can be offered at all: its disk is slow, and generator and
//! gateway do not take processor time from each other. Uses strace, and taskset of util-linux.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::gateway::Site;

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
    must_work(Command::new("strace").arg("--version"))?;
    let own = std::process::id().to_string();
    must_work(Command::new("taskset").args(["-a", "-c", "-p", &last.to_string(), &own]))?;
    let through = through(last, sync_delay);
    Ok(Site { binary: site.binary.clone(), folder: site.folder.clone(), through })
}

fn must_work(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} is missing"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// What the gateway is started by. Its tracer stands aside, and stops nothing but syncs.
fn through(processors: usize, sync_delay: Duration) -> Vec<String> {
    let pinned = ["taskset", "-c", &format!("0-{}", processors - 1)].map(str::to_owned);
    if sync_delay.is_zero() {
        return pinned.into();
    }
    let inject = format!("inject=fdatasync,fsync:delay_exit={}", sync_delay.as_micros());
    let slowed = ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"];
    let slowed = slowed.into_iter().chain(["-e", "trace=fdatasync,fsync", "-e", &inject]);
    pinned.into_iter().chain(slowed.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::through;

    #[test]
    fn leaves_the_last_processor_to_the_generator() {
        assert_eq!(through(3, Duration::ZERO), ["taskset", "-c", "0-2"]);
        let slow = through(1, Duration::from_millis(30));
        assert_eq!(slow[..3], ["taskset", "-c", "0-0"]);
        assert_eq!(slow.last().unwrap(), "inject=fdatasync,fsync:delay_exit=30000");
    }
}
