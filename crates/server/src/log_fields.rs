//! What is learnt of a request on its way, for its log line. Writing the line is not done here.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use waypost_domain::OrgId;
use waypost_domain::directory::ApiKey;

/// What the handlers of one request add to its log line.
#[derive(Clone, Default)]
pub(crate) struct LogFields(Arc<Mutex<Fields>>);

/// What is known so far.
#[derive(Default)]
pub(crate) struct Fields {
    /// The organisation it is about.
    pub(crate) org_id: Option<OrgId>,
    /// The id of the key that was recognised.
    pub(crate) key_id: Option<String>,
    /// The dialect that answers.
    pub(crate) dialect: Option<&'static str>,
    /// The failure's code.
    pub(crate) error: Option<&'static str>,
    /// The id that the answer shows, where it is not the request's.
    pub(crate) call_id: Option<String>,
}

impl LogFields {
    /// The key that was recognised.
    pub(crate) fn set_key(&self, key: &ApiKey) {
        let mut fields = self.0.lock();
        fields.key_id = Some(key.id.to_string());
        if key.org_id.is_some() {
            fields.org_id.clone_from(&key.org_id);
        }
    }

    /// The organisation it is about.
    pub(crate) fn set_org(&self, org_id: &OrgId) {
        self.0.lock().org_id = Some(org_id.clone());
    }

    /// The dialect that answers.
    pub(crate) fn set_dialect(&self, dialect: &'static str) {
        self.0.lock().dialect = Some(dialect);
    }

    /// The failure's code.
    pub(crate) fn set_error(&self, code: &'static str) {
        self.0.lock().error = Some(code);
    }

    /// The id that the answer shows, where it is not the request's.
    pub(crate) fn set_call_id(&self, id: &str) {
        self.0.lock().call_id = Some(id.to_owned());
    }

    /// All that is known by now.
    pub(crate) fn read(&self) -> MutexGuard<'_, Fields> {
        self.0.lock()
    }
}
