//! The LipaChat document's own samples in its three languages, run as their readers run them:
//! verbatim but for host, key, ids, numbers and addresses of media. Fixtures: `fixtures/seeds`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use serde_json::{Value, json};
use waypost_tests::programs::{java, javascript};
use waypost_tests::shell::{bash, complaints, printed};
use waypost_tests::{MediaHost, Options, Waypost};

const VENDOR: &str = "https://gateway.lipachat.com";
const MESSAGE_ID: &str = "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7ba0";
const SHELL: &str = include_str!("../fixtures/seeds/lipachat_media.sh");
const JAVA: &str = include_str!("../fixtures/seeds/lipachat_media.java");
const JAVASCRIPT: &str = include_str!("../fixtures/seeds/lipachat_media.js");
const IMAGE: &str = include_str!("../fixtures/seeds/lipachat_image.json");
const VIDEO: &str = include_str!("../fixtures/seeds/lipachat_video.json");
const AUDIO: &str = include_str!("../fixtures/seeds/lipachat_audio.json");
const DOCUMENT: &str = include_str!("../fixtures/seeds/lipachat_document.json");
const REPLY: &str = include_str!("../fixtures/seeds/lipachat_reply.json");
const REPLY_400: &str = include_str!("../fixtures/seeds/lipachat_400.json");
const REPLY_401: &str = include_str!("../fixtures/seeds/lipachat_401.json");

/// Somebody who follows the document on a gateway of their own.
struct Reader {
    waypost: Waypost,
    media: MediaHost,
}

impl Reader {
    async fn new() -> Self {
        let local = Options::new().env("WAYPOST_EGRESS__ALLOW_NETWORKS", "127.0.0.1/32");
        Self { waypost: local.start().await, media: MediaHost::start().await }
    }

    /// The sample with this reader's values in place of the document's.
    fn filled(&self, sample: &str) -> String {
        let variable = |name: &str| self.waypost.variable(name);
        let media = self.media.url("");
        let mut text = sample.to_owned();
        for (placeholder, value) in [
            (VENDOR, self.waypost.url().to_owned()),
            ("https://files.example.com", media.clone()),
            ("http://files.example.com", media),
            ("LIPACHAT_API_KEY", variable("WAYPOST_API_KEY")),
            ("1555XXXXX", variable("WAYPOST_CUSTOMER_PHONE")),
            ("{{YOUR_PHONE_NUMBER}}", variable("WAYPOST_CUSTOMER_PHONE")),
            ("{{WA_PHONE_NUMBER}}", variable("WAYPOST_SENDER_PHONE")),
        ] {
            text = text.replace(placeholder, &value);
        }
        text
    }

    /// Runs the shell's sample and returns what it printed.
    async fn shell(&self, sample: &str) -> Value {
        let output = bash(self.waypost.folder().path(), &self.filled(sample)).await;
        assert!(output.status.success(), "{}", complaints(&output));
        read(&printed(&output))
    }

    /// The shell's sample with one of the document's other bodies.
    async fn with_body(&self, body: &str, id: &str) -> Value {
        let (head, _) = SHELL.split_once("--data '").unwrap();
        let body = body.replace("{{$randomUUID}}", id);
        self.shell(&format!("{head}--data '{}'", body.trim())).await
    }

    async fn ledger(&self) -> Vec<Value> {
        self.waypost.sandbox().ledger().await
    }

    /// The picture of the document's samples is in the ledger as often as it should be.
    async fn has_sent_pictures(&self, count: usize) {
        let ledger = self.ledger().await;
        assert_eq!(ledger.len(), count, "{ledger:?}");
        for row in &ledger {
            let message = &row["message"];
            assert_eq!(message["type"], "image");
            assert_eq!(message["image"], json!({"link": self.media.url("/teal.png")}));
            assert_eq!(message["to"], format!("+{}", row["to"].as_str().unwrap()));
            assert_eq!(row["to"], self.waypost.variable("WAYPOST_CUSTOMER_PHONE"));
            self.waypost.sandbox().settled(row["wamid"].as_str().unwrap(), "delivered").await;
        }
    }
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

/// The document's answer with what is each call's own: times and ids.
fn assert_documented(documented: &str, answer: &Value, id: &str) {
    let mut wanted = read(documented);
    let digits = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        let text = text.split_once('.').map_or(text, |(whole, _)| whole);
        text.replace(|char: char| char.is_ascii_digit(), "0")
    };
    assert_eq!(digits(&wanted["timestamp"]), digits(&answer["timestamp"]), "{answer}");
    wanted["timestamp"] = answer["timestamp"].clone();
    if wanted["data"].is_object() {
        let wamid = answer["data"]["waId"].as_str().unwrap_or_default();
        assert!(wamid.starts_with("wamid.") && wamid.len() > 30, "{answer}");
        wanted["data"]["waId"] = wamid.into();
        wanted["data"]["messageId"] = id.into();
    }
    assert_eq!(wanted.to_string(), answer.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_sample_sends_a_picture_and_its_repetition_nothing() {
    let reader = Reader::new().await;
    let first = reader.shell(SHELL).await;
    assert_documented(REPLY, &first, MESSAGE_ID);
    let again = reader.shell(SHELL).await;
    assert_eq!(first["data"], again["data"]);
    reader.has_sent_pictures(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_java_sample_sends_a_picture() {
    let reader = Reader::new().await;
    let sample = reader.filled(JAVA);
    let Some(output) = java(reader.waypost.folder().path(), &sample).await else { return };
    assert!(output.status.success(), "{}", complaints(&output));
    let text = printed(&output);
    let (status, answer) = text.split_once('\n').unwrap();
    assert_eq!(status, "200", "{answer}");
    assert_documented(REPLY, &read(answer), MESSAGE_ID);
    reader.has_sent_pictures(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_sample_sends_a_picture() {
    let reader = Reader::new().await;
    let sample = reader.filled(JAVASCRIPT);
    let Some(output) = javascript(reader.waypost.folder().path(), &sample).await else { return };
    assert!(output.status.success(), "{}", complaints(&output));
    assert_documented(REPLY, &read(&printed(&output)), MESSAGE_ID);
    reader.has_sent_pictures(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_requests_send_their_files() {
    let reader = Reader::new().await;
    // The document's last sample has the receiver's number for the sender's.
    let mended =
        DOCUMENT.replace(r#""from": "{{YOUR_PHONE_NUMBER}}""#, r#""from": "{{WA_PHONE_NUMBER}}""#);
    let link = |path: &str| json!(reader.media.url(path));
    for (kind, body, outcome, content) in [
        (
            "image",
            IMAGE,
            "delivered",
            json!({"link": link("/teal.png"), "caption": "Test caption"}),
        ),
        (
            "video",
            VIDEO,
            "delivered",
            json!({"link": link("/clip.mp4"), "caption": "Test caption"}),
        ),
        // WhatsApp takes no such sound: the document's own sample fails later.
        ("audio", AUDIO, "failed", json!({"link": link("/note.wav")})),
        (
            "document",
            mended.as_str(),
            "delivered",
            json!({"link": link("/offer.pdf"), "caption": "Please find attached",
                "filename": "insurance_policy.pdf"}),
        ),
    ] {
        let answer = reader.with_body(body, kind).await;
        assert_documented(REPLY, &answer, kind);
        let wamid = answer["data"]["waId"].as_str().unwrap();
        let row = reader.waypost.sandbox().settled(wamid, outcome).await;
        assert_eq!((&row["message"]["type"], &row["message"][kind]), (&json!(kind), &content));
    }
    assert_eq!(reader.ledger().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_mistakes_get_the_documented_refusals_and_send_nothing() {
    let reader = Reader::new().await;
    // Sender and receiver are the same number.
    let answer = reader.with_body(DOCUMENT, "slip").await;
    assert_eq!(answer["message"], "Sender number is not linked to this account");
    assert_eq!((&answer["status"], &answer["data"]), (&json!("error"), &Value::Null));
    // The placeholder is no key; the document says so with `success`.
    let answer = reader.shell(&SHELL.replace("LIPACHAT_API_KEY", "YOUR_API_KEY")).await;
    assert_documented(REPLY_401, &answer, "");
    // Nobody's number: the document's 400, which stands on another page's path.
    let unfilled = SHELL.replace("1555XXXXX", "1555");
    let answer = reader.shell(&unfilled).await;
    let documented = REPLY_400.replace("message/text", "media");
    assert_documented(&documented, &answer, "");
    assert_eq!(reader.ledger().await, Vec::<Value>::new());
}
