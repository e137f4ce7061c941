//! Customers.

use waypost_domain::customer::{Consent, ConsentOrigin, Customer};
use waypost_domain::{CustomerId, OrgId, Phone};
use waypost_engine::ports::{
    Audience, CustomerFilter, CustomerToImport, Entry, EntryKey, Imported, InboundMessage, LeftOut,
    NewConsent, Page, Stated, StoreError,
};

use crate::Harness;
use crate::samples::{
    NUMBER, ORG, Stage, at, customer, inbound, message, number, number_id, org, org_id, phone,
};

fn consent(opted_in: bool) -> Option<Consent> {
    Some(Consent {
        opted_in,
        at: at(7),
        proof: Some("form 12".to_owned()),
        origin: ConsentOrigin { source: Some("WEB".to_owned()), ..ConsentOrigin::default() },
    })
}

fn with_id(customer: Customer) -> CustomerToImport {
    CustomerToImport { customer, id_given: true, stated: Stated::ALL }
}

fn without_id(customer: Customer) -> CustomerToImport {
    CustomerToImport { customer, id_given: false, stated: Stated::ALL }
}

async fn ids(stage: &Stage, filter: &CustomerFilter) -> Vec<String> {
    let page = Page { after: None, limit: 100 };
    let found = stage.store.customers(&org_id(), filter, page).await.unwrap();
    found.data.into_iter().map(|customer| customer.id.as_str().to_owned()).collect()
}

pub async fn a_customer_comes_back_as_it_was_recorded(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let full = Customer {
        tags: vec!["vip".to_owned(), "ü".to_owned()],
        consent: consent(false),
        active: false,
        last_inbound_at: Some(at(9)),
        ..customer("c1", 1)
    };
    let bare = Customer { name: None, ..customer("c2", 2) };
    stage.store.create_customer(full.clone()).await.unwrap();
    stage.store.create_customer(bare.clone()).await.unwrap();
    let stage = stage.reopen(harness).await;
    for expected in [full, bare] {
        let found = stage.store.customer(&org_id(), &expected.id).await.unwrap();
        assert_eq!(found, Some(expected));
    }
    assert_eq!(stage.store.customer(&OrgId::new("x"), &CustomerId::new("c1")).await.unwrap(), None);
}

pub async fn id_and_phone_are_unique_within_an_organisation(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("other"))).await;
    stage.store.create_customer(customer("c1", 1)).await.unwrap();
    for (twin, field) in [(customer("c1", 2), "id"), (customer("c2", 1), "phone")] {
        let refused = stage.store.create_customer(twin).await;
        assert_eq!(refused, Err(StoreError::Conflict(field)));
    }
    let elsewhere = Customer { org_id: OrgId::new("other"), ..customer("c1", 1) };
    stage.store.create_customer(elsewhere).await.unwrap();
    let nowhere = Customer { org_id: OrgId::new("nobody"), ..customer("c1", 1) };
    assert_eq!(stage.store.create_customer(nowhere).await, Err(StoreError::NotFound));
}

pub async fn a_change_keeps_the_place_in_the_order(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for last in 1..=3 {
        stage.store.create_customer(customer(&format!("c{last}"), last)).await.unwrap();
    }
    let changed = Customer { phone: phone(77), name: None, ..customer("c1", 1) };
    stage.change_customer(changed.clone()).await;
    assert_eq!(ids(&stage, &CustomerFilter::default()).await, ["c1", "c2", "c3"]);
    assert_eq!(stage.store.customer(&org_id(), &changed.id).await.unwrap(), Some(changed));
    let taken = stage.store.update_customer(&customer("c2", 2), customer("c2", 3)).await;
    assert_eq!(taken, Err(StoreError::Conflict("phone")));
    let nobody = stage.store.update_customer(&customer("c9", 9), customer("c9", 9)).await;
    assert_eq!(nobody, Err(StoreError::NotFound));
}

pub async fn a_change_undoes_none_that_came_before_it(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let known = customer("c1", 1);
    stage.store.create_customer(known.clone()).await.unwrap();
    let renamed = Customer { name: Some("New".to_owned()), ..known.clone() };
    let tagged = Customer { tags: vec!["vip".to_owned()], ..known.clone() };
    let (first, second) = tokio::join!(
        stage.store.update_customer(&known, renamed.clone()),
        stage.store.update_customer(&known, tagged.clone()),
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first, second, "one of them came first");
    let known = if first { renamed } else { tagged };
    let found = || async { stage.store.customer(&org_id(), &known.id).await.unwrap().unwrap() };
    assert_eq!(found().await, known);
    // What the person says in between.
    let refusal = NewConsent {
        phone: phone(1),
        new_customer_id: CustomerId::new("new"),
        consent: consent(false).unwrap(),
    };
    stage.store.record_consents(&org_id(), vec![refusal]).await.unwrap();
    let inactive = Customer { active: false, ..known.clone() };
    assert!(!stage.store.update_customer(&known, inactive).await.unwrap());
    let now = found().await;
    assert!(now.opted_out() && now.active);
}

pub async fn an_import_adds_and_updates_by_the_id_given_or_by_number(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let known = Customer { consent: consent(false), ..customer("c1", 1) };
    stage.store.create_customer(known).await.unwrap();
    stage.store.create_customer(customer("c2", 2)).await.unwrap();
    let imported = stage
        .store
        .import_customers(vec![
            with_id(customer("c3", 3)),
            with_id(Customer { name: Some("By id".to_owned()), ..customer("c1", 11) }),
            without_id(Customer { name: Some("By number".to_owned()), ..customer("made", 2) }),
            without_id(Customer { consent: consent(true), ..customer("made", 3) }),
            without_id(customer("c4", 4)),
        ])
        .await
        .unwrap();
    assert_eq!(imported, Imported { created: 2, updated: 3, left_out: Vec::new() });
    let find = async |id: &str| {
        stage.store.customer(&org_id(), &CustomerId::new(id)).await.unwrap().unwrap()
    };
    let first = find("c1").await;
    assert_eq!((first.phone.clone(), first.opted_out()), (phone(11), true));
    assert_eq!(find("c2").await.name.as_deref(), Some("By number"));
    assert_eq!(find("c3").await.consent, consent(true));
    assert_eq!(ids(&stage, &CustomerFilter::default()).await, ["c1", "c2", "c3", "c4"]);
}

pub async fn an_import_that_is_repeated_adds_nobody(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let file = |made: &str| {
        let named = Customer { consent: consent(true), ..customer("c1", 1) };
        vec![with_id(named), without_id(customer(made, 2))]
    };
    stage.store.import_customers(file("made")).await.unwrap();
    let all = async || {
        let (all, page) = (CustomerFilter::default(), Page { after: None, limit: 100 });
        stage.store.customers(&org_id(), &all, page).await.unwrap().data
    };
    let before = all().await;
    let again = stage.store.import_customers(file("made-again")).await.unwrap();
    assert_eq!(again, Imported { created: 0, updated: 2, left_out: Vec::new() });
    assert_eq!(all().await, before);
}

pub async fn what_an_import_does_not_state_stays(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let tags = vec!["vip".to_owned()];
    let known = Customer { tags, active: false, ..customer("c1", 1) };
    stage.store.create_customer(known.clone()).await.unwrap();
    let line = Customer { name: None, ..customer("c1", 1) };
    let nothing = Stated { name: false, tags: false, active: false };
    let untagged = Customer { tags: Vec::new(), ..known.clone() };
    for (stated, expected) in [
        (nothing, known),
        (Stated { tags: true, ..nothing }, untagged.clone()),
        (Stated { active: true, ..nothing }, Customer { active: true, ..untagged }),
        (Stated::ALL, line.clone()),
    ] {
        let again = CustomerToImport { customer: line.clone(), id_given: true, stated };
        stage.store.import_customers(vec![again]).await.unwrap();
        let found = stage.store.customer(&org_id(), &line.id).await.unwrap();
        assert_eq!(found, Some(expected), "{stated:?}");
    }
}

pub async fn an_import_leaves_out_whose_number_belongs_to_another_id(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create_customer(customer("c1", 1)).await.unwrap();
    stage.store.create_customer(customer("c2", 2)).await.unwrap();
    let given = [
        ("c9", 9),
        // A known id that would take a known number, and the number it has itself.
        ("c1", 2),
        ("c1", 1),
        // New ids with numbers that were known before, or are since this import.
        ("c3", 1),
        ("c4", 9),
        // The number becomes free, and is taken.
        ("c2", 22),
        ("c5", 2),
    ];
    let given = given.map(|(id, last)| with_id(customer(id, last)));
    let imported = stage.store.import_customers(given.to_vec()).await.unwrap();
    let left_out = [(1, "c2"), (3, "c1"), (4, "c9")];
    let left_out = left_out.map(|(place, id)| LeftOut { place, owner: CustomerId::new(id) });
    assert_eq!(imported, Imported { created: 2, updated: 2, left_out: left_out.to_vec() });
    for (id, last) in [("c1", 1), ("c2", 22), ("c9", 9), ("c5", 2)] {
        let found = stage.store.customer(&org_id(), &CustomerId::new(id)).await.unwrap();
        assert_eq!(found.unwrap().phone, phone(last), "{id}");
    }
    assert_eq!(ids(&stage, &CustomerFilter::default()).await, ["c1", "c2", "c9", "c5"]);
}

pub async fn filters_and_pages_follow_the_order_of_registration(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let people = (0..10)
        .map(|last| Customer {
            tags: if last % 2 == 0 { vec!["even".to_owned()] } else { Vec::new() },
            active: last != 4,
            // Ids fall while places grow.
            ..customer(&format!("c{}", 9 - last), last)
        })
        .map(with_id)
        .collect();
    stage.store.import_customers(people).await.unwrap();
    let mut page = Page { after: None, limit: 4 };
    let mut seen = Vec::new();
    loop {
        let part =
            stage.store.customers(&org_id(), &CustomerFilter::default(), page).await.unwrap();
        assert!(part.data.len() <= 4);
        seen.extend(part.data.into_iter().map(|customer| customer.id.as_str().to_owned()));
        page.after = part.next;
        if part.next.is_none() {
            break;
        }
    }
    let all: Vec<String> = (0..10).rev().map(|place| format!("c{place}")).collect();
    assert_eq!(seen, all);
    let even = CustomerFilter { tag: Some("even".to_owned()), ..CustomerFilter::default() };
    assert_eq!(ids(&stage, &even).await, ["c9", "c7", "c5", "c3", "c1"]);
    let active_even = CustomerFilter { active: Some(true), ..even };
    assert_eq!(ids(&stage, &active_even).await, ["c9", "c7", "c3", "c1"]);
    let one = CustomerFilter { phone: Some(phone(3)), ..CustomerFilter::default() };
    assert_eq!(ids(&stage, &one).await, ["c6"]);
}

pub async fn an_audience_leaves_out_who_must_not_be_written_to(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let people = vec![
        customer("silent", 1),
        Customer { consent: consent(true), ..customer("yes", 2) },
        Customer { consent: consent(false), ..customer("no", 3) },
        Customer { active: false, consent: consent(true), ..customer("inactive", 4) },
        Customer { last_inbound_at: Some(at(5)), ..customer("wrote", 5) },
        Customer { last_inbound_at: Some(at(5)), consent: consent(false), ..customer("left", 6) },
    ];
    let people = people.into_iter().map(with_id).collect();
    stage.store.import_customers(people).await.unwrap();
    for (audience, expected) in [
        (Audience::All, vec!["silent", "yes", "wrote"]),
        (Audience::OptedIn, vec!["yes"]),
        (Audience::OptedInOrWrote, vec!["yes", "wrote"]),
    ] {
        let mut page = Page { after: None, limit: 1 };
        let mut reached = Vec::new();
        loop {
            let part = stage.store.audience(&org_id(), audience, page).await.unwrap();
            reached.extend(part.data.into_iter().map(|(id, _)| id.as_str().to_owned()));
            page.after = part.next;
            if part.next.is_none() {
                break;
            }
        }
        assert_eq!(reached, expected, "{audience:?}");
    }
}

fn new_consent(last: u32, opted_in: bool, at_ms: i64) -> NewConsent {
    NewConsent {
        phone: phone(last),
        new_customer_id: CustomerId::new(format!("new-{last}-{at_ms}")),
        consent: Consent { at: at(at_ms), ..consent(opted_in).unwrap() },
    }
}

pub async fn consents_are_recorded_where_they_are_new(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create_customer(customer("c1", 1)).await.unwrap();
    let record = async |consents| stage.store.record_consents(&org_id(), consents).await.unwrap();
    assert!(record(vec![new_consent(1, true, 10), new_consent(2, true, 10)]).await);
    assert!(!record(vec![new_consent(1, true, 20), new_consent(2, true, 20)]).await);
    assert!(record(vec![new_consent(1, true, 30), new_consent(3, true, 30)]).await);
    assert!(record(vec![new_consent(2, false, 40), new_consent(4, false, 40)]).await);
    assert!(!record(vec![new_consent(4, false, 50)]).await);
    let mut said = Vec::new();
    let page = Page { after: None, limit: 10 };
    let all = stage.store.customers(&org_id(), &CustomerFilter::default(), page).await.unwrap();
    for customer in all.data {
        assert!(customer.active);
        let consent = customer.consent.unwrap();
        assert_eq!(consent.origin.source.as_deref(), Some("WEB"));
        said.push((customer.id.as_str().to_owned(), consent.opted_in, consent.at));
    }
    let expected = [("c1", true, 10), ("new-2-10", false, 40), ("new-3-30", true, 30)];
    let expected = expected.into_iter().chain([("new-4-40", false, 40)]);
    let expected: Vec<_> =
        expected.map(|(id, opted_in, ms)| (id.to_owned(), opted_in, at(ms))).collect();
    assert_eq!(said, expected);
}

pub async fn consents_are_recorded_together_or_not_at_all(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create_customer(customer("c1", 1)).await.unwrap();
    let clash = NewConsent { new_customer_id: CustomerId::new("c1"), ..new_consent(3, true, 10) };
    let both = vec![new_consent(1, true, 10), clash];
    assert_eq!(stage.store.record_consents(&org_id(), both).await, Err(StoreError::Conflict("id")));
    let kept = stage.store.customer(&org_id(), &CustomerId::new("c1")).await.unwrap().unwrap();
    assert_eq!(kept.consent, None);
}

pub async fn a_deleted_customer_leaves_its_messages_in_the_log(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create_customer(customer("c1", 1)).await.unwrap();
    let mut sent = message(1);
    sent.customer_id = Some(CustomerId::new("c1"));
    stage.queue(&sent).await;
    assert!(stage.store.delete_customer(&org_id(), &CustomerId::new("c1")).await.unwrap());
    assert!(!stage.store.delete_customer(&org_id(), &CustomerId::new("c1")).await.unwrap());
    assert_eq!(stage.message(sent.id).await.customer_id, Some(CustomerId::new("c1")));
    stage.store.create_customer(customer("c2", 1)).await.unwrap();
}

/// Records what the first person says.
async fn say(stage: &Stage, opted_in: bool) {
    let said = vec![new_consent(1, opted_in, 700)];
    stage.store.record_consents(&org_id(), said).await.unwrap();
}

async fn are_blocked(stage: &Stage, names: &[&Phone]) -> Vec<bool> {
    let mut blocked = Vec::new();
    for name in names {
        let found = stage.store.recipient_by_phone(&org_id(), name, &number_id()).await.unwrap();
        blocked.push(found.opted_out);
    }
    blocked
}

async fn reached(stage: &Stage) -> usize {
    let page = Page { after: None, limit: 10 };
    stage.store.audience(&org_id(), Audience::All, page).await.unwrap().data.len()
}

pub async fn an_opt_out_outlives_its_customer(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let id = Phone::business_scoped("US.1349120865530274777").unwrap();
    let shown = InboundMessage { user_id: Some(id.clone()), ..inbound(1, "wamid.1") };
    stage.store.record_inbound(shown, at(500)).await.unwrap();
    let by_id = Customer { phone: id.clone(), ..customer("by-id", 2) };
    stage.store.create_customer(by_id).await.unwrap();
    let names = [&phone(1), &id];
    say(&stage, false).await;
    assert!(stage.store.delete_customer(&org_id(), &CustomerId::new("new-1")).await.unwrap());
    assert_eq!(are_blocked(&stage, &names).await, [true; 2]);
    assert_eq!(reached(&stage).await, 0, "not under the person's other name either");

    // Whoever is a customer by that number again takes it over, until they say yes.
    stage.store.create_customer(customer("again", 1)).await.unwrap();
    let again = CustomerId::new("again");
    let found = stage.store.customer(&org_id(), &again).await.unwrap().unwrap();
    assert_eq!(found.consent.map(|said| (said.opted_in, said.at)), Some((false, at(700))));
    say(&stage, true).await;
    assert_eq!((are_blocked(&stage, &names).await, reached(&stage).await), (vec![false; 2], 2));
    assert!(stage.store.delete_customer(&org_id(), &again).await.unwrap());
    assert_eq!(are_blocked(&stage, &names).await, [false; 2], "a yes is forgotten");
}

pub async fn the_opt_out_of_a_deleted_customer_goes_with_the_organisation(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    say(&stage, false).await;
    let made = CustomerId::new("new-1-700");
    assert!(stage.store.delete_customer(&org_id(), &made).await.unwrap());
    assert_eq!(are_blocked(&stage, &[&phone(1)]).await, [true]);
    assert!(stage.store.remove_entry(EntryKey::Org(org_id())).await.unwrap());
    while stage.store.prune_removed_orgs().await.unwrap() {}
    stage.put(Entry::Org(org(ORG))).await;
    stage.put(Entry::Number(number(NUMBER, ORG))).await;
    assert_eq!(are_blocked(&stage, &[&phone(1)]).await, [false]);
}
