//! People are kept in memory when they were looked up: what was acknowledged must be seen by the
//! next look-up all the same.

#![allow(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use waypost_domain::customer::{Consent, ConsentOrigin, Customer};
use waypost_domain::{CustomerId, Timestamp};
use waypost_engine::ports::{
    CustomerStore, CustomerToImport, DirectoryStore, Entry, EntryKey, InboxStore, MessageStore,
    PutMode, Recipient, Stated,
};
use waypost_store_sqlite::{Options, SqliteStore};
use waypost_store_testkit::samples::{
    NUMBER, ORG, START, at, customer, inbound, number, number_id, org, org_id, phone,
};

async fn open() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("a.db"), &Options::default()).unwrap();
    populate(&store).await;
    (folder, store)
}

async fn populate(store: &SqliteStore) {
    store.put_entry(Entry::Org(org(ORG)), PutMode::Create).await.unwrap();
    store.put_entry(Entry::Number(number(NUMBER, ORG)), PutMode::Create).await.unwrap();
}

/// Changes a person, however it is by now.
async fn change(store: &SqliteStore, changed: Customer) {
    let known = store.customer(&org_id(), &changed.id).await.unwrap().unwrap();
    assert!(store.update_customer(&known, changed).await.unwrap());
}

/// Looks a person up in both ways; they must agree.
async fn look_up(store: &SqliteStore, customer: &Customer) -> Option<Recipient> {
    let by_id = store.recipient_by_id(&org_id(), &customer.id, &number_id()).await.unwrap();
    if let Some(found) = &by_id {
        let by_phone = store.recipient_by_phone(&org_id(), &found.phone, &number_id()).await;
        assert_eq!(by_phone.as_ref(), Ok(found));
    }
    by_id
}

fn opted_out(at: Timestamp) -> Option<Consent> {
    Some(Consent { opted_in: false, at, proof: None, origin: ConsentOrigin::default() })
}

#[tokio::test]
async fn every_change_of_a_person_is_seen_by_the_next_look_up() {
    let (_folder, store) = open().await;
    let first = customer("c-1", 1);
    store.create_customer(first.clone()).await.unwrap();
    let seen = || async { look_up(&store, &first).await };
    assert_eq!(seen().await.unwrap().customer, Some(first.clone()));

    let refusing = Customer { consent: opted_out(at(1)), ..first.clone() };
    change(&store, refusing.clone()).await;
    assert_eq!(seen().await.unwrap().customer, Some(refusing.clone()));
    let inactive = Customer { active: false, ..refusing };
    let again =
        CustomerToImport { customer: inactive.clone(), id_given: true, stated: Stated::ALL };
    store.import_customers(vec![again]).await.unwrap();
    assert_eq!(seen().await.unwrap().customer, Some(inactive.clone()));

    // The first message opens a window, the second keeps it open, a renewal likewise.
    for (place, wamid) in [(500, "wamid.1"), (700, "wamid.2")] {
        let mut message = inbound(1, wamid);
        message.written_at = at(place);
        store.record_inbound(message, at(place)).await.unwrap();
        assert_eq!(seen().await.unwrap().last_inbound_at, Some(at(place)));
    }
    store.renew_window(&org_id(), &number_id(), &first.phone, at(900)).await.unwrap();
    assert_eq!(seen().await.unwrap().last_inbound_at, Some(at(900)));

    let moved = Customer { phone: phone(2), ..inactive };
    change(&store, moved.clone()).await;
    let found = seen().await.unwrap();
    assert_eq!((&found.phone, found.last_inbound_at), (&phone(2), None));
    let nobody = store.recipient_by_phone(&org_id(), &phone(1), &number_id()).await.unwrap();
    assert_eq!((nobody.customer, nobody.last_inbound_at), (None, Some(at(900))));

    assert!(store.delete_customer(&org_id(), &first.id).await.unwrap());
    assert_eq!(seen().await, None);
    let again = Customer { phone: phone(3), ..first.clone() };
    store.create_customer(again.clone()).await.unwrap();
    assert_eq!(seen().await.unwrap().customer, Some(again));
}

#[tokio::test]
async fn people_of_a_removed_organisation_are_not_those_of_the_next() {
    let (_folder, store) = open().await;
    let first = customer("c-1", 1);
    store.create_customer(first.clone()).await.unwrap();
    assert!(look_up(&store, &first).await.is_some());
    assert!(store.remove_entry(EntryKey::Number(number_id())).await.unwrap());
    assert!(store.remove_entry(EntryKey::Org(org_id())).await.unwrap());
    assert_eq!(look_up(&store, &first).await, None);
    populate(&store).await;
    assert_eq!(look_up(&store, &first).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn look_ups_beside_changes_never_see_what_is_older_than_was_acknowledged() {
    let (_folder, store) = open().await;
    let store = Arc::new(store);
    let first = customer("c-1", 1);
    store.create_customer(first.clone()).await.unwrap();
    let acknowledged = Arc::new(AtomicI64::new(START.0));
    let looking = (0..2).map(|_| {
        let (store, acknowledged) = (Arc::clone(&store), Arc::clone(&acknowledged));
        let id: CustomerId = first.id.clone();
        tokio::spawn(async move {
            while acknowledged.load(Ordering::SeqCst) < at(600).0 {
                let least = acknowledged.load(Ordering::SeqCst);
                let found = store.recipient_by_id(&org_id(), &id, &number_id()).await.unwrap();
                let consent = found.unwrap().customer.unwrap().consent;
                let seen = consent.map_or(START.0, |consent| consent.at.0);
                assert!(seen >= least, "saw {seen} after {least} was acknowledged");
                tokio::task::yield_now().await;
            }
        })
    });
    let looking: Vec<_> = looking.collect();
    for place in 1..=600 {
        let changed = Customer { consent: opted_out(at(place)), ..first.clone() };
        change(&store, changed).await;
        acknowledged.store(at(place).0, Ordering::SeqCst);
    }
    for look in looking {
        look.await.unwrap();
    }
}
