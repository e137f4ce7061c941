//! How much one organisation may have of what is kept in memory: its own keys can make all of it.

use waypost_domain::OrgId;

use super::state::{OrgEntries, State};
use crate::ports::{Entry, StoreError, StoreResult};

/// Users of one organisation.
const MAX_USERS: usize = 10_000;
/// Numbers of one organisation; each has a lane.
const MAX_NUMBERS: usize = 1_000;
/// API keys of one organisation, with those that were revoked: they stay.
const MAX_API_KEYS: usize = 10_000;
/// Media providers of one organisation.
const MAX_PROVIDERS: usize = 1_000;
/// Webhooks of one organisation: each event becomes a callback to each of them.
const MAX_WEBHOOKS: usize = 100;

impl State {
    /// Whether an organisation may have one more of these.
    pub(super) fn check_room(&self, entry: &Entry) -> StoreResult<()> {
        let Some((org_id, count, field, most)) = bound(entry) else { return Ok(()) };
        match self.orgs.get(org_id).map(count) {
            Some(have) if have >= most => Err(StoreError::Full { field, most }),
            _ => Ok(()),
        }
    }
}

/// Whose an entry is, how many of its kind they have, what those are called, and how many may be.
type Bound<'a> = (&'a OrgId, fn(&OrgEntries) -> usize, &'static str, usize);

fn bound(entry: &Entry) -> Option<Bound<'_>> {
    Some(match entry {
        // Only the installation's own key makes these.
        Entry::Org(_) => return None,
        Entry::User(user) => (&user.org_id, |has| has.users.len(), "users", MAX_USERS),
        Entry::Number(number) => (&number.org_id, |has| has.numbers.len(), "numbers", MAX_NUMBERS),
        Entry::ApiKey(key) => {
            (key.org_id.as_ref()?, |has| has.keys.len(), "api_keys", MAX_API_KEYS)
        }
        Entry::Provider(provider) => {
            (&provider.org_id, |has| has.providers.len(), "media_providers", MAX_PROVIDERS)
        }
        Entry::Webhook(webhook) => {
            (&webhook.org_id, |has| has.webhooks.len(), "webhooks", MAX_WEBHOOKS)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use waypost_domain::Timestamp;

    use super::*;

    fn read<T: DeserializeOwned>(mut body: Value, place: usize) -> T {
        body["id"] = json!(format!("id-{place}"));
        body["created_at"] = json!(Timestamp(0));
        serde_json::from_value(body).unwrap()
    }

    /// One of each kind, the `place`th of its organisation.
    fn entries(org: &str, place: usize) -> [Entry; 5] {
        let number = json!({"org_id": org, "display_phone": "15550001111",
            "phone_number_id": place.to_string(), "waba_id": "1"});
        let key = json!({"org_id": org, "secret_sha256": place.to_string(), "scopes": []});
        let provider = json!({"org_id": org, "allowed_hosts": [], "scheme": "basic",
            "secret": "sealed"});
        let webhook = json!({"org_id": org, "url": "https://a.example/", "shape": "standard"});
        [
            Entry::User(read(json!({ "org_id": org }), place)),
            Entry::Number(read(number, place)),
            Entry::ApiKey(read(key, place)),
            Entry::Provider(read(provider, place)),
            Entry::Webhook(read(webhook, place)),
        ]
    }

    #[test]
    fn an_organisation_has_as_many_of_each_kind_as_it_may() {
        let mut state = State::default();
        for place in [0, 1] {
            state.put(Entry::Org(read(json!({"name": "Org"}), place)));
        }
        let kinds = ["users", "numbers", "api_keys", "media_providers", "webhooks"];
        for (kind, (field, most)) in
            kinds.into_iter().zip([10_000, 1_000, 10_000, 1_000, 100]).enumerate()
        {
            for place in 0..most {
                let entry = entries("id-0", place)[kind].clone();
                assert_eq!(state.check_room(&entry), Ok(()), "{field} {place}");
                state.put(entry);
            }
            let one_more = entries("id-0", most)[kind].clone();
            assert_eq!(state.check_room(&one_more), Err(StoreError::Full { field, most }));
            assert_eq!(state.check_room(&entries("id-1", most)[kind]), Ok(()), "{field}");
        }
    }
}
