//! A gateway with its sandbox and demo organisation, started from the built binary on a folder of its own.
//!
//! For tests that are not written in Rust; those written in Rust start their own.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const READY_WITHIN: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(50);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The running process; ended when dropped.
pub(crate) struct Gateway {
    process: Child,
    /// The lines of `demo.env` as pairs.
    pub(crate) demo: Vec<(String, String)>,
}

impl Gateway {
    /// Starts `binary` on `data_dir`, an empty folder; its output goes to `log`.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) fn start(binary: &Path, data_dir: &Path, log: &Path) -> Result<Self> {
        let output =
            File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(binary);
        command.args(["--listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(data_dir).current_dir(data_dir);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WAYPOST_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let process =
            command.spawn().with_context(|| format!("cannot run {}", binary.display()))?;
        let mut gateway = Self { process, demo: Vec::new() };
        gateway
            .wait_until_ready(&data_dir.join("demo.env"))
            .with_context(|| format!("its output is in {}", log.display()))?;
        Ok(gateway)
    }

    /// A value of `demo.env`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn demo(&self, name: &str) -> Result<&str> {
        let found = self.demo.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).with_context(|| format!("demo.env has no {name}"))
    }

    fn wait_until_ready(&mut self, demo_env: &Path) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                bail!("the gateway ended with {status}");
            }
            self.demo = env_lines(&std::fs::read_to_string(demo_env).unwrap_or_default());
            if self.demo("WAYPOST_URL").is_ok_and(|url| answers_200(url, "/readyz")) {
                return Ok(());
            }
            thread::sleep(READY_POLL);
        }
        bail!("the gateway was not ready within {} s", READY_WITHIN.as_secs())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already; there is nothing left to do then.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn answers_200(base_url: &str, path: &str) -> bool {
    let ask = || -> Result<bool> {
        let host = base_url.trim_start_matches("http://");
        let address: SocketAddr = host.parse()?;
        let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
        stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(&head == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// The assignments of a file that a shell can source; `export` and quotes are taken off.
fn env_lines(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.trim().trim_start_matches("export ").split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::env_lines;

    #[test]
    fn reads_assignments_with_and_without_export_and_quotes() {
        let lines = env_lines("# made once\nexport A='one'\nB=two\n\nC=\"three=3\"\n");
        let pairs: Vec<(&str, &str)> =
            lines.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("A", "one"), ("B", "two"), ("C", "three=3")]);
    }
}
