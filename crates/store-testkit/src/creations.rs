//! What is made together with the claim of its request's key: entries of the directory, customers,
//! and what only the upstream keeps.

use waypost_domain::customer::Customer;
use waypost_domain::{CustomerId, OrgId};
use waypost_engine::ports::{
    CreationClaim, CustomerFilter, Entry, EntryKey, IdempotencyClaim, IdempotentTarget, NewRecord,
    Page, StoreError, StoreResult,
};

use crate::Harness;
use crate::samples::{Stage, at, customer, org, org_id};

const WEEK_MS: i64 = 7 * 24 * 3_600 * 1_000;
const ROUTE: &str = "/waypost/v1/orgs/{org_id}/customers";
const TAKEN: StoreResult<()> = Err(StoreError::Conflict("Idempotency-Key"));

fn claim(key: &str, fingerprint: u8) -> CreationClaim {
    let claim = IdempotencyClaim {
        org_id: org_id(),
        route: ROUTE.to_owned(),
        key: key.to_owned(),
        fingerprint: [fingerprint; 32],
    };
    CreationClaim { claim, gone: None, now: at(0) }
}

fn new_customer(id: &str, last: u32) -> NewRecord {
    NewRecord::Customer(Box::new(customer(id, last)))
}

async fn customers(stage: &Stage) -> Vec<String> {
    let (filter, page) = (CustomerFilter::default(), Page { after: None, limit: 1_000 });
    let all = stage.store.customers(&org_id(), &filter, page).await.unwrap().data;
    all.into_iter().map(|it: Customer| it.id.to_string()).collect()
}

async fn made(stage: &Stage, claim: &CreationClaim) -> Option<([u8; 32], String)> {
    let CreationClaim { claim, now, .. } = claim;
    let oldest = now.plus_ms(-WEEK_MS);
    let found = stage.store.idempotent_target(&claim.org_id, &claim.route, &claim.key, oldest);
    found.await.unwrap().map(|(fingerprint, target)| match target {
        IdempotentTarget::Made(id) => (fingerprint, id),
        other => panic!("{other:?}"),
    })
}

pub async fn what_is_made_with_a_key_is_found_by_it_after_a_reopening(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create(new_customer("c1", 1), claim("k", 1)).await.unwrap();
    let of_all = IdempotencyClaim { org_id: OrgId::new(""), ..claim("k", 2).claim };
    let of_all = CreationClaim { claim: of_all, ..claim("k", 2) };
    let entry = NewRecord::Entry(Box::new(Entry::Org(org("other"))));
    stage.store.create(entry, of_all.clone()).await.unwrap();
    let template = NewRecord::Upstream("news\nen".to_owned());
    stage.store.create(template, claim("t", 3)).await.unwrap();
    let stage = stage.reopen(harness).await;
    assert_eq!(made(&stage, &claim("k", 1)).await, Some(([1; 32], "c1".to_owned())));
    assert_eq!(made(&stage, &of_all).await, Some(([2; 32], "other".to_owned())));
    assert_eq!(made(&stage, &claim("t", 3)).await, Some(([3; 32], "news\nen".to_owned())));
    for fingerprint in [1, 2] {
        let again = stage.store.create(new_customer("c2", 2), claim("k", fingerprint)).await;
        assert_eq!(again, TAKEN);
    }
    assert_eq!(customers(&stage).await, ["c1"]);
}

pub async fn of_64_parallel_creations_with_a_key_one_is_made(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let racers: Vec<_> = (0..64)
        .map(|place| {
            let store = stage.store.clone();
            let record = new_customer(&format!("c{place}"), place);
            tokio::spawn(async move { store.create(record, claim("k", 1)).await })
        })
        .collect();
    let mut ends = Vec::new();
    for racer in racers {
        ends.push(racer.await.unwrap());
    }
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
    assert_eq!(ends.iter().filter(|end| **end == TAKEN).count(), 63);
    let there = customers(&stage).await;
    let claimed = made(&stage, &claim("k", 1)).await.unwrap();
    assert_eq!(there, [claimed.1]);
}

pub async fn keys_of_creations_do_not_displace_one_another(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for place in 0..500 {
        let (key, id) = (format!("k{place}"), format!("c{place}"));
        stage.store.create(new_customer(&id, place), claim(&key, 1)).await.unwrap();
    }
    for place in 0..500 {
        let found = made(&stage, &claim(&format!("k{place}"), 1)).await;
        assert_eq!(found, Some(([1; 32], format!("c{place}"))));
    }
}

pub async fn what_cannot_be_made_leaves_its_key_free(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create_customer(customer("c1", 1)).await.unwrap();
    let refused = stage.store.create(new_customer("c2", 1), claim("k", 1)).await;
    assert_eq!(refused, Err(StoreError::Conflict("phone")));
    assert_eq!(made(&stage, &claim("k", 1)).await, None);
    stage.store.create(new_customer("c2", 2), claim("k", 2)).await.unwrap();
}

pub async fn the_key_of_what_is_gone_may_be_claimed_once_more(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create(new_customer("c1", 1), claim("k", 1)).await.unwrap();
    stage.store.delete_customer(&org_id(), &CustomerId::new("c1")).await.unwrap();
    let after = CreationClaim { gone: Some("c1".to_owned()), ..claim("k", 1) };
    stage.store.create(new_customer("c2", 2), after.clone()).await.unwrap();
    let too_late = stage.store.create(new_customer("c3", 3), after).await;
    assert_eq!(too_late, TAKEN, "it stands for another by now");
    assert_eq!(customers(&stage).await, ["c2"]);
}

pub async fn the_key_of_a_creation_is_free_after_a_week(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create(new_customer("c1", 1), claim("k", 1)).await.unwrap();
    let at_its_end = CreationClaim { now: at(WEEK_MS), ..claim("k", 2) };
    let early = stage.store.create(new_customer("c2", 2), at_its_end.clone()).await;
    assert_eq!(early, TAKEN, "a week to the millisecond still counts");
    assert!(made(&stage, &at_its_end).await.is_some());
    let later = CreationClaim { now: at(WEEK_MS + 1), ..claim("k", 2) };
    assert_eq!(made(&stage, &later).await, None);
    stage.store.create(new_customer("c2", 2), later.clone()).await.unwrap();
    assert_eq!(made(&stage, &later).await, Some(([2; 32], "c2".to_owned())));
}

pub async fn keys_of_creations_are_forgotten_and_go_with_their_organisation(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let of_all = IdempotencyClaim { org_id: OrgId::new(""), ..claim("k", 1).claim };
    let of_all = CreationClaim { claim: of_all, ..claim("k", 1) };
    let entry = NewRecord::Entry(Box::new(Entry::Org(org("other"))));
    stage.store.create(entry, of_all.clone()).await.unwrap();
    stage.store.create(new_customer("c1", 1), claim("k", 1)).await.unwrap();
    let before = std::sync::Arc::new([(org_id(), at(1))].into());
    let pruned = stage.store.prune_keys(&before, 0).await.unwrap();
    assert_eq!(pruned.deleted, 0, "how long messages are kept is another matter");
    stage.store.remove_entry(EntryKey::Org(org_id())).await.unwrap();
    while stage.store.prune_removed_orgs().await.unwrap() {}
    stage.put(Entry::Org(org(org_id().as_str()))).await;
    assert_eq!(made(&stage, &claim("k", 1)).await, None);
    assert!(made(&stage, &of_all).await.is_some(), "the installation's own stay");
    assert_eq!(stage.store.forget_idempotency(at(1)).await.unwrap(), 1);
    assert_eq!(made(&stage, &of_all).await, None);
}
