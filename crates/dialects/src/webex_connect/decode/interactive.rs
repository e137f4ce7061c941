//! Lists and reply buttons, in the vendor's own shapes.

use waypost_domain::command::MediaDraft;
use waypost_domain::content::{
    Action, Header, Interactive, MAX_BODY_CHARS, MAX_BUTTON_TITLE_CHARS, MAX_BUTTONS,
    MAX_FOOTER_CHARS, MAX_HEADER_CHARS, MAX_ROW_DESCRIPTION_CHARS, MAX_ROW_ID_CHARS,
    MAX_ROW_TITLE_CHARS, MAX_ROWS, MAX_SECTIONS, ReplyButton, Row, Section,
};
use waypost_domain::media::MediaKind;
use waypost_domain::{Content, ErrorKind, Failure, MediaSource};

use super::file::{in_wa, link, shown_name};
use super::member::{Doom, Member, members};
use crate::json::Node;
use crate::webex_connect::codes;
use crate::webex_connect::wire::member as name;

/// Longest label that opens a list, in code points. Meta's page says 20, the vendor's 24; between
/// them WhatsApp decides.
const MAX_LIST_BUTTON_CHARS: usize = 24;
/// Longest id of a button, in code points (the vendor's; Meta's is 256).
const MAX_BUTTON_ID_CHARS: usize = 200;
/// The kinds of file that a header of buttons may show.
const HEADER_KINDS: [MediaKind; 3] = [MediaKind::Image, MediaKind::Video, MediaKind::Document];

/// `list`
pub(super) fn list(list: Node<'_>, doom: &mut Doom) -> Result<Content<MediaDraft>, Failure> {
    let [header, body, footer, action] =
        members(list, [name::HEADER, name::BODY, name::FOOTER, name::ACTION]);
    let header = list_header(&header, doom)?;
    let body = body_of(&body, doom)?;
    let footer = footer_of(&footer, doom)?;
    let [button, sections] = members(action.object()?, [name::BUTTON, name::SECTIONS]);
    let button = doom.within(button.text()?, MAX_LIST_BUTTON_CHARS, name::BUTTON);
    let sections = sections_of(&sections, doom)?;
    let action = Action::List { button, sections };
    Ok(Content::Interactive(Box::new(Interactive { header, body: Some(body), footer, action })))
}

/// `reply`
pub(super) fn reply(reply: Node<'_>, doom: &mut Doom) -> Result<Content<MediaDraft>, Failure> {
    let [header, body, footer, action] =
        members(reply, [name::HEADER, name::BODY, name::FOOTER, name::ACTION]);
    let header = match header.optional_object()? {
        Some(header) => reply_header(header, doom)?,
        None => None,
    };
    let body = body_of(&body, doom)?;
    let footer = footer_of(&footer, doom)?;
    let [buttons] = members(action.object()?, [name::BUTTONS]);
    let action = Action::Buttons(buttons_of(&buttons, doom)?);
    Ok(Content::Interactive(Box::new(Interactive { header, body: Some(body), footer, action })))
}

fn body_of(body: &Member<'_>, doom: &mut Doom) -> Result<String, Failure> {
    let [text] = members(body.object()?, [name::TEXT]);
    Ok(doom.within(text.text()?, MAX_BODY_CHARS, name::BODY))
}

fn footer_of(footer: &Member<'_>, doom: &mut Doom) -> Result<Option<String>, Failure> {
    let Some(footer) = footer.optional_object()? else { return Ok(None) };
    let [text] = members(footer, [name::TEXT]);
    Ok(text.optional_text()?.map(|text| doom.within(text, MAX_FOOTER_CHARS, name::FOOTER)))
}

/// A list's header can only be text.
fn list_header(
    header: &Member<'_>,
    doom: &mut Doom,
) -> Result<Option<Header<MediaDraft>>, Failure> {
    let Some(header) = header.optional_object()? else { return Ok(None) };
    let [kind, text] = members(header, [name::TYPE, name::TEXT]);
    let is_text = kind.optional_text()?.is_none_or(|it| it.trim().eq_ignore_ascii_case(name::TEXT));
    if !is_text {
        wrong_header(doom, "The header of a list can only be text.");
        return Ok(None);
    }
    text_header(&text, doom)
}

fn text_header(text: &Member<'_>, doom: &mut Doom) -> Result<Option<Header<MediaDraft>>, Failure> {
    let text = text.optional_text()?;
    Ok(text.map(|text| Header::Text(doom.within(text, MAX_HEADER_CHARS, name::HEADER))))
}

fn wrong_header(doom: &mut Doom, message: &str) {
    doom.because(ErrorKind::InvalidValue, codes::HEADER_STRUCTURE, message);
}

/// Text, or one file.
fn reply_header(header: Node<'_>, doom: &mut Doom) -> Result<Option<Header<MediaDraft>>, Failure> {
    let [kind, text, files @ ..] = members(
        header,
        [
            name::TYPE,
            name::TEXT,
            MediaKind::Image.as_str(),
            MediaKind::Video.as_str(),
            MediaKind::Document.as_str(),
        ],
    );
    if files.iter().filter(|file| !file.is_blank()).count() > 1 {
        wrong_header(doom, "The header has several files; it can show one.");
        return Ok(None);
    }
    let word = kind.optional_text()?.map(|word| word.trim().to_ascii_lowercase());
    let word = match &word {
        Some(word) => word,
        None if text.is_blank() && files.iter().all(Member::is_blank) => return Ok(None),
        None if !text.is_blank() => name::TEXT,
        None => files.iter().find(|file| !file.is_blank()).map_or(name::TEXT, Member::name),
    };
    if word == name::TEXT {
        return text_header(&text, doom);
    }
    let place = HEADER_KINDS.into_iter().zip(files).find(|(kind, _)| kind.as_str() == word);
    let Some((kind, file)) = place else {
        wrong_header(doom, "The header can be text, image, video or document.");
        return Ok(None);
    };
    header_file(&file, kind).map(Some)
}

fn header_file(file: &Member<'_>, kind: MediaKind) -> Result<Header<MediaDraft>, Failure> {
    let [url, alias, filename] = members(file.object()?, [name::URL, name::LINK, name::FILENAME]);
    let url = url.or(alias);
    let source = MediaSource::Link { url: link(&url)?, provider: None };
    let filename = shown_name(&filename, kind)?;
    let field = in_wa(&format!("reply.header.{}.{}", kind.as_str(), url.name()));
    let media = MediaDraft { kind, source, field };
    Ok(Header::Media { kind, media, filename })
}

fn buttons_of(list: &Member<'_>, doom: &mut Doom) -> Result<Vec<ReplyButton>, Failure> {
    let mut buttons = Vec::new();
    for element in list.array()? {
        let object = Member::new(name::BUTTONS, Some(element)).object()?;
        let [kind, reply] = members(object, [name::TYPE, name::REPLY]);
        if kind.optional_text()?.is_some_and(|it| !it.trim().eq_ignore_ascii_case(name::REPLY)) {
            return Err(kind.invalid());
        }
        let [id, title] = members(reply.object()?, [name::ID, name::TITLE]);
        let id = doom.within(id.label()?, MAX_BUTTON_ID_CHARS, name::ID);
        let title = doom.within(title.text()?, MAX_BUTTON_TITLE_CHARS, name::TITLE);
        if buttons.len() == MAX_BUTTONS {
            doom.out_of_bounds(format!("A message has at most {MAX_BUTTONS} buttons."));
            break;
        }
        buttons.push(ReplyButton { id, title });
    }
    if buttons.is_empty() {
        doom.out_of_bounds("A message has at least one button.");
    }
    Ok(buttons)
}

fn sections_of(list: &Member<'_>, doom: &mut Doom) -> Result<Vec<Section>, Failure> {
    let count = list.array()?.take(MAX_SECTIONS + 1).count();
    if !(1..=MAX_SECTIONS).contains(&count) {
        let message = format!("A list has 1 to {MAX_SECTIONS} sections.");
        doom.because(ErrorKind::InvalidValue, codes::NUMBER_OF_SECTIONS, message);
    }
    let mut sections = Vec::with_capacity(count);
    let mut rows_left = MAX_ROWS;
    for element in list.array()?.take(MAX_SECTIONS) {
        let section = Member::new(name::SECTIONS, Some(element)).object()?;
        let [title, rows] = members(section, [name::TITLE, name::ROWS]);
        let title = title.optional_text()?;
        let title = title.map(|title| doom.within(title, MAX_ROW_TITLE_CHARS, name::TITLE));
        if title.is_none() && count > 1 {
            doom.out_of_bounds("Every section needs a title where there are several.");
        }
        let rows = rows_of(&rows, &mut rows_left, doom)?;
        sections.push(Section { title, rows });
    }
    Ok(sections)
}

/// A section's rows, as long as the list has room for them.
fn rows_of(list: &Member<'_>, rows_left: &mut usize, doom: &mut Doom) -> Result<Vec<Row>, Failure> {
    let wrong_number = |doom: &mut Doom| {
        let message =
            format!("A list has at most {MAX_ROWS} rows, and every section at least one.");
        doom.because(ErrorKind::InvalidValue, codes::NUMBER_OF_ROWS, message);
    };
    let mut rows = Vec::new();
    let mut is_empty = true;
    for element in list.array()? {
        is_empty = false;
        let row = row(Member::new(name::ROWS, Some(element)).object()?, doom)?;
        if *rows_left == 0 {
            wrong_number(doom);
            break;
        }
        *rows_left -= 1;
        rows.push(row);
    }
    if is_empty {
        wrong_number(doom);
    }
    Ok(rows)
}

fn row(row: Node<'_>, doom: &mut Doom) -> Result<Row, Failure> {
    let [id, title, description] = members(row, [name::ID, name::TITLE, name::DESCRIPTION]);
    let id = doom.within(id.label()?, MAX_ROW_ID_CHARS, name::ID);
    let title = doom.within(title.text()?, MAX_ROW_TITLE_CHARS, name::TITLE);
    let description = description
        .optional_text()?
        .map(|text| doom.within(text, MAX_ROW_DESCRIPTION_CHARS, name::DESCRIPTION));
    Ok(Row { id, title, description })
}
