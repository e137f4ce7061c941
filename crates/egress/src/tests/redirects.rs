//! Redirects of downloads.

use super::rig::{NotingDial, Site, client, download, fetch_of, ok, redirect};
use crate::EgressError;

/// `/N` redirects to `/N-1`, `/0` answers.
fn countdown(request: &str) -> Vec<u8> {
    let left: usize = request.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
    if left == 0 { ok(b"arrived") } else { redirect(&format!("/{}", left - 1)) }
}

#[tokio::test]
async fn follows_three_redirects_and_not_a_fourth() {
    let site = Site::start("127.0.0.3", countdown).await;
    let egress = client(&[]);
    let url = |hops: usize| format!("http://{}/{hops}", site.address);
    for hops in 0..=3 {
        assert_eq!(download(&egress, fetch_of(&url(hops))).await.unwrap(), b"arrived");
    }
    let before = site.requests().len();
    let refused = download(&egress, fetch_of(&url(4))).await;
    assert!(matches!(refused, Err(EgressError::TooManyRedirects { limit: 3 })), "{refused:?}");
    assert_eq!(site.requests().len() - before, 4);
}

#[tokio::test]
async fn follows_every_redirect_status_and_treats_other_3xx_as_failures() {
    for status in [301, 302, 303, 307, 308] {
        let site = Site::start("127.0.0.3", move |request| {
            if request.starts_with("GET /there ") {
                return ok(b"arrived");
            }
            format!("HTTP/1.1 {status} Moved\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n")
                .into()
        })
        .await;
        let url = format!("http://{}/", site.address);
        assert_eq!(download(&client(&[]), fetch_of(&url)).await.unwrap(), b"arrived", "{status}");
    }
    for status in [300_u16, 304, 305, 404, 500] {
        let site = Site::start("127.0.0.3", move |_| {
            format!("HTTP/1.1 {status} No\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n").into()
        })
        .await;
        let refused = download(&client(&[]), fetch_of(&format!("http://{}/", site.address))).await;
        assert!(matches!(refused, Err(EgressError::Status(seen)) if seen == status), "{refused:?}");
    }
}

#[tokio::test]
async fn refuses_a_redirect_without_a_location() {
    for location in ["", "location:\r\n", "location: \u{fffd}\r\n"] {
        let mut answer =
            format!("HTTP/1.1 302 Found\r\n{location}content-length: 0\r\n\r\n").into_bytes();
        // Turns the marker into a byte that is no UTF-8.
        answer.retain(|byte| !matches!(byte, 0xbf | 0xbd));
        let site = Site::start("127.0.0.3", move |_| answer.clone()).await;
        let refused = download(&client(&[]), fetch_of(&format!("http://{}/", site.address))).await;
        assert!(matches!(refused, Err(EgressError::RedirectWithoutLocation)), "{refused:?}");
    }
}

#[tokio::test]
async fn refuses_a_redirect_with_a_user_name_or_another_scheme() {
    for (location, userinfo) in [("http://user:pw@127.0.0.4/", true), ("ftp://127.0.0.4/", false)] {
        let site = Site::start("127.0.0.3", move |_| redirect(location)).await;
        let refused = download(&client(&[]), fetch_of(&format!("http://{}/", site.address))).await;
        assert!(
            match refused {
                Err(EgressError::UserinfoNotAllowed) => userinfo,
                Err(EgressError::SchemeNotAllowed { .. }) => !userinfo,
                _ => false,
            },
            "{location}"
        );
    }
}

#[tokio::test]
async fn the_host_header_keeps_the_name_and_the_query_goes_along() {
    let site = Site::start("127.0.0.3", |_| ok(b"x")).await;
    let port = site.port();
    let egress = client(&[("files.example", &["127.0.0.3"])]);
    let url = format!("http://FILES.example:{port}/a b?c=d#fragment");
    download(&egress, fetch_of(&url)).await.unwrap();
    let request = site.requests().remove(0);
    assert!(request.starts_with("GET /a%20b?c=d HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nhost: files.example:{port}\r\n")), "{request}");
    assert!(request.contains("\r\naccept-encoding: identity\r\n"), "{request}");
}

#[tokio::test]
async fn tries_the_next_address_when_one_refuses() {
    let site = Site::start("127.0.0.4", |_| ok(b"second")).await;
    let egress = client(&[("two.example", &["8.8.8.8", "127.0.0.4"])])
        .dialling(NotingDial::with_canary(site.address));
    let url = format!("http://two.example:{}/", site.port());
    assert_eq!(download(&egress, fetch_of(&url)).await.unwrap(), b"second");
}

#[tokio::test]
async fn says_why_nothing_could_be_reached() {
    let egress = client(&[]).dialling(NotingDial::with_canary("127.0.0.1:1".parse().unwrap()));
    let refused = download(&egress, fetch_of("http://8.8.8.8/")).await.unwrap_err();
    assert_eq!(refused.to_string(), "could not connect to the server: connection refused");
}
