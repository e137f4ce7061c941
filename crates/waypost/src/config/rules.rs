//! From the values that were given to the settings in effect: what is derived from what, and what
//! must not stand beside what (docs: `config/default.toml`). Reads no source itself; where a gateway is
//! to start, it has the certificate's files looked at.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value as Json, json};
use url::{Host, Url};

use super::setting::SETTINGS;
use super::sources::Gathered;
use super::value::{Secret, Value};
use super::{
    Config, Demo, EgressSettings, Faults, Loaded, META_BASE_URL, Purpose, Row, TlsFiles,
    UpstreamSettings, UpstreamTarget,
};
use crate::tls;

/// Shorter admin keys are warned about.
const SHORT_ADMIN_KEY_CHARS: usize = 16;

/// Checks the rules and settles every value.
pub(super) fn apply(mut given: Gathered, purpose: Purpose) -> Result<Loaded, Faults> {
    let sandbox_on = purpose == Purpose::Sandbox || sandbox_on(&given);
    let target = upstream_target(&given, sandbox_on);
    check_tls(&mut given);
    if purpose == Purpose::Start {
        check_certificate(&mut given);
    }
    if matches!(purpose, Purpose::Start | Purpose::Gateway) {
        check_listeners(&mut given, sandbox_on);
        if let UpstreamTarget::Real(_) = &target {
            check_real_upstream(&mut given);
        }
        warn(&mut given, &target, sandbox_on);
    }
    if !given.faults.is_empty() {
        return Err(Faults { faults: given.faults, warnings: given.warnings });
    }
    let config = settle(&given, target, sandbox_on);
    let rows = rows(&given, &config);
    Ok(Loaded { config, warnings: given.warnings, rows })
}

fn upstream_target(given: &Gathered, sandbox_on: bool) -> UpstreamTarget {
    match url(given, "upstream.base_url") {
        Some(base) => UpstreamTarget::Real(base),
        None if sandbox_on => UpstreamTarget::Sandbox,
        None => UpstreamTarget::Real(meta()),
    }
}

fn sandbox_on(given: &Gathered) -> bool {
    // What somebody tried to set and got wrong still says that an upstream is meant.
    let is_set = |key| given.value(key).is_some() || given.is_unreadable(key);
    let upstream_configured = is_set("upstream.base_url") || is_set("upstream.access_token");
    switch(given, "sandbox.enabled").unwrap_or(!upstream_configured)
}

fn check_tls(given: &mut Gathered) {
    for (there, missing) in [("tls.cert_file", "tls.key_file"), ("tls.key_file", "tls.cert_file")] {
        let alone = given.value(there).is_some() && given.value(missing).is_none();
        if alone && !given.is_unreadable(missing) {
            given.fault(missing, format!("must be set too, because {there} is"));
        }
    }
}

fn check_certificate(given: &mut Gathered) {
    let files = path(given, "tls.cert_file").zip(path(given, "tls.key_file"));
    let Some((cert_file, key_file)) = files else { return };
    for (setting, problem) in tls::faults(&TlsFiles { cert_file, key_file }) {
        given.fault(setting, problem);
    }
}

fn check_listeners(given: &mut Gathered, sandbox_on: bool) {
    let (gateway, sandbox) = (address(given, "listen"), address(given, "sandbox.listen"));
    let same_port = gateway.port() == sandbox.port() && gateway.port() != 0;
    let overlap = gateway.ip() == sandbox.ip()
        || gateway.ip().is_unspecified()
        || sandbox.ip().is_unspecified();
    if sandbox_on && same_port && overlap {
        given.fault("sandbox.listen", format!("{sandbox} is taken by listen ({gateway})"));
    }
}

fn check_real_upstream(given: &mut Gathered) {
    let why = "because a real upstream is configured";
    match url(given, "public_url") {
        Some(url) if url.scheme() == "https" => {}
        Some(url) => given.fault("public_url", format!("`{url}` must be https, {why}")),
        None if given.is_unreadable("public_url") => {}
        None => given.fault(
            "public_url",
            format!(
                "must be set to the https address at which Meta reaches this gateway, \
                 such as https://wa.example.com, {why}"
            ),
        ),
    }
    let key = "webhook.app_secret";
    if given.value(key).is_none() && !given.is_unreadable(key) {
        given.fault(key, format!("must be set to the app secret of your Meta app, {why}"));
    }
}

fn warn(given: &mut Gathered, target: &UpstreamTarget, sandbox_on: bool) {
    let mut warnings = Vec::new();
    match target {
        UpstreamTarget::Sandbox if given.value("upstream.access_token").is_some() => {
            warnings.push(
                "upstream.access_token: the sandbox is the upstream, so nothing reaches a real \
                 phone; use --no-sandbox to send through Meta"
                    .to_owned(),
            );
        }
        UpstreamTarget::Real(base) if base.scheme() == "http" && !is_loopback(base) => {
            warnings.push(
                "upstream.base_url: plain http shows the access token to the network".to_owned(),
            );
        }
        UpstreamTarget::Real(_) if sandbox_on => {
            warnings
                .push("sandbox.enabled: the sandbox runs, but messages do not go to it".to_owned());
        }
        _ => {}
    }
    let sandbox = address(given, "sandbox.listen");
    if sandbox_on && !sandbox.ip().is_loopback() {
        warnings.push(format!(
            "sandbox.listen: {sandbox} is not a loopback address, and the sandbox asks for no key"
        ));
    }
    let short = |key: &Secret| key.expose().chars().count() < SHORT_ADMIN_KEY_CHARS;
    if secret(given, "admin_key").as_ref().is_some_and(short) {
        warnings.push(format!(
            "admin_key: shorter than {SHORT_ADMIN_KEY_CHARS} characters is easy to guess"
        ));
    }
    given.warnings.extend(warnings);
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn settle(given: &Gathered, target: UpstreamTarget, sandbox_on: bool) -> Config {
    let data_dir = path(given, "data_dir").unwrap_or_default();
    let tls = path(given, "tls.cert_file").zip(path(given, "tls.key_file"));
    let demo = match switch(given, "demo") {
        Some(true) => Demo::Forced,
        None if target == UpstreamTarget::Sandbox => Demo::OnEmptyFolder,
        Some(false) | None => Demo::Off,
    };
    Config {
        listen: address(given, "listen"),
        database_file: path(given, "database_url").unwrap_or_else(|| data_dir.join("waypost.db")),
        configured_public_url: url(given, "public_url"),
        tls: tls.map(|(cert_file, key_file)| TlsFiles { cert_file, key_file }),
        trusted_proxies: networks(given, "trusted_proxies"),
        admin_key: secret(given, "admin_key"),
        master_key_file: path(given, "master_key_file")
            .unwrap_or_else(|| data_dir.join("master.key")),
        sandbox_listen: sandbox_on.then(|| address(given, "sandbox.listen")),
        upstream: UpstreamSettings {
            target,
            access_token: secret(given, "upstream.access_token"),
            version: text(given, "upstream.version").unwrap_or_default(),
            app_id: text(given, "upstream.app_id"),
        },
        webhook_verify_token: secret(given, "webhook.verify_token"),
        webhook_app_secret: secret(given, "webhook.app_secret"),
        egress: EgressSettings {
            allow_networks: networks(given, "egress.allow_networks"),
            allow_http_callbacks: switch(given, "egress.allow_http_callbacks").unwrap_or(false),
            allow_http_links: switch(given, "egress.allow_http_links").unwrap_or(true),
        },
        demo,
        data_dir,
    }
}

fn rows(given: &Gathered, config: &Config) -> Vec<Row> {
    let row = |key| Row {
        setting: key,
        value: given.value(key).map_or_else(|| derived(key, config), Value::shown),
        source: given.source(key).to_string(),
    };
    SETTINGS.iter().map(|setting| row(setting.key)).collect()
}

/// What holds for a setting that nobody set and that the table gives no value.
fn derived(key: &str, config: &Config) -> Json {
    match key {
        "database_url" => json!(format!("sqlite:{}", config.database_file.display())),
        "public_url" => json!(config.public_url(config.listen)),
        "master_key_file" => json!(config.master_key_file.display().to_string()),
        "sandbox.enabled" => json!(config.sandbox_listen.is_some()),
        "upstream.base_url" => json!(config.upstream_base_url(
            // Without a sandbox the upstream is a real one, and this address is not looked at.
            config.sandbox_listen.unwrap_or(config.listen)
        )),
        "demo" => json!(config.demo != Demo::Off),
        _ => Json::Null,
    }
}

fn meta() -> Url {
    Url::parse(META_BASE_URL).expect("the constant is a valid address")
}

fn address(given: &Gathered, key: &str) -> SocketAddr {
    match given.value(key) {
        Some(Value::Address(address)) => *address,
        _ => unreachable!("the table gives {key} a default"),
    }
}

fn path(given: &Gathered, key: &str) -> Option<PathBuf> {
    match given.value(key)? {
        Value::Path(path) => Some(path.clone()),
        _ => None,
    }
}

fn url(given: &Gathered, key: &str) -> Option<Url> {
    match given.value(key)? {
        Value::Url(url) => Some(url.clone()),
        _ => None,
    }
}

fn text(given: &Gathered, key: &str) -> Option<String> {
    match given.value(key)? {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn secret(given: &Gathered, key: &str) -> Option<Secret> {
    match given.value(key)? {
        Value::Secret(secret) => Some(secret.clone()),
        _ => None,
    }
}

fn switch(given: &Gathered, key: &str) -> Option<bool> {
    match given.value(key)? {
        Value::Switch(on) => Some(*on),
        _ => None,
    }
}

fn networks(given: &Gathered, key: &str) -> Vec<ipnet::IpNet> {
    match given.value(key) {
        Some(Value::Networks(list)) => list.clone(),
        _ => Vec::new(),
    }
}
