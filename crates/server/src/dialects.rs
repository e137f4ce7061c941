//! Mounts the dialects: everything about a vendor's request that is the same for all vendors, in
//! the order path, key, method, content type, size, decoding. Knows no vendor.

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::any;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};
use waypost_dialects::{
    Asked, Body, BodyKind, Command, CommandEcho, DIALECTS, Dialect, ErrorSite, Outcome, Reply,
    Request as DialectRequest, Route, json,
};
use waypost_domain::directory::ApiKey;
use waypost_domain::{ErrorKind, Failure, Zone};
use waypost_engine::{Ask, IdempotencyKey, StoreFile, Upload};

use crate::bodies::{BodyFault, BodyReader, MemoryShare};
use crate::headers::{IDEMPOTENCY_KEY, idempotency_key, mark_replayed, name_broadcast};
use crate::log_fields::LogFields;
use crate::{App, auth, uploads};

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
pub(crate) fn refuse_path(request: &Request) -> Option<Response> {
    let dialect = below_prefix(request.uri().path())?;
    if let Some(log) = request.extensions().get::<LogFields>() {
        log.set_dialect(dialect.info().id);
        log.set_error(ErrorKind::RouteNotFound.code());
    }
    let failure = Failure::new(ErrorKind::RouteNotFound, "There is no such path.");
    Some(write(dialect.encode_error(&failure, ErrorSite::default())))
}

/// The answer to a request that broke inside, in the words of the dialect that it was for.
pub(crate) fn internal_error(path: &str) -> Option<Response> {
    let dialect = below_prefix(path)?;
    let failure = Failure::new(ErrorKind::Unavailable, "Something went wrong inside.");
    let mut response = write(dialect.encode_error(&failure, ErrorSite::default()));
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
    echo: Option<CommandEcho>,
    /// The client did not send its body properly: nothing more is expected from it.
    hang_up: bool,
}

impl Refusal {
    fn at(route: &'static Route) -> impl Fn(Failure) -> Self {
        move |failure| Self { failure, route: Some(route), echo: None, hang_up: false }
    }

    fn of_body(route: &'static Route) -> impl Fn(BodyFault) -> Self {
        move |fault| {
            let hang_up = matches!(fault, BodyFault::Slow | BodyFault::Broken);
            let failure = fault.into_failure();
            Self { failure, route: Some(route), echo: None, hang_up }
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, route: None, echo: None, hang_up: false }
    }
}

/// A request's body once it has come, and what keeps its memory accounted for.
enum Received {
    Json(Vec<u8>, MemoryShare),
    Form(Box<uploads::ReceivedForm>),
}

/// A decoded request.
struct Decoded {
    command: Command,
    upload: Option<Upload>,
    share: Option<MemoryShare>,
    fingerprint: Option<[u8; 32]>,
}

impl Mounted {
    fn all_of(dialect: &'static dyn Dialect) -> Vec<Self> {
        let mut paths: Vec<&'static str> = dialect.routes().iter().map(|it| it.path).collect();
        paths.sort_unstable();
        paths.dedup();
        paths.into_iter().map(|path| Self { dialect, path }).collect()
    }

    async fn answer(self, app: App, params: RawPathParams, request: Request) -> Response {
        let log = request.extensions().get::<LogFields>().cloned().unwrap_or_default();
        log.set_dialect(self.dialect.info().id);
        match self.serve(&app, &params, request, &log).await {
            Ok(response) => response,
            Err(refusal) => self.refuse(&refusal, &log),
        }
    }

    fn refuse(self, refusal: &Refusal, log: &LogFields) -> Response {
        log.set_error(refusal.failure.kind.code());
        let any_route = || self.dialect.routes().iter().find(|route| route.path == self.path);
        let site =
            ErrorSite { route: refusal.route.or_else(any_route), command: refusal.echo.as_ref() };
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
        params: &RawPathParams,
        request: Request,
        log: &LogFields,
    ) -> Result<Response, Refusal> {
        let (parts, body) = request.into_parts();
        let info = self.dialect.info();
        let key = auth::recognise(app, info.credential, &parts.headers, &parts.extensions)?;
        let route = self.route_for(&parts)?;
        let refuse = Refusal::at(route);
        if !key.allows(route.scope) {
            let message = format!("The key lacks the scope {}.", route.scope.as_str());
            return Err(refuse(Failure::new(ErrorKind::ScopeMissing, message)));
        }
        check_content_type(route, &parts.headers).map_err(&refuse)?;
        let _place = app.tenant_places.try_acquire().map_err(|_| refuse(overloaded()))?;
        let received = receive(app, route, &parts.headers, body).await?;
        let decoded = self.decode(route, params, &parts.headers, received).await?;
        let echo = decoded.command.echo();
        log.set_org(&echo.org_id);
        let done = self.carry_out(app, &key, route, &parts.headers, decoded).await;
        let done = done.map_err(|failure| Refusal {
            failure,
            route: Some(route),
            echo: Some(echo.clone()),
            hang_up: false,
        })?;
        Ok(self.reply(app, &echo, &done, log))
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

    async fn decode(
        self,
        route: &'static Route,
        params: &RawPathParams,
        headers: &HeaderMap,
        received: Received,
    ) -> Result<Decoded, Refusal> {
        let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let params: Vec<(String, String)> = params.collect();
        let wants_fingerprint = headers.contains_key(IDEMPOTENCY_KEY);
        let decoded = match received {
            Received::Form(received) => {
                let body = Body::Form(&received.form);
                let request =
                    DialectRequest { operation: route.operation, path_params: &params, body };
                let command = self.dialect.decode(&request).map_err(Refusal::at(route))?;
                let fingerprint = wants_fingerprint.then_some(received.fingerprint);
                Decoded { command, upload: received.upload, share: None, fingerprint }
            }
            Received::Json(bytes, mut share) => {
                let work = move || {
                    let fingerprint = wants_fingerprint.then(|| fingerprint(&bytes)).flatten();
                    let body = Body::Json(&bytes);
                    let request =
                        DialectRequest { operation: route.operation, path_params: &params, body };
                    let large = bytes.len() as u64;
                    (self.dialect.decode(&request), fingerprint, large)
                };
                let (command, fingerprint, large) = off_thread(share.is_large(), work).await?;
                let command = command.map_err(Refusal::at(route))?;
                // The body is gone by now; of what was decoded from it nothing is larger.
                share.shrink_to(large);
                Decoded { command, upload: None, share: Some(share), fingerprint }
            }
        };
        Ok(decoded)
    }

    async fn carry_out(
        self,
        app: &App,
        key: &ApiKey,
        route: &'static Route,
        headers: &HeaderMap,
        decoded: Decoded,
    ) -> Result<Done, Failure> {
        let idempotency = idempotency(headers, decoded.fingerprint)?;
        // Given back when this is over: until then the engine may hold what was decoded.
        let _share = decoded.share;
        app.rates.take(key, app.engine.now())?;
        let info = self.dialect.info();
        let ask = Ask {
            caller: auth::caller(key),
            dialect: info.id,
            route: route.path,
            idempotency,
            idempotency_wait_s: info.idempotency_wait_s,
            command: (),
        };
        match decoded.command {
            Command::SendMessage(send) => {
                let answer = app.engine.send(with(ask, *send)).await?;
                Ok(Done { outcome: Outcome::Sent(answer.outcome), replayed: answer.replayed })
            }
            Command::Broadcast(broadcast) => {
                let deadline_s = info.broadcast_deadline_s;
                let answer = app.engine.broadcast(with(ask, *broadcast), deadline_s).await?;
                Ok(Done { outcome: Outcome::Broadcast(answer.outcome), replayed: answer.replayed })
            }
            Command::UploadMedia(upload) => {
                let file = StoreFile {
                    org_id: upload.org_id,
                    mime_type: upload.mime_type,
                    filename: upload.filename,
                    number: None,
                };
                let bytes = decoded.upload.ok_or_else(|| {
                    Failure::new(ErrorKind::MissingField, "The form has no file.").at("file")
                })?;
                let answer = app.engine.finish_upload(bytes, with(ask, file)).await?;
                Ok(Done { outcome: Outcome::Uploaded(answer.outcome), replayed: answer.replayed })
            }
        }
    }

    fn reply(self, app: &App, echo: &CommandEcho, done: &Done, log: &LogFields) -> Response {
        if let Outcome::Sent(delivery) = &done.outcome
            && let Err(failure) = &delivery.result
        {
            log.set_error(failure.kind.code());
        }
        let org = app.engine.directory().org(&echo.org_id);
        let zone = org.map_or_else(Zone::default, |org| org.time_zone.clone());
        let asked = Asked { command: echo, zone: &zone };
        let mut response = write(self.dialect.encode(&asked, &done.outcome));
        let headers = response.headers_mut();
        if done.replayed {
            mark_replayed(headers);
        }
        if let Outcome::Broadcast(broadcast) = &done.outcome {
            name_broadcast(headers, broadcast.id);
        }
        response
    }
}

/// What became of a command.
struct Done {
    outcome: Outcome,
    replayed: bool,
}

fn with<T>(ask: Ask<()>, command: T) -> Ask<T> {
    Ask {
        caller: ask.caller,
        dialect: ask.dialect,
        route: ask.route,
        idempotency: ask.idempotency,
        idempotency_wait_s: ask.idempotency_wait_s,
        command,
    }
}

fn overloaded() -> Failure {
    let message = "Too many requests at once; try again in a moment.";
    Failure::new(ErrorKind::Unavailable, message).retry_after_s(1)
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
        BodyKind::Json { .. } => "application/json",
        BodyKind::Multipart { .. } => "multipart/form-data",
    };
    let message = format!("The header Content-Type must say {wanted}.");
    Err(Failure::new(ErrorKind::UnsupportedContentType, message))
}

async fn receive(
    app: &App,
    route: &'static Route,
    headers: &HeaderMap,
    body: HttpBody,
) -> Result<Received, Refusal> {
    let pace = app.limits.body_pace;
    let refuse = Refusal::of_body(route);
    let reader = BodyReader::new(headers, body, route.body.max_bytes(), pace).map_err(&refuse)?;
    match route.body {
        BodyKind::Json { .. } => {
            let (bytes, share) = reader.read_whole(&app.memory).await.map_err(refuse)?;
            Ok(Received::Json(bytes, share))
        }
        BodyKind::Multipart { file_part, .. } => {
            let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let form = uploads::receive(&app.engine, content_type, reader, file_part).await;
            Ok(Received::Form(Box::new(form.map_err(Refusal::at(route))?)))
        }
    }
}

/// Runs what takes long on a thread that may take long.
async fn off_thread<T: Send + 'static>(
    long: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    if !long {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "decoding a request ended unexpectedly");
        Failure::new(ErrorKind::Unavailable, "The request could not be read.")
    })
}

/// SHA-256 of the canonical form; `None` where the body is no JSON, which decoding will tell.
fn fingerprint(bytes: &[u8]) -> Option<[u8; 32]> {
    let mut digest = Sha256::new();
    json::canonical(bytes, &mut |part| digest.update(part)).ok()?;
    Some(digest.finalize().into())
}

fn idempotency(
    headers: &HeaderMap,
    fingerprint: Option<[u8; 32]>,
) -> Result<Option<IdempotencyKey>, Failure> {
    let Some(key) = idempotency_key(headers)? else { return Ok(None) };
    Ok(fingerprint.map(|fingerprint| IdempotencyKey { key, fingerprint }))
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
    fn equal_requests_have_equal_fingerprints_whatever_their_spelling() {
        let one = fingerprint(br#"{"a":1,"b":"x"}"#);
        assert!(one.is_some());
        assert_eq!(one, fingerprint(b"{ \"b\" : \"x\",\n\"a\":1 }"));
        assert_ne!(one, fingerprint(br#"{"a":1,"b":"y"}"#));
        assert_eq!(fingerprint(b"{"), None);
    }

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
