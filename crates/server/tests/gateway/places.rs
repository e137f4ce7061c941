//! More requests, streams and imports at once than there are places (T21): a tenant with its share is
//! told so, in its dialect's words, and others are served.

use axum::body::Body;
use axum::response::Response;
use futures_util::stream;
use http::{Request, StatusCode};
use std::convert::Infallible;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt as _;
use waypost_server::Limits;

use crate::rig::{ADMIN, Answer, Rig};

const SEND: &str = "/whatsapp/messages/send";
/// A tenant alone may hold two of them.
const PLACES: usize = 4;
/// Tries until the requests that shall hold a place have taken it.
const TRIES: usize = 10_000;

fn post(path: &str, header: &str, value: &str, body: Body) -> Request<Body> {
    let request = Request::post(path).header("host", "waypost").header(header, value);
    request.header("content-type", "application/json").body(body).unwrap()
}

/// A body that neither comes nor ends.
fn endless() -> Body {
    Body::from_stream(stream::pending::<Result<&'static str, Infallible>>())
}

async fn send(rig: &Rig, key: &str) -> Answer {
    rig.call(post(SEND, "x-api-key", key, Body::from("{}"))).await
}

#[tokio::test]
async fn t21_a_tenant_with_its_share_is_told_to_come_back_and_others_are_served() {
    let rig = Rig::within(Limits { tenant_requests: PLACES, ..Limits::default() }).await;
    let mut keys = Vec::new();
    for (org, number) in [("org-1", "n-1"), ("org-2", "n-2")] {
        rig.furnish(org, number).await;
        keys.push(rig.key(org, &["messages:send", "messages:read"]).await);
    }
    let mut held = JoinSet::new();
    for _ in 0..PLACES / 2 {
        let request = post(SEND, "x-api-key", &keys[0], endless());
        held.spawn(rig.router.clone().oneshot(request));
    }
    let mut tries = 0;
    while send(&rig, &keys[0]).await.status != StatusCode::TOO_MANY_REQUESTS {
        tokio::task::yield_now().await;
        tries += 1;
        assert!(tries < TRIES, "nobody is ever turned away");
    }
    let own = "/waypost/v1/orgs/org-1/messages";
    let bearer = format!("Bearer {}", keys[0]);
    for (path, header, value, status) in [
        (SEND, "x-api-key", &keys[0], 429),
        ("/api/v1/whatsapp/message/text", "apikey", &keys[0], 429),
        ("/resources/v1/messaging", "key", &keys[0], 400),
        ("/api/v2/message", "authorization", &bearer, 429),
        (own, "authorization", &bearer, 429),
    ] {
        let answer = rig.call(post(path, header, value, Body::from("{}"))).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.headers["retry-after"], "1", "{path}");
    }
    assert_eq!(send(&rig, &keys[1]).await.status, StatusCode::BAD_REQUEST, "another is read");
    let log = "/waypost/v1/orgs/org-2/messages";
    assert_eq!(rig.get(log).await.status, StatusCode::OK, "so is the installation");
    let metrics = rig.ask(http::Method::GET, "/metrics", Some(ADMIN), None).await;
    let refused = r#"waypost_requests_refused_total{reason="share"}"#;
    assert!(metrics.text().contains(refused), "{}", metrics.text());
    held.shutdown().await;
    assert_eq!(send(&rig, &keys[0]).await.status, StatusCode::BAD_REQUEST, "the places are free");
}

/// Opens the stream of an organisation's events.
async fn stream_of(rig: &Rig, org: &str) -> Response {
    let request = Request::get(format!("/waypost/v1/orgs/{org}/events"))
        .header("host", "waypost")
        .header("authorization", format!("Bearer {ADMIN}"))
        .header("accept", "text/event-stream");
    rig.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn retry_after(response: &Response) -> Option<&[u8]> {
    response.headers().get("retry-after").map(http::HeaderValue::as_bytes)
}

#[tokio::test]
async fn t21_one_organisation_never_has_all_streams() {
    let rig = Rig::within(Limits { streams: 2, ..Limits::default() }).await;
    for (org, number) in [("org-1", "n-1"), ("org-2", "n-2"), ("org-3", "n-3")] {
        rig.furnish(org, number).await;
    }
    let of_one = stream_of(&rig, "org-1").await;
    assert_eq!(of_one.status(), StatusCode::OK);
    let beyond = stream_of(&rig, "org-1").await;
    assert_eq!(beyond.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(retry_after(&beyond), Some(&b"1"[..]));
    let of_other = stream_of(&rig, "org-2").await;
    assert_eq!(of_other.status(), StatusCode::OK);
    let beyond = stream_of(&rig, "org-3").await;
    assert_eq!(beyond.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(retry_after(&beyond), Some(&b"1"[..]));
    drop(of_one);
    assert_eq!(stream_of(&rig, "org-3").await.status(), StatusCode::OK, "a place is free again");
}

fn import(org: &str, body: Body) -> Request<Body> {
    let request = Request::post(format!("/waypost/v1/orgs/{org}/customers/import"))
        .header("host", "waypost")
        .header("authorization", format!("Bearer {ADMIN}"))
        .header("content-type", "text/csv");
    request.body(body).unwrap()
}

#[tokio::test]
async fn t21_one_organisation_never_has_all_imports() {
    let rig = Rig::within(Limits { imports: 2, ..Limits::default() }).await;
    for (org, number) in [("org-1", "n-1"), ("org-2", "n-2"), ("org-3", "n-3")] {
        rig.furnish(org, number).await;
    }
    let short = |org| rig.call(import(org, Body::from("phone\n15550003333\n")));
    let mut of_one = Box::pin(rig.router.clone().oneshot(import("org-1", endless())));
    assert!(timeout(Duration::ZERO, &mut of_one).await.is_err(), "it has its place and waits");
    let beyond = short("org-1").await.expect(429);
    assert_eq!(beyond.header("retry-after"), Some("1"));
    short("org-2").await.expect(200);
    let mut of_other = Box::pin(rig.router.clone().oneshot(import("org-2", endless())));
    assert!(timeout(Duration::ZERO, &mut of_other).await.is_err(), "it has its place and waits");
    let beyond = short("org-3").await.expect(503);
    assert_eq!(beyond.header("retry-after"), Some("1"));
    drop(of_one);
    short("org-3").await.expect(200);
}
