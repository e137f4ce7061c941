//! What the description offers to those who try it out: every body that it shows is taken.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::rig::{ADMIN, Answer, Rig};

/// Something of each kind that a path names, with its ids in the paths.
async fn furnished(rig: &Rig) -> Vec<(&'static str, String)> {
    rig.furnish("org-1", "100000000000001").await;
    rig.make("/orgs/org-1/templates/sync", json!({})).await;
    let provider = json!({"name": "files", "allowed_hosts": ["files.example.com"],
        "scheme": "bearer", "secret": "token"});
    rig.make("/orgs/org-1/media-providers", provider).await;
    let key = rig.make("/orgs/org-1/api-keys", json!({"scopes": ["media"]})).await;
    let hook = json!({"id": "wh-1", "url": "https://crm.example.com/events"});
    rig.make("/orgs/org-1/webhooks", hook).await;
    vec![
        ("{org_id}", "org-1".to_owned()),
        ("{user_id}", "u-1".to_owned()),
        ("{customer_id}", "c-1".to_owned()),
        ("{number_id}", "100000000000001".to_owned()),
        ("{provider_name}", "files".to_owned()),
        ("{key_id}", key["id"].as_str().unwrap().to_owned()),
        ("{template_id}", "500".to_owned()),
        ("{webhook_id}", "wh-1".to_owned()),
    ]
}

async fn send(rig: &Rig, method: &str, path: &str, kind: &str, example: &Value) -> Answer {
    send_with(rig, method, path, kind, example, None).await
}

async fn send_with(
    rig: &Rig,
    method: &str,
    path: &str,
    kind: &str,
    example: &Value,
    idempotency_key: Option<&str>,
) -> Answer {
    let body = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
    let mut request = Request::builder()
        .method(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap())
        .uri(path)
        .header("authorization", format!("Bearer {ADMIN}"))
        .header("content-type", kind);
    if let Some(key) = idempotency_key {
        request = request.header("idempotency-key", key);
    }
    rig.call(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn whatever_the_description_offers_is_taken() {
    let rig = Rig::new().await;
    let ids = furnished(&rig).await;
    let document = rig.get("/waypost/v1/openapi.json").await.expect(200).json();
    let mut taken = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let filled = ids.iter().fold(path.clone(), |path, (name, id)| path.replace(name, id));
        for (method, operation) in item.as_object().unwrap() {
            let contents = operation["requestBody"]["content"].as_object().cloned();
            for (kind, content) in contents.unwrap_or_default() {
                if kind == "multipart/form-data" {
                    continue;
                }
                assert!(!content["example"].is_null(), "{method} {path} has no example of {kind}");
                let answer = send(&rig, method, &filled, &kind, &content["example"]).await;
                assert!(answer.status.is_success(), "{method} {path}: {}", answer.text());
                assert_ne!(answer.json()["failed"], json!(1), "{kind}: {}", answer.text());
                taken += 1;
            }
        }
    }
    assert!(taken > 25, "only {taken} bodies are offered");
}

#[tokio::test]
async fn an_idempotency_key_is_offered_where_it_counts_and_only_there() {
    let rig = Rig::new().await;
    let ids = furnished(&rig).await;
    let document = rig.get("/waypost/v1/openapi.json").await.expect(200).json();
    let mut offered = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let filled = ids.iter().fold(path.clone(), |path, (name, id)| path.replace(name, id));
        let operation = &item["post"];
        let example = &operation["requestBody"]["content"]["application/json"]["example"];
        // Uploads have no example. Upstream there is but one template here, and it is made already.
        if example.is_null() || operation["operationId"] == "create_template" {
            continue;
        }
        let named = |it: &Value| it["name"] == "Idempotency-Key";
        let offers = operation["parameters"].as_array().into_iter().flatten().any(named);
        let post = || send_with(&rig, "post", &filled, "application/json", example, Some("k"));
        let first = post().await;
        assert!(first.status.is_success(), "{path}: {}", first.text());
        let again = post().await;
        let replayed = again.header("idempotency-replayed") == Some("true");
        assert_eq!(replayed, offers, "{path}: {}", again.text());
        offered += usize::from(offers);
    }
    assert!(offered >= 10, "it is offered {offered} times only");
}

#[tokio::test]
async fn summaries_are_plain_text() {
    let rig = Rig::new().await;
    let document = rig.get("/waypost/v1/openapi.json").await.expect(200).json();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(!summary.is_empty() && !summary.contains('`'), "{method} {path}: {summary}");
        }
    }
}
