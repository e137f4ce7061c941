//! What replies may tell of a request beside its outcome: path, id, time and zone.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::Request;
use http::Uri;
use uuid::Uuid;
use waypost_dialects::{Call, Dialect, WireZone};
use waypost_domain::directory::Org;
use waypost_domain::{OrgId, Timestamp, Zone};

use crate::App;
use crate::request_log::X_REQUEST_ID;

/// What is known of a request so far.
pub(super) struct Circumstances {
    uri: Uri,
    request_id: Option<String>,
    org: Option<Arc<Org>>,
}

impl Circumstances {
    pub(super) fn of(request: &Request) -> Self {
        let id = request.headers().get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
        Self { uri: request.uri().clone(), request_id: id.map(str::to_owned), org: None }
    }

    /// Notes for which organisation the request is.
    pub(super) fn is_for(&mut self, app: &App, org_id: Option<&OrgId>) {
        if let Some(org_id) = org_id
            && self.org.as_ref().is_none_or(|org| org.id != *org_id)
        {
            self.org = app.engine.directory().org(org_id);
        }
    }

    /// Calls `write` with what a dialect is told.
    pub(super) fn tell<T>(
        &self,
        app: &App,
        dialect: &'static dyn Dialect,
        write: impl FnOnce(Call<'_>) -> T,
    ) -> T {
        let zone = self.zone(dialect);
        // Vendors show it as a UUID; a caller may have chosen another form.
        let request_id = match self.request_id.as_deref() {
            Some(id) if Uuid::try_parse(id).is_ok() => Cow::Borrowed(id),
            _ => Cow::Owned(Uuid::now_v7().to_string()),
        };
        write(Call {
            path: self.uri.path(),
            request_id: &request_id,
            now: Timestamp(app.engine.clock().now_ms()),
            zone: &zone,
            errors_as_200: false,
        })
    }

    /// The same for a refusal.
    pub(super) fn tell_refusal<T>(
        &self,
        app: &App,
        dialect: &'static dyn Dialect,
        write: impl FnOnce(Call<'_>) -> T,
    ) -> T {
        let errors_as_200 = self.errors_as_200(app);
        self.tell(app, dialect, |call| write(Call { errors_as_200, ..call }))
    }

    fn zone(&self, dialect: &'static dyn Dialect) -> Cow<'_, Zone> {
        let info = dialect.info();
        let chosen = self.org.as_ref().and_then(|org| org.wire_offsets.get(info.id));
        match (chosen, info.zone, &self.org) {
            (Some(zone), ..) => Cow::Borrowed(zone),
            (None, WireZone::OffsetMinutes(minutes), _) => {
                Cow::Owned(Zone::of_offset_minutes(minutes))
            }
            (None, WireZone::Org, Some(org)) => Cow::Borrowed(&org.time_zone),
            (None, WireZone::Org, None) => Cow::Owned(Zone::default()),
        }
    }

    /// Whether a number of the organisation asks for it: which of them was meant may not be known
    /// when a request fails.
    fn errors_as_200(&self, app: &App) -> bool {
        self.org.as_ref().is_some_and(|org| {
            app.engine.directory().numbers(&org.id).iter().any(|number| number.errors_as_200)
        })
    }
}
