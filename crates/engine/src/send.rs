//! Sending one message while its caller waits, and accepting one to be sent later.
//!
//! A message whose caller waits never stands in the due queue: it gets its turn first, then it is
//! accepted together with the intent of its first attempt. A crash leaves either nothing of it, or
//! an intent.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use waypost_domain::command::{Caller, Delivery, MediaDraft, MessageType, Receipt, SendMessage};
use waypost_domain::directory::Number;
use waypost_domain::message::{AttemptOutcome, Direction, Message, MessageOptions};
use waypost_domain::retry::{self, RetryClass};
use waypost_domain::{
    AttemptId, BroadcastId, Content, ErrorKind, Failure, MessageId, Phone, Status, Timestamp,
    UpstreamFault,
};

use waypost_planted::{Bug, is_planted};

use crate::admission::Acting;
use crate::calls::AttemptLine;
use crate::lanes::{Lane, MAX_PACING_WAIT, PACE_PAUSE};
use crate::options;
use crate::ports::{
    Accepted, Account, CallError, OutgoingMessage, PlacedMedia, Recipient, SendOutcome, Settled,
    Settlement, Start, StoreError, StoreResult,
};
use crate::templates::call_failure;
use crate::windows::{Holding, Passage, Patience};
use crate::{Answer, Ask, Engine};

/// How long a caller who waits is kept waiting for the status of a message whose outcome is
/// unknown.
const UNKNOWN_WAIT: Duration = Duration::from_secs(5);
/// Attempts that a caller who waits may cost when the upstream is down; pace errors may cost more.
const MAX_ATTEMPTS_WHILE_WAITED_FOR: u32 = 2;
/// Pause between two tries to record an outcome that the store could not take.
const RECORD_PAUSE: Duration = Duration::from_secs(1);
/// Tries to record it: a day of a full disk. Beyond, the next start closes the message.
const MAX_RECORD_TRIES: u32 = 86_400;
/// How long is waited for that before who waits for the message is told.
const RECORD_WAIT: Duration = Duration::from_secs(5);

/// A message that may go ahead.
struct Admitted {
    acting: Acting,
    recipient: Recipient,
    command: SendMessage,
    /// How it is kept, where its person's window is closed.
    holding: Option<Holding>,
}

impl Engine {
    /// Sends one message and waits for what the upstream says. Runs to its end even if the caller
    /// goes away.
    ///
    /// # Errors
    /// Where nothing was accepted. What was accepted and then failed is in the answer.
    pub async fn send(&self, ask: Ask<SendMessage>) -> Result<Answer<Delivery>, Failure> {
        let engine = self.clone();
        self.detached(async move { engine.send_now(ask).await }).await
    }

    /// Accepts one message to be sent later: durable when it returns.
    ///
    /// # Errors
    /// Where it was not accepted.
    pub async fn enqueue(&self, ask: Ask<SendMessage>) -> Result<Answer<Message>, Failure> {
        let engine = self.clone();
        self.detached(async move { engine.accept_for_later(ask).await }).await
    }

    async fn send_now(&self, ask: Ask<SendMessage>) -> Result<Answer<Delivery>, Failure> {
        let (ask, command) = ask.part();
        let alone = self.alone_with_key(&ask, &command.org_id).await?;
        let admitted = match self.admit(&ask, command, Patience::None).await? {
            Admission::Replay(message) => return Ok(Answer::replay(delivery_of(&message))),
            Admission::New(admitted) => *admitted,
        };
        let Admitted { acting, recipient, command, .. } = admitted;
        let SendMessage { user_id, session_id, reference, content, mut options, .. } = command;
        self.judge_notify(&mut options);
        let account = self.account(&acting.number)?;
        let content = self.keep_media(&acting, content).await?;
        let media = self.media_library();
        let placed = media.place(&acting.org.id, &acting.number, &account, &content).await;
        let placed = placed.map_err(call_failure)?;
        let lane = self.lane(&acting.number);
        self.check_cap(&acting, &lane, &recipient.phone, &content)?;
        lane.turn(&recipient.phone, self.now()).await?;
        self.note_recipient(&lane, &recipient);
        self.check_expiry(&options)?;
        let message = Message {
            customer_id: recipient.customer.map(|customer| customer.id),
            synchronous: true,
            user_id,
            session_id,
            reference,
            options,
            status: Status::Sending,
            ..self.fresh_message(&ask, &acting, recipient.phone, content)
        };
        let attempt_id = new_attempt_id();
        let start = Start::Attempt(attempt_id);
        let accepted = self.store().accept(message.clone(), start, ask.claim(&acting.org.id)).await;
        if let Accepted::Replay { fingerprint, target } = accepted? {
            let message = self.replayed_message(&ask, &acting.org.id, fingerprint, target).await?;
            return Ok(Answer::replay(delivery_of(&message)));
        }
        drop(alone);
        self.count().messages_accepted.add();
        let sending = WaitedFor { engine: self, lane, number: &acting.number, account, placed };
        let settled = sending.deliver(message, attempt_id).await?;
        Ok(Answer::new(delivery_of(&settled)))
    }

    async fn accept_for_later(&self, ask: Ask<SendMessage>) -> Result<Answer<Message>, Failure> {
        let (ask, command) = ask.part();
        let admitted = match self.admit(&ask, command, Patience::Some).await? {
            Admission::Replay(message) => return Ok(Answer::replay(*message)),
            Admission::New(admitted) => *admitted,
        };
        let Admitted { acting, recipient, command, holding } = admitted;
        let SendMessage { user_id, session_id, reference, content, mut options, .. } = command;
        self.check_expiry(&options)?;
        self.judge_notify(&mut options);
        let content = self.keep_media(&acting, content).await?;
        let mut message = Message {
            customer_id: recipient.customer.map(|customer| customer.id),
            user_id,
            session_id,
            reference,
            options,
            ..self.fresh_message(&ask, &acting, recipient.phone, content)
        };
        options::limit_life(&mut message);
        self.settle_unknown_policy(&acting, &mut message);
        let start = self.start_of(&ask, &acting, &message, holding);
        let place = start.place();
        if is_planted(Bug::AcceptAnsweredEarly) {
            let (store, claim) = (Arc::clone(self.store()), ask.claim(&acting.org.id));
            let late = message.clone();
            tokio::spawn(async move { drop(store.accept(late, start, claim).await) });
            return Ok(Answer::new(message));
        }
        let accepted = self.store().accept(message.clone(), start, ask.claim(&acting.org.id)).await;
        if let Accepted::Replay { fingerprint, target } = accepted? {
            let message = self.replayed_message(&ask, &acting.org.id, fingerprint, target).await?;
            return Ok(Answer::replay(message));
        }
        self.count().messages_accepted.add();
        self.lane(&acting.number).queued(place);
        Ok(Answer::new(message))
    }

    async fn admit(
        &self,
        ask: &Ask<()>,
        mut command: SendMessage,
        patience: Patience,
    ) -> Result<Admission, Failure> {
        let acting = self.acting_for(&ask.caller, &command)?;
        let recipient = self.addressee(&acting, &command.recipient).await?;
        let binding = command.binding.take();
        self.check_content(&acting, &mut command.content, binding.as_ref()).await?;
        if let Some(message) = self.find_replay(ask, &acting.org.id).await? {
            return Ok(Admission::Replay(Box::new(message)));
        }
        self.check_consent(&acting.org, &recipient)?;
        let (content, options) = (&command.content, &command.options);
        let holding = match self.passage(&acting, &recipient, content, options, patience)? {
            Passage::Free => None,
            Passage::Held(holding) => Some(holding),
            Passage::Replaced(template) => {
                command.content = Content::Template(template);
                None
            }
        };
        Ok(Admission::New(Box::new(Admitted { acting, recipient, command, holding })))
    }

    pub(crate) async fn keep_media(
        &self,
        acting: &Acting,
        content: Content<MediaDraft>,
    ) -> Result<Content, Failure> {
        let mut drafts = Vec::new();
        let content = content.with_media(|draft| drafts.push(draft));
        let mut kept = Vec::with_capacity(drafts.len());
        for draft in drafts {
            kept.push(self.media_library().keep(&acting.org, draft).await?);
        }
        let mut kept = kept.into_iter();
        Ok(content.with_media(|()| kept.next().expect("one was kept for each draft")))
    }

    /// A message that nothing has happened to yet.
    pub(crate) fn fresh_message(
        &self,
        ask: &Ask<()>,
        acting: &Acting,
        phone: Phone,
        content: Content,
    ) -> Message {
        Message {
            id: new_message_id(),
            org_id: acting.org.id.clone(),
            number_id: acting.number.id.clone(),
            customer_id: None,
            phone,
            direction: Direction::Outbound,
            message_type: message_type(&ask.caller, &content),
            dialect: ask.dialect.to_owned(),
            synchronous: false,
            user_id: None,
            session_id: None,
            reference: None,
            broadcast_id: None,
            content,
            status: Status::Queued,
            wamid: None,
            wa_id: None,
            failure: None,
            possible_duplicate: false,
            resend_at: None,
            options: MessageOptions::default(),
            created_at: self.now(),
            settled_at: None,
        }
    }
}

enum Admission {
    New(Box<Admitted>),
    Replay(Box<Message>),
}

/// A message on its way to the upstream while its caller waits.
struct WaitedFor<'a> {
    engine: &'a Engine,
    lane: Arc<Lane>,
    number: &'a Number,
    account: Account,
    placed: Content<PlacedMedia>,
}

impl WaitedFor<'_> {
    /// Attempts it until there is an outcome that the caller can be told. The intent of the first
    /// attempt is durable already.
    async fn deliver(mut self, mut message: Message, first: AttemptId) -> Result<Message, Failure> {
        let began = Instant::now();
        let mut attempt_id = first;
        let mut attempts = 1;
        let mut turn = Ok(());
        loop {
            let outcome = match turn {
                Ok(()) => {
                    self.engine.attempt(&self.account, &message, &self.placed, attempt_id).await
                }
                Err(failure) => {
                    SendOutcome::NotSent(CallError { failure, class: RetryClass::Never })
                }
            };
            let mut settlement = settlement_of(outcome);
            let mut pause = None;
            if let Step::Again(_, error) = &settlement {
                let left = MAX_PACING_WAIT.saturating_sub(began.elapsed());
                let wait = wait_before_next(error, attempts);
                let delay = wait.unwrap_or(PACE_PAUSE);
                self.engine.heed(error, delay, &message, &self.lane).await;
                pause = wait.filter(|wait| *wait <= left);
                if error.failure.kind == ErrorKind::MediaNotFound && attempts == 1 {
                    pause = self.replace_media(&message).await;
                }
            }
            if pause.is_none() {
                settlement = settlement.given_up();
            }
            self.engine.settle(&mut message, attempt_id, settlement, pause, false).await?;
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None if message.status == Status::Unknown => {
                    return self.engine.wait_for_status(message).await;
                }
                None => return Ok(message),
            }
            turn = self.lane.turn(&message.phone, self.engine.now()).await;
            if turn.is_ok() {
                turn = self.engine.check_expiry(&message.options);
            }
            attempt_id = new_attempt_id();
            attempts += 1;
            let begun =
                self.engine.store().begin_attempt(message.id, attempt_id, self.engine.now()).await;
            if let Err(error) = &begun {
                self.engine.close_later(&message, error);
            }
            if begun?.is_none() {
                return self.engine.known_message(&message).await;
            }
        }
    }

    /// The upstream does not know a file that it had: uploads it again.
    async fn replace_media(&mut self, message: &Message) -> Option<Duration> {
        let media = self.engine.media_library();
        media.forget_copies(self.number, &message.content).await;
        let placed = media.place(&message.org_id, self.number, &self.account, &message.content);
        let placed = placed.await.ok()?;
        if placed == self.placed {
            return None;
        }
        self.placed = placed;
        Some(Duration::ZERO)
    }
}

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
    Again(AttemptOutcome, CallError),
    Failed(AttemptOutcome, Failure),
    Unknown(Failure),
}

impl Step {
    fn given_up(self) -> Self {
        match self {
            Self::Again(outcome, error) => Self::Failed(outcome, error.given_up()),
            step => step,
        }
    }
}

pub(crate) fn settlement_of(outcome: SendOutcome) -> Step {
    match outcome {
        SendOutcome::Sent(receipt) => Step::Sent(receipt),
        SendOutcome::Unknown(failure) if is_planted(Bug::UnknownCountsAsNotSent) => {
            let error = CallError { failure, class: RetryClass::BackOff };
            Step::Again(AttemptOutcome::NotSent, error)
        }
        SendOutcome::Unknown(failure) => Step::Unknown(failure),
        SendOutcome::NotSent(error) => Step::Again(AttemptOutcome::NotSent, error),
        SendOutcome::Refused(error) => {
            let media_gone = error.failure.kind == ErrorKind::MediaNotFound;
            match error.class {
                RetryClass::Never | RetryClass::Operator if !media_gone => {
                    Step::Failed(AttemptOutcome::Refused, error.given_up())
                }
                _ => Step::Again(AttemptOutcome::Refused, error),
            }
        }
    }
}

/// How long a caller who waits must wait before the next attempt; `None` to give up.
fn wait_before_next(error: &CallError, attempts: u32) -> Option<Duration> {
    if error.class == RetryClass::Account {
        return None;
    }
    let is_pace = matches!(error.class, RetryClass::Pace | RetryClass::PersonPace);
    if !is_pace && attempts >= MAX_ATTEMPTS_WHILE_WAITED_FOR {
        return None;
    }
    let delay = retry::delay_ms(error.class, attempts, dice(), error.failure.retry_after_s);
    delay.map(Duration::from_millis)
}

/// Uniform in 0..=1.
pub(crate) fn dice() -> f64 {
    waypost_clock::dice()
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
        let (outcome, call) = self.upstream().send_and_tell(account, &outgoing).await;
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
            Step::Again(outcome, error) => {
                let wait_ms = again_in.unwrap_or_default().as_millis();
                Settlement::Retry {
                    outcome,
                    due_at: now.plus_ms(i64::try_from(wait_ms).unwrap_or(i64::MAX)),
                    fault: fault_of(&error.failure),
                    requeue,
                }
            }
        };
        // Who waits for a broadcast was told of a member that is sent again when it became unknown.
        let broadcast_id = message.broadcast_id.filter(|_| !message.possible_duplicate);
        let id = message.id;
        let record = Record { id, broadcast_id, attempt_id, settlement, now };
        let settled = match self.record(&record).await {
            Err(StoreError::Unavailable(_)) => self.record_later(record).await?,
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

    /// A caller who waits is told that the store cannot begin another attempt now: nobody will, and
    /// the message is closed as soon as that can be recorded.
    fn close_later(&self, message: &Message, error: &StoreError) {
        let (engine, message) = (self.clone(), message.clone());
        let failure = Failure::from(error.clone());
        self.0.callers.spawn(async move {
            for _ in 0..MAX_RECORD_TRIES {
                tokio::time::sleep(RECORD_PAUSE).await;
                match engine.fail_queued(&message, failure.clone()).await {
                    Err(why) if why.kind == ErrorKind::Unavailable => {
                        tracing::warn!(message = %message.id, error = %why, "not closed yet");
                    }
                    _ => return,
                }
            }
        });
    }

    async fn record(&self, record: &Record) -> StoreResult<Settled> {
        let Record { id, broadcast_id, attempt_id, settlement, now } = record;
        let settled =
            self.store().settle_attempt(*id, *attempt_id, settlement.clone(), *now).await?;
        self.count_settled(settled.status);
        self.tell(id, *broadcast_id, settled.status);
        if settled.resend_at.is_some() {
            self.resends().planned();
        }
        Ok(settled)
    }

    /// The store cannot take an outcome now: goes on trying after the caller has been told.
    async fn record_later(&self, record: Record) -> Result<Settled, Failure> {
        let full = StoreError::Unavailable(String::new());
        let settlement = record.settlement.clone();
        let engine = self.clone();
        let recording = self.0.callers.spawn(async move {
            for _ in 1..MAX_RECORD_TRIES {
                tokio::time::sleep(RECORD_PAUSE).await;
                match engine.record(&record).await {
                    Err(StoreError::Unavailable(why)) => {
                        tracing::warn!(message = %record.id, why, "outcome not recorded yet");
                    }
                    recorded => return recorded,
                }
            }
            engine.record(&record).await
        });
        match tokio::time::timeout(RECORD_WAIT, recording).await {
            Ok(Ok(recorded)) => recorded.map_err(|error| unrecorded(&settlement, error)),
            Ok(Err(_)) | Err(_) => Err(unrecorded(&settlement, full)),
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
    async fn wait_for_status(&self, message: Message) -> Result<Message, Failure> {
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

/// What a caller is told of a message.
pub(crate) fn delivery_of(message: &Message) -> Delivery {
    let result = match (&message.wamid, &message.failure) {
        (_, Some(failure)) if message.status == Status::Failed && message.wamid.is_none() => {
            Err(failure.clone())
        }
        (Some(wamid), _) => Ok(Receipt {
            wamid: wamid.clone(),
            wa_id: message.wa_id.clone().unwrap_or_else(|| message.phone.digits().to_owned()),
        }),
        (None, _) if message.resend_at.is_some() => Err(pending(Status::Queued)),
        (None, Some(failure)) => Err(failure.clone()),
        (None, None) => Err(pending(message.status)),
    };
    Delivery {
        id: message.id,
        customer_id: message.customer_id.clone(),
        phone: message.phone.clone(),
        at: message.settled_at.unwrap_or(message.created_at),
        message_type: message.message_type,
        result,
    }
}

fn pending(status: Status) -> Failure {
    match status {
        Status::Cancelled => {
            Failure::new(ErrorKind::Cancelled, "The message was cancelled before it was sent.")
        }
        _ => Failure::new(
            ErrorKind::StillQueued,
            "The message is accepted and durable, and will be sent later.",
        ),
    }
}

/// Whose message it is in the log.
pub(crate) fn message_type<M>(caller: &Caller, content: &Content<M>) -> MessageType {
    if content.is_template() { MessageType::Template } else { caller.sends_as }
}

pub(crate) fn new_message_id() -> MessageId {
    MessageId(Uuid::now_v7())
}

/// Time-ordered like every id of ours, so that stores append; 74 of its bits are random.
pub(crate) fn new_attempt_id() -> AttemptId {
    AttemptId(Uuid::now_v7())
}
