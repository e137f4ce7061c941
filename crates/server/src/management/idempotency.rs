//! Idempotency of what this API makes itself (messages, broadcasts and media have the engine's): a
//! repetition is answered with the present state of what the first request made. What was removed
//! since is made again.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Serialize;
use waypost_domain::OrgId;
use waypost_engine::ports::CreationClaim;
use waypost_engine::{CreationKey, IdempotencyKey};

use crate::App;
use crate::headers::mark_replayed;
use crate::problem::Problem;

/// The making of one thing. Meanwhile nothing else is made with its key, if it has one.
pub(crate) struct Creation(Option<CreationKey>);

impl Creation {
    /// Begins, for an organisation or, without one, for the installation.
    ///
    /// # Errors
    /// A 422 where the key was used with another request, a 409 where that one takes long.
    pub(crate) async fn begin(
        app: &App,
        org_id: Option<&OrgId>,
        route: &'static str,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Self, Problem> {
        let Some(idempotency) = idempotency else { return Ok(Self(None)) };
        let org_id = org_id.cloned().unwrap_or_else(|| OrgId::new(""));
        Ok(Self(Some(app.engine.creation_key(org_id, route, idempotency).await?)))
    }

    /// The id of what an earlier request made: look for it before making anything.
    pub(crate) fn earlier(&self) -> Option<&str> {
        self.0.as_ref()?.earlier()
    }

    /// What has to be recorded together with the new thing.
    pub(crate) fn claim(&self) -> Option<CreationClaim> {
        self.0.as_ref().map(CreationKey::claim)
    }
}

/// The answer where something was made.
pub(crate) fn created(made: &impl Serialize) -> Response {
    (StatusCode::CREATED, Json(made)).into_response()
}

/// The answer where an earlier request made it.
pub(crate) fn replayed(found: &impl Serialize) -> Response {
    let mut response = created(found);
    mark_replayed(response.headers_mut());
    response
}
