//! Templates: choosing a language, and checking a message's parameters against what was approved.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::content::{Component, Parameter, TemplateMessage};
use crate::failure::{ErrorKind, Failure};
use crate::media::MediaKind;
use crate::time::Timestamp;

/// A template in one language, as the upstream last showed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// The upstream's id.
    pub id: String,
    /// The business account it belongs to.
    pub waba_id: String,
    /// Its name.
    pub name: String,
    /// Its language code.
    pub language: String,
    /// Meta's word, such as `APPROVED`.
    pub status: String,
    /// `AUTHENTICATION`, `MARKETING` or `UTILITY`.
    pub category: String,
    /// `POSITIONAL` or `NAMED`.
    #[serde(default)]
    pub parameter_format: Option<String>,
    /// Header, body, footer and buttons, in Meta's form.
    pub components: Vec<Value>,
    /// When it was last read from the upstream.
    pub synced_at: Timestamp,
}

impl Template {
    /// Whether it may be sent.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.status.eq_ignore_ascii_case("APPROVED")
    }

    /// Checks a message's parameters against this template.
    ///
    /// # Errors
    /// [`ErrorKind::TemplateParameterMismatch`] with a message that names the component, what it
    /// takes and what it got.
    pub fn check<M>(&self, message: &TemplateMessage<M>) -> Result<(), Failure> {
        for part in ["header", "body"] {
            let wanted = self.component(part).map(Wanted::of).unwrap_or_default();
            let given = message.components.iter().find(|component| component.kind == part);
            wanted.check(&self.name, part, given)?;
        }
        Ok(())
    }

    fn component(&self, part: &str) -> Option<&Value> {
        self.components.iter().find(|component| {
            component["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(part))
        })
    }
}

/// What a component takes.
#[derive(Default)]
struct Wanted {
    variables: usize,
    media: Option<MediaKind>,
}

impl Wanted {
    fn of(component: &Value) -> Self {
        let media = component["format"].as_str().and_then(MediaKind::parse);
        let text = component["text"].as_str().unwrap_or_default();
        Self { variables: if media.is_some() { 0 } else { count_variables(text) }, media }
    }

    fn check<M>(
        &self,
        name: &str,
        part: &str,
        given: Option<&Component<M>>,
    ) -> Result<(), Failure> {
        let parameters = given.map_or(&[][..], |component| &component.parameters[..]);
        let mismatch = |wanted: &str| {
            let got = parameters.len();
            let message =
                format!("The {part} of template {name} takes {wanted}; the request gives {got}.");
            Failure::new(ErrorKind::TemplateParameterMismatch, message)
        };
        if let Some(kind) = self.media {
            let fits =
                matches!(parameters, [Parameter::Media { kind: given, .. }] if *given == kind);
            return if fits {
                Ok(())
            } else {
                Err(mismatch(&format!("one parameter of type {}", kind.as_str())))
            };
        }
        // Locations, currencies and the like stand for one variable each.
        let all_values = parameters.iter().all(|given| !matches!(given, Parameter::Media { .. }));
        // A header that shows a place has no text with variables, yet takes one parameter.
        let takes_other =
            self.variables == 0 && matches!(parameters, [Parameter::Other(_)]) && part == "header";
        if all_values && (parameters.len() == self.variables || takes_other) {
            return Ok(());
        }
        let plural = if self.variables == 1 { "" } else { "s" };
        Err(mismatch(&format!("{} text parameter{plural}", self.variables)))
    }
}

/// How many different variables `{{1}}` or `{{name}}` a text has.
#[must_use]
pub fn count_variables(text: &str) -> usize {
    let mut names: Vec<&str> = text
        .split("{{")
        .skip(1)
        .filter_map(|rest| rest.split_once("}}"))
        .map(|(name, _)| name.trim())
        .filter(|name| {
            !name.is_empty() && name.chars().all(|char| char.is_alphanumeric() || char == '_')
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}

/// The language in which a template goes out when the request names none: the only approved one;
/// if several, the organisation's; else `en`, else `en_US`, else the first in alphabetical order.
///
/// # Errors
/// [`ErrorKind::TemplateNotFound`] where `candidates` is empty, [`ErrorKind::TemplateNotApproved`]
/// where none may be sent.
pub fn choose<'a>(
    name: &str,
    candidates: &'a [Template],
    default_language: Option<&str>,
) -> Result<&'a Template, Failure> {
    if candidates.is_empty() {
        let message = format!("There is no template named {name}.");
        return Err(Failure::new(ErrorKind::TemplateNotFound, message));
    }
    let approved: Vec<&Template> =
        candidates.iter().filter(|template| template.is_approved()).collect();
    let preferred = [default_language, Some("en"), Some("en_US")];
    let chosen = preferred
        .into_iter()
        .flatten()
        .find_map(|language| approved.iter().find(|template| template.language == language))
        .or_else(|| approved.iter().min_by(|one, other| one.language.cmp(&other.language)));
    chosen.copied().ok_or_else(|| {
        let message = format!(
            "Template {name} exists and is {}; only an approved template can be sent.",
            candidates[0].status.to_lowercase()
        );
        Failure::new(ErrorKind::TemplateNotApproved, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(language: &str, status: &str) -> Template {
        Template {
            id: "1".to_owned(),
            waba_id: "100000000000002".to_owned(),
            name: "spring_offer".to_owned(),
            language: language.to_owned(),
            status: status.to_owned(),
            category: "MARKETING".to_owned(),
            parameter_format: None,
            components: vec![
                json!({"type":"HEADER","format":"IMAGE"}),
                json!({"type":"BODY","text":"Visit {{1}} and save {{2}}. See {{1}}."}),
            ],
            synced_at: Timestamp(0),
        }
    }

    fn text(value: &str) -> Parameter<()> {
        Parameter::Text { text: value.to_owned(), name: None }
    }

    fn image() -> Parameter<()> {
        Parameter::Media { kind: MediaKind::Image, media: (), filename: None }
    }

    fn message(parts: Vec<(&str, Vec<Parameter<()>>)>) -> TemplateMessage<()> {
        let components =
            parts.into_iter().map(|(kind, parameters)| Component::new(kind, parameters)).collect();
        TemplateMessage { name: "spring_offer".to_owned(), language: None, components }
    }

    #[test]
    fn counts_each_variable_once() {
        for (text, count) in [
            ("no variables", 0),
            ("{{1}} and {{2}} and {{1}}", 2),
            ("{{first_name}}, {{ order_id }}", 2),
            ("{{}} {{not closed", 0),
        ] {
            assert_eq!(count_variables(text), count, "{text}");
        }
    }

    #[test]
    fn parameters_must_fit_the_template() {
        let template = template("en", "APPROVED");
        let body = || ("body", vec![text("a"), text("b")]);
        assert!(template.check(&message(vec![("header", vec![image()]), body()])).is_ok());
        for wrong in [
            vec![body()],
            vec![("header", vec![text("a")]), body()],
            vec![("header", vec![image(), image()]), body()],
            vec![("header", vec![image()]), ("body", vec![text("a")])],
            vec![("header", vec![image()])],
            vec![("header", vec![image()]), ("body", vec![image(), text("b")])],
        ] {
            let failure = template.check(&message(wrong)).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::TemplateParameterMismatch);
        }
    }

    #[test]
    fn the_language_is_chosen_by_rule() {
        let all = |languages: &[&str]| -> Vec<Template> {
            languages.iter().map(|language| template(language, "APPROVED")).collect()
        };
        for (languages, default, chosen) in [
            (&["ms"][..], Some("en"), "ms"),
            (&["en", "ms"], Some("ms"), "ms"),
            (&["en_US", "en", "ms"], None, "en"),
            (&["ms", "en_US"], Some("de"), "en_US"),
            (&["ms", "id"], None, "id"),
        ] {
            let candidates = all(languages);
            assert_eq!(choose("spring_offer", &candidates, default).unwrap().language, chosen);
        }
        let kind = |candidates: &[Template]| choose("x", candidates, None).unwrap_err().kind;
        assert_eq!(kind(&[]), ErrorKind::TemplateNotFound);
        assert_eq!(kind(&[template("en", "PENDING")]), ErrorKind::TemplateNotApproved);
        let mixed = [template("en", "REJECTED"), template("ms", "APPROVED")];
        assert_eq!(choose("x", &mixed, None).unwrap().language, "ms");
    }
}
