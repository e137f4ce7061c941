//! What people said about being written to, recorded with their entry in the directory.

use rusqlite::Connection;
use waypost_domain::OrgId;
use waypost_domain::customer::Customer;
use waypost_engine::ports::NewConsent;

use crate::customers;
use crate::fault::Done;

/// Records what several people said; `false` where each of them said the same before.
pub(crate) fn record_all(conn: &Connection, org: &OrgId, consents: &[NewConsent]) -> Done<bool> {
    let mut any_new = false;
    for new in consents {
        any_new |= record(conn, org, new)?;
    }
    Ok(any_new)
}

fn record(conn: &Connection, org: &OrgId, new: &NewConsent) -> Done<bool> {
    let Some(known) = customers::by_phone(conn, org, &new.phone)? else {
        customers::create(conn, &customer_of(org, new))?;
        return Ok(true);
    };
    if known.consent.as_ref().is_some_and(|said| said.opted_in == new.consent.opted_in) {
        return Ok(false);
    }
    let changed = Customer { consent: Some(new.consent.clone()), ..known };
    customers::update(conn, &changed)?;
    Ok(true)
}

fn customer_of(org: &OrgId, new: &NewConsent) -> Customer {
    Customer {
        org_id: org.clone(),
        id: new.new_customer_id.clone(),
        phone: new.phone.clone(),
        name: None,
        tags: Vec::new(),
        consent: Some(new.consent.clone()),
        active: true,
        created_at: new.consent.at,
        last_inbound_at: None,
    }
}
