//! What people said about being written to: recorded and looked up by number. A no ends what waits
//! for them.

use std::sync::Arc;

use uuid::Uuid;
use waypost_domain::customer::{Consent, Customer};
use waypost_domain::directory::Number;
use waypost_domain::manage::ConsentEntry;
use waypost_domain::{CustomerId, Failure, OrgId, Phone};

use crate::Engine;
use crate::ports::{
    CreationClaim, CustomerFilter, CustomerToImport, Imported, NewConsent, NewRecord, Page,
    StoreResult,
};

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
        let any_no = entries.iter().any(|entry| !entry.opted_in);
        let consents = entries.into_iter().map(|entry| NewConsent {
            phone: entry.phone,
            new_customer_id: new_customer_id(),
            consent: Consent { opted_in: entry.opted_in, at, proof: None, origin: entry.origin },
        });
        let any_new = self.store().record_consents(org_id, consents.collect()).await?;
        self.heed_opt_outs(org_id, any_no);
        Ok(any_new)
    }

    /// Registers a customer, with the claim of the request's idempotency key if it has one.
    ///
    /// # Errors
    /// What the store says.
    pub async fn create_customer(
        &self,
        customer: Customer,
        claim: Option<CreationClaim>,
    ) -> StoreResult<()> {
        let (org_id, is_no) = (customer.org_id.clone(), customer.opted_out());
        match claim {
            None => self.store().create_customer(customer).await?,
            Some(claim) => {
                self.store().create(NewRecord::Customer(Box::new(customer)), claim).await?;
            }
        }
        self.heed_opt_outs(&org_id, is_no);
        Ok(())
    }

    /// Changes a customer; `false` where it is not as it was `known` any more.
    ///
    /// # Errors
    /// What the store says.
    pub async fn update_customer(&self, known: &Customer, changed: Customer) -> StoreResult<bool> {
        let is_no = changed.opted_out();
        let is_changed = self.store().update_customer(known, changed).await?;
        self.heed_opt_outs(&known.org_id, is_no);
        Ok(is_changed)
    }

    /// Adds customers of an organisation, or changes those that are there.
    ///
    /// # Errors
    /// What the store says.
    pub async fn import_customers(
        &self,
        org_id: &OrgId,
        customers: Vec<CustomerToImport>,
    ) -> StoreResult<Imported> {
        let any_no = customers.iter().any(|import| import.customer.opted_out());
        let imported = self.store().import_customers(customers).await?;
        self.heed_opt_outs(org_id, any_no);
        Ok(imported)
    }

    /// What was held until somebody writes who said no is due, by whichever number it was to go, and
    /// ends at its turn.
    fn heed_opt_outs(&self, org_id: &OrgId, any: bool) {
        if !any {
            return;
        }
        let may_be_used = |number: &Arc<Number>| number.org_id == *org_id || number.shared;
        for number in self.directory().all_numbers().into_iter().filter(may_be_used) {
            self.lanes().wake(&number.id);
        }
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
