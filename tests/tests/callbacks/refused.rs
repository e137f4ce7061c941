//! Addresses that may not be called: told at once for webhooks, on the message for `notify_url`.

use std::sync::Arc;

use serde_json::{Value, json};
use waypost_tests::fixture::NUMBER_ID;
use waypost_tests::{Options, Waypost, eventually};

use crate::rig::{Callee, Org};

#[tokio::test]
async fn a_webhook_at_a_private_address_is_refused_with_the_setting_that_would_allow_it() {
    let org = Org::of(Waypost::start().await);
    for (url, setting) in [
        ("https://10.0.0.1/events", "egress.allow_networks"),
        ("https://127.0.0.1:8443/events", "egress.allow_networks"),
        ("https://[::1]/events", "egress.allow_networks"),
        ("https://[::ffff:169.254.169.254]/latest", "egress.allow_networks"),
        ("http://crm.example.com/events", "egress.allow_http_callbacks"),
        ("https://user:password@crm.example.com/events", ""),
        ("ftp://crm.example.com/events", ""),
        ("nonsense", ""),
    ] {
        let refused = org.api.post(&org.at("webhooks"), &json!({"url": url})).await;
        let refused = refused.expect(400).json();
        assert_eq!(refused["errors"][0]["field"], "url", "{url}: {refused}");
        let why = refused["errors"][0]["message"].as_str().unwrap();
        assert!(why.contains(setting), "{url}: {why}");
    }
    assert_eq!(org.api.all(&org.at("webhooks")).await, Vec::<Value>::new());
    let path = org.at(&format!("numbers/{NUMBER_ID}"));
    let receipts = json!({"default_notify_url": "https://10.0.0.1/dlr"});
    let refused = org.api.patch(&path, &receipts).await.expect(400).json();
    assert_eq!(refused["errors"][0]["field"], "default_notify_url", "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("egress.allow_networks"), "{refused}");
}

#[tokio::test]
async fn a_message_shows_why_nobody_is_told_and_goes_out_all_the_same() {
    let org = Org::of(Waypost::start().await);
    for (url, setting) in [
        ("https://10.0.0.1/dlr", "egress.allow_networks"),
        ("http://crm.example.com/dlr", "egress.allow_http_callbacks"),
    ] {
        let message = json!({"to": "15550001111", "type": "text", "text": {"body": "Hello"},
            "notify_url": url});
        let sent = org.api.post(&org.at("messages"), &message).await.expect(202).json();
        let path = org.at(&format!("messages/{}", sent["id"].as_str().unwrap()));
        let shown = eventually("a message on the phone", async || {
            let shown = org.api.get(&path).await.ok().json();
            ["delivered", "read"].contains(&shown["status"].as_str()?).then_some(shown)
        })
        .await;
        assert_eq!(shown["notify"]["url"], url);
        let why = shown["notify"]["refused"].as_str().unwrap();
        assert!(why.contains(setting), "{url}: {why}");
    }
    assert_eq!(org.callbacks().await, Vec::<Value>::new());
}

/// As where a name leads elsewhere one day.
#[tokio::test]
async fn what_may_not_be_called_any_more_is_refused_when_it_is_called() {
    let callee = Callee::fine().await;
    let org = Org::start().await;
    org.hears("crm", &callee.url()).await;
    let folder = Arc::clone(org.waypost.folder());
    drop(org);
    let without =
        Options::new().folder(&folder).env("WAYPOST_EGRESS__ALLOW_HTTP_CALLBACKS", "true");
    let org = Org::of(without.start().await);
    org.waypost.sandbox().writes("15550001111", "one").await;
    let dead = org.tried(1).await;
    assert_eq!(dead["state"], "dead");
    let why = dead["last_error"].as_str().unwrap();
    assert!(why.contains("egress.allow_networks"), "{why}");
    let trial = org.api.post(&org.at("webhooks/crm/test"), &json!({})).await.ok().json();
    assert!(trial["error"].as_str().unwrap().contains("egress.allow_networks"), "{trial}");
    assert_eq!(callee.seen().len(), 0);
}
