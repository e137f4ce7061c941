//! TLS: the name stays the name, and only trusted certificates for it are accepted.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::rig::{client, download, fetch_of, ip, ok, redirect, serve};
use crate::{Authorization, Credential, Egress, EgressError, FetchRequest};

/// An HTTPS server for `files.example` at 127.0.0.3.
struct SecureSite {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    server_names: Arc<Mutex<Vec<Option<String>>>>,
    requests: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

impl SecureSite {
    async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["files.example".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let acceptor = acceptor(&certificate, made.signing_key.serialize_der());
        let listener = TcpListener::bind((ip("127.0.0.3"), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server_names = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (names, noted) = (Arc::clone(&server_names), Arc::clone(&requests));
        let mut server = JoinSet::new();
        server.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                names.lock().push(stream.get_ref().1.server_name().map(str::to_owned));
                let _ = serve(stream, &noted, &answer).await;
            }
        });
        Self { address, certificate, server_names, requests, _server: server }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.address.port())
    }

    fn trusting_client(&self) -> Egress {
        let names: &[(&str, &[&str])] = &[
            ("files.example", &["127.0.0.3"]),
            ("files.example.", &["127.0.0.3"]),
            ("other.example", &["127.0.0.3"]),
        ];
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        client(names).with_tls_config(config(roots))
    }
}

fn acceptor(certificate: &CertificateDer<'static>, key: Vec<u8>) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn config(roots: RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

pub(super) fn trusting_nobody() -> Arc<ClientConfig> {
    config(RootCertStore::empty())
}

#[tokio::test]
async fn server_name_and_host_header_keep_the_name() {
    let site = SecureSite::start(|_| ok(b"secured")).await;
    let egress = site.trusting_client();
    for host in ["files.example", "FILES.example", "files.example."] {
        assert_eq!(
            download(&egress, fetch_of(&site.url(host))).await.unwrap(),
            b"secured",
            "{host}"
        );
    }
    assert_eq!(*site.server_names.lock(), vec![Some("files.example".to_owned()); 3]);
    let host = format!("\r\nhost: files.example:{}\r\n", site.address.port());
    assert!(site.requests.lock()[0].contains(&host));
}

#[tokio::test]
async fn refuses_a_certificate_for_another_name_or_from_nobody_known() {
    let site = SecureSite::start(|_| ok(b"secured")).await;
    let wrong_name = download(&site.trusting_client(), fetch_of(&site.url("other.example"))).await;
    assert!(matches!(wrong_name, Err(EgressError::Tls(_))), "{wrong_name:?}");
    let stranger = site.trusting_client().with_tls_config(trusting_nobody());
    let unknown = download(&stranger, fetch_of(&site.url("files.example"))).await;
    assert!(matches!(unknown, Err(EgressError::Tls(_))), "{unknown:?}");
    assert!(site.requests.lock().is_empty());
}

#[tokio::test]
async fn the_platforms_roots_do_not_trust_a_self_signed_certificate() {
    let site = SecureSite::start(|_| ok(b"secured")).await;
    let egress = client(&[("files.example", &["127.0.0.3"])]);
    let refused = download(&egress, fetch_of(&site.url("files.example"))).await;
    assert!(matches!(refused, Err(EgressError::Tls(_))), "{refused:?}");
}

#[tokio::test]
async fn a_redirect_from_https_to_http_does_not_carry_the_credential() {
    let plain = super::rig::Site::start("127.0.0.3", |_| ok(b"plain")).await;
    let location = format!("http://files.example:{}/", plain.port());
    let site = SecureSite::start(move |_| redirect(&location)).await;
    let credential = Credential {
        allowed_hosts: vec!["files.example".to_owned()],
        authorization: Authorization::Bearer("made-up-token".to_owned()),
    };
    let request =
        FetchRequest { credential: Some(credential), ..fetch_of(&site.url("files.example")) };
    assert_eq!(download(&site.trusting_client(), request).await.unwrap(), b"plain");
    assert!(site.requests.lock()[0].contains("made-up-token"));
    assert!(!plain.requests()[0].contains("made-up-token"));
}
