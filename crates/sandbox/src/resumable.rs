//! The resumable upload of template samples (reference §0.2): a session, its bytes in one or more
//! parts, the handle. A sample is never shown, so its bytes are counted and let go; what is
//! remembered of them is in `uploads`.

use axum::response::Response;
use futures_util::StreamExt as _;
use http::Method;
use serde_json::{Value, json};

use crate::Sandbox;
use crate::call::Call;
use crate::errors::{Answer, GraphError, json_response};
use crate::media_kind::{MEDIA_FILE_MAX_BYTES, essence};
use crate::state::State;

/// What may be a sample.
const SAMPLE_TYPES: [&str; 5] =
    ["application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4"];

/// `POST /{app}/uploads`: begins the upload of a template sample.
pub(crate) async fn begin(sandbox: &Sandbox, mut call: Call) -> Answer<Response> {
    if call.method != Method::POST {
        return Err(GraphError::wrong_method("POST"));
    }
    let parameters = call.parameters().await?;
    let length = parameters
        .get("file_length")
        .and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()))
        .filter(|length| (1..=MEDIA_FILE_MAX_BYTES).contains(length))
        .ok_or_else(|| GraphError::parameter("file_length must be 1 to 104857600."))?;
    let mime = parameters.get("file_type").and_then(|value| essence(value.as_str()?));
    let mime = mime.filter(|mime| SAMPLE_TYPES.contains(&mime.as_str())).ok_or_else(|| {
        GraphError::parameter(format!("file_type must be one of: {}.", SAMPLE_TYPES.join(", ")))
    })?;
    let id = sandbox.state().uploads.begin(mime, length);
    Ok(json_response(200, &json!({ "id": id })))
}

/// `GET` and `POST /upload:{session}?sig=…`: how much has come, and the bytes from `file_offset`.
pub(crate) async fn part(sandbox: &Sandbox, mut call: Call, id: &str) -> Answer<Response> {
    let sig = call.query("sig").unwrap_or("").to_owned();
    let unknown = || GraphError::unknown_object(&format!("upload:{id}"));
    let (received, length) = {
        let mut state = sandbox.state();
        let session = state.uploads.find(id, &sig).ok_or_else(unknown)?;
        (session.received, session.length)
    };
    if call.is_get() {
        return Ok(progress(id, &sig, received));
    }
    if call.method != Method::POST {
        return Err(GraphError::wrong_method("GET, POST"));
    }
    let offset =
        call.headers.get("file_offset").and_then(|value| value.to_str().ok()?.parse().ok());
    if offset != Some(received) {
        let details = format!("The header file_offset must be {received}.");
        return Err(GraphError::parameter(details));
    }
    let size = count_bytes(&mut call, length - received).await?;
    let mut state = sandbox.state();
    state.add_to_upload(id, &sig, received, size).ok_or_else(unknown)
}

/// Reads the body to its end; what came before a break counts.
async fn count_bytes(call: &mut Call, max: u64) -> Answer<u64> {
    let mut size = 0_u64;
    let mut stream = std::mem::take(&mut call.body).into_data_stream();
    while let Some(Ok(chunk)) = stream.next().await {
        size += chunk.len() as u64;
        if size > max {
            return Err(GraphError::parameter("The body is longer than file_length says."));
        }
    }
    Ok(size)
}

fn progress(id: &str, sig: &str, received: u64) -> Response {
    let id = format!("upload:{id}?sig={sig}");
    json_response(200, &json!({"id": id, "file_offset": received}))
}

impl State {
    /// Takes note of bytes that began at `offset`: the handle once all are there, else how many
    /// are; `None` if the session is gone.
    fn add_to_upload(&mut self, id: &str, sig: &str, offset: u64, size: u64) -> Option<Response> {
        let session = self.uploads.find(id, sig)?;
        session.received = session.received.max(offset + size);
        let received = session.received;
        if received < session.length {
            return Some(progress(id, sig, received));
        }
        let handle = self.uploads.finish(id)?;
        Some(json_response(200, &json!({ "h": handle })))
    }

    /// Refuses components with a media sample that nobody uploaded or that is of another kind.
    /// `before` are the components that an edit replaces: their samples stay good.
    pub(crate) fn check_samples(&self, components: &Value, before: &Value) -> Answer<()> {
        let known = samples(before);
        for (format, handle) in samples(components) {
            if known.contains(&(format.clone(), handle)) {
                continue;
            }
            let fits = self.uploads.type_of(handle).is_some_and(|mime| match format.as_str() {
                "IMAGE" => mime.starts_with("image/"),
                "VIDEO" | "GIF" => mime == "video/mp4",
                _ => mime == "application/pdf",
            });
            if !fits {
                let details = format!(
                    "example.header_handle must be the handle of an uploaded sample for {format}."
                );
                return Err(GraphError::parameter(details));
            }
        }
        Ok(())
    }
}

/// The media samples of components and of their cards, with the formats of their headers.
fn samples(components: &Value) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for component in components.as_array().into_iter().flatten() {
        let format = component["format"].as_str().unwrap_or("").to_ascii_uppercase();
        let handles = component["example"]["header_handle"].as_array();
        let handles = handles.into_iter().flatten().filter_map(Value::as_str);
        found.extend(handles.map(|handle| (format.clone(), handle)));
        for card in component["cards"].as_array().into_iter().flatten() {
            found.extend(samples(&card["components"]));
        }
    }
    found
}
