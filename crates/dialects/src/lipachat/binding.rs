//! A template's values in the vendor's loose form, and how they become Meta's components once the
//! template is known: which kind a button is, which name a variable has, and the code of an
//! authentication template, which stands in its body and in its button.

use std::iter;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Component, Parameter};
use waypost_domain::media::MediaKind;
use waypost_domain::template::{Template, is_of_type, variables};
use waypost_domain::{ErrorKind, Failure, MediaId, MediaSource};

/// What a request gives for a template's variables.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Values {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) header: Option<HeaderValue>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) body: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) buttons: Vec<ButtonValue>,
}

/// A header's text or file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HeaderValue {
    Text(Vec<String>),
    File(FileHeader),
}

/// A header's file: by its address, or by the id of an upload.
#[derive(Serialize, Deserialize)]
pub(super) struct FileHeader {
    /// Absent: what the template's header takes.
    pub(super) kind: Option<MediaKind>,
    pub(super) source: FileSource,
    pub(super) filename: Option<String>,
    /// The field of the request that says where it is.
    pub(super) field: String,
}

/// Where a header's file is.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FileSource {
    Url(String),
    Id(String),
}

/// A button's value.
#[derive(Serialize, Deserialize)]
pub(super) struct ButtonValue {
    pub(super) index: u32,
    /// Absent: what the template's button is.
    pub(super) kind: Option<ButtonKind>,
    pub(super) value: Option<String>,
}

/// The kinds of button that take a value.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ButtonKind {
    Url,
    QuickReply,
    CopyCode,
    Flow,
}

impl ButtonKind {
    /// Reads the vendor's and Meta's word, in any letter case.
    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Url, Self::QuickReply, Self::CopyCode, Self::Flow]
            .into_iter()
            .find(|kind| kind.sub_type().eq_ignore_ascii_case(word.trim()))
    }

    /// Whether a button of this kind says nothing without a value.
    pub(super) const fn needs_value(self) -> bool {
        !matches!(self, Self::Flow)
    }

    /// Meta's word.
    const fn sub_type(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::QuickReply => "quick_reply",
            Self::CopyCode => "copy_code",
            Self::Flow => "flow",
        }
    }

    fn parameter(self, value: String) -> Parameter<MediaDraft> {
        match self {
            Self::Url => Parameter::Text { text: value, name: None },
            Self::QuickReply => Parameter::Other(json!({"type": "payload", "payload": value})),
            Self::CopyCode => {
                Parameter::Other(json!({"type": "coupon_code", "coupon_code": value}))
            }
            Self::Flow => {
                Parameter::Other(json!({"type": "action", "action": {"flow_token": value}}))
            }
        }
    }
}

/// Makes Meta's components of the values.
///
/// # Errors
/// [`ErrorKind::TemplateParameterMismatch`] where a value has no place in the template. Whether
/// every variable and button gets its value is checked by the engine afterwards.
pub(super) fn bind(
    template: &Template,
    values: &Value,
) -> Result<Vec<Component<MediaDraft>>, Failure> {
    let values = Values::deserialize(values)
        .map_err(|_| mismatch(template, "takes other values than those that were kept"))?;
    let mut components = Vec::new();
    if let Some(header) = values.header {
        components.push(Component::new("header", header_parameters(template, header)?));
    }
    let code = values.body.first().cloned();
    if !values.body.is_empty() {
        let parameters = texts(template, "BODY", values.body);
        components.push(Component::new("body", parameters));
    }
    let buttons = match code {
        Some(code) if values.buttons.is_empty() && template.is_authentication() => {
            vec![ButtonValue { index: 0, kind: Some(ButtonKind::Url), value: Some(code) }]
        }
        _ => values.buttons,
    };
    for button in buttons {
        components.push(button_component(template, button)?);
    }
    Ok(components)
}

fn mismatch(template: &Template, what: &str) -> Failure {
    let message = format!("Template {} {what}.", template.name);
    Failure::new(ErrorKind::TemplateParameterMismatch, message)
}

fn header_parameters(
    template: &Template,
    header: HeaderValue,
) -> Result<Vec<Parameter<MediaDraft>>, Failure> {
    let file = match header {
        HeaderValue::Text(values) => return Ok(texts(template, "HEADER", values)),
        HeaderValue::File(file) => file,
    };
    let of_template = || template.part("HEADER")?["format"].as_str().and_then(MediaKind::parse);
    let kind = file.kind.or_else(of_template);
    let kind = kind.ok_or_else(|| mismatch(template, "has no header with a file"))?;
    let source = match file.source {
        FileSource::Url(url) => MediaSource::Link { url, provider: None },
        FileSource::Id(id) => MediaSource::Id(MediaId::new(id)),
    };
    let media = MediaDraft { kind, source, field: file.field };
    let filename = file.filename.filter(|_| kind == MediaKind::Document);
    Ok(vec![Parameter::Media { kind, media, filename }])
}

/// Values in order; where the template names its variables, with the names in order of their
/// first use.
fn texts(template: &Template, part: &str, values: Vec<String>) -> Vec<Parameter<MediaDraft>> {
    let text = template.part(part).and_then(|part| part["text"].as_str()).unwrap_or_default();
    let names = if template.is_named() { variables(text) } else { Vec::new() };
    let names = names.into_iter().map(|name| Some(name.to_owned())).chain(iter::repeat(None));
    let pairs = values.into_iter().zip(names);
    pairs.map(|(text, name)| Parameter::Text { text, name }).collect()
}

/// What a template's button takes: Meta sends one-time passwords to a button of kind `url`.
fn kind_of(button: &Value) -> Option<ButtonKind> {
    if is_of_type(button, "OTP") {
        return Some(ButtonKind::Url);
    }
    ButtonKind::parse(button["type"].as_str()?)
}

fn button_component(
    template: &Template,
    button: ButtonValue,
) -> Result<Component<MediaDraft>, Failure> {
    let index = button.index;
    let place = usize::try_from(index).ok().and_then(|at| template.buttons().get(at));
    let place = place.ok_or_else(|| mismatch(template, &format!("has no button {index}")))?;
    let wanted = kind_of(place)
        .ok_or_else(|| mismatch(template, &format!("takes no value for button {index}")))?;
    if !is_of_type(place, "OTP") && button.kind.is_some_and(|kind| kind != wanted) {
        return Err(mismatch(template, &format!("has another kind of button {index}")));
    }
    let parameters = match button.value {
        Some(value) => vec![wanted.parameter(value)],
        None if wanted.needs_value() => {
            return Err(mismatch(template, &format!("needs a value for button {index}")));
        }
        None => vec![Parameter::Other(json!({"type": "action", "action": {}}))],
    };
    Ok(Component::button(wanted.sub_type(), index, parameters))
}
