//! Each limit, met and exceeded by one.

use serde_json::json;

use super::*;
use crate::content::{ReplyButton, read_contacts, read_interactive};

fn text(chars: usize) -> String {
    "ü".repeat(chars)
}

fn button(id: usize, title: usize) -> ReplyButton {
    ReplyButton { id: text(id), title: text(title) }
}

fn buttons(count: usize) -> Action<()> {
    let button = |place: usize| ReplyButton { id: place.to_string(), title: place.to_string() };
    Action::Buttons((0..count).map(button).collect())
}

fn row(id: usize, title: usize, description: usize) -> Row {
    let description = (description > 0).then(|| text(description));
    Row { id: text(id), title: text(title), description }
}

fn list(button: usize, sections: Vec<(Option<usize>, Vec<Row>)>) -> Action<()> {
    let section =
        |(title, rows): (Option<usize>, Vec<Row>)| Section { title: title.map(text), rows };
    Action::List { button: text(button), sections: sections.into_iter().map(section).collect() }
}

fn one_row(row: Row) -> Action<()> {
    list(1, vec![(None, vec![row])])
}

fn rows(count: usize) -> Vec<Row> {
    vec![row(1, 1, 0); count]
}

fn with_body(chars: usize, action: Action<()>) -> Interactive<()> {
    Interactive::new(text(chars), action)
}

fn with_header(header: Header<()>, action: Action<()>) -> Interactive<()> {
    Interactive { header: Some(header), ..with_body(1, action) }
}

fn with_footer(chars: usize, action: Action<()>) -> Interactive<()> {
    Interactive { footer: Some(text(chars)), ..with_body(1, action) }
}

fn image() -> Header<()> {
    Header::Media { kind: MediaKind::Image, media: (), filename: None }
}

fn cta(label: usize) -> Action<()> {
    Action::CtaUrl { display_text: text(label), url: "https://example.com".to_owned() }
}

fn card(action: Value) -> Card<()> {
    Card { kind: Some("cta_url".to_owned()), header: Some(image()), body: None, action }
}

fn page(label: usize) -> Value {
    json!({"name":"cta_url","parameters":{"display_text":text(label),"url":"https://example.com"}})
}

fn quick(count: usize) -> Value {
    let button = |place: usize| json!({"type":"quick_reply","quick_reply":{"id":place.to_string(),"title":place.to_string()}});
    json!({"buttons": (0..count).map(button).collect::<Vec<_>>()})
}

fn cards(actions: Vec<Value>) -> Action<()> {
    Action::Carousel(actions.into_iter().map(card).collect())
}

#[test]
fn what_is_at_its_limit_passes() {
    let header = |chars| Header::Text(text(chars));
    for message in [
        with_body(1_024, buttons(3)),
        with_body(4_096, one_row(row(1, 1, 0))),
        with_body(1, Action::Buttons(vec![button(256, 20)])),
        with_body(1, list(20, vec![(Some(24), rows(5)), (Some(24), rows(5))])),
        with_body(1, one_row(row(200, 24, 72))),
        with_body(1, cta(20)),
        with_header(header(60), buttons(1)),
        with_header(image(), cta(1)),
        with_footer(60, cta(1)),
        with_body(1, cards(vec![page(20); 10])),
        with_body(1, cards(vec![quick(2); 2])),
        with_body(1_024, Action::LocationRequest),
    ] {
        assert_eq!(message.check("i"), Ok(()), "{message:?}");
    }
}

#[test]
fn what_is_beyond_its_limit_is_refused_with_the_path_of_the_field() {
    use ErrorKind::{InvalidValue, MissingField, ValueTooLong};
    let same = Action::Buttons(vec![button(1, 2), button(2, 2)]);
    let no_body = Interactive { body: None, ..with_body(1, cta(1)) };
    let product_list =
        Action::Other { kind: "product_list".to_owned(), action: json!({"catalog_id":"1"}) };
    let no_header = Card { header: None, body: None, ..card(page(1)) };
    let long_card = Card { body: Some(text(161)), ..card(page(1)) };
    let tall_card = Card { body: Some("a\nb\nc\nd".to_owned()), ..card(page(1)) };
    let carousel = |first: Card<()>| with_body(1, Action::Carousel(vec![first, card(page(1))]));
    for (message, kind, field) in [
        (with_body(1_025, buttons(1)), ValueTooLong, "i.body.text"),
        (with_body(4_097, one_row(row(1, 1, 0))), ValueTooLong, "i.body.text"),
        (with_body(0, buttons(1)), InvalidValue, "i.body.text"),
        (no_body, MissingField, "i.body.text"),
        (with_body(1, buttons(0)), InvalidValue, "i.action.buttons"),
        (with_body(1, buttons(4)), InvalidValue, "i.action.buttons"),
        (
            with_body(1, Action::Buttons(vec![button(1, 21)])),
            ValueTooLong,
            "i.action.buttons[0].reply.title",
        ),
        (
            with_body(1, Action::Buttons(vec![button(257, 1)])),
            ValueTooLong,
            "i.action.buttons[0].reply.id",
        ),
        (with_body(1, same), InvalidValue, "i.action.buttons[1].reply.title"),
        (with_header(Header::Text(text(61)), buttons(1)), ValueTooLong, "i.header.text"),
        (with_header(image(), one_row(row(1, 1, 0))), InvalidValue, "i.header.type"),
        (with_header(image(), Action::LocationRequest), InvalidValue, "i.header"),
        (with_footer(61, cta(1)), ValueTooLong, "i.footer.text"),
        (with_footer(1, Action::LocationRequest), InvalidValue, "i.footer"),
        (with_body(1, list(21, vec![(None, rows(1))])), ValueTooLong, "i.action.button"),
        (with_body(1, list(1, vec![])), InvalidValue, "i.action.sections"),
        (with_body(1, list(1, vec![(Some(1), rows(1)); 11])), InvalidValue, "i.action.sections"),
        (
            with_body(1, list(1, vec![(Some(1), rows(6)), (Some(1), rows(5))])),
            InvalidValue,
            "i.action.sections",
        ),
        (
            with_body(1, list(1, vec![(Some(1), rows(1)), (None, rows(1))])),
            MissingField,
            "i.action.sections[1].title",
        ),
        (
            with_body(1, list(1, vec![(Some(25), rows(1))])),
            ValueTooLong,
            "i.action.sections[0].title",
        ),
        (
            with_body(1, list(1, vec![(Some(1), rows(1)), (Some(1), rows(0))])),
            InvalidValue,
            "i.action.sections[1].rows",
        ),
        (with_body(1, one_row(row(201, 1, 0))), ValueTooLong, "i.action.sections[0].rows[0].id"),
        (with_body(1, one_row(row(1, 25, 0))), ValueTooLong, "i.action.sections[0].rows[0].title"),
        (
            with_body(1, one_row(row(1, 1, 73))),
            ValueTooLong,
            "i.action.sections[0].rows[0].description",
        ),
        (with_body(1, cta(21)), ValueTooLong, "i.action.parameters.display_text"),
        (with_body(1, product_list.clone()), MissingField, "i.header"),
        (with_header(Header::Text(text(1)), product_list), MissingField, "i.action.sections"),
        (with_body(1, cards(vec![page(1)])), InvalidValue, "i.action.cards"),
        (with_body(1, cards(vec![page(1); 11])), InvalidValue, "i.action.cards"),
        (with_header(image(), cards(vec![page(1); 2])), InvalidValue, "i.header"),
        (
            with_body(1, cards(vec![quick(2), quick(1)])),
            InvalidValue,
            "i.action.cards[1].action.buttons",
        ),
        (
            with_body(1, cards(vec![page(21), page(1)])),
            ValueTooLong,
            "i.action.cards[0].action.parameters.display_text",
        ),
        (
            with_body(1, cards(vec![json!({"buttons":[{}]}), page(1)])),
            MissingField,
            "i.action.cards[0].action.buttons[0].quick_reply.id",
        ),
        (carousel(no_header), MissingField, "i.action.cards[0].header"),
        (carousel(long_card), ValueTooLong, "i.action.cards[0].body.text"),
        (carousel(tall_card), InvalidValue, "i.action.cards[0].body.text"),
    ] {
        let failure = message.check("i").unwrap_err();
        assert_eq!((failure.kind, failure.field.as_deref()), (kind, Some(field)), "{message:?}");
    }
}

#[test]
fn kinds_in_metas_own_form_have_limits_too() {
    use ErrorKind::{InvalidValue, MissingField, ValueTooLong};
    let products = |count: usize| {
        json!({"catalog_id":"1","sections":[
            {"product_items": vec![json!({"product_retailer_id":"p"}); count]}]})
    };
    for (kind, action, outcome) in [
        ("product", json!({"catalog_id":"1","product_retailer_id":"p"}), None),
        ("product", json!({"catalog_id":1}), Some((MissingField, "action.product_retailer_id"))),
        ("product_list", products(30), None),
        ("product_list", products(31), Some((InvalidValue, "action.sections[0].product_items"))),
        ("voice_call", json!({"name":"voice_call"}), None),
        (
            "voice_call",
            json!({"parameters":{"display_text":text(21)}}),
            Some((ValueTooLong, "action.parameters.display_text")),
        ),
        (
            "voice_call",
            json!({"parameters":{"ttl_minutes":43_201}}),
            Some((InvalidValue, "action.parameters.ttl_minutes")),
        ),
        (
            "flow",
            json!({"parameters":{"flow_id":"1","flow_cta":text(31)}}),
            Some((ValueTooLong, "action.parameters.flow_cta")),
        ),
    ] {
        let mut value = json!({"type":kind,"body":{"text":"a"},"action":action});
        if kind == "product_list" {
            value["header"] = json!({"type":"text","text":"a"});
        }
        let checked = read_interactive(&value, "i").unwrap().check("i");
        let found = checked.err().map(|failure| (failure.kind, failure.field.unwrap()));
        let expected = outcome.map(|(kind, field)| (kind, format!("i.{field}")));
        assert_eq!(found, expected, "{value}");
    }
}

#[test]
fn contact_cards_need_a_second_part_of_the_name() {
    let check = |card: Value| {
        let cards = read_contacts(&json!([card]), "contacts").unwrap();
        check_contacts(&cards, "contacts").map_err(|failure| failure.field.unwrap())
    };
    assert_eq!(check(json!({"name":{"formatted_name":"A B","last_name":"B"}})), Ok(()));
    for (card, field) in [
        (json!({"name":{"formatted_name":"A B"}}), "contacts[0].name.first_name"),
        (json!({"name":{"formatted_name":"A B","prefix":" "}}), "contacts[0].name.first_name"),
        (
            json!({"name":{"formatted_name":"A","first_name":"A"},"birthday":"28.2.1990"}),
            "contacts[0].birthday",
        ),
        (
            json!({"name":{"formatted_name":"A","first_name":"A"},"birthday":"1990-02-30"}),
            "contacts[0].birthday",
        ),
    ] {
        assert_eq!(check(card.clone()), Err(field.to_owned()), "{card}");
    }
    assert!(check_contacts(&[], "contacts").is_err());
}
