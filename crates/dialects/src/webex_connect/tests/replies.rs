//! Replies byte for byte.

use waypost_domain::MessageId;

use super::*;
use crate::contract::{Asked, Outcome};

const TRANSIDS: [&str; 3] = [
    "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7bc0",
    "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7bc2",
    "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7bc3",
];

fn answer(body: &Value) -> Reply {
    let command = decode(body.to_string().as_bytes()).unwrap().echo();
    let count = command.submissions.len();
    let ids = TRANSIDS[..count].iter().map(|id| MessageId::parse(id).unwrap()).collect();
    let asked = Asked { command: &command, call: call() };
    WebexConnect.encode(&asked, &Outcome::Submitted(ids))
}

#[track_caller]
fn assert_body(reply: &Reply, fixture: &str) {
    assert_eq!(std::str::from_utf8(&reply.body).unwrap(), fixture.trim_end());
    let json = (http::header::CONTENT_TYPE, "application/json".parse().unwrap());
    assert_eq!(reply.headers, [json]);
}

/// 1
#[test]
fn acceptance_is_answered_as_the_vendor_shows() {
    let body = without(without(text(), "/correlationid"), "/destination/0/correlationid");
    let reply = answer(&body);
    assert_eq!(reply.status, 200);
    assert_body(&reply, include_str!("../fixtures/queued.json"));
}

/// 11, 18, 36
#[test]
fn every_recipient_has_its_entry() {
    let destination = json!([
        {"waid": ["15550001111", "15550002222"], "correlationid": "row-1"},
        {"waid": ["abc"]},
    ]);
    let reply = answer(&with(text(), "/destination", destination));
    assert_body(&reply, include_str!("../fixtures/queued_three.json"));
}

/// 7
#[test]
fn a_refusal_is_answered_as_the_vendor_shows() {
    use waypost_domain::ErrorKind;
    let failure = Failure::new(ErrorKind::InvalidCredential, "The key is unknown.");
    let reply = refusal(&failure);
    assert_eq!(reply.status, 400);
    assert_body(&reply, include_str!("../fixtures/refused.json"));
}

#[test]
fn no_other_outcome_is_answered() {
    use waypost_domain::manage::Managed;
    let command = decode(text().to_string().as_bytes()).unwrap().echo();
    let asked = Asked { command: &command, call: call() };
    let reply = WebexConnect.encode(&asked, &Outcome::Managed(Box::new(Managed::Done)));
    assert_eq!(reply.status, 500);
}
