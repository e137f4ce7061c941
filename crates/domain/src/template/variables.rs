//! The variables of a template's text: `{{1}}`, or `{{name}}` where they have names.

use serde_json::Value;

/// How many different ones a text has.
#[must_use]
pub fn count_variables(text: &str) -> usize {
    variables(text).len()
}

/// The different ones of a text: numbers by size, names in the order in which they stand.
#[must_use]
pub fn variables(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")) {
        let name = name.trim();
        let is_name = !name.is_empty() && name.chars().all(|it| it.is_alphanumeric() || it == '_');
        if is_name && !names.contains(&name) {
            names.push(name);
        }
    }
    // Stable, so that names, which are no numbers, keep their order.
    names.sort_by_key(|name| name.parse::<u32>().ok());
    names
}

/// Whether a component or a button in Meta's form is of a type, in any letter case.
#[must_use]
pub fn is_of_type(part: &Value, word: &str) -> bool {
    part["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(word))
}

/// The variables of the body among a template's components. One-time passwords have a text of
/// Meta's with the code in it, whether the template shows that text or not.
#[must_use]
pub fn variables_of_body(components: &[Value]) -> Vec<&str> {
    let Some(body) = components.iter().find(|part| is_of_type(part, "BODY")) else {
        return Vec::new();
    };
    let found = variables(body["text"].as_str().unwrap_or_default());
    let buttons = components.iter().find(|part| is_of_type(part, "BUTTONS"));
    let mut buttons = buttons.and_then(|part| part["buttons"].as_array()).into_iter().flatten();
    if found.is_empty() && buttons.any(|button| is_of_type(button, "OTP")) {
        vec!["1"]
    } else {
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_each_variable_once() {
        for (text, found) in [
            ("no variables", &[][..]),
            ("{{2}} and {{1}} and {{2}}", &["1", "2"]),
            ("{{10}} {{9}}", &["9", "10"]),
            ("{{order_id}}, {{ first_name }}", &["order_id", "first_name"]),
            ("{{}} {{a b}} {{not closed", &[]),
        ] {
            assert_eq!(variables(text), found, "{text}");
            assert_eq!(count_variables(text), found.len(), "{text}");
        }
    }
}
