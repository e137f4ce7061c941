//! Mounts the dialects: everything about a vendor's request that is the same for all vendors, in
//! the order path, key, method, content type, size, decoding. Knows no vendor.

mod carry_out;
mod circumstances;
mod consents;
mod flows;
mod receive;
mod tasks;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::any;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use waypost_dialects::{
    Asked, BodyKind, DIALECTS, Dialect, ErrorSite, Operation, Outcome, Reply, Route,
};
use waypost_domain::directory::ApiKey;
use waypost_domain::{ErrorKind, Failure};

use self::carry_out::Done;
pub(crate) use self::circumstances::Circumstances;
use crate::bodies::BodyFault;
use crate::headers::{mark_replayed, name_broadcast};
use crate::log_fields::LogFields;
use crate::places::Place;
use crate::{App, auth};

/// The routes of all dialects, with and without a slash at the end.
pub(crate) fn routes() -> Router<App> {
    let mut router = Router::new();
    for dialect in DIALECTS.iter().copied() {
        for mounted in Mounted::all_of(dialect) {
            let path = mounted.path;
            let handler = any(move |State(app): State<App>, params, request| {
                mounted.answer(app, params, request)
            });
            router = router.route(path, handler.clone()).route(&format!("{path}/"), handler);
        }
    }
    router
}

/// The answer to an unknown path below a dialect's prefix.
pub(crate) fn refuse_path(app: &App, request: &Request) -> Option<Response> {
    let dialect = below_prefix(request.uri().path())?;
    if let Some(log) = request.extensions().get::<LogFields>() {
        log.set_dialect(dialect.info().id);
        log.set_error(ErrorKind::RouteNotFound.code());
    }
    let failure = Failure::new(ErrorKind::RouteNotFound, "There is no such path.");
    let known = Circumstances::of(request);
    Some(known.tell_refusal(app, dialect, |site| write(dialect.encode_error(&failure, site))))
}

/// The answer to a request that broke inside, in the words of the dialect that it was for.
pub(crate) fn internal_error(app: &App, known: &Circumstances) -> Option<Response> {
    let dialect = below_prefix(known.path())?;
    let failure = Failure::new(ErrorKind::Unavailable, "Something went wrong inside.");
    let mut response =
        known.tell_refusal(app, dialect, |site| write(dialect.encode_error(&failure, site)));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    Some(response)
}

fn below_prefix(path: &str) -> Option<&'static dyn Dialect> {
    let below = |dialect: &&dyn Dialect| {
        let prefix = dialect.info().path_prefix;
        path.starts_with(prefix) || path == prefix.trim_end_matches('/')
    };
    DIALECTS.iter().copied().find(below)
}

/// One path of a dialect.
#[derive(Clone, Copy)]
struct Mounted {
    dialect: &'static dyn Dialect,
    path: &'static str,
}

/// A request that was refused, with what was known of it by then.
struct Refusal {
    failure: Failure,
    route: Option<&'static Route>,
    /// The client did not send its body properly: nothing more is expected from it.
    hang_up: bool,
}

impl Refusal {
    fn at(route: &'static Route) -> impl Fn(Failure) -> Self {
        move |failure| Self { failure, route: Some(route), hang_up: false }
    }

    fn of_body(route: &'static Route) -> impl Fn(BodyFault) -> Self {
        move |fault| {
            let hang_up = fault.hangs_up();
            let failure = fault.into_failure();
            Self { failure, route: Some(route), hang_up }
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, route: None, hang_up: false }
    }
}

impl Mounted {
    fn all_of(dialect: &'static dyn Dialect) -> Vec<Self> {
        let mut paths: Vec<&'static str> = dialect.routes().iter().map(|it| it.path).collect();
        paths.sort_unstable();
        paths.dedup();
        paths.into_iter().map(|path| Self { dialect, path }).collect()
    }

    async fn answer(
        self,
        app: App,
        params: Result<RawPathParams, RawPathParamsRejection>,
        request: Request,
    ) -> Response {
        let log = request.extensions().get::<LogFields>().cloned().unwrap_or_default();
        log.set_dialect(self.dialect.info().id);
        let mut known = Circumstances::of(&request);
        match self.serve(&app, params, request, &log, &mut known).await {
            Ok(response) => response,
            Err(refusal) => {
                log.set_error(refusal.failure.kind.code());
                known.tell_refusal(&app, self.dialect, |site| self.refuse(&refusal, site))
            }
        }
    }

    fn refuse(self, refusal: &Refusal, site: ErrorSite<'_>) -> Response {
        let any_route = || self.dialect.routes().iter().find(|route| route.path == self.path);
        let route = refusal.route.or_else(any_route);
        let site = ErrorSite { route, ..site };
        let mut response = write(self.dialect.encode_error(&refusal.failure, site));
        if refusal.hang_up {
            *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn serve(
        self,
        app: &App,
        params: Result<RawPathParams, RawPathParamsRejection>,
        request: Request,
        log: &LogFields,
        known: &mut Circumstances,
    ) -> Result<Response, Refusal> {
        // What is not text is the path of nothing.
        let no_path = |_| Failure::new(ErrorKind::RouteNotFound, "There is no such path.");
        let params = params.map_err(no_path)?;
        let (parts, body) = request.into_parts();
        let info = self.dialect.info();
        let key = auth::recognise(app, info.credential, &parts.headers, &parts.extensions)?;
        known.is_for(app, key.org_id.as_ref());
        let route = self.route_for(&parts)?;
        let refuse = Refusal::at(route);
        if !key.allows(route.scope) {
            let message = format!("The key lacks the scope {}.", route.scope.as_str());
            return Err(refuse(Failure::new(ErrorKind::ScopeMissing, message)));
        }
        check_content_type(route, &parts.headers).map_err(&refuse)?;
        let _place = admit(app, &key, route).map_err(&refuse)?;
        let received = receive::receive(app, route, &parts.headers, body).await?;
        let (caller, now) = (auth::caller(&key), app.engine.now());
        let asker = receive::Asker { caller, now, engine: app.engine.clone() };
        let decoded =
            receive::decode(self.dialect, route, &params, &parts, asker, received).await?;
        let echo = decoded.command.echo();
        log.set_org(&echo.org_id);
        known.is_for(app, Some(&echo.org_id));
        match self.carry_out(app, &key, route, decoded).await {
            Ok(Done::File(response)) => Ok(response),
            Ok(Done::Outcome { outcome, replayed }) => {
                note(log, &outcome);
                Ok(known.tell(app, self.dialect, |call| {
                    let asked = Asked { command: &echo, call };
                    self.reply(&asked, &outcome, replayed)
                }))
            }
            Err(failure) => Err(refuse(failure)),
        }
    }

    /// The route for the request's method.
    fn route_for(self, parts: &Parts) -> Result<&'static Route, Failure> {
        let routes = self.dialect.routes().iter();
        let mut routes = routes.filter(|route| route.path == self.path);
        routes.find(|route| route.method == parts.method).ok_or_else(|| {
            let message = format!("The method {} does not exist here.", known(&parts.method));
            Failure::new(ErrorKind::MethodNotAllowed, message)
        })
    }

    fn reply(self, asked: &Asked<'_>, outcome: &Outcome, replayed: bool) -> Response {
        let mut response = write(self.dialect.encode(asked, outcome));
        let headers = response.headers_mut();
        if replayed {
            mark_replayed(headers);
        }
        if let Outcome::Broadcast(broadcast) = outcome {
            name_broadcast(headers, broadcast.id);
        }
        response
    }
}

/// A message that was accepted and not sent is no refusal, and an error in the log all the same.
fn note(log: &LogFields, outcome: &Outcome) {
    if let Outcome::Sent(delivery) = outcome
        && let Err(failure) = &delivery.result
    {
        log.set_error(failure.kind.code());
    }
}

/// A place for a request, before anything of its body is read. What begins something new finds none
/// while the store cannot keep up.
fn admit(app: &App, key: &ApiKey, route: &Route) -> Result<Place, Failure> {
    let begins = matches!(
        route.operation,
        Operation::SendMessage | Operation::Broadcast | Operation::Submit | Operation::UploadMedia
    );
    if begins {
        app.check_backlog()?;
    }
    app.take_place(key)
}

fn known(method: &http::Method) -> &str {
    if method.as_str().len() <= 16 { method.as_str() } else { "of this request" }
}

fn check_content_type(route: &Route, headers: &HeaderMap) -> Result<(), Failure> {
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    if route.body.accepts(content_type) {
        return Ok(());
    }
    let wanted = match route.body {
        BodyKind::None | BodyKind::Json { .. } => "application/json",
        BodyKind::JsonOrMultipart { .. } => "application/json or multipart/form-data",
        BodyKind::Multipart { .. } => "multipart/form-data",
    };
    let message = format!("The header Content-Type must say {wanted}.");
    Err(Failure::new(ErrorKind::UnsupportedContentType, message))
}

fn write(reply: Reply) -> Response {
    let mut response = Response::new(HttpBody::from(reply.body));
    *response.status_mut() = reply.status;
    response.headers_mut().extend(reply.headers);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_paths_belong_to_the_dialect_whose_prefix_they_have() {
        for (path, dialect) in [
            ("/whatsapp/nothing", Some("replyhero")),
            ("/whatsapp", Some("replyhero")),
            ("/whatsappx", None),
            ("/", None),
        ] {
            assert_eq!(below_prefix(path).map(|it| it.info().id), dialect, "{path}");
        }
    }
}
