//! Reads the template object of a Cloud API message; its components are read by the domain.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{TemplateMessage, read_components};

use super::fields::check_length;
use crate::problem::Faults;

/// The longest name of a template, in characters.
const MAX_NAME_CHARS: usize = 512;

/// A template with the values for its variables.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateInput {
    name: String,
    /// Absent: chosen by the organisation's default language.
    language: Option<LanguageInput>,
    /// In Meta's form; files by `id` of an upload or by `link`.
    #[schema(value_type = Option<Vec<Object>>)]
    components: Option<Value>,
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
    let components = faults.take_read(read_components(&components, "template.components"))?;
    let language = input.language.map(|language| language.code);
    Some(TemplateMessage { name: input.name, language, components })
}

#[cfg(test)]
mod tests {
    use super::super::input::read_value;
    use super::*;
    use serde_json::json;
    use waypost_domain::MediaId;
    use waypost_domain::content::{MediaSource, Parameter};

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
        assert_eq!(media.field, "template.components[0].parameters[0].image.id");
        assert!(
            matches!(&body.parameters[0], Parameter::Text { name: Some(name), .. } if name == "who")
        );
        assert!(matches!(&body.parameters[1], Parameter::Other(_)));
        assert_eq!((button.sub_type.as_deref(), button.index), (Some("url"), Some(1)));
        assert_eq!(carousel.cards.len(), 1);
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
