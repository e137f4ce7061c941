//! Faults that the tests can switch on, to show that each check of this crate can fail.
//!
//! A product build holds none of them: there `Guard::planted` is always false.

/// One fault of a careless SSRF guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// IPv6 spellings of IPv4 addresses are taken for public IPv6 addresses.
    EmbeddedAddressTrusted,
    /// Only the first address of a name is checked.
    FirstAddressOnly,
    /// The name is resolved a second time for the connection.
    ResolvedAgainAtConnect,
    /// Redirect targets are followed unchecked.
    RedirectUnchecked,
    /// Credentials follow a redirect to any host.
    CredentialCrossesHosts,
}
