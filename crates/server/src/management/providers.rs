//! Media providers: named credentials with which links are fetched.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waypost_domain::directory::{MediaProvider, ProviderScheme, Sealed};
use waypost_domain::{OrgId, ProviderId};
use waypost_engine::ports::{Entry, EntryKey, StoreError};

use super::access::{Administration, Ids, InOrg};
use super::fields::{ID_RULE, words};
use super::idempotency::{Creation, created, replayed};
use super::input::{Arguments, JsonObject, SecretChange};
use super::paging::{List, PageArguments};
use super::views::ProviderView;
use crate::App;
use crate::problem::{Faults, Problem};

/// The path on which one is made: the scope of idempotency keys.
const CREATE: &str = "/waypost/v1/orgs/{org_id}/media-providers";
/// The most hosts of a provider.
const MAX_HOSTS: usize = 64;
/// The longest credential, in bytes.
const MAX_SECRET_BYTES: usize = 8_192;

/// A media provider to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderInput {
    /// The name that requests use.
    name: String,
    /// The hosts that may see the credential, such as `files.example.com` or, for one port only,
    /// `files.example.com:8443`.
    allowed_hosts: Vec<String>,
    /// How it authenticates.
    #[schema(schema_with = schemes)]
    scheme: ProviderScheme,
    /// `user:password` for basic, the token for bearer. Cannot be read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only, required = true)]
    secret: Option<String>,
}

fn schemes() -> utoipa::openapi::schema::Object {
    words(&["basic", "bearer"])
}

impl ProviderInput {
    fn check(&self, needs_secret: bool) -> Result<(), Problem> {
        let mut faults = Faults::default();
        if !waypost_domain::ids::is_acceptable_id(&self.name) {
            faults.add("name", ID_RULE);
        }
        if self.allowed_hosts.is_empty() || self.allowed_hosts.len() > MAX_HOSTS {
            faults.add("allowed_hosts", format!("must name 1 to {MAX_HOSTS} hosts"));
        }
        for (place, host) in self.allowed_hosts.iter().enumerate() {
            if !is_host(host) {
                let field = format!("allowed_hosts[{place}]");
                faults.add(field, "must be a host, with or without a port, and nothing else");
            }
        }
        match &self.secret {
            None if needs_secret => faults.add("secret", "is required"),
            Some(secret) => self.check_secret(&mut faults, secret),
            None => {}
        }
        faults.check()
    }

    fn check_secret(&self, faults: &mut Faults, secret: &str) {
        let printable = secret.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if secret.trim().is_empty() || secret.len() > MAX_SECRET_BYTES || !printable {
            faults.add("secret", "must be printable ASCII and not blank");
        } else if self.scheme == ProviderScheme::Basic && !secret.contains(':') {
            faults.add("secret", "must be user:password for the scheme basic");
        }
    }

    fn build(self, org_id: &OrgId, secret: Sealed, app: &App) -> MediaProvider {
        MediaProvider {
            org_id: org_id.clone(),
            id: ProviderId::new(self.name),
            allowed_hosts: self.allowed_hosts.iter().map(|it| it.to_ascii_lowercase()).collect(),
            scheme: self.scheme,
            secret,
            created_at: app.engine.now(),
        }
    }
}

/// A host as a URL names it, alone or with a port. A pattern is none: nothing would match it.
fn is_host(host: &str) -> bool {
    let bare = |host: &str| {
        !host.is_empty() && !host.contains(['@', '*']) && url::Host::parse(host).is_ok()
    };
    let with_port =
        |host: &str, port: &str| port.parse::<u16>().is_ok_and(|it| it > 0) && bare(host);
    bare(host) || host.rsplit_once(':').is_some_and(|(host, port)| with_port(host, port))
}

fn seal(app: &App, org_id: &OrgId, name: &str, secret: &str) -> Sealed {
    app.engine.vault().seal(&format!("providers/{org_id}/{name}"), secret)
}

/// Makes a media provider.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/media-providers", tag = "media-providers",
    request_body = ProviderInput, responses((status = 201, body = ProviderView)))]
pub(crate) async fn create_provider(
    State(app): State<App>,
    within: InOrg<Administration>,
    mut body: JsonObject,
) -> Result<Response, Problem> {
    let idempotency = body.idempotency.take();
    let input: ProviderInput = body.read()?;
    input.check(true)?;
    let org_id = within.org_id();
    let creation = Creation::begin(&app, Some(org_id), CREATE, idempotency).await?;
    let directory = app.engine.directory();
    let earlier =
        creation.earlier().and_then(|id| directory.provider(org_id, &ProviderId::new(id)));
    if let Some(provider) = earlier {
        return Ok(replayed(&ProviderView::from(&*provider)));
    }
    let secret = input.secret.as_deref().unwrap_or_default();
    let secret = seal(&app, org_id, &input.name, secret);
    let provider = input.build(org_id, secret, &app);
    let entry = Entry::Provider(provider.clone());
    directory.create(entry, creation.claim()).await.map_err(name_taken)?;
    Ok(created(&ProviderView::from(&provider)))
}

/// Lists media providers.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/media-providers", tag = "media-providers",
    params(PageArguments), responses((status = 200, body = List<ProviderView>)))]
pub(crate) async fn list_providers(
    State(app): State<App>,
    within: InOrg<Administration>,
    Arguments(page): Arguments<PageArguments>,
) -> Result<Json<List<ProviderView>>, Problem> {
    let providers = app.engine.directory().providers(within.org_id());
    let name = |it: &std::sync::Arc<MediaProvider>| (it.created_at, it.id.to_string());
    Ok(Json(page.of_memory(&providers, name, |it| ProviderView::from(&**it))?))
}

/// What callers call a provider's name is its id inside.
fn name_taken(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict("id") => Problem::conflict("name"),
        error => error.into(),
    }
}

fn known_provider(
    app: &App,
    org_id: &OrgId,
    name: &str,
) -> Result<std::sync::Arc<MediaProvider>, Problem> {
    let found = app.engine.directory().provider(org_id, &ProviderId::new(name));
    found.ok_or_else(Problem::not_found)
}

/// Shows a media provider.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/media-providers/{provider_name}",
    tag = "media-providers", responses((status = 200, body = ProviderView)))]
pub(crate) async fn get_provider(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, name)): Ids<(String, String)>,
) -> Result<Json<ProviderView>, Problem> {
    Ok(Json(ProviderView::from(&*known_provider(&app, within.org_id(), &name)?)))
}

/// Changes a media provider: what the body does not name stays.
#[utoipa::path(patch, path = "/waypost/v1/orgs/{org_id}/media-providers/{provider_name}",
    tag = "media-providers", request_body = ref("#/components/schemas/ProviderPatch"),
    responses((status = 200, body = ProviderView)))]
pub(crate) async fn update_provider(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, name)): Ids<(String, String)>,
    body: JsonObject,
) -> Result<Json<ProviderView>, Problem> {
    let (knowing, org_id) = (app.clone(), within.org_id().clone());
    let change = move || changed_provider(&knowing, &org_id, &name, body);
    let provider = app.engine.directory().change(Entry::Provider, change).await?;
    Ok(Json(ProviderView::from(&provider)))
}

fn changed_provider(
    app: &App,
    org_id: &OrgId,
    name: &str,
    body: JsonObject,
) -> Result<MediaProvider, Problem> {
    let known = known_provider(app, org_id, name)?;
    let new_secret = body.secret("secret");
    let current = ProviderInput {
        name: name.to_owned(),
        allowed_hosts: known.allowed_hosts.clone(),
        scheme: known.scheme,
        secret: None,
    };
    let input = body.merged_into(&current)?;
    if input.name != name {
        return Err(Problem::invalid("name", "cannot be changed"));
    }
    // The credential of one scheme is none for the other.
    let needs_secret = new_secret == SecretChange::Clear || input.scheme != known.scheme;
    input.check(needs_secret)?;
    let secret = match &input.secret {
        Some(secret) => seal(app, org_id, name, secret),
        None => known.secret.clone(),
    };
    let created_at = known.created_at;
    Ok(MediaProvider { created_at, ..input.build(org_id, secret, app) })
}

/// Removes a media provider.
#[utoipa::path(delete, path = "/waypost/v1/orgs/{org_id}/media-providers/{provider_name}",
    tag = "media-providers", responses((status = 204)))]
pub(crate) async fn delete_provider(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, name)): Ids<(String, String)>,
) -> Result<StatusCode, Problem> {
    let key = EntryKey::Provider(within.org_id().clone(), ProviderId::new(name));
    if app.engine.directory().remove(key).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(hosts: &[&str], scheme: ProviderScheme, secret: &str) -> ProviderInput {
        ProviderInput {
            name: "files".to_owned(),
            allowed_hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            scheme,
            secret: Some(secret.to_owned()),
        }
    }

    #[test]
    fn a_provider_names_plain_hosts_and_a_credential_of_its_scheme() {
        assert!(input(&["files.example.com"], ProviderScheme::Bearer, "t").check(true).is_ok());
        assert!(input(&["files.example.com"], ProviderScheme::Basic, "u:p").check(true).is_ok());
        for host in ["files.example.com:8443", "203.0.113.7:80", "[2001:db8::7]:80"] {
            assert!(input(&[host], ProviderScheme::Bearer, "t").check(true).is_ok(), "{host}");
        }
        for (hosts, scheme, secret, field) in [
            (&[][..], ProviderScheme::Bearer, "t", "allowed_hosts"),
            (&["https://a.example"], ProviderScheme::Bearer, "t", "allowed_hosts[0]"),
            (&["a.example", "b.example/x"], ProviderScheme::Bearer, "t", "allowed_hosts[1]"),
            (&["*"], ProviderScheme::Bearer, "t", "allowed_hosts[0]"),
            (&["a.example", "*.b.example:8443"], ProviderScheme::Bearer, "t", "allowed_hosts[1]"),
            (&["u@a.example"], ProviderScheme::Bearer, "t", "allowed_hosts[0]"),
            (&["a.example:0"], ProviderScheme::Bearer, "t", "allowed_hosts[0]"),
            (&["a.example:99999"], ProviderScheme::Bearer, "t", "allowed_hosts[0]"),
            (&["a.example"], ProviderScheme::Basic, "token", "secret"),
            (&["a.example"], ProviderScheme::Bearer, "a\r\nb", "secret"),
            (&["a.example"], ProviderScheme::Bearer, " ", "secret"),
        ] {
            let problem = input(hosts, scheme, secret).check(true).unwrap_err();
            assert_eq!(problem.errors()[0].field, field, "{hosts:?} {secret}");
        }
    }
}
