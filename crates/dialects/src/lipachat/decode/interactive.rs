//! Messages that are answered by a tap: buttons, a list, a place, a form.

use serde_json::{Map, Value};
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{
    Action, FlowCall, Header, Interactive, MAX_BODY_CHARS, MAX_BUTTON_ID_CHARS,
    MAX_BUTTON_TITLE_CHARS, MAX_BUTTONS, MAX_HEADER_CHARS, MAX_LIST_BODY_CHARS,
    MAX_LIST_BUTTON_CHARS, MAX_ROW_DESCRIPTION_CHARS, MAX_ROW_ID_CHARS, MAX_ROW_TITLE_CHARS,
    MAX_ROWS, MAX_SECTIONS, ReplyButton, Row, Section,
};
use waypost_domain::{Content, Failure};

use super::{
    MAX_MESSAGE_ID_CHARS, MAX_NAME_CHARS, MAX_WORD_CHARS, Said, any_of, filled, flow_name,
    optional, require_unique, text,
};
use crate::json::{Field, Object, Type};
use crate::lipachat::wire::member;

/// The longest label of the button that opens a form, in code points.
const MAX_CTA_CHARS: usize = 30;

/// The names of a text above buttons; the sample's wins over the table's.
pub(super) const TEXT: &[&str] = &[member::TEXT, member::MESSAGE];
/// The same above a list.
pub(super) const LIST_TEXT: &[&str] = &[member::BODY, member::MESSAGE];

fn said(header: Option<String>, body: String, action: Action<MediaDraft>) -> Said {
    let header: Option<Header<MediaDraft>> = header.map(Header::Text);
    let interactive = Interactive { header, body: Some(body), footer: None, action };
    (Content::Interactive(Box::new(interactive)), None)
}

/// `POST /api/v1/whatsapp/interactive/buttons`
pub(super) fn buttons(root: &Object<'_>) -> Result<Said, Failure> {
    let body = text(&any_of(root, TEXT), MAX_BODY_CHARS)?;
    let [list] = root.fields([member::BUTTONS]);
    let (mut ids, mut titles) = (Vec::new(), Vec::new());
    let mut buttons = Vec::new();
    for element in filled(&list, MAX_BUTTONS)? {
        let [id_field, title_field] = element.object()?.fields([member::ID, member::TITLE]);
        let id = text(&id_field, MAX_BUTTON_ID_CHARS)?;
        let title = text(&title_field, MAX_BUTTON_TITLE_CHARS)?;
        require_unique(&mut ids, &id_field, &id)?;
        require_unique(&mut titles, &title_field, &title)?;
        buttons.push(ReplyButton { id, title });
    }
    Ok(said(None, body, Action::Buttons(buttons)))
}

/// `POST /api/v1/whatsapp/interactive/list`
pub(super) fn list(root: &Object<'_>) -> Result<Said, Failure> {
    let [header, button, list] =
        root.fields([member::HEADER_TEXT, member::BUTTON_TEXT, member::BUTTONS]);
    let header = optional(&header, MAX_HEADER_CHARS)?;
    let body = text(&any_of(root, LIST_TEXT), MAX_LIST_BODY_CHARS)?;
    let button = text(&button, MAX_LIST_BUTTON_CHARS)?;
    let elements = filled(&list, MAX_SECTIONS)?;
    let mut ids = Vec::new();
    let sections = elements
        .iter()
        .map(|element| section(&element.object()?, elements.len() > 1, &mut ids))
        .collect::<Result<Vec<_>, Failure>>()?;
    if ids.len() > MAX_ROWS {
        return Err(list.invalid(&format!("may have at most {MAX_ROWS} rows in all")));
    }
    Ok(said(header, body, Action::List { button, sections }))
}

fn section(
    object: &Object<'_>,
    is_one_of_several: bool,
    ids: &mut Vec<String>,
) -> Result<Section, Failure> {
    let [title, items] = object.fields([member::SECTION_TITLE, member::SECTION_ITEMS]);
    let title = if is_one_of_several {
        Some(text(&title, MAX_ROW_TITLE_CHARS)?)
    } else {
        optional(&title, MAX_ROW_TITLE_CHARS)?
    };
    let rows = filled(&items, MAX_ROWS)?
        .iter()
        .map(|item| row(&item.object()?, ids))
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok(Section { title, rows })
}

fn row(object: &Object<'_>, ids: &mut Vec<String>) -> Result<Row, Failure> {
    let [id_field, title, description] =
        object.fields([member::ID, member::TITLE, member::DESCRIPTION]);
    let id = text(&id_field, MAX_ROW_ID_CHARS)?;
    let title = text(&title, MAX_ROW_TITLE_CHARS)?;
    let description = optional(&description, MAX_ROW_DESCRIPTION_CHARS)?;
    require_unique(ids, &id_field, &id)?;
    Ok(Row { id, title, description })
}

/// `POST /api/v1/whatsapp/request_location`
pub(super) fn request_location(root: &Object<'_>) -> Result<Said, Failure> {
    let [body] = root.fields([member::TEXT]);
    Ok(said(None, text(&body, MAX_BODY_CHARS)?, Action::LocationRequest))
}

/// `POST /api/v1/whatsapp/interactive/flows`
pub(super) fn flow(root: &Object<'_>) -> Result<Said, Failure> {
    let [body, flow, cta, screen, data, message_id] = root.fields([
        member::TEXT,
        member::FLOW_ID,
        member::FLOW_CTA,
        member::SCREEN,
        member::DATA,
        member::MESSAGE_ID,
    ]);
    let body = text(&body, MAX_BODY_CHARS)?;
    let flow_word = text(&flow, MAX_WORD_CHARS)?;
    let cta = text(&cta, MAX_CTA_CHARS)?;
    let screen = optional(&screen, MAX_NAME_CHARS)?;
    let data = values(&data)?;
    let call = FlowCall {
        flow: flow_name(&flow_word).map_err(|failure| failure.at(flow.path()))?,
        cta,
        token: optional(&message_id, MAX_MESSAGE_ID_CHARS)?,
        draft: false,
        action: Some("navigate".to_owned()),
        screen,
        data,
    };
    Ok(said(None, body, Action::Flow(call)))
}

/// The id of a form's message where the request gives none: it is the form's token, too.
pub(super) fn name_form(
    content: &mut Content<MediaDraft>,
    new_id: fn() -> String,
) -> Option<String> {
    let Content::Interactive(interactive) = content else { return None };
    let Action::Flow(call) = &mut interactive.action else { return None };
    call.token = Some(new_id());
    call.token.clone()
}

/// The values of a form's first screen: any object.
fn values(data: &Field<'_>) -> Result<Map<String, Value>, Failure> {
    if data.is_blank_object() {
        return Ok(Map::new());
    }
    let node = data.required()?;
    if node.kind() != Type::Object {
        return Err(data.wrong_type("an object", node));
    }
    serde_json::from_str(node.written())
        .map_err(|_| data.invalid("holds a number that is too large"))
}
