//! Lists of the Cloud API in pages: `limit`, `after`, `before` and the cursors beside the data.

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
    found: &[T],
    id: impl Fn(&T) -> &str,
    describe: impl Fn(&T) -> Value,
) -> Answer<Value> {
    let limit = limit_of(call)?;
    let place = |name: &str| -> Answer<Option<usize>> {
        let Some(cursor) = call.query(name) else { return Ok(None) };
        let wanted = decode_cursor(cursor)?;
        let position = found.iter().position(|item| id(item) == wanted);
        position.map(Some).ok_or_else(|| GraphError::code(131_059))
    };
    let (after, before) = (place("after")?, place("before")?);
    let mut start = after.map_or(0, |after| after + 1);
    let mut end = before.unwrap_or(found.len()).max(start);
    // What is nearest to the cursor is wanted.
    match before {
        Some(_) => start = start.max(end.saturating_sub(limit)),
        None => end = end.min(start + limit),
    }
    let shown = &found[start..end];
    let data: Vec<Value> = shown.iter().map(describe).collect();
    let mut answer = json!({ "data": data });
    if let (Some(first), Some(last)) = (shown.first(), shown.last()) {
        let cursor = encode_cursor(id(last));
        let mut paging = json!({"cursors": {"before": encode_cursor(id(first)), "after": cursor}});
        if end < found.len() {
            paging["next"] = next_page(call, &cursor).into();
        }
        answer["paging"] = paging;
    }
    Ok(answer)
}

fn limit_of(call: &Call) -> Answer<usize> {
    match call.query("limit").map(str::parse::<usize>) {
        None => Ok(PAGE_DEFAULT),
        Some(Ok(limit)) if limit > 0 => Ok(limit.min(PAGE_MAX)),
        Some(_) => Err(GraphError::parameter("limit must be a positive number.")),
    }
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
    let is_cursor = |name: &str| matches!(name, "after" | "before");
    for (name, value) in call.query.iter().filter(|(name, _)| !is_cursor(name)) {
        query.append_pair(name, value);
    }
    query.append_pair("after", cursor);
    let version = call.version.as_ref().map(|version| format!("/{version}")).unwrap_or_default();
    format!("{}{version}/{}?{}", call.base_url(), call.path.join("/"), query.finish())
}
