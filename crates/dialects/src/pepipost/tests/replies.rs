//! Replies byte for byte.

use waypost_domain::command::Uploaded;
use waypost_domain::customer::{Consent, ConsentOrigin};
use waypost_domain::template::Template;
use waypost_domain::{MediaId, MessageId, Zone};

use super::*;
use crate::contract::{Asked, Call, CommandEcho, Managed, Outcome};

fn echo(path: &str, body: &Value) -> CommandEcho {
    post(path, body.to_string().as_bytes()).unwrap().echo()
}

fn encode(command: &CommandEcho, path: &str, outcome: &Outcome) -> Reply {
    let zone = Zone::parse("+05:30").unwrap();
    let call = Call { path, zone: &zone, ..Call::default() };
    Pepipost.encode(&Asked { command, call }, outcome)
}

#[track_caller]
fn assert_body(reply: &Reply, fixture: &str) {
    assert_eq!(std::str::from_utf8(&reply.body).unwrap(), fixture.trim_end());
    assert_eq!(reply.status, http::StatusCode::OK);
    assert_eq!(header(reply, "content-type").as_deref(), Some("application/json"));
}

fn id(last: u8) -> MessageId {
    MessageId::parse(&format!("0b8f1d52-7c0e-4a57-9a3c-2f1d5e6a7be{last}")).unwrap()
}

/// 1, 37
#[test]
fn accepted_messages_are_answered_with_their_ids() {
    let command = echo(wire::SEND_PATH, &text());
    let one = encode(&command, wire::SEND_PATH, &Outcome::Submitted(vec![id(1)]));
    assert_body(&one, include_str!("../fixtures/accepted.json"));
    let three = Outcome::Submitted(vec![id(1), id(2), id(3)]);
    let three = encode(&command, wire::NC_PATH, &three);
    assert_body(&three, include_str!("../fixtures/accepted_several.json"));
}

/// 16
#[test]
fn a_refusal_is_written_as_the_vendor_shows() {
    let failure = submit(&without_field(text(), "message_type")).unwrap_err();
    let reply = reply_at(&failure, &Method::POST, wire::SEND_PATH);
    let fixture = include_str!("../fixtures/refused.json").trim_end();
    assert_eq!(std::str::from_utf8(&reply.body).unwrap(), fixture);
}

/// 46, 47
#[test]
fn files_are_answered_with_their_ids() {
    let command = echo(wire::SEND_PATH, &text());
    let uploaded = Uploaded { media_id: MediaId::new("1000000000000042") };
    let reply = encode(&command, wire::UPLOAD_PATH, &Outcome::Uploaded(uploaded));
    assert_body(&reply, include_str!("../fixtures/uploaded.json"));
    let done = Outcome::Managed(Box::new(Managed::Done));
    let reply = encode(&command, "/api/v2/media/x", &done);
    assert_body(&reply, include_str!("../fixtures/removed.json"));
}

/// 48, 49, 53
#[test]
fn recorded_consents_are_answered_as_what_they_are() {
    let told = |kind: &str, any_new: bool| {
        let entry = json!({"recipient": "15550001111", "source": "WEB"});
        let body = json!({"type": kind, "recipients": [entry]});
        let command = echo(wire::RECORD_CONSENT_PATH, &body);
        let outcome = Outcome::Managed(Box::new(Managed::ConsentRecorded { any_new }));
        encode(&command, wire::RECORD_CONSENT_PATH, &outcome)
    };
    for (kind, any_new, text) in [
        ("optin", true, "Optin successfully added."),
        ("optout", true, "Optout successfully added."),
        ("optout", false, "Optout successfully added."),
    ] {
        let expected = format!("{{\"status\":\"success\",\"message\":\"{text}\"}}");
        assert_body(&told(kind, any_new), &expected);
    }
    let repeated = told("optin", false);
    let body: Value = serde_json::from_slice(&repeated.body).unwrap();
    let text = "Optin already found for provided mobilenumber";
    assert_eq!(body["error"], json!({"code": "8005", "message": text}));
    assert_eq!(repeated.status.as_u16(), 400);
}

/// 52
#[test]
fn a_consent_is_shown_and_an_opt_out_is_not() {
    let command = echo(wire::FIND_CONSENT_PATH, &json!({"phone_number": "15550001111"}));
    let told = |consent: Option<Consent>| {
        let outcome = Outcome::Managed(Box::new(Managed::Consent(consent)));
        encode(&command, wire::FIND_CONSENT_PATH, &outcome)
    };
    let consent = Consent {
        opted_in: true,
        at: Timestamp::parse_rfc3339("2026-04-22T10:06:01.099Z").unwrap(),
        proof: None,
        origin: ConsentOrigin {
            source: Some("WEB".to_owned()),
            user_agent: Some("Mozilla/5.0".to_owned()),
            ip: Some("192.0.2.10".to_owned()),
        },
    };
    assert_body(&told(Some(consent.clone())), include_str!("../fixtures/optin.json"));
    let later = Consent { at: consent.at.plus_ms(850), ..consent.clone() };
    let body = told(Some(later)).body;
    assert!(std::str::from_utf8(&body).unwrap().contains("15:36:01.9\""));
    let unknown = include_str!("../fixtures/optin_unknown.json");
    assert_body(&told(None), unknown);
    let out = told(Some(Consent { opted_in: false, ..consent }));
    assert_body(&out, unknown);
    assert!(header(&out, "x-waypost-error").is_some());
}

fn template(language: &str) -> Template {
    serde_json::from_value(json!({
        "id": "1", "waba_id": "100000000000002", "name": "tpl", "language": language,
        "status": "APPROVED", "category": "UTILITY", "synced_at": 0,
        "components": [{"type": "BODY", "text": "Hi {{1}}, order {{2}}."}],
    }))
    .unwrap()
}

#[test]
fn templates_are_shown_in_every_language() {
    let command = echo(wire::SEND_PATH, &text());
    let told = |path: &str, templates: Vec<Template>| {
        let outcome = Outcome::Managed(Box::new(Managed::Templates(templates)));
        encode(&command, path, &outcome)
    };
    let both = vec![template("en"), template("de")];
    let reply = told("/api/v2/metainfo/template/status", both);
    assert_body(&reply, include_str!("../fixtures/template_status.json"));
    let reply = told("/api/v2/metainfo/template/preview/", vec![template("en")]);
    assert_body(&reply, include_str!("../fixtures/template_preview.json"));
    let reply = told("/api/v2/metainfo/template/preview", Vec::new());
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status.as_u16(), &body["error"]["code"]), (404, &json!("8009")));
}
