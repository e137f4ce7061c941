//! Sample values, and a stage with an organisation and a number on it. Instants are small numbers:
//! a store has no clock of its own.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;
use waypost_domain::command::{MessageType, Receipt};
use waypost_domain::content::InboundContent;
use waypost_domain::customer::Customer;
use waypost_domain::directory::{BroadcastAudience, Number, Org, UnknownPolicy};
use waypost_domain::message::{
    AttemptOutcome, Direction, Message, MessageHistory, MessageOptions, Priority,
};
use waypost_domain::place::{Place, Traffic};
use waypost_domain::retry::{Failing, RetryClass};
use waypost_domain::status::Report;
use waypost_domain::window::WindowPolicy;
use waypost_domain::{
    AttemptId, Content, CustomerId, ErrorKind, Failure, MessageId, NumberId, OrgId, Phone, Status,
    Timestamp, UpstreamFault, Zone,
};
use waypost_engine::ports::{
    Accepted, Addressed, Entry, Haste, IdempotencyClaim, InboundMessage, MessageFilter, Page,
    PutMode, Settled, Settlement, Start, StatusReport, Store,
};

use crate::Harness;

/// When everything begins.
pub const START: Timestamp = Timestamp(1_700_000_000_000);
/// The stage's organisation.
pub const ORG: &str = "org-1";
/// The stage's number.
pub const NUMBER: &str = "100000000000001";

/// `START` and some milliseconds.
#[must_use]
pub fn at(ms: i64) -> Timestamp {
    START.plus_ms(ms)
}

#[must_use]
pub fn org_id() -> OrgId {
    OrgId::new(ORG)
}

#[must_use]
pub fn number_id() -> NumberId {
    NumberId::new(NUMBER)
}

#[must_use]
pub fn phone(last: u32) -> Phone {
    Phone::parse(&format!("1555{last:07}")).unwrap()
}

#[must_use]
pub fn org(id: &str) -> Org {
    Org {
        id: OrgId::new(id),
        name: format!("Organisation {id}"),
        time_zone: Zone::default(),
        default_language: Some("en".to_owned()),
        window_policy: WindowPolicy::Refuse,
        window_fallback: None,
        unknown_policy: UnknownPolicy::HoldThenResend,
        strict_opt_in: false,
        broadcast_audience: BroadcastAudience::All,
        join_code: None,
        wire_offsets: std::collections::BTreeMap::new(),
        message_retention_days: None,
        media_retention_days: 30,
        created_at: START,
    }
}

#[must_use]
pub fn number(id: &str, org: &str) -> Number {
    Number {
        id: NumberId::new(id),
        org_id: OrgId::new(org),
        display_phone: phone(9_999),
        phone_number_id: id.to_owned(),
        waba_id: "200000000000001".to_owned(),
        access_token: None,
        app_secret: None,
        throughput_per_s: 80,
        daily_limit: None,
        app_id: None,
        source_id: None,
        aliases: vec!["main".to_owned()],
        default_notify_url: None,
        notify_auth: std::collections::BTreeMap::new(),
        errors_as_200: false,
        shared: false,
        registered: true,
        created_at: START,
    }
}

#[must_use]
pub fn customer(id: &str, last: u32) -> Customer {
    Customer {
        org_id: org_id(),
        id: CustomerId::new(id),
        phone: phone(last),
        name: Some(format!("Person {last}")),
        tags: Vec::new(),
        consent: None,
        active: true,
        created_at: START,
        last_inbound_at: None,
    }
}

#[must_use]
pub fn new_attempt() -> AttemptId {
    AttemptId(Uuid::now_v7())
}

#[must_use]
pub fn new_message_id() -> MessageId {
    MessageId(Uuid::now_v7())
}

#[must_use]
pub fn message(last: u32) -> Message {
    Message {
        id: new_message_id(),
        org_id: org_id(),
        number_id: number_id(),
        customer_id: None,
        phone: phone(last),
        direction: Direction::Outbound,
        message_type: MessageType::Human,
        dialect: "replyhero".to_owned(),
        synchronous: false,
        user_id: None,
        session_id: None,
        reference: None,
        broadcast_id: None,
        content: Content::Text { body: format!("Hello {last}"), preview_url: false },
        status: Status::Queued,
        wamid: None,
        wa_id: None,
        failure: None,
        possible_duplicate: false,
        resend_at: None,
        options: MessageOptions::default(),
        created_at: START,
        settled_at: None,
    }
}

#[must_use]
pub fn claim(key: &str, fingerprint: u8) -> IdempotencyClaim {
    IdempotencyClaim {
        org_id: org_id(),
        route: "/whatsapp/messages/send".to_owned(),
        key: key.to_owned(),
        fingerprint: [fingerprint; 32],
    }
}

#[must_use]
pub fn now_due() -> Start {
    queued_at(START)
}

/// Into the due queue among replies, due at an instant.
#[must_use]
pub fn queued_at(due_at: Timestamp) -> Start {
    Start::Queue { due_at, place: usual_place() }
}

/// Straight to this attempt.
pub fn attempted(id: AttemptId) -> Start {
    Start::Attempt { id, place: usual_place() }
}

/// Nowhere: it has failed.
pub fn closed() -> Start {
    Start::Closed { place: usual_place() }
}

fn usual_place() -> Place {
    Place::of(Traffic::Service, Priority::Normal)
}

#[must_use]
pub fn sent(wamid: &str) -> Settlement {
    Settlement::Sent(Receipt { wamid: wamid.to_owned(), wa_id: "15550001111".to_owned() })
}

#[must_use]
pub fn refusal() -> Failure {
    Failure::new(ErrorKind::UpstreamError, "The upstream refused.").with_upstream(UpstreamFault {
        code: Some(131_026),
        subcode: None,
        http_status: Some(400),
        details: "Message undeliverable".to_owned(),
    })
}

#[must_use]
pub fn refused() -> Settlement {
    Settlement::Failed { outcome: AttemptOutcome::Refused, failure: refusal() }
}

#[must_use]
pub fn unknown() -> Settlement {
    unknown_until(None)
}

/// Unknown, and to be sent again at an instant.
#[must_use]
pub fn unknown_until(resend_at: Option<Timestamp>) -> Settlement {
    let failure = Failure::new(ErrorKind::OutcomeUnknown, "No answer came.");
    Settlement::Unknown { failure, resend_at }
}

/// Refused for now; due again at an instant.
#[must_use]
pub fn retry(due_at: Timestamp, requeue: bool) -> Settlement {
    retry_of(Failing::once_more(None, RetryClass::Pace), due_at, requeue)
}

/// Refused for now, and how the message has been failing; due again at an instant.
#[must_use]
pub fn retry_of(failing: Failing, due_at: Timestamp, requeue: bool) -> Settlement {
    let fault = UpstreamFault { code: Some(130_429), ..UpstreamFault::default() };
    Settlement::Retry { outcome: AttemptOutcome::Refused, due_at, fault, failing, requeue }
}

#[must_use]
pub fn report(wamid: &str, report: Report, at: Timestamp) -> StatusReport {
    let failure = (report == Report::Failed).then(refusal);
    StatusReport {
        number_id: None,
        wamid: wamid.to_owned(),
        attempt_id: None,
        report,
        at,
        failure,
        extra: None,
    }
}

#[must_use]
pub fn inbound(last: u32, wamid: &str) -> InboundMessage {
    InboundMessage {
        id: new_message_id(),
        org_id: org_id(),
        addressed: Addressed::Named,
        number_id: number_id(),
        phone: phone(last),
        user_id: None,
        profile_name: Some(format!("Profile {last}")),
        new_customer_id: CustomerId::new(format!("new-{last}")),
        wamid: wamid.to_owned(),
        content: InboundContent {
            kind: "text".to_owned(),
            message: json!({"type": "text", "text": {"body": "Hi"}}),
            media: None,
        },
        written_at: at(500),
    }
}

/// An open store with an organisation and a number.
pub struct Stage {
    /// The store.
    pub store: Arc<dyn Store>,
}

impl Stage {
    /// Opens a store and puts an organisation and a number into it.
    pub async fn new(harness: &dyn Harness) -> Self {
        let stage = Self { store: harness.open().await };
        stage.put(Entry::Org(org(ORG))).await;
        stage.put(Entry::Number(number(NUMBER, ORG))).await;
        stage
    }

    /// Closes the store and opens it again.
    pub async fn reopen(self, harness: &dyn Harness) -> Self {
        drop(self.store);
        Self { store: harness.open().await }
    }

    pub async fn put(&self, entry: Entry) {
        self.store.put_entry(entry, PutMode::Create).await.unwrap();
    }

    /// Accepts a message into the due queue.
    pub async fn queue(&self, message: &Message) -> MessageId {
        let accepted = self.store.accept(message.clone(), now_due(), None).await.unwrap();
        assert_eq!(accepted, Accepted::New);
        message.id
    }

    /// Accepts a message with its first attempt.
    pub async fn begin(&self, message: &Message) -> AttemptId {
        let attempt = new_attempt();
        let accepted = self.store.accept(message.clone(), attempted(attempt), None).await.unwrap();
        assert_eq!(accepted, Accepted::New);
        attempt
    }

    /// Accepts a message with its first attempt, which ends unknown, and begins a second one.
    pub async fn begin_again(&self, message: &Message) -> (AttemptId, AttemptId) {
        let (first, second) = (self.begin(message).await, new_attempt());
        self.settle(message.id, first, unknown()).await;
        self.store.requeue(&org_id(), message.id, at(200)).await.unwrap();
        self.store.begin_attempt(Haste::AtOnce, message.id, second, at(300)).await.unwrap();
        (first, second)
    }

    /// Accepts and sends a message.
    pub async fn send(&self, message: &Message, wamid: &str) {
        let attempt = self.begin(message).await;
        self.settle(message.id, attempt, sent(wamid)).await;
    }

    pub async fn settle(&self, id: MessageId, attempt: AttemptId, how: Settlement) -> Settled {
        self.store.settle_attempt(id, attempt, how, at(100)).await.unwrap()
    }

    pub async fn apply(&self, report: StatusReport) -> waypost_engine::ports::ReportEffect {
        self.store.apply_report(report, at(5_000)).await.unwrap()
    }

    /// Changes a customer, however it is by now.
    pub async fn change_customer(&self, changed: Customer) {
        let known = self.store.customer(&changed.org_id, &changed.id).await.unwrap().unwrap();
        assert!(self.store.update_customer(&known, changed).await.unwrap());
    }

    pub async fn history(&self, id: MessageId) -> MessageHistory {
        self.store.message(&org_id(), id).await.unwrap().unwrap()
    }

    pub async fn message(&self, id: MessageId) -> Message {
        self.history(id).await.message
    }

    pub async fn status(&self, id: MessageId) -> Status {
        self.message(id).await.status
    }

    /// Ids of what is due at an instant.
    pub async fn due(&self, now: Timestamp) -> Vec<MessageId> {
        let due = self.store.due(&number_id(), now, 1_000).await.unwrap();
        due.into_iter().map(|due| due.message.id).collect()
    }

    /// Ids of the messages that a filter picks, on one page.
    pub async fn list(&self, filter: &MessageFilter) -> Vec<MessageId> {
        let page = Page { after: None, limit: 1_000 };
        let found = self.store.messages(&org_id(), filter, page).await.unwrap();
        found.data.into_iter().map(|message| message.id).collect()
    }
}
