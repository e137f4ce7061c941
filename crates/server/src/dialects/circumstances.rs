//! What replies may tell of a request beside its outcome: path, id, time and zone.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::Request;
use http::Uri;
use uuid::Uuid;
use waypost_dialects::{Call, Dialect, ErrorSite, WireZone};
use waypost_domain::directory::{Number, Org};
use waypost_domain::{OrgId, Timestamp, Zone};

use crate::App;
use crate::log_fields::LogFields;
use crate::request_log::X_REQUEST_ID;

/// What is known of a request so far.
pub(crate) struct Circumstances {
    uri: Uri,
    id: CallId,
    org: Option<Arc<Org>>,
    log: LogFields,
}

/// The id of a call as vendors show it: a UUID.
enum CallId {
    /// The request's own.
    Own(String),
    /// Made, since the caller chose an id of another form.
    Made(String),
}

impl CallId {
    fn of(request: &Request) -> Self {
        let id = request.headers().get(X_REQUEST_ID).and_then(|id| id.to_str().ok());
        match id {
            Some(id) if Uuid::try_parse(id).is_ok() => Self::Own(id.to_owned()),
            _ => Self::Made(Uuid::now_v7().to_string()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Own(id) | Self::Made(id) => id,
        }
    }
}

impl Circumstances {
    pub(crate) fn of(request: &Request) -> Self {
        let log = request.extensions().get::<LogFields>().cloned().unwrap_or_default();
        Self { uri: request.uri().clone(), id: CallId::of(request), org: None, log }
    }

    pub(super) fn path(&self) -> &str {
        self.uri.path()
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
        write(Call {
            path: self.path(),
            request_id: self.id.as_str(),
            now: Timestamp(app.engine.clock().now_ms()),
            zone: &zone,
        })
    }

    /// The same for a refusal, which the caller may ask about by the id that it shows.
    pub(super) fn tell_refusal<T>(
        &self,
        app: &App,
        dialect: &'static dyn Dialect,
        write: impl FnOnce(ErrorSite<'_>) -> T,
    ) -> T {
        self.note_id();
        let errors_as_200 = self.errors_as_200(app);
        self.tell(app, dialect, |call| {
            write(ErrorSite { call, errors_as_200, ..ErrorSite::default() })
        })
    }

    /// Puts the id that a refusal shows into the log, where it is not the request's.
    fn note_id(&self) {
        if let CallId::Made(id) = &self.id {
            self.log.set_call_id(id);
        }
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
    /// when a request fails. Where not even the organisation is, all that could be meant must ask.
    fn errors_as_200(&self, app: &App) -> bool {
        let directory = app.engine.directory();
        let of_org = |org_id: &OrgId| directory.numbers(org_id).iter().any(|it| it.errors_as_200);
        if let Some(org) = &self.org {
            return of_org(&org.id);
        }
        // A key that was recognised and refused is in the log with its organisation.
        let refused = self.log.read().org_id.clone();
        refused.map_or_else(|| all_want_200(&directory.all_numbers()), |org_id| of_org(&org_id))
    }
}

/// Whether there are numbers of such dialects, and all of them ask for refusals under status 200.
fn all_want_200(numbers: &[Arc<Number>]) -> bool {
    let mut concerned = numbers.iter().filter(|it| it.errors_as_200 || it.app_id.is_some());
    let first = concerned.next();
    first.is_some_and(|first| first.errors_as_200) && concerned.all(|it| it.errors_as_200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http::HeaderValue;

    #[test]
    fn the_id_of_a_refusal_is_in_the_log() {
        for (own, made) in
            [("0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7bc1", false), ("order 1", true), ("0b8f1d52", true)]
        {
            let log = LogFields::default();
            let mut request = Request::new(Body::empty());
            request.headers_mut().insert(X_REQUEST_ID, HeaderValue::from_static(own));
            request.extensions_mut().insert(log.clone());
            let known = Circumstances::of(&request);
            assert_eq!(log.read().call_id, None);
            known.note_id();
            let noted = log.read().call_id.clone();
            assert_eq!(noted.as_deref(), made.then_some(known.id.as_str()), "{own}");
            assert!(Uuid::try_parse(known.id.as_str()).is_ok(), "{own}");
        }
    }
}
