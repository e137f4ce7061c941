//! What the directory knows, by every name under which it is looked up.

use std::sync::Arc;

use foldhash::HashMap;
use waypost_domain::callback::Webhook;
use waypost_domain::directory::{ApiKey, MediaProvider, Number, NumberName, Org, User};
use waypost_domain::template::Template;
use waypost_domain::{ApiKeyId, NumberId, OrgId};

use crate::ports::{DirectorySnapshot, Entry, EntryKey};

#[derive(Default)]
pub(super) struct State {
    pub(super) orgs: HashMap<OrgId, OrgEntries>,
    pub(super) org_order: Vec<OrgId>,
    pub(super) numbers: HashMap<NumberId, Arc<Number>>,
    pub(super) by_phone_number_id: HashMap<String, NumberId>,
    pub(super) keys: HashMap<ApiKeyId, Arc<ApiKey>>,
    pub(super) by_secret: HashMap<String, ApiKeyId>,
    pub(super) by_join_code: HashMap<String, OrgId>,
    /// Numbers that organisations share, the oldest first: so they come out of the store, too.
    shared_numbers: Vec<NumberId>,
    pub(super) templates: HashMap<String, HashMap<String, Vec<Template>>>,
}

pub(super) struct OrgEntries {
    pub(super) org: Arc<Org>,
    pub(super) users: Vec<Arc<User>>,
    pub(super) numbers: Vec<NumberId>,
    pub(super) keys: Vec<ApiKeyId>,
    pub(super) providers: Vec<Arc<MediaProvider>>,
    pub(super) webhooks: Vec<Arc<Webhook>>,
}

impl State {
    pub(super) fn from_snapshot(snapshot: DirectorySnapshot) -> Self {
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

    pub(super) fn put(&mut self, entry: Entry) {
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

    /// An organisation's own numbers come before those that others share with it, whatever those are
    /// called.
    pub(super) fn sender(&self, org_id: &OrgId, name: Option<&str>) -> Option<Arc<Number>> {
        let entries = self.orgs.get(org_id)?;
        let mut own = self.known(&entries.numbers);
        let mut shared = self.known(&self.shared_numbers).filter(|_| joins(&entries.org));
        let found = match name {
            Some(name) => meant(own, name).or_else(|| meant(shared, name)),
            None => own.next().or_else(|| shared.next()),
        };
        found.cloned()
    }

    /// The field with a new name of a number by which another one is known already, of those from
    /// which one organisation may send. What was ambiguous before must not keep a number from every
    /// change.
    pub(super) fn taken_name(&self, number: &Number) -> Option<&'static str> {
        let entries = self.orgs.get(&number.org_id)?;
        let meets_shared = number.shared || joins(&entries.org);
        let shared = self.known(&self.shared_numbers).filter(|_| meets_shared);
        let others = self.known(&entries.numbers).chain(shared).filter(|it| it.id != number.id);
        let theirs: Vec<NumberName<'_>> = others.flat_map(|other| other.names()).collect();
        let old = self.numbers.get(&number.id).filter(|old| old.shared || !number.shared);
        let is_new = |name: &NumberName<'_>| old.is_none_or(|old| !old.answers_to(name.text));
        let is_taken = |name: &NumberName<'_>| theirs.iter().any(|it| name.clashes_with(*it));
        number.names().find(|name| is_new(name) && is_taken(name)).map(|name| name.field)
    }

    fn known(&self, ids: &[NumberId]) -> impl Iterator<Item = &Arc<Number>> {
        ids.iter().filter_map(|id| self.numbers.get(id))
    }

    pub(super) fn is_join_code_taken(&self, org: &Org) -> bool {
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
        self.shared_numbers.retain(|id| *id != number.id);
        if number.shared {
            let age = (number.created_at, &number.id);
            let younger =
                self.known(&self.shared_numbers).position(|it| (it.created_at, &it.id) > age);
            let place = younger.unwrap_or(self.shared_numbers.len());
            self.shared_numbers.insert(place, number.id.clone());
        }
        self.by_phone_number_id.retain(|_, id| *id != number.id);
        self.by_phone_number_id.insert(number.phone_number_id.clone(), number.id.clone());
        self.numbers.insert(number.id.clone(), Arc::new(number));
    }

    fn put_key(&mut self, key: ApiKey) {
        if let Some(org_id) = &key.org_id
            && let Some(entries) = self.orgs.get_mut(org_id)
            && !self.keys.contains_key(&key.id)
        {
            entries.keys.push(key.id.clone());
        }
        self.by_secret.insert(key.secret_sha256.clone(), key.id.clone());
        self.keys.insert(key.id.clone(), Arc::new(key));
    }

    pub(super) fn put_template(&mut self, template: Template) {
        let names = self.templates.entry(template.waba_id.clone()).or_default();
        let languages = names.entry(template.name.clone()).or_default();
        languages.retain(|known| known.language != template.language);
        languages.push(template);
        languages.sort_by(|one, other| one.language.cmp(&other.language));
    }

    pub(super) fn replace_templates(&mut self, waba_id: &str, templates: Vec<Template>) {
        self.templates.remove(waba_id);
        for template in templates {
            self.put_template(template);
        }
    }

    pub(super) fn remove_template(&mut self, waba_id: &str, name: &str, language: Option<&str>) {
        if let Some(names) = self.templates.get_mut(waba_id)
            && let Some(languages) = names.get_mut(name)
        {
            languages.retain(|known| language.is_some_and(|language| known.language != language));
            if languages.is_empty() {
                names.remove(name);
            }
        }
    }

    pub(super) fn remove(&mut self, key: &EntryKey) {
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

/// Whether an organisation may send from the numbers that others share.
fn joins(org: &Org) -> bool {
    org.join_code.as_deref().and_then(join_key).is_some()
}

/// The number that `name` names most surely, and of several the first.
fn meant<'a>(
    numbers: impl Iterator<Item = &'a Arc<Number>>,
    name: &str,
) -> Option<&'a Arc<Number>> {
    let ranked = numbers.filter_map(|number| Some((number.rank_of(name)?, number)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, number)| number)
}

/// What two spellings of a join code have in common; `None` where there is nothing to spell.
pub(super) fn join_key(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_lowercase())
}

fn replace_or_push<T>(list: &mut Vec<T>, same: impl Fn(&T) -> bool, value: T) {
    match list.iter().position(same) {
        Some(place) => list[place] = value,
        None => list.push(value),
    }
}
