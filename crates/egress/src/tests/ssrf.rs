//! Check T9: no spelling of a private address is ever reached, by links nor by callbacks,
//! directly, through a name, or through a redirect; and the check itself can fail.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use super::{
    rig::{
        ASKER, Canaries, Names, NotingDial, Site, client, download, fetch_of, public_policy,
        redirect,
    },
    spellings::{IPV4, IPV6, LOCAL_NAMES, ODD_DELIMITERS, PUBLIC, REFUSED, RESOLVED},
};
use crate::{Egress, EgressError, EgressPolicy, Purpose, planted::Planted};

/// The policy of a fresh installation, but with http callbacks so that they too are tried.
fn closed_policy() -> EgressPolicy {
    EgressPolicy { allow_http_callbacks: true, ..EgressPolicy::default() }
}

fn with_port(url: &str, port: u16) -> String {
    url.replace("{p}", &port.to_string())
}

fn literal_urls(port: u16) -> Vec<String> {
    let v4 = IPV4.iter().map(|host| format!("http://{host}:{port}/x"));
    let v6 = IPV6.iter().map(|host| format!("http://[{host}]:{port}/x"));
    let odd = ODD_DELIMITERS.iter().map(|url| with_port(url, port));
    v4.chain(v6).chain(odd).collect()
}

fn name_urls(port: u16) -> Vec<String> {
    let local = LOCAL_NAMES.iter().copied();
    let resolved = RESOLVED.iter().map(|(name, _)| *name);
    local.chain(resolved).map(|host| format!("http://{host}:{port}/x")).collect()
}

fn all_urls(port: u16) -> Vec<String> {
    let refused = REFUSED.iter().map(|url| with_port(url, port));
    literal_urls(port).into_iter().chain(name_urls(port)).chain(refused).collect()
}

/// What happened when every URL of the table was fetched and posted to.
struct Run {
    let_through: Vec<String>,
    dialled: usize,
    canary_hits: usize,
}

async fn run_table(policy: EgressPolicy, fault: Option<Planted>) -> Run {
    let canaries = Canaries::start().await;
    let dial = NotingDial::with_canary(canaries.first());
    let egress =
        Egress::new(policy, Arc::new(Names::of(RESOLVED))).dialling(dial.clone()).planting(fault);
    let mut let_through = Vec::new();
    for url in all_urls(canaries.port) {
        let fetched = download(&egress, fetch_of(&url)).await.err();
        let patience = Duration::from_secs(5);
        let posted =
            egress.post(ASKER, &url, HeaderMap::new(), Bytes::from("{}"), patience).await.err();
        if ![&fetched, &posted].iter().all(|fault| fault.as_ref().is_some_and(is_refusal)) {
            let_through.push(url);
        }
    }
    let dialled = dial.targets.lock().len();
    Run { let_through, dialled, canary_hits: canaries.hits().await }
}

fn is_refusal(fault: &EgressError) -> bool {
    use EgressError as E;
    matches!(
        fault,
        E::InvalidUrl(_)
            | E::SchemeNotAllowed { .. }
            | E::UserinfoNotAllowed
            | E::PrivateAddress { .. }
    )
}

#[test]
fn the_table_has_its_size() {
    assert!(all_urls(1).len() >= 150, "{}", all_urls(1).len());
}

#[tokio::test]
async fn t9_no_spelling_reaches_a_private_address() {
    for policy in [closed_policy(), public_policy()] {
        let run = run_table(policy, None).await;
        assert_eq!(run.let_through, Vec::<String>::new());
        assert_eq!(run.dialled, 0);
        assert_eq!(run.canary_hits, 0);
    }
}

#[tokio::test]
async fn t9_goes_red_when_embedded_addresses_are_trusted() {
    let run = run_table(closed_policy(), Some(Planted::EmbeddedAddressTrusted)).await;
    assert!(run.canary_hits > 0);
    for family in ["[::ffff:127.0.0.1]", "[64:ff9b::", "[2002:", "[2001:0:", ":5efe:", "mapped.ex"]
    {
        assert!(run.let_through.iter().any(|url| url.contains(family)), "{family}");
    }
}

#[tokio::test]
async fn t9_goes_red_when_only_the_first_address_is_checked() {
    let run = run_table(closed_policy(), Some(Planted::FirstAddressOnly)).await;
    assert!(run.canary_hits > 0);
    assert!(run.let_through.iter().all(|url| url.contains("mixed")), "{:?}", run.let_through);
}

/// Whether a site at 127.0.0.3 that redirects to `location` does not redirect to itself: some
/// URLs of the table are relative ones there.
fn leads_away(location: &str) -> bool {
    let site = Url::parse("http://127.0.0.3/").unwrap();
    site.join(location).map_or(true, |target| target.host() != site.host())
}

/// Asks a permitted site that redirects to every URL of the table.
async fn run_redirects(fault: Option<Planted>) -> Run {
    let canaries = Canaries::start().await;
    let locations = all_urls(canaries.port)
        .into_iter()
        .filter(|url| !url.chars().any(char::is_control) && leads_away(url))
        .collect::<Vec<_>>();
    let served = locations.clone();
    let site = Site::start("127.0.0.3", move |request| {
        let number = request.split(['/', ' ']).nth(2).and_then(|number| number.parse().ok());
        redirect(&served[number.unwrap_or(usize::MAX)])
    })
    .await;
    let dial = NotingDial::with_canary(canaries.first());
    let egress = Egress::new(public_policy(), Arc::new(Names::of(RESOLVED)))
        .dialling(dial.clone())
        .planting(fault);
    let mut let_through = Vec::new();
    for (number, location) in locations.iter().enumerate() {
        let url = format!("http://{}/{number}", site.address);
        if !download(&egress, fetch_of(&url)).await.as_ref().err().is_some_and(is_refusal) {
            let_through.push(location.clone());
        }
    }
    assert_eq!(site.requests().len(), locations.len());
    let dialled = dial.targets.lock().iter().filter(|target| **target != site.address).count();
    Run { let_through, dialled, canary_hits: canaries.hits().await }
}

#[tokio::test]
async fn t9_no_redirect_reaches_a_private_address() {
    let run = run_redirects(None).await;
    assert_eq!(run.let_through, Vec::<String>::new());
    assert_eq!(run.dialled, 0);
    assert_eq!(run.canary_hits, 0);
}

#[tokio::test]
async fn t9_goes_red_when_redirects_are_followed_unchecked() {
    let run = run_redirects(Some(Planted::RedirectUnchecked)).await;
    assert!(run.canary_hits > 0);
}

#[test]
fn literal_addresses_and_local_names_are_refused_without_any_network() {
    let egress = Egress::new(closed_policy(), Arc::new(Names::of(&[])));
    let local = LOCAL_NAMES.iter().map(|host| format!("http://{host}/"));
    for url in literal_urls(80).into_iter().chain(local) {
        for purpose in [Purpose::Link, Purpose::Callback] {
            let refused = egress.check_url(&url, purpose);
            assert!(
                matches!(refused, Err(EgressError::PrivateAddress { .. })),
                "{url} {refused:?}"
            );
        }
    }
}

#[test]
fn public_addresses_and_names_pass() {
    let egress = client(&[]);
    for host in PUBLIC {
        let passed = egress.check_url(&format!("https://{host}/a"), Purpose::Link);
        assert!(passed.is_ok(), "{host} {passed:?}");
    }
}

#[test]
fn an_allowed_network_is_recognised_in_the_spellings_that_reach_it() {
    let egress = client(&[]);
    for host in ["127.0.0.3", "0x7f.3", "[::ffff:127.0.0.3]", "[64:ff9b::127.0.0.3]"] {
        let passed = egress.check_url(&format!("http://{host}/"), Purpose::Callback);
        assert!(passed.is_ok(), "{host} {passed:?}");
    }
    for host in ["127.0.0.5", "[::ffff:127.0.0.5]", "[64:ff9b::127.0.0.5]", "[::127.0.0.3]"] {
        assert!(egress.check_url(&format!("http://{host}/"), Purpose::Callback).is_err(), "{host}");
    }
}
