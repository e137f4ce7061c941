//! What callers see of organisations and what belongs to them. No secret has a place here.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use waypost_domain::Timestamp;
use waypost_domain::customer::Customer;
use waypost_domain::directory::{ApiKey, MediaProvider, Number, Org, Scope, User};
use waypost_domain::template::Template;
use waypost_engine::PacingView;
use waypost_engine::ports::MediaRecord;

/// An instant in RFC 3339, UTC.
pub(crate) fn time(at: Timestamp) -> String {
    at.rfc3339()
}

/// A word of one of the domain's enumerations, as serde writes it.
pub(crate) fn word(value: &impl Serialize) -> String {
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
    /// The template that goes in the place of a free-form message, or ahead of it, while a window is
    /// closed.
    window_fallback: Option<String>,
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
            window_fallback: org.window_fallback.clone(),
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
    /// People who may be written to outside of windows within a day; `null`: as Meta says.
    daily_limit: Option<u32>,
    app_id: Option<String>,
    source_id: Option<String>,
    aliases: Vec<String>,
    default_notify_url: Option<String>,
    /// The names of the credentials for callbacks.
    notify_auth: Vec<String>,
    errors_as_200: bool,
    shared: bool,
    /// Whether it was registered through this gateway; `null`: not known, it may well be.
    registered: Option<bool>,
    created_at: String,
    /// How its pace stands; absent in lists, and until it has sent or queued something.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pacing: Option<NumberPacing>,
}

/// How a number's pace stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NumberPacing {
    /// Starts a second at present: fewer than `throughput_per_s` after Meta said that it is too
    /// fast.
    present_per_s: u32,
    /// For how long nothing starts, in milliseconds.
    paused_ms: u64,
    /// Calls to Meta under way for queued messages.
    in_flight: u64,
    /// Until when marketing and broadcasts are kept back, because of the daily limit.
    bulk_held_until: Option<String>,
    /// People who were written to outside of windows in the last 24 hours, where there is a limit.
    people_of_the_day: Option<u64>,
    /// That limit, as set or as Meta says.
    daily_limit: Option<u32>,
    /// People who get no marketing for now, because Meta said so.
    capped_people: u64,
    /// Messages that were put off since the start.
    postponed: u64,
    /// Callers who were told the rate error since the start.
    refused: u64,
}

impl From<&PacingView> for NumberPacing {
    fn from(pacing: &PacingView) -> Self {
        Self {
            present_per_s: pacing.present_per_s,
            paused_ms: pacing.paused_ms,
            in_flight: pacing.in_flight,
            bulk_held_until: pacing.bulk_held_until.map(time),
            people_of_the_day: pacing.people_of_the_day,
            daily_limit: pacing.daily_limit,
            capped_people: pacing.capped_people,
            postponed: pacing.postponed,
            refused: pacing.refused,
        }
    }
}

impl NumberView {
    /// With how its pace stands.
    pub(crate) fn with_pacing(mut self, pacing: Option<&PacingView>) -> Self {
        self.pacing = pacing.map(NumberPacing::from);
        self
    }
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
            daily_limit: number.daily_limit,
            app_id: number.app_id.clone(),
            source_id: number.source_id.clone(),
            aliases: number.aliases.clone(),
            default_notify_url: number.default_notify_url.clone(),
            notify_auth: number.notify_auth.keys().cloned().collect(),
            errors_as_200: number.errors_as_200,
            shared: number.shared,
            registered: number.registered.then_some(true),
            created_at: time(number.created_at),
            pacing: None,
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
    /// Switched off for the time being.
    disabled: bool,
    /// The `iss` of JSON Web Tokens that stand for it.
    jwt_service_id: Option<String>,
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
            disabled: key.disabled,
            jwt_service_id: key.jwt.as_ref().map(|jwt| jwt.service_id.clone()),
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
