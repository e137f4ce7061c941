//! Broadcasts: one template for all customers of an organisation, with progress and brakes.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use waypost_domain::command::Broadcast;
use waypost_domain::message::BroadcastState;
use waypost_domain::{BroadcastId, OrgId, UserId};
use waypost_engine::ports::BroadcastProgress;

use super::access::{Ids, InOrg, Reading, Sending};
use super::ask::ask;
use super::fields::{MAX_SESSION_CHARS, check_length};
use super::input::{Arguments, JsonObject};
use super::paging::{List, PageArguments};
use super::template_object::{TemplateInput, read_template};
use super::traffic_views::BroadcastView;
use crate::App;
use crate::headers::{mark_replayed, name_broadcast};
use crate::problem::{Faults, Problem};

const CREATE: &str = "/waypost/v1/orgs/{org_id}/broadcasts";

/// A template for everybody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BroadcastInput {
    /// The sender number by any of its names; by default the organisation's first.
    number: Option<String>,
    /// The user in whose name it is sent.
    user_id: Option<String>,
    /// Your word for the conversation.
    session_id: Option<String>,
    template: TemplateInput,
}

impl BroadcastInput {
    fn into_command(self, org_id: &OrgId) -> Result<Broadcast, Problem> {
        let mut faults = Faults::default();
        check_length(&mut faults, "session_id", self.session_id.as_deref(), MAX_SESSION_CHARS);
        let template = read_template(&mut faults, self.template);
        let Some(template) = template else { return Err(faults.into_problem()) };
        faults.check()?;
        Ok(Broadcast {
            org_id: org_id.clone(),
            user_id: self.user_id.map(UserId::new),
            number: self.number,
            session_id: self.session_id,
            template,
        })
    }
}

/// Begins a broadcast to every customer of the organisation: durable when this is answered.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/broadcasts", tag = "broadcasts",
    request_body = BroadcastInput, responses((status = 202, body = BroadcastView)))]
pub(crate) async fn create_broadcast(
    State(app): State<App>,
    within: InOrg<Sending>,
    mut body: JsonObject,
) -> Result<Response, Problem> {
    app.check_backlog()?;
    let idempotency = body.idempotency.take();
    let command = body.read::<BroadcastInput>()?.into_command(within.org_id())?;
    let ask = ask(&within, CREATE, idempotency, command);
    let answer = app.engine.broadcast(ask, 0).await?;
    let progress = known_broadcast(&app, within.org_id(), answer.outcome.id).await?;
    let view = Json(BroadcastView::from(&progress));
    let mut response = (StatusCode::ACCEPTED, view).into_response();
    let headers = response.headers_mut();
    name_broadcast(headers, answer.outcome.id);
    if answer.replayed {
        mark_replayed(headers);
    }
    Ok(response)
}

/// Lists broadcasts.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/broadcasts", tag = "broadcasts",
    params(PageArguments), responses((status = 200, body = List<BroadcastView>)))]
pub(crate) async fn list_broadcasts(
    State(app): State<App>,
    within: InOrg<Reading>,
    Arguments(page): Arguments<PageArguments>,
) -> Result<Json<List<BroadcastView>>, Problem> {
    let paged = app.engine.store().broadcasts(within.org_id(), page.of_store()?).await?;
    Ok(Json(List::of(paged, |record| BroadcastView::of_record(&record))))
}

async fn known_broadcast(
    app: &App,
    org_id: &OrgId,
    id: BroadcastId,
) -> Result<BroadcastProgress, Problem> {
    app.engine.store().broadcast(org_id, id).await?.ok_or_else(Problem::not_found)
}

fn parse_id(id: &str) -> Result<BroadcastId, Problem> {
    BroadcastId::parse(id).ok_or_else(Problem::not_found)
}

/// Shows a broadcast's progress.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/broadcasts/{broadcast_id}",
    tag = "broadcasts", responses((status = 200, body = BroadcastView)))]
pub(crate) async fn get_broadcast(
    State(app): State<App>,
    within: InOrg<Reading>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<BroadcastView>, Problem> {
    let progress = known_broadcast(&app, within.org_id(), parse_id(&id)?).await?;
    Ok(Json(BroadcastView::from(&progress)))
}

async fn set_state(
    app: &App,
    org_id: &OrgId,
    id: &str,
    state: BroadcastState,
) -> Result<Json<BroadcastView>, Problem> {
    let id = parse_id(id)?;
    known_broadcast(app, org_id, id).await?;
    if !app.engine.set_broadcast_state(org_id, id, state).await? {
        return Err(Problem::wrong_state("The broadcast is cancelled."));
    }
    Ok(Json(BroadcastView::from(&known_broadcast(app, org_id, id).await?)))
}

/// Holds back what has not been sent yet.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/broadcasts/{broadcast_id}/pause",
    tag = "broadcasts", responses((status = 200, body = BroadcastView)))]
pub(crate) async fn pause_broadcast(
    State(app): State<App>,
    within: InOrg<Sending>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<BroadcastView>, Problem> {
    set_state(&app, within.org_id(), &id, BroadcastState::Paused).await
}

/// Goes on with a paused broadcast.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/broadcasts/{broadcast_id}/resume",
    tag = "broadcasts", responses((status = 200, body = BroadcastView)))]
pub(crate) async fn resume_broadcast(
    State(app): State<App>,
    within: InOrg<Sending>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<BroadcastView>, Problem> {
    set_state(&app, within.org_id(), &id, BroadcastState::Running).await
}

/// Withdraws what has not been sent yet, for good.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/broadcasts/{broadcast_id}/cancel",
    tag = "broadcasts", responses((status = 200, body = BroadcastView)))]
pub(crate) async fn cancel_broadcast(
    State(app): State<App>,
    within: InOrg<Sending>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<BroadcastView>, Problem> {
    set_state(&app, within.org_id(), &id, BroadcastState::Cancelled).await
}
