//! Reads what a message asks for beside its content: until when it may be sent, what it answers,
//! for whom exactly it is, how urgent it is, and where its statuses are wanted.

use serde::Deserialize;
use utoipa::ToSchema;
use waypost_domain::Timestamp;
use waypost_domain::message::{Notify, Priority};
use waypost_domain::unknown::UnknownPolicy;

use super::fields::{check_address, check_text, words};
use crate::problem::Faults;

/// The longest id of a message at the upstream, in characters.
pub(super) const MAX_WAMID_CHARS: usize = 512;
/// The longest hash of an identity, in characters.
const MAX_IDENTITY_CHARS: usize = 256;
/// The longest name of a credential registered with a number, in characters.
const MAX_AUTH_NAME_CHARS: usize = 128;
/// How long a message may wait at most, in seconds: thirty days.
const MAX_TTL_S: u32 = 30 * 24 * 3_600;
/// What `expires_at` must be.
pub(super) const END_RULE: &str = "must be an instant in RFC 3339 within the next thirty days";

/// The message that it answers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContextInput {
    /// Its upstream id; shown as a quote.
    message_id: String,
}

impl ContextInput {
    pub(super) fn read(self, faults: &mut Faults) -> String {
        check_text(faults, "context.message_id", &self.message_id, MAX_WAMID_CHARS);
        self.message_id
    }
}

pub(super) fn priorities() -> utoipa::openapi::schema::Object {
    words(&["high", "normal", "low"])
}

pub(super) fn read_priority(faults: &mut Faults, word: Option<&str>) -> Priority {
    match word {
        None | Some("normal") => Priority::Normal,
        Some("high") => Priority::High,
        Some("low") => Priority::Low,
        Some(_) => {
            faults.add("priority", "must be high, normal or low");
            Priority::Normal
        }
    }
}

pub(super) fn unknown_policies() -> utoipa::openapi::schema::Object {
    words(&UnknownPolicy::ALL.map(UnknownPolicy::as_str))
}

pub(super) fn read_unknown_policy(
    faults: &mut Faults,
    word: Option<&str>,
) -> Option<UnknownPolicy> {
    let policy = UnknownPolicy::parse(word?);
    if policy.is_none() {
        faults.add("unknown_policy", "must be hold_then_resend, never_resend or resend_now");
    }
    policy
}

pub(super) fn check_identity(faults: &mut Faults, hash: Option<&str>) {
    if let Some(hash) = hash {
        check_text(faults, "recipient_identity_key_hash", hash, MAX_IDENTITY_CHARS);
    }
}

/// When it must have been sent: an instant, or so many seconds from now. Whether that is past is
/// looked at when the message is accepted: a repetition has its first answer also then.
pub(super) fn read_end(
    faults: &mut Faults,
    expires_at: Option<&str>,
    ttl_s: Option<u32>,
    now: Timestamp,
) -> Option<Timestamp> {
    if expires_at.is_some() && ttl_s.is_some() {
        faults.add("ttl_s", "cannot stand beside expires_at; give one of them");
        return None;
    }
    let latest = now.plus_ms(i64::from(MAX_TTL_S) * 1_000);
    if let Some(ttl_s) = ttl_s {
        if !(1..=MAX_TTL_S).contains(&ttl_s) {
            faults.add("ttl_s", format!("must be 1 to {MAX_TTL_S}"));
        }
        return Some(now.plus_ms(i64::from(ttl_s) * 1_000));
    }
    let end = Timestamp::parse_rfc3339(expires_at?);
    if end.is_none_or(|end| end > latest) {
        faults.add("expires_at", END_RULE);
    }
    end
}

/// Where the statuses of this very message are wanted. Whether it may be posted to is judged when
/// the message is accepted, and shown with it.
pub(super) fn read_notify(
    faults: &mut Faults,
    url: Option<String>,
    auth_id: Option<String>,
) -> Option<Notify> {
    let Some(url) = url else {
        if auth_id.is_some() {
            faults.add("notify_auth_id", "belongs beside notify_url");
        }
        return None;
    };
    let url = url.trim().to_owned();
    check_address(faults, "notify_url", &url);
    if let Some(name) = &auth_id {
        check_text(faults, "notify_auth_id", name, MAX_AUTH_NAME_CHARS);
    }
    Some(Notify::new(url, auth_id))
}
