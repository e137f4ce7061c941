//! The consent calls and template information.

use std::slice::from_ref;

use waypost_domain::Phone;
use waypost_domain::customer::ConsentOrigin;
use waypost_domain::manage::ConsentEntry;

use super::*;
use crate::contract::{ConsentEcho, Task};

const RECORD: &str = wire::RECORD_CONSENT_PATH;
const FIND: &str = wire::FIND_CONSENT_PATH;

fn optin() -> Value {
    json!({"type": "optin", "recipients": [
        {"recipient": "15550001111", "source": "WEB", "user_agent": "Mozilla/5.0", "ip": "192.0.2.10"},
    ]})
}

fn task(path: &str, body: &Value) -> Result<Task, Failure> {
    match post(path, body.to_string().as_bytes())? {
        Command::Manage(manage) => Ok(manage.task),
        other => panic!("{other:?}"),
    }
}

fn recorded(body: &Value) -> Vec<ConsentEntry> {
    match task(RECORD, body).unwrap() {
        Task::RecordConsent { entries } => entries,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_refused(body: &Value, text: &str) {
    assert_answered(task(RECORD, body), RECORD, (400, "8006", text));
}

/// 48, 53
#[test]
fn consents_are_read() {
    let expected = ConsentEntry {
        phone: Phone::parse("15550001111").unwrap(),
        opted_in: true,
        origin: ConsentOrigin {
            source: Some("WEB".to_owned()),
            user_agent: Some("Mozilla/5.0".to_owned()),
            ip: Some("192.0.2.10".to_owned()),
        },
    };
    assert_eq!(recorded(&optin()), from_ref(&expected));
    for number in [json!("+15550001111"), json!(15_550_001_111_u64)] {
        assert_eq!(
            recorded(&with(optin(), "/recipients/0/recipient", number)),
            from_ref(&expected)
        );
    }
    let bare = with(optin(), "/recipients", optin()["recipients"][0].clone());
    assert_eq!(recorded(&bare), from_ref(&expected));
    let out = recorded(&with(optin(), "/type", json!("OptOut")));
    assert_eq!(out, [ConsentEntry { opted_in: false, ..expected }]);
}

#[test]
fn browser_and_address_may_be_absent() {
    let body = without(without(optin(), "/recipients/0/ip"), "/recipients/0/user_agent");
    let origin = recorded(&body).pop().unwrap().origin;
    assert_eq!((origin.user_agent, origin.ip), (None, None));
    let body = with(optin(), "/recipients/0/ip", json!("2001:DB8::1"));
    assert_eq!(recorded(&body)[0].origin.ip.as_deref(), Some("2001:db8::1"));
}

/// 50
#[test]
fn type_recipients_and_source_are_required() {
    for wrong in [json!(null), json!(""), json!(" ")] {
        assert_refused(&with(optin(), "/type", wrong), " type is required.");
    }
    assert_refused(&without(optin(), "/type"), " type is required.");
    for wrong in [json!("x"), json!(1), json!({})] {
        let text = " type is invalid. type must be optin/optout.";
        assert_refused(&with(optin(), "/type", wrong), text);
    }
    assert_refused(&without(optin(), "/recipients"), " recipients is required.");
    for wrong in [json!(null), json!([]), json!("x")] {
        assert_refused(&with(optin(), "/recipients", wrong), " recipients is required.");
    }
    let source = "/recipients/0/source";
    for out in [optin(), with(optin(), "/type", json!("optout"))] {
        assert_refused(&without(out.clone(), source), " source cannot be empty.");
        assert_refused(&with(out, source, json!(" ")), " source cannot be empty.");
    }
    recorded(&with(optin(), source, json!("ü".repeat(25))));
    let text = " source value cannot be greater than 25 characters.";
    assert_refused(&with(optin(), source, json!("ü".repeat(26))), text);
}

/// 51
#[test]
fn recipients_have_ten_to_fifteen_digits_and_addresses_are_addresses() {
    let place = "/recipients/0/recipient";
    for (number, text) in [
        ("abc", " Invalid recipient. Only numeric values allowed."),
        ("155500011", " recipient value cannot be less than 10 digits."),
        ("1555000111122223", " recipient value cannot be greater than 15 digits."),
        ("0550001111", " Invalid recipient. Only numeric values allowed."),
        ("", " Required parameter is missing"),
    ] {
        assert_refused(&with(optin(), place, json!(number)), text);
    }
    assert_refused(&without(optin(), place), " Required parameter is missing");
    for wrong in [json!("999.1.1.1"), json!("x"), json!(5), json!({})] {
        assert_refused(&with(optin(), "/recipients/0/ip", wrong), " ip is invalid.");
    }
}

#[test]
fn a_body_that_is_no_json_is_missing_something_under_the_other_code() {
    for body in ["", "{", "[]"] {
        let result = post(RECORD, body.as_bytes());
        assert_answered(result, RECORD, (400, "8006", " Required parameter is missing"));
        assert_answered(post(FIND, body.as_bytes()), FIND, (400, "8001", MISSING));
    }
}

#[test]
fn a_thousand_people_fit_into_one_request() {
    let entry = optin()["recipients"][0].clone();
    let people = |count: usize| with(optin(), "/recipients", json!(vec![entry.clone(); count]));
    assert_eq!(recorded(&people(1_000)).len(), 1_000);
    assert_refused(&people(1_001), " recipients cannot have more than 1000 elements");
}

#[test]
fn a_consent_that_cannot_be_recorded_has_words_of_its_own() {
    let failure = Failure::new(ErrorKind::Unavailable, "The disk is full.");
    let text = "Error occurred while updating optin for mobilenumber";
    assert_answered(Err::<(), _>(failure), RECORD, (503, "8005", text));
}

/// 52
#[test]
fn a_consent_is_asked_for_by_number() {
    let phone = Phone::parse("15550001111").unwrap();
    for number in [json!("15550001111"), json!("+15550001111"), json!(15_550_001_111_u64)] {
        let read = task(FIND, &json!({"phone_number": number})).unwrap();
        assert_eq!(read, Task::FindConsent { phone: phone.clone() });
    }
    for body in [json!({}), json!({"phone_number": null}), json!({"phone_number": ""})] {
        assert_answered(task(FIND, &body), FIND, (400, "8001", MISSING));
    }
    let text = " Invalid recipient. Only numeric values allowed.";
    let result = task(FIND, &json!({"phone_number": "x"}));
    assert_answered(result, FIND, (400, "8006", text));
}

#[test]
fn replies_know_whose_consent_it_was() {
    let echo = post(RECORD, optin().to_string().as_bytes()).unwrap().echo();
    assert_eq!(echo.consent, Some(ConsentEcho::Record(true)));
}

#[test]
fn templates_are_asked_for_by_name() {
    for path in [wire::TEMPLATE_STATUS_PATH, wire::TEMPLATE_PREVIEW_PATH] {
        let route = route(&Method::GET, path);
        let Command::Manage(manage) =
            ask(route, Body::None, &[], &[("x", "1"), ("templatename", "tpl")]).unwrap()
        else {
            panic!("another command");
        };
        let expected = Task::ListTemplates { number: None, name: Some("tpl".to_owned()) };
        assert_eq!(manage.task, expected);
        for query in [&[][..], &[("templatename", " ")]] {
            let failure = ask(route, Body::None, &[], query).unwrap_err();
            let reply = reply_at(&failure, &Method::GET, path);
            assert_eq!(reply.status.as_u16(), 400);
            assert!(std::str::from_utf8(&reply.body).unwrap().contains("8001"));
        }
    }
}
