//! Interactive messages in Meta's form.

use serde_json::Value;

use super::super::{
    Action, CARDS, Card, FlowCall, FlowName, Header, Interactive, MAX_BUTTONS, MAX_ROWS,
    MAX_SECTIONS, ReplyButton, Row, Section,
};
use super::field::Field;
use super::media;
use crate::command::MediaDraft;
use crate::failure::Failure;
use crate::media::MediaKind;

/// More entries than any limit allows are not even read; fewer are counted by the check of limits.
const SLACK: usize = 10;
/// Kinds whose action is kept in Meta's form.
const OTHERS: [&str; 9] = [
    "product",
    "product_list",
    "catalog_message",
    "address_message",
    "voice_call",
    "call_permission_request",
    "contact_request",
    "order_details",
    "order_status",
];

pub(super) fn read(field: &Field<'_>) -> Result<Interactive<MediaDraft>, Failure> {
    field.object()?;
    let kind = field.member("type");
    let action = action(&kind, &field.member("action"))?;
    let header = field.member("header").given().map(|it| header(&it)).transpose()?;
    let text_of = |part: &str| match field.member(part).given() {
        Some(part) => {
            part.object()?;
            part.member("text").string().map(Some)
        }
        None => Ok(None),
    };
    // An empty footer is what forms send for none.
    let footer = text_of("footer")?.filter(|footer| !footer.is_empty());
    Ok(Interactive { header, body: text_of("body")?, footer, action })
}

fn header(field: &Field<'_>) -> Result<Header<MediaDraft>, Failure> {
    field.object()?;
    let kind = field.member("type");
    let word = kind.text()?.to_ascii_lowercase();
    if word == "text" {
        return field.member("text").string().map(Header::Text);
    }
    match MediaKind::parse(&word) {
        Some(kind @ (MediaKind::Image | MediaKind::Video | MediaKind::Document)) => {
            let (media, filename) = media::file(&field.member(kind.as_str()), kind)?;
            Ok(Header::Media { kind, media, filename })
        }
        _ => Err(kind.invalid("must be text, image, video or document")),
    }
}

fn action(kind: &Field<'_>, field: &Field<'_>) -> Result<Action<MediaDraft>, Failure> {
    let word = kind.text()?.trim().to_ascii_lowercase();
    let parameters = field.member("parameters");
    match word.as_str() {
        "button" => buttons(&field.member("buttons")).map(Action::Buttons),
        "list" => {
            field.object()?;
            let button = field.member("button").text()?;
            Ok(Action::List { button, sections: sections(&field.member("sections"))? })
        }
        "cta_url" => {
            parameters_of(field)?;
            let display_text = parameters.member("display_text").text()?;
            Ok(Action::CtaUrl { display_text, url: media::url(&parameters.member("url"))? })
        }
        "location_request_message" => Ok(Action::LocationRequest),
        "flow" => {
            parameters_of(field)?;
            flow(&parameters).map(Action::Flow)
        }
        "carousel" => {
            field.object()?;
            let cards = field.member("cards").array(*CARDS.end() + SLACK)?;
            cards.iter().map(card).collect::<Result<_, _>>().map(Action::Carousel)
        }
        other if OTHERS.contains(&other) => {
            let action = Value::Object(field.object()?.clone());
            Ok(Action::Other { kind: word, action })
        }
        _ => Err(kind.invalid("is not a kind of interactive message")),
    }
}

fn parameters_of(action: &Field<'_>) -> Result<(), Failure> {
    action.object()?;
    action.member("parameters").object().map(drop)
}

fn buttons(field: &Field<'_>) -> Result<Vec<ReplyButton>, Failure> {
    let button = |field: &Field<'_>| {
        field.object()?;
        let kind = field.member("type");
        if kind.optional_string()?.is_some_and(|kind| !kind.eq_ignore_ascii_case("reply")) {
            return Err(kind.invalid("must be reply"));
        }
        let reply = field.member("reply");
        reply.object()?;
        let (id, title) = (reply.member("id").text()?, reply.member("title").text()?);
        Ok(ReplyButton { id, title })
    };
    field.array(MAX_BUTTONS + SLACK)?.iter().map(button).collect()
}

fn sections(field: &Field<'_>) -> Result<Vec<Section>, Failure> {
    let row = |field: &Field<'_>| {
        field.object()?;
        let description = field.member("description").optional_string()?;
        Ok(Row {
            id: field.member("id").text()?,
            title: field.member("title").text()?,
            description: description.filter(|description| !description.is_empty()),
        })
    };
    let section = |field: &Field<'_>| {
        field.object()?;
        let title = field.member("title").optional_string()?.filter(|title| !title.is_empty());
        let rows = field.member("rows").array(MAX_ROWS + SLACK)?;
        Ok(Section { title, rows: rows.iter().map(row).collect::<Result<_, Failure>>()? })
    };
    field.array(MAX_SECTIONS + SLACK)?.iter().map(section).collect()
}

fn flow(field: &Field<'_>) -> Result<FlowCall, Failure> {
    let (id, name) = (field.member("flow_id"), field.member("flow_name"));
    let flow = match (id.is_given(), name.is_given()) {
        (true, false) => FlowName::Id(id.id()?),
        (false, true) => FlowName::Name(name.text()?),
        (true, true) => return Err(name.invalid("cannot stand beside flow_id; give one of them")),
        (false, false) => return Err(id.missing()),
    };
    let version = field.member("flow_message_version");
    if version.is_given() && version.id()? != "3" {
        return Err(version.invalid("must be 3"));
    }
    let payload = field.member("flow_action_payload");
    if payload.is_given() {
        payload.object()?;
    }
    let data = payload.member("data").given().map(|data| data.object().cloned()).transpose()?;
    Ok(FlowCall {
        flow,
        cta: field.member("flow_cta").text()?,
        token: field.member("flow_token").optional_string()?,
        draft: word_of(&field.member("mode"), &["published", "draft"])?.as_deref() == Some("draft"),
        action: word_of(&field.member("flow_action"), &["navigate", "data_exchange"])?,
        screen: payload.member("screen").optional_string()?,
        data: data.unwrap_or_default(),
    })
}

/// One of a few words, in any letter case.
fn word_of(field: &Field<'_>, words: &[&str]) -> Result<Option<String>, Failure> {
    let Some(text) = field.optional_string()? else { return Ok(None) };
    let text = text.to_ascii_lowercase();
    let refusal = || field.invalid(&format!("must be {}", words.join(" or ")));
    if words.contains(&text.as_str()) { Ok(Some(text)) } else { Err(refusal()) }
}

fn card(field: &Field<'_>) -> Result<Card<MediaDraft>, Failure> {
    field.object()?;
    let body = field.member("body").given();
    let header = field.member("header").given().map(|it| header(&it)).transpose()?;
    Ok(Card {
        kind: field.member("type").optional_string()?,
        header,
        body: body.map(|body| body.member("text").string()).transpose()?,
        action: Value::Object(field.member("action").object()?.clone()),
    })
}
