//! The sample bodies of Webex Connect's document, as it prints them but for two things: the comments,
//! which no JSON reader takes, are removed, and its placeholders are filled in. Fixtures:
//! `fixtures/seeds/webex_*.json`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use serde_json::Value;
use waypost_tests::files::{MP4, PDF};
use waypost_tests::webex::{APP, OPEN, Table, Webex, receipts};

const VIDEO: &str = include_str!("../fixtures/seeds/webex_video.json");
const AUDIO: &str = include_str!("../fixtures/seeds/webex_audio.json");
const DOCUMENT: &str = include_str!("../fixtures/seeds/webex_document.json");
const STICKER: &str = include_str!("../fixtures/seeds/webex_sticker.json");

/// A sample with this reader's values in place of the placeholders.
fn filled(sample: &str, app: &str, url: &str) -> Value {
    let text = sample
        .replace("{{WAAppid}}", app)
        .replace("{{waid}}", OPEN)
        .replace("<your-media-url>", url)
        .replace("<identity-key-hash-value>", "");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_of_the_document_is_sent_with_its_file() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    for (kind, sample, path) in [
        ("video", VIDEO, "/clip.mp4"),
        ("audio", AUDIO, "/note.aac"),
        ("document", DOCUMENT, "/offer.pdf"),
        ("sticker", STICKER, "/wave.webp"),
    ] {
        let url = webex.media.url(path);
        let id = table.one(kind, webex.post(&filled(sample, APP, &url))).await;
        webex.settled(&id, "delivered").await;
        let sent = webex.sent(&id).await;
        table.check(kind, sent["type"] == kind, &sent.to_string());
        table.check(kind, sent[kind]["link"] == url.as_str(), &sent.to_string());
        let fetched = webex.media.seen().iter().any(|request| request.path == path);
        table.check(kind, fetched, "the file was not fetched");
        table.check(kind, receipts(&webex.receiver, &id).is_empty(), "told without an address");
    }
    let sent = webex.sandbox().ledger().await;
    let document = sent.iter().find(|row| row["type"] == "document").unwrap();
    let filename = document["message"]["document"]["filename"].as_str().unwrap();
    table.check("document", filename.starts_with("Document test"), filename);
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_sent_with_a_file_of_our_own_media_manager() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    for (kind, sample, bytes, mime_type, ending) in [
        ("video", VIDEO, MP4, "video/mp4", ".mp4"),
        ("document", DOCUMENT, PDF, "application/pdf", ".pdf"),
    ] {
        let url = webex.upload(bytes, mime_type).await;
        table.check(kind, url.ends_with(ending), &url);
        let id = table.one(kind, webex.post(&filled(sample, APP, &url))).await;
        webex.settled(&id, "delivered").await;
        let sent = webex.sent(&id).await;
        let media_id = sent[kind]["id"].as_str().unwrap_or_default().to_owned();
        table.check(kind, !media_id.is_empty(), &sent.to_string());
        let (known, arrived) = webex.sandbox().file(&media_id).await;
        table.check(kind, known == mime_type && arrived == bytes, "another file upstream");
    }
    table.end();
}
