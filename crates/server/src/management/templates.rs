//! Templates: what the upstream has approved, and making, changing and removing them there.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use waypost_domain::template::Template;
use waypost_domain::{OrgId, Timestamp};
use waypost_engine::ports::NewRecord;

use super::access::{Ids, InOrg, Templates};
use super::idempotency::{Creation, created, replayed};
use super::input::{Arguments, JsonObject};
use super::paging::{List, PageArguments};
use super::views::TemplateView;
use crate::App;
use crate::problem::{Faults, Problem};

/// The path on which one is made: the scope of idempotency keys.
const CREATE: &str = "/waypost/v1/orgs/{org_id}/templates";

/// Which templates.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TemplateArguments {
    /// How many entries, 1 to 1000; by default 50.
    limit: Option<u32>,
    /// `next` of the part before.
    after: Option<String>,
    /// Only those with this name.
    name: Option<String>,
    /// Only those in this language.
    language: Option<String>,
    /// Only those with this status, in Meta's words.
    status: Option<String>,
}

/// The templates of an organisation's business accounts, by name and language.
fn all_templates(app: &App, org_id: &OrgId) -> Vec<Template> {
    let directory = app.engine.directory();
    let numbers = directory.numbers(org_id);
    let accounts: BTreeSet<&str> = numbers.iter().map(|it| it.waba_id.as_str()).collect();
    accounts.into_iter().flat_map(|waba_id| directory.templates(waba_id)).collect()
}

fn known_template(app: &App, org_id: &OrgId, id: &str) -> Result<Template, Problem> {
    let mut templates = all_templates(app, org_id).into_iter();
    templates.find(|template| template.id == id).ok_or_else(Problem::not_found)
}

/// Lists templates as the upstream last showed them.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/templates", tag = "templates",
    params(TemplateArguments), responses((status = 200, body = List<TemplateView>)))]
pub(crate) async fn list_templates(
    State(app): State<App>,
    within: InOrg<Templates>,
    Arguments(arguments): Arguments<TemplateArguments>,
) -> Result<Json<List<TemplateView>>, Problem> {
    let mut templates = all_templates(&app, within.org_id());
    let fits = |wanted: &Option<String>, value: &str| {
        wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    templates.retain(|template| {
        fits(&arguments.name, &template.name)
            && fits(&arguments.language, &template.language)
            && fits(&arguments.status, &template.status)
    });
    let page = PageArguments { limit: arguments.limit, after: arguments.after };
    // Names and languages are the order here; there is no time of creation.
    let name = |template: &Template| (Timestamp(0), template.id.clone());
    Ok(Json(page.of_memory(&templates, name, |template| TemplateView::from(template))?))
}

/// Shows a template.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/templates/{template_id}",
    tag = "templates", responses((status = 200, body = TemplateView)))]
pub(crate) async fn get_template(
    State(app): State<App>,
    within: InOrg<Templates>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<TemplateView>, Problem> {
    Ok(Json(TemplateView::from(&known_template(&app, within.org_id(), &id)?)))
}

/// What a sync did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncReport {
    /// How many templates the upstream has.
    synced: usize,
}

/// Reads all templates from the upstream anew.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/templates/sync", tag = "templates",
    responses((status = 200, body = SyncReport)))]
pub(crate) async fn sync_templates(
    State(app): State<App>,
    within: InOrg<Templates>,
) -> Result<Json<SyncReport>, Problem> {
    let synced = app.engine.sync_templates(within.org_id()).await?;
    Ok(Json(SyncReport { synced }))
}

/// A template in Meta's form; members beside these are passed on.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "describes what is passed on unread")]
pub(crate) struct TemplateCreation {
    #[schema(example = "order_update")]
    name: String,
    #[schema(example = "en_US")]
    language: String,
    /// `AUTHENTICATION`, `MARKETING` or `UTILITY`.
    category: String,
    #[schema(value_type = Vec<Object>)]
    components: Vec<Value>,
}

fn text_of<'a>(faults: &mut Faults, members: &'a Map<String, Value>, name: &str) -> &'a str {
    let text = members.get(name).and_then(Value::as_str).unwrap_or_default();
    if text.trim().is_empty() {
        faults.add(name, "is required and must be text");
    }
    text
}

/// Hands a template to the upstream for approval.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/templates", tag = "templates",
    request_body = TemplateCreation, responses((status = 201, body = Object)))]
pub(crate) async fn create_template(
    State(app): State<App>,
    within: InOrg<Templates>,
    mut body: JsonObject,
) -> Result<Response, Problem> {
    let idempotency = body.idempotency.take();
    let mut faults = Faults::default();
    let [name, language, _category] =
        ["name", "language", "category"].map(|it| text_of(&mut faults, &body.members, it));
    let id = format!("{name}\n{language}");
    if body.members.get("components").is_some_and(|it| !it.is_array()) {
        faults.add("components", "must be an array");
    }
    faults.check()?;
    let org_id = within.org_id();
    let creation = Creation::begin(&app, Some(org_id), CREATE, idempotency).await?;
    if let Some(earlier) = creation.earlier() {
        let mut templates = all_templates(&app, org_id).into_iter();
        let named = |it: &Template| format!("{}\n{}", it.name, it.language) == earlier;
        if let Some(found) = templates.find(named) {
            let told = json!({"id": found.id, "status": found.status, "category": found.category});
            return Ok(replayed(&told));
        }
    }
    let record = creation.claim().map(|claim| (NewRecord::Upstream(id), claim));
    let template = Value::Object(body.members);
    let made = app.engine.create_template(org_id, None, template, record).await?;
    Ok(created(&made))
}

/// What of a template can be changed; a change has at least one of them.
const CHANGEABLE: [&str; 3] = ["components", "category", "message_send_ttl_seconds"];
/// What of it stays as it was made.
const FIXED: [&str; 3] = ["id", "name", "language"];

fn check_change(members: &Map<String, Value>) -> Result<(), Problem> {
    let mut faults = Faults::default();
    for name in FIXED.into_iter().filter(|name| members.contains_key(*name)) {
        faults.add(name, "cannot be changed");
    }
    if !CHANGEABLE.iter().any(|name| members.contains_key(*name)) {
        let message = "is missing; a change has this, category or message_send_ttl_seconds";
        faults.add("components", message);
    }
    faults.check()
}

/// Changes a template upstream; the body is in Meta's form.
#[utoipa::path(patch, path = "/waypost/v1/orgs/{org_id}/templates/{template_id}",
    tag = "templates", request_body = Object, responses((status = 200, body = TemplateView)))]
pub(crate) async fn edit_template(
    State(app): State<App>,
    within: InOrg<Templates>,
    Ids((_, id)): Ids<(String, String)>,
    body: JsonObject,
) -> Result<Json<TemplateView>, Problem> {
    let template = known_template(&app, within.org_id(), &id)?;
    check_change(&body.members)?;
    let change = Value::Object(body.members);
    app.engine.edit_template(within.org_id(), &template, change).await?;
    Ok(Json(TemplateView::from(&known_template(&app, within.org_id(), &id)?)))
}

/// Removes one language of a template upstream.
#[utoipa::path(delete, path = "/waypost/v1/orgs/{org_id}/templates/{template_id}",
    tag = "templates", responses((status = 204)))]
pub(crate) async fn delete_template(
    State(app): State<App>,
    within: InOrg<Templates>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<StatusCode, Problem> {
    let template = known_template(&app, within.org_id(), &id)?;
    app.engine.delete_template(within.org_id(), &template).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_what_changes_and_nothing_that_cannot() {
        for (change, faults) in [
            (json!({"components": []}), ""),
            (json!({"category": "UTILITY", "parameter_format": "NAMED"}), ""),
            (json!({}), "components"),
            (json!({"compnents": []}), "components"),
            (json!({"name": "a", "language": "de"}), "name language components"),
        ] {
            let Value::Object(members) = change else { panic!("an object") };
            let told = check_change(&members).err();
            let told = told.iter().flat_map(|problem| problem.errors());
            let fields: Vec<&str> = told.map(|fault| fault.field.as_str()).collect();
            assert_eq!(fields.join(" "), faults, "{members:?}");
        }
    }
}
