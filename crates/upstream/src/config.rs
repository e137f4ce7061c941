//! Where the upstream is and how long it may take.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use url::Url;

/// Where the upstream is and how long it may take.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Such as `https://graph.facebook.com`; plain http only for a simulator.
    pub base_url: Url,
    /// Such as `v25.0`; empty to leave it out.
    pub version: String,
    /// For DNS, connecting and TLS together.
    pub connect_timeout: Duration,
    /// For a whole call; transfers of files get more by their size.
    pub call_timeout: Duration,
    /// How long an unused connection is kept. Shorter than the 60 s after which common front ends
    /// close theirs, so that no request meets a connection that is just being closed.
    pub idle_timeout: Duration,
    /// Hosts beside the upstream's own that give out files for its token, over https.
    pub media_hosts: Vec<String>,
    /// Whose certificates are believed.
    pub trust: Trust,
}

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The operating system's authorities.
    System,
    /// These authorities only.
    Only(Vec<CertificateDer<'static>>),
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The base URL cannot be called.
    #[error("the upstream's base URL {0}")]
    BaseUrl(&'static str),
    /// The version would not be one path segment.
    #[error("the upstream's version has letters, digits and dots only, such as v25.0")]
    Version,
    /// No certificate could be believed.
    #[error("no certificate authority can be loaded: {0}")]
    NoAuthorities(String),
    /// The TLS library refuses the settings.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl UpstreamConfig {
    /// The usual limits: 5 s to connect, 30 s a call.
    #[must_use]
    pub fn new(base_url: Url, version: impl Into<String>) -> Self {
        Self {
            base_url,
            version: version.into(),
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(25),
            media_hosts: vec!["lookaside.fbsbx.com".to_owned()],
            trust: Trust::System,
        }
    }

    /// What every call's URL begins with, without a slash at its end.
    pub(crate) fn prefix(&self) -> Result<String, ConfigError> {
        let base = &self.base_url;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(ConfigError::BaseUrl("must be an http or https URL"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(ConfigError::BaseUrl("must have neither query nor fragment"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(ConfigError::BaseUrl("must not hold a user name or password"));
        }
        let version = self.version.trim_matches('/');
        if !version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
            return Err(ConfigError::Version);
        }
        let base = base.as_str().trim_end_matches('/');
        Ok(if version.is_empty() { base.to_owned() } else { format!("{base}/{version}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(base: &str, version: &str) -> Result<String, ConfigError> {
        UpstreamConfig::new(Url::parse(base).unwrap(), version).prefix()
    }

    #[test]
    fn version_and_path_are_configuration() {
        for (base, version, expected) in [
            ("https://graph.facebook.com", "v25.0", "https://graph.facebook.com/v25.0"),
            ("https://graph.facebook.com/", "", "https://graph.facebook.com"),
            ("http://127.0.0.1:8081/meta/", "/v26.0/", "http://127.0.0.1:8081/meta/v26.0"),
        ] {
            assert_eq!(prefix(base, version).unwrap(), expected);
        }
        for (base, version) in [
            ("ftp://graph.facebook.com", "v25.0"),
            ("https://user:word@graph.facebook.com", "v25.0"),
            ("https://graph.facebook.com?x=1", "v25.0"),
            ("https://graph.facebook.com", "v25/0"),
        ] {
            assert!(prefix(base, version).is_err(), "{base} {version}");
        }
    }
}
