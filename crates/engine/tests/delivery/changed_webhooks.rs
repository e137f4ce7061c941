//! Webhooks that are changed while something waits for them, and what they may be set to.

use std::collections::BTreeSet;
use std::time::Duration;

use waypost_domain::callback::Webhook;
use waypost_domain::event::EventKind;
use waypost_domain::{Failure, NumberId, OrgId, WebhookId};
use waypost_engine::ports::PutMode;

use crate::callbacks::{ANN, URL, all_made, hooked, listed, quiet, until, written};
use crate::receivers::status;
use crate::rig::Rig;

async fn change(
    rig: &Rig,
    id: &WebhookId,
    change: impl FnOnce(&mut Webhook),
) -> Result<(), Failure> {
    let mut changed = (*rig.engine.directory().webhook(&OrgId::new("org-1"), id).unwrap()).clone();
    change(&mut changed);
    rig.engine.change_webhook(move || Ok::<_, Failure>(changed)).await.map(drop)
}

/// A webhook for which one callback waits after a first call that failed.
async fn with_one_that_waits(rig: &Rig, shape: &str) -> WebhookId {
    let id = hooked(rig, URL, shape).await;
    rig.receivers.answer(|_| status(500));
    rig.receive(vec![written(ANN, "hello", rig)]).await;
    // What is posted together is gathered for two seconds.
    quiet(rig).await;
    rig.clock.advance(Duration::from_secs(3));
    until("first", || rig.receivers.count() == 1).await;
    quiet(rig).await;
    rig.receivers.answer(|_| status(200));
    id
}

#[tokio::test]
async fn what_waits_is_posted_only_where_the_changed_webhook_is_told_of_it() {
    type Change = fn(&mut Webhook);
    let changes: [(Change, usize); 4] = [
        (|webhook| webhook.url = "https://new.example.com/".to_owned(), 1),
        (|webhook| webhook.events = BTreeSet::from([EventKind::MessageSent]), 0),
        (|webhook| webhook.shape = "webex_connect".to_owned(), 0),
        (|webhook| webhook.number_id = Some(NumberId::new("number-2")), 0),
    ];
    for (place, (to_another, posted)) in changes.into_iter().enumerate() {
        for shape in ["plain", "batched"] {
            let rig = Rig::new().await;
            let mut second = crate::rig::number(1_000);
            second.id = NumberId::new("number-2");
            second.phone_number_id = "100000000000009".to_owned();
            second.display_phone = crate::rig::phone("15550009998");
            rig.engine.put_number(second, PutMode::Create).await.unwrap();
            let id = with_one_that_waits(&rig, shape).await;
            change(&rig, &id, to_another).await.unwrap();
            rig.clock.advance(Duration::from_secs(10));
            all_made(&rig).await;
            assert_eq!(rig.receivers.count(), 1 + posted, "{place} {shape}");
            assert!(listed(&rig).await.is_empty(), "{place} {shape}");
        }
    }
}

#[tokio::test]
async fn a_webhook_is_told_of_something_by_its_shape() {
    let rig = Rig::new().await;
    let id = hooked(&rig, URL, "webex_connect").await;
    let kinds = |kinds: &[EventKind]| kinds.iter().copied().collect::<BTreeSet<_>>();
    let nothing = kinds(&[EventKind::MessageReceived, EventKind::TemplateStatus]);
    let refused = change(&rig, &id, |webhook| webhook.events = nothing.clone()).await.unwrap_err();
    assert_eq!(refused.field.as_deref(), Some("events"));
    let something = kinds(&[EventKind::MessageReceived, EventKind::MessageRead]);
    change(&rig, &id, |webhook| webhook.events = something).await.unwrap();
    // One that is off is judged likewise, and not refused for being off.
    change(&rig, &id, |webhook| webhook.disabled = Some("by request".to_owned())).await.unwrap();
    let off = change(&rig, &id, |webhook| webhook.events = nothing.clone()).await.unwrap_err();
    assert_eq!(off.field.as_deref(), Some("events"));
}

#[tokio::test]
async fn each_call_is_counted_also_where_an_event_takes_several() {
    let rig = Rig::new().await;
    hooked(&rig, URL, "apart").await;
    let mut calls = 0;
    rig.receivers.answer(move |_| {
        calls += 1;
        status(if calls == 2 { 500 } else { 200 })
    });
    rig.receive(vec![written(ANN, "hello", &rig)]).await;
    until("first try", || rig.receivers.count() == 2).await;
    quiet(&rig).await;
    rig.clock.advance(Duration::from_secs(6));
    all_made(&rig).await;
    let counted = rig.engine.metrics();
    assert_eq!((counted.callbacks_posted, counted.callbacks_delivered), (4, 3));
    assert_eq!(counted.callbacks_failed, 1);
}
