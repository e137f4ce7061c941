//! What the upstream tells of people in the form of messages of theirs, and people whose number
//! changes.

use serde_json::{Value, json};
use waypost_domain::content::InboundContent;
use waypost_domain::customer::{Consent, ConsentOrigin, Customer};
use waypost_domain::{CustomerId, Phone};
use waypost_engine::ports::{InboundMessage, NewConsent};

use crate::Harness;
use crate::pacing::hold;
use crate::samples::{Stage, at, customer, inbound, message, number_id, org_id, phone};

/// A notice about a person.
fn notice(last: u32, wamid: &str, system: &Value) -> InboundMessage {
    let message = json!({"type": "system", "system": system});
    let content = InboundContent { kind: "system".to_owned(), message, media: None };
    InboundMessage { content, profile_name: None, ..inbound(last, wamid) }
}

fn changed_number(last: u32, wamid: &str, to: &Phone) -> InboundMessage {
    let system = json!({"type": "user_changed_number", "body": "changed", "wa_id": to.digits()});
    notice(last, wamid, &system)
}

fn consent(opted_in: bool, at_ms: i64) -> Consent {
    Consent { opted_in, at: at(at_ms), proof: None, origin: ConsentOrigin::default() }
}

async fn said_under(stage: &Stage, phone: &Phone) -> Option<Consent> {
    let found = stage.store.recipient_by_phone(&org_id(), phone, &number_id()).await.unwrap();
    found.customer.and_then(|customer| customer.consent)
}

pub async fn a_notice_is_recorded_and_nobody_wrote(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    hold(&stage, &message(1), at(9_000)).await;
    let identity = json!({"type": "customer_identity_changed", "identity": {"hash": "DF2="}});
    for notice in [notice(1, "wamid.1", &identity), changed_number(1, "wamid.2", &phone(2))] {
        assert!(stage.store.record_inbound(notice.clone(), at(700)).await.unwrap());
        assert!(!stage.store.record_inbound(notice.clone(), at(700)).await.unwrap());
        let recorded = stage.message(notice.id).await;
        assert_eq!((recorded.phone, recorded.customer_id), (phone(1), None));
    }
    for phone in [phone(1), phone(2)] {
        let found = stage.store.recipient_by_phone(&org_id(), &phone, &number_id()).await.unwrap();
        assert_eq!((found.customer, found.last_inbound_at), (None, None));
    }
    assert_eq!(stage.store.held().await.unwrap().0, 1);
}

pub async fn what_a_person_said_holds_for_the_number_they_change_to(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (case, (by_notice, by_id, opted_in)) in (1..).zip([
        (true, false, false),
        (true, false, true),
        (false, true, false),
        (false, true, true),
        (true, true, false),
    ]) {
        let (old, new) = (100 + case, 200 + case);
        let id = Phone::business_scoped(&format!("US.134912086553027{case}")).unwrap();
        let wrote = async |last: u32| {
            let wamid = format!("wamid.wrote-{last}");
            let message = InboundMessage { user_id: Some(id.clone()), ..inbound(last, &wamid) };
            assert!(stage.store.record_inbound(message, at(900)).await.unwrap());
        };
        wrote(old).await;
        let said = consent(opted_in, 800);
        let recorded = NewConsent {
            phone: phone(old),
            new_customer_id: CustomerId::new("not needed"),
            consent: said.clone(),
        };
        stage.store.record_consents(&org_id(), vec![recorded]).await.unwrap();
        if by_notice {
            let moved = changed_number(old, &format!("wamid.moved-{case}"), &phone(new));
            let new_customer_id = CustomerId::new(format!("moved-{case}"));
            let moved = InboundMessage { new_customer_id, ..moved };
            assert!(stage.store.record_inbound(moved, at(900)).await.unwrap());
        }
        if by_id {
            wrote(new).await;
        }
        for name in [phone(old), phone(new), id.clone()] {
            assert_eq!(said_under(&stage, &name).await, Some(said.clone()), "{case}: {name:?}");
        }
    }
}

pub async fn what_was_said_under_the_new_number_stands(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (case, (before, since, stands)) in (1..).zip([
        (consent(false, 500), consent(true, 600), consent(true, 600)),
        (consent(false, 500), consent(true, 400), consent(false, 500)),
        (consent(true, 500), consent(false, 400), consent(false, 400)),
    ]) {
        let (old, new) = (100 + case, 200 + case);
        for (last, consent) in [(old, &before), (new, &since)] {
            let consent = Some(consent.clone());
            let customer = Customer { consent, ..customer(&format!("c-{last}"), last) };
            stage.store.create_customer(customer).await.unwrap();
        }
        let moved = changed_number(old, &format!("wamid.{case}"), &phone(new));
        stage.store.record_inbound(moved, at(900)).await.unwrap();
        assert_eq!(said_under(&stage, &phone(new)).await, Some(stands), "{case}");
        assert_eq!(said_under(&stage, &phone(old)).await, Some(before), "{case}");
    }
}
