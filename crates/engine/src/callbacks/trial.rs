//! What a webhook is tried with: an event of a kind that it takes, as if it had just happened.

use serde_json::json;
use uuid::Uuid;
use waypost_domain::callback::Webhook;
use waypost_domain::command::MessageType;
use waypost_domain::content::InboundContent;
use waypost_domain::event::{
    Event, EventDetail, EventKind, NoticeDetail, ReceivedDetail, StatusDetail, TemplateDetail,
};
use waypost_domain::message::{Direction, Message, MessageOptions};
use waypost_domain::{Content, ErrorKind, EventId, Failure, MessageId, NumberId, Phone, Status};

use super::replay::unknown;
use crate::Engine;

/// What is tried first: the kinds that most receivers are for.
const KINDS: [EventKind; 8] = [
    EventKind::MessageDelivered,
    EventKind::MessageReceived,
    EventKind::TemplateStatus,
    EventKind::MessageSent,
    EventKind::MessageRead,
    EventKind::MessageFailed,
    EventKind::MessageCancelled,
    EventKind::UpstreamNotice,
];
/// What stands wherever an event has words.
const WORDS: &str = "A test of this address.";
/// Nobody's number.
const PERSON: &str = "15550001111";

impl Engine {
    /// The first that the webhook takes and its shape has words for.
    pub(super) fn made_up_event(&self, webhook: &Webhook) -> Result<Event, Failure> {
        let shape = self.shape(&webhook.shape);
        let told = |event: &Event| shape.is_some_and(|shape| shape.tells(event));
        let taken = KINDS.into_iter().filter(|kind| webhook.takes(*kind));
        let found = taken.map(|kind| self.made_up(webhook, kind)).find(told);
        found.ok_or_else(|| {
            let message = format!("Shape {} has no words for any of these.", webhook.shape);
            unknown("events", &message)
        })
    }

    fn made_up(&self, webhook: &Webhook, kind: EventKind) -> Event {
        let numbers = self.directory().numbers(&webhook.org_id);
        let first = || numbers.first().map(|number| number.id.clone());
        let number_id = webhook.number_id.clone().or_else(first);
        let number_id = number_id.unwrap_or_else(|| NumberId::new("test"));
        let detail = match kind {
            EventKind::MessageReceived => received(self.made_up_message(webhook, &number_id)),
            EventKind::TemplateStatus => template(),
            EventKind::UpstreamNotice => notice(),
            _ => status(self.made_up_message(webhook, &number_id), kind),
        };
        Event {
            id: EventId(Uuid::now_v7()),
            org_id: webhook.org_id.clone(),
            number_id: Some(number_id),
            kind,
            at: self.now(),
            detail,
        }
    }

    /// A text of ours that has arrived.
    fn made_up_message(&self, webhook: &Webhook, number_id: &NumberId) -> Message {
        let now = self.now();
        Message {
            id: MessageId(Uuid::now_v7()),
            org_id: webhook.org_id.clone(),
            number_id: number_id.clone(),
            customer_id: None,
            phone: Phone::parse(PERSON).expect("digits with a country code"),
            direction: Direction::Outbound,
            message_type: MessageType::Human,
            dialect: "test".to_owned(),
            synchronous: false,
            user_id: None,
            session_id: None,
            reference: Some("test".to_owned()),
            broadcast_id: None,
            content: Content::Text { body: WORDS.to_owned(), preview_url: false },
            status: Status::Delivered,
            wamid: Some("wamid.test".to_owned()),
            wa_id: None,
            failure: None,
            possible_duplicate: false,
            resend_at: None,
            options: MessageOptions::default(),
            created_at: now,
            settled_at: Some(now),
        }
    }
}

/// A message of ours came to what the kind says.
fn status(message: Message, kind: EventKind) -> EventDetail {
    let status = match kind {
        EventKind::MessageSent => Status::Sent,
        EventKind::MessageRead => Status::Read,
        EventKind::MessageFailed => Status::Failed,
        EventKind::MessageCancelled => Status::Cancelled,
        _ => Status::Delivered,
    };
    let failure =
        (status == Status::Failed).then(|| Failure::new(ErrorKind::RecipientUnreachable, WORDS));
    let message = Message { status, failure: failure.clone(), ..message };
    EventDetail::Status(Box::new(StatusDetail { message, status, failure, upstream: None }))
}

/// Somebody wrote a text.
fn received(message: Message) -> EventDetail {
    let written = json!({
        "from": message.phone.digits(),
        "id": message.wamid,
        "timestamp": (message.created_at.0 / 1_000).to_string(),
        "type": "text",
        "text": {"body": WORDS},
    });
    let content = InboundContent { kind: "text".to_owned(), message: written, media: None };
    let message = Message {
        direction: Direction::Inbound,
        message_type: MessageType::User,
        reference: None,
        content: Content::Inbound(content),
        status: Status::Received,
        ..message
    };
    let profile_name = Some("Test".to_owned());
    EventDetail::Received(Box::new(ReceivedDetail {
        message,
        profile_name,
        quoted: None,
        file: None,
    }))
}

fn template() -> EventDetail {
    EventDetail::Template(TemplateDetail {
        id: "1".to_owned(),
        name: "test".to_owned(),
        language: "en_US".to_owned(),
        status: "APPROVED".to_owned(),
        reason: None,
        waba_id: "1".to_owned(),
    })
}

fn notice() -> EventDetail {
    EventDetail::Notice(NoticeDetail {
        waba_id: "1".to_owned(),
        phone_number_id: None,
        field: "test".to_owned(),
        value: Some(json!({"event": WORDS})),
    })
}
