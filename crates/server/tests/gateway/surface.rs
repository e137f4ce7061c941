//! What stands around the API: description and page, health, metrics, webhooks, media, dialect
//! transport, panics.

use std::collections::HashSet;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::rig::{ADMIN, Answer, PANIC, Rig};

/// Much longer than anything here takes.
const LIVENESS: Duration = Duration::from_secs(90);

/// Uploads a file by the management API.
pub(crate) async fn upload(rig: &Rig, org: &str, key: &str, bytes: &[u8]) -> Answer {
    let head = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\
        Content-Type: application/pdf\r\n\r\n";
    let body = [&head[..], bytes, b"\r\n--b--\r\n"].concat();
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/waypost/v1/orgs/{org}/media"))
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "multipart/form-data; boundary=b");
    rig.call(request.body(Body::from(body)).unwrap()).await
}

fn send_text(key: &str) -> http::request::Builder {
    Request::builder()
        .method(Method::POST)
        .uri("/whatsapp/messages/send")
        .header("x-api-key", key)
        .header("content-type", "application/json")
}

fn text_body() -> Value {
    json!({"message": {"type": "text", "text": {"body": "hi"}}, "sessionId": "s",
        "customerId": "c-1", "userId": "u-1", "orgId": "org-1"})
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let rig = Rig::new().await;
    let page = rig.get("/docs/").await.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"));
    let html = page.text();
    assert!(html.contains("<title>Waypost API</title>"), "{html}");
    assert!(html.contains("width=device-width"), "a phone shows it shrunk: {html}");
    assert!(!html.contains("http://") && !html.contains("https://"), "{html}");
    assert!(!html.contains("<script>"), "{html}");
    for file in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
        assert!(html.contains(file));
        rig.get(&format!("/docs/{file}")).await.expect(200);
    }
    let initializer = rig.get("/docs/swagger-initializer.js").await.text();
    assert!(initializer.contains("/waypost/v1/openapi.json"), "{initializer}");
    rig.get("/docs/nothing.js").await.expect(404);
    let bare = rig.get("/docs").await;
    assert_eq!(bare.header("location"), Some("/docs/"));
}

#[tokio::test]
async fn a_stream_of_events_ends_when_the_gateway_stops() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "100000000000001").await;
    let stop = CancellationToken::new();
    let (engine, stopped) = (rig.engine.clone(), stop.clone());
    let running = tokio::spawn(async move { engine.run(stopped).await });
    let request = Request::builder()
        .uri("/waypost/v1/orgs/org-1/events")
        .header("host", "waypost")
        .header("authorization", format!("Bearer {ADMIN}"))
        .header("accept", "text/event-stream");
    let response = rig.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    stop.cancel();
    let ended = timeout(LIVENESS, response.into_body().collect()).await;
    assert!(ended.is_ok(), "the stream goes on without a gateway");
    running.await.unwrap();
}

#[tokio::test]
async fn faults_of_arguments_name_the_argument() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "100000000000001").await;
    let instant = "such as 2030-01-31T00:00:00Z";
    for (list, arguments, field, rule) in [
        ("messages", "ordr=newest", "ordr", "there are"),
        ("messages", "limit=many", "limit", "must be a whole number"),
        ("messages", "limit=", "limit", "must be a whole number"),
        ("messages", "limit=-1", "limit", "must be a whole number"),
        ("messages", "limit=99999999999", "limit", "must be a whole number"),
        ("messages", "retryable=1", "retryable", "must be true or false"),
        ("messages", "limit=1&limit=2", "limit", "twice"),
        ("messages", "order=sideways", "order", "oldest or newest"),
        ("messages", "status=seen", "status", "queued, "),
        ("messages", "error_code=bad", "error_code", "131026"),
        ("messages", "direction=up", "direction", "outbound or inbound"),
        ("messages", "since=yesterday", "since", instant),
        ("messages", "until=2026-01-31", "until", instant),
        ("events", "since=2026-01-31T00:00:00", "since", instant),
        ("events", "kind=message.seen", "kind", "message.delivered"),
        ("callbacks", "state=done", "state", "pending or dead"),
    ] {
        let path = format!("/waypost/v1/orgs/org-1/{list}?{arguments}");
        let refused = rig.get(&path).await.expect(400).json();
        let fault = &refused["errors"][0];
        assert_eq!(fault["field"], field, "{refused}");
        assert!(fault["message"].as_str().unwrap().contains(rule), "{refused}");
    }
    let path = "/waypost/v1/orgs/org-1/messages/retry";
    let body = json!({"since": "yesterday"});
    let refused = rig.ask(Method::POST, path, Some(ADMIN), Some(body)).await.expect(400).json();
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains(instant), "{refused}");
}

#[tokio::test]
async fn a_key_whose_time_is_over_is_not_made() {
    let rig = Rig::new().await;
    rig.make("/orgs", json!({"id": "org-1", "name": "One"})).await;
    let make = async |key: &str| {
        let body = json!({"scopes": ["media"], "expires_at": "2027-01-15T08:00:01Z"});
        let request = Request::builder()
            .method(Method::POST)
            .uri("/waypost/v1/orgs/org-1/api-keys")
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        rig.call(request.body(Body::from(body.to_string())).unwrap()).await
    };
    make("k").await.expect(201);
    rig.clock.advance(Duration::from_secs(1));
    let refused = make("another").await.expect(400).json();
    assert_eq!(refused["errors"][0]["field"], "expires_at");
    make("k").await.expect(201);
}

#[tokio::test]
async fn a_key_in_a_foreign_network_is_told_so() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let body = json!({"scopes": ["messages:send"], "allowed_ips": ["192.0.2.0/24"]});
    let made = rig.make("/orgs/org-1/api-keys", body).await;
    let key = made["secret"].as_str().unwrap();
    let refused = rig.ask(Method::GET, "/waypost/v1/me", Some(key), None).await.expect(401).json();
    assert_eq!(refused["code"], "address_not_allowed");
    assert!(refused["detail"].as_str().unwrap().contains("address"), "{refused}");
    // A dialect that does not tell them apart says what it says of any wrong key.
    let request = send_text(key).body(Body::from(text_body().to_string())).unwrap();
    let refused = rig.call(request).await.expect(401).text();
    assert!(!refused.contains("address"), "{refused}");
}

#[tokio::test]
async fn the_description_is_whole() {
    let rig = Rig::new().await;
    let document = rig.get("/waypost/v1/openapi.json").await.expect(200).json();
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for part in text.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is named and not described");
    }
    let mut ids = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let description = response["description"].as_str().unwrap_or_default();
                assert!(!description.is_empty(), "{method} {path} {status}");
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for name in path.split('{').skip(1).map(|it| it.split('}').next().unwrap()) {
                assert!(parameters.iter().any(|it| it["name"] == name), "{method} {path} {name}");
            }
        }
    }
    let events = &document["paths"]["/waypost/v1/orgs/{org_id}/events"]["get"]["responses"]["200"];
    assert!(events["content"]["application/json"]["schema"].is_object(), "{events}");
    assert!(events["content"]["text/event-stream"].is_object(), "{events}");
    assert!(schemas["OrgPatch"].get("required").is_none());
    for (schema, field, member) in [
        ("OrgInput", "wire_offsets", json!("string")),
        ("OrgPatch", "wire_offsets", json!(["string", "null"])),
        ("NumberPatch", "notify_auth", json!("string")),
    ] {
        let map = &schemas[schema]["properties"][field];
        assert_eq!(map["additionalProperties"]["type"], member, "{schema} {field}");
    }
    for (schema, field, least, most) in [
        ("OrgInput", "message_retention_days", 1, 3_660),
        ("OrgPatch", "media_retention_days", 1, 3_660),
        ("KeyInput", "rate_limit", 1, 100_000),
    ] {
        let property = &schemas[schema]["properties"][field];
        let bounds = (&property["minimum"], &property["maximum"]);
        assert_eq!(bounds, (&json!(least), &json!(most)), "{schema} {field}");
    }
    assert!(schemas["OrgInput"]["required"].as_array().unwrap().contains(&json!("name")));
    for secret in ["access_token", "app_secret"] {
        assert!(schemas["Number"]["properties"].get(secret).is_none());
    }
}

#[tokio::test]
async fn names_that_cannot_be_called_or_told_apart_are_refused() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let key = |id: &str| json!({"id": id, "scopes": ["media"], "secret": "an-imported-secret"});
    let provider = |name: &str| {
        let hosts = ["a.example"];
        json!({"name": name, "allowed_hosts": hosts, "scheme": "bearer", "secret": "t"})
    };
    rig.make("/orgs/org-1/media-providers", provider("files")).await;
    for (path, body, status, field) in [
        ("", json!({"id": "..", "name": "Dots"}), 400, "id"),
        ("/org-1/users", json!({"id": "."}), 400, "id"),
        ("/org-1/api-keys", key(".."), 400, "id"),
        ("/org-1/api-keys", key("admin"), 400, "id"),
        ("/org-1/media-providers", provider("."), 400, "name"),
        ("/org-1/media-providers", provider("files"), 409, "name"),
    ] {
        let path = format!("/waypost/v1/orgs{path}");
        let answer = rig.ask(Method::POST, &path, Some(ADMIN), Some(body)).await;
        let told = answer.expect(status).json();
        assert_eq!(told["errors"][0]["field"], field, "{told}");
    }
}

#[tokio::test]
async fn health_and_readiness_name_the_upstream() {
    let rig = Rig::new().await;
    rig.get("/healthz").await.expect(200);
    let ready = rig.get("/readyz").await.expect(200).json();
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["upstream"], json!({"name": "agreeable", "sandbox": true}));
}

#[tokio::test]
async fn the_metrics_are_for_this_machine_and_the_installation_s_key() {
    let rig = Rig::new().await;
    rig.make("/orgs", json!({"id": "org-1", "name": "One"})).await;
    let tenant = rig.key("org-1", &["admin"]).await;
    let ask = async |key: Option<&str>| rig.ask(Method::GET, "/metrics", key, None).await;
    assert_eq!(ask(None).await.status, 401);
    assert_eq!(ask(Some(&tenant)).await.status, 403);
    let text = ask(Some(ADMIN)).await.expect(200).text();
    for name in
        ["waypost_http_requests_total", "waypost_messages_accepted_total", "waypost_build_info"]
    {
        assert!(text.contains(name), "{name} is missing: {text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert!(!text.contains("org-1"));
}

#[tokio::test]
async fn webhooks_are_taken_with_the_right_signature_only() {
    let rig = Rig::new().await;
    let post = async |signature: Option<&str>, body: Vec<u8>| {
        let mut request = Request::builder().method(Method::POST).uri("/webhooks/meta");
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        rig.call(request.body(Body::from(body)).unwrap()).await
    };
    assert_eq!(post(Some("right"), b"{}".to_vec()).await.status, 200);
    assert_eq!(post(Some("right"), vec![b'x'; 4 << 20]).await.status, 200);
    assert_eq!(post(Some("right"), vec![b'x'; (4 << 20) + 1]).await.status, 413);
    assert_eq!(post(Some("wrong"), b"{}".to_vec()).await.status, 401);
    assert_eq!(post(None, b"{}".to_vec()).await.status, 401);
    let query = "hub.mode=subscribe&hub.verify_token=verify&hub.challenge=42";
    assert_eq!(rig.get(&format!("/webhooks/meta?{query}")).await.expect(200).text(), "42");
    rig.get("/webhooks/meta?hub.mode=subscribe&hub.verify_token=x&hub.challenge=42")
        .await
        .expect(403);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused_with_a_problem() {
    let rig = Rig::new().await;
    for (method, path, allow) in [
        (Method::DELETE, "/healthz", "GET,HEAD"),
        (Method::PUT, "/webhooks/meta", "GET,HEAD,POST"),
        (Method::POST, "/waypost/v1/me", "GET,HEAD"),
    ] {
        let answer = rig.ask(method, path, None, None).await.expect(405);
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
        assert_eq!(answer.json()["code"], "method_not_allowed");
    }
    for path in ["/nothing", "/waypost/v1/webhooks", "/waypost/v1/orgs/org-1/events", "/media/x"] {
        let answer = rig.get(path).await.expect(404);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
    }
}

#[tokio::test]
async fn public_media_is_inert() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let made = upload(&rig, "org-1", ADMIN, b"%PDF-1.7 x").await.expect(201).json();
    let path = made["url"].as_str().unwrap().strip_prefix("https://waypost.example.com").unwrap();
    let file = rig.get(path).await.expect(200);
    assert_eq!(&file.body[..], b"%PDF-1.7 x");
    for (name, value) in [
        ("content-type", "application/pdf"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("content-disposition", "attachment; filename=\"a.pdf\"; filename*=UTF-8''a.pdf"),
    ] {
        assert_eq!(file.header(name), Some(value));
    }
    rig.get(&path.replace(".pdf", ".html")).await.expect(404);
}

#[tokio::test]
async fn an_upload_with_the_same_idempotency_key_makes_one_file() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let post = async |bytes: &str| {
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\ntext/plain\r\n\
             --b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n{bytes}\r\n--b--\r\n"
        );
        let request = Request::builder()
            .method(Method::POST)
            .uri("/waypost/v1/orgs/org-1/media")
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("idempotency-key", "k")
            .header("content-type", "multipart/form-data; boundary=b");
        rig.call(request.body(Body::from(body)).unwrap()).await
    };
    let first = post("one").await.expect(201);
    let again = post("one").await.expect(201);
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    post("two").await.expect(422);
}

#[tokio::test]
async fn a_dialect_s_request_is_named_and_replayed() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let key = rig.key("org-1", &["messages:send"]).await;
    let post = async |body: Value| {
        let request = send_text(&key).header("idempotency-key", "k").header("x-request-id", "r-1");
        rig.call(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let first = post(text_body()).await.expect(200);
    assert_eq!(first.header("x-request-id"), Some("r-1"));
    assert_eq!(first.header("idempotency-replayed"), None);
    let again = post(text_body()).await.expect(200);
    assert_eq!(first.body, again.body);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let mut other = text_body();
    other["sessionId"] = json!("s-2");
    assert_eq!(post(other).await.expect(422).json()["error"]["code"], "idempotency_conflict");
}

#[tokio::test]
async fn a_dialect_s_checks_come_in_order() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let key = rig.key("org-1", &["messages:send"]).await;
    let send = "/whatsapp/messages/send";
    let long = "150000000";
    let ask = async |method: &str, path: &str, key: &str, kind: &str, length: &str| {
        let request = Request::builder().method(method).uri(path).header("x-api-key", key);
        let request = request.header("content-type", kind).header("content-length", length);
        let answer = rig.call(request.body(Body::empty()).unwrap()).await;
        let code = answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
        (answer.status.as_u16(), code)
    };
    let json = "application/json";
    for (method, path, key, kind, length, status, code) in [
        ("GET", "/whatsapp/nothing", "", "text/plain", long, 404, "route_not_found"),
        ("GET", send, "", "text/plain", long, 401, "missing_api_key"),
        ("GET", send, "wrong", "text/plain", long, 401, "invalid_api_key"),
        ("GET", send, &key, "text/plain", long, 405, "method_not_allowed"),
        ("POST", send, &key, "text/plain", long, 415, "unsupported_content_type"),
        ("POST", send, &key, json, long, 413, "body_too_large"),
        ("POST", send, &key, json, "0", 400, "invalid_json"),
        ("POST", "/whatsapp/messages/send/", &key, json, "0", 400, "invalid_json"),
    ] {
        let answer = ask(method, path, key, kind, length).await;
        assert_eq!(answer, (status, code.to_owned()), "{method} {path} {kind} {length}");
    }
}

#[tokio::test]
async fn a_key_s_rate_counts_for_dialects_and_api_alike() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let body = json!({"scopes": ["messages:send"], "rate_limit": 1});
    let made = rig.make("/orgs/org-1/api-keys", body).await;
    let key = made["secret"].as_str().unwrap();
    let me = async || rig.ask(Method::GET, "/waypost/v1/me", Some(key), None).await;
    me().await.expect(200);
    let refused = me().await.expect(429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    let request = send_text(key).body(Body::from(text_body().to_string())).unwrap();
    let refused = rig.call(request).await.expect(429);
    assert_eq!(refused.json()["error"]["code"], "rate_limited");
    assert!(refused.header("retry-after").is_some());
    rig.clock.advance(Duration::from_secs(1));
    let request = send_text(key).body(Body::from(text_body().to_string())).unwrap();
    rig.call(request).await.expect(200);
}

#[tokio::test]
async fn a_message_whose_end_is_past_is_replayed_to_a_repetition_and_refused_otherwise() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let post = async |key: &str| {
        let body = json!({"to": "15550001111", "type": "text", "text": {"body": "soon"},
            "expires_at": "2027-01-15T08:00:01Z"});
        let request = Request::builder()
            .method(Method::POST)
            .uri("/waypost/v1/orgs/org-1/messages")
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        rig.call(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let first = post("k").await.expect(202);
    rig.clock.advance(Duration::from_secs(1));
    let again = post("k").await.expect(202);
    assert_eq!(again.json()["id"], first.json()["id"]);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let refused = post("another").await.expect(400).json();
    assert_eq!(refused["code"], "invalid_value");
    assert_eq!(refused["errors"][0]["field"], "expires_at");
}

#[tokio::test]
async fn a_creation_repeated_with_its_key_makes_nothing_twice() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    for (path, one, other) in [
        ("/orgs", json!({"name": "a"}), json!({"name": "b"})),
        ("/orgs/org-1/users", json!({"name": "a"}), json!({"name": "b"})),
        ("/orgs/org-1/customers", json!({"phone": "15550007777"}), json!({"phone": "15550008888"})),
        ("/orgs/org-1/api-keys", json!({"scopes": ["media"]}), json!({"scopes": ["customers"]})),
    ] {
        let post = async |body: &Value| {
            let request = Request::builder()
                .method(Method::POST)
                .uri(format!("/waypost/v1{path}"))
                .header("authorization", format!("Bearer {ADMIN}"))
                .header("content-type", "application/json")
                .header("idempotency-key", "k");
            rig.call(request.body(Body::from(body.to_string())).unwrap()).await
        };
        let first = post(&one).await.expect(201);
        let again = post(&one).await.expect(201);
        assert_eq!(first.json()["id"], again.json()["id"], "{path}");
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{path}");
        assert_eq!(again.json().get("secret"), None, "a secret is shown once");
        post(&other).await.expect(422);
    }
}

/// Makes a user with a key.
async fn post_user(rig: &Rig, key: &str, name: &str) -> Answer {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/waypost/v1/orgs/org-1/users")
        .header("authorization", format!("Bearer {ADMIN}"))
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    rig.call(request.body(Body::from(json!({"name": name}).to_string())).unwrap()).await
}

#[tokio::test]
async fn keys_of_creations_are_kept_however_many_there_are() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let mut made = Vec::new();
    for place in 0..250 {
        let user = post_user(&rig, &format!("k{place}"), "a").await.expect(201).json();
        made.push(user["id"].clone());
    }
    for (place, id) in made.iter().enumerate() {
        let again = post_user(&rig, &format!("k{place}"), "a").await.expect(201);
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{place}");
        assert_eq!(again.json()["id"], *id);
    }
}

#[tokio::test]
async fn a_key_of_a_creation_is_free_once_the_thing_is_gone_and_after_a_week() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let first = post_user(&rig, "k", "a").await.expect(201).json()["id"].clone();
    let path = format!("/waypost/v1/orgs/org-1/users/{}", first.as_str().unwrap());
    rig.ask(Method::DELETE, &path, Some(ADMIN), None).await.expect(204);
    let second = post_user(&rig, "k", "a").await.expect(201);
    assert_eq!(second.header("idempotency-replayed"), None);
    assert_ne!(second.json()["id"], first);
    let again = post_user(&rig, "k", "a").await.expect(201);
    assert_eq!(again.json()["id"], second.json()["id"]);
    post_user(&rig, "k", "b").await.expect(422);
    rig.clock.advance(Duration::from_secs(7 * 24 * 3_600 + 1));
    post_user(&rig, "k", "b").await.expect(201);
}

#[tokio::test]
async fn creations_with_one_key_at_the_same_time_make_one_thing() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let racers = (0..16).map(|_| post_user(&rig, "k", "a"));
    let answers = futures_util::future::join_all(racers).await;
    let ids: HashSet<String> = answers
        .into_iter()
        .map(|answer| answer.expect(201).json()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_refused_creation_frees_its_key() {
    let rig = Rig::new().await;
    rig.furnish("org-1", "n-1").await;
    let post = async |body: Value| {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/waypost/v1/orgs/org-1/customers")
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-type", "application/json")
            .header("idempotency-key", "k");
        rig.call(request.body(Body::from(body.to_string())).unwrap()).await
    };
    post(json!({"phone": "15550001111"})).await.expect(409);
    post(json!({"phone": "15550007777"})).await.expect(201);
}

#[tokio::test]
async fn a_panic_is_answered_without_internals() {
    let rig = Rig::new().await;
    let request = Request::post("/webhooks/meta").header("x-hub-signature-256", "any");
    let answer = rig.call(request.body(Body::from(PANIC)).unwrap()).await.expect(500);
    assert_eq!(answer.json()["code"], "internal");
    assert!(answer.header("x-request-id").is_some());
    assert!(!answer.text().contains("as a test asked for"));
    rig.get("/healthz").await.expect(200);
}

#[tokio::test]
async fn secrets_can_be_written_and_never_read() {
    let rig = Rig::new().await;
    rig.make("/orgs", json!({"id": "org-1", "name": "One"})).await;
    let number = json!({"display_phone": "15550009999", "phone_number_id": "n-1", "waba_id": "w",
        "app_secret": "canary-app-secret", "notify_auth": {"crm": "canary-notify-auth"}});
    let made = rig.make("/orgs/org-1/numbers", number).await;
    assert_eq!((&made["has_app_secret"], &made["notify_auth"]), (&json!(true), &json!(["crm"])));
    let path = "/waypost/v1/orgs/org-1/numbers/n-1";
    let patch = async |body: Value| {
        rig.ask(Method::PATCH, path, Some(ADMIN), Some(body)).await.expect(200).json()
    };
    let kept = patch(json!({"throughput_per_s": 5})).await;
    assert_eq!((&kept["has_app_secret"], &kept["throughput_per_s"]), (&json!(true), &json!(5)));
    let cleared = patch(json!({"app_secret": null})).await;
    let left = (&cleared["has_app_secret"], &cleared["notify_auth"]);
    assert_eq!(left, (&json!(false), &json!(["crm"])));
    assert!(!rig.get(path).await.text().contains("canary"));
    let real = json!({"access_token": "canary"});
    let refused = rig.ask(Method::PATCH, path, Some(ADMIN), Some(real)).await.expect(400).json();
    assert_eq!(refused["errors"][0]["field"], "access_token");
}
