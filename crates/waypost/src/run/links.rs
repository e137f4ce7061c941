//! The guarded client behind the two ports that fetch links: the engine's (with a provider's
//! credential) and the sandbox's (as Meta would fetch them). One set of egress rules for both, and
//! for the addresses that tenants want events posted to.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use waypost_domain::OrgId;
use waypost_egress::{
    Authorization, Credential, Egress, EgressError, EgressPolicy, FetchRequest, Purpose,
    SystemResolver, Timeouts,
};
use waypost_engine::ports::{
    CallbackAddresses, FetchedLink, LinkCredential, LinkError, LinkFetcher,
};
use waypost_sandbox::{FetchedLink as SandboxLink, LinkFetcher as SandboxFetcher};

use crate::config::EgressSettings;

/// Fetches links under the configured egress rules.
#[derive(Clone)]
pub(super) struct Links(Arc<Egress>);

impl Links {
    pub(super) fn new(settings: &EgressSettings) -> Self {
        let policy = EgressPolicy {
            allow_networks: settings.allow_networks.clone(),
            allow_http_callbacks: settings.allow_http_callbacks,
            allow_http_links: settings.allow_http_links,
        };
        Self(Arc::new(Egress::new(policy, Arc::new(SystemResolver))))
    }

    /// The client itself, for who posts.
    pub(super) fn egress(&self) -> Arc<Egress> {
        Arc::clone(&self.0)
    }
}

#[async_trait]
impl LinkFetcher for Links {
    fn check(&self, url: &str) -> Result<(), LinkError> {
        self.0.check_url(url, Purpose::Link).map(drop).map_err(link_error)
    }

    async fn fetch(
        &self,
        org_id: &OrgId,
        url: &str,
        credential: Option<LinkCredential>,
        limit_bytes: u64,
    ) -> Result<FetchedLink, LinkError> {
        let credential = credential.map(|credential| Credential {
            allowed_hosts: credential.allowed_hosts,
            authorization: Authorization::Value(credential.authorization),
        });
        let request = FetchRequest {
            asker: org_id.to_string(),
            url: url.to_owned(),
            credential,
            limit_bytes,
            timeouts: Timeouts::default(),
        };
        let response = self.0.get(request).await.map_err(link_error)?;
        Ok(FetchedLink {
            content_type: response.content_type,
            body: Box::pin(response.body.map(|piece| piece.map_err(body_error))),
        })
    }
}

impl CallbackAddresses for Links {
    fn check(&self, url: &str) -> Result<(), String> {
        self.0.check_url(url, Purpose::Callback).map(drop).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl SandboxFetcher for Links {
    async fn fetch(&self, url: &str, limit_bytes: u64) -> Result<SandboxLink, String> {
        let request = FetchRequest {
            // Meta, who fetches for everybody.
            asker: String::new(),
            url: url.to_owned(),
            credential: None,
            limit_bytes,
            timeouts: Timeouts::default(),
        };
        let mut response = self.0.get(request).await.map_err(|error| error.to_string())?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = response.body.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        }
        Ok(SandboxLink { mime_type: response.content_type, bytes: Bytes::from(bytes) })
    }
}

fn body_error(error: EgressError) -> io::Error {
    match error {
        EgressError::TooLarge { .. } => io::Error::new(io::ErrorKind::FileTooLarge, error),
        other => io::Error::other(other),
    }
}

fn link_error(error: EgressError) -> LinkError {
    match error {
        EgressError::InvalidUrl(_)
        | EgressError::SchemeNotAllowed { .. }
        | EgressError::UserinfoNotAllowed => LinkError::Invalid(error.to_string()),
        EgressError::PrivateAddress { .. } => LinkError::Forbidden(error.to_string()),
        EgressError::TooLarge { limit_bytes } => LinkError::TooLarge { limit_bytes },
        other => LinkError::Failed(other.to_string()),
    }
}
