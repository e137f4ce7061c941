//! Tests of the doctor against gateways and upstreams that answer, and ones that do not.

use std::path::Path;

use serde_json::json;
use waypost_engine::ports::DirectoryStore as _;
use waypost_engine::vault::Vault;
use waypost_store_sqlite::{Options, SqliteStore};

use super::*;
use crate::fake_server::{self, FakeServer};
use crate::run::VAULT_CHECK;

fn inputs(data_dir: &Path, variables: &[(&str, String)]) -> Inputs {
    let mut environment = vec![("WAYPOST_DATA_DIR".into(), data_dir.as_os_str().to_owned())];
    environment.extend(variables.iter().map(|(name, value)| (name.into(), value.into())));
    Inputs { environment, ..Inputs::default() }
}

fn graded(findings: &[Finding]) -> Vec<(&str, Grade)> {
    findings
        .iter()
        .filter(|finding| !["disk", "SQLite"].contains(&finding.check))
        .map(|finding| (finding.check, finding.result))
        .collect()
}

/// An address at which nothing listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn before_the_first_start_nothing_is_broken() {
    let root = tempfile::tempdir().unwrap();
    let variables = [("WAYPOST_LISTEN", nobody()), ("WAYPOST_SANDBOX__LISTEN", nobody())];
    let findings = examine(&inputs(&root.path().join("new"), &variables)).await.unwrap();
    assert_eq!(
        graded(&findings),
        [
            ("configuration", Grade::Ok),
            ("data folder", Grade::Ok),
            ("database", Grade::Ok),
            ("master key", Grade::Ok),
            ("gateway", Grade::Warn),
            ("upstream", Grade::Warn),
        ]
    );
    assert!(
        findings.iter().all(|finding| { finding.result == Grade::Ok || finding.remedy.is_some() })
    );
}

/// A folder as a gateway with the sandbox leaves it, with this master key.
async fn used_folder(key: u8) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&root.path().join("waypost.db"), &Options::default()).unwrap();
    let sealed = Vault::new([key; 32]).seal(VAULT_CHECK, "waypost");
    store.put_setting(VAULT_CHECK, &sealed.0).await.unwrap();
    std::fs::write(root.path().join("master.key"), format!("{key:02x}").repeat(32)).unwrap();
    std::fs::write(root.path().join("upstream-kind"), "sandbox\n").unwrap();
    root
}

#[tokio::test]
async fn what_keeps_a_used_folder_from_starting_is_a_failure() {
    type Change = fn(&Path);
    let table: [(Change, &str, &str); 6] = [
        (|_| {}, "", ""),
        (
            |folder| std::fs::remove_file(folder.join("master.key")).unwrap(),
            "master key",
            "is missing",
        ),
        (
            |folder| std::fs::write(folder.join("master.key"), "02".repeat(32)).unwrap(),
            "master key",
            "is not the one",
        ),
        (
            |folder| std::fs::write(folder.join("master.key"), "garbage").unwrap(),
            "master key",
            "holds no master key",
        ),
        (
            |folder| std::fs::write(folder.join("upstream-kind"), "real\n").unwrap(),
            "data folder",
            "was made with a real upstream",
        ),
        (
            |folder| std::fs::create_dir(folder.join("restoring")).unwrap(),
            "data folder",
            "was not finished",
        ),
    ];
    let nowhere = [("WAYPOST_LISTEN", nobody()), ("WAYPOST_SANDBOX__LISTEN", nobody())];
    for (change, check, part) in table {
        let root = used_folder(1).await;
        change(root.path());
        let findings = examine(&inputs(root.path(), &nowhere)).await.unwrap();
        let failed: Vec<_> = findings.iter().filter(|it| it.result == Grade::Fail).collect();
        assert_eq!(failed.len(), usize::from(!check.is_empty()), "{check} {part}: {findings:?}");
        for failure in failed {
            assert_eq!(failure.check, check, "{part}: {failure:?}");
            assert!(failure.found.contains(part), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn the_sandbox_is_looked_for_where_the_gateway_has_it() {
    let root = tempfile::tempdir().unwrap();
    let sandbox = FakeServer::start(&[("GET /", 404, json!({}))]).await;
    let variables = [("WAYPOST_LISTEN", nobody()), ("WAYPOST_SANDBOX__LISTEN", nobody())];
    let file = format!("WAYPOST_URL=http://{}\nSANDBOX_URL={}\n", nobody(), sandbox.url());
    std::fs::write(root.path().join("admin.env"), file).unwrap();
    let findings = examine(&inputs(root.path(), &variables)).await.unwrap();
    let upstream = findings.iter().find(|finding| finding.check == "upstream").unwrap();
    assert_eq!(upstream.result, Grade::Ok, "{}", upstream.found);
}

#[tokio::test]
async fn a_gateway_whose_certificate_is_not_trusted_is_not_said_to_be_down() {
    let root = tempfile::tempdir().unwrap();
    let url = fake_server::untrusted();
    std::fs::write(root.path().join("admin.env"), format!("WAYPOST_URL={url}\n")).unwrap();
    let variables = [("WAYPOST_LISTEN", nobody()), ("WAYPOST_SANDBOX__LISTEN", nobody())];
    let findings = examine(&inputs(root.path(), &variables)).await.unwrap();
    let gateway = findings.iter().find(|finding| finding.check == "gateway").unwrap();
    assert!(gateway.found.contains("certificate not trusted"), "{}", gateway.found);
    let remedy = gateway.remedy.as_deref().unwrap_or_default();
    assert!(remedy.contains("public_url") && !remedy.contains("serve"), "{remedy}");
}

#[tokio::test]
async fn a_healthy_gateway_with_a_real_upstream_passes() {
    let root = tempfile::tempdir().unwrap();
    let gateway = FakeServer::start(&[
        ("GET /readyz", 200, json!({"ready": true, "version": "1", "upstream": {"name": "x"}})),
        ("GET /waypost/v1/orgs", 200, json!({"data": [{"id": "o-1"}], "next": null})),
        (
            "GET /waypost/v1/orgs/o-1/numbers",
            200,
            json!({"data": [{"id": "n", "phone_number_id": "77"}], "next": null}),
        ),
    ])
    .await;
    let upstream = FakeServer::start(&[
        ("GET /", 400, json!({})),
        ("GET /v23.0/77", 200, json!({"id": "77"})),
        ("GET /v23.0/debug_token", 200, json!({"data": {"expires_at": 0}})),
    ])
    .await;
    let file = format!("WAYPOST_URL={}\nWAYPOST_ADMIN_KEY=the-key\n", gateway.url());
    std::fs::write(root.path().join("admin.env"), file).unwrap();
    let variables = [
        ("WAYPOST_UPSTREAM__BASE_URL", upstream.url()),
        ("WAYPOST_UPSTREAM__ACCESS_TOKEN", "the-token".to_owned()),
        ("WAYPOST_PUBLIC_URL", format!("https://{}", nobody())),
        ("WAYPOST_WEBHOOK__APP_SECRET", "the-secret".to_owned()),
        ("WAYPOST_WEBHOOK__VERIFY_TOKEN", "the-word".to_owned()),
    ];
    let findings = examine(&inputs(root.path(), &variables)).await.unwrap();
    assert_eq!(
        graded(&findings),
        [
            ("configuration", Grade::Ok),
            ("data folder", Grade::Ok),
            ("secrets", Grade::Warn),
            ("database", Grade::Ok),
            ("master key", Grade::Ok),
            ("gateway", Grade::Ok),
            ("management API", Grade::Ok),
            ("upstream", Grade::Ok),
            ("access token", Grade::Ok),
            ("token expiry", Grade::Ok),
            // The public address of this test leads nowhere.
            ("webhook", Grade::Fail),
        ]
    );
    let calls = upstream.calls();
    assert!(calls.iter().skip(1).all(|call| call.bearer == "the-token"), "{calls:?}");
    assert_eq!(calls[0].bearer, "", "the token goes only where it is asked for");
    let shown = format!("{findings:?}");
    for secret in ["the-token", "the-secret", "the-word", "the-key"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn faults_of_the_configuration_do_not_end_the_examination() {
    let root = tempfile::tempdir().unwrap();
    let variables = [
        ("WAYPOST_SANDBOX__ENABLED", "false".to_owned()),
        ("WAYPOST_UPSTREAM__BASE_URL", format!("http://{}", nobody())),
        ("WAYPOST_LISTEN", nobody()),
    ];
    let findings = examine(&inputs(root.path(), &variables)).await.unwrap();
    assert_eq!(
        graded(&findings),
        [
            ("configuration", Grade::Fail),
            ("configuration", Grade::Fail),
            ("data folder", Grade::Ok),
            ("database", Grade::Ok),
            ("master key", Grade::Ok),
            ("gateway", Grade::Warn),
            ("upstream", Grade::Fail),
            ("access token", Grade::Warn),
        ]
    );
}
