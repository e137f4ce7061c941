//! The components of a template message in Meta's form.

use serde_json::Value;

use super::super::{CARDS, Component, Parameter, TemplateCard};
use super::field::Field;
use super::{MAX_COMPONENTS, media};
use crate::command::MediaDraft;
use crate::failure::{ErrorKind, Failure};
use crate::media::MediaKind;

/// The most parameters of a component.
const MAX_PARAMETERS: usize = 256;
/// The longest text of a parameter, in Unicode code points.
const MAX_PARAMETER_CHARS: usize = 32_768;
/// What of a component has a place of its own in [`Component`].
const KNOWN: [&str; 5] = ["type", "sub_type", "index", "parameters", "cards"];

pub(super) fn component(field: &Field<'_>) -> Result<Component<MediaDraft>, Failure> {
    let object = field.object()?;
    let index = field.member("index").given();
    let parameters = field.member("parameters").optional_array(MAX_PARAMETERS)?;
    let cards = field.member("cards").optional_array(*CARDS.end())?;
    let others = object.iter().filter(|(name, _)| !KNOWN.contains(&name.as_str()));
    let word = |text: String| text.trim().to_ascii_lowercase();
    Ok(Component {
        kind: field.member("type").text().map(word)?,
        sub_type: field.member("sub_type").optional_string()?.map(word),
        index: index.map(|index| index.index()).transpose()?,
        parameters: parameters.iter().map(parameter).collect::<Result<_, _>>()?,
        cards: cards.iter().enumerate().map(card).collect::<Result<_, _>>()?,
        extra: others.map(|(name, value)| (name.clone(), value.clone())).collect(),
    })
}

/// A card without an index has that of its place.
fn card((place, field): (usize, &Field<'_>)) -> Result<TemplateCard<MediaDraft>, Failure> {
    field.object()?;
    let index = match field.member("card_index").given() {
        Some(index) => index.index()?,
        None => u32::try_from(place).unwrap_or(u32::MAX),
    };
    let mut components = Vec::new();
    for inner in field.member("components").optional_array(MAX_COMPONENTS)? {
        let cards = inner.member("cards");
        if cards.is_given() {
            return Err(cards.invalid("cannot stand inside a card"));
        }
        components.push(component(&inner)?);
    }
    Ok(TemplateCard { index, components })
}

fn parameter(field: &Field<'_>) -> Result<Parameter<MediaDraft>, Failure> {
    let object = field.object()?;
    let kind = field.member("type").text()?.trim().to_ascii_lowercase();
    if kind == "text" {
        let text = field.member("text");
        let value = text.string()?;
        if value.chars().count() > MAX_PARAMETER_CHARS {
            let message =
                format!("{} may have at most {MAX_PARAMETER_CHARS} characters.", text.path());
            return Err(Failure::new(ErrorKind::ValueTooLong, message).at(text.path()));
        }
        let name = field.member("parameter_name").optional_string()?;
        return Ok(Parameter::Text { text: value, name });
    }
    match MediaKind::parse(&kind) {
        Some(kind @ (MediaKind::Image | MediaKind::Video | MediaKind::Document)) => {
            let (media, filename) = media::file(&field.member(kind.as_str()), kind)?;
            Ok(Parameter::Media { kind, media, filename })
        }
        _ => Ok(Parameter::Other(Value::Object(object.clone()))),
    }
}
