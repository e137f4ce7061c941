//! A machine on which three times what the gateway can carry can be offered at all: its disk is slow, and generator and
//! gateway do not take processor time from each other. Uses taskset of util-linux.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::gateway::Site;
use crate::slow_disk::{self, must_work};

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
    let own = std::process::id().to_string();
    must_work(Command::new("taskset").args(["-a", "-c", "-p", &last.to_string(), &own]))?;
    let mut slow = slow_disk::site(site, sync_delay)?;
    slow.through.splice(0..0, pinned(last));
    Ok(slow)
}

/// What starts a program on the first processors.
fn pinned(processors: usize) -> [String; 3] {
    ["taskset", "-c", &format!("0-{}", processors - 1)].map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::pinned;

    #[test]
    fn leaves_the_last_processor_to_the_generator() {
        assert_eq!(pinned(1), ["taskset", "-c", "0-0"]);
        assert_eq!(pinned(3), ["taskset", "-c", "0-2"]);
    }
}
