//! What the management API tells of webhooks, and of callbacks that were not delivered.

use http::Method;
use serde_json::json;
use waypost_domain::{OrgId, Timestamp, WebhookId};
use waypost_engine::ports::{NewCallback, TargetAddress, TargetName};

use crate::rig::{ADMIN, Rig};

const PEOPLE: [&str; 2] = ["15550001111", "15550002222"];
const ADDRESSES: [&str; 2] = ["https://a.example.com", "https://b.example.com:8443"];

/// Events for two people, each with a callback for a webhook and one for each of two servers.
async fn rig() -> Rig {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let org_id = OrgId::new("org-1");
    for phone in PEOPLE {
        let text = json!({"to": phone, "type": "text", "text": {"body": "hi"}});
        let sent = rig.make("/orgs/org-1/messages", text).await;
        let cancel = format!("/orgs/org-1/messages/{}/cancel", sent["id"].as_str().unwrap());
        rig.make(&cancel, json!({})).await;
    }
    let mut targets = vec![TargetAddress::Webhook(WebhookId::new("w-1"))];
    targets.extend(ADDRESSES.map(|origin| TargetAddress::Notify {
        origin: origin.to_owned(),
        shape: "standard".to_owned(),
    }));
    let new = targets.iter().flat_map(|address| {
        let target = TargetName { org_id: org_id.clone(), address: address.clone() };
        PEOPLE.iter().zip(1..).map(move |(phone, event)| NewCallback {
            target: target.clone(),
            event,
            person: (*phone).to_owned(),
            due_at: Timestamp(0),
            file_by: None,
        })
    });
    let store = rig.engine.store();
    store.add_callbacks(new.collect(), Some(2), Timestamp(0)).await.unwrap();
    rig
}

#[tokio::test]
async fn callbacks_are_found_by_event_by_message_and_by_the_server_they_are_for() {
    let rig = rig().await;
    let list = async |query: &str| {
        let path = format!("/waypost/v1/orgs/org-1/callbacks?{query}");
        rig.get(&path).await.expect(200).json()["data"].as_array().unwrap().clone()
    };
    let all = list("").await;
    assert_eq!(all.len(), 6);
    let first = &all[0];
    let [event, message] = ["event_id", "message_id"].map(|name| first[name].as_str().unwrap());
    for (query, found) in [
        (format!("event_id={event}"), 3),
        (format!("message_id={message}"), 3),
        (format!("message_id={message}&webhook_id=w-1"), 1),
        ("event_id=evt_01890000000070008000000000000000".to_owned(), 0),
        ("notify_server=https://a.example.com".to_owned(), 2),
        // An address itself names its server.
        ("notify_server=HTTPS://B.example.com:8443/dlr?x=1".to_owned(), 2),
        (format!("notify_server=https://a.example.com&event_id={event}&state=pending"), 1),
        ("notify_server=https://a.example.com&state=dead".to_owned(), 0),
        ("notify_server=https://a.example".to_owned(), 0),
    ] {
        let listed = list(&query).await;
        assert_eq!(listed.len(), found, "{query}: {listed:?}");
    }
    let path = "/waypost/v1/orgs/org-1/callbacks?event_id=nothing";
    let refused = rig.ask(Method::GET, path, Some(ADMIN), None).await.expect(400).json();
    assert_eq!(refused["errors"][0]["field"], "event_id");
}

#[tokio::test]
async fn webhooks_tell_how_they_do_before_and_after_their_first_callback() {
    let rig = rig().await;
    for id in ["w-1", "w-2"] {
        let body = json!({"id": id, "url": "https://crm.example.com/events"});
        rig.make("/orgs/org-1/webhooks", body).await;
    }
    let path = "/waypost/v1/orgs/org-1/webhooks";
    let listed = rig.get(path).await.expect(200).json();
    for (place, pending) in [(0, 2), (1, 0)] {
        let shown = &listed["data"][place];
        assert_eq!(shown["state"]["pending"], pending, "{shown}");
        let alone = rig.get(&format!("{path}/{}", shown["id"].as_str().unwrap())).await;
        assert_eq!(alone.expect(200).json()["state"], shown["state"]);
    }
}

#[tokio::test]
async fn a_webhook_that_is_switched_off_is_not_tried_and_says_so_once() {
    let rig = rig().await;
    let body = json!({"id": "w-1", "url": "https://crm.example.com/events"});
    rig.make("/orgs/org-1/webhooks", body).await;
    let path = "/waypost/v1/orgs/org-1/webhooks/w-1";
    let off = Some(json!({"disabled": true}));
    rig.ask(Method::PATCH, path, Some(ADMIN), off).await.expect(200);
    let tried = rig.ask(Method::POST, &format!("{path}/test"), Some(ADMIN), None).await;
    let refused = tried.expect(400).json();
    assert_eq!(refused["errors"][0]["field"], "webhook_id", "{refused}");
    let detail = refused["detail"].as_str().unwrap();
    assert_eq!(detail.matches("switched off").count(), 1, "{detail}");
}
