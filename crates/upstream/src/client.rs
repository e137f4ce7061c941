//! The client as the engine sees it: builds requests, carries the token, and hands out the calls.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::request::Builder;
use http::{HeaderValue, Method, Request};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;
use waypost_domain::call::Call;
use waypost_domain::media::MimeType;
use waypost_domain::retry::RetryClass;
use waypost_domain::template::Template;
use waypost_domain::{ErrorKind, Failure, Timestamp};
use waypost_engine::ports::{
    Account, BlobStream, CallError, DownloadedMedia, NumberInfo, OutgoingMessage, Sample,
    SendOutcome, Upstream,
};

use crate::body::OutgoingBody;
use crate::config::{ConfigError, UpstreamConfig};
use crate::transport::Transport;
use crate::usage::Usages;

/// The longest reply of a call for one thing, in bytes.
pub(crate) const MAX_REPLY_BYTES: usize = 1_024 * 1_024;
/// The longest page of a list, in bytes.
pub(crate) const MAX_PAGE_BYTES: usize = 8 * MAX_REPLY_BYTES;

const AGENT: &str = concat!("waypost/", env!("CARGO_PKG_VERSION"));

/// Meta's Cloud API, or the simulator: always over HTTP.
#[derive(Clone)]
pub struct CloudApi {
    pub(crate) transport: Transport,
    pub(crate) config: UpstreamConfig,
    pub(crate) usages: Arc<Usages>,
    prefix: String,
}

impl CloudApi {
    /// Checks the configuration and loads the trusted certificates; connects to nothing.
    ///
    /// # Errors
    /// Says what is wrong with the configuration, or that no certificates were found.
    pub fn new(config: UpstreamConfig) -> Result<Self, ConfigError> {
        let prefix = config.prefix()?;
        Ok(Self { transport: Transport::new(&config)?, config, usages: Arc::default(), prefix })
    }

    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.config.call_timeout
    }

    /// The URL of a path of the API, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// A request to the upstream's own host or to a URL that [`CloudApi::gives_files`] vouches for.
    pub(crate) fn request(
        account: &Account,
        method: &Method,
        url: &str,
    ) -> Result<Builder, CallError> {
        let bearer = format!("Bearer {}", account.access_token);
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| {
            let message = "The access token has characters that no header can carry; set it anew.";
            let failure = Failure::new(ErrorKind::UpstreamAuth, message);
            CallError { failure, class: RetryClass::Account }
        })?;
        bearer.set_sensitive(true);
        Ok(Request::builder()
            .method(method)
            .uri(url)
            .header(AUTHORIZATION, bearer)
            .header(USER_AGENT, HeaderValue::from_static(AGENT))
            .header(ACCEPT, HeaderValue::from_static("*/*")))
    }

    pub(crate) fn json_request(
        &self,
        account: &Account,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<OutgoingBody>, CallError> {
        let json = HeaderValue::from_static("application/json");
        let request = Self::request(account, method, &self.url(path))?.header(CONTENT_TYPE, json);
        finish(request, OutgoingBody::bytes(body))
    }

    /// A call that may be repeated: its reply as JSON.
    pub(crate) async fn call(
        &self,
        account: &Account,
        method: Method,
        path: &str,
        body: Option<&Value>,
        max_bytes: usize,
    ) -> Result<Value, CallError> {
        let request = match body {
            Some(body) => {
                self.json_request(account, &method, path, Bytes::from(body.to_string()))?
            }
            None => {
                let request = Self::request(account, &method, &self.url(path))?;
                finish(request, OutgoingBody::bytes(Bytes::new()))?
            }
        };
        match self.transport.exchange(request, self.deadline(), max_bytes).await {
            Ok(reply) => reply.into_json(&account.access_token),
            Err(broken) => Err(broken.into_call_error()),
        }
    }

    /// Whether a file's URL may be called with the token: only at the upstream's own origin, or
    /// over https at a host that gives out its files.
    pub(crate) fn gives_files(&self, url: &Url) -> bool {
        let base = &self.config.base_url;
        let is_own = url.origin() == base.origin();
        let is_media_host = base.scheme() == "https"
            && url.scheme() == "https"
            && url.port().is_none()
            && url.host_str().is_some_and(|host| {
                self.config.media_hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
            });
        let is_plain = url.username().is_empty() && url.password().is_none();
        is_plain && (is_own || is_media_host)
    }
}

/// Ids come from the directory and from webhooks: they fill one path segment, whatever they hold.
pub(crate) fn segment(id: &str) -> String {
    utf8_percent_encode(id, NON_ALPHANUMERIC).to_string()
}

pub(crate) fn finish(
    request: Builder,
    body: OutgoingBody,
) -> Result<Request<OutgoingBody>, CallError> {
    request.body(body).map_err(|error| {
        let message = format!("The request to the upstream cannot be formed: {error}.");
        let failure = Failure::new(ErrorKind::UpstreamError, message);
        CallError { failure, class: RetryClass::Never }
    })
}

#[async_trait]
impl Upstream for CloudApi {
    fn usage(&self, account: &Account) -> Option<u8> {
        self.usages.take(&account.waba_id)
    }

    async fn send(&self, account: &Account, message: &OutgoingMessage<'_>) -> SendOutcome {
        self.send_message(account, message).await.0
    }

    async fn send_and_tell(
        &self,
        account: &Account,
        message: &OutgoingMessage<'_>,
    ) -> (SendOutcome, Call) {
        self.send_message(account, message).await
    }

    async fn upload(
        &self,
        account: &Account,
        mime_type: &MimeType,
        filename: &str,
        size: u64,
        body: BlobStream,
    ) -> Result<String, CallError> {
        self.upload_file(account, mime_type, filename, size, body).await
    }

    async fn upload_sample(
        &self,
        account: &Account,
        app_id: &str,
        sample: Sample,
    ) -> Result<String, CallError> {
        self.upload_template_sample(account, app_id, sample).await
    }

    async fn download(
        &self,
        account: &Account,
        media_id: &str,
        limit_bytes: u64,
    ) -> Result<DownloadedMedia, CallError> {
        self.download_file(account, media_id, limit_bytes).await
    }

    async fn templates(
        &self,
        account: &Account,
        name: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Template>, CallError> {
        self.list_templates(account, name, now).await
    }

    async fn create_template(
        &self,
        account: &Account,
        template: &Value,
    ) -> Result<Value, CallError> {
        let path = format!("/{}/message_templates", segment(&account.waba_id));
        self.call(account, Method::POST, &path, Some(template), MAX_REPLY_BYTES).await
    }

    async fn edit_template(
        &self,
        account: &Account,
        template_id: &str,
        change: &Value,
    ) -> Result<(), CallError> {
        let path = format!("/{}", segment(template_id));
        self.call(account, Method::POST, &path, Some(change), MAX_REPLY_BYTES).await.map(drop)
    }

    async fn delete_template(
        &self,
        account: &Account,
        name: &str,
        template_id: Option<&str>,
    ) -> Result<(), CallError> {
        self.remove_template(account, name, template_id).await
    }

    async fn register(&self, account: &Account, pin: &str) -> Result<(), CallError> {
        self.register_number(account, pin).await
    }

    async fn subscribe(&self, account: &Account) -> Result<(), CallError> {
        let path = format!("/{}/subscribed_apps", segment(&account.waba_id));
        let nothing = serde_json::json!({});
        self.call(account, Method::POST, &path, Some(&nothing), MAX_REPLY_BYTES).await.map(drop)
    }

    async fn number_info(&self, account: &Account) -> Result<NumberInfo, CallError> {
        self.read_number(account).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Trust;

    #[test]
    fn t35_the_token_is_shown_to_the_upstream_and_its_file_host_only() {
        let base = "https://graph.facebook.com";
        for (base, url, shown) in [
            (base, "https://graph.facebook.com/v25.0/file", true),
            (base, "https://graph.facebook.com:443/file", true),
            (base, "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", true),
            (base, "https://LOOKASIDE.fbsbx.com/x", true),
            (base, "http://lookaside.fbsbx.com/x", false),
            (base, "https://lookaside.fbsbx.com:444/x", false),
            (base, "https://a@lookaside.fbsbx.com/x", false),
            (base, "https://lookaside.fbsbx.com.example.com/x", false),
            (base, "https://evil-lookaside.fbsbx.com/x", false),
            (base, "https://lookaside.fbsbx.com./x", false),
            (base, "http://graph.facebook.com/file", false),
            (base, "https://graph.facebook.com:8443/file", false),
            (base, "https://example.com/?https://lookaside.fbsbx.com/", false),
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081/file", true),
            ("http://127.0.0.1:8081", "http://127.0.0.1:8082/file", false),
            ("http://127.0.0.1:8081", "https://lookaside.fbsbx.com/x", false),
        ] {
            let mut config = UpstreamConfig::new(Url::parse(base).unwrap(), "v25.0");
            config.trust = Trust::Only(vec![]);
            let client = CloudApi::new(config).unwrap();
            assert_eq!(client.gives_files(&Url::parse(url).unwrap()), shown, "{base} {url}");
        }
    }
}
