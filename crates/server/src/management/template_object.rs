//! Reads the template object of a Cloud API message: its parameters with their files, everything
//! else in Meta's form.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Component, Parameter, TemplateMessage};
use waypost_domain::media::{MediaKind, clean_filename};

use super::fields::check_length;
use super::input::read_value;
use super::media_object::MediaInput;
use crate::problem::Faults;

/// The longest name of a template, in characters.
const MAX_NAME_CHARS: usize = 512;
/// The most components of a message.
const MAX_COMPONENTS: usize = 32;
/// The most parameters of a component.
const MAX_PARAMETERS: usize = 256;
/// The longest text of a parameter, in characters.
const MAX_PARAMETER_CHARS: usize = 32_768;

/// A template with the values for its variables.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateInput {
    name: String,
    /// Absent: chosen by the organisation's default language.
    language: Option<LanguageInput>,
    /// In Meta's form; files by `id` of an upload or by `link`.
    #[schema(value_type = Option<Vec<Object>>)]
    components: Option<Vec<Map<String, Value>>>,
}

/// A template's language.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LanguageInput {
    #[schema(example = "en_US")]
    code: String,
    /// `deterministic`, if anything.
    policy: Option<String>,
}

/// The template message that it stands for; `None` with the faults noted.
pub(crate) fn read_template(
    faults: &mut Faults,
    input: TemplateInput,
) -> Option<TemplateMessage<MediaDraft>> {
    if input.name.trim().is_empty() {
        faults.add("template.name", "must not be blank");
    }
    check_length(faults, "template.name", Some(&input.name), MAX_NAME_CHARS);
    if let Some(language) = &input.language {
        if language.code.trim().is_empty() || language.code.len() > 16 {
            faults.add("template.language.code", "must be a language code such as en_US");
        }
        if language.policy.as_deref().is_some_and(|policy| policy != "deterministic") {
            faults.add("template.language.policy", "must be deterministic");
        }
    }
    let components = input.components.unwrap_or_default();
    if components.len() > MAX_COMPONENTS {
        let message = format!("may have at most {MAX_COMPONENTS} entries");
        faults.add("template.components", message);
        return None;
    }
    let mut read = Vec::with_capacity(components.len());
    for (place, component) in components.into_iter().enumerate() {
        let path = format!("template.components[{place}]");
        read.push(read_component(faults, component, &path)?);
    }
    let language = input.language.map(|language| language.code);
    Some(TemplateMessage { name: input.name, language, components: read })
}

fn read_component(
    faults: &mut Faults,
    mut object: Map<String, Value>,
    path: &str,
) -> Option<Component<MediaDraft>> {
    let kind = take_text(faults, &mut object, path, "type")?.to_ascii_lowercase();
    let sub_type = match object.contains_key("sub_type") {
        true => Some(take_text(faults, &mut object, path, "sub_type")?),
        false => None,
    };
    let index = match object.remove("index") {
        None | Some(Value::Null) => None,
        Some(index) => Some(read_index(faults, &index, &format!("{path}.index"))?),
    };
    let given = match object.remove("parameters") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(parameters)) if parameters.len() <= MAX_PARAMETERS => parameters,
        Some(_) => {
            let message = format!("must be an array of at most {MAX_PARAMETERS} entries");
            faults.add(format!("{path}.parameters"), message);
            return None;
        }
    };
    let mut parameters = Vec::with_capacity(given.len());
    for (place, parameter) in given.into_iter().enumerate() {
        let path = format!("{path}.parameters[{place}]");
        parameters.push(read_parameter(faults, parameter, &path)?);
    }
    Some(Component { kind, sub_type, index, parameters, cards: Vec::new(), extra: object })
}

/// Which button, as a number or as Meta writes it, a number in a string.
fn read_index(faults: &mut Faults, index: &Value, path: &str) -> Option<u32> {
    let number = match index {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    if number.is_none() {
        faults.add(path, "must be a number from 0");
    }
    number
}

fn read_parameter(faults: &mut Faults, value: Value, path: &str) -> Option<Parameter<MediaDraft>> {
    let Value::Object(mut object) = value else {
        faults.add(path, "must be an object");
        return None;
    };
    let kind = match object.get("type") {
        Some(Value::String(kind)) => kind.to_ascii_lowercase(),
        _ => {
            faults.add(format!("{path}.type"), "is required and must be text");
            return None;
        }
    };
    if kind == "text" {
        let text = take_text(faults, &mut object, path, "text")?;
        check_length(faults, &format!("{path}.text"), Some(&text), MAX_PARAMETER_CHARS);
        let name = match object.contains_key("parameter_name") {
            true => Some(take_text(faults, &mut object, path, "parameter_name")?),
            false => None,
        };
        return Some(Parameter::Text { text, name });
    }
    match MediaKind::parse(&kind) {
        Some(media @ (MediaKind::Image | MediaKind::Video | MediaKind::Document)) => {
            read_file(faults, object, media, path)
        }
        _ => Some(Parameter::Other(Value::Object(object))),
    }
}

fn read_file(
    faults: &mut Faults,
    mut object: Map<String, Value>,
    kind: MediaKind,
    path: &str,
) -> Option<Parameter<MediaDraft>> {
    let path = format!("{path}.{}", kind.as_str());
    let Some(file) = object.remove(kind.as_str()) else {
        faults.add(path, "is required for a parameter of this type");
        return None;
    };
    let input: MediaInput = match read_value(file) {
        Ok(input) => input,
        Err(problem) => {
            faults.add(path, problem.in_one_line());
            return None;
        }
    };
    let source = input.source(faults, &path)?;
    let filename = input.filename.as_deref().and_then(clean_filename);
    Some(Parameter::Media { kind, media: MediaDraft { kind, source, path }, filename })
}

fn take_text(
    faults: &mut Faults,
    object: &mut Map<String, Value>,
    path: &str,
    name: &str,
) -> Option<String> {
    match object.remove(name) {
        Some(Value::String(text)) => Some(text),
        Some(_) => {
            faults.add(format!("{path}.{name}"), "must be a string");
            None
        }
        None => {
            faults.add(format!("{path}.{name}"), "is required");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use waypost_domain::MediaId;
    use waypost_domain::content::MediaSource;

    fn read(value: Value) -> Result<TemplateMessage<MediaDraft>, String> {
        let mut faults = Faults::default();
        let input = read_value(value).map_err(|it| it.errors()[0].field.clone())?;
        let template = read_template(&mut faults, input);
        faults.check().map_err(|it| it.errors()[0].field.clone())?;
        Ok(template.unwrap())
    }

    #[test]
    fn reads_parameters_files_and_buttons() {
        let template = read(json!({"name":"order_update","language":{"code":"en_US"},"components":[
            {"type":"HEADER","parameters":[{"type":"image","image":{"id":"1000000000000042"}}]},
            {"type":"body","parameters":[{"type":"text","text":"a","parameter_name":"who"},
                {"type":"currency","currency":{"code":"USD"}}]},
            {"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"x"}]},
            {"type":"carousel","cards":[{"card_index":0}]}]}))
        .unwrap();
        assert_eq!(template.language.as_deref(), Some("en_US"));
        let [header, body, button, carousel] = &template.components[..] else { panic!("four") };
        assert_eq!(header.kind, "header");
        let Parameter::Media { media, .. } = &header.parameters[0] else { panic!("a file") };
        assert_eq!(media.source, MediaSource::Id(MediaId::new("1000000000000042")));
        assert_eq!(media.path, "template.components[0].parameters[0].image");
        assert!(
            matches!(&body.parameters[0], Parameter::Text { name: Some(name), .. } if name == "who")
        );
        assert!(matches!(&body.parameters[1], Parameter::Other(_)));
        assert_eq!((button.sub_type.as_deref(), button.index), (Some("url"), Some(1)));
        assert!(carousel.extra.contains_key("cards"));
    }

    #[test]
    fn refuses_with_the_path_of_the_field() {
        let component = |component: Value| json!({"name":"x","components":[component]});
        for (value, field) in [
            (json!({"name":" "}), "template.name"),
            (json!({"name":"x","language":{"code":""}}), "template.language.code"),
            (json!({"name":"x","language":{}}), "language.code"),
            (component(json!({})), "template.components[0].type"),
            (component(json!({"type":1})), "template.components[0].type"),
            (
                component(json!({"type":"body","parameters":{}})),
                "template.components[0].parameters",
            ),
            (component(json!({"type":"button","index":-1})), "template.components[0].index"),
            (
                component(json!({"type":"body","parameters":["x"]})),
                "template.components[0].parameters[0]",
            ),
            (
                component(json!({"type":"body","parameters":[{"type":"text"}]})),
                "template.components[0].parameters[0].text",
            ),
            (
                component(json!({"type":"header","parameters":[{"type":"image"}]})),
                "template.components[0].parameters[0].image",
            ),
            (
                component(json!({"type":"header","parameters":[{"type":"image","image":{}}]})),
                "template.components[0].parameters[0].image.id",
            ),
        ] {
            assert_eq!(read(value.clone()).unwrap_err(), field, "{value}");
        }
    }
}
