//! What a URL may look like, and what refusals tell.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;

use super::rig::{ASKER, Names, client, download, fetch_of, public_policy};
use crate::{Egress, EgressError, EgressPolicy, MAX_URL_BYTES, Purpose};

#[test]
fn http_is_allowed_for_links_and_refused_for_callbacks_by_default() {
    let egress = Egress::new(EgressPolicy::default(), Arc::new(Names::of(&[])));
    assert!(egress.check_url("http://files.example.com/", Purpose::Link).is_ok());
    assert!(egress.check_url("https://files.example.com/", Purpose::Callback).is_ok());
    let refused = egress.check_url("http://files.example.com/", Purpose::Callback).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the address must begin with https:// (http is off: egress.allow_http_callbacks)"
    );
}

#[test]
fn http_links_can_be_switched_off() {
    let policy = EgressPolicy { allow_http_links: false, ..EgressPolicy::default() };
    let egress = Egress::new(policy, Arc::new(Names::of(&[])));
    let refused = egress.check_url("http://files.example.com/", Purpose::Link).unwrap_err();
    assert!(refused.to_string().contains("egress.allow_http_links"), "{refused}");
}

#[test]
fn a_refused_private_address_names_the_host_and_the_setting() {
    let egress = client(&[]);
    let refused = egress.check_url("http://10.0.0.1/a?token=secret", Purpose::Link).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`10.0.0.1` is not on the public internet; the operator can permit its network with \
         egress.allow_networks"
    );
}

#[test]
fn refuses_user_names_and_control_characters_at_public_hosts_too() {
    let egress = client(&[]);
    for url in ["https://user@files.example/", "https://user:pw@files.example/", "https://:pw@a.b/"]
    {
        let refused = egress.check_url(url, Purpose::Link);
        assert!(matches!(refused, Err(EgressError::UserinfoNotAllowed)), "{url} {refused:?}");
    }
    for url in ["https://files.exa\tmple/", "https://files.example/\r\na", "https://a.b/\u{7f}"] {
        let refused = egress.check_url(url, Purpose::Link);
        assert!(
            matches!(refused, Err(EgressError::InvalidUrl("control character"))),
            "{url:?} {refused:?}"
        );
    }
}

#[tokio::test]
async fn requests_are_judged_by_their_own_purpose() {
    let links_only = EgressPolicy { allow_http_callbacks: false, ..public_policy() };
    let egress = Egress::new(links_only, Arc::new(Names::of(&[])));
    let patience = Duration::from_secs(5);
    let posted =
        egress.post(ASKER, "http://127.0.0.3:1/", HeaderMap::new(), Bytes::new(), patience).await;
    assert!(matches!(posted, Err(EgressError::SchemeNotAllowed { .. })), "{posted:?}");
    let callbacks_only = EgressPolicy { allow_http_links: false, ..public_policy() };
    let egress = Egress::new(callbacks_only, Arc::new(Names::of(&[])));
    let fetched = download(&egress, fetch_of("http://127.0.0.3:1/")).await;
    assert!(matches!(fetched, Err(EgressError::SchemeNotAllowed { .. })), "{fetched:?}");
}

#[test]
fn refuses_urls_and_hosts_beyond_their_length() {
    let egress = client(&[]);
    let fitting = format!("https://a.example/{}", "a".repeat(MAX_URL_BYTES - 18));
    assert!(egress.check_url(&fitting, Purpose::Link).is_ok());
    assert!(egress.check_url(&format!("{fitting}a"), Purpose::Link).is_err());
    let long_host = format!("https://{}example/", "a.".repeat(130));
    let refused = egress.check_url(&long_host, Purpose::Link);
    assert!(matches!(refused, Err(EgressError::InvalidUrl("host name too long"))), "{refused:?}");
}

#[tokio::test]
async fn a_name_without_addresses_is_reported_by_name() {
    let refused = download(&client(&[("none.example", &[])]), fetch_of("http://none.example/"))
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "the host name `none.example` could not be resolved");
}
