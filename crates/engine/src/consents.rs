//! What people said about being written to: recorded and looked up by number.

use uuid::Uuid;
use waypost_domain::customer::Consent;
use waypost_domain::manage::ConsentEntry;
use waypost_domain::{CustomerId, Failure, OrgId, Phone};

use crate::Engine;
use crate::ports::{CustomerFilter, NewConsent, Page};

impl Engine {
    /// Records what people said, all or nothing; who is unknown becomes a customer. `false` where
    /// each of them had said the same before.
    ///
    /// # Errors
    /// What the store says.
    pub async fn record_consents(
        &self,
        org_id: &OrgId,
        entries: Vec<ConsentEntry>,
    ) -> Result<bool, Failure> {
        let at = self.now();
        let consents = entries.into_iter().map(|entry| NewConsent {
            phone: entry.phone,
            new_customer_id: new_customer_id(),
            consent: Consent { opted_in: entry.opted_in, at, proof: None, origin: entry.origin },
        });
        Ok(self.store().record_consents(org_id, consents.collect()).await?)
    }

    /// What is recorded of a person's word, yes or no.
    ///
    /// # Errors
    /// What the store says.
    pub async fn find_consent(
        &self,
        org_id: &OrgId,
        phone: &Phone,
    ) -> Result<Option<Consent>, Failure> {
        let filter = CustomerFilter { phone: Some(phone.clone()), ..CustomerFilter::default() };
        let page = Page { after: None, limit: 1 };
        let found = self.store().customers(org_id, &filter, page).await?.data;
        Ok(found.into_iter().next().and_then(|customer| customer.consent))
    }
}

/// The id of a customer whom the organisation has given none.
pub(crate) fn new_customer_id() -> CustomerId {
    CustomerId::new(format!("cust-{}", Uuid::now_v7().simple()))
}
