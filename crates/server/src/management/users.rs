//! Users: administrators and agents of an organisation, in whose names messages are sent.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waypost_domain::directory::User;
use waypost_domain::{OrgId, UserId};
use waypost_engine::ports::{Entry, EntryKey};

use super::access::{Administration, Ids, InOrg};
use super::fields::{MAX_NAME_CHARS, check_id, check_optional_text, fresh_id, keep_id};
use super::idempotency::{Creation, created, replayed};
use super::input::{Arguments, JsonObject};
use super::paging::{List, PageArguments};
use super::views::UserView;
use crate::App;
use crate::problem::{Faults, Problem};

/// The path on which one is made: the scope of idempotency keys.
const CREATE: &str = "/waypost/v1/orgs/{org_id}/users";

/// A user to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserInput {
    /// Yours to choose; otherwise one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl UserInput {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        check_id(&mut faults, self.id.as_deref());
        check_optional_text(&mut faults, "name", self.name.as_deref(), MAX_NAME_CHARS);
        faults.check()
    }
}

/// Makes a user.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/users", tag = "users",
    request_body = UserInput, responses((status = 201, body = UserView)))]
pub(crate) async fn create_user(
    State(app): State<App>,
    within: InOrg<Administration>,
    mut body: JsonObject,
) -> Result<Response, Problem> {
    let idempotency = body.idempotency.take();
    let input: UserInput = body.read()?;
    input.check()?;
    let org_id = within.org_id();
    let creation = Creation::begin(&app, Some(org_id), CREATE, idempotency).await?;
    let directory = app.engine.directory();
    let earlier = creation.earlier().and_then(|id| directory.user(org_id, &UserId::new(id)));
    if let Some(user) = earlier {
        return Ok(replayed(&UserView::from(&*user)));
    }
    let id = UserId::new(input.id.unwrap_or_else(fresh_id));
    let created_at = app.engine.now();
    let user = User { org_id: org_id.clone(), id, name: input.name, created_at };
    directory.create(Entry::User(user.clone()), creation.claim()).await?;
    Ok(created(&UserView::from(&user)))
}

/// Lists users.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/users", tag = "users",
    params(PageArguments), responses((status = 200, body = List<UserView>)))]
pub(crate) async fn list_users(
    State(app): State<App>,
    within: InOrg<Administration>,
    Arguments(page): Arguments<PageArguments>,
) -> Result<Json<List<UserView>>, Problem> {
    let users = app.engine.directory().users(within.org_id());
    let name = |user: &std::sync::Arc<User>| (user.created_at, user.id.to_string());
    Ok(Json(page.of_memory(&users, name, |user| UserView::from(&**user))?))
}

fn known_user(app: &App, org_id: &OrgId, id: &str) -> Result<std::sync::Arc<User>, Problem> {
    app.engine.directory().user(org_id, &UserId::new(id)).ok_or_else(Problem::not_found)
}

/// Shows a user.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/users/{user_id}", tag = "users",
    responses((status = 200, body = UserView)))]
pub(crate) async fn get_user(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(UserView::from(&*known_user(&app, within.org_id(), &id)?)))
}

/// Changes a user: what the body does not name stays, `null` clears.
#[utoipa::path(patch, path = "/waypost/v1/orgs/{org_id}/users/{user_id}", tag = "users",
    request_body = ref("#/components/schemas/UserPatch"),
    responses((status = 200, body = UserView)))]
pub(crate) async fn update_user(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, id)): Ids<(String, String)>,
    body: JsonObject,
) -> Result<Json<UserView>, Problem> {
    let (knowing, org_id) = (app.clone(), within.org_id().clone());
    let change = move || {
        let known = known_user(&knowing, &org_id, &id)?;
        let current = UserInput { id: Some(id.clone()), name: known.name.clone() };
        let input = body.merged_into(&current)?;
        keep_id(&id, input.id.as_deref())?;
        input.check()?;
        Ok::<_, Problem>(User { name: input.name, ..User::clone(&known) })
    };
    let user = app.engine.directory().change(Entry::User, change).await?;
    Ok(Json(UserView::from(&user)))
}

/// Removes a user; what was sent in its name stays in the log.
#[utoipa::path(delete, path = "/waypost/v1/orgs/{org_id}/users/{user_id}", tag = "users",
    responses((status = 204)))]
pub(crate) async fn delete_user(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<StatusCode, Problem> {
    let key = EntryKey::User(within.org_id().clone(), UserId::new(id));
    if app.engine.directory().remove(key).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}
