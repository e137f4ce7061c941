//! What callers see of the domain's values. No secret has a place in any of them.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use waypost_domain::content::{Content, MediaRef};
use waypost_domain::customer::Customer;
use waypost_domain::directory::{ApiKey, MediaProvider, Number, Org, Scope, User};
use waypost_domain::message::{Attempt, Message, MessageHistory, Session, StatusEvent};
use waypost_domain::template::Template;
use waypost_domain::window::Window;
use waypost_domain::{Failure, Timestamp, UpstreamFault};
use waypost_engine::ports::{BroadcastProgress, MediaRecord};

/// An instant in RFC 3339, UTC.
pub(crate) fn time(at: Timestamp) -> String {
    at.rfc3339()
}

/// A word of one of the domain's enumerations, as serde writes it.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

/// An organisation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Org)]
pub(crate) struct OrgView {
    id: String,
    name: String,
    /// IANA name or ±HH:MM.
    time_zone: String,
    default_language: Option<String>,
    /// `refuse`, `forward` or `hold`.
    window_policy: String,
    /// `hold_then_resend`, `never_resend` or `resend_now`.
    unknown_policy: String,
    strict_opt_in: bool,
    /// `all` or `opted_in`.
    broadcast_audience: String,
    join_code: Option<String>,
    /// The zone in which a dialect writes its zone-less times, by dialect.
    wire_offsets: std::collections::BTreeMap<String, String>,
    message_retention_days: Option<u32>,
    media_retention_days: u32,
    created_at: String,
}

impl From<&Org> for OrgView {
    fn from(org: &Org) -> Self {
        let offsets = org.wire_offsets.iter();
        Self {
            id: org.id.to_string(),
            name: org.name.clone(),
            time_zone: org.time_zone.to_string(),
            default_language: org.default_language.clone(),
            window_policy: word(&org.window_policy),
            unknown_policy: word(&org.unknown_policy),
            strict_opt_in: org.strict_opt_in,
            broadcast_audience: word(&org.broadcast_audience),
            join_code: org.join_code.clone(),
            wire_offsets: offsets.map(|(name, zone)| (name.clone(), zone.to_string())).collect(),
            message_retention_days: org.message_retention_days,
            media_retention_days: org.media_retention_days,
            created_at: time(org.created_at),
        }
    }
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    id: String,
    org_id: String,
    name: Option<String>,
    created_at: String,
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            org_id: user.org_id.to_string(),
            name: user.name.clone(),
            created_at: time(user.created_at),
        }
    }
}

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub(crate) struct CustomerView {
    id: String,
    org_id: String,
    /// Digits with country code.
    #[schema(example = "15550001111")]
    phone: String,
    name: Option<String>,
    tags: Vec<String>,
    /// `null`: not asked.
    opt_in: Option<bool>,
    opt_in_at: Option<String>,
    /// How the consent is known.
    opt_in_proof: Option<String>,
    active: bool,
    last_inbound_at: Option<String>,
    created_at: String,
}

impl From<Customer> for CustomerView {
    fn from(customer: Customer) -> Self {
        let consent = customer.consent.as_ref();
        Self {
            id: customer.id.to_string(),
            org_id: customer.org_id.to_string(),
            phone: customer.phone.digits().to_owned(),
            opt_in: consent.map(|consent| consent.opted_in),
            opt_in_at: consent.map(|consent| time(consent.at)),
            opt_in_proof: consent.and_then(|consent| consent.proof.clone()),
            name: customer.name,
            tags: customer.tags,
            active: customer.active,
            last_inbound_at: customer.last_inbound_at.map(time),
            created_at: time(customer.created_at),
        }
    }
}

/// A sender number. Its secrets are write-only.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Number)]
pub(crate) struct NumberView {
    id: String,
    org_id: String,
    #[schema(example = "15550002222")]
    display_phone: String,
    phone_number_id: String,
    waba_id: String,
    /// Whether it has an upstream token of its own.
    has_access_token: bool,
    /// Whether its webhooks are signed with a secret of their own.
    has_app_secret: bool,
    throughput_per_s: u32,
    app_id: Option<String>,
    source_id: Option<String>,
    aliases: Vec<String>,
    default_notify_url: Option<String>,
    /// Whether calls to `default_notify_url` carry a credential.
    has_notify_auth: bool,
    errors_as_200: bool,
    shared: bool,
    registered: bool,
    created_at: String,
}

impl From<&Number> for NumberView {
    fn from(number: &Number) -> Self {
        Self {
            id: number.id.to_string(),
            org_id: number.org_id.to_string(),
            display_phone: number.display_phone.digits().to_owned(),
            phone_number_id: number.phone_number_id.clone(),
            waba_id: number.waba_id.clone(),
            has_access_token: number.access_token.is_some(),
            has_app_secret: number.app_secret.is_some(),
            throughput_per_s: number.throughput_per_s,
            app_id: number.app_id.clone(),
            source_id: number.source_id.clone(),
            aliases: number.aliases.clone(),
            default_notify_url: number.default_notify_url.clone(),
            has_notify_auth: number.notify_auth.is_some(),
            errors_as_200: number.errors_as_200,
            shared: number.shared,
            registered: number.registered,
            created_at: time(number.created_at),
        }
    }
}

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyView {
    id: String,
    org_id: Option<String>,
    name: Option<String>,
    scopes: Vec<&'static str>,
    /// `human` or `assistant`.
    sends_as: &'static str,
    /// Requests a second.
    rate_limit: Option<u32>,
    /// Networks from which it may be used; empty: any.
    allowed_ips: Vec<String>,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    created_at: String,
    /// The key itself: only in the answer to its creation, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    secret: Option<String>,
}

impl KeyView {
    /// With the secret, where it was made just now.
    pub(crate) fn with_secret(mut self, secret: Option<String>) -> Self {
        self.secret = secret;
        self
    }
}

impl From<&ApiKey> for KeyView {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            org_id: key.org_id.as_ref().map(ToString::to_string),
            name: key.name.clone(),
            scopes: key.scopes.iter().copied().map(Scope::as_str).collect(),
            sends_as: key.sends_as.as_str(),
            rate_limit: key.rate_limit_per_s,
            allowed_ips: key.allowed_ips.clone(),
            expires_at: key.expires_at.map(time),
            revoked_at: key.revoked_at.map(time),
            created_at: time(key.created_at),
            secret: None,
        }
    }
}

/// A media provider. Its credential is write-only.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MediaProvider)]
pub(crate) struct ProviderView {
    /// The name that requests use.
    name: String,
    org_id: String,
    allowed_hosts: Vec<String>,
    /// `basic` or `bearer`.
    scheme: String,
    created_at: String,
}

impl From<&MediaProvider> for ProviderView {
    fn from(provider: &MediaProvider) -> Self {
        Self {
            name: provider.id.to_string(),
            org_id: provider.org_id.to_string(),
            allowed_hosts: provider.allowed_hosts.clone(),
            scheme: word(&provider.scheme),
            created_at: time(provider.created_at),
        }
    }
}

/// A template as the upstream last showed it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Template)]
pub(crate) struct TemplateView {
    id: String,
    waba_id: String,
    name: String,
    language: String,
    /// Meta's word, such as `APPROVED`.
    status: String,
    category: String,
    parameter_format: Option<String>,
    /// In Meta's form.
    #[schema(value_type = Vec<Object>)]
    components: Vec<Value>,
    synced_at: String,
}

impl From<&Template> for TemplateView {
    fn from(template: &Template) -> Self {
        Self {
            id: template.id.clone(),
            waba_id: template.waba_id.clone(),
            name: template.name.clone(),
            language: template.language.clone(),
            status: template.status.clone(),
            category: template.category.clone(),
            parameter_format: template.parameter_format.clone(),
            components: template.components.clone(),
            synced_at: time(template.synced_at),
        }
    }
}

/// A stored file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Media)]
pub(crate) struct MediaView {
    id: String,
    org_id: String,
    mime_type: String,
    filename: Option<String>,
    /// Bytes.
    size: u64,
    sha256: String,
    /// Where everybody who knows it can read the file.
    url: String,
    created_at: String,
    expires_at: String,
}

impl MediaView {
    /// `public_url` is where the installation is reached.
    pub(crate) fn new(record: &MediaRecord, public_url: &str) -> Self {
        let extension = record.mime_type.extension();
        let base = public_url.trim_end_matches('/');
        Self {
            id: record.id.to_string(),
            org_id: record.org_id.to_string(),
            mime_type: record.mime_type.as_str().to_owned(),
            filename: record.filename.clone(),
            size: record.size,
            sha256: record.sha256.as_str().to_owned(),
            url: format!("{base}/media/{}.{extension}", record.public_name),
            created_at: time(record.created_at),
            expires_at: time(record.expires_at),
        }
    }
}

/// Why a message failed, or why its outcome is unknown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageError {
    /// The stable word.
    code: &'static str,
    message: String,
    upstream: Option<UpstreamError>,
}

impl From<&Failure> for MessageError {
    fn from(failure: &Failure) -> Self {
        Self {
            code: failure.kind.code(),
            message: failure.message.clone(),
            upstream: failure.upstream.as_ref().map(UpstreamError::from),
        }
    }
}

/// What the upstream said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UpstreamError {
    code: Option<i64>,
    subcode: Option<i64>,
    http_status: Option<u16>,
    details: String,
}

impl From<&UpstreamFault> for UpstreamError {
    fn from(fault: &UpstreamFault) -> Self {
        Self {
            code: fault.code,
            subcode: fault.subcode,
            http_status: fault.http_status,
            details: fault.details.clone(),
        }
    }
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageView {
    id: String,
    org_id: String,
    /// The business's number.
    number_id: String,
    customer_id: Option<String>,
    /// The person's number.
    #[schema(example = "15550001111")]
    phone: String,
    /// `outbound` or `inbound`.
    direction: String,
    /// Meta's word, such as `text`.
    #[serde(rename = "type")]
    kind: String,
    /// The message in the Cloud API's form; files by our own ids.
    #[schema(value_type = Object)]
    message: Value,
    /// `human`, `assistant`, `template` or `user`.
    message_type: &'static str,
    /// The dialect by which it came.
    dialect: String,
    /// `queued`, `sending`, `sent`, `delivered`, `read`, `failed`, `unknown`, `cancelled` or
    /// `received`.
    status: &'static str,
    /// The upstream's id.
    wamid: Option<String>,
    user_id: Option<String>,
    session_id: Option<String>,
    /// The caller's own value.
    biz_opaque_callback_data: Option<String>,
    broadcast_id: Option<String>,
    error: Option<MessageError>,
    /// Whether it was repeated after an unknown outcome.
    possible_duplicate: bool,
    created_at: String,
    /// When the upstream accepted it, or when it failed.
    settled_at: Option<String>,
}

/// A message in the Cloud API's form. What a person wrote is shown as it came, with its context and
/// whatever else stands beside its content; its file by our own id once it has been fetched.
fn message_object(content: &Content) -> Map<String, Value> {
    let mut object = Map::new();
    match content {
        Content::Inbound(inbound) => {
            object = inbound.message.as_object().cloned().unwrap_or_default();
            let file = object.get_mut(&inbound.kind).and_then(Value::as_object_mut);
            if let (Some(id), Some(file)) = (&inbound.media, file) {
                file.insert("id".to_owned(), Value::String(id.to_string()));
            }
            object.insert("type".to_owned(), Value::String(inbound.kind.clone()));
        }
        content => content.write_message_object(&mut object, MediaRef::to_object),
    }
    object
}

impl From<&Message> for MessageView {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id.to_string(),
            org_id: message.org_id.to_string(),
            number_id: message.number_id.to_string(),
            customer_id: message.customer_id.as_ref().map(ToString::to_string),
            phone: message.phone.digits().to_owned(),
            direction: word(&message.direction),
            kind: message.content.type_name().to_owned(),
            message: Value::Object(message_object(&message.content)),
            message_type: message.message_type.as_str(),
            dialect: message.dialect.clone(),
            status: message.status.as_str(),
            wamid: message.wamid.clone(),
            user_id: message.user_id.as_ref().map(ToString::to_string),
            session_id: message.session_id.clone(),
            biz_opaque_callback_data: message.reference.clone(),
            broadcast_id: message.broadcast_id.map(|id| id.to_string()),
            error: message.failure.as_ref().map(MessageError::from),
            possible_duplicate: message.possible_duplicate,
            created_at: time(message.created_at),
            settled_at: message.settled_at.map(time),
        }
    }
}

/// A message with its history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageDetail)]
pub(crate) struct MessageDetailView {
    #[serde(flatten)]
    message: MessageView,
    /// Its statuses, oldest first.
    statuses: Vec<StatusView>,
    /// Its calls to the upstream, first one first.
    attempts: Vec<AttemptView>,
}

impl From<&MessageHistory> for MessageDetailView {
    fn from(history: &MessageHistory) -> Self {
        Self {
            message: MessageView::from(&history.message),
            statuses: history.statuses.iter().map(StatusView::from).collect(),
            attempts: history.attempts.iter().map(AttemptView::from).collect(),
        }
    }
}

/// One status of a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageStatus)]
pub(crate) struct StatusView {
    status: &'static str,
    at: String,
    error: Option<MessageError>,
}

impl From<&StatusEvent> for StatusView {
    fn from(event: &StatusEvent) -> Self {
        Self {
            status: event.status.as_str(),
            at: time(event.at),
            error: event.failure.as_ref().map(MessageError::from),
        }
    }
}

/// One call to the upstream for a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageAttempt)]
pub(crate) struct AttemptView {
    /// From 1.
    number: u32,
    started_at: String,
    finished_at: Option<String>,
    /// `open`, `sent`, `refused`, `not_sent` or `unknown`.
    outcome: &'static str,
    upstream: Option<UpstreamError>,
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: time(attempt.started_at),
            finished_at: attempt.finished_at.map(time),
            outcome: attempt.outcome.as_str(),
            upstream: attempt.fault.as_ref().map(UpstreamError::from),
        }
    }
}

/// A conversation with a person by one number, and its 24-hour window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView {
    /// `<number_id>.<digits>`.
    id: String,
    number_id: String,
    #[schema(example = "15550001111")]
    phone: String,
    customer_id: Option<String>,
    last_inbound_at: String,
    /// Whether free-form messages may be sent now.
    open: bool,
    /// When the window closes, or closed.
    open_until: String,
}

impl SessionView {
    /// A session at an instant.
    pub(crate) fn new(session: &Session, now: Timestamp) -> Self {
        let window = Window::at(now, Some(session.last_inbound_at));
        let (open, until) = match window {
            Window::Open(until) => (true, until),
            Window::ClosedSince(until) => (false, until),
            Window::NoHistory => (false, session.last_inbound_at),
        };
        Self {
            id: format!("{}.{}", session.number_id, session.phone.digits()),
            number_id: session.number_id.to_string(),
            phone: session.phone.digits().to_owned(),
            customer_id: session.customer_id.as_ref().map(ToString::to_string),
            last_inbound_at: time(session.last_inbound_at),
            open,
            open_until: time(until),
        }
    }
}

/// A broadcast.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Broadcast)]
pub(crate) struct BroadcastView {
    id: String,
    org_id: String,
    number_id: String,
    /// The template's name.
    template: String,
    /// How many customers it is for.
    audience: u64,
    /// `running`, `paused` or `cancelled`.
    state: &'static str,
    created_at: String,
    /// How many of its messages have each status; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    by_status: Option<std::collections::BTreeMap<String, u64>>,
}

impl BroadcastView {
    /// Without its progress.
    pub(crate) fn of_record(record: &waypost_domain::message::BroadcastRecord) -> Self {
        Self {
            id: record.id.to_string(),
            org_id: record.org_id.to_string(),
            number_id: record.number_id.to_string(),
            template: record.template.clone(),
            audience: record.audience,
            state: record.state.as_str(),
            created_at: time(record.created_at),
            by_status: None,
        }
    }
}

impl From<&BroadcastProgress> for BroadcastView {
    fn from(progress: &BroadcastProgress) -> Self {
        let counts = progress.by_status.iter();
        let by_status =
            counts.map(|(status, count)| (status.as_str().to_owned(), *count)).collect();
        Self { by_status: Some(by_status), ..Self::of_record(&progress.record) }
    }
}
