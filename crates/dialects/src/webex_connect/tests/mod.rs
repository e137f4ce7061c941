//! The reference's table of test cases, as far as a codec decides it, and what hostile input does.
//! Numbers in comments are rows of that table; V, TX and TP are its bodies.

mod content;
mod envelope;
mod errors;
mod hostile;
mod inbound;
mod interactive;
mod receipts;
mod replies;
mod template;

use serde_json::{Value, json};
use waypost_domain::command::{MediaDraft, Recipient, SendMessage, Submission};
use waypost_domain::{Content, Failure, OrgId, Timestamp};

use super::WebexConnect;
use crate::changed_json::{with, without};
use crate::contract::{Body, Call, Command, Dialect, ErrorSite, Reply, Request};

/// The time at which requests arrive.
const NOW: &str = "2026-03-04T09:49:20.429Z";
const ORG: &str = "org-1";
/// The id of a request, as the server gives it.
const REQUEST_ID: &str = "0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7bc1";

fn now() -> Timestamp {
    Timestamp::parse_rfc3339(NOW).unwrap()
}

/// A request with an object `wa`.
fn saying(wa: Value) -> Value {
    let mut body = json!({
        "deliverychannel": "whatsapp", "appid": "a_100000000000000001",
        "destination": [{"waid": ["15550001111"], "correlationid": "row-1"}],
        "channels": {"OTT-Messaging": {"wa": null}},
        "correlationid": "job-9", "callbackData": "any text",
        "notifyurl": "https://app.example.com/dlr", "notifyurlAuthId": "", "expiry": "",
        "priority": "", "options": {},
    });
    body["channels"]["OTT-Messaging"]["wa"] = wa;
    body
}

/// **V**: a valid video.
fn video() -> Value {
    saying(json!({
        "type": "video",
        "video": {"url": "https://files.example.com/v.mp4", "mimeType": "video/mp4"},
        "identity_key_hash": "",
    }))
}

/// **TX**: a valid text.
fn text() -> Value {
    saying(json!({"type": "text", "text": {"body": "testing msg"}}))
}

/// **TP**: a valid template with a picture and one named variable.
fn template() -> Value {
    let mut body = without(text(), "/channels");
    body["message"] = json!({
        "template": "1000000000000001",
        "parameters": {
            "image": {"link": "https://files.example.com/a.jpg"}, "first_name": "Ann",
        },
    });
    body
}

/// Where `wa` stands.
const WA: &str = "/channels/OTT-Messaging/wa";

fn decode(body: &[u8]) -> Result<Command, Failure> {
    let org = OrgId::new(ORG);
    let route = &WebexConnect.routes()[0];
    let request = Request { org: Some(&org), now: now(), ..Request::to(route, Body::Json(body)) };
    WebexConnect.decode(&request)
}

fn submit(body: &Value) -> Result<Vec<Submission>, Failure> {
    match decode(body.to_string().as_bytes())? {
        Command::Submit(submit) => {
            assert!(submit.messages.iter().all(|message| message.send.org_id == submit.org_id));
            Ok(submit.messages)
        }
        other => panic!("{other:?}"),
    }
}

/// The only message of a body.
#[track_caller]
fn one(body: &Value) -> Submission {
    let mut messages = submit(body).unwrap_or_else(|failure| panic!("{failure}: {body}"));
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

/// The only message of a body, which nothing is wrong with.
#[track_caller]
fn sound(body: &Value) -> SendMessage {
    let message = one(body);
    assert_eq!(message.doomed, None);
    message.send
}

/// What a message to one person with this `wa` says.
#[track_caller]
fn said(wa: Value) -> Content<MediaDraft> {
    sound(&saying(wa)).content
}

/// The code and text of the receipt that a message will get.
#[track_caller]
fn doom_of(body: &Value) -> (String, String) {
    let failure = one(body).doomed.unwrap_or_else(|| panic!("nothing is wrong with {body}"));
    let words = failure.words_of("webex_connect").unwrap();
    (words.code.clone(), words.text.clone())
}

fn digits(recipient: &Recipient) -> &str {
    match recipient {
        Recipient::Phone(phone) => phone.digits(),
        Recipient::Nobody => "",
        Recipient::Customer(_) => panic!("{recipient:?}"),
    }
}

fn call() -> Call<'static> {
    Call { request_id: REQUEST_ID, now: now(), ..Call::default() }
}

fn refusal(failure: &Failure) -> Reply {
    WebexConnect.encode_error(failure, ErrorSite { call: call(), ..ErrorSite::default() })
}

/// Asserts that a body is refused as a whole, with this code and description, under both statuses.
#[track_caller]
fn assert_refused(body: &Value, code: &str, description: &str) {
    let Err(failure) = submit(body) else { panic!("accepted: {body}") };
    assert_refusal(&failure, code, description);
}

#[track_caller]
fn assert_refusal(failure: &Failure, code: &str, description: &str) {
    let wanted = json!({
        "response": {"code": code, "description": description, "transid": REQUEST_ID},
    });
    for (errors_as_200, status) in [(false, 400), (true, 200)] {
        let site = ErrorSite { call: call(), errors_as_200, ..ErrorSite::default() };
        let reply = WebexConnect.encode_error(failure, site);
        assert_eq!(std::str::from_utf8(&reply.body).unwrap(), wanted.to_string(), "{failure}");
        assert_eq!(reply.status.as_u16(), status);
    }
    assert!(failure.message.ends_with('.'), "{}", failure.message);
}

/// 7003 for a member of the channel.
#[track_caller]
fn assert_missing(body: &Value, member: &str) {
    assert_refused(body, "7003", &format!("param '{member}' missing for channel whatsapp"));
}

/// 7004
#[track_caller]
fn assert_invalid(body: &Value, member: &str) {
    assert_refused(body, "7004", &format!("Invalid parameter: {member}"));
}
