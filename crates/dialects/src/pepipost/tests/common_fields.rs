//! The fields that every message has.

use waypost_domain::Phone;
use waypost_domain::command::Recipient;
use waypost_domain::message::Priority;

use super::*;

/// 1, 3
#[test]
fn every_type_is_read() {
    for body in all() {
        let send = sent(&body);
        assert_eq!(send.org_id.as_str(), "org-1");
        assert_eq!(send.recipient, Recipient::Phone(Phone::parse("15550001111").unwrap()));
        assert_eq!(send.number.as_deref(), Some("src-1"));
        assert_eq!(send.reference.as_deref(), Some("order-77"));
        assert_eq!(send.options.echo.as_deref(), Some(&json!({"source": "src-1"})));
        assert_eq!(send.options.expires_at, None);
    }
}

/// 2, 19
#[test]
fn the_newer_paths_know_any_source_and_one_of_them_goes_first() {
    let nowhere = with_field(media_id(), "source", json!("whatever"));
    for (path, by_default, priority) in [
        ("/api/v2/message", false, Priority::Normal),
        ("/api/v2/message/nc", true, Priority::Normal),
        ("/api/v2/message/nc/priority", true, Priority::High),
        ("/api/v2/message/nc/message", true, Priority::Normal),
    ] {
        let send = sent_to(path, &nowhere);
        assert_eq!(send.number.as_deref(), Some("whatever"));
        assert_eq!((send.number_or_default, send.options.priority), (by_default, priority));
        assert_eq!(send.options.echo.as_deref(), Some(&json!({"source": "whatever"})));
    }
}

/// 19
#[test]
fn a_source_that_is_not_registered_is_refused() {
    let failure = Failure::new(ErrorKind::NumberNotFound, "There is no such number.");
    let reply = Err::<(), _>(failure);
    assert_answered(reply, "/api/v2/message", (400, "8006", " source is invalid"));
    assert!(Pepipost.info().refused_at_once.contains(&ErrorKind::NumberNotFound));
}

/// 4
#[test]
fn objects_stand_for_arrays_of_one() {
    let attachment = json!({"attachment_id": MID, "caption": "your invoice"});
    let bare = with_field(media_id(), "type_media", json!({"attachments": attachment}));
    let bare = json!({"message": bare["message"][0]});
    let paths_aside = |mut send: SendMessage| {
        send.content = send.content.with_media(|mut draft| {
            draft.field.clear();
            draft
        });
        send
    };
    assert_eq!(paths_aside(sent(&bare)), paths_aside(sent(&media_id())));
}

/// 5
#[test]
fn letter_case_of_words_is_ignored() {
    assert_eq!(sent(&with_field(template(), "message_type", json!("Template"))), sent(&template()));
    let shouted = with_field(text(), "recipient_type", json!("INDIVIDUAL"));
    assert_eq!(sent(&shouted), sent(&text()));
}

/// 9
#[test]
fn what_is_no_json_object_is_missing_something() {
    for body in ["{\"message\":[", "", "[]", "null", "3", "--boundary\r\n"] {
        let result = post(wire::SEND_PATH, body.as_bytes());
        assert_answered(result, wire::SEND_PATH, (400, "8001", MISSING));
    }
}

/// 10
#[test]
fn a_message_is_required() {
    for body in [
        json!({}),
        json!({"message": null}),
        json!({"message": []}),
        json!({"message": "x"}),
        json!({"message": ["x"]}),
        json!({"message": [null]}),
    ] {
        assert_refused(&body, "8001", MISSING);
    }
}

/// 11, 12
#[test]
fn a_recipient_has_ten_to_fifteen_digits() {
    let blank = " recipient_whatsapp cannot be null or blank";
    let numbers = " Invalid value in recipient_whatsapp parameter. Only numbers are allowed";
    let few = " recipient_whatsapp cannot be less than 10 digits";
    let many = " recipient_whatsapp cannot be greater than 15 digits";
    assert_refused(&without_field(text(), "recipient_whatsapp"), "8006", blank);
    for (value, expected) in [
        (json!(null), blank),
        (json!(""), blank),
        (json!("  "), blank),
        (json!("+"), blank),
        (json!("12345"), few),
        (json!("155500011"), few),
        (json!("1555000111122223"), many),
        (json!("15550x01111"), numbers),
        (json!("1555 0001111"), numbers),
        (json!("++15550001111"), numbers),
        (json!("１５５５０００１１１１"), numbers),
        (json!(1.5), numbers),
        (json!(12345), few),
    ] {
        assert_refused(&with_field(text(), "recipient_whatsapp", value), "8006", expected);
    }
    for value in [json!([]), json!({}), json!(true)] {
        assert_refused(&with_field(text(), "recipient_whatsapp", value), "8001", MISSING);
    }
}

/// 13
#[test]
fn a_recipient_may_have_a_plus_or_be_a_number() {
    for value in [json!("+15550001111"), json!(15_550_001_111_u64), json!(" 15550001111 ")] {
        assert_eq!(sent(&with_field(text(), "recipient_whatsapp", value)), sent(&text()));
    }
}

#[test]
fn digits_without_a_country_code_fail_afterwards() {
    let body = with_field(text(), "recipient_whatsapp", json!("0550001111"));
    let submission = submit(&body).unwrap().messages.pop().unwrap();
    assert_eq!(submission.send.recipient, Recipient::Nobody);
    assert_eq!(submission.doomed.unwrap().kind, ErrorKind::RecipientUnreachable);
    let echo = submission.send.options.echo.unwrap();
    assert_eq!(*echo, json!({"source": "src-1", "recipient": "0550001111"}));
}

/// 14, 15
#[test]
fn a_recipient_is_an_individual() {
    sent(&without_field(text(), "recipient_type"));
    let blank = " recipient_type cannot be null or blank";
    let only = " recipient_type can only be individual";
    for (value, expected) in [
        (json!("group"), only),
        (json!("x"), only),
        (json!(1), only),
        (json!([]), only),
        (json!(""), blank),
        (json!(" "), blank),
        (json!(null), blank),
    ] {
        assert_refused(&with_field(text(), "recipient_type", value), "8006", expected);
    }
}

/// 16
#[test]
fn a_message_has_a_type_of_the_list() {
    let blank = " message_type cannot be null or blank";
    let only = " message_type can only be text/media/template/location.";
    assert_refused(&without_field(text(), "message_type"), "8006", blank);
    for (value, expected) in [
        (json!(null), blank),
        (json!(""), blank),
        (json!("contact"), only),
        (json!("reaction"), only),
        (json!(7), only),
        (json!({}), only),
    ] {
        assert_refused(&with_field(text(), "message_type", value), "8006", expected);
    }
}

/// 17, 18
#[test]
fn a_source_is_required_as_the_vendors_tables_say() {
    let blank = " source cannot be null or blank";
    for body in [media_id(), location(), template()] {
        assert_refused(&without_field(body.clone(), "source"), "8006", blank);
        assert_refused(&with_field(body.clone(), "source", json!(" ")), "8006", blank);
        assert_refused(&with_field(body.clone(), "source", json!(null)), "8006", blank);
        for path in ["/api/v2/message/nc", "/api/v2/message/nc/priority"] {
            let send = sent_to(path, &without_field(body.clone(), "source"));
            assert_eq!((send.number, send.options.echo), (None, None));
        }
    }
    for body in [text(), media_url()] {
        let send = sent(&without_field(body, "source"));
        assert_eq!((send.number, send.options.echo), (None, None));
    }
    let both = with(media_url(), "/message/0/type_media/0/attachments/0/attachment_id", json!(MID));
    assert_refused(&without_field(both, "source"), "8006", blank);
}

/// 42
#[test]
fn the_callers_own_data_comes_back_as_text() {
    for (value, expected) in [
        (json!("order-77"), Some("order-77")),
        (json!({"a": 1}), Some("{\"a\":1}")),
        (json!(["a b", true, null]), Some("[\"a b\",true,null]")),
        (json!(77), Some("77")),
        (json!(false), Some("false")),
        (json!(""), None),
        (json!(null), None),
    ] {
        let send = sent(&with_field(text(), "x-apiheader", value));
        assert_eq!(send.reference.as_deref(), expected);
    }
    let spread = text().to_string().replace("\"order-77\"", "{ \"a \\\" }\" :\n [ 1.50 ] }");
    let Command::Submit(submit) = post(wire::SEND_PATH, spread.as_bytes()).unwrap() else {
        panic!("no submission");
    };
    assert_eq!(submit.messages[0].send.reference.as_deref(), Some("{\"a \\\" }\":[1.50]}"));
    sent(&with_field(text(), "x-apiheader", json!("ü".repeat(2_000))));
    let long = with_field(text(), "x-apiheader", json!("ü".repeat(2_001)));
    assert_refused(&long, "8006", " x-apiheader cannot be greater than 2000 characters");
}

#[test]
fn a_life_is_counted_in_days_and_ignored_where_it_makes_no_sense() {
    for (ttl, ms) in [
        (json!(1), 86_400_000),
        (json!("2"), 172_800_000),
        (json!(0.5), 43_200_000),
        (json!(30), 2_592_000_000_i64),
    ] {
        let send = sent(&with_field(text(), "ttl", ttl));
        assert_eq!(send.options.expires_at, Some(NOW.plus_ms(ms)));
    }
    for ttl in [json!(0), json!(-1), json!(31), json!("x"), json!("NaN"), json!([]), json!(null)] {
        assert_eq!(sent(&with_field(text(), "ttl", ttl)).options.expires_at, None);
    }
}

/// 37
#[test]
fn several_messages_stay_in_order() {
    let mut elements = Vec::new();
    for number in 0..100 {
        let element = with_field(text(), "x-apiheader", json!(number));
        elements.push(element["message"][0].clone());
    }
    let read = submit(&json!({ "message": elements })).unwrap();
    let references = read.messages.iter().map(|it| it.send.reference.clone().unwrap());
    assert!(references.eq((0..100).map(|number| number.to_string())));
    elements.push(text()["message"][0].clone());
    let text = " message cannot have more than 100 elements";
    assert_refused(&json!({ "message": elements }), "8006", text);
}

/// 38
#[test]
fn one_bad_message_refuses_all() {
    let good = text()["message"][0].clone();
    let bad = without_field(text(), "recipient_whatsapp")["message"][0].clone();
    let body = json!({"message": [good, bad, good]});
    assert_refused(&body, "8006", " recipient_whatsapp cannot be null or blank");
    assert_eq!(submit(&body).unwrap_err().field.as_deref(), Some("message[1].recipient_whatsapp"));
}

#[test]
fn the_first_failing_check_in_the_tables_order_is_the_answer() {
    let body = json!({"message": [{
        "recipient_whatsapp": "1", "recipient_type": "group", "message_type": "x",
        "x-apiheader": "y".repeat(3_000),
    }]});
    let texts = [
        ("recipient_whatsapp", json!("15550001111"), "recipient_whatsapp cannot be less than"),
        ("recipient_type", json!("individual"), "recipient_type can only be"),
        ("message_type", json!("location"), "message_type can only be"),
        ("source", json!("src-1"), "source cannot be null"),
        ("x-apiheader", json!("y"), "x-apiheader cannot be greater"),
    ];
    let mut body = body;
    for (field, good, expected) in texts {
        let failure = submit(&body).unwrap_err();
        assert!(failure.words_of("pepipost").unwrap().text.contains(expected), "{failure}");
        body = with_field(body, field, good);
    }
    assert_refused(&body, "8001", MISSING);
}

/// 41
#[test]
fn unknown_fields_are_ignored() {
    for body in all() {
        let more = with_field(body.clone(), "cta_link_track", json!("1"));
        let more = with(more, "/later", json!({"x": [1]}));
        assert_eq!(sent(&with_field(more, "surprise", json!({}))), sent(&body));
    }
}

#[test]
fn a_key_without_an_organisation_sends_nothing() {
    let route = route(&Method::POST, wire::SEND_PATH);
    let body = text().to_string();
    let failure = Pepipost.decode(&Request::to(route, Body::Json(body.as_bytes()))).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::OrgForbidden);
}
