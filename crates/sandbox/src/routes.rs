//! Finds what a call of the Cloud API is about (number, WABA, template, flow, media, application), checks
//! its token and hands it to the operation. The control plane and the page have routes of their own.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::middleware;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::json;

use crate::call::Call;
use crate::config::APP_ID;
use crate::entropy;
use crate::errors::{Answer, GraphError, json_response};
use crate::faults::Occasion;
use crate::state::State;
use crate::{
    Sandbox, blocking, control, flow_api, handset_api, hosts, media, messages, numbers, resumable,
    subscriptions, template_api,
};

const DEFAULT_VERSION: &str = "v23.0";

/// All routes.
pub(crate) fn router(sandbox: &Sandbox) -> Router {
    Router::new()
        .merge(handset_api::routes())
        .merge(control::routes())
        .fallback(graph)
        .layer(middleware::from_fn_with_state(sandbox.clone(), hosts::known_name))
        .with_state(sandbox.clone())
}

/// What the first path component names.
enum Object {
    Number(u32),
    Waba(u32),
    Template(Arc<str>),
    Flow(Arc<str>),
    Media(Arc<str>),
    App,
    UploadSession(String),
}

async fn graph(Shared(sandbox): Shared<Sandbox>, request: Request<Body>) -> Response {
    let call = Call::new(request);
    let version = call.version.clone();
    let (waba, answer) = answer(&sandbox, call).await;
    let mut response = answer.unwrap_or_else(GraphError::into_response);
    let headers = response.headers_mut();
    let version = version.as_deref().unwrap_or(DEFAULT_VERSION);
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.entry(HeaderName::from_static(name)).or_insert(value);
        }
    };
    set("facebook-api-version", version);
    set("x-app-usage", r#"{"call_count":0,"total_cputime":0,"total_time":0}"#);
    if let Some(waba) = waba {
        set("x-business-use-case-usage", &sandbox.state().usage(waba));
    }
    set("x-fb-request-id", &entropy::trace_id());
    set("x-fb-trace-id", &entropy::trace_id());
    response
}

/// The WABA whose calls are counted, and the answer.
async fn answer(sandbox: &Sandbox, call: Call) -> (Option<u32>, Answer<Response>) {
    if call.path.first().is_some_and(|first| first == media::DOWNLOAD_PATH) {
        return (None, media::download(sandbox, call).await);
    }
    if call.path.first().is_some_and(|first| first == "_sandbox") {
        let path = format!("/{}", call.path.join("/"));
        return (None, Err(GraphError::unknown_path(&path)));
    }
    if call.path == ["oauth", "access_token"] {
        return (None, subscriptions::app_token(sandbox, &call));
    }
    if let Err(error) = authorise(sandbox, &call) {
        return (None, Err(error));
    }
    let first = call.path.first().map_or("", String::as_str);
    let found = find(&sandbox.state(), first);
    let object = match found {
        Ok(object) => object,
        Err(error) => return (None, Err(error)),
    };
    let waba = object.waba(&sandbox.state());
    (waba, perform(sandbox, call, object).await)
}

fn authorise(sandbox: &Sandbox, call: &Call) -> Answer<()> {
    match (call.bearer(), sandbox.0.access_token.as_deref()) {
        (None, _) if call.headers.contains_key(http::header::AUTHORIZATION) => {
            Err(GraphError::bad_token())
        }
        (None, _) => Err(GraphError::no_token(call.is_get())),
        (Some(_), None) => Ok(()),
        (Some(given), Some(expected)) if given == expected => Ok(()),
        (Some(given), Some(_)) if subscriptions::is_app_token(sandbox, call, given) => Ok(()),
        (Some(_), Some(_)) => Err(GraphError::bad_token()),
    }
}

fn find(state: &State, id: &str) -> Answer<Object> {
    if let Some(number) = state.find_number(id) {
        return Ok(Object::Number(number));
    }
    if let Some(waba) = state.find_waba(id) {
        return Ok(Object::Waba(waba));
    }
    if let Some(template) = state.templates.get(id) {
        return Ok(Object::Template(Arc::clone(&template.id)));
    }
    if let Some(flow) = state.flows.get(id) {
        return Ok(Object::Flow(Arc::clone(&flow.id)));
    }
    if let Some(media) = state.media.get(id, state.now_ms()) {
        return Ok(Object::Media(Arc::clone(&media.id)));
    }
    if id == APP_ID {
        return Ok(Object::App);
    }
    if let Some(session) = id.strip_prefix("upload:") {
        return Ok(Object::UploadSession(session.to_owned()));
    }
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(GraphError::unknown_object(id));
    }
    Err(GraphError::unknown_path(&format!("/{id}")))
}

/// Whether something has this id already.
pub(crate) fn names_something(state: &State, id: &str) -> bool {
    find(state, id).is_ok()
}

impl Object {
    fn waba(&self, state: &State) -> Option<u32> {
        match self {
            Self::Number(number) => Some(state.number(*number).waba),
            Self::Waba(waba) => Some(*waba),
            Self::Template(id) => state.templates.get(id).map(|template| template.waba),
            Self::Flow(id) => state.flows.get(id).map(|flow| flow.waba),
            Self::Media(_) | Self::App | Self::UploadSession(_) => None,
        }
    }

    /// Phone number id (or WABA id) and display number, as fault rules name them.
    fn names(&self, state: &State) -> (Arc<str>, Box<str>) {
        match self {
            Self::Number(number) => {
                let number = state.number(*number);
                (Arc::clone(&number.id), number.display.clone())
            }
            Self::Waba(waba) => (Arc::clone(&state.waba(*waba).id), Box::from("")),
            _ => (Arc::from(""), Box::from("")),
        }
    }
}

async fn perform(sandbox: &Sandbox, call: Call, object: Object) -> Answer<Response> {
    if call.path.len() > 2 {
        return Err(GraphError::unknown_path(&format!("/{}", call.path[1..].join("/"))));
    }
    let edge = call.path.get(1).cloned().unwrap_or_default();
    if let (Object::Number(number), "messages") = (&object, edge.as_str()) {
        return match call.method {
            Method::POST => messages::post(sandbox, call, *number).await,
            _ => Err(GraphError::wrong_method("POST")),
        };
    }
    let kind = match (&object, edge.as_str()) {
        (Object::Media(_), _) | (_, "media") => "media",
        (Object::Template(_), _) | (_, "message_templates") => "message_templates",
        _ => "management",
    };
    let effect = {
        let (id, display) = object.names(&sandbox.state());
        let from = (id.as_ref(), display.as_ref());
        call.effect(sandbox, Occasion { to: "", from, kind, is_message: false })?
    };
    if let Some(response) = effect.before().await? {
        return Ok(response);
    }
    if kind != "media" {
        let mut state = sandbox.state();
        let waba = object.waba(&state);
        state.charge_management(waba)?;
    }
    effect.after(operate(sandbox, call, object, &edge).await)
}

async fn operate(sandbox: &Sandbox, call: Call, object: Object, edge: &str) -> Answer<Response> {
    match object {
        Object::Number(number) => number_edge(sandbox, call, number, edge).await,
        Object::Waba(waba) => waba_edge(sandbox, call, waba, edge).await,
        Object::Template(id) if edge.is_empty() => template_api::one(sandbox, call, &id).await,
        Object::Flow(id) => flow_api::one(sandbox, call, &id, edge).await,
        Object::Media(id) if edge.is_empty() => media::one(sandbox, &call, &id),
        Object::UploadSession(id) if edge.is_empty() => resumable::part(sandbox, call, &id).await,
        Object::App => match edge {
            "subscriptions" => subscriptions::app(sandbox, call).await,
            "uploads" => resumable::begin(sandbox, call).await,
            "" => Ok(json_response(200, &json!({"id": APP_ID, "name": "Waypost sandbox"}))),
            _ => Err(unknown_edge(edge)),
        },
        _ => Err(unknown_edge(edge)),
    }
}

fn unknown_edge(edge: &str) -> GraphError {
    GraphError::unknown_path(&format!("/{edge}"))
}

async fn number_edge(sandbox: &Sandbox, call: Call, number: u32, edge: &str) -> Answer<Response> {
    match edge {
        "" => numbers::one(sandbox, call, number).await,
        "media" => media::upload(sandbox, call).await,
        "register" => numbers::register(sandbox, call, number).await,
        "deregister" => numbers::deregister(sandbox, call, number).await,
        "request_code" => numbers::request_code(sandbox, call, number).await,
        "verify_code" => numbers::verify_code(sandbox, call, number).await,
        "settings" => numbers::settings(sandbox, call, number).await,
        "whatsapp_business_profile" => numbers::profile(sandbox, call, number).await,
        "block_users" => blocking::block_users(sandbox, call, number).await,
        _ => Err(unknown_edge(edge)),
    }
}

async fn waba_edge(sandbox: &Sandbox, call: Call, waba: u32, edge: &str) -> Answer<Response> {
    match edge {
        "" => numbers::account(sandbox, &call, waba),
        "phone_numbers" => numbers::of_account(sandbox, call, waba).await,
        "message_templates" => template_api::of_account(sandbox, call, waba).await,
        "flows" => flow_api::of_account(sandbox, call, waba).await,
        "subscribed_apps" => subscriptions::of_account(sandbox, call, waba).await,
        _ => Err(unknown_edge(edge)),
    }
}

impl State {
    /// Counts a management call; refuses it when the hour's are used up.
    fn charge_management(&mut self, waba: Option<u32>) -> Answer<()> {
        let Some(waba) = waba else { return Ok(()) };
        let (now_ms, limit) = (self.now_ms(), self.limits.management_per_hour);
        if self.waba_mut(waba).calls.admit(now_ms, limit) {
            return Ok(());
        }
        Err(GraphError::new(80_007, "The management calls of this hour are used up."))
    }

    /// The value of `x-business-use-case-usage`.
    fn usage(&self, waba: u32) -> String {
        let this = self.waba(waba);
        let percent = this.calls.used_percent(self.limits.management_per_hour);
        let regain = if percent >= 100 { this.calls.minutes_left(self.now_ms()) } else { 0 };
        format!(
            r#"{{"{}":[{{"type":"whatsapp","call_count":{percent},"total_cputime":0,"total_time":0,"estimated_time_to_regain_access":{regain}}}]}}"#,
            this.id
        )
    }
}
