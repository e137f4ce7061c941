//! Configured addresses: making and changing them, their secrets, and a trial call.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;
use waypost_domain::callback::{Webhook, WebhookSecret};
use waypost_domain::directory::Sealed;
use waypost_domain::event::EventKind;
use waypost_domain::{ErrorKind, Failure, NumberId, OrgId, WebhookId};

use super::compose::Destination;
use super::replay::unknown;
use super::sign::new_secret;
use crate::Engine;
use crate::ports::{CreationClaim, Entry, StoreError};

/// Secrets that may be valid at the same time.
const MAX_SECRETS: usize = 4;
/// Headers that tenants cannot set, beside those that begin with `webhook-` or `proxy-`.
const OUR_HEADERS: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-hub-signature",
    "x-hub-signature-256",
];

/// A webhook to be made.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// The organisation.
    pub org_id: OrgId,
    /// Its id; made up where there is none.
    pub id: Option<WebhookId>,
    /// The address.
    pub url: String,
    /// The id of its shape.
    pub shape: String,
    /// Only events of this number.
    pub number_id: Option<NumberId>,
    /// Only events of these kinds; empty: all that the shape has words for.
    pub events: BTreeSet<EventKind>,
    /// What signs; made up where there is none.
    pub secret: Option<String>,
    /// A header that goes with every call, as `Name: value`.
    pub header: Option<String>,
}

/// What a trial call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookTest {
    /// The status with which the address answered.
    pub status: Option<u16>,
    /// Why there was no answer, and the setting that would allow the call.
    pub error: Option<String>,
}

impl Engine {
    /// Makes a webhook, with the claim of its request's key where it has one. Returns it with its
    /// secret, which is told only now.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidValue`] naming the field, or `webhooks` where the organisation has as many
    /// as it may; what the store says, as where the id is taken.
    pub async fn create_webhook<E>(
        &self,
        new: NewWebhook,
        claim: Option<CreationClaim>,
    ) -> Result<(Arc<Webhook>, String), E>
    where
        E: From<Failure> + From<StoreError> + Send + 'static,
    {
        let id =
            new.id.unwrap_or_else(|| WebhookId::new(format!("wh_{}", Uuid::now_v7().simple())));
        let secret = new.secret.unwrap_or_else(new_secret);
        let webhook = Webhook {
            secrets: vec![self.sealed_secret(&id, &secret)],
            header: new.header.map(|header| self.seal_webhook_header(&id, &header)).transpose()?,
            id,
            org_id: new.org_id,
            url: new.url,
            shape: new.shape,
            number_id: new.number_id,
            events: new.events,
            disabled: None,
            created_at: self.now(),
        };
        self.check_webhook(&webhook)?;
        let made = Arc::new(webhook.clone());
        self.directory().create(Entry::Webhook(webhook), claim).await?;
        Ok((made, secret))
    }

    /// Writes what `change` makes of a known webhook: nobody else writes in between. What waits goes
    /// to the new address; when it is switched on again, what died meanwhile stays dead until it is
    /// replayed.
    ///
    /// # Errors
    /// What `change` says; [`ErrorKind::InvalidValue`] naming the field, or what the store says.
    pub async fn change_webhook<E>(
        &self,
        change: impl FnOnce() -> Result<Webhook, E> + Send + 'static,
    ) -> Result<Webhook, E>
    where
        E: From<Failure> + From<StoreError> + Send + 'static,
    {
        let (engine, checking) = (self.clone(), self.clone());
        let checked = move || -> Result<Webhook, E> {
            let webhook = change()?;
            checking.check_webhook(&webhook)?;
            Ok(webhook)
        };
        let change = async move {
            let webhook = engine.directory().change(Entry::Webhook, checked).await?;
            engine.callbacks_due();
            Ok(webhook)
        };
        self.detached(change).await
    }

    /// Gives a webhook a new secret; the older ones sign beside it for a while. Returns the new
    /// one, which is told only now.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidValue`] where there is no such webhook, or what the store says.
    pub async fn rotate_webhook_secret(
        &self,
        org_id: &OrgId,
        id: &WebhookId,
        secret: Option<String>,
        overlap_s: u32,
    ) -> Result<String, Failure> {
        let (engine, org_id, id) = (self.clone(), org_id.clone(), id.clone());
        let secret = secret.unwrap_or_else(new_secret);
        let new = secret.clone();
        let rotate = move || {
            let mut webhook = (*engine.known_webhook(&org_id, &id)?).clone();
            let now = engine.now();
            let end = now.plus_ms(i64::from(overlap_s) * 1_000);
            for old in &mut webhook.secrets {
                old.expires_at = Some(old.expires_at.map_or(end, |known| known.min(end)));
            }
            webhook.secrets.retain(|old| old.expires_at.is_some_and(|end| now < end));
            webhook.secrets.insert(0, engine.sealed_secret(&id, &new));
            webhook.secrets.truncate(MAX_SECRETS);
            Ok::<_, Failure>(webhook)
        };
        self.directory().change(Entry::Webhook, rotate).await?;
        Ok(secret)
    }

    /// Seals the header that goes with a webhook's calls.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidValue`] where it is not of the form `Name: value`, or the gateway itself
    /// sets the header of this name.
    pub fn seal_webhook_header(&self, id: &WebhookId, header: &str) -> Result<Sealed, Failure> {
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let is_value = |value: &str| value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        match header.split_once(':') {
            Some((name, value)) if is_name(name.trim()) && is_value(value.trim()) => {
                if is_ours(name.trim()) {
                    let message = format!("{} is set by the gateway.", name.trim());
                    return Err(unknown("header", &message));
                }
                Ok(self.vault().seal(&format!("webhooks/{id}/header"), header))
            }
            _ => Err(unknown("header", "A header has the form `Name: value`.")),
        }
    }

    /// Posts a made-up event to a webhook, once and at once. Nothing of it is recorded.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidValue`] where there is no such webhook, or it cannot be called.
    pub async fn test_webhook(
        &self,
        org_id: &OrgId,
        id: &WebhookId,
    ) -> Result<WebhookTest, Failure> {
        let webhook = self.active_webhook(org_id, id)?;
        let endpoint = match self.configured(&webhook) {
            Destination::Endpoint(endpoint) => endpoint,
            Destination::Off(why) => return Err(Failure::new(ErrorKind::InvalidValue, why)),
            Destination::Nobody => return Err(unknown("id", "There is no such webhook.")),
        };
        let event = self.made_up_event(&webhook)?;
        Ok(match self.post_all(&endpoint, &[&event]).await {
            Ok(reply) => WebhookTest { status: Some(reply.status), error: None },
            Err(error) => WebhookTest { status: None, error: Some(error.to_string()) },
        })
    }

    fn sealed_secret(&self, id: &WebhookId, secret: &str) -> WebhookSecret {
        let created_at = self.now();
        let place = format!("webhooks/{id}/secret/{}", created_at.0);
        WebhookSecret { secret: self.vault().seal(&place, secret), created_at, expires_at: None }
    }

    fn check_webhook(&self, webhook: &Webhook) -> Result<(), Failure> {
        if self.shape(&webhook.shape).is_none() {
            let known: Vec<&str> = self.shapes().iter().map(|shape| shape.info().id).collect();
            let message = format!("There is no such shape; there are {}.", known.join(", "));
            return Err(unknown("shape", &message));
        }
        self.made_up_event(webhook)?;
        if let Some(wanted) = &webhook.number_id {
            let numbers = self.directory().numbers(&webhook.org_id);
            if !numbers.iter().any(|number| number.id == *wanted) {
                return Err(unknown("number_id", "The organisation has no such number."));
            }
        }
        let checked = self.callback_addresses().check(&webhook.url);
        checked.map_err(|why| unknown("url", &why))
    }

    pub(super) fn known_webhook(
        &self,
        org_id: &OrgId,
        id: &WebhookId,
    ) -> Result<Arc<Webhook>, Failure> {
        let found = self.directory().webhook(org_id, id);
        found.ok_or_else(|| unknown("webhook_id", "There is no such webhook."))
    }

    /// A webhook that is not switched off.
    pub(super) fn active_webhook(
        &self,
        org_id: &OrgId,
        id: &WebhookId,
    ) -> Result<Arc<Webhook>, Failure> {
        let webhook = self.known_webhook(org_id, id)?;
        match &webhook.disabled {
            Some(why) => {
                let message = format!("The webhook is switched off ({why}); switch it on first.");
                Err(unknown("webhook_id", &message))
            }
            None => Ok(webhook),
        }
    }
}

/// Whether a header is not for tenants to set: what signs, what says how the body is to be read,
/// and what belongs to the connection.
fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("webhook-") || name.starts_with("proxy-") || OUR_HEADERS.contains(&&*name)
}
