//! Who may call: finding the key in a request, its networks, its rate. What a key may do is judged
//! where the organisation and the scope are known.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::Mutex;
use waypost_dialects::Credential;
use waypost_domain::command::Caller;
use waypost_domain::directory::ApiKey;
use waypost_domain::pacing::Pace;
use waypost_domain::{ApiKeyId, ErrorKind, Failure, OrgId, Timestamp};
use waypost_engine::keys;

use crate::App;
use crate::client::{Client, Peer};
use crate::jwt::Token;
use crate::log_fields::LogFields;

/// Keys whose rate is remembered at once; beyond, those that rest are forgotten.
const MAX_RATES: usize = 10_000;

/// The key that a request carries, recognised.
///
/// # Errors
/// [`ErrorKind::MissingCredential`], [`ErrorKind::InvalidCredential`].
pub(crate) fn recognise(
    app: &App,
    credential: Credential,
    headers: &HeaderMap,
    extensions: &http::Extensions,
) -> Result<Arc<ApiKey>, Failure> {
    let presented = presented(credential, headers).ok_or_else(|| missing(credential))?;
    let signed = match credential {
        Credential::BearerElseHeader(_) => Token::read(presented),
        _ => None,
    };
    let key = match signed {
        Some(token) => signer(app, &token)?,
        None => app.engine.keys().recognise(presented)?,
    };
    if let Some(log) = extensions.get::<LogFields>() {
        log.set_key(&key);
    }
    if key.disabled {
        return Err(Failure::new(ErrorKind::KeyDisabled, "The API key is switched off."));
    }
    let client = Client::of(extensions.get::<Peer>().copied(), headers, &app.trusted_proxies);
    if !client.is_within(&key.allowed_ips) {
        tracing::info!(key_id = %key.id, "the key was used from a network it is not allowed in");
        // In the words for an unknown key: whoever stole it learns nothing, but where the code tells
        // anyway: in the management API, and in the one dialect whose vendor tells.
        let message = keys::UNKNOWN_KEY;
        return Err(Failure::new(ErrorKind::AddressNotAllowed, message));
    }
    Ok(key)
}

/// The key that a token is signed with, where it holds.
fn signer(app: &App, token: &Token<'_>) -> Result<Arc<ApiKey>, Failure> {
    let now = app.engine.now();
    let key = app.engine.directory().key_by_service(token.issuer());
    let holds = |key: &Arc<ApiKey>| {
        let Some(jwt) = &key.jwt else { return false };
        let place = format!("api_keys/{}/jwt", key.id);
        let secret = app.engine.vault().open(&place, &jwt.secret);
        let wall_now = app.engine.wall_now();
        key.works_at(now) && secret.is_ok_and(|secret| token.holds(&secret, wall_now))
    };
    key.filter(holds).ok_or_else(|| Failure::new(ErrorKind::InvalidCredential, keys::UNKNOWN_KEY))
}

fn presented(credential: Credential, headers: &HeaderMap) -> Option<&str> {
    let value = match credential {
        Credential::Header(name) => header(headers, name)?,
        Credential::Bearer => bearer(headers)?,
        Credential::BearerOrBare => {
            bearer(headers).or_else(|| headers.get(AUTHORIZATION)?.to_str().ok())?
        }
        Credential::BearerElseHeader(name) => bearer(headers).or_else(|| header(headers, name))?,
    };
    let value = value.trim();
    (!value.is_empty()).then_some(value)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The token behind the scheme `Bearer`, if there is anything.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim_start().split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then_some(token)
}

fn missing(credential: Credential) -> Failure {
    let message = match credential {
        Credential::Header(name) => format!("Put your API key into the header {name}."),
        Credential::Bearer | Credential::BearerOrBare => {
            "Put your API key into the header Authorization: Bearer.".to_owned()
        }
        Credential::BearerElseHeader(name) => {
            format!("Put your API key into the header {name} or Authorization: Bearer.")
        }
    };
    Failure::new(ErrorKind::MissingCredential, message)
}

/// The key's holder, for the engine.
pub(crate) fn caller(key: &ApiKey) -> Caller {
    Caller { key_id: key.id.clone(), org_id: key.org_id.clone(), sends_as: key.sends_as }
}

/// Whether a key may act for an organisation.
pub(crate) fn may_act_for(key: &ApiKey, org_id: &OrgId) -> bool {
    key.org_id.as_ref().is_none_or(|own| own == org_id)
}

/// How fast each key may call.
#[derive(Default)]
pub(crate) struct KeyRates(Mutex<HashMap<ApiKeyId, (u32, Pace)>>);

impl KeyRates {
    /// Counts one request of a key.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`] where it comes too soon; it does not count then.
    pub(crate) fn take(&self, key: &ApiKey, now: Timestamp) -> Result<(), Failure> {
        let Some(rate) = key.rate_limit_per_s else { return Ok(()) };
        let now_us = now.0.saturating_mul(1_000);
        let mut rates = self.0.lock();
        if rates.len() >= MAX_RATES {
            rates.retain(|_, (_, pace)| pace.wait_us(now_us) > 0);
        }
        let entry = rates.entry(key.id.clone()).or_insert_with(|| (rate, Pace::new(rate)));
        if entry.0 != rate {
            *entry = (rate, Pace::new(rate));
        }
        let wait_us = entry.1.wait_us(now_us);
        if wait_us == 0 {
            entry.1.take(now_us);
            return Ok(());
        }
        let message = format!("The key may be used for {rate} requests a second.");
        let seconds = u32::try_from((wait_us + 999_999) / 1_000_000).unwrap_or(1);
        Err(Failure::new(ErrorKind::RateLimited, message).retry_after_s(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waypost_domain::command::MessageType;

    fn key(rate: Option<u32>) -> ApiKey {
        ApiKey {
            id: ApiKeyId::new("k-1"),
            org_id: None,
            name: None,
            secret_sha256: String::new(),
            scopes: Vec::new(),
            sends_as: MessageType::Human,
            rate_limit_per_s: rate,
            allowed_ips: Vec::new(),
            disabled: false,
            jwt: None,
            expires_at: None,
            revoked_at: None,
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn finds_the_key_where_the_dialect_says() {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", " wp_test_1 ".parse().unwrap());
        headers.insert(AUTHORIZATION, "bearer wp_test_2".parse().unwrap());
        assert_eq!(presented(Credential::Header("x-api-key"), &headers), Some("wp_test_1"));
        assert_eq!(presented(Credential::Bearer, &headers), Some("wp_test_2"));
        for value in ["", "  ", "Bearer", "Bearer  ", "Basic abc"] {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(presented(Credential::Bearer, &headers), None, "{value}");
        }
        let either = Credential::BearerElseHeader("key");
        headers.insert("key", "wp_test_3".parse().unwrap());
        for (value, found, bare) in [
            ("Bearer wp_test_4", "wp_test_4", Some("wp_test_4")),
            ("bearer  wp_test_4 ", "wp_test_4", Some("wp_test_4")),
            ("Bearer  ", "wp_test_3", Some("Bearer")),
            ("Basic abc", "wp_test_3", Some("Basic abc")),
            ("wp_test_5", "wp_test_3", Some("wp_test_5")),
            (" ", "wp_test_3", None),
        ] {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(presented(either, &headers), Some(found), "{value}");
            assert_eq!(presented(Credential::BearerOrBare, &headers), bare, "{value}");
        }
        headers.insert("x-api-key", "   ".parse().unwrap());
        assert_eq!(presented(Credential::Header("x-api-key"), &headers), None);
    }

    #[test]
    fn names_the_header_as_the_vendor_spells_it() {
        for name in ["apiKey", "X-API-KEY"] {
            let credential = Credential::Header(name);
            assert!(missing(credential).message.contains(name));
            let mut headers = HeaderMap::new();
            headers.insert(http::HeaderName::try_from(name).unwrap(), "k".parse().unwrap());
            assert_eq!(presented(credential, &headers), Some("k"));
        }
    }

    #[test]
    fn a_key_with_a_rate_is_slowed_down_and_recovers() {
        let rates = KeyRates::default();
        let slow = key(Some(2));
        assert!(rates.take(&slow, Timestamp(1_000)).is_ok());
        let refused = rates.take(&slow, Timestamp(1_000)).unwrap_err();
        assert_eq!((refused.kind, refused.retry_after_s), (ErrorKind::RateLimited, Some(1)));
        assert!(rates.take(&slow, Timestamp(1_500)).is_ok());
        for _ in 0..1_000 {
            assert!(rates.take(&key(None), Timestamp(1_500)).is_ok());
        }
        let faster = key(Some(100));
        assert!(rates.take(&faster, Timestamp(1_500)).is_ok(), "a new rate counts at once");
    }
}
