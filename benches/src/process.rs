//! Child processes and what Linux tells about them: processor time and resident memory.
//!
//! Reads `/proc`, so it works on Linux only.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// What a bare program prints before its address.
pub(crate) const ANNOUNCEMENT: &str = "listening ";

/// Linux shows processor time in hundredths of a second, whatever the kernel's own tick is.
const TICKS_PER_S: f64 = 100.0;

/// What a child that is asked to end may take for it.
const FAREWELL: Duration = Duration::from_secs(60);
const FAREWELL_POLL: Duration = Duration::from_millis(10);

/// How a child is ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Without warning.
    Kill,
    /// By a request to end, which it has a minute for: it has something to write.
    Ask,
}

/// A running child; ended when dropped.
pub(crate) struct Process {
    child: Child,
    ending: Ending,
}

impl Process {
    /// Starts a command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("cannot run {program}"))?;
        Ok(Self { child, ending: Ending::Kill })
    }

    /// Decides how it is ended.
    pub(crate) const fn end_by(&mut self, ending: Ending) {
        self.ending = ending;
    }

    /// Starts one of our own bare programs and waits until it says where it listens.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn start_bare(args: &[&str]) -> Result<(Self, SocketAddr)> {
        let mut command = Command::new(std::env::current_exe()?);
        // Its input stays open as long as we live: see `end_with_parent`.
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Self::start(&mut command)?;
        let stdout = process.child.stdout.take().context("its output is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().strip_prefix(ANNOUNCEMENT).context("it says where it listens")?;
        Ok((process, address.parse()?))
    }

    /// Ends it without warning.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub(crate) fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill()?)
    }

    /// Fails when the child has ended.
    ///
    /// # Errors
    /// With its exit status.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the process ended with {status}"),
            None => Ok(()),
        }
    }

    /// Processor time used so far, in seconds, in user and kernel mode, over all threads.
    ///
    /// # Errors
    /// When the child is gone.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        cpu_s_of(&self.child.id().to_string())
    }

    /// Resident memory now, in bytes.
    ///
    /// # Errors
    /// When the child is gone.
    pub(crate) fn resident_bytes(&self) -> Result<f64> {
        self.status_bytes("VmRSS:")
    }

    /// The most memory that was ever resident, in bytes.
    ///
    /// # Errors
    /// When the child is gone.
    pub(crate) fn peak_resident_bytes(&self) -> Result<f64> {
        self.status_bytes("VmHWM:")
    }

    /// Asks it to end, and waits for it.
    fn ask_to_end(&mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() && began.elapsed() < FAREWELL {
            thread::sleep(FAREWELL_POLL);
        }
        Ok(())
    }

    fn status_bytes(&self, key: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        status_kib(&status, key)
            .map(|kib| kib * 1024.0)
            .with_context(|| format!("/proc has no {key}"))
    }
}

/// Processor time that this program has used so far, in seconds.
///
/// # Errors
/// When `/proc` does not tell.
pub(crate) fn own_cpu_s() -> Result<f64> {
    cpu_s_of("self")
}

fn cpu_s_of(process: &str) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    cpu_ticks(&stat).map(|ticks| ticks / TICKS_PER_S).context("/proc has another form")
}

/// Ends this program when whoever started it is gone, however that came about.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        // Nothing is ever written: this returns when the other end is closed.
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ending == Ending::Ask {
            // Whoever cannot be asked is killed.
            drop(self.ask_to_end());
        }
        // It may have ended already; there is nothing left to do then.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Fields 14 and 15, counted behind the name, which may contain blanks and brackets.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let behind_name = stat.rsplit_once(')')?.1;
    let mut fields = behind_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let kernel: f64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

fn status_kib(status: &str, key: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, status_kib};

    #[test]
    fn reads_processor_time_behind_a_name_with_blanks_and_brackets() {
        let stat = "42 (way (po) st) S 1 42 42 0 -1 4194304 500 0 0 0 120 30 0 0 20 0 3 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(150.0));
        assert_eq!(cpu_ticks("42 (cut"), None);
    }

    #[test]
    fn reads_memory_in_kibibytes() {
        let status = "Name:\twaypost\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(status_kib(status, "VmHWM:"), Some(20480.0));
        assert_eq!(status_kib(status, "VmSwap:"), None);
    }
}
