//! Messages: every transition is one job of the writer, every list a reader's.

mod accept;
mod attempt_rows;
mod attempts;
pub(crate) mod behind;
mod fresh;
pub(crate) mod held;
mod lists;
mod overdue;
mod pacing;
pub(crate) mod parts;
mod queue;
mod recovery;
pub(crate) mod removal;
mod reports;
mod resends;
pub(crate) mod restored;
mod standing;
pub(crate) mod state;
pub(crate) mod under_way;
pub(crate) mod wamids;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use waypost_domain::manage::LoggedMessage;
use waypost_domain::message::{Message, MessageHistory, Session};
use waypost_domain::{
    AttemptId, CustomerId, Failure, MessageId, NumberId, OrgId, Phone, Status, Timestamp,
};
use waypost_engine::ports::{
    Accepted, DueMessage, Haste, IdempotencyClaim, MessageFilter, MessageStore, Page, Paged,
    Recipient, Recovered, ReportEffect, SessionFilter, Settled, Settlement, Start, StatusReport,
    StoreResult,
};
use waypost_planted::{Bug, is_planted};

use crate::SqliteStore;
use crate::fault::Done;
use crate::inbox;
use crate::writer::Work;

use self::accept::{NewMessage, NewMessages};
use self::under_way::Attempted;

#[async_trait]
impl MessageStore for SqliteStore {
    async fn recipient_by_id(
        &self,
        org_id: &OrgId,
        customer_id: &CustomerId,
        number_id: &NumberId,
    ) -> StoreResult<Option<Recipient>> {
        let sought = ["id", org_id.as_str(), number_id.as_str(), customer_id.as_str()];
        let ids = &self.memory.scoped_ids;
        self.memory.recipients.find(sought, || {
            self.readers
                .look_up(|conn| lists::recipient_by_id(conn, ids, org_id, customer_id, number_id))
        })
    }

    async fn recipient_by_phone(
        &self,
        org_id: &OrgId,
        phone: &Phone,
        number_id: &NumberId,
    ) -> StoreResult<Recipient> {
        self.somebody(org_id, phone, number_id)
    }

    async fn recipients_by_phone(
        &self,
        org_id: &OrgId,
        phones: Vec<Phone>,
        number_id: &NumberId,
    ) -> StoreResult<Vec<Recipient>> {
        if phones.len() <= lists::RECIPIENTS_AT_ONCE {
            return phones.iter().map(|phone| self.somebody(org_id, phone, number_id)).collect();
        }
        let (org_id, number_id) = (org_id.clone(), number_id.clone());
        let memory = Arc::clone(&self.memory);
        self.readers
            .list(move |conn| {
                let ids = &memory.scoped_ids;
                lists::recipients_by_phone(conn, ids, &org_id, &phones, &number_id)
            })
            .await
    }

    fn is_behind(&self) -> bool {
        self.writer.is_behind() && !is_planted(Bug::NoShedding)
    }

    async fn accept(
        &self,
        message: Message,
        start: Start,
        claim: Option<IdempotencyClaim>,
    ) -> StoreResult<Accepted> {
        // On the heap: it goes to the writer and back.
        let new = Box::new(NewMessage::new(message, start, claim)?);
        let memory = Arc::clone(&self.memory);
        self.writer.run(Work::New, move |conn| accept::accept(conn, &memory, &new)).await
    }

    async fn accept_all(
        &self,
        messages: Vec<(Message, Start)>,
        claim: Option<IdempotencyClaim>,
    ) -> StoreResult<Accepted> {
        // Of several, one that failed says nothing about the others.
        let own = claim.as_ref().filter(|_| messages.len() == 1);
        let messages = messages
            .into_iter()
            .map(|(message, start)| NewMessage::new(message, start, own.cloned()));
        let new = NewMessages { messages: messages.collect::<StoreResult<_>>()?, claim };
        let (memory, crowd) = (Arc::clone(&self.memory), self.writer.crowd());
        let accepting = move |conn: &_| accept::accept_all(conn, &memory, &new, &crowd);
        let (accepted, rest) = self.writer.run_long(Work::New, accepting).await?;
        if let Some(request) = rest {
            self.enter_rest(request).await;
        }
        Ok(accepted)
    }

    async fn begin_attempt(
        &self,
        haste: Haste,
        message_id: MessageId,
        attempt_id: AttemptId,
        now: Timestamp,
    ) -> StoreResult<Option<u32>> {
        let memory = Arc::clone(&self.memory);
        let work = match haste {
            Haste::AtOnce => Work::Known,
            Haste::WithOthers => Work::Unhurried,
        };
        self.writer
            .run(work, move |conn| {
                attempts::begin(conn, &memory.under_way, message_id, attempt_id, now)
            })
            .await
    }

    async fn settle_attempt(
        &self,
        message_id: MessageId,
        attempt_id: AttemptId,
        settlement: Settlement,
        now: Timestamp,
    ) -> StoreResult<Settled> {
        let attempted = self.memory.under_way.end(attempt_id);
        let urgency = Attempted::urgency(attempted.as_ref());
        let memory = Arc::clone(&self.memory);
        self.writer
            .run(urgency, move |conn| {
                if let (Some(attempted), Settlement::Sent(receipt)) = (&attempted, &settlement)
                    && let Some(settled) =
                        attempts::sent(conn, &memory.wamids, attempted, attempt_id, receipt, now)?
                {
                    return Ok(settled);
                }
                attempts::settle(conn, &memory.wamids, message_id, attempt_id, &settlement, now)
            })
            .await
    }

    async fn fail_queued(
        &self,
        message_id: MessageId,
        failure: Failure,
        now: Timestamp,
    ) -> StoreResult<()> {
        self.writer
            .run(Work::Known, move |conn| overdue::fail_queued(conn, message_id, &failure, now))
            .await
    }

    async fn cancel(&self, org_id: &OrgId, id: MessageId, now: Timestamp) -> StoreResult<bool> {
        let org_id = org_id.clone();
        self.writer.run(Work::Known, move |conn| queue::cancel(conn, &org_id, id, now)).await
    }

    async fn cancel_all(
        &self,
        org_id: &OrgId,
        ids: Vec<MessageId>,
        now: Timestamp,
    ) -> StoreResult<Vec<MessageId>> {
        let org_id = org_id.clone();
        self.writer
            .run(Work::Known, move |conn| each(&ids, |id| queue::cancel(conn, &org_id, id, now)))
            .await
    }

    async fn requeue(&self, org_id: &OrgId, id: MessageId, now: Timestamp) -> StoreResult<bool> {
        let org_id = org_id.clone();
        self.writer.run(Work::Known, move |conn| queue::requeue(conn, &org_id, id, None, now)).await
    }

    async fn requeue_all(
        &self,
        org_id: &OrgId,
        ids: Vec<MessageId>,
        status: Status,
        now: Timestamp,
    ) -> StoreResult<u64> {
        let org_id = org_id.clone();
        let only = Some(status);
        self.writer
            .run(Work::Known, move |conn| {
                each(&ids, |id| queue::requeue(conn, &org_id, id, only, now))
                    .map(|queued| queued.len() as u64)
            })
            .await
    }

    async fn next_resend_at(&self) -> StoreResult<Option<Timestamp>> {
        self.readers.for_delivery(resends::next).await
    }

    async fn release_resends(
        &self,
        until: Timestamp,
        now: Timestamp,
    ) -> StoreResult<(u64, Vec<NumberId>)> {
        self.release_all_resends(until, now).await
    }

    async fn postpone_resends(&self, until: Timestamp) -> StoreResult<()> {
        self.writer.run(Work::Known, move |conn| resends::postpone(conn, until)).await
    }

    async fn apply_report(
        &self,
        report: StatusReport,
        now: Timestamp,
    ) -> StoreResult<ReportEffect> {
        let memory = Arc::clone(&self.memory);
        self.writer
            .run(Work::Known, move |conn| reports::apply(conn, &memory.wamids, &report, now))
            .await
    }

    async fn tell_overdue(&self, before: Timestamp, now: Timestamp) -> StoreResult<u64> {
        self.tell_all_overdue(before, now).await
    }

    async fn due(
        &self,
        number_id: &NumberId,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<DueMessage>> {
        let number_id = number_id.clone();
        self.readers.for_delivery(move |conn| queue::due(conn, &number_id, now, limit)).await
    }

    async fn next_due_at(&self, number_id: &NumberId) -> StoreResult<Option<Timestamp>> {
        let number_id = number_id.clone();
        self.readers.for_delivery(move |conn| queue::next_due_at(conn, &number_id)).await
    }

    async fn recover(&self, now: Timestamp) -> StoreResult<Recovered> {
        self.finish_what_was_begun(now).await
    }

    async fn message(&self, org_id: &OrgId, id: MessageId) -> StoreResult<Option<MessageHistory>> {
        self.readers.look_up(|conn| lists::history(conn, org_id, id))
    }

    async fn messages(
        &self,
        org_id: &OrgId,
        filter: &MessageFilter,
        page: Page,
    ) -> StoreResult<Paged<Message>> {
        let (org_id, filter) = (org_id.clone(), filter.clone());
        self.readers.list(move |conn| lists::messages(conn, &org_id, &filter, page)).await
    }

    async fn message_page(
        &self,
        org_id: &OrgId,
        page: u32,
        size: u32,
    ) -> StoreResult<(Vec<LoggedMessage>, u64)> {
        let org_id = org_id.clone();
        self.readers.list(move |conn| lists::message_page(conn, &org_id, page, size)).await
    }

    async fn renew_window(
        &self,
        org_id: &OrgId,
        number_id: &NumberId,
        phone: &Phone,
        at: Timestamp,
    ) -> StoreResult<()> {
        let (org_id, number_id, phone) = (org_id.clone(), number_id.clone(), phone.clone());
        self.writer
            .run(Work::Known, move |conn| inbox::open_window(conn, &org_id, &number_id, &phone, at))
            .await
    }

    async fn sessions(
        &self,
        org_id: &OrgId,
        filter: &SessionFilter,
        page: Page,
    ) -> StoreResult<Paged<Session>> {
        let (org_id, filter) = (org_id.clone(), filter.clone());
        self.readers.list(move |conn| lists::sessions(conn, &org_id, &filter, page)).await
    }
}

/// Does something to several messages; returns those to which it was done.
fn each(ids: &[MessageId], done_to: impl Fn(MessageId) -> Done<bool>) -> Done<Vec<MessageId>> {
    let mut done = Vec::new();
    for id in ids {
        if done_to(*id)? {
            done.push(*id);
        }
    }
    Ok(done)
}

impl SqliteStore {
    /// Enters what is left of a request that is accepted.
    async fn enter_rest(&self, request: MessageId) {
        loop {
            let crowd = self.writer.crowd();
            let enter = move |conn: &_| parts::enter_some(conn, request, &crowd);
            match self.writer.run_long(Work::Known, enter).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "accepted messages are entered later");
                    self.memory.has_parts.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }
    }

    /// Whoever has a number, known or not.
    fn somebody(
        &self,
        org_id: &OrgId,
        phone: &Phone,
        number_id: &NumberId,
    ) -> StoreResult<Recipient> {
        let sought = ["phone", org_id.as_str(), number_id.as_str(), phone.digits()];
        let ids = &self.memory.scoped_ids;
        let found = self.memory.recipients.find(sought, || {
            self.readers
                .look_up(|conn| lists::recipient_by_phone(conn, ids, org_id, phone, number_id))
                .map(Some)
        })?;
        Ok(found.expect("somebody has the number, known or not"))
    }
}
