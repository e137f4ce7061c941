//! `waypost backup` tells the gateway that its file is whole.

mod gateway;

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::gateway::{Gateway, waypost};

type Tested<T> = Result<T, Box<dyn Error>>;

/// Longest wait for a start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The gateway's address, once it is written.
fn address(folder: &Path) -> Tested<String> {
    let began = Instant::now();
    loop {
        let file = std::fs::read_to_string(folder.join("data/admin.env")).unwrap_or_default();
        let url = file.lines().find_map(|line| line.strip_prefix("WAYPOST_URL=http://"));
        if let Some(url) = url.filter(|url| TcpStream::connect(url).is_ok()) {
            return Ok(url.to_owned());
        }
        assert!(began.elapsed() < START_LIMIT, "the gateway did not start");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The hour of the last backup, as the metrics tell it.
fn last_backup(address: &str) -> Tested<u64> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let name = "waypost_last_backup_timestamp_seconds ";
    let value = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such metric")?;
    Ok(value.trim().parse()?)
}

#[test]
fn a_backup_that_is_written_counts() -> Tested<()> {
    let folder = tempfile::tempdir()?;
    let mut serve = waypost(folder.path());
    serve.env("WAYPOST_DEMO", "false");
    serve.args(["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]);
    serve.args(["--sandbox-listen", "127.0.0.1:0"]).stdout(Stdio::null());
    let _gateway = Gateway(serve.spawn()?);
    let address = address(folder.path())?;
    assert_eq!(last_backup(&address)?, 0);
    let made =
        waypost(folder.path()).args(["backup", "copy.tar", "--data-dir", "data"]).output()?;
    assert!(made.status.success());
    assert_ne!(last_backup(&address)?, 0);
    Ok(())
}
