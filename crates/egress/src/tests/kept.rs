//! Connections that are kept for the next callback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::rig::{ASKER, Site, client, ip, ok, read_request};
use crate::{Egress, EgressError, PostResponse};

/// Generous: nothing is judged by it.
const LIVELY: Duration = Duration::from_secs(120);

/// A server that answers as many requests over one connection as it is told, then closes it.
struct Patient {
    url: String,
    counts: Arc<Counts>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    /// Those whose last answer is on its way, or was.
    last: AtomicUsize,
    /// Those that have ended on both sides.
    ended: AtomicUsize,
}

impl Patient {
    async fn start(requests_per_connection: usize) -> Self {
        let listener = TcpListener::bind((ip("127.0.0.3"), 0)).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut streams = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::SeqCst);
                let counted = Arc::clone(&counted);
                streams.spawn(async move {
                    let mut stream = BufReader::new(stream);
                    for place in 1..=requests_per_connection {
                        let Ok(request) = read_request(&mut stream).await else { return };
                        assert!(!request.contains("connection: close"), "{request}");
                        if place == requests_per_connection {
                            counted.last.fetch_add(1, Ordering::SeqCst);
                        }
                        let _ = stream.write_all(&ok(b"fine")).await;
                    }
                    let _ = stream.shutdown().await;
                    // Ends when the other side has noticed.
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                    counted.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, counts, _server: server }
    }

    fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// Waits until every connection that had its last answer has ended, as it does between two real
    /// callbacks.
    async fn has_closed(&self) {
        let Counts { last, ended, .. } = &*self.counts;
        let closing = async {
            while ended.load(Ordering::SeqCst) < last.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LIVELY, closing).await.expect("what was closed is let go");
    }
}

async fn post(egress: &Egress, url: &str) -> Result<PostResponse, EgressError> {
    egress.post(ASKER, url, HeaderMap::new(), Bytes::from_static(b"{}"), LIVELY).await
}

#[tokio::test]
async fn callbacks_one_after_the_other_share_a_connection() {
    let (egress, site) = (client(&[]), Patient::start(1_000).await);
    for _ in 0..50 {
        assert_eq!(post(&egress, &site.url).await.unwrap().status, 200);
    }
    // One that does not show in time that it stays open is not kept.
    assert!(site.connections() <= 5, "{}", site.connections());
}

#[tokio::test]
async fn a_connection_that_the_receiver_closed_is_replaced() {
    let (egress, site) = (client(&[]), Patient::start(3).await);
    for _ in 0..30 {
        assert_eq!(post(&egress, &site.url).await.unwrap().status, 200);
        site.has_closed().await;
    }
    assert!((10..=15).contains(&site.connections()), "{}", site.connections());
}

#[tokio::test]
async fn a_receiver_that_says_close_is_not_waited_for() {
    let close = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec();
    let site = Site::start("127.0.0.3", move |_| close.clone()).await;
    let (egress, url) = (client(&[]), format!("http://{}/", site.address));
    for _ in 0..5 {
        assert_eq!(post(&egress, &url).await.unwrap().status, 200);
    }
    assert_eq!(site.requests().len(), 5);
}

#[tokio::test]
async fn kept_connections_change_nothing_about_who_may_be_called() {
    let egress = client(&[]);
    for url in ["http://127.0.0.1/", "http://localhost/", "http://inside.example.com/"] {
        let refused = post(&egress, url).await;
        assert!(matches!(refused, Err(EgressError::PrivateAddress { .. })), "{url}");
    }
}

#[tokio::test]
async fn parallel_callbacks_use_kept_connections_first() {
    let (egress, site) = (Arc::new(client(&[])), Patient::start(1_000).await);
    for _ in 0..2 {
        let mut calls = JoinSet::new();
        for _ in 0..20 {
            let (egress, url) = (Arc::clone(&egress), site.url.clone());
            calls.spawn(async move { post(&egress, &url).await.unwrap().status });
        }
        while let Some(status) = calls.join_next().await {
            assert_eq!(status.unwrap(), 200);
        }
    }
    assert!(site.connections() <= 32, "{}", site.connections());
}
