//! Sender numbers: their settings, their write-only secrets, and their registration upstream.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waypost_domain::directory::{Number, Sealed, default_throughput};
use waypost_domain::{NumberId, OrgId, Phone, Timestamp};
use waypost_engine::ports::{EntryKey, StoreError};

use super::access::{Administration, Ids, InOrg};
use super::assets::{assets, check_assets};
use super::fields::{check_address, check_id, check_optional_text, check_text, keep_id};
use super::idempotency::{Creation, created, replayed};
use super::input::{Arguments, JsonObject, SecretChange};
use super::paging::{List, PageArguments};
use super::views::NumberView;
use crate::App;
use crate::problem::{Faults, Problem};

/// The path on which one is made: the scope of idempotency keys.
const CREATE: &str = "/waypost/v1/orgs/{org_id}/numbers";
/// The longest name or upstream id, in characters.
const MAX_WORD_CHARS: usize = 128;
/// The most credentials for callbacks of a number.
const MAX_CREDENTIALS: usize = 64;
/// The most other names of a number.
const MAX_ALIASES: usize = 32;
/// The longest secret, in characters.
const MAX_SECRET_CHARS: usize = 4_096;
/// The most starts a second: Meta's highest throughput.
const MAX_THROUGHPUT: u32 = 1_000;
/// Daily limits that are worth guarding; Meta's are 250 to 100,000.
const DAILY_LIMITS: std::ops::RangeInclusive<u32> = 10..=100_000;

/// A number to be added.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumberInput {
    /// Yours to choose; by default the phone-number id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The number people see, with country code.
    #[schema(example = "+1 555 000 2222")]
    display_phone: String,
    /// Meta's id of the number.
    phone_number_id: String,
    /// Meta's id of its business account.
    waba_id: String,
    /// Its own upstream token; without one the installation's is used. Cannot be read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    access_token: Option<String>,
    /// The secret with which its webhooks are signed, where it belongs to another app. Cannot be
    /// read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    app_secret: Option<String>,
    /// Starts a second, 1 to 1000; by default 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    throughput_per_s: Option<u32>,
    /// People who may be written to outside of windows within a day, 10 to 100000: its messaging
    /// limit. By default as Meta says; marketing and broadcasts wait when it is nearly reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    daily_limit: Option<u32>,
    /// Its name in Webex Connect's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app_id: Option<String>,
    /// Its name in Pepipost's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_id: Option<String>,
    /// Other names by which callers know it; no other number that its organisation may use has
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aliases: Option<Vec<String>>,
    /// Where receipts go when a request names no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_notify_url: Option<String>,
    /// Values of `Authorization` for callbacks, by the name that requests use for them; those for
    /// `default_notify_url` under the name `default`. Cannot be read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    notify_auth: Option<BTreeMap<String, String>>,
    /// Whether a dialect that offers it answers errors with status 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    errors_as_200: Option<bool>,
    /// Whether other organisations may use it by join code. For the installation's own key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared: Option<bool>,
}

impl From<&Number> for NumberInput {
    fn from(number: &Number) -> Self {
        Self {
            id: Some(number.id.to_string()),
            display_phone: number.display_phone.digits().to_owned(),
            phone_number_id: number.phone_number_id.clone(),
            waba_id: number.waba_id.clone(),
            access_token: None,
            app_secret: None,
            throughput_per_s: Some(number.throughput_per_s),
            daily_limit: number.daily_limit,
            app_id: number.app_id.clone(),
            source_id: number.source_id.clone(),
            aliases: Some(number.aliases.clone()),
            default_notify_url: number.default_notify_url.clone(),
            notify_auth: None,
            errors_as_200: Some(number.errors_as_200),
            shared: Some(number.shared),
        }
    }
}

/// The secrets of a number as they are to be kept.
#[derive(Default)]
struct Secrets {
    access_token: Option<Sealed>,
    app_secret: Option<Sealed>,
    notify_auth: BTreeMap<String, Sealed>,
}

impl NumberInput {
    fn check(&self) -> Result<Phone, Problem> {
        let mut faults = Faults::default();
        check_id(&mut faults, self.id.as_deref());
        let phone = faults.take("display_phone", Phone::parse(&self.display_phone));
        for (field, text) in
            [("phone_number_id", &self.phone_number_id), ("waba_id", &self.waba_id)]
        {
            if !waypost_domain::ids::is_acceptable_id(text) {
                faults.add(field, "must be the id that Meta shows");
            }
        }
        for (field, text) in [("app_id", &self.app_id), ("source_id", &self.source_id)] {
            check_optional_text(&mut faults, field, text.as_deref(), MAX_WORD_CHARS);
        }
        self.check_secrets(&mut faults);
        let aliases = self.aliases.as_deref().unwrap_or_default();
        if aliases.len() > MAX_ALIASES {
            faults.add("aliases", format!("may have at most {MAX_ALIASES} entries"));
        }
        for (place, alias) in aliases.iter().enumerate() {
            check_text(&mut faults, &format!("aliases[{place}]"), alias, MAX_WORD_CHARS);
        }
        if self.throughput_per_s.is_some_and(|rate| !(1..=MAX_THROUGHPUT).contains(&rate)) {
            faults.add("throughput_per_s", format!("must be 1 to {MAX_THROUGHPUT}"));
        }
        if self.daily_limit.is_some_and(|limit| !DAILY_LIMITS.contains(&limit)) {
            let (least, most) = (DAILY_LIMITS.start(), DAILY_LIMITS.end());
            faults.add("daily_limit", format!("must be {least} to {most}"));
        }
        if let Some(url) = &self.default_notify_url {
            check_address(&mut faults, "default_notify_url", url);
        }
        match phone {
            Some(phone) => faults.check().map(|()| phone),
            None => Err(faults.into_problem()),
        }
    }

    fn check_secrets(&self, faults: &mut Faults) {
        for (field, secret) in
            [("access_token", &self.access_token), ("app_secret", &self.app_secret)]
        {
            check_optional_text(faults, field, secret.as_deref(), MAX_SECRET_CHARS);
        }
        let credentials = self.notify_auth.iter().flatten();
        if credentials.clone().count() > MAX_CREDENTIALS {
            faults.add("notify_auth", format!("may have at most {MAX_CREDENTIALS} entries"));
        }
        for (name, value) in credentials {
            check_text(faults, "notify_auth", name, MAX_WORD_CHARS);
            check_text(faults, &format!("notify_auth.{name}"), value, MAX_SECRET_CHARS);
        }
    }

    fn seal(&self, app: &App, id: &str) -> Secrets {
        let seal = |name: &str, secret: &Option<String>| {
            let secret = secret.as_deref()?;
            Some(app.engine.vault().seal(&format!("numbers/{id}/{name}"), secret))
        };
        Secrets {
            access_token: seal("access_token", &self.access_token),
            app_secret: seal("app_secret", &self.app_secret),
            notify_auth: self
                .notify_auth
                .iter()
                .flatten()
                .map(|(name, value)| {
                    let place = format!("numbers/{id}/notify_auth/{name}");
                    (name.clone(), app.engine.vault().seal(&place, value))
                })
                .collect(),
        }
    }

    fn build(self, org_id: &OrgId, id: &str, phone: Phone, secrets: Secrets) -> Number {
        Number {
            id: NumberId::new(id),
            org_id: org_id.clone(),
            display_phone: phone,
            phone_number_id: self.phone_number_id,
            waba_id: self.waba_id,
            access_token: secrets.access_token,
            app_secret: secrets.app_secret,
            throughput_per_s: self.throughput_per_s.unwrap_or_else(default_throughput),
            daily_limit: self.daily_limit,
            app_id: self.app_id,
            source_id: self.source_id,
            aliases: self.aliases.unwrap_or_default(),
            default_notify_url: self.default_notify_url,
            notify_auth: secrets.notify_auth,
            errors_as_200: self.errors_as_200.unwrap_or_default(),
            shared: self.shared.unwrap_or_default(),
            registered: false,
            created_at: Timestamp(0),
        }
    }
}

/// Adds a number.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/numbers", tag = "numbers",
    request_body = NumberInput, responses((status = 201, body = NumberView)))]
pub(crate) async fn create_number(
    State(app): State<App>,
    within: InOrg<Administration>,
    mut body: JsonObject,
) -> Result<Response, Problem> {
    let idempotency = body.idempotency.take();
    let input: NumberInput = body.read()?;
    let phone = input.check()?;
    let id = input.id.clone().unwrap_or_else(|| input.phone_number_id.clone());
    let org_id = within.org_id();
    let creation = Creation::begin(&app, Some(org_id), CREATE, idempotency).await?;
    if let Some(number) = creation.earlier().and_then(|id| known_number(&app, org_id, id).ok()) {
        return Ok(replayed(&NumberView::from(&*number)));
    }
    let secrets = input.seal(&app, &id);
    let mut number = input.build(org_id, &id, phone, secrets);
    number.created_at = app.engine.now();
    if app.engine.directory().number(&number.id).is_some() {
        return Err(StoreError::Conflict("id").into());
    }
    check_assets(&app, &within.key, None, &number).await?;
    app.engine.create_number::<Problem>(number.clone(), creation.claim()).await?;
    Ok(created(&NumberView::from(&number)))
}

/// Lists numbers.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/numbers", tag = "numbers",
    params(PageArguments), responses((status = 200, body = List<NumberView>)))]
pub(crate) async fn list_numbers(
    State(app): State<App>,
    within: InOrg<Administration>,
    Arguments(page): Arguments<PageArguments>,
) -> Result<Json<List<NumberView>>, Problem> {
    let numbers = app.engine.directory().numbers(within.org_id());
    let name = |it: &Arc<Number>| (it.created_at, it.id.to_string());
    Ok(Json(page.of_memory(&numbers, name, |it| NumberView::from(&**it))?))
}

fn known_number(app: &App, org_id: &OrgId, id: &str) -> Result<Arc<Number>, Problem> {
    let number = app.engine.directory().number(&NumberId::new(id));
    number.filter(|number| number.org_id == *org_id).ok_or_else(Problem::not_found)
}

/// Shows a number.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/numbers/{number_id}", tag = "numbers",
    responses((status = 200, body = NumberView)))]
pub(crate) async fn get_number(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<NumberView>, Problem> {
    let number = known_number(&app, within.org_id(), &id)?;
    let pacing = app.engine.pacing_of(&number.id);
    Ok(Json(NumberView::from(&*number).with_pacing(pacing.as_ref())))
}

/// Changes a number: what the body does not name stays, `null` clears.
#[utoipa::path(patch, path = "/waypost/v1/orgs/{org_id}/numbers/{number_id}", tag = "numbers",
    request_body = ref("#/components/schemas/NumberPatch"),
    responses((status = 200, body = NumberView)))]
pub(crate) async fn update_number(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, id)): Ids<(String, String)>,
    body: JsonObject,
) -> Result<Json<NumberView>, Problem> {
    let known = known_number(&app, within.org_id(), &id)?;
    let wanted = changed_number(&app, &known, body.clone())?;
    check_assets(&app, &within.key, Some(&known), &wanted).await?;
    let (knowing, org_id) = (app.clone(), within.org_id().clone());
    let change = move || {
        let now = known_number(&knowing, &org_id, &id)?;
        if assets(&now) != assets(&known) {
            let detail = "The number was given other assets at the same time; try again.";
            return Err(Problem::new(StatusCode::CONFLICT, "conflict", detail));
        }
        changed_number(&knowing, &now, body)
    };
    let number = app.engine.change_number(change).await?;
    Ok(Json(NumberView::from(&number)))
}

fn changed_number(app: &App, known: &Number, body: JsonObject) -> Result<Number, Problem> {
    let (id, old) = (known.id.as_str(), known.clone());
    let changes = ["access_token", "app_secret", "notify_auth"].map(|name| body.secret(name));
    let input = body.merged_into(&NumberInput::from(known))?;
    keep_id(id, input.id.as_deref())?;
    let phone = input.check()?;
    let new = input.seal(app, id);
    let secrets = Secrets {
        access_token: changed(changes[0], new.access_token, old.access_token),
        app_secret: changed(changes[1], new.app_secret, old.app_secret),
        notify_auth: match changes[2] {
            SecretChange::Keep => old.notify_auth,
            SecretChange::Clear | SecretChange::Set => new.notify_auth,
        },
    };
    Ok(Number {
        registered: known.registered,
        created_at: known.created_at,
        ..input.build(&known.org_id, id, phone, secrets)
    })
}

fn changed(change: SecretChange, new: Option<Sealed>, old: Option<Sealed>) -> Option<Sealed> {
    match change {
        SecretChange::Keep => old,
        SecretChange::Clear => None,
        SecretChange::Set => new,
    }
}

/// Removes a number; its messages stay in the log. Not while some wait, are on their way or are to be
/// sent again: nobody would send them, and nobody would be told.
#[utoipa::path(delete, path = "/waypost/v1/orgs/{org_id}/numbers/{number_id}", tag = "numbers",
    responses((status = 204)))]
pub(crate) async fn delete_number(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<StatusCode, Problem> {
    let number = known_number(&app, within.org_id(), &id)?;
    match app.engine.directory().remove(EntryKey::Number(number.id.clone())).await {
        Err(StoreError::Conflict("messages")) => {
            let detail = "Messages of this number wait, are on their way or are to be sent again. \
                Withdraw them first: POST …/messages/cancel with its number_id, and cancel its \
                broadcasts.";
            Err(Problem::wrong_state(detail))
        }
        removed => Ok(removed.map(|_| StatusCode::NO_CONTENT)?),
    }
}

/// The number's two-step PIN.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// Six digits.
    #[schema(example = "123456", write_only)]
    pin: String,
}

/// Registers a number upstream for sending by this installation.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/numbers/{number_id}/register",
    tag = "numbers", request_body = Registration, responses((status = 200, body = NumberView)))]
pub(crate) async fn register_number(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, id)): Ids<(String, String)>,
    body: JsonObject,
) -> Result<Json<NumberView>, Problem> {
    let number = known_number(&app, within.org_id(), &id)?;
    let Registration { pin } = body.read()?;
    if pin.len() != 6 || !pin.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::invalid("pin", "must have six digits"));
    }
    app.engine.register_number(&number.id, &pin).await?;
    Ok(Json(NumberView::from(&*known_number(&app, within.org_id(), &id)?)))
}

/// Subscribes this installation to the webhooks of a number's business account.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/numbers/{number_id}/subscribe",
    tag = "numbers", responses((status = 204)))]
pub(crate) async fn subscribe_number(
    State(app): State<App>,
    within: InOrg<Administration>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<StatusCode, Problem> {
    let number = known_number(&app, within.org_id(), &id)?;
    app.engine.subscribe_number(&number.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
