//! The directory: organisations and what belongs to each of them except customers and messages.
//! Small enough to be held in memory as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::command::MessageType;
use crate::ids::{ApiKeyId, NumberId, OrgId, ProviderId, UserId};
use crate::phone::Phone;
use crate::time::{Timestamp, Zone};
pub use crate::unknown::UnknownPolicy;
use crate::window::WindowPolicy;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Org {
    /// Its id.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// The zone in which its dialects write times.
    #[serde(default)]
    pub time_zone: Zone,
    /// The template language to prefer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_language: Option<String>,
    /// Free-form messages while a window is closed.
    #[serde(default)]
    pub window_policy: WindowPolicy,
    /// The template that goes in the place of a free-form message, or ahead of it, while a window is
    /// closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_fallback: Option<String>,
    /// Messages whose outcome is unknown.
    #[serde(default)]
    pub unknown_policy: UnknownPolicy,
    /// Whether only customers who opted in may be written to.
    #[serde(default)]
    pub strict_opt_in: bool,
    /// Whom a broadcast reaches.
    #[serde(default)]
    pub broadcast_audience: BroadcastAudience,
    /// The word that joins a person to this organisation on a shared number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_code: Option<String>,
    /// The zone in which a dialect writes its zone-less times, by dialect.
    #[serde(default)]
    pub wire_offsets: BTreeMap<String, Zone>,
    /// How long messages are kept, in days; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_retention_days: Option<u32>,
    /// How long uploaded media are kept, in days.
    #[serde(default = "default_media_retention_days")]
    pub media_retention_days: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Uploaded media are kept for 30 days, as Meta keeps them.
#[must_use]
pub const fn default_media_retention_days() -> u32 {
    30
}

/// Whom a broadcast reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BroadcastAudience {
    /// Every active customer who has not opted out.
    #[default]
    All,
    /// Only those who opted in.
    OptedIn,
}

/// An administrator or agent of an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The organisation.
    pub org_id: OrgId,
    /// The user's id, unique within the organisation.
    pub id: UserId,
    /// The user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When the user was made.
    pub created_at: Timestamp,
}

/// A secret, encrypted under the master key. Opaque to everything but the vault.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// A sender number of the business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// Waypost's id for it.
    pub id: NumberId,
    /// The organisation that owns it.
    pub org_id: OrgId,
    /// The number people see.
    pub display_phone: Phone,
    /// Meta's id for it.
    pub phone_number_id: String,
    /// Meta's id of the business account it belongs to.
    pub waba_id: String,
    /// Its own upstream token; without one the installation's is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Sealed>,
    /// The secret with which its webhooks are signed, where it belongs to another app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_secret: Option<Sealed>,
    /// Starts a second; Meta's default is 80.
    #[serde(default = "default_throughput")]
    pub throughput_per_s: u32,
    /// People who may be written to outside of a window within a day: its messaging limit at the
    /// upstream. Absent: as the upstream says, else without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_limit: Option<u32>,
    /// Its name in Webex Connect's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Its name in Pepipost's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// Other names by which callers know it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Where receipts go when a request names no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_notify_url: Option<String>,
    /// Values of `Authorization` for callbacks that a request asks for, by the name that requests
    /// use for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notify_auth: BTreeMap<String, Sealed>,
    /// Whether a dialect that offers it answers errors with status 200.
    #[serde(default)]
    pub errors_as_200: bool,
    /// Whether other organisations may use it by join code.
    #[serde(default)]
    pub shared: bool,
    /// Whether Meta has it registered for sending by us.
    #[serde(default)]
    pub registered: bool,
    /// When it was added.
    pub created_at: Timestamp,
}

/// [`crate::pacing::DEFAULT_RATE_PER_S`], for serde.
#[must_use]
pub const fn default_throughput() -> u32 {
    crate::pacing::DEFAULT_RATE_PER_S
}

impl Number {
    /// The names by which callers know it, those that name it most surely first.
    pub fn names(&self) -> impl Iterator<Item = NumberName<'_>> {
        let single = [
            ("id", Some(self.id.as_str())),
            ("phone_number_id", Some(&self.phone_number_id)),
            ("display_phone", Some(self.display_phone.digits())),
            ("app_id", self.app_id.as_deref()),
            ("source_id", self.source_id.as_deref()),
        ];
        let single = single.into_iter().filter_map(|(field, text)| Some((field, text?)));
        let aliases = self.aliases.iter().map(|alias| ("aliases", alias.as_str()));
        single.chain(aliases).map(|(field, text)| NumberName { field, text })
    }

    /// Which of its names a caller means who writes `name`: their place among [`Number::names`].
    #[must_use]
    pub fn rank_of(&self, name: &str) -> Option<usize> {
        self.names().position(|own| own.is_meant_by(name))
    }

    /// Whether a caller who writes `name` means this number.
    #[must_use]
    pub fn answers_to(&self, name: &str) -> bool {
        self.rank_of(name).is_some()
    }
}

/// A name by which callers know a number.
#[derive(Clone, Copy, Debug)]
pub struct NumberName<'a> {
    /// The field that has it.
    pub field: &'static str,
    /// As it is written there.
    pub text: &'a str,
}

impl NumberName<'_> {
    /// Whether somebody could write both names in one way.
    #[must_use]
    pub fn clashes_with(self, other: NumberName<'_>) -> bool {
        self.is_meant_by(other.text) || other.is_meant_by(self.text)
    }

    fn is_meant_by(self, text: &str) -> bool {
        let is_phone = matches!(self.field, "display_phone" | "aliases");
        self.text == text || is_phone && is_same_phone(self.text, text)
    }
}

/// Whether both are one phone number, each as people write it.
fn is_same_phone(one: &str, other: &str) -> bool {
    let [one_digits, other_digits] =
        [one, other].map(|text| text.bytes().filter(u8::is_ascii_digit));
    is_spelt_phone(one) && is_spelt_phone(other) && one_digits.eq(other_digits)
}

fn is_spelt_phone(text: &str) -> bool {
    let is_part =
        |char: char| char.is_ascii_digit() || char.is_whitespace() || "+-.()".contains(char);
    text.contains(|char: char| char.is_ascii_digit()) && text.chars().all(is_part)
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Send messages and broadcasts.
    #[serde(rename = "messages:send")]
    MessagesSend,
    /// Read the message log, sessions and broadcasts.
    #[serde(rename = "messages:read")]
    MessagesRead,
    /// Upload, list and delete media.
    #[serde(rename = "media")]
    Media,
    /// Read and change customers.
    #[serde(rename = "customers")]
    Customers,
    /// Read, make and delete templates.
    #[serde(rename = "templates")]
    Templates,
    /// Manage callbacks.
    #[serde(rename = "webhooks")]
    Webhooks,
    /// Everything within the organisation, keys and numbers included.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 7] = [
        Self::MessagesSend,
        Self::MessagesRead,
        Self::Media,
        Self::Customers,
        Self::Templates,
        Self::Webhooks,
        Self::Admin,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessagesSend => "messages:send",
            Self::MessagesRead => "messages:read",
            Self::Media => "media",
            Self::Customers => "customers",
            Self::Templates => "templates",
            Self::Webhooks => "webhooks",
            Self::Admin => "admin",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// A caller's credential. Only the secret's hash is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its public part.
    pub id: ApiKeyId,
    /// The organisation; `None` for the installation's administrator.
    pub org_id: Option<OrgId>,
    /// What it is for, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// SHA-256 of the secret, lower-case hex.
    pub secret_sha256: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Whether its sends are a person's or a bot's.
    #[serde(default)]
    pub sends_as: MessageType,
    /// Requests a second; absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_per_s: Option<u32>,
    /// Networks from which it may be used (CIDR); empty: any.
    #[serde(default)]
    pub allowed_ips: Vec<String>,
    /// Switched off for the time being; unlike a revoked key it is told so.
    #[serde(default)]
    pub disabled: bool,
    /// Lets a caller sign tokens instead of showing the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtCredential>,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ApiKey {
    /// Whether it opens anything at `now`.
    #[must_use]
    pub fn works_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it may do something of this scope.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// What a caller's JSON Web Tokens (HS256) are checked against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwtCredential {
    /// The token's `iss`; unique in the installation.
    pub service_id: String,
    /// The secret that signs.
    pub secret: Sealed,
}

/// A named credential for media links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaProvider {
    /// The organisation.
    pub org_id: OrgId,
    /// The name that requests use.
    pub id: ProviderId,
    /// The hosts that may see the credential.
    pub allowed_hosts: Vec<String>,
    /// How it authenticates.
    pub scheme: ProviderScheme,
    /// The credential: `user:password` or the token.
    pub secret: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How a media provider authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "HTTP's words")]
pub enum ProviderScheme {
    Basic,
    Bearer,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_answers_to_its_names_and_to_its_phones_in_any_spelling() {
        let number: Number = serde_json::from_value(json!({
            "id": "sales", "org_id": "org-1", "display_phone": "15550009999",
            "phone_number_id": "100000000000001", "waba_id": "100000000000002",
            "app_id": "a_1", "source_id": "src-1",
            "aliases": ["main", "+15550008888", "1 (555) 000-7777"],
            "created_at": 0,
        }))
        .unwrap();
        for name in ["sales", "100000000000001", "15550009999", "+15550009999", "a_1", "src-1"] {
            assert!(number.answers_to(name), "{name}");
        }
        for name in ["main", "+15550008888", "15550008888", "+1 555.000.7777", "15550007777"] {
            assert!(number.answers_to(name), "{name}");
        }
        for name in ["", "+", "Main", "5550008888", "155500088880", "x15550008888"] {
            assert!(!number.answers_to(name), "{name}");
        }
    }

    #[test]
    fn names_clash_where_one_spelling_means_both() {
        let clash = |one: (&'static str, &str), other: (&'static str, &str)| {
            let [one, other] = [one, other].map(|(field, text)| NumberName { field, text });
            assert_eq!(one.clashes_with(other), other.clashes_with(one));
            one.clashes_with(other)
        };
        for (one, other, expected) in [
            (("id", "sales"), ("aliases", "sales"), true),
            (("display_phone", "15550009999"), ("aliases", "1 (555) 000-9999"), true),
            (("aliases", "+1 555 000 9999"), ("aliases", "1-555-0009999"), true),
            (("app_id", "15550009999"), ("aliases", "+1 555 000 9999"), true),
            (("app_id", "15550009999"), ("source_id", "+15550009999"), false),
            (("aliases", "sales"), ("aliases", "Sales"), false),
        ] {
            assert_eq!(clash(one, other), expected, "{one:?} {other:?}");
        }
    }
}
