//! `waypost doctor` beside a gateway whose addresses only its own command line named.

mod gateway;

use std::error::Error;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::gateway::{Gateway, waypost};

type Tested<T> = Result<T, Box<dyn Error>>;

/// Longest wait for a start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How the doctor grades a check.
fn graded(folder: &Path, check: &str) -> Tested<Option<String>> {
    let told = waypost(folder).args(["doctor", "--data-dir", "data", "--json"]).output()?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let checks = told["checks"].as_array().ok_or("no checks")?;
    let found = checks.iter().find(|finding| finding["check"] == check);
    Ok(found.and_then(|finding| finding["result"].as_str()).map(str::to_owned))
}

#[test]
fn the_sandbox_is_found_where_the_gateway_s_command_line_put_it() -> Tested<()> {
    let folder = tempfile::tempdir()?;
    let mut serve = waypost(folder.path());
    serve.env("WAYPOST_DEMO", "false");
    serve.args(["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]);
    serve.args(["--sandbox-listen", "127.0.0.1:0"]).stdout(Stdio::null());
    let _gateway = Gateway(serve.spawn()?);
    let began = Instant::now();
    while graded(folder.path(), "management API")?.as_deref() != Some("ok") {
        assert!(began.elapsed() < START_LIMIT, "the gateway did not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(graded(folder.path(), "upstream")?.as_deref(), Some("ok"));
    Ok(())
}
