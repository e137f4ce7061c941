//! `waypost sandbox`: what it was started with is judged before anything listens.

use std::error::Error;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for an end.
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn a_webhook_address_that_is_none_ends_the_start_with_the_other_faults()
-> Result<(), Box<dyn Error>> {
    for address in ["not", "ftp://x"] {
        let mut sandbox = Command::new(env!("CARGO_BIN_EXE_waypost"))
            .args(["sandbox", "--webhook-url", address])
            .env("WAYPOST_SANDBOX__LISTEN", "127.0.0.1:0")
            .env("WAYPOST_EGRESS__ALLOW_NETWORKS", "tomorrow")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let began = Instant::now();
        let ended = loop {
            match sandbox.try_wait()? {
                None if began.elapsed() < LIMIT => std::thread::sleep(Duration::from_millis(20)),
                ended => break ended,
            }
        };
        sandbox.kill()?;
        sandbox.wait()?;
        let mut told = String::new();
        sandbox.stderr.take().ok_or("no output")?.read_to_string(&mut told)?;
        assert_eq!(ended.and_then(|status| status.code()), Some(1), "{address}: {told}");
        assert!(told.contains("egress.allow_networks"), "{told}");
        assert!(told.contains("--webhook-url"), "{address} was not refused: {told}");
    }
    Ok(())
}
