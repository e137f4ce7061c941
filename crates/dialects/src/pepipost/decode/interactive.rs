//! Interactive messages: the vendor's looser forms are brought into Meta's, which is then read.

use serde_json::{Map, Value, json};
use waypost_domain::command::MediaDraft;
use waypost_domain::content::{Content, read_interactive};
use waypost_domain::{ErrorKind, Failure};

use super::{block, in_words};
use crate::json::Object;
use crate::pepipost::wire::{self, member};

const BAD_VALUE: &str = "Invalid value in type_interactive parameter.";
/// Members of Meta's form that hold a file.
const FILES: [&str; 3] = ["image", "video", "document"];

pub(super) fn read(element: &Object<'_>) -> Result<Content<MediaDraft>, Failure> {
    let block = block(element, member::TYPE_INTERACTIVE)?;
    // The text was found to be JSON, and not too deep, before.
    let mut object: Map<String, Value> = serde_json::from_str(block.written()).unwrap_or_default();
    let moved = into_metas_form(&mut object);
    let value = Value::Object(object);
    let path = block.path();
    let read = read_interactive(&value, &path).and_then(|interactive| {
        interactive.check(&path)?;
        Ok(interactive)
    });
    let interactive = read.map_err(|failure| {
        let failure = as_written(failure, &path, &moved);
        match failure.kind {
            ErrorKind::InvalidValue | ErrorKind::ValueTooLong => in_words(failure, BAD_VALUE),
            _ => failure,
        }
    })?;
    Ok(Content::Interactive(Box::new(interactive)))
}

/// A place in Meta's form that the caller wrote otherwise.
struct Moved {
    metas: String,
    written: String,
}

fn into_metas_form(object: &mut Map<String, Value>) -> Vec<Moved> {
    let mut moved = Vec::new();
    for (name, value) in object.iter_mut() {
        let mut text_moves = || {
            let metas = format!("{name}.{}", member::TEXT);
            moved.push(Moved { metas, written: name.clone() });
        };
        match (name.as_str(), &mut *value) {
            (member::BODY | member::FOOTER, Value::String(text)) => {
                text_moves();
                *value = json!({ member::TEXT: text });
            }
            (member::HEADER, Value::String(text)) if text.trim().is_empty() => *value = Value::Null,
            (member::HEADER, Value::String(text)) => {
                text_moves();
                *value = json!({ member::TYPE: member::TEXT, member::TEXT: text });
            }
            (member::ACTION, Value::Array(actions)) if actions.len() == 1 => {
                moved.push(Moved { metas: name.clone(), written: format!("{name}[0]") });
                *value = actions.remove(0);
            }
            _ => {}
        }
        name_files(value);
    }
    moved
}

/// The failure with the field that the caller wrote.
fn as_written(mut failure: Failure, block: &str, moved: &[Moved]) -> Failure {
    let Some(field) = failure.field.take() else { return failure };
    let written = moved.iter().find_map(|Moved { metas, written }| {
        let rest = field.strip_prefix(block)?.strip_prefix('.')?.strip_prefix(metas.as_str())?;
        let is_whole = rest.is_empty() || rest.starts_with(['.', '[']);
        is_whole.then(|| format!("{block}.{written}{rest}"))
    });
    let written = written.unwrap_or_else(|| field.clone());
    failure.message = failure.message.replacen(&field, &written, 1);
    failure.at(written)
}

/// Puts our own ids of files where the caller has the vendor's form of them. Goes no deeper than
/// the JSON reader does.
fn name_files(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(name_files),
        Value::Object(members) => {
            for (name, inner) in members {
                match inner.get_mut(member::ID) {
                    Some(Value::String(id)) if FILES.contains(&name.as_str()) => {
                        *id = wire::media_id(id).as_str().to_owned();
                    }
                    _ => name_files(inner),
                }
            }
        }
        _ => {}
    }
}
