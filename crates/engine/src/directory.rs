//! The directory in memory: who may call, for whom, and by which number. Written through to the
//! store; read without it.

use std::sync::Arc;

use foldhash::HashMap;
use parking_lot::RwLock;
use waypost_domain::callback::Webhook;
use waypost_domain::directory::{ApiKey, MediaProvider, Number, Org, User};
use waypost_domain::place::Traffic;
use waypost_domain::template::Template;
use waypost_domain::window::UsableTemplate;
use waypost_domain::{
    ApiKeyId, ErrorKind, Failure, NumberId, OrgId, ProviderId, UserId, WebhookId,
};

use crate::ports::{
    CreationClaim, DirectorySnapshot, Entry, EntryKey, NewRecord, PutMode, Store, StoreError,
    StoreResult,
};

/// The directory.
pub struct Directory {
    store: Arc<dyn Store>,
    state: RwLock<State>,
    /// Writes go one after the other, so that memory and store agree on the last one.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    orgs: HashMap<OrgId, OrgEntries>,
    org_order: Vec<OrgId>,
    numbers: HashMap<NumberId, Arc<Number>>,
    by_phone_number_id: HashMap<String, NumberId>,
    keys: HashMap<ApiKeyId, Arc<ApiKey>>,
    by_secret: HashMap<String, ApiKeyId>,
    by_join_code: HashMap<String, OrgId>,
    /// Numbers that organisations share, in the order of creation.
    shared_numbers: Vec<NumberId>,
    templates: HashMap<String, HashMap<String, Vec<Template>>>,
}

struct OrgEntries {
    org: Arc<Org>,
    users: Vec<Arc<User>>,
    numbers: Vec<NumberId>,
    keys: Vec<ApiKeyId>,
    providers: Vec<Arc<MediaProvider>>,
    webhooks: Vec<Arc<Webhook>>,
}

impl Directory {
    /// Reads the directory from the store.
    ///
    /// # Errors
    /// What the store says.
    pub async fn load(store: Arc<dyn Store>) -> StoreResult<Self> {
        let snapshot = store.load_directory().await?;
        let state = RwLock::new(State::from_snapshot(snapshot));
        Ok(Self { store, state, writing: tokio::sync::Mutex::new(()) })
    }

    /// An organisation.
    #[must_use]
    pub fn org(&self, id: &OrgId) -> Option<Arc<Org>> {
        self.state.read().orgs.get(id).map(|entries| Arc::clone(&entries.org))
    }

    /// All organisations in the order of creation.
    #[must_use]
    pub fn orgs(&self) -> Vec<Arc<Org>> {
        let state = self.state.read();
        let org = |id| state.orgs.get(id).map(|entries| Arc::clone(&entries.org));
        state.org_order.iter().filter_map(org).collect()
    }

    /// A user of an organisation.
    #[must_use]
    pub fn user(&self, org_id: &OrgId, id: &UserId) -> Option<Arc<User>> {
        let state = self.state.read();
        state.orgs.get(org_id)?.users.iter().find(|user| user.id == *id).cloned()
    }

    /// All users of an organisation.
    #[must_use]
    pub fn users(&self, org_id: &OrgId) -> Vec<Arc<User>> {
        self.state.read().orgs.get(org_id).map(|entries| entries.users.clone()).unwrap_or_default()
    }

    /// A number.
    #[must_use]
    pub fn number(&self, id: &NumberId) -> Option<Arc<Number>> {
        self.state.read().numbers.get(id).cloned()
    }

    /// The number with Meta's id.
    #[must_use]
    pub fn number_by_phone_number_id(&self, phone_number_id: &str) -> Option<Arc<Number>> {
        let state = self.state.read();
        state.numbers.get(state.by_phone_number_id.get(phone_number_id)?).cloned()
    }

    /// The numbers of an organisation in the order of creation.
    #[must_use]
    pub fn numbers(&self, org_id: &OrgId) -> Vec<Arc<Number>> {
        let state = self.state.read();
        let Some(entries) = state.orgs.get(org_id) else { return Vec::new() };
        entries.numbers.iter().filter_map(|id| state.numbers.get(id).cloned()).collect()
    }

    /// Every number of the installation.
    #[must_use]
    pub fn all_numbers(&self) -> Vec<Arc<Number>> {
        self.state.read().numbers.values().cloned().collect()
    }

    /// The number by which an organisation sends: the one that the caller names, else its first.
    /// With a join code, shared numbers are as good as its own, and come behind them.
    ///
    /// # Errors
    /// [`ErrorKind::NumberNotFound`] where the organisation has none, or none of that name.
    pub fn sender(&self, org_id: &OrgId, name: Option<&str>) -> Result<Arc<Number>, Failure> {
        self.state.read().sender(org_id, name).ok_or_else(|| {
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
        self.state.read().by_join_code.get(&join_key(text)?).cloned()
    }

    /// The key whose secret has this SHA-256 (lower-case hex).
    #[must_use]
    pub fn key_by_secret(&self, secret_sha256: &str) -> Option<Arc<ApiKey>> {
        let state = self.state.read();
        state.keys.get(state.by_secret.get(secret_sha256)?).cloned()
    }

    /// The key whose holder signs tokens under this service id.
    #[must_use]
    pub fn key_by_service(&self, service_id: &str) -> Option<Arc<ApiKey>> {
        let state = self.state.read();
        let signs =
            |key: &&Arc<ApiKey>| key.jwt.as_ref().is_some_and(|jwt| jwt.service_id == service_id);
        state.keys.values().find(signs).cloned()
    }

    /// A key by its public part.
    #[must_use]
    pub fn key(&self, id: &ApiKeyId) -> Option<Arc<ApiKey>> {
        self.state.read().keys.get(id).cloned()
    }

    /// The keys of an organisation in the order of creation.
    #[must_use]
    pub fn keys(&self, org_id: &OrgId) -> Vec<Arc<ApiKey>> {
        let state = self.state.read();
        let Some(entries) = state.orgs.get(org_id) else { return Vec::new() };
        entries.keys.iter().filter_map(|id| state.keys.get(id).cloned()).collect()
    }

    /// A media provider of an organisation.
    #[must_use]
    pub fn provider(&self, org_id: &OrgId, id: &ProviderId) -> Option<Arc<MediaProvider>> {
        let state = self.state.read();
        state.orgs.get(org_id)?.providers.iter().find(|provider| provider.id == *id).cloned()
    }

    /// The media providers of an organisation.
    #[must_use]
    pub fn providers(&self, org_id: &OrgId) -> Vec<Arc<MediaProvider>> {
        let state = self.state.read();
        state.orgs.get(org_id).map(|entries| entries.providers.clone()).unwrap_or_default()
    }

    /// An address to which an organisation's events are posted.
    #[must_use]
    pub fn webhook(&self, org_id: &OrgId, id: &WebhookId) -> Option<Arc<Webhook>> {
        let state = self.state.read();
        state.orgs.get(org_id)?.webhooks.iter().find(|webhook| webhook.id == *id).cloned()
    }

    /// The addresses to which an organisation's events are posted, in the order of creation.
    #[must_use]
    pub fn webhooks(&self, org_id: &OrgId) -> Vec<Arc<Webhook>> {
        let state = self.state.read();
        state.orgs.get(org_id).map(|entries| entries.webhooks.clone()).unwrap_or_default()
    }

    /// The templates of a business account with a name, one for each language.
    #[must_use]
    pub fn templates_named(&self, waba_id: &str, name: &str) -> Vec<Template> {
        let state = self.state.read();
        let named = state.templates.get(waba_id).and_then(|names| names.get(name));
        named.cloned().unwrap_or_default()
    }

    /// Whether a template of this name carries one-time codes.
    #[must_use]
    pub fn is_authentication(&self, waba_id: &str, name: &str) -> bool {
        let state = self.state.read();
        let named = state.templates.get(waba_id).and_then(|names| names.get(name));
        let mut named = named.into_iter().flatten();
        named.any(|template| template.category.eq_ignore_ascii_case("AUTHENTICATION"))
    }

    /// What kind of traffic a template of a business account is, where it is known.
    #[must_use]
    pub fn traffic_of(&self, waba_id: &str, name: &str, language: Option<&str>) -> Option<Traffic> {
        let state = self.state.read();
        let named = state.templates.get(waba_id)?.get(name)?;
        let wanted = |template: &&Template| language.is_none_or(|it| template.language == it);
        let template = named.iter().find(wanted).or(named.first())?;
        Some(Traffic::of_category(&template.category))
    }

    /// Some templates of a business account that may be sent to anybody: notices first, by name.
    #[must_use]
    pub fn usable_templates(&self, waba_id: &str, most: usize) -> Vec<UsableTemplate> {
        let state = self.state.read();
        let Some(names) = state.templates.get(waba_id) else { return Vec::new() };
        let usable = names.values().flatten().filter_map(|template| {
            let traffic = Traffic::of_category(&template.category);
            let usable = template.is_approved() && traffic != Traffic::Authentication;
            usable.then_some((traffic, &template.name, &template.language, template))
        });
        let mut usable: Vec<_> = usable.collect();
        usable.sort_unstable_by_key(|(traffic, name, language, _)| (*traffic, *name, *language));
        usable.truncate(most);
        let view = |template: &Template| UsableTemplate {
            name: template.name.clone(),
            language: template.language.clone(),
            category: template.category.clone(),
        };
        usable.into_iter().map(|(.., template)| view(template)).collect()
    }

    /// The template of a business account with the upstream's id.
    #[must_use]
    pub fn template_with_id(&self, waba_id: &str, id: &str) -> Option<Template> {
        let state = self.state.read();
        let mut all = state.templates.get(waba_id)?.values().flatten();
        all.find(|template| template.id == id).cloned()
    }

    /// All templates of a business account by name and language.
    #[must_use]
    pub fn templates(&self, waba_id: &str) -> Vec<Template> {
        let state = self.state.read();
        let Some(names) = state.templates.get(waba_id) else { return Vec::new() };
        let mut all: Vec<Template> = names.values().flatten().cloned().collect();
        all.sort_by(|one, other| (&one.name, &one.language).cmp(&(&other.name, &other.language)));
        all
    }

    /// Writes an entry; durable and visible when it returns.
    ///
    /// # Errors
    /// What the store says: taken, not found, or unable.
    pub async fn put(&self, entry: Entry, mode: PutMode) -> StoreResult<()> {
        let _writing = self.writing.lock().await;
        self.check_join_code(&entry)?;
        self.store.put_entry(entry.clone(), mode).await?;
        self.state.write().put(entry);
        Ok(())
    }

    /// Writes a new entry, with the claim of its request's key where it has one; durable and
    /// visible when it returns.
    ///
    /// # Errors
    /// What the store says: taken, or unable.
    pub async fn create(&self, entry: Entry, claim: Option<CreationClaim>) -> StoreResult<()> {
        let Some(claim) = claim else { return self.put(entry, PutMode::Create).await };
        let _writing = self.writing.lock().await;
        self.check_join_code(&entry)?;
        self.store.create(NewRecord::Entry(Box::new(entry.clone())), claim).await?;
        self.state.write().put(entry);
        Ok(())
    }

    fn check_join_code(&self, entry: &Entry) -> StoreResult<()> {
        match entry {
            Entry::Org(org) if self.state.read().is_join_code_taken(org) => {
                Err(StoreError::Conflict("join_code"))
            }
            _ => Ok(()),
        }
    }

    /// Removes an entry. `false` where there was none.
    ///
    /// # Errors
    /// What the store says.
    pub async fn remove(&self, key: EntryKey) -> StoreResult<bool> {
        let _writing = self.writing.lock().await;
        // First from memory: nobody may act for it any more.
        self.state.write().remove(&key);
        let removed = self.store.remove_entry(key).await;
        if removed.is_err() {
            self.reload().await;
        }
        removed
    }

    /// After a failure, what the store has is what counts.
    async fn reload(&self) {
        match self.store.load_directory().await {
            Ok(snapshot) => *self.state.write() = State::from_snapshot(snapshot),
            Err(error) => tracing::error!(%error, "the directory could not be read again"),
        }
    }

    /// Makes the templates of a business account exactly these.
    ///
    /// # Errors
    /// What the store says.
    pub async fn replace_templates(
        &self,
        waba_id: &str,
        templates: Vec<Template>,
    ) -> StoreResult<()> {
        let _writing = self.writing.lock().await;
        self.store.replace_templates(waba_id, templates.clone()).await?;
        let mut state = self.state.write();
        state.templates.remove(waba_id);
        for template in templates {
            state.put_template(template);
        }
        Ok(())
    }

    /// Writes one template.
    ///
    /// # Errors
    /// What the store says.
    pub async fn put_template(&self, template: Template) -> StoreResult<()> {
        let _writing = self.writing.lock().await;
        self.store.put_template(template.clone()).await?;
        self.state.write().put_template(template);
        Ok(())
    }

    /// Removes one language of a template, or all.
    ///
    /// # Errors
    /// What the store says.
    pub async fn remove_template(
        &self,
        waba_id: &str,
        name: &str,
        language: Option<&str>,
    ) -> StoreResult<()> {
        let _writing = self.writing.lock().await;
        self.store.remove_template(waba_id, name, language).await?;
        let mut state = self.state.write();
        if let Some(names) = state.templates.get_mut(waba_id)
            && let Some(languages) = names.get_mut(name)
        {
            languages.retain(|known| language.is_some_and(|language| known.language != language));
            if languages.is_empty() {
                names.remove(name);
            }
        }
        Ok(())
    }
}

impl State {
    fn from_snapshot(snapshot: DirectorySnapshot) -> Self {
        let mut state = Self::default();
        let entries = snapshot.orgs.into_iter().map(Entry::Org);
        let entries = entries.chain(snapshot.users.into_iter().map(Entry::User));
        let entries = entries.chain(snapshot.numbers.into_iter().map(Entry::Number));
        let entries = entries.chain(snapshot.api_keys.into_iter().map(Entry::ApiKey));
        let entries = entries.chain(snapshot.providers.into_iter().map(Entry::Provider));
        for entry in entries.chain(snapshot.webhooks.into_iter().map(Entry::Webhook)) {
            state.put(entry);
        }
        for template in snapshot.templates {
            state.put_template(template);
        }
        state
    }

    fn put(&mut self, entry: Entry) {
        match entry {
            Entry::Org(org) => self.put_org(org),
            Entry::User(user) => {
                if let Some(entries) = self.orgs.get_mut(&user.org_id) {
                    let same = |known: &Arc<User>| known.id == user.id;
                    replace_or_push(&mut entries.users, same, Arc::new(user.clone()));
                }
            }
            Entry::Number(number) => self.put_number(number),
            Entry::ApiKey(key) => self.put_key(key),
            Entry::Provider(provider) => {
                if let Some(entries) = self.orgs.get_mut(&provider.org_id) {
                    let same = |known: &Arc<MediaProvider>| known.id == provider.id;
                    replace_or_push(&mut entries.providers, same, Arc::new(provider.clone()));
                }
            }
            Entry::Webhook(webhook) => {
                if let Some(entries) = self.orgs.get_mut(&webhook.org_id) {
                    let same = |known: &Arc<Webhook>| known.id == webhook.id;
                    replace_or_push(&mut entries.webhooks, same, Arc::new(webhook.clone()));
                }
            }
        }
    }

    fn sender(&self, org_id: &OrgId, name: Option<&str>) -> Option<Arc<Number>> {
        let entries = self.orgs.get(org_id)?;
        let joins = entries.org.join_code.as_deref().and_then(join_key).is_some();
        let shared = self.shared_numbers.iter().filter(|_| joins);
        let mut usable = entries.numbers.iter().chain(shared).filter_map(|id| self.numbers.get(id));
        let found = match name {
            Some(name) => usable.find(|number| number.answers_to(name)),
            None => usable.next(),
        };
        found.cloned()
    }

    fn is_join_code_taken(&self, org: &Org) -> bool {
        let key = org.join_code.as_deref().and_then(join_key);
        let holder = key.and_then(|key| self.by_join_code.get(&key));
        holder.is_some_and(|holder| *holder != org.id)
    }

    fn put_org(&mut self, org: Org) {
        self.by_join_code.retain(|_, holder| *holder != org.id);
        if let Some(key) = org.join_code.as_deref().and_then(join_key) {
            self.by_join_code.insert(key, org.id.clone());
        }
        if let Some(entries) = self.orgs.get_mut(&org.id) {
            entries.org = Arc::new(org);
            return;
        }
        self.org_order.push(org.id.clone());
        let id = org.id.clone();
        let entries = OrgEntries {
            org: Arc::new(org),
            users: Vec::new(),
            numbers: Vec::new(),
            keys: Vec::new(),
            providers: Vec::new(),
            webhooks: Vec::new(),
        };
        self.orgs.insert(id, entries);
    }

    fn put_number(&mut self, number: Number) {
        if let Some(entries) = self.orgs.get_mut(&number.org_id)
            && !entries.numbers.contains(&number.id)
        {
            entries.numbers.push(number.id.clone());
        }
        let shared = self.shared_numbers.contains(&number.id);
        match (shared, number.shared) {
            (false, true) => self.shared_numbers.push(number.id.clone()),
            (true, false) => self.shared_numbers.retain(|id| *id != number.id),
            (true, true) | (false, false) => {}
        }
        self.by_phone_number_id.retain(|_, id| *id != number.id);
        self.by_phone_number_id.insert(number.phone_number_id.clone(), number.id.clone());
        self.numbers.insert(number.id.clone(), Arc::new(number));
    }

    fn put_key(&mut self, key: ApiKey) {
        if let Some(org_id) = &key.org_id
            && let Some(entries) = self.orgs.get_mut(org_id)
            && !entries.keys.contains(&key.id)
        {
            entries.keys.push(key.id.clone());
        }
        self.by_secret.insert(key.secret_sha256.clone(), key.id.clone());
        self.keys.insert(key.id.clone(), Arc::new(key));
    }

    fn put_template(&mut self, template: Template) {
        let names = self.templates.entry(template.waba_id.clone()).or_default();
        let languages = names.entry(template.name.clone()).or_default();
        languages.retain(|known| known.language != template.language);
        languages.push(template);
        languages.sort_by(|one, other| one.language.cmp(&other.language));
    }

    fn remove(&mut self, key: &EntryKey) {
        match key {
            EntryKey::Org(id) => self.remove_org(id),
            EntryKey::User(org_id, id) => {
                if let Some(entries) = self.orgs.get_mut(org_id) {
                    entries.users.retain(|user| user.id != *id);
                }
            }
            EntryKey::Number(id) => self.remove_number(id),
            EntryKey::ApiKey(id) => self.remove_key(id),
            EntryKey::Provider(org_id, id) => {
                if let Some(entries) = self.orgs.get_mut(org_id) {
                    entries.providers.retain(|provider| provider.id != *id);
                }
            }
            EntryKey::Webhook(org_id, id) => {
                if let Some(entries) = self.orgs.get_mut(org_id) {
                    entries.webhooks.retain(|webhook| webhook.id != *id);
                }
            }
        }
    }

    fn remove_org(&mut self, id: &OrgId) {
        let Some(entries) = self.orgs.remove(id) else { return };
        self.org_order.retain(|known| known != id);
        self.by_join_code.retain(|_, holder| holder != id);
        for number in &entries.numbers {
            self.remove_number(number);
        }
        for key in &entries.keys {
            self.remove_key(key);
        }
    }

    fn remove_number(&mut self, id: &NumberId) {
        if let Some(number) = self.numbers.remove(id) {
            self.shared_numbers.retain(|known| known != id);
            self.by_phone_number_id.remove(&number.phone_number_id);
            if let Some(entries) = self.orgs.get_mut(&number.org_id) {
                entries.numbers.retain(|known| known != id);
            }
        }
    }

    fn remove_key(&mut self, id: &ApiKeyId) {
        if let Some(key) = self.keys.remove(id) {
            self.by_secret.remove(&key.secret_sha256);
            if let Some(entries) = key.org_id.as_ref().and_then(|org| self.orgs.get_mut(org)) {
                entries.keys.retain(|known| known != id);
            }
        }
    }
}

/// What two spellings of a join code have in common; `None` where there is nothing to spell.
fn join_key(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_lowercase())
}

fn replace_or_push<T>(list: &mut Vec<T>, same: impl Fn(&T) -> bool, value: T) {
    match list.iter().position(same) {
        Some(place) => list[place] = value,
        None => list.push(value),
    }
}
