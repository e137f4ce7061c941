//! Callbacks: what is sent, what of the reply is kept.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::rig::{ASKER, Site, client, ok, redirect};
use crate::{EgressError, MAX_REPLY_BYTES, PostResponse};

const PATIENCE: Duration = Duration::from_secs(120);

async fn post_to(site: &Site, headers: HeaderMap) -> Result<PostResponse, EgressError> {
    let url = format!("http://{}/hook?a=b", site.address);
    client(&[]).post(ASKER, &url, headers, Bytes::from(r#"{"a":1}"#), PATIENCE).await
}

#[tokio::test]
async fn posts_the_body_with_its_headers_and_hands_back_the_reply() {
    let site = Site::start("127.0.0.3", |_| {
        b"HTTP/1.1 202 Accepted\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\nhi".to_vec()
    })
    .await;
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", HeaderValue::from_static("msg_1"));
    let reply = post_to(&site, headers).await.unwrap();
    assert_eq!((reply.status.as_u16(), &reply.body[..], reply.truncated), (202, &b"hi"[..], false));
    assert_eq!(reply.headers["retry-after"], "7");
    let request = site.requests().remove(0);
    assert!(request.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nwebhook-id: msg_1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
}

#[tokio::test]
async fn headers_of_the_caller_do_not_touch_the_framing() {
    let site = Site::start("127.0.0.3", |_| ok(b"")).await;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "evil.example"),
        ("content-length", "999"),
        ("transfer-encoding", "chunked"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    post_to(&site, headers).await.unwrap();
    let request = site.requests().remove(0);
    for line in [format!("host: {}", site.address), "content-length: 7".into()] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line} {request}");
    }
    for absent in ["evil", "999", "chunked", "upgrade", "connection:"] {
        assert!(!request.contains(absent), "{absent} {request}");
    }
}

#[tokio::test]
async fn reports_a_redirect_without_following_it() {
    let other = Site::start("127.0.0.4", |_| ok(b"")).await;
    let location = format!("http://{}/", other.address);
    let site = Site::start("127.0.0.3", move |_| redirect(&location)).await;
    let reply = post_to(&site, HeaderMap::new()).await.unwrap();
    assert_eq!(reply.status.as_u16(), 302);
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn keeps_the_status_of_a_reply_that_is_too_long_or_breaks_off() {
    let long = [b"HTTP/1.1 200 OK\r\n\r\n", &vec![b'a'; MAX_REPLY_BYTES + 1][..]].concat();
    let broken = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec();
    for (answer, kept) in [(long, MAX_REPLY_BYTES), (broken, 3)] {
        let site = Site::start("127.0.0.3", move |_| answer.clone()).await;
        let reply = post_to(&site, HeaderMap::new()).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.body.len(), reply.truncated), (200, kept, true));
    }
    let fitting = ok(&vec![b'a'; MAX_REPLY_BYTES]);
    let site = Site::start("127.0.0.3", move |_| fitting.clone()).await;
    let reply = post_to(&site, HeaderMap::new()).await.unwrap();
    assert_eq!((reply.body.len(), reply.truncated), (MAX_REPLY_BYTES, false));
}
