//! Numbers that organisations share: a person joins an organisation by texting its code, and is
//! heard by that one from then on.

use serde_json::Value;
use waypost_domain::OrgId;
use waypost_domain::directory::Number;

use crate::Engine;
use crate::ports::Addressed;

impl Engine {
    /// For whom a message is that a person wrote to a number.
    pub(crate) fn addressed(
        &self,
        number: &Number,
        kind: &str,
        message: &Value,
    ) -> (OrgId, Addressed) {
        let owner = || number.org_id.clone();
        if !number.shared {
            return (owner(), Addressed::Named);
        }
        let text = message["text"]["body"].as_str().filter(|_| kind == "text");
        match text.and_then(|text| self.directory().org_by_join_code(text)) {
            Some(org_id) => (org_id, Addressed::Joining),
            None => (owner(), Addressed::Joined),
        }
    }
}
