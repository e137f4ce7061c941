//! The attempt token: what travels to the upstream as `biz_opaque_callback_data` and comes back in
//! status webhooks, so that a status can be bound to its attempt although the reply was lost.
//!
//! `wp1.<attempt id>.<short MAC>`, both parts base64url. It holds no secret and no personal data;
//! the MAC keeps others who see or set that field from binding statuses to our attempts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use waypost_domain::AttemptId;

use crate::vault::{Vault, mac};

const PREFIX: &str = "wp1.";
const MAC_BYTES: usize = 9;

/// Makes and reads tokens.
pub(crate) struct Tokens {
    key: [u8; 32],
}

impl Tokens {
    pub(crate) fn new(vault: &Vault) -> Self {
        Self { key: vault.derive("attempt-token") }
    }

    pub(crate) fn compose(&self, id: AttemptId) -> String {
        let mut token = String::with_capacity(40);
        token.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(id.as_bytes(), &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(self.short_mac(id), &mut token);
        token
    }

    /// The attempt that a token names, if we made it.
    pub(crate) fn read(&self, token: &str) -> Option<AttemptId> {
        let (id, given) = token.strip_prefix(PREFIX)?.split_once('.')?;
        let id: [u8; 16] = URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()?;
        let id = AttemptId::from_bytes(id);
        let given = URL_SAFE_NO_PAD.decode(given).ok()?;
        bool::from(self.short_mac(id).ct_eq(&given)).then_some(id)
    }

    fn short_mac(&self, id: AttemptId) -> Vec<u8> {
        mac(&self.key, &[id.as_bytes()])[..MAC_BYTES].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_attempt_and_nothing_forged_does() {
        let tokens = Tokens::new(&Vault::new([1; 32]));
        let id = AttemptId::from_bytes([9; 16]);
        let token = tokens.compose(id);
        assert_eq!(token.len(), 4 + 22 + 1 + 12);
        assert_eq!(tokens.read(&token), Some(id));
        for place in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(tokens.read(&String::from_utf8(forged).unwrap()), None, "byte {place}");
        }
        assert_eq!(Tokens::new(&Vault::new([2; 32])).read(&token), None);
        assert_eq!(tokens.read("order-77"), None);
        assert_eq!(tokens.read(&token[..token.len() - 4]), None);
    }
}
