//! The gateway's own TLS: certificate and key from PEM files, taken up again when they change. A
//! server keeps one configuration for its whole life; only the certificate in it is exchanged. Opens
//! no socket.

#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::config::TlsFiles;

/// How often the files are looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
const CERT_FILE: &str = "tls.cert_file";
const KEY_FILE: &str = "tls.key_file";

/// The certificate in use and the files it comes from.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: TlsFiles,
    current: ArcSwap<CertifiedKey>,
    seen: ArcSwap<Stamp>,
}

/// What tells that a file is another one.
type Stamp = [(Option<SystemTime>, u64); 2];

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// Not readable, no PEM, or a key that does not fit the certificate.
    pub(crate) fn load(files: &TlsFiles) -> anyhow::Result<Arc<Self>> {
        // Taken before the content, so that a change in between is seen by the next look.
        let stamp = stamp(files);
        let current = read(files)?;
        Ok(Arc::new(Self {
            files: files.clone(),
            current: ArcSwap::from_pointee(current),
            seen: ArcSwap::from_pointee(stamp),
        }))
    }

    /// What a server needs: HTTP/2 and HTTP/1.1 with the certificate that is current at each
    /// handshake.
    ///
    /// # Errors
    /// Where the TLS library refuses its own defaults.
    pub(crate) fn server_config(self: &Arc<Self>) -> anyhow::Result<Arc<ServerConfig>> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Looks at the files every few seconds, for ever.
    pub(crate) async fn reload_on_change(&self) {
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            match self.reload() {
                Ok(false) => {}
                Ok(true) => tracing::info!("took up the changed TLS certificate"),
                Err(error) => tracing::warn!("the old TLS certificate stays in use: {error:#}"),
            }
        }
    }

    /// Takes up the files if they changed since they were last looked at; `true` where they did. A
    /// certificate that does not hold leaves the old one in use, and is told once.
    fn reload(&self) -> anyhow::Result<bool> {
        let stamp = stamp(&self.files);
        if **self.seen.load() == stamp {
            return Ok(false);
        }
        self.seen.store(Arc::new(stamp));
        self.current.store(Arc::new(read(&self.files)?));
        Ok(true)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    let one = |path: &Path| match fs::metadata(path) {
        Ok(about) => (about.modified().ok(), about.len()),
        Err(_) => (None, 0),
    };
    [one(&files.cert_file), one(&files.key_file)]
}

/// Everything that is wrong with the files: each setting with what is wrong with its file.
pub(crate) fn faults(files: &TlsFiles) -> Vec<(&'static str, String)> {
    let (chain, key) = (read_chain(&files.cert_file), read_key(&files.key_file));
    match (chain, key) {
        (Ok(chain), Ok(key)) => {
            let end = fit(files, chain, key);
            end.err().map(|error| (KEY_FILE, format!("{error:#}"))).into_iter().collect()
        }
        (chain, key) => {
            let of_chain = chain.err().map(|error| (CERT_FILE, format!("{error:#}")));
            let of_key = key.err().map(|error| (KEY_FILE, format!("{error:#}")));
            of_chain.into_iter().chain(of_key).collect()
        }
    }
}

/// When the chain ends, with whichever of its certificates ends first, in seconds since 1970.
///
/// # Errors
/// As [`Certificate::load`]; also where it is no X.509.
pub(crate) fn expires_at_s(files: &TlsFiles) -> anyhow::Result<i64> {
    let chain = read_chain(&files.cert_file)?;
    let mut ends = Vec::with_capacity(chain.len());
    for certificate in &chain {
        let (_, read) = X509Certificate::from_der(certificate)
            .with_context(|| format!("{} is no X.509", files.cert_file.display()))?;
        ends.push(read.validity().not_after.timestamp());
    }
    ends.into_iter().min().context("there is no certificate")
}

fn read(files: &TlsFiles) -> anyhow::Result<CertifiedKey> {
    let chain = read_chain(&files.cert_file).context(CERT_FILE)?;
    let key = read_key(&files.key_file).context(KEY_FILE)?;
    fit(files, chain, key).context(KEY_FILE)
}

fn read_chain(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let pem = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("{shown} is not PEM"))?;
    ensure!(!chain.is_empty(), "there is no certificate in {shown}");
    Ok(chain)
}

fn read_key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    let shown = path.display();
    let pem = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    PrivateKeyDer::from_pem_slice(&pem)
        .with_context(|| format!("there is no private key in {shown}"))
}

fn fit(
    files: &TlsFiles,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> anyhow::Result<CertifiedKey> {
    let (cert_file, key_file) = (files.cert_file.display(), files.key_file.display());
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .with_context(|| format!("{key_file} does not fit {cert_file}"))
}
