//! Webhooks: the addresses to which an organisation's events are posted, their secrets, a trial
//! call, and making callbacks again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waypost_domain::callback::Webhook;
use waypost_domain::event::EventKind;
use waypost_domain::{EventId, NumberId, OrgId, Timestamp, WebhookId};
use waypost_engine::IdempotencyKey;
use waypost_engine::callbacks::{NewWebhook, Replay, WebhookTest};
use waypost_engine::ports::{EntryKey, NewRecord, StoreResult, TargetAddress, TargetStats};

use super::access::{Ids, InOrg, Webhooks};
use super::fields::{MAX_NAME_CHARS, check_id, check_text, keep_id, words};
use super::filter_words::instant;
use super::idempotency::{Creation, created, replayed};
use super::input::{Arguments, JsonObject, SecretChange};
use super::paging::{List, PageArguments};
use super::views::time;
use crate::App;
use crate::headers::mark_replayed;
use crate::problem::{Faults, Problem};

/// The path on which one is made: the scope of idempotency keys.
const CREATE: &str = "/waypost/v1/orgs/{org_id}/webhooks";
/// The same for new secrets.
const ROTATE: &str = "/waypost/v1/orgs/{org_id}/webhooks/{webhook_id}/rotate-secret";
/// The longest address, in characters.
const MAX_URL_CHARS: usize = 2_048;
/// The shortest and the longest secret that a caller may choose, in characters.
const SECRET_CHARS: std::ops::RangeInclusive<usize> = 16..=256;
/// The longest header, in characters.
const MAX_HEADER_CHARS: usize = 4_096;
/// How long an old secret signs beside its successor where nothing is said, in seconds: a day.
const OVERLAP_S: u32 = 86_400;
/// The longest overlap, in seconds: 30 days.
const MAX_OVERLAP_S: u32 = 30 * 86_400;

/// A webhook to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookInput {
    /// Your own id for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Where events are posted; https, at a public address, unless the installation allows more.
    #[schema(example = "https://crm.example.com/whatsapp/events")]
    url: String,
    /// How they are told: `standard` (Standard Webhooks 1.0), `cloud_api` (Meta's), or a vendor's.
    #[serde(default = "standard")]
    #[schema(schema_with = shapes)]
    shape: String,
    /// Only events of this number; by default of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    /// Only events of these kinds, at least one such that the shape has words for it; by default all
    /// of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = kinds)]
    events: Option<BTreeSet<EventKind>>,
    /// What signs, 16 to 256 visible ASCII characters; by default one is made. Shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    secret: Option<String>,
    /// A header that goes with every call, as `Name: value`. Cannot be read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    header: Option<String>,
    /// Switched off: nothing is posted until it is switched on again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
}

fn standard() -> String {
    "standard".to_owned()
}

fn shapes() -> utoipa::openapi::schema::Object {
    let ids: Vec<&str> = waypost_dialects::SHAPES.iter().map(|shape| shape.info().id).collect();
    words(&ids)
}

fn kinds() -> utoipa::openapi::schema::Array {
    let kinds = EventKind::ALL.map(EventKind::as_str);
    utoipa::openapi::schema::ArrayBuilder::new().items(words(&kinds)).build()
}

impl From<&Webhook> for WebhookInput {
    fn from(webhook: &Webhook) -> Self {
        Self {
            id: Some(webhook.id.to_string()),
            url: webhook.url.clone(),
            shape: webhook.shape.clone(),
            number: webhook.number_id.as_ref().map(ToString::to_string),
            events: Some(webhook.events.clone()),
            secret: None,
            header: None,
            disabled: Some(webhook.disabled.is_some()),
        }
    }
}

impl WebhookInput {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        check_id(&mut faults, self.id.as_deref());
        check_text(&mut faults, "url", &self.url, MAX_URL_CHARS);
        check_text(&mut faults, "shape", &self.shape, MAX_NAME_CHARS);
        check_secret(&mut faults, self.secret.as_deref());
        if let Some(header) = &self.header {
            check_text(&mut faults, "header", header, MAX_HEADER_CHARS);
        }
        faults.check()
    }

    /// The number by any of its names.
    fn number_id(&self, app: &App, org_id: &OrgId) -> Result<Option<NumberId>, Problem> {
        let Some(name) = &self.number else { return Ok(None) };
        let found = app.engine.directory().sender(org_id, Some(name));
        found.map(|number| Some(number.id.clone())).map_err(|failure| failure.at("number").into())
    }
}

fn check_secret(faults: &mut Faults, secret: Option<&str>) {
    let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if secret.is_some_and(|text| !SECRET_CHARS.contains(&text.len()) || !printable(text)) {
        faults.add("secret", "must have 16 to 256 visible ASCII characters");
    }
}

/// A webhook. Its secrets are write-only.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(crate) struct WebhookView {
    id: String,
    org_id: String,
    url: String,
    shape: String,
    /// The id of the number whose events alone are posted.
    number: Option<String>,
    /// The kinds that alone are posted; empty: all that the shape has words for.
    events: Vec<&'static str>,
    /// How many secrets sign, the newest first.
    secrets: usize,
    has_header: bool,
    /// Why nothing is posted.
    disabled: Option<String>,
    created_at: String,
    /// How the address does; not in the answer to a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    state: Option<WebhookState>,
    /// What signs: only in the answer to its making, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    secret: Option<String>,
}

/// How an address does.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct WebhookState {
    /// Callbacks that are still to be made.
    pending: u64,
    /// Callbacks that were given up; they can be replayed.
    dead: u64,
    /// Since when the oldest of them waits.
    oldest_at: Option<String>,
    /// The status of the last answer.
    last_status: Option<u16>,
    /// Why the last call failed.
    last_error: Option<String>,
    /// When the last call ended.
    last_at: Option<String>,
}

impl WebhookView {
    fn new(webhook: &Webhook, now: Timestamp) -> Self {
        Self {
            id: webhook.id.to_string(),
            org_id: webhook.org_id.to_string(),
            url: webhook.url.clone(),
            shape: webhook.shape.clone(),
            number: webhook.number_id.as_ref().map(ToString::to_string),
            events: webhook.events.iter().map(|kind| kind.as_str()).collect(),
            secrets: webhook.secrets_at(now).count(),
            has_header: webhook.header.is_some(),
            disabled: webhook.disabled.clone(),
            created_at: time(webhook.created_at),
            state: None,
            secret: None,
        }
    }
}

impl From<&TargetStats> for WebhookState {
    fn from(stats: &TargetStats) -> Self {
        Self {
            pending: stats.pending,
            dead: stats.dead,
            oldest_at: stats.oldest_created_at.map(time),
            last_status: stats.last_status,
            last_error: stats.last_error.clone(),
            last_at: stats.last_at.map(time),
        }
    }
}

fn known(app: &App, org_id: &OrgId, id: &str) -> Result<Arc<Webhook>, Problem> {
    app.engine.directory().webhook(org_id, &WebhookId::new(id)).ok_or_else(Problem::not_found)
}

/// Makes a webhook. It gets every event of its scope from now on, whichever dialect sent the
/// message.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/webhooks", tag = "webhooks",
    request_body = WebhookInput, responses((status = 201, body = WebhookView)))]
pub(crate) async fn create_webhook(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    mut body: JsonObject,
) -> Result<Response, Problem> {
    let idempotency = body.idempotency.take();
    let input: WebhookInput = body.read()?;
    input.check()?;
    if input.disabled == Some(true) {
        return Err(Problem::invalid("disabled", "cannot be set while it is made"));
    }
    let org_id = within.org_id();
    let number_id = input.number_id(&app, org_id)?;
    let creation = Creation::begin(&app, Some(org_id), CREATE, idempotency).await?;
    if let Some(webhook) = creation.earlier().and_then(|id| known(&app, org_id, id).ok()) {
        return Ok(replayed(&WebhookView::new(&webhook, app.engine.now())));
    }
    let id = input.id.unwrap_or_else(|| format!("wh-{}", uuid::Uuid::now_v7().simple()));
    let new = NewWebhook {
        org_id: org_id.clone(),
        id: Some(WebhookId::new(id)),
        url: input.url,
        shape: input.shape,
        number_id,
        events: input.events.unwrap_or_default(),
        secret: input.secret,
        header: input.header,
    };
    let (webhook, secret) = app.engine.create_webhook::<Problem>(new, creation.claim()).await?;
    let view = WebhookView::new(&webhook, app.engine.now());
    Ok(created(&WebhookView { secret: Some(secret), ..view }))
}

/// Lists webhooks and how their addresses do.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/webhooks", tag = "webhooks",
    params(PageArguments), responses((status = 200, body = List<WebhookView>)))]
pub(crate) async fn list_webhooks(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    Arguments(page): Arguments<PageArguments>,
) -> Result<Json<List<WebhookView>>, Problem> {
    let webhooks = app.engine.directory().webhooks(within.org_id());
    let states = States::read(&app, within.org_id()).await?;
    let name = |it: &Arc<Webhook>| (it.created_at, it.id.to_string());
    Ok(Json(page.of_memory(&webhooks, name, |it| states.show(it))?))
}

/// Shows a webhook and how its address does.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/webhooks/{webhook_id}", tag = "webhooks",
    responses((status = 200, body = WebhookView)))]
pub(crate) async fn get_webhook(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<WebhookView>, Problem> {
    let webhook = known(&app, within.org_id(), &id)?;
    let states = States::read(&app, within.org_id()).await?;
    Ok(Json(states.show(&webhook)))
}

/// How an organisation's webhooks do.
struct States {
    now: Timestamp,
    of_webhooks: HashMap<WebhookId, TargetStats>,
}

impl States {
    async fn read(app: &App, org_id: &OrgId) -> StoreResult<Self> {
        let all = app.engine.store().target_stats(org_id).await?;
        let of_webhooks = all.into_iter().filter_map(|stats| match &stats.target.name.address {
            TargetAddress::Webhook(id) => Some((id.clone(), stats)),
            TargetAddress::Notify { .. } => None,
        });
        Ok(Self { now: app.engine.now(), of_webhooks: of_webhooks.collect() })
    }

    /// One that was told nothing yet has nothing to tell either.
    fn show(&self, webhook: &Webhook) -> WebhookView {
        let state = self.of_webhooks.get(&webhook.id).map(WebhookState::from).unwrap_or_default();
        WebhookView { state: Some(state), ..WebhookView::new(webhook, self.now) }
    }
}

/// Changes a webhook: what the body does not name stays, `null` clears. What waits goes to the new
/// address, unless the webhook is not told of it any more; the secret is changed by `rotate-secret`.
#[utoipa::path(patch, path = "/waypost/v1/orgs/{org_id}/webhooks/{webhook_id}", tag = "webhooks",
    request_body = ref("#/components/schemas/WebhookPatch"),
    responses((status = 200, body = WebhookView)))]
pub(crate) async fn update_webhook(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    Ids((_, id)): Ids<(String, String)>,
    body: JsonObject,
) -> Result<Json<WebhookView>, Problem> {
    let (knowing, org_id) = (app.clone(), within.org_id().clone());
    let change = move || changed_webhook(&knowing, &org_id, &id, body);
    let webhook = app.engine.change_webhook(change).await?;
    Ok(Json(WebhookView::new(&webhook, app.engine.now())))
}

fn changed_webhook(
    app: &App,
    org_id: &OrgId,
    id: &str,
    body: JsonObject,
) -> Result<Webhook, Problem> {
    let webhook = known(app, org_id, id)?;
    if body.members.contains_key("secret") {
        return Err(Problem::invalid("secret", "is changed by rotate-secret"));
    }
    let header_change = body.secret("header");
    let input = body.merged_into(&WebhookInput::from(&*webhook))?;
    keep_id(id, input.id.as_deref())?;
    input.check()?;
    let number_id = input.number_id(app, org_id)?;
    let header = match (header_change, &input.header) {
        (SecretChange::Keep, _) => webhook.header.clone(),
        (_, None) => None,
        (_, Some(header)) => Some(app.engine.seal_webhook_header(&webhook.id, header)?),
    };
    let disabled = match input.disabled {
        Some(true) => webhook.disabled.clone().or_else(|| Some("by request".to_owned())),
        _ => None,
    };
    Ok(Webhook {
        url: input.url,
        shape: input.shape,
        number_id,
        events: input.events.unwrap_or_default(),
        header,
        disabled,
        ..Webhook::clone(&webhook)
    })
}

/// Removes a webhook, and with it what it was still to be told.
#[utoipa::path(delete, path = "/waypost/v1/orgs/{org_id}/webhooks/{webhook_id}", tag = "webhooks",
    responses((status = 204)))]
pub(crate) async fn delete_webhook(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<StatusCode, Problem> {
    let key = EntryKey::Webhook(within.org_id().clone(), WebhookId::new(id));
    if app.engine.directory().remove(key).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}

/// A new secret.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationInput {
    /// The secret; by default one is made.
    secret: Option<String>,
    /// How long the old one signs beside it, in seconds; by default a day, at most 30 days.
    overlap_s: Option<u32>,
}

/// A secret, shown once.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct SecretView {
    /// What signs from now on. Not in the answer to a repetition.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    secret: Option<String>,
}

/// Gives a webhook a new secret. The old one signs beside it for a while, so that receivers can
/// change over without losing a callback.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/webhooks/{webhook_id}/rotate-secret",
    tag = "webhooks", request_body = RotationInput, responses((status = 200, body = SecretView)))]
pub(crate) async fn rotate_secret(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    Ids((_, id)): Ids<(String, String)>,
    mut body: JsonObject,
) -> Result<Response, Problem> {
    let webhook = known(&app, within.org_id(), &id)?;
    let (org_id, id) = (within.org_id(), &webhook.id);
    // No id has a slash: the key is this webhook's own.
    let own = |it: IdempotencyKey| IdempotencyKey { key: format!("{id}/{}", it.key), ..it };
    let idempotency = body.idempotency.take().map(own);
    let input: RotationInput = body.read()?;
    let mut faults = Faults::default();
    check_secret(&mut faults, input.secret.as_deref());
    let overlap_s = input.overlap_s.unwrap_or(OVERLAP_S);
    if overlap_s > MAX_OVERLAP_S {
        faults.add("overlap_s", format!("must be at most {MAX_OVERLAP_S}"));
    }
    faults.check()?;
    let rotation = Creation::begin(&app, Some(org_id), ROTATE, idempotency).await?;
    if rotation.earlier().is_some() {
        let mut response = Json(SecretView::default()).into_response();
        mark_replayed(response.headers_mut());
        return Ok(response);
    }
    let secret = app.engine.rotate_webhook_secret(org_id, id, input.secret, overlap_s).await?;
    // Afterwards: what a crash leaves between the two, nobody was told, and it is made anew.
    if let Some(claim) = rotation.claim() {
        app.engine.store().create(NewRecord::Upstream(id.to_string()), claim).await?;
    }
    Ok(Json(SecretView { secret: Some(secret) }).into_response())
}

/// What a trial call came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialView {
    /// The status of the answer.
    status: Option<u16>,
    /// Why there was none.
    error: Option<String>,
}

/// Posts a made-up event to a webhook, once and at once, and tells what came of it.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/webhooks/{webhook_id}/test",
    tag = "webhooks", responses((status = 200, body = TrialView)))]
pub(crate) async fn test_webhook(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<TrialView>, Problem> {
    let webhook = known(&app, within.org_id(), &id)?;
    let WebhookTest { status, error } =
        app.engine.test_webhook(within.org_id(), &webhook.id).await?;
    Ok(Json(TrialView { status, error }))
}

/// What to make again: dead callbacks, a span of time, or one event.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayInput {
    /// All callbacks that were given up.
    dead: Option<bool>,
    /// All events from this instant on, in RFC 3339; what waits to be tried again is tried at once.
    since: Option<String>,
    /// With `since`: only those before this instant.
    until: Option<String>,
    /// One event.
    event_id: Option<String>,
}

impl ReplayInput {
    fn read(&self, webhook_id: &WebhookId) -> Result<Replay, Problem> {
        let read =
            |field: &str, text: &str| instant(text).map_err(|rule| Problem::invalid(field, rule));
        match (self.dead, &self.since, &self.event_id) {
            (Some(true), None, None) => Ok(Replay::Dead(webhook_id.clone())),
            (None | Some(false), Some(since), None) => Ok(Replay::Span {
                webhook_id: webhook_id.clone(),
                since: read("since", since)?,
                until: self.until.as_deref().map(|it| read("until", it)).transpose()?,
            }),
            (None | Some(false), None, Some(id)) => {
                let id = EventId::parse_public(id)
                    .ok_or_else(|| Problem::invalid("event_id", "must be an event's id"))?;
                Ok(Replay::Event(id, Some(webhook_id.clone())))
            }
            _ => Err(Problem::invalid("dead", "give one of dead, since or event_id")),
        }
    }
}

/// How much is made again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayView {
    /// Callbacks that will be made again; 100,000 at most at one request.
    pub(super) replayed: u64,
}

/// Makes callbacks again. An event keeps its id, by which a receiver knows what it has already.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/webhooks/{webhook_id}/replay",
    tag = "webhooks", request_body = ReplayInput, responses((status = 202, body = ReplayView)))]
pub(crate) async fn replay_webhook(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    Ids((_, id)): Ids<(String, String)>,
    body: JsonObject,
) -> Result<(StatusCode, Json<ReplayView>), Problem> {
    let webhook = known(&app, within.org_id(), &id)?;
    let what = body.read::<ReplayInput>()?.read(&webhook.id)?;
    let replayed = app.engine.replay(within.org_id(), what).await?;
    Ok((StatusCode::ACCEPTED, Json(ReplayView { replayed })))
}
