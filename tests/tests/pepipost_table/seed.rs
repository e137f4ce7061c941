//! The vendor's seed document, its own bodies (page "Send Media message"), with the braces that it has
//! lost and other ids: what a reader of that page sends, and what the page says that comes back.

use serde_json::{Value, json};
use waypost_tests::files::PDF;
use waypost_tests::fixture::{NUMBER_ID, with, without};
use waypost_tests::shell::{bash, complaints, printed};
use waypost_tests::{MediaHost, Reply};

use crate::desk::{Desk, KEY, SEND, form};
use crate::table::Table;

const REQUEST: &str = include_str!("../../fixtures/seeds/pepipost_media.json");
const SUCCESS: &str = include_str!("../../fixtures/seeds/pepipost_success.json");
const FAILURE: &str = include_str!("../../fixtures/seeds/pepipost_failure.json");
const SOURCE: &str = "4d2c7a10-93b5-4e68-8f1a-6c0b5d3e9f21";
const ATTACHMENT: &str = "7b16e0c4-52d9-4f3a-b8e7-1a9c4d6f0e32";

/// Somebody whose account has the document's source, and a document of theirs.
async fn reader() -> (Desk, String) {
    let desk = Desk::new().await;
    let path = format!("/orgs/org-1/numbers/{NUMBER_ID}");
    desk.fixture.admin().patch(&path, &json!({"source_id": SOURCE})).await.ok();
    let upload = desk.upload(form("application/pdf", PDF, "invoice.pdf"));
    let reply = Reply::to(upload).await.expect(200).json();
    let id = reply["data"]["mediaId"].as_str().unwrap().to_owned();
    (desk, id)
}

fn parsed(sample: &str) -> Value {
    serde_json::from_str(sample).unwrap()
}

/// A reply as documented, but for the id, which is another one's.
fn as_documented(documented: &str, reply: &Value) -> Value {
    let mut documented = parsed(documented);
    if let Some(id) = documented.pointer_mut("/data/id") {
        *id = reply["data"]["id"].clone();
    }
    documented
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_request_is_received_and_told_of() {
    let (desk, media_id) = reader().await;
    let mut table = Table::of(&desk);
    let request = REQUEST.replace(ATTACHMENT, &media_id);
    // As its readers send it: with curl, byte for byte.
    let folder = desk.fixture.waypost.folder().path();
    std::fs::write(folder.join("request.json"), &request).unwrap();
    let url = format!("{}{SEND}", desk.fixture.waypost.url());
    let command = format!(
        "curl -sS --request POST '{url}' -H 'Content-Type: application/json' \
         -H 'Authorization: Bearer {KEY}' --data-binary @request.json"
    );
    let output = bash(folder, &command).await;
    assert!(output.status.success(), "{}", complaints(&output));
    let reply = parsed(&printed(&output));
    assert_eq!(reply, as_documented(SUCCESS, &reply));
    let id = reply["data"]["id"].as_str().unwrap();
    for status in ["sent", "delivered"] {
        let told = table.told("seed", id, status).await;
        assert_eq!(told["x-apiheader"], "Your_unique_identifier");
        assert_eq!(told["source"], SOURCE);
    }
    let document = desk.sent(id).await["message"]["document"].clone();
    assert_eq!(document["caption"], "yourdocumentcaption");
    assert_eq!(document["filename"], "invoice.pdf");
    let (mime_type, bytes) = desk.sandbox().file(document["id"].as_str().unwrap()).await;
    assert_eq!((mime_type.as_str(), bytes.as_slice()), ("application/pdf", PDF));
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_request_may_name_a_public_file_instead() {
    let (desk, _) = reader().await;
    let mut table = Table::of(&desk);
    let host = MediaHost::start().await;
    let attachment = "/message/0/type_media/0/attachments/0";
    let by_url = without(parsed(REQUEST), &format!("{attachment}/attachment_id"));
    let by_url = with(by_url, &format!("{attachment}/attachment_type"), json!("document"));
    let url = host.url("/public/offer.pdf");
    let by_url = with(by_url, &format!("{attachment}/attachment_url"), json!(url));
    let id = table.accepts("seed", desk.send(&by_url)).await;
    table.told("seed", &id, "delivered").await;
    let document = desk.sent(&id).await["message"]["document"].clone();
    assert_eq!(document, json!({"link": url, "caption": "yourdocumentcaption"}));
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_failure_is_that_of_a_consent_without_its_type() {
    let (desk, _) = reader().await;
    let entry = json!({"recipient": "15550001111", "source": "WEB"});
    let consent = desk.post("/api/v2/consent/manage/", &json!({ "recipients": [entry] }));
    let reply = Reply::to(consent).await.expect(400).json();
    assert_eq!(reply, parsed(FAILURE));
    // The page's own attachment is nobody's here.
    let reply = Reply::to(desk.send(&parsed(REQUEST))).await.expect(400).json();
    assert_eq!(reply["error"]["code"], "8008");
}
