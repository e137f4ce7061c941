//! Names whose servers never answer, under a paused clock: they keep nobody else's names waiting.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::rig::{ip, public_policy};
use crate::{Egress, EgressError, Phase, Resolve, lookups::Lookups};

/// Lookups that one has where nobody else asks.
const SHARE: usize = 64;

/// Answers at once, but for names that begin with `silent`: those when it is told to.
struct Servers {
    asked: Mutex<Vec<String>>,
    speak: watch::Sender<bool>,
}

impl Servers {
    fn start() -> Arc<Self> {
        Arc::new(Self { asked: Mutex::default(), speak: watch::Sender::new(false) })
    }

    fn asked_of(&self, beginning: &str) -> usize {
        self.asked.lock().iter().filter(|host| host.starts_with(beginning)).count()
    }
}

#[async_trait]
impl Resolve for Servers {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().push(host.to_owned());
        if host.starts_with("silent") {
            let mut speaks = self.speak.subscribe();
            speaks.wait_for(|speaks| *speaks).await.map_err(io::Error::other)?;
        }
        Ok(vec![ip("203.0.113.7")])
    }
}

/// Asks for so many silent names of `asker` at once.
fn flood(lookups: &Arc<Lookups>, asker: &str, names: usize) -> JoinSet<io::Result<Vec<IpAddr>>> {
    (0..names)
        .map(|number| {
            let (lookups, asker) = (Arc::clone(lookups), asker.to_owned());
            async move { lookups.resolve(&asker, &format!("silent{number}.{asker}")).await }
        })
        .collect()
}

/// Under a paused clock: before anything that waits for time.
const SOON: Duration = Duration::from_millis(1);

/// Under a paused clock: until nothing goes on by itself any more.
async fn settle() {
    tokio::time::sleep(SOON).await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_silent_names_leaves_room_for_all_others() {
    for (greedy, taken) in [(1, SHARE), (2, 112), (8, 232), (16, 255)] {
        let servers = Servers::start();
        let lookups = Arc::new(Lookups::new(servers.clone()));
        let askers: Vec<String> = (0..greedy).map(|number| format!("org-{number}")).collect();
        let _floods: Vec<_> = askers.iter().map(|asker| flood(&lookups, asker, 600)).collect();
        settle().await;
        assert_eq!(servers.asked_of("silent"), taken, "{greedy}");
        for number in 0..50 {
            let host = format!("good{number}.example");
            let found = timeout(SOON, lookups.resolve("other", &host)).await.expect("at once");
            assert_eq!(found.unwrap(), [ip("203.0.113.7")], "{greedy}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_was_given_up_keeps_its_place_until_it_ends() {
    let servers = Servers::start();
    let egress = Arc::new(Egress::new(public_policy(), servers.clone()));
    let post = |asker: &'static str, host: String| {
        let egress = Arc::clone(&egress);
        async move {
            let (url, limit) = (format!("http://{host}/"), Duration::from_secs(15));
            egress.post(asker, &url, HeaderMap::new(), Bytes::new(), limit).await.err()
        }
    };
    for _ in 0..3 {
        let names = (0..2 * SHARE).map(|number| format!("silent{number}.example"));
        let posts: JoinSet<_> = names.map(|host| post("org-1", host)).collect();
        for end in posts.join_all().await {
            assert!(matches!(end, Some(EgressError::Timeout(Phase::Resolve))), "{end:?}");
        }
        assert_eq!(servers.asked_of("silent"), SHARE);
    }
    // The documentation's network: it was found, and is judged as one that may not be called.
    let found = |end| matches!(end, Some(EgressError::PrivateAddress { .. }));
    let good = timeout(SOON, post("org-2", "good.example".to_owned())).await;
    assert!(found(good.expect("at once")));
    servers.speak.send_replace(true);
    settle().await;
    assert!(found(post("org-1", "good.example".to_owned()).await));
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_once_for_all_who_wait_for_it() {
    let servers = Servers::start();
    let lookups = Arc::new(Lookups::new(servers.clone()));
    let same: JoinSet<_> = (0..50)
        .map(|_| {
            let lookups = Arc::clone(&lookups);
            async move { lookups.resolve("org-1", "silent.example").await }
        })
        .collect();
    settle().await;
    servers.speak.send_replace(true);
    for found in same.join_all().await {
        assert_eq!(found.unwrap(), [ip("203.0.113.7")]);
    }
    assert_eq!(servers.asked_of("silent"), 1);
    lookups.resolve("org-1", "silent.example").await.unwrap();
    assert_eq!(servers.asked_of("silent"), 2, "an answer is not kept");
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_room_come_as_others_end() {
    let servers = Servers::start();
    let lookups = Arc::new(Lookups::new(servers.clone()));
    let flood = flood(&lookups, "org-1", 1_000);
    settle().await;
    assert_eq!(servers.asked_of("silent"), SHARE);
    servers.speak.send_replace(true);
    for found in flood.join_all().await {
        assert!(found.is_ok(), "{found:?}");
    }
    assert_eq!(servers.asked_of("silent"), 1_000);
}
