//! Media links of messages: which are being fetched, who waits for them, and what was fetched in
//! the last ten minutes (Meta's cache, keyed by the full address). It fetches nothing itself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::media_kind::MediaKind;

/// How long a fetched link is used again.
pub const LINK_CACHE_MS: i64 = 600_000;
/// Links that are remembered or under way. Further ones fail.
pub const LINKS_MAX: usize = 10_000;

type Key = (MediaKind, Arc<str>);

#[derive(Debug)]
enum Link {
    /// The messages that wait.
    Fetching(Vec<u64>),
    Fetched {
        until_ms: i64,
        media: Arc<str>,
    },
}

/// Whether a message can go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Ready,
    Waiting,
    Overloaded,
}

/// A link to fetch.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) kind: MediaKind,
    pub(crate) url: Arc<str>,
}

#[derive(Debug, Default)]
pub(crate) struct Links {
    known: HashMap<Key, Link>,
    queue: VecDeque<Job>,
    /// How many links each message still waits for.
    missing: HashMap<u64, usize>,
}

impl Links {
    /// Asks for a link on behalf of a message.
    pub(crate) fn want(&mut self, kind: MediaKind, url: &str, seq: u64, now_ms: i64) -> Wanted {
        if self.known.len() >= LINKS_MAX {
            self.known.retain(|_, link| match link {
                Link::Fetching(_) => true,
                Link::Fetched { until_ms, .. } => now_ms < *until_ms,
            });
        }
        let key: Key = (kind, Arc::from(url));
        let is_full = self.known.len() >= LINKS_MAX;
        match self.known.get_mut(&key) {
            Some(Link::Fetched { until_ms, .. }) if now_ms < *until_ms => return Wanted::Ready,
            Some(Link::Fetching(waiting)) => waiting.push(seq),
            _ if is_full => return Wanted::Overloaded,
            _ => {
                self.queue.push_back(Job { kind, url: Arc::clone(&key.1) });
                self.known.insert(key, Link::Fetching(vec![seq]));
            }
        }
        *self.missing.entry(seq).or_default() += 1;
        Wanted::Waiting
    }

    pub(crate) fn next_job(&mut self) -> Option<Job> {
        self.queue.pop_front()
    }

    /// Takes note of a fetched link; returns the messages that have all their links now.
    pub(crate) fn fetched(&mut self, job: &Job, media: &Arc<str>, now_ms: i64) -> Vec<u64> {
        let link = Link::Fetched { until_ms: now_ms + LINK_CACHE_MS, media: Arc::clone(media) };
        let Some(Link::Fetching(waiting)) =
            self.known.insert((job.kind, Arc::clone(&job.url)), link)
        else {
            return Vec::new();
        };
        waiting.into_iter().filter(|seq| self.one_less(*seq)).collect()
    }

    /// Takes note of a link that could not be had; returns the messages that fail by it.
    pub(crate) fn failed(&mut self, job: &Job) -> Vec<u64> {
        let key = (job.kind, Arc::clone(&job.url));
        let Some(Link::Fetching(waiting)) = self.known.remove(&key) else { return Vec::new() };
        waiting.into_iter().filter(|seq| self.missing.remove(seq).is_some()).collect()
    }

    /// What a link turned out to be, for the handset.
    pub(crate) fn media_of(&self, kind: MediaKind, url: &str) -> Option<&Arc<str>> {
        match self.known.get(&(kind, Arc::from(url)))? {
            Link::Fetched { media, .. } => Some(media),
            Link::Fetching(_) => None,
        }
    }

    fn one_less(&mut self, seq: u64) -> bool {
        let Some(left) = self.missing.get_mut(&seq) else { return false };
        *left -= 1;
        let complete = *left == 0;
        if complete {
            self.missing.remove(&seq);
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_for_all_its_links_and_the_same_link_is_fetched_once() {
        let mut links = Links::default();
        assert_eq!(links.want(MediaKind::Image, "http://a/1", 1, 0), Wanted::Waiting);
        assert_eq!(links.want(MediaKind::Image, "http://a/2", 1, 0), Wanted::Waiting);
        assert_eq!(links.want(MediaKind::Image, "http://a/1", 2, 0), Wanted::Waiting);
        let (first, second) = (links.next_job().unwrap(), links.next_job().unwrap());
        assert!(links.next_job().is_none());
        assert_eq!(links.fetched(&first, &Arc::from("9"), 0), [2]);
        assert_eq!(links.failed(&second), [1]);
        assert_eq!(links.want(MediaKind::Image, "http://a/1", 3, LINK_CACHE_MS - 1), Wanted::Ready);
        assert_eq!(links.want(MediaKind::Image, "http://a/1", 4, LINK_CACHE_MS), Wanted::Waiting);
    }
}
