//! Organisations, and what a key may know of itself.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waypost_dialects::{DIALECTS, registry};
use waypost_domain::directory::{
    BroadcastAudience, Org, Scope, UnknownPolicy, default_media_retention_days,
};
use waypost_domain::window::WindowPolicy;
use waypost_domain::{OrgId, Timestamp, Zone};
use waypost_engine::ports::Entry;

use super::access::{Access, Administration, InOrg, for_the_installation};
use super::fields::{
    MAX_NAME_CHARS, check_id, check_optional_text, check_text, fresh_id, keep_id, words,
};
use super::idempotency::{Creation, created, replayed};
use super::input::{Arguments, JsonObject};
use super::paging::{List, PageArguments};
use super::views::OrgView;
use crate::App;
use crate::problem::{Faults, Problem};

/// The path on which one is made: the scope of idempotency keys.
const CREATE: &str = "/waypost/v1/orgs";
/// The longest time that anything is kept, in days: ten years.
const MAX_RETENTION_DAYS: u32 = 3_660;
/// The longest name of a template, in characters.
const MAX_TEMPLATE_CHARS: usize = 512;
/// The most dialects whose zones can be set.
const MAX_OFFSETS: usize = 16;

/// An organisation to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrgInput {
    /// Yours to choose, to keep an id that exists elsewhere; otherwise one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    name: String,
    /// IANA name or ±HH:MM; by default +08:00.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "+08:00")]
    time_zone: Option<String>,
    /// The template language to prefer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "en_US")]
    default_language: Option<String>,
    /// Free-form messages while a window is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = window_policies)]
    window_policy: Option<WindowPolicy>,
    /// The template that goes while a window is closed: in the place of a text, which it carries,
    /// where its body has one variable; ahead of what is held, where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "you_have_a_message")]
    window_fallback: Option<String>,
    /// Messages whose outcome is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = unknown_policies)]
    unknown_policy: Option<UnknownPolicy>,
    /// Whether only customers who opted in may be written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    strict_opt_in: Option<bool>,
    /// Whom a broadcast reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = audiences)]
    broadcast_audience: Option<BroadcastAudience>,
    /// The word that joins a person to this organisation on a shared number. For the installation's
    /// own key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    join_code: Option<String>,
    /// The zone in which a dialect writes its zone-less times, by dialect. A change keeps those of
    /// dialects that it does not name; `null` takes a dialect's back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wire_offsets: Option<BTreeMap<String, String>>,
    /// How long messages are kept, in days; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3660)]
    message_retention_days: Option<u32>,
    /// How long uploaded media are kept, in days; by default 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3660)]
    media_retention_days: Option<u32>,
}

fn window_policies() -> utoipa::openapi::schema::Object {
    words(&["refuse", "forward", "hold"])
}

fn unknown_policies() -> utoipa::openapi::schema::Object {
    words(&["hold_then_resend", "never_resend", "resend_now"])
}

fn audiences() -> utoipa::openapi::schema::Object {
    words(&["all", "opted_in"])
}

impl From<&Org> for OrgInput {
    fn from(org: &Org) -> Self {
        let offsets = org.wire_offsets.iter();
        let offsets = offsets.map(|(name, zone)| (name.clone(), zone.to_string())).collect();
        Self {
            id: Some(org.id.to_string()),
            name: org.name.clone(),
            time_zone: Some(org.time_zone.to_string()),
            default_language: org.default_language.clone(),
            window_policy: Some(org.window_policy),
            window_fallback: org.window_fallback.clone(),
            unknown_policy: Some(org.unknown_policy),
            strict_opt_in: Some(org.strict_opt_in),
            broadcast_audience: Some(org.broadcast_audience),
            join_code: org.join_code.clone(),
            wire_offsets: Some(offsets),
            message_retention_days: org.message_retention_days,
            media_retention_days: Some(org.media_retention_days),
        }
    }
}

impl OrgInput {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        check_id(&mut faults, self.id.as_deref());
        check_text(&mut faults, "name", &self.name, MAX_NAME_CHARS);
        check_optional_text(&mut faults, "default_language", self.default_language.as_deref(), 16);
        check_optional_text(&mut faults, "join_code", self.join_code.as_deref(), 64);
        let fallback = self.window_fallback.as_deref();
        check_optional_text(&mut faults, "window_fallback", fallback, MAX_TEMPLATE_CHARS);
        if let Some(zone) = &self.time_zone {
            faults.take("time_zone", Zone::parse(zone));
        }
        let offsets = self.wire_offsets.iter().flatten();
        for (dialect, zone) in offsets.clone() {
            let field = format!("wire_offsets.{dialect}");
            // Their shapes have the same names.
            if registry::find(dialect).is_none() {
                let known: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.info().id).collect();
                faults.add(&field, format!("is not a dialect; there are {}", known.join(", ")));
            }
            faults.take(&field, Zone::parse(zone));
        }
        if offsets.count() > MAX_OFFSETS {
            faults.add("wire_offsets", format!("may have at most {MAX_OFFSETS} members"));
        }
        for (field, days) in [
            ("message_retention_days", self.message_retention_days),
            ("media_retention_days", self.media_retention_days),
        ] {
            if days.is_some_and(|days| !(1..=MAX_RETENTION_DAYS).contains(&days)) {
                faults.add(field, format!("must be 1 to {MAX_RETENTION_DAYS}"));
            }
        }
        faults.check()
    }

    fn build(self, id: &str, created_at: Timestamp) -> Org {
        // Checked before: what does not parse never comes here.
        let zone = |text: &String| Zone::parse(text).unwrap_or_default();
        let offsets = self.wire_offsets.unwrap_or_default();
        Org {
            id: OrgId::new(id),
            name: self.name,
            time_zone: self.time_zone.as_ref().map(zone).unwrap_or_default(),
            default_language: self.default_language,
            window_policy: self.window_policy.unwrap_or_default(),
            window_fallback: self.window_fallback,
            unknown_policy: self.unknown_policy.unwrap_or_default(),
            strict_opt_in: self.strict_opt_in.unwrap_or_default(),
            broadcast_audience: self.broadcast_audience.unwrap_or_default(),
            join_code: self.join_code,
            wire_offsets: offsets.iter().map(|(name, text)| (name.clone(), zone(text))).collect(),
            message_retention_days: self.message_retention_days,
            media_retention_days: self
                .media_retention_days
                .unwrap_or_else(default_media_retention_days),
            created_at,
        }
    }
}

/// Makes an organisation. For the installation's own key.
#[utoipa::path(post, path = "/waypost/v1/orgs", tag = "orgs", request_body = OrgInput,
    responses((status = 201, body = OrgView)))]
pub(crate) async fn create_org(
    State(app): State<App>,
    access: Access,
    mut body: JsonObject,
) -> Result<Response, Problem> {
    access.require_installation()?;
    let idempotency = body.idempotency.take();
    let input: OrgInput = body.read()?;
    input.check()?;
    let creation = Creation::begin(&app, None, CREATE, idempotency).await?;
    let directory = app.engine.directory();
    if let Some(org) = creation.earlier().and_then(|id| directory.org(&OrgId::new(id))) {
        return Ok(replayed(&OrgView::from(&*org)));
    }
    let id = input.id.clone().unwrap_or_else(fresh_id);
    let org = input.build(&id, app.engine.now());
    directory.create(Entry::Org(org.clone()), creation.claim()).await?;
    Ok(created(&OrgView::from(&org)))
}

/// Lists organisations: all for the installation's own key, else the key's own.
#[utoipa::path(get, path = "/waypost/v1/orgs", tag = "orgs", params(PageArguments),
    responses((status = 200, body = List<OrgView>)))]
pub(crate) async fn list_orgs(
    State(app): State<App>,
    access: Access,
    Arguments(page): Arguments<PageArguments>,
) -> Result<Json<List<OrgView>>, Problem> {
    if !access.key.allows(Scope::Admin) {
        let detail = "The key lacks the scope admin.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail));
    }
    let mut orgs = app.engine.directory().orgs();
    orgs.retain(|org| crate::auth::may_act_for(&access.key, &org.id));
    let name = |org: &std::sync::Arc<Org>| (org.created_at, org.id.to_string());
    Ok(Json(page.of_memory(&orgs, name, |org| OrgView::from(&**org))?))
}

/// Shows an organisation.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}", tag = "orgs",
    responses((status = 200, body = OrgView)))]
pub(crate) async fn get_org(within: InOrg<Administration>) -> Json<OrgView> {
    Json(OrgView::from(&*within.org))
}

/// Changes an organisation: what the body does not name stays, `null` clears.
#[utoipa::path(patch, path = "/waypost/v1/orgs/{org_id}", tag = "orgs",
    request_body = ref("#/components/schemas/OrgPatch"),
    responses((status = 200, body = OrgView)))]
pub(crate) async fn update_org(
    State(app): State<App>,
    within: InOrg<Administration>,
    body: JsonObject,
) -> Result<Json<OrgView>, Problem> {
    let (knowing, org_id) = (app.clone(), within.org_id().clone());
    let change = move || {
        let known = knowing.engine.directory().org(&org_id).ok_or_else(Problem::not_found)?;
        let input = body.merged_into(&OrgInput::from(&*known))?;
        keep_id(org_id.as_str(), input.id.as_deref())?;
        input.check()?;
        // With one it sends from shared numbers, and hears who writes the word to them.
        if within.key.org_id.is_some() && input.join_code != known.join_code {
            return Err(for_the_installation("set join_code"));
        }
        Ok::<_, Problem>(input.build(org_id.as_str(), known.created_at))
    };
    let org = app.engine.directory().change(Entry::Org, change).await?;
    Ok(Json(OrgView::from(&org)))
}

/// Removes an organisation with everything that belongs to it, messages and customers included.
/// For the installation's own key.
#[utoipa::path(delete, path = "/waypost/v1/orgs/{org_id}", tag = "orgs",
    responses((status = 204)))]
pub(crate) async fn delete_org(
    State(app): State<App>,
    access: Access,
    within: InOrg<Administration>,
) -> Result<StatusCode, Problem> {
    access.require_installation()?;
    app.engine.remove_org(&within.org.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a key may know of itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    key_id: String,
    name: Option<String>,
    /// `null` for the installation's own key.
    org_id: Option<String>,
    org_name: Option<String>,
    scopes: Vec<&'static str>,
    sends_as: &'static str,
    expires_at: Option<String>,
}

/// Shows the key's organisation and scopes.
#[utoipa::path(get, path = "/waypost/v1/me", tag = "me", responses((status = 200, body = Me)))]
pub(crate) async fn get_me(State(app): State<App>, access: Access) -> Json<Me> {
    let key = &access.key;
    let org = key.org_id.as_ref().and_then(|id| app.engine.directory().org(id));
    Json(Me {
        key_id: key.id.to_string(),
        name: key.name.clone(),
        org_id: key.org_id.as_ref().map(ToString::to_string),
        org_name: org.map(|org| org.name.clone()),
        scopes: key.scopes.iter().copied().map(Scope::as_str).collect(),
        sends_as: key.sends_as.as_str(),
        expires_at: key.expires_at.map(super::views::time),
    })
}
