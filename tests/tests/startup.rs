//! Starts that must not succeed, each with one clear line and its exit code; and what a start makes
//! and keeps.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use waypost_tests::waypost::{Ended, new_folder};
use waypost_tests::{MockUpstream, Options, Waypost, eventually};

/// The process ended with this code and told why in one line.
fn assert_told(ended: &Ended, code: i32, words: &[&str]) {
    let told: Vec<&str> = ended.errors.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(ended.status.code(), Some(code), "{}", ended.errors);
    assert_eq!(told.len(), 1, "not one line: {}", ended.errors);
    assert!(!ended.errors.contains("panicked"), "{}", ended.errors);
    for word in words {
        assert!(told[0].contains(word), "`{word}` is not in: {}", told[0]);
    }
}

async fn refusal(options: Options) -> Ended {
    match options.try_start().await {
        Ok(_) => panic!("the gateway started"),
        Err(ended) => ended,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = refusal(Options::new().env("WAYPOST_LISTEN", &address)).await;
    assert_told(&ended, 1, &[&address, "listen"]);
    let ended = refusal(Options::new().env("WAYPOST_SANDBOX__LISTEN", &address)).await;
    assert_told(&ended, 1, &[&address, "sandbox.listen"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_named() {
    // A file system that takes no files, whoever asks.
    let folder = "/proc/waypost-data";
    let ended = refusal(Options::new().env("WAYPOST_DATA_DIR", folder)).await;
    assert_told(&ended, 1, &[folder]);
    let file = new_folder();
    let path = file.path().join("a-file");
    std::fs::write(&path, "not a folder").unwrap();
    let path = path.display().to_string();
    let ended = refusal(Options::new().env("WAYPOST_DATA_DIR", &path)).await;
    assert_told(&ended, 1, &[&path]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_folder_is_refused_and_the_first_goes_on() {
    let waypost = Waypost::start().await;
    let second = Options::new().folder(waypost.folder());
    let ended = refusal(second).await;
    assert_told(&ended, 1, &["used by another process", &waypost.pid().to_string()]);
    waypost.send_text("still here").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_is_left_alone() {
    let (options, status) = Waypost::start().await.stop().await;
    assert!(status.success(), "{status:?}");
    let folder = new_folder();
    let options = {
        let started = options.start().await;
        let data = started.data_dir();
        let (options, _) = started.stop().await;
        let database = rusqlite::Connection::open(data.join("waypost.db")).unwrap();
        database.pragma_update(None, "user_version", 9_999).unwrap();
        database.close().unwrap();
        options
    };
    drop(folder);
    assert_told(&refusal(options).await, 1, &["newer version", "waypost.db"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_has_gone_is_not_made_anew() {
    let started = Waypost::start().await;
    started.send_text("something to keep").await.expect(200);
    let database = started.data_dir().join("waypost.db");
    let (options, _) = started.stop().await;
    let kept = std::fs::read(&database).unwrap();
    std::fs::remove_file(&database).unwrap();
    let words = ["waypost.db", "missing or empty", "waypost restore"];
    assert_told(&refusal(options.clone()).await, 1, &words);
    std::fs::write(&database, "").unwrap();
    assert_told(&refusal(options.clone()).await, 1, &words);
    std::fs::write(&database, kept).unwrap();
    assert_eq!(options.start().await.log().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_or_missing_master_key_opens_nothing() {
    let started = Waypost::start().await;
    let key = started.data_dir().join("master.key");
    let (options, _) = started.stop().await;
    let right = std::fs::read_to_string(&key).unwrap();
    for (wrong, word) in [("00".repeat(32), "master key"), ("not a key".to_owned(), "master key")] {
        std::fs::write(&key, wrong).unwrap();
        assert_told(&refusal(options.clone()).await, 1, &[word]);
    }
    std::fs::remove_file(&key).unwrap();
    assert_told(&refusal(options.clone()).await, 1, &["master key", "missing"]);
    std::fs::write(&key, right).unwrap();
    options.start().await.send_text("with the right key").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_of_a_configuration_are_told_at_once() {
    let options = Options::new()
        .env("WAYPOST_LISTEN", "nowhere")
        .env("WAYPOST_UPSTREAM__BASE_URL", "ftp://x")
        .env("WAYPOST_EGRESS__ALLOW_NETWORKS", "10.0.0.0/8,everything")
        .env("WAYPOST_TLS__CERT_FILE", "/tmp/cert.pem")
        .env("WAYPOST_DEMO", "perhaps");
    let ended = refusal(options).await;
    assert_eq!(ended.status.code(), Some(1));
    for setting in ["listen", "upstream.base_url", "egress.allow_networks", "tls.key_file", "demo"]
    {
        let line =
            ended.errors.lines().find(|line| line.starts_with("error: ") && line.contains(setting));
        assert!(line.is_some(), "{setting} is not named: {}", ended.errors);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_use_of_the_command_line_is_exit_code_2() {
    for args in [&["--no-such-flag"][..], &["no-such-command"], &["config"]] {
        let options = args.iter().fold(Options::new(), |options, arg| options.arg(arg));
        let ended = refusal(options).await;
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {}", ended.errors);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_variable_is_a_warning() {
    let waypost = Options::new().env("WAYPOST_LISTENN", "127.0.0.1:1").start().await;
    assert!(waypost.errors().contains("WAYPOST_LISTENN"), "{}", waypost.errors());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_sandbox_a_real_upstream_needs_its_address_and_secret() {
    let ended = refusal(Options::new().arg("--no-sandbox")).await;
    assert_eq!(ended.status.code(), Some(1));
    for setting in ["public_url", "webhook.app_secret"] {
        assert!(ended.errors.contains(setting), "{setting} is not named: {}", ended.errors);
    }
    let plain = Options::new()
        .arg("--no-sandbox")
        .env("WAYPOST_PUBLIC_URL", "http://gateway.example.com")
        .env("WAYPOST_WEBHOOK__APP_SECRET", "a-secret");
    assert_told(&refusal(plain).await, 1, &["public_url", "https"]);
    let waypost = Options::new()
        .arg("--no-sandbox")
        .env("WAYPOST_PUBLIC_URL", "https://gateway.example.com")
        .env("WAYPOST_WEBHOOK__APP_SECRET", "a-secret")
        .start()
        .await;
    let ready = waypost.get("/readyz").await.expect(200).json();
    assert_eq!(ready["upstream"]["sandbox"], false, "{ready}");
    assert!(ready["upstream"]["name"].as_str().unwrap().contains("graph.facebook.com"), "{ready}");
    eventually("an upstream named in the log", async || {
        waypost.errors().contains("graph.facebook.com").then_some(())
    })
    .await;
    assert!(!waypost.data_dir().join("demo.env").exists(), "no demo with a real upstream");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_the_sandbox_for_a_real_phone_or_the_other_way_round() {
    let mock = MockUpstream::start().await;
    let waypost = Waypost::start().await;
    let ready = waypost.get("/readyz").await.expect(200).json();
    assert_eq!(ready["upstream"]["sandbox"], true, "{ready}");
    // Numbers that are real are refused while the sandbox is the upstream.
    let org = waypost.variable("WAYPOST_ORG_ID");
    let number = json!({"display_phone": "15550008888", "phone_number_id": "200000000000001",
        "waba_id": "200000000000002", "access_token": "a-real-token"});
    let refused = waypost.admin().post(&format!("/orgs/{org}/numbers"), &number).await;
    assert!((400..500).contains(&refused.status), "{}: {}", refused.status, refused.text());
    assert_eq!(waypost.admin().all(&format!("/orgs/{org}/numbers")).await.len(), 1);
    let (options, _) = waypost.stop().await;
    let real = options.clone().upstream(&mock.url()).env("WAYPOST_DEMO", "");
    assert_told(&refusal(real.clone()).await, 1, &["sandbox", "--demo"]);
    let forced = real.arg("--demo").start().await;
    forced.send_text("through the mock").await.expect(200);
    assert_eq!(mock.accepted(), 1);
    drop(forced);
    // A folder made with a real upstream is not swallowed by the sandbox.
    let (options, _) = Waypost::before(&mock).await.stop().await;
    let sandboxed = options.env("WAYPOST_UPSTREAM__BASE_URL", "").env("WAYPOST_DEMO", "");
    let sandboxed = sandboxed.env("WAYPOST_UPSTREAM__ACCESS_TOKEN", "");
    assert_told(&refusal(sandboxed).await, 1, &["real upstream", "--demo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_finds_everything_as_it_was() {
    let first = Waypost::start().await;
    first.send_text("before").await.expect(200);
    let read = |waypost: &Waypost, name: &str| {
        std::fs::read_to_string(waypost.data_dir().join(name)).unwrap()
    };
    let (demo, admin) = (read(&first, "demo.env"), read(&first, "admin.env"));
    let (options, status) = first.stop().await;
    assert_eq!(status.code(), Some(0));
    let second = options.start().await;
    assert_eq!(read(&second, "demo.env"), demo);
    assert_eq!(read(&second, "admin.env"), admin);
    second.send_text("after").await.expect(200);
    assert_eq!(second.log().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_folder_is_its_owner_s_alone() {
    let waypost = Waypost::start().await;
    waypost.send_text("something to keep").await.expect(200);
    let mode = |name: &str| {
        let path = waypost.data_dir().join(name);
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    for name in ["admin.env", "demo.env", "master.key"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}
