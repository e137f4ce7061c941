//! What stands around the content: channel, sender, recipients, and what is asked for beside it.

use waypost_domain::ErrorKind;
use waypost_domain::message::{Notify, Priority};

use super::*;

/// The vendor's own text, blank and all.
const NOBODY: &str = "any one of [customerid,msisdn,email, userid,pushid,psid, etc.] is mandatory";

/// 1, 2
#[test]
fn a_request_becomes_one_message() {
    let send = sound(&video());
    assert_eq!(send.org_id.as_str(), ORG);
    assert_eq!(send.number.as_deref(), Some("a_100000000000000001"));
    assert_eq!(digits(&send.recipient), "15550001111");
    assert_eq!(send.reference.as_deref(), Some("row-1"));
    let options = &send.options;
    assert_eq!(options.priority, Priority::Normal);
    assert_eq!((options.expires_at, &options.identity_key_hash), (None, &None));
    assert_eq!(options.notify, Some(Notify::new("https://app.example.com/dlr", None)));
    let echo = json!({"correlationid": "row-1", "callbackData": "any text"});
    assert_eq!(options.echo.as_deref(), Some(&echo));
}

#[test]
fn a_message_that_asks_for_nothing_keeps_nothing() {
    let body = json!({
        "appid": "a_100000000000000001", "destination": {"waid": "15550001111"},
        "channels": {"OTT-Messaging": {"wa": {"type": "text", "text": {"body": "hi"}}}},
    });
    let send = sound(&body);
    assert!(send.options.is_empty());
    assert_eq!(send.reference, None);
}

/// 9
#[test]
fn what_is_no_json_is_refused() {
    let commented = text().to_string().replacen(',', ", // Mandatory.\n", 1);
    for body in ["{\"deliverychannel\":", "", " \n", &commented, "{'appid':1}"] {
        let failure = decode(body.as_bytes()).unwrap_err();
        assert_refusal(&failure, "7000", "Invalid JSON");
    }
}

/// 10
#[test]
fn what_is_no_request_object_is_refused() {
    for body in ["\"x\"", "[]", "5", "null", "true", "[5]", "[[]]"] {
        let failure = decode(body.as_bytes()).unwrap_err();
        assert_refusal(&failure, "7003", "Mandatory parameters missing");
    }
}

/// 11
#[test]
fn an_array_of_objects_is_read_in_order() {
    let second =
        with(with(text(), "/destination/0/waid/0", json!("15550002222")), "/priority", json!(3));
    let messages = submit(&json!([video(), second])).unwrap();
    let phones: Vec<_> = messages.iter().map(|it| digits(&it.send.recipient)).collect();
    assert_eq!(phones, ["15550001111", "15550002222"]);
    assert_eq!(messages[0].send.options.priority, Priority::Normal);
    assert_eq!(messages[1].send.options.priority, Priority::High);
    assert!(matches!(messages[1].send.content, Content::Text { .. }));
}

/// 12, 15
#[test]
fn every_object_needs_its_sender() {
    let text_ = "Mandatory parameter missing: appid";
    assert_refused(&json!([video(), without(video(), "/appid")]), "7003", text_);
    for blank in [json!(null), json!(""), json!(" ")] {
        assert_refused(&with(video(), "/appid", blank), "7003", text_);
    }
    assert_invalid(&with(video(), "/appid", json!(5)), "appid");
}

/// 13, 14
#[test]
fn the_channel_is_whatsapp_or_nothing() {
    for good in [json!(null), json!(""), json!("whatsapp"), json!("WhatsApp"), json!("WA")] {
        sound(&with(video(), "/deliverychannel", good));
    }
    sound(&without(video(), "/deliverychannel"));
    for bad in [json!("sms"), json!(5), json!({}), json!(["whatsapp"])] {
        assert_invalid(&with(video(), "/deliverychannel", bad), "deliverychannel");
    }
}

/// 16
#[test]
fn a_body_that_names_nobody_is_refused() {
    assert_refused(&without(video(), "/destination"), "7003", NOBODY);
    for destination in [
        json!([]),
        json!(null),
        json!(""),
        json!([{}]),
        json!([{"waid": []}]),
        json!([{"waid": [""]}]),
        json!([{"waid": ["15550001111", " "]}]),
        json!([{"waid": [null]}]),
        json!([{"waid": null, "customerid": "7", "email": "a@example.com"}]),
        json!([{"waid": ["15550001111"]}, {}]),
    ] {
        assert_refused(&with(video(), "/destination", destination), "7003", NOBODY);
    }
}

#[test]
fn recipients_of_another_type_are_refused() {
    for (destination, name) in [
        (json!("15550001111"), "destination"),
        (json!([["15550001111"]]), "destination"),
        (json!([{"waid": {}}]), "waid"),
        (json!([{"waid": [true]}]), "waid"),
        (json!([{"msisdn": [[]]}]), "msisdn"),
        (json!([{"bsuid": [{}]}]), "bsuid"),
        (json!([{"waid": ["1"], "correlationid": {}}]), "correlationid"),
    ] {
        assert_invalid(&with(video(), "/destination", destination), name);
    }
}

/// 17
#[test]
fn recipients_may_be_written_in_several_ways() {
    for destination in [
        json!([{"waid": "15550001111"}]),
        json!({"waid": ["15550001111"]}),
        json!({"waid": 15_550_001_111_i64}),
        json!([{"msisdn": ["15550001111"]}]),
        json!([{"waid": ["+1 (555) 000-1111"]}]),
        json!([{"waid": [" 15550001111 "], "userid": 7}]),
    ] {
        let send = sound(&with(video(), "/destination", destination));
        assert_eq!(digits(&send.recipient), "15550001111");
    }
}

#[test]
fn a_recipient_is_given_back_as_it_was_written() {
    for (destination, echo) in [
        (json!({"waid": "15550001111"}), None),
        (json!({"waid": " +1 (555) 000-1111 "}), Some(json!({"to": "+1 (555) 000-1111"}))),
        (json!({"waid": "US.1349"}), None),
        (json!({"bsuid": ["US.1349"]}), Some(json!({"bsuid": true}))),
    ] {
        let body = with(text(), "/destination", destination);
        let body = without(without(body, "/correlationid"), "/callbackData");
        assert_eq!(sound(&body).options.echo.as_deref(), echo.as_ref());
    }
    let send = sound(&with(text(), "/destination", json!({"bsuid": "US.1349"})));
    assert_eq!(digits(&send.recipient), "US.1349");
}

/// 18
#[test]
fn every_number_is_a_message() {
    let body = with(
        text(),
        "/destination",
        json!([
            {"waid": ["15550001111", "15550002222", "15550001111"]},
            {"waid": ["15550003333"], "msisdn": "15550004444", "bsuid": "US.1", "correlationid": "x"},
        ]),
    );
    let messages = submit(&body).unwrap();
    let phones: Vec<_> = messages.iter().map(|it| digits(&it.send.recipient)).collect();
    let wanted =
        ["15550001111", "15550002222", "15550001111", "15550003333", "15550004444", "US.1"];
    assert_eq!(phones, wanted);
    let references: Vec<_> =
        messages.iter().map(|it| it.send.reference.as_deref().unwrap()).collect();
    assert_eq!(references, ["job-9", "job-9", "job-9", "x", "x", "x"]);
    let said = Content::Text { body: "testing msg".to_owned(), preview_url: false };
    assert!(messages.iter().all(|it| it.send.content == said));
}

/// 19
#[test]
fn a_thousand_recipients_are_the_most() {
    let entry = |number: usize| json!({"waid": [format!("1555{number:07}")]});
    let body = |count: usize| {
        with(text(), "/destination", (0..count).map(entry).collect::<Vec<_>>().into())
    };
    assert_eq!(submit(&body(1_000)).unwrap().len(), 1_000);
    let description = "Max number of destination address limited to 1000";
    assert_refused(&body(1_001), "7009", description);
    assert_refused(&body(5_000), "7009", description);
    let halves = json!([body(500), body(501)]);
    assert_refused(&halves, "7009", description);
    // Form is judged first, wherever it is.
    assert_missing(&json!([body(1_001), without(body(1), "/channels")]), "OTT-Messaging");
}

#[test]
fn a_body_that_would_grow_beyond_bounds_is_refused() {
    let numbers: Vec<Value> = (0..1_000).map(|n| json!(format!("1555{n:07}"))).collect();
    let body = |data: usize| {
        let body = with(text(), "/destination", json!({"waid": numbers.clone()}));
        with(body, "/callbackData", json!("x".repeat(data)))
    };
    assert_eq!(submit(&body(30_000)).unwrap().len(), 1_000);
    let failure = submit(&body(40_000)).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::BodyTooLarge);
    assert_eq!(refusal(&failure).status, 413);
    // One recipient may have all of it.
    sound(&with(text(), "/callbackData", json!("x".repeat(900_000))));
}

/// 20
#[test]
fn the_channels_objects_are_needed() {
    for body in [
        without(video(), "/channels"),
        without(video(), "/channels/OTT-Messaging"),
        with(video(), "/channels", json!(null)),
    ] {
        assert_missing(&body, "OTT-Messaging");
    }
    assert_missing(&without(video(), WA), "wa");
    assert_invalid(&with(video(), "/channels", json!(["OTT-Messaging"])), "channels");
    assert_missing(&with(video(), "/channels", json!([])), "OTT-Messaging");
    assert_invalid(&with(video(), "/channels/OTT-Messaging", json!(5)), "OTT-Messaging");
    assert_invalid(&with(video(), WA, json!("x")), "wa");
}

/// The reference's order of checks.
#[test]
fn the_first_failing_check_answers() {
    let mut body = json!({"deliverychannel": "sms", "priority": 9, "expiry": "x"});
    assert_invalid(&body, "deliverychannel");
    body["deliverychannel"] = json!("wa");
    assert_refused(&body, "7003", "Mandatory parameter missing: appid");
    body["appid"] = json!("a_1");
    assert_refused(&body, "7003", NOBODY);
    let numbers: Vec<Value> = (0..1_001).map(|n| json!(format!("1555{n:07}"))).collect();
    body["destination"] = json!([{"waid": numbers}]);
    assert_missing(&body, "OTT-Messaging");
    body["channels"] = text()["channels"].clone();
    assert_refused(&body, "7009", "Max number of destination address limited to 1000");
    body["destination"] = json!({"waid": "15550001111"});
    assert_invalid(&body, "priority");
    body["priority"] = json!("1");
    assert_invalid(&body, "expiry");
    body["expiry"] = json!("");
    assert_eq!(sound(&body).options.priority, Priority::Low);
}

/// 35
#[test]
fn an_unreadable_number_is_accepted_and_fails_alone() {
    for waid in [
        "abc",
        "1555000",
        "1555000111122223",
        "1.555.000.1111",
        "0555000111",
        "us.1349",
        "++",
        "15550001111x",
    ] {
        let message = one(&with(text(), "/destination/0/waid/0", json!(waid)));
        assert_eq!(message.send.recipient, Recipient::Nobody, "{waid}");
        let failure = message.doomed.unwrap();
        let words = failure.words_of("webex_connect").unwrap();
        assert_eq!((&*words.code, &*words.text), ("7737", "Inavlid whatsapp destination"));
        assert_eq!(message.send.options.echo.unwrap()["to"], waid);
    }
    assert_eq!(doom_of(&with(text(), "/destination", json!({"waid": 1.5e10}))).0, "7737");
    assert_eq!(doom_of(&with(text(), "/destination", json!({"bsuid": "15550001111"}))).0, "7737");
    let body = with(text(), "/destination", json!({"waid": ["15550001111", "abc", "15550002222"]}));
    let doomed: Vec<bool> = submit(&body).unwrap().iter().map(|it| it.doomed.is_some()).collect();
    assert_eq!(doomed, [false, true, false]);
}

/// 36
#[test]
fn a_destinations_correlation_id_counts() {
    let echoed =
        |body: &Value| sound(body).options.echo.and_then(|echo| echo.get("correlationid").cloned());
    assert_eq!(echoed(&text()), Some(json!("row-1")));
    let common = without(text(), "/destination/0/correlationid");
    assert_eq!(echoed(&common), Some(json!("job-9")));
    assert_eq!(
        echoed(&with(text(), "/destination/0/correlationid", json!(""))),
        Some(json!("job-9"))
    );
    assert_eq!(echoed(&with(text(), "/destination/0/correlationid", json!(77))), Some(json!("77")));
    assert_eq!(echoed(&with(common, "/correlationid", json!(""))), None);
    let long = "é".repeat(2_000);
    let send = sound(&with(text(), "/destination/0/correlationid", json!(long)));
    assert_eq!(send.options.echo.unwrap()["correlationid"], long);
    assert_eq!(send.reference, None, "the log keeps short ones only");
    for place in ["/correlationid", "/destination/0/correlationid"] {
        assert_invalid(&with(text(), place, json!("x".repeat(2_001))), "correlationid");
        assert_invalid(&with(text(), place, json!([])), "correlationid");
    }
}

/// 37
#[test]
fn callback_data_is_kept_unchanged() {
    let long = " \"ü\n\u{0}".repeat(500);
    for (written, kept) in [
        (json!(long), json!(long)),
        (json!({"a": [1, null]}), json!("{\"a\":[1,null]}")),
        (json!(5), json!("5")),
        (json!(false), json!("false")),
        (json!(" "), json!(" ")),
    ] {
        let echo = sound(&with(text(), "/callbackData", written)).options.echo.unwrap();
        assert_eq!(echo["callbackData"], kept);
    }
    for blank in [json!(null), json!("")] {
        let echo = sound(&with(text(), "/callbackData", blank)).options.echo.unwrap();
        assert_eq!(echo.get("callbackData"), None);
    }
}

/// 38, 39, 40, 41
#[test]
fn an_address_for_receipts_never_fails_the_send() {
    let notify = |url: Value| sound(&with(text(), "/notifyurl", url)).options.notify;
    for blank in [json!(""), json!("  "), json!(null)] {
        assert_eq!(notify(blank), None);
    }
    let trimmed = notify(json!(" https://app.example.com/dlr\n")).unwrap();
    assert_eq!((&*trimmed.url, &trimmed.refused), ("https://app.example.com/dlr", &None));
    for good in ["http://app.example.com", "HTTPS://user:secret@app.example.com:8443/a?b#c"] {
        assert_eq!(notify(json!(good)).unwrap().refused, None);
    }
    let long = format!("https://app.example.com/{}", "x".repeat(10_000));
    for (bad, kept) in [
        (json!("not a url"), "not a url"),
        (json!("ftp://app.example.com/x"), "ftp://app.example.com/x"),
        (json!("https:///x"), "https:///x"),
        (json!("//app.example.com"), "//app.example.com"),
        (json!("https://a b.example.com"), "https://a b.example.com"),
        (json!(5), "5"),
        (json!({"url": "x"}), "{\"url\":\"x\"}"),
        (json!(long), &long[..8_192]),
    ] {
        let notify = notify(bad).unwrap();
        assert_eq!(notify.url, kept);
        assert!(notify.refused.unwrap().starts_with("`notifyurl` is "));
    }
    let body = with(text(), "/notifyurlAuthId", json!(" crm "));
    assert_eq!(sound(&body).options.notify.unwrap().auth_id.as_deref(), Some("crm"));
    assert_invalid(&with(text(), "/notifyurlAuthId", json!([])), "notifyurlAuthId");
}

/// 43
#[test]
fn expiry_is_an_instant_and_whether_it_is_past_is_judged_behind_repetitions() {
    let at = |text: &str| Timestamp::parse_rfc3339(text);
    for (written, instant) in [
        ("", None),
        (" ", None),
        ("2026-04-12T13:00:19.456Z", at("2026-04-12T13:00:19.456Z")),
        (" 2026-04-12t13:00:19z ", at("2026-04-12T13:00:19Z")),
        ("2026-04-12T13:00:19+5:30", at("2026-04-12T07:30:19Z")),
        ("2026-04-12T13:00:19.5+0530", at("2026-04-12T07:30:19.5Z")),
        ("2026-04-12T13:00:19-8", at("2026-04-12T21:00:19Z")),
        ("2026-04-12T13:00:19 +02:00", None),
        ("2026-04-12T13:00:19", at("2026-04-12T13:00:19Z")),
        ("2020-01-01T00:00:00Z", at("2020-01-01T00:00:00Z")),
    ] {
        let body = with(text(), "/expiry", json!(written));
        if instant.is_none() && !written.trim().is_empty() {
            assert_invalid(&body, "expiry");
        } else {
            assert_eq!(sound(&body).options.expires_at, instant, "{written}");
        }
    }
    assert!(WebexConnect.info().refused_at_once.contains(&ErrorKind::Expired));
    for bad in [
        json!("tomorrow"),
        json!("2026-04-12"),
        json!("2026-04-12T"),
        json!("2026-04-12T+"),
        json!("2026-04-12T13:00:19+"),
        json!("2026-04-12T13:00:19+5:300"),
        json!("2026-13-12T13:00:19Z"),
        json!("２０２６-04-12T13:00:19Z"),
        json!(1_800_000_000),
    ] {
        assert_invalid(&with(text(), "/expiry", bad), "expiry");
    }
}

/// 44
#[test]
fn priority_is_one_of_three() {
    for (written, priority) in [
        (json!("1"), Priority::Low),
        (json!(2), Priority::Normal),
        (json!(""), Priority::Normal),
        (json!(null), Priority::Normal),
        (json!(" 3 "), Priority::High),
    ] {
        assert_eq!(sound(&with(text(), "/priority", written)).options.priority, priority);
    }
    for bad in [json!("9"), json!(9), json!(0), json!("high"), json!(true), json!(2.5)] {
        assert_invalid(&with(text(), "/priority", bad), "priority");
    }
}

/// 29, 55
#[test]
fn unknown_and_unused_members_are_ignored() {
    let mut body = text();
    for (name, value) in [
        ("conversationid", json!("")),
        ("contactPolicy", json!({"groups": [1]})),
        ("options", json!({"trackClicks": "true", "tag1": 5})),
        ("unheard", json!([[]])),
    ] {
        body[name] = value;
    }
    body["destination"][0]["unheard"] = json!({});
    body["channels"]["OTT-Messaging"]["wa"]["unheard"] = json!(1);
    body["channels"]["OTT-Messaging"]["wa"]["text"]["unheard"] = json!(1);
    assert_eq!(sound(&body), sound(&text()));
}

/// 50
#[test]
fn the_same_body_twice_has_no_key_of_its_own() {
    let command = decode(text().to_string().as_bytes()).unwrap();
    assert_eq!(WebexConnect.idempotency_key(&command), None);
}

#[test]
fn the_installations_own_key_has_no_sender() {
    let route = &WebexConnect.routes()[0];
    let body = text().to_string();
    let request = Request { now: now(), ..Request::to(route, Body::Json(body.as_bytes())) };
    let failure = WebexConnect.decode(&request).unwrap_err();
    assert_eq!(failure.kind, ErrorKind::OrgForbidden);
    assert_refusal(&failure, "7104", "Invalid app id");
}
