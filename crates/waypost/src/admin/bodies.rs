//! Request bodies of the management API, from the command line's arguments. A field that was not
//! given is not sent: what it means then is the gateway's to say.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::admin::OrgFields;
use crate::cli::callbacks::{WebhookChange, WebhookFields};
use crate::cli::customers::CustomerFields;
use crate::cli::keys::{JwtFields, KeyChange, KeyFields};
use crate::cli::numbers::NumberFields;

/// The longest secret that is read, in bytes.
const MAX_SECRET_BYTES: u64 = 8 * 1024;

/// An object that grows by what was given.
#[derive(Default)]
pub(super) struct Body(Map<String, Value>);

impl Body {
    pub(super) fn with(mut self, name: &str, value: Option<impl Serialize>) -> Self {
        self.0.extend(value.map(|value| (name.to_owned(), json!(value))));
        self
    }

    fn with_list(self, name: &str, values: Vec<String>) -> Self {
        self.with(name, (!values.is_empty()).then_some(values))
    }

    pub(super) fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// An organisation.
pub(super) fn org(
    name: Option<String>,
    id: Option<String>,
    fields: OrgFields,
) -> anyhow::Result<Value> {
    let offsets = wire_offsets(&fields.wire_offsets)?;
    let body = Body::default()
        .with("id", id)
        .with("name", name)
        .with("time_zone", fields.time_zone)
        .with("default_language", fields.default_language)
        .with("window_policy", fields.window_policy)
        .with("window_fallback", fields.window_fallback)
        .with("unknown_policy", fields.unknown_policy)
        .with("strict_opt_in", fields.strict_opt_in)
        .with("broadcast_audience", fields.broadcast_audience)
        .with("join_code", fields.join_code)
        .with("wire_offsets", (!offsets.is_empty()).then_some(offsets))
        .with("message_retention_days", fields.message_retention_days)
        .with("media_retention_days", fields.media_retention_days);
    Ok(body.done())
}

fn wire_offsets(given: &[String]) -> anyhow::Result<Map<String, Value>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((dialect, zone)) => Ok((dialect.to_owned(), json!(zone))),
        None => bail!("--wire-offset `{text}` is not DIALECT=ZONE, such as replyhero=+08:00"),
    };
    given.iter().map(pair).collect()
}

/// A user.
pub(super) fn user(name: Option<String>, id: Option<String>) -> Value {
    Body::default().with("id", id).with("name", name).done()
}

/// A customer.
pub(super) fn customer(phone: Option<String>, id: Option<String>, fields: CustomerFields) -> Value {
    Body::default()
        .with("id", id)
        .with("phone", phone)
        .with("name", fields.name)
        .with_list("tags", fields.tags)
        .with("opt_in", fields.opt_in)
        .with("opt_in_at", fields.opt_in_at)
        .with("opt_in_proof", fields.opt_in_proof)
        .with("active", fields.active)
        .done()
}

/// What can be set of a number, its secrets read from their files.
pub(super) fn number(fields: NumberFields) -> anyhow::Result<Value> {
    let secret = |file: Option<std::path::PathBuf>| file.map(|file| read_secret(&file)).transpose();
    let body = Body::default()
        .with("access_token", secret(fields.access_token_file)?)
        .with("app_secret", secret(fields.app_secret_file)?)
        .with("throughput_per_s", fields.throughput_per_s)
        .with("daily_limit", fields.daily_limit)
        .with("app_id", fields.app_id)
        .with("source_id", fields.source_id)
        .with_list("aliases", fields.aliases)
        .with("default_notify_url", fields.default_notify_url)
        .with("notify_auth", credentials(&fields.notify_auth_files)?)
        .with("errors_as_200", fields.errors_as_200)
        .with("shared", fields.shared);
    Ok(body.done())
}

/// Credentials by name, read from their files.
fn credentials(files: &[String]) -> anyhow::Result<Option<Value>> {
    let mut credentials = Map::new();
    for named in files {
        let (name, file) = named
            .split_once('=')
            .ok_or_else(|| anyhow::anyhow!("--notify-auth-file takes NAME=FILE, not {named}"))?;
        credentials.insert(name.to_owned(), read_secret(Path::new(file))?.into());
    }
    Ok((!credentials.is_empty()).then_some(Value::Object(credentials)))
}

/// An API key; with a secret, one that exists elsewhere already.
pub(super) fn key(fields: KeyFields, secret: Option<String>) -> anyhow::Result<Value> {
    let body = Body::default()
        .with("id", fields.id)
        .with("name", fields.name)
        .with("scopes", Some(fields.scopes))
        .with("expires_at", fields.expires_at)
        .with("sends_as", fields.sends_as)
        .with_list("allowed_ips", fields.allowed_ips)
        .with("rate_limit", fields.rate_limit)
        .with("disabled", fields.disabled.then_some(true))
        .with("jwt", jwt(fields.jwt)?)
        .with("secret", secret);
    Ok(body.done())
}

/// A change of a key.
pub(super) fn key_change(fields: KeyChange) -> anyhow::Result<Value> {
    let body = Body::default()
        .with("disabled", fields.disabled)
        .with("rate_limit", fields.rate_limit)
        .with("rate_limit", fields.no_rate_limit.then_some(Value::Null))
        .with("jwt", jwt(fields.jwt)?);
    Ok(body.done())
}

fn jwt(fields: JwtFields) -> anyhow::Result<Option<Value>> {
    let Some((service_id, file)) = fields.jwt_service_id.zip(fields.jwt_secret_file) else {
        return Ok(None);
    };
    Ok(Some(json!({"service_id": service_id, "secret": read_secret(&file)?})))
}

/// A media provider.
pub(super) fn provider(name: &str, scheme: &str, hosts: &[String], secret: &str) -> Value {
    json!({"name": name, "scheme": scheme, "allowed_hosts": hosts, "secret": secret})
}

/// What can be set of a webhook, its header read from its file.
pub(super) fn webhook(url: Option<String>, fields: WebhookFields) -> anyhow::Result<Body> {
    let header = fields.header_file.map(|file| read_secret(&file)).transpose()?;
    let body = Body::default()
        .with("url", url)
        .with("shape", fields.shape)
        .with("number", fields.number)
        .with_list("events", fields.events)
        .with("header", header);
    Ok(body)
}

/// A change of a webhook.
pub(super) fn webhook_change(change: WebhookChange) -> anyhow::Result<Value> {
    let body = webhook(change.address, change.fields)?
        .with("number", change.every_number.then_some(Value::Null))
        .with("events", change.every_event.then_some(json!([])))
        .with("header", change.no_header.then_some(Value::Null))
        .with("disabled", change.disabled);
    Ok(body.done())
}

/// A change that also takes back what these fields were set to.
pub(super) fn clearing(mut body: Value, fields: Vec<String>) -> anyhow::Result<Value> {
    for field in fields {
        ensure!(body.get(&field).is_none_or(Value::is_null), "{field} is both set and cleared");
        body[field] = Value::Null;
    }
    Ok(body)
}

/// A change, which must change something.
pub(super) fn change(body: Value) -> anyhow::Result<Value> {
    let is_empty = body.as_object().is_none_or(Map::is_empty);
    ensure!(!is_empty, "nothing to change was given; see --help");
    Ok(body)
}

/// Reads a secret from a file, or from standard input for `-`, so that neither the process list nor
/// the shell's history shows it.
pub(super) fn read_secret(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_SECRET_BYTES + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file)
            .and_then(|open| open.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text))
    };
    let size = read.with_context(|| format!("cannot read the secret from {}", file.display()))?;
    let fits = u64::try_from(size).is_ok_and(|size| size <= MAX_SECRET_BYTES);
    ensure!(fits, "the secret in {} is longer than {MAX_SECRET_BYTES} bytes", file.display());
    let secret = text.trim();
    ensure!(!secret.is_empty(), "there is no secret in {}", file.display());
    Ok(secret.to_owned())
}
