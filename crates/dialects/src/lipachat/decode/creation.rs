//! Making and changing templates: the vendor's object of header, body, footer and buttons becomes
//! Meta's array. What Meta judges by itself (lengths, words, order of buttons) is left to it.

use serde_json::{Map, Value, json};
use waypost_domain::template::count_variables;
use waypost_domain::{ErrorKind, Failure};

use super::{
    MAX_NAME_CHARS, MAX_WORD_CHARS, any_of, is_upstream_id, optional, path_number, require, text,
};
use crate::contract::{Request, Task};
use crate::json::{self, Field, Object, Type};
use crate::lipachat::wire::{member, path};

/// The longest template name, in code points (Meta's limit).
const MAX_TEMPLATE_NAME_CHARS: usize = 512;
/// The longest text of a part, in code points; Meta's own limits are lower.
const MAX_PART_CHARS: usize = 32_768;
/// The most buttons and the most variables that are read.
const MAX_BUTTONS: usize = 10;
const MAX_EXAMPLES: usize = 256;
/// The most components in Meta's form.
const MAX_COMPONENTS: usize = 32;

const CATEGORIES: [&str; 3] = ["MARKETING", "UTILITY", "AUTHENTICATION"];
const AUTHENTICATION: &str = CATEGORIES[2];

/// Members of a button that Meta knows under another spelling of the same name.
const BUTTON_MEMBERS: [(&str, &str); 8] = [
    (member::TEXT, "text"),
    (member::URL, "url"),
    (member::PHONE_NUMBER, "phone_number"),
    ("otpType", "otp_type"),
    (member::FLOW_ID, "flow_id"),
    ("flowAction", "flow_action"),
    ("navigateScreen", "navigate_screen"),
    ("autofillText", "autofill_text"),
];

/// `POST /api/v1/template/{PHONE_NUMBER}`
pub(super) fn create(request: &Request<'_>, body: &[u8]) -> Result<Task, Failure> {
    let number = path_number(request, path::PHONE_NUMBER)?;
    let document = json::parse(body)?;
    let root = Object::root(document.root())?;
    let [name, language, category] =
        root.fields([member::NAME, member::LANGUAGE, member::CATEGORY]);
    let component = any_of(&root, &[member::COMPONENT, member::COMPONENTS]);
    for field in [&name, &language, &category, &component] {
        require(field)?;
    }
    let name = template_name(&name)?;
    let language = text(&language, MAX_WORD_CHARS)?;
    let category = category_word(&category)?;
    let components = components(&component, Some(category))?;
    let template = json!({
        "name": name, "language": language.trim(), "category": category, "components": components,
    });
    Ok(Task::CreateTemplate { number, template })
}

/// `PUT /api/v1/template/{PHONE_NUMBER}/{templateId}`: Meta changes components and category, never
/// name or language. A name must be the template's own.
pub(super) fn edit(request: &Request<'_>, body: &[u8]) -> Result<Task, Failure> {
    let number = path_number(request, path::PHONE_NUMBER)?;
    let document = json::parse(body)?;
    let root = Object::root(document.root())?;
    let [name, category] = root.fields([member::NAME, member::CATEGORY]);
    let component = any_of(&root, &[member::COMPONENT, member::COMPONENTS]);
    require(&component)?;
    let name = if name.is_blank() { None } else { Some(template_name(&name)?) };
    let category = if category.is_blank() { None } else { Some(category_word(&category)?) };
    let components = components(&component, category)?;
    let mut change = Map::new();
    if let Some(category) = category {
        change.insert("category".to_owned(), json!(category));
    }
    change.insert("components".to_owned(), components);
    let template_id = request.path_param(path::TEMPLATE_ID).unwrap_or_default().trim().to_owned();
    if !is_upstream_id(&template_id) {
        return Err(Failure::new(ErrorKind::TemplateNotFound, "There is no such template."));
    }
    Ok(Task::EditTemplate { number, template_id, name, change: Value::Object(change) })
}

fn template_name(field: &Field<'_>) -> Result<String, Failure> {
    let name = text(field, MAX_TEMPLATE_NAME_CHARS)?;
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    if name.bytes().all(is_plain) {
        return Ok(name);
    }
    Err(field.invalid("may have lower-case letters, digits and _ only"))
}

fn category_word(field: &Field<'_>) -> Result<&'static str, Failure> {
    let word = field.lenient_text(MAX_WORD_CHARS)?;
    let found = CATEGORIES.into_iter().find(|known| known.eq_ignore_ascii_case(word.trim()));
    found.ok_or_else(|| field.invalid("must be MARKETING, UTILITY or AUTHENTICATION"))
}

/// The vendor's object as Meta's array; an array is Meta's already.
fn components(field: &Field<'_>, category: Option<&str>) -> Result<Value, Failure> {
    if field.required()?.kind() == Type::Array {
        return meta_components(field);
    }
    let object = field.object()?;
    let [header, body, footer, buttons] =
        object.fields([member::HEADER, member::BODY, member::FOOTER, member::BUTTONS]);
    let is_authentication = category == Some(AUTHENTICATION);
    if !is_authentication {
        require(&body)?;
    }
    let mut parts = Vec::new();
    if !header.is_blank() {
        parts.push(self::header(&header.object()?)?);
    }
    if body.is_blank() {
        parts.push(json!({"type": "BODY"}));
    } else {
        parts.push(self::body(&body.object()?, is_authentication)?);
    }
    if !footer.is_blank() {
        parts.push(self::footer(&footer.object()?)?);
    }
    if !buttons.is_blank() {
        let buttons = buttons.array(MAX_BUTTONS)?;
        let buttons = buttons.iter().map(|element| button(&element.object()?));
        let buttons = buttons.collect::<Result<Vec<Value>, Failure>>()?;
        if !buttons.is_empty() {
            parts.push(json!({"type": "BUTTONS", "buttons": buttons}));
        }
    }
    Ok(Value::Array(parts))
}

fn meta_components(field: &Field<'_>) -> Result<Value, Failure> {
    for element in field.array(MAX_COMPONENTS)? {
        let [kind] = element.object()?.fields([member::TYPE]);
        text(&kind, MAX_WORD_CHARS)?;
    }
    serde_json::from_str(field.required()?.written())
        .map_err(|_| field.invalid("holds a number that is too large"))
}

fn header(object: &Object<'_>) -> Result<Value, Failure> {
    let [text_field, example, media] =
        object.fields([member::TEXT, member::EXAMPLE, member::MEDIA_ID]);
    let format = any_of(object, &[member::FORMAT, member::TYPE]);
    let word = text(&format, MAX_WORD_CHARS)?.trim().to_ascii_uppercase();
    match word.as_str() {
        "TEXT" => {
            let text = text(&text_field, MAX_PART_CHARS)?;
            let example = optional(&example, MAX_PART_CHARS)?;
            if count_variables(&text) != usize::from(example.is_some()) {
                let rule = "must be given exactly where the header's text has a variable";
                return Err(object_example(object).invalid(rule));
            }
            let mut header = json!({"type": "HEADER", "format": "TEXT", "text": text});
            if let Some(example) = example {
                header["example"] = json!({"header_text": [example]});
            }
            Ok(header)
        }
        "IMAGE" | "VIDEO" | "DOCUMENT" => {
            let handle = text(&media, MAX_PART_CHARS)?;
            let example = json!({"header_handle": [handle]});
            Ok(json!({"type": "HEADER", "format": word, "example": example}))
        }
        "LOCATION" => Ok(json!({"type": "HEADER", "format": "LOCATION"})),
        _ => Err(format.invalid("must be TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION")),
    }
}

fn object_example<'a>(object: &Object<'a>) -> Field<'a> {
    let [example] = object.fields([member::EXAMPLE]);
    example
}

fn body(object: &Object<'_>, is_authentication: bool) -> Result<Value, Failure> {
    let [text_field, examples, security] =
        object.fields([member::TEXT, member::EXAMPLES, member::ADD_SECURITY_RECOMMENDATION]);
    let mut body = json!({"type": "BODY"});
    if !security.is_blank() {
        body["add_security_recommendation"] = json!(yes_or_no(&security)?);
    }
    // Meta writes the text of such a template itself.
    if is_authentication || (!security.is_blank() && text_field.is_blank()) {
        return Ok(body);
    }
    let text = text(&text_field, MAX_PART_CHARS)?;
    let given = self::examples(&examples)?;
    let variables = count_variables(&text);
    if given.len() != variables {
        let rule = format!("must have one element for each of the {variables} variables");
        return Err(examples.invalid(&rule));
    }
    body["text"] = json!(text);
    if !given.is_empty() {
        body["example"] = json!({"body_text": [given]});
    }
    Ok(body)
}

fn examples(field: &Field<'_>) -> Result<Vec<String>, Failure> {
    if field.is_blank() {
        return Ok(Vec::new());
    }
    field.array(MAX_EXAMPLES)?.iter().map(|element| text(element, MAX_PART_CHARS)).collect()
}

fn yes_or_no(field: &Field<'_>) -> Result<bool, Failure> {
    let word = field.lenient_text(MAX_WORD_CHARS)?;
    word.trim().to_ascii_lowercase().parse().map_err(|_| field.invalid("must be true or false"))
}

fn footer(object: &Object<'_>) -> Result<Value, Failure> {
    let [text_field, minutes] = object.fields([member::TEXT, member::CODE_EXPIRATION_MINUTES]);
    let mut footer = json!({"type": "FOOTER"});
    if let Some(minutes_text) = optional(&minutes, MAX_WORD_CHARS)? {
        let number = minutes_text.trim().parse::<u32>();
        let number = number.map_err(|_| minutes.invalid("must be a number of minutes"))?;
        footer["code_expiration_minutes"] = json!(number);
    } else {
        footer["text"] = json!(text(&text_field, MAX_PART_CHARS)?);
    }
    Ok(footer)
}

fn button(object: &Object<'_>) -> Result<Value, Failure> {
    let [kind, example, package, signature] = object.fields([
        member::TYPE,
        member::EXAMPLE,
        member::PACKAGE_NAME,
        member::SIGNATURE_HASH,
    ]);
    let word = text(&kind, MAX_WORD_CHARS)?.trim().to_ascii_uppercase();
    let needed: &[&[&str]] = match word.as_str() {
        "URL" => &[&[member::TEXT], &[member::URL]],
        "PHONE_NUMBER" => &[&[member::TEXT], &[member::PHONE_NUMBER, "phone_number"]],
        "QUICK_REPLY" => &[&[member::TEXT]],
        _ => &[],
    };
    for names in needed {
        require(&any_of(object, names))?;
    }
    let mut button = Map::from_iter([("type".to_owned(), json!(word))]);
    for (ours, metas) in BUTTON_MEMBERS {
        if let Some(value) = optional(&any_of(object, &[ours, metas]), MAX_PART_CHARS)? {
            button.insert(metas.to_owned(), json!(value));
        }
    }
    if !example.is_blank() {
        button.insert("example".to_owned(), button_example(&word, &example)?);
    }
    if let Some(package) = optional(&package, MAX_NAME_CHARS)? {
        let hash = text(&signature, MAX_NAME_CHARS)?;
        let app = json!({"package_name": package, "signature_hash": hash});
        button.insert("supported_apps".to_owned(), json!([app]));
    }
    Ok(Value::Object(button))
}

/// Meta wants an array for addresses, and a text for codes.
fn button_example(kind: &str, field: &Field<'_>) -> Result<Value, Failure> {
    let is_array = field.required()?.kind() == Type::Array;
    let values = if is_array { examples(field)? } else { vec![text(field, MAX_PART_CHARS)?] };
    Ok(if kind == "COPY_CODE" { json!(values.first()) } else { json!(values) })
}
