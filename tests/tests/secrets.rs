//! Canaries: secrets, bodies and phone numbers are planted everywhere, everything is exercised at the
//! most talkative log level, and then every file is searched (T26).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::files::{PNG, base64};
use waypost_tests::media_host::TOKEN;
use waypost_tests::mock_upstream::Deed;
use waypost_tests::signing::signature;
use waypost_tests::waypost::{APP_SECRET, UPSTREAM_TOKEN};
use waypost_tests::{MediaHost, MockUpstream, Options, Reply, Waypost, eventually};

const BODY: &str = "canary-body-6f1d the parcel is at the door";
const CAPTION: &str = "canary-caption-3b9e";
const INBOUND: &str = "canary-inbound-77a0";
const PHONE: &str = "15550006161";
const STRANGER: &str = "15550007272";
const NUMBER_TOKEN: &str = "canary-number-token-0c5d9e";
const NUMBER_SECRET: &str = "canary-number-secret-4e21f7";
const NOTIFY_AUTH: &str = "canary-notify-auth-a8b3";
const TOKEN_SECRET: &str = "canary-token-secret-5b7d10c2";
const WEBHOOK_SECRET: &str = "canary-webhook-secret-92f4ae";
const WEBHOOK_HEADER: &str = "canary-webhook-header-1d08";
const IMPORTED_KEY: &str = "wp_test_canary-key-8c1f0b7e5d3a2946f0e1";

/// Where a word may stand.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Nowhere in the clear, except in the files that hand it to its owner.
    Secret,
    /// In the database, not in the log.
    Personal,
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// Whether a file exists to tell its owner this secret.
fn hands_out(file: &Path) -> bool {
    let name = file.file_name().unwrap().to_string_lossy();
    ["admin.env", "demo.env", "master.key"].contains(&name.as_ref())
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// Everything that is found where it must not be.
fn leaks(waypost: &Waypost, words: &[(String, Kind)]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files_below(waypost.folder().path()) {
        let bytes = std::fs::read(&file).unwrap();
        let is_log = file.extension().is_some_and(|extension| extension == "log");
        for (word, kind) in words {
            let forbidden = match kind {
                Kind::Secret => !hands_out(&file),
                Kind::Personal => is_log,
            };
            if forbidden && contains(&bytes, word) {
                let text = String::from_utf8_lossy(&bytes);
                let line = text.lines().find(|line| line.contains(word.as_str()));
                let line: String = line.unwrap_or_default().chars().take(400).collect();
                found.push(format!("{word} in {}: {line}", file.display()));
            }
        }
    }
    found
}

/// A gateway that may call addresses of this machine.
fn open_options(mock: &MockUpstream) -> Options {
    Options::new()
        .upstream(&mock.url())
        .env("WAYPOST_EGRESS__ALLOW_NETWORKS", "127.0.0.1/32")
        .env("WAYPOST_EGRESS__ALLOW_HTTP_CALLBACKS", "true")
}

async fn plant(waypost: &Waypost, host: &MediaHost) -> String {
    let org = waypost.variable("WAYPOST_ORG_ID");
    let admin = waypost.admin();
    let keys = format!("/orgs/{org}/api-keys");
    let wanted = json!({"name": "made", "scopes": ["messages:send", "admin"]});
    let made = admin.post(&keys, &wanted).await.ok().json();
    let made_key = made["secret"].as_str().unwrap().to_owned();
    let jwt = json!({"service_id": "service-1", "secret": TOKEN_SECRET});
    let imported = json!({"name": "imported", "scopes": ["messages:send"], "secret": IMPORTED_KEY,
        "jwt": jwt});
    admin.post(&keys, &imported).await.ok();
    let number = json!({"id": "n-canary", "display_phone": "15550008888",
        "phone_number_id": "200000000000001", "waba_id": "200000000000002",
        "access_token": NUMBER_TOKEN, "app_secret": NUMBER_SECRET, "notify_auth": {"crm": NOTIFY_AUTH}});
    admin.post(&format!("/orgs/{org}/numbers"), &number).await.ok();
    let provider = json!({"name": "archive", "scheme": "bearer", "secret": TOKEN,
        "allowed_hosts": [host.url("").trim_start_matches("http://")]});
    admin.post(&format!("/orgs/{org}/media-providers"), &provider).await.ok();
    let webhook = json!({"url": host.url("/events"), "secret": WEBHOOK_SECRET,
        "header": format!("Authorization: {WEBHOOK_HEADER}")});
    admin.post(&format!("/orgs/{org}/webhooks"), &webhook).await.ok();
    let customer = json!({"id": "c-canary", "phone": PHONE, "name": "Canary"});
    admin.post(&format!("/orgs/{org}/customers"), &customer).await.ok();
    made_key
}

async fn exercise(waypost: &Waypost, mock: &MockUpstream, host: &MediaHost, made_key: &str) {
    let to_canary = |message: Value| {
        waypost_tests::fixture::with(
            waypost.demo_message(&message),
            "/customerId",
            json!("c-canary"),
        )
    };
    let send = async |message: Value, key: &str| {
        let request = waypost.request(Method::POST, "/whatsapp/messages/send");
        Reply::to(request.header("X-API-KEY", key).json(&to_canary(message))).await
    };
    let text = || json!({"type": "text", "text": {"body": BODY}});
    let file = json!({"name": "p.png", "type": "image/png", "displayType": "IMAGE",
        "extension": "png", "data": base64(PNG)});
    let image = json!({"type": "image", "image": {"file": file, "caption": CAPTION}});
    let link = host.url("/bearer/offer.pdf");
    let document = json!({"type": "document", "document": {"link": link, "provider": "archive",
        "caption": CAPTION}});
    for key in [made_key, IMPORTED_KEY] {
        send(text(), key).await.expect(200);
    }
    send(image, IMPORTED_KEY).await.expect(200);
    send(document, IMPORTED_KEY).await.expect(200);
    // Refusals, errors and confusions of every kind.
    for deed in [
        Deed::Code(400, 131_026),
        Deed::Code(401, 190),
        Deed::Html(502),
        Deed::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnonsense!".to_vec()),
        Deed::Reset,
    ] {
        mock.messages_meet(deed);
        drop(send(text(), IMPORTED_KEY).await);
    }
    mock.messages_meet(Deed::Accept);
    drop(send(json!({"type": "text", "text": {"body": 5}}), IMPORTED_KEY).await);
    drop(send(text(), "wp_test_canary-unknown-key-31d7").await);
    let org = waypost.variable("WAYPOST_ORG_ID");
    let by_number =
        json!({"number": "n-canary", "to": PHONE, "type": "text", "text": {"body": BODY}});
    let queued = waypost.admin().post(&format!("/orgs/{org}/messages"), &by_number).await.ok();
    let id = queued.json()["id"].as_str().unwrap().to_owned();
    eventually("a message with the number's own token", async || {
        let path = format!("/orgs/{org}/messages/{id}");
        (waypost.admin().get(&path).await.json()["status"] == "sent").then_some(())
    })
    .await;
    speak_every_dialect(waypost).await;
    let own_token = format!("Bearer {NUMBER_TOKEN}");
    assert!(mock.seen().iter().any(|it| it.header("authorization") == Some(own_token.as_str())));
    receive(waypost).await;
}

async fn speak_every_dialect(waypost: &Waypost) {
    let key = waypost.variable("WAYPOST_API_KEY");
    let from = waypost.variable("WAYPOST_SENDER_PHONE");
    let lipachat = json!({"messageId": "m-1", "from": from, "to": PHONE, "message": BODY});
    let text = json!({"type": "text", "text": {"body": BODY}});
    let webex = json!({"appid": waypost.variable("WAYPOST_APP_ID"),
        "destination": [{"waid": [PHONE]}], "channels": {"OTT-Messaging": {"wa": text}}});
    let pepipost = json!({"message": [{"recipient_whatsapp": PHONE, "message_type": "text",
        "type_text": [{"content": BODY}]}]});
    for (path, header, body) in [
        ("/api/v1/whatsapp/message/text", "apiKey", lipachat),
        ("/resources/v1/messaging", "key", webex),
        ("/api/v2/message/", "authorization", pepipost),
    ] {
        let request = waypost.request(Method::POST, path).header(header, &key).json(&body);
        Reply::to(request).await.expect(200);
    }
}

async fn receive(waypost: &Waypost) {
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550008888", "phone_number_id": "200000000000001"},
        "contacts": [{"profile": {"name": "Stranger"}, "wa_id": STRANGER}],
        "messages": [{"from": STRANGER, "id": "wamid.CANARY", "timestamp": "1700000000",
            "type": "text", "text": {"body": INBOUND}}]});
    let event = json!({"object": "whatsapp_business_account", "entry": [{"id": "200000000000002",
        "changes": [{"field": "messages", "value": value}]}]});
    let body = event.to_string();
    for secret in [NUMBER_SECRET, "canary-wrong-secret"] {
        let request = waypost.request(Method::POST, "/webhooks/meta").body(body.clone());
        let signature = signature(secret, body.as_bytes());
        drop(Reply::to(request.header("X-Hub-Signature-256", signature)).await);
    }
    eventually("the stranger's message in the log", async || {
        waypost.log().await.into_iter().find(|message| message["wamid"] == "wamid.CANARY")
    })
    .await;
}

/// Makes a backup beside the data folder, where it is searched like every other file.
async fn back_up(waypost: &Waypost) -> Vec<u8> {
    let file = waypost.folder().path().join("backup.tar");
    let made = tokio::process::Command::new(waypost_tests::binary::path())
        .arg("backup")
        .arg(&file)
        .arg("--data-dir")
        .arg(waypost.data_dir())
        .env_remove("WAYPOST_URL")
        .env_remove("WAYPOST_ADMIN_KEY")
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    std::fs::read(file).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_file_and_nothing_personal_in_the_log() {
    let mock = MockUpstream::start().await;
    let host = MediaHost::start().await;
    let waypost = open_options(&mock).env("WAYPOST_LOG", "trace").start().await;
    let made_key = plant(&waypost, &host).await;
    exercise(&waypost, &mock, &host, &made_key).await;
    let secret = |word: &str| (word.to_owned(), Kind::Secret);
    let personal = |word: &str| (word.to_owned(), Kind::Personal);
    let words = [
        secret(&made_key),
        secret(IMPORTED_KEY),
        secret(NUMBER_TOKEN),
        secret(NUMBER_SECRET),
        secret(NOTIFY_AUTH),
        secret(TOKEN_SECRET),
        secret(WEBHOOK_SECRET),
        secret(WEBHOOK_HEADER),
        secret(TOKEN),
        secret(UPSTREAM_TOKEN),
        secret(APP_SECRET),
        secret(&waypost.variable("WAYPOST_ADMIN_KEY")),
        secret(&waypost.variable("WAYPOST_API_KEY")),
        secret(&waypost.variable("WAYPOST_WEBHOOK_VERIFY_TOKEN")),
        personal("wp_test_canary-unknown-key-31d7"),
        personal(BODY),
        personal(CAPTION),
        personal(INBOUND),
        personal(PHONE),
        personal(STRANGER),
    ];
    assert!(waypost.errors().len() > 10_000, "the log is silent: the test would find nothing");
    let backup = back_up(&waypost).await;
    assert!(contains(&backup, "c-canary"), "the backup holds what it should");
    // While it runs, with its write-ahead log; and after its end.
    assert_eq!(leaks(&waypost, &words), Vec::<String>::new());
    let metrics = waypost.get("/metrics").await.expect(200).body;
    for (word, _) in &words {
        assert!(!contains(&metrics, word), "{word} in the metrics");
    }
    let planted_and_found = [secret("c-canary")];
    assert!(!leaks(&waypost, &planted_and_found).is_empty(), "the search finds nothing at all");
    let (options, _) = waypost.stop().await;
    let waypost = options.start().await;
    assert_eq!(leaks(&waypost, &words), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_shows_a_secret_again() {
    let mock = MockUpstream::start().await;
    let host = MediaHost::start().await;
    let waypost = open_options(&mock).start().await;
    let made_key = plant(&waypost, &host).await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    for path in [
        format!("/orgs/{org}/api-keys?limit=100"),
        format!("/orgs/{org}/numbers"),
        format!("/orgs/{org}/numbers/n-canary"),
        format!("/orgs/{org}/media-providers"),
        format!("/orgs/{org}/media-providers/archive"),
        format!("/orgs/{org}/webhooks"),
        "/me".to_owned(),
    ] {
        let text = waypost.admin().get(&path).await.expect(200).text();
        let planted = [NUMBER_TOKEN, NUMBER_SECRET, NOTIFY_AUTH, TOKEN];
        let of_callers = [made_key.as_str(), IMPORTED_KEY, TOKEN_SECRET];
        let of_webhooks = [WEBHOOK_SECRET, WEBHOOK_HEADER];
        for secret in planted.iter().chain(&of_callers).chain(&of_webhooks) {
            assert!(!text.contains(secret), "{path} shows {secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_gateway_and_sandbox_names_nobody_not_even_in_an_id() {
    let waypost = Options::new().env("WAYPOST_LOG", "trace").start().await;
    let phone = waypost.variable("WAYPOST_CUSTOMER_PHONE");
    waypost.send_text(BODY).await.expect(200);
    let wamid = waypost.sandbox().writes(&phone, INBOUND).await;
    eventually("the reply in the log", async || {
        waypost.log().await.into_iter().find(|message| message["wamid"] == wamid)
    })
    .await;
    waypost
        .sandbox()
        .settled(waypost.sandbox().ledger().await[0]["wamid"].as_str().unwrap(), "delivered")
        .await;
    // The upstream's ids hold the number in base64.
    let words = [phone.as_str(), BODY, INBOUND, "wamid.HBg"];
    let errors = waypost.errors();
    for word in words {
        let line = errors.lines().find(|line| line.contains(word));
        assert!(line.is_none(), "{word} in the log: {}", line.unwrap_or_default());
    }
}
