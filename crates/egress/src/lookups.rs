//! Lookups of names under way. A name whose servers are silent is given up by who asked long before
//! the resolver gives it up, so who asks for many of them is kept from taking everybody's place.

use std::{collections::HashMap, io, net::IpAddr, sync::Arc};

use futures_util::future::{BoxFuture, FutureExt, Shared};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Resolve;

/// Lookups under way at the same time, with those that nobody waits for any more.
const MAX_LOOKUPS: usize = 256;
/// Who asks may have as many of them as a third of those that are free: 64 where nobody else asks.
const FREE_FOR_EACH: usize = 3;

type Answer = Result<Vec<IpAddr>, Arc<io::Error>>;
type Lookup = Shared<BoxFuture<'static, Answer>>;

/// Shares out the resolver among those on whose behalf it is asked.
pub(crate) struct Lookups {
    resolver: Arc<dyn Resolve>,
    board: Arc<Board>,
}

#[derive(Default)]
struct Board {
    /// By who asked, then by name.
    under_way: Mutex<HashMap<String, HashMap<String, Lookup>>>,
    ended: Notify,
}

impl Lookups {
    pub(crate) fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, board: Arc::default() }
    }

    /// The addresses of `host`; waits while `asker` has too many lookups under way.
    pub(crate) async fn resolve(&self, asker: &str, host: &str) -> io::Result<Vec<IpAddr>> {
        let lookup = loop {
            let ended = self.board.ended.notified();
            if let Some(lookup) = self.join_or_begin(asker, host) {
                break lookup;
            }
            ended.await;
        };
        lookup.await.map_err(|error| io::Error::new(error.kind(), error))
    }

    /// Not one begun for another asker: that would tell what others ask for.
    fn join_or_begin(&self, asker: &str, host: &str) -> Option<Lookup> {
        let mut under_way = self.board.under_way.lock();
        let free = MAX_LOOKUPS - under_way.values().map(HashMap::len).sum::<usize>();
        let own = under_way.get(asker);
        if let Some(lookup) = own.and_then(|own| own.get(host)) {
            return Some(lookup.clone());
        }
        if own.map_or(0, HashMap::len) * FREE_FOR_EACH >= free {
            return None;
        }
        let lookup = self.begin(asker, host);
        under_way.entry(asker.to_owned()).or_default().insert(host.to_owned(), lookup.clone());
        Some(lookup)
    }

    fn begin(&self, asker: &str, host: &str) -> Lookup {
        let (resolver, host) = (Arc::clone(&self.resolver), host.to_owned());
        let place =
            Place { board: Arc::clone(&self.board), asker: asker.to_owned(), host: host.clone() };
        // A task of its own: a caller that gives up does not end the resolver's work.
        let answer = tokio::spawn(async move {
            let _place = place;
            resolver.resolve(&host).await
        });
        let answer = async move {
            answer.await.unwrap_or_else(|lost| Err(io::Error::other(lost))).map_err(Arc::new)
        };
        answer.boxed().shared()
    }
}

/// A lookup's place among those under way.
struct Place {
    board: Arc<Board>,
    asker: String,
    host: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.board.under_way.lock();
        if let Some(own) = under_way.get_mut(&self.asker) {
            own.remove(&self.host);
            if own.is_empty() {
                under_way.remove(&self.asker);
            }
        }
        drop(under_way);
        self.board.ended.notify_waiters();
    }
}
