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
use waypost_domain::message::{Direction, Message, MessageOptions};
use waypost_domain::place::Place;
use waypost_domain::retry::{self, Failing, RetryClass};
use waypost_domain::{
    AttemptId, Content, ErrorKind, Failure, MessageId, OrgId, Phone, Status, Timestamp,
};
use waypost_planted::{Bug, is_planted};

use crate::admission::Acting;
use crate::lanes::{Applicant, Lane, MAX_PACING_WAIT, PACE_PAUSE};
use crate::options;
use crate::outcomes::{Step, has_lost_file, settlement_of};
use crate::panics::caught;
use crate::ports::{Accepted, Account, CallError, Haste, PlacedMedia, SendOutcome, Start};
use crate::templates::call_failure;
use crate::windows::{Holding, Passage, Patience};
use crate::{Answer, Ask, Engine};

/// Attempts in a row that a caller who waits may cost when the upstream is down; pace errors may cost
/// more.
const MAX_ATTEMPTS_WHILE_WAITED_FOR: u32 = 2;

/// A message that may go ahead.
struct Admitted {
    acting: Acting,
    message: Message,
    /// When its person last wrote to the number.
    last_inbound_at: Option<Timestamp>,
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
        let (engine, (ask, command)) = (self.clone(), ask.part());
        let command = Box::new(command);
        self.detached(async move { engine.send_now(ask, command).await }).await
    }

    /// Accepts one message to be sent later: durable when it returns.
    ///
    /// # Errors
    /// Where it was not accepted.
    pub async fn enqueue(&self, ask: Ask<SendMessage>) -> Result<Answer<Message>, Failure> {
        let (engine, (ask, command)) = (self.clone(), ask.part());
        let command = Box::new(command);
        self.detached(async move { engine.accept_for_later(ask, command).await }).await
    }

    async fn send_now(
        &self,
        mut ask: Ask<()>,
        command: Box<SendMessage>,
    ) -> Result<Answer<Delivery>, Failure> {
        let org = self.org_of(&ask.caller, &command.org_id)?;
        let alone = self.alone_with_key(&mut ask, &org.id).await?;
        let mut sending = match self.get_turn(&ask, command).await? {
            Admission::Replay(message) => return Ok(Answer::replay(delivery_of(&message))),
            Admission::New(sending) => sending,
        };
        if is_planted(Bug::NoIntent) {
            sending.early = Some(sending.attempt().await);
        }
        let start = Start::Attempt { id: sending.attempt_id, place: sending.place };
        let message = sending.message.clone();
        let claim = ask.claim(&message.org_id);
        let accepted = self.store().accept(message, start, claim).await;
        if let Accepted::Replay { fingerprint, target } = accepted? {
            let org_id = &sending.message.org_id;
            let replayed = self.replayed_message(&ask, org_id, fingerprint, target);
            return Ok(Answer::replay(delivery_of(&Box::pin(replayed).await?)));
        }
        drop(alone);
        self.count().messages_accepted.add();
        match caught(sending.deliver()).await {
            Some(delivered) => delivered?,
            None => {
                let last = sending.attempt_id;
                self.settle_panicked(&mut sending.message, last, false).await?;
            }
        }
        Ok(Answer::new(delivery_of(&sending.message)))
    }

    /// Admits a message and waits for its turn.
    async fn get_turn(
        &self,
        ask: &Ask<()>,
        command: Box<SendMessage>,
    ) -> Result<Admission<WaitedFor<'_>>, Failure> {
        let admitted = match self.admit(ask, command, Patience::None).await? {
            Admission::Replay(message) => return Ok(Admission::Replay(message)),
            Admission::New(admitted) => admitted,
        };
        let Admitted { acting, message, last_inbound_at, .. } = &*admitted;
        let account = self.account(&acting.number)?;
        let media = self.media_library();
        let placed = media.place(&acting.org.id, &acting.number, &account, &message.content).await;
        let placed = placed.map_err(call_failure)?;
        let lane = self.lane(&acting.number);
        self.check_cap(acting, &lane, &message.phone, &message.content)?;
        let place = self.place(acting, message);
        let applicant = Applicant { org_id: &message.org_id, phone: &message.phone, place };
        Box::pin(self.first_turn(&lane, applicant)).await?;
        self.note_recipient(&lane, &message.phone, *last_inbound_at);
        self.check_expiry(&message.options)?;
        let Admitted { acting, mut message, .. } = *admitted;
        self.settle_unknown_policy(&acting, &mut message);
        let number = acting.number;
        message.synchronous = true;
        message.status = Status::Sending;
        message.created_at = self.now();
        let (attempt_id, early) = (new_attempt_id(), None);
        let sending = WaitedFor {
            engine: self,
            lane,
            number,
            account,
            placed,
            message,
            place,
            attempt_id,
            early,
        };
        Ok(Admission::New(Box::new(sending)))
    }

    async fn accept_for_later(
        &self,
        ask: Ask<()>,
        command: Box<SendMessage>,
    ) -> Result<Answer<Message>, Failure> {
        let admitted = match self.admit(&ask, command, Patience::Some).await? {
            Admission::Replay(message) => return Ok(Answer::replay(*message)),
            Admission::New(admitted) => admitted,
        };
        let Admitted { acting, mut message, holding, .. } = *admitted;
        options::limit_life(&mut message);
        self.settle_unknown_policy(&acting, &mut message);
        let start = self.start_of(&ask, &acting, &message, holding);
        let (place, claim) = (start.place(), ask.claim(&message.org_id));
        if is_planted(Bug::AcceptAnsweredEarly) {
            let (store, late) = (Arc::clone(self.store()), message.clone());
            tokio::spawn(async move { drop(store.accept(late, start, claim).await) });
            return Ok(Answer::new(message));
        }
        let accepted = self.store().accept(message.clone(), start, claim).await;
        if let Accepted::Replay { fingerprint, target } = accepted? {
            let replayed = self.replayed_message(&ask, &message.org_id, fingerprint, target);
            return Ok(Answer::replay(Box::pin(replayed).await?));
        }
        self.count().messages_accepted.add();
        self.lane(&acting.number).queued(place);
        Ok(Answer::new(message))
    }

    /// Lets a message in, and keeps its files.
    async fn admit(
        &self,
        ask: &Ask<()>,
        mut command: Box<SendMessage>,
        patience: Patience,
    ) -> Result<Admission<Admitted>, Failure> {
        let org = self.org_of(&ask.caller, &command.org_id)?;
        let conflict = match self.earlier(ask, &org.id).await {
            Ok(Some(message)) => return Ok(Admission::Replay(message)),
            Ok(None) => None,
            Err(failure) => Some(ask.put_off(failure)?),
        };
        self.check_expiry(&command.options)?;
        let acting = self.acting_for(&ask.caller, &command)?;
        let recipient = self.addressee(&acting, &command.recipient).await?;
        let binding = command.binding.take();
        let language = acting.default_language(command.ignores_org_language);
        self.check_content(&acting, &mut command.content, binding.as_ref(), language).await?;
        conflict.map_or(Ok(()), Err)?;
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
        let SendMessage { user_id, session_id, reference, content, mut options, .. } = *command;
        self.judge_notify(&mut options);
        let content = self.keep_media(&acting, content).await?;
        let message = Message {
            customer_id: recipient.customer.map(|customer| customer.id),
            user_id,
            session_id,
            reference,
            options,
            ..self.fresh_message(ask, &acting, recipient.phone, content)
        };
        let last_inbound_at = recipient.last_inbound_at;
        Ok(Admission::New(Box::new(Admitted { acting, message, last_inbound_at, holding })))
    }

    /// The message that an earlier request with this key made. Costs nothing without a key.
    async fn earlier(
        &self,
        ask: &Ask<()>,
        org_id: &OrgId,
    ) -> Result<Option<Box<Message>>, Failure> {
        if ask.idempotency.is_none() {
            return Ok(None);
        }
        Ok(Box::pin(self.find_replay(ask, org_id)).await?.map(Box::new))
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
            kept.push(Box::pin(self.media_library().keep(&acting.org, draft)).await?);
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

/// How far a message got, or the one that an earlier request with its key made.
enum Admission<T> {
    New(Box<T>),
    Replay(Box<Message>),
}

/// A message on its way to the upstream while its caller waits.
struct WaitedFor<'a> {
    engine: &'a Engine,
    lane: Arc<Lane>,
    number: Arc<Number>,
    account: Account,
    placed: Content<PlacedMedia>,
    message: Message,
    /// Where it stands in its number's queue, should it be sent again.
    place: Place,
    /// Its last attempt.
    attempt_id: AttemptId,
    /// Only where a bug is planted: what the first call came to, before there was an intent.
    early: Option<SendOutcome>,
}

impl WaitedFor<'_> {
    /// Attempts it until there is an outcome that the caller can be told. The intent of the first
    /// attempt is durable already.
    async fn deliver(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let mut failing = None;
        let mut turn = Ok(());
        loop {
            let outcome = match (self.early.take(), turn) {
                (Some(outcome), _) => outcome,
                (None, Ok(())) => self.attempt().await,
                (None, Err(failure)) => {
                    SendOutcome::NotSent(CallError { failure, class: RetryClass::Never })
                }
            };
            let mut settlement = settlement_of(outcome, failing);
            let mut pause = None;
            if let Step::Again(_, error, now_failing) = &settlement {
                failing = Some(*now_failing);
                let left = MAX_PACING_WAIT.saturating_sub(began.elapsed());
                pause = Box::pin(self.pause_before_next(error, *now_failing, left)).await;
            }
            if pause.is_none() {
                settlement = settlement.given_up();
            }
            let message = &mut self.message;
            self.engine.settle(message, self.attempt_id, settlement, pause, false).await?;
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None if message.status == Status::Unknown => {
                    let known = self.engine.wait_for_status(self.message.clone());
                    self.message = Box::pin(known).await?;
                    return Ok(());
                }
                None => return Ok(()),
            }
            turn = self.lane.turn(self.applicant(), self.engine.now()).await;
            if turn.is_ok() {
                turn = self.engine.check_expiry(&self.message.options);
            }
            self.attempt_id = new_attempt_id();
            if !self.begin().await? {
                self.message = Box::pin(self.engine.known_message(&self.message)).await?;
                return Ok(());
            }
        }
    }

    fn applicant(&self) -> Applicant<'_> {
        let Message { org_id, phone, .. } = &self.message;
        Applicant { org_id, phone, place: self.place }
    }

    async fn attempt(&self) -> SendOutcome {
        self.engine.attempt(&self.account, &self.message, &self.placed, self.attempt_id).await
    }

    /// How long to wait after an error before the next attempt; `None` where there will be none.
    async fn pause_before_next(
        &mut self,
        error: &CallError,
        failing: Failing,
        left: Duration,
    ) -> Option<Duration> {
        let wait = wait_before_next(error, failing);
        let delay = wait.unwrap_or(PACE_PAUSE);
        self.engine.heed(error, delay, &self.message, &self.lane).await;
        if has_lost_file(error, failing) {
            return self.replace_media().await;
        }
        wait.filter(|wait| *wait <= left)
    }

    /// Records the intent of another attempt; false where the message has an outcome by now.
    async fn begin(&self) -> Result<bool, Failure> {
        let (store, id) = (self.engine.store(), self.message.id);
        let begun =
            store.begin_attempt(Haste::AtOnce, id, self.attempt_id, self.engine.now()).await;
        if let Err(error) = &begun {
            self.engine.close_later(&self.message, error);
        }
        Ok(begun?.is_some())
    }

    /// The upstream does not know a file that it had: uploads it again.
    async fn replace_media(&mut self) -> Option<Duration> {
        let (media, message) = (self.engine.media_library(), &self.message);
        media.forget_copies(message).await;
        let placed = media.place(&message.org_id, &self.number, &self.account, &message.content);
        let placed = placed.await.ok()?;
        if placed == self.placed {
            return None;
        }
        self.placed = placed;
        Some(Duration::ZERO)
    }
}

/// How long a caller who waits must wait before the next attempt; `None` to give up.
fn wait_before_next(error: &CallError, failing: Failing) -> Option<Duration> {
    if error.class == RetryClass::Account {
        return None;
    }
    let is_pace = matches!(error.class, RetryClass::Pace | RetryClass::PersonPace);
    if !is_pace && failing.times >= MAX_ATTEMPTS_WHILE_WAITED_FOR {
        return None;
    }
    let delay = retry::delay_ms(failing, dice(), error.failure.retry_after_s);
    delay.map(Duration::from_millis)
}

/// Uniform in 0..=1.
pub(crate) fn dice() -> f64 {
    waypost_clock::dice()
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
