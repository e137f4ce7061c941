//! Customers in the order of registration, and the windows of those who wrote.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use waypost_domain::customer::{Consent, Customer};
use waypost_domain::{CustomerId, OrgId, Phone, Timestamp};
use waypost_engine::ports::{
    Audience, CustomerFilter, CustomerStore, CustomerToImport, Imported, LeftOut, NewConsent, Page,
    Paged, StoreError, StoreResult,
};

use crate::SqliteStore;
use crate::fault::Done;
use crate::messages::held;
use crate::opt_outs;
use crate::rows::{PageRows, from_json, paged, phone, rows_for, to_json};
use crate::writer::Work;

macro_rules! select_customer {
    ($rest:literal) => {
        concat!(
            "SELECT c.seq, o.id, c.id, c.phone, c.name, c.tags, c.opted_in, c.consent_at,
                c.consent_proof, c.active, c.created_at, c.last_inbound_at, c.consent_origin
             FROM customers c JOIN orgs o ON o.ref = c.org ",
            $rest
        )
    };
}

#[async_trait]
impl CustomerStore for SqliteStore {
    async fn create_customer(&self, customer: Customer) -> StoreResult<()> {
        self.writer.run(Work::Known, move |conn| create(conn, &customer)).await
    }

    async fn import_customers(&self, customers: Vec<CustomerToImport>) -> StoreResult<Imported> {
        self.writer.run(Work::Known, move |conn| import(conn, &customers)).await
    }

    async fn record_consents(
        &self,
        org_id: &OrgId,
        consents: Vec<NewConsent>,
    ) -> StoreResult<bool> {
        let org_id = org_id.clone();
        self.writer.run(Work::Known, move |conn| record_consents(conn, &org_id, &consents)).await
    }

    async fn update_customer(&self, known: &Customer, changed: Customer) -> StoreResult<bool> {
        let known = known.clone();
        self.writer.run(Work::Known, move |conn| update_known(conn, &known, &changed)).await
    }

    async fn delete_customer(&self, org_id: &OrgId, id: &CustomerId) -> StoreResult<bool> {
        let (org_id, id) = (org_id.clone(), id.clone());
        self.writer.run(Work::Known, move |conn| delete(conn, &org_id, &id)).await
    }

    async fn customer(&self, org_id: &OrgId, id: &CustomerId) -> StoreResult<Option<Customer>> {
        self.readers.look_up(|conn| by_id(conn, org_id, id))
    }

    async fn customers(
        &self,
        org_id: &OrgId,
        filter: &CustomerFilter,
        page: Page,
    ) -> StoreResult<Paged<Customer>> {
        let (org_id, filter) = (org_id.clone(), filter.clone());
        self.readers.list(move |conn| list(conn, &org_id, &filter, page)).await
    }

    async fn audience(
        &self,
        org_id: &OrgId,
        audience: Audience,
        page: Page,
    ) -> StoreResult<Paged<(CustomerId, Phone)>> {
        let org_id = org_id.clone();
        self.readers.list(move |conn| reached(conn, &org_id, audience, page)).await
    }
}

/// A customer as its row says.
struct StoredCustomer {
    seq: i64,
    org: String,
    id: String,
    phone: String,
    name: Option<String>,
    tags: Option<String>,
    opted_in: Option<bool>,
    consent_at: Option<i64>,
    consent_proof: Option<String>,
    active: bool,
    created_at: i64,
    last_inbound_at: Option<i64>,
    consent_origin: Option<String>,
}

impl StoredCustomer {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            org: row.get(1)?,
            id: row.get(2)?,
            phone: row.get(3)?,
            name: row.get(4)?,
            tags: row.get(5)?,
            opted_in: row.get(6)?,
            consent_at: row.get(7)?,
            consent_proof: row.get(8)?,
            active: row.get(9)?,
            created_at: row.get(10)?,
            last_inbound_at: row.get(11)?,
            consent_origin: row.get(12)?,
        })
    }

    /// How much of it is as large as its organisation likes, in bytes.
    fn bytes(&self) -> usize {
        [&self.name, &self.tags, &self.consent_proof].into_iter().flatten().map(String::len).sum()
    }

    fn into_customer(self) -> Done<Customer> {
        let origin = self.consent_origin.as_deref().map(from_json).transpose()?;
        let consent = self.opted_in.map(|opted_in| Consent {
            opted_in,
            at: Timestamp(self.consent_at.unwrap_or_default()),
            proof: self.consent_proof,
            origin: origin.unwrap_or_default(),
        });
        Ok(Customer {
            org_id: OrgId::new(self.org),
            id: CustomerId::new(self.id),
            phone: phone(&self.phone)?,
            name: self.name,
            tags: self.tags.as_deref().map(from_json).transpose()?.unwrap_or_default(),
            consent,
            active: self.active,
            created_at: Timestamp(self.created_at),
            last_inbound_at: self.last_inbound_at.map(Timestamp),
        })
    }
}

/// One customer by id.
pub(crate) fn by_id(conn: &Connection, org: &OrgId, id: &CustomerId) -> Done<Option<Customer>> {
    Ok(row_by_id(conn, org, id)?.map(|(_, customer)| customer))
}

/// One customer by id, with its row.
pub(crate) fn row_by_id(
    conn: &Connection,
    org: &OrgId,
    id: &CustomerId,
) -> Done<Option<(i64, Customer)>> {
    let mut select = conn.prepare_cached(select_customer!("WHERE o.id = ?1 AND c.id = ?2"))?;
    let found = select
        .query_row(params![org.as_str(), id.as_str()], StoredCustomer::from_row)
        .optional()?;
    found.map(|stored| Ok((stored.seq, stored.into_customer()?))).transpose()
}

/// One customer by number.
pub(crate) fn by_phone(conn: &Connection, org: &OrgId, phone: &Phone) -> Done<Option<Customer>> {
    Ok(row_by_phone(conn, org, phone)?.map(|(_, customer)| customer))
}

/// One customer by number, with its row.
pub(crate) fn row_by_phone(
    conn: &Connection,
    org: &OrgId,
    phone: &Phone,
) -> Done<Option<(i64, Customer)>> {
    let mut select = conn.prepare_cached(select_customer!("WHERE o.id = ?1 AND c.phone = ?2"))?;
    let found = select
        .query_row(params![org.as_str(), phone.digits()], StoredCustomer::from_row)
        .optional()?;
    found.map(|stored| Ok((stored.seq, stored.into_customer()?))).transpose()
}

/// Adds a customer.
pub(crate) fn create(conn: &Connection, customer: &Customer) -> Done<()> {
    let consent = opt_outs::take_over(conn, customer)?;
    let consent = consent.as_ref();
    conn.prepare_cached(
        "INSERT INTO customers (org, id, phone, name, tags, opted_in, consent_at, consent_proof,
             active, created_at, last_inbound_at, consent_origin)
         VALUES ((SELECT ref FROM orgs WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
             ?12)",
    )?
    .execute(params![
        customer.org_id.as_str(),
        customer.id.as_str(),
        customer.phone.digits(),
        customer.name,
        tags_column(&customer.tags)?,
        consent.map(|consent| consent.opted_in),
        consent.map(|consent| consent.at.0),
        consent.and_then(|consent| consent.proof.as_deref()),
        customer.active,
        customer.created_at.0,
        customer.last_inbound_at.map(|at| at.0),
        origin_column(consent)?,
    ])?;
    heed_opt_out(conn, customer)
}

/// What waits for somebody to write, who has opted out, ends instead.
fn heed_opt_out(conn: &Connection, customer: &Customer) -> Done<()> {
    if !customer.opted_out() {
        return Ok(());
    }
    held::release_all(conn, &customer.org_id, &customer.phone)
}

fn origin_column(consent: Option<&Consent>) -> Result<Option<String>, StoreError> {
    let origin = consent.map(|consent| &consent.origin).filter(|origin| !origin.is_empty());
    origin.map(to_json).transpose()
}

fn tags_column(tags: &[String]) -> Result<Option<String>, StoreError> {
    (!tags.is_empty()).then(|| to_json(&tags)).transpose()
}

fn import(conn: &Connection, customers: &[CustomerToImport]) -> Done<Imported> {
    let mut imported = Imported::default();
    for (place, CustomerToImport { customer, id_given, stated }) in customers.iter().enumerate() {
        let existing = match by_phone(conn, &customer.org_id, &customer.phone)? {
            Some(owner) if *id_given && owner.id != customer.id => {
                imported.left_out.push(LeftOut { place, owner: owner.id });
                continue;
            }
            None if *id_given => by_id(conn, &customer.org_id, &customer.id)?,
            owner => owner,
        };
        let Some(existing) = existing else {
            create(conn, customer)?;
            imported.created += 1;
            continue;
        };
        let merged = Customer {
            id: existing.id,
            name: if stated.name { customer.name.clone() } else { existing.name },
            tags: if stated.tags { customer.tags.clone() } else { existing.tags },
            active: if stated.active { customer.active } else { existing.active },
            consent: customer.consent.clone().or(existing.consent),
            created_at: existing.created_at,
            last_inbound_at: customer.last_inbound_at.max(existing.last_inbound_at),
            ..customer.clone()
        };
        update(conn, &merged)?;
        imported.updated += 1;
    }
    Ok(imported)
}

/// Changes a customer that is still as it is `known`.
fn update_known(conn: &Connection, known: &Customer, changed: &Customer) -> Done<bool> {
    let found = by_id(conn, &known.org_id, &known.id)?.ok_or(StoreError::NotFound)?;
    if found != *known {
        return Ok(false);
    }
    update(conn, changed).map(|()| true)
}

/// Changes a customer.
pub(crate) fn update(conn: &Connection, customer: &Customer) -> Done<()> {
    keep_former_phone(conn, &customer.org_id, &customer.id, Some(&customer.phone))?;
    let consent = opt_outs::take_over(conn, customer)?;
    let consent = consent.as_ref();
    let changed = conn
        .prepare_cached(
            "UPDATE customers SET phone = ?3, name = ?4, tags = ?5, opted_in = ?6,
                 consent_at = ?7, consent_proof = ?8, active = ?9, last_inbound_at = ?10,
                 consent_origin = ?11
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2",
        )?
        .execute(params![
            customer.org_id.as_str(),
            customer.id.as_str(),
            customer.phone.digits(),
            customer.name,
            tags_column(&customer.tags)?,
            consent.map(|consent| consent.opted_in),
            consent.map(|consent| consent.at.0),
            consent.and_then(|consent| consent.proof.as_deref()),
            customer.active,
            customer.last_inbound_at.map(|at| at.0),
            origin_column(consent)?,
        ])?;
    if changed == 0 {
        return Err(StoreError::NotFound.into());
    }
    heed_opt_out(conn, customer)
}

/// Deletes a customer; that they opted out is not forgotten.
fn delete(conn: &Connection, org: &OrgId, id: &CustomerId) -> Done<bool> {
    keep_former_phone(conn, org, id, None)?;
    opt_outs::keep(conn, org, id)?;
    let deleted = conn
        .prepare_cached(
            "DELETE FROM customers WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2",
        )?
        .execute(params![org.as_str(), id.as_str()])?;
    Ok(deleted > 0)
}

/// Notes the number that a customer is about to lose, unless it is the new one.
fn keep_former_phone(
    conn: &Connection,
    org: &OrgId,
    id: &CustomerId,
    new: Option<&Phone>,
) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO former_phones (org, customer, phone)
         SELECT org, id, phone FROM customers
         WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2 AND phone IS NOT ?3
         ON CONFLICT DO NOTHING",
    )?
    .execute(params![org.as_str(), id.as_str(), new.map(Phone::digits)])?;
    Ok(())
}

/// Brings the customer's last message up to date; `false` where nobody has this number.
pub(crate) fn note_inbound(
    conn: &Connection,
    org: &OrgId,
    phone: &Phone,
    at: Timestamp,
) -> Done<bool> {
    let changed = conn
        .prepare_cached(
            "UPDATE customers SET last_inbound_at = max(coalesce(last_inbound_at, ?3), ?3)
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND phone = ?2",
        )?
        .execute(params![org.as_str(), phone.digits(), at.0])?;
    Ok(changed > 0)
}

fn list(
    conn: &Connection,
    org: &OrgId,
    filter: &CustomerFilter,
    page: Page,
) -> Done<Paged<Customer>> {
    let mut sql = select_customer!("WHERE o.id = ? AND c.seq > ?").to_owned();
    let mut values: Vec<Value> =
        vec![org.as_str().to_owned().into(), page.after.unwrap_or(0).into()];
    if let Some(phone) = &filter.phone {
        sql.push_str(" AND c.phone = ?");
        values.push(phone.digits().to_owned().into());
    }
    if let Some(tag) = &filter.tag {
        sql.push_str(" AND EXISTS (SELECT 1 FROM json_each(c.tags) WHERE value = ?)");
        values.push(tag.clone().into());
    }
    if let Some(active) = filter.active {
        sql.push_str(" AND c.active = ?");
        values.push(active.into());
    }
    sql.push_str(" ORDER BY c.seq LIMIT ?");
    values.push(rows_for(page).into());
    let mut select = conn.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(values))?;
    let mut found = PageRows::new(page);
    while found.missing() > 0
        && let Some(row) = rows.next()?
    {
        let stored = StoredCustomer::from_row(row)?;
        found.add(stored.seq, stored.bytes(), stored.into_customer()?);
    }
    Ok(found.paged())
}

fn reached(
    conn: &Connection,
    org: &OrgId,
    audience: Audience,
    page: Page,
) -> Done<Paged<(CustomerId, Phone)>> {
    // Without a recorded word, it depends on the audience whether a customer is reached, and
    // whether having written makes a difference. An opt-out under the person's other name counts.
    let (silent_counts_as, wrote_counts_as) = match audience {
        Audience::All => (1, 1),
        Audience::OptedIn => (0, 0),
        Audience::OptedInOrWrote => (0, 1),
    };
    let mut select = conn.prepare_cached(
        "SELECT seq, id, phone FROM customers c
         WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND seq > ?2
             AND active = 1
             AND coalesce(opted_in, CASE WHEN last_inbound_at IS NULL THEN ?3 ELSE ?4 END) = 1
             AND NOT EXISTS (SELECT 1 FROM scoped_ids s
                 JOIN customers o ON o.org = s.org AND o.phone = s.id
                 WHERE s.org = c.org AND s.phone = c.phone AND o.opted_in = 0)
             AND NOT EXISTS (SELECT 1 FROM scoped_ids s
                 JOIN customers o ON o.org = s.org AND o.phone = s.phone
                 WHERE s.org = c.org AND s.id = c.phone AND o.opted_in = 0)
             AND NOT EXISTS (SELECT 1 FROM scoped_ids s
                 JOIN opt_outs o ON o.org = s.org AND o.phone = s.id
                 WHERE s.org = c.org AND s.phone = c.phone)
             AND NOT EXISTS (SELECT 1 FROM scoped_ids s
                 JOIN opt_outs o ON o.org = s.org AND o.phone = s.phone
                 WHERE s.org = c.org AND s.id = c.phone)
         ORDER BY seq LIMIT ?5",
    )?;
    let after = page.after.unwrap_or(0);
    let mut rows = select.query(params![
        org.as_str(),
        after,
        silent_counts_as,
        wrote_counts_as,
        rows_for(page)
    ])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let digits: String = row.get(2)?;
        found.push((row.get(0)?, (CustomerId::new(row.get::<_, String>(1)?), phone(&digits)?)));
    }
    Ok(paged(page, found))
}

/// Records what several people said; `false` where each of them said the same before.
fn record_consents(conn: &Connection, org: &OrgId, consents: &[NewConsent]) -> Done<bool> {
    let mut any_new = false;
    for new in consents {
        any_new |= record_consent(conn, org, new)?;
    }
    Ok(any_new)
}

fn record_consent(conn: &Connection, org: &OrgId, new: &NewConsent) -> Done<bool> {
    let Some(known) = by_phone(conn, org, &new.phone)? else {
        create(conn, &customer_of(org, new))?;
        return Ok(true);
    };
    if known.consent.as_ref().is_some_and(|said| said.opted_in == new.consent.opted_in) {
        return Ok(false);
    }
    let changed = Customer { consent: Some(new.consent.clone()), ..known };
    update(conn, &changed)?;
    Ok(true)
}

/// A person has another number: what they said under the former one holds for it, unless they said
/// something since. A yes takes no no back.
pub(crate) fn move_consent(
    conn: &Connection,
    org: &OrgId,
    from: &Phone,
    to: &Phone,
    new_customer_id: &CustomerId,
) -> Done<()> {
    let Some(said) = consent_of(conn, org, from)? else { return Ok(()) };
    let since = consent_of(conn, org, to)?;
    let holds = since.is_none_or(|since| !said.opted_in && since.at < said.at);
    if holds {
        let (phone, new_customer_id) = (to.clone(), new_customer_id.clone());
        record_consent(conn, org, &NewConsent { phone, new_customer_id, consent: said })?;
    }
    Ok(())
}

fn consent_of(conn: &Connection, org: &OrgId, phone: &Phone) -> Done<Option<Consent>> {
    match by_phone(conn, org, phone)? {
        Some(customer) => Ok(customer.consent),
        None => opt_outs::of(conn, org, phone),
    }
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
