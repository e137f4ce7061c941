//! A template's values: the vendor's object of header, body and buttons, or Meta's array of
//! components.

use serde_json::Value;
use waypost_domain::command::{MediaDraft, TemplateBinding};
use waypost_domain::content::{Component, Parameter, TemplateCard, TemplateMessage};
use waypost_domain::media::MediaKind;
use waypost_domain::{Content, Failure, MediaId, MediaSource};

use super::message::{file_name, link};
use super::{MAX_NAME_CHARS, MAX_WORD_CHARS, Said, any_of, optional, text};
use crate::json::{Field, Object, Type};
use crate::lipachat::binding::{
    self, ButtonKind, ButtonValue, FileHeader, FileSource, HeaderValue, Values,
};
use crate::lipachat::wire::member;

/// The longest template name, in code points (Meta's limit).
const MAX_TEMPLATE_NAME_CHARS: usize = 512;
/// The longest value of a variable, in code points (Meta's limit for a whole body).
const MAX_VALUE_CHARS: usize = 32_768;
/// More variables than this do not fit into a body of 1024 characters.
const MAX_VALUES: usize = 256;
/// More components than this no template has.
const MAX_COMPONENTS: usize = 32;
/// The most buttons of a template.
const MAX_TEMPLATE_BUTTONS: usize = 10;

/// The names of a variable's value, or of several: all the same.
const VALUE: &[&str] = &[
    member::PLACEHOLDERS,
    member::PLACEHOLDER,
    member::PARAMETERS,
    member::PARAMETER,
    member::TEXT,
];
/// The names of a button's value.
const BUTTON_VALUE: &[&str] = &[member::PARAMETER, member::TEXT, member::PAYLOAD, member::CODE];
/// The names of a header's type.
const HEADER_TYPE: &[&str] = &[member::TYPE, member::FORMAT];

/// `POST /api/v1/whatsapp/template`
pub(super) fn content(root: &Object<'_>) -> Result<Said, Failure> {
    let [template] = root.fields([member::TEMPLATE]);
    let template = template.object()?;
    let [name] = template.fields([member::NAME]);
    let name = text(&name, MAX_TEMPLATE_NAME_CHARS)?;
    let language = any_of(&template, &[member::LANGUAGE_CODE, member::LANGUAGE]);
    let language = optional(&language, MAX_WORD_CHARS)?;
    let given = any_of(&template, &[member::COMPONENTS, member::COMPONENT]);
    let is_meta = given.required().is_ok_and(|node| node.kind() == Type::Array);
    let (components, binding) = if is_meta {
        (cloud_components(&given)?, None)
    } else {
        (Vec::new(), Some(binding(&given)?))
    };
    Ok((Content::Template(TemplateMessage { name, language, components }), binding))
}

fn binding(given: &Field<'_>) -> Result<TemplateBinding, Failure> {
    let values = if given.is_blank() { Values::default() } else { values(&given.object()?)? };
    let values = serde_json::to_value(values)
        .map_err(|_| given.invalid("cannot be kept; send fewer values"))?;
    Ok(TemplateBinding { values, bind: binding::bind })
}

fn values(object: &Object<'_>) -> Result<Values, Failure> {
    let [header, body, buttons] = object.fields([member::HEADER, member::BODY, member::BUTTONS]);
    let header = if header.is_blank_object() { None } else { self::header(&header)? };
    let body =
        if body.is_blank_object() { Vec::new() } else { texts(&any_of(&body.object()?, VALUE))? };
    let buttons = if buttons.is_blank() {
        Vec::new()
    } else {
        let elements = buttons.array(MAX_TEMPLATE_BUTTONS)?;
        let read = |(at, element): (usize, &Field<'_>)| button(at, &element.object()?);
        elements.iter().enumerate().map(read).collect::<Result<Vec<_>, Failure>>()?
    };
    Ok(Values { header, body, buttons })
}

/// One text, or several; absent: none.
fn texts(field: &Field<'_>) -> Result<Vec<String>, Failure> {
    if field.is_blank() {
        return Ok(Vec::new());
    }
    if field.required()?.kind() != Type::Array {
        return Ok(vec![text(field, MAX_VALUE_CHARS)?]);
    }
    field.array(MAX_VALUES)?.iter().map(|element| text(element, MAX_VALUE_CHARS)).collect()
}

/// A header without a type is a file where it names one, else text; an empty one is none.
fn header(field: &Field<'_>) -> Result<Option<HeaderValue>, Failure> {
    let object = field.object()?;
    let kind = any_of(&object, HEADER_TYPE);
    let place = any_of(&object, &[member::MEDIA_URL, member::MEDIA_ID]);
    let value = any_of(&object, VALUE);
    let word = optional(&kind, MAX_WORD_CHARS)?.map(|word| word.trim().to_ascii_uppercase());
    let kind = match word.as_deref() {
        Some("TEXT") => return Ok(Some(HeaderValue::Text(header_texts(&value)?))),
        Some(word) => Some(
            file_kind(word)
                .ok_or_else(|| kind.invalid("must be TEXT, IMAGE, VIDEO or DOCUMENT"))?,
        ),
        None if place.is_blank() && value.is_blank() => return Ok(None),
        None if place.is_blank() => return Ok(Some(HeaderValue::Text(header_texts(&value)?))),
        None => None,
    };
    file_header(&object, kind).map(|file| Some(HeaderValue::File(file)))
}

fn header_texts(value: &Field<'_>) -> Result<Vec<String>, Failure> {
    super::require(value)?;
    texts(value)
}

fn file_kind(word: &str) -> Option<MediaKind> {
    let offered = [MediaKind::Image, MediaKind::Video, MediaKind::Document];
    MediaKind::parse(word).filter(|kind| offered.contains(kind))
}

fn file_header(object: &Object<'_>, kind: Option<MediaKind>) -> Result<FileHeader, Failure> {
    let [url, id, filename] =
        object.fields([member::MEDIA_URL, member::MEDIA_ID, member::FILENAME]);
    let (field, source) = match optional(&id, MAX_NAME_CHARS)? {
        Some(word) if url.is_blank() => (id.path(), FileSource::Id(word)),
        _ => (url.path(), FileSource::Url(link(&url)?)),
    };
    let filename = file_name(&filename, kind.unwrap_or(MediaKind::Document))?;
    Ok(FileHeader { kind, source, filename, field })
}

fn button(at: usize, object: &Object<'_>) -> Result<ButtonValue, Failure> {
    let [index, kind] = object.fields([member::INDEX, member::TYPE]);
    let index = match optional(&index, MAX_WORD_CHARS)? {
        None => u32::try_from(at).unwrap_or(u32::MAX),
        Some(index) => index.trim().parse().map_err(|_| index_field_fault(object))?,
    };
    let kind = match optional(&kind, MAX_WORD_CHARS)? {
        None => None,
        Some(word) => Some(
            ButtonKind::parse(&word)
                .ok_or_else(|| kind.invalid("must be URL, QUICK_REPLY, COPY_CODE or FLOW"))?,
        ),
    };
    let value = any_of(object, BUTTON_VALUE);
    if kind.is_some_and(ButtonKind::needs_value) {
        super::require(&value)?;
    }
    Ok(ButtonValue { index, kind, value: optional(&value, MAX_VALUE_CHARS)? })
}

fn index_field_fault(object: &Object<'_>) -> Failure {
    let [index] = object.fields([member::INDEX]);
    index.invalid("must be a number from 0")
}

/// Meta's array of components, checked for form and passed on.
fn cloud_components(field: &Field<'_>) -> Result<Vec<Component<MediaDraft>>, Failure> {
    field.array(MAX_COMPONENTS)?.iter().map(|element| cloud_component(&element.object()?)).collect()
}

fn cloud_component(object: &Object<'_>) -> Result<Component<MediaDraft>, Failure> {
    let [kind, sub_type, index, list, cards] =
        object.fields([member::TYPE, "sub_type", member::INDEX, member::PARAMETERS, "cards"]);
    let kind = text(&kind, MAX_WORD_CHARS)?.trim().to_ascii_lowercase();
    let parameters = if list.is_blank() {
        Vec::new()
    } else {
        let elements = list.array(MAX_VALUES)?;
        elements.iter().map(cloud_parameter).collect::<Result<Vec<_>, Failure>>()?
    };
    let cards = if cards.is_blank() {
        Vec::new()
    } else {
        let elements = cards.array(MAX_COMPONENTS)?;
        elements
            .iter()
            .map(|card| cloud_card(&card.object()?))
            .collect::<Result<Vec<_>, Failure>>()?
    };
    let sub_type = optional(&sub_type, MAX_WORD_CHARS)?.map(|word| word.to_ascii_lowercase());
    let index = match optional(&index, MAX_WORD_CHARS)? {
        None => None,
        Some(index) => Some(index.trim().parse().map_err(|_| index_field_fault(object))?),
    };
    Ok(Component { sub_type, index, cards, ..Component::new(&kind, parameters) })
}

fn cloud_card(object: &Object<'_>) -> Result<TemplateCard<MediaDraft>, Failure> {
    let [index, components] = object.fields(["card_index", member::COMPONENTS]);
    let number = text(&index, MAX_WORD_CHARS)?.trim().parse();
    let number = number.map_err(|_| index.invalid("must be a number from 0"))?;
    Ok(TemplateCard { index: number, components: cloud_components(&components)? })
}

fn cloud_parameter(field: &Field<'_>) -> Result<Parameter<MediaDraft>, Failure> {
    let object = field.object()?;
    let [kind, value, name] = object.fields([member::TYPE, member::TEXT, "parameter_name"]);
    let word = text(&kind, MAX_WORD_CHARS)?.trim().to_ascii_lowercase();
    if word == member::TEXT {
        let text = text(&value, MAX_VALUE_CHARS)?;
        return Ok(Parameter::Text { text, name: optional(&name, MAX_NAME_CHARS)? });
    }
    let Some(kind) = file_kind(&word) else {
        let value: Value = serde_json::from_str(field.required()?.written())
            .map_err(|_| field.invalid("holds a number that is too large"))?;
        return Ok(Parameter::Other(value));
    };
    let [file] = object.fields([kind.as_str()]);
    let file_object = file.object()?;
    let [id, url, filename] = file_object.fields([member::ID, "link", member::FILENAME]);
    let (place, source) = match optional(&id, MAX_NAME_CHARS)? {
        Some(word) => (&id, MediaSource::Id(MediaId::new(word))),
        None => (&url, MediaSource::Link { url: link(&url)?, provider: None }),
    };
    let media = MediaDraft { kind, source, field: place.path() };
    Ok(Parameter::Media { kind, media, filename: file_name(&filename, kind)? })
}
