//! Replies byte for byte.

use waypost_domain::command::{BroadcastOutcome, Delivery, MessageType, Receipt, Uploaded};
use waypost_domain::{BroadcastId, CustomerId, MediaId, MessageId, Phone, Timestamp, Zone};

use super::*;
use crate::contract::{Asked, Call, CommandEcho, Outcome, Reply};
use crate::expected::assert_body;

fn delivery(id: &str, customer: &str, phone: &str, at: &str, wamid: &str) -> Delivery {
    Delivery {
        id: MessageId::parse(id).unwrap(),
        customer_id: Some(CustomerId::new(customer)),
        phone: Phone::parse(phone).unwrap(),
        at: Timestamp::parse_rfc3339(at).unwrap(),
        message_type: MessageType::Human,
        result: Ok(Receipt { wamid: wamid.to_owned(), wa_id: phone.to_owned() }),
    }
}

fn first() -> Delivery {
    delivery(
        "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7b80",
        "cust-1001",
        "15550001111",
        "2024-03-16T16:45:25.999Z",
        "wamid.HBgLMTU1NTAwMDExMTEVAgARGBJBMUIyQzNENEU1RjYwNzE4MjkA",
    )
}

fn echo(operation: Operation, body: &Value) -> CommandEcho {
    decode(operation, body.to_string().as_bytes()).unwrap().echo()
}

fn encode(command: &CommandEcho, outcome: &Outcome) -> Reply {
    ReplyHero.encode(&Asked { command, call: Call::default() }, outcome)
}

/// 1
#[test]
fn a_message_is_answered_as_the_vendor_shows() {
    let command = echo(Operation::SendMessage, &text());
    let reply = encode(&command, &Outcome::Sent(first()));
    assert_body(&reply, include_str!("../fixtures/sent.json"));
}

#[test]
fn the_reply_echoes_the_request_and_not_the_directory() {
    let body = text().to_string().replace("\"cust-1001\"", "1001").replace("chat-1", "a\\\"b\\n");
    let command = decode(Operation::SendMessage, body.as_bytes()).unwrap().echo();
    let mut delivery = Delivery { message_type: MessageType::Assistant, ..first() };
    delivery.result = Ok(Receipt { wamid: "wamid.x".to_owned(), wa_id: String::new() });
    let zone = Zone::parse("-03:30").unwrap();
    let asked = Asked { command: &command, call: Call { zone: &zone, ..Call::default() } };
    let reply = ReplyHero.encode(&asked, &Outcome::Sent(delivery));
    let reply: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(reply["customerId"], "1001");
    assert_eq!(reply["sessionId"], "a\"b\n");
    assert_eq!(reply["messageType"], "assistant");
    assert_eq!(reply["timestamp"], "Sat, 16 Mar 2024 13:15:25 -0330");
    assert_eq!(reply["response"]["contacts"][0]["wa_id"], "15550001111");
}

/// 43, 44
#[test]
fn a_broadcast_is_answered_with_one_element_for_each_customer() {
    let command = echo(Operation::Broadcast, &template());
    let sent = delivery(
        "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7b81",
        "cust-1001",
        "15550001111",
        "2024-03-17T05:37:13Z",
        "wamid.HBgLMTU1NTAwMDExMTEVAgARGBIwRjFFMkQzQzRCNUE2OTc4ODcA",
    );
    let mut failed = delivery(
        "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7b82",
        "cust-1002",
        "15550002222",
        "2024-03-17T05:37:14Z",
        "",
    );
    failed.result = Err(Failure::new(
        ErrorKind::RecipientUnreachable,
        "The number is not reachable on WhatsApp.",
    ));
    let id = BroadcastId::parse("0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7b00").unwrap();
    let outcome = BroadcastOutcome { id, deliveries: vec![sent, failed] };
    let reply = encode(&command, &Outcome::Broadcast(outcome));
    assert_body(&reply, include_str!("../fixtures/broadcast.json"));
}

/// 45
#[test]
fn a_broadcast_to_nobody_is_answered_with_an_empty_array() {
    let command = echo(Operation::Broadcast, &template());
    let id = BroadcastId::parse("0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7b00").unwrap();
    let outcome = BroadcastOutcome { id, deliveries: Vec::new() };
    assert_body(&encode(&command, &Outcome::Broadcast(outcome)), "[]");
}

/// 56
#[test]
fn an_upload_is_answered_with_its_id() {
    let command = echo(Operation::SendMessage, &text());
    let uploaded = Uploaded { media_id: MediaId::new("1000000000000042") };
    let reply = encode(&command, &Outcome::Uploaded(uploaded));
    assert_body(&reply, include_str!("../fixtures/uploaded.json"));
}

#[test]
fn keys_of_every_object_are_in_alphabetical_order() {
    fn check(value: &Value) {
        match value {
            Value::Object(object) => {
                let keys: Vec<&String> = object.keys().collect();
                assert!(keys.is_sorted(), "{keys:?}");
                object.values().for_each(check);
            }
            Value::Array(elements) => elements.iter().for_each(check),
            _ => {}
        }
    }
    for fixture in [
        include_str!("../fixtures/sent.json"),
        include_str!("../fixtures/broadcast.json"),
        include_str!("../fixtures/error.json"),
    ] {
        check(&serde_json::from_str(fixture).unwrap());
    }
}

#[test]
fn a_message_that_failed_is_answered_as_an_error() {
    let command = echo(Operation::SendMessage, &text());
    let failure = Failure::new(ErrorKind::WindowClosed, "The window is closed; send a template.");
    let outcome = Outcome::Sent(Delivery { result: Err(failure.clone()), ..first() });
    let reply = encode(&command, &outcome);
    assert_eq!(reply, ReplyHero.encode_error(&failure, crate::contract::ErrorSite::default()));
    assert_eq!(reply.status.as_u16(), 409);
}
