//! A dialect's request on its way in: its body within bounds, decoded, and the fingerprint by
//! which a repetition is recognised.

use axum::body::Body as HttpBody;
use axum::extract::RawPathParams;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use waypost_dialects::{
    Body, BodyKind, Command, Dialect, IdempotencyScope, Operation, Request, Route, Submission, json,
};
use waypost_domain::command::Caller;
use waypost_domain::{Failure, OrgId, Timestamp};
use waypost_engine::{Engine, IdempotencyKey, Upload};

use super::Refusal;
use crate::bodies::{BodyReader, MemoryShare, off_thread};
use crate::headers::{IDEMPOTENCY_KEY, idempotency_key};
use crate::{App, uploads};

/// A request's body once it has come, and what keeps its memory accounted for.
pub(super) enum Received {
    Nothing,
    Json(Vec<u8>, MemoryShare),
    Form(Box<uploads::ReceivedForm>),
}

/// A decoded request.
pub(super) struct Decoded {
    pub(super) command: Command,
    pub(super) upload: Option<Upload>,
    pub(super) share: Option<MemoryShare>,
    pub(super) idempotency: Option<IdempotencyKey>,
}

/// Who asks, and when.
pub(super) struct Asker {
    pub(super) caller: Caller,
    pub(super) now: Timestamp,
    /// Who judges what stands before a fault.
    pub(super) engine: Engine,
}

impl Asker {
    /// What a request is refused for that its dialect cannot read to its end.
    async fn first_fault(&self, dialect: &'static dyn Dialect, unread: Box<Unread>) -> Failure {
        let Unread { fault, before } = *unread;
        let at_once = dialect.info().refused_at_once;
        self.engine.refusal_of(&self.caller, before, at_once).await.unwrap_or(fault)
    }
}

/// A request that its dialect refuses.
struct Unread {
    fault: Failure,
    /// What stands before the fault.
    before: Vec<Submission>,
}

/// What a codec is told of a request beside its body.
struct Envelope {
    dialect: &'static dyn Dialect,
    operation: Operation,
    method: &'static Method,
    route_path: &'static str,
    path_params: Vec<(String, String)>,
    query: Vec<(String, String)>,
    org: Option<OrgId>,
    now: Timestamp,
    /// Whether the caller names the request by `Idempotency-Key`.
    is_named: bool,
}

impl Envelope {
    fn decode(&self, body: Body<'_>) -> Result<Command, Box<Unread>> {
        let request = Request {
            operation: self.operation,
            method: self.method,
            route_path: self.route_path,
            path_params: &self.path_params,
            query: &self.query,
            org: self.org.as_ref(),
            now: self.now,
            new_id: || Uuid::now_v7().to_string(),
            body,
        };
        self.dialect.decode(&request).map_err(|fault| {
            let before = self.dialect.before_fault(&request);
            Box::new(Unread { fault, before })
        })
    }

    /// The vendor's own name for the request, where it has one and the header gives none.
    fn own_name(&self, command: &Command) -> Option<String> {
        if self.is_named { None } else { self.dialect.idempotency_key(command) }
    }

    /// The fingerprint's beginning: the path, where keys hold for all of a dialect's paths.
    fn digest(&self) -> Sha256 {
        let mut digest = Sha256::new();
        if self.dialect.info().idempotency_scope == IdempotencyScope::Dialect {
            digest.update(self.method.as_str());
            digest.update(self.route_path);
        }
        digest
    }
}

/// Reads a body of the kind that the route declares.
pub(super) async fn receive(
    app: &App,
    route: &'static Route,
    headers: &HeaderMap,
    body: HttpBody,
) -> Result<Received, Refusal> {
    if route.body == BodyKind::None {
        return Ok(Received::Nothing);
    }
    let pace = app.limits.body_pace;
    let refuse = Refusal::of_body(route);
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let max_bytes = route.body.max_bytes_of(content_type);
    let reader = BodyReader::new(headers, body, max_bytes, pace).map_err(&refuse)?;
    match route.body.form_parts(content_type) {
        None => {
            let (bytes, share) = reader.read_whole(&app.memory).await.map_err(refuse)?;
            Ok(Received::Json(bytes, share))
        }
        Some(parts) => {
            // Rare and large, like the form itself.
            let form = Box::pin(uploads::receive(&app.engine, content_type, reader, parts));
            Ok(Received::Form(Box::new(form.await.map_err(Refusal::at(route))?)))
        }
    }
}

/// Decodes a request whose body has come.
pub(super) async fn decode(
    dialect: &'static dyn Dialect,
    route: &'static Route,
    params: &RawPathParams,
    parts: &Parts,
    asker: Asker,
    received: Received,
) -> Result<Decoded, Refusal> {
    let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let heeds_header = dialect.info().heeds_idempotency_key;
    let envelope = Envelope {
        dialect,
        operation: route.operation,
        method: &route.method,
        route_path: route.path,
        path_params: params.collect(),
        query: query_pairs(&parts.uri),
        org: asker.caller.org_id.clone(),
        now: asker.now,
        is_named: heeds_header && parts.headers.contains_key(IDEMPOTENCY_KEY),
    };
    let refuse = Refusal::at(route);
    let (decoded, name) = match received {
        Received::Nothing => {
            let command = envelope.decode(Body::None).map_err(|unread| refuse(unread.fault))?;
            return Ok(Decoded { command, upload: None, share: None, idempotency: None });
        }
        Received::Form(received) => {
            let command = envelope.decode(Body::Form(&received.form));
            let command = command.map_err(|unread| refuse(unread.fault))?;
            let name = envelope.own_name(&command);
            let upload = received.upload;
            let fingerprint = Some(received.fingerprint);
            (Read { command, fingerprint, upload, share: None }, name)
        }
        Received::Json(bytes, share) => decode_json(envelope, bytes, share, &asker).await?,
    };
    let key = if heeds_header {
        idempotency_key(&parts.headers).map_err(&refuse)?.or(name)
    } else {
        name
    };
    let idempotency =
        key.zip(decoded.fingerprint).map(|(key, fingerprint)| IdempotencyKey { key, fingerprint });
    let Read { command, upload, share, .. } = decoded;
    Ok(Decoded { command, upload, share, idempotency })
}

struct Read {
    command: Command,
    fingerprint: Option<[u8; 32]>,
    upload: Option<Upload>,
    share: Option<MemoryShare>,
}

async fn decode_json(
    envelope: Envelope,
    bytes: Vec<u8>,
    mut share: MemoryShare,
    asker: &Asker,
) -> Result<(Read, Option<String>), Refusal> {
    let dialect = envelope.dialect;
    let work = move || {
        let large = bytes.len() as u64;
        let command = envelope.decode(Body::Json(&bytes));
        let name = command.as_ref().ok().and_then(|command| envelope.own_name(command));
        let wants_fingerprint = envelope.is_named || name.is_some();
        let fingerprint =
            wants_fingerprint.then(|| fingerprint(envelope.digest(), &bytes)).flatten();
        (command, name, fingerprint, large)
    };
    let (command, name, fingerprint, large) = off_thread(share.is_large(), work).await?;
    let command = match command {
        Ok(command) => command,
        Err(unread) => return Err(asker.first_fault(dialect, unread).await.into()),
    };
    // The body is gone by now; of what was decoded from it nothing is larger.
    share.shrink_to(large);
    Ok((Read { command, fingerprint, upload: None, share: Some(share) }, name))
}

fn query_pairs(uri: &Uri) -> Vec<(String, String)> {
    let query = uri.query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// SHA-256 of the canonical form; `None` where the body is no JSON, which decoding will tell.
fn fingerprint(mut digest: Sha256, bytes: &[u8]) -> Option<[u8; 32]> {
    json::canonical(bytes, &mut |part| digest.update(part)).ok()?;
    Some(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_requests_have_equal_fingerprints_whatever_their_spelling() {
        let of = |bytes: &[u8]| fingerprint(Sha256::new(), bytes);
        let one = of(br#"{"a":1,"b":"x"}"#);
        assert!(one.is_some());
        assert_eq!(one, of(b"{ \"b\" : \"x\",\n\"a\":1 }"));
        assert_ne!(one, of(br#"{"a":1,"b":"y"}"#));
        assert_eq!(of(b"{"), None);
    }
}
