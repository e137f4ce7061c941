//! What the upstream tells us: stored raw before it is answered, then worked off in order.

mod files;
mod notices;
mod signers;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use waypost_domain::content::InboundContent;
use waypost_domain::event::TemplateDetail;
use waypost_domain::{Failure, OrgId, Timestamp};
use waypost_planted::{Bug, is_planted};

pub(crate) use self::files::FILES_AT_ONCE;
use self::files::inbound_media_id;
use crate::Engine;
use crate::consents::new_customer_id;
use crate::panics::{BUG, caught, caught_now};
use crate::ports::{
    Inbound, InboundMessage, InboxEntry, ReportEffect, Signer, StatusNotice, StatusReport,
    StoreError, StoreResult, UpstreamEvent,
};
use crate::send::new_message_id;

/// Inbox entries worked off together; their writes share commits.
const BATCH: u32 = 64;
/// Events applied at the same time, unless one webhook brings more.
const EVENTS_TOGETHER: usize = 256;
/// Fields of a webhook that are named in the log, and how much of each.
const FIELDS_TOLD: usize = 8;
const FIELD_CHARS_TOLD: usize = 64;
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// An inbox entry that has been read.
struct ReadEntry<'a> {
    entry: &'a InboxEntry,
    events: Vec<UpstreamEvent>,
    /// How many events it has besides, for which its signer does not speak.
    left_out: usize,
}

impl ReadEntry<'_> {
    /// Whether each of its events is one write and nothing is waited for before it, so that entries
    /// worked off together reach the store in their order.
    fn is_for_the_store(&self) -> bool {
        let mut events = self.events.iter();
        events.all(|event| match event {
            UpstreamEvent::Inbound(_) | UpstreamEvent::Status(_) | UpstreamEvent::Notice(_) => true,
            UpstreamEvent::Template { .. } | UpstreamEvent::Other { .. } => false,
        })
    }
}

/// What of a webhook is not understood: how many events, and some of their fields.
fn not_understood(events: &[UpstreamEvent]) -> (usize, BTreeSet<String>) {
    let (mut count, mut fields) = (0, BTreeSet::new());
    for event in events {
        let UpstreamEvent::Other { field, .. } = event else { continue };
        count += 1;
        if fields.len() < FIELDS_TOLD {
            fields.insert(shortened(field));
        }
    }
    (count, fields)
}

/// As much of a field's name as is told in the log.
fn shortened(field: &str) -> String {
    field.chars().take(FIELD_CHARS_TOLD).collect()
}

/// Neighbours that may be worked off together, in their order.
fn groups<'a>(entries: impl Iterator<Item = ReadEntry<'a>>) -> Vec<Vec<ReadEntry<'a>>> {
    let mut groups: Vec<Vec<ReadEntry<'a>>> = Vec::new();
    let mut events = 0;
    for entry in entries {
        events += entry.events.len();
        match groups.last_mut() {
            Some(group)
                if events <= EVENTS_TOGETHER
                    && entry.is_for_the_store()
                    && group.iter().all(ReadEntry::is_for_the_store) =>
            {
                group.push(entry);
            }
            _ => {
                events = entry.events.len();
                groups.push(vec![entry]);
            }
        }
    }
    groups
}

impl Engine {
    /// Keeps a webhook; durable when it returns. It is worked off afterwards, also where the caller
    /// has gone away meanwhile.
    ///
    /// # Errors
    /// Where it cannot be stored: the upstream sends it again.
    pub async fn receive_webhook(&self, body: Bytes, signer: Signer) -> Result<(), Failure> {
        if is_planted(Bug::WebhookBeforeStore) {
            let engine = self.clone();
            tokio::spawn(async move {
                drop(engine.store().store_webhook(body, signer, engine.now()).await);
                engine.inbox_filled().notify_one();
            });
            return Ok(());
        }
        let engine = self.clone();
        let keep = async move {
            let kept = engine.store().store_webhook(body, signer, engine.now()).await;
            kept.inspect_err(|error| {
                engine.note_store_error(error);
                engine.note_refused_webhook();
            })?;
            engine.count().webhooks.add();
            engine.inbox_filled().notify_one();
            Ok(())
        };
        self.detached(keep).await
    }

    /// Works off the inbox until it is cancelled.
    pub(crate) async fn work_off_inbox(self, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            // What is broken off here is still in the inbox, and applying it twice changes nothing.
            let batch = cancel.run_until_cancelled(self.work_off_batch()).await;
            let Some(worked_off) = batch else { return };
            let pause = match worked_off {
                Ok(0) => None,
                Ok(_) => continue,
                Err(error) => {
                    tracing::error!(%error, "inbox");
                    self.note_store_error(&error);
                    Some(STORE_PAUSE)
                }
            };
            let filled = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => self.inbox_filled().notified().await,
                }
            };
            cancel.run_until_cancelled(filled).await;
        }
    }

    async fn work_off_batch(&self) -> StoreResult<usize> {
        let entries = self.store().open_webhooks(0, BATCH).await?;
        let mut understood = Vec::new();
        let mut raw = Vec::new();
        for together in groups(entries.iter().map(|entry| self.read_entry(entry))) {
            // Together, so that one commit serves them; the store takes them in this order.
            let known = together.into_iter().map(|read| self.work_off(read));
            for (id, known) in futures_util::future::join_all(known).await {
                let known = match known {
                    Err(error @ StoreError::Unavailable(_)) => return Err(error),
                    Err(error) => {
                        // It would fail again and again, and hold up all that came after it.
                        tracing::error!(entry = id, %error, "webhook kept raw");
                        false
                    }
                    Ok(known) => known,
                };
                if known { &mut understood } else { &mut raw }.push(id);
            }
        }
        if !understood.is_empty() {
            self.store().close_webhooks(understood, false).await?;
        }
        if !raw.is_empty() {
            self.store().close_webhooks(raw, true).await?;
        }
        Ok(entries.len())
    }

    fn read_entry<'a>(&self, entry: &'a InboxEntry) -> ReadEntry<'a> {
        let parsed = caught_now(|| self.webhook_codec().parse(&entry.body));
        let mut events = parsed.unwrap_or_else(|| {
            tracing::error!(entry = entry.id, "webhook kept raw after {BUG}");
            Vec::new()
        });
        let left_out = self.leave_out(&mut events, &entry.signer);
        ReadEntry { entry, events, left_out }
    }

    /// Applies what one webhook says. Its place, and whether all of it was understood.
    async fn work_off(&self, read: ReadEntry<'_>) -> (i64, StoreResult<bool>) {
        let ReadEntry { entry, events, left_out } = read;
        let understood = !events.is_empty() && left_out == 0;
        // What is kept raw is told once for a webhook, not for each event: they may be thousands.
        let (count, fields) = not_understood(&events);
        if count > 0 || events.is_empty() && left_out == 0 {
            tracing::info!(entry = entry.id, events = count, ?fields, "webhook kept raw");
        }
        let told = AtomicBool::new(false);
        let applied = futures_util::future::join_all(
            events.into_iter().map(|event| self.apply_event_or_leave_it(event, entry, &told)),
        );
        let mut all = Ok(understood);
        for known in applied.await {
            all = match (all, known) {
                // What may be applied later decides: the whole webhook is worked off again then.
                (_, Err(error @ StoreError::Unavailable(_))) => Err(error),
                (Err(error), _) | (Ok(_), Err(error)) => Err(error),
                (Ok(all), Ok(known)) => Ok(all && known),
            };
        }
        if left_out > 0 && all.is_ok() {
            let why = "events of other numbers than the app secret's are kept raw";
            tracing::warn!(entry = entry.id, left_out, why, "webhook");
        }
        (entry.id, all)
    }

    async fn apply_event_or_leave_it(
        &self,
        event: UpstreamEvent,
        entry: &InboxEntry,
        told: &AtomicBool,
    ) -> StoreResult<bool> {
        caught(self.apply_event(event, entry, told)).await.unwrap_or_else(|| {
            tracing::error!(entry = entry.id, "an event is left out after {BUG}");
            Ok(false)
        })
    }

    async fn apply_event(
        &self,
        event: UpstreamEvent,
        entry: &InboxEntry,
        told: &AtomicBool,
    ) -> StoreResult<bool> {
        match event {
            UpstreamEvent::Inbound(inbound) => self.apply_inbound(inbound, entry, told).await,
            UpstreamEvent::Status(notice) => self.apply_status(notice, entry).await,
            UpstreamEvent::Template { template, at } => {
                self.apply_template(template, at.unwrap_or(entry.received_at), entry).await
            }
            UpstreamEvent::Notice(notice) => self.apply_notice(notice, entry, told).await,
            UpstreamEvent::Other { .. } => Ok(false),
        }
    }

    async fn apply_template(
        &self,
        template: TemplateDetail,
        at: Timestamp,
        entry: &InboxEntry,
    ) -> StoreResult<bool> {
        let TemplateDetail { waba_id, name, language, status, .. } = &template;
        if let Err(error) = self.template_changed(waba_id, name, language, status).await {
            tracing::warn!(template = name, %error, "template update");
        }
        let numbers = self.directory().all_numbers();
        let of_account = numbers
            .iter()
            .filter(|number| number.waba_id == *waba_id && entry.signer.speaks_for(&number.id));
        let orgs: BTreeSet<OrgId> = of_account.map(|number| number.org_id.clone()).collect();
        let orgs = orgs.into_iter().collect();
        self.store().record_template_change(orgs, template, at, self.now()).await?;
        self.event_logged();
        Ok(true)
    }

    async fn apply_inbound(
        &self,
        inbound: Inbound,
        entry: &InboxEntry,
        told: &AtomicBool,
    ) -> StoreResult<bool> {
        let number = self.directory().number_by_phone_number_id(&inbound.phone_number_id);
        let (Some(number), Some(phone)) = (number, inbound.phone) else {
            if !told.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    entry = entry.id,
                    phone_number_id = inbound.phone_number_id,
                    "inbound message for an unknown number, or from a person without one: kept raw"
                );
            }
            return Ok(false);
        };
        let has_media = inbound_media_id(&inbound.kind, &inbound.message).is_some();
        let (org_id, addressed) = self.addressed(&number, &inbound.kind, &inbound.message);
        let message = InboundMessage {
            id: new_message_id(),
            org_id,
            addressed,
            number_id: number.id.clone(),
            phone,
            user_id: inbound.user_id,
            profile_name: inbound.profile_name,
            new_customer_id: new_customer_id(),
            wamid: inbound.wamid,
            content: InboundContent { kind: inbound.kind, message: inbound.message, media: None },
            written_at: inbound.written_at.unwrap_or(entry.received_at),
        };
        if self.store().record_inbound(message, self.now()).await? {
            self.count().messages_received.add();
            self.event_logged();
            // What was held until the person writes is due.
            self.lanes().wake(&number.id);
            if has_media {
                self.lane(&number).files.notify_one();
            }
        }
        Ok(true)
    }

    async fn apply_status(&self, notice: StatusNotice, entry: &InboxEntry) -> StoreResult<bool> {
        let Some(report) = notice.report else { return Ok(false) };
        let number_id = match entry.signer {
            Signer::Installation => None,
            Signer::Numbers(_) => {
                let directory = self.directory();
                let number = directory.number_by_phone_number_id(&notice.phone_number_id);
                let Some(number) = number else { return Ok(false) };
                Some(number.id.clone())
            }
        };
        self.count().statuses.add();
        let report = StatusReport {
            number_id,
            attempt_id: notice.opaque.as_deref().and_then(|opaque| self.tokens().read(opaque)),
            wamid: notice.wamid,
            report,
            at: notice.at.unwrap_or(entry.received_at),
            failure: notice.failure,
            extra: notice.extra,
        };
        let failure = report.failure.clone();
        match self.store().apply_report(report, self.now()).await? {
            ReportEffect::Advanced(id, ..) => {
                // Before anything can fail: a repetition of the report changes nothing any more.
                self.watch().tell(&id);
                self.countdowns().known(&id);
                self.event_logged();
                self.heed_report(id, failure.as_ref()).await?;
            }
            ReportEffect::Nothing(_) => {}
            ReportEffect::Parked => self.count().statuses_parked.add(),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> UpstreamEvent {
        UpstreamEvent::Status(StatusNotice {
            phone_number_id: "1".to_owned(),
            wamid: "wamid.1".to_owned(),
            opaque: None,
            report: None,
            at: None,
            failure: None,
            extra: None,
        })
    }

    #[test]
    fn what_is_not_understood_is_told_in_a_few_words() {
        let other = |field: String| UpstreamEvent::Other { waba_id: "2".to_owned(), field };
        assert_eq!(not_understood(&[status()]), (0, BTreeSet::new()));
        let flows = || other("flows".to_owned());
        let some = [flows(), status(), other(String::new()), flows()];
        let fields = BTreeSet::from(["flows", ""].map(str::to_owned));
        assert_eq!(not_understood(&some), (3, fields));
        let many: Vec<_> = (10..99).map(|place| other(place.to_string().repeat(1_000))).collect();
        let (count, fields) = not_understood(&many);
        assert_eq!((count, fields.len()), (89, FIELDS_TOLD));
        assert!(fields.iter().all(|field| field.len() == FIELD_CHARS_TOLD));
    }

    #[test]
    fn groups_what_the_store_takes_in_order_up_to_a_bound() {
        let signer = Signer::Installation;
        let entry = InboxEntry { id: 1, body: Bytes::new(), signer, received_at: Timestamp(0) };
        let read = |events| ReadEntry { entry: &entry, events, left_out: 0 };
        let other = || UpstreamEvent::Other { waba_id: "2".to_owned(), field: "flows".to_owned() };
        for (entries, sizes) in [
            (vec![], vec![]),
            (vec![vec![status()], vec![status()], vec![]], vec![3]),
            (vec![vec![status()], vec![other()], vec![status()], vec![status()]], vec![1, 1, 2]),
            (vec![vec![status()], vec![status(), other()], vec![status()]], vec![1, 1, 1]),
            (vec![vec![status(); EVENTS_TOGETHER], vec![status()], vec![status()]], vec![1, 2]),
            (vec![vec![status()], vec![status(); 1_000], vec![status()]], vec![1, 1, 1]),
        ] {
            let groups = groups(entries.into_iter().map(read));
            assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        }
    }
}
