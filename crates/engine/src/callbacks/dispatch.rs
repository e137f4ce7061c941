//! From the log of events to callbacks: reads what is new, finds out whom it is for, and records
//! one callback for each target together with how far it has read.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use waypost_domain::Timestamp;
use waypost_domain::callback::{CallbackShape, Webhook};
use waypost_domain::event::{Event, EventDetail, EventKind};
use waypost_planted::{Bug, is_planted};

use super::compose::{notify_address, origin};
use crate::Engine;
use crate::panics::caught_now;
use crate::ports::{
    EventHead, LoggedEvent, NewCallback, StoreError, StoreResult, TargetAddress, TargetName,
};

/// Events worked off together.
const BATCH: u32 = 512;
/// How long the first of some events waits for others, so that they are worked off together.
const GATHER: Duration = Duration::from_millis(10);
/// How often the log is looked at without being told that there is something new.
const POLL: Duration = Duration::from_secs(1);
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Events that are for nobody are looked at again after a crash, but not more of them than these.
const UNRECORDED_EVENTS: i64 = 1_024;
/// How long the mark may stay behind them, in milliseconds: what it has not passed is not deleted for
/// its age either.
const UNRECORDED_MS: i64 = 600_000;
/// How long the callback of a message waits for the message's file, in milliseconds.
pub(super) const FILE_WAIT_MS: i64 = 60_000;

/// How messages are told of whose dialect has no shape of its own.
const OWN_SHAPE: &str = "standard";

/// How far the log has been worked off.
struct Mark {
    /// In memory.
    at: i64,
    /// In the store.
    recorded: i64,
    /// Since when it has been there.
    recorded_at: Timestamp,
}

impl Engine {
    /// Works off the log of events until it is cancelled.
    pub(crate) async fn dispatch_events(self, cancel: CancellationToken) {
        let mut mark: Option<Mark> = None;
        while !cancel.is_cancelled() {
            let some = self.dispatch_some(&mut mark);
            let Some(outcome) = cancel.run_until_cancelled(some).await else { break };
            let pause = match outcome {
                Ok(true) => continue,
                Ok(false) => None,
                Err(error) => {
                    self.complain(&error);
                    Some(STORE_PAUSE)
                }
            };
            cancel.run_until_cancelled(self.wait_for_events(pause)).await;
        }
        if let Some(mut mark) = mark
            && let Err(error) = self.record_mark(&mut mark).await
        {
            self.complain(&error);
        }
    }

    async fn record_mark(&self, mark: &mut Mark) -> StoreResult<()> {
        let now = self.now();
        if mark.at > mark.recorded {
            self.store().add_callbacks(Vec::new(), Some(mark.at), now).await?;
        }
        *mark = Mark { recorded: mark.at, recorded_at: now, ..*mark };
        Ok(())
    }

    fn complain(&self, error: &StoreError) {
        tracing::error!(%error, "events");
        self.note_store_error(error);
    }

    async fn wait_for_events(&self, pause: Option<Duration>) {
        if let Some(pause) = pause {
            return tokio::time::sleep(pause).await;
        }
        let told = tokio::time::timeout(POLL, self.callbacks().logged.notified()).await;
        if told.is_ok() {
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Works off the next events. `false` where there are none.
    async fn dispatch_some(&self, mark: &mut Option<Mark>) -> StoreResult<bool> {
        let mark = match mark {
            Some(mark) => mark,
            None => {
                let recorded = self.store().callback_mark().await?;
                mark.insert(Mark { at: recorded, recorded, recorded_at: self.now() })
            }
        };
        let found = self.store().event_heads(mark.at, BATCH).await?;
        let Some(last) = found.last else {
            if mark.recorded_at.plus_ms(UNRECORDED_MS) <= self.now() {
                self.record_mark(mark).await?;
            }
            return Ok(false);
        };
        let callbacks = self.callbacks_for(&found.heads).await?;
        let is_for_somebody = !callbacks.is_empty();
        if is_for_somebody || last - mark.recorded >= UNRECORDED_EVENTS {
            if is_planted(Bug::MarkBeforeCallbacks) {
                self.store().add_callbacks(Vec::new(), Some(last), self.now()).await?;
            }
            let now = self.now();
            self.store().add_callbacks(callbacks, Some(last), now).await?;
            (mark.recorded, mark.recorded_at) = (last, now);
        }
        mark.at = last;
        if is_for_somebody {
            self.callbacks_due();
        }
        let orgs: HashSet<_> = found.heads.into_iter().map(|head| head.org_id).collect();
        orgs.iter().for_each(|org| self.callbacks().followed.tell(org));
        Ok(true)
    }

    async fn callbacks_for(&self, heads: &[EventHead]) -> StoreResult<Vec<NewCallback>> {
        let wanted: Vec<&EventHead> =
            heads.iter().filter(|head| self.may_be_wanted(head)).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let places = wanted.iter().map(|head| head.place).collect();
        let logged = self.store().events_at(places).await?;
        let logged: HashMap<i64, LoggedEvent> =
            logged.into_iter().map(|logged| (logged.place, logged)).collect();
        let now = self.now();
        let mut callbacks = Vec::new();
        for head in wanted {
            let Some(logged) = logged.get(&head.place) else { continue };
            let targets = self.targets(&logged.event, head.recorded_at);
            callbacks.extend(targets.into_iter().map(|target| new_callback(target, logged, now)));
        }
        Ok(callbacks)
    }

    /// Whether anybody could want to be told: says no without the event's particulars.
    fn may_be_wanted(&self, head: &EventHead) -> bool {
        if self.directory().webhooks(&head.org_id).iter().any(|webhook| webhook.wants(head.kind)) {
            return true;
        }
        let number = head.number_id.as_ref().and_then(|id| self.directory().number(id));
        let has_default = number.is_some_and(|number| number.default_notify_url.is_some());
        is_status(head.kind) && (head.asks || has_default)
    }

    /// To what an event is posted.
    pub(super) fn targets(&self, event: &Event, recorded_at: Timestamp) -> Vec<TargetName> {
        let now = self.now();
        let webhooks = self.directory().webhooks(&event.org_id);
        let webhooks = webhooks.into_iter().filter(|webhook| {
            // What happened before it was set up is not for it. Where the clock was set back it is
            // younger than now, and was there all the same.
            let was_there = webhook.created_at <= recorded_at || webhook.created_at > now;
            was_there && self.is_told(webhook, event)
        });
        let mut targets: Vec<TargetName> = webhooks
            .map(|webhook| TargetName {
                org_id: event.org_id.clone(),
                address: TargetAddress::Webhook(webhook.id.clone()),
            })
            .collect();
        targets.extend(self.notify_target(event));
        targets
    }

    /// Whether a webhook is told of an event.
    pub(super) fn is_told(&self, webhook: &Webhook, event: &Event) -> bool {
        let in_scope = match (&webhook.number_id, &event.number_id) {
            (None, _) => true,
            (Some(wanted), Some(number)) => wanted == number,
            (Some(wanted), None) => self.is_of_account(wanted, event),
        };
        // Vendors have one word for a message, whichever attempt of its caller it was.
        let is_news = webhook.shape == OWN_SHAPE || !is_in_reply(event);
        webhook.wants(event.kind)
            && in_scope
            && is_news
            && self.shape(&webhook.shape).is_some_and(|shape| tells(shape, event))
    }

    /// Whether an event of a business account concerns a number.
    fn is_of_account(&self, number: &waypost_domain::NumberId, event: &Event) -> bool {
        let waba_id = match &event.detail {
            EventDetail::Template(template) => &template.waba_id,
            EventDetail::Notice(notice) => &notice.waba_id,
            EventDetail::Status(_) | EventDetail::Received(_) => return false,
        };
        self.directory().number(number).is_some_and(|number| number.waba_id == *waba_id)
    }

    /// Where the request of the event's message wants to be told.
    fn notify_target(&self, event: &Event) -> Option<TargetName> {
        let EventDetail::Status(status) = &event.detail else { return None };
        let message = &status.message;
        let shape = self.shape(&message.dialect).or_else(|| self.shape(OWN_SHAPE));
        let shape = shape.filter(|shape| tells(*shape, event))?;
        let number = self.directory().number(&message.number_id);
        let notify = message.options.notify.as_ref();
        if notify.is_some_and(|notify| notify.refused.is_some()) {
            return None;
        }
        let (url, _) = notify_address(notify, shape, number.as_deref())?;
        let shape = shape.info().id.to_owned();
        let address = TargetAddress::Notify { origin: origin(&url), shape };
        Some(TargetName { org_id: event.org_id.clone(), address })
    }
}

/// Whether a shape has a word for an event. Where that panics the try does too, and shows it.
fn tells(shape: &dyn CallbackShape, event: &Event) -> bool {
    caught_now(|| shape.tells(event)).unwrap_or(true)
}

/// Whether an event only repeats what the reply to a request said.
fn is_in_reply(event: &Event) -> bool {
    matches!(&event.detail, EventDetail::Status(status) if status.is_in_reply())
}

fn is_status(kind: EventKind) -> bool {
    let others = [EventKind::MessageReceived, EventKind::TemplateStatus, EventKind::UpstreamNotice];
    !others.contains(&kind)
}

/// The callback that tells a target of an event, due now.
pub(super) fn new_callback(
    target: TargetName,
    logged: &LoggedEvent,
    now: Timestamp,
) -> NewCallback {
    let person = match &logged.event.detail {
        EventDetail::Status(status) => status.message.phone.digits().to_owned(),
        EventDetail::Received(received) => received.message.phone.digits().to_owned(),
        EventDetail::Template(_) | EventDetail::Notice(_) => String::new(),
    };
    let file_by = logged.waits_for_file.then(|| logged.recorded_at.plus_ms(FILE_WAIT_MS));
    NewCallback { target, event: logged.place, person, due_at: now, file_by }
}
