//! Forms under our own numbers.

use waypost_domain::content::FlowName;
use waypost_domain::manage::FlowRecord;
use waypost_domain::{NumberId, OrgId};
use waypost_engine::ports::{Entry, EntryKey, NewFlow, StoreError, UpstreamFlow};

use crate::Harness;
use crate::samples::{NUMBER, ORG, Stage, at, number, number_id, org, org_id};

fn shown(upstream_id: &str) -> UpstreamFlow {
    UpstreamFlow {
        id: upstream_id.to_owned(),
        name: format!("form {upstream_id}"),
        status: "DRAFT".to_owned(),
        categories: vec!["SURVEY".to_owned(), "OTHER".to_owned()],
    }
}

fn new(upstream_id: &str) -> NewFlow {
    NewFlow { org_id: org_id(), number_id: number_id(), shown: shown(upstream_id) }
}

fn name(text: &str) -> FlowName {
    FlowName::Name(text.to_owned())
}

fn upstream_id(text: &str) -> FlowName {
    FlowName::Id(text.to_owned())
}

async fn record(stage: &Stage, flow: NewFlow, ms: i64) -> FlowRecord {
    stage.store.record_flow(flow, at(ms)).await.unwrap()
}

async fn find(stage: &Stage, name: FlowName) -> Option<i64> {
    stage.store.flow(&org_id(), &name).await.unwrap().map(|flow| flow.id)
}

pub async fn a_form_gets_a_number_of_the_installation(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("other"))).await;
    let first = record(&stage, new("7001"), 1).await;
    let elsewhere = NewFlow { org_id: OrgId::new("other"), ..new("7001") };
    let second = record(&stage, elsewhere, 2).await;
    assert_ne!(first.id, second.id, "numbers are the installation's");
    let expected = FlowRecord {
        id: first.id,
        org_id: org_id(),
        number_id: number_id(),
        upstream_id: "7001".to_owned(),
        name: "form 7001".to_owned(),
        status: "DRAFT".to_owned(),
        categories: vec!["SURVEY".to_owned(), "OTHER".to_owned()],
        created_at: at(1),
        updated_at: at(1),
    };
    assert_eq!(first, expected);
    let stage = stage.reopen(harness).await;
    let kept = stage.store.flow(&org_id(), &FlowName::Local(first.id)).await.unwrap();
    assert_eq!(kept, Some(expected));
    assert_eq!(find(&stage, FlowName::Local(second.id)).await, None, "it is another's");
}

pub async fn a_known_form_keeps_its_number_and_its_birthday(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = record(&stage, new("7001"), 1).await;
    let unchanged = record(&stage, new("7001"), 5).await;
    assert_eq!(unchanged, first, "nothing changed, not even the time");
    let mut changed = new("7001");
    changed.shown.status = "PUBLISHED".to_owned();
    let published = record(&stage, changed, 9).await;
    let expected =
        FlowRecord { status: "PUBLISHED".to_owned(), updated_at: at(9), ..first.clone() };
    assert_eq!(published, expected);
    let next = record(&stage, new("7002"), 10).await;
    assert!(next.id > first.id);
}

pub async fn a_form_is_found_by_each_of_its_names(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = record(&stage, new("7001"), 1).await;
    // Another's upstream id may look like our number.
    let shadow = record(&stage, new(&first.id.to_string()), 2).await;
    for (name, found) in [
        (FlowName::Local(first.id), Some(first.id)),
        (FlowName::Local(7_001), Some(first.id)),
        (upstream_id("7001"), Some(first.id)),
        (upstream_id(&first.id.to_string()), Some(shadow.id)),
        (upstream_id(&shadow.id.to_string()), Some(shadow.id)),
        (name("form 7001"), Some(first.id)),
        (FlowName::Local(99), None),
        (upstream_id("none"), None),
        (name("7001"), None),
    ] {
        assert_eq!(find(&stage, name.clone()).await, found, "{name:?}");
    }
    let mut twin = new("7003");
    twin.shown.name = "form 7001".to_owned();
    let twin = record(&stage, twin, 3).await;
    assert_eq!(find(&stage, name("form 7001")).await, Some(twin.id), "the last one");
}

pub async fn forms_are_listed_by_number_and_bounded(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Number(number("100000000000002", ORG))).await;
    let one = record(&stage, new("7001"), 1).await;
    let mut elsewhere = new("7002");
    elsewhere.number_id = NumberId::new("100000000000002");
    let two = record(&stage, elsewhere, 1).await;
    let three = record(&stage, new("7003"), 1).await;
    let ids = async |number: Option<&str>, limit: u32| {
        let number = number.map(NumberId::new);
        let found = stage.store.flows(&org_id(), number.as_ref(), limit).await.unwrap();
        found.into_iter().map(|flow| flow.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 10).await, [one.id, two.id, three.id]);
    assert_eq!(ids(None, 2).await, [one.id, two.id]);
    assert_eq!(ids(Some(NUMBER), 10).await, [one.id, three.id]);
    assert_eq!(ids(Some("100000000000002"), 10).await, [two.id]);
}

pub async fn forms_go_with_their_organisation(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let nowhere = NewFlow { org_id: OrgId::new("nobody"), ..new("7001") };
    assert_eq!(stage.store.record_flow(nowhere, at(1)).await, Err(StoreError::NotFound));
    let nowhere = NewFlow { number_id: NumberId::new("1"), ..new("7001") };
    assert_eq!(stage.store.record_flow(nowhere, at(1)).await, Err(StoreError::NotFound));
    let first = record(&stage, new("7001"), 1).await;
    stage.store.remove_entry(EntryKey::Org(org_id())).await.unwrap();
    stage.put(Entry::Org(org(ORG))).await;
    stage.put(Entry::Number(number(NUMBER, ORG))).await;
    assert_eq!(find(&stage, FlowName::Local(first.id)).await, None);
    let again = record(&stage, new("7001"), 2).await;
    assert!(again.id > first.id, "a number is never used again");
}
