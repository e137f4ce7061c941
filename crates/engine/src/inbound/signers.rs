//! For which numbers a webhook counts: the installation's app speaks for all of them, another app
//! for those that have its secret.

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use waypost_domain::NumberId;
use waypost_domain::directory::Number;

use crate::Engine;
use crate::ports::{Signer, UpstreamEvent};

impl Engine {
    /// Whose app signed exactly these bytes. Nobody's where they are about none of its numbers.
    #[must_use]
    pub fn webhook_signer(&self, body: &[u8], signature: &str) -> Option<Signer> {
        let codec = self.webhook_codec();
        let signed = |secret: &String| codec.verify(body, signature, slice::from_ref(secret));
        if signed(&self.settings().app_secret) {
            return Some(Signer::Installation);
        }
        let mut apps = self.numbers_of_other_apps().into_iter();
        let (_, mut numbers) = apps.find(|(secret, _)| signed(secret))?;
        // Only what is signed is read.
        let events = codec.parse(body);
        numbers.retain(|number| events.iter().any(|event| is_about(event, number)));
        let ids: Vec<NumberId> = numbers.iter().map(|number| number.id.clone()).collect();
        (!ids.is_empty()).then_some(Signer::Numbers(ids))
    }

    /// The numbers that belong to other apps, by secret: a body is hashed once with each.
    fn numbers_of_other_apps(&self) -> BTreeMap<String, Vec<Arc<Number>>> {
        let mut apps: BTreeMap<String, Vec<Arc<Number>>> = BTreeMap::new();
        for number in self.directory().all_numbers() {
            let place = format!("numbers/{}/app_secret", number.id);
            let open = |sealed| self.vault().open(&place, sealed).ok();
            if let Some(secret) = number.app_secret.as_ref().and_then(open) {
                apps.entry(secret).or_default().push(number);
            }
        }
        apps
    }

    /// Takes out the events for which a signer does not speak; how many there were.
    pub(super) fn leave_out(&self, events: &mut Vec<UpstreamEvent>, signer: &Signer) -> usize {
        let Signer::Numbers(ids) = signer else { return 0 };
        let numbers: Vec<_> = ids.iter().filter_map(|id| self.directory().number(id)).collect();
        let all = events.len();
        events.retain(|event| numbers.iter().any(|number| is_about(event, number)));
        all - events.len()
    }
}

/// Whether an event is about a number or its business account.
fn is_about(event: &UpstreamEvent, number: &Number) -> bool {
    match event {
        UpstreamEvent::Inbound(inbound) => inbound.phone_number_id == number.phone_number_id,
        UpstreamEvent::Status(notice) => notice.phone_number_id == number.phone_number_id,
        UpstreamEvent::Template { template, .. } => template.waba_id == number.waba_id,
        UpstreamEvent::Notice(notice) => notice.is_about(number),
        UpstreamEvent::Other { waba_id, .. } => *waba_id == number.waba_id,
    }
}
