//! Lists of the Cloud API in pages: `limit`, `after` and the cursors beside the data.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::call::Call;
use crate::errors::{Answer, GraphError};

const PAGE_DEFAULT: usize = 25;
const PAGE_MAX: usize = 1_000;

/// The page of `found` that the call asks for, as `{"data", "paging"}`; an empty one has no
/// `paging`.
pub(crate) fn page<T>(
    call: &Call,
    mut found: Vec<T>,
    id: impl Fn(&T) -> &str,
    describe: impl Fn(&T) -> Value,
) -> Answer<Value> {
    let limit = match call.query("limit").map(str::parse::<usize>) {
        None => PAGE_DEFAULT,
        Some(Ok(limit)) if limit > 0 => limit.min(PAGE_MAX),
        Some(_) => return Err(GraphError::parameter("limit must be a positive number.")),
    };
    if let Some(after) = call.query("after").map(decode_cursor).transpose()? {
        let position = found.iter().position(|item| id(item) == after);
        let position = position.ok_or_else(|| GraphError::code(131_059))?;
        found.drain(..=position);
    }
    let has_more = found.len() > limit;
    found.truncate(limit);
    let data: Vec<Value> = found.iter().map(describe).collect();
    let mut answer = json!({ "data": data });
    if let (Some(first), Some(last)) = (found.first(), found.last()) {
        let cursor = encode_cursor(id(last));
        let mut paging = json!({"cursors": {"before": encode_cursor(id(first)), "after": cursor}});
        if has_more {
            paging["next"] = next_page(call, &cursor).into();
        }
        answer["paging"] = paging;
    }
    Ok(answer)
}

fn encode_cursor(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

fn decode_cursor(cursor: &str) -> Answer<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| GraphError::parameter("The cursor is malformed."))
}

fn next_page(call: &Call, cursor: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in call.query.iter().filter(|(name, _)| *name != "after") {
        query.append_pair(name, value);
    }
    query.append_pair("after", cursor);
    let version = call.version.as_ref().map(|version| format!("/{version}")).unwrap_or_default();
    format!("{}{version}/{}?{}", call.base_url(), call.path.join("/"), query.finish())
}
