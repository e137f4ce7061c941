//! What a key may reach: an organisation with a scope, as a part of a handler's signature. Foreign
//! organisations are answered exactly as unknown ones.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, RawPathParams};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use waypost_dialects::Credential;
use waypost_domain::OrgId;
use waypost_domain::directory::{ApiKey, Org, Scope};

use crate::log_fields::LogFields;
use crate::places::Place;
use crate::problem::Problem;
use crate::{App, auth};

/// What a call needs its key to be allowed.
pub(crate) trait Need: Send + Sync {
    /// The scope.
    const SCOPE: Scope;
}

macro_rules! needs {
    ($($(#[$doc:meta])* $name:ident => $scope:ident),+ $(,)?) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Need for $name {
            const SCOPE: Scope = Scope::$scope;
        }
    )+};
}

needs! {
    /// Keys, numbers, users, providers, the organisation itself.
    Administration => Admin,
    /// Customers.
    Customers => Customers,
    /// Uploads.
    Media => Media,
    /// The message log, sessions, broadcasts.
    Reading => MessagesRead,
    /// Messages and broadcasts.
    Sending => MessagesSend,
    /// Templates.
    Templates => Templates,
    /// Webhooks, and the events that they are told.
    Webhooks => Webhooks,
}

/// A caller with a valid key, whatever it may do.
pub(crate) struct Access {
    /// The key.
    pub(crate) key: Arc<ApiKey>,
    place: Place,
}

impl Access {
    /// Refuses all but the installation's own key.
    pub(crate) fn require_installation(&self) -> Result<(), Problem> {
        if self.key.org_id.is_none() {
            return Ok(());
        }
        Err(for_the_installation("do this"))
    }
}

/// The refusal of what an organisation's own key may not do, whatever its scopes.
pub(super) fn for_the_installation(what: &str) -> Problem {
    let detail = format!("Only the installation's own key may {what}.");
    Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail)
}

impl FromRequestParts<App> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let log = parts.extensions.get::<LogFields>().cloned().unwrap_or_default();
        let credential = Credential::Bearer;
        let recognised = auth::recognise(app, credential, &parts.headers, &parts.extensions);
        let limited = recognised.and_then(|key| {
            app.rates.take(&key, app.engine.now())?;
            let place = app.take_place(&key)?;
            Ok(Self { key, place })
        });
        Ok(limited.inspect_err(|failure| log.set_error(failure.kind.code()))?)
    }
}

/// An organisation in the path, a key that may act for it, and the scope that the call needs.
pub(crate) struct InOrg<N> {
    /// The organisation.
    pub(crate) org: Arc<Org>,
    /// The key.
    pub(crate) key: Arc<ApiKey>,
    need: PhantomData<N>,
    /// Held until the handler has answered.
    _place: Place,
}

impl<N: Need> InOrg<N> {
    /// The organisation's id.
    pub(crate) fn org_id(&self) -> &OrgId {
        &self.org.id
    }
}

impl<N: Need> FromRequestParts<App> for InOrg<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Access { key, place } = Access::from_request_parts(parts, app).await?;
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::not_found())?;
        let named = params.iter().find(|(name, _)| *name == "org_id");
        let org_id = OrgId::new(named.map(|(_, value)| value).unwrap_or_default());
        let org = app
            .engine
            .directory()
            .org(&org_id)
            .filter(|org| auth::may_act_for(&key, &org.id))
            .ok_or_else(Problem::not_found)?;
        if let Some(log) = parts.extensions.get::<LogFields>() {
            log.set_org(&org.id);
        }
        if !key.allows(N::SCOPE) {
            let detail = format!("The key lacks the scope {}.", N::SCOPE.as_str());
            return Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail));
        }
        Ok(Self { org, key, need: PhantomData, _place: place })
    }
}

/// The ids in a path, organisation first. What cannot be read names nothing.
pub(crate) struct Ids<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Ids<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, app).await {
            Ok(Path(ids)) => Ok(Self(ids)),
            Err(_) => Err(Problem::not_found()),
        }
    }
}
