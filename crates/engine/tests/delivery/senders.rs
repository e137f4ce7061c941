//! By which number an organisation sends that names one: no name means two of those that it may use.

use std::sync::Arc;

use waypost_domain::directory::{Number, Org};
use waypost_domain::{NumberId, OrgId, Timestamp};
use waypost_engine::directory::Directory;
use waypost_engine::ports::{Entry, PutMode, StoreError};

use crate::rig::{Rig, number, org, phone};

/// A number of an organisation whose names all have its digit in them.
fn numbered(place: u8, org_id: &str) -> Number {
    Number {
        id: NumberId::new(format!("n-{place}")),
        org_id: OrgId::new(org_id),
        display_phone: phone(&format!("1555000{place}{place}{place}{place}")),
        phone_number_id: format!("10000000000010{place}"),
        app_id: Some(format!("app-{place}")),
        source_id: Some(format!("source-{place}")),
        aliases: vec![format!("+1 555 000 66 6{place}"), format!("main-{place}")],
        created_at: Timestamp(i64::from(place)),
        ..number(1_000)
    }
}

fn shared(place: u8, org_id: &str) -> Number {
    Number { shared: true, ..numbered(place, org_id) }
}

/// Who may send from shared numbers.
fn guest(id: &str) -> Org {
    Org { join_code: Some(format!("join {id}")), ..org(id) }
}

fn sender_of(directory: &Directory, org_id: &str, name: Option<&str>) -> Option<String> {
    let found = directory.sender(&OrgId::new(org_id), name);
    found.ok().map(|number| number.id.to_string())
}

async fn with_numbers() -> Rig {
    let rig = Rig::new().await;
    for org in [org("org-2"), guest("guest"), org("host-3"), org("host-4")] {
        rig.put_org(org, PutMode::Create).await;
    }
    for number in [
        numbered(1, "org-2"),
        numbered(2, "org-2"),
        shared(3, "host-3"),
        shared(4, "host-4"),
        numbered(5, "guest"),
    ] {
        rig.engine.put_number(number, PutMode::Create).await.unwrap();
    }
    rig
}

#[tokio::test]
async fn a_name_of_another_number_that_one_may_use_is_taken() {
    let rig = with_numbers().await;
    let directory = rig.engine.directory();
    let named = |place, org_id, alias: &str| Number {
        aliases: vec![alias.to_owned()],
        ..numbered(place, org_id)
    };
    for (number, expected) in [
        (named(1, "org-2", "n-2"), Err("aliases")),
        (named(1, "org-2", "100000000000102"), Err("aliases")),
        (named(1, "org-2", "15550002222"), Err("aliases")),
        (named(1, "org-2", "+1 (555) 000-2222"), Err("aliases")),
        (named(1, "org-2", "app-2"), Err("aliases")),
        (named(1, "org-2", "source-2"), Err("aliases")),
        (named(1, "org-2", "main-2"), Err("aliases")),
        (named(1, "org-2", "1.555.000.6662"), Err("aliases")),
        (Number { app_id: Some("app-2".to_owned()), ..numbered(1, "org-2") }, Err("app_id")),
        (Number { source_id: Some("app-2".to_owned()), ..numbered(1, "org-2") }, Err("source_id")),
        (
            Number { display_phone: phone("15550002222"), ..numbered(1, "org-2") },
            Err("display_phone"),
        ),
        (
            Number { display_phone: phone("15550006662"), ..numbered(1, "org-2") },
            Err("display_phone"),
        ),
        // A number's own names may repeat each other; other organisations have theirs.
        (named(1, "org-2", "15550001111"), Ok(())),
        (named(1, "org-2", "main-1"), Ok(())),
        (named(1, "org-2", "main-3"), Ok(())),
        (named(1, "org-2", "main-5"), Ok(())),
        // Who shares is in one place with all who share, and who joins with them.
        (Number { shared: true, ..named(4, "host-4", "main-3") }, Err("aliases")),
        (Number { shared: true, ..named(4, "host-4", "15550003333") }, Err("aliases")),
        (Number { shared: true, ..named(4, "host-4", "main-5") }, Ok(())),
        (named(5, "guest", "main-3"), Err("aliases")),
    ] {
        let what = format!("{} {:?} {expected:?}", number.id, number.aliases);
        let put = directory.put(Entry::Number(number), PutMode::Replace).await;
        assert_eq!(put, expected.map_err(StoreError::Conflict), "{what}");
    }
    let twin = Number { display_phone: phone("15550002222"), ..numbered(6, "org-2") };
    let put = directory.put(Entry::Number(twin), PutMode::Create).await;
    assert_eq!(put, Err(StoreError::Conflict("display_phone")));
}

#[tokio::test]
async fn sharing_a_number_needs_names_that_no_shared_one_has() {
    let rig = with_numbers().await;
    let directory = rig.engine.directory();
    let alias = |number| Number { aliases: vec!["main-3".to_owned()], ..number };
    let put = directory.put(Entry::Number(alias(numbered(1, "org-2"))), PutMode::Replace).await;
    assert_eq!(put, Ok(()));
    let put = directory.put(Entry::Number(alias(shared(1, "org-2"))), PutMode::Replace).await;
    assert_eq!(put, Err(StoreError::Conflict("aliases")));
}

#[tokio::test]
async fn a_name_that_became_ambiguous_otherwise_keeps_nobody_from_other_changes() {
    let rig = with_numbers().await;
    let number = Number { aliases: vec!["main-3".to_owned()], ..numbered(1, "org-2") };
    rig.engine.put_number(number.clone(), PutMode::Replace).await.unwrap();
    rig.put_org(guest("org-2"), PutMode::Replace).await;
    let slower = Number { throughput_per_s: 5, ..number };
    rig.engine.put_number(slower.clone(), PutMode::Replace).await.unwrap();
    let directory = rig.engine.directory();
    let mine = sender_of(directory, "org-2", Some("main-3"));
    assert_eq!(mine.as_deref(), Some("n-1"), "what is shared does not come before one's own");
    let more = Number { aliases: vec!["main-3".to_owned(), "main-4".to_owned()], ..slower };
    let put = directory.put(Entry::Number(more), PutMode::Replace).await;
    assert_eq!(put, Err(StoreError::Conflict("aliases")));
}

/// As numbers were written before names had to be unique.
#[tokio::test]
async fn of_two_with_one_name_it_is_the_one_whose_id_or_else_phone_it_is() {
    let rig = with_numbers().await;
    let squatting = ["n-2", "100000000000102", "15550002222", "app-2", "main-2"];
    let aliases = squatting.map(str::to_owned).to_vec();
    let squatter = Number { aliases, ..numbered(1, "org-2") };
    rig.engine.store().put_entry(Entry::Number(squatter), PutMode::Replace).await.unwrap();
    let directory = Directory::load(Arc::clone(rig.engine.store())).await.unwrap();
    for (name, expected) in [
        ("n-2", "n-2"),
        ("100000000000102", "n-2"),
        ("15550002222", "n-2"),
        ("+15550002222", "n-2"),
        ("app-2", "n-2"),
        ("main-2", "n-2"),
        ("n-1", "n-1"),
    ] {
        assert_eq!(sender_of(&directory, "org-2", Some(name)).as_deref(), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn shared_numbers_have_one_order_while_running_and_after_a_start() {
    let rig = Rig::new().await;
    for org in [guest("guest"), org("host-3"), org("host-4")] {
        rig.put_org(org, PutMode::Create).await;
    }
    let engine = &rig.engine;
    engine.put_number(numbered(3, "host-3"), PutMode::Create).await.unwrap();
    engine.put_number(shared(4, "host-4"), PutMode::Create).await.unwrap();
    engine.put_number(shared(3, "host-3"), PutMode::Replace).await.unwrap();
    let restarted = Directory::load(Arc::clone(engine.store())).await.unwrap();
    for directory in [engine.directory(), &restarted] {
        assert_eq!(sender_of(directory, "guest", None).as_deref(), Some("n-3"));
    }
}
