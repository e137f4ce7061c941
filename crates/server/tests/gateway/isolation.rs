//! Organisations cannot see each other (T8): every operation of the OpenAPI document, with every
//! kind of id, called by whom it is not for. A new operation without an entry here fails.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::rig::{ADMIN, FOREIGN_TOKEN, Rig};

const SCOPES: [&str; 7] =
    ["messages:send", "messages:read", "media", "customers", "templates", "webhooks", "admin"];

/// Every operation with the scope that it needs. `installation`: the installation's key only;
/// `any`: every valid key.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("GET", "/me", "any"),
    ("GET", "/orgs", "admin"),
    ("POST", "/orgs", "installation"),
    ("GET", "/orgs/{org_id}", "admin"),
    ("PATCH", "/orgs/{org_id}", "admin"),
    ("DELETE", "/orgs/{org_id}", "installation"),
    ("GET", "/queues", "installation"),
    ("POST", "/backups", "installation"),
    ("POST", "/backups/{backup_id}/confirm", "installation"),
    ("GET", "/held-back", "installation"),
    ("POST", "/held-back", "installation"),
    ("GET", "/orgs/{org_id}/users", "admin"),
    ("POST", "/orgs/{org_id}/users", "admin"),
    ("GET", "/orgs/{org_id}/users/{user_id}", "admin"),
    ("PATCH", "/orgs/{org_id}/users/{user_id}", "admin"),
    ("DELETE", "/orgs/{org_id}/users/{user_id}", "admin"),
    ("GET", "/orgs/{org_id}/customers", "customers"),
    ("POST", "/orgs/{org_id}/customers", "customers"),
    ("POST", "/orgs/{org_id}/customers/import", "customers"),
    ("GET", "/orgs/{org_id}/customers/{customer_id}", "customers"),
    ("PATCH", "/orgs/{org_id}/customers/{customer_id}", "customers"),
    ("DELETE", "/orgs/{org_id}/customers/{customer_id}", "customers"),
    ("GET", "/orgs/{org_id}/numbers", "admin"),
    ("POST", "/orgs/{org_id}/numbers", "admin"),
    ("GET", "/orgs/{org_id}/numbers/{number_id}", "admin"),
    ("PATCH", "/orgs/{org_id}/numbers/{number_id}", "admin"),
    ("DELETE", "/orgs/{org_id}/numbers/{number_id}", "admin"),
    ("POST", "/orgs/{org_id}/numbers/{number_id}/register", "admin"),
    ("POST", "/orgs/{org_id}/numbers/{number_id}/subscribe", "admin"),
    ("GET", "/orgs/{org_id}/api-keys", "admin"),
    ("POST", "/orgs/{org_id}/api-keys", "admin"),
    ("GET", "/orgs/{org_id}/api-keys/{key_id}", "admin"),
    ("PATCH", "/orgs/{org_id}/api-keys/{key_id}", "admin"),
    ("DELETE", "/orgs/{org_id}/api-keys/{key_id}", "admin"),
    ("GET", "/orgs/{org_id}/media-providers", "admin"),
    ("POST", "/orgs/{org_id}/media-providers", "admin"),
    ("GET", "/orgs/{org_id}/media-providers/{provider_name}", "admin"),
    ("PATCH", "/orgs/{org_id}/media-providers/{provider_name}", "admin"),
    ("DELETE", "/orgs/{org_id}/media-providers/{provider_name}", "admin"),
    ("GET", "/orgs/{org_id}/templates", "templates"),
    ("POST", "/orgs/{org_id}/templates", "templates"),
    ("POST", "/orgs/{org_id}/templates/sync", "templates"),
    ("GET", "/orgs/{org_id}/templates/{template_id}", "templates"),
    ("PATCH", "/orgs/{org_id}/templates/{template_id}", "templates"),
    ("DELETE", "/orgs/{org_id}/templates/{template_id}", "templates"),
    ("GET", "/orgs/{org_id}/media", "media"),
    ("POST", "/orgs/{org_id}/media", "media"),
    ("GET", "/orgs/{org_id}/media/{media_id}", "media"),
    ("DELETE", "/orgs/{org_id}/media/{media_id}", "media"),
    ("GET", "/orgs/{org_id}/messages", "messages:read"),
    ("POST", "/orgs/{org_id}/messages", "messages:send"),
    ("POST", "/orgs/{org_id}/messages/retry", "messages:send"),
    ("POST", "/orgs/{org_id}/messages/cancel", "messages:send"),
    ("GET", "/orgs/{org_id}/messages/{message_id}", "messages:read"),
    ("POST", "/orgs/{org_id}/messages/{message_id}/cancel", "messages:send"),
    ("POST", "/orgs/{org_id}/messages/{message_id}/retry", "messages:send"),
    ("GET", "/orgs/{org_id}/sessions", "messages:read"),
    ("GET", "/orgs/{org_id}/sessions/{session_id}", "messages:read"),
    ("GET", "/orgs/{org_id}/broadcasts", "messages:read"),
    ("POST", "/orgs/{org_id}/broadcasts", "messages:send"),
    ("GET", "/orgs/{org_id}/broadcasts/{broadcast_id}", "messages:read"),
    ("POST", "/orgs/{org_id}/broadcasts/{broadcast_id}/pause", "messages:send"),
    ("POST", "/orgs/{org_id}/broadcasts/{broadcast_id}/resume", "messages:send"),
    ("POST", "/orgs/{org_id}/broadcasts/{broadcast_id}/cancel", "messages:send"),
    ("GET", "/orgs/{org_id}/webhooks", "webhooks"),
    ("POST", "/orgs/{org_id}/webhooks", "webhooks"),
    ("GET", "/orgs/{org_id}/webhooks/{webhook_id}", "webhooks"),
    ("PATCH", "/orgs/{org_id}/webhooks/{webhook_id}", "webhooks"),
    ("DELETE", "/orgs/{org_id}/webhooks/{webhook_id}", "webhooks"),
    ("POST", "/orgs/{org_id}/webhooks/{webhook_id}/rotate-secret", "webhooks"),
    ("POST", "/orgs/{org_id}/webhooks/{webhook_id}/test", "webhooks"),
    ("POST", "/orgs/{org_id}/webhooks/{webhook_id}/replay", "webhooks"),
    ("GET", "/orgs/{org_id}/callbacks", "webhooks"),
    ("POST", "/orgs/{org_id}/callbacks/replay", "webhooks"),
    ("GET", "/orgs/{org_id}/events", "webhooks"),
    ("GET", "/orgs/{org_id}/events/{event_id}", "webhooks"),
];

#[tokio::test]
async fn every_operation_of_the_document_has_an_entry_here() {
    let rig = Rig::new().await;
    let document = rig.get("/waypost/v1/openapi.json").await.expect(200).json();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/waypost/v1").unwrap();
        for method in item.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.to_owned()));
        }
    }
    let listed = OPERATIONS.iter().map(|(method, path, _)| (method.to_string(), path.to_string()));
    assert_eq!(described, listed.collect());
}

/// The ids of one thing of every kind, by the names of path parameters.
type Ids = BTreeMap<&'static str, String>;

/// The id of something that happened: a message is withdrawn.
async fn withdraw_one(rig: &Rig, base: &str) -> String {
    let message = json!({"customer_id": "c-1", "type": "text", "text": {"body": "never mind"}});
    let message = rig.make(&format!("{base}/messages"), message).await;
    let id = message["id"].as_str().unwrap();
    let path = format!("/waypost/v1{base}/messages/{id}/cancel");
    rig.ask(Method::POST, &path, Some(ADMIN), Some(json!({}))).await.expect(200);
    let events = rig.get(&format!("/waypost/v1{base}/events")).await.expect(200).json();
    events["data"][0]["id"].as_str().unwrap().to_owned()
}

/// One thing of every kind in an organisation.
async fn populate(rig: &Rig, org: &str, number: &str) -> Ids {
    rig.furnish(org, number).await;
    let base = format!("/orgs/{org}");
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    let key = rig.make(&format!("{base}/api-keys"), json!({"scopes": ["media"]})).await;
    let provider = json!({"name": "archive", "scheme": "bearer", "secret": "a-secret",
        "allowed_hosts": ["files.example.com"]});
    rig.make(&format!("{base}/media-providers"), provider).await;
    rig.make(&format!("{base}/templates/sync"), json!({})).await;
    let message = json!({"customer_id": "c-1", "type": "text", "text": {"body": "hello"}});
    let message = rig.make(&format!("{base}/messages"), message).await;
    let broadcast = json!({"template": {"name": "hello_world"}});
    let broadcast = rig.make(&format!("{base}/broadcasts"), broadcast).await;
    let webhook = json!({"url": "https://events.example.com/"});
    let webhook = rig.make(&format!("{base}/webhooks"), webhook).await;
    let event = withdraw_one(rig, &base).await;
    let media = crate::surface::upload(rig, org, ADMIN, b"%PDF-1.7 x").await.expect(201).json();
    Ids::from([
        ("org_id", org.to_owned()),
        ("user_id", "u-1".to_owned()),
        ("customer_id", "c-1".to_owned()),
        ("number_id", number.to_owned()),
        ("key_id", id(&key)),
        ("provider_name", "archive".to_owned()),
        ("template_id", "500".to_owned()),
        ("media_id", id(&media)),
        ("message_id", id(&message)),
        ("session_id", format!("{number}.15550001111")),
        ("broadcast_id", id(&broadcast)),
        ("webhook_id", id(&webhook)),
        ("event_id", event),
        ("backup_id", "1800000000000".to_owned()),
    ])
}

/// Ids of the right form that nothing has.
fn absent(org: &str) -> Ids {
    let uuid = "00000000-0000-7000-8000-000000000000";
    Ids::from([
        ("org_id", org.to_owned()),
        ("user_id", "u-absent".to_owned()),
        ("customer_id", "c-absent".to_owned()),
        ("number_id", "n-absent".to_owned()),
        ("key_id", "k-absent".to_owned()),
        ("provider_name", "p-absent".to_owned()),
        ("template_id", "999".to_owned()),
        ("media_id", "9999999999999999".to_owned()),
        ("message_id", uuid.to_owned()),
        ("session_id", "n-absent.15550001111".to_owned()),
        ("broadcast_id", uuid.to_owned()),
        ("webhook_id", "wh-absent".to_owned()),
        ("event_id", uuid.to_owned()),
        ("backup_id", "1".to_owned()),
    ])
}

fn fill(path: &str, ids: &Ids) -> String {
    let mut filled = format!("/waypost/v1{path}");
    for (name, value) in ids {
        filled = filled.replace(&format!("{{{name}}}"), value);
    }
    assert!(!filled.contains('{'), "no id for {path}");
    filled
}

fn method(name: &str) -> Method {
    name.parse().unwrap()
}

fn body_for(method: &str) -> Option<Value> {
    matches!(method, "POST" | "PATCH").then(|| json!({}))
}

#[tokio::test]
async fn without_a_valid_key_nothing_answers() {
    let rig = Rig::new().await;
    let ids = populate(&rig, "org-1", "n-1").await;
    let keys = "/orgs/org-1/api-keys";
    let revoked = rig.make(keys, json!({"scopes": SCOPES})).await;
    let one = format!("/waypost/v1{keys}/{}", revoked["id"].as_str().unwrap());
    rig.ask(Method::DELETE, &one, Some(ADMIN), None).await.expect(204);
    let expired = json!({"scopes": SCOPES, "expires_at": "2027-01-15T08:00:01Z"});
    let expired = rig.make(keys, expired).await;
    rig.clock.advance(std::time::Duration::from_secs(2));
    let [revoked, expired] = [&revoked, &expired].map(|key| key["secret"].as_str().unwrap());
    for (name, path, _) in OPERATIONS {
        let path = fill(path, &ids);
        for (what, key) in [
            ("no key", None),
            ("a blank key", Some(" ")),
            ("an unknown key", Some("wp_test_unknown")),
            ("a revoked key", Some(revoked)),
            ("an expired key", Some(expired)),
        ] {
            let answer = rig.ask(method(name), &path, key, body_for(name)).await;
            assert_eq!(answer.status, 401, "{name} {path} with {what}: {}", answer.text());
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused() {
    let rig = Rig::new().await;
    let ids = populate(&rig, "org-1", "n-1").await;
    for (name, path, scope) in OPERATIONS {
        let path = fill(path, &ids);
        let needed = if *scope == "installation" { "" } else { scope };
        let lacking: Vec<&str> = SCOPES
            .into_iter()
            .filter(|it| *it != needed && (*it != "admin" || needed.is_empty()))
            .collect();
        let key = rig.key("org-1", &lacking).await;
        let answer = rig.ask(method(name), &path, Some(&key), body_for(name)).await;
        let expected = if *scope == "any" { 200 } else { 403 };
        assert_eq!(answer.status, expected, "{name} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn another_organisation_looks_like_none() {
    let rig = Rig::new().await;
    let ids = populate(&rig, "org-1", "n-1").await;
    populate(&rig, "org-2", "n-2").await;
    let foreign = rig.key("org-2", &SCOPES).await;
    for (name, path, _) in OPERATIONS.iter().filter(|(_, path, _)| path.contains("{org_id}")) {
        let ask =
            async |path: String| rig.ask(method(name), &path, Some(&foreign), body_for(name)).await;
        let theirs = ask(fill(path, &ids)).await.expect(404);
        let nobodys = ask(fill(path, &absent("org-absent"))).await.expect(404);
        assert_eq!(theirs.body, nobodys.body, "{name} {path}");
        assert_eq!(theirs.header("content-type"), nobodys.header("content-type"));
    }
    // Nothing was changed by any of these calls.
    assert_eq!(populate_again(&rig, &ids).await, Vec::<String>::new());
}

/// Things of an organisation that are not there any more.
async fn populate_again(rig: &Rig, ids: &Ids) -> Vec<String> {
    let mut gone = Vec::new();
    for (name, path, _) in OPERATIONS.iter().filter(|(name, ..)| *name == "GET") {
        // No person has written: there is no session to be seen.
        if path.contains("{session_id}") {
            continue;
        }
        let path = fill(path, ids);
        let answer = rig.ask(method(name), &path, Some(ADMIN), None).await;
        if answer.status != 200 {
            gone.push(format!("{path}: {}", answer.text()));
        }
    }
    gone
}

#[tokio::test]
async fn another_organisation_s_ids_name_nothing_in_one_s_own() {
    let rig = Rig::new().await;
    let ids = populate(&rig, "org-1", "n-1").await;
    rig.make("/orgs", json!({"id": "org-2", "name": "Two"})).await;
    let own = rig.key("org-2", &SCOPES).await;
    for (name, path, _) in OPERATIONS.iter().filter(|(_, path, _)| path.matches('{').count() > 1) {
        let mut theirs = ids.clone();
        theirs.insert("org_id", "org-2".to_owned());
        let ask =
            async |path: String| rig.ask(method(name), &path, Some(&own), body_for(name)).await;
        let foreign = ask(fill(path, &theirs)).await.expect(404);
        let nothing = ask(fill(path, &absent("org-2"))).await.expect(404);
        assert_eq!(foreign.body, nothing.body, "{name} {path}");
    }
    assert_eq!(populate_again(&rig, &ids).await, Vec::<String>::new());
}

#[tokio::test]
async fn ids_of_others_inside_a_request_name_nothing() {
    let rig = Rig::new().await;
    let ids = populate(&rig, "org-1", "n-1").await;
    rig.furnish("org-2", "n-2").await;
    let own = rig.key("org-2", &SCOPES).await;
    let path = "/waypost/v1/orgs/org-2/messages";
    let text = json!({"body": "x"});
    for (foreign, absent) in [
        (
            json!({"to": "15550001111", "number": "n-1", "type": "text", "text": text}),
            json!({"to": "15550001111", "number": "n-0", "type": "text", "text": text}),
        ),
        (
            json!({"to": "15550001111", "type": "document", "document": {"id": ids["media_id"]}}),
            json!({"to": "15550001111", "type": "document", "document": {"id": "0000000000000000"}}),
        ),
    ] {
        let ask = async |body: Value| rig.ask(Method::POST, path, Some(&own), Some(body)).await;
        let theirs = ask(foreign.clone()).await;
        let nobodys = ask(absent.clone()).await;
        assert_eq!(theirs.status, 404, "{foreign}: {}", theirs.text());
        let named =
            |text: String| text.replace("n-0", "n-1").replace("0000000000000000", &ids["media_id"]);
        assert_eq!(theirs.text(), named(nobodys.text()));
    }
}

#[tokio::test]
async fn an_organisation_s_administrator_sees_its_own_only() {
    let rig = Rig::new().await;
    rig.make("/orgs", json!({"id": "org-1", "name": "One"})).await;
    rig.make("/orgs", json!({"id": "org-2", "name": "Two"})).await;
    let key = rig.key("org-2", &["admin"]).await;
    let listed =
        rig.ask(Method::GET, "/waypost/v1/orgs", Some(&key), None).await.expect(200).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(listed["data"][0]["id"], "org-2");
}

const NUMBERS: &str = "/waypost/v1/orgs/org-2/numbers";

/// A number in a business account.
fn number_in(waba_id: &str, more: &Value) -> Value {
    let mut number = json!({"id": "n-3", "display_phone": "15550008888",
        "phone_number_id": "100000000000003", "waba_id": waba_id});
    number.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    number
}

#[tokio::test]
async fn what_the_installation_s_token_reaches_only_its_own_key_gives_to_a_number() {
    let rig = Rig::new().await;
    let ids = populate(&rig, "org-1", "n-1").await;
    rig.furnish("org-2", "n-2").await;
    let key = rig.key("org-2", &SCOPES).await;
    let (post, patch) = (Method::POST, Method::PATCH);
    let one = format!("{NUMBERS}/n-2");
    for (method, path, body, expected) in [
        (&post, NUMBERS, number_in("waba-n-1", &json!({})), 403),
        (&post, NUMBERS, number_in("waba-of-nobody", &json!({})), 403),
        (&patch, &one, json!({"waba_id": "waba-n-1"}), 403),
        (&patch, &one, json!({"phone_number_id": "100000000000003"}), 403),
        (&patch, &one, json!({"app_secret": "what-it-signs-is-believed"}), 403),
        (&patch, &one, json!({"waba_id": "waba-n-2", "throughput_per_s": 20}), 200),
        (&patch, &one, json!({"aliases": ["shop"]}), 200),
    ] {
        let answer = rig.ask(method.clone(), path, Some(&key), Some(body.clone())).await;
        assert_eq!(answer.status, expected, "{body}: {}", answer.text());
    }
    assert_eq!(populate_again(&rig, &ids).await, Vec::<String>::new());
    // Who runs the installation may give two tenants one account.
    rig.make("/orgs/org-2/numbers", number_in("waba-n-1", &json!({}))).await;
}

#[tokio::test]
async fn a_token_of_a_number_s_own_shows_what_it_reaches_and_opens_nobody_s_account() {
    let rig = Rig::live().await;
    rig.furnish("org-1", "n-1").await;
    rig.make("/orgs", json!({"id": "org-2", "name": "Two"})).await;
    let key = rig.key("org-2", &SCOPES).await;
    let own = json!({"access_token": "our-own-token"});
    let (post, patch) = (Method::POST, Method::PATCH);
    let one = format!("{NUMBERS}/n-3");
    for (method, path, body, expected, code) in [
        (&post, NUMBERS, number_in("waba-n-1", &own), 409, "conflict"),
        (
            &post,
            NUMBERS,
            number_in("waba-3", &json!({"access_token": FOREIGN_TOKEN})),
            400,
            "invalid_value",
        ),
        (&post, NUMBERS, number_in("waba-3", &own), 201, ""),
        (&patch, &one, json!({"waba_id": "waba-n-1"}), 409, "conflict"),
        (
            &patch,
            &one,
            json!({"waba_id": "waba-4", "access_token": FOREIGN_TOKEN}),
            400,
            "invalid_value",
        ),
        (&patch, &one, json!({"access_token": null}), 403, "scope_missing"),
        (&patch, &one, json!({"waba_id": "waba-4"}), 200, ""),
    ] {
        let answer = rig.ask(method.clone(), path, Some(&key), Some(body.clone())).await;
        assert_eq!(answer.status, expected, "{body}: {}", answer.text());
        assert_eq!(answer.json()["code"].as_str().unwrap_or_default(), code, "{body}");
    }
}

#[tokio::test]
async fn on_a_shared_number_templates_are_its_owner_s_to_manage() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let shared = json!({"shared": true});
    rig.ask(Method::PATCH, "/waypost/v1/orgs/org-1/numbers/n-1", Some(ADMIN), Some(shared))
        .await
        .expect(200);
    rig.make("/orgs", json!({"id": "org-2", "name": "Two", "join_code": "two"})).await;
    let key = rig.key("org-2", &SCOPES).await;
    let template = json!({"name": "a", "language": "en", "category": "UTILITY", "components": []});
    let path = "/waypost/v1/orgs/org-2/templates";
    let refused = rig.ask(Method::POST, path, Some(&key), Some(template)).await.expect(404);
    assert_eq!(refused.json()["code"], "number_not_found");
}

#[tokio::test]
async fn a_file_for_a_number_that_is_not_there_is_refused() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    rig.furnish("org-2", "n-2").await;
    for (number, expected) in [("n-1", 201), ("n-2", 404), ("n-0", 404)] {
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"number\"\r\n\r\n{number}\r\n\
             --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\
             Content-Type: application/pdf\r\n\r\n%PDF-1.7 x\r\n--b--\r\n"
        );
        let request = Request::builder()
            .method(Method::POST)
            .uri("/waypost/v1/orgs/org-1/media")
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-type", "multipart/form-data; boundary=b");
        let answer = rig.call(request.body(Body::from(form)).unwrap()).await.expect(expected);
        if expected == 404 {
            assert_eq!(answer.json()["code"], "number_not_found");
        }
    }
    let kept = rig.get("/waypost/v1/orgs/org-1/media").await.expect(200).json();
    assert_eq!(kept["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_opens_organisations_to_each_other_only_the_installation_s_key_says() {
    let rig = Rig::live().await;
    rig.furnish("org-1", "n-1").await;
    rig.furnish("org-2", "n-2").await;
    let key = rig.key("org-2", &SCOPES).await;
    let (post, patch) = (Method::POST, Method::PATCH);
    let org = "/waypost/v1/orgs/org-2";
    let one = format!("{NUMBERS}/n-2");
    let shared = json!({"shared": true, "access_token": "our-own-token"});
    for (by, method, path, body, expected) in [
        (&*key, &patch, org, json!({"join_code": "hi"}), 403),
        (&*key, &patch, org, json!({"join_code": null, "name": "Two"}), 200),
        (&*key, &patch, &*one, json!({"shared": true}), 403),
        (&*key, &patch, &*one, json!({"shared": false, "throughput_per_s": 20}), 200),
        (&*key, &post, NUMBERS, number_in("waba-3", &shared), 403),
        (ADMIN, &patch, org, json!({"join_code": "two"}), 200),
        (ADMIN, &patch, &*one, json!({"shared": true}), 200),
        (&*key, &patch, org, json!({"join_code": "two", "name": "Two"}), 200),
        (&*key, &patch, org, json!({"join_code": "hi"}), 403),
        (&*key, &patch, org, json!({"join_code": null}), 403),
        (&*key, &patch, &*one, json!({"shared": true, "throughput_per_s": 30}), 200),
        (&*key, &patch, &*one, json!({"shared": null}), 403),
    ] {
        let answer = rig.ask(method.clone(), path, Some(by), Some(body.clone())).await;
        assert_eq!(answer.status, expected, "{body}: {}", answer.text());
        if expected == 403 {
            assert_eq!(answer.json()["code"], "scope_missing", "{body}");
        }
    }
}
