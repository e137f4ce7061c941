//! Replies to what was done, in the vendor's shapes.

use http::StatusCode;
use waypost_domain::command::{Delivery, MessageType, Receipt};
use waypost_domain::{ErrorKind, Failure};

use super::errors;
use super::wire::{Element, Response, Sent, Uploaded};
use crate::contract::{Asked, Outcome, Reply};

/// The answer to a command that was carried out.
pub(super) fn reply(asked: &Asked<'_>, outcome: &Outcome) -> Reply {
    match outcome {
        Outcome::Sent(delivery) => match &delivery.result {
            Ok(receipt) => Reply::json(StatusCode::OK, &sent(asked, delivery, receipt)),
            Err(failure) => errors::reply(failure, &[]),
        },
        Outcome::Broadcast(broadcast) => {
            let elements: Vec<Element<'_>> =
                broadcast.deliveries.iter().map(|delivery| element(asked, delivery)).collect();
            Reply::json(StatusCode::OK, &elements)
        }
        Outcome::Uploaded(uploaded) => {
            Reply::json(StatusCode::OK, &Uploaded { id: uploaded.media_id.as_str() })
        }
        // No route of this vendor asks for these.
        Outcome::Submitted(_) | Outcome::Managed(_) => {
            errors::reply(&Failure::new(ErrorKind::Unavailable, "There is no such answer."), &[])
        }
    }
}

fn sent<'a>(asked: &Asked<'a>, delivery: &'a Delivery, receipt: &'a Receipt) -> Sent<'a> {
    let asked_for = asked.command.customer_id.as_ref();
    Sent {
        customer_id: asked_for.or(delivery.customer_id.as_ref()).map(|id| id.as_str()),
        id: delivery.id.to_string(),
        message_type: delivery.message_type.as_str(),
        org_id: asked.command.org_id.as_str(),
        response: response(delivery, receipt),
        session_id: asked.command.session_id.as_deref(),
        timestamp: delivery.at.rfc2822(asked.call.zone),
        user_id: asked.command.user_id.as_ref().map(|id| id.as_str()),
    }
}

fn element<'a>(asked: &Asked<'a>, delivery: &'a Delivery) -> Element<'a> {
    let receipt = delivery.result.as_ref();
    Element {
        customer_id: delivery.customer_id.as_ref().map(|id| id.as_str()),
        error: receipt.err().map(errors::of_element),
        file: None,
        id: delivery.id.to_string(),
        message: asked.command.template.as_deref(),
        message_type: MessageType::Template.as_str(),
        org_id: asked.command.org_id.as_str(),
        response: receipt.ok().map(|receipt| response(delivery, receipt)),
        session_id: asked.command.session_id.as_deref(),
        timestamp: delivery.at.rfc2822(asked.call.zone),
        user_id: asked.command.user_id.as_ref().map(|id| id.as_str()),
    }
}

fn response<'a>(delivery: &'a Delivery, receipt: &'a Receipt) -> Response<'a> {
    let input = delivery.phone.digits();
    let wa_id = if receipt.wa_id.is_empty() { input } else { &receipt.wa_id };
    Response::new(input, wa_id, &receipt.wamid)
}
