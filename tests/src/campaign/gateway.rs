//! Gateways of campaigns: at an address that survives restarts, quiet, in front of a given upstream;
//! and what they say of all their messages. It judges nothing.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::chance::Chance;
use super::desk::Desk;
use super::oracle::Final;
use crate::client::{Api, Reply};
use crate::receiver::Receiver;
use crate::waypost::{Options, Waypost};

/// Ports that the system does not give to who calls: a caller of a gateway that is down must not
/// take its port.
const PORTS: std::ops::Range<u64> = 20_000..32_000;
/// Rest between two looks.
const LOOK_REST: Duration = Duration::from_millis(40);
/// Messages on a page.
const PAGE: usize = 1_000;

/// Options of a gateway that sends through `upstream` and may call this machine.
///
/// # Panics
/// Where this machine has no free port.
#[must_use]
pub fn options(upstream: &str, bug: Option<&str>) -> Options {
    let options = Options::new()
        .upstream(upstream)
        .env("WAYPOST_LISTEN", &steady_address().to_string())
        .env("WAYPOST_EGRESS__ALLOW_NETWORKS", "127.0.0.1/32")
        .env("WAYPOST_EGRESS__ALLOW_HTTP_CALLBACKS", "true")
        .env("WAYPOST_LOG", "warn");
    match bug {
        Some(bug) => options.env("WAYPOST_PLANTED_BUG", bug),
        None => options,
    }
}

fn steady_address() -> SocketAddr {
    let now = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970").as_nanos();
    let seed =
        u64::try_from(now & u128::from(u64::MAX)).unwrap_or(0) ^ u64::from(std::process::id());
    let mut chance = Chance::seeded(seed);
    let free = std::iter::repeat_with(|| {
        let port = u16::try_from(chance.within(PORTS)).ok()?;
        TcpListener::bind(("127.0.0.1", port)).ok()?.local_addr().ok()
    });
    free.take(200).flatten().next().expect("this machine has a free port")
}

/// Asks again until `look` finds it so; whether that happened within `limit`.
pub async fn within(limit: Duration, mut look: impl AsyncFnMut() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < limit {
        if look().await {
            return true;
        }
        tokio::time::sleep(LOOK_REST).await;
    }
    false
}

/// Whether no message has one of these statuses.
pub async fn has_none(waypost: &Waypost, desk: &Desk, statuses: &[&str]) -> bool {
    has_none_at(&waypost.admin(), &desk.at("messages"), statuses).await
}

/// Whether no message of an organisation has one of these statuses.
pub async fn has_none_at(api: &Api, messages: &str, statuses: &[&str]) -> bool {
    for status in statuses {
        let page = api.get(&format!("{messages}?status={status}&limit=1")).await;
        if page.status != 200 || page.json()["data"].as_array().is_none_or(|it| !it.is_empty()) {
            return false;
        }
    }
    true
}

/// Every message, as the gateway has it.
///
/// # Panics
/// Where it does not tell.
pub async fn finals(waypost: &Waypost, desk: &Desk) -> Vec<Final> {
    finals_at(&waypost.admin(), &desk.at("messages")).await
}

/// Every message of an organisation, as the gateway has it.
///
/// # Panics
/// Where it does not tell.
pub async fn finals_at(api: &Api, messages: &str) -> Vec<Final> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = api.get(&format!("{messages}?limit={PAGE}{after}")).await;
        let page: Value = Reply::ok(page).json();
        all.extend(page["data"].as_array().expect("a page has rows").iter().map(Final::of));
        let Some(next) = page["next"].as_str() else { return all };
        after = format!("&after={next}");
    }
}

/// Waits until what people wrote is told: posts grow no more, and none is left to be made.
pub async fn until_told(waypost: &Waypost, desk: &Desk, receiver: &Receiver, limit: Duration) {
    let mut told = usize::MAX;
    within(limit, async || {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let before = std::mem::replace(&mut told, receiver.count());
        let pending = waypost.admin().get(&desk.at("callbacks?limit=1")).await.json();
        told == before && pending["data"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
}

/// What a receiver was told of: the event's id and the upstream's id of each message.
#[must_use]
pub fn told_by(receiver: &Receiver) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let posts = receiver.seen().into_iter().map(|post| post.json());
    posts.map(|post| (word(&post["id"]), word(&post["data"]["wamid"]))).collect()
}

/// What starts found left over: messages whose outcome was unknown, summed over all starts.
#[must_use]
pub fn left_unknown(log: &str) -> u64 {
    let counts = log.lines().filter(|line| line.contains("left over from the last run"));
    let counts = counts.filter_map(|line| {
        let (_, rest) = line.split_once("unknown\":").or_else(|| line.split_once("unknown="))?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn sums_what_starts_found() {
        let log = "{\"message\":\"messages left over from the last run\",\"unknown\":12,\"queued\":3}\n\
            {\"message\":\"ready\",\"unknown\":7}\n\
            WARN messages left over from the last run unknown=5 queued=1\n";
        assert_eq!(super::left_unknown(log), 17);
    }
}
