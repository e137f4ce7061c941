//! What the upstream tells us: stored raw before it is answered, then worked off in order.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use waypost_domain::content::InboundContent;
use waypost_domain::event::TemplateDetail;
use waypost_domain::failure::Blame;
use waypost_domain::media::{MediaKind, MimeType, clean_filename};
use waypost_domain::{ErrorKind, Failure, MessageId, NumberId, OrgId, Timestamp};
use waypost_planted::{Bug, is_planted};

use crate::Engine;
use crate::consents::new_customer_id;
use crate::media::NewFile;
use crate::ports::{
    Inbound, InboundMessage, InboxEntry, ReportEffect, StatusNotice, StatusReport, StoreError,
    StoreResult, UpstreamEvent,
};
use crate::send::new_message_id;

/// Inbox entries worked off together; their writes share commits.
const BATCH: u32 = 64;
/// Events applied at the same time, unless one webhook brings more.
const EVENTS_TOGETHER: usize = 256;
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Inbound files fetched in one round.
const MEDIA_BATCH: u32 = 16;
/// The upstream keeps inbound files for seven days.
const MEDIA_LIFE_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// Refusals of one inbound file before it is given up.
const MEDIA_TRIES: u32 = 5;
/// Pause between rounds while files are left.
const MEDIA_PAUSE: Duration = Duration::from_secs(30);

/// An inbox entry that has been read.
struct ReadEntry<'a> {
    entry: &'a InboxEntry,
    events: Vec<UpstreamEvent>,
}

impl ReadEntry<'_> {
    /// Whether each of its events is one write and nothing is waited for before it, so that entries
    /// worked off together reach the store in their order.
    fn is_for_the_store(&self) -> bool {
        let mut events = self.events.iter();
        events.all(|event| matches!(event, UpstreamEvent::Inbound(_) | UpstreamEvent::Status(_)))
    }
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
    /// Whether the upstream signed exactly these bytes.
    #[must_use]
    pub fn verify_webhook(&self, body: &[u8], signatures: &[&str]) -> bool {
        let codec = self.webhook_codec();
        let installation = [self.settings().app_secret.clone()];
        codec.verify(body, signatures, &installation)
            || codec.verify(body, signatures, &self.other_webhook_secrets())
    }

    /// The secrets of numbers that belong to other apps, each once: a body is hashed with every
    /// one of them.
    fn other_webhook_secrets(&self) -> Vec<String> {
        let secrets = self.directory().all_numbers().into_iter().filter_map(|number| {
            let place = format!("numbers/{}/app_secret", number.id);
            self.vault().open(&place, number.app_secret.as_ref()?).ok()
        });
        secrets.collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// Keeps a webhook; durable when it returns. It is worked off afterwards.
    ///
    /// # Errors
    /// Where it cannot be stored: the upstream sends it again.
    pub async fn receive_webhook(&self, body: Bytes) -> Result<(), Failure> {
        if is_planted(Bug::WebhookBeforeStore) {
            let engine = self.clone();
            tokio::spawn(async move {
                drop(engine.store().store_webhook(body, engine.now()).await);
                engine.inbox_filled().notify_one();
            });
            return Ok(());
        }
        self.store().store_webhook(body, self.now()).await.inspect_err(|error| {
            self.note_store_error(error);
            self.note_refused_webhook();
        })?;
        self.count().webhooks.add();
        self.inbox_filled().notify_one();
        Ok(())
    }

    /// Works off the inbox until it is cancelled.
    pub(crate) async fn work_off_inbox(self, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            // What is broken off here is still in the inbox, and applying it twice changes nothing.
            let worked_off = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                worked_off = self.work_off_batch() => worked_off,
            };
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
            tokio::select! {
                biased;
                () = cancel.cancelled() => {}
                () = filled => {}
            }
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
        ReadEntry { entry, events: self.webhook_codec().parse(&entry.body) }
    }

    /// Applies what one webhook says. Its place, and whether all of it was understood.
    async fn work_off(&self, read: ReadEntry<'_>) -> (i64, StoreResult<bool>) {
        let ReadEntry { entry, events } = read;
        let understood = !events.is_empty();
        let applied = futures_util::future::join_all(
            events.into_iter().map(|event| self.apply_event(event, entry.received_at)),
        );
        let mut all = Ok(understood);
        for known in applied.await {
            all = all.and_then(|all| known.map(|known| all && known));
        }
        (entry.id, all)
    }

    async fn apply_event(&self, event: UpstreamEvent, received_at: Timestamp) -> StoreResult<bool> {
        match event {
            UpstreamEvent::Inbound(inbound) => self.apply_inbound(inbound, received_at).await,
            UpstreamEvent::Status(notice) => self.apply_status(notice, received_at).await,
            UpstreamEvent::Template(template) => self.apply_template(template, received_at).await,
            UpstreamEvent::Other { field } => {
                tracing::info!(field, "webhook kept raw");
                Ok(false)
            }
        }
    }

    async fn apply_template(
        &self,
        template: TemplateDetail,
        received_at: Timestamp,
    ) -> StoreResult<bool> {
        let TemplateDetail { waba_id, name, language, status, .. } = &template;
        if let Err(error) = self.template_changed(waba_id, name, language, status).await {
            tracing::warn!(template = name, %error, "template update");
        }
        let numbers = self.directory().all_numbers();
        let of_account = numbers.iter().filter(|number| number.waba_id == *waba_id);
        let orgs: BTreeSet<OrgId> = of_account.map(|number| number.org_id.clone()).collect();
        let orgs = orgs.into_iter().collect();
        self.store().record_template_change(orgs, template, received_at, self.now()).await?;
        self.event_logged();
        Ok(true)
    }

    async fn apply_inbound(&self, inbound: Inbound, received_at: Timestamp) -> StoreResult<bool> {
        let number = self.directory().number_by_phone_number_id(&inbound.phone_number_id);
        let (Some(number), Some(phone)) = (number, inbound.phone) else {
            tracing::warn!(
                phone_number_id = inbound.phone_number_id,
                "inbound message for an unknown number, or from a person without one: kept raw"
            );
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
            written_at: inbound.written_at.unwrap_or(received_at),
        };
        if self.store().record_inbound(message, self.now()).await? {
            self.count().messages_received.add();
            self.event_logged();
            // What was held until the person writes is due.
            self.lanes().wake(&number.id);
            if has_media {
                self.media_arrived().notify_one();
            }
        }
        Ok(true)
    }

    async fn apply_status(
        &self,
        notice: StatusNotice,
        received_at: Timestamp,
    ) -> StoreResult<bool> {
        let Some(report) = notice.report else { return Ok(false) };
        self.count().statuses.add();
        let report = StatusReport {
            attempt_id: notice.opaque.as_deref().and_then(|opaque| self.tokens().read(opaque)),
            wamid: notice.wamid,
            report,
            at: notice.at.unwrap_or(received_at),
            failure: notice.failure,
            extra: notice.extra,
        };
        let failure = report.failure.clone();
        match self.store().apply_report(report, self.now()).await? {
            ReportEffect::Advanced(id, ..) => {
                self.heed_report(id, failure.as_ref()).await?;
                self.watch().tell(&id);
                self.countdowns().known(&id);
                self.event_logged();
            }
            ReportEffect::Nothing(_) => {}
            ReportEffect::Parked => self.count().statuses_parked.add(),
        }
        Ok(true)
    }

    /// Fetches the files of inbound messages until it is cancelled.
    pub(crate) async fn fetch_inbound_media(self, cancel: CancellationToken) {
        let mut tries: HashMap<MessageId, u32> = HashMap::new();
        while !cancel.is_cancelled() {
            let round = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                round = self.fetch_media_round(&mut tries) => round,
            };
            if let Err(error) = &round {
                tracing::error!(%error, "inbound files");
                self.note_store_error(error);
            }
            let pause = async {
                match round {
                    Ok(Left::Nothing) => self.media_arrived().notified().await,
                    Ok(Left::More) => {}
                    Ok(Left::Failed) | Err(_) => tokio::time::sleep(MEDIA_PAUSE).await,
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => {}
                () = pause => {}
            }
        }
    }

    /// Tells which files are left.
    async fn fetch_media_round(&self, tries: &mut HashMap<MessageId, u32>) -> StoreResult<Left> {
        let oldest = self.now().plus_ms(-MEDIA_LIFE_MS);
        let waiting = self.store().inbound_without_media(oldest, MEDIA_BATCH).await?;
        let is_all = waiting.len() < MEDIA_BATCH as usize;
        let mut left = if is_all { Left::Nothing } else { Left::More };
        for (org_id, number_id, id, content) in waiting {
            match self.fetch_inbound_file(&org_id, &number_id, &content).await {
                Ok(media_id) => {
                    self.store().attach_inbound_media(id, media_id).await?;
                    self.callbacks_due();
                    tries.remove(&id);
                }
                Err(failure) => {
                    let tried = tries.entry(id).or_default();
                    // An upstream that is down or refuses our token says nothing of the file.
                    *tried += u32::from(is_lasting(&failure));
                    let last = *tried >= MEDIA_TRIES;
                    tracing::warn!(message = %id, error = %failure, last, "inbound file");
                    if last {
                        self.store().attach_inbound_media(id, None).await?;
                        self.callbacks_due();
                        tries.remove(&id);
                    } else {
                        left = Left::Failed;
                    }
                }
            }
        }
        Ok(left)
    }

    /// `None` where the message names no file, or one of a type that is not kept.
    async fn fetch_inbound_file(
        &self,
        org_id: &OrgId,
        number_id: &NumberId,
        content: &InboundContent,
    ) -> Result<Option<waypost_domain::MediaId>, Failure> {
        let Some(upstream_id) = inbound_media_id(&content.kind, &content.message) else {
            return Ok(None);
        };
        let Some(number) = self.directory().number(number_id) else { return Ok(None) };
        let account = self.account(&number)?;
        let limit_bytes = MediaKind::Document.max_bytes();
        let download = self.upstream().download(&account, upstream_id, limit_bytes).await;
        let download = download.map_err(|error| error.failure)?;
        let Some(mime_type) = MimeType::parse(&download.mime_type) else { return Ok(None) };
        let library = self.media_library();
        let (upload, _) = library.copy_body(download.body, limit_bytes).await?;
        let filename = content.message[&content.kind]["filename"].as_str();
        let file = NewFile {
            org_id: org_id.clone(),
            mime_type,
            filename: filename.and_then(clean_filename),
        };
        let (record, _) = library.finish_upload(upload, file, None).await?;
        Ok(Some(record.id))
    }
}

/// What a round of fetching files leaves.
enum Left {
    Nothing,
    /// Files that were not in the round.
    More,
    /// Files to be tried again.
    Failed,
}

fn is_lasting(failure: &Failure) -> bool {
    failure.kind.blame() == Blame::Caller && failure.kind != ErrorKind::RateLimited
}

/// The upstream's id of the file in an inbound message.
fn inbound_media_id<'a>(kind: &str, message: &'a serde_json::Value) -> Option<&'a str> {
    MediaKind::parse(kind)?;
    message[kind]["id"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> UpstreamEvent {
        let wamid = "wamid.1".to_owned();
        let (opaque, report, at, failure, extra) = (None, None, None, None, None);
        UpstreamEvent::Status(StatusNotice { wamid, opaque, report, at, failure, extra })
    }

    #[test]
    fn groups_what_the_store_takes_in_order_up_to_a_bound() {
        let entry = InboxEntry { id: 1, body: Bytes::new(), received_at: Timestamp(0) };
        let read = |events: Vec<UpstreamEvent>| ReadEntry { entry: &entry, events };
        let other = || UpstreamEvent::Other { field: "flows".to_owned() };
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
