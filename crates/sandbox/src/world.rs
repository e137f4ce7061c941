//! Control calls about the simulated world: people, business numbers, reviews of templates and
//! states of flows.

use std::collections::HashMap;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use serde_json::{Map, Value, json};

use crate::control_call::{Outcome, Refusal, answer, flag, only, read_object, text};
use crate::flows::FlowStatus;
use crate::numbers::NUMBERS_MAX;
use crate::people::{NOT_ON_WHATSAPP, Person};
use crate::reviews::STATUSES;
use crate::routes::names_something;
use crate::state::{Number, State};
use crate::validate::{is_user_id, phone_digits};
use crate::{Sandbox, chat_view, inbound};

/// People in one answer.
const PEOPLE_LISTED_MAX: usize = 1_000;
const IDENTITY_HASH_MAX_CHARS: usize = 128;
const TOO_MANY_PEOPLE: &str = "the sandbox knows no more people";
/// What a control call can say of a person.
const PERSON_MEMBERS: [&str; 10] = [
    "phone",
    "to",
    "name",
    "username",
    "user_id",
    "on_whatsapp",
    "blocks_business",
    "change_identity",
    "identity_key_hash",
    "change_number_to",
];

/// The routes of these calls.
pub(crate) fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/_sandbox/people", post(post_people).get(get_people))
        .route("/_sandbox/numbers", post(post_numbers).get(get_numbers))
        .route("/_sandbox/templates/{id}", post(post_template))
        .route("/_sandbox/flows/{id}", get(get_flow).post(post_flow))
}

fn describe(person: &Person) -> Value {
    json!({
        "phone": person.phone,
        "user_id": person.user_id,
        "username": person.username,
        "name": person.name,
        "on_whatsapp": person.on_whatsapp,
        "blocks_business": person.blocks_business,
        "identity_key_hash": person.identity_hash(),
    })
}

async fn get_people(
    Shared(sandbox): Shared<Sandbox>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let state = sandbox.state();
    let wanted = query.get("phone").or_else(|| query.get("user_id"));
    let data: Vec<Value> = match wanted {
        Some(address) => {
            let digits = phone_digits(address);
            let found = state.people.find(digits.as_deref().unwrap_or(address));
            found.map(|person| describe(state.people.get(person))).into_iter().collect()
        }
        None => {
            let known = state.people.indices().map(|person| state.people.get(person));
            known.filter(|person| person.known).take(PEOPLE_LISTED_MAX).map(describe).collect()
        }
    };
    drop(state);
    answer(Ok(json!({ "data": data })))
}

async fn post_people(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        change_person(&sandbox, &body).await
    };
    answer(outcome.await)
}

/// Adds a person or changes one: name, WhatsApp, blocking, user id, identity, number.
async fn change_person(sandbox: &Sandbox, body: &Map<String, Value>) -> Outcome {
    only(body, &PERSON_MEMBERS)?;
    let phone = text(body, "phone")?.and_then(phone_digits);
    let phone = phone.ok_or_else(|| Refusal::bad("phone must have 7 to 15 digits"))?;
    let change = PersonChange::read(body)?;
    let person = {
        let mut state = sandbox.state();
        change.check(&state, &phone)?;
        state.apply_to_person(&phone, &change)?
    };
    if let Some(hash) = person.new_hash {
        let identity = json!({"acknowledged": true, "created_timestamp":
            (sandbox.0.clock.now_ms() / 1_000).to_string(), "hash": hash});
        let system = json!({"type": "customer_identity_changed", "identity": identity,
                            "body": "The identity of the user has changed"});
        tell_system(sandbox, &phone, change.to, system).await?;
    }
    if let Some(new) = &change.new_number {
        let system = json!({"type": "user_changed_number", "wa_id": new,
                            "body": format!("User changed from {phone} to {new}")});
        tell_system(sandbox, &phone, change.to, system).await?;
        if !sandbox.state().people.change_number(person.index, new) {
            return Err(Refusal::bad(TOO_MANY_PEOPLE));
        }
    }
    let state = sandbox.state();
    state.note_any_change();
    Ok(describe(state.people.get(person.index)))
}

/// What a control call says of a person. Absent members stay as they are.
struct PersonChange<'a> {
    name: Option<&'a str>,
    username: Option<&'a str>,
    user_id: Option<&'a str>,
    on_whatsapp: Option<bool>,
    blocks_business: Option<bool>,
    change_identity: bool,
    identity_hash: Option<&'a str>,
    /// Digits.
    new_number: Option<String>,
    /// The business number that is told of it.
    to: Option<&'a str>,
}

impl<'a> PersonChange<'a> {
    fn read(body: &'a Map<String, Value>) -> Result<Self, Refusal> {
        let new_number = text(body, "change_number_to")?.map(|new| {
            let digits = phone_digits(new);
            digits.ok_or_else(|| Refusal::bad("change_number_to must have 7 to 15 digits"))
        });
        let change = Self {
            name: text(body, "name")?,
            username: text(body, "username")?,
            user_id: text(body, "user_id")?,
            on_whatsapp: flag(body, "on_whatsapp")?,
            blocks_business: flag(body, "blocks_business")?,
            change_identity: flag(body, "change_identity")?.unwrap_or(false),
            identity_hash: text(body, "identity_key_hash")?,
            new_number: new_number.transpose()?,
            to: text(body, "to")?,
        };
        if change.user_id.is_some_and(|user_id| !is_user_id(user_id)) {
            return Err(Refusal::bad("user_id must look like US.13491208655302741918"));
        }
        let fits = |hash: &str| (1..=IDENTITY_HASH_MAX_CHARS).contains(&hash.chars().count());
        if change.identity_hash.is_some_and(|hash| !fits(hash)) {
            return Err(Refusal::bad("identity_key_hash has 1 to 128 characters"));
        }
        Ok(change)
    }

    /// Refuses what cannot be for the person of this number, before anything is changed.
    fn check(&self, state: &State, phone: &str) -> Result<(), Refusal> {
        if self.to.is_some_and(|to| state.find_number_by_any(to).is_none()) {
            return Err(Refusal::unknown("to names no business number"));
        }
        if self.user_id.is_some_and(|user_id| state.people.is_anothers(user_id, phone)) {
            return Err(Refusal::bad("user_id is the id of somebody else"));
        }
        let Some(new) = &self.new_number else { return Ok(()) };
        if new == phone || state.find_number_by_any(new).is_some() {
            return Err(Refusal::bad("change_number_to is the old number or a business's"));
        }
        let holder = state.people.find(new).map(|holder| state.people.get(holder));
        if holder.is_some_and(|holder| holder.known) {
            return Err(Refusal::bad("change_number_to is the number of somebody else"));
        }
        let this = state.people.find(phone).map(|person| state.people.get(person));
        let is_there = this.map_or(phone != NOT_ON_WHATSAPP, |this| this.on_whatsapp);
        if !self.on_whatsapp.unwrap_or(is_there) {
            return Err(Refusal::bad("change_number_to: this person is not on WhatsApp"));
        }
        Ok(())
    }
}

/// A person after a control call.
struct Changed {
    index: u32,
    /// The identity hash, if it is another one than before.
    new_hash: Option<String>,
}

async fn tell_system(
    sandbox: &Sandbox,
    phone: &str,
    to: Option<&str>,
    system: Value,
) -> Result<(), Refusal> {
    let mut message = json!({"from": phone, "type": "system", "system": system});
    if let Some(to) = to {
        message["to"] = to.into();
    }
    let message = message.as_object().cloned().unwrap_or_default();
    inbound::receive(sandbox, message).await?;
    Ok(())
}

impl State {
    /// Takes over what a control call says, but for the new number.
    fn apply_to_person(
        &mut self,
        phone: &str,
        change: &PersonChange<'_>,
    ) -> Result<Changed, Refusal> {
        let is_new = self.people.find(phone).is_none();
        let index = self.people.ensure(phone);
        let index = index.ok_or_else(|| Refusal::bad(TOO_MANY_PEOPLE))?;
        if let Some(user_id) = change.user_id {
            self.people.give_user_id(index, user_id);
        }
        let this = self.people.get_mut(index);
        let before = this.identity_hash();
        this.known = true;
        let given = |value: Option<&str>, kept: &mut Option<Box<str>>| {
            if let Some(value) = value {
                *kept = Some(value.into());
            }
        };
        given(change.name, &mut this.name);
        given(change.username, &mut this.username);
        this.on_whatsapp = change.on_whatsapp.unwrap_or(this.on_whatsapp);
        this.blocks_business = change.blocks_business.unwrap_or(this.blocks_business);
        if change.change_identity {
            this.identity += 1;
            this.given_hash = None;
        }
        given(change.identity_hash, &mut this.given_hash);
        let after = this.identity_hash();
        // Somebody who was not there before has changed nothing.
        Ok(Changed { index, new_hash: (!is_new && before != after).then_some(after) })
    }

    /// Adds a registered number, in an account of its own if that is new.
    fn add_business_number(&mut self, body: &Map<String, Value>) -> Outcome {
        only(body, &["display_phone_number", "verified_name", "phone_number_id", "waba_id"])?;
        let display = text(body, "display_phone_number")?.and_then(phone_digits);
        let display =
            display.ok_or_else(|| Refusal::bad("display_phone_number must have 7 to 15 digits"))?;
        if self.numbers.len() >= NUMBERS_MAX {
            return Err(Refusal::bad("there are too many numbers"));
        }
        let id = match text(body, "phone_number_id")? {
            Some(id) => id.to_owned(),
            None => (310_000_000_000_000 + self.numbers.len()).to_string(),
        };
        let name = text(body, "verified_name")?.unwrap_or("Sandbox number");
        let waba = match (text(body, "waba_id")?, self.wabas.first()) {
            (Some(id), _) => id.to_owned(),
            (None, Some(first)) => first.id.to_string(),
            (None, None) => return Err(Refusal::bad("waba_id is missing")),
        };
        self.check_free(&id, &waba, &display)?;
        let is_new = self.find_waba(&waba).is_none();
        let waba = self.ensure_waba(&waba);
        if is_new {
            self.seed_templates(waba);
        }
        let number = self.add_number(Number::new(&id, waba, &display, name));
        self.note_any_change();
        Ok(describe_number(self, number))
    }

    /// Refuses a number, or ids of a number and its account, that are something else's already.
    fn check_free(&self, id: &str, waba: &str, display: &str) -> Result<(), Refusal> {
        let is_id =
            |id: &str| (5..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
        if !is_id(id) || !is_id(waba) {
            return Err(Refusal::bad("phone_number_id and waba_id are 5 to 32 digits"));
        }
        let is_number = |name: &str| self.find_number_by_any(name).is_some();
        if is_number(id) || is_number(display) || names_something(self, id) || id == waba {
            return Err(Refusal::bad("this number or phone_number_id exists already"));
        }
        if self.find_waba(waba).is_none() && names_something(self, waba) {
            return Err(Refusal::bad("waba_id is the id of something else"));
        }
        Ok(())
    }
}

fn describe_number(state: &State, number: u32) -> Value {
    let mut view = chat_view::number(state, number);
    view["waba_id"] = state.waba(state.number(number).waba).id.as_ref().into();
    view
}

async fn get_numbers(Shared(sandbox): Shared<Sandbox>) -> Response {
    let state = sandbox.state();
    let indices = 0..u32::try_from(state.numbers.len()).unwrap_or(u32::MAX);
    let data: Vec<Value> = indices.map(|number| describe_number(&state, number)).collect();
    drop(state);
    answer(Ok(json!({ "data": data })))
}

async fn post_numbers(Shared(sandbox): Shared<Sandbox>, body: Body) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        sandbox.state().add_business_number(&body)
    };
    answer(outcome.await)
}

async fn post_template(
    Shared(sandbox): Shared<Sandbox>,
    Path(id): Path<String>,
    body: Body,
) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        only(&body, &["status", "reason"])?;
        let (status, reason) = (text(&body, "status")?.unwrap_or(""), text(&body, "reason")?);
        if !STATUSES.contains(&status) {
            return Err(Refusal::bad(format!("status is one of {}", STATUSES.join(", "))));
        }
        let mut state = sandbox.state();
        if state.templates.get(&id).is_none() {
            return Err(Refusal::unknown("there is no such template"));
        }
        state.set_template_status(&id, status, reason);
        Ok(json!({"id": id, "status": status}))
    };
    answer(outcome.await)
}

/// The JSON of a flow, as uploaded, by its id or its name.
async fn get_flow(Shared(sandbox): Shared<Sandbox>, Path(id): Path<String>) -> Response {
    let state = sandbox.state();
    let wabas = 0..u32::try_from(state.wabas.len()).unwrap_or(u32::MAX);
    let by_name = || wabas.into_iter().find_map(|waba| state.flows.named(waba, &id));
    let flow = state.flows.get(&id).or_else(by_name);
    let definition = flow.and_then(|flow| flow.definition.as_ref());
    let Some(text) = definition.map(|definition| definition.text.to_string()) else {
        drop(state);
        return answer(Err(Refusal::unknown("there is no such flow, or it has no JSON")));
    };
    drop(state);
    let headers = [(CONTENT_TYPE, "application/json"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (StatusCode::OK, headers, text).into_response()
}

async fn post_flow(
    Shared(sandbox): Shared<Sandbox>,
    Path(id): Path<String>,
    body: Body,
) -> Response {
    let outcome = async {
        let body = read_object(body).await?;
        only(&body, &["status"])?;
        let status = text(&body, "status")?.and_then(FlowStatus::parse);
        let status = status.ok_or_else(|| {
            Refusal::bad("status is DRAFT, PUBLISHED, DEPRECATED, BLOCKED or THROTTLED")
        })?;
        let mut state = sandbox.state();
        if state.flows.get(&id).is_none() {
            return Err(Refusal::unknown("there is no such flow"));
        }
        state.set_flow_status(&id, status);
        Ok(json!({"id": id, "status": status.name()}))
    };
    answer(outcome.await)
}
