//! From an event to a call: where it goes now, with which headers, and what it says.

use std::time::Duration;

use bytes::Bytes;
use waypost_domain::Zone;
use waypost_domain::callback::{CallbackShape, CallbackSite, Webhook};
use waypost_domain::directory::{Number, Sealed};
use waypost_domain::event::{Event, EventDetail};
use waypost_domain::message::Notify;

use super::sign;
use crate::Engine;
use crate::ports::{CallbackPost, LoggedEvent, TargetAddress, TargetName};

/// The name of the credential for a number's own address for receipts.
const DEFAULT_AUTH: &str = "default";

/// Where a callback goes now.
pub(super) enum Destination {
    /// There.
    Endpoint(Endpoint),
    /// Nowhere: what it was for has gone.
    Nobody,
    /// Nowhere for the time being, and why.
    Off(String),
}

/// An address with all that a call to it needs.
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) shape: &'static dyn CallbackShape,
    /// The newest first.
    secrets: Vec<String>,
    headers: Vec<(String, String)>,
}

/// Where the statuses of a message go besides the webhooks, and with which credential.
pub(super) fn notify_address(
    notify: Option<&Notify>,
    shape: &dyn CallbackShape,
    number: Option<&Number>,
) -> Option<(String, Option<String>)> {
    match notify {
        Some(notify) => Some((notify.url.clone(), notify.auth_id.clone())),
        None if shape.uses_number_address() => {
            let url = number?.default_notify_url.clone()?;
            Some((url, Some(DEFAULT_AUTH.to_owned())))
        }
        None => None,
    }
}

/// Scheme, host and port of an address: what stands before the path.
#[must_use]
pub fn origin(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |place| place + 3);
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |end| after_scheme + end);
    url[..end].to_ascii_lowercase()
}

impl Engine {
    pub(super) fn destination(&self, target: &TargetName, logged: &LoggedEvent) -> Destination {
        match &target.address {
            TargetAddress::Webhook(id) => match self.directory().webhook(&target.org_id, id) {
                Some(webhook) => self.configured(&webhook),
                None => Destination::Nobody,
            },
            TargetAddress::Notify { shape, .. } => self.asked_for(shape, logged),
        }
    }

    /// A configured address.
    pub(super) fn configured(&self, webhook: &Webhook) -> Destination {
        if let Some(why) = &webhook.disabled {
            return Destination::Off(format!("switched off: {why}"));
        }
        let Some(shape) = self.shape(&webhook.shape) else {
            return Destination::Off(format!("there is no shape {}", webhook.shape));
        };
        let secrets = webhook.secrets_at(self.now()).map(|one| {
            let place = format!("webhooks/{}/secret/{}", webhook.id, one.created_at.0);
            self.vault().open(&place, &one.secret)
        });
        let secrets: Result<Vec<String>, _> = secrets.collect();
        let header = webhook.header.as_ref().map(|sealed| {
            let text = self.vault().open(&format!("webhooks/{}/header", webhook.id), sealed)?;
            Ok(header_of(&text))
        });
        match (secrets, header.transpose()) {
            (Ok(secrets), Ok(header)) => {
                let headers = header.into_iter().flatten().collect();
                Destination::Endpoint(Endpoint {
                    url: webhook.url.clone(),
                    shape,
                    secrets,
                    headers,
                })
            }
            (Err(error), _) | (_, Err(error)) => unreadable(error),
        }
    }

    /// The address that a message's request named, or its number's own.
    fn asked_for(&self, shape: &str, logged: &LoggedEvent) -> Destination {
        let (Some(shape), EventDetail::Status(status)) = (self.shape(shape), &logged.event.detail)
        else {
            return Destination::Nobody;
        };
        let message = &status.message;
        let number = self.directory().number(&message.number_id);
        let notify = message.options.notify.as_ref();
        let Some((url, auth)) = notify_address(notify, shape, number.as_deref()) else {
            return Destination::Nobody;
        };
        let sealed = |name: &String| -> Option<(Sealed, String)> {
            let number = number.as_deref()?;
            let place = format!("numbers/{}/notify_auth/{name}", number.id);
            Some((number.notify_auth.get(name)?.clone(), place))
        };
        let known = auth.as_ref().and_then(sealed);
        // Who asked for a credential gets no call without it. The default address may have none.
        if let (Some(name), None, Some(_)) = (&auth, &known, notify) {
            return Destination::Off(format!("the number has no credential named {name}"));
        }
        let opened = known.map(|(sealed, place)| {
            let value = self.vault().open(&place, &sealed)?;
            Ok(("authorization".to_owned(), value))
        });
        match opened.transpose() {
            Ok(header) => {
                let headers = header.into_iter().collect();
                Destination::Endpoint(Endpoint { url, shape, secrets: Vec::new(), headers })
            }
            Err(error) => unreadable(error),
        }
    }

    /// The calls that tell of events, of one or of several where the shape takes them: one call,
    /// unless the shape tells apart what comes together.
    pub(super) fn calls_to(&self, endpoint: &Endpoint, events: &[&Event]) -> Vec<CallbackPost> {
        let info = endpoint.shape.info();
        let Some(first) = events.first() else { return Vec::new() };
        let number = first.number_id.as_ref().and_then(|id| self.directory().number(id));
        let zone = self.directory().org(&first.org_id);
        let zone = zone.and_then(|org| org.wire_offsets.get(info.id).cloned());
        let zone = zone.unwrap_or_else(|| Zone::of_offset_minutes(info.zone_offset_minutes));
        let site = CallbackSite { number: number.as_deref(), zone: &zone };
        // Several events in one call have the name of the first.
        let id = first.id.public();
        let call = |body: Vec<u8>| {
            let (secrets, now) = (&endpoint.secrets, self.wall_now());
            let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            headers.extend(sign::headers(info.signature, secrets, &id, now, &body));
            headers.extend(endpoint.headers.iter().cloned());
            CallbackPost {
                org_id: first.org_id.clone(),
                url: endpoint.url.clone(),
                headers,
                body: Bytes::from(body),
                timeout: Duration::from_secs(info.timeout_s.into()),
            }
        };
        let bodies = endpoint.shape.calls(events, &site).into_iter();
        bodies.filter(|body| !body.is_empty()).map(call).collect()
    }
}

/// `Name: value`.
fn header_of(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

fn unreadable(error: crate::vault::VaultError) -> Destination {
    Destination::Off(format!("its secret cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_stands_before_the_path() {
        for (url, expected) in [
            ("https://a.example.com/x?y=1", "https://a.example.com"),
            ("https://A.Example.com:8443", "https://a.example.com:8443"),
            ("http://a.example.com?to=//b", "http://a.example.com"),
            ("nonsense/1", "nonsense"),
        ] {
            assert_eq!(origin(url), expected, "{url}");
        }
    }
}
