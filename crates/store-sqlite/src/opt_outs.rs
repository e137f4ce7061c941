//! Opt-outs of people whose customer was deleted. They are kept by number until somebody is a customer
//! by it again, who takes them over.

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::customer::{Consent, ConsentOrigin, Customer};
use waypost_domain::{CustomerId, OrgId, Phone, Timestamp};

use crate::fault::Done;

/// Keeps what a customer said who is about to be deleted, where it was a no.
pub(crate) fn keep(conn: &Connection, org: &OrgId, id: &CustomerId) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO opt_outs (org, phone, at)
         SELECT org, phone, coalesce(consent_at, 0) FROM customers
         WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2 AND opted_in = 0
         ON CONFLICT (org, phone) DO UPDATE SET at = excluded.at",
    )?
    .execute(params![org.as_str(), id.as_str()])?;
    Ok(())
}

/// What was kept by a number that no customer has.
pub(crate) fn of(conn: &Connection, org: &OrgId, phone: &Phone) -> Done<Option<Consent>> {
    let mut select = conn.prepare_cached(
        "SELECT at FROM opt_outs WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND phone = ?2",
    )?;
    let found = select.query_row(params![org.as_str(), phone.digits()], |row| row.get(0));
    Ok(found.optional()?.map(no_at))
}

/// What a customer who is about to be written down said, else what was kept by their number: it is
/// theirs from now on.
pub(crate) fn take_over(conn: &Connection, customer: &Customer) -> Done<Option<Consent>> {
    let mut take = conn.prepare_cached(
        "DELETE FROM opt_outs
         WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND phone = ?2 RETURNING at",
    )?;
    let kept = take
        .query_row(params![customer.org_id.as_str(), customer.phone.digits()], |row| row.get(0))
        .optional()?;
    Ok(customer.consent.clone().or(kept.map(no_at)))
}

fn no_at(at_ms: i64) -> Consent {
    let origin = ConsentOrigin::default();
    Consent { opted_in: false, at: Timestamp(at_ms), proof: None, origin }
}
