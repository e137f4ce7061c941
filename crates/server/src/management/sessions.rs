//! Sessions: conversations and their 24-hour windows.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use waypost_domain::Phone;
use waypost_domain::window::WINDOW_MS;
use waypost_engine::ports::{Page, SessionFilter};

use super::access::{Ids, InOrg, Reading};
use super::input::Arguments;
use super::paging::{List, PageArguments};
use super::traffic_views::SessionView;
use crate::App;
use crate::problem::Problem;

/// The most numbers of one person's sessions that are looked through for one of them.
const MAX_OF_ONE_PERSON: u32 = 1_000;

/// Which sessions.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionArguments {
    /// How many entries, 1 to 1000; by default 50.
    limit: Option<u32>,
    /// `next` of the part before.
    after: Option<String>,
    /// Only with this person.
    phone: Option<String>,
    /// `true`: only those whose window is open now.
    open: Option<bool>,
}

/// Lists sessions.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/sessions", tag = "sessions",
    params(SessionArguments), responses((status = 200, body = List<SessionView>)))]
pub(crate) async fn list_sessions(
    State(app): State<App>,
    within: InOrg<Reading>,
    Arguments(arguments): Arguments<SessionArguments>,
) -> Result<Json<List<SessionView>>, Problem> {
    let page = PageArguments { limit: arguments.limit, after: arguments.after }.of_store()?;
    let phone = arguments.phone.as_deref().map(Phone::parse).transpose();
    let phone = phone.map_err(|error| Problem::invalid("phone", error.to_string()))?;
    let now = app.engine.now();
    let inbound_after = (arguments.open == Some(true)).then(|| now.plus_ms(-WINDOW_MS));
    let filter = SessionFilter { phone, inbound_after };
    let paged = app.engine.store().sessions(within.org_id(), &filter, page).await?;
    Ok(Json(List::of(paged, |session| SessionView::new(&session, now))))
}

/// Shows a session.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/sessions/{session_id}", tag = "sessions",
    responses((status = 200, body = SessionView)))]
pub(crate) async fn get_session(
    State(app): State<App>,
    within: InOrg<Reading>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<SessionView>, Problem> {
    let (number_id, digits) = id.rsplit_once('.').ok_or_else(Problem::not_found)?;
    let phone = Phone::parse(digits).map_err(|_| Problem::not_found())?;
    let filter = SessionFilter { phone: Some(phone), inbound_after: None };
    let page = Page { after: None, limit: MAX_OF_ONE_PERSON };
    let found = app.engine.store().sessions(within.org_id(), &filter, page).await?;
    let session = found.data.iter().find(|session| session.number_id.as_str() == number_id);
    let session = session.ok_or_else(Problem::not_found)?;
    Ok(Json(SessionView::new(session, app.engine.now())))
}
