//! What a call to the upstream comes to, and recording it: also where the store cannot take it now,
//! and for who waits for it.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use waypost_domain::call::Call;
use waypost_domain::command::Receipt;
use waypost_domain::message::{AttemptOutcome, Message};
use waypost_domain::retry::{Failing, RetryClass};
use waypost_domain::{
    AttemptId, BroadcastId, Content, ErrorKind, Failure, MessageId, Status, Timestamp,
    UpstreamFault,
};
use waypost_planted::{Bug, is_planted};

use crate::Engine;
use crate::calls::AttemptLine;
use crate::panics::{BUG, caught};
use crate::ports::{
    Account, CallError, OutgoingMessage, PlacedMedia, SendOutcome, Settled, Settlement, StoreError,
    StoreResult,
};

/// How long a caller who waits is kept waiting for the status of a message whose outcome is
/// unknown.
pub(crate) const UNKNOWN_WAIT: Duration = Duration::from_secs(5);
/// Pause between two tries to record an outcome that the store could not take.
const RECORD_PAUSE: Duration = Duration::from_secs(1);
/// Tries to record it: a day of a full disk. Beyond, the next start closes the message.
const MAX_RECORD_TRIES: u32 = 86_400;
/// How long is waited for that before who waits for the message is told.
const RECORD_WAIT: Duration = Duration::from_secs(5);

/// An attempt's outcome, to be recorded.
struct Record {
    id: MessageId,
    broadcast_id: Option<BroadcastId>,
    attempt_id: AttemptId,
    settlement: Settlement,
    now: Timestamp,
}

/// What an attempt's outcome asks for.
pub(crate) enum Step {
    Sent(Receipt),
    /// Certainly not sent, and how the message has been failing by now.
    Again(AttemptOutcome, CallError, Failing),
    Failed(AttemptOutcome, Failure),
    Unknown(Failure),
}

impl Step {
    /// Ends what would be tried again.
    pub(crate) fn given_up(self) -> Self {
        match self {
            Self::Again(outcome, error, _) => Self::Failed(outcome, error.given_up()),
            step => step,
        }
    }
}

/// `before`: how the message had been failing until then.
pub(crate) fn settlement_of(outcome: SendOutcome, before: Option<Failing>) -> Step {
    let again = |outcome, error: CallError| {
        let failing = Failing::once_more(before, error.class);
        Step::Again(outcome, error, failing)
    };
    match outcome {
        SendOutcome::Sent(receipt) => Step::Sent(receipt),
        SendOutcome::Unknown(failure) if is_planted(Bug::UnknownCountsAsNotSent) => {
            let error = CallError { failure, class: RetryClass::BackOff };
            again(AttemptOutcome::NotSent, error)
        }
        SendOutcome::Unknown(failure) => Step::Unknown(failure),
        SendOutcome::NotSent(error) => again(AttemptOutcome::NotSent, error),
        SendOutcome::Refused(error) => {
            let media_gone = error.failure.kind == ErrorKind::MediaNotFound;
            match error.class {
                RetryClass::Never | RetryClass::Operator if !media_gone => {
                    Step::Failed(AttemptOutcome::Refused, error.given_up())
                }
                _ => again(AttemptOutcome::Refused, error),
            }
        }
    }
}

/// Whether the upstream has lost a file that it had, and not one that it was given anew for that.
pub(crate) fn has_lost_file(error: &CallError, failing: Failing) -> bool {
    error.failure.kind == ErrorKind::MediaNotFound && failing.times == 1
}

impl Engine {
    /// One call to the upstream. The intent is durable before this.
    pub(crate) async fn attempt(
        &self,
        account: &Account,
        message: &Message,
        placed: &Content<PlacedMedia>,
        attempt_id: AttemptId,
    ) -> SendOutcome {
        self.count().attempts.add();
        let line = AttemptLine::begin(self, message, attempt_id);
        let token = self.tokens().compose(attempt_id);
        let outgoing = OutgoingMessage {
            reply_to: message.options.reply_to.as_deref(),
            identity_key_hash: message.options.identity_key_hash.as_deref(),
            ..OutgoingMessage::new(&message.phone, placed, &token)
        };
        let sent = caught(self.upstream().send_and_tell(account, &outgoing)).await;
        let (outcome, call) = sent.unwrap_or_else(|| {
            tracing::error!(message = %message.id, "the call to the upstream met {BUG}");
            let failure = Failure::new(ErrorKind::OutcomeUnknown, BUG);
            (SendOutcome::Unknown(failure), Call::default())
        });
        line.end(&outcome, call);
        self.heed_usage(account, &message.number_id);
        outcome
    }

    /// Records what an attempt came to, also in `message`, and tells who waits for it.
    pub(crate) async fn settle(
        &self,
        message: &mut Message,
        attempt_id: AttemptId,
        step: Step,
        again_in: Option<Duration>,
        requeue: bool,
    ) -> Result<(), Failure> {
        let now = self.now();
        let settlement = match step {
            Step::Sent(receipt) => Settlement::Sent(receipt),
            Step::Unknown(failure) => {
                let resend_at = message.resend_after_unknown(now);
                Settlement::Unknown { failure, resend_at }
            }
            Step::Failed(outcome, failure) => Settlement::Failed { outcome, failure },
            Step::Again(outcome, error, failing) => {
                let wait_ms = again_in.unwrap_or_default().as_millis();
                Settlement::Retry {
                    outcome,
                    due_at: now.plus_ms(i64::try_from(wait_ms).unwrap_or(i64::MAX)),
                    fault: fault_of(&error.failure),
                    failing,
                    requeue,
                }
            }
        };
        // Who waits for a broadcast was told of a member that is sent again when it became unknown.
        let broadcast_id = message.broadcast_id.filter(|_| !message.possible_duplicate);
        let id = message.id;
        let record = Record { id, broadcast_id, attempt_id, settlement, now };
        let settled = match self.record(&record).await {
            Err(StoreError::Unavailable(_)) => {
                Box::pin(self.record_later(record, message.clone())).await?
            }
            Err(error) => return Err(unrecorded(&record.settlement, error)),
            Ok(settled) => settled,
        };
        message.status = settled.status;
        message.wamid = settled.wamid;
        message.wa_id = settled.wa_id;
        message.failure = settled.failure;
        message.settled_at = settled.settled_at;
        message.resend_at = settled.resend_at;
        Ok(())
    }

    /// Records that nobody knows what came of an attempt, because what made it panicked.
    pub(crate) async fn settle_panicked(
        &self,
        message: &mut Message,
        attempt_id: AttemptId,
        requeue: bool,
    ) -> Result<(), Failure> {
        tracing::error!(message = %message.id, "what came of an attempt is lost after {BUG}");
        let unknown = Step::Unknown(Failure::new(ErrorKind::OutcomeUnknown, BUG));
        self.settle(message, attempt_id, unknown, None, requeue).await
    }

    /// A caller who waits is told that the store cannot begin another attempt now: nobody will, and
    /// the message is closed as soon as that can be recorded.
    pub(crate) fn close_later(&self, message: &Message, error: &StoreError) {
        let (engine, message) = (self.clone(), message.clone());
        let failure = Failure::from(error.clone());
        self.0.callers.spawn(async move { engine.close(&message, failure).await });
    }

    /// Closes a message that nobody will attempt again, as soon as that can be recorded.
    async fn close(&self, message: &Message, failure: Failure) {
        for _ in 0..MAX_RECORD_TRIES {
            match self.fail_queued(message, failure.clone()).await {
                Err(why) if why.kind == ErrorKind::Unavailable => {
                    tracing::warn!(message = %message.id, error = %why, "not closed yet");
                }
                _ => return,
            }
            tokio::time::sleep(RECORD_PAUSE).await;
        }
    }

    async fn record(&self, record: &Record) -> StoreResult<Settled> {
        let Record { id, broadcast_id, attempt_id, settlement, now } = record;
        if let (Some(broadcast_id), Settlement::Unknown { .. }) = (broadcast_id, settlement) {
            self.countdowns().unknown(*broadcast_id, *id);
        }
        let settled =
            self.store().settle_attempt(*id, *attempt_id, settlement.clone(), *now).await?;
        if settled.status != Status::Unknown {
            // A status came before.
            self.countdowns().known(id);
        }
        self.count_settled(settled.status);
        self.tell(id, *broadcast_id, settled.status);
        if let (Some(broadcast_id), Settlement::Retry { due_at, .. }, Status::Queued) =
            (broadcast_id, settlement, settled.status)
        {
            self.countdowns().put_off(*broadcast_id, *due_at);
        }
        if settled.resend_at.is_some() {
            self.resends().planned();
        }
        Ok(settled)
    }

    /// The store cannot take an outcome now: goes on trying after the caller has been told.
    async fn record_later(&self, record: Record, message: Message) -> Result<Settled, Failure> {
        let full = StoreError::Unavailable(String::new());
        let settlement = record.settlement.clone();
        let (reply, mut recorded) = oneshot::channel();
        let engine = self.clone();
        self.0.callers.spawn(async move {
            let outcome = engine.record_until_taken(&record).await;
            if let Err(Ok(settled)) = reply.send(outcome) {
                engine.go_on_alone(&message, &record.settlement, settled.status).await;
            }
        });
        let in_time = tokio::time::timeout(RECORD_WAIT, &mut recorded).await;
        // From here on the outcome is either here, or not told to anybody.
        recorded.close();
        let outcome = match in_time {
            Ok(outcome) => outcome.ok(),
            Err(_) => recorded.try_recv().ok(),
        };
        outcome.unwrap_or(Err(full)).map_err(|error| unrecorded(&settlement, error))
    }

    async fn record_until_taken(&self, record: &Record) -> StoreResult<Settled> {
        for _ in 1..MAX_RECORD_TRIES {
            tokio::time::sleep(RECORD_PAUSE).await;
            match self.record(record).await {
                Err(StoreError::Unavailable(why)) => {
                    tracing::warn!(message = %record.id, why, "outcome not recorded yet");
                }
                recorded => return recorded,
            }
        }
        self.record(record).await
    }

    /// An outcome was recorded so late that who attempted the message has given it up.
    async fn go_on_alone(&self, message: &Message, settlement: &Settlement, status: Status) {
        match (status, settlement) {
            (Status::Queued, _) => self.lanes().wake(&message.number_id),
            (Status::Sending, Settlement::Retry { requeue: false, .. }) => {
                let full = StoreError::Unavailable(String::new());
                self.close(message, full.into()).await;
            }
            _ => {}
        }
    }

    pub(crate) fn count_settled(&self, status: Status) {
        let metrics = self.count();
        match status {
            Status::Queued | Status::Sending => metrics.attempts_retried.add(),
            Status::Failed => metrics.messages_failed.add(),
            Status::Unknown => metrics.messages_unknown.add(),
            _ => metrics.messages_sent.add(),
        }
    }

    /// Wakes who waits for a message or for its broadcast.
    pub(crate) fn tell(&self, id: &MessageId, broadcast_id: Option<BroadcastId>, status: Status) {
        self.watch().tell(id);
        self.event_logged();
        let open = matches!(status, Status::Queued | Status::Sending);
        if let (Some(broadcast_id), false) = (broadcast_id, open) {
            self.countdowns().settled(broadcast_id);
        }
    }

    /// Gives a status the chance to settle what the upstream's reply did not.
    pub(crate) async fn wait_for_status(&self, message: Message) -> Result<Message, Failure> {
        let mut waiting = self.watch().watch(message.id);
        let deadline = Instant::now() + UNKNOWN_WAIT;
        loop {
            let known = self.known_message(&message).await?;
            if known.status != Status::Unknown || !waiting.told_before(deadline).await {
                return Ok(known);
            }
        }
    }

    /// A message as the store has it now.
    pub(crate) async fn known_message(&self, message: &Message) -> Result<Message, Failure> {
        let known = self.store().message(&message.org_id, message.id).await?;
        known.map(|history| history.message).ok_or_else(|| {
            Failure::new(ErrorKind::Unavailable, "The message was removed while it was sent.")
        })
    }
}

/// What is told of an outcome that cannot be recorded: of what may have been sent never that it was
/// not.
fn unrecorded(settlement: &Settlement, error: StoreError) -> Failure {
    match settlement {
        Settlement::Sent(_) | Settlement::Unknown { .. } => Failure::new(
            ErrorKind::OutcomeUnknown,
            "The message was given to the upstream, and what came of it cannot be recorded \
             now. Look at its status before sending it again.",
        ),
        Settlement::Failed { .. } | Settlement::Retry { .. } => error.into(),
    }
}

pub(crate) fn fault_of(failure: &Failure) -> UpstreamFault {
    failure.upstream.clone().unwrap_or_else(|| UpstreamFault {
        details: failure.message.clone(),
        ..UpstreamFault::default()
    })
}
