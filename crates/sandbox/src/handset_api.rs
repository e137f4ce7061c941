//! The handset page and its JSON: chats, bubbles, what the person does, change events. How
//! things look is decided by `chat_view` and by the page itself.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State as Shared};
use axum::middleware;
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use futures_util::Stream;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::control_call::{Outcome, Refusal, answer, read_object, same_origin};
use crate::inbound::Received;
use crate::state::{Change, State};
use crate::validate::{is_user_id, phone_digits};
use crate::{Sandbox, chat_view, handset_media, inbound, page, tapping};

const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The routes of the page.
pub(crate) fn routes() -> Router<Sandbox> {
    let api = Router::new()
        .route("/_sandbox/handset/chats", get(get_chats))
        .route("/_sandbox/handset/people", post(post_person))
        .route("/_sandbox/handset/messages", get(get_messages))
        .route("/_sandbox/handset/send", post(post_send))
        .route("/_sandbox/handset/tap", post(post_tap))
        .route("/_sandbox/handset/read", post(post_read))
        .route("/_sandbox/handset/played", post(post_played))
        .route("/_sandbox/handset/events", get(get_events))
        .route("/_sandbox/handset/media/{id}", get(handset_media::get))
        .layer(middleware::from_fn(same_origin));
    Router::new().merge(page::routes()).merge(api)
}

async fn get_chats(Shared(sandbox): Shared<Sandbox>) -> Response {
    let state = sandbox.state();
    let view = json!({
        "data": chat_view::chats(&state),
        "numbers": chat_view::numbers(&state),
        "now_ms": state.now_ms(),
    });
    drop(state);
    answer(Ok(view))
}

async fn post_person(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        add_person(&mut sandbox.state(), &body)
    };
    answer(outcome.await)
}

fn add_person(state: &mut State, body: &Map<String, Value>) -> Outcome {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("").trim();
    let phone = phone_digits(text("phone"));
    let phone = phone.ok_or_else(|| Refusal::bad("The phone number needs 7 to 15 digits."))?;
    if state.numbers.is_empty() {
        return Err(Refusal::bad("There is no business number."));
    }
    let person = state.people.ensure(&phone);
    let person = person.ok_or_else(|| Refusal::bad("There are too many people."))?;
    let this = state.people.get_mut(person);
    this.known = true;
    if !text("name").is_empty() {
        this.name = Some(text("name").chars().take(100).collect::<String>().into());
    }
    state.note_change(0, person);
    Ok(chat_view::chat(state, 0, person))
}

/// The number and the person that a call names.
fn find_chat(state: &State, phone: &str, number: &str) -> Result<(u32, u32), Refusal> {
    let number = match number {
        "" if !state.numbers.is_empty() => Some(0),
        id => state.find_number(id),
    };
    let number = number.ok_or_else(|| Refusal::unknown("There is no such business number."))?;
    let digits = phone_digits(phone);
    let person = state.people.find(digits.as_deref().unwrap_or(phone));
    let person = person.ok_or_else(|| Refusal::unknown("There is no such person."))?;
    Ok((number, person))
}

async fn get_messages(
    Shared(sandbox): Shared<Sandbox>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let text = |name: &str| query.get(name).map_or("", String::as_str);
    let state = sandbox.state();
    let outcome = find_chat(&state, text("phone"), text("phone_number_id")).map(|key| {
        let after = text("after").parse::<u64>().ok();
        let shown = state.chats.get(&key).map(|chat| &chat.shown);
        let data: Vec<Value> = shown
            .into_iter()
            .flatten()
            .filter(|seq| after.is_none_or(|after| **seq > after))
            .filter_map(|seq| chat_view::bubble(&state, *seq))
            .collect();
        let chat = chat_view::chat(&state, key.0, key.1);
        json!({"data": data, "chat": chat, "now_ms": state.now_ms()})
    });
    drop(state);
    answer(outcome)
}

async fn post_send(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        let received = inbound::receive(&sandbox, own_message(body)?).await?;
        bubble_of(&sandbox, &received)
    };
    answer(outcome.await)
}

fn bubble_of(sandbox: &Sandbox, received: &Received) -> Outcome {
    let bubble = chat_view::bubble(&sandbox.state(), received.seq);
    bubble.ok_or_else(|| Refusal::bad("The message is gone already."))
}

/// What the person sends: `text`, or `message` as `POST /_sandbox/inbound` takes it, from and to
/// whom the page says.
fn own_message(mut body: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let mut message = match body.remove("message") {
        Some(Value::Object(message)) => message,
        Some(_) => return Err(Refusal::bad("message must be an object.")),
        None => {
            let text = body.get("text").and_then(Value::as_str).unwrap_or("");
            if text.trim().is_empty() {
                return Err(Refusal::bad("There is nothing to send."));
            }
            let mut message = Map::new();
            message.insert("type".into(), "text".into());
            message.insert("text".into(), json!({"body": text}));
            message
        }
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("");
    let member = if is_user_id(text("phone")) { "from_user_id" } else { "from" };
    message.insert(member.into(), text("phone").into());
    if !text("phone_number_id").is_empty() {
        message.insert("to".into(), text("phone_number_id").into());
    }
    Ok(message)
}

async fn post_tap(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let received = tapping::tap(&sandbox, &read_object(body).await?).await?;
        bubble_of(&sandbox, &received)
    };
    answer(outcome.await)
}

/// The person listens to a voice message: the first time is reported.
async fn post_played(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        let wamid = body.get("wamid").and_then(Value::as_str).unwrap_or("");
        Ok(json!({"played": sandbox.state().play(wamid)}))
    };
    answer(outcome.await)
}

async fn post_read(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("");
        let mut state = sandbox.state();
        let (number, person) = find_chat(&state, text("phone"), text("phone_number_id"))?;
        Ok(json!({"read": state.read_chat(number, person)}))
    };
    answer(outcome.await)
}

async fn get_events(
    Shared(sandbox): Shared<Sandbox>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = sandbox.state().changes.subscribe();
    let stream = futures_util::stream::unfold(changes, |mut changes| async move {
        let event = next_change(&mut changes).await?;
        Some((Ok(event), changes))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// The next event; `null`, also after a lag, so that the page fetches everything again.
async fn next_change(changes: &mut Receiver<Option<Change>>) -> Option<Event> {
    let data = match changes.recv().await {
        Ok(Some(change)) => {
            json!({"phone": change.phone, "phone_number_id": change.phone_number_id})
        }
        Ok(None) | Err(RecvError::Lagged(_)) => Value::Null,
        Err(RecvError::Closed) => return None,
    };
    Some(Event::default().event("change").data(data.to_string()))
}
