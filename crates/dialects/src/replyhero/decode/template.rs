//! A template's components: the vendor's header and body, and Cloud API buttons, which are checked
//! for form and passed on.

use serde_json::{Map, json};
use waypost_domain::Failure;
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Component, Parameter};

use super::{MAX_ID_CHARS, media, media_kind};
use crate::json::{self, Field, Object, Type};
use crate::replyhero::wire::member;

/// The longest text in a header, in code points.
const MAX_HEADER_CHARS: usize = 60;
/// The longest text in a body beside other components, in code points.
const MAX_BODY_CHARS: usize = 1_024;
/// The longest text in a body that is the only component type, in code points. (The vendor's
/// figure; Meta's is 32768.) Also bounds what goes into a button.
const MAX_LONE_BODY_CHARS: usize = 36_768;
/// More components than this no template has.
const MAX_COMPONENTS: usize = 32;
/// More variables than this do not fit into a body of 1024 characters.
const MAX_PARAMETERS: usize = 256;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    Body,
    Button,
}

impl Part {
    const ALL: [Self; 3] = [Self::Header, Self::Body, Self::Button];

    const fn word(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Body => "body",
            Self::Button => "button",
        }
    }
}

/// `components`: an array, or a string that holds the JSON of one.
pub(super) fn components(field: &Field<'_>) -> Result<Vec<Component<MediaDraft>>, Failure> {
    if field.required()?.kind() != Type::String {
        return list(field);
    }
    let written = field.string()?.decoded();
    let inner = json::parse(written.as_bytes())
        .map_err(|_| field.invalid("must be an array, or a string that holds the JSON of one"))?;
    list(&Field::new(field.path(), Some(inner.root())))
}

fn list(field: &Field<'_>) -> Result<Vec<Component<MediaDraft>>, Failure> {
    // All types first: how long a body's text may be depends on what else there is.
    let parts = field
        .array(MAX_COMPONENTS)?
        .iter()
        .map(|element| {
            let object = element.object()?;
            Ok((part(&object)?, object))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let lone_body = parts.iter().all(|(part, _)| *part == Part::Body);
    let max_body_chars = if lone_body { MAX_LONE_BODY_CHARS } else { MAX_BODY_CHARS };
    parts.iter().map(|(part, object)| component(*part, object, max_body_chars)).collect()
}

fn part(object: &Object<'_>) -> Result<Part, Failure> {
    let [kind] = object.fields([member::TYPE]);
    let word = kind.string()?.decoded();
    Part::ALL
        .into_iter()
        .find(|part| word.eq_ignore_ascii_case(part.word()))
        .ok_or_else(|| kind.invalid("must be header, body or button"))
}

fn component(
    part: Part,
    object: &Object<'_>,
    max_body_chars: usize,
) -> Result<Component<MediaDraft>, Failure> {
    let [list, heading, sub_type, index] = object.fields([
        member::PARAMETERS,
        member::PARAMETERS_ALIAS,
        member::SUB_TYPE,
        member::INDEX,
    ]);
    let max_chars = match part {
        Part::Header => MAX_HEADER_CHARS,
        Part::Body => max_body_chars,
        Part::Button => MAX_LONE_BODY_CHARS,
    };
    let parameters = list
        .or(heading)
        .array(MAX_PARAMETERS)?
        .iter()
        .map(|element| parameter(part, &element.object()?, max_chars))
        .collect::<Result<Vec<_>, Failure>>()?;
    let (sub_type, index) = match part {
        Part::Button => {
            let sub_type = sub_type.optional_text(MAX_ID_CHARS)?.map(|text| text.into_owned());
            (sub_type, button_index(&index)?)
        }
        Part::Header | Part::Body => (None, None),
    };
    let kind = part.word().to_owned();
    Ok(Component { kind, sub_type, index, parameters, cards: Vec::new(), extra: Map::new() })
}

/// Which button: a number, or one in a string as Meta writes it.
fn button_index(index: &Field<'_>) -> Result<Option<u32>, Failure> {
    if !index.is_given() {
        return Ok(None);
    }
    let number = index.id(MAX_ID_CHARS)?.trim().parse();
    number.map(Some).map_err(|_| index.invalid("must be a number from 0"))
}

fn parameter(
    part: Part,
    object: &Object<'_>,
    max_chars: usize,
) -> Result<Parameter<MediaDraft>, Failure> {
    let [kind] = object.fields([member::TYPE]);
    let word = kind.string()?.decoded().to_ascii_lowercase();
    match (part, word.as_str()) {
        (_, member::TEXT) => text(object, max_chars),
        (Part::Button, member::PAYLOAD | member::COUPON_CODE) => button_value(object, &word),
        (Part::Header, word) if let Some(kind) = media_kind(word) => {
            let [place] = object.fields([kind.as_str()]);
            let media = media::header(&place.object()?, kind)?;
            Ok(Parameter::Media { kind, media: media.draft, filename: media.filename })
        }
        (Part::Header, _) => Err(kind.invalid("must be text, document, image or video")),
        (Part::Body, _) => Err(kind.invalid("must be text; files belong into the header")),
        (Part::Button, _) => Err(kind.invalid("must be text, payload or coupon_code")),
    }
}

fn text(object: &Object<'_>, max_chars: usize) -> Result<Parameter<MediaDraft>, Failure> {
    let [text, name] = object.fields([member::TEXT, member::PARAMETER_NAME]);
    let text = text.text(max_chars)?.into_owned();
    let name = name.optional_text(MAX_ID_CHARS)?.map(|name| name.into_owned());
    Ok(Parameter::Text { text, name })
}

/// `{"type":"payload","payload":"…"}` and its like.
fn button_value(object: &Object<'_>, word: &str) -> Result<Parameter<MediaDraft>, Failure> {
    let [value] = object.fields([word]);
    let value = value.text(MAX_LONE_BODY_CHARS)?;
    Ok(Parameter::Other(json!({ member::TYPE: word, word: value })))
}
