//! How links that tenants choose are fetched: guarded, and only where a provider's credential is
//! needed. Links without a provider go to the upstream as they are. And which addresses may be
//! called back.

use async_trait::async_trait;

use waypost_domain::OrgId;

use super::blobs::BlobStream;

/// A provider's credential, ready for the header.
#[derive(Clone)]
pub struct LinkCredential {
    /// The hosts that may see it.
    pub allowed_hosts: Vec<String>,
    /// The value of `Authorization`.
    pub authorization: String,
}

/// A fetch that has begun.
pub struct FetchedLink {
    /// The server's `Content-Type`.
    pub content_type: Option<String>,
    /// The body, which fails as `FileTooLarge` once it is longer than was allowed.
    pub body: BlobStream,
}

/// Why a link was not fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It is no http or https URL, or has a form that is not allowed.
    #[error("{0}")]
    Invalid(String),
    /// It points to an address that tenants may not reach.
    #[error("{0}")]
    Forbidden(String),
    /// The file is larger than allowed.
    #[error("the file behind the link is larger than {limit_bytes} bytes")]
    TooLarge {
        /// What was allowed.
        limit_bytes: u64,
    },
    /// The server could not be reached or did not give the file.
    #[error("{0}")]
    Failed(String),
}

/// Fetches links.
#[async_trait]
pub trait LinkFetcher: Send + Sync {
    /// Judges a link by its text alone: its scheme, and literal private addresses and local names.
    ///
    /// # Errors
    /// [`LinkError::Invalid`] or [`LinkError::Forbidden`].
    fn check(&self, url: &str) -> Result<(), LinkError>;
    /// Fetches a link for an organisation, following a few redirects, each of them checked.
    async fn fetch(
        &self,
        org_id: &OrgId,
        url: &str,
        credential: Option<LinkCredential>,
        limit_bytes: u64,
    ) -> Result<FetchedLink, LinkError>;
}

/// Judges addresses to which tenants want events posted.
pub trait CallbackAddresses: Send + Sync {
    /// Judges an address by its text alone: its scheme, and literal private addresses and local
    /// names. What its name stands for is looked at when it is called.
    ///
    /// # Errors
    /// Why nothing will be posted there, with the setting that would allow it; for people.
    fn check(&self, url: &str) -> Result<(), String>;
}
