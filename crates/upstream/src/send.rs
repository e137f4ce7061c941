//! Sending one message, and saying what came of it (RELIABILITY §2). Nothing is repeated here.

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;
use waypost_domain::call::Call;
use waypost_domain::command::Receipt;
use waypost_domain::retry::RetryClass;
use waypost_domain::{Content, ErrorKind, Failure, Phone, UpstreamFault};
use waypost_engine::panics::{BUG, caught_now};
use waypost_engine::ports::{Account, CallError, OutgoingMessage, PlacedMedia, SendOutcome};
use waypost_planted::{Bug, is_planted};

use crate::client::{CloudApi, MAX_REPLY_BYTES, segment};
use crate::fault::Fault;
use crate::reply::is_id;
use crate::transport::{Broken, Reply};

/// The longest name of a call that is kept, in characters.
const MAX_TRACE_CHARS: usize = 128;
/// How much of a usage header is kept, in characters.
const MAX_USAGE_CHARS: usize = 300;

/// What every message has beside its content.
#[derive(Serialize)]
struct Envelope<'a> {
    messaging_product: &'static str,
    recipient_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    /// In place of `to`, for people who show no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_identity_key_hash: Option<&'a str>,
    biz_opaque_callback_data: &'a str,
}

#[derive(Serialize)]
struct Context<'a> {
    message_id: &'a str,
}

/// Nine of ten messages: written without a detour.
#[derive(Serialize)]
struct TextMessage<'a> {
    #[serde(flatten)]
    envelope: Envelope<'a>,
    r#type: &'static str,
    text: Text<'a>,
}

/// Any other message.
#[derive(Serialize)]
struct OtherMessage<'a> {
    #[serde(flatten)]
    envelope: Envelope<'a>,
    #[serde(flatten)]
    content: Map<String, Value>,
}

#[derive(Serialize)]
struct Text<'a> {
    body: &'a str,
    preview_url: bool,
}

impl CloudApi {
    pub(crate) async fn send_message(
        &self,
        account: &Account,
        message: &OutgoingMessage<'_>,
    ) -> (SendOutcome, Call) {
        let mut call = Call { kind: message.content.type_name().to_owned(), ..Call::default() };
        let written = caught_now(|| written(message));
        let panicked = || {
            tracing::error!("putting a message into Meta's words met {BUG}");
            Err(Failure::new(ErrorKind::Unavailable, BUG))
        };
        let body = match written.unwrap_or_else(panicked) {
            Ok(body) => body,
            Err(failure) => return (not_sent(failure, RetryClass::Never), call),
        };
        call.request_bytes = body.len() as u64;
        let path = format!("/{}/messages", segment(&account.phone_number_id));
        let request = match self.json_request(account, &Method::POST, &path, body) {
            Ok(request) => request,
            Err(error) => return (SendOutcome::NotSent(error), call),
        };
        request.uri().path().clone_into(&mut call.path);
        let (began, deadline) = (Instant::now(), self.deadline());
        let opened = self.transport.open(request, deadline).await;
        let outcome = match opened {
            Ok(response) => {
                call.head_ms = Some(milliseconds(began));
                let reply = Reply::read(response, deadline, MAX_REPLY_BYTES).await;
                self.usages.note(&account.waba_id, &reply.headers);
                let outcome = judge(&reply, account, message.to, message.content);
                tell(&mut call, &reply, &outcome);
                outcome
            }
            Err(broken) => judge_broken(broken),
        };
        call.total_ms = milliseconds(began);
        tracing::debug!(outcome = word_for(&outcome), "message call");
        (outcome, call)
    }
}

fn milliseconds(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_millis()).unwrap_or(u32::MAX)
}

/// Adds what can be told of a reply: never its text, which may name people.
fn tell(call: &mut Call, reply: &Reply, outcome: &SendOutcome) {
    call.status = Some(reply.status.as_u16());
    call.reply_bytes = reply.body.as_ref().ok().map(|body| body.len() as u64);
    if !matches!(outcome, SendOutcome::Sent(_)) {
        call.trace_id = trace_id(reply);
        call.usage = header(reply, "x-business-use-case-usage", MAX_USAGE_CHARS)
            .or_else(|| header(reply, "x-app-usage", MAX_USAGE_CHARS));
    }
}

/// Meta's name for the call, in its error or beside it.
fn trace_id(reply: &Reply) -> Option<String> {
    let body = reply.json();
    let named = body.as_ref().and_then(|body| body["error"]["fbtrace_id"].as_str());
    let named = named.filter(|id| id.len() <= MAX_TRACE_CHARS && id.is_ascii());
    named.map(str::to_owned).or_else(|| header(reply, "x-fb-trace-id", MAX_TRACE_CHARS))
}

fn header(reply: &Reply, name: &str, max_chars: usize) -> Option<String> {
    let text = reply.headers.get(name)?.to_str().ok()?;
    Some(text.chars().take(max_chars).collect())
}

fn written(message: &OutgoingMessage<'_>) -> Result<Bytes, Failure> {
    let is_number = !message.to.is_business_scoped();
    let number = is_number.then(|| message.to.e164());
    let envelope = Envelope {
        messaging_product: "whatsapp",
        recipient_type: "individual",
        to: number.as_deref(),
        recipient: (!is_number).then(|| message.to.digits()),
        context: message.reply_to.map(|message_id| Context { message_id }),
        recipient_identity_key_hash: message.identity_key_hash,
        biz_opaque_callback_data: message.attempt_token,
    };
    let written = match message.content {
        Content::Text { body, preview_url } => serde_json::to_vec(&TextMessage {
            envelope,
            r#type: "text",
            text: Text { body, preview_url: *preview_url },
        }),
        Content::Inbound(_) => {
            let message = "What a customer wrote cannot be sent.";
            return Err(Failure::new(ErrorKind::UnsupportedMessageType, message));
        }
        content => {
            let mut object = Map::new();
            content.write_message_object(&mut object, place);
            serde_json::to_vec(&OtherMessage { envelope, content: object })
        }
    };
    // Only a location that is not a number can fail to be written.
    written.map(Bytes::from).map_err(|error| {
        Failure::new(ErrorKind::InvalidValue, format!("The message cannot be written: {error}"))
    })
}

fn place(media: &PlacedMedia) -> Map<String, Value> {
    let (name, value) = match media {
        PlacedMedia::Id(id) => ("id", id),
        PlacedMedia::Link(link) => ("link", link),
    };
    Map::from_iter([(name.to_owned(), Value::String(value.clone()))])
}

fn judge_broken(broken: Broken) -> SendOutcome {
    if !broken.maybe_written || is_planted(Bug::ResetCountsAsNotSent) {
        return SendOutcome::NotSent(broken.into_call_error());
    }
    unknown(UpstreamFault { code: None, subcode: None, http_status: None, details: broken.details })
}

fn judge(
    reply: &Reply,
    account: &Account,
    to: &Phone,
    content: &Content<PlacedMedia>,
) -> SendOutcome {
    if let Some(receipt) = plain_receipt(reply) {
        return SendOutcome::Sent(receipt);
    }
    let body = reply.json();
    if let Some(receipt) = body.as_ref().and_then(|body| receipt(reply, body, to)) {
        return SendOutcome::Sent(receipt);
    }
    let fault = body.as_ref().and_then(|body| reply.fault(body, &account.access_token));
    if let Some(fault) = fault {
        return SendOutcome::Refused(refusal(reply, fault, account, content));
    }
    match reply.plain_refusal() {
        Some(error) => SendOutcome::Refused(error),
        None => unknown(reply.plain_fault()),
    }
}

/// A success as Meta documents it, of which nothing else is read.
#[derive(Deserialize)]
struct Success<'a> {
    #[serde(borrow)]
    contacts: [Contact<'a>; 1],
    #[serde(borrow)]
    messages: [Accepted<'a>; 1],
}

#[derive(Deserialize)]
struct Contact<'a> {
    #[serde(borrow)]
    wa_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Accepted<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// Reads nearly every reply without making a tree of it.
fn plain_receipt(reply: &Reply) -> Option<Receipt> {
    if !reply.status.is_success() {
        return None;
    }
    let success: Success<'_> = serde_json::from_slice(reply.body.as_ref().ok()?).ok()?;
    let ([contact], [message]) = (success.contacts, success.messages);
    let receipt = Receipt { wamid: message.id.into_owned(), wa_id: contact.wa_id.into_owned() };
    (is_id(&receipt.wamid) && is_id(&receipt.wa_id)).then_some(receipt)
}

fn receipt(reply: &Reply, body: &Value, to: &Phone) -> Option<Receipt> {
    let wamid = body["messages"][0]["id"].as_str().filter(|id| is_id(id))?;
    let wa_id = body["contacts"][0]["wa_id"].as_str().filter(|id| is_id(id));
    let wa_id = wa_id.unwrap_or(to.digits());
    let receipt = || Receipt { wamid: wamid.to_owned(), wa_id: wa_id.to_owned() };
    reply.status.is_success().then(receipt)
}

/// An object that does not exist is the file, unless Meta names our number.
fn refusal(
    reply: &Reply,
    fault: Fault,
    account: &Account,
    content: &Content<PlacedMedia>,
) -> CallError {
    let is_missing_object = fault.code == 100 && fault.subcode == Some(33);
    let names_number = fault.details.contains(&account.phone_number_id);
    let has_file = content.media().iter().any(|media| matches!(media, PlacedMedia::Id(_)));
    if is_missing_object && has_file && !names_number {
        let failure = fault.into_failure_of(ErrorKind::MediaNotFound);
        return CallError { failure, class: RetryClass::Never };
    }
    reply.call_error(fault)
}

fn not_sent(failure: Failure, class: RetryClass) -> SendOutcome {
    SendOutcome::NotSent(CallError { failure, class })
}

fn unknown(fault: UpstreamFault) -> SendOutcome {
    let message = "The connection to WhatsApp gave no clear answer: the message may have been \
        sent. Look at its status before sending it again.";
    SendOutcome::Unknown(Failure::new(ErrorKind::OutcomeUnknown, message).with_upstream(fault))
}

const fn word_for(outcome: &SendOutcome) -> &'static str {
    match outcome {
        SendOutcome::Sent(_) => "sent",
        SendOutcome::Refused(_) => "refused",
        SendOutcome::NotSent(_) => "not_sent",
        SendOutcome::Unknown(_) => "unknown",
    }
}
