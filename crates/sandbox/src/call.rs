//! One call of the Cloud API: its path, query, body and what is done to it by fault rules. It
//! knows no operation.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Map, Value};

use crate::Sandbox;
use crate::errors::{Answer, Failure, GraphError, is_asynchronous};
use crate::faults::{Effect, Occasion, Reset};

/// The largest JSON body.
pub(crate) const BODY_MAX_BYTES: usize = 1_048_576;
/// A fault for one call, as the `do` object of a rule.
const FAULT_HEADER: &str = "x-sandbox-fault";

/// Marks an answer whose connection is to be cut instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CutConnection;

/// A call that is being answered.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// Path components without the version.
    pub(crate) path: Vec<String>,
    pub(crate) version: Option<String>,
    pub(crate) query: HashMap<String, String>,
    pub(crate) body: Body,
}

impl Call {
    pub(crate) fn new(request: Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        let mut path: Vec<String> = parts
            .uri
            .path()
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        let version = path.first().filter(|first| is_version(first)).cloned();
        if version.is_some() {
            path.remove(0);
        }
        let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes());
        let query = pairs.into_owned().collect();
        Self { method: parts.method, headers: parts.headers, path, version, query, body }
    }

    pub(crate) fn is_get(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// The token of `Authorization: Bearer …`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let value = self.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        let token = token.trim();
        // Resumable uploads say OAuth.
        let is_known = ["bearer", "oauth"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        (is_known && !token.is_empty()).then_some(token)
    }

    /// The address under which the caller knows the sandbox.
    pub(crate) fn base_url(&self) -> String {
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        format!("http://{}", host.unwrap_or("localhost"))
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    async fn bytes(&mut self) -> Answer<Bytes> {
        let body = std::mem::replace(&mut self.body, Body::empty());
        match Limited::new(body, BODY_MAX_BYTES).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(GraphError::too_large())
            }
            Err(_) => Err(GraphError::parameter("The request body could not be read.")),
        }
    }

    /// The body as an object, and as the text to remember.
    pub(crate) async fn object(&mut self) -> Answer<(Map<String, Value>, String)> {
        let bytes = self.bytes().await?;
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.is_some_and(|t| t.starts_with("application/x-www-form-urlencoded")) {
            let object = form_object(&bytes);
            let text = serde_json::to_string(&object).unwrap_or_default();
            return Ok((object, text));
        }
        let object = serde_json::from_slice(&bytes)
            .map_err(|_| GraphError::parameter("The request body must be a JSON object."))?;
        let text = String::from_utf8(bytes.into())
            .map_err(|_| GraphError::parameter("The request body must be UTF-8."))?;
        Ok((object, text))
    }

    /// The members of the body and of the query together; the body may be empty.
    pub(crate) async fn parameters(&mut self) -> Answer<Map<String, Value>> {
        let from_query = self.query.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        let mut all: Map<String, Value> = from_query;
        let bytes = self.bytes().await?;
        if !bytes.iter().all(u8::is_ascii_whitespace) {
            self.body = Body::from(bytes);
            all.extend(self.object().await?.0);
        }
        Ok(all)
    }

    /// The fault that concerns this call, by its header or by a rule.
    pub(crate) fn effect(&self, sandbox: &Sandbox, occasion: Occasion<'_>) -> Answer<Effect> {
        if let Some(header) = self.headers.get(FAULT_HEADER) {
            let effect: Option<Effect> = serde_json::from_slice(header.as_bytes()).ok();
            return effect
                .filter(|effect| effect.check().is_ok())
                .ok_or_else(|| GraphError::parameter(format!("{FAULT_HEADER} is malformed.")));
        }
        Ok(sandbox.state().faults.for_call(occasion).unwrap_or_default())
    }
}

fn is_version(part: &str) -> bool {
    let Some(number) = part.strip_prefix('v') else { return false };
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_digits(major) && is_digits(minor)
}

/// Graph takes forms whose values may be JSON.
fn form_object(bytes: &[u8]) -> Map<String, Value> {
    url::form_urlencoded::parse(bytes)
        .map(|(name, text)| (name.into_owned(), form_value(&text)))
        .collect()
}

/// A value of a form: JSON if it is an object or an array, else the text.
pub(crate) fn form_value(text: &str) -> Value {
    let is_structure = text.starts_with(['{', '[']);
    let parsed = is_structure.then(|| serde_json::from_str(text).ok()).flatten();
    parsed.unwrap_or_else(|| Value::from(text))
}

impl Effect {
    /// What happens before the call is carried out: the delay, then perhaps an answer already.
    pub(crate) async fn before(&self) -> Answer<Option<Response>> {
        if let Some(latency_ms) = self.latency_ms {
            tokio::time::sleep(Duration::from_millis(latency_ms)).await;
        }
        if self.reset == Some(Reset::Before) {
            return Ok(Some(cut_connection()));
        }
        if let Some(status) = self.html {
            return Ok(Some(self.plain(status, html_page(status), "text/html; charset=utf-8")));
        }
        if let Some(code) = self.code {
            if self.asynchronous.unwrap_or_else(|| is_asynchronous(code)) {
                return Ok(None);
            }
            let error = match &self.details {
                Some(details) => GraphError::new(code, details.clone()),
                None => GraphError::code(code),
            };
            let error = match self.status {
                Some(status) => error.with_http(status),
                None => error,
            };
            return Err(error.with_retry_after(self.retry_after_s));
        }
        Ok(self.status.map(|status| self.plain(status, String::new(), "text/plain")))
    }

    /// The failure that an accepted message gets by this fault.
    pub(crate) fn failure(&self) -> Option<Failure> {
        let details = self.details.clone().unwrap_or_else(|| "Set by a fault rule.".into());
        self.code.map(|code| Failure::new(code, details))
    }

    /// The answer, or its loss.
    pub(crate) fn after(&self, answer: Answer<Response>) -> Answer<Response> {
        if self.reset == Some(Reset::After) { Ok(cut_connection()) } else { answer }
    }

    fn plain(&self, status: u16, body: String, content_type: &'static str) -> Response {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn html_page(status: u16) -> String {
    format!("<html><head><title>{status}</title></head><body><h1>Error {status}</h1></body></html>")
}

fn cut_connection() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.extensions_mut().insert(CutConnection);
    response
}
