//! Meta's form goes in and comes out again unchanged; what has another form is refused with the
//! path of the field.

use serde_json::{Map, Value, json};

use super::super::*;
use super::*;
use crate::failure::ErrorKind;
use crate::media::MediaKind;

fn place(draft: &MediaDraft) -> Map<String, Value> {
    let (name, value) = match &draft.source {
        MediaSource::Id(id) => ("id", id.as_str()),
        MediaSource::Link { url, .. } => ("link", url.as_str()),
        _ => panic!("not in Meta's form"),
    };
    Map::from_iter([(name.to_owned(), json!(value))])
}

fn written(content: &Content<MediaDraft>) -> Value {
    let mut object = Map::new();
    content.write_message_object(&mut object, place);
    object.remove(content.type_name()).unwrap()
}

fn interactive(kind: &str, action: &Value) -> Value {
    json!({"type": kind, "body": {"text": "What shall it be?"}, "action": action})
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn buttons() -> Value {
    json!({"buttons":[
        {"type":"reply","reply":{"id":"yes","title":"Yes"}},
        {"type":"reply","reply":{"id":"no","title":"No"}}]})
}

fn list() -> Value {
    json!({"button":"Choose","sections":[
        {"title":"Hot","rows":[{"id":"1","title":"Tea","description":"Black"}]},
        {"title":"Cold","rows":[{"id":"2","title":"Water"}]}]})
}

fn cta() -> Value {
    json!({"name":"cta_url","parameters":{"display_text":"See","url":"https://example.com/a?b=c"}})
}

fn flow() -> Value {
    json!({"name":"flow","parameters":{"flow_message_version":"3","flow_id":"1000000000000777",
        "flow_cta":"Book","flow_token":"t","mode":"draft","flow_action":"navigate",
        "flow_action_payload":{"screen":"FIRST","data":{"a":1}}}})
}

fn carousel() -> Value {
    let card = |index: u32| {
        json!({"card_index":index,"type":"cta_url",
            "header":{"type":"image","image":{"id":"1000000000000042"}},
            "body":{"text":"A card"},"action":cta()})
    };
    json!({"cards":[card(0), card(1)]})
}

fn quick_replies() -> Value {
    let card = |index: u32| {
        json!({"card_index":index,"header":{"type":"video","video":{"link":"https://example.com/v"}},
            "action":{"buttons":[
                {"type":"quick_reply","quick_reply":{"id":"a","title":"A"}},
                {"type":"quick_reply","quick_reply":{"id":"b","title":"B"}}]}})
    };
    json!({"cards":[card(0), card(1)]})
}

fn products() -> Value {
    json!({"catalog_id":"77","sections":[{"title":"All","product_items":[{"product_retailer_id":"p"}]}]})
}

fn every_kind() -> Vec<Value> {
    let product = json!({"type":"product","action":{"catalog_id":"77","product_retailer_id":"p"}});
    let image = json!({"type":"image","image":{"link":"https://example.com/a.png"}});
    let file = json!({"type":"document","document":{"id":"1000000000000043","filename":"a.pdf"}});
    let text = json!({"type":"text","text":"Today"});
    let footer = json!({"text":"Small print"});
    let other = |kind: &str, name: &str| interactive(kind, &json!({"name": name}));
    vec![
        with(with(interactive("button", &buttons()), "header", image), "footer", footer.clone()),
        with(with(interactive("list", &list()), "header", text.clone()), "footer", footer),
        with(interactive("cta_url", &cta()), "header", file),
        interactive("location_request_message", &json!({"name":"send_location"})),
        interactive("flow", &flow()),
        interactive("carousel", &carousel()),
        interactive("carousel", &quick_replies()),
        product,
        with(interactive("product_list", &products()), "header", text),
        other("catalog_message", "catalog_message"),
        interactive(
            "address_message",
            &json!({"name":"address_message","parameters":{"country":"IN"}}),
        ),
        interactive(
            "voice_call",
            &json!({"name":"voice_call","parameters":{"display_text":"Call","ttl_minutes":60}}),
        ),
        json!({"type":"call_permission_request","action":{"name":"call_permission_request"}}),
        other("contact_request", "request_contact_info"),
        other("order_details", "review_and_pay"),
        other("order_status", "review_order"),
    ]
}

#[test]
fn every_kind_of_interactive_message_is_written_as_it_was_read() {
    for value in every_kind() {
        let read = read_interactive(&value, "interactive").unwrap();
        read.check("interactive").unwrap();
        let content = Content::Interactive(Box::new(read));
        assert_eq!(written(&content), value);
    }
}

#[test]
fn every_kind_survives_storage() {
    for value in every_kind() {
        let read = Content::Interactive(Box::new(read_interactive(&value, "").unwrap()));
        let stored: Content = read.with_media(|draft| MediaRef::Link(draft.field));
        let text = serde_json::to_string(&stored).unwrap();
        assert_eq!(serde_json::from_str::<Content>(&text).unwrap(), stored);
    }
}

#[test]
fn files_of_cards_are_files_of_the_message() {
    let value = interactive("carousel", &carousel());
    let content = Content::Interactive(Box::new(read_interactive(&value, "interactive").unwrap()));
    let paths: Vec<&str> = content.media().iter().map(|draft| draft.field.as_str()).collect();
    assert_eq!(
        paths,
        [
            "interactive.action.cards[0].header.image.id",
            "interactive.action.cards[1].header.image.id"
        ]
    );
    let value = json!([{"type":"carousel","cards":[
        {"card_index":0,"components":[{"type":"header","parameters":[
            {"type":"image","image":{"id":"1"}}]}]}]}]);
    let components = read_components(&value, "template.components").unwrap();
    let template = TemplateMessage { name: "t".to_owned(), language: None, components };
    let content = Content::Template(template);
    let path = "template.components[0].cards[0].components[0].parameters[0].image.id";
    assert_eq!(content.media()[0].field, path);
    let mut renamed = Vec::new();
    content.with_media(|draft| renamed.push(draft.field));
    assert_eq!(renamed, [path]);
}

#[test]
fn a_wrong_form_is_refused_with_the_path_of_the_field() {
    use ErrorKind::{InvalidType, InvalidValue, MissingField};
    let button = |button: Value| interactive("button", &json!({"buttons":[button]}));
    let parameters = |kind: &str, parameters: Value| {
        interactive(kind, &json!({"name": kind, "parameters": parameters}))
    };
    let header = |header: Value| with(interactive("button", &buttons()), "header", header);
    for (value, kind, field) in [
        (json!("text"), InvalidType, "x"),
        (Value::Null, MissingField, "x"),
        (json!({"action":{}}), MissingField, "x.type"),
        (json!({"type":"poll","action":{}}), InvalidValue, "x.type"),
        (json!({"type":"product"}), MissingField, "x.action"),
        (json!({"type":"button"}), MissingField, "x.action.buttons"),
        (button(json!(1)), InvalidType, "x.action.buttons[0]"),
        (button(json!({"type":"url"})), InvalidValue, "x.action.buttons[0].type"),
        (button(json!({"type":"reply"})), MissingField, "x.action.buttons[0].reply"),
        (
            button(json!({"type":"reply","reply":{"id":"1"}})),
            MissingField,
            "x.action.buttons[0].reply.title",
        ),
        (
            button(json!({"type":"reply","reply":{"id":" ","title":"a"}})),
            InvalidValue,
            "x.action.buttons[0].reply.id",
        ),
        (json!({"type":"list","action":{"button":"b"}}), MissingField, "x.action.sections"),
        (
            json!({"type":"list","action":{"button":"b","sections":[{"title":"t"}]}}),
            MissingField,
            "x.action.sections[0].rows",
        ),
        (json!({"type":"cta_url","action":{}}), MissingField, "x.action.parameters"),
        (
            parameters("cta_url", json!({"display_text":"a","url":"ftp://example.com"})),
            InvalidValue,
            "x.action.parameters.url",
        ),
        (parameters("flow", json!({})), MissingField, "x.action.parameters.flow_id"),
        (
            parameters("flow", json!({"flow_id":"1","flow_name":"a"})),
            InvalidValue,
            "x.action.parameters.flow_name",
        ),
        (
            parameters("flow", json!({"flow_id":"1","flow_cta":"a","mode":"test"})),
            InvalidValue,
            "x.action.parameters.mode",
        ),
        (
            parameters("flow", json!({"flow_id":"1","flow_message_version":"2"})),
            InvalidValue,
            "x.action.parameters.flow_message_version",
        ),
        (header(json!({"type":"sticker"})), InvalidValue, "x.header.type"),
        (header(json!({"type":"text"})), MissingField, "x.header.text"),
        (header(json!({"type":"image"})), MissingField, "x.header.image"),
        (header(json!({"type":"image","image":{}})), MissingField, "x.header.image.id"),
        (
            header(json!({"type":"image","image":{"id":"1","link":"https://a.example"}})),
            InvalidValue,
            "x.header.image.link",
        ),
        (with(button(json!({})), "body", json!("text")), MissingField, "x.action.buttons[0].reply"),
        (with(interactive("button", &buttons()), "body", json!("text")), InvalidType, "x.body"),
    ] {
        let failure = read_interactive(&value, "x").unwrap_err();
        assert_eq!((failure.kind, failure.field.as_deref()), (kind, Some(field)), "{value}");
    }
}

#[test]
fn forms_that_callers_send_in_other_words_are_read_too() {
    let value = json!({"type":"BUTTON","body":{"text":"a"},"footer":{"text":""},
        "action":{"buttons":[{"reply":{"id":"1","title":"a"}}]}});
    let read = read_interactive(&value, "interactive").unwrap();
    assert_eq!((read.kind(), read.footer.as_deref()), ("button", None));
    let value = interactive(
        "flow",
        &json!({"name":"flow","parameters":{"flow_id":1_000_777,"flow_message_version":3,
            "flow_cta":"Go","mode":"published","flow_action_payload":{"data":{}}}}),
    );
    let Action::Flow(call) = read_interactive(&value, "").unwrap().action else { panic!("a flow") };
    assert_eq!(call.flow, FlowName::Id("1000777".to_owned()));
    assert!(!call.draft && call.data.is_empty());
}

#[test]
fn template_components_are_written_as_they_were_read() {
    let components = json!([
        {"type":"header","parameters":[{"type":"document",
            "document":{"id":"1000000000000042","filename":"a.pdf"}}]},
        {"type":"body","parameters":[{"type":"text","parameter_name":"who","text":"Ann"},
            {"type":"currency","currency":{"fallback_value":"1","code":"USD","amount_1000":1000}}]},
        {"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"x"}]},
        {"type":"limited_time_offer","parameters":[],"further":true},
        {"type":"carousel","cards":[
            {"card_index":0,"components":[
                {"type":"header","parameters":[{"type":"image","image":{"link":"https://a.example/i"}}]},
                {"type":"button","sub_type":"quick_reply","index":"0",
                    "parameters":[{"type":"payload","payload":"p"}]}]},
            {"card_index":1,"components":[]}]}]);
    let read = read_components(&components, "template.components").unwrap();
    let template = TemplateMessage {
        name: "offer".to_owned(),
        language: Some("en".to_owned()),
        components: read,
    };
    let content = Content::Template(template);
    let expected = json!({"name":"offer","language":{"code":"en"},"components":components});
    assert_eq!(written(&content), expected);
    let stored: Content = content.with_media(|draft| MediaRef::Link(draft.field));
    let text = serde_json::to_string(&stored).unwrap();
    assert_eq!(serde_json::from_str::<Content>(&text).unwrap(), stored);
}

#[test]
fn template_components_in_another_form_are_refused_with_the_path() {
    use ErrorKind::{InvalidType, InvalidValue, MissingField, ValueTooLong};
    for (component, kind, field) in [
        (json!(1), InvalidType, "c[0]"),
        (json!({}), MissingField, "c[0].type"),
        (json!({"type":"button","index":"x"}), InvalidValue, "c[0].index"),
        (json!({"type":"body","parameters":{}}), InvalidType, "c[0].parameters"),
        (json!({"type":"body","parameters":[{}]}), MissingField, "c[0].parameters[0].type"),
        (
            json!({"type":"body","parameters":[{"type":"text"}]}),
            MissingField,
            "c[0].parameters[0].text",
        ),
        (
            json!({"type":"body","parameters":[{"type":"text","text":"ü".repeat(32_769)}]}),
            ValueTooLong,
            "c[0].parameters[0].text",
        ),
        (
            json!({"type":"carousel","cards":[{"components":[{"type":"carousel","cards":[]}]}]}),
            InvalidValue,
            "c[0].cards[0].components[0].cards",
        ),
    ] {
        let failure = read_components(&json!([component]), "c").unwrap_err();
        assert_eq!((failure.kind, failure.field.as_deref()), (kind, Some(field)), "{component}");
    }
    assert_eq!(read_components(&Value::Null, "c").unwrap(), []);
    let many = Value::Array(vec![json!({"type":"body"}); 33]);
    assert_eq!(read_components(&many, "c").unwrap_err().field.as_deref(), Some("c"));
}

#[test]
fn contact_cards_are_written_as_they_were_read() {
    let cards = json!([{
        "name":{"formatted_name":"Dr. Ann B. Cole Jr.","first_name":"Ann","last_name":"Cole",
            "middle_name":"B.","suffix":"Jr.","prefix":"Dr."},
        "phones":[{"phone":"+1 555 000 1111","type":"WORK","wa_id":"15550001111"}],
        "emails":[{"email":"ann@example.com","type":"HOME"}],
        "addresses":[{"street":"1 Road","city":"Town","state":"TS","zip":"1","country":"Land",
            "country_code":"xx","type":"HOME"}],
        "org":{"company":"Firm","department":"Shop","title":"Head"},
        "urls":[{"url":"https://example.com","type":"WORK"}],
        "birthday":"1990-02-28"}]);
    let read = read_contacts(&cards, "contacts").unwrap();
    check_contacts(&read, "contacts").unwrap();
    assert_eq!(written(&Content::Contacts(read)), cards);
    for (card, field) in [
        (json!([]), "contacts[0]"),
        (json!({}), "contacts[0].name"),
        (json!({"name":{"first_name":"Ann"}}), "contacts[0].name.formatted_name"),
        (json!({"name":{"formatted_name":"A"},"phones":["1"]}), "contacts[0].phones[0]"),
        (json!({"name":{"formatted_name":"A"},"org":"Firm"}), "contacts[0].org"),
        (json!({"name":{"formatted_name":"A"},"urls":[{"url":1}]}), "contacts[0].urls[0].url"),
    ] {
        let failure = read_contacts(&json!([card]), "contacts").unwrap_err();
        assert_eq!(failure.field.as_deref(), Some(field), "{card}");
    }
}

#[test]
fn a_link_may_name_the_provider_that_knows_its_credential() {
    for provider in [json!("files"), json!({"name":"files"})] {
        let image = json!({"link":"https://files.example.com/a.png","provider":provider});
        let header = json!({"type":"image","image":image});
        let value = with(interactive("button", &buttons()), "header", header);
        let read = read_interactive(&value, "interactive").unwrap();
        let Some(Header::Media { kind: MediaKind::Image, media, .. }) = read.header else {
            panic!("an image")
        };
        let url = "https://files.example.com/a.png".to_owned();
        assert_eq!(media.source, MediaSource::Link { url, provider: Some("files".to_owned()) });
        assert_eq!(media.field, "interactive.header.image.link");
    }
}
