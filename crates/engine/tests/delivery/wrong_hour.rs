//! The machine starts with a wrong hour (T30): nothing is deleted for its age before Meta has reported
//! something of that hour.

use std::time::{Duration, Instant};

use waypost_domain::OrgId;
use waypost_engine::ports::{MessageFilter, Page, PutMode};
use waypost_planted::{Bug, plant};

use crate::callbacks::{ANN, quiet, written};
use crate::rig::{LIVELY, Rig, org, send_to, text};

const DAY: Duration = Duration::from_secs(86_400);
const YEARS: Duration = Duration::from_secs(12 * 366 * 86_400);
/// More than passes between two looks of retention.
const LOOK: Duration = Duration::from_secs(3_700);

/// A gateway of an organisation that keeps messages for a day, started again so much later than they
/// are.
async fn restarted_after(span: Duration) -> Rig {
    let rig = Rig::new().await;
    let short = waypost_domain::directory::Org { message_retention_days: Some(1), ..org("org-1") };
    rig.put_org(short, PutMode::Replace).await;
    for _ in 0..3 {
        rig.engine.send(send_to("cust-1", text("old"))).await.unwrap();
    }
    rig.receive(vec![written(ANN, "wamid.last", &rig)]).await;
    rig.clock.advance(span);
    rig.restart().await
}

async fn messages(rig: &Rig) -> usize {
    let (org_id, all) = (OrgId::new("org-1"), MessageFilter::default());
    let page = Page { after: None, limit: 100 };
    rig.engine.store().messages(&org_id, &all, page).await.unwrap().data.len()
}

/// Lets retention look until it has deleted something or refused to; returns how many messages are
/// left.
async fn left_after_a_look(rig: &Rig) -> usize {
    let (before, began) = (rig.engine.metrics(), Instant::now());
    loop {
        assert!(began.elapsed() < LIVELY, "retention neither deletes nor refuses");
        rig.clock.advance(LOOK);
        quiet(rig).await;
        let now = rig.engine.metrics();
        let has_refused = now.retention_refused > before.retention_refused;
        if has_refused || now.messages_deleted >= before.messages_deleted + 3 {
            return messages(rig).await;
        }
    }
}

#[tokio::test]
async fn t30_a_start_at_a_wrong_hour_deletes_nothing_until_meta_reports_of_it() {
    let rig = restarted_after(YEARS).await;
    assert_eq!(left_after_a_look(&rig).await, 4);
    let rig = rig.restart().await;
    assert_eq!(left_after_a_look(&rig).await, 4, "another start makes it no righter");
    rig.receive(vec![written(ANN, "wamid.now", &rig)]).await;
    assert_eq!(left_after_a_look(&rig).await, 1, "the hour was right after all");
}

#[tokio::test]
async fn a_start_after_a_quiet_weekend_is_believed() {
    let rig = restarted_after(2 * DAY).await;
    assert_eq!(left_after_a_look(&rig).await, 1, "the newest is always kept");
}

#[tokio::test]
async fn t30_control_an_hour_that_is_believed_at_once_is_seen() {
    plant(Some(Bug::HourBelieved));
    let rig = restarted_after(YEARS).await;
    assert_eq!(left_after_a_look(&rig).await, 1);
}
