//! Changes of one thing that come at the same time: none undoes the other.

use http::Method;
use serde_json::{Value, json};

use crate::rig::{ADMIN, Rig};

const ORG: &str = "/waypost/v1/orgs/org-1";

/// A rig with one of everything that can be changed.
async fn furnished() -> Rig {
    let rig = Rig::new().await;
    rig.furnish("org-1", "100000000000001").await;
    let secret = "an-imported-secret";
    for (path, body) in [
        ("api-keys", json!({"id": "k-1", "scopes": ["media"], "secret": secret})),
        (
            "media-providers",
            json!({"name": "files", "allowed_hosts": ["a.example"],
            "scheme": "bearer", "secret": "token"}),
        ),
        ("webhooks", json!({"id": "w-1", "url": "https://a.example/", "shape": "standard"})),
    ] {
        rig.make(&format!("/orgs/org-1/{path}"), body).await;
    }
    rig
}

#[tokio::test]
async fn changes_of_different_fields_are_both_kept() {
    let rig = furnished().await;
    for (path, one, other) in [
        ("", json!({"name": "New"}), json!({"default_language": "en"})),
        ("/numbers/100000000000001", json!({"daily_limit": 500}), json!({"source_id": "s"})),
        ("/api-keys/k-1", json!({"name": "new"}), json!({"rate_limit": 5})),
        (
            "/media-providers/files",
            json!({"allowed_hosts": ["b.example"]}),
            json!({"scheme": "basic", "secret": "user:word"}),
        ),
        ("/webhooks/w-1", json!({"url": "https://b.example/"}), json!({"disabled": true})),
        ("/customers/c-1", json!({"opt_in": false}), json!({"name": "Gina", "tags": ["vip"]})),
    ] {
        let path = format!("{ORG}{path}");
        let change = |body: &Value| rig.ask(Method::PATCH, &path, Some(ADMIN), Some(body.clone()));
        let (first, second) = tokio::join!(change(&one), change(&other));
        let (first, second) = (first.expect(200), second.expect(200));
        let now = rig.get(&path).await.expect(200).json();
        for (answer, change) in [(first, one), (second, other)] {
            for name in change.as_object().unwrap().keys().filter(|name| *name != "secret") {
                assert_eq!(now[name], answer.json()[name], "{path} {name}");
            }
        }
    }
}

#[tokio::test]
async fn of_two_that_make_a_webhook_of_one_id_the_second_is_told_of_the_conflict() {
    let rig = furnished().await;
    let path = format!("{ORG}/webhooks");
    let body = json!({"id": "w-2", "url": "https://a.example/", "shape": "standard"});
    let make = || rig.ask(Method::POST, &path, Some(ADMIN), Some(body.clone()));
    let (first, second) = tokio::join!(make(), make());
    let [made, refused] = if first.status == 201 { [first, second] } else { [second, first] };
    made.expect(201);
    let problem = refused.expect(409).json();
    assert_eq!(
        (&problem["code"], &problem["errors"][0]["field"]),
        (&json!("conflict"), &json!("id"))
    );
}

#[tokio::test]
async fn a_key_that_is_revoked_while_it_is_changed_stays_revoked() {
    let rig = furnished().await;
    let path = format!("{ORG}/api-keys/k-1");
    let (revoked, _) = tokio::join!(
        rig.ask(Method::DELETE, &path, Some(ADMIN), None),
        rig.ask(Method::PATCH, &path, Some(ADMIN), Some(json!({"name": "new"}))),
    );
    revoked.expect(204);
    let key = rig.get(&path).await.expect(200).json();
    assert!(key["revoked_at"].is_string(), "{key}");
}

#[tokio::test]
async fn a_number_s_name_that_another_has_is_taken() {
    let rig = furnished().await;
    let path = format!("{ORG}/numbers");
    let second = json!({"id": "n-2", "display_phone": "15550008888", "waba_id": "w",
        "phone_number_id": "100000000000009", "aliases": ["shop"]});
    let with = |change: Value| {
        let mut number = second.clone();
        number.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        number
    };
    let first = format!("{path}/100000000000001");
    let (post, patch) = (Method::POST, Method::PATCH);
    for (method, path, body, field) in [
        (&post, &path, with(json!({"display_phone": "+1 555 000 9999"})), "display_phone"),
        (&post, &path, with(json!({"phone_number_id": "100000000000001"})), "phone_number_id"),
        (&post, &path, with(json!({"aliases": ["+15550009999"]})), "aliases"),
        (&post, &path, second.clone(), ""),
        (&post, &path, second.clone(), "id"),
        (&patch, &first, json!({"aliases": ["+15550008888"]}), "aliases"),
        (&patch, &first, json!({"source_id": "shop"}), "source_id"),
        (&patch, &first, json!({"app_id": "n-2"}), "app_id"),
        (&patch, &first, json!({"phone_number_id": "100000000000009"}), "phone_number_id"),
        (&patch, &first, json!({"aliases": ["15550009999", "store"]}), ""),
    ] {
        let answer = rig.ask(method.clone(), path, Some(ADMIN), Some(body.clone())).await;
        if field.is_empty() {
            assert!(answer.status.is_success(), "{body}: {}", answer.text());
            continue;
        }
        let problem = answer.expect(409).json();
        let told = (&problem["code"], &problem["errors"][0]["field"]);
        assert_eq!(told, (&json!("conflict"), &json!(field)), "{body}");
    }
}
