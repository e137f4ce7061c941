//! Tests of the certificate with real handshakes in memory, over files that change.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{CertifiedKey as Made, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use super::*;

fn make() -> (String, String) {
    let Made { cert, signing_key } =
        generate_simple_self_signed(["wa.example.com".to_owned()]).unwrap();
    (pem("CERTIFICATE", cert.der()), pem("PRIVATE KEY", &signing_key.serialize_der()))
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn write(folder: &Path, (cert, key): &(String, String)) -> TlsFiles {
    let files = TlsFiles { cert_file: folder.join("cert.pem"), key_file: folder.join("key.pem") };
    fs::write(&files.cert_file, cert).unwrap();
    fs::write(&files.key_file, key).unwrap();
    files
}

/// Whether a client that trusts only this certificate completes a handshake, and by which protocol.
fn handshake(server: &Arc<ServerConfig>, trusted: &str) -> Option<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("wa.example.com").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut wire = Vec::new();
    for _ in 0..10 {
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        wire.clear();
        server.process_new_packets().ok()?;
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        wire.clear();
        client.process_new_packets().ok()?;
        if !client.is_handshaking() && !server.is_handshaking() {
            return client.alpn_protocol().map(<[u8]>::to_vec);
        }
    }
    None
}

/// Sets the files' time forward, as a change at a later second does.
fn touch(files: &TlsFiles, seconds: u64) {
    for path in [&files.cert_file, &files.key_file] {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).unwrap();
    }
}

#[test]
fn a_changed_certificate_is_taken_up_by_the_same_server() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (make(), make());
    let files = write(folder.path(), &first);
    let certificate = Certificate::load(&files).unwrap();
    let server = certificate.server_config().unwrap();
    assert_eq!(handshake(&server, &first.0).as_deref(), Some(&b"h2"[..]));
    assert_eq!(handshake(&server, &second.0), None);
    assert!(!certificate.reload().unwrap());

    write(folder.path(), &second);
    touch(&files, 10);
    assert!(certificate.reload().unwrap());
    assert!(!certificate.reload().unwrap());
    assert_eq!(handshake(&server, &first.0), None);
    assert!(handshake(&server, &second.0).is_some());
}

#[test]
fn a_certificate_that_does_not_hold_leaves_the_old_one_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (make(), make());
    let files = write(folder.path(), &first);
    let certificate = Certificate::load(&files).unwrap();
    let server = certificate.server_config().unwrap();

    write(folder.path(), &(second.0.clone(), first.1.clone()));
    touch(&files, 10);
    assert!(certificate.reload().is_err());
    assert!(!certificate.reload().unwrap(), "the same fault is told once");
    assert!(handshake(&server, &first.0).is_some());

    fs::remove_file(&files.cert_file).unwrap();
    assert!(certificate.reload().is_err());
    assert!(handshake(&server, &first.0).is_some());

    write(folder.path(), &second);
    touch(&files, 20);
    assert!(certificate.reload().unwrap());
    assert!(handshake(&server, &second.0).is_some());
}

#[test]
fn files_that_are_no_certificate_and_key_are_refused_with_the_settings_name() {
    let folder = tempfile::tempdir().unwrap();
    let (good, other) = (make(), make());
    for (cert, key, wanted) in [
        ("", good.1.as_str(), "tls.cert_file: there is no certificate in"),
        (good.1.as_str(), good.1.as_str(), "tls.cert_file: there is no certificate in"),
        (good.0.as_str(), "", "tls.key_file: there is no private key in"),
        (good.0.as_str(), good.0.as_str(), "tls.key_file: there is no private key in"),
        (good.0.as_str(), other.1.as_str(), "tls.key_file: "),
    ] {
        let files = write(folder.path(), &(cert.to_owned(), key.to_owned()));
        let error = format!("{:#}", Certificate::load(&files).unwrap_err());
        assert!(error.starts_with(wanted), "{error}");
        assert!(!error.contains("PRIVATE KEY-----"), "{error}");
    }
    let missing = PathBuf::from("/nowhere/cert.pem");
    let files = TlsFiles { cert_file: missing.clone(), key_file: missing };
    let error = format!("{:#}", Certificate::load(&files).unwrap_err());
    assert!(error.starts_with("tls.cert_file: cannot read"), "{error}");
}
