//! Creation and edits of templates (reference §7): names, categories, components and their limits,
//! with the codes 2388xxx. It stores nothing.

use serde_json::{Map, Value};

use super::is_web_url;
use crate::errors::{Answer, GraphError};
use crate::templates::{Variables, component_type, placeholders};

const LANGUAGES: &str = "af sq ar ar_EG ar_AE ar_LB ar_MA ar_QA ar_SA az bn bg ca zh_CN zh_HK \
    zh_TW hr cs da nl en en_GB en_US en_AU en_CA en_IN et fil fi fr fr_CA fr_BE ka de el gu ha he \
    hi hu id ga it ja kn kk rw_RW ko ky_KG lo lv lt mk ms ml mr nb fa pl pt_BR pt_PT pa ro ru sr \
    sk sl es es_AR es_ES es_MX es_CL es_CO es_PE es_VE sw sv ta te th tr uk ur uz vi zu";
const NAME_MAX: usize = 512;
const HEADER_MAX: usize = 60;
const BODY_MAX: usize = 1_024;
const FOOTER_MAX: usize = 60;
const BUTTON_LABEL_MAX: usize = 25;
const BUTTON_URL_MAX: usize = 2_000;
const BUTTON_PHONE_MAX: usize = 20;

/// A template whose form is right.
#[derive(Debug)]
pub(crate) struct NewTemplate {
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) category: String,
    pub(crate) parameter_format: String,
    pub(crate) components: Value,
    pub(crate) ttl_s: Option<i64>,
}

/// Checks the body of `POST /{waba}/message_templates`.
pub(crate) fn check_new_template(body: &Map<String, Value>) -> Answer<NewTemplate> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("");
    let name = text("name");
    let is_name_char = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(is_name_char) {
        return Err(GraphError::parameter(
            "name has 1 to 512 characters: lower-case letters, digits and underscores.",
        ));
    }
    let language = text("language");
    if !LANGUAGES.split_ascii_whitespace().any(|known| known == language) {
        return Err(GraphError::parameter("language must be one of the supported codes."));
    }
    let category = check_category(text("category"))?;
    let format = match text("parameter_format").to_ascii_uppercase().as_str() {
        "" => "POSITIONAL".to_owned(),
        format @ ("POSITIONAL" | "NAMED") => format.to_owned(),
        _ => return Err(GraphError::parameter("parameter_format is positional or named.")),
    };
    let components = body.get("components").cloned().unwrap_or(Value::Null);
    check_components(&components, &category, &format)?;
    Ok(NewTemplate {
        name: name.to_owned(),
        language: language.to_owned(),
        ttl_s: check_ttl(body, &category)?,
        category,
        parameter_format: format,
        components,
    })
}

/// The category in capitals.
pub(crate) fn check_category(category: &str) -> Answer<String> {
    let category = category.to_ascii_uppercase();
    if ["AUTHENTICATION", "MARKETING", "UTILITY"].contains(&category.as_str()) {
        return Ok(category);
    }
    Err(GraphError::parameter("category must be AUTHENTICATION, MARKETING or UTILITY."))
}

/// `message_send_ttl_seconds`, if given.
pub(crate) fn check_ttl(body: &Map<String, Value>, category: &str) -> Answer<Option<i64>> {
    let Some(value) = body.get("message_send_ttl_seconds").filter(|v| !v.is_null()) else {
        return Ok(None);
    };
    let range = match category {
        "AUTHENTICATION" => 30..=900,
        "UTILITY" => 30..=43_200,
        _ => 43_200..=2_592_000,
    };
    let is_thirty_days = |seconds: i64| seconds == -1 && category != "MARKETING";
    value
        .as_i64()
        .filter(|seconds| range.contains(seconds) || is_thirty_days(*seconds))
        .map(Some)
        .ok_or_else(|| {
            let details =
                format!("message_send_ttl_seconds must be {} to {}.", range.start(), range.end());
            GraphError::parameter(details)
        })
}

/// Checks the components of a creation or an edit.
pub(crate) fn check_components(components: &Value, category: &str, format: &str) -> Answer<()> {
    let list = components.as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| GraphError::parameter("components must be an array."))?;
    let is_authentication = category == "AUTHENTICATION";
    let mut kinds = Vec::new();
    for component in list {
        let kind = component_type(component);
        match kind.as_str() {
            "HEADER" if is_authentication => {
                return Err(GraphError::parameter("Authentication templates have no header."));
            }
            "HEADER" => check_header(component, format)?,
            "BODY" if !is_authentication => check_body(component, format)?,
            "FOOTER" if !is_authentication => check_footer(component)?,
            "BODY" | "FOOTER" => check_authentication(component)?,
            "BUTTONS" => check_buttons(component, is_authentication)?,
            "CAROUSEL" => check_cards(component)?,
            "LIMITED_TIME_OFFER" | "CALL_PERMISSION_REQUEST" => {}
            other => {
                return Err(GraphError::parameter(format!("Unknown component type {other}.")));
            }
        }
        if kinds.contains(&kind) {
            return Err(GraphError::parameter(format!("There is more than one {kind}.")));
        }
        kinds.push(kind);
    }
    let has_body = kinds.iter().any(|kind| kind == "BODY");
    if !has_body && !is_authentication {
        return Err(GraphError::parameter("A BODY component is required."));
    }
    Ok(())
}

fn text_of(component: &Value) -> &str {
    component.get("text").and_then(Value::as_str).unwrap_or("")
}

fn has_example(component: &Value, name: &str) -> bool {
    component.pointer(&format!("/example/{name}")).and_then(Value::as_array).is_some_and(|list| {
        list.iter()
            .any(|sample| !sample.is_null() && sample.as_array().is_none_or(|l| !l.is_empty()))
    })
}

fn missing_example(what: &str) -> GraphError {
    let details = format!("{what} needs an example for its variables or its media.");
    GraphError::parameter(details).with_subcode(2_388_043)
}

fn check_header(component: &Value, format: &str) -> Answer<()> {
    let kind = component.get("format").and_then(Value::as_str).unwrap_or("");
    match kind.to_ascii_uppercase().as_str() {
        "LOCATION" => Ok(()),
        "IMAGE" | "VIDEO" | "DOCUMENT" | "GIF" => {
            if has_example(component, "header_handle") {
                Ok(())
            } else {
                Err(missing_example("The header"))
            }
        }
        "TEXT" => {
            let text = text_of(component);
            let variables = check_variables(text, format)
                .ok_or_else(|| GraphError::new(2_388_047, "The header's variable is malformed."))?;
            if text.is_empty() || text.chars().count() > HEADER_MAX || variables.count() > 1 {
                let details = "A text header has 1 to 60 characters and at most one variable.";
                return Err(GraphError::new(2_388_047, details));
            }
            let has_sample = has_example(component, "header_text")
                || has_example(component, "header_text_named_params");
            if variables.count() > 0 && !has_sample {
                return Err(missing_example("The header"));
            }
            Ok(())
        }
        _ => Err(GraphError::new(2_388_047, "The header's format is unknown.")),
    }
}

fn check_body(component: &Value, format: &str) -> Answer<()> {
    let text = text_of(component);
    if text.is_empty() || text.chars().count() > BODY_MAX {
        return Err(GraphError::new(2_388_072, "The body has 1 to 1024 characters."));
    }
    let found = placeholders(text);
    let variables = check_variables(text, format)
        .ok_or_else(|| GraphError::new(2_388_072, "The body's variables are malformed."))?;
    let trimmed = text.trim();
    if !found.is_empty() && (trimmed.starts_with("{{") || trimmed.ends_with("}}")) {
        let details = "A variable must not be the first or the last thing in the body.";
        return Err(GraphError::new(2_388_299, details));
    }
    let touches = found.windows(2).any(|pair| pair[0].1.end == pair[1].1.start);
    if touches {
        return Err(GraphError::new(2_388_072, "Two variables must not touch."));
    }
    let words = text.split_whitespace().count();
    if words < 2 * variables.count() + 1 {
        let details = "There are too many variables for the length of the body.";
        return Err(GraphError::new(2_388_293, details));
    }
    let has_sample =
        has_example(component, "body_text") || has_example(component, "body_text_named_params");
    if variables.count() > 0 && !has_sample {
        return Err(missing_example("The body"));
    }
    if samples_in_body(component) > variables.count() {
        let details = "The example of the body has more values than the body has variables.";
        return Err(GraphError::parameter(details));
    }
    Ok(())
}

/// How many values the longest example of a body has.
fn samples_in_body(component: &Value) -> usize {
    let list =
        |name: &str| component.pointer(&format!("/example/{name}")).and_then(Value::as_array);
    let named = list("body_text_named_params").map_or(0, Vec::len);
    let sets = list("body_text").map_or(&[][..], Vec::as_slice);
    let longest = sets.iter().filter_map(Value::as_array).map(Vec::len).max();
    named.max(longest.unwrap_or(sets.len()))
}

/// The variables of a text; `None` if they are not numbered from 1, or not proper names.
fn check_variables(text: &str, format: &str) -> Option<Variables> {
    let variables = Variables::of(text);
    let is_name = |name: &String| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let is_proper = if format == "NAMED" {
        variables.names.iter().all(is_name)
    } else {
        let mut numbers: Vec<_> =
            variables.names.iter().map(|name| name.parse::<usize>()).collect();
        numbers.sort_by_key(|number| number.clone().unwrap_or(usize::MAX));
        numbers.iter().enumerate().all(|(index, number)| *number == Ok(index + 1))
    };
    is_proper.then_some(variables)
}

fn check_footer(component: &Value) -> Answer<()> {
    let text = text_of(component);
    if text.is_empty() || text.chars().count() > FOOTER_MAX || !placeholders(text).is_empty() {
        let details = "The footer has 1 to 60 characters and no variables.";
        return Err(GraphError::new(2_388_073, details));
    }
    Ok(())
}

/// Authentication templates have fixed texts; only two settings are free.
fn check_authentication(component: &Value) -> Answer<()> {
    let Some(minutes) = component.get("code_expiration_minutes") else { return Ok(()) };
    if minutes.as_i64().is_some_and(|minutes| (1..=90).contains(&minutes)) {
        return Ok(());
    }
    Err(GraphError::parameter("code_expiration_minutes is 1 to 90."))
}

fn check_buttons(component: &Value, is_authentication: bool) -> Answer<()> {
    let buttons = component.get("buttons").and_then(Value::as_array);
    let buttons = buttons.filter(|list| (1..=10).contains(&list.len()));
    let buttons = buttons.ok_or_else(|| GraphError::parameter("There are 1 to 10 buttons."))?;
    let kinds: Vec<_> = buttons.iter().map(component_type).collect();
    let count = |kind: &str| kinds.iter().filter(|other| *other == kind).count();
    if count("URL") > 2 || count("PHONE_NUMBER") > 1 || count("COPY_CODE") > 1 {
        let details = "There are at most 2 URL, 1 phone number and 1 copy code buttons.";
        return Err(GraphError::parameter(details));
    }
    let runs = kinds.chunk_by(|a, b| (a == "QUICK_REPLY") == (b == "QUICK_REPLY"));
    if runs.filter(|run| run[0] == "QUICK_REPLY").count() > 1 {
        return Err(GraphError::parameter("Quick replies must stand together."));
    }
    if is_authentication != (count("OTP") > 0) {
        return Err(GraphError::parameter("OTP buttons belong to authentication templates."));
    }
    buttons.iter().zip(&kinds).try_for_each(|(button, kind)| check_button(button, kind))
}

/// The buttons of cards are like those of a template.
fn check_cards(component: &Value) -> Answer<()> {
    let cards = component.get("cards").and_then(Value::as_array).into_iter().flatten();
    let parts = cards.filter_map(|card| card.get("components").and_then(Value::as_array)).flatten();
    let mut rows = parts.filter(|part| component_type(part) == "BUTTONS");
    rows.try_for_each(|row| check_buttons(row, false))
}

fn check_button(button: &Value, kind: &str) -> Answer<()> {
    let label_ok = (1..=BUTTON_LABEL_MAX).contains(&text_of(button).chars().count());
    let member = |name: &str| button.get(name).and_then(Value::as_str).unwrap_or("");
    match kind {
        "QUICK_REPLY" | "PHONE_NUMBER" | "URL" if !label_ok => {
            Err(GraphError::parameter("A button has a text of 1 to 25 characters."))
        }
        "QUICK_REPLY" => Ok(()),
        "PHONE_NUMBER" => check_phone_button(member("phone_number")),
        "URL" => check_url_button(button, member("url")),
        "COPY_CODE" => {
            let sample = button.get("example").and_then(|example| {
                example.as_str().or_else(|| example.get(0).and_then(Value::as_str))
            });
            if sample.is_some_and(|sample| (1..=15).contains(&sample.chars().count())) {
                Ok(())
            } else {
                Err(GraphError::parameter("A copy code button has an example of 15 characters."))
            }
        }
        "OTP" => match member("otp_type").to_ascii_uppercase().as_str() {
            "COPY_CODE" | "ONE_TAP" | "ZERO_TAP" => Ok(()),
            _ => Err(GraphError::parameter("otp_type is COPY_CODE, ONE_TAP or ZERO_TAP.")),
        },
        "FLOW" | "CATALOG" | "MPM" | "SPM" | "VOICE_CALL" | "ORDER_DETAILS" => Ok(()),
        other => Err(GraphError::parameter(format!("Unknown button type {other}."))),
    }
}

fn check_phone_button(phone: &str) -> Answer<()> {
    if (1..=BUTTON_PHONE_MAX).contains(&phone.chars().count()) {
        return Ok(());
    }
    let details = format!("The phone_number of a button has 1 to {BUTTON_PHONE_MAX} characters.");
    Err(GraphError::parameter(details))
}

fn check_url_button(button: &Value, url: &str) -> Answer<()> {
    let found = placeholders(url);
    let at_end = found.iter().all(|(_, range)| range.end == url.len());
    if url.is_empty() || url.len() > BUTTON_URL_MAX || found.len() > 1 || !at_end {
        let details = "A URL button has a url of 2000 characters with one variable at its end.";
        return Err(GraphError::parameter(details));
    }
    if !is_web_url(url) {
        return Err(GraphError::parameter("The url of a URL button is an http or https address."));
    }
    if !found.is_empty() && button.get("example").is_none() {
        return Err(missing_example("The URL button"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(components: &Value) -> i64 {
        check_components(components, "UTILITY", "POSITIONAL").map_or_else(|e| e.number(), |()| 0)
    }

    fn body(text: &str) -> Value {
        let samples: Vec<_> = Variables::of(text).names.iter().map(|_| "a").collect();
        json!([{"type": "BODY", "text": text, "example": {"body_text": [samples]}}])
    }

    #[test]
    fn checks_bodies() {
        let with_samples = |samples: Value| {
            json!([{"type": "BODY", "text": "Dear {{1}} of the house",
                    "example": {"body_text": samples}}])
        };
        let cases = [
            (body(&"x".repeat(1_024)), 0),
            (body(&"x".repeat(1_025)), 2_388_072),
            (body("Your order is {{1}}"), 2_388_299),
            (body("{{1}} is your order"), 2_388_299),
            (body("Dear {{1}}{{2}} this is long enough now"), 2_388_072),
            (body("Dear {{1}} and {{2}} you"), 0),
            (body("Dear {{1}} {{2}} you"), 2_388_293),
            (body("Dear {{2}} of the house"), 2_388_072),
            (json!([{"type": "BODY", "text": "Dear {{1}} of the house"}]), 100),
            (with_samples(json!([["a"]])), 0),
            (with_samples(json!([["a"], ["b"]])), 0),
            (with_samples(json!(["a"])), 0),
            (with_samples(json!([["a", "b"]])), 100),
            (with_samples(json!(["a", "b"])), 100),
            (json!([{"type": "FOOTER", "text": "x"}]), 100),
        ];
        for (components, expected) in cases {
            assert_eq!(code(&components), expected, "{components}");
        }
    }

    #[test]
    fn checks_headers_footers_and_buttons() {
        let with =
            |component: Value| code(&json!([{"type": "BODY", "text": "Hello there"}, component]));
        let buttons = |list: Value| with(json!({"type": "BUTTONS", "buttons": list}));
        let reply = json!({"type": "QUICK_REPLY", "text": "Yes"});
        let url = json!({"type": "URL", "text": "Go", "url": "https://example.com/{{1}}", "example": ["x"]});
        assert_eq!(
            with(json!({"type": "HEADER", "format": "TEXT", "text": "x".repeat(61)})),
            2_388_047
        );
        assert_eq!(with(json!({"type": "HEADER", "format": "IMAGE"})), 100);
        assert_eq!(
            with(
                json!({"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::x"]}})
            ),
            0
        );
        assert_eq!(with(json!({"type": "FOOTER", "text": "x".repeat(61)})), 2_388_073);
        assert_eq!(buttons(json!([reply, url])), 0);
        assert_eq!(buttons(json!([reply, url, reply])), 100, "quick replies apart");
        assert_eq!(buttons(json!([url, url, url])), 100);
        assert_eq!(buttons(json!([{"type": "QUICK_REPLY", "text": "x".repeat(26)}])), 100);
    }

    #[test]
    fn buttons_lead_to_web_pages_and_phones_also_on_cards() {
        let to = |url: &str| json!({"type": "URL", "text": "Go", "url": url, "example": ["x"]});
        let call =
            |phone: &str| json!({"type": "PHONE_NUMBER", "text": "Call", "phone_number": phone});
        let cases = [
            (to("https://example.com/a?b={{1}}"), None),
            (to("HTTP://example.com"), None),
            (to("javascript:alert(1)"), Some("http")),
            (to("javascript://example.com/%0aalert(1)"), Some("http")),
            (to("nonsense"), Some("http")),
            (to("ftp://example.com/"), Some("http")),
            (call(&"1".repeat(20)), None),
            (call(&"1".repeat(21)), Some("phone_number")),
            (call(""), Some("phone_number")),
        ];
        for (button, wrong) in cases {
            let row = json!({"type": "BUTTONS", "buttons": [button]});
            let body = json!({"type": "BODY", "text": "Hello there"});
            let card = json!({"type": "CAROUSEL", "cards": [{"components": [row]}]});
            for part in [row, card] {
                let components = json!([body, part]);
                let refused = check_components(&components, "UTILITY", "POSITIONAL").err();
                let refused = refused.map(|error| format!("{error:?}"));
                let named = refused.map(|told| wrong.is_some_and(|word| told.contains(word)));
                assert_eq!(named, wrong.map(|_| true), "{components}");
            }
        }
    }

    #[test]
    fn checks_names_and_languages() {
        let create = |name: &str, language: &str, category: &str| {
            let body = json!({"name": name, "language": language, "category": category,
                              "components": [{"type": "BODY", "text": "Hello"}]});
            check_new_template(body.as_object().unwrap()).is_ok()
        };
        assert!(create("order_1", "en_US", "utility"));
        assert!(!create("Order", "en_US", "utility"));
        assert!(!create("order", "xx", "utility"));
        assert!(!create("order", "en", "junk"));
    }
}
