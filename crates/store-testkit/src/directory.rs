//! The directory, templates and settings.

use waypost_domain::command::MessageType;
use waypost_domain::directory::{ApiKey, MediaProvider, ProviderScheme, Scope, Sealed, User};
use waypost_domain::message::Message;
use waypost_domain::template::Template;
use waypost_domain::{ApiKeyId, NumberId, OrgId, ProviderId, UserId};
use waypost_engine::ports::{
    CustomerFilter, DirectorySnapshot, Entry, EntryKey, Haste, MessageFilter, Page, PutMode,
    SessionFilter, StoreError,
};

use crate::Harness;
use crate::samples::{
    ORG, START, Stage, at, claim, customer, inbound, message, new_attempt, now_due, number,
    number_id, org, org_id, sent, unknown_until,
};

fn user(org: &str, id: &str) -> User {
    User {
        org_id: OrgId::new(org),
        id: UserId::new(id),
        name: Some("An agent".to_owned()),
        created_at: START,
    }
}

fn api_key(id: &str, secret: &str) -> ApiKey {
    ApiKey {
        id: ApiKeyId::new(id),
        org_id: Some(org_id()),
        name: None,
        secret_sha256: secret.to_owned(),
        scopes: vec![Scope::MessagesSend],
        sends_as: MessageType::Assistant,
        rate_limit_per_s: Some(10),
        allowed_ips: vec!["10.0.0.0/8".to_owned()],
        disabled: false,
        jwt: None,
        expires_at: Some(at(1_000)),
        revoked_at: None,
        created_at: START,
    }
}

fn provider(id: &str) -> MediaProvider {
    MediaProvider {
        org_id: org_id(),
        id: ProviderId::new(id),
        allowed_hosts: vec!["files.example.com".to_owned()],
        scheme: ProviderScheme::Bearer,
        secret: Sealed("sealed".to_owned()),
        created_at: START,
    }
}

fn template(name: &str, language: &str, status: &str) -> Template {
    Template {
        id: format!("{name}-{language}"),
        waba_id: "200000000000001".to_owned(),
        name: name.to_owned(),
        language: language.to_owned(),
        status: status.to_owned(),
        category: "MARKETING".to_owned(),
        parameter_format: None,
        components: vec![serde_json::json!({"type": "BODY", "text": "Hello {{1}}"})],
        synced_at: START,
    }
}

async fn snapshot(stage: &Stage) -> DirectorySnapshot {
    stage.store.load_directory().await.unwrap()
}

pub async fn entries_come_back_in_the_order_of_creation(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("another"))).await;
    stage.put(Entry::User(user(ORG, "zoe"))).await;
    stage.put(Entry::User(user(ORG, "adam"))).await;
    stage.put(Entry::User(user("another", "zoe"))).await;
    stage.put(Entry::ApiKey(api_key("k1", "aa"))).await;
    stage.put(Entry::ApiKey(ApiKey { org_id: None, ..api_key("k2", "bb") })).await;
    stage.put(Entry::Provider(provider("files"))).await;
    let stage = stage.reopen(harness).await;
    let found = snapshot(&stage).await;
    assert_eq!(found.orgs, [org(ORG), org("another")]);
    assert_eq!(found.users, [user(ORG, "zoe"), user(ORG, "adam"), user("another", "zoe")]);
    assert_eq!(found.numbers, [number(crate::samples::NUMBER, ORG)]);
    let installation = ApiKey { org_id: None, ..api_key("k2", "bb") };
    assert_eq!(found.api_keys, [api_key("k1", "aa"), installation]);
    assert_eq!(found.providers, [provider("files")]);
}

pub async fn an_entry_is_created_once_and_replaced_only_where_it_exists(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let known = [
        Entry::Org(org(ORG)),
        Entry::Number(number(crate::samples::NUMBER, ORG)),
        Entry::User(user(ORG, "a")),
        Entry::ApiKey(api_key("k1", "aa")),
        Entry::Provider(provider("files")),
    ];
    for entry in &known[2..] {
        stage.put(entry.clone()).await;
    }
    for entry in known {
        let again = stage.store.put_entry(entry.clone(), PutMode::Create).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{entry:?}: {again:?}");
        stage.store.put_entry(entry, PutMode::Replace).await.unwrap();
    }
    for entry in [
        Entry::Org(org("nobody")),
        Entry::Number(number("300000000000001", ORG)),
        Entry::User(user(ORG, "nobody")),
        Entry::ApiKey(api_key("k9", "ff")),
        Entry::Provider(provider("nobody")),
    ] {
        let refused = stage.store.put_entry(entry.clone(), PutMode::Replace).await;
        assert_eq!(refused, Err(StoreError::NotFound), "{entry:?}");
    }
    let mut changed = org(ORG);
    changed.name = "Renamed".to_owned();
    stage.store.put_entry(Entry::Org(changed), PutMode::Replace).await.unwrap();
    assert_eq!(snapshot(&stage).await.orgs[0].name, "Renamed");
}

pub async fn keys_that_must_be_unique_are_named_in_the_conflict(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::ApiKey(api_key("k1", "aa"))).await;
    let mut twin = number("300000000000001", ORG);
    twin.phone_number_id = crate::samples::NUMBER.to_owned();
    for (entry, field) in [
        (Entry::Org(org(ORG)), "id"),
        (Entry::Number(twin), "phone_number_id"),
        (Entry::ApiKey(api_key("k2", "aa")), "secret_sha256"),
    ] {
        let refused = stage.store.put_entry(entry, PutMode::Create).await;
        assert_eq!(refused, Err(StoreError::Conflict(field)));
    }
    assert_eq!(snapshot(&stage).await.numbers.len(), 1, "a refused entry leaves nothing behind");
}

pub async fn what_belongs_to_an_unknown_organisation_is_not_found(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut key = api_key("k1", "aa");
    key.org_id = Some(OrgId::new("nobody"));
    let mut files = provider("files");
    files.org_id = OrgId::new("nobody");
    for entry in [
        Entry::User(user("nobody", "a")),
        Entry::Number(number("300000000000001", "nobody")),
        Entry::ApiKey(key),
        Entry::Provider(files),
    ] {
        let refused = stage.store.put_entry(entry.clone(), PutMode::Create).await;
        assert_eq!(refused, Err(StoreError::NotFound), "{entry:?}");
    }
}

pub async fn a_removed_entry_is_gone_and_may_be_made_again(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::User(user(ORG, "a"))).await;
    stage.put(Entry::ApiKey(api_key("k1", "aa"))).await;
    stage.put(Entry::Provider(provider("files"))).await;
    let logged = message(1);
    stage.send(&logged, "wamid.1").await;
    for (key, entry) in [
        (EntryKey::User(org_id(), UserId::new("a")), Entry::User(user(ORG, "a"))),
        (EntryKey::ApiKey(ApiKeyId::new("k1")), Entry::ApiKey(api_key("k1", "aa"))),
        (
            EntryKey::Provider(org_id(), ProviderId::new("files")),
            Entry::Provider(provider("files")),
        ),
        (EntryKey::Number(number_id()), Entry::Number(number(crate::samples::NUMBER, ORG))),
    ] {
        assert!(stage.store.remove_entry(key.clone()).await.unwrap(), "{key:?}");
        assert!(!stage.store.remove_entry(key.clone()).await.unwrap(), "{key:?} twice");
        let gone = stage.store.put_entry(entry.clone(), PutMode::Replace).await;
        assert_eq!(gone, Err(StoreError::NotFound), "{key:?}");
        stage.put(entry).await;
    }
    let found = snapshot(&stage).await;
    assert_eq!((found.users.len(), found.numbers.len(), found.api_keys.len()), (1, 1, 1));
    assert_eq!(stage.message(logged.id).await.number_id, number_id(), "the log names its number");
}

pub async fn a_number_stays_while_messages_need_it(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let remove = || stage.store.remove_entry(EntryKey::Number(number_id()));
    let refused = Err(StoreError::Conflict("messages"));
    let message = message(1);
    stage.queue(&message).await;
    assert_eq!(remove().await, refused, "it waits");
    let attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, message.id, attempt, at(1)).await.unwrap().unwrap();
    assert_eq!(remove().await, refused, "it is on its way");
    let resend_at = at(1_000);
    stage.settle(message.id, attempt, unknown_until(Some(resend_at))).await;
    assert_eq!(remove().await, refused, "it is to be sent again");
    stage.store.release_resends(resend_at, resend_at).await.unwrap();
    let attempt = new_attempt();
    stage
        .store
        .begin_attempt(Haste::AtOnce, message.id, attempt, resend_at)
        .await
        .unwrap()
        .unwrap();
    stage.settle(message.id, attempt, sent("wamid.1")).await;
    assert_eq!(remove().await, Ok(true));
    let late = stage.store.accept(self::message(2), now_due(), None).await;
    assert_eq!(late.err(), Some(StoreError::NotFound), "nothing is accepted for it any more");
}

pub async fn a_number_that_went_with_its_organisation_is_told_while_others_need_it(
    harness: &dyn Harness,
) {
    let stage = Stage::new(harness).await;
    let shared = NumberId::new("300000000000001");
    stage.put(Entry::Org(org("owner"))).await;
    stage.put(Entry::Number(number("300000000000001", "owner"))).await;
    let waiting = Message { number_id: shared.clone(), ..message(1) };
    stage.queue(&waiting).await;
    assert_eq!(stage.store.removed_numbers_in_use().await.unwrap(), []);
    assert!(stage.store.remove_entry(EntryKey::Org(OrgId::new("owner"))).await.unwrap());
    assert_eq!(stage.store.removed_numbers_in_use().await.unwrap(), [shared]);
    assert!(stage.store.cancel(&org_id(), waiting.id, at(1)).await.unwrap());
    assert_eq!(stage.store.removed_numbers_in_use().await.unwrap(), []);
}

pub async fn removing_an_organisation_removes_everything_of_it(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("other"))).await;
    stage.put(Entry::User(user(ORG, "a"))).await;
    stage.put(Entry::ApiKey(api_key("k1", "aa"))).await;
    stage.store.create_customer(customer("c1", 1)).await.unwrap();
    stage.store.record_inbound(inbound(2, "wamid.in"), START).await.unwrap();
    stage.queue(&message(1)).await;
    assert!(stage.store.remove_entry(EntryKey::Org(org_id())).await.unwrap());
    assert!(!stage.store.remove_entry(EntryKey::Org(org_id())).await.unwrap());
    while stage.store.prune_removed_orgs().await.unwrap() {}
    let left = snapshot(&stage).await;
    assert_eq!(left.orgs, [org("other")]);
    assert!(left.users.is_empty() && left.numbers.is_empty() && left.api_keys.is_empty());

    // One that is made again under the same id begins with nothing.
    stage.put(Entry::Org(org(ORG))).await;
    stage.put(Entry::Number(number(crate::samples::NUMBER, ORG))).await;
    let page = Page { after: None, limit: 10 };
    assert!(stage.list(&MessageFilter::default()).await.is_empty());
    let people = stage.store.customers(&org_id(), &CustomerFilter::default(), page).await.unwrap();
    assert!(people.data.is_empty());
    let sessions = stage.store.sessions(&org_id(), &SessionFilter::default(), page).await.unwrap();
    assert!(sessions.data.is_empty());
}

pub async fn nothing_of_a_removed_organisation_is_sent(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let queued = message(1);
    stage.store.accept(queued.clone(), now_due(), Some(claim("key", 1))).await.unwrap();
    let attempt = stage.begin(&message(1)).await;
    stage.store.remove_entry(EntryKey::Org(org_id())).await.unwrap();
    while stage.store.prune_removed_orgs().await.unwrap() {}
    stage.put(Entry::Org(org(ORG))).await;
    stage.put(Entry::Number(number(crate::samples::NUMBER, ORG))).await;
    assert!(stage.due(at(1_000)).await.is_empty());
    assert_eq!(stage.store.next_due_at(&number_id()).await.unwrap(), None);
    let begun =
        stage.store.begin_attempt(Haste::AtOnce, queued.id, new_attempt(), at(1)).await.unwrap();
    assert_eq!(begun, None);
    let claim = claim("key", 1);
    let target =
        stage.store.idempotent_target(&org_id(), &claim.route, &claim.key, START).await.unwrap();
    assert_eq!(target, None);
    let gone = stage.store.settle_attempt(queued.id, attempt, crate::samples::unknown(), at(1));
    assert_eq!(gone.await, Err(StoreError::NotFound));
}

pub async fn settings_are_kept_and_replaced(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    assert_eq!(stage.store.setting("admin_key_sha256").await.unwrap(), None);
    stage.store.put_setting("admin_key_sha256", "one").await.unwrap();
    stage.store.put_setting("admin_key_sha256", "two").await.unwrap();
    let stage = stage.reopen(harness).await;
    assert_eq!(stage.store.setting("admin_key_sha256").await.unwrap().as_deref(), Some("two"));
}

pub async fn templates_of_an_account_become_exactly_those_given(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let account = "200000000000001";
    let mut foreign = template("offer", "en", "APPROVED");
    foreign.waba_id = "200000000000002".to_owned();
    stage.store.put_template(foreign.clone()).await.unwrap();
    let first = vec![template("offer", "en", "APPROVED"), template("offer", "ms", "PENDING")];
    stage.store.replace_templates(account, first).await.unwrap();
    let second = vec![template("offer", "ms", "APPROVED"), template("news", "en", "APPROVED")];
    stage.store.replace_templates(account, second.clone()).await.unwrap();
    stage.store.put_template(template("news", "en", "PAUSED")).await.unwrap();
    let stage = stage.reopen(harness).await;
    let kept = snapshot(&stage).await.templates;
    assert_eq!(kept, [foreign.clone(), second[0].clone(), template("news", "en", "PAUSED")]);

    stage.store.put_template(template("news", "ms", "APPROVED")).await.unwrap();
    stage.store.remove_template(account, "news", Some("ms")).await.unwrap();
    assert_eq!(snapshot(&stage).await.templates.len(), 3);
    stage.store.remove_template(account, "news", None).await.unwrap();
    assert_eq!(snapshot(&stage).await.templates, [foreign, second[0].clone()]);
}
