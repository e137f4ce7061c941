//! Time limits, under a paused clock: silent resolvers, peers that hang, drip or never end.

use std::{io, net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::rig::{ASKER, Dripping, client, download, fetch_of, public_policy};
use crate::{
    Egress, EgressError, FetchRequest, Phase, Resolve, Timeouts,
    connection::{Dial, Wire},
};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
const URL: &str = "http://127.0.0.3/";

fn request() -> FetchRequest {
    let seconds = Duration::from_secs;
    let timeouts =
        Timeouts { connect: seconds(2), head: seconds(10), idle: seconds(20), total: seconds(60) };
    FetchRequest { timeouts, ..fetch_of(URL) }
}

/// The phase in which the download timed out, and after how many seconds.
async fn timed_out(egress: Egress, request: FetchRequest) -> (Phase, u64) {
    let start = Instant::now();
    match download(&egress, request).await {
        Err(EgressError::Timeout(phase)) => (phase, start.elapsed().as_secs()),
        other => panic!("{other:?}"),
    }
}

fn dripping(pieces: Vec<&'static str>, pace_seconds: u64) -> Egress {
    let pace = Duration::from_secs(pace_seconds);
    client(&[]).dialling(Arc::new(Dripping { pieces, pace }))
}

struct Silent;

#[async_trait]
impl Resolve for Silent {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

#[async_trait]
impl Dial for Silent {
    async fn dial(&self, _target: SocketAddr) -> io::Result<Box<dyn Wire>> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_resolver_is_given_up() {
    let egress = Egress::new(public_policy(), Arc::new(Silent));
    let named = FetchRequest { url: "http://files.example/".to_owned(), ..request() };
    assert_eq!(timed_out(egress, named).await, (Phase::Resolve, 5));
}

#[tokio::test(start_paused = true)]
async fn each_address_has_its_time_to_connect() {
    let two: &[&str] = &["127.0.0.3", "127.0.0.4"];
    let egress = client(&[("two.example", two)]).dialling(Arc::new(Silent));
    let named = FetchRequest { url: "http://two.example/".to_owned(), ..request() };
    assert_eq!(timed_out(egress, named).await, (Phase::Connect, 4));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_shake_hands_is_given_up() {
    let egress = client(&[]).dialling(Arc::new(Mute));
    let secure = FetchRequest { url: "https://127.0.0.3/".to_owned(), ..request() };
    let secure_egress = egress.with_tls_config(super::tls::trusting_nobody());
    assert_eq!(timed_out(secure_egress, secure).await, (Phase::Tls, 2));
}

/// Accepts and then neither reads nor writes.
struct Mute;

#[async_trait]
impl Dial for Mute {
    async fn dial(&self, _target: SocketAddr) -> io::Result<Box<dyn Wire>> {
        let (ours, theirs) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let _held = theirs;
            std::future::pending::<()>().await;
        });
        Ok(Box::new(ours))
    }
}

#[tokio::test(start_paused = true)]
async fn a_dripping_head_is_given_up() {
    let head = vec!["HTTP/1.1 200 OK\r\n", "a: b\r\n", "c: d\r\n", "e: f\r\n"];
    assert_eq!(timed_out(dripping(head, 3), request()).await, (Phase::Head, 10));
}

#[tokio::test(start_paused = true)]
async fn endless_interim_answers_are_given_up() {
    let interim = vec!["HTTP/1.1 100 Continue\r\n\r\n"; 50];
    assert_eq!(timed_out(dripping(interim, 1), request()).await, (Phase::Head, 10));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_falls_silent_is_given_up() {
    assert_eq!(timed_out(dripping(vec![HEAD, "abc"], 1), request()).await, (Phase::Body, 22));
}

#[tokio::test(start_paused = true)]
async fn a_dripping_body_ends_at_the_total_time() {
    let mut pieces = vec!["x"; 100];
    pieces[0] = HEAD;
    assert_eq!(timed_out(dripping(pieces, 5), request()).await, (Phase::Body, 60));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_does_not_outlive_the_total_time() {
    use futures_util::StreamExt;
    let egress = dripping(vec![HEAD, "abc"], 0);
    let mut body = egress.get(request()).await.unwrap().body;
    tokio::time::advance(Duration::from_secs(61)).await;
    let piece = body.next().await;
    assert!(matches!(piece, Some(Err(EgressError::Timeout(Phase::Body)))), "{piece:?}");
    assert!(body.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_callback_ends_at_its_time_limit() {
    let limit = Duration::from_secs(7);
    let start = Instant::now();
    let post = |egress: Egress| async move {
        egress.post(ASKER, URL, HeaderMap::new(), Bytes::from("{}"), limit).await
    };
    let refused = post(dripping(vec![], 1)).await;
    assert!(matches!(refused, Err(EgressError::Timeout(Phase::Head))), "{refused:?}");
    assert_eq!(start.elapsed(), limit);
    let reply = post(dripping(vec![HEAD, "abc"], 1)).await.unwrap();
    assert_eq!((reply.status.as_u16(), &reply.body[..], reply.truncated), (200, &b"abc"[..], true));
    assert_eq!(start.elapsed(), limit * 2);
}
