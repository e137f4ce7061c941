//! Examples of what a template's header shows: uploaded in a session of the app's own (Meta's
//! "Resumable Upload API"), always in one part.

use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use url::form_urlencoded::Serializer;
use waypost_domain::media::clean_filename;
use waypost_domain::retry::RetryClass;
use waypost_domain::{ErrorKind, Failure};
use waypost_engine::ports::{Account, CallError, Sample};

use crate::body::OutgoingBody;
use crate::client::{CloudApi, MAX_REPLY_BYTES, finish, segment};
use crate::transport::Broken;

/// Where Meta's upload sessions begin.
const SESSION_PREFIX: &str = "upload:";

impl CloudApi {
    pub(crate) async fn upload_template_sample(
        &self,
        account: &Account,
        app_id: &str,
        sample: Sample,
    ) -> Result<String, CallError> {
        let session = self.begin_upload(account, &begin_path(app_id, &sample)).await?;
        let request = Self::request(account, &Method::POST, &self.url(&session))?;
        let mut request = request
            .header("file_offset", HeaderValue::from_static("0"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        // This one call takes the token under another word.
        if let Some(headers) = request.headers_mut() {
            headers.insert(AUTHORIZATION, oauth(account)?);
        }
        let deadline = self.transfer_deadline(sample.size);
        let body = OutgoingBody::streamed(sample.body, sample.size);
        let exchange =
            self.transport.exchange(finish(request, body)?, deadline, MAX_REPLY_BYTES).await;
        let reply = exchange.map_err(Broken::into_call_error)?.into_json(&account.access_token)?;
        reply["h"].as_str().map(str::to_owned).ok_or_else(|| unreadable("handle"))
    }

    /// The path of a new session.
    async fn begin_upload(&self, account: &Account, path: &str) -> Result<String, CallError> {
        let begun = self.call(account, Method::POST, path, None, MAX_REPLY_BYTES).await?;
        let session = begun["id"].as_str().and_then(|id| id.strip_prefix(SESSION_PREFIX));
        session.and_then(session_path).ok_or_else(|| unreadable("session"))
    }
}

fn begin_path(app_id: &str, sample: &Sample) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("file_length", &sample.size.to_string());
    query.append_pair("file_type", sample.mime_type.as_str());
    if let Some(name) = clean_filename(&sample.filename) {
        query.append_pair("file_name", &name);
    }
    format!("/{}/uploads?{}", segment(app_id), query.finish())
}

/// A session's id has its signature as a query in it: both go into the path as they came, after
/// what could lead elsewhere was refused.
fn session_path(session: &str) -> Option<String> {
    let (id, query) = session.split_once('?').unwrap_or((session, ""));
    let is_plain = |text: &str, also: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.as_bytes().contains(&byte))
    };
    if id.is_empty() || !is_plain(id, "+=_-.~%") || !is_plain(query, "+=_-.~%&") {
        return None;
    }
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    Some(format!("/{SESSION_PREFIX}{id}{query}"))
}

fn oauth(account: &Account) -> Result<HeaderValue, CallError> {
    let value = HeaderValue::try_from(format!("OAuth {}", account.access_token));
    let mut value = value.map_err(|_| {
        let message = "The access token has characters that no header can carry; set it anew.";
        let failure = Failure::new(ErrorKind::UpstreamAuth, message);
        CallError { failure, class: RetryClass::Operator }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn unreadable(what: &str) -> CallError {
    let message = format!("The upstream took the sample and gave no {what} for it.");
    let failure = Failure::new(ErrorKind::UpstreamError, message);
    CallError { failure, class: RetryClass::BackOffFew }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_stays_on_its_path() {
        for (session, path) in [
            ("MTI=?sig=ARx-1", Some("/upload:MTI=?sig=ARx-1")),
            ("MTI=", Some("/upload:MTI=")),
            ("", None),
            ("a/../b", None),
            ("a@example.com", None),
            ("a?b#c", None),
            ("a b", None),
        ] {
            assert_eq!(session_path(session).as_deref(), path, "{session}");
        }
    }
}
