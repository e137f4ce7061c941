//! Templates: choosing a language, and checking a message's parameters against what was approved.

mod fit;
mod variables;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::content::TemplateMessage;
use crate::failure::{ErrorKind, Failure};
use crate::time::Timestamp;
use fit::Part;
pub use variables::{count_variables, is_of_type, variables, variables_of_body};

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

    /// Whether its variables have names.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.parameter_format.as_deref().is_some_and(|it| it.eq_ignore_ascii_case("NAMED"))
    }

    /// The text of its body and the different variables in it; `None` where it has no such text.
    #[must_use]
    pub fn body_variables(&self) -> Option<(&str, Vec<&str>)> {
        let text = self.part("BODY")?["text"].as_str()?;
        Some((text, variables(text)))
    }

    /// Whether it is for one-time passwords.
    #[must_use]
    pub fn is_authentication(&self) -> bool {
        self.category.eq_ignore_ascii_case("AUTHENTICATION")
    }

    /// The component of a type, such as `HEADER`, in Meta's form.
    #[must_use]
    pub fn part(&self, word: &str) -> Option<&Value> {
        self.components.iter().find(|part| is_of_type(part, word))
    }

    /// The buttons, in Meta's form and order.
    #[must_use]
    pub fn buttons(&self) -> &[Value] {
        let buttons = self.part("BUTTONS").and_then(|part| part["buttons"].as_array());
        buttons.map_or(&[], Vec::as_slice)
    }

    /// Checks a message's parameters against this template.
    ///
    /// # Errors
    /// [`ErrorKind::TemplateParameterMismatch`] with a message that names the component, what it
    /// takes and what it got.
    pub fn check<M>(&self, message: &TemplateMessage<M>) -> Result<(), Failure> {
        let format = self.parameter_format.as_deref().unwrap_or_default();
        let (name, components) = (self.name.as_str(), &self.components[..]);
        let part = Part { name, components, is_named: format.eq_ignore_ascii_case("NAMED") };
        part.check(&message.components)
    }
}

/// The template to be sent: in the language asked for, else in the one chosen by rule.
///
/// # Errors
/// As [`choose`]; [`ErrorKind::TemplateLanguageNotFound`] where it exists in other languages only.
pub fn in_language<'a>(
    name: &str,
    candidates: &'a [Template],
    language: Option<&str>,
    default_language: Option<&str>,
) -> Result<&'a Template, Failure> {
    let Some(language) = language.filter(|_| !candidates.is_empty()) else {
        return choose(name, candidates, default_language);
    };
    let found = candidates.iter().find(|template| template.language == language);
    let found = found.ok_or_else(|| {
        let message = format!("Template {name} exists, but not in language {language}.");
        Failure::new(ErrorKind::TemplateLanguageNotFound, message)
    })?;
    choose(name, std::slice::from_ref(found), None)
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
    use crate::content::{Component, Parameter};
    use crate::media::MediaKind;
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

    #[test]
    fn a_language_that_is_missing_is_told_from_a_template_that_is() {
        let all = [template("en", "APPROVED"), template("ms", "PAUSED")];
        let find = |candidates: &[Template], language: Option<&str>| {
            let found = in_language("x", candidates, language, Some("en"));
            found.map(|it| it.language.clone()).map_err(|failure| failure.kind)
        };
        assert_eq!(find(&all, Some("en")), Ok("en".to_owned()));
        assert_eq!(find(&all, None), Ok("en".to_owned()));
        assert_eq!(find(&all, Some("ms")), Err(ErrorKind::TemplateNotApproved));
        assert_eq!(find(&all, Some("de")), Err(ErrorKind::TemplateLanguageNotFound));
        assert_eq!(find(&[], Some("de")), Err(ErrorKind::TemplateNotFound));
    }
}
