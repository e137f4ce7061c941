//! The first seed document's own commands, run as their readers run them: bash and Python, verbatim
//! but for host, key, ids and file path. The document's broken samples get the answers that the
//! dialect's reference names (§12). Fixtures: `fixtures/seeds`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use serde_json::{Value, json};
use waypost_tests::files::{self, JPEG, MP4, PDF, PNG};
use waypost_tests::shell::{bash, complaints, printed, python};
use waypost_tests::{Waypost, eventually};

const VENDOR: &str = "https://whatsapp.replyherotech.com";
const AUTHENTICATION: &str = include_str!("../fixtures/seeds/authentication.sh");
const FIRST_REQUEST: &str = include_str!("../fixtures/seeds/first_request.sh");
const TEXT_SH: &str = include_str!("../fixtures/seeds/text.sh");
const TEXT_PY: &str = include_str!("../fixtures/seeds/text.py");
const TEXT_REPLY: &str = include_str!("../fixtures/seeds/text_reply.json");
const MEDIA_SH: &str = include_str!("../fixtures/seeds/media.sh");
const MEDIA_PY: &str = include_str!("../fixtures/seeds/media.py");
const MEDIA_REPLY: &str = include_str!("../fixtures/seeds/media_reply.json");
const UPLOAD_SH: &str = include_str!("../fixtures/seeds/upload.sh");
const UPLOAD_PY: &str = include_str!("../fixtures/seeds/upload.py");
const UPLOAD_REPLY: &str = include_str!("../fixtures/seeds/upload_reply.json");
const TEMPLATE_SH: &str = include_str!("../fixtures/seeds/template.sh");
const TEMPLATE_PY: &str = include_str!("../fixtures/seeds/template.py");
const TEMPLATE_REPLY: &str = include_str!("../fixtures/seeds/template_reply.json");

/// What a sample's language is.
#[derive(Clone, Copy)]
enum Language {
    Shell,
    Python,
}

/// Somebody who follows the document on a gateway of their own.
struct Reader {
    waypost: Waypost,
    media_id: String,
}

impl Reader {
    async fn new() -> Self {
        Self { waypost: Waypost::start().await, media_id: "MEDIA_ID".to_owned() }
    }

    /// The sample with this reader's values in place of the document's.
    fn filled(&self, sample: &str) -> String {
        let variable = |name: &str| self.waypost.variable(name);
        let mut text = sample.replace(VENDOR, self.waypost.url());
        assert!(!text.contains(VENDOR), "the sample must not reach the vendor");
        let image = self.waypost.folder().path().join("example.jpeg");
        for (placeholder, value) in [
            ("YOUR_SESSEION_ID", "chat-1".to_owned()),
            ("YOUR_CUSTOMER_ID", variable("WAYPOST_CUSTOMER_ID")),
            ("YOUR_USER_ID", variable("WAYPOST_USER_ID")),
            ("YOUR_ORG_ID", variable("WAYPOST_ORG_ID")),
            ("REPLYHERO_API_KEY", variable("WAYPOST_API_KEY")),
            ("SESSION_ID", "chat-1".to_owned()),
            ("CUSTOMER_ID", variable("WAYPOST_CUSTOMER_ID")),
            ("USER_ID", variable("WAYPOST_USER_ID")),
            ("ORG_ID", variable("WAYPOST_ORG_ID")),
            ("TEMPLATE_NAME", "order_update".to_owned()),
            ("MEDIA_ID", self.media_id.clone()),
            ("BYTES_DATA_IN_STRING", files::base64(PNG)),
            ("/path/to/image/example.jpeg", image.display().to_string()),
        ] {
            text = text.replace(placeholder, &value);
        }
        text
    }

    /// Runs a sample and returns what it printed.
    async fn run(&self, language: Language, sample: &str) -> Value {
        let text = self.filled(sample);
        let folder = self.waypost.folder().path();
        let output = match language {
            Language::Shell => bash(folder, &text).await,
            Language::Python => python(folder, &text).await,
        };
        assert!(output.status.success(), "{}", complaints(&output));
        let printed = printed(&output);
        serde_json::from_str(&printed).unwrap_or_else(|_| panic!("not JSON: {printed}"))
    }

    /// Type, receiver and content of every message in the sandbox's ledger.
    async fn ledger(&self) -> Vec<(String, String, Value)> {
        let rows = self.waypost.sandbox().ledger().await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        rows.iter()
            .map(|row| {
                let kind = text(&row["type"]);
                let content = row["message"][&kind].clone();
                (kind, text(&row["to"]), content)
            })
            .collect()
    }
}

/// The same keys in the same order and the same types; the words that are fixed are the same.
fn assert_shape(documented: &Value, actual: &Value, place: &str) {
    match (documented, actual) {
        (Value::Object(wanted), Value::Object(found)) => {
            let names = |object: &serde_json::Map<String, Value>| -> Vec<String> {
                object.keys().cloned().collect()
            };
            assert_eq!(names(wanted), names(found), "the keys of {place}");
            for (name, value) in wanted {
                assert_shape(value, &found[name], &format!("{place}.{name}"));
            }
        }
        (Value::Array(wanted), Value::Array(found)) => {
            assert_eq!(wanted.len(), found.len(), "the length of {place}");
            for (value, other) in wanted.iter().zip(found) {
                assert_shape(value, other, place);
            }
        }
        (Value::String(wanted), Value::String(found)) => assert_word(wanted, found, place),
        (Value::Null, Value::Null) => {}
        _ => panic!("{place} is {actual}, documented as {documented}"),
    }
}

fn assert_word(documented: &str, actual: &str, place: &str) {
    let fits = match place.rsplit('.').next().unwrap_or_default() {
        "messageType" | "messaging_product" => actual == documented,
        "timestamp" => is_like(actual, "Aaa, 00 Aaa 0000 00:00:00 +0800"),
        "input" | "wa_id" => actual.len() == documented.len() && actual.starts_with("1555000"),
        "id" if documented.starts_with("wamid.") => actual.starts_with("wamid."),
        "id" if documented.bytes().all(|byte| byte.is_ascii_digit()) => {
            actual.len() == documented.len() && actual.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => !actual.is_empty(),
    };
    assert!(fits, "{place} is {actual}, documented as {documented}");
}

/// `0` stands for a digit, `A` and `a` for letters, everything else for itself.
fn is_like(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.chars().zip(pattern.chars()).all(|(found, wanted)| match wanted {
            'A' => found.is_ascii_uppercase(),
            'a' => found.is_ascii_lowercase(),
            wanted if wanted.is_ascii_digit() && found.is_ascii_digit() => true,
            wanted => found == wanted,
        })
}

fn documented(reply: &str) -> Value {
    serde_json::from_str(reply).unwrap()
}

const BOTH_TEXT: [(Language, &str); 2] = [(Language::Shell, TEXT_SH), (Language::Python, TEXT_PY)];

#[tokio::test(flavor = "multi_thread")]
async fn the_text_samples_send_a_text() {
    let reader = Reader::new().await;
    for (language, sample) in BOTH_TEXT {
        let reply = reader.run(language, sample).await;
        assert_shape(&documented(TEXT_REPLY), &reply, "reply");
        assert_eq!(reply["sessionId"], "chat-1");
        assert_eq!(reply["customerId"], reader.waypost.variable("WAYPOST_CUSTOMER_ID"));
    }
    let text = json!({"body": "testing msg", "preview_url": false});
    let sent = ("text".to_owned(), reader.waypost.variable("WAYPOST_CUSTOMER_PHONE"), text);
    assert_eq!(reader.ledger().await, [sent.clone(), sent]);
}

/// The document's picture, and what its readers make of it for the other types it names.
const MEDIA: [(&str, &str, &str, &str, &[u8]); 4] = [
    ("image", "bot.png", "image/png", "IMAGE", PNG),
    ("image", "bot.jpeg", "image/jpeg", "IMAGE", JPEG),
    ("document", "bot.pdf", "application/pdf", "DOCUMENT", PDF),
    ("video", "bot.mp4", "video/mp4", "VIDEO", MP4),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_media_samples_send_a_file() {
    let reader = Reader::new().await;
    let mut sent = Vec::new();
    for (language, sample) in [(Language::Shell, MEDIA_SH), (Language::Python, MEDIA_PY)] {
        for (kind, name, mime_type, display_type, bytes) in MEDIA {
            let extension = name.rsplit('.').next().unwrap();
            let sample = sample
                .replace("BYTES_DATA_IN_STRING", &files::base64(bytes))
                .replace("\"bot.png\"", &format!("\"{name}\""))
                .replace("\"png\"", &format!("\"{extension}\""))
                .replace("\"image/png\"", &format!("\"{mime_type}\""))
                .replace("\"IMAGE\"", &format!("\"{display_type}\""))
                .replace("\"image\"", &format!("\"{kind}\""));
            let reply = reader.run(language, &sample).await;
            assert_shape(&documented(MEDIA_REPLY), &reply, "reply");
            sent.push((kind, name, mime_type, bytes));
        }
    }
    let ledger = reader.ledger().await;
    assert_eq!(ledger.len(), sent.len());
    for ((found_kind, _, content), (kind, name, mime_type, bytes)) in ledger.iter().zip(sent) {
        assert_eq!((found_kind.as_str(), &content["caption"]), (kind, &json!("testing")));
        let filename = (kind == "document").then_some(name);
        assert_eq!(content["filename"].as_str(), filename);
        let (found_type, found) =
            reader.waypost.sandbox().file(content["id"].as_str().unwrap()).await;
        assert_eq!((found_type.as_str(), found.as_slice()), (mime_type, bytes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upload_and_template_samples_reach_every_customer() {
    let mut reader = Reader::new().await;
    std::fs::write(reader.waypost.folder().path().join("example.jpeg"), JPEG).unwrap();
    let runnable = format!("import requests\n{TEMPLATE_PY}");
    let samples = [
        (Language::Shell, UPLOAD_SH, TEMPLATE_SH),
        (Language::Python, UPLOAD_PY, runnable.as_str()),
    ];
    for (language, upload, template) in samples {
        let uploaded = reader.run(language, upload).await;
        assert_shape(&documented(UPLOAD_REPLY), &uploaded, "uploaded");
        reader.media_id = uploaded["id"].as_str().unwrap().to_owned();
        let reply = reader.run(language, template).await;
        assert_shape(&documented(TEMPLATE_REPLY), &reply, "reply");
        for element in reply.as_array().unwrap() {
            assert_eq!(element["message"], "order_update");
        }
    }
    let ledger = reader.ledger().await;
    let phones: Vec<&str> = ledger.iter().map(|(_, to, _)| to.as_str()).collect();
    let once = ["15550001111", "15550002222", "15550003333", "15550005555"];
    let mut found = phones.clone();
    found.sort_unstable();
    let mut wanted: Vec<&str> = once.into_iter().chain(once).collect();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    for (kind, _, content) in &ledger {
        assert_eq!((kind.as_str(), &content["name"]), ("template", &json!("order_update")));
        let header = &content["components"][0]["parameters"][0]["image"];
        let (mime_type, bytes) =
            reader.waypost.sandbox().file(header["id"].as_str().unwrap()).await;
        assert_eq!((mime_type.as_str(), bytes.as_slice()), ("image/jpeg", JPEG));
        let texts = &content["components"][1]["parameters"];
        assert_eq!(texts[0]["text"], "https://replyhero.io/");
        assert_eq!(texts[1]["text"], "https://replyhero.io/");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broken_samples_get_their_documented_answers_and_send_nothing() {
    let reader = Reader::new().await;
    let folder = reader.waypost.folder().path();
    // As they stand, a shell cannot even read these: a quote is never closed.
    for unreadable in [AUTHENTICATION, FIRST_REQUEST] {
        let output = bash(folder, &reader.filled(unreadable)).await;
        assert!(!output.status.success() && complaints(&output).contains("unexpected EOF"));
    }
    // The template's program does not import what it calls.
    let output = python(folder, &reader.filled(TEMPLATE_PY)).await;
    assert!(complaints(&output).contains("NameError"), "{}", complaints(&output));
    // With its quotes mended, the first is a GET: it has a key and no body.
    let mended = AUTHENTICATION.replace('‘', "'");
    let answer = reader.run(Language::Shell, &mended).await;
    assert_eq!(answer["error"]["code"], "method_not_allowed");
    let unknown_key = mended.replace("REPLYHERO_API_KEY", "wp_test_unknown");
    let answer = reader.run(Language::Shell, &unknown_key).await;
    assert_eq!(answer["error"]["code"], "invalid_api_key");
    // With its last quote, the second sends bare words for ids.
    let closed = format!("{}'", FIRST_REQUEST.trim_end());
    let answer = reader.run(Language::Shell, &closed).await;
    assert_eq!(answer["error"]["code"], "invalid_json");
    assert_eq!(reader.ledger().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_samples_sent_is_logged_as_a_persons_and_as_templates() {
    let mut reader = Reader::new().await;
    std::fs::write(reader.waypost.folder().path().join("example.jpeg"), JPEG).unwrap();
    reader.run(Language::Shell, TEXT_SH).await;
    let uploaded = reader.run(Language::Shell, UPLOAD_SH).await;
    reader.media_id = uploaded["id"].as_str().unwrap().to_owned();
    reader.run(Language::Shell, TEMPLATE_SH).await;
    let kinds = eventually("five messages in the log", async || {
        let log = reader.waypost.log().await;
        let kinds = log.iter().map(|message| message["message_type"].as_str().unwrap().to_owned());
        let mut kinds: Vec<String> = kinds.collect();
        kinds.sort_unstable();
        (kinds.len() == 5).then_some(kinds)
    })
    .await;
    assert_eq!(kinds, ["human", "template", "template", "template", "template"]);
}
