//! The guarded client behind the port that posts events to tenants' addresses, under the same
//! egress rules as links.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use waypost_egress::{Egress, EgressError};
use waypost_engine::ports::{CallbackPost, CallbackPoster, CallbackReply, PostError};

/// Posts callbacks.
pub(super) struct Posts(Arc<Egress>);

impl Posts {
    pub(super) const fn new(egress: Arc<Egress>) -> Self {
        Self(egress)
    }
}

#[async_trait]
impl CallbackPoster for Posts {
    async fn post(&self, post: CallbackPost) -> Result<CallbackReply, PostError> {
        let headers = header_map(&post.headers)?;
        let answer =
            self.0.post(post.org_id.as_str(), &post.url, headers, post.body, post.timeout).await;
        let answer = answer.map_err(|error| post_error(&error))?;
        let retry_after = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Ok(CallbackReply {
            status: answer.status.as_u16(),
            retry_after: retry_after.map(str::to_owned),
        })
    }
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, PostError> {
    let unwritable = |name: &str| PostError::Failed(format!("the header {name} cannot be written"));
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unwritable(name))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| unwritable(name))?;
        value.set_sensitive(true);
        map.insert(parsed, value);
    }
    Ok(map)
}

fn post_error(error: &EgressError) -> PostError {
    match error {
        EgressError::InvalidUrl(_)
        | EgressError::SchemeNotAllowed { .. }
        | EgressError::UserinfoNotAllowed
        | EgressError::PrivateAddress { .. } => PostError::Refused(error.to_string()),
        other => PostError::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_called_is_told_with_its_setting() {
        let refused = post_error(&EgressError::PrivateAddress { host: "10.0.0.1".to_owned() });
        let PostError::Refused(why) = refused else { panic!("refused") };
        assert!(why.contains("egress.allow_networks"), "{why}");
        assert!(matches!(post_error(&EgressError::Status(500)), PostError::Failed(_)));
    }

    #[test]
    fn headers_that_cannot_be_written_are_told() {
        for (name, value) in [("bad name", "x"), ("x-y", "a\nb")] {
            let headers = [(name.to_owned(), value.to_owned())];
            assert!(header_map(&headers).is_err(), "{name}");
        }
        let fine = [("authorization".to_owned(), "Bearer x".to_owned())];
        assert_eq!(header_map(&fine).map(|map| map.len()).unwrap_or(0), 1);
    }
}
