//! What people said about being written to, recorded once for each idempotency key.

use waypost_dialects::Managed;
use waypost_domain::manage::ConsentEntry;
use waypost_domain::{Failure, OrgId};
use waypost_engine::IdempotencyKey;
use waypost_engine::ports::NewRecord;

use super::tasks::TaskDone;
use crate::App;

/// What a key stands for where somebody had not said the same before.
const SOME_NEW: &str = "some-new";
/// What it stands for where everybody had.
const NONE_NEW: &str = "none-new";

/// Records consents, unless an earlier request with the same key did: then its answer is given.
pub(super) async fn record_once(
    app: &App,
    org_id: &OrgId,
    (route, idempotency): (&'static str, IdempotencyKey),
    entries: Vec<ConsentEntry>,
) -> Result<TaskDone, Failure> {
    let key = app.engine.creation_key(org_id.clone(), route, idempotency).await?;
    if let Some(earlier) = key.earlier() {
        let managed = Managed::ConsentRecorded { any_new: earlier == SOME_NEW };
        return Ok(TaskDone::Told { managed, replayed: true });
    }
    let any_new = app.engine.record_consents(org_id, entries).await?;
    // Afterwards: what a crash leaves between the two, nobody was told, and it is recorded anew.
    let word = if any_new { SOME_NEW } else { NONE_NEW };
    app.engine.store().create(NewRecord::Upstream(word.to_owned()), key.claim()).await?;
    Ok(TaskDone::told(Managed::ConsentRecorded { any_new }))
}
