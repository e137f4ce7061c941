//! How a template's values are bound: the vendor gives one ordered list for header and body, a file
//! for the header, and values for buttons whose index is not always right. Which variable each of
//! them fills can be told once the template is known.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use waypost_domain::command::{MediaDraft, TemplateBinding};
use waypost_domain::content::{Component, MediaSource, Parameter};
use waypost_domain::media::MediaKind;
use waypost_domain::template::{Template, is_of_type, variables, variables_of_body};
use waypost_domain::{ErrorKind, Failure};

use super::wire;

/// A template's values as a request gives them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Values {
    /// The header's text variable, if the template has one, then the body's.
    pub(super) attributes: Vec<String>,
    /// The header's file.
    pub(super) header: Option<HeaderFile>,
    /// Values for dynamic URL buttons.
    pub(super) buttons: Vec<ButtonValue>,
}

/// A file for a header: by id or by URL.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeaderFile {
    pub(super) kind: MediaKind,
    pub(super) id: Option<String>,
    pub(super) url: Option<String>,
    pub(super) filename: Option<String>,
    /// The field of the request that says where it is.
    pub(super) field: String,
}

/// A value for a button.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ButtonValue {
    /// Which of the template's buttons, from 0; some callers count URL buttons from 1.
    pub(super) index: usize,
    /// The address, or the end of it that is variable.
    pub(super) payload: String,
}

/// The values with what binds them.
pub(super) fn binding(values: &Values) -> TemplateBinding {
    let values = serde_json::to_value(values)
        .expect("texts, numbers and lists of them have no fallible serialiser");
    TemplateBinding { values, bind }
}

fn bind(template: &Template, values: &Value) -> Result<Vec<Component<MediaDraft>>, Failure> {
    let values: Values = serde_json::from_value(values.clone())
        .map_err(|_| mismatch(template, "its values cannot be read"))?;
    let mut attributes = values.attributes.iter();
    let mut components = Vec::new();
    components.extend(header(template, values.header, &mut attributes)?);
    components.extend(text_component(template, "body", &mut attributes)?);
    if attributes.next().is_some() {
        return Err(mismatch(template, "it has fewer variables than the request has attributes"));
    }
    let first = values.attributes.first();
    components.extend(buttons(template, &values.buttons, first)?);
    Ok(components)
}

fn header(
    template: &Template,
    file: Option<HeaderFile>,
    attributes: &mut std::slice::Iter<'_, String>,
) -> Result<Option<Component<MediaDraft>>, Failure> {
    let format = template.part("header").and_then(|header| header["format"].as_str());
    match (format.and_then(MediaKind::parse), file) {
        (None, None) => text_component(template, "header", attributes),
        (Some(_), Some(file)) => {
            let source = match (file.id, file.url) {
                (Some(id), _) => MediaSource::Id(wire::media_id(&id)),
                (None, url) => MediaSource::Link { url: url.unwrap_or_default(), provider: None },
            };
            let kind = file.kind;
            let filename = file.filename.filter(|_| kind == MediaKind::Document);
            let media = MediaDraft { kind, source, field: file.field };
            let parameter = Parameter::Media { kind, media, filename };
            Ok(Some(Component::new("header", vec![parameter])))
        }
        (Some(_), None) => {
            Err(mismatch(template, "its header needs a file in type_media_template"))
        }
        (None, Some(_)) => Err(mismatch(template, "its header takes no file")),
    }
}

/// The values of a part's text, taken from the list in order.
fn text_component(
    template: &Template,
    name: &str,
    attributes: &mut std::slice::Iter<'_, String>,
) -> Result<Option<Component<MediaDraft>>, Failure> {
    let wanted = if name == "body" {
        variables_of_body(&template.components)
    } else {
        let text = template.part(name).and_then(|part| part["text"].as_str());
        variables(text.unwrap_or_default())
    };
    let mut parameters = Vec::new();
    for variable in wanted {
        let value = attributes.next().ok_or_else(|| {
            mismatch(template, "it has more variables than the request has attributes")
        })?;
        // WhatsApp takes none either.
        if value.trim().is_empty() {
            return Err(mismatch(template, "an attribute is blank"));
        }
        let name = template.is_named().then(|| variable.to_owned());
        parameters.push(Parameter::Text { text: value.clone(), name });
    }
    Ok((!parameters.is_empty()).then(|| Component::new(name, parameters)))
}

/// A button whose address ends in a variable, as that of a one-time password does.
struct UrlButton<'a> {
    place: usize,
    /// The address before its variable; empty where Meta writes the address itself.
    prefix: &'a str,
}

fn buttons(
    template: &Template,
    given: &[ButtonValue],
    code: Option<&String>,
) -> Result<Vec<Component<MediaDraft>>, Failure> {
    let dynamic = url_buttons(template);
    // The code of an authentication template stands in its body and behind its button.
    let is_code = given.is_empty() && template.is_authentication();
    if let (true, [only], Some(code)) = (is_code, &dynamic[..], code) {
        return Ok(vec![url_component(only, code)]);
    }
    let mut filled: Vec<(usize, Component<MediaDraft>)> = Vec::new();
    for value in given {
        let meant = dynamic.iter().find(|button| button.place == value.index);
        let button = match (meant, &dynamic[..]) {
            (Some(button), _) => button,
            (None, [only]) => only,
            _ => {
                return Err(mismatch(template, "it has no variable URL button at the given index"));
            }
        };
        if filled.iter().any(|(place, _)| *place == button.place) {
            return Err(mismatch(template, "two values are given for one of its buttons"));
        }
        filled.push((button.place, url_component(button, &value.payload)));
    }
    if filled.len() != dynamic.len() {
        return Err(mismatch(template, "its URL button needs a value in type_media_template"));
    }
    Ok(filled.into_iter().map(|(_, component)| component).collect())
}

fn url_buttons(template: &Template) -> Vec<UrlButton<'_>> {
    let buttons = template.buttons();
    let dynamic = |(place, button): (usize, &'_ Value)| -> Option<usize> {
        let varies = button["url"].as_str().is_some_and(|url| url.contains("{{"));
        (varies || is_of_type(button, "OTP")).then_some(place)
    };
    let places: Vec<usize> = buttons.iter().enumerate().filter_map(dynamic).collect();
    let prefix = |place: usize| {
        let url = buttons[place]["url"].as_str().unwrap_or_default();
        url.split("{{").next().unwrap_or_default()
    };
    places.into_iter().map(|place| UrlButton { place, prefix: prefix(place) }).collect()
}

/// Only the variable end of an address goes to the upstream.
fn url_component(button: &UrlButton<'_>, payload: &str) -> Component<MediaDraft> {
    let end = payload.strip_prefix(button.prefix).unwrap_or(payload);
    let value = Parameter::Text { text: end.to_owned(), name: None };
    Component::button("url", u32::try_from(button.place).unwrap_or(u32::MAX), vec![value])
}

fn mismatch(template: &Template, why: &str) -> Failure {
    let message = format!("The values do not fit template {}: {why}.", template.name);
    Failure::new(ErrorKind::TemplateParameterMismatch, message)
}
