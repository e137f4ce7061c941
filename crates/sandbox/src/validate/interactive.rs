//! Interactive messages (reference §1.4): one function per type with its limits.

use std::collections::HashSet;

use serde_json::Value;

use super::{Fields, MediaRef, check_media, invalid, is_web_url, missing};
use crate::errors::{Answer, GraphError};
use crate::media_kind::MediaKind;

const HEADER_MAX: usize = 60;
const FOOTER_MAX: usize = 60;
const BODY_MAX: usize = 1_024;
const LIST_BODY_MAX: usize = 4_096;
const BUTTON_ID_MAX: usize = 256;
const BUTTON_TITLE_MAX: usize = 20;
const LABEL_MAX: usize = 20;
const URL_MAX: usize = 2_000;
const CARD_BODY_MAX: usize = 160;
const AT: &str = "interactive";

/// Which headers a type takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HeaderRule {
    Nothing,
    Text,
    TextRequired,
    TextOrMedia,
}

/// What the parts around the action must look like.
struct Frame {
    header: HeaderRule,
    body_max: usize,
    body_required: bool,
    footer: bool,
}

/// Checks the `interactive` member; collects the media of headers and cards.
pub(super) fn check<'a>(content: &'a Value, media: &mut Vec<MediaRef<'a>>) -> Answer<()> {
    let fields = Fields::of(content, AT)?;
    let kind = fields.text("type", 64)?;
    check_frame(&fields, &frame_of(kind)?, media)?;
    let action = fields.object("action")?;
    match kind {
        "button" => check_buttons(&action),
        "list" => check_list(&action),
        "cta_url" => check_cta_url(&action),
        "location_request_message" => check_name(&action, "send_location"),
        "address_message" => check_address(&action),
        "flow" => check_flow(&action),
        "product" => check_product(&action),
        "product_list" => check_product_list(&action),
        "catalog_message" => check_name(&action, "catalog_message"),
        "carousel" => check_carousel(&action, media),
        "voice_call" => check_voice_call(&action),
        "call_permission_request" => check_name(&action, "call_permission_request"),
        "contact_request" => check_name(&action, "request_contact_info"),
        "order_details" => check_name(&action, "review_and_pay"),
        _ => check_name(&action, "review_order"),
    }
}

fn frame_of(kind: &str) -> Answer<Frame> {
    let frame =
        |header, body_max, body_required, footer| Frame { header, body_max, body_required, footer };
    Ok(match kind {
        "button" | "cta_url" | "flow" | "order_details" => {
            frame(HeaderRule::TextOrMedia, BODY_MAX, true, true)
        }
        "list" => frame(HeaderRule::Text, LIST_BODY_MAX, true, true),
        "location_request_message" => frame(HeaderRule::Nothing, BODY_MAX, true, false),
        "product" => frame(HeaderRule::Nothing, BODY_MAX, false, true),
        "product_list" => frame(HeaderRule::TextRequired, BODY_MAX, true, true),
        "carousel" => frame(HeaderRule::Nothing, BODY_MAX, true, false),
        "call_permission_request" => frame(HeaderRule::Nothing, BODY_MAX, false, true),
        "address_message" | "catalog_message" | "voice_call" | "contact_request"
        | "order_status" => frame(HeaderRule::Text, BODY_MAX, true, true),
        _ => return Err(GraphError::parameter(format!("interactive.type {kind} is unknown."))),
    })
}

fn check_frame<'a>(
    fields: &Fields<'a>,
    frame: &Frame,
    media: &mut Vec<MediaRef<'a>>,
) -> Answer<()> {
    if let Some(body) = fields.optional_object("body")? {
        body.text("text", frame.body_max)?;
    } else if frame.body_required {
        return Err(missing("interactive.body"));
    }
    if let Some(footer) = fields.optional_object("footer")? {
        if !frame.footer {
            return Err(invalid("interactive.footer", "is not allowed for this type"));
        }
        footer.text("text", FOOTER_MAX)?;
    }
    let Some(header) = fields.optional_object("header")? else {
        return match frame.header {
            HeaderRule::TextRequired => Err(missing("interactive.header")),
            _ => Ok(()),
        };
    };
    check_header(&header, frame.header, media)
}

fn check_header<'a>(
    header: &Fields<'a>,
    rule: HeaderRule,
    media: &mut Vec<MediaRef<'a>>,
) -> Answer<()> {
    let kind = header.text("type", 64)?;
    match (rule, kind) {
        (HeaderRule::Nothing, _) => {
            Err(invalid("interactive.header", "is not allowed for this type"))
        }
        (_, "text") => header.text("text", HEADER_MAX).map(drop),
        (HeaderRule::TextOrMedia, "image" | "video" | "document") => {
            let of = MediaKind::parse(kind).unwrap_or(MediaKind::Document);
            media.push(check_media(header.required(kind)?, of, &header.path(kind))?);
            Ok(())
        }
        _ => Err(invalid("interactive.header.type", "is not allowed for this type")),
    }
}

fn check_name(action: &Fields<'_>, name: &str) -> Answer<()> {
    if action.text("name", 64)? == name {
        return Ok(());
    }
    Err(invalid(&action.path("name"), &format!("must be {name}")))
}

/// A `{id, title}` that must be unique by both.
fn check_reply<'a>(
    reply: &Fields<'a>,
    ids: &mut HashSet<&'a str>,
    titles: &mut HashSet<&'a str>,
) -> Answer<()> {
    if !ids.insert(reply.text("id", BUTTON_ID_MAX)?) {
        return Err(invalid(&reply.path("id"), "must be unique"));
    }
    if !titles.insert(reply.text("title", BUTTON_TITLE_MAX)?) {
        return Err(invalid(&reply.path("title"), "must be unique"));
    }
    Ok(())
}

fn check_buttons(action: &Fields<'_>) -> Answer<()> {
    let (mut ids, mut titles) = (HashSet::new(), HashSet::new());
    for (index, button) in action.array("buttons", 1..=3)?.iter().enumerate() {
        let button = Fields::of(button, &action.path(&format!("buttons[{index}]")))?;
        if button.text("type", 64)? != "reply" {
            return Err(invalid(&button.path("type"), "must be reply"));
        }
        check_reply(&button.object("reply")?, &mut ids, &mut titles)?;
    }
    Ok(())
}

fn check_list(action: &Fields<'_>) -> Answer<()> {
    action.text("button", LABEL_MAX)?;
    let sections = action.array("sections", 1..=10)?;
    let mut ids = HashSet::new();
    let mut rows = 0;
    for (index, section) in sections.iter().enumerate() {
        let section = Fields::of(section, &action.path(&format!("sections[{index}]")))?;
        let title = section.optional_any_text("title", 24)?;
        if sections.len() > 1 && title.is_none_or(str::is_empty) {
            let why = "is required when there are several sections";
            return Err(invalid(&section.path("title"), why));
        }
        for (index, row) in section.array("rows", 1..=10)?.iter().enumerate() {
            let row = Fields::of(row, &section.path(&format!("rows[{index}]")))?;
            row.text("title", 24)?;
            row.optional_any_text("description", 72)?;
            if !ids.insert(row.text("id", 200)?) {
                return Err(invalid(&row.path("id"), "must be unique"));
            }
            rows += 1;
        }
    }
    if rows > 10 {
        return Err(invalid(&action.path("sections"), "have at most 10 rows in total"));
    }
    Ok(())
}

fn check_cta_url(action: &Fields<'_>) -> Answer<()> {
    check_name(action, "cta_url")?;
    let parameters = action.object("parameters")?;
    parameters.text("display_text", LABEL_MAX)?;
    check_url(&parameters, "url")
}

fn check_url(fields: &Fields<'_>, name: &str) -> Answer<()> {
    let url = fields.text(name, URL_MAX)?;
    if is_web_url(url) {
        return Ok(());
    }
    Err(invalid(&fields.path(name), "must be a valid URL"))
}

fn check_address(action: &Fields<'_>) -> Answer<()> {
    check_name(action, "address_message")?;
    action.object("parameters")?.text("country", 64).map(drop)
}

fn check_flow(action: &Fields<'_>) -> Answer<()> {
    check_name(action, "flow")?;
    let parameters = action.object("parameters")?;
    let version = parameters.required("flow_message_version")?;
    if version.as_str() != Some("3") && version.as_i64() != Some(3) {
        return Err(invalid(&parameters.path("flow_message_version"), "must be 3"));
    }
    if !parameters.has_text("flow_id") && !parameters.has_text("flow_name") {
        return Err(missing(&parameters.path("flow_id")));
    }
    parameters.text("flow_cta", 30)?;
    parameters.optional_text("flow_token", 1_024)?;
    one_of(&parameters, "mode", &["draft", "published"])?;
    one_of(&parameters, "flow_action", &["navigate", "data_exchange"])?;
    let Some(payload) = parameters.optional_object("flow_action_payload")? else { return Ok(()) };
    let data = payload.get("data");
    if data.is_some_and(|data| data.as_object().is_none_or(serde_json::Map::is_empty)) {
        return Err(invalid(&payload.path("data"), "must be an object that is not empty"));
    }
    Ok(())
}

fn one_of(fields: &Fields<'_>, name: &str, values: &[&str]) -> Answer<()> {
    match fields.optional_text(name, 64)? {
        Some(value) if !values.contains(&value) => {
            Err(invalid(&fields.path(name), &format!("must be one of {}", values.join(", "))))
        }
        _ => Ok(()),
    }
}

fn check_product(action: &Fields<'_>) -> Answer<()> {
    action.text("catalog_id", 256)?;
    action.text("product_retailer_id", 256).map(drop)
}

fn check_product_list(action: &Fields<'_>) -> Answer<()> {
    action.text("catalog_id", 256)?;
    let sections = action.array("sections", 1..=10)?;
    let mut products = 0;
    for (index, section) in sections.iter().enumerate() {
        let section = Fields::of(section, &action.path(&format!("sections[{index}]")))?;
        let title = section.optional_any_text("title", 24)?;
        if sections.len() > 1 && title.is_none_or(str::is_empty) {
            return Err(invalid(&section.path("title"), "is required"));
        }
        for (index, item) in section.array("product_items", 1..=30)?.iter().enumerate() {
            let at = section.path(&format!("product_items[{index}]"));
            Fields::of(item, &at)?.text("product_retailer_id", 256)?;
            products += 1;
        }
    }
    if products > 30 {
        return Err(invalid(&action.path("sections"), "have at most 30 products in total"));
    }
    Ok(())
}

fn check_carousel<'a>(action: &Fields<'a>, media: &mut Vec<MediaRef<'a>>) -> Answer<()> {
    let mut quick_replies = None;
    for (index, card) in action.array("cards", 2..=10)?.iter().enumerate() {
        let card = Fields::of(card, &action.path(&format!("cards[{index}]")))?;
        if card.required("card_index")?.as_u64() != Some(index as u64) {
            return Err(invalid(&card.path("card_index"), "must count from 0"));
        }
        let header = card.object("header")?;
        let kind = match header.text("type", 64)? {
            "image" => MediaKind::Image,
            "video" => MediaKind::Video,
            _ => return Err(invalid(&header.path("type"), "must be image or video")),
        };
        media.push(check_media(header.required(kind.name())?, kind, &header.path(kind.name()))?);
        if let Some(body) = card.optional_object("body")? {
            let text = body.text("text", CARD_BODY_MAX)?;
            if text.matches('\n').count() > 2 {
                return Err(invalid(&body.path("text"), "has at most 2 line breaks"));
            }
        }
        let buttons = check_card_action(&card.object("action")?)?;
        if *quick_replies.get_or_insert(buttons) != buttons {
            return Err(invalid(&card.path("action"), "must have as many buttons as the others"));
        }
    }
    Ok(())
}

/// The number of quick replies of a card; 0 for a card with a URL button.
fn check_card_action(action: &Fields<'_>) -> Answer<usize> {
    if action.get("buttons").is_none() {
        return check_cta_url(action).map(|()| 0);
    }
    let buttons = action.array("buttons", 1..=3)?;
    let (mut ids, mut titles) = (HashSet::new(), HashSet::new());
    for (index, button) in buttons.iter().enumerate() {
        let button = Fields::of(button, &action.path(&format!("buttons[{index}]")))?;
        if button.text("type", 64)? != "quick_reply" {
            return Err(invalid(&button.path("type"), "must be quick_reply"));
        }
        check_reply(&button.object("quick_reply")?, &mut ids, &mut titles)?;
    }
    Ok(buttons.len())
}

fn check_voice_call(action: &Fields<'_>) -> Answer<()> {
    check_name(action, "voice_call")?;
    let Some(parameters) = action.optional_object("parameters")? else { return Ok(()) };
    parameters.optional_text("display_text", LABEL_MAX)?;
    parameters.optional_any_text("payload", 512)?;
    let ttl = parameters.get("ttl_minutes");
    if ttl.is_some_and(|ttl| !ttl.as_i64().is_some_and(|ttl| (1..=43_200).contains(&ttl))) {
        return Err(invalid(&parameters.path("ttl_minutes"), "must be 1 to 43200"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(content: &Value) -> i64 {
        check(content, &mut Vec::new()).map_or_else(|error| error.number(), |()| 0)
    }

    fn with_action(kind: &str, action: impl Into<Value>) -> Value {
        json!({"type": kind, "body": {"text": "b"}, "action": action.into()})
    }

    fn buttons(titles: &[&str]) -> Value {
        let buttons: Vec<_> = titles
            .iter()
            .enumerate()
            .map(|(n, title)| json!({"type": "reply", "reply": {"id": n.to_string(), "title": title}}))
            .collect();
        with_action("button", json!({"buttons": buttons}))
    }

    fn list(sections: &[(Option<&str>, usize)]) -> Value {
        let mut id = 0;
        let sections: Vec<_> = sections
            .iter()
            .map(|(title, rows)| {
                let rows: Vec<_> = (0..*rows)
                    .map(|_| {
                        id += 1;
                        json!({"id": id.to_string(), "title": "t"})
                    })
                    .collect();
                json!({"title": title, "rows": rows})
            })
            .collect();
        with_action("list", json!({"button": "Choose", "sections": sections}))
    }

    #[test]
    fn checks_buttons_and_lists() {
        assert_eq!(code(&buttons(&["a", "b", "c"])), 0);
        assert_eq!(code(&buttons(&[])), 131_009);
        assert_eq!(code(&buttons(&["a", "b", "c", "d"])), 131_009);
        assert_eq!(code(&buttons(&["same", "same"])), 131_009);
        assert_eq!(code(&buttons(&["x".repeat(20).as_str()])), 0);
        assert_eq!(code(&buttons(&["x".repeat(21).as_str()])), 131_009);
        assert_eq!(code(&list(&[(None, 10)])), 0);
        assert_eq!(code(&list(&[(Some("a"), 6), (Some("b"), 5)])), 131_009);
        assert_eq!(code(&list(&[(None, 1), (None, 1)])), 131_009);
    }

    #[test]
    fn checks_the_other_types() {
        let to = |url: &str| json!({"name": "cta_url", "parameters": {"display_text": "Go", "url": url}});
        let url = to("https://example.com");
        let flow = json!({"name": "flow", "parameters": {"flow_message_version": "3", "flow_id": "1",
            "flow_cta": "Go", "flow_action_payload": {"screen": "A", "data": {}}}});
        let cases = [
            ("cta_url", url.clone(), 0),
            ("cta_url", json!({"name": "cta_url", "parameters": {"display_text": "Go"}}), 131_008),
            ("cta_url", to("javascript:alert(1)"), 131_009),
            ("cta_url", to("javascript://example.com/%0aalert(1)"), 131_009),
            ("cta_url", to("nonsense"), 131_009),
            ("location_request_message", json!({"name": "send_location"}), 0),
            ("location_request_message", json!({"name": "x"}), 131_009),
            ("flow", flow, 131_009),
            ("product", json!({"catalog_id": "1", "product_retailer_id": "2"}), 0),
            ("product_list", json!({"catalog_id": "1", "sections": []}), 131_008),
            ("catalog_message", json!({"name": "catalog_message"}), 0),
            (
                "voice_call",
                json!({"name": "voice_call", "parameters": {"ttl_minutes": 0}}),
                131_009,
            ),
            ("hologram", json!({}), 100),
        ];
        for (kind, action, expected) in cases {
            assert_eq!(code(&with_action(kind, action.clone())), expected, "{kind} {action}");
        }
        let mut location =
            with_action("location_request_message", json!({"name": "send_location"}));
        location["footer"] = json!({"text": "f"});
        assert_eq!(code(&location), 131_009, "no footer");
        let mut headed = with_action("cta_url", url);
        headed["header"] = json!({"type": "image", "image": {"link": "https://example.com/a.png"}});
        assert_eq!(code(&headed), 0);
        headed["header"] = json!({"type": "text", "text": "x".repeat(61)});
        assert_eq!(code(&headed), 131_009);
    }

    #[test]
    fn carousel_cards_have_the_same_buttons() {
        let card = |index: usize, replies: usize| {
            let buttons: Vec<_> = (0..replies)
                .map(|n| json!({"type": "quick_reply", "quick_reply": {"id": n.to_string(), "title": n.to_string()}}))
                .collect();
            json!({"card_index": index, "type": "cta_url", "action": {"buttons": buttons},
                   "header": {"type": "image", "image": {"id": "1"}}})
        };
        let carousel = |cards: Vec<Value>| with_action("carousel", json!({"cards": cards}));
        let mut media = Vec::new();
        assert!(check(&carousel(vec![card(0, 2), card(1, 2)]).clone(), &mut Vec::new()).is_ok());
        let two = carousel(vec![card(0, 2), card(1, 2)]);
        check(&two, &mut media).unwrap();
        assert_eq!(media.len(), 2);
        assert_eq!(code(&carousel(vec![card(0, 2), card(1, 1)])), 131_009);
        assert_eq!(code(&carousel(vec![card(0, 1)])), 131_009);
    }
}
