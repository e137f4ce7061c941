//! The control plane under `/_sandbox`: what a test or a person does to the simulated world.

use std::collections::HashMap;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State as Shared};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::control_call::{Outcome, Refusal, answer, flag, only, read_object, same_origin, text};
use crate::errors::{Failure, json_response};
use crate::faults::RuleSpec;
use crate::log::{Direction, Entry, Status};
use crate::outbox::Order;
use crate::state::State;
use crate::validate::is_web_url;
use crate::{Sandbox, inbound, tapping, world};

/// Messages in one page of the ledger, and its default.
pub const LEDGER_PAGE_MAX: usize = 10_000;
/// The furthest the clock is moved by one call: ten years.
const ADVANCE_MAX_S: f64 = 315_360_000.0;

/// The routes of the control plane.
pub(crate) fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/_sandbox/inbound", post(post_inbound))
        .route("/_sandbox/tap", post(post_tap))
        .route("/_sandbox/messages", get(get_messages))
        .route("/_sandbox/status", post(post_status))
        .route("/_sandbox/faults", post(post_faults).get(get_faults).delete(delete_faults))
        .route("/_sandbox/limits", post(post_limits).get(get_limits))
        .route("/_sandbox/clock", get(get_clock))
        .route("/_sandbox/clock/advance", post(post_advance))
        .route("/_sandbox/state", axum::routing::delete(delete_state))
        .route("/_sandbox/webhook", post(post_webhook))
        .route("/_sandbox/webhooks", get(get_webhooks))
        .route("/_sandbox/webhooks/release", post(post_release))
        .merge(world::routes())
        .layer(middleware::from_fn(same_origin))
}

async fn post_inbound(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        let received = inbound::receive(&sandbox, body).await?;
        Ok(json!({"wamid": received.wamid, "message": received.message}))
    };
    answer(outcome.await)
}

async fn post_tap(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let received = tapping::tap(&sandbox, &read_object(body).await?).await?;
        Ok(json!({"wamid": received.wamid, "message": received.message}))
    };
    answer(outcome.await)
}

async fn get_messages(
    Shared(sandbox): Shared<Sandbox>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    match ledger_page(&sandbox.state(), &query) {
        Ok(page) => {
            let mut response = json_response(200, &Value::Null);
            *response.body_mut() = Body::from(page);
            response
        }
        Err(refusal) => answer(Err(refusal)),
    }
}

fn number_of(query: &HashMap<String, String>, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(text) = query.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Refusal::bad(format!("{name} must be a whole number")))
}

/// Outbound messages from a cursor on; `next` is the cursor for what comes after.
fn ledger_page(state: &State, query: &HashMap<String, String>) -> Result<String, Refusal> {
    let since = number_of(query, "since")?.unwrap_or(0).min(state.log.end());
    let limit = number_of(query, "limit")?.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(LEDGER_PAGE_MAX).clamp(1, LEDGER_PAGE_MAX);
    let mut seq = since.max(state.log.first());
    let mut rows: Vec<String> = Vec::new();
    while rows.len() < limit
        && let Some(entry) = state.log.get(seq)
    {
        if entry.direction == Direction::Out {
            rows.push(ledger_row(state, entry)?);
        }
        seq += 1;
    }
    // How many messages the bounded memory has let go.
    let forgotten = state.log.first();
    Ok(format!(r#"{{"data":[{}],"next":"{seq}","forgotten":{forgotten}}}"#, rows.join(",")))
}

fn ledger_row(state: &State, entry: &Entry) -> Result<String, Refusal> {
    #[derive(serde::Serialize)]
    struct Row<'a> {
        wamid: &'a str,
        from: &'a str,
        phone_number_id: &'a str,
        to: &'a str,
        r#type: &'a str,
        message: &'a RawValue,
        biz_opaque_callback_data: Option<&'a str>,
        accepted_at_ms: i64,
        statuses: Vec<Value>,
    }
    let number = state.number(entry.number);
    let failed = |error: serde_json::Error| Refusal::bad(error.to_string());
    let row = Row {
        wamid: &entry.wamid,
        from: &number.display,
        phone_number_id: &number.id,
        to: state.people.get(entry.person).address(),
        r#type: entry.kind,
        message: serde_json::from_str(&entry.raw).map_err(failed)?,
        biz_opaque_callback_data: entry.opaque.as_deref(),
        accepted_at_ms: entry.at_ms,
        statuses: entry
            .marks
            .iter()
            .map(|mark| {
                let mut status = json!({
                    "status": mark.status.name(),
                    "timestamp": (mark.at_ms / 1_000).to_string(),
                    "at_ms": mark.at_ms,
                });
                if let Some(failure) = &mark.failure {
                    status["errors"] = json!([failure.to_json()]);
                }
                status
            })
            .collect(),
    };
    serde_json::to_string(&row).map_err(failed)
}

async fn post_status(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        set_status(&mut sandbox.state(), &body)
    };
    answer(outcome.await)
}

/// Reports a status as told, also one that makes no sense after the earlier ones.
fn set_status(state: &mut State, body: &Map<String, Value>) -> Outcome {
    only(body, &["wamid", "status", "errors"])?;
    let wamid = text(body, "wamid")?.unwrap_or("");
    let status = Status::parse(text(body, "status")?.unwrap_or("")).ok_or_else(|| {
        Refusal::bad("status is sent, delivered, read, played, deleted or failed")
    })?;
    let seq = state.log.find(wamid);
    let entry = seq.and_then(|seq| Some((seq, state.log.get(seq)?)));
    let (seq, entry) = entry.ok_or_else(|| Refusal::unknown("there is no such message"))?;
    if entry.direction == Direction::In {
        return Err(Refusal::bad("the message is inbound"));
    }
    let (number, person) = (entry.number, entry.person);
    let errors = match body.get("errors") {
        None => &[][..],
        Some(Value::Array(errors)) => errors,
        Some(_) => return Err(Refusal::bad("errors must be an array")),
    };
    let failure = match (status, errors.first()) {
        (Status::Failed, None) => Some(Failure::new(131_000, "Set by a control call.")),
        (_, None) => None,
        (_, Some(error)) => {
            let failure = Failure::from_json(error);
            Some(failure.ok_or_else(|| Refusal::bad("errors[0].code must be a number"))?)
        }
    };
    if status == Status::Delivered {
        state.chat(number, person).deliver(seq);
    }
    state.report(seq, status, failure.map(Box::new));
    Ok(json!({"wamid": wamid, "status": status.name()}))
}

async fn post_faults(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        let spec: RuleSpec = serde_json::from_value(Value::Object(body))
            .map_err(|error| Refusal::bad(error.to_string()))?;
        Ok(json!({"id": sandbox.state().faults.add(spec)?}))
    };
    answer(outcome.await)
}

async fn get_faults(Shared(sandbox): Shared<Sandbox>) -> Response {
    answer(Ok(json!({"data": sandbox.state().faults.rules()})))
}

async fn delete_faults(
    Shared(sandbox): Shared<Sandbox>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let outcome = number_of(&query, "id").map(|id| {
        let removed = sandbox.state().faults.remove(id);
        json!({ "removed": removed })
    });
    answer(outcome)
}

async fn post_limits(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        let mut state = sandbox.state();
        let mut limits = state.limits.clone();
        limits.apply(&body)?;
        state.limits = limits;
        Ok(state.limits.to_json())
    };
    answer(outcome.await)
}

async fn get_limits(Shared(sandbox): Shared<Sandbox>) -> Response {
    answer(Ok(sandbox.state().limits.to_json()))
}

async fn get_clock(Shared(sandbox): Shared<Sandbox>) -> Response {
    answer(Ok(json!({"now_ms": sandbox.0.clock.now_ms()})))
}

async fn post_advance(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        only(&body, &["seconds"])?;
        let seconds = body.get("seconds").and_then(Value::as_f64);
        let seconds = seconds.filter(|seconds| (0.0..=ADVANCE_MAX_S).contains(seconds));
        let seconds = seconds.ok_or_else(|| {
            Refusal::bad("seconds must be a number from 0 to 315360000 (ten years)")
        })?;
        sandbox.0.clock.advance(Duration::from_secs_f64(seconds));
        // Windows may have closed.
        sandbox.state().note_any_change();
        Ok(json!({"now_ms": sandbox.0.clock.now_ms()}))
    };
    answer(outcome.await)
}

async fn delete_state(Shared(sandbox): Shared<Sandbox>) -> Response {
    sandbox.state().reset();
    answer(Ok(json!({"success": true})))
}

async fn post_webhook(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        let outcome = set_webhook(&mut sandbox.state(), &body);
        sandbox.0.wake.webhooks.notify_one();
        outcome
    };
    answer(outcome.await)
}

/// Points the webhooks somewhere without a handshake; absent members stay.
fn set_webhook(state: &mut State, body: &Map<String, Value>) -> Outcome {
    only(body, &["url", "verify_token", "app_secret", "version", "user_ids"])?;
    let mut app = state.app.clone();
    match body.get("url") {
        None => {}
        Some(Value::Null) => app.url = None,
        Some(Value::String(url)) if is_web_url(url) => app.url = Some(url.clone()),
        Some(Value::String(_)) => {
            return Err(Refusal::bad("url must be an http or https address"));
        }
        Some(_) => return Err(Refusal::bad("url must be a string or null")),
    }
    if let Some(token) = text(body, "verify_token")? {
        token.clone_into(&mut app.verify_token);
    }
    if let Some(secret) = text(body, "app_secret")? {
        secret.clone_into(&mut app.app_secret);
    }
    if let Some(version) = text(body, "version")? {
        let major = version.trim_start_matches('v').split('.').next().map(str::parse::<u32>);
        let Some(Ok(major)) = major else {
            return Err(Refusal::bad("version must look like v23.0"));
        };
        app.with_conversation = major <= 23;
    }
    app.with_user_ids = flag(body, "user_ids")?.unwrap_or(app.with_user_ids);
    state.app = app;
    Ok(json!({"url": state.app.url}))
}

/// Lets withheld webhooks go out.
async fn post_release(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let mut body = read_object(body).await?;
        only(&body, &["order"])?;
        let order = match body.remove("order") {
            None => Order::default(),
            Some(order) => serde_json::from_value(order)
                .map_err(|_| Refusal::bad("order is kept, reversed or shuffled"))?,
        };
        let released = sandbox.state().outbox.release(order);
        sandbox.0.wake.webhooks.notify_one();
        Ok(json!({"released": released}))
    };
    answer(outcome.await)
}

async fn get_webhooks(Shared(sandbox): Shared<Sandbox>) -> Response {
    let state = sandbox.state();
    let mut view = state.outbox.to_json();
    view["url"] = state.app.url.clone().into();
    drop(state);
    answer(Ok(view))
}
