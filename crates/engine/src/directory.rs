//! The directory in memory: who may call, for whom, and by which number. Read without the store;
//! written through to it elsewhere, one change after the other.

mod bounds;
mod state;
mod templates;
mod writes;

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard};
use tokio_util::task::TaskTracker;
use waypost_domain::callback::Webhook;
use waypost_domain::directory::{ApiKey, MediaProvider, Number, Org, User};
use waypost_domain::{
    ApiKeyId, ErrorKind, Failure, NumberId, OrgId, ProviderId, UserId, WebhookId,
};

use self::state::State;
use crate::ports::{Store, StoreResult};

/// The directory.
pub struct Directory {
    kept: Arc<Kept>,
    /// What callers asked to be written, and may have gone away from.
    writes: TaskTracker,
}

/// What is known, and where it is kept.
struct Kept {
    store: Arc<dyn Store>,
    state: RwLock<State>,
    /// Writes go one after the other, so that memory and store agree on the last one.
    writing: tokio::sync::Mutex<()>,
}

impl Directory {
    /// Reads the directory from the store.
    ///
    /// # Errors
    /// What the store says.
    pub async fn load(store: Arc<dyn Store>) -> StoreResult<Self> {
        let state = RwLock::new(State::from_snapshot(store.load_directory().await?));
        let kept = Kept { store, state, writing: tokio::sync::Mutex::new(()) };
        Ok(Self { kept: Arc::new(kept), writes: TaskTracker::new() })
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.kept.state.read()
    }

    /// An organisation.
    #[must_use]
    pub fn org(&self, id: &OrgId) -> Option<Arc<Org>> {
        self.state().orgs.get(id).map(|entries| Arc::clone(&entries.org))
    }

    /// All organisations in the order of creation.
    #[must_use]
    pub fn orgs(&self) -> Vec<Arc<Org>> {
        let state = self.state();
        let org = |id| state.orgs.get(id).map(|entries| Arc::clone(&entries.org));
        state.org_order.iter().filter_map(org).collect()
    }

    /// A user of an organisation.
    #[must_use]
    pub fn user(&self, org_id: &OrgId, id: &UserId) -> Option<Arc<User>> {
        let state = self.state();
        state.orgs.get(org_id)?.users.iter().find(|user| user.id == *id).cloned()
    }

    /// All users of an organisation.
    #[must_use]
    pub fn users(&self, org_id: &OrgId) -> Vec<Arc<User>> {
        self.state().orgs.get(org_id).map(|entries| entries.users.clone()).unwrap_or_default()
    }

    /// A number.
    #[must_use]
    pub fn number(&self, id: &NumberId) -> Option<Arc<Number>> {
        self.state().numbers.get(id).cloned()
    }

    /// The number with Meta's id.
    #[must_use]
    pub fn number_by_phone_number_id(&self, phone_number_id: &str) -> Option<Arc<Number>> {
        let state = self.state();
        state.numbers.get(state.by_phone_number_id.get(phone_number_id)?).cloned()
    }

    /// The numbers of an organisation in the order of creation.
    #[must_use]
    pub fn numbers(&self, org_id: &OrgId) -> Vec<Arc<Number>> {
        let state = self.state();
        let Some(entries) = state.orgs.get(org_id) else { return Vec::new() };
        entries.numbers.iter().filter_map(|id| state.numbers.get(id).cloned()).collect()
    }

    /// Every number of the installation.
    #[must_use]
    pub fn all_numbers(&self) -> Vec<Arc<Number>> {
        self.state().numbers.values().cloned().collect()
    }

    /// The number by which an organisation sends: the one that the caller names, else its first.
    /// With a join code it has the shared numbers, too, which come behind its own. A number's id
    /// counts before its phone, and that before its other names.
    ///
    /// # Errors
    /// [`ErrorKind::NumberNotFound`] where the organisation has none, or none of that name.
    pub fn sender(&self, org_id: &OrgId, name: Option<&str>) -> Result<Arc<Number>, Failure> {
        self.state().sender(org_id, name).ok_or_else(|| {
            let message = match name {
                Some(name) => format!("The organisation has no sender number {name}."),
                None => "The organisation has no sender number yet; an operator must add one."
                    .to_owned(),
            };
            Failure::new(ErrorKind::NumberNotFound, message)
        })
    }

    /// The organisation whose join code this is, however it is spelt.
    #[must_use]
    pub fn org_by_join_code(&self, text: &str) -> Option<OrgId> {
        self.state().by_join_code.get(&state::join_key(text)?).cloned()
    }

    /// The key whose secret has this SHA-256 (lower-case hex).
    #[must_use]
    pub fn key_by_secret(&self, secret_sha256: &str) -> Option<Arc<ApiKey>> {
        let state = self.state();
        state.keys.get(state.by_secret.get(secret_sha256)?).cloned()
    }

    /// The key whose holder signs tokens under this service id.
    #[must_use]
    pub fn key_by_service(&self, service_id: &str) -> Option<Arc<ApiKey>> {
        let state = self.state();
        let signs =
            |key: &&Arc<ApiKey>| key.jwt.as_ref().is_some_and(|jwt| jwt.service_id == service_id);
        state.keys.values().find(signs).cloned()
    }

    /// A key by its public part.
    #[must_use]
    pub fn key(&self, id: &ApiKeyId) -> Option<Arc<ApiKey>> {
        self.state().keys.get(id).cloned()
    }

    /// The keys of an organisation in the order of creation.
    #[must_use]
    pub fn keys(&self, org_id: &OrgId) -> Vec<Arc<ApiKey>> {
        let state = self.state();
        let Some(entries) = state.orgs.get(org_id) else { return Vec::new() };
        entries.keys.iter().filter_map(|id| state.keys.get(id).cloned()).collect()
    }

    /// A media provider of an organisation.
    #[must_use]
    pub fn provider(&self, org_id: &OrgId, id: &ProviderId) -> Option<Arc<MediaProvider>> {
        let state = self.state();
        state.orgs.get(org_id)?.providers.iter().find(|provider| provider.id == *id).cloned()
    }

    /// The media providers of an organisation.
    #[must_use]
    pub fn providers(&self, org_id: &OrgId) -> Vec<Arc<MediaProvider>> {
        let state = self.state();
        state.orgs.get(org_id).map(|entries| entries.providers.clone()).unwrap_or_default()
    }

    /// An address to which an organisation's events are posted.
    #[must_use]
    pub fn webhook(&self, org_id: &OrgId, id: &WebhookId) -> Option<Arc<Webhook>> {
        let state = self.state();
        state.orgs.get(org_id)?.webhooks.iter().find(|webhook| webhook.id == *id).cloned()
    }

    /// The addresses to which an organisation's events are posted, in the order of creation.
    #[must_use]
    pub fn webhooks(&self, org_id: &OrgId) -> Vec<Arc<Webhook>> {
        let state = self.state();
        state.orgs.get(org_id).map(|entries| entries.webhooks.clone()).unwrap_or_default()
    }
}
