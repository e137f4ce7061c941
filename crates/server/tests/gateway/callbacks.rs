//! What the management API tells of webhooks, and of callbacks that were not delivered.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use waypost_domain::{OrgId, Timestamp, WebhookId};
use waypost_engine::ports::{NewCallback, TargetAddress, TargetName};

use crate::rig::{ADMIN, Answer, Rig};

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

#[tokio::test]
async fn a_webhook_s_id_is_taken_in_its_own_organisation_only() {
    let rig = Rig::new().await;
    for org in ["org-1", "org-2"] {
        rig.make("/orgs", json!({"id": org, "name": org})).await;
    }
    let body = |url: &str| json!({"id": "crm", "url": url});
    for (org, url, expected) in [
        ("org-1", "https://one.example.com/", 201),
        ("org-2", "https://two.example.com/", 201),
        ("org-1", "https://three.example.com/", 409),
    ] {
        let path = format!("/waypost/v1/orgs/{org}/webhooks");
        let answer = rig.ask(Method::POST, &path, Some(ADMIN), Some(body(url))).await;
        let answer = answer.expect(expected).json();
        if expected == 409 {
            assert_eq!(answer["code"], "conflict");
            assert_eq!(answer["errors"][0]["field"], "id");
        }
    }
    let path = "/waypost/v1/orgs/org-1/webhooks/crm";
    rig.ask(Method::DELETE, path, Some(ADMIN), None).await.expect(204);
    let left = rig.get("/waypost/v1/orgs/org-2/webhooks/crm").await.expect(200).json();
    assert_eq!(left["url"], "https://two.example.com/");
}

#[tokio::test]
async fn a_webhook_s_header_is_none_that_the_gateway_sets() {
    let rig = Rig::new().await;
    rig.make("/orgs", json!({"id": "org-1", "name": "One"})).await;
    for (header, expected) in [
        ("X-Team: blue", 201),
        ("Authorization: Bearer abc", 201),
        ("User-Agent: crm", 201),
        ("webhook-signature: v1,forged", 400),
        ("Webhook-Anything: 1", 400),
        ("X-Hub-Signature-256 : sha256=00", 400),
        ("x-hub-signature: 00", 400),
        ("Content-Type: text/plain", 400),
        ("Content-Length: 0", 400),
        ("Content-Encoding: gzip", 400),
        ("Host: example.com", 400),
        ("Connection: close", 400),
        ("Transfer-Encoding: chunked", 400),
        ("Proxy-Authorization: Basic abc", 400),
    ] {
        let body = json!({"url": "https://crm.example.com/", "header": header});
        let path = "/waypost/v1/orgs/org-1/webhooks";
        let answer = rig.ask(Method::POST, path, Some(ADMIN), Some(body)).await;
        assert_eq!(answer.status, expected, "{header}: {}", answer.text());
        if expected == 400 {
            assert_eq!(answer.json()["errors"][0]["field"], "header");
        }
    }
}

/// Asks for a new secret with an idempotency key.
async fn rotate(rig: &Rig, webhook: &str, key: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/waypost/v1/orgs/org-1/webhooks/{webhook}/rotate-secret"))
        .header("authorization", format!("Bearer {ADMIN}"))
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    rig.call(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_new_secret_that_is_asked_for_again_is_made_once_and_shown_once() {
    let rig = Rig::new().await;
    rig.make("/orgs", json!({"id": "org-1", "name": "One"})).await;
    for id in ["crm", "audit"] {
        rig.make("/orgs/org-1/webhooks", json!({"id": id, "url": "https://a.example.com/"})).await;
    }
    let secrets = async |id: &str| {
        rig.get(&format!("/waypost/v1/orgs/org-1/webhooks/{id}")).await.json()["secrets"].clone()
    };
    let first = rotate(&rig, "crm", "k", &json!({})).await.expect(200);
    assert!(first.json()["secret"].is_string());
    let again = rotate(&rig, "crm", "k", &json!({})).await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json().get("secret"), None);
    assert_eq!(secrets("crm").await, 2);
    rotate(&rig, "crm", "k", &json!({"overlap_s": 60})).await.expect(422);
    // Another webhook's rotation is another request.
    let other = rotate(&rig, "audit", "k", &json!({})).await.expect(200);
    assert!(other.json()["secret"].is_string());
    assert_eq!(secrets("audit").await, 2);
    rig.clock.advance(std::time::Duration::from_secs(86_400));
    assert_eq!(secrets("audit").await, 1, "the old one signs no more");
}

#[tokio::test]
async fn a_stream_does_not_wait_behind_an_event_that_a_restore_took_away() {
    let rig = rig().await;
    // The log has two events; cursors are Base64.
    for (last, expected) in [("MQ", 200), ("Mg", 200), ("Mw", 400)] {
        let request = Request::builder()
            .uri("/waypost/v1/orgs/org-1/events?kind=message.read")
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("accept", "text/event-stream")
            .header("last-event-id", last)
            .header("host", "waypost");
        let asked = rig.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(asked.status(), expected, "{last}");
    }
}

#[tokio::test]
async fn an_organisation_has_a_hundred_webhooks_at_most() {
    let rig = Rig::new().await;
    for (org, number) in [("org-1", "n-1"), ("org-2", "n-2")] {
        rig.furnish(org, number).await;
    }
    let path = |org: &str| format!("/waypost/v1/orgs/{org}/webhooks");
    let body = json!({"url": "https://a.example/", "shape": "standard"});
    let add = async |org| rig.ask(Method::POST, &path(org), Some(ADMIN), Some(body.clone())).await;
    let first = add("org-1").await.expect(201).json();
    for _ in 1..100 {
        add("org-1").await.expect(201);
    }
    let refused = add("org-1").await.expect(400).json();
    assert_eq!(refused["errors"][0]["field"], "webhooks", "{refused}");
    add("org-2").await.expect(201);
    let first = format!("{}/{}", path("org-1"), first["id"].as_str().unwrap());
    rig.ask(Method::DELETE, &first, Some(ADMIN), None).await.expect(204);
    add("org-1").await.expect(201);
}
