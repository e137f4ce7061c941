//! What the value of a setting may look like, and how it is read from a file, a variable or a flag.
//! Not here: what a value must be beside another one (`rules.rs`).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde_json::json;
use url::Url;

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Takes the text as it is.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Not for logs.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// What is shown in a secret's place.
pub(crate) const REDACTED: &str = "(secret)";

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An IP address with a port.
    Address,
    /// A path, relative to the working directory.
    Path,
    /// `sqlite:PATH`.
    Database,
    /// An absolute http or https address without query.
    Url,
    /// Any text.
    Text,
    /// Text that is never printed.
    Secret,
    /// A version of the Graph API.
    Version,
    /// `true` or `false`.
    Switch,
    /// Networks as CIDR.
    Networks,
}

/// A value that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Of [`Kind::Address`].
    Address(SocketAddr),
    /// Of [`Kind::Path`] and [`Kind::Database`].
    Path(PathBuf),
    /// Of [`Kind::Url`].
    Url(Url),
    /// Of [`Kind::Text`] and [`Kind::Version`].
    Text(String),
    /// Of [`Kind::Secret`].
    Secret(Secret),
    /// Of [`Kind::Switch`].
    Switch(bool),
    /// Of [`Kind::Networks`].
    Networks(Vec<IpNet>),
}

impl Kind {
    /// Reads what a variable or a flag holds; lists are comma-separated.
    ///
    /// # Errors
    /// What is wrong and what is wanted, without the value of a secret.
    pub(crate) fn read_text(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Address => text.parse().map(Value::Address).map_err(|_| {
                format!("`{text}` is no IP address with a port, such as 127.0.0.1:8080")
            }),
            Self::Path => Ok(Value::Path(PathBuf::from(filled(text)?))),
            Self::Database => read_database(text),
            Self::Url => read_url(text).map(Value::Url),
            Self::Text => Ok(Value::Text(filled(text)?.to_owned())),
            Self::Secret => read_secret(text),
            Self::Version => read_version(text),
            Self::Switch => match text {
                "true" | "1" | "yes" | "on" => Ok(Value::Switch(true)),
                "false" | "0" | "no" | "off" => Ok(Value::Switch(false)),
                _ => Err(format!("`{text}` is neither true nor false")),
            },
            Self::Networks => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                read_networks(items.map(read_network))
            }
        }
    }

    /// Reads what stands in the file.
    ///
    /// # Errors
    /// As [`Self::read_text`]; also where TOML's type is not the wanted one.
    pub(crate) fn read_toml(self, value: &toml::Value) -> Result<Value, String> {
        match (self, value) {
            (Self::Switch, toml::Value::Boolean(on)) => Ok(Value::Switch(*on)),
            (Self::Switch, other) => Err(format!(
                "must be true or false without quotes, not of type {}",
                other.type_str()
            )),
            (Self::Networks, toml::Value::Array(items)) => {
                read_networks(items.iter().map(read_toml_network))
            }
            (Self::Networks, other) => Err(format!(
                r#"must be a list such as ["10.0.0.0/8"], not of type {}"#,
                other.type_str()
            )),
            (kind, toml::Value::String(text)) => kind.read_text(text),
            (_, other) => Err(format!("must be text in quotes, not of type {}", other.type_str())),
        }
    }
}

impl Value {
    /// The value as it may be shown.
    pub(crate) fn shown(&self) -> serde_json::Value {
        match self {
            Self::Address(address) => json!(address.to_string()),
            Self::Path(path) => json!(path.display().to_string()),
            Self::Url(url) => json!(without_slash(url)),
            Self::Text(text) => json!(text),
            Self::Secret(_) => json!(REDACTED),
            Self::Switch(on) => json!(on),
            Self::Networks(list) => json!(list.iter().map(IpNet::to_string).collect::<Vec<_>>()),
        }
    }
}

/// A base address without the slash that a parser adds to an empty path.
pub(crate) fn without_slash(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

fn filled(text: &str) -> Result<&str, String> {
    if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(text) }
}

fn read_database(text: &str) -> Result<Value, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Err("PostgreSQL is not supported by this version: \
                    use sqlite:PATH, or leave it out for SQLite in data_dir"
            .to_owned());
    }
    let path = text.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    match path {
        Some(path) if !path.trim().is_empty() => Ok(Value::Path(PathBuf::from(path))),
        // Not echoed: an address of a database may hold a password.
        _ => Err("must be sqlite:PATH, such as sqlite:/var/lib/waypost/waypost.db".to_owned()),
    }
}

fn read_url(text: &str) -> Result<Url, String> {
    let example = "an address such as https://wa.example.com";
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not {example}: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(format!("`{text}` is not {example}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user name and no password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{text}` must end before any `?` or `#`"));
    }
    Ok(url)
}

fn read_secret(text: &str) -> Result<Value, String> {
    filled(text)?;
    // It travels in an HTTP header or in a query: spaces and line ends are copying mistakes.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be visible ASCII characters without blanks".to_owned());
    }
    Ok(Value::Secret(Secret::new(text)))
}

fn read_version(text: &str) -> Result<Value, String> {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = text
        .strip_prefix('v')
        .and_then(|rest| rest.split_once('.'))
        .is_some_and(|(major, minor)| number(major) && number(minor));
    if well_formed {
        Ok(Value::Text(text.to_owned()))
    } else {
        Err(format!("`{text}` is no version such as v23.0"))
    }
}

/// All of a list's faults, or its networks.
fn read_networks(items: impl Iterator<Item = Result<IpNet, String>>) -> Result<Value, String> {
    let (mut networks, mut faults) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Ok(network) => networks.push(network),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(Value::Networks(networks)) } else { Err(faults.join("; ")) }
}

fn read_network(text: &str) -> Result<IpNet, String> {
    waypost_server::parse_network(text)
        .ok_or_else(|| format!("`{text}` is no network such as 10.0.0.0/8 or fd00::/8"))
}

fn read_toml_network(item: &toml::Value) -> Result<IpNet, String> {
    match item {
        toml::Value::String(text) => read_network(text),
        other => Err(format!("must hold networks in quotes, not of type {}", other.type_str())),
    }
}
