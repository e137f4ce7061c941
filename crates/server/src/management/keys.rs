//! API keys of an organisation: made once, shown once, kept as hashes, revoked at once.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waypost_domain::command::MessageType;
use waypost_domain::directory::{ApiKey, JwtCredential, Scope};
use waypost_domain::{ApiKeyId, OrgId, Timestamp};
use waypost_engine::keys::{ADMIN_KEY_ID, generate, hash_secret};
use waypost_engine::ports::{Entry, StoreError};

use super::access::{Administration, Ids, InOrg};
use super::fields::{MAX_NAME_CHARS, check_id, check_optional_text, check_text, keep_id, words};
use super::filter_words::{instant, word};
use super::idempotency::{Creation, created, replayed};
use super::input::{Arguments, JsonObject, SecretChange};
use super::paging::{List, PageArguments};
use super::views::KeyView;
use crate::App;
use crate::client::parse_network;
use crate::problem::{Faults, Problem};

/// The path on which one is made: the scope of idempotency keys.
const CREATE: &str = "/waypost/v1/orgs/{org_id}/api-keys";
/// The shortest and the longest imported secret, in characters.
const IMPORTED_CHARS: std::ops::RangeInclusive<usize> = 16..=512;
/// The most networks of a key.
const MAX_NETWORKS: usize = 64;
/// The highest rate, in requests a second.
const MAX_RATE: u32 = 100_000;

/// A key to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyInput {
    /// The public part, where an existing secret is imported; otherwise one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What it may do.
    #[schema(schema_with = scope_list)]
    scopes: Vec<Scope>,
    /// When it stops working, in RFC 3339; a new key's lies ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    /// Whether its sends are a person's or a bot's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = senders)]
    sends_as: Option<MessageType>,
    /// Networks from which it may be used (CIDR or addresses); empty: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allowed_ips: Option<Vec<String>>,
    /// Requests a second; absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100_000)]
    rate_limit: Option<u32>,
    /// Switched off for the time being: its callers are refused until it is switched on again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
    /// Lets callers sign JSON Web Tokens (HS256) instead of showing the key, in dialects that take
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwt: Option<JwtInput>,
    /// An existing secret of 16 to 512 visible ASCII characters, for clients that cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    secret: Option<String>,
}

/// What JSON Web Tokens are checked against.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwtInput {
    /// The tokens' `iss`; unique in the installation.
    service_id: String,
    /// The secret that signs them, 16 to 512 visible ASCII characters. Cannot be read back.
    #[schema(write_only)]
    secret: String,
}

impl JwtInput {
    fn check(&self, faults: &mut Faults) {
        check_text(faults, "jwt.service_id", &self.service_id, MAX_NAME_CHARS);
        let printable = self.secret.bytes().all(|byte| byte.is_ascii_graphic());
        if !printable || !IMPORTED_CHARS.contains(&self.secret.len()) {
            faults.add("jwt.secret", "must have 16 to 512 visible ASCII characters");
        }
    }

    /// For the key of this id.
    fn seal(&self, app: &App, key_id: &str) -> Result<JwtCredential, Problem> {
        let holder = app.engine.directory().key_by_service(&self.service_id);
        if holder.is_some_and(|holder| holder.id.as_str() != key_id) {
            return Err(Problem::conflict("jwt.service_id"));
        }
        let secret = app.engine.vault().seal(&format!("api_keys/{key_id}/jwt"), &self.secret);
        Ok(JwtCredential { service_id: self.service_id.clone(), secret })
    }
}

fn scope_list() -> utoipa::openapi::schema::Array {
    let scopes = Scope::ALL.map(Scope::as_str);
    utoipa::openapi::schema::ArrayBuilder::new().items(words(&scopes)).min_items(Some(1)).build()
}

fn senders() -> utoipa::openapi::schema::Object {
    words(&["human", "assistant"])
}

impl From<&ApiKey> for KeyInput {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: Some(key.id.to_string()),
            name: key.name.clone(),
            scopes: key.scopes.clone(),
            expires_at: key.expires_at.map(super::views::time),
            sends_as: Some(key.sends_as),
            allowed_ips: Some(key.allowed_ips.clone()),
            rate_limit: key.rate_limit_per_s,
            disabled: Some(key.disabled),
            jwt: None,
            secret: None,
        }
    }
}

impl KeyInput {
    fn check(&self) -> Result<Option<Timestamp>, Problem> {
        let mut faults = Faults::default();
        check_id(&mut faults, self.id.as_deref());
        check_optional_text(&mut faults, "name", self.name.as_deref(), MAX_NAME_CHARS);
        if self.scopes.is_empty() {
            faults.add("scopes", "must name at least one scope");
        }
        if !matches!(self.sends_as, None | Some(MessageType::Human | MessageType::Assistant)) {
            faults.add("sends_as", "must be human or assistant");
        }
        let expires_at = word(&mut faults, "expires_at", &self.expires_at, instant);
        if self.rate_limit.is_some_and(|rate| !(1..=MAX_RATE).contains(&rate)) {
            faults.add("rate_limit", format!("must be 1 to {MAX_RATE}"));
        }
        let networks = self.allowed_ips.as_deref().unwrap_or_default();
        if networks.len() > MAX_NETWORKS {
            faults.add("allowed_ips", format!("may have at most {MAX_NETWORKS} entries"));
        }
        for (place, network) in networks.iter().enumerate() {
            if parse_network(network).is_none() {
                let field = format!("allowed_ips[{place}]");
                faults.add(field, "must be an address or a network such as 203.0.113.0/24");
            }
        }
        self.check_secret(&mut faults);
        if let Some(jwt) = &self.jwt {
            jwt.check(&mut faults);
        }
        faults.check().map(|()| expires_at)
    }

    fn check_secret(&self, faults: &mut Faults) {
        let Some(secret) = &self.secret else {
            return;
        };
        let printable = secret.bytes().all(|byte| byte.is_ascii_graphic());
        if !printable || !IMPORTED_CHARS.contains(&secret.len()) {
            faults.add("secret", "must have 16 to 512 visible ASCII characters");
        }
    }

    fn build(
        self,
        org_id: &OrgId,
        id: &str,
        secret_sha256: String,
        expires_at: Option<Timestamp>,
        created_at: Timestamp,
    ) -> ApiKey {
        ApiKey {
            id: ApiKeyId::new(id),
            org_id: Some(org_id.clone()),
            name: self.name,
            secret_sha256,
            scopes: self.scopes,
            sends_as: self.sends_as.unwrap_or_default(),
            rate_limit_per_s: self.rate_limit,
            allowed_ips: self.allowed_ips.unwrap_or_default(),
            disabled: self.disabled.unwrap_or_default(),
            jwt: None,
            expires_at,
            revoked_at: None,
            created_at,
        }
    }
}

/// Makes a key. Its secret is in this answer and never again; an imported one is not repeated.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/api-keys", tag = "api-keys",
    request_body = KeyInput, responses((status = 201, body = KeyView)))]
pub(crate) async fn create_key(
    State(app): State<App>,
    within: InOrg<Administration>,
    mut body: JsonObject,
) -> Result<Response, Problem> {
    let idempotency = body.idempotency.take();
    let input: KeyInput = body.read()?;
    let expires_at = input.check()?;
    if input.id.is_some() && input.secret.is_none() {
        let message = "can only be chosen together with an imported secret";
        return Err(Problem::invalid("id", message));
    }
    if input.id.as_deref() == Some(ADMIN_KEY_ID) {
        return Err(Problem::invalid("id", "is that of the installation's own key"));
    }
    let org_id = within.org_id();
    let creation = Creation::begin(&app, Some(org_id), CREATE, idempotency).await?;
    if let Some(key) = creation.earlier().and_then(|id| known_key(&app, org_id, id).ok()) {
        return Ok(replayed(&KeyView::from(&*key)));
    }
    let now = app.engine.now();
    // Only a new key: a repetition of its request may come when its time is over.
    if expires_at.is_some_and(|end| end <= now) {
        return Err(Problem::invalid("expires_at", "must lie ahead"));
    }
    let fresh = generate(app.engine.settings().live);
    let id = input.id.clone().unwrap_or_else(|| fresh.id.clone());
    let imported = input.secret.clone();
    let hash = hash_secret(imported.as_ref().unwrap_or(&fresh.text));
    if app.engine.keys().is_installations(&hash) {
        return Err(Problem::conflict("secret"));
    }
    let jwt = input.jwt.as_ref().map(|jwt| jwt.seal(&app, &id)).transpose()?;
    let key = input.build(org_id, &id, hash, expires_at, now);
    let key = ApiKey { jwt, ..key };
    let entry = Entry::ApiKey(key.clone());
    app.engine.directory().create(entry, creation.claim()).await.map_err(key_taken)?;
    let secret = imported.is_none().then_some(fresh.text);
    Ok(created(&KeyView::from(&key).with_secret(secret)))
}

/// Lists keys, revoked ones included.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/api-keys", tag = "api-keys",
    params(PageArguments), responses((status = 200, body = List<KeyView>)))]
pub(crate) async fn list_keys(
    State(app): State<App>,
    within: InOrg<Administration>,
    Arguments(page): Arguments<PageArguments>,
) -> Result<Json<List<KeyView>>, Problem> {
    let keys = app.engine.directory().keys(within.org_id());
    let name = |it: &Arc<ApiKey>| (it.created_at, it.id.to_string());
    Ok(Json(page.of_memory(&keys, name, |it| KeyView::from(&**it))?))
}

/// The hash of a secret is nothing that callers know: they gave the secret.
fn key_taken(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict("secret_sha256") => Problem::conflict("secret"),
        error => error.into(),
    }
}

fn known_key(app: &App, org_id: &OrgId, id: &str) -> Result<Arc<ApiKey>, Problem> {
    let key = app.engine.directory().key(&ApiKeyId::new(id));
    key.filter(|key| key.org_id.as_ref() == Some(org_id)).ok_or_else(Problem::not_found)
}

/// Shows a key.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/api-keys/{key_id}", tag = "api-keys",
    responses((status = 200, body = KeyView)))]
pub(crate) async fn get_key(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<KeyView>, Problem> {
    Ok(Json(KeyView::from(&*known_key(&app, within.org_id(), &id)?)))
}

/// Changes a key: what the body does not name stays, `null` clears. For a rotation, make a new
/// key and give the old one an end.
#[utoipa::path(patch, path = "/waypost/v1/orgs/{org_id}/api-keys/{key_id}", tag = "api-keys",
    request_body = ref("#/components/schemas/KeyPatch"),
    responses((status = 200, body = KeyView)))]
pub(crate) async fn update_key(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, id)): Ids<(String, String)>,
    body: JsonObject,
) -> Result<Json<KeyView>, Problem> {
    let (knowing, org_id) = (app.clone(), within.org_id().clone());
    let change = move || changed_key(&knowing, &org_id, &id, body);
    let key = app.engine.directory().change(Entry::ApiKey, change).await?;
    Ok(Json(KeyView::from(&key)))
}

fn changed_key(app: &App, org_id: &OrgId, id: &str, body: JsonObject) -> Result<ApiKey, Problem> {
    let known = known_key(app, org_id, id)?;
    if body.members.contains_key("secret") {
        return Err(Problem::invalid("secret", "cannot be changed; make another key"));
    }
    let jwt_change = body.secret("jwt");
    let input = body.merged_into(&KeyInput::from(&*known))?;
    keep_id(id, input.id.as_deref())?;
    let expires_at = input.check()?;
    let jwt = match jwt_change {
        SecretChange::Keep => known.jwt.clone(),
        SecretChange::Clear | SecretChange::Set => {
            input.jwt.as_ref().map(|jwt| jwt.seal(app, id)).transpose()?
        }
    };
    let hash = known.secret_sha256.clone();
    let built = input.build(org_id, id, hash, expires_at, known.created_at);
    Ok(ApiKey { revoked_at: known.revoked_at, jwt, ..built })
}

/// Revokes a key: it opens nothing from now on. It stays in the list.
#[utoipa::path(delete, path = "/waypost/v1/orgs/{org_id}/api-keys/{key_id}", tag = "api-keys",
    responses((status = 204)))]
pub(crate) async fn revoke_key(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<StatusCode, Problem> {
    let (knowing, org_id) = (app.clone(), within.org_id().clone());
    let revoke = move || {
        let known = known_key(&knowing, &org_id, &id)?;
        let revoked_at = known.revoked_at.or_else(|| Some(knowing.engine.now()));
        Ok::<_, Problem>(ApiKey { revoked_at, ..ApiKey::clone(&known) })
    };
    app.engine.directory().change(Entry::ApiKey, revoke).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn fault(value: Value) -> String {
        let input: KeyInput = super::super::input::read_value(value).unwrap();
        input.check().unwrap_err().errors()[0].field.clone()
    }

    #[test]
    fn a_key_has_scopes_and_sensible_limits() {
        for (value, field) in [
            (json!({"scopes": []}), "scopes"),
            (json!({"scopes": ["media"], "expires_at": "tomorrow"}), "expires_at"),
            (json!({"scopes": ["media"], "sends_as": "template"}), "sends_as"),
            (json!({"scopes": ["media"], "rate_limit": 0}), "rate_limit"),
            (json!({"scopes": ["media"], "allowed_ips": ["10.0.0.0/8", "x"]}), "allowed_ips[1]"),
            (json!({"scopes": ["media"], "secret": "fifteen-charact"}), "secret"),
            (json!({"scopes": ["media"], "secret": "sixteen with blank"}), "secret"),
        ] {
            assert_eq!(fault(value.clone()), field, "{value}");
        }
        let good = json!({"scopes": ["messages:send"], "expires_at": "2030-01-01T00:00:00Z",
            "allowed_ips": ["203.0.113.7"], "secret": "sixteen-characte"});
        let input: KeyInput = super::super::input::read_value(good).unwrap();
        assert!(input.check().unwrap().is_some());
    }
}
