//! Each kind of component, filled in and left out.

use serde_json::json;

use super::*;
use crate::content::TemplateCard;

fn check_as(is_named: bool, components: &Value, given: &[Component<()>]) -> Result<(), String> {
    let components = components.as_array().unwrap();
    let part = Part { name: "offer", components, is_named };
    part.check(given).map_err(|failure| {
        assert_eq!(failure.kind, ErrorKind::TemplateParameterMismatch);
        failure.message
    })
}

fn check(components: &Value, given: &[Component<()>]) -> Result<(), String> {
    check_as(false, components, given)
}

fn text(value: &str) -> Parameter<()> {
    Parameter::Text { text: value.to_owned(), name: None }
}

fn named(name: &str) -> Parameter<()> {
    Parameter::Text { text: "x".to_owned(), name: Some(name.to_owned()) }
}

fn file(kind: MediaKind) -> Parameter<()> {
    Parameter::Media { kind, media: (), filename: None }
}

fn other(kind: &str) -> Parameter<()> {
    Parameter::Other(json!({"type": kind, kind: "x"}))
}

fn header(parameters: Vec<Parameter<()>>) -> Component<()> {
    Component::new("header", parameters)
}

fn body(parameters: Vec<Parameter<()>>) -> Component<()> {
    Component::new("body", parameters)
}

fn button(sub_type: &str, index: u32, parameters: Vec<Parameter<()>>) -> Component<()> {
    Component::button(sub_type, index, parameters)
}

#[test]
fn a_header_takes_what_its_format_says() {
    let template = |format: &str| json!([{"type":"HEADER","format":format}]);
    for (format, fitting) in [
        ("IMAGE", file(MediaKind::Image)),
        ("VIDEO", file(MediaKind::Video)),
        ("GIF", file(MediaKind::Video)),
        ("document", file(MediaKind::Document)),
        ("LOCATION", other("location")),
    ] {
        let template = template(format);
        assert_eq!(check(&template, &[header(vec![fitting.clone()])]), Ok(()), "{format}");
        assert!(check(&template, &[]).is_err(), "{format}");
        assert!(check(&template, &[header(vec![text("a")])]).is_err(), "{format}");
        assert!(check(&template, &[header(vec![fitting.clone(), fitting])]).is_err(), "{format}");
    }
    let plain = json!([{"type":"HEADER","format":"TEXT","text":"Hello {{1}}"}]);
    assert_eq!(check(&plain, &[header(vec![text("a")])]), Ok(()));
    assert!(check(&plain, &[header(vec![file(MediaKind::Image)])]).is_err());
    let bare = json!([{"type":"BODY","text":"Hello"}]);
    assert!(check(&bare, &[header(vec![other("location")])]).is_err());
}

#[test]
fn a_part_is_given_once() {
    let template = json!([{"type":"HEADER","format":"TEXT","text":"Hello {{1}}"},
        {"type":"BODY","text":"{{1}} and {{2}}"}]);
    let header = || header(vec![text("a")]);
    let body = || body(vec![text("x"), text("y")]);
    assert_eq!(check(&template, &[header(), body()]), Ok(()));
    for (wrong, part) in [
        (vec![header(), body(), body()], "body"),
        (vec![header(), header(), body()], "header"),
        (vec![header(), body(), Component::new("body", vec![])], "body"),
    ] {
        let message = check(&template, &wrong).unwrap_err();
        assert!(message.contains(&format!("{part} is given twice")), "{message}");
    }
}

#[test]
fn named_variables_are_filled_by_name_in_any_order() {
    let template = json!([{"type":"BODY","text":"{{first_name}}, your order {{order_id}}"}]);
    let given = |names: &[&str]| [body(names.iter().map(|name| named(name)).collect())];
    assert_eq!(check_as(true, &template, &given(&["order_id", "first_name"])), Ok(()));
    for wrong in [&["first_name"][..], &["first_name", "first_name"], &["first_name", "name"]] {
        let message = check_as(true, &template, &given(wrong)).unwrap_err();
        assert!(message.contains("named first_name, order_id"), "{message}");
    }
    assert!(check_as(true, &template, &[body(vec![text("a"), text("b")])]).is_err());
    let money = Parameter::Other(json!({"type":"currency","parameter_name":"order_id"}));
    assert_eq!(check_as(true, &template, &[body(vec![named("first_name"), money])]), Ok(()));
}

fn with_buttons(buttons: &Value) -> Value {
    json!([{"type":"BODY","text":"Hello"},{"type":"BUTTONS","buttons":buttons}])
}

#[test]
fn buttons_with_a_variable_need_their_value() {
    let dynamic = json!({"type":"URL","text":"Go","url":"https://example.com/{{1}}"});
    let code = json!({"type":"COPY_CODE","example":"SUMMER"});
    let products = json!({"type":"MPM","text":"View"});
    let password = json!({"type":"OTP","otp_type":"COPY_CODE"});
    for (wanted, given) in [
        (&dynamic, button("url", 0, vec![text("summer")])),
        (&code, button("copy_code", 0, vec![other("coupon_code")])),
        (&products, button("mpm", 0, vec![other("action")])),
    ] {
        let template = with_buttons(&json!([wanted]));
        assert_eq!(check(&template, std::slice::from_ref(&given)), Ok(()), "{wanted}");
        let message = check(&template, &[]).unwrap_err();
        assert!(message.contains("button 0"), "{message}");
        let mut elsewhere = given.clone();
        elsewhere.index = Some(1);
        assert!(check(&template, &[elsewhere]).is_err(), "{wanted}: no such button");
        let mut nowhere = given.clone();
        nowhere.index = None;
        assert!(check(&template, &[nowhere]).is_err(), "{wanted}: which one");
        assert!(check(&template, &[given.clone(), given.clone()]).is_err(), "{wanted}: twice");
        let mut empty = given.clone();
        empty.parameters.clear();
        assert!(check(&template, &[empty]).is_err(), "{wanted}: empty");
        let mut more = given.clone();
        more.parameters.push(text("b"));
        assert!(check(&template, &[more]).is_err(), "{wanted}: two values");
        let other_kind = button("quick_reply", 0, given.parameters);
        assert!(check(&template, &[other_kind]).is_err(), "{wanted}: another kind");
    }
    let template = json!([{"type":"BODY","add_security_recommendation":true},
        {"type":"BUTTONS","buttons":[password]}]);
    let code = || body(vec![text("123456")]);
    for sub_type in ["url", "copy_code"] {
        let given = [code(), button(sub_type, 0, vec![text("123456")])];
        assert_eq!(check(&template, &given), Ok(()), "{sub_type}");
    }
    assert!(check(&template, &[code()]).is_err(), "the button's copy of the code");
    assert!(check(&template, &[button("url", 0, vec![text("123456")])]).is_err(), "the body's");
}

#[test]
fn buttons_without_a_variable_need_nothing() {
    let quick = json!({"type":"QUICK_REPLY","text":"Yes"});
    let fixed = json!({"type":"URL","text":"Go","url":"https://example.com/"});
    let call = json!({"type":"PHONE_NUMBER","phone_number":"15550001111"});
    let form = json!({"type":"FLOW","text":"Book","flow_id":"1"});
    let template = with_buttons(&json!([quick, fixed, call, form]));
    for given in [
        vec![],
        vec![button("quick_reply", 0, vec![other("payload")])],
        vec![button("flow", 3, vec![other("action")])],
        vec![button("flow", 3, vec![])],
    ] {
        assert_eq!(check(&template, &given), Ok(()), "{given:?}");
    }
    for wrong in [
        button("quick_reply", 0, vec![]),
        button("quick_reply", 0, vec![other("payload"), other("payload")]),
        button("quick_reply", 0, vec![text("payload")]),
        button("url", 1, vec![text("summer")]),
        button("voice_call", 2, vec![text("1")]),
        button("url", 0, vec![text("summer")]),
        button("flow", 3, vec![other("action"), other("action")]),
        button("flow", 4, vec![]),
    ] {
        assert!(check(&template, std::slice::from_ref(&wrong)).is_err(), "{wrong:?}");
    }
    let none = json!([{"type":"BODY","text":"Hello"}]);
    assert!(check(&none, &[button("url", 0, vec![text("a")])]).is_err());
}

#[test]
fn every_card_of_a_carousel_is_filled() {
    let card = json!({"components":[{"type":"HEADER","format":"IMAGE"},
        {"type":"BODY","text":"For {{1}}"},
        {"type":"BUTTONS","buttons":[{"type":"URL","url":"https://example.com/{{1}}"}]}]});
    let template = json!([{"type":"BODY","text":"Look"},{"type":"CAROUSEL","cards":[card, card]}]);
    let filled = |index: u32| TemplateCard {
        index,
        components: vec![
            header(vec![file(MediaKind::Image)]),
            body(vec![text("you")]),
            button("url", 0, vec![text("a")]),
        ],
    };
    let carousel = |cards: Vec<TemplateCard<()>>| {
        let mut component = Component::new("carousel", vec![]);
        component.cards = cards;
        [component]
    };
    assert_eq!(check(&template, &carousel(vec![filled(1), filled(0)])), Ok(()));
    for wrong in [
        vec![],
        vec![filled(0)],
        vec![filled(0), filled(0)],
        vec![filled(0), filled(1), filled(2)],
        vec![filled(0), TemplateCard { components: vec![], ..filled(1) }],
    ] {
        assert!(check(&template, &carousel(wrong.clone())).is_err(), "{wrong:?}");
    }
    let mut half = filled(1);
    half.components.pop();
    let message = check(&template, &carousel(vec![filled(0), half])).unwrap_err();
    assert!(message.contains("card 1") && message.contains("button 0"), "{message}");
    assert!(check(&template, &[]).is_err());
    let plain = json!([{"type":"BODY","text":"Look"}]);
    assert!(check(&plain, &carousel(vec![filled(0), filled(1)])).is_err());
}
