//! Media behind links: passed on as they are, or fetched by the gateway with a provider's credential;
//! what cannot be fetched, and addresses that must not be reached.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use serde_json::{Value, json};
use waypost_tests::binary::free_address;
use waypost_tests::files::PDF;
use waypost_tests::media_host::{PASSWORD, TOKEN};
use waypost_tests::{MediaHost, Options, Reply, Waypost, eventually};

const SEND: &str = "/whatsapp/messages/send";
const LINK: &str = "message.document.link";

/// A gateway that may fetch from this machine, with two providers for the host.
async fn with_providers(host: &MediaHost) -> Waypost {
    let waypost =
        Options::new().env("WAYPOST_EGRESS__ALLOW_NETWORKS", "127.0.0.1/32").start().await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let address = host.url("").trim_start_matches("http://").to_owned();
    for (name, scheme, secret) in [
        ("archive", "bearer", TOKEN),
        ("shelf", "basic", PASSWORD),
        ("stranger", "bearer", "wrong"),
    ] {
        let provider = json!({"name": name, "scheme": scheme, "secret": secret,
            "allowed_hosts": [address]});
        waypost.admin().post(&format!("/orgs/{org}/media-providers"), &provider).await.ok();
    }
    waypost
}

fn document(link: &str, provider: &Value) -> Value {
    let mut document = json!({"link": link, "filename": "offer.pdf", "caption": "The offer"});
    if !provider.is_null() {
        document["provider"] = provider.clone();
    }
    json!({"type": "document", "document": document})
}

async fn send(waypost: &Waypost, link: &str, provider: Value) -> Reply {
    let message = waypost.demo_message(&document(link, &provider));
    waypost.replyhero(SEND, &message).await
}

fn assert_refused(reply: &Reply, status: u16, code: &str, field: &str) {
    let error = &reply.json()["error"];
    let told = (reply.status, error["code"].as_str(), error["field"].as_str());
    assert_eq!(told, (status, Some(code), Some(field)), "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_passed_on_and_fetched_by_the_upstream() {
    let host = MediaHost::start().await;
    let waypost = with_providers(&host).await;
    let link = host.url("/public/offer.pdf");
    // An empty provider is as none.
    for provider in [Value::Null, json!("")] {
        let reply = send(&waypost, &link, provider).await.expect(200).json();
        let wamid = reply["response"]["messages"][0]["id"].as_str().unwrap().to_owned();
        let sent = waypost.sandbox().settled(&wamid, "delivered").await;
        let document = json!({"link": link, "filename": "offer.pdf", "caption": "The offer"});
        assert_eq!(sent["message"]["document"], document);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_leads_nowhere_is_told_by_a_later_failed_status() {
    let host = MediaHost::start().await;
    let waypost = with_providers(&host).await;
    for path in ["/public/missing.pdf", "/bearer/offer.pdf"] {
        let reply = send(&waypost, &host.url(path), Value::Null).await.expect(200).json();
        let id = reply["id"].as_str().unwrap();
        let org = waypost.variable("WAYPOST_ORG_ID");
        let failed = eventually(&format!("a failed status for {path}"), async || {
            let path = format!("/orgs/{org}/messages/{id}");
            let message = waypost.admin().get(&path).await.expect(200).json();
            (message["status"] == "failed").then_some(message)
        })
        .await;
        assert_eq!(failed["error"]["code"], "media_rejected", "{failed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_s_file_is_fetched_with_its_credential_and_sent_by_id() {
    let host = MediaHost::start().await;
    let waypost = with_providers(&host).await;
    for (path, provider) in [
        ("/bearer/offer.pdf", json!("archive")),
        ("/bearer/offer.pdf", json!({"name": "archive"})),
        ("/basic/offer.pdf", json!("shelf")),
    ] {
        send(&waypost, &host.url(path), provider).await.expect(200);
    }
    let ledger = waypost.sandbox().ledger().await;
    assert_eq!(ledger.len(), 3);
    for row in ledger {
        let document = &row["message"]["document"];
        assert!(document["link"].is_null(), "the protected address went upstream: {document}");
        assert_eq!(
            (&document["filename"], &document["caption"]),
            (&json!("offer.pdf"), &json!("The offer"))
        );
        let (mime_type, bytes) = waypost.sandbox().file(document["id"].as_str().unwrap()).await;
        assert_eq!((mime_type.as_str(), bytes.as_slice()), ("application/pdf", PDF));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_does_not_give_is_refused_before_anything_is_sent() {
    let host = MediaHost::start().await;
    let waypost = with_providers(&host).await;
    let nobody = format!("http://{}/bearer/offer.pdf", free_address());
    for (link, provider, status, code) in [
        (host.url("/bearer/missing.pdf"), "archive", 422, "media_rejected"),
        (host.url("/bearer/page.html"), "archive", 422, "media_rejected"),
        (host.url("/bearer/empty.pdf"), "archive", 422, "media_rejected"),
        (host.url("/bearer/teal.png"), "archive", 422, "media_rejected"),
        (host.url("/bearer/offer.pdf"), "stranger", 422, "media_rejected"),
        (host.url("/bearer/huge.pdf"), "archive", 413, "media_too_large"),
        (nobody, "archive", 422, "media_rejected"),
    ] {
        let reply = send(&waypost, &link, json!(provider)).await;
        assert_refused(&reply, status, code, LINK);
    }
    let reply = send(&waypost, &host.url("/bearer/offer.pdf"), json!("nobody")).await;
    assert_refused(&reply, 400, "unknown_provider", "message.document.provider");
    assert_eq!(waypost.sandbox().ledger().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_stays_with_its_host_and_private_addresses_are_not_reached() {
    let host = MediaHost::start().await;
    let other = MediaHost::start().await;
    let waypost = with_providers(&host).await;
    let redirect = |to: &str| host.url(&format!("/bearer/elsewhere.pdf?to={to}"));
    let private = other.url("/public/offer.pdf").replace("127.0.0.1", "127.0.0.2");
    let named = other.url("/public/offer.pdf").replace("127.0.0.1", "localhost");
    for link in [redirect(&private), redirect("http://10.0.0.1/offer.pdf"), redirect("/bearer/no")]
    {
        let reply = send(&waypost, &link, json!("archive")).await;
        assert_refused(&reply, 422, "media_rejected", LINK);
    }
    assert_eq!(other.seen().len(), 0, "a private address was reached");
    // Another host may be reached, but not with the credential.
    drop(send(&waypost, &redirect(&named), json!("archive")).await);
    drop(send(&waypost, &redirect(&other.url("/public/offer.pdf")), json!("archive")).await);
    drop(send(&waypost, &other.url("/public/offer.pdf"), json!("archive")).await);
    assert_eq!(other.credentials_seen(), 0, "the credential was shown to another host");
    assert!(host.credentials_seen() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_links_are_refused_at_once_and_never_reached() {
    let host = MediaHost::start().await;
    let waypost = Waypost::start().await;
    let port = host.url("").rsplit(':').next().unwrap().to_owned();
    for address in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "[fe80::1]",
        "[fc00::1]",
    ] {
        let link = format!("http://{address}:{port}/public/offer.pdf");
        assert_refused(&send(&waypost, &link, Value::Null).await, 400, "invalid_value", LINK);
    }
    for link in [
        "file:///etc/passwd",
        "http://",
        "https:///x",
        "javascript:1",
        "not a link",
        "https://ann:secret@files.example.com/offer.pdf",
    ] {
        assert_refused(&send(&waypost, link, Value::Null).await, 400, "invalid_value", LINK);
    }
    assert_eq!(host.seen().len(), 0, "a private address was reached");
    assert_eq!(waypost.sandbox().ledger().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_s_file_is_fetched_once_for_everybody() {
    let host = MediaHost::start().await;
    let waypost = with_providers(&host).await;
    let image = json!({"link": host.url("/bearer/teal.png"), "provider": "archive"});
    let body = json!({
        "templateName": "order_update", "sessionId": "s",
        "orgId": waypost.variable("WAYPOST_ORG_ID"), "userId": waypost.variable("WAYPOST_USER_ID"),
        "components": [
            {"type": "header", "parameters": [{"type": "image", "image": image}]},
            {"type": "body", "parameters": [
                {"type": "text", "text": "reader"}, {"type": "text", "text": "A-1001"}]}]});
    let reply = waypost.replyhero("/whatsapp/template/send", &body).await.expect(200).json();
    assert_eq!(reply.as_array().unwrap().len(), 4);
    let fetched = host.seen().iter().filter(|seen| seen.path == "/bearer/teal.png").count();
    assert_eq!(fetched, 1);
    assert_eq!(waypost.sandbox().ledger().await.len(), 4);
}
