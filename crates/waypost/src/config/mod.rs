//! The configuration: what is set, where, and what holds. Only this crate reads the environment,
//! and only this module knows the settings' names. It opens no socket and makes no file.

mod document;
mod print;
mod rules;
mod setting;
mod sources;
#[cfg(test)]
mod tests;
mod value;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use url::Url;

pub(crate) use document::default_toml;
pub(crate) use print::{print, report};
pub(crate) use setting::{Flag, SETTINGS};
use sources::Source;
pub(crate) use sources::{Fault, Inputs};
pub(crate) use value::{Secret, without_slash};

/// Meta's own address.
pub(crate) const META_BASE_URL: &str = "https://graph.facebook.com";

/// The settings in effect.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where the gateway listens.
    pub(crate) listen: SocketAddr,
    /// The data folder.
    pub(crate) data_dir: PathBuf,
    /// The SQLite database.
    pub(crate) database_file: PathBuf,
    /// As it was set; [`Config::public_url`] has the effective one.
    pub(crate) configured_public_url: Option<Url>,
    /// Absent: plain HTTP.
    pub(crate) tls: Option<TlsFiles>,
    /// Whose `X-Forwarded-For` counts.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Absent: made on the first start.
    pub(crate) admin_key: Option<Secret>,
    /// The master key's file.
    pub(crate) master_key_file: PathBuf,
    /// Where the sandbox listens; absent: it does not run.
    pub(crate) sandbox_listen: Option<SocketAddr>,
    /// Where messages go.
    pub(crate) upstream: UpstreamSettings,
    /// Absent: made on the first start.
    pub(crate) webhook_verify_token: Option<Secret>,
    /// Absent only with the sandbox: made on the first start.
    pub(crate) webhook_app_secret: Option<Secret>,
    /// What tenants' addresses may be.
    pub(crate) egress: EgressSettings,
    /// Whether there is a demo organisation.
    pub(crate) demo: Demo,
}

/// Certificate and key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub(crate) cert_file: PathBuf,
    /// Its private key.
    pub(crate) key_file: PathBuf,
}

/// Where messages go.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamSettings {
    /// The sandbox or a real one.
    pub(crate) target: UpstreamTarget,
    /// The installation's token.
    pub(crate) access_token: Option<Secret>,
    /// Such as `v23.0`.
    pub(crate) version: String,
    /// Meta's id of the app.
    pub(crate) app_id: Option<String>,
}

/// The sandbox or a real upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamTarget {
    /// The sandbox of this process.
    Sandbox,
    /// Anything else, at this base address.
    Real(Url),
}

/// What tenants' addresses may be.
#[derive(Clone, Debug)]
pub(crate) struct EgressSettings {
    /// Private networks that may be reached.
    pub(crate) allow_networks: Vec<IpNet>,
    /// Whether callbacks may go to plain http.
    pub(crate) allow_http_callbacks: bool,
    /// Whether links may be plain http.
    pub(crate) allow_http_links: bool,
}

/// Whether there is a demo organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demo {
    /// Made on an empty data folder; kept up where it exists.
    OnEmptyFolder,
    /// Asked for: with any upstream and on any data folder.
    Forced,
    /// Not made.
    Off,
}

/// A configuration that holds, with what deserves a warning.
pub(crate) struct Loaded {
    /// The settings in effect.
    pub(crate) config: Config,
    /// One line each.
    pub(crate) warnings: Vec<String>,
    /// Every setting with its source, as `config print` shows it.
    pub(crate) rows: Vec<Row>,
}

/// A setting as `config print` shows it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) setting: &'static str,
    /// The value in effect, secrets redacted; null: none.
    pub(crate) value: serde_json::Value,
    /// Where it was set.
    pub(crate) source: String,
}

/// Everything that is wrong with a configuration.
#[derive(Debug)]
pub(crate) struct Faults {
    /// At least one.
    pub(crate) faults: Vec<Fault>,
    /// What was noticed besides.
    pub(crate) warnings: Vec<String>,
}

/// What the configuration is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To run the gateway now: every rule holds, and the files that it begins with are in order.
    Start,
    /// To know how a gateway would run: every rule holds.
    Gateway,
    /// To run the sandbox alone: it is on, whatever upstream a gateway would have.
    Sandbox,
    /// As a client of a gateway: each value must be readable, but what a gateway needs may be
    /// missing.
    Client,
}

/// Reads the configuration.
///
/// # Errors
/// Every fault at once.
pub(crate) fn load(inputs: &Inputs, purpose: Purpose) -> Result<Loaded, Faults> {
    rules::apply(sources::Gathered::from_inputs(inputs), purpose)
}

/// Reads what the sandbox alone needs, and judges the flag of its own with the settings.
///
/// # Errors
/// Every fault at once.
pub(crate) fn load_for_sandbox(
    inputs: &Inputs,
    webhook_url: Option<&str>,
) -> Result<Loaded, Faults> {
    let read = load(inputs, Purpose::Sandbox);
    let Some(fault) = webhook_url.and_then(webhook_url_fault) else { return read };
    Err(match read {
        Ok(loaded) => Faults { faults: vec![fault], warnings: loaded.warnings },
        Err(mut found) => {
            found.faults.push(fault);
            found
        }
    })
}

/// The rule of the sandbox's own `POST /_sandbox/webhook`.
fn webhook_url_fault(text: &str) -> Option<Fault> {
    let is_web_url = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if Url::parse(text).is_ok_and(is_web_url) {
        return None;
    }
    // Not echoed: such an address may hold a password.
    let problem = "must be an http or https address, such as http://127.0.0.1:8080/webhooks/meta";
    Some(Fault {
        setting: "webhook address".to_owned(),
        source: Source::Flag("--webhook-url"),
        problem: problem.to_owned(),
    })
}

impl Config {
    /// The gateway's public address without a slash at the end. `bound` is where it listens, which
    /// `listen` alone does not tell when its port is 0.
    pub(crate) fn public_url(&self, bound: SocketAddr) -> String {
        match &self.configured_public_url {
            Some(url) => without_slash(url).to_owned(),
            None => local_url(if self.tls.is_some() { "https" } else { "http" }, bound),
        }
    }

    /// The host of the public address, where that was set.
    pub(crate) fn public_host(&self) -> Option<String> {
        self.configured_public_url.as_ref()?.host_str().map(str::to_owned)
    }

    /// The address at which a process on this machine reaches the gateway. With TLS of its own that
    /// is the public one, where it is known: no certificate is for a loopback address.
    pub(crate) fn local_url(&self, bound: SocketAddr) -> String {
        match &self.configured_public_url {
            Some(url) if self.tls.is_some() => without_slash(url).to_owned(),
            _ => local_url(if self.tls.is_some() { "https" } else { "http" }, bound),
        }
    }

    /// The upstream's base address without a slash at the end. `sandbox` is where the sandbox
    /// listens.
    pub(crate) fn upstream_base_url(&self, sandbox: SocketAddr) -> String {
        match &self.upstream.target {
            UpstreamTarget::Sandbox => local_url("http", sandbox),
            UpstreamTarget::Real(url) => without_slash(url).to_owned(),
        }
    }
}

impl UpstreamTarget {
    /// What an operator reads: which upstream messages go to.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sandbox => "sandbox (nothing reaches a real phone)".to_owned(),
            Self::Real(url) if without_slash(url) == META_BASE_URL => {
                format!("Meta ({META_BASE_URL})")
            }
            Self::Real(url) => without_slash(url).to_owned(),
        }
    }
}

/// `http://127.0.0.1:8080`. Nobody can connect to the address that means "all addresses": the
/// loopback address stands for it.
pub(crate) fn local_url(scheme: &str, bound: SocketAddr) -> String {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(ip, bound.port()))
}
