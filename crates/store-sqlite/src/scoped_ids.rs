//! Business-scoped ids of people whose number is known too. A person may be written to by either, and
//! what was said under the number, a window or an opt-out, holds for both.

use rusqlite::{Connection, OptionalExtension, params};
use waypost_domain::{OrgId, Phone};

use crate::fault::Done;
use crate::rows::phone;

/// A webhook told both. It also opens the person's window, which makes what is remembered of them
/// out of date.
pub(crate) fn note(conn: &Connection, org: &OrgId, id: &Phone, number: &Phone) -> Done<()> {
    conn.prepare_cached(
        "INSERT INTO scoped_ids (org, id, phone)
         VALUES ((SELECT ref FROM orgs WHERE id = ?1), ?2, ?3)
         ON CONFLICT (org, id) DO UPDATE SET phone = excluded.phone WHERE phone <> excluded.phone",
    )?
    .execute(params![org.as_str(), id.digits(), number.digits()])?;
    Ok(())
}

/// The number of a person who is written to by an id.
pub(crate) fn number_of(conn: &Connection, org: &OrgId, id: &Phone) -> Done<Option<Phone>> {
    let found: Option<String> = conn
        .prepare_cached(
            "SELECT phone FROM scoped_ids
             WHERE org = (SELECT ref FROM orgs WHERE id = ?1) AND id = ?2",
        )?
        .query_row(params![org.as_str(), id.digits()], |row| row.get(0))
        .optional()?;
    found.map(|digits| phone(&digits)).transpose()
}
