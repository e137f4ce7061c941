//! What callers see of messages, sessions and broadcasts.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use waypost_domain::call::Call;
use waypost_domain::content::{Content, MediaRef};
use waypost_domain::message::{
    Attempt, BroadcastRecord, Direction, Message, MessageHistory, Notify, Session, StatusEvent,
};
use waypost_domain::window::Window;
use waypost_domain::{Failure, Timestamp, UpstreamFault};
use waypost_engine::ports::BroadcastProgress;

use super::views::{time, word};
use crate::problem::ClosedWindowView;

/// Why a message failed, or why its outcome is unknown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageError {
    /// The stable word.
    code: &'static str,
    message: String,
    /// Whether the very same message may be sent another time, once the cause is gone.
    retryable: bool,
    upstream: Option<UpstreamError>,
    /// The window that was closed, where that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    window: Option<ClosedWindowView>,
}

impl From<&Failure> for MessageError {
    fn from(failure: &Failure) -> Self {
        Self {
            code: failure.kind.code(),
            message: failure.message.clone(),
            retryable: failure.retryable,
            upstream: failure.upstream.as_ref().map(UpstreamError::from),
            window: failure.window.as_deref().map(ClosedWindowView::from),
        }
    }
}

/// What the upstream said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UpstreamError {
    code: Option<i64>,
    subcode: Option<i64>,
    http_status: Option<u16>,
    details: String,
}

impl From<&UpstreamFault> for UpstreamError {
    fn from(fault: &UpstreamFault) -> Self {
        Self {
            code: fault.code,
            subcode: fault.subcode,
            http_status: fault.http_status,
            details: fault.details.clone(),
        }
    }
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageView {
    id: String,
    org_id: String,
    /// The business's number.
    number_id: String,
    customer_id: Option<String>,
    /// The person's number.
    #[schema(example = "15550001111")]
    phone: String,
    /// `outbound` or `inbound`.
    direction: String,
    /// Meta's word, such as `text`.
    #[serde(rename = "type")]
    kind: String,
    /// The message in the Cloud API's form; files by our own ids.
    #[schema(value_type = Object)]
    message: Value,
    /// `human`, `assistant`, `template` or `user`.
    message_type: &'static str,
    /// The dialect by which it came.
    dialect: String,
    /// `queued`, `sending`, `sent`, `delivered`, `read`, `failed`, `unknown`, `cancelled` or
    /// `received`.
    status: &'static str,
    /// The upstream's id.
    wamid: Option<String>,
    user_id: Option<String>,
    session_id: Option<String>,
    /// The caller's own value.
    biz_opaque_callback_data: Option<String>,
    broadcast_id: Option<String>,
    error: Option<MessageError>,
    /// Whether it was repeated after an unknown outcome.
    possible_duplicate: bool,
    /// What becomes of it if nobody knows whether it was sent: `hold_then_resend`, `never_resend` or
    /// `resend_now`. Absent for what people wrote.
    unknown_policy: Option<&'static str>,
    /// When it is sent again by itself, unless a status comes before.
    resend_at: Option<String>,
    /// `high`, `normal` or `low`.
    priority: String,
    /// Not sent any more from then on.
    expires_at: Option<String>,
    /// The upstream id of the message that it answers.
    reply_to: Option<String>,
    /// It is delivered only to a person with this identity.
    recipient_identity_key_hash: Option<String>,
    /// The template that was to go in its place, or ahead of it, where its person's window is closed.
    fallback_template: Option<String>,
    notify: Option<NotifyView>,
    created_at: String,
    /// When the upstream accepted it, or when it failed.
    settled_at: Option<String>,
}

/// Where the statuses of one message are posted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageNotify)]
pub(crate) struct NotifyView {
    url: String,
    /// The name of the credential that the posts carry.
    auth_id: Option<String>,
    /// Why nothing is posted there, and the setting that would allow it.
    refused: Option<String>,
}

impl From<&Notify> for NotifyView {
    fn from(notify: &Notify) -> Self {
        Self {
            url: notify.url.clone(),
            auth_id: notify.auth_id.clone(),
            refused: notify.refusal().map(str::to_owned),
        }
    }
}

/// A message in the Cloud API's form. What a person wrote is shown as it came, with its context and
/// whatever else stands beside its content; its file by our own id once it has been fetched.
fn message_object(content: &Content) -> Map<String, Value> {
    let mut object = Map::new();
    match content {
        Content::Inbound(inbound) => {
            object = inbound.message.as_object().cloned().unwrap_or_default();
            let file = object.get_mut(&inbound.kind).and_then(Value::as_object_mut);
            if let (Some(id), Some(file)) = (&inbound.media, file) {
                file.insert("id".to_owned(), Value::String(id.to_string()));
            }
            object.insert("type".to_owned(), Value::String(inbound.kind.clone()));
        }
        content => content.write_message_object(&mut object, MediaRef::to_object),
    }
    object
}

impl From<&Message> for MessageView {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id.to_string(),
            org_id: message.org_id.to_string(),
            number_id: message.number_id.to_string(),
            customer_id: message.customer_id.as_ref().map(ToString::to_string),
            phone: message.phone.digits().to_owned(),
            direction: word(&message.direction),
            kind: message.content.type_name().to_owned(),
            message: Value::Object(message_object(&message.content)),
            message_type: message.message_type.as_str(),
            dialect: message.dialect.clone(),
            status: message.status.as_str(),
            wamid: message.wamid.clone(),
            user_id: message.user_id.as_ref().map(ToString::to_string),
            session_id: message.session_id.clone(),
            biz_opaque_callback_data: message.reference.clone(),
            broadcast_id: message.broadcast_id.map(|id| id.to_string()),
            error: message.failure.as_ref().map(MessageError::from),
            possible_duplicate: message.possible_duplicate,
            unknown_policy: (message.direction == Direction::Outbound)
                .then(|| message.unknown_policy().as_str()),
            resend_at: message.resend_at.map(time),
            priority: word(&message.options.priority),
            expires_at: message.options.expires_at.map(time),
            reply_to: message.options.reply_to.clone(),
            recipient_identity_key_hash: message.options.identity_key_hash.clone(),
            fallback_template: message.options.fallback_template.clone(),
            notify: message.options.notify.as_ref().map(NotifyView::from),
            created_at: time(message.created_at),
            settled_at: message.settled_at.map(time),
        }
    }
}

/// A message with its history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageDetail)]
pub(crate) struct MessageDetailView {
    #[serde(flatten)]
    message: MessageView,
    /// Its statuses, oldest first.
    statuses: Vec<StatusView>,
    /// Its calls to the upstream, first one first.
    attempts: Vec<AttemptView>,
}

impl From<&MessageHistory> for MessageDetailView {
    fn from(history: &MessageHistory) -> Self {
        Self {
            message: MessageView::from(&history.message),
            statuses: history.statuses.iter().map(StatusView::from).collect(),
            attempts: history
                .attempts
                .iter()
                .map(|attempt| AttemptView::new(attempt, history.message.created_at))
                .collect(),
        }
    }
}

/// One status of a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageStatus)]
pub(crate) struct StatusView {
    status: &'static str,
    at: String,
    error: Option<MessageError>,
    /// What Meta said besides, such as `pricing` and `conversation`, where no event tells it: of
    /// `sent`, which is told before Meta reports it, and of what comes late.
    #[schema(value_type = Option<Object>)]
    upstream: Option<Value>,
}

impl From<&StatusEvent> for StatusView {
    fn from(event: &StatusEvent) -> Self {
        Self {
            status: event.status.as_str(),
            at: time(event.at),
            error: event.failure.as_ref().map(MessageError::from),
            upstream: event.upstream.clone(),
        }
    }
}

/// One call to the upstream for a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageAttempt)]
pub(crate) struct AttemptView {
    /// From 1.
    number: u32,
    started_at: String,
    finished_at: Option<String>,
    /// `open`, `sent`, `refused`, `not_sent` or `unknown`.
    outcome: &'static str,
    /// What may be done about a failure: `back_off`, `back_off_few`, `pace`, `person_pace`, `later`,
    /// `never`, `operator` or `account`.
    class: Option<String>,
    /// How long the message had waited when it began, in milliseconds.
    waited_ms: i64,
    request: Option<RequestView>,
    reply: Option<ReplyView>,
    upstream: Option<UpstreamError>,
}

/// What was sent, without what it says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageAttemptRequest)]
pub(crate) struct RequestView {
    method: &'static str,
    path: String,
    /// Meta's word for the content, such as `text`.
    #[serde(rename = "type")]
    kind: String,
    bytes: u64,
}

/// What came back, without what it says; and when.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageAttemptReply)]
pub(crate) struct ReplyView {
    /// `null`: there was no reply.
    http_status: Option<u16>,
    bytes: Option<u64>,
    /// Meta's name for the call (`fbtrace_id`), where it failed: its support asks for it.
    trace_id: Option<String>,
    /// What Meta says of the use of its limits, where it failed.
    usage: Option<String>,
    /// How long it took to the head of the reply, in milliseconds.
    head_ms: Option<u32>,
    /// How long the call took, in milliseconds.
    total_ms: u32,
}

impl AttemptView {
    fn new(attempt: &Attempt, accepted_at: Timestamp) -> Self {
        let call = attempt.call.as_ref();
        Self {
            class: call.map(|call| call.class.clone()).filter(|class| !class.is_empty()),
            waited_ms: attempt.started_at.0.saturating_sub(accepted_at.0),
            request: call.filter(|call| !call.path.is_empty()).map(RequestView::from),
            reply: call.filter(|call| !call.path.is_empty()).map(ReplyView::from),
            number: attempt.number,
            started_at: time(attempt.started_at),
            finished_at: attempt.finished_at.map(time),
            outcome: attempt.outcome.as_str(),
            upstream: attempt.fault.as_ref().map(UpstreamError::from),
        }
    }
}

impl From<&Call> for RequestView {
    fn from(call: &Call) -> Self {
        Self {
            method: "POST",
            path: call.path.clone(),
            kind: call.kind.clone(),
            bytes: call.request_bytes,
        }
    }
}

impl From<&Call> for ReplyView {
    fn from(call: &Call) -> Self {
        Self {
            http_status: call.status,
            bytes: call.reply_bytes,
            trace_id: call.trace_id.clone(),
            usage: call.usage.clone(),
            head_ms: call.head_ms,
            total_ms: call.total_ms,
        }
    }
}

/// A conversation with a person by one number, and its 24-hour window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionView {
    /// `<number_id>.<digits>`.
    id: String,
    number_id: String,
    #[schema(example = "15550001111")]
    phone: String,
    customer_id: Option<String>,
    last_inbound_at: String,
    /// Whether free-form messages may be sent now.
    open: bool,
    /// When the window closes, or closed.
    open_until: String,
    window: WindowView,
}

/// A 24-hour window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Window)]
pub(crate) struct WindowView {
    /// The number at which it is open or closed.
    number_id: String,
    /// `open` or `closed`.
    state: &'static str,
    /// Since when: the person's last message opens it anew.
    since: String,
    /// When it closes; `null` where it is closed: the person must write.
    until: Option<String>,
}

impl WindowView {
    fn new(session: &Session, now: Timestamp) -> Self {
        let (state, since, until) = match Window::at(now, Some(session.last_inbound_at)) {
            Window::Open(until) => ("open", session.last_inbound_at, Some(until)),
            Window::ClosedSince(since) => ("closed", since, None),
            Window::NoHistory => ("closed", session.last_inbound_at, None),
        };
        let number_id = session.number_id.to_string();
        Self { number_id, state, since: time(since), until: until.map(time) }
    }
}

impl SessionView {
    /// A session at an instant.
    pub(crate) fn new(session: &Session, now: Timestamp) -> Self {
        let window = Window::at(now, Some(session.last_inbound_at));
        let (open, until) = match window {
            Window::Open(until) => (true, until),
            Window::ClosedSince(until) => (false, until),
            Window::NoHistory => (false, session.last_inbound_at),
        };
        Self {
            id: format!("{}.{}", session.number_id, session.phone.digits()),
            number_id: session.number_id.to_string(),
            phone: session.phone.digits().to_owned(),
            customer_id: session.customer_id.as_ref().map(ToString::to_string),
            last_inbound_at: time(session.last_inbound_at),
            open,
            open_until: time(until),
            window: WindowView::new(session, now),
        }
    }
}

/// A broadcast.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Broadcast)]
pub(crate) struct BroadcastView {
    id: String,
    org_id: String,
    number_id: String,
    /// The template's name.
    template: String,
    /// How many customers it is for.
    audience: u64,
    /// `running`, `paused` or `cancelled`.
    state: &'static str,
    created_at: String,
    /// How many of its messages have each status; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    by_status: Option<std::collections::BTreeMap<String, u64>>,
}

impl BroadcastView {
    /// Without its progress.
    pub(crate) fn of_record(record: &BroadcastRecord) -> Self {
        Self {
            id: record.id.to_string(),
            org_id: record.org_id.to_string(),
            number_id: record.number_id.to_string(),
            template: record.template.clone(),
            audience: record.audience,
            state: record.state.as_str(),
            created_at: time(record.created_at),
            by_status: None,
        }
    }
}

impl From<&BroadcastProgress> for BroadcastView {
    fn from(progress: &BroadcastProgress) -> Self {
        let counts = progress.by_status.iter();
        let by_status =
            counts.map(|(status, count)| (status.as_str().to_owned(), *count)).collect();
        Self { by_status: Some(by_status), ..Self::of_record(&progress.record) }
    }
}
