//! Where messages, their attempts and statuses, the due queue, idempotency keys and broadcasts are
//! kept. The transitions of RELIABILITY §2 are transactions of this port.

use async_trait::async_trait;
use waypost_domain::command::{MessageType, Receipt};
use waypost_domain::customer::Customer;
use waypost_domain::manage::LoggedMessage;
use waypost_domain::message::{
    AttemptOutcome, BroadcastRecord, BroadcastState, Direction, Message, MessageHistory, Session,
};
use waypost_domain::place::Place;
use waypost_domain::retry::Failing;
use waypost_domain::status::Report;
use waypost_domain::{
    AttemptId, BroadcastId, CustomerId, ErrorKind, Failure, MediaId, MessageId, NumberId, OrgId,
    Phone, Status, Timestamp, UpstreamFault,
};

use super::{Entry, Hold, Page, Paged, StoreResult};

/// A person to be written to, with what decides whether they may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The number to address.
    pub phone: Phone,
    /// The directory's entry, where there is one.
    pub customer: Option<Customer>,
    /// Whether the person said no, under any of their names, also where its customer was deleted.
    pub opted_out: bool,
    /// When the person last wrote to this number.
    pub last_inbound_at: Option<Timestamp>,
}

/// How an accepted message goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// Into the due queue.
    Queue {
        /// Not before.
        due_at: Timestamp,
        /// Where it stands there.
        place: Place,
    },
    /// Into the due queue once its person writes.
    Hold(Box<Hold>),
    /// Straight to its first attempt, whose intent is recorded in the same transaction.
    Attempt {
        /// The attempt's id.
        id: AttemptId,
        /// Where it stands in the due queue, should it be sent again.
        place: Place,
    },
    /// Nowhere: it has failed already, for the reason in its `failure`. Nothing is attempted.
    Closed {
        /// Where it stands in the due queue, should it be sent again.
        place: Place,
    },
}

impl Start {
    /// The place in the due queue that something takes by itself, now or later; the last one where
    /// nothing does.
    #[must_use]
    pub fn place(&self) -> Place {
        match self {
            Self::Queue { place, .. } => *place,
            Self::Hold(hold) => {
                let nudge = hold.nudge.as_ref().map(|(_, place)| *place);
                hold.place.min(nudge.unwrap_or(hold.place))
            }
            Self::Attempt { .. } | Self::Closed { .. } => Place::BROADCAST,
        }
    }
}

/// How soon an intent must be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Somebody waits for it.
    AtOnce,
    /// Others will follow soon: a few milliseconds later it costs less.
    WithOthers,
}

/// An idempotency key to be claimed in the message's own transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyClaim {
    /// The organisation; the empty id for the installation itself.
    pub org_id: OrgId,
    /// The call's path.
    pub route: String,
    /// The caller's key.
    pub key: String,
    /// SHA-256 of the canonical request.
    pub fingerprint: [u8; 32],
}

/// What a claimed key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdempotentTarget {
    /// A message.
    Message(MessageId),
    /// Messages that were accepted together, in the order of their request.
    Messages(Vec<MessageId>),
    /// A broadcast.
    Broadcast(BroadcastId),
    /// An upload.
    Media(MediaId),
    /// Something of the management API's: which kind, the call's path says.
    Made(String),
}

/// Something new that the management API makes, but for messages, broadcasts and uploads.
#[derive(Clone, Debug, PartialEq)]
pub enum NewRecord {
    /// An entry of the directory.
    Entry(Box<Entry>),
    /// A customer.
    Customer(Box<Customer>),
    /// What the upstream keeps and has made already, by our name for it: only the key is recorded.
    Upstream(String),
}

/// The key of a request for something new, to be claimed in the same transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreationClaim {
    /// The key.
    pub claim: IdempotencyClaim,
    /// What the key stood for and what is gone meanwhile: the claim takes its place.
    pub gone: Option<String>,
    /// The time.
    pub now: Timestamp,
}

/// What came of an accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable.
    New,
    /// The idempotency key was claimed before, by a request with this fingerprint.
    Replay {
        /// The first request's fingerprint.
        fingerprint: [u8; 32],
        /// What it made.
        target: IdempotentTarget,
    },
}

/// A message that is due to be attempted.
#[derive(Clone, Debug, PartialEq)]
pub struct DueMessage {
    /// The message.
    pub message: Message,
    /// How it has been failing; `None`: not at all since it was accepted, or since somebody sent it
    /// again.
    pub failing: Option<Failing>,
    /// Whether nobody knows what came of its last attempt: the next one may be a duplicate.
    pub after_unknown: bool,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// Accepted by the upstream.
    Sent(Receipt),
    /// It will not be sent. The idempotency key is free again where the upstream refused. Where an
    /// earlier attempt may have been sent, the message is `unknown` and not `failed`.
    Failed {
        /// Refused, or never reached the upstream.
        outcome: AttemptOutcome,
        /// Why.
        failure: Failure,
    },
    /// Certainly not sent; to be tried again.
    Retry {
        /// Refused, or never reached the upstream.
        outcome: AttemptOutcome,
        /// Not before.
        due_at: Timestamp,
        /// What the upstream said.
        fault: UpstreamFault,
        /// How the message has been failing by now.
        failing: Failing,
        /// `true`: back into the due queue. `false`: the caller waits and attempts it itself.
        requeue: bool,
    },
    /// It may or may not have been sent.
    Unknown {
        /// What happened.
        failure: Failure,
        /// When it is sent again, unless a status comes before.
        resend_at: Option<Timestamp>,
    },
}

/// What an attempt's end made of its message.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// Its status.
    pub status: Status,
    /// The upstream's id.
    pub wamid: Option<String>,
    /// The upstream's id of the recipient.
    pub wa_id: Option<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// When it is sent again because its outcome is unknown.
    pub resend_at: Option<Timestamp>,
}

/// A status that the upstream reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    /// The only number for whose messages it counts; `None`: for everybody's.
    pub number_id: Option<NumberId>,
    /// The message's upstream id.
    pub wamid: String,
    /// The attempt, where our token came back and its MAC is right.
    pub attempt_id: Option<AttemptId>,
    /// What is reported.
    pub report: Report,
    /// When it happened, by the upstream's clock.
    pub at: Timestamp,
    /// Why, for failures.
    pub failure: Option<Failure>,
    /// What else the upstream said, for whoever is told of it.
    pub extra: Option<serde_json::Value>,
}

/// What a report did.
#[derive(Clone, Debug, PartialEq)]
pub enum ReportEffect {
    /// The message's status changed (from, to).
    Advanced(MessageId, Status, Status),
    /// It is in the history and told nothing new, or it was known already.
    Nothing(MessageId),
    /// No message is known by this id yet: kept, and matched when one is.
    Parked,
}

/// What the start found left over by a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Attempts that were open: nobody knows what came of them, and their messages are `unknown`.
    pub unknown: Vec<LostAttempt>,
    /// Messages waiting in the due queue.
    pub queued: u64,
}

/// An attempt that a crash cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostAttempt {
    /// The attempt.
    pub attempt_id: AttemptId,
    /// Its message.
    pub message_id: MessageId,
    /// The number that sent it.
    pub number_id: NumberId,
    /// Whether the message was sent before, and may have arrived.
    pub possible_duplicate: bool,
}

/// Which messages to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct MessageFilter {
    pub customer_id: Option<CustomerId>,
    pub phone: Option<Phone>,
    pub number_id: Option<NumberId>,
    pub session_id: Option<String>,
    pub broadcast_id: Option<BroadcastId>,
    pub status: Option<Status>,
    pub direction: Option<Direction>,
    pub message_type: Option<MessageType>,
    pub wamid: Option<String>,
    /// Why they failed, or why their outcome is unknown.
    pub error: Option<ErrorFilter>,
    /// Failed ones that may be sent another time as they are, or may not.
    pub retryable: Option<bool>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Newest first instead of oldest first; `after` then means before.
    pub newest_first: bool,
}

/// Why messages failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorFilter {
    /// Our own word for it.
    Kind(ErrorKind),
    /// The upstream's code.
    Upstream(i64),
}

/// Which sessions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only with this person.
    pub phone: Option<Phone>,
    /// Only those whose person last wrote after this instant.
    pub inbound_after: Option<Timestamp>,
}

/// Keeps messages. Every call that writes is durable when it returns.
#[async_trait]
pub trait MessageStore: Send + Sync {
    /// A customer of an organisation, with the window at one of its numbers.
    async fn recipient_by_id(
        &self,
        org_id: &OrgId,
        customer_id: &CustomerId,
        number_id: &NumberId,
    ) -> StoreResult<Option<Recipient>>;
    /// A person by number, known as a customer or not.
    async fn recipient_by_phone(
        &self,
        org_id: &OrgId,
        phone: &Phone,
        number_id: &NumberId,
    ) -> StoreResult<Recipient>;
    /// People by number, known as customers or not, in the order given.
    async fn recipients_by_phone(
        &self,
        org_id: &OrgId,
        phones: Vec<Phone>,
        number_id: &NumberId,
    ) -> StoreResult<Vec<Recipient>>;
    /// Whether writes wait for so long that new work should be turned away; what is recorded of
    /// work that was begun always finds room. Asked before every request, so it must cost nothing.
    fn is_behind(&self) -> bool {
        false
    }
    /// Records a new outbound message, its first step and its idempotency key, all or nothing.
    async fn accept(
        &self,
        message: Message,
        start: Start,
        claim: Option<IdempotencyClaim>,
    ) -> StoreResult<Accepted>;
    /// Records several new outbound messages with their first steps and the idempotency key of
    /// their request, all or nothing. A refusal frees the key of a request for one message; of
    /// several, failures of single ones leave it claimed.
    async fn accept_all(
        &self,
        messages: Vec<(Message, Start)>,
        claim: Option<IdempotencyClaim>,
    ) -> StoreResult<Accepted>;
    /// Records the intent of an attempt and takes the message off the due queue. `None` where it
    /// is no longer there to be attempted (cancelled, or settled by a status meanwhile); else the
    /// attempt's number, from 1. After an attempt of unknown outcome it is flagged as a possible
    /// duplicate.
    async fn begin_attempt(
        &self,
        haste: Haste,
        message_id: MessageId,
        attempt_id: AttemptId,
        now: Timestamp,
    ) -> StoreResult<Option<u32>>;
    /// Records what an attempt came to and matches statuses that came before it. Returns how
    /// the message now stands.
    async fn settle_attempt(
        &self,
        message_id: MessageId,
        attempt_id: AttemptId,
        settlement: Settlement,
        now: Timestamp,
    ) -> StoreResult<Settled>;
    /// Records a failure of a message that is queued, or between two attempts of a caller who waits,
    /// and that no attempt was made for: `failed`, or `unknown` where an earlier attempt may have
    /// been sent.
    async fn fail_queued(
        &self,
        message_id: MessageId,
        failure: Failure,
        now: Timestamp,
    ) -> StoreResult<()>;
    /// Withdraws a queued message, or what is to be sent again of an unknown one, which stays
    /// unknown; so does a queued one that may have been sent before. `false` where nothing is to be
    /// sent of it.
    async fn cancel(&self, org_id: &OrgId, id: MessageId, now: Timestamp) -> StoreResult<bool>;
    /// [`MessageStore::cancel`] for several; returns those that were withdrawn.
    async fn cancel_all(
        &self,
        org_id: &OrgId,
        ids: Vec<MessageId>,
        now: Timestamp,
    ) -> StoreResult<Vec<MessageId>>;
    /// Puts a failed, cancelled or unknown message back into the due queue, with a new life where
    /// its caller named no end. `false` where its status does not allow it.
    async fn requeue(&self, org_id: &OrgId, id: MessageId, now: Timestamp) -> StoreResult<bool>;
    /// [`MessageStore::requeue`] for several, of those that still have this status; returns how many
    /// were queued.
    async fn requeue_all(
        &self,
        org_id: &OrgId,
        ids: Vec<MessageId>,
        status: Status,
        now: Timestamp,
    ) -> StoreResult<u64>;
    /// When the next message of unknown outcome is to be sent again, if any is.
    async fn next_resend_at(&self) -> StoreResult<Option<Timestamp>>;
    /// Puts messages of unknown outcome whose time to be sent again came at `until` or before into
    /// the due queue; those whose life is over stay unknown for good. Returns how many were queued,
    /// and the numbers by which they are sent.
    async fn release_resends(
        &self,
        until: Timestamp,
        now: Timestamp,
    ) -> StoreResult<(u64, Vec<NumberId>)>;
    /// Lets no message of unknown outcome be sent again before an instant.
    async fn postpone_resends(&self, until: Timestamp) -> StoreResult<()>;
    /// Records a report.
    async fn apply_report(&self, report: StatusReport, now: Timestamp)
    -> StoreResult<ReportEffect>;
    /// Appends an event of failure for each message whose outcome is unknown since an attempt that
    /// began at `before` or earlier, and for whose outcome nobody waited; once for each attempt.
    /// The messages stay as they are. Returns how many there were.
    async fn tell_overdue(&self, before: Timestamp, now: Timestamp) -> StoreResult<u64>;
    /// Messages of a number that are due, with their content, by place and in the order of
    /// acceptance; organisations that share the number take turns.
    async fn due(
        &self,
        number_id: &NumberId,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<DueMessage>>;
    /// When the next message of a number falls due, if any waits.
    async fn next_due_at(&self, number_id: &NumberId) -> StoreResult<Option<Timestamp>>;
    /// Closes what a crash left open. Messages of unknown outcome that are to be sent again wait anew
    /// for a status. Called once, before anything else.
    async fn recover(&self, now: Timestamp) -> StoreResult<Recovered>;
    /// One message with its history.
    async fn message(&self, org_id: &OrgId, id: MessageId) -> StoreResult<Option<MessageHistory>>;
    /// Messages of an organisation.
    async fn messages(
        &self,
        org_id: &OrgId,
        filter: &MessageFilter,
        page: Page,
    ) -> StoreResult<Paged<Message>>;
    /// A page of an organisation's messages, newest first, and how many there are in all. Pages
    /// are counted from 0.
    async fn message_page(
        &self,
        org_id: &OrgId,
        page: u32,
        size: u32,
    ) -> StoreResult<(Vec<LoggedMessage>, u64)>;
    /// Counts a person as having written to a number at `at`, without a message: opens the window.
    /// Never moves it back.
    async fn renew_window(
        &self,
        org_id: &OrgId,
        number_id: &NumberId,
        phone: &Phone,
        at: Timestamp,
    ) -> StoreResult<()>;
    /// Sessions of an organisation, oldest first.
    async fn sessions(
        &self,
        org_id: &OrgId,
        filter: &SessionFilter,
        page: Page,
    ) -> StoreResult<Paged<Session>>;
}

/// Keeps idempotency keys; claims are made by the calls that record what they stand for.
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// Records something new together with the claim of its key, both or neither.
    /// [`super::StoreError::Conflict`] names `Idempotency-Key` where the key stands for something
    /// else, else what must be unique.
    async fn create(&self, record: NewRecord, claim: CreationClaim) -> StoreResult<()>;
    /// What a key stands for, with the fingerprint of the request that claimed it. Keys claimed
    /// before `oldest` count as never used.
    async fn idempotent_target(
        &self,
        org_id: &OrgId,
        route: &str,
        key: &str,
        oldest: Timestamp,
    ) -> StoreResult<Option<([u8; 32], IdempotentTarget)>>;
    /// Forgets keys claimed before an instant; returns how many.
    async fn forget_idempotency(&self, before: Timestamp) -> StoreResult<u64>;
}

/// One customer of a broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadcastMember {
    /// The id that the customer's message will have.
    pub message_id: MessageId,
    /// The customer.
    pub customer_id: CustomerId,
    /// The customer's number.
    pub phone: Phone,
}

/// How far a broadcast is: its messages by status.
#[derive(Clone, Debug, PartialEq)]
pub struct BroadcastProgress {
    /// The broadcast.
    pub record: BroadcastRecord,
    /// How many messages have each status; statuses without messages are left out.
    pub by_status: Vec<(Status, u64)>,
}

/// Keeps broadcasts. A broadcast is prepared (its members are added, nothing is due), then
/// started. One that a crash caught in preparation is removed by [`MessageStore::recover`].
#[async_trait]
pub trait BroadcastStore: Send + Sync {
    /// Begins the preparation. `model` is the message of which each member gets a copy with its
    /// own id, customer and phone; its `broadcast_id` is the record's.
    async fn prepare_broadcast(
        &self,
        record: BroadcastRecord,
        model: Message,
        claim: Option<IdempotencyClaim>,
    ) -> StoreResult<Accepted>;
    /// Adds members, in order.
    async fn add_broadcast_members(
        &self,
        id: BroadcastId,
        members: Vec<BroadcastMember>,
    ) -> StoreResult<()>;
    /// Ends the preparation: all members' messages are accepted and due, after all single ones.
    async fn start_broadcast(&self, id: BroadcastId, now: Timestamp) -> StoreResult<()>;
    /// Takes a prepared broadcast back.
    async fn discard_broadcast(&self, id: BroadcastId) -> StoreResult<()>;
    /// Pauses, resumes or cancels. Paused and cancelled broadcasts have nothing in the due queue;
    /// cancelled messages say so. `false` where it does not exist or is cancelled already.
    async fn set_broadcast_state(
        &self,
        org_id: &OrgId,
        id: BroadcastId,
        state: BroadcastState,
        now: Timestamp,
    ) -> StoreResult<bool>;
    /// One broadcast with its progress.
    async fn broadcast(
        &self,
        org_id: &OrgId,
        id: BroadcastId,
    ) -> StoreResult<Option<BroadcastProgress>>;
    /// Broadcasts of an organisation, oldest first.
    async fn broadcasts(&self, org_id: &OrgId, page: Page) -> StoreResult<Paged<BroadcastRecord>>;
    /// How many messages of a broadcast have no outcome yet.
    async fn broadcast_open_count(&self, id: BroadcastId) -> StoreResult<u64>;
}
