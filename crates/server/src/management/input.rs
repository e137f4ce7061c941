//! Reading JSON requests strictly: bounded in size and depth, unknown fields refused by name,
//! every fault with its path; and changes as merge patches (RFC 7396) on what exists.

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use waypost_dialects::{BodyKind, JsonTypes, json};
use waypost_domain::Failure;
use waypost_engine::IdempotencyKey;

use super::strict_json::read_json;
use super::strict_value::StrictValue;
use crate::App;
use crate::bodies::BodyReader;
use crate::headers::idempotency_key;
use crate::problem::Problem;

/// The largest request of the management API but for imports and uploads, in bytes.
const MAX_BODY_BYTES: u64 = 256 * 1_024;

/// A JSON object as it came, with what makes a repetition recognisable.
#[derive(Clone)]
pub(crate) struct JsonObject {
    /// Its members.
    pub(crate) members: Map<String, Value>,
    /// The caller's idempotency key, bound to this very request.
    pub(crate) idempotency: Option<IdempotencyKey>,
}

impl FromRequest<App> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        check_content_type(&parts.headers)?;
        let pace = app.limits.body_pace;
        let reader = BodyReader::new(&parts.headers, body, MAX_BODY_BYTES, pace)?;
        let (bytes, _share) = reader.read_whole(&app.memory).await?;
        let members = parse_object(&bytes)?;
        let key = idempotency_key(&parts.headers)?;
        let idempotency = key.map(|key| bind(key, &bytes)).transpose()?;
        Ok(Self { members, idempotency })
    }
}

impl JsonObject {
    /// Reads it as a `T`.
    ///
    /// # Errors
    /// A 400 that names the field.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, Problem> {
        read_value(Value::Object(self.members))
    }

    /// Reads it as a change of `current`: what it does not name stays, `null` clears.
    ///
    /// # Errors
    /// A 400 that names the field.
    pub(crate) fn merged_into<T: Serialize + DeserializeOwned>(
        self,
        current: &T,
    ) -> Result<T, Problem> {
        let mut merged = serde_json::to_value(current).unwrap_or_default();
        let cleared = merge(&mut merged, self.members);
        cleared.iter().try_for_each(|name| check_known::<T>(&merged, name))?;
        read_value(merged)
    }

    /// What it does to a secret, which cannot be read back and so cannot be merged into.
    pub(crate) fn secret(&self, name: &str) -> SecretChange {
        match self.members.get(name) {
            None => SecretChange::Keep,
            Some(Value::Null) => SecretChange::Clear,
            Some(_) => SecretChange::Set,
        }
    }
}

/// How the message begins where there is no such field.
const UNKNOWN: &str = "is not a field here";

/// What a change does to a write-only field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretChange {
    /// Not named.
    Keep,
    /// `null`.
    Clear,
    /// A new value.
    Set,
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    if (BodyKind::Json { max_bytes: MAX_BODY_BYTES, types: JsonTypes::ApplicationOrText })
        .accepts(content_type)
    {
        return Ok(());
    }
    let detail = "The header Content-Type must say application/json.";
    let status = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Err(Problem::new(status, "unsupported_content_type", detail))
}

/// Checks syntax and depth before anything is built, then builds.
fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    json::parse(bytes)?;
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match read_json(text)? {
        Value::Object(members) => Ok(members),
        _ => {
            let detail = "The body must be a JSON object.";
            Err(Problem::new(http::StatusCode::BAD_REQUEST, "invalid_body", detail))
        }
    }
}

fn bind(key: String, bytes: &[u8]) -> Result<IdempotencyKey, Failure> {
    let mut digest = Sha256::new();
    json::canonical(bytes, &mut |part| digest.update(part))?;
    Ok(IdempotencyKey { key, fingerprint: digest.finalize().into() })
}

/// Returns what was to be cleared and was not there; a map's members may always be cleared.
fn merge(target: &mut Value, patch: Map<String, Value>) -> Vec<String> {
    let Value::Object(target) = target else { return Vec::new() };
    let mut absent = Vec::new();
    for (name, value) in patch {
        match (target.get_mut(&name), value) {
            (Some(map @ Value::Object(_)), Value::Object(changed)) => drop(merge(map, changed)),
            (Some(_), Value::Null) => drop(target.remove(&name)),
            (None, Value::Null) => absent.push(name),
            (_, value) => drop(target.insert(name, value)),
        }
    }
    absent
}

/// A `T` has a field of this name, though it is not there now.
fn check_known<T: DeserializeOwned>(merged: &Value, name: &str) -> Result<(), Problem> {
    let mut with_it = merged.clone();
    with_it[name] = Value::Null;
    match read_value::<T>(with_it) {
        Err(problem) if problem.in_one_line().contains(UNKNOWN) => Err(problem),
        _ => Ok(()),
    }
}

/// Reads a value as a `T`, with the path of the field that does not fit.
pub(crate) fn read_value<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(StrictValue(value)).map_err(|error| fault_of(&error))
}

/// The refusal that names the field.
pub(super) fn fault_of(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let path = match error.path().to_string() {
        root if root == "." => String::new(),
        path => path,
    };
    let text = error.inner().to_string();
    // Of a text that is read, serde_json tells the place too.
    let text = text.split(" at line ").next().unwrap_or_default();
    let (field, message) = blame(&path, text);
    Problem::invalid(field, message)
}

/// The field and the message for one of serde's messages.
fn blame(path: &str, text: &str) -> (String, String) {
    let quoted = |prefix: &str| {
        let rest = text.strip_prefix(prefix)?.strip_prefix('`')?;
        rest.split_once('`')
    };
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    if let Some((name, _)) = quoted("missing field ") {
        return (below(name), "is required".to_owned());
    }
    if let Some((name, rest)) = quoted("unknown field ") {
        let known = rest.trim_start_matches(", expected").trim_start_matches(" one of").trim();
        return (below(name), format!("{UNKNOWN}; there are {known}"));
    }
    if let Some((name, _)) = quoted("duplicate field ") {
        return (below(name), "is given twice".to_owned());
    }
    (path.to_owned(), text.to_owned())
}

/// The arguments after `?`, strictly: unknown ones are refused.
pub(crate) struct Arguments<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Arguments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(arguments)) => Ok(Self(arguments)),
            Err(error) => {
                let text = std::error::Error::source(&error)
                    .map_or_else(|| error.to_string(), ToString::to_string);
                let (path, text) = told_path(&text);
                let (field, message) = blame(path, rule_of(text));
                let field = if field.is_empty() { "?".to_owned() } else { field };
                Err(Problem::invalid(field, message))
            }
        }
    }
}

/// The field before the message, as arguments' faults are told; `?` stands for none that is known.
fn told_path(text: &str) -> (&str, &str) {
    let is_name =
        |path: &str| path.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match text.split_once(": ") {
        Some(("?", text)) => ("", text),
        Some((path, text)) if is_name(path) => (path, text),
        _ => ("", text),
    }
}

/// What an argument must be, for Rust's words on what it is not.
fn rule_of(text: &str) -> &str {
    match text {
        "provided string was not `true` or `false`" => "must be true or false",
        "cannot parse integer from empty string"
        | "invalid digit found in string"
        | "number too large to fit in target type" => {
            "must be a whole number that is not too large"
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u32>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parts: Vec<Part>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        label: String,
    }

    fn object(value: Value) -> JsonObject {
        let Value::Object(members) = value else { panic!("an object") };
        JsonObject { members, idempotency: None }
    }

    #[test]
    fn every_fault_names_its_field() {
        for (value, field) in [
            (json!({"name": 5}), "name"),
            (json!({}), "name"),
            (json!({"name": "x", "nmae": 1}), "nmae"),
            (json!({"name": "x", "size": -1}), "size"),
            (json!({"name": "x", "parts": {}}), "parts"),
            (json!({"name": "x", "parts": [{"label": "a"}, {"label": 1}]}), "parts[1].label"),
            (json!({"name": "x", "parts": [{}]}), "parts[0].label"),
            (json!({"name": "x", "parts": [{"label": "a", "lable": 1}]}), "parts[0].lable"),
            (json!({"name": "x", "parts": [["a"]]}), "parts[0]"),
        ] {
            let problem = object(value.clone()).read::<Thing>().unwrap_err();
            assert_eq!(problem.errors()[0].field, field, "{value}");
            assert_eq!(problem.code(), "invalid_value");
        }
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name_and_clears_what_is_null() {
        let thing = Thing { name: "a".to_owned(), size: Some(1), parts: Vec::new() };
        let changed = object(json!({"name": "b"})).merged_into(&thing).unwrap();
        assert_eq!((changed.name.as_str(), changed.size), ("b", Some(1)));
        let cleared = object(json!({"size": null})).merged_into(&thing).unwrap();
        assert_eq!((cleared.name.as_str(), cleared.size), ("a", None));
        let absent = Thing { size: None, ..cleared };
        for name in ["size", "parts"] {
            object(json!({ name: null })).merged_into(&absent).unwrap();
        }
        let unknown = object(json!({"siez": null})).merged_into(&absent).unwrap_err();
        assert_eq!(unknown.errors()[0].field, "siez");
        let refused = object(json!({"name": null})).merged_into(&thing).unwrap_err();
        assert_eq!(refused.errors()[0].field, "name");
        let secrets = object(json!({"a": null, "b": "x"}));
        assert_eq!(secrets.secret("a"), SecretChange::Clear);
        assert_eq!(secrets.secret("b"), SecretChange::Set);
        assert_eq!(secrets.secret("c"), SecretChange::Keep);
    }

    #[test]
    fn a_change_of_a_map_keeps_the_members_that_it_does_not_name() {
        let current = json!({"zones": {"a": "UTC", "b": "UTC"}, "list": [1], "size": 1});
        for (patch, wanted) in [
            (json!({"zones": {"c": "UTC"}}), json!({"a": "UTC", "b": "UTC", "c": "UTC"})),
            (json!({"zones": {"a": "+01:00"}}), json!({"a": "+01:00", "b": "UTC"})),
            (json!({"zones": {"a": null, "x": null}}), json!({"b": "UTC"})),
            (json!({"zones": {}}), json!({"a": "UTC", "b": "UTC"})),
            (json!({"zones": null}), Value::Null),
            (json!({"zones": 5}), json!(5)),
        ] {
            let mut merged = current.clone();
            merge(&mut merged, object(patch.clone()).members);
            let left = merged.as_object_mut().unwrap().remove("zones").unwrap_or_default();
            assert_eq!((left, merged), (wanted, json!({"list": [1], "size": 1})), "{patch}");
        }
        let mut merged = current;
        merge(&mut merged, object(json!({"list": [2], "size": {"x": null}})).members);
        assert_eq!((&merged["list"], &merged["size"]), (&json!([2]), &json!({"x": null})));
    }

    #[test]
    fn only_json_objects_of_little_depth_are_read() {
        let deep =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse_object(deep(30).as_bytes()).is_ok());
        for (body, code) in [
            (deep(100_000), "invalid_json"),
            (deep(40), "invalid_json"),
            (String::new(), "invalid_json"),
            ("{\"a\":NaN}".to_owned(), "invalid_json"),
            ("{\"a\":\"\\ud800\"}".to_owned(), "invalid_json"),
            ("[]".to_owned(), "invalid_body"),
            ("\"text\"".to_owned(), "invalid_body"),
        ] {
            assert_eq!(parse_object(body.as_bytes()).unwrap_err().code(), code);
        }
        assert!(parse_object(b"\xEF\xBB\xBF{\"a\":1}").is_ok());
    }
}
