//! API keys: made once, shown once, looked up by their hash.
//!
//! A look-up hashes the whole presented text and asks a map for the hash: an unknown id and a
//! wrong secret take the same path and the same time, and no comparison of secrets takes place.

use std::sync::Arc;

use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use waypost_clock::Clock;
use waypost_domain::api_key::{self, KeyText};
use waypost_domain::command::MessageType;
use waypost_domain::directory::{ApiKey, Scope};
use waypost_domain::{ApiKeyId, ErrorKind, Failure, Timestamp};

use crate::directory::Directory;
use crate::ports::Sha256Hex;
use crate::vault::random_bytes;

/// The public part of the installation's own key; no other key has it.
pub const ADMIN_KEY_ID: &str = "admin";

/// What is told of every key that opens nothing, whatever the reason.
pub const UNKNOWN_KEY: &str = "The API key is unknown, revoked or expired.";

/// Recognises callers.
pub struct Keys {
    directory: Arc<Directory>,
    clock: Clock,
    admin: RwLock<Option<Arc<ApiKey>>>,
}

impl Keys {
    /// Keys of a directory.
    #[must_use]
    pub fn new(directory: Arc<Directory>, clock: Clock) -> Self {
        Self { directory, clock, admin: RwLock::new(None) }
    }

    /// Sets the installation's administrator key by the hash of its secret.
    pub fn set_admin(&self, secret_sha256: String) {
        *self.admin.write() = Some(Arc::new(ApiKey {
            id: ApiKeyId::new(ADMIN_KEY_ID),
            org_id: None,
            name: Some("the installation's administrator".to_owned()),
            secret_sha256,
            scopes: Scope::ALL.to_vec(),
            sends_as: MessageType::Human,
            rate_limit_per_s: None,
            allowed_ips: Vec::new(),
            disabled: false,
            jwt: None,
            expires_at: None,
            revoked_at: None,
            created_at: Timestamp(0),
        }));
    }

    /// The key that a caller presented.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidCredential`], the same for unknown, wrong, revoked and expired.
    pub fn recognise(&self, presented: &str) -> Result<Arc<ApiKey>, Failure> {
        let hash = hash_secret(presented.trim());
        let admin = self.admin.read().clone().filter(|admin| admin.secret_sha256 == hash);
        admin
            .or_else(|| self.directory.key_by_secret(&hash))
            .filter(|key| key.works_at(Timestamp(self.clock.now_ms())))
            .ok_or_else(|| Failure::new(ErrorKind::InvalidCredential, UNKNOWN_KEY))
    }

    /// Whether a secret, by its hash, is the installation's own: nobody else's key could ever use it.
    #[must_use]
    pub fn is_installations(&self, secret_sha256: &str) -> bool {
        self.admin.read().as_ref().is_some_and(|admin| admin.secret_sha256 == secret_sha256)
    }
}

/// SHA-256 of a secret as lower-case hex: the only form in which it is kept.
#[must_use]
pub fn hash_secret(secret: &str) -> String {
    Sha256Hex::from_digest(&Sha256::digest(secret.as_bytes())).as_str().to_owned()
}

/// A fresh key. `live` tells whether it is for a real upstream.
#[must_use]
pub fn generate(live: bool) -> KeyText {
    api_key::compose(live, random_bytes(), random_bytes())
}
