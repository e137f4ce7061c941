//! A provider's credential reaches its hosts and nobody else.

use super::rig::{Site, client, download, fetch_of, ok, redirect};
use crate::{Authorization, Credential, Egress, EgressError, FetchRequest, planted::Planted};

const TOKEN: &str = "made-up-token";

fn bearer(hosts: &[&str]) -> Option<Credential> {
    Some(Credential {
        allowed_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        authorization: Authorization::Bearer(TOKEN.to_owned()),
    })
}

fn with_bearer(url: &str, hosts: &[&str]) -> FetchRequest {
    FetchRequest { credential: bearer(hosts), ..fetch_of(url) }
}

fn two_hosts() -> Egress {
    client(&[("files.example", &["127.0.0.3"]), ("other.example", &["127.0.0.4"])])
}

fn saw_token(site: &Site) -> Vec<bool> {
    site.requests().iter().map(|request| request.contains(TOKEN)).collect()
}

#[tokio::test]
async fn sends_each_kind_of_credential() {
    let site = Site::start("127.0.0.3", |_| ok(b"x")).await;
    let url = format!("http://files.example:{}/", site.port());
    download(&two_hosts(), with_bearer(&url, &["files.example"])).await.unwrap();
    let basic = Authorization::Basic { user: "user".to_owned(), password: "pass".to_owned() };
    let credential =
        Credential { allowed_hosts: vec!["files.example".into()], authorization: basic };
    let request = FetchRequest { credential: Some(credential), ..fetch_of(&url) };
    download(&two_hosts(), request).await.unwrap();
    let value = Authorization::Value("Token made-up".to_owned());
    let credential = Credential { allowed_hosts: vec!["127.0.0.3".into()], authorization: value };
    let url = format!("http://{}/", site.address);
    let request = FetchRequest { credential: Some(credential), ..fetch_of(&url) };
    download(&two_hosts(), request).await.unwrap();
    for (request, value) in
        site.requests().iter().zip(["Bearer made-up-token", "Basic dXNlcjpwYXNz", "Token made-up"])
    {
        assert!(request.contains(&format!("\r\nauthorization: {value}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn recognises_the_allowed_hosts_and_no_others() {
    let site = Site::start("127.0.0.3", |_| ok(b"x")).await;
    let port = site.port();
    let with_port = format!("files.example:{port}");
    let accepted =
        ["files.example", "FILES.Example", "files.example.", " files.example ", &with_port];
    for entry in accepted {
        let request = with_bearer(&format!("http://files.example:{port}/"), &["x.example", entry]);
        assert!(download(&two_hosts(), request).await.is_ok(), "{entry}");
    }
    let seen = site.requests().len();
    let refused = [
        "",
        "*",
        "example",
        "*.example",
        "a.files.example",
        "files.example:1",
        "files.example:",
        "files.example@other.example",
        "files.example/x",
        "xfiles.example",
    ];
    for entry in refused {
        let request = with_bearer(&format!("http://files.example:{port}/"), &[entry]);
        let outcome = download(&two_hosts(), request).await;
        assert!(
            matches!(outcome, Err(EgressError::CredentialHostNotAllowed { .. })),
            "{entry} {outcome:?}"
        );
    }
    assert_eq!(site.requests().len(), seen);
}

#[tokio::test]
async fn an_allowed_host_does_not_open_a_private_address() {
    let request = with_bearer("http://127.0.0.1:9/", &["127.0.0.1"]);
    let refused = download(&two_hosts(), request).await;
    assert!(matches!(refused, Err(EgressError::PrivateAddress { .. })), "{refused:?}");
}

#[tokio::test]
async fn keeps_the_credential_on_a_redirect_within_the_host() {
    let site = Site::start("127.0.0.3", |request| {
        if request.starts_with("GET /b ") { ok(b"x") } else { redirect("/b") }
    })
    .await;
    let url = format!("http://files.example:{}/a", site.port());
    download(&two_hosts(), with_bearer(&url, &["files.example"])).await.unwrap();
    assert_eq!(saw_token(&site), [true, true]);
}

/// files.example redirects to other.example, which redirects back. Whether each request at
/// each of the two carried the token.
async fn there_and_back(fault: Option<Planted>) -> (Vec<bool>, Vec<bool>) {
    let home = Site::start("127.0.0.3", |request| match request.split_once("?to=") {
        Some((_, rest)) => {
            let port = rest.split(' ').next().unwrap_or_default();
            redirect(&format!("http://other.example:{port}/"))
        }
        None => ok(b"home again"),
    })
    .await;
    let back = format!("http://files.example:{}/", home.port());
    let away = Site::start("127.0.0.4", move |_| redirect(&back)).await;
    let url = format!("http://files.example:{}/?to={}", home.port(), away.port());
    // Both hosts are allowed: a redirect does not carry the credential even between those.
    let request = with_bearer(&url, &["files.example", "other.example"]);
    let body = download(&two_hosts().planting(fault), request).await.unwrap();
    assert_eq!(body, b"home again");
    (saw_token(&home), saw_token(&away))
}

#[tokio::test]
async fn drops_the_credential_at_another_host_and_does_not_take_it_up_again() {
    assert_eq!(there_and_back(None).await, (vec![true, false], vec![false]));
}

#[tokio::test]
async fn the_credential_check_goes_red_when_redirects_carry_it_along() {
    let fault = Some(Planted::CredentialCrossesHosts);
    assert_eq!(there_and_back(fault).await, (vec![true, true], vec![true]));
}

#[tokio::test]
async fn drops_the_credential_at_another_port_of_the_same_host() {
    let other = Site::start("127.0.0.3", |_| ok(b"x")).await;
    let location = format!("http://files.example:{}/", other.port());
    let site = Site::start("127.0.0.3", move |_| redirect(&location)).await;
    let url = format!("http://files.example:{}/", site.port());
    download(&two_hosts(), with_bearer(&url, &["files.example"])).await.unwrap();
    assert_eq!((saw_token(&site), saw_token(&other)), (vec![true], vec![false]));
}

#[test]
fn survives_an_upgrade_to_https_but_no_downgrade_nor_another_host() {
    let credential = bearer(&["files.example", "other.example"]).unwrap();
    let survives =
        |from: &str, to: &str| credential.survives(&from.parse().unwrap(), &to.parse().unwrap());
    assert!(survives("http://files.example/", "https://files.example/"));
    assert!(!survives("https://files.example/", "http://files.example/"));
    assert!(!survives("https://files.example/", "http://files.example:443/"));
    assert!(!survives("http://files.example:8080/", "https://files.example/"));
    assert!(!survives("https://files.example/", "https://other.example/"));
    assert!(!survives("http://files.example/", "https://other.example/"));
}

#[tokio::test]
async fn refuses_a_credential_that_would_break_the_header() {
    let credential = Credential {
        allowed_hosts: vec!["files.example".into()],
        authorization: Authorization::Bearer("a\r\nx: y".to_owned()),
    };
    let request =
        FetchRequest { credential: Some(credential), ..fetch_of("http://files.example/") };
    let refused = download(&two_hosts(), request).await;
    assert!(matches!(refused, Err(EgressError::InvalidCredential)), "{refused:?}");
}

#[tokio::test]
async fn neither_debug_nor_errors_show_secrets_or_query_strings() {
    let credential = bearer(&["files.example"]).unwrap();
    let shown = format!("{credential:?}");
    assert!(shown.contains("files.example") && !shown.contains(TOKEN), "{shown}");
    let url = format!("http://files.example:1/?key={TOKEN}");
    for hosts in [["files.example"], ["other.example"]] {
        let fault = download(&two_hosts(), with_bearer(&url, &hosts)).await.unwrap_err();
        let shown = format!("{fault} {fault:?}");
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}
