//! What a dialect is to the rest of Waypost, and what the server does for it.
//!
//! The server, once for all dialects, in this order: finds the [`Route`] by path, checks the
//! [`Credential`] and the key's scope, the method, the content type ([`BodyKind::accepts`]) and the
//! body's size ([`BodyKind::max_bytes`]); calls [`Dialect::decode`]; has the command done, with
//! idempotency and limits; calls [`Dialect::encode`] or [`Dialect::encode_error`]. It adds the
//! headers that are the same everywhere (`X-Request-Id`, `Idempotency-Replayed`,
//! `X-Waypost-Broadcast-Id`); `Content-Type`, `Allow` and `Retry-After` come from the dialect.
//!
//! Not here: axum, hyper, streams. Everything is a plain value, so that a dialect is tested
//! without a server.

mod echo;

use std::fmt;
use std::sync::LazyLock;

use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};
pub use waypost_domain::command::{Broadcast, SendMessage, Submission, Submit};
use waypost_domain::command::{BroadcastOutcome, Delivery, Uploaded};
use waypost_domain::directory::Scope;
pub use waypost_domain::manage::{Manage, Managed, Task};
use waypost_domain::media::MimeType;
use waypost_domain::{ErrorKind, Failure, MessageId, OrgId, Timestamp, Zone};

pub use echo::{CommandEcho, ConsentEcho};

use crate::samples::Sample;

/// One vendor's wire format as a pure codec.
pub trait Dialect: Send + Sync {
    /// What the server must know before it looks at a route.
    fn info(&self) -> &'static Info;

    /// Every route, in no particular order.
    fn routes(&self) -> &'static [Route];

    /// One request for each thing that it offers.
    fn samples(&self) -> &'static [Sample] {
        &[]
    }

    /// Reads a request to one of the routes.
    ///
    /// # Errors
    /// The first failing check in the order that the vendor's reference states, with the path of
    /// the field to blame.
    fn decode(&self, request: &Request<'_>) -> Result<Command, Failure>;

    /// Of a request that [`Dialect::decode`] refuses: what stands before the fault, as far as only
    /// the engine can judge it, in order. The first fault that it finds there is what the request is
    /// refused for.
    fn before_fault(&self, request: &Request<'_>) -> Vec<Submission> {
        let _ = request;
        Vec::new()
    }

    /// The caller's own name for the request, under which a repetition is recognised, where the
    /// vendor has one. `Idempotency-Key` is the server's business.
    fn idempotency_key(&self, command: &Command) -> Option<String> {
        let _ = command;
        None
    }

    /// Writes the answer to a command that was carried out. An [`Outcome::Sent`] whose delivery
    /// failed is answered as [`Dialect::encode_error`] answers that failure.
    fn encode(&self, asked: &Asked<'_>, outcome: &Outcome) -> Reply;

    /// Writes the answer to a request that failed, wherever it failed: also for an unknown path
    /// below [`Info::path_prefix`], a bad credential or a body that is too large.
    fn encode_error(&self, failure: &Failure, at: ErrorSite<'_>) -> Reply;

    /// The methods that one path pattern takes, for `Allow`.
    fn methods_of(&self, path: &str) -> Vec<&'static Method> {
        self.routes().iter().filter(|route| route.path == path).map(|route| &route.method).collect()
    }
}

/// A dialect's constants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Short name, as it is stored with messages: lower case, digits and `_`.
    pub id: &'static str,
    /// The vendor's name for people.
    pub title: &'static str,
    /// Where a request carries its API key.
    pub credential: Credential,
    /// Unknown paths that begin with it are answered by this dialect's
    /// [`waypost_domain::ErrorKind::RouteNotFound`]. Begins and ends with a slash.
    pub path_prefix: &'static str,
    /// How long a second request with the same idempotency key waits for the first, in seconds.
    pub idempotency_wait_s: u32,
    /// Whether a second request waits also for an unknown outcome of the first, rather than to be
    /// told of it.
    pub awaits_unknown: bool,
    /// Of a [`Command::SendMessage`] or a [`Command::Broadcast`]: whether a key that was used with
    /// another request is told before sender and content are looked at, rather than after.
    pub conflicts_first: bool,
    /// Whether `Idempotency-Key` names a request. Else only [`Dialect::idempotency_key`] does, and
    /// the header is not looked at.
    pub heeds_idempotency_key: bool,
    /// Within what two requests with the same key are the same.
    pub idempotency_scope: IdempotencyScope,
    /// When a broadcast is answered although customers are still without an outcome, in seconds.
    pub broadcast_deadline_s: u32,
    /// The zone of its times where the organisation's `wire_offsets` name none for it.
    pub zone: WireZone,
    /// Of a [`Command::Submit`]: the kinds of failure that refuse the request at once. With any
    /// other kind the message is accepted, and reported as failed.
    pub refused_at_once: &'static [ErrorKind],
}

/// Within what two requests with the same idempotency key are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdempotencyScope {
    /// One path.
    Path,
    /// All paths of the dialect: the path is part of what must be equal.
    Dialect,
}

/// The zone in which a dialect writes its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireZone {
    /// The organisation's.
    Org,
    /// A fixed offset from UTC, in minutes.
    OffsetMinutes(i16),
}

/// Where a request carries its API key. Blanks around the key are trimmed by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Bearer` with the key or a JSON Web Token; only without that header, the
    /// whole value of this one.
    BearerElseHeader(&'static str),
    /// `Authorization: Bearer <key>`, or `Authorization: <key>`.
    BearerOrBare,
    /// The whole value of this header, spelled as the vendor does; header names ignore letter case.
    Header(&'static str),
    /// `Authorization: Bearer <key>`.
    Bearer,
}

/// One method on one path.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path as axum writes patterns (`/a/{id}`), without a trailing slash; the server serves
    /// the form with one too.
    pub path: &'static str,
    /// What it does.
    pub operation: Operation,
    /// What its body is.
    pub body: BodyKind,
    /// What the key must be allowed to do.
    pub scope: Scope,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Sends one message and answers with its outcome.
    SendMessage,
    /// Sends one template to every customer of an organisation.
    Broadcast,
    /// Stores a file under an id.
    UploadMedia,
    /// Accepts messages to be sent later.
    Submit,
    /// Anything else; the route's path and method say what.
    Manage,
}

/// What a route takes as its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Nothing; what is sent all the same is not read.
    None,
    /// JSON text, handed over as [`Body::Json`].
    Json {
        /// The largest body, in bytes.
        max_bytes: u64,
        /// Under which `Content-Type`.
        types: JsonTypes,
    },
    /// Either of the others, as `Content-Type` says.
    JsonOrMultipart {
        /// The largest form, in bytes, part headers included.
        max_bytes: u64,
        /// The largest JSON text, in bytes.
        max_json_bytes: u64,
        /// The form's parts.
        parts: FormParts,
    },
    /// `multipart/form-data`, handed over as [`Body::Form`].
    Multipart {
        /// The largest body, in bytes, part headers included.
        max_bytes: u64,
        /// Its parts.
        parts: FormParts,
    },
}

/// Under which `Content-Type` JSON is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonTypes {
    /// Whatever it says.
    Any,
    /// `application/json` and `application/*+json` with any parameters, or no declaration at all.
    Application,
    /// Those, and `text/json`.
    ApplicationOrText,
}

impl JsonTypes {
    fn take(self, content_type: Option<&str>) -> bool {
        let essence = essence(content_type);
        let is_named = |subtype: &str| {
            let suffixed = subtype.strip_suffix("+json").is_some_and(|name| !name.is_empty());
            subtype == "json" || suffixed
        };
        let is_application =
            essence.is_empty() || essence.strip_prefix("application/").is_some_and(is_named);
        match self {
            Self::Any => true,
            Self::Application => is_application,
            Self::ApplicationOrText => is_application || essence == "text/json",
        }
    }
}

/// The parts of a form that are read. Whatever has another name is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormParts {
    /// The part that is the file, with or without a file name. Of several parts of this name the
    /// first is taken.
    pub file: &'static str,
    /// The text fields.
    pub texts: &'static [&'static str],
}

impl BodyKind {
    /// The largest body, in bytes.
    #[must_use]
    pub const fn max_bytes(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Json { max_bytes, .. }
            | Self::JsonOrMultipart { max_bytes, .. }
            | Self::Multipart { max_bytes, .. } => max_bytes,
        }
    }

    /// The largest body declared as `content_type`, in bytes.
    #[must_use]
    pub fn max_bytes_of(self, content_type: Option<&str>) -> u64 {
        match self {
            Self::JsonOrMultipart { max_json_bytes, .. } if !is_form(content_type) => {
                max_json_bytes
            }
            _ => self.max_bytes(),
        }
    }

    /// Whether a body declared as `content_type` is taken.
    #[must_use]
    pub fn accepts(self, content_type: Option<&str>) -> bool {
        match self {
            Self::None => true,
            Self::Json { types, .. } => types.take(content_type),
            Self::JsonOrMultipart { .. } => {
                is_form(content_type) || JsonTypes::Application.take(content_type)
            }
            Self::Multipart { .. } => is_form(content_type),
        }
    }

    /// The form's parts, where a body declared as `content_type` is read as a form.
    #[must_use]
    pub fn form_parts(self, content_type: Option<&str>) -> Option<FormParts> {
        match self {
            Self::None | Self::Json { .. } => None,
            Self::JsonOrMultipart { parts, .. } => is_form(content_type).then_some(parts),
            Self::Multipart { parts, .. } => Some(parts),
        }
    }
}

fn essence(content_type: Option<&str>) -> String {
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn is_form(content_type: Option<&str>) -> bool {
    essence(content_type) == "multipart/form-data"
}

/// The id that is made where nobody makes any.
const NIL_ID: &str = "00000000-0000-0000-0000-000000000000";

/// A request that passed the server's checks.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The matched route's.
    pub operation: Operation,
    /// The matched route's method.
    pub method: &'a Method,
    /// The matched route's [`Route::path`].
    pub route_path: &'a str,
    /// The path's variables by name, percent-decoded.
    pub path_params: &'a [(String, String)],
    /// The query's pairs in order, percent-decoded.
    pub query: &'a [(String, String)],
    /// The organisation that the key is bound to.
    pub org: Option<&'a OrgId>,
    /// The time.
    pub now: Timestamp,
    /// Makes an id that nothing else has: a UUID.
    pub new_id: fn() -> String,
    /// The body, of the kind that the route declared.
    pub body: Body<'a>,
}

impl<'a> Request<'a> {
    /// A request to a route, with a body and nothing else that could be told of it.
    #[must_use]
    pub fn to(route: &'a Route, body: Body<'a>) -> Self {
        Self {
            operation: route.operation,
            method: &route.method,
            route_path: route.path,
            path_params: &[],
            query: &[],
            org: None,
            now: Timestamp(0),
            new_id: || NIL_ID.to_owned(),
            body,
        }
    }

    /// The organisation that the key is bound to, for dialects whose requests name none.
    ///
    /// # Errors
    /// [`ErrorKind::OrgForbidden`] for the installation's own key, which is bound to none.
    pub fn own_org(&self) -> Result<&OrgId, Failure> {
        self.org.ok_or_else(|| {
            let message = "This call acts for the key's organisation; use an organisation's key.";
            Failure::new(ErrorKind::OrgForbidden, message)
        })
    }

    /// A variable of the path.
    #[must_use]
    pub fn path_param(&self, name: &str) -> Option<&str> {
        named(self.path_params, name)
    }

    /// The first value of a query's parameter.
    #[must_use]
    pub fn query_param(&self, name: &str) -> Option<&str> {
        named(self.query, name)
    }
}

fn named<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A request's body.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    /// Nothing, by the route's declaration.
    None,
    /// JSON text as it came.
    Json(&'a [u8]),
    /// A form whose file is kept elsewhere.
    Form(&'a Form),
}

/// Shows the kind and the size, never the content.
impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Json(bytes) => write!(f, "Json({} bytes)", bytes.len()),
            Self::Form(form) => write!(f, "Form({} fields)", form.fields.len()),
        }
    }
}

/// A multipart form. The file's bytes stay in the server's spool; a dialect sees its beginning.
#[derive(Clone, Default)]
pub struct Form {
    /// The text parts that the route reads, in the order in which they came.
    pub fields: Vec<(String, String)>,
    /// The part that [`FormParts::file`] names.
    pub file: Option<FormFile>,
}

impl Form {
    /// The first text part of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What is known of an uploaded file.
#[derive(Clone, Default)]
pub struct FormFile {
    /// The part's file name, not cleaned.
    pub filename: Option<String>,
    /// The part's own content type.
    pub content_type: Option<String>,
    /// The file's size in bytes.
    pub size: u64,
    /// Its first bytes, at least [`waypost_domain::media::SNIFF_BYTES`] of them if it has so many.
    pub head: Vec<u8>,
}

impl FormFile {
    /// Whether [`FormFile::head`] is the whole file.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        u64::try_from(self.head.len()).is_ok_and(|len| len == self.size)
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Send one message.
    SendMessage(Box<SendMessage>),
    /// Send one template to every customer of an organisation.
    Broadcast(Box<Broadcast>),
    /// Keep the form's file.
    UploadMedia(UploadMedia),
    /// Accept messages to be sent later.
    Submit(Box<Submit>),
    /// Do something that is no sending.
    Manage(Box<Manage>),
}

/// Keep a file under an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadMedia {
    /// The organisation, as the caller claims.
    pub org_id: OrgId,
    /// The type that declaration and signature agree on.
    pub mime_type: MimeType,
    /// The caller's name for it, cleaned.
    pub filename: Option<String>,
}

/// The circumstances of a call, for replies that tell of them.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The request's path, without its query.
    pub path: &'a str,
    /// The request's id, as in the header `X-Request-Id`: a UUID.
    pub request_id: &'a str,
    /// The time.
    pub now: Timestamp,
    /// The zone in which this dialect's times are written for this organisation.
    pub zone: &'a Zone,
}

impl Default for Call<'_> {
    fn default() -> Self {
        static UTC: LazyLock<Zone> = LazyLock::new(Zone::default);
        Self { path: "", request_id: "", now: Timestamp(0), zone: &UTC }
    }
}

/// What a reply is an answer to.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The command's ids.
    pub command: &'a CommandEcho,
    /// The circumstances.
    pub call: Call<'a>,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Of a [`Command::SendMessage`].
    Sent(Delivery),
    /// Of a [`Command::Broadcast`].
    Broadcast(BroadcastOutcome),
    /// Of a [`Command::UploadMedia`].
    Uploaded(Uploaded),
    /// Of a [`Command::Submit`]: the messages' ids, in order.
    Submitted(Vec<MessageId>),
    /// Of a [`Command::Manage`]. [`Managed::Media`] is never encoded: the server writes the bytes.
    Managed(Box<Managed>),
}

/// Where a request failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrorSite<'a> {
    /// The route whose path matched. If only the method did not, any route of that path; `None`
    /// if no path matched.
    pub route: Option<&'a Route>,
    /// The circumstances.
    pub call: Call<'a>,
    /// Whether the organisation wants refusals under status 200
    /// ([`waypost_domain::directory::Number::errors_as_200`]).
    pub errors_as_200: bool,
}

/// A complete answer but for the headers that the server adds everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// `Content-Type`, and where they belong `Allow` and `Retry-After`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A reply with a JSON body.
    ///
    /// `value` is written in the order of its fields: wire types declare them as the vendor shows
    /// them.
    #[must_use]
    pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(value).expect(
            "wire types have text keys and no fallible serialisers, so writing cannot fail",
        );
        let json = HeaderValue::from_static("application/json");
        Self { status, headers: vec![(CONTENT_TYPE, json)], body }
    }

    /// Adds `Allow`, with the methods that a path takes.
    #[must_use]
    pub fn allowing(self, methods: &[&Method]) -> Self {
        let names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
        // Methods are tokens. Where no path is known, POST is what most calls are.
        let names = HeaderValue::from_str(&names.join(", ")).ok().filter(|it| !it.is_empty());
        self.with_header(ALLOW, names.unwrap_or(HeaderValue::from_static("POST")))
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_taken_under_its_names_or_under_none() {
        use JsonTypes::{Any, Application, ApplicationOrText};
        for (content_type, takers) in [
            (None, &[Any, Application, ApplicationOrText][..]),
            (Some("application/json"), &[Any, Application, ApplicationOrText]),
            (Some("Application/JSON; charset=utf-8"), &[Any, Application, ApplicationOrText]),
            (Some("application/vnd.api+json"), &[Any, Application, ApplicationOrText]),
            (Some("text/json; charset=utf-8"), &[Any, ApplicationOrText]),
            (Some("text/plain"), &[Any]),
            (Some("application/x-www-form-urlencoded"), &[Any]),
            (Some("application/+json"), &[Any]),
            (Some("application/jsonp"), &[Any]),
            (Some("multipart/form-data; boundary=x"), &[Any]),
        ] {
            for types in [Any, Application, ApplicationOrText] {
                let json = BodyKind::Json { max_bytes: 1, types };
                let wanted = takers.contains(&types);
                assert_eq!(json.accepts(content_type), wanted, "{types:?} {content_type:?}");
            }
        }
    }

    #[test]
    fn a_form_is_taken_under_its_name_only() {
        let parts = FormParts { file: "file", texts: &[] };
        let form = BodyKind::Multipart { max_bytes: 1, parts };
        for (content_type, taken) in [
            (Some("multipart/form-data; boundary=x"), true),
            (Some("MULTIPART/Form-Data"), true),
            (Some("application/json"), false),
            (Some("multipart/mixed"), false),
            (None, false),
        ] {
            assert_eq!(form.accepts(content_type), taken, "{content_type:?}");
        }
    }
}
