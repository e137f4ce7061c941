//! How much one organisation may have: what is one too many is neither kept nor counted.

use waypost_domain::{ErrorKind, Failure, OrgId};
use waypost_engine::callbacks::NewWebhook;

use crate::rig::Rig;

fn new_webhook() -> NewWebhook {
    NewWebhook {
        org_id: OrgId::new("org-1"),
        id: None,
        url: "https://a.example/".to_owned(),
        shape: "plain".to_owned(),
        number_id: None,
        events: std::collections::BTreeSet::new(),
        secret: None,
        header: None,
    }
}

#[tokio::test]
async fn one_webhook_too_many_is_refused_until_another_goes() {
    let rig = Rig::new().await;
    let make = || rig.engine.create_webhook::<Failure>(new_webhook(), None);
    let first = make().await.unwrap().0;
    for _ in 1..100 {
        make().await.unwrap();
    }
    let refused = make().await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.field.as_deref()),
        (ErrorKind::InvalidValue, Some("webhooks"))
    );
    assert_eq!(refused.message, "An organisation may have at most 100 webhooks.");
    let directory = rig.engine.directory();
    assert_eq!(directory.webhooks(&first.org_id).len(), 100);
    let key = waypost_engine::ports::EntryKey::Webhook(first.org_id.clone(), first.id.clone());
    directory.remove(key).await.unwrap();
    make().await.unwrap();
}
