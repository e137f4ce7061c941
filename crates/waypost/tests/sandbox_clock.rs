//! The clock that gateway and sandbox share, over restarts of the real binary: it never goes back.
//! With a real upstream nothing of it is left.

mod gateway;

use std::collections::HashMap;
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::gateway::{Gateway, waypost};

type Tested<T> = Result<T, Box<dyn Error>>;

const DAY_S: i64 = 86_400;
/// How far the clock is advanced.
const ADVANCED_S: i64 = 5 * DAY_S;
/// Longest wait for a start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A gateway with the sandbox, both at ports of the system's choice.
fn with_sandbox(folder: &Path) -> Command {
    let mut command = waypost(folder);
    command.args(["--data-dir", "data", "--listen", "127.0.0.1:0"]);
    command.args(["--sandbox-listen", "127.0.0.1:0"]).stdout(Stdio::null());
    command
}

fn start(folder: &Path) -> Tested<(Gateway, String)> {
    started(folder, &mut with_sandbox(folder))
}

/// Starts it and waits until the sandbox answers at the address in `demo.env`.
fn started(folder: &Path, command: &mut Command) -> Tested<(Gateway, String)> {
    let variables = folder.join("data/demo.env");
    if let Ok(old) = std::fs::read_to_string(&variables) {
        // The port of the last start may be somebody else's by now.
        std::fs::write(&variables, old.replace("SANDBOX_URL=", "OLD_URL="))?;
    }
    let gateway = Gateway(command.spawn()?);
    let began = Instant::now();
    while began.elapsed() < START_LIMIT {
        let text = std::fs::read_to_string(&variables).unwrap_or_default();
        let address = text.lines().find_map(|line| line.strip_prefix("SANDBOX_URL=http://"));
        if let Some(address) = address
            && call(address, "GET", "/_sandbox/clock", "").is_ok()
        {
            return Ok((gateway, address.to_owned()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("the gateway did not start".into())
}

/// What a reply of 200 holds.
fn call(address: &str, method: &str, path: &str, body: &str) -> Tested<Value> {
    let (status, body) = exchange(address, method, path, "", body)?;
    if status == 200 { Ok(serde_json::from_str(&body)?) } else { Err(body.into()) }
}

fn exchange(
    address: &str,
    method: &str,
    path: &str,
    header: &str,
    body: &str,
) -> Tested<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         {header}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let (head, body) = reply.split_once("\r\n\r\n").ok_or("no reply")?;
    let status = head.split(' ').nth(1).ok_or("no status")?;
    Ok((status.parse()?, body.to_owned()))
}

/// The status of the reply to a text that is sent to the demo's first customer.
fn send_text(folder: &Path) -> Tested<u16> {
    let text = std::fs::read_to_string(folder.join("data/demo.env"))?;
    let variables: HashMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let header = format!("X-API-KEY: {}\r\n", variables["WAYPOST_API_KEY"]);
    let body = json!({
        "message": {"type": "text", "text": {"body": "hello"}},
        "sessionId": "clock",
        "customerId": variables["WAYPOST_CUSTOMER_ID"],
        "userId": variables["WAYPOST_USER_ID"],
        "orgId": variables["WAYPOST_ORG_ID"],
    });
    let gateway = variables["WAYPOST_URL"].trim_start_matches("http://");
    let (status, _) =
        exchange(gateway, "POST", "/whatsapp/messages/send", &header, &body.to_string())?;
    Ok(status)
}

/// How far the sandbox's clock is ahead of the machine's, in seconds.
fn ahead_s(address: &str) -> Tested<i64> {
    let now_ms =
        call(address, "GET", "/_sandbox/clock", "")?["now_ms"].as_i64().ok_or("no hour")?;
    let machine = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok((now_ms - i64::try_from(machine.as_millis())?) / 1_000)
}

fn advance(address: &str) -> Tested<()> {
    let body = json!({ "seconds": ADVANCED_S }).to_string();
    call(address, "POST", "/_sandbox/clock/advance", &body).map(drop)
}

#[test]
fn an_advance_that_was_answered_outlives_a_kill() -> Tested<()> {
    let folder = tempfile::tempdir()?;
    let (gateway, sandbox) = start(folder.path())?;
    assert!(ahead_s(&sandbox)?.abs() < DAY_S, "it begins with the machine's hour");
    advance(&sandbox)?;
    advance(&sandbox)?;
    drop(gateway);
    for advances in 2..=3 {
        let (_gateway, sandbox) = start(folder.path())?;
        let ahead_s = ahead_s(&sandbox)?;
        assert!((ahead_s - advances * ADVANCED_S).abs() < DAY_S, "{ahead_s} s ahead");
        assert_eq!(send_text(folder.path())?, 200, "the start renews the demo's windows");
        advance(&sandbox)?;
        assert_eq!(send_text(folder.path())?, 409, "the window has ended");
    }
    Ok(())
}

/// Runs a command on the data folder `data` below another one.
fn run(folder: &Path, words: &[&str]) -> Tested<()> {
    let output = with_sandbox(folder).args(words).stderr(Stdio::piped()).output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(told.into()) }
}

#[test]
fn a_restored_sandbox_goes_on_at_the_hour_of_its_backup() -> Tested<()> {
    let folder = tempfile::tempdir()?;
    let (gateway, sandbox) = start(folder.path())?;
    advance(&sandbox)?;
    run(folder.path(), &["backup", "copy.tar"])?;
    drop(gateway);
    let restored = tempfile::tempdir()?;
    std::fs::create_dir(restored.path().join("data"))?;
    let key = "data/master.key";
    std::fs::copy(folder.path().join(key), restored.path().join(key))?;
    let copy = folder.path().join("copy.tar").display().to_string();
    run(restored.path(), &["restore", &copy])?;
    let (_gateway, sandbox) =
        started(restored.path(), with_sandbox(restored.path()).arg("--demo"))?;
    let ahead_s = ahead_s(&sandbox)?;
    assert!((ahead_s - ADVANCED_S).abs() < DAY_S, "{ahead_s} s ahead");
    Ok(())
}

/// A mock of Meta on the folder of a sandbox, which `--demo` allows, with a sandbox beside it.
#[test]
fn a_real_upstream_has_the_machines_hour_and_hears_nothing_of_a_sandboxs() -> Tested<()> {
    let folder = tempfile::tempdir()?;
    let (gateway, sandbox) = start(folder.path())?;
    advance(&sandbox)?;
    drop(gateway);
    let file = folder.path().join("data/sandbox/clock-ahead-ms");
    for kept in [std::fs::read_to_string(&file)?, "not a number".to_owned()] {
        std::fs::write(&file, &kept)?;
        let output = folder.path().join("output");
        let log = std::fs::File::create(&output)?;
        let mut command = with_sandbox(folder.path());
        command.arg("--demo").stdout(log.try_clone()?).stderr(log);
        command.env("WAYPOST_SANDBOX__ENABLED", "true");
        command.env("WAYPOST_UPSTREAM__BASE_URL", "http://127.0.0.1:9");
        command.env("WAYPOST_PUBLIC_URL", "https://gateway.example.com");
        command.env("WAYPOST_WEBHOOK__APP_SECRET", "0123456789abcdef");
        let (gateway, sandbox) = started(folder.path(), &mut command)?;
        assert!(ahead_s(&sandbox)?.abs() < DAY_S, "its clock was advanced");
        advance(&sandbox)?;
        drop(gateway);
        assert_eq!(std::fs::read_to_string(&file)?, kept, "the file was touched");
        let told = std::fs::read_to_string(&output)?;
        assert!(!told.contains("clock"), "{told}");
    }
    Ok(())
}
