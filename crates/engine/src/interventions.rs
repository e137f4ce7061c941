//! What operators do to messages in the log: withdraw them, send them again; one, or all that a
//! filter picks. A message is sent again as it was accepted, and never one that arrived.

use std::collections::HashSet;

use waypost_domain::message::Message;
use waypost_domain::{Content, ErrorKind, Failure, MessageId, OrgId, Phone, Status};
use waypost_planted::{Bug, is_planted};

use crate::Engine;
use crate::ports::{MessageFilter, Page};

/// Messages worked off in one step.
const CHUNK: u32 = 100;

/// What is done to many messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Send them again.
    Retry,
    /// Withdraw what is still to be sent of them.
    Cancel,
    /// Nothing: only count to how many it would be done.
    CountRetries,
    /// The same.
    CountCancels,
}

/// To how many messages something was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages that the filter picked.
    pub matched: u64,
    /// Those to which it was done, or would be.
    pub done: u64,
}

impl Engine {
    /// Withdraws a queued message, or what is to be sent again of an unknown one. `false` where
    /// nothing is to be sent of it any more. Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// What the store says.
    pub async fn cancel_message(&self, org_id: &OrgId, id: MessageId) -> Result<bool, Failure> {
        let (engine, org_id) = (self.clone(), org_id.clone());
        self.detached(async move { engine.cancel_message_now(&org_id, id).await }).await
    }

    async fn cancel_message_now(&self, org_id: &OrgId, id: MessageId) -> Result<bool, Failure> {
        let cancelled = self.store().cancel(org_id, id, self.now()).await?;
        if cancelled && let Some(history) = self.store().message(org_id, id).await? {
            self.tell_withdrawn(&history.message, history.message.status);
            self.lanes().wake_for_gaps();
        }
        Ok(cancelled)
    }

    /// An unknown outcome was told, and counted, when it became unknown.
    fn tell_withdrawn(&self, message: &Message, status: Status) {
        self.lanes().note_gap(&message.number_id, &message.phone);
        let counts = status != Status::Unknown;
        self.tell(&message.id, message.broadcast_id.filter(|_| counts), status);
    }

    /// Puts a failed, cancelled or unknown message back into the queue. `false` where its status
    /// does not allow it, where it was never whole, or where its idempotency key stands for another
    /// message by now. Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`ErrorKind::Expired`] where its caller's time to live is over,
    /// [`ErrorKind::RecipientBlocked`] where the person opted out since.
    /// [`ErrorKind::MediaNotFound`] and the like are found when it is attempted again.
    pub async fn retry_message(&self, org_id: &OrgId, id: MessageId) -> Result<bool, Failure> {
        let (engine, org_id) = (self.clone(), org_id.clone());
        self.detached(async move { engine.retry_message_now(&org_id, id).await }).await
    }

    async fn retry_message_now(&self, org_id: &OrgId, id: MessageId) -> Result<bool, Failure> {
        let Some(history) = self.store().message(org_id, id).await? else {
            return Err(Failure::new(ErrorKind::RouteNotFound, "There is no such message."));
        };
        let message = history.message;
        let is_ended =
            matches!(message.status, Status::Failed | Status::Cancelled | Status::Unknown);
        if !is_ended || !is_whole(&message) {
            return Ok(false);
        }
        self.check_repeatable(&message).await?;
        let queued = self.store().requeue(org_id, id, self.now()).await?;
        self.lanes().wake(&message.number_id);
        Ok(queued)
    }

    /// Does something to all messages that a filter picks; its `status` says in which state they
    /// must be, and messages in other states are left alone. Runs to its end even if the caller goes
    /// away.
    ///
    /// # Errors
    /// What the store says; what was done until then stays done.
    pub async fn sweep(
        &self,
        org_id: &OrgId,
        filter: MessageFilter,
        status: Status,
        sweep: Sweep,
    ) -> Result<Swept, Failure> {
        let (engine, org_id) = (self.clone(), org_id.clone());
        let only = Some(status).filter(|_| !is_planted(Bug::SweepIgnoresState));
        let filter = MessageFilter { status: only, newest_first: false, ..filter };
        let sweeping = async move {
            let swept = engine.sweep_now(&org_id, &filter, status, sweep).await;
            engine.lanes().wake_for_gaps();
            swept
        };
        self.detached(sweeping).await
    }

    async fn sweep_now(
        &self,
        org_id: &OrgId,
        filter: &MessageFilter,
        status: Status,
        sweep: Sweep,
    ) -> Result<Swept, Failure> {
        let mut swept = Swept::default();
        let mut after = None;
        loop {
            let page = Page { after, limit: CHUNK };
            let part = self.store().messages(org_id, filter, page).await?;
            swept.matched += part.data.len() as u64;
            swept.done += match sweep {
                Sweep::Retry | Sweep::CountRetries => {
                    self.retry_some(org_id, part.data, status, sweep == Sweep::Retry).await?
                }
                Sweep::Cancel | Sweep::CountCancels => {
                    self.cancel_some(org_id, part.data, sweep == Sweep::Cancel).await?
                }
            };
            after = part.next;
            if after.is_none() {
                return Ok(swept);
            }
        }
    }

    async fn retry_some(
        &self,
        org_id: &OrgId,
        messages: Vec<Message>,
        status: Status,
        really: bool,
    ) -> Result<u64, Failure> {
        let mut ids = Vec::with_capacity(messages.len());
        let mut numbers = Vec::new();
        for message in messages {
            match self.check_repeatable(&message).await {
                Ok(()) => {
                    ids.push(message.id);
                    numbers.push(message.number_id);
                }
                Err(failure) if failure.kind == ErrorKind::Unavailable => return Err(failure),
                Err(_) => {}
            }
        }
        if !really {
            return Ok(ids.len() as u64);
        }
        let queued = self.store().requeue_all(org_id, ids, status, self.now()).await?;
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            self.lanes().wake(&number);
        }
        Ok(queued)
    }

    async fn cancel_some(
        &self,
        org_id: &OrgId,
        messages: Vec<Message>,
        really: bool,
    ) -> Result<u64, Failure> {
        let is_open =
            |message: &Message| message.status == Status::Queued || message.resend_at.is_some();
        let open: Vec<Message> = messages.into_iter().filter(is_open).collect();
        if !really {
            return Ok(open.len() as u64);
        }
        let ids = open.iter().map(|message| message.id).collect();
        let withdrawn = self.store().cancel_all(org_id, ids, self.now()).await?;
        let withdrawn: HashSet<MessageId> = withdrawn.into_iter().collect();
        for message in open.iter().filter(|message| withdrawn.contains(&message.id)) {
            let was_queued = message.status == Status::Queued;
            let status = if was_queued { Status::Cancelled } else { Status::Unknown };
            self.tell_withdrawn(message, status);
        }
        Ok(withdrawn.len() as u64)
    }

    /// Whether a message may be sent again as it was accepted.
    async fn check_repeatable(&self, message: &Message) -> Result<(), Failure> {
        if !is_whole(message) {
            let text = "The message was never complete; send a new one.";
            return Err(Failure::new(ErrorKind::Cancelled, text));
        }
        if message.options.has_ended(self.now()) {
            let text = "The message's time to live is over; send a new one.";
            return Err(Failure::new(ErrorKind::Expired, text));
        }
        let Some(org) = self.directory().org(&message.org_id) else { return Ok(()) };
        let store = self.store();
        let recipient = store.recipient_by_phone(&org.id, &message.phone, &message.number_id);
        self.check_consent(&org, &recipient.await?)
    }
}

/// One that failed at its acceptance may lack its person, or what its template would have said.
fn is_whole(message: &Message) -> bool {
    let is_bound = match &message.content {
        Content::Template(template) => template.language.is_some(),
        _ => true,
    };
    is_bound && message.phone != Phone::nobody()
}
