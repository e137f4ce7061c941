//! Making callbacks again that were made before, or given up.

use waypost_domain::{ErrorKind, EventId, Failure, MessageId, OrgId, Timestamp, WebhookId};

use super::compose::origin;
use super::dispatch::new_callback;
use crate::Engine;
use crate::ports::{DeadFilter, EventFilter, LoggedEvent, NewCallback, Page, TargetAddress};

/// Events replayed together.
const PAGE: u32 = 500;
/// Events replayed at one request.
const MAX_REPLAYED: u64 = 100_000;

/// What to make again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// One event, for one webhook, or for all that it is for.
    Event(EventId, Option<WebhookId>),
    /// Everything recorded in a span that a webhook is told of.
    Span {
        /// The webhook.
        webhook_id: WebhookId,
        /// From then on.
        since: Timestamp,
        /// Up to then, exclusive; `None`: now.
        until: Option<Timestamp>,
    },
    /// All dead callbacks of a webhook.
    Dead(WebhookId),
    /// Dead callbacks, whatever address they are for.
    AnyDead(DeadCallbacks),
}

/// Which dead callbacks: those that meet all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadCallbacks {
    /// Only those of this webhook.
    pub webhook_id: Option<WebhookId>,
    /// Only those for addresses that requests named at this server.
    pub server: Option<String>,
    /// Only those that tell of this message.
    pub message_id: Option<MessageId>,
    /// Only those of this event.
    pub event_id: Option<EventId>,
}

impl Engine {
    /// Makes callbacks again; of an event or a span also those that wait to be tried again, at once.
    /// Those of webhooks that are switched off stay as they are. Returns how many, 100,000 at most.
    /// Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidValue`] where event or webhook do not exist, or the webhook is switched
    /// off; else what the store says.
    pub async fn replay(&self, org_id: &OrgId, what: Replay) -> Result<u64, Failure> {
        let (engine, org_id) = (self.clone(), org_id.clone());
        let replay = async move {
            let replayed = engine.replay_now(&org_id, what).await;
            // Also where it was broken off: what was replayed until then is due.
            engine.callbacks_due();
            replayed
        };
        self.detached(replay).await
    }

    async fn replay_now(&self, org_id: &OrgId, what: Replay) -> Result<u64, Failure> {
        match what {
            Replay::Event(id, webhook) => self.replay_event(org_id, id, webhook).await,
            Replay::Dead(webhook) => {
                let of_webhook =
                    DeadCallbacks { webhook_id: Some(webhook), ..DeadCallbacks::default() };
                self.replay_dead(org_id, of_webhook).await
            }
            Replay::AnyDead(which) => self.replay_dead(org_id, which).await,
            Replay::Span { webhook_id, since, until } => {
                self.replay_span(org_id, &webhook_id, since, until).await
            }
        }
    }

    async fn replay_event(
        &self,
        org_id: &OrgId,
        id: EventId,
        webhook: Option<WebhookId>,
    ) -> Result<u64, Failure> {
        if let Some(webhook) = &webhook {
            self.active_webhook(org_id, webhook)?;
        }
        let logged = self.known_event(org_id, id).await?;
        let now = self.now();
        let targets = self.targets(&logged.event, now).into_iter().filter(|target| {
            let wanted =
                |webhook: &WebhookId| target.address == TargetAddress::Webhook(webhook.clone());
            webhook.as_ref().is_none_or(wanted)
        });
        let again = targets.map(|target| new_callback(target, &logged, now));
        self.add_again(again.collect()).await
    }

    async fn replay_dead(&self, org_id: &OrgId, which: DeadCallbacks) -> Result<u64, Failure> {
        let filter = self.dead_filter(org_id, which).await?;
        let mut after = None;
        let mut count = 0;
        while count < MAX_REPLAYED {
            let store = self.store();
            let revived = store.revive_callbacks(org_id, &filter, after, PAGE, self.now()).await?;
            count += revived.count;
            after = revived.next;
            if after.is_none() {
                break;
            }
        }
        Ok(count)
    }

    async fn dead_filter(
        &self,
        org_id: &OrgId,
        which: DeadCallbacks,
    ) -> Result<DeadFilter, Failure> {
        let DeadCallbacks { webhook_id, server, message_id, event_id } = which;
        if let Some(webhook) = &webhook_id {
            self.active_webhook(org_id, webhook)?;
        }
        let event = match event_id {
            Some(id) => Some(self.known_event(org_id, id).await?.place),
            None => None,
        };
        let webhooks = self.directory().webhooks(org_id);
        let off = webhooks.iter().filter(|webhook| webhook.disabled.is_some());
        let except = off.map(|webhook| webhook.id.clone()).collect();
        let server = server.map(|url| origin(&url));
        Ok(DeadFilter { webhook_id, except, server, message_id, event })
    }

    async fn known_event(&self, org_id: &OrgId, id: EventId) -> Result<LoggedEvent, Failure> {
        let found = self.store().event(org_id, id).await?;
        found.ok_or_else(|| unknown("event_id", "There is no such event."))
    }

    async fn replay_span(
        &self,
        org_id: &OrgId,
        webhook_id: &WebhookId,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<u64, Failure> {
        let webhook = self.active_webhook(org_id, webhook_id)?;
        let now = self.now();
        let filter = EventFilter {
            kinds: webhook.events.iter().copied().collect(),
            since: Some(since),
            until,
            ..EventFilter::default()
        };
        let address = TargetAddress::Webhook(webhook_id.clone());
        let target = crate::ports::TargetName { org_id: org_id.clone(), address };
        let mut page = Page { after: None, limit: PAGE };
        let mut count = 0;
        while count < MAX_REPLAYED {
            let events = self.store().events(org_id, &filter, page).await?;
            let told = events.data.iter().filter(|logged| self.is_told(&webhook, &logged.event));
            let again = told.map(|logged| new_callback(target.clone(), logged, now));
            count += self.add_again(again.collect()).await?;
            match events.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        Ok(count)
    }

    async fn add_again(&self, callbacks: Vec<NewCallback>) -> Result<u64, Failure> {
        let count = callbacks.len() as u64;
        self.store().add_callbacks(callbacks, None, self.now()).await?;
        Ok(count)
    }
}

pub(super) fn unknown(field: &str, message: &str) -> Failure {
    Failure::new(ErrorKind::InvalidValue, message).at(field)
}
