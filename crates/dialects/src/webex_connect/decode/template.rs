//! Templates: the top-level `message`. Its values have names of the author's choice; which variable
//! each belongs to is told by `bind`, once the template is known.

use serde_json::{Value, json};
use waypost_domain::command::TemplateBinding;
use waypost_domain::content::TemplateMessage;
use waypost_domain::media::MediaKind;
use waypost_domain::{Content, ErrorKind, Failure};

use super::Said;
use super::content::{MAX_PARAMETERS, identity_beside_template};
use super::file::{link, shown_name};
use super::member::{Doom, Member, members};
use crate::json::{Node, Type};
use crate::webex_connect::bind::{self, Entry, Given, HeaderFile, Place, QuickReply, Values};
use crate::webex_connect::codes;
use crate::webex_connect::wire::member as name;

/// The most `quickReply` entries.
const MAX_QUICK_REPLIES: usize = 3;
/// The longest one-time code, in code points.
const MAX_OTP_CHARS: usize = 15;

/// The kinds of file that a header may show; their words are reserved keys.
const HEADER_KINDS: [MediaKind; 3] = [MediaKind::Image, MediaKind::Video, MediaKind::Document];

/// `message`, with what stands of `wa` beside it.
pub(super) fn read(message: Node<'_>, channels: &Member<'_>) -> Result<Said, Failure> {
    let [template, parameters] = members(message, [name::TEMPLATE, name::PARAMETERS]);
    let written = template.label()?;
    let (template, language) = named(written.trim());
    let mut doom = Doom::default();
    let values = match parameters.optional_object()? {
        Some(object) => values(object, &mut doom)?,
        None => Values::default(),
    };
    let message = TemplateMessage {
        name: template.to_owned(),
        language: language.map(str::to_owned),
        components: Vec::new(),
    };
    Ok(Said {
        content: Content::Template(message),
        binding: Some(TemplateBinding { values: values.into_json(), bind: bind::bind }),
        identity_key_hash: identity_beside_template(channels)?,
        doom,
        tells_all_later: false,
    })
}

/// `id`, `name` or `name:language`.
fn named(written: &str) -> (&str, Option<&str>) {
    match written.rsplit_once(':') {
        Some((name, language)) if !name.is_empty() && !language.is_empty() => {
            (name, Some(language))
        }
        _ => (written, None),
    }
}

fn values(parameters: Node<'_>, doom: &mut Doom) -> Result<Values, Failure> {
    let mut values = Values::default();
    for (key, node) in parameters.members().into_iter().flatten() {
        let key = key.decoded();
        let member = Member::new(&key, Some(node));
        if member.node().is_none() {
            continue;
        }
        if let Some(kind) = HEADER_KINDS.into_iter().find(|kind| kind.as_str() == key) {
            values.set_file(header_file(&member, kind)?);
            continue;
        }
        match &*key {
            name::QUICK_REPLY => values.quick_replies = quick_replies(&member, doom)?,
            name::OTP => values.otp = Some(one_time_code(&member, doom)?),
            _ => {
                let given = given(&member)?;
                if !values.set(Entry { name: key.into_owned(), given }, MAX_PARAMETERS) {
                    let message = format!("More than {MAX_PARAMETERS} parameters are given.");
                    let kind = ErrorKind::TemplateParameterMismatch;
                    doom.because(kind, codes::PARAM_COUNT_MISMATCH, message);
                }
            }
        }
    }
    Ok(values)
}

/// The file of the header, by link or by the id of an upload.
fn header_file(member: &Member<'_>, kind: MediaKind) -> Result<HeaderFile, Failure> {
    let [address, alias, id, filename] =
        members(member.object()?, [name::LINK, name::URL, name::ID, name::FILENAME]);
    let address = address.or(alias);
    let (place, name) = if address.is_blank() && !id.is_blank() {
        (Place::Id(id.label()?.trim().to_owned()), id.name())
    } else {
        (Place::Link(link(&address)?), address.name())
    };
    let field = format!("message.parameters.{}.{name}", kind.as_str());
    Ok(HeaderFile { kind, place, field, filename: shown_name(&filename, kind)? })
}

fn quick_replies(list: &Member<'_>, doom: &mut Doom) -> Result<Vec<QuickReply>, Failure> {
    let mut replies = Vec::new();
    for element in list.optional_array()?.into_iter().flatten() {
        let entry = Member::new(name::QUICK_REPLY, Some(element)).object()?;
        let [button_text, payload] = members(entry, [name::BUTTON_TEXT, name::PAYLOAD]);
        let button_text = button_text.optional_text()?.map(|text| text.trim().to_owned());
        let payload = payload.label()?.into_owned();
        if replies.len() == MAX_QUICK_REPLIES {
            doom.out_of_bounds(format!("More than {MAX_QUICK_REPLIES} quick replies are given."));
            break;
        }
        replies.push(QuickReply { button_text, payload });
    }
    Ok(replies)
}

/// `{"type":"otp","value":"…"}`, or the code itself.
fn one_time_code(member: &Member<'_>, doom: &mut Doom) -> Result<String, Failure> {
    let code = match member.node().map(Node::kind) {
        Some(Type::Object) => members(member.object()?, [name::VALUE])[0].label()?,
        _ => member.label()?,
    };
    if code.chars().nth(MAX_OTP_CHARS).is_some() {
        let message = format!("`otp` is longer than {MAX_OTP_CHARS} characters.");
        doom.because(ErrorKind::ValueTooLong, codes::PARAM_TOO_LONG, message);
    } else if code.contains(char::is_whitespace) {
        doom.out_of_bounds("`otp` holds blanks.");
    }
    Ok(code.into_owned())
}

/// A value of the author's naming: a text, or an object of one of three types.
fn given(member: &Member<'_>) -> Result<Given, Failure> {
    let node = member.node().ok_or_else(|| member.missing())?;
    match node.kind() {
        Type::Number => Ok(Given::Text(node.written().to_owned())),
        // A blank one keeps its place in the order.
        Type::String => Ok(Given::Text(member.decoded(node)?.into_owned())),
        Type::Object => typed(member, node),
        Type::Null | Type::Boolean | Type::Array => Err(member.invalid()),
    }
}

fn typed(member: &Member<'_>, object: Node<'_>) -> Result<Given, Failure> {
    let [kind, payload, fallback, currency, amount] = members(
        object,
        [name::TYPE, name::PAYLOAD, name::FALLBACK_VALUE, name::CURRENCY_CODE, name::AMOUNT_1000],
    );
    let word = kind.text()?.trim().to_ascii_lowercase();
    match word.as_str() {
        name::URL => Ok(Given::Url(payload.label()?.into_owned())),
        "currency" => {
            let amount_1000: i64 = amount.label()?.trim().parse().map_err(|_| amount.invalid())?;
            Ok(meta(
                &word,
                &json!({
                    name::FALLBACK_VALUE: fallback.label()?,
                    name::CODE: currency.text()?.trim(),
                    name::AMOUNT_1000: amount_1000,
                }),
            ))
        }
        "date_time" => Ok(meta(&word, &json!({ name::FALLBACK_VALUE: fallback.label()? }))),
        _ => Err(member.invalid()),
    }
}

/// A parameter in the Cloud API's form.
fn meta(word: &str, value: &Value) -> Given {
    Given::Meta(json!({ name::TYPE: word, word: value }))
}
