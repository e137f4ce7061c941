//! What the upstream tells and we only pass on, to the organisations that it concerns and to no
//! others: it may tell of people.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};
use waypost_domain::directory::Number;
use waypost_domain::event::NoticeDetail;
use waypost_domain::{OrgId, Phone};

use super::shortened;
use crate::Engine;
use crate::ports::{InboxEntry, NewNotice, NoticeAbout, Signer, StoreResult, UpstreamNotice};

/// The longest value that is kept with an event, in bytes.
const MAX_VALUE_BYTES: usize = 64 * 1_024;

/// Fields about a business account or its templates, which tell neither of people nor of a single
/// number: where several organisations have numbers there, all of them may know.
const OF_THE_ACCOUNT: [&str; 12] = [
    "account_alerts",
    "account_review_update",
    "account_update",
    "business_capability_update",
    "business_status_update",
    "flows",
    "message_template_components_update",
    "message_template_quality_update",
    "partner_solutions",
    "payment_configuration_update",
    "template_category_update",
    "template_correct_category_detection",
];

/// Whom a notice concerns.
#[derive(Default)]
struct Concerned {
    org_ids: BTreeSet<OrgId>,
    /// The number, where it is about one.
    number: Option<Arc<Number>>,
}

impl UpstreamNotice {
    /// Whether it is about a number or its business account.
    pub(super) fn is_about(&self, number: &Number) -> bool {
        let is_of_account = self.waba_id == number.waba_id;
        match &self.about {
            NoticeAbout::Number(id) => *id == number.phone_number_id,
            NoticeAbout::Phone(text) => {
                let is_it = |phone: Phone| phone == number.display_phone;
                is_of_account && Phone::parse(text).is_ok_and(is_it)
            }
            NoticeAbout::Account => is_of_account,
        }
    }

    /// What it has in common with its repetitions only.
    fn digest(&self, value: &str) -> i64 {
        let mut hasher = Sha256::new();
        let at = self.at.map_or_else(String::new, |at| at.0.to_string());
        for part in [self.waba_id.as_str(), &self.field, &at, value] {
            hasher.update(part.len().to_be_bytes());
            hasher.update(part);
        }
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hasher.finalize());
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl Engine {
    /// Tells a notice on. `false` where there is more to it than was told.
    pub(super) async fn apply_notice(
        &self,
        notice: UpstreamNotice,
        entry: &InboxEntry,
        told: &AtomicBool,
    ) -> StoreResult<bool> {
        let keep_raw = |why| {
            if !told.swap(true, Ordering::Relaxed) {
                let field = shortened(&notice.field);
                tracing::info!(entry = entry.id, field, why, "webhook kept raw");
            }
        };
        let Concerned { org_ids, number } = self.concerned(&notice, &entry.signer);
        if org_ids.is_empty() {
            keep_raw("it concerns no organisation, or perhaps not all of its account");
            return Ok(false);
        }
        let value = notice.value.to_string();
        let is_short = value.len() <= MAX_VALUE_BYTES;
        if !is_short {
            keep_raw("its value is too long for an event");
        }
        let new = NewNotice {
            org_ids: org_ids.into_iter().collect(),
            number_id: number.as_ref().map(|number| number.id.clone()),
            digest: notice.digest(&value),
            at: notice.at.unwrap_or(entry.received_at),
            notice: NoticeDetail {
                waba_id: notice.waba_id,
                phone_number_id: number.map(|number| number.phone_number_id.clone()),
                field: notice.field,
                value: is_short.then_some(notice.value),
            },
        };
        self.store().record_notice(new, self.now()).await?;
        self.event_logged();
        Ok(is_short)
    }

    /// The owner of the number that a notice is about; else those with numbers of the account.
    fn concerned(&self, notice: &UpstreamNotice, signer: &Signer) -> Concerned {
        let mut numbers = self.directory().all_numbers();
        numbers.retain(|number| notice.is_about(number));
        let owners = |numbers: &[Arc<Number>]| -> BTreeSet<OrgId> {
            numbers.iter().map(|number| number.org_id.clone()).collect()
        };
        let is_of_account = notice.about == NoticeAbout::Account;
        // It may be about a person or number of one of them, and does not say of which.
        let is_doubtful = is_of_account && !OF_THE_ACCOUNT.contains(&notice.field.as_str());
        if is_doubtful && owners(&numbers).len() > 1 {
            return Concerned::default();
        }
        numbers.retain(|number| signer.speaks_for(&number.id));
        let number = numbers.first().filter(|_| !is_of_account).cloned();
        Concerned { org_ids: owners(&numbers), number }
    }
}
