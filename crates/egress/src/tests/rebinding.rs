//! Check T10: a name that changes its address between check and connection gains nothing.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::net::TcpListener;

use super::rig::{
    ASKER, Canaries, NotingDial, Site, download, fetch_of, ip, public_policy, redirect,
};
use crate::{Egress, EgressError, Resolve, SystemResolver, planted::Planted};

const TRIES: usize = 1000;
const PUBLIC: &str = "127.0.0.3";
const PRIVATE: &str = "127.0.0.1";

/// Answers every name in turn with the public and with the private address.
#[derive(Default)]
struct Flipping {
    asked: Mutex<HashMap<String, usize>>,
}

#[async_trait]
impl Resolve for Flipping {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut asked = self.asked.lock();
        let times = asked.entry(host.to_owned()).or_default();
        *times += 1;
        Ok(vec![ip(if times.is_multiple_of(2) { PRIVATE } else { PUBLIC })])
    }
}

/// What a tenant's address is asked for.
#[derive(Clone, Copy, Debug)]
enum Way {
    Download,
    Callback,
}

impl Way {
    const BOTH: [Self; 2] = [Self::Download, Self::Callback];

    async fn answer(self, egress: &Egress, url: &str) -> Result<Vec<u8>, EgressError> {
        let patience = Duration::from_secs(120);
        match self {
            Self::Download => download(egress, fetch_of(url)).await,
            Self::Callback => {
                let posted =
                    egress.post(ASKER, url, HeaderMap::new(), Bytes::new(), patience).await;
                posted.map(|reply| reply.body.to_vec())
            }
        }
    }
}

/// What the public address answers; it keeps no connection, so that each try asks for an address.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\npublic";

struct Run {
    answered: usize,
    refused: usize,
    targets: Vec<SocketAddr>,
    vetted: SocketAddr,
    canary_hits: usize,
}

/// `names` different names, asked for in turn: with one name every other try begins at the
/// private address, with as many names as tries each name flips between check and connection.
async fn run(way: Way, names: usize, fault: Option<Planted>) -> Run {
    // The canaries' port, so that a flipped address would find a listener.
    let (canaries, site) = loop {
        let canaries = Canaries::start().await;
        if let Ok(site) = TcpListener::bind((ip(PUBLIC), canaries.port)).await {
            break (canaries, site);
        }
    };
    let vetted = site.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = site.accept().await {
            let _ = super::rig::serve(stream, &Mutex::default(), &|_: &str| ANSWER.to_vec()).await;
        }
    });
    let dial = NotingDial::with_canary(canaries.first());
    let egress = Egress::new(public_policy(), Arc::new(Flipping::default()))
        .dialling(dial.clone())
        .planting(fault);
    let (mut answered, mut refused) = (0, 0);
    for number in 0..TRIES {
        let url = format!("http://n{}.example:{}/", number % names, canaries.port);
        match way.answer(&egress, &url).await {
            Ok(body) if body == b"public" => answered += 1,
            Err(EgressError::PrivateAddress { .. }) => refused += 1,
            _ => {}
        }
    }
    server.abort();
    let targets = dial.targets.lock().clone();
    Run { answered, refused, targets, vetted, canary_hits: canaries.hits().await }
}

#[tokio::test]
async fn t10_a_name_that_flips_after_the_check_is_reached_where_it_was_checked() {
    for way in Way::BOTH {
        let run = run(way, TRIES, None).await;
        assert_eq!((run.answered, run.refused), (TRIES, 0), "{way:?}");
        assert_eq!(run.targets, vec![run.vetted; TRIES], "{way:?}");
        assert_eq!(run.canary_hits, 0, "{way:?}");
    }
}

#[tokio::test]
async fn t10_a_name_that_flips_with_every_answer_is_refused_at_its_private_ones() {
    for way in Way::BOTH {
        let run = run(way, 1, None).await;
        assert_eq!((run.answered, run.refused), (TRIES / 2, TRIES / 2), "{way:?}");
        assert_eq!(run.targets, vec![run.vetted; TRIES / 2], "{way:?}");
        assert_eq!(run.canary_hits, 0, "{way:?}");
    }
}

#[tokio::test]
async fn t10_goes_red_when_the_name_is_resolved_again_for_the_connection() {
    for way in Way::BOTH {
        let run = run(way, TRIES, Some(Planted::ResolvedAgainAtConnect)).await;
        assert_eq!(run.canary_hits, TRIES, "{way:?}");
        assert_eq!(run.answered, 0, "{way:?}");
    }
}

#[tokio::test]
async fn a_redirect_to_the_same_name_is_vetted_again() {
    let site = Site::start(PUBLIC, |_| redirect("/again")).await;
    let egress = Egress::new(public_policy(), Arc::new(Flipping::default()));
    let url = format!("http://flip.example:{}/", site.port());
    let refused = download(&egress, fetch_of(&url)).await;
    assert!(matches!(refused, Err(EgressError::PrivateAddress { .. })), "{refused:?}");
    assert_eq!(site.requests().len(), 1);
}

#[tokio::test]
async fn the_system_resolver_knows_localhost_and_reports_names_that_do_not_exist() {
    let resolver = SystemResolver;
    let found = resolver.resolve("localhost").await.unwrap();
    assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    assert!(resolver.resolve("does-not-exist.invalid").await.is_err());
}
