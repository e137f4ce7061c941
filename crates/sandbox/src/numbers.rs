//! Numbers and accounts: reading them, registration, profile, settings (reference §8).

use axum::response::Response;
use http::Method;
use serde_json::{Map, Value, json};

use crate::Sandbox;
use crate::call::Call;
use crate::errors::{Answer, GraphError, json_response};
use crate::paging::page;
use crate::state::{Number, State};
use crate::template_api::select;
use crate::validate::{check_product, phone_digits};
use crate::webhooks;

/// The code that a requested text message or call would bring.
const VERIFICATION_CODE: &str = "123456";
/// Register and deregister calls within [`REGISTRATION_SPAN_MS`].
const REGISTRATIONS_MAX: usize = 10;
const REGISTRATION_SPAN_MS: i64 = 72 * 3_600_000;
/// Numbers of one account.
pub(crate) const NUMBERS_MAX: usize = 1_000;

fn success() -> Answer<Response> {
    Ok(json_response(200, &json!({"success": true})))
}

fn post_only(call: &Call) -> Answer<()> {
    if call.method == Method::POST { Ok(()) } else { Err(GraphError::wrong_method("POST")) }
}

fn describe(state: &State, number: u32) -> Value {
    let number = state.number(number);
    let level = match state.limits.throughput_per_s {
        Some(limit) if limit <= 80 => "STANDARD",
        _ => "HIGH",
    };
    let mut webhook = Map::new();
    if let Some(url) = &state.app.url {
        webhook.insert("application".into(), url.clone().into());
    }
    if let Some(url) = &number.webhook_override {
        webhook.insert("phone_number".into(), url.as_ref().into());
    }
    json!({
        "verified_name": number.verified_name,
        "code_verification_status": if number.verified { "VERIFIED" } else { "NOT_VERIFIED" },
        "display_phone_number": format!("+{}", number.display),
        "quality_rating": "GREEN",
        "platform_type": if number.registered { "CLOUD_API" } else { "NOT_APPLICABLE" },
        "throughput": {"level": level},
        "status": if number.registered { "CONNECTED" } else { "DISCONNECTED" },
        "name_status": "APPROVED",
        "webhook_configuration": webhook,
        "whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED",
        "id": number.id,
    })
}

/// `/{number}`.
pub(crate) async fn one(sandbox: &Sandbox, mut call: Call, number: u32) -> Answer<Response> {
    match call.method {
        Method::GET => {
            let answer = describe(&sandbox.state(), number);
            Ok(json_response(200, &select(answer, call.query("fields"))))
        }
        Method::POST => {
            let parameters = call.parameters().await?;
            if let Some(pin) = parameters.get("pin") {
                let pin = check_pin(Some(pin))?;
                sandbox.state().number_mut(number).pin = Some(pin.into());
            }
            if let Some(configuration) = parameters.get("webhook_configuration") {
                override_webhook(sandbox, number, configuration).await?;
            }
            success()
        }
        _ => Err(GraphError::wrong_method("GET, POST")),
    }
}

async fn override_webhook(sandbox: &Sandbox, number: u32, configuration: &Value) -> Answer<()> {
    let text = |name: &str| configuration.get(name).and_then(Value::as_str).unwrap_or("");
    let url = text("override_callback_uri");
    if url.is_empty() {
        sandbox.state().number_mut(number).webhook_override = None;
        return Ok(());
    }
    webhooks::verify(sandbox, url, text("verify_token"))
        .await
        .map_err(|why| GraphError::parameter(format!("The callback was not verified: {why}")))?;
    sandbox.state().number_mut(number).webhook_override = Some(url.into());
    Ok(())
}

fn check_pin(value: Option<&Value>) -> Answer<&str> {
    let pin = value.and_then(Value::as_str).unwrap_or("");
    if pin.len() == 6 && pin.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(pin);
    }
    Err(GraphError::parameter("pin must have 6 digits."))
}

/// `POST /{number}/register`.
pub(crate) async fn register(sandbox: &Sandbox, mut call: Call, number: u32) -> Answer<Response> {
    post_only(&call)?;
    let parameters = call.parameters().await?;
    check_product(&parameters)?;
    let pin = check_pin(parameters.get("pin"))?;
    let mut state = sandbox.state();
    state.count_registration(number)?;
    let this = state.number_mut(number);
    if !this.verified {
        return Err(GraphError::new(133_006, "Verify the phone number first."));
    }
    if this.pin.as_deref().is_some_and(|known| known != pin) {
        return Err(GraphError::new(133_005, "The PIN is not the one that was set."));
    }
    this.pin = Some(pin.into());
    this.registered = true;
    drop(state);
    success()
}

/// `POST /{number}/deregister`.
pub(crate) async fn deregister(sandbox: &Sandbox, call: Call, number: u32) -> Answer<Response> {
    post_only(&call)?;
    let mut state = sandbox.state();
    state.count_registration(number)?;
    if !state.number(number).registered {
        return Err(GraphError::new(133_010, "The phone number is not registered."));
    }
    state.number_mut(number).registered = false;
    drop(state);
    success()
}

/// `POST /{number}/request_code`.
pub(crate) async fn request_code(
    sandbox: &Sandbox,
    mut call: Call,
    number: u32,
) -> Answer<Response> {
    post_only(&call)?;
    let parameters = call.parameters().await?;
    let method = parameters.get("code_method").and_then(Value::as_str).unwrap_or("");
    if !matches!(method, "SMS" | "VOICE") {
        return Err(GraphError::parameter("code_method must be SMS or VOICE."));
    }
    if sandbox.state().number(number).verified {
        return Err(GraphError::parameter("The phone number is verified already."));
    }
    success()
}

/// `POST /{number}/verify_code`.
pub(crate) async fn verify_code(
    sandbox: &Sandbox,
    mut call: Call,
    number: u32,
) -> Answer<Response> {
    post_only(&call)?;
    let parameters = call.parameters().await?;
    if parameters.get("code").and_then(Value::as_str) != Some(VERIFICATION_CODE) {
        return Err(GraphError::parameter("The verification code is wrong."));
    }
    sandbox.state().number_mut(number).verified = true;
    success()
}

/// `/{number}/settings`: the identity check.
pub(crate) async fn settings(sandbox: &Sandbox, mut call: Call, number: u32) -> Answer<Response> {
    match call.method {
        Method::GET => {
            let enabled = sandbox.state().number(number).identity_check;
            let answer = json!({"user_identity_change": {"enable_identity_key_check": enabled}});
            Ok(json_response(200, &answer))
        }
        Method::POST => {
            let parameters = call.parameters().await?;
            if let Some(enabled) = identity_check(&parameters)? {
                sandbox.state().number_mut(number).identity_check = enabled;
            }
            success()
        }
        _ => Err(GraphError::wrong_method("GET, POST")),
    }
}

/// Whether a call switches the identity check on or off, if it says so.
fn identity_check(parameters: &Map<String, Value>) -> Answer<Option<bool>> {
    let Some(change) = parameters.get("user_identity_change") else { return Ok(None) };
    let change = change.as_object();
    let change =
        change.ok_or_else(|| GraphError::parameter("user_identity_change must be an object."))?;
    let enabled = change.get("enable_identity_key_check").or_else(|| change.get("enabled"));
    let wrong = || GraphError::parameter("enable_identity_key_check must be true or false.");
    enabled.map(|enabled| enabled.as_bool().ok_or_else(wrong)).transpose()
}

const PICTURE_HANDLE: &str = "profile_picture_handle";
/// The members of a profile with their limits in characters.
const PROFILE_TEXTS: [(&str, usize); 6] = [
    ("about", 139),
    ("address", 256),
    ("description", 512),
    ("email", 128),
    ("vertical", 64),
    (PICTURE_HANDLE, 4_096),
];
/// The industries; the first one until another is chosen.
const VERTICALS: [&str; 23] = [
    "OTHER",
    "UNDEFINED",
    "AUTO",
    "BEAUTY",
    "APPAREL",
    "EDU",
    "ENTERTAIN",
    "EVENT_PLAN",
    "FINANCE",
    "GROCERY",
    "GOVT",
    "HOTEL",
    "HEALTH",
    "NONPROFIT",
    "PROF_SERVICES",
    "RETAIL",
    "TRAVEL",
    "RESTAURANT",
    "NOT_A_BIZ",
    "ALCOHOL",
    "ONLINE_GAMBLING",
    "PHYSICAL_GAMBLING",
    "OTC_DRUGS",
];
/// Stands for every picture: the bytes of uploaded samples are not kept.
const PICTURE_PATH: &str = "/favicon.svg";

/// `/{number}/whatsapp_business_profile`.
pub(crate) async fn profile(sandbox: &Sandbox, mut call: Call, number: u32) -> Answer<Response> {
    match call.method {
        Method::GET => {
            let mut profile = sandbox.state().number(number).profile.clone();
            profile.insert("messaging_product".into(), "whatsapp".into());
            profile.entry("vertical").or_insert_with(|| VERTICALS[0].into());
            if profile.remove(PICTURE_HANDLE).is_some() {
                let picture = format!("{}{PICTURE_PATH}", call.base_url());
                profile.insert("profile_picture_url".into(), picture.into());
            }
            let profile = select(Value::Object(profile), call.query("fields"));
            Ok(json_response(200, &json!({"data": [profile]})))
        }
        Method::POST => {
            let parameters = call.parameters().await?;
            check_product(&parameters)?;
            let changes = check_profile(&parameters)?;
            sandbox.state().number_mut(number).profile.extend(changes);
            success()
        }
        _ => Err(GraphError::wrong_method("GET, POST")),
    }
}

fn check_profile(parameters: &Map<String, Value>) -> Answer<Map<String, Value>> {
    let mut changes = Map::new();
    for (name, max_chars) in PROFILE_TEXTS {
        let Some(value) = parameters.get(name) else { continue };
        let fits = value.as_str().is_some_and(|text| text.chars().count() <= max_chars);
        if !fits {
            let details = format!("{name} must be a string of at most {max_chars} characters.");
            return Err(GraphError::parameter(details));
        }
        let is_vertical = || value.as_str().is_some_and(|text| VERTICALS.contains(&text));
        if name == "vertical" && !is_vertical() {
            let details = format!("vertical must be one of {}.", VERTICALS.join(", "));
            return Err(GraphError::parameter(details));
        }
        changes.insert(name.into(), value.clone());
    }
    if let Some(websites) = parameters.get("websites") {
        let fits = websites.as_array().is_some_and(|list| {
            list.len() <= 2 && list.iter().all(|url| url.as_str().is_some_and(|u| u.len() <= 256))
        });
        if !fits {
            return Err(GraphError::parameter("websites has at most 2 addresses of 256."));
        }
        changes.insert("websites".into(), websites.clone());
    }
    Ok(changes)
}

/// `/{waba}`.
pub(crate) fn account(sandbox: &Sandbox, call: &Call, waba: u32) -> Answer<Response> {
    if !call.is_get() {
        return Err(GraphError::wrong_method("GET"));
    }
    let answer = describe_account(&sandbox.state(), waba);
    Ok(json_response(200, &select(answer, call.query("fields"))))
}

/// A WABA, as its own address and its flows show it.
pub(crate) fn describe_account(state: &State, waba: u32) -> Value {
    let id = &state.waba(waba).id;
    json!({
        "name": "Waypost sandbox", "currency": "USD", "timezone_id": "1",
        "message_template_namespace": format!("sandbox_{id}"),
        "account_review_status": "APPROVED", "id": id,
    })
}

/// `/{waba}/phone_numbers`.
pub(crate) async fn of_account(sandbox: &Sandbox, mut call: Call, waba: u32) -> Answer<Response> {
    match call.method {
        Method::GET => {
            let state = sandbox.state();
            let indices = 0..u32::try_from(state.numbers.len()).unwrap_or(u32::MAX);
            let found: Vec<(&str, u32)> = indices
                .filter(|number| state.number(*number).waba == waba)
                .map(|number| (state.number(number).id.as_ref(), number))
                .collect();
            let describe =
                |(_, number): &(&str, u32)| select(describe(&state, *number), call.query("fields"));
            Ok(json_response(200, &page(&call, &found, |(id, _)| *id, describe)?))
        }
        Method::POST => {
            let parameters = call.parameters().await?;
            sandbox.state().create_number(waba, &parameters)
        }
        _ => Err(GraphError::wrong_method("GET, POST")),
    }
}

impl State {
    fn count_registration(&mut self, number: u32) -> Answer<()> {
        let now_ms = self.now_ms();
        let calls = &mut self.number_mut(number).registrations_ms;
        calls.retain(|at_ms| now_ms - at_ms < REGISTRATION_SPAN_MS);
        if calls.len() >= REGISTRATIONS_MAX {
            return Err(GraphError::new(133_016, "Ten attempts in 72 hours are used up."));
        }
        calls.push(now_ms);
        Ok(())
    }

    fn create_number(&mut self, waba: u32, parameters: &Map<String, Value>) -> Answer<Response> {
        let text = |name: &str| parameters.get(name).and_then(Value::as_str).unwrap_or("");
        let digits = phone_digits(&format!("{}{}", text("cc"), text("phone_number")));
        let digits = digits.ok_or_else(|| {
            GraphError::parameter("cc and phone_number must make a phone number.")
        })?;
        if self.find_number_by_any(&digits).is_some() {
            return Err(GraphError::parameter("The phone number exists already."));
        }
        if self.numbers.len() >= NUMBERS_MAX {
            return Err(GraphError::parameter("There are too many phone numbers."));
        }
        let id = (300_000_000_000_000 + self.numbers.len()).to_string();
        let mut number = Number::new(&id, waba, &digits, text("verified_name"));
        number.registered = false;
        number.verified = false;
        self.add_number(number);
        self.note_any_change();
        Ok(json_response(200, &json!({ "id": id })))
    }
}
