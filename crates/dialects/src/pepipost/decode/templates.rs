//! Template messages: the template's name and language, and its values in the vendor's loose form.
//! Which variable a value belongs to is told by [`crate::pepipost::template`] once the template is
//! known.

use waypost_domain::command::{MediaDraft, TemplateBinding};
use waypost_domain::content::TemplateMessage;
use waypost_domain::media::{MediaKind, clean_filename};
use waypost_domain::{Content, Failure};

use super::{MAX_NAME_CHARS, block, elements, kind_of_link, link, refused, sole};
use crate::json::{Field, Object};
use crate::pepipost::template::{self, ButtonValue, HeaderFile, Values};
use crate::pepipost::wire::member;

/// More variables than this do not fit into a template.
const MAX_ATTRIBUTES: usize = 256;
/// The most buttons of a template.
const MAX_BUTTONS: usize = 10;
const BAD_VALUE: &str = "Invalid value in type_media_template parameter.";

/// `with_media`: the message is a `media_template`, whose second block is read too.
pub(super) fn read(
    element: &Object<'_>,
    with_media: bool,
) -> Result<(Content<MediaDraft>, Option<TemplateBinding>), Failure> {
    let block = block(element, member::TYPE_TEMPLATE)?;
    let [name, attributes, language] =
        block.fields([member::NAME, member::ATTRIBUTES, member::LANGUAGE]);
    let name = name.text(MAX_NAME_CHARS)?.trim().to_owned();
    let attributes = if attributes.is_given() {
        let elements = attributes.array(MAX_ATTRIBUTES)?;
        elements.iter().map(attribute).collect::<Result<_, Failure>>()?
    } else {
        Vec::new()
    };
    let [locale] = sole(&language, member::LANGUAGE)?.fields([member::LOCALE]);
    let locale = locale.text(MAX_NAME_CHARS)?.trim().to_owned();
    let mut values = Values { attributes, ..Values::default() };
    let [media] = element.fields([member::TYPE_MEDIA_TEMPLATE]);
    if with_media && media.is_given() {
        let media = sole(&media, member::TYPE_MEDIA_TEMPLATE)?;
        values.header = header_file(&media)?;
        values.buttons = buttons(&media)?;
    }
    let template = TemplateMessage { name, language: Some(locale), components: Vec::new() };
    Ok((Content::Template(template), Some(template::binding(&values))))
}

/// A text, or a number or boolean as it was written. It may be empty: whether the template bears
/// that is found out later.
fn attribute(field: &Field<'_>) -> Result<String, Failure> {
    field.required()?;
    Ok(field.optional_lenient_text(usize::MAX)?.unwrap_or_default().into_owned())
}

/// The header's file. `type` `text` stands beside buttons, and says nothing of a file.
fn header_file(media: &Object<'_>) -> Result<Option<HeaderFile>, Failure> {
    let [word, id, url, filename] =
        media.fields([member::TYPE, member::MEDIA_ID, member::URL, member::FILENAME]);
    let (id, url, field) = if !id.is_blank() {
        (Some(id.id(MAX_NAME_CHARS)?), None, id.path())
    } else if !url.is_blank() {
        (None, Some(link(&url)?), url.path())
    } else {
        return Ok(None);
    };
    let said = match word.is_blank() {
        true => String::new(),
        false => word.lenient_text(MAX_NAME_CHARS)?.trim().to_ascii_lowercase(),
    };
    let kind = match said.as_str() {
        "" | member::TEXT => url.as_deref().and_then(kind_of_link),
        said => Some(MediaKind::parse(said).ok_or_else(|| refused(&word, BAD_VALUE))?),
    };
    let kind = kind.ok_or_else(|| word.missing())?;
    if !matches!(kind, MediaKind::Image | MediaKind::Video | MediaKind::Document) {
        return Err(refused(&word, BAD_VALUE));
    }
    let filename = filename.optional_text(usize::MAX)?.and_then(|name| clean_filename(&name));
    Ok(Some(HeaderFile { kind, id, url, filename, field }))
}

fn buttons(media: &Object<'_>) -> Result<Vec<ButtonValue>, Failure> {
    let [list] = media.fields([member::BUTTON]);
    if !list.is_given() {
        return Ok(Vec::new());
    }
    let button = |element: &Field<'_>| {
        let [index, payload] = element.object()?.fields([member::INDEX, member::PAYLOAD]);
        let number = index.id(MAX_NAME_CHARS)?.trim().parse();
        Ok(ButtonValue {
            index: number.map_err(|_| refused(&index, BAD_VALUE))?,
            payload: payload.lenient_text(usize::MAX)?.into_owned(),
        })
    };
    elements(&list, MAX_BUTTONS)?.iter().map(button).collect()
}
