//! Sending one message, and saying what came of it (RELIABILITY §2). Nothing is repeated here.

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};
use waypost_domain::command::Receipt;
use waypost_domain::retry::RetryClass;
use waypost_domain::{Content, ErrorKind, Failure, Phone, UpstreamFault};
use waypost_engine::ports::{Account, CallError, PlacedMedia, SendOutcome};

use crate::client::{CloudApi, MAX_REPLY_BYTES, segment};
use crate::fault::Fault;
use crate::transport::{Broken, Reply};

/// Nine of ten messages: written without a detour.
#[derive(Serialize)]
struct TextMessage<'a> {
    messaging_product: &'static str,
    recipient_type: &'static str,
    to: &'a str,
    biz_opaque_callback_data: &'a str,
    r#type: &'static str,
    text: Text<'a>,
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
        to: &Phone,
        content: &Content<PlacedMedia>,
        attempt_token: &str,
    ) -> SendOutcome {
        let body = match message(to, content, attempt_token) {
            Ok(body) => body,
            Err(failure) => return not_sent(failure, RetryClass::Never),
        };
        let path = format!("/{}/messages", segment(&account.phone_number_id));
        let request = match self.json_request(account, &Method::POST, &path, body) {
            Ok(request) => request,
            Err(error) => return SendOutcome::NotSent(error),
        };
        let exchange = self.transport.exchange(request, self.deadline(), MAX_REPLY_BYTES).await;
        let outcome = match exchange {
            Ok(reply) => judge(&reply, account, to, content),
            Err(broken) => judge_broken(broken),
        };
        tracing::debug!(outcome = word_for(&outcome), "message call");
        outcome
    }
}

fn message(
    to: &Phone,
    content: &Content<PlacedMedia>,
    attempt_token: &str,
) -> Result<Bytes, Failure> {
    let to = to.e164();
    let written = match content {
        Content::Text { body, preview_url } => serde_json::to_vec(&TextMessage {
            messaging_product: "whatsapp",
            recipient_type: "individual",
            to: &to,
            biz_opaque_callback_data: attempt_token,
            r#type: "text",
            text: Text { body, preview_url: *preview_url },
        }),
        Content::Inbound(_) => {
            let message = "What a customer wrote cannot be sent.";
            return Err(Failure::new(ErrorKind::UnsupportedMessageType, message));
        }
        _ => {
            let mut object = Map::new();
            object.insert("messaging_product".to_owned(), json!("whatsapp"));
            object.insert("recipient_type".to_owned(), json!("individual"));
            object.insert("to".to_owned(), Value::String(to));
            object.insert("biz_opaque_callback_data".to_owned(), json!(attempt_token));
            content.write_message_object(&mut object, place);
            serde_json::to_vec(&object)
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
    if !broken.maybe_written {
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

fn receipt(reply: &Reply, body: &Value, to: &Phone) -> Option<Receipt> {
    let wamid = body["messages"][0]["id"].as_str().filter(|id| !id.is_empty())?;
    let wa_id = body["contacts"][0]["wa_id"].as_str().unwrap_or(to.digits());
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
