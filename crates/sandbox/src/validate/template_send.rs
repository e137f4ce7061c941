//! Template sends against the template they name (reference §1.5): counts, types and texts of the
//! parameters. It does not look templates up.

use serde_json::Value;

use super::{Fields, MediaRef, check_media, invalid, missing};
use crate::errors::{Answer, GraphError};
use crate::media_kind::MediaKind;
use crate::templates::{Button, Header, Shape, Variables};

/// Characters of a body with its parameters filled in. Meta's own ceiling is this or less.
const FILLED_MAX_CHARS: usize = 32_768;

/// Checks the `template` member of a send; returns the media of its headers.
pub(crate) fn check_template<'a>(content: &'a Value, shape: &Shape) -> Answer<Vec<MediaRef<'a>>> {
    let mut media = Vec::new();
    let fields = Fields::of(content, "template")?;
    let components = match fields.get("components") {
        None => &[],
        Some(_) => fields.array("components", 0..=100)?,
    };
    check_components(components, shape, "template.components", &mut media)?;
    Ok(media)
}

fn check_components<'a>(
    components: &'a [Value],
    shape: &Shape,
    at: &str,
    media: &mut Vec<MediaRef<'a>>,
) -> Answer<()> {
    let (mut header, mut body, mut carousel) = (None, None, None);
    let mut buttons = Vec::new();
    for (index, component) in components.iter().enumerate() {
        let component = Fields::of(component, &format!("{at}[{index}]"))?;
        match component.text("type", 64)?.to_ascii_lowercase().as_str() {
            "header" => set_once(&mut header, component, "header")?,
            "body" => set_once(&mut body, component, "body")?,
            "button" => buttons.push(component),
            "carousel" => set_once(&mut carousel, component, "carousel")?,
            "limited_time_offer" => {}
            _ => {
                let details = format!("{} is not a component type.", component.path("type"));
                return Err(GraphError::parameter(details));
            }
        }
    }
    check_header(header.as_ref(), &shape.header, media)?;
    check_body(body.as_ref(), shape)?;
    check_buttons(&buttons, &shape.buttons)?;
    check_cards(carousel.as_ref(), &shape.cards, media)
}

/// Takes a component that a template has once; a second one brings parameters too many.
fn set_once<'a>(place: &mut Option<Fields<'a>>, given: Fields<'a>, name: &str) -> Answer<()> {
    match place.replace(given) {
        None => Ok(()),
        Some(_) => {
            Err(GraphError::new(132_000, format!("There is more than one {name} component.")))
        }
    }
}

fn parameters<'a>(component: Option<&Fields<'a>>) -> Answer<&'a [Value]> {
    match component {
        Some(component) if component.get("parameters").is_some() => {
            component.array("parameters", 0..=100)
        }
        _ => Ok(&[]),
    }
}

fn format_mismatch(place: &str, expected: &str, received: &str) -> GraphError {
    let details = format!("{place}: Format mismatch, expected {expected}, received {received}");
    GraphError::new(132_012, details)
}

fn count_mismatch(place: &str, given: usize, expected: usize) -> GraphError {
    let details = format!(
        "{place}: number of localizable_params ({given}) does not match the expected number of params ({expected})"
    );
    GraphError::new(132_000, details)
}

fn check_header<'a>(
    component: Option<&Fields<'a>>,
    header: &Header,
    media: &mut Vec<MediaRef<'a>>,
) -> Answer<()> {
    let given = parameters(component)?;
    match header {
        Header::None if given.is_empty() => Ok(()),
        Header::None => Err(count_mismatch("header", given.len(), 0)),
        Header::Text(variables) => check_texts("header", given, variables).map(drop),
        Header::Location => one_parameter(given, "location", "LOCATION").map(drop),
        Header::Media(kind) => {
            let expected = kind.name().to_ascii_uppercase();
            let parameter = one_parameter(given, kind.name(), &expected)?;
            media.push(check_header_media(&parameter, *kind)?);
            Ok(())
        }
    }
}

fn check_header_media<'a>(parameter: &Fields<'a>, kind: MediaKind) -> Answer<MediaRef<'a>> {
    let name = kind.name();
    check_media(parameter.required(name)?, kind, &parameter.path(name))
}

/// The only parameter of a header, of the type `name`.
fn one_parameter<'a>(given: &'a [Value], name: &str, expected: &str) -> Answer<Fields<'a>> {
    match given {
        [] => Err(format_mismatch("header", expected, "UNKNOWN")),
        [one] => {
            let parameter = Fields::of(one, "header.parameters[0]")?;
            let kind = parameter.text("type", 64)?;
            if !kind.eq_ignore_ascii_case(name) {
                return Err(format_mismatch("header", expected, &kind.to_ascii_uppercase()));
            }
            Ok(parameter)
        }
        more => Err(count_mismatch("header", more.len(), 1)),
    }
}

fn check_body(component: Option<&Fields<'_>>, shape: &Shape) -> Answer<()> {
    let given = parameters(component)?;
    let added = check_texts("body", given, &shape.body)?;
    if shape.body_text.chars().count() + added > FILLED_MAX_CHARS {
        let details = format!("The filled body has more than {FILLED_MAX_CHARS} characters.");
        return Err(GraphError::new(132_005, details));
    }
    Ok(())
}

/// Checks text-like parameters; returns how many characters they bring.
fn check_texts(place: &str, given: &[Value], variables: &Variables) -> Answer<usize> {
    if given.len() != variables.count() {
        return Err(count_mismatch(place, given.len(), variables.count()));
    }
    let mut characters = 0;
    let mut seen = Vec::new();
    for (index, parameter) in given.iter().enumerate() {
        let at = format!("{place}.parameters[{index}]");
        let parameter = Fields::of(parameter, &at)?;
        characters += check_text_parameter(place, &parameter)?;
        if variables.is_named() {
            let name = parameter.optional_text("parameter_name", 512)?;
            let known = name.is_some_and(|name| variables.names.iter().any(|n| n == name));
            if !known || seen.contains(&name) {
                let details = format!("{at}.parameter_name does not name a parameter.");
                return Err(GraphError::new(132_012, details));
            }
            seen.push(name);
        }
    }
    Ok(characters)
}

fn check_text_parameter(place: &str, parameter: &Fields<'_>) -> Answer<usize> {
    let text = match parameter.text("type", 64)?.to_ascii_lowercase().as_str() {
        "text" => parameter.text("text", FILLED_MAX_CHARS + 1)?,
        kind @ ("currency" | "date_time") => {
            parameter.object(kind)?.text("fallback_value", 1_024)?
        }
        other => return Err(format_mismatch(place, "TEXT", &other.to_ascii_uppercase())),
    };
    if text.contains(['\n', '\t']) || text.contains("     ") {
        let details = "Parameters must not hold new lines, tabs or more than four blanks in a row.";
        return Err(GraphError::new(132_018, details));
    }
    Ok(text.chars().count())
}

fn check_buttons(given: &[Fields<'_>], shape: &[Button]) -> Answer<()> {
    let mut filled = vec![false; shape.len()];
    for component in given {
        let index = button_index(component)?;
        let Some(button) = shape.get(index) else {
            let details = format!("button: the template has no button at index {index}.");
            return Err(GraphError::new(132_012, details));
        };
        check_button(component, *button)?;
        filled[index] = true;
    }
    for (index, button) in shape.iter().enumerate() {
        let needs =
            matches!(button, Button::Url { variable: true } | Button::CopyCode | Button::Otp);
        if needs && !filled[index] {
            return Err(missing(&format!("the parameter of the button at index {index}")));
        }
    }
    Ok(())
}

fn button_index(component: &Fields<'_>) -> Answer<usize> {
    let value = component.required("index")?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| invalid(&component.path("index"), "must be a number"))
}

fn check_button(component: &Fields<'_>, button: Button) -> Answer<()> {
    let sub_type = component.text("sub_type", 64)?.to_ascii_lowercase();
    let (expected, parameter_type) = match button {
        Button::QuickReply => ("quick_reply", "payload"),
        Button::Url { .. } | Button::Otp => ("url", "text"),
        Button::CopyCode => ("copy_code", "coupon_code"),
        Button::Other => return Ok(()),
    };
    // One-time passwords are addressed as URL buttons, and some clients say what they are.
    let fits = sub_type == expected || (button == Button::Otp && sub_type == "copy_code");
    if !fits {
        let received = sub_type.to_ascii_uppercase();
        return Err(format_mismatch("button", &expected.to_ascii_uppercase(), &received));
    }
    let given = parameters(Some(component))?;
    let wanted = usize::from(button != Button::Url { variable: false });
    if given.len() != wanted {
        return Err(count_mismatch("button", given.len(), wanted));
    }
    for parameter in given {
        let parameter = Fields::of(parameter, &component.path("parameters[0]"))?;
        let kind = parameter.text("type", 64)?;
        if !kind.eq_ignore_ascii_case(parameter_type) && button != Button::Otp {
            let received = kind.to_ascii_uppercase();
            return Err(format_mismatch("button", &parameter_type.to_ascii_uppercase(), &received));
        }
        let name = if button == Button::Otp { kind } else { parameter_type };
        parameter.text(name, 2_000)?;
    }
    Ok(())
}

fn check_cards<'a>(
    component: Option<&Fields<'a>>,
    shapes: &[Shape],
    media: &mut Vec<MediaRef<'a>>,
) -> Answer<()> {
    let cards = match component {
        None => &[],
        Some(component) => component.array("cards", 0..=10)?,
    };
    if cards.len() != shapes.len() {
        return Err(count_mismatch("carousel", cards.len(), shapes.len()));
    }
    for (index, (card, shape)) in cards.iter().zip(shapes).enumerate() {
        let at = format!("template.carousel.cards[{index}]");
        let card = Fields::of(card, &at)?;
        let components = card.array("components", 0..=20)?;
        check_components(components, shape, &at, media)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Source;
    use super::*;

    fn code(components: &Value, sent: &Value) -> i64 {
        let content = json!({"name": "t", "language": {"code": "en"}, "components": sent});
        check_template(&content, &Shape::of(components)).map_or_else(|e| e.number(), |_| 0)
    }

    fn order_update() -> Value {
        json!([{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "{{1}} and {{2}}."}])
    }

    fn image() -> Value {
        json!({"type": "header", "parameters": [{"type": "image", "image": {"id": "1"}}]})
    }

    fn body(texts: &[&str]) -> Value {
        let parameters: Vec<_> =
            texts.iter().map(|text| json!({"type": "text", "text": text})).collect();
        json!({"type": "body", "parameters": parameters})
    }

    #[test]
    fn checks_counts_and_types() {
        let template = order_update();
        let video =
            json!({"type": "header", "parameters": [{"type": "video", "video": {"id": "1"}}]});
        let currency = json!({"type": "body", "parameters": [
            {"type": "currency", "currency": {"fallback_value": "$1", "code": "USD", "amount_1000": 1000}},
            {"type": "image", "image": {"id": "1"}}]});
        let cases = [
            (json!([image(), body(&["a", "b"])]), 0),
            (json!([image(), body(&["a"])]), 132_000),
            (json!([image()]), 132_000),
            (json!([body(&["a", "b"])]), 132_012),
            (json!([video, body(&["a", "b"])]), 132_012),
            (json!([image(), currency]), 132_012),
            (json!([image(), body(&["a\nb", "b"])]), 132_018),
            (json!([image(), body(&["a", "b     c"])]), 132_018),
            (json!([image(), body(&["a", "x".repeat(32_768).as_str()])]), 132_005),
            (json!([image(), body(&["a", "b"]), body(&["a", "b"])]), 132_000),
            (json!([image(), image(), body(&["a", "b"])]), 132_000),
            (json!([{"type": "hologram"}]), 100),
        ];
        for (sent, expected) in cases {
            assert_eq!(code(&template, &sent), expected, "{sent}");
        }
    }

    #[test]
    fn returns_the_media_of_the_header() {
        let content = json!({"name": "t", "language": {"code": "en"}, "components": [image(), body(&["a", "b"])]});
        let media = check_template(&content, &Shape::of(&order_update())).unwrap();
        assert_eq!(media, [MediaRef { kind: MediaKind::Image, source: Source::Id("1") }]);
    }

    #[test]
    fn checks_named_parameters_and_buttons() {
        let named = json!([{"type": "BODY", "text": "Hi {{first_name}}!"}]);
        let with_name = |name: Value| json!([{"type": "body", "parameters": [{"type": "text", "text": "Ann", "parameter_name": name}]}]);
        assert_eq!(code(&named, &with_name(json!("first_name"))), 0);
        assert_eq!(code(&named, &with_name(json!("last_name"))), 132_012);
        assert_eq!(code(&named, &json!([body(&["Ann"])])), 132_012);

        let url = json!([{"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "Yes"},
            {"type": "URL", "text": "Go", "url": "https://example.com/{{1}}"}]}]);
        let button = |index: Value, sub_type: &str| {
            json!([{"type": "button", "sub_type": sub_type, "index": index,
                    "parameters": [{"type": "text", "text": "summer"}]}])
        };
        assert_eq!(code(&url, &button(json!("1"), "url")), 0);
        assert_eq!(code(&url, &button(json!(1), "url")), 0);
        assert_eq!(code(&url, &button(json!(1), "copy_code")), 132_012);
        assert_eq!(code(&url, &button(json!(2), "url")), 132_012);
        assert_eq!(code(&url, &json!([])), 131_008);
    }
}
