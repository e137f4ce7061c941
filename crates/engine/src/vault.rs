//! Secrets at rest: XChaCha20-Poly1305 under the master key, bound to the place where they are
//! kept, so that a ciphertext moved to another row opens nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use waypost_domain::directory::Sealed;

const NONCE_BYTES: usize = 24;
/// First byte of every sealed value: the form described here.
const VERSION: u8 = 1;

/// Seals and opens secrets.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
    master_key: [u8; 32],
}

/// The value was not sealed by this master key for this place, or it is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stored secret cannot be opened: the master key is another one, or the value was moved or damaged"
)]
pub struct VaultError;

impl Vault {
    /// A vault under a master key.
    #[must_use]
    pub fn new(master_key: [u8; 32]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(&master_key.into()), master_key }
    }

    /// Seals a secret for a place, such as `numbers/n-1/access_token`.
    ///
    /// # Panics
    /// Where the operating system gives no random bytes: nothing can be kept secret then.
    #[must_use]
    pub fn seal(&self, place: &str, secret: &str) -> Sealed {
        let nonce: [u8; NONCE_BYTES] = random_bytes();
        let payload = Payload { msg: secret.as_bytes(), aad: place.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("only messages beyond 256 GiB cannot be sealed");
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Sealed(STANDARD_NO_PAD.encode(bytes))
    }

    /// Opens a secret that was sealed for a place.
    ///
    /// # Errors
    /// [`VaultError`] where key or place differ or the value is damaged.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<String, VaultError> {
        let bytes = STANDARD_NO_PAD.decode(&sealed.0).map_err(|_| VaultError)?;
        let (version, rest) = bytes.split_first().ok_or(VaultError)?;
        if *version != VERSION || rest.len() < NONCE_BYTES {
            return Err(VaultError);
        }
        let (nonce, sealed) = rest.split_at(NONCE_BYTES);
        let nonce = XNonce::try_from(nonce).map_err(|_| VaultError)?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let secret = self.cipher.decrypt(&nonce, payload).map_err(|_| VaultError)?;
        String::from_utf8(secret).map_err(|_| VaultError)
    }

    /// Tells master keys apart, and says nothing of this one: 16 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.derive("fingerprint")[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A key for another purpose, derived from the master key.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        mac(&self.master_key, &[b"waypost/", purpose.as_bytes()])
    }
}

/// HMAC-SHA256 over the parts, one after the other.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Random bytes from the operating system.
///
/// # Panics
/// Where it gives none.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_and_place() {
        let vault = Vault::new([1; 32]);
        let sealed = vault.seal("numbers/a/access_token", "EAAG-secret");
        assert_eq!(vault.open("numbers/a/access_token", &sealed).unwrap(), "EAAG-secret");
        assert_eq!(vault.open("numbers/b/access_token", &sealed), Err(VaultError));
        assert_eq!(Vault::new([2; 32]).open("numbers/a/access_token", &sealed), Err(VaultError));
        assert!(!sealed.0.contains("EAAG"));
        assert_ne!(vault.seal("x", "same"), vault.seal("x", "same"));
    }

    #[test]
    fn a_damaged_value_is_told() {
        let vault = Vault::new([1; 32]);
        for damaged in ["", "AQ", "%%%", "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(vault.open("x", &Sealed(damaged.to_owned())), Err(VaultError));
        }
    }
}
